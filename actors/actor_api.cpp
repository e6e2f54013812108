#include <memory>
#include <stdexcept>
#include <string>

#include <troupe/actor.hpp>
#include <troupe/error.hpp>
#include <troupe/log.hpp>

#include "actors/actor_engine.hpp"
#include "actors/group_runner.hpp"
#include "core/execution.hpp"
#include "core/placement_groups.hpp"
#include "core/stage/stage.hpp"

namespace troupe {

namespace {

actors::actor_engine& engine_of(core::runtime& runtime) {
  return static_cast<actors::actor_engine&>(*runtime.actors);
}

detail::local_actor& require_actor(const char* what) {
  const core::execution* const now = core::current_execution;
  if (now == nullptr || now->actor == nullptr) {
    throw std::logic_error(std::string("this_actor::") + what +
                           ": no actor's method runs on this thread");
  }
  return *now->actor;
}

detail::actor_core& require_handle(const detail::actor_core_ptr& actor, const char* what) {
  if (!actor) {
    throw std::invalid_argument(std::string(what) +
                                ": the actor handle is empty (default-constructed or moved from)");
  }
  return *actor.get();
}

/// Runs a function once on the stage.
class function_job final : public core::job {
 public:
  explicit function_job(std::function<void()> f) : f_(std::move(f)) {}
  resume_result resume(caf::execution_unit*, std::size_t) override {
    f_();
    return done;
  }
  void intrusive_ptr_add_ref_impl() override {}
  void intrusive_ptr_release_impl() override { delete this; }

 private:
  std::function<void()> f_;
};

void call_guarded(const std::function<void(const exit_info&)>& f, const exit_info& end) noexcept {
  try {
    f(end);
  } catch (const std::exception& e) {
    log::error("the function of on_exit threw: ", e.what());
  } catch (...) {
    log::error("the function of on_exit threw what is no std::exception");
  }
}

/// A message to the actor that watches.
struct exit_notice {
  using result = void;
  static constexpr std::string_view name = "on_exit";
  template <class Slots>
  static void call(void*, Slots& slots, detail::invocation&, bool) {
    std::get<0>(slots).function();
  }
};

/// A call that an actor makes to itself at a time.
struct timer_state : std::enable_shared_from_this<timer_state> {
  detail::local_actor* actor = nullptr;  // a reference
  std::function<detail::actor_call*()> make;
  std::chrono::nanoseconds period{0};
  std::chrono::steady_clock::time_point due;
  std::atomic<bool> cancelled{false};
  std::atomic<std::uint64_t> timer{0};
  detail::object_ptr last;  // of the timer thread

  ~timer_state() { actor->release_reference(); }

  void arm() {
    timer.store(actor->engine().runtime().the_timers->call_at(
        due, [self = shared_from_this()] { self->fire(); }));
    if (cancelled.load()) stop();
  }
  void stop() noexcept {
    cancelled.store(true);
    actor->engine().runtime().the_timers->cancel(timer.exchange(0));
  }
  void fire() noexcept {
    if (cancelled.load() || actor->life() == detail::local_actor::phase::dead) return;
    if (!last || last->ready()) {
      try {
        detail::actor_call* const call = make();
        last = detail::object_ptr::adopt(call);
        try {
          actor->submit(*call, nullptr);
        } catch (...) {
          call->unpin();
          throw;
        }
      } catch (const std::exception& e) {
        log::error("a timer of actor ", actor->full_name(), " could not send its call: ", e.what());
      }
    }
    if (period.count() == 0) return;
    // At a fixed rate; beats that were missed are not made up for.
    const auto now = std::chrono::steady_clock::now();
    do {
      due += period;
    } while (due <= now);
    arm();
  }
};

}  // namespace

namespace actors {

void tell_watches(std::vector<std::shared_ptr<exit_watch>> watches, const exit_info& end) noexcept {
  core::runtime* const runtime = core::find_runtime();
  for (const std::shared_ptr<exit_watch>& watch : watches) {
    if (watch->cancelled.load()) continue;
    auto notice = [watch, end] {
      if (!watch->cancelled.exchange(true)) call_guarded(watch->f, end);
    };
    if (watch->watcher == nullptr) {
      if (runtime != nullptr) runtime->the_stage->enqueue(new function_job(std::move(notice)));
      continue;
    }
    using slots = std::tuple<detail::callable_slot<decltype(notice)>>;
    auto* const call = new detail::plain_call<detail::actor_call, exit_notice, slots, true>(
        detail::callable_slot<decltype(notice)>{std::move(notice)});
    const auto own = detail::object_ptr::adopt(call);
    try {
      watch->watcher->submit(*call, nullptr);
    } catch (const std::exception& e) {
      call->unpin();
      log::error("the end of an actor could not be told: ", e.what());
    }
  }
}

void stop_timer(const std::weak_ptr<void>& timer) noexcept {
  if (const auto state = std::static_pointer_cast<timer_state>(timer.lock())) state->stop();
}

}  // namespace actors

namespace detail {

void retain_handle(actor_core* actor) noexcept { actor->add_handle(); }
void release_handle(actor_core* actor) noexcept { actor->release_handle(); }

actor_core_ptr create_actor(const class_info& info, actor_call* creation, options_ptr options) {
  bool taken = false;
  try {
    core::runtime& runtime = core::require_runtime("remote");
    options = core::captured(std::move(options));
    // One whose arguments cannot leave the process lives in it.
    if (runtime.cluster != nullptr && creation->remote_key() != 0) {
      return runtime.cluster->create_actor(info, creation, std::move(options), taken);
    }
    return engine_of(runtime).create(info, creation, std::move(options), taken);
  } catch (...) {
    if (!taken) {
      const auto own = object_ptr::adopt(creation);
      creation->unpin();
    }
    throw;
  }
}

void submit_call(const actor_core_ptr& actor, actor_call* call, options_ptr options) {
  try {
    core::require_runtime("remote");
    require_handle(actor, "remote").submit(*call, std::move(options));
  } catch (...) {
    call->unpin();
    throw;
  }
}

object_ptr when_constructed(const actor_core_ptr& actor) {
  return require_handle(actor, "ready").constructed();
}
std::uint64_t id_of(const actor_core_ptr& actor) { return require_handle(actor, "id").id(); }
std::string name_of(const actor_core_ptr& actor) { return require_handle(actor, "name").name(); }
bool is_alive(const actor_core_ptr& actor) { return !require_handle(actor, "alive").is_dead(); }
std::size_t pending_calls(const actor_core_ptr& actor) {
  return require_handle(actor, "pending_calls").pending();
}

actor_core_ptr find_actor(std::string_view name, std::string_view in_namespace,
                          const class_info& info) {
  if (name.empty()) throw std::invalid_argument("get_actor: the name is empty");
  core::runtime& runtime = core::require_runtime("get_actor");
  if (runtime.cluster != nullptr) return runtime.cluster->find_actor(name, in_namespace, info);
  return engine_of(runtime).find(name, in_namespace, info);
}

void kill_actor(const actor_core_ptr& actor, bool no_restart) {
  require_handle(actor, "kill").order_end(exit_reason::killed, "it was killed", !no_restart);
}

actor_core_ptr current_actor(const class_info& info) {
  local_actor& self = require_actor("handle");
  if (*self.info().type != *info.type) {
    throw std::logic_error("this_actor::handle: the actor is a " + std::string(self.info().name) +
                           ", not a " + std::string(info.name));
  }
  core::cluster_link* const cluster = self.engine().runtime().cluster.get();
  if (cluster != nullptr) {
    if (actor_core_ptr known = cluster->public_handle(self)) return known;
  }
  if (!self.try_add_handle()) {
    throw actor_died_error("actor " + self.full_name() + " is ending: no further handles");
  }
  return actor_core_ptr::adopt(&self);
}

std::shared_ptr<void> start_timer_of(const class_info& info, std::chrono::nanoseconds delay,
                                     std::chrono::nanoseconds period,
                                     std::function<actor_call*()> make) {
  local_actor& self = require_actor("send_later");
  if (*self.info().type != *info.type) {
    throw std::logic_error("a timer of a " + std::string(self.info().name) +
                           " cannot call a method of " + std::string(info.name) +
                           "; name the actor's class as the second template argument");
  }
  if (delay.count() < 0 || period.count() < 0) {
    throw std::invalid_argument("a timer's delay or period is negative");
  }
  auto state = std::make_shared<timer_state>();
  self.add_reference();
  state->actor = &self;
  state->make = std::move(make);
  state->period = period;
  state->due =
      *deadline_after(std::min<std::chrono::nanoseconds>(delay, std::chrono::hours(87600)));
  self.keep_timer(state);
  state->arm();
  return state;
}

std::shared_ptr<void> watch_actor(const actor_core_ptr& actor,
                                  std::function<void(const exit_info&)> f) {
  auto watch = std::make_shared<actors::exit_watch>();
  watch->f = std::move(f);
  const core::execution* const now = core::current_execution;
  if (now != nullptr && now->actor != nullptr) {
    watch->watcher = now->actor;
    now->actor->add_reference();
  }
  require_handle(actor, "on_exit").watch(watch);
  return watch;
}

void link_actors(const actor_core_ptr& a, const actor_core_ptr& b, bool linked) {
  actor_core& first = require_handle(a, "link");
  actor_core& second = require_handle(b, "link");
  if (&first == &second) return;
  first.link_with(second, linked);
  second.link_with(first, linked);
}

}  // namespace detail

void monitor::cancel() noexcept {
  if (watch_) static_cast<actors::exit_watch*>(watch_.get())->cancelled.store(true);
}

void timer::cancel() noexcept {
  if (state_) static_cast<timer_state*>(state_.get())->stop();
}

std::vector<actor_summary> list_actors() {
  return engine_of(core::require_runtime("list_actors")).list();
}

namespace this_actor {

bool running() noexcept {
  return core::current_execution != nullptr && core::current_execution->actor != nullptr;
}
actor_id id() { return {require_actor("id").id()}; }
std::string name() { return require_actor("name").name(); }
int restarts() { return require_actor("restarts").restarts(); }

void exit() {
  require_actor("exit");
  throw core::actor_unwind{.exits = true, .why = {}};
}

void fail(std::string_view why) {
  require_actor("fail");
  throw core::actor_unwind{.exits = false, .why = std::string(why)};
}

}  // namespace this_actor

}  // namespace troupe
