#include "core/sharing.hpp"

#include <atomic>
#include <limits>
#include <utility>

#include <troupe/archive.hpp>
#include <troupe/error.hpp>

namespace troupe::core {

namespace {

std::atomic<sharing*> the_sharing{nullptr};
constinit thread_local sharing* threads_own = nullptr;

sharing& require_sharing(const char* what) {
  sharing* const instance = find_sharing();
  if (instance == nullptr) {
    throw detail::archive_error(std::string("cannot archive ") + what +
                                ": this process is not part of a cluster, and outside of one a "
                                "ref or handle means nothing");
  }
  return *instance;
}

}  // namespace

void set_sharing(sharing* instance) noexcept {
  the_sharing.store(instance, std::memory_order_release);
}

sharing* find_sharing() noexcept {
  return threads_own != nullptr ? threads_own : the_sharing.load(std::memory_order_acquire);
}

sharing_scope::sharing_scope(sharing& instance) noexcept
    : outer_(std::exchange(threads_own, &instance)) {}

sharing_scope::~sharing_scope() { threads_own = outer_; }

}  // namespace troupe::core

namespace troupe::detail {

std::atomic<std::size_t> store_threshold{std::numeric_limits<std::size_t>::max()};

mapped_value::~mapped_value() = default;
stored_value::~stored_value() = default;

stored_ptr store_value(std::span<const std::byte> inline_bytes,
                       std::span<const std::span<const std::byte>> segments,
                       std::string_view made_by) {
  core::sharing* const shares = core::find_sharing();
  if (shares == nullptr) return nullptr;
  return shares->store_value(inline_bytes, segments, made_by, false);
}

stored_ptr store_result(std::span<const std::byte> inline_bytes,
                        std::span<const std::span<const std::byte>> segments,
                        std::string_view made_by) {
  core::sharing* const shares = core::find_sharing();
  if (shares == nullptr) return nullptr;
  return shares->store_value(inline_bytes, segments, made_by, true);
}

void save_stored(output_archive& archive, const stored_value& where) {
  core::require_sharing("a stored value").save_stored(archive, where);
}

stored_ptr load_stored(input_archive& archive, bool given) {
  return core::require_sharing("a stored value").load_stored(archive, given);
}

raw_array view_raw_array(const mapped_value& value, std::size_t element_size,
                         std::size_t alignment) {
  constexpr name_view name{"array", 5};
  input_archive archive(value.inline_bytes(), value.segments());
  const std::size_t count = archive.get_array_count(element_size, name);
  const std::span<const std::byte> raw = archive.get_array(count * element_size, name);
  archive.finish(name);
  if (reinterpret_cast<std::uintptr_t>(raw.data()) % alignment != 0) {
    archive.fail(name, "its elements are not aligned to " + std::to_string(alignment) + " bytes");
  }
  return {raw.data(), count};
}

remote_object::~remote_object() {
  if (owner_ == 0) return;
  if (core::sharing* const shares = core::find_sharing()) shares->dropped(*this);
}

bool remote_object::cancel(bool, bool recursive) {
  if (!claim()) return false;
  fail(make_failure(std::make_exception_ptr(
      task_cancelled_error("the object was cancelled by one who had borrowed it"))));
  if (core::sharing* const shares = core::find_sharing()) shares->cancel(*this, recursive);
  return true;
}

archive_receiver receiver_of_archive() noexcept {
  core::sharing* const shares = core::find_sharing();
  return shares == nullptr ? archive_receiver::unknown : shares->receiver_of_archive();
}

void save_ref(output_archive& archive, const object_ptr& object, const object_ops& ops) {
  archive.note_personal();
  core::require_sharing("an object_ref").save_ref(archive, object, ops);
}

object_ptr load_ref(input_archive& archive, const object_ops& ops) {
  return core::require_sharing("an object_ref").load_ref(archive, ops);
}

void save_handle(output_archive& archive, const actor_core_ptr& actor) {
  archive.note_personal();
  core::require_sharing("an actor_handle").save_handle(archive, actor);
}

actor_core_ptr load_handle(input_archive& archive, const class_info& info) {
  return core::require_sharing("an actor_handle").load_handle(archive, info);
}

}  // namespace troupe::detail
