#include <troupe/async.hpp>

#include "core/runtime.hpp"

namespace troupe {

object_ref<void> after(std::chrono::nanoseconds delay) {
  core::runtime& runtime = core::require_runtime("after");
  auto done = detail::object_ptr::adopt(new detail::value_object<void>);
  runtime.the_timers->call_after(
      delay, [done] { static_cast<detail::value_object<void>*>(done.get())->set(); });
  return object_ref<void>(std::move(done));
}

}  // namespace troupe
