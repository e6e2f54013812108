/// A node's object store: the shared memory, those who use it, the spill file, and the way of
/// values to and from other nodes.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "net/endpoint.hpp"
#include "net/ids.hpp"
#include "net/messages.hpp"
#include "net/wire.hpp"

namespace troupe::net {

struct object_store_options {
  std::string node;         ///< its name
  std::string socket_path;  ///< where the node's processes find it; in a folder of the user's alone
  std::uint64_t capacity = 0;
  std::string spill_dir;  ///< empty: nothing is spilled
  std::chrono::milliseconds patience{30'000};
  /// Where other nodes fetch large values by connections of their own, and whether this one does;
  /// 0: any port that is free. Nothing: all goes by the links.
  std::string bulk_host{};
  std::optional<std::uint16_t> bulk_port{};
};

/// Thread-safe. A thread of its own carries out what `store_state`, `pull_state` and `spread_state`
/// decide; further ones read and write the file.
class object_store {
 public:
  /// Throws `connection_error` when memory, socket or spill file cannot be made.
  object_store(object_store_options options, endpoint& net);
  ~object_store();
  object_store(const object_store&) = delete;
  object_store& operator=(const object_store&) = delete;

  /// Messages of owners and other nodes, `claim_value` to `drop_copy`, and `ask_memory`. Never
  /// blocks.
  void received(process_id from, message&& what);
  /// A process of the cluster is gone.
  void process_gone(process_id who, const std::string& cause);
  /// It may live on, but nothing can be got from it: it may be dead since before this node knew it.
  void cannot_reach(process_id who, const std::string& why);

  store_use use() const;

 private:
  class implementation;
  std::unique_ptr<implementation> impl_;
};

}  // namespace troupe::net
