/// Objects that cross this process's border: those it lends to others, and those it borrows.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/sharing.hpp"
#include "net/process.hpp"
#include "net/reference_state.hpp"
#include "net/transfer.hpp"

namespace troupe::net {

/// Thread-safe. Message handlers are called by the endpoint's thread.
class object_sharing {
 public:
  explicit object_sharing(process& here) : here_(here) {}

  // -- for core::sharing --------------------------------------------------------------------------
  void save_ref(detail::output_archive& archive, const detail::object_ptr& object,
                const detail::object_ops& ops);
  detail::object_ptr load_ref(detail::input_archive& archive, const detail::object_ops& ops);
  void dropped(detail::remote_object& object) noexcept;
  void cancel(detail::remote_object& object, bool recursive) noexcept;

  // -- ids and counts, also of actors that this process owns --------------------------------------
  std::uint64_t next_local();
  /// Numbers begin behind that one: those of an earlier life of this process are not given again.
  void begin_after(std::uint64_t local);
  /// `free` is called, without a lock, when nobody holds `local` any more.
  void own(std::uint64_t local, std::function<void()> free);
  /// Tells the owner that `holder` holds so many more (or less). Also when that is this process.
  void count(global_id what, process_id holder, std::int32_t by);
  /// Writes an id, with the address of its owner where the receiver may not know it.
  void save_id(detail::output_archive& archive, global_id what);
  /// Reads one, and learns its owner's address.
  global_id load_id(detail::input_archive& archive);

  // -- messages -----------------------------------------------------------------------------------
  void on(process_id from, const refs_changed& what);
  void on(process_id from, const object_wanted& what);
  void on(process_id from, const object_value& what, const message& carrier);
  /// Another process wants an object of this one cancelled.
  void cancel_lent(std::uint64_t local, bool recursive);
  void process_gone(process_id gone, const std::string& cause);
  /// This process has left the others: what it borrows does not come any more.
  void cut_off(const std::string& cause);

  struct counts {
    std::size_t lent = 0;
    std::size_t borrowed = 0;
  };
  counts size() const;

 private:
  struct lent {
    detail::object_ptr object;
    const detail::object_ops* ops = nullptr;
  };
  struct borrowed {
    detail::remote_object* object = nullptr;
    std::int32_t count = 0;
  };
  struct sending;

  void apply(const std::vector<refs_changed::change>& changes);

  process& here_;
  mutable std::mutex mutex_;
  std::uint64_t last_local_ = 0;  // guarded by mutex_, as below
  reference_state references_;
  std::unordered_map<std::uint64_t, lent> lent_;                        // by local id
  std::unordered_map<const detail::object_state*, std::uint64_t> ids_;  // of what is lent
  std::unordered_map<std::uint64_t, std::function<void()>> owned_;
  std::unordered_map<global_id, borrowed> borrowed_;
};

}  // namespace troupe::net
