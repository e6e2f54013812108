#include <troupe/gpu/work.hpp>

#include <troupe/error.hpp>
#include <troupe/gpu/error.hpp>
#include <troupe/task.hpp>

#include "gpu/engine.hpp"

namespace troupe::gpu::detail {

using troupe::detail::failure_ptr;
using troupe::detail::make_failure;

/// Waits for the arguments of work, as a task without resources, and enqueues it then.
class deferral final : public troupe::detail::task {
 public:
  static constexpr troupe::detail::function_info info{"gpu: device work", true, false, true};

  deferral(object_ptr target, std::vector<object_ptr> arguments)
      : task(info),
        target_(std::move(target)),
        arguments_(std::move(arguments)),
        nodes_(arguments_.size()) {}

 private:
  work& target() { return static_cast<work&>(*target_); }

  void connect_arguments() noexcept override {
    for (std::size_t i = 0; i < arguments_.size(); ++i) wait_for(nodes_[i], *arguments_[i]);
  }
  std::uint32_t disconnect_arguments() noexcept override {
    std::uint32_t count = 0;
    for (std::size_t i = 0; i < arguments_.size(); ++i) {
      if (stop_waiting(nodes_[i], *arguments_[i])) ++count;
    }
    return count;
  }
  void assist_arguments() noexcept override {
    for (const object_ptr& one : arguments_) {
      if (!one->ready()) one->assist();
    }
  }
  void drop_arguments() noexcept override { arguments_.clear(); }

  outcome run(void*) override {
    lane& on = *target().on_;
    on.of.enqueue(target(), on);
    tell_those_who_wait();
    if (claim()) complete(nullptr);
    return outcome::finished;
  }
  void ended() noexcept override {
    if (has_failed()) {
      note_asked();  // the work tells it from now on
      target().drop();
      if (target().claim()) target().fail(why());
      tell_those_who_wait();
    }
    task::ended();
  }
  void tell_those_who_wait() noexcept {
    auto& way = static_cast<troupe::detail::value_object<void>&>(*target().on_its_way_);
    if (target().has_failed() && !target().enqueued()) {
      way.set_failure(target().why());
    } else {
      way.set();
    }
  }

  object_ptr target_;
  std::vector<object_ptr> arguments_;
  std::vector<troupe::detail::dependency> nodes_;
};

work::~work() = default;

void work::submit(std::vector<object_ptr> arguments) {
  engine& here = engine::process();
  on_ = &here.lane_here();
  std::vector<object_ptr> missing;
  for (object_ptr& one : arguments) {
    if (one->has_failed()) {
      one->note_asked();
      drop();
      if (claim()) fail(one->why());
      return;
    }
    if (one->ready()) continue;
    if (auto* const other = dynamic_cast<work*>(one.get())) {
      if (other->enqueued()) continue;
      missing.push_back(other->on_its_way_);
    } else {
      missing.push_back(std::move(one));
    }
  }
  if (missing.empty()) {
    here.enqueue(*this, *on_);
    return;
  }
  on_its_way_ = object_ptr::adopt(new troupe::detail::value_object<void>);
  auto* const later = new deferral(object_ptr::share(this), std::move(missing));
  const auto hold = object_ptr::adopt(later);
  later->submit(troupe::detail::continuation_options());
}

void work::submit_to(lane& on) {
  on_ = &on;
  on.of.enqueue(*this, on);
}

void work::assist() noexcept {
  if (!enqueued()) return;
  try {
    on_->of.hurry(*this);
  } catch (...) {
    // Whoever watches meets the same, and tells it.
  }
}

bool work::cancel(bool, bool) {
  if (!claim()) return false;
  fail(make_failure(std::make_exception_ptr(task_cancelled_error(
      "'" + std::string(name_) + "' was cancelled; what the device has begun of it goes on"))));
  return true;
}

const void* argument_value(object_state& of) {
  if (of.ready()) {
    if (of.has_failed()) troupe::detail::throw_failure(of);
    return of.value();
  }
  auto* const other = dynamic_cast<work*>(&of);
  void* const value = other != nullptr && other->enqueued() ? other->early_value() : nullptr;
  if (value == nullptr) {
    throw std::logic_error(
        "an argument of device work is not there; pass the ref to gpu::run or "
        "gpu::launch, which waits for it");
  }
  return value;
}

}  // namespace troupe::gpu::detail
