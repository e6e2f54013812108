/// A node as a process: signals, readiness, files; and its start in the background.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "net/node.hpp"

namespace troupe::tools {

struct daemon_options {
  net::node_options node;  ///< session_dir, key_file and cluster_key are filled in here
  std::string base;        ///< of the sessions
  std::string key_file;    ///< as it was given; empty: the session base's
  /// How long a node that is cut off from its head tries to join again, with nothing that it had.
  std::chrono::milliseconds rejoin{60'000};
  int ready_fd = -1;  ///< where a start in the background waits for news
};

/// Runs until the node is stopped. Gives the exit code. Throws what could not be done.
int run_daemon(daemon_options options);

/// Runs `troupe start` with these words in a process of its own that outlives this one, waits until
/// its node answers and prints how to go on. Throws `command_error` with what the daemon said.
int start_in_background(const std::vector<std::string>& words, const std::string& base,
                        const std::string& node_name);

/// What to do next with a node, for people.
std::string what_next(const std::string& base, const std::string& node_name);

}  // namespace troupe::tools
