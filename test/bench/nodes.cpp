#include "test/bench/nodes.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <system_error>

namespace troupe::bench {

nodes::nodes() {
  char name[] = "/tmp/troupe-bench-XXXXXX";
  if (::mkdtemp(name) == nullptr) throw std::runtime_error("cannot make a folder in /tmp");
  folder_ = name;
  ::setenv("TROUPE_SESSION_BASE", name, 1);
}

nodes::~nodes() {
  session_.reset();
  try {
    command("stop --all");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "nodes are left over in %s: %s\n", folder_.c_str(), error.what());
  }
  std::error_code none;
  std::filesystem::remove_all(folder_, none);
  ::unsetenv("TROUPE_SESSION_BASE");
}

void nodes::command(const std::string& words) {
  const std::string line = TROUPE_BENCH_COMMAND " " + words + " > /dev/null";
  if (std::system(line.c_str()) != 0) throw std::runtime_error("this failed: " + line);
}

void nodes::command_elsewhere(const std::string& words) {
  // A machine is known by its name, among other things.
  const std::string line = "unshare --uts sh -c 'hostname elsewhere && exec " TROUPE_BENCH_COMMAND
                           " " +
                           words + "' > /dev/null";
  if (std::system(line.c_str()) != 0) throw std::runtime_error("this failed: " + line);
}

std::string nodes::head_address() {
  std::FILE* const out = ::popen(TROUPE_BENCH_COMMAND " status", "r");
  char address[128] = {};
  const int found = std::fscanf(out, "Cluster at %127s", address);
  std::string rest(4096, ' ');
  while (std::fread(rest.data(), 1, rest.size(), out) > 0) {
  }
  ::pclose(out);
  std::string text = address;
  if (found != 1 || text.empty()) throw std::runtime_error("the head has no address");
  text.pop_back();  // a colon
  return text;
}

void nodes::connect(const std::string& address) {
  session_ = std::make_unique<session>(init({.address = address, .log_level = log_level::error}));
}

}  // namespace troupe::bench
