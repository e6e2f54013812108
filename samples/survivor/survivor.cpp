// A pipeline that goes on while the nodes that it runs on are killed.
//
// Notice when it runs: the pipeline has no line about failures. Its tasks may run again as often as
// they must (`max_retries = -1`), its counter may start again (`max_restarts`), and reads what it
// had written down when it does. Each block is in the result once, as in the serial run, although
// half of the nodes have died meanwhile.
//
//     sample_survivor             # all of it: starts a cluster, kills nodes of it, starts new ones
//     sample_survivor run FILE    # the pipeline, on the cluster of TROUPE_ADDRESS

#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

#include <troupe/troupe.hpp>

#include "pipeline.hpp"

namespace {

void run(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}
/// A word of a node's file.
std::string known_of(const std::string& base, const std::string& node, const std::string& what) {
  std::ifstream file(base + '/' + node + "/node.json");
  for (std::string text; std::getline(file, text);) {
    const std::size_t at = text.find('"' + what + "\": ");
    if (at == std::string::npos) continue;
    text = text.substr(at + what.size() + 4);
    return text.substr(text.find_first_not_of('"'),
                       text.find_last_not_of("\",") + 1 - text.find_first_not_of('"'));
  }
  throw std::runtime_error("there is no node " + node);
}

int show(const std::string& self) {
  std::string base = "/tmp/troupe-survivor-XXXXXX";
  if (::mkdtemp(base.data()) == nullptr) throw std::runtime_error("no folder for the cluster");
  ::setenv("TROUPE_SESSION_BASE", base.c_str(), 1);
  run("troupe start --head --node-name=alpha --num-cpus=1 --port=0 > /dev/null");
  const std::string head = known_of(base, "alpha", "head");
  ::setenv("TROUPE_ADDRESS", head.c_str(), 1);
  const auto start = [&](const std::string& node) {
    run("troupe start --address=" + head + " --node-name=" + node + " --num-cpus=2 > /dev/null");
  };
  for (const char* const node : {"beta", "gamma", "delta"}) start(node);
  std::FILE* const output = ::popen((self + " run " + base + "/journal").c_str(), "r");
  char text[256];
  for (int lines = 1; output != nullptr && std::fgets(text, sizeof text, output) != nullptr;
       ++lines) {
    std::cout << text << std::flush;
    const char* const doomed = lines == 2   ? "beta"
                               : lines == 4 ? "gamma"
                               : lines == 7 ? "beta"
                                            : "";
    if (*doomed == '\0') continue;
    std::cout << "  killing " << doomed << std::endl;
    ::kill(static_cast<pid_t>(std::stol(known_of(base, doomed, "pid"))), SIGKILL);
    if (lines == 4) start("beta");
  }
  const int code = ::pclose(output);
  run("troupe status; troupe stop --all > /dev/null");
  std::filesystem::remove_all(base);
  return code == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return show(argv[0]);
  const auto session = troupe::init(argc, argv);  // a worker stays in here
  return pipeline(argv[2]) ? 0 : 1;
}
