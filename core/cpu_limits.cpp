#include "core/cpu_limits.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <sched.h>
#include <unistd.h>

namespace troupe::core {
namespace {

namespace fs = std::filesystem;

/// A cgroup file of one number or two; none when it is missing or says `max`.
std::vector<std::int64_t> read_numbers(const fs::path& file) {
  std::ifstream stream(file);
  std::vector<std::int64_t> numbers;
  for (std::int64_t number = 0; stream >> number;) numbers.push_back(number);
  return numbers;
}

std::vector<std::string> words(const std::string& line, char separator) {
  std::vector<std::string> found;
  std::istringstream stream(line);
  for (std::string word; std::getline(stream, word, separator);) found.push_back(word);
  return found;
}

bool lists(const std::string& comma_separated, std::string_view name) {
  return std::ranges::count(words(comma_separated, ','), name) != 0;
}

/// mountinfo writes blanks and backslashes in paths as three octal digits: `\040`.
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    int code = 0;
    if (text[at] == '\\' && at + 3 < text.size() &&
        std::from_chars(&text[at + 1], &text[at + 1] + 3, code, 8).ptr == &text[at + 1] + 3) {
      plain += static_cast<char>(code);
      at += 3;
    } else {
      plain += text[at];
    }
  }
  return plain;
}

/// One mounted cgroup hierarchy.
struct hierarchy {
  fs::path mount;          ///< where it is seen, without the leading /
  std::string mount_root;  ///< which of its cgroups is seen there
};

/// The mount of the v1 controller, or of v2 when it is empty.
std::optional<hierarchy> find_hierarchy(const fs::path& root, std::string_view controller) {
  std::ifstream mounts(root / "proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    // id parent device root mount options [tag...] - type source options
    const std::vector<std::string> fields = words(line, ' ');
    const auto dash = std::ranges::find(fields, "-");
    if (dash - fields.begin() < 6 || fields.end() - dash < 4) continue;
    const std::string& type = dash[1];
    const bool wanted =
        controller.empty() ? type == "cgroup2" : type == "cgroup" && lists(dash[3], controller);
    if (wanted) {
      return hierarchy{fs::path(unescape(fields[4])).relative_path(), unescape(fields[3])};
    }
  }
  return std::nullopt;
}

/// This process's cgroup in the hierarchy of the v1 controller, or in v2 when it is empty.
std::optional<std::string> find_cgroup(const fs::path& root, std::string_view controller) {
  std::ifstream cgroups(root / "proc/self/cgroup");
  for (std::string line; std::getline(cgroups, line);) {
    // id:controllers:path; the path may hold colons
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? controllers.empty() : lists(controllers, controller)) {
      return line.substr(second + 1);
    }
  }
  return std::nullopt;
}

/// The folders of this process's cgroup and of those above it, as far as they can be seen.
std::vector<fs::path> cgroup_folders(const fs::path& root, std::string_view controller) {
  const auto mounted = find_hierarchy(root, controller);
  const auto cgroup = find_cgroup(root, controller);
  if (!mounted || !cgroup) return {};
  const fs::path top = root / mounted->mount;
  // A container often sees its own cgroup as the mount, while /proc gives the path from the host's.
  fs::path below = fs::path(*cgroup).lexically_relative(mounted->mount_root);
  if (below.empty() || *below.begin() == "..") below = ".";

  std::vector<fs::path> folders{top};
  fs::path folder = top;
  for (const fs::path& part : below) {
    if (part == ".") continue;
    folder /= part;
    folders.push_back(folder);
  }
  return folders;
}

/// The lowest of what `read` finds in the folders.
template <class Value>
std::optional<Value> lowest(const std::vector<fs::path>& folders,
                            const std::function<std::optional<Value>(const fs::path&)>& read,
                            std::optional<Value> known = std::nullopt) {
  for (const fs::path& folder : folders) {
    const std::optional<Value> limit = read(folder);
    if (limit && (!known || *limit < *known)) known = limit;
  }
  return known;
}

std::optional<double> quota(std::int64_t used, std::int64_t period) {
  if (used <= 0 || period <= 0) return std::nullopt;  // v1 says -1 for no limit
  return static_cast<double>(used) / static_cast<double>(period);
}

std::optional<double> cpu_quota_v2(const fs::path& folder) {
  const auto numbers = read_numbers(folder / "cpu.max");
  return numbers.size() == 2 ? quota(numbers[0], numbers[1]) : std::nullopt;
}

std::optional<double> cpu_quota_v1(const fs::path& folder) {
  const auto used = read_numbers(folder / "cpu.cfs_quota_us");
  const auto period = read_numbers(folder / "cpu.cfs_period_us");
  return used.empty() || period.empty() ? std::nullopt : quota(used[0], period[0]);
}

std::optional<std::uint64_t> memory_limit(const fs::path& file) {
  // v1 says "none" by the largest number of whole pages.
  constexpr std::int64_t no_limit = std::int64_t{1} << 62;
  const auto numbers = read_numbers(file);
  if (numbers.empty() || numbers[0] < 0 || numbers[0] >= no_limit) return std::nullopt;
  return static_cast<std::uint64_t>(numbers[0]);
}

int count_affinity() {
  // The kernel refuses a set smaller than its own, which machines of more than 1024 CPUs have.
  for (int size = 1024; size <= 1 << 20; size *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(size));
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(size));
    const bool filled = sched_getaffinity(0, bytes, set) == 0;
    const int count = filled ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (filled) return std::max(1, count);
  }
  return static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

std::uint64_t machine_memory(const fs::path& root) {
  std::ifstream info(root / "proc/meminfo");
  std::string key;
  std::uint64_t kibibytes = 0;
  while (info >> key >> kibibytes) {
    if (key == "MemTotal:") return kibibytes << 10;
    std::getline(info, key);
  }
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0
             ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page)
             : 0;
}

}  // namespace

cpu_limits read_cpu_limits(const fs::path& root, std::optional<int> affinity) {
  cpu_limits limits;
  limits.affinity = affinity ? *affinity : count_affinity();
  limits.cgroup = lowest<double>(cgroup_folders(root, ""), cpu_quota_v2);
  limits.cgroup = lowest<double>(cgroup_folders(root, "cpu"), cpu_quota_v1, limits.cgroup);
  const double share = std::min<double>(limits.affinity, limits.cgroup.value_or(limits.affinity));
  // What 1.15 loses as a double must not cost it a step.
  limits.cpus = std::max(1.0, std::floor(share * 10'000 + 1e-6) / 10'000);
  return limits;
}

memory_limits read_memory_limits(const fs::path& root) {
  memory_limits limits;
  limits.machine = machine_memory(root);
  limits.cgroup = lowest<std::uint64_t>(cgroup_folders(root, ""), [](const fs::path& folder) {
    return memory_limit(folder / "memory.max");
  });
  limits.cgroup = lowest<std::uint64_t>(
      cgroup_folders(root, "memory"),
      [](const fs::path& folder) { return memory_limit(folder / "memory.limit_in_bytes"); },
      limits.cgroup);
  limits.bytes = std::min(limits.machine, limits.cgroup.value_or(limits.machine));
  return limits;
}

}  // namespace troupe::core
