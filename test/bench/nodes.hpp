/// Nodes on this machine for a benchmark, and its program as their driver.
#pragma once

#include <memory>
#include <string>

#include <troupe/runtime.hpp>

namespace troupe::bench {

/// A session folder of its own; what was started there ends with the scope. Not thread-safe.
class nodes {
 public:
  nodes();
  ~nodes();
  nodes(const nodes&) = delete;
  nodes& operator=(const nodes&) = delete;

  /// `troupe WORDS`. Throws when it fails.
  static void command(const std::string& words);
  /// The same for a node that takes itself for another machine: others reach it over loopback TCP.
  /// Needs root.
  static void command_elsewhere(const std::string& words);
  /// Of the head, as `troupe status` tells it.
  static std::string head_address();
  /// Connects this program: `auto`, or the address of a node.
  void connect(const std::string& address);

 private:
  std::string folder_;
  std::unique_ptr<session> session_;
};

}  // namespace troupe::bench
