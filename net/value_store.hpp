/// Large values of this process: in its node's store, or fetched by messages where it has none.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/detail/stored_value.hpp>
#include <troupe/detail/waiting.hpp>

#include "net/process.hpp"
#include "net/pull_state.hpp"
#include "net/store_client.hpp"

namespace troupe::net {

/// Thread-safe. Values refer to it, and may outlive the cluster that it belongs to: then they
/// cannot be read any more, unless they are being read.
class value_store : public std::enable_shared_from_this<value_store> {
 public:
  explicit value_store(process& here) : here_(&here) {}

  /// From now on this process uses its node's store at that path; empty: it has none. Values of at
  /// least `threshold` bytes lie there. Throws `connection_error`.
  void open(const std::string& socket_path, std::size_t threshold);
  /// Nothing is sent from now on.
  void close() noexcept;

  // -- for core::sharing --------------------------------------------------------------------------
  detail::stored_ptr store(std::span<const std::byte> inline_bytes,
                           std::span<const std::span<const std::byte>> segments,
                           std::string_view made_by, process_id owner);
  void save(detail::output_archive& archive, const detail::stored_value& where);
  detail::stored_ptr load(detail::input_archive& archive, bool given);

  // -- messages for a process without a store -----------------------------------------------------
  void on(const value_source& what);
  void on(process_id from, const value_chunk& what, const message& carrier);
  void process_gone(process_id gone, const std::string& cause);

  /// Null where there is none.
  const store_client* client() const noexcept { return client_.get(); }

 private:
  class stored_object;
  struct fetch;

  detail::mapping map(stored_id id, const peer& home, const detail::deadline& until);
  detail::mapping fetch_by_messages(stored_id id, const peer& home, const detail::deadline& until);
  void carry_out();
  void drop(stored_id id) noexcept;
  template <class T>
  bool send(process_id to, T what);

  std::shared_mutex open_mutex_;
  process* here_;  // null once closed; guarded by open_mutex_
  std::shared_ptr<store_client> client_;

  std::mutex mutex_;
  pull_state pulls_{std::uint64_t{4} << 20, 4};  // guarded by mutex_, as below
  std::map<stored_id, std::shared_ptr<fetch>> fetches_;
};

/// While it lives, this thread puts nothing into the store: it must not wait.
class no_store_scope {
 public:
  no_store_scope() noexcept : outer_(active) { active = true; }
  ~no_store_scope() { active = outer_; }
  no_store_scope(const no_store_scope&) = delete;
  no_store_scope& operator=(const no_store_scope&) = delete;
  static inline thread_local bool active = false;

 private:
  bool outer_;
};

}  // namespace troupe::net
