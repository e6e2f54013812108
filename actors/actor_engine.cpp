#include "actors/actor_engine.hpp"

#include <algorithm>
#include <string>

#include <troupe/error.hpp>

#include "core/environment.hpp"
#include "core/node_name.hpp"
#include "core/placement.hpp"
#include "core/placement_groups.hpp"

namespace troupe::actors {

using detail::actor_core_ptr;
using detail::local_actor;

namespace {

std::string quoted(std::string_view in_namespace, std::string_view name) {
  std::string text = "'" + std::string(name) + "'";
  if (!in_namespace.empty()) text += " in namespace '" + std::string(in_namespace) + "'";
  return text;
}

}  // namespace

actor_core_ptr actor_engine::create(const detail::class_info& info, detail::actor_call* creation,
                                    detail::options_ptr options, bool& taken,
                                    actor_placement placed) {
  const troupe::options defaults;
  const detail::options_ptr kept = options;  // its texts are used below
  const troupe::options& o = kept ? kept->get() : defaults;
  if (o.max_restarts != 0 && !creation->info().repeatable) {
    throw std::invalid_argument("actor " + std::string(info.name) +
                                ": max_restarts needs constructor arguments that can be copied");
  }
  const core::resource_set demand = core::make_demand(o.num_cpus, 0.0, o.num_gpus, o.memory,
                                                      {o.resources.begin(), o.resources.size()});
  if (o.runtime_env != nullptr) {
    if (runtime_.cluster != nullptr) {
      throw runtime_env_error("actor " + std::string(info.name) +
                              " stays in this process, because of its arguments: it cannot have a "
                              "runtime_env");
    }
    core::adopt_environment(*o.runtime_env);
  }
  core::check_placement(o, info.name, core::node_name(), runtime_.settings.labels);
  // In a cluster the lease that it runs under is of the group.
  const bool grouped = o.placement_group && runtime_.cluster == nullptr;
  core::capacity& from =
      grouped ? runtime_.groups->bundle(o.placement_group, o.bundle_index, demand, info.name)
              : static_cast<core::capacity&>(ledger());
  if (const auto missing = grouped ? std::nullopt : ledger().never_fits(demand)) {
    throw placement_error("actor " + std::string(info.name) + " can never start: it " + *missing);
  }
  if (!o.name.empty() && o.get_if_exists) {
    const std::string in =
        o.in_namespace.empty() ? runtime_.settings.job_namespace : std::string(o.in_namespace);
    std::unique_lock guard(mutex_);
    actor_core_ptr found = existing(in, o.name, info);
    guard.unlock();  // the arguments that nobody needs may run code of the user's as they go
    if (found) {
      taken = true;
      const auto unused = detail::object_ptr::adopt(creation);
      creation->unpin();
      return found;
    }
  }
  taken = true;
  local_actor* const actor = local_actor::make(*this, info, creation, std::move(options));
  if (placed.id != 0) actor->id_ = placed.id;
  actor->restarts_ = placed.restarts;
  if (!placed.gpus.empty()) actor->extras().gpus = std::move(placed.gpus);
  actor_core_ptr handle = actor_core_ptr::adopt(actor);
  if (!demand.empty() || grouped) {
    actor->gate_.store(2);
    actor->extras().resources =
        std::make_unique<resource_gate>(*actor, from, ledger().intern(demand));
  }
  actor->prepare_creation();
  actor_core_ptr found;
  try {
    const std::lock_guard guard(mutex_);
    if (!o.name.empty() && o.get_if_exists) found = existing(actor->in_namespace(), o.name, info);
    if (!found) enlist(*actor);
  } catch (...) {
    actor->discard();
    throw;
  }
  if (found) {
    actor->discard();
    return found;
  }
  actor->start();
  return handle;
}

/// Registers the actor's name, if it has one, and adds it to the living. Requires the lock.
void actor_engine::enlist(local_actor& actor) {
  const options& o = actor.given();
  core::require_runtime(
      "remote");  // under the lock that an abort takes: it sees this actor, or not
  if (!o.name.empty()) {
    const std::string in = actor.in_namespace();
    if (const auto holder = registry_.find(in, o.name)) {
      local_actor* const other = named_.at(*holder);
      // One that goes out of scope can be reached no more, though it has not ended yet.
      // One that is being ended for good fails its calls already; its name goes with them.
      const bool going =
          other->handles_.load() == local_actor::no_more_handles || other->ending_.load();
      if (!going && other->life() != local_actor::phase::dead) {
        throw actor_name_error("the name " + quoted(in, o.name) + " is taken by actor " +
                               other->full_name() + ": choose another one, or use get_if_exists");
      }
      registry_.remove(in, o.name, *holder);
      named_.erase(*holder);
    }
    registry_.add(in, o.name, actor.id());
    named_.emplace(actor.id(), &actor);
  }
  actor.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &actor;
  first_ = &actor;
  live_.fetch_add(1, std::memory_order_relaxed);
}

/// The living actor of that name, with a handle; null when there is none. Requires the lock.
actor_core_ptr actor_engine::existing(std::string_view in_namespace, std::string_view name,
                                      const detail::class_info& info) {
  const auto id = registry_.find(in_namespace, name);
  if (!id) return {};
  local_actor* const actor = named_.at(*id);
  if (actor->ending_.load() || !actor->try_add_handle()) return {};
  actor_core_ptr handle = actor_core_ptr::adopt(actor);
  if (*actor->info().type != *info.type) {
    throw actor_name_error("the actor " + quoted(in_namespace, name) + " is a " +
                           std::string(actor->info().name) + ", not a " + std::string(info.name));
  }
  return handle;
}

actor_core_ptr actor_engine::find(std::string_view name, std::string_view in_namespace,
                                  const detail::class_info& info) {
  const std::string in =
      in_namespace.empty() ? runtime_.settings.job_namespace : std::string(in_namespace);
  const std::lock_guard guard(mutex_);
  if (actor_core_ptr found = existing(in, name, info)) return found;
  throw actor_name_error("there is no actor " + quoted(in, name) +
                         "; see troupe::list_actors() for those that live");
}

void actor_engine::remove(local_actor& actor) noexcept {
  const std::lock_guard guard(mutex_);
  if (!actor.given().name.empty() &&
      registry_.remove(actor.in_namespace(), actor.given().name, actor.id())) {
    named_.erase(actor.id());
  }
  (actor.previous_ != nullptr ? actor.previous_->next_ : first_) = actor.next_;
  if (actor.next_ != nullptr) actor.next_->previous_ = actor.previous_;
  live_.fetch_sub(1, std::memory_order_relaxed);
  actor_is_idle();
}

std::vector<actor_summary> actor_engine::list() {
  std::vector<actor_summary> all;
  {
    const std::lock_guard guard(mutex_);
    for (local_actor* actor = first_; actor != nullptr; actor = actor->next_) {
      const char* state = "alive";
      switch (actor->life()) {
        case local_actor::phase::dead:
          continue;
        case local_actor::phase::pending:
          // `ready()` of a handle is there a moment before the phase changes.
          if (!actor->constructed()->has_value()) state = "pending";
          break;
        case local_actor::phase::restarting:
          state = "restarting";
          break;
        case local_actor::phase::alive:
          break;
      }
      all.push_back({.id = {actor->id()},
                     .class_name = std::string(actor->info().name),
                     .name = std::string(actor->given().name),
                     .in_namespace = actor->given().name.empty() ? "" : actor->in_namespace(),
                     .state = state,
                     .pending_calls = actor->pending(),
                     .restarts = actor->restarts()});
    }
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return all;
}

bool actor_engine::idle() {
  const std::lock_guard guard(mutex_);
  for (local_actor* actor = first_; actor != nullptr; actor = actor->next_) {
    if (actor->pending() != 0 || actor->life() == local_actor::phase::pending) return false;
  }
  return true;
}

void actor_engine::abort() noexcept {
  end_those([](const local_actor&) { return true; }, exit_reason::shutdown,
            "the runtime was shut down");
}

void actor_engine::end_group(placement_group_id group, const std::string& text) {
  end_those([&](const local_actor& actor) { return actor.given().placement_group == group; },
            exit_reason::killed, text);
}

template <class Predicate>
void actor_engine::end_those(Predicate&& chosen, exit_reason reason, const std::string& text) {
  std::vector<local_actor*> all;
  {
    const std::lock_guard guard(mutex_);
    for (local_actor* actor = first_; actor != nullptr; actor = actor->next_) {
      if (!chosen(*actor)) continue;
      actor->add_reference();
      all.push_back(actor);
    }
  }
  for (local_actor* actor : all) {
    actor->order_end(reason, text, false);
    actor->release_reference();
  }
}

std::vector<std::string> actor_engine::names(std::size_t most) {
  std::vector<std::string> result;
  const std::lock_guard guard(mutex_);
  for (local_actor* actor = first_; actor != nullptr && result.size() < most;
       actor = actor->next_) {
    result.push_back(actor->full_name());
  }
  return result;
}

}  // namespace troupe::actors
