// Carries out what supervisor_state decides: starts, watches and stops the children.
#include <memory>
#include <set>
#include <stdexcept>
#include <string>

#include <troupe/detail/waiting.hpp>
#include <troupe/error.hpp>
#include <troupe/log.hpp>
#include <troupe/supervisor.hpp>

#include "actors/nobodys_child.hpp"
#include "actors/supervisor_state.hpp"

namespace troupe::detail {

using actors::supervisor_state;
using clock = std::chrono::steady_clock;

namespace {

std::vector<restart> restarts_of(const std::vector<child_spec>& children) {
  std::vector<restart> all;
  for (const child_spec& one : children) all.push_back(one.restart());
  return all;
}

/// An object that is ready when the actor has ended and its instance is gone.
object_ptr end_of(const actor_core_ptr& actor) {
  auto over = object_ptr::adopt(new value_object<void>);
  const actors::nobodys_child independent;  // the supervisor may be blocked when it is told
  watch_actor(actor,
              [over](const exit_info&) { static_cast<value_object<void>*>(over.get())->set(); });
  return over;
}

}  // namespace

class supervisor_actor::family {
 public:
  family(const supervisor_settings& settings, std::vector<child_spec> specs)
      : settings_(settings),
        specs_(std::move(specs)),
        lives_(specs_.size()),
        state_(settings.strategy, settings.max_restarts, settings.period, restarts_of(specs_)) {}

  /// Starts all children, or stops those that were started and throws.
  void begin() {
    for (const std::size_t index : state_.begin().start) {
      std::string why;
      try {
        why = start(index);
      } catch (...) {  // the supervisor was killed meanwhile
        abandon();
        throw;
      }
      if (why.empty()) continue;
      stop_all();
      throw std::runtime_error("child '" + specs_[index].id() + "' could not be started: " + why);
    }
  }

  void stop_all() {
    for (const std::size_t index : state_.stop_all().stop) stop(index);
  }
  /// Stops all without waiting for their ends.
  void abandon() noexcept {
    for (const std::size_t index : state_.stop_all().stop) {
      lives_[index].watch.cancel();
      kill_actor(lives_[index].actor, true);
    }
  }

  void ended(std::size_t index, std::uint64_t incarnation, bool abnormal, const std::string& why) {
    const auto& child = state_.at(index);
    if (child.incarnation != incarnation || child.state != child_state::running) return;
    lives_[index].last_exit = why;
    auto plan = state_.ended(index, incarnation, abnormal, clock::now());
    // A child that does not start again has ended once more, with a plan of its own.
    if (!plan.start.empty()) {
      log::warn("child '", specs_[index].id(), "' ended and is started again: ", why);
    }
    while (const auto failed = carry_out(plan)) {
      plan = state_.ended(*failed, state_.at(*failed).incarnation, true, clock::now());
      index = *failed;
    }
    if (plan.give_up) give_up(index);
  }

  child_handle find(const std::string& id) const {
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      if (specs_[i].id() != id) continue;
      if (state_.at(i).state != child_state::running) {
        throw actor_died_error("child '" + id +
                               "' has ended and is not started again: " + lives_[i].last_exit);
      }
      return {lives_[i].actor, &specs_[i].info()};
    }
    throw std::invalid_argument("supervisor::get: no child has the id '" + id + "'");
  }

  std::vector<child_info> children() const {
    std::vector<child_info> all;
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      const auto& child = state_.at(i);
      all.push_back({.id = specs_[i].id(),
                     .class_name = std::string(specs_[i].info().name),
                     .state = child.state,
                     .restarts = child.restarts,
                     .actor = {lives_[i].id},
                     .last_exit = lives_[i].last_exit});
    }
    return all;
  }

 private:
  struct life {
    actor_core_ptr actor;
    object_ptr over;
    monitor watch;
    std::uint64_t id = 0;
    std::string last_exit;
  };

  /// The first child that did not start, if any.
  std::optional<std::size_t> carry_out(const supervisor_state::plan& plan) {
    for (const std::size_t index : plan.stop) stop(index);
    for (const std::size_t index : plan.start) {
      const std::string why = start(index);
      if (why.empty()) continue;
      lives_[index].last_exit = why;
      return index;
    }
    return std::nullopt;
  }

  /// Starts a child and waits for its constructor. Returns why it could not, or nothing.
  std::string start(std::size_t index) {
    life& one = lives_[index];
    actor_core_ptr actor;
    try {
      actor = specs_[index].start();
      object_ptr over = end_of(actor);
      const object_ptr ready = when_constructed(actor);
      wait_until_ready(*ready, {});
      if (ready->has_failed()) {
        wait_until_ready(*over, deadline_after(settings_.stop_timeout));  // its name is free then
        throw_failure(*ready);
      }
      one.actor = actor;
      one.over = std::move(over);
      one.id = id_of(one.actor);
      const std::uint64_t incarnation = state_.started(index);
      one.watch = monitor(watch_actor(one.actor, [index, incarnation](const exit_info& end) {
        this_actor::handle<supervisor_actor>().remote<&supervisor_actor::child_ended>(
            index, incarnation, is_abnormal(end.reason), end.message);
      }));
      return {};
    } catch (const task_cancelled_error&) {
      if (actor) kill_actor(actor, true);
      throw;  // the supervisor itself was killed
    } catch (const std::exception& e) {
      return e.what();
    }
  }

  void stop(std::size_t index) {
    life& one = lives_[index];
    one.watch.cancel();
    one.last_exit = "its supervisor stopped it";
    try {
      if (*specs_[index].info().type == typeid(supervisor_actor)) {  // its children first
        stop_supervisor(actor_handle<supervisor_actor>(one.actor), settings_.stop_timeout);
      }
    } catch (const get_timeout_error&) {
      // Then it is killed, and kills them.
    }
    kill_actor(one.actor, true);
    try {
      wait_until_ready(*one.over, deadline_after(settings_.stop_timeout));
    } catch (const get_timeout_error&) {
      log::warn("child '", specs_[index].id(), "' did not end within its stop_timeout; it is left");
    }
    state_.stopped(index);
    one.actor = {};
  }

  [[noreturn]] void give_up(std::size_t index) {
    using seconds = std::chrono::duration<double>;
    std::string period =
        std::to_string(std::chrono::duration_cast<seconds>(settings_.period).count());
    period.erase(period.find_last_not_of('0') + 1);
    if (period.back() == '.') period.pop_back();
    this_actor::fail("its children ended more than " + std::to_string(settings_.max_restarts) +
                     " times within " + period + " s (max_restarts); the last one, '" +
                     specs_[index].id() + "', ended: " + lives_[index].last_exit);
  }

  supervisor_settings settings_;
  std::vector<child_spec> specs_;
  std::vector<life> lives_;
  supervisor_state state_;
};

supervisor_actor::supervisor_actor(const supervisor_settings& settings,
                                   std::vector<child_spec> children)
    : family_(std::make_unique<family>(settings, std::move(children))) {
  family_->begin();
}

supervisor_actor::~supervisor_actor() { family_->abandon(); }

child_handle supervisor_actor::find(const std::string& id) const { return family_->find(id); }
std::vector<child_info> supervisor_actor::children() const { return family_->children(); }
void supervisor_actor::stop() { family_->stop_all(); }
void supervisor_actor::leave() { this_actor::exit(); }
void supervisor_actor::child_ended(std::size_t index, std::uint64_t incarnation, bool abnormal,
                                   const std::string& why) {
  family_->ended(index, incarnation, abnormal, why);
}

void check_supervisor(const supervisor_options& options, const std::vector<child_spec>& children) {
  const auto refuse = [](const std::string& what) {
    throw std::invalid_argument("supervise: " + what);
  };
  if (options.max_restarts < 0) {
    refuse("max_restarts is " + std::to_string(options.max_restarts) + "; it must be 0 or more");
  }
  if (options.period <= std::chrono::nanoseconds(0)) refuse("period must be longer than nothing");
  if (options.stop_timeout < std::chrono::nanoseconds(0)) refuse("stop_timeout is negative");
  std::set<std::string_view> ids;
  for (const child_spec& one : children) {
    if (one.id().empty()) refuse("a child of class " + std::string(one.info().name) + " has no id");
    if (!ids.insert(one.id()).second) refuse("two children have the id '" + one.id() + "'");
  }
}

void throw_wrong_child(std::string_view id, std::string_view has, std::string_view asked) {
  throw std::invalid_argument("supervisor::get: child '" + std::string(id) + "' is a " +
                              std::string(has) + ", not a " + std::string(asked));
}

void stop_supervisor(const actor_handle<supervisor_actor>& actor,
                     std::optional<std::chrono::nanoseconds> timeout) {
  const deadline until = deadline_after(timeout);
  try {
    const auto stopped = actor.remote<&supervisor_actor::stop>();
    wait_until_ready(stopped.state(), until);
    get(stopped);
    const object_ptr over = end_of(actor.core());
    const auto left = actor.remote<&supervisor_actor::leave>();
    wait_until_ready(*over, until);
    get(left);
  } catch (const actor_died_error&) {
    // It has ended: that is what was asked for.
  }
}

}  // namespace troupe::detail
