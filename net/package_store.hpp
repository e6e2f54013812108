/// The packages of a node on its disk: executables and environments, by the hash of their content.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/endpoint.hpp"
#include "net/messages.hpp"
#include "net/package_state.hpp"

namespace troupe::net {

/// What a worker is started from.
struct worker_files {
  std::string executable;
  std::string environment;  ///< the folder of its unpacked environment; empty: none
  std::string failed;       ///< why not
};

struct package_store_options {
  std::string folder;  ///< of this node alone; made when it is not there
  std::uint64_t most_bytes = std::uint64_t{4} << 30;
  /// Programs run from checked copies in the folder only, never where they lie.
  bool copies_only = false;
};

/// Of the endpoint's thread. Files are read, written, checked and unpacked by a thread of its own.
class package_store {
 public:
  /// `host`: of this node. Throws `std::system_error` when the folder cannot be made.
  package_store(endpoint& net, package_store_options options, std::string host, process_id head);
  ~package_store();
  package_store(const package_store&) = delete;
  package_store& operator=(const package_store&) = delete;

  /// Calls `then` when all is there that a worker of that program needs, or cannot be had; never
  /// before it returns. What is there stays until `release` of the ticket.
  void prepare(std::uint64_t ticket, const register_process& program, const peer& driver,
               const env_spec& environment, std::function<void(worker_files)> then);
  void release(std::uint64_t ticket);
  /// Fetches copies of what actors need that outlive their program, for other nodes to fetch here.
  void keep(const register_process& program, const peer& driver, const env_spec& environment);

  void on(process_id from, const package_wanted& what);
  void on(process_id from, const package_piece& what, const message& carrier);
  void process_gone(process_id gone);
  void tick();

 private:
  class disk;
  struct preparation {
    std::function<void(worker_files)> then;
    worker_files files;
    std::size_t waiting = 0;
    std::string executable_hash;  ///< of a copy that is waited for
  };
  struct want_of {
    package_info what;
    std::vector<process_id> sources;
  };

  void fetch(std::uint64_t ticket, const want_of& wanted);
  void carry_out();
  void finish(std::uint64_t ticket);
  std::string path_of(const std::string& hash) const { return options_.folder + "/" + hash; }

  endpoint& net_;
  const package_store_options options_;
  const std::string host_;
  const process_id head_;
  package_state state_;
  std::map<std::uint64_t, preparation> preparations_;
  std::shared_ptr<bool> alive_;  ///< for what the disk's thread posts
  std::unique_ptr<disk> disk_;
};

}  // namespace troupe::net
