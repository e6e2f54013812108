#include "net/actor_host.hpp"

#include <optional>
#include <utility>
#include <vector>

#include <troupe/detail/stored_options.hpp>
#include <troupe/error.hpp>

#include "actors/local_actor.hpp"
#include "core/remote_registry.hpp"
#include "net/cluster_groups.hpp"
#include "net/failures.hpp"
#include "net/remote_actor.hpp"
#include "net/transfer.hpp"

namespace troupe::net {

namespace {

/// So many ends of the head's actors are told again to another life of it.
constexpr std::size_t most_ended = 1'000;

actors::actor_engine& engine_of(process& here) {
  return static_cast<actors::actor_engine&>(*here.runtime().actors);
}

/// Tells the owner when the constructor has run.
struct birth_notice final : detail::continuation {
  process& here;
  process_id owner;
  actor_created notice;

  birth_notice(process& p, process_id o, actor_created n)
      : here(p), owner(o), notice(std::move(n)) {
    fire = [](detail::continuation& self, detail::object_state& born) noexcept {
      auto* const mine = static_cast<birth_notice*>(&self);
      mine->send(born);
      delete mine;
    };
  }
  void send(const detail::object_state& born) {
    if (born.has_failed()) {
      born.note_asked();
      notice.result = failed_outcome(*born.why());
    }
    here.send(owner, std::move(notice));
  }
};

/// Tells the callers of all processes apart.
std::uint64_t caller_of(process_id from, std::uint64_t caller) {
  return std::hash<global_id>{}({from, caller});
}

detail::options_ptr local_options(const create_actor& what) {
  std::vector<concurrency_group> groups;
  for (const auto& [name, limit] : what.options.groups) groups.push_back({name, limit});
  // A namespace that no other life shares: the cluster's names are the control's.
  const std::string own_namespace = std::to_string(what.actor.owner) + '/' +
                                    std::to_string(what.actor.local) + '/' +
                                    std::to_string(what.incarnation);
  return detail::stored_options::make(
      {.name = what.options.name,
       .in_namespace = what.options.name.empty() ? std::string_view() : own_namespace,
       .max_concurrency = what.options.max_concurrency,
       .groups = concurrency_groups(groups.data(), groups.size()),
       .max_pending_calls = what.options.max_pending_calls,
       .max_batch_size = what.options.max_batch_size,
       .max_wait = std::chrono::nanoseconds(what.options.max_wait),
       .placement_group = to_public(what.options.placement_group),
       .capture_children = what.options.captures});
}

}  // namespace

void actor_host::refuse(process_id to, const create_actor& what, const std::string& why) {
  actor_created notice{what.actor, what.incarnation, {}};
  notice.result = failed_outcome(*failure_with<runtime_env_error>(why));
  here_.send(to, std::move(notice));
}

void actor_host::tell_of_birth(process_id owner, const actor_created& what,
                               const detail::actor_core_ptr& actor) {
  auto* const notice = new birth_notice(here_, owner, what);
  const detail::object_ptr born = actor.get()->constructed();
  if (!born->when_ready(*notice)) {
    notice->send(*born);
    delete notice;
  }
}

/// Whether that life has begun here before: its owner, started again, sends the creation again.
bool actor_host::knows(process_id from, const create_actor& what) {
  detail::actor_core_ptr lives;
  std::optional<actor_ended> over;
  {
    const std::lock_guard guard(mutex_);
    const auto at = actors_.find(what.actor);
    if (at != actors_.end() && at->second.incarnation == what.incarnation) {
      lives = at->second.actor;
    }
    for (const actor_ended& one : ended_) {
      if (one.actor == what.actor && one.incarnation == what.incarnation) over = one;
    }
  }
  if (lives) tell_of_birth(from, {what.actor, what.incarnation, {}}, lives);
  if (over) here_.send(from, std::move(*over));
  return lives || over;
}

void actor_host::owner_renewed(process_id owner) {
  std::vector<std::pair<actor_created, detail::actor_core_ptr>> living;
  std::vector<actor_ended> over;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [id, one] : actors_) {
      if (id.owner == owner) living.push_back({{id, one.incarnation, {}}, one.actor});
    }
    over.assign(ended_.begin(), ended_.end());
  }
  for (const auto& [what, actor] : living) tell_of_birth(owner, what, actor);
  for (actor_ended& one : over) here_.send(owner, std::move(one));
}

void actor_host::on(process_id from, const create_actor& what, const message& carrier) {
  if (knows(from, what)) return;
  if (what.actor.owner == here_.head.id) here_.outlives_job = true;  // its lease may come later
  const detail::remote_function* const constructor = core::find_remote(what.constructor);
  if (constructor == nullptr || constructor->creates == nullptr) {
    refuse(from, what,
           "this worker's executable has no constructor of " + what.class_name +
               " for these arguments: run the same build everywhere, and link libraries of actors "
               "as a whole");
    return;
  }
  detail::actor_core_ptr actor;
  try {
    detail::invocation* const creation =
        read_payload(from, what.arguments, carrier, 0,
                     [&](detail::input_archive& archive) { return constructor->make(archive); });
    creation->note_asked();
    bool taken = false;
    try {
      actor = engine_of(here_).create(
          *constructor->creates, static_cast<detail::actor_call*>(creation), local_options(what),
          taken,
          {remote_actor::public_id(what.actor), static_cast<int>(what.incarnation) - 1, what.gpus});
    } catch (...) {
      if (!taken) {
        const auto own = detail::object_ptr::adopt(creation);
        creation->unpin();
      }
      throw;
    }
  } catch (const std::exception& e) {
    refuse(from, what, "actor " + what.class_name + " could not be made: " + e.what());
    return;
  }
  {
    const std::lock_guard guard(mutex_);
    hosted& entry = actors_[what.actor];
    if (entry.actor) ids_.erase(entry.actor.get());
    entry = {what.incarnation, actor};
    ids_[actor.get()] = what.actor;
  }
  auto watch = std::make_shared<actors::exit_watch>();
  watch->f = [this, id = what.actor, incarnation = what.incarnation](const exit_info& end) {
    ended(id, incarnation, end);
  };
  tell_of_birth(from, {what.actor, what.incarnation, {}}, actor);
  actor.get()->watch(std::move(watch));
}

void actor_host::ended(global_id actor, std::uint32_t incarnation, const exit_info& end) {
  detail::actor_core_ptr last;  // let go of without the lock
  {
    const std::lock_guard guard(mutex_);
    const auto at = actors_.find(actor);
    if (at != actors_.end() && at->second.incarnation == incarnation) {
      ids_.erase(at->second.actor.get());
      last = std::move(at->second.actor);
      actors_.erase(at);
    }
  }
  actor_ended news{actor, incarnation, static_cast<std::uint8_t>(end.reason), end.message};
  if (actor.owner == here_.head.id) {
    const std::lock_guard guard(mutex_);
    ended_.push_back(news);
    if (ended_.size() > most_ended) ended_.pop_front();
  }
  here_.send(actor.owner, std::move(news));
}

void actor_host::on(process_id from, const call_actor& what, const message& carrier) {
  detail::actor_core_ptr actor;
  {
    const std::lock_guard guard(mutex_);
    const auto at = actors_.find(what.actor);
    if (at != actors_.end() && at->second.incarnation == what.incarnation) {
      actor = at->second.actor;
    }
  }
  if (!actor) {
    here_.send(from, call_done{what.call, what.incarnation, true, {}});
    return;
  }
  const auto fail = [&](const detail::failure_ptr& why) {
    here_.send(from, call_done{what.call, what.incarnation, false, failed_outcome(*why)});
  };
  const detail::remote_function* const method = core::find_remote(what.method);
  if (method == nullptr) {
    fail(failure_with<runtime_env_error>(
        "the process that hosts actor " + actor.get()->full_name() +
        " has no method with the key " + std::to_string(what.method) +
        ": name it there by troupe::exports<&class::method, ...>, or run the same build"));
    return;
  }
  detail::invocation* call = nullptr;
  try {
    call = read_payload(from, what.arguments, carrier, 0,
                        [&](detail::input_archive& archive) { return method->make(archive); });
  } catch (const std::exception& e) {
    fail(failure_with<runtime_env_error>("the arguments of '" + std::string(method->name) +
                                         "' cannot be read: " + e.what()));
    return;
  }
  const detail::object_ptr work = detail::object_ptr::adopt(call);
  executor_.track({from, what.call}, work, {true, what.incarnation}, what.backpressure, 0);
  try {
    detail::options_ptr options;
    if (!what.group.empty() || !what.name.empty()) {
      options = detail::stored_options::make({.name = what.name, .concurrency_group = what.group});
    }
    auto& arrived = static_cast<detail::actor_call&>(*call);
    detail::actor_call_access::set_caller(arrived, caller_of(from, what.caller));
    // What broke its batch shall not break another one.
    if (what.attempt > 0 && arrived.place() != nullptr) arrived.start_over();
    actor.get()->submit(arrived, std::move(options));
  } catch (...) {
    call->abandon(detail::make_failure(std::current_exception()));
    call->unpin();
  }
}

void actor_host::on(process_id, const end_actor& what) {
  detail::actor_core_ptr actor;
  {
    const std::lock_guard guard(mutex_);
    const auto at = actors_.find(what.actor);
    if (at == actors_.end() || at->second.incarnation != what.incarnation) return;
    actor = std::move(at->second.actor);
    ids_.erase(actor.get());
    actors_.erase(at);
  }
  // One that nobody holds ends with its last handle, after the calls that were sent.
  if (what.reason != static_cast<std::uint8_t>(exit_reason::out_of_scope)) {
    actor.get()->order_end(static_cast<exit_reason>(what.reason), what.text, false);
  }
}

void actor_host::process_gone(process_id gone, const std::string& cause) {
  std::vector<detail::actor_core_ptr> orphans;
  {
    const std::lock_guard guard(mutex_);
    std::erase_if(actors_, [&](auto& item) {
      if (item.first.owner != gone) return false;
      ids_.erase(item.second.actor.get());
      orphans.push_back(std::move(item.second.actor));
      return true;
    });
  }
  for (const detail::actor_core_ptr& actor : orphans) {
    actor.get()->order_end(exit_reason::killed, "its owner has ended: " + cause, false);
  }
}

global_id actor_host::find(const detail::local_actor& actor) const {
  const std::lock_guard guard(mutex_);
  const auto at = ids_.find(&actor);
  return at != ids_.end() ? at->second : global_id{};
}

}  // namespace troupe::net
