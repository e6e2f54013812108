/// How refs and handles travel between processes, without the runtime's types.
#pragma once

#include <cstdint>
#include <string_view>

#include <troupe/detail/export.hpp>
#include <troupe/detail/object_state.hpp>

namespace troupe::detail {

class actor_core_ptr;
class input_archive;
class output_archive;
struct class_info;

/// An object whose value comes from elsewhere: from the process that owns it (its origin), when
/// that sends it, or from a store.
class TROUPE_API remote_object : public object_state {
 public:
  std::uint64_t owner() const noexcept { return owner_; }
  std::uint64_t local() const noexcept { return local_; }
  void set_origin(std::uint64_t owner, std::uint64_t local) noexcept {
    owner_ = owner;
    local_ = local;
  }
  /// Completes the object with a value that its owner wrote; fails it when that is damaged.
  virtual void complete_from(input_archive& archive) noexcept = 0;
  bool cancel(bool force, bool recursive) override;

 protected:
  remote_object() noexcept : object_state(0) {}
  ~remote_object() override;

 private:
  std::uint64_t owner_ = 0;
  std::uint64_t local_ = 0;
};

/// What the runtime must know to send an object's value and to make an object that receives one.
struct object_ops {
  void (*save_value)(output_archive& archive, object_state& object);
  /// Whether a value that is in this process is so short that it travels with each ref to it.
  bool (*goes_along)(const object_state& object) noexcept;
  remote_object* (*make)();
};

/// Defined in detail/remote_call.hpp.
template <class T>
const object_ops& object_ops_of() noexcept;

/// An empty ref is a value like any other. Throw `archive_error` where there is no other process.
TROUPE_API void save_ref(output_archive& archive, const object_ptr& object, const object_ops& ops);
TROUPE_API object_ptr load_ref(input_archive& archive, const object_ops& ops);
TROUPE_API void save_handle(output_archive& archive, const actor_core_ptr& actor);
TROUPE_API actor_core_ptr load_handle(input_archive& archive, const class_info& info);

}  // namespace troupe::detail
