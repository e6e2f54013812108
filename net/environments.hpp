/// The environments that this process's tasks and actors ask for, made ready to travel.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <troupe/runtime_env.hpp>

#include "net/messages.hpp"
#include "net/package_shelf.hpp"

namespace troupe::net {

/// Thread-safe.
class environments {
 public:
  explicit environments(std::uint64_t most_bytes) : most_bytes_(most_bytes) {}

  /// The id of an environment; packs it when it is new to this process. Throws `runtime_env_error`
  /// that names what is wrong with it.
  std::string prepare(const runtime_env& wanted);
  /// Of an id that `prepare` gave; empty for others.
  env_spec find(const std::string& id) const;

  /// The packages of this process.
  package_shelf& shelf() noexcept { return shelf_; }

 private:
  env_spec make(const runtime_env& wanted);

  const std::uint64_t most_bytes_;
  package_shelf shelf_;
  mutable std::mutex mutex_;
  std::vector<std::pair<runtime_env, std::string>> known_;  // guarded by mutex_, as below
  std::map<std::string, env_spec> by_id_;
};

}  // namespace troupe::net
