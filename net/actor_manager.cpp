#include "net/actor_manager.hpp"

#include <utility>
#include <vector>

#include <troupe/log.hpp>

#include "net/failures.hpp"

namespace troupe::net {

using step = actor_life_state::step;

namespace {

/// So many names that became free are told again to another life of the head.
constexpr std::size_t most_released = 10'000;

}  // namespace

/// Guarded by the manager's mutex but for what does not change.
struct actor_manager::owned final : lease_client {
  owned(actor_manager& m, std::uint64_t id, actor_plan p)
      : manager(m), local(id), plan(std::move(p)), life(plan.options.max_restarts) {}
  owned(actor_manager& m, std::uint64_t id, actor_plan p, const stored_life& known)
      : manager(m),
        local(id),
        plan(std::move(p)),
        life(known.restarts_left, static_cast<actor_phase>(known.phase), known.incarnation,
             known.host),
        lease(known.lease),
        gpus(known.gpus),
        lease_node(known.lease_node),
        unconfirmed(known.host.id != 0) {}

  void granted(const lease_granted& what, process_id node) override {
    manager.change(local, [&](owned& self) {
      self.request = 0;
      self.lease = what.lease;
      self.gpus = what.gpus;
      self.lease_node = node;
      return self.life.placed(what.worker);
    });
  }
  void refused(const lease_refused& what) override {
    manager.change(local, [&](owned& self) {
      self.request = 0;
      return self.life.refused(what.text);
    });
  }

  actor_manager& manager;
  const std::uint64_t local;
  const actor_plan plan;
  actor_life_state life;
  std::set<process_id> watchers;
  std::uint64_t request = 0;
  lease_id lease = 0;
  std::vector<std::uint32_t> gpus;  ///< of that lease
  process_id lease_node = 0;
  bool unconfirmed = false;  ///< of an earlier life: nobody has said that its process lives
};

/// What is done without the lock.
struct actor_manager::work {
  struct creation {
    std::shared_ptr<owned> actor;
    peer host;
    std::uint32_t incarnation = 0;
    lease_id lease = 0;
    std::vector<std::uint32_t> gpus;
  };
  std::vector<creation> creations;
};

actor_manager::actor_manager(process& here, lease_desk& desk, object_sharing& sharing)
    : here_(here), desk_(desk), sharing_(sharing) {}

actor_manager::~actor_manager() = default;

global_id actor_manager::own(actor_plan plan) {
  const std::uint64_t local = sharing_.next_local();
  hold(local);
  const std::lock_guard guard(mutex_);
  actors_.emplace(local, std::make_shared<owned>(*this, local, std::move(plan)));
  return {here_.self(), local};
}

void actor_manager::hold(std::uint64_t local) {
  sharing_.own(local, [this, local] {
    change(local, [](owned& self) {
      return self.life.kill(static_cast<std::uint8_t>(exit_reason::out_of_scope),
                            "its last handle has gone", false);
    });
    // Let go of without the lock: its arguments may hold handles of other actors of this process.
    std::shared_ptr<owned> last;
    const std::lock_guard guard(mutex_);
    if (const auto at = actors_.find(local); at != actors_.end()) {
      last = std::move(at->second);
      actors_.erase(at);
    }
  });
  sharing_.count({here_.self(), local}, here_.self(), 1);
}

// -- another life of this process -----------------------------------------------------------------

void actor_manager::take_up(std::uint64_t local, actor_plan plan, const stored_life& life) {
  hold(local);
  const bool placed = life.host.id != 0;
  {
    const std::lock_guard guard(mutex_);
    actors_.emplace(local, std::make_shared<owned>(*this, local, std::move(plan), life));
  }
  if (placed) {
    here_.net->learn(life.host);
  } else {
    begin({here_.self(), local});
  }
}

void actor_manager::confirm(process_id host) {
  work outside;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [local, actor] : actors_) {
      if (!actor->unconfirmed || actor->life.host().id != host) continue;
      actor->unconfirmed = false;
      outside.creations.push_back(
          {actor, actor->life.host(), actor->life.incarnation(), actor->lease, actor->gpus});
    }
  }
  finish(outside);
}

void actor_manager::lose_unconfirmed(const std::set<process_id>& living) {
  std::set<process_id> lost;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [local, actor] : actors_) {
      if (actor->unconfirmed && living.count(actor->life.host().id) == 0) {
        lost.insert(actor->life.host().id);
      }
    }
  }
  for (const process_id one : lost) process_gone(one, "it ended while the head was away");
}

std::vector<lease_id> actor_manager::leases_of(process_id node) const {
  std::vector<lease_id> result;
  const std::lock_guard guard(mutex_);
  for (const auto& [local, actor] : actors_) {
    if (actor->lease != 0 && actor->lease_node == node) result.push_back(actor->lease);
  }
  return result;
}

void actor_manager::head_renewed() {
  const std::lock_guard guard(mutex_);
  for (const release_name& one : released_) here_.send(here_.head.id, one);
}

// -- lives ----------------------------------------------------------------------------------------

void actor_manager::begin(global_id actor) {
  change(actor.local, [](owned& self) { return self.life.begin(); });
}

template <class F>
void actor_manager::change(std::uint64_t actor, F&& f) {
  work outside;
  {
    const std::lock_guard guard(mutex_);
    const auto at = actors_.find(actor);
    if (at == actors_.end()) return;
    owned& self = *at->second;
    const peer host = self.life.host();
    const std::uint32_t incarnation = self.life.incarnation();
    const auto steps = f(self);
    carry_out(self, steps, host, incarnation, outside);
    if (on_change && !steps.empty()) {
      on_change({self.local, self.life.incarnation(), self.life.restarts_left(),
                 static_cast<std::uint8_t>(self.life.phase()), self.life.host(), self.lease,
                 self.lease_node, self.gpus});
    }
  }
  finish(outside);
}

actor_at actor_manager::tell(const owned& of) const {
  actor_at where;
  where.actor = of.local;
  where.incarnation = of.life.incarnation();
  where.phase = of.life.phase();
  where.host = of.life.host();
  where.reason = of.life.reason();
  where.text = of.life.text();
  where.max_task_retries = of.plan.options.max_task_retries;
  return where;
}

void actor_manager::carry_out(owned& of, const actor_life_state::steps& steps,
                              const peer& host_before, std::uint32_t incarnation_before,
                              work& outside) {
  for (const step one : steps) {
    switch (one) {
      case step::ask_lease: {
        request_lease wanted = of.plan.lease;
        wanted.job = of.plan.lease.job;
        of.request = desk_.ask(std::move(wanted), of);
        break;
      }
      case step::create:
        outside.creations.push_back(
            {actors_.at(of.local), of.life.host(), of.life.incarnation(), of.lease, of.gpus});
        break;
      case step::end_life:
        here_.send(
            host_before.id,
            end_actor{
                {here_.self(), of.local}, incarnation_before, of.life.reason(), of.life.text()});
        break;
      case step::give_lease:
        if (of.request != 0) desk_.withdraw(std::exchange(of.request, 0));
        if (of.lease != 0) here_.send(of.lease_node, return_lease{std::exchange(of.lease, 0)});
        break;
      case step::publish: {
        const actor_at where = tell(of);
        for (const process_id watcher : of.watchers) here_.send(watcher, where);
        break;
      }
      case step::bury:
        if (!of.plan.options.name.empty()) {
          released_.push_back(
              {of.plan.options.in_namespace, of.plan.options.name, {here_.self(), of.local}});
          if (released_.size() > most_released) released_.pop_front();
          here_.send(here_.head.id, released_.back());
        }
        break;
    }
  }
}

void actor_manager::finish(work& outside) {
  for (work::creation& one : outside.creations) {
    here_.net->learn(one.host);
    message carrier;
    create_actor order;
    order.actor = {here_.self(), one.actor->local};
    order.incarnation = one.incarnation;
    order.lease = one.lease;
    order.gpus = one.gpus;
    order.constructor = one.actor->plan.constructor;
    order.class_name = one.actor->plan.class_name;
    order.options = one.actor->plan.options;
    try {
      order.arguments = one.actor->plan.arguments(one.host.id, carrier);
    } catch (const std::exception& e) {
      kill(one.actor->local, exit_reason::constructor_threw,
           std::string("its arguments cannot be archived: ") + e.what(), false);
      continue;
    }
    message packed = pack(std::move(order));
    packed.attachments = std::move(carrier.attachments);
    here_.send_message(one.host.id, std::move(packed));
  }
}

void actor_manager::kill(std::uint64_t actor, exit_reason reason, const std::string& text,
                         bool may_restart) {
  change(actor, [&](owned& self) {
    return self.life.kill(static_cast<std::uint8_t>(reason), text, may_restart);
  });
}

// -- messages -------------------------------------------------------------------------------------

void actor_manager::on(process_id from, const locate_actor& what) {
  const std::lock_guard guard(mutex_);
  const auto at = actors_.find(what.actor);
  if (at == actors_.end()) {
    actor_at gone;
    gone.actor = what.actor;
    gone.phase = actor_phase::dead;
    gone.reason = static_cast<std::uint8_t>(exit_reason::out_of_scope);
    gone.text = "it has ended before";
    here_.send(from, std::move(gone));
    return;
  }
  at->second->watchers.insert(from);
  here_.send(from, tell(*at->second));
}

void actor_manager::on(process_id, const actor_created& what) {
  std::string why;
  if (what.result.failed) {
    const archived_failure& f = what.result.failure;
    why = f.message.empty() ? "its constructor threw " + f.thrown_type + ": " + f.told : f.message;
  }
  change(what.actor.local, [&](owned& self) {
    return self.life.created(what.incarnation, !what.result.failed, why);
  });
}

void actor_manager::on(process_id, const actor_ended& what) {
  change(what.actor.local, [&](owned& self) {
    return self.life.ended(what.incarnation, what.reason, what.text,
                           what.reason == static_cast<std::uint8_t>(exit_reason::failed));
  });
}

void actor_manager::on(process_id, const kill_actor& what) {
  change(what.actor, [&](owned& self) {
    const bool over =
        !what.no_restart && what.incarnation != 0 && what.incarnation < self.life.incarnation();
    if (over) return actor_life_state::steps{};
    return self.life.kill(what.reason, what.text, !what.no_restart);
  });
}

void actor_manager::on(process_id from, const lease_revoked& what) {
  std::uint64_t actor = 0;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [local, one] : actors_) {
      if (one->lease != what.lease || one->lease_node != from) continue;
      one->lease = 0;  // there is nothing to give back
      actor = local;
    }
  }
  if (actor != 0) kill(actor, exit_reason::killed, what.why, false);
}

void actor_manager::process_gone(process_id gone, const std::string& cause) {
  std::vector<std::uint64_t> all;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [local, actor] : actors_) {
      actor->watchers.erase(gone);
      if (actor->life.host().id == gone || actor->lease_node == gone) all.push_back(local);
    }
  }
  for (const std::uint64_t local : all) {
    change(local, [&](owned& self) {
      const process_id lost = self.life.host().id;
      if (lost != gone && self.lease_node != gone) return actor_life_state::steps{};
      self.lease = 0;
      return self.life.process_gone(lost, cause);
    });
  }
}

void actor_manager::end_all() {
  std::vector<std::uint64_t> all;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [local, actor] : actors_) all.push_back(local);
  }
  for (const std::uint64_t local : all) {
    kill(local, exit_reason::shutdown, "the runtime was shut down", false);
  }
}

std::size_t actor_manager::living() const {
  const std::lock_guard guard(mutex_);
  std::size_t count = 0;
  for (const auto& [local, actor] : actors_) {
    if (actor->life.phase() != actor_phase::dead) ++count;
  }
  return count;
}

}  // namespace troupe::net
