/// The head of a cluster, in the process of its first node: the control and the owner of detached
/// actors, with an endpoint and a durable store of their own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "net/ids.hpp"

namespace troupe::net {

struct head_options {
  std::string session_dir;
  std::string listen_address;  ///< with port 0: that of its earlier life, else any
  std::string advertised_host;
  std::string cluster_key;
  peer node;  ///< lives in the same process; also found by who knows the head's address alone
  std::chrono::milliseconds silence{10'000};
  std::string store;  ///< path of the file
  std::uint64_t package_bytes = std::uint64_t{4} << 30;
};

/// Thread-safe.
///
/// It begins a new cluster when its store is empty, else another life of the head of the cluster
/// that the store knows. Nothing that follows from a change is sent before the change is stored.
class head {
 public:
  /// Listens. Throws `connection_error` or `store_error` with the cause.
  explicit head(head_options options);
  ~head();
  head(const head&) = delete;
  head& operator=(const head&) = delete;

  const peer& self() const noexcept;
  /// Has the other nodes end.
  void stop_others();
  /// Nodes that are part of the cluster, the own one included.
  std::size_t nodes() const;
  /// The cluster has ended in good order: the store is emptied, so that the next head begins a new
  /// one.
  void forget_cluster();

 private:
  class implementation;
  std::unique_ptr<implementation> impl_;
};

}  // namespace troupe::net
