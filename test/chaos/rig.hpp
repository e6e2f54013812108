/// The cluster that is struck: a head, a node for the programs, and nodes that work. It knows what
/// belongs to it, so that it can tell what was left behind.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "test/support/daemons.hpp"

namespace chaos {

/// Thread-compatible. What fails throws `std::runtime_error`.
class rig {
 public:
  /// `silence`: the setting of all daemons, in seconds.
  explicit rig(int silence);

  const std::vector<std::string>& workers() const { return workers_; }  ///< names of the nodes
  std::vector<std::string> environment() const;                         ///< for programs
  std::string base() const { return cluster_.base(); }

  pid_t pid_of(const std::string& node) const { return static_cast<pid_t>(pids_.at(node)); }
  /// Worker processes that a daemon has.
  std::vector<std::int64_t> children_of(const std::string& node) const;
  bool runs(const std::string& node) const;
  /// Starts a node again under its name, the head at its address.
  void restart(const std::string& node);

  nlohmann::json status() const;
  /// Waits until everything is as after the start, but for what programs said may stay; what is not
  /// in the end. `last`: what was left longest.
  std::vector<std::string> settle(std::chrono::seconds longest, std::string& last) const;
  /// Waits until the daemons have no more file descriptors than were remembered; which do.
  std::vector<std::string> close_descriptors(std::chrono::seconds longest) const;
  /// Remembers how many file descriptors each daemon has when nothing runs.
  void remember_descriptors();
  std::map<std::string, std::size_t> resident_mib() const;
  /// Copies what the cluster and its programs wrote; where to.
  std::string keep() const;

 private:
  void start(const std::string& node);
  std::vector<std::string> options_of(const std::string& node) const;
  std::vector<std::string> unsettled() const;
  std::vector<std::string> strays() const;
  std::vector<std::string> open_descriptors() const;

  int silence_;
  troupe::test::daemons cluster_;
  std::string head_;  ///< HOST:PORT
  std::vector<std::string> workers_{"n1", "n2", "n3"};
  std::map<std::string, std::int64_t> pids_;
  std::map<std::string, std::size_t> descriptors_;
};

}  // namespace chaos
