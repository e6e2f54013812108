// The command `troupe`: starts, stops and shows the nodes of a cluster.
#include <csignal>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include <troupe/error.hpp>

#include "net/messages.hpp"
#include "tools/troupe/command_line.hpp"
#include "tools/troupe/commands.hpp"

namespace {

using namespace troupe::tools;

constexpr const char* help_text = R"(troupe COMMAND [OPTION...]

  start     start a node of a cluster on this machine, with --head the first one
  stop      stop nodes of this machine; stopping the head stops the cluster
  worker    host the actors and tasks of shared libraries
  status    show the nodes, their resources, what waits, and named actors
  memory    show the objects in the nodes' stores, and what holds them there
  version   print the version
  help      this text; `troupe COMMAND --help` tells of one command

Exit codes: 0 done, 1 failed, 2 wrong use, 3 cluster not reachable, 4 wrong cluster key, 5 not found,
6 not in time, 7 the versions differ.

Nodes keep their files in $TROUPE_SESSION_BASE, by default /tmp/troupe-UID.

  troupe start --head         # then: TROUPE_ADDRESS=auto ./your_program
  troupe status
  troupe stop
)";

int run(const std::string& command, const std::vector<std::string>& words) {
  if (command == "start") return start(words);
  if (command == "stop") return stop(words);
  if (command == "status") return show_status(words);
  if (command == "memory") return show_memory(words);
  if (command == "worker") return run_worker(words);
  if (command == "version" || command == "--version") {
    std::cout << "troupe " << TROUPE_VERSION << ", protocol " << troupe::net::protocol_version
              << "\n";
    return done;
  }
  if (command == "help" || command == "--help" || command == "-h") {
    std::cout << help_text;
    return done;
  }
  throw command_error(misused, "there is no such command; `troupe help` lists them");
}

/// Whether it has a help of its own.
bool is_known(const std::string& command) {
  return command == "start" || command == "stop" || command == "status";
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty()) {
    std::cerr << help_text;
    return misused;
  }
  const std::string& command = words.front();
  std::string text;
  int code = failed;
  try {
    return run(command, {words.begin() + 1, words.end()});
  } catch (const command_error& error) {
    text = error.what();
    code = error.code();
    if (code == misused && is_known(command)) text += " (see `troupe " + command + " --help`)";
  } catch (const troupe::connection_error& error) {
    text = error.what();
    code = code_of(text);
  } catch (const std::exception& error) {
    text = error.what();
  }
  std::cerr << "troupe " << command << ": " << text << "\n";
  return code;
}
