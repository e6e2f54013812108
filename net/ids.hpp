/// Names of processes, objects, leases and jobs that are valid in the whole cluster.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace troupe::net {

/// One life of one process: drawn at random when it starts, so that it is its epoch as well. 0 is
/// no process. Of the head it is the cluster's, and stays when the head is started again: its lives
/// are told apart by `peer::epoch`.
using process_id = std::uint64_t;
/// Dealt by the head in the order in which drivers connect; 0 is no job.
using job_id = std::uint64_t;
/// Dealt by a node; names a lease together with the node's process.
using lease_id = std::uint64_t;

/// An object, a task (it is the object that it makes) or an actor, by the process that owns it.
struct global_id {
  process_id owner = 0;
  std::uint64_t local = 0;

  auto operator<=>(const global_id&) const = default;
  explicit operator bool() const noexcept { return owner != 0; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(owner, local);
  }
};

/// Where a process can be reached.
struct peer {
  process_id id = 0;
  std::string host;         ///< names the machine and the user's session on it; equal: use `local`
  std::string local;        ///< path of a unix socket
  std::string remote;       ///< HOST:PORT; empty when it listens on this machine only
  std::uint32_t epoch = 0;  ///< of the head: which of its lives; 0 of all others, which have one

  auto operator<=>(const peer&) const = default;
  explicit operator bool() const noexcept { return id != 0; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(id, host, local, remote, epoch);
  }
};

}  // namespace troupe::net

template <>
struct std::hash<troupe::net::global_id> {
  std::size_t operator()(const troupe::net::global_id& id) const noexcept {
    return std::hash<std::uint64_t>{}(id.owner ^ (id.local * 0x9e3779b97f4a7c15U));
  }
};
