#include "net/introduction.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/descriptor.hpp"
#include "core/environment.hpp"
#include "net/cluster_address.hpp"
#include "net/content_hash.hpp"

namespace troupe::net {

namespace {

constexpr std::size_t max_words = 10'000;

/// The words of /proc/self/cmdline, for a program that gave `init` no arguments.
std::vector<std::string> own_arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; words.size() < max_words && std::getline(file, word, '\0');) {
    words.push_back(std::move(word));
  }
  return words;
}

const char* variable(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

executable_file describe_file(int fd) {
  struct stat facts {};
  if (fd < 0 || ::fstat(fd, &facts) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot read the program's own file");
  }
  executable_file result;
  result.what = {hash_of_file(fd), static_cast<std::uint64_t>(facts.st_size)};
  result.identity = {facts.st_dev, facts.st_ino, static_cast<std::uint64_t>(facts.st_size),
                     facts.st_mtim.tv_sec * std::int64_t{1'000'000'000} + facts.st_mtim.tv_nsec};
  return result;
}

void describe_executable(register_process& of, package_shelf& shelf) {
  // Not by its path: that may hold another file by now, or none.
  core::descriptor file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  of.executable_file = describe_file(file.get());
  shelf.put(of.executable_file.what.hash, std::move(file));
}

std::string prepare_worker() {
  try {
    const std::string_view libraries = variable("TROUPE_WORKER_LIBRARIES");
    for (std::size_t begin = 0; begin < libraries.size();) {
      const std::size_t end = std::min(libraries.find(':', begin), libraries.size());
      core::load_library(std::string(libraries.substr(begin, end - begin)));
      begin = end + 1;
    }
    const std::string setup = variable("TROUPE_WORKER_SETUP");
    if (!setup.empty()) core::run_setup(std::strtoull(setup.c_str(), nullptr, 10));
    return {};
  } catch (const std::exception& e) {
    return e.what();
  }
}

register_process introduce(int argc, const char* const* argv, bool is_worker,
                           const std::string& job_namespace) {
  register_process result;
  result.role = is_worker ? process_role::worker : process_role::driver;
  result.pid = ::getpid();
  result.job_namespace = job_namespace;
  if (is_worker) {
    result.start_token = worker_token();
    return result;
  }
  std::error_code none;
  result.executable = std::filesystem::read_symlink("/proc/self/exe", none).string();
  result.working_dir = std::filesystem::current_path(none).string();
  if (argc > 0) {
    result.arguments.assign(argv, argv + argc);
  } else {
    result.arguments = own_arguments();
  }
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    result.environment.emplace_back(*variable);
  }
  return result;
}

}  // namespace troupe::net
