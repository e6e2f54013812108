/// What the cluster does for refs and handles that leave or enter this process.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <troupe/detail/actor_api.hpp>
#include <troupe/detail/archive_receiver.hpp>
#include <troupe/detail/sharing.hpp>
#include <troupe/detail/stored_value.hpp>

namespace troupe::core {

/// Implemented in net/. Thread-safe.
class sharing {
 public:
  virtual ~sharing() = default;
  virtual void save_ref(detail::output_archive& archive, const detail::object_ptr& object,
                        const detail::object_ops& ops) = 0;
  virtual detail::object_ptr load_ref(detail::input_archive& archive,
                                      const detail::object_ops& ops) = 0;
  virtual void save_handle(detail::output_archive& archive,
                           const detail::actor_core_ptr& actor) = 0;
  virtual detail::actor_core_ptr load_handle(detail::input_archive& archive,
                                             const detail::class_info& info) = 0;
  /// The last ref of this process to an object of another one has gone.
  virtual void dropped(detail::remote_object& object) noexcept = 0;
  /// As the functions of detail/stored_value.hpp.
  virtual detail::stored_ptr store_value(std::span<const std::byte> inline_bytes,
                                         std::span<const std::span<const std::byte>> segments,
                                         std::string_view made_by, bool is_result) = 0;
  virtual void save_stored(detail::output_archive& archive, const detail::stored_value& where) = 0;
  virtual detail::stored_ptr load_stored(detail::input_archive& archive, bool given) = 0;
  virtual detail::archive_receiver receiver_of_archive() noexcept = 0;
  /// Forwards a cancel to the object's owner.
  virtual void cancel(detail::remote_object& object, bool recursive) noexcept = 0;
};

/// Sets what the functions below use; null when the process leaves its cluster.
void set_sharing(sharing* instance) noexcept;
sharing* find_sharing() noexcept;

/// While it lives, this thread uses another one.
class sharing_scope {
 public:
  explicit sharing_scope(sharing& instance) noexcept;
  ~sharing_scope();
  sharing_scope(const sharing_scope&) = delete;
  sharing_scope& operator=(const sharing_scope&) = delete;

 private:
  sharing* const outer_;
};

}  // namespace troupe::core
