#include <troupe/async.hpp>

#include "core/runtime.hpp"

namespace troupe {

namespace {

/// Completes an object at its time, or fails it when the runtime ends before.
class timed_promise {
 public:
  explicit timed_promise(detail::object_ptr object) : object_(std::move(object)) {}
  ~timed_promise() {
    promised().set_failure(detail::make_failure(std::make_exception_ptr(
        task_cancelled_error("the runtime was shut down before the time of after()"))));
  }
  void keep() { promised().set(); }

 private:
  detail::value_object<void>& promised() noexcept {
    return static_cast<detail::value_object<void>&>(*object_);
  }
  detail::object_ptr object_;
};

}  // namespace

object_ref<void> after(std::chrono::nanoseconds delay) {
  core::runtime& runtime = core::require_runtime("after");
  auto done = detail::object_ptr::adopt(new detail::value_object<void>);
  runtime.the_timers->call_after(
      delay, [promise = std::make_shared<timed_promise>(done)] { promise->keep(); });
  return object_ref<void>(std::move(done));
}

}  // namespace troupe
