#include "net/introduction.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include "net/cluster_address.hpp"

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

}  // namespace

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
