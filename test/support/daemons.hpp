/// Real daemons for tests: the command `troupe` in a session folder of its own.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "net/session_files.hpp"
#include "test/support/temp_folder.hpp"

namespace troupe::test {

struct command_result {
  int code =
      -1;  ///< of the exit; 128 + N for signal N, -1 when it had to be killed at the deadline
  std::string out;
  std::string err;
};

/// Runs a program to its end. `environment`: NAME=VALUE beside the test's own.
command_result run_command(const std::vector<std::string>& words,
                           const std::vector<std::string>& environment = {});

/// A session folder whose daemons end with the scope, however the test ends.
class daemons {
 public:
  daemons() = default;
  ~daemons();
  daemons(const daemons&) = delete;
  daemons& operator=(const daemons&) = delete;

  /// Runs `troupe WORDS...` here.
  command_result troupe(std::vector<std::string> words,
                        std::vector<std::string> environment = {}) const;
  /// Starts a head at a free port. Throws with what the command said when it does not start.
  net::node_file start_head(const std::string& name, std::vector<std::string> options = {}) const;
  net::node_file start_node(const std::string& name, const std::string& head,
                            std::vector<std::string> options = {}) const;
  /// Starts a node that takes itself for another machine, so that others reach it over loopback TCP
  /// and not by unix sockets. Only root can.
  net::node_file start_elsewhere(const std::string& name, const std::string& head,
                                 std::vector<std::string> options = {},
                                 std::vector<std::string> environment = {}) const;
  net::node_file file_of(const std::string& name) const;

  std::string base() const { return folder_.path().string(); }
  std::string log_of(const std::string& name) const;
  /// Sockets that lie in the folders.
  std::vector<std::string> sockets() const;

 private:
  net::node_file start(const std::string& name, std::vector<std::string> words) const;

  temp_folder folder_;
};

/// Whether a process is there; one that ended and was not waited for is not.
bool process_lives(std::int64_t pid);

}  // namespace troupe::test
