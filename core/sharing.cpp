#include "core/sharing.hpp"

#include <atomic>

#include <troupe/archive.hpp>
#include <troupe/error.hpp>

namespace troupe::core {

namespace {

std::atomic<sharing*> the_sharing{nullptr};

sharing& require_sharing(const char* what) {
  sharing* const instance = the_sharing.load(std::memory_order_acquire);
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

sharing* find_sharing() noexcept { return the_sharing.load(std::memory_order_acquire); }

}  // namespace troupe::core

namespace troupe::detail {

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

void save_ref(output_archive& archive, const object_ptr& object, const object_ops& ops) {
  core::require_sharing("an object_ref").save_ref(archive, object, ops);
}

object_ptr load_ref(input_archive& archive, const object_ops& ops) {
  return core::require_sharing("an object_ref").load_ref(archive, ops);
}

void save_handle(output_archive& archive, const actor_core_ptr& actor) {
  core::require_sharing("an actor_handle").save_handle(archive, actor);
}

actor_core_ptr load_handle(input_archive& archive, const class_info& info) {
  return core::require_sharing("an actor_handle").load_handle(archive, info);
}

}  // namespace troupe::detail
