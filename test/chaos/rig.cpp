#include "test/chaos/rig.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;

namespace chaos {
namespace {

constexpr const char* head = "h";
constexpr const char* home = "d";  ///< of the programs: it hosts no work
/// More than a daemon had at first: a connection that is being made, a file that is being read.
constexpr std::size_t spare_descriptors = 4;

std::vector<std::int64_t> processes() {
  std::vector<std::int64_t> result;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      result.push_back(std::stoll(name));
    }
  }
  return result;
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::int64_t number_after(const std::string& path, const std::string& word) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(word, 0) == 0) return std::stoll(line.substr(word.size()));
  }
  return 0;
}

std::size_t descriptors_of(std::int64_t pid) {
  std::error_code gone;
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid) + "/fd", gone);
  return gone ? 0 : static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// Asks again and again until nothing is wrong; what is in the end.
template <class Question>
std::vector<std::string> within(std::chrono::seconds longest, Question&& question) {
  const auto until = std::chrono::steady_clock::now() + longest;
  for (;;) {
    std::vector<std::string> wrong = question();
    if (wrong.empty() || std::chrono::steady_clock::now() > until) return wrong;
    std::this_thread::sleep_for(20ms);
  }
}

}  // namespace

rig::rig(int silence) : silence_(silence) {
  start(head);
  start(home);
  for (const std::string& node : workers_) start(node);
}

std::vector<std::string> rig::options_of(const std::string& node) const {
  const bool works = node != head && node != home;
  return {works ? "--num-cpus=4" : "--num-cpus=0",
          // Two thirds of what the phase `spilling` keeps on a node.
          "--object-store-memory=64MiB", "--silence=" + std::to_string(silence_), "--idle-after=2"};
}

void rig::start(const std::string& node) {
  std::vector<std::string> options = options_of(node);
  if (node != head) {
    pids_[node] = cluster_.start_node(node, head_, std::move(options)).pid;
    return;
  }
  if (head_.empty()) {
    const auto file = cluster_.start_head(node, std::move(options));
    head_ = file.head;
    pids_[node] = file.pid;
    return;
  }
  options.insert(options.begin(), {"start", "--head", "--port=" + head_.substr(head_.find(':') + 1),
                                   "--node-name=" + node});
  const auto ran = cluster_.troupe(options);
  if (ran.code != 0) throw std::runtime_error("the head did not start again: " + ran.err);
  pids_[node] = cluster_.file_of(node).pid;
}

void rig::restart(const std::string& node) {
  // A process that was killed counts as dead before the last of its threads lets go of its lock.
  within(30s, [&] {
    const bool held = troupe::net::node_runs(base() + '/' + node);
    return held ? std::vector<std::string>{node + " has its lock"} : std::vector<std::string>{};
  });
  start(node);
}

bool rig::runs(const std::string& node) const { return troupe::test::process_lives(pid_of(node)); }

std::vector<std::string> rig::environment() const {
  return {"TROUPE_SESSION_BASE=" + base(), "TROUPE_ADDRESS=" + cluster_.file_of(home).self.remote,
          "TROUPE_LOG_LEVEL=error"};
}

std::vector<std::int64_t> rig::children_of(const std::string& node) const {
  std::vector<std::int64_t> result;
  for (const std::int64_t pid : processes()) {
    const std::string status = "/proc/" + std::to_string(pid) + "/status";
    if (number_after(status, "PPid:") == pid_of(node) && troupe::test::process_lives(pid)) {
      result.push_back(pid);
    }
  }
  return result;
}

nlohmann::json rig::status() const {
  const auto ran = cluster_.troupe({"status", "--json", "--address=" + head_});
  if (ran.code != 0) throw std::runtime_error("no status: " + ran.err);
  return nlohmann::json::parse(ran.out);
}

/// Processes of this cluster that are none of its daemons.
std::vector<std::string> rig::strays() const {
  std::vector<std::string> result;
  const std::string mark = "TROUPE_SESSION_BASE=" + base();
  for (const std::int64_t pid : processes()) {
    const bool known = std::any_of(pids_.begin(), pids_.end(),
                                   [&](const auto& daemon) { return daemon.second == pid; });
    const std::string folder = "/proc/" + std::to_string(pid);
    if (known || content(folder + "/environ").find(mark) == std::string::npos) continue;
    if (!troupe::test::process_lives(pid)) continue;
    std::string command = content(folder + "/cmdline");
    std::replace(command.begin(), command.end(), '\0', ' ');
    result.push_back("process " + std::to_string(pid) + " is left: " + command);
  }
  return result;
}

std::vector<std::string> rig::unsettled() const {
  std::vector<std::string> wrong;
  const nlohmann::json now = status();
  if (now.at("nodes").size() != pids_.size()) {
    wrong.push_back(std::to_string(now.at("nodes").size()) + " nodes instead of " +
                    std::to_string(pids_.size()));
  }
  if (now.at("jobs") != 0) wrong.push_back("jobs: " + now.at("jobs").dump());
  if (!now.at("actors").empty()) wrong.push_back("actors: " + now.at("actors").dump());
  if (!now.at("placement_groups").empty()) {
    wrong.push_back("placement groups: " + now.at("placement_groups").dump());
  }
  for (const auto& node : now.at("nodes")) {
    const std::string name = node.at("name");
    for (const auto& [resource, amount] : node.at("resources").items()) {
      if (amount.at("used") != 0) {
        wrong.push_back(name + " has " + amount.at("used").dump() + ' ' + resource + " in use");
      }
    }
    if (!node.at("waiting").empty()) wrong.push_back(name + " waits: " + node.at("waiting").dump());
  }
  const auto ran = cluster_.troupe({"memory", "--json", "--address=" + head_});
  if (ran.code != 0) throw std::runtime_error("no memory: " + ran.err);
  for (const auto& node : nlohmann::json::parse(ran.out).at("nodes")) {
    for (const char* const what : {"used", "spilled", "pinned", "waiting"}) {
      if (node.at(what) == 0) continue;
      wrong.push_back("the store of " + node.at("node").get<std::string>() + " has " +
                      node.at(what).dump() + " bytes " + what + ": " +
                      node.at("objects").dump().substr(0, 500));
    }
  }
  for (std::string& stray : strays()) wrong.push_back(std::move(stray));
  return wrong;
}

std::vector<std::string> rig::open_descriptors() const {
  std::vector<std::string> wrong;
  for (const auto& [node, before] : descriptors_) {
    const std::size_t now_open = descriptors_of(pid_of(node));
    if (now_open > before + spare_descriptors) {
      wrong.push_back("the daemon of " + node + " has " + std::to_string(now_open) +
                      " file descriptors instead of " + std::to_string(before));
    }
  }
  return wrong;
}

std::vector<std::string> rig::settle(std::chrono::seconds longest, std::string& last) const {
  return within(longest, [this, &last] {
    std::vector<std::string> wrong;
    try {
      wrong = unsettled();
    } catch (const std::exception& e) {
      wrong.emplace_back(e.what());
    }
    if (!wrong.empty()) last = wrong.front();
    return wrong;
  });
}

// Each question is a program that comes and goes, so nothing is asked meanwhile.
std::vector<std::string> rig::close_descriptors(std::chrono::seconds longest) const {
  return within(longest, [this] { return open_descriptors(); });
}

void rig::remember_descriptors() {
  for (const auto& [node, pid] : pids_) descriptors_[node] = descriptors_of(pid);
}

std::map<std::string, std::size_t> rig::resident_mib() const {
  std::map<std::string, std::size_t> result;
  for (const auto& [node, pid] : pids_) {
    const std::string file = "/proc/" + std::to_string(pid) + "/status";
    result[node] = static_cast<std::size_t>(number_after(file, "RssAnon:")) / 1024;
  }
  return result;
}

std::string rig::keep() const {
  std::string pattern = (std::filesystem::temp_directory_path() / "troupe-chaos-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no folder " + pattern);
  const std::filesystem::path to = pattern;
  for (const auto& entry : std::filesystem::directory_iterator(base())) {
    const auto name = entry.path().filename();
    std::error_code gone;
    if (pids_.contains(name)) {
      std::filesystem::copy(entry.path() / "logs", to / name, gone);
    } else if (entry.is_directory()) {
      std::filesystem::copy(entry.path(), to / name, gone);
    }
  }
  return to;
}

}  // namespace chaos
