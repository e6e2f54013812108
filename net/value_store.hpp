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
#include "net/value_origin.hpp"
#include "net/value_rebuilder.hpp"

namespace troupe::net {

/// Thread-safe. Values refer to it, and may outlive the cluster that it belongs to: then they
/// cannot be read any more, unless they are being read.
class value_store : public std::enable_shared_from_this<value_store> {
 public:
  /// `max_lineage`: bytes kept to run tasks again whose results are lost.
  value_store(process& here, std::uint64_t max_lineage)
      : here_(&here), rebuilder_(*this, max_lineage) {}

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

  // -- for values and what makes them again -------------------------------------------------------
  value_rebuilder& rebuilder() noexcept { return rebuilder_; }
  detail::mapping map(stored_id id, const peer& home, const detail::deadline& until);
  void drop(stored_id id) noexcept;
  /// What `load` reads of a value that this process owns from now on.
  value_origin::place read_given(detail::input_archive& archive);
  /// 0 once closed.
  process_id self();
  void learn(const peer& other);
  template <class T>
  bool send(process_id to, T what) {
    const std::shared_lock guard(open_mutex_);
    return here_ != nullptr && here_->send(to, std::move(what));
  }

 private:
  struct fetch;
  struct written;

  written read(detail::input_archive& archive, bool given);
  detail::mapping fetch_by_messages(stored_id id, const peer& home, const detail::deadline& until);
  void carry_out();

  std::shared_mutex open_mutex_;
  process* here_;  // null once closed; guarded by open_mutex_
  std::shared_ptr<store_client> client_;

  std::mutex mutex_;
  pull_state pulls_{std::uint64_t{4} << 20, 4};  // guarded by mutex_, as below
  std::map<stored_id, std::shared_ptr<fetch>> fetches_;

  value_rebuilder rebuilder_;
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
