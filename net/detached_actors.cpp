#include "net/detached_actors.hpp"

#include <utility>

#include <troupe/log.hpp>

#include "core/fault.hpp"

namespace troupe::net {

detached_actors::detached_actors(endpoint& net, const peer& node, detached_host& host)
    : here_(nullptr), host_(host), objects_(here_), desk_(here_), manager_(here_, desk_, objects_) {
  here_.net = &net;
  here_.node = node;
  here_.head = net.self();
  here_.deliver = [this](process_id to, message&& what) {
    return host_.deliver(to, std::move(what));
  };
  manager_.on_change = [this](const stored_life& now) { changed(now); };
}

detached_actors::~detached_actors() = default;

// -- what is stored -------------------------------------------------------------------------------

void detached_actors::recover(std::uint32_t life, std::vector<stored_actor>&& known,
                              const std::map<std::uint64_t, stored_life>& lives) {
  objects_.begin_after(std::uint64_t{life} << 32);
  for (stored_actor& one : known) {
    std::vector<blob> attachments;
    for (std::vector<std::byte>& bytes : one.attachments)
      attachments.emplace_back(std::move(bytes));
    const auto at = lives.find(one.local);
    begin_to_own(one, at != lives.end() ? &at->second : nullptr, attachments);
  }
}

void detached_actors::changed(const stored_life& now) {
  if (static_cast<actor_phase>(now.phase) == actor_phase::dead) return bury(now.local);
  host_.keep(put_row(store_table::lives, std::to_string(now.local),
                     actors_.at(now.local).class_name, now));
}

void detached_actors::bury(std::uint64_t local) {
  const auto at = actors_.find(local);
  if (at == actors_.end()) return;
  host_.hold_job(at->second.job, false);
  asked_.erase({at->second.asker, at->second.request});
  actors_.erase(at);
  host_.keep(remove_row(store_table::actors, std::to_string(local)));
  host_.keep(remove_row(store_table::lives, std::to_string(local)));
}

// -- adoption -------------------------------------------------------------------------------------

/// `life`: of one that the head has owned before; null: it is new.
global_id detached_actors::begin_to_own(const stored_actor& what, const stored_life* life,
                                        const std::vector<blob>& attachments) {
  const adopt_actor& order = what.order;
  actor_plan plan;
  plan.class_name = order.class_name;
  plan.constructor = order.constructor;
  plan.options = order.options;
  plan.lease = order.lease;
  plan.lease.job = order.job;
  // As they came: the head has no type of a user and cannot read them.
  plan.arguments = [arguments = order.arguments, attachments](process_id, message& carrier) {
    carrier.attachments = attachments;
    return arguments;
  };
  global_id id{here_.self(), what.local};
  if (what.local == 0) id = manager_.own(plan);
  actors_[id.local] = {what.asker, order.request, order.job, life != nullptr, order.class_name};
  asked_[{what.asker, order.request}] = id.local;
  host_.hold_job(order.job, true);
  if (what.local != 0) {
    stored_life fresh;
    fresh.local = id.local;
    fresh.restarts_left = order.options.max_restarts;
    manager_.take_up(id.local, std::move(plan), life != nullptr ? *life : fresh);
  }
  return id;
}

void detached_actors::adopt(process_id from, message&& what) {
  if (TROUPE_FAULT("head.exit_at_adoption")) core::exit_by_fault();
  stored_actor asked;
  asked.asker = from;
  asked.order = unpack<adopt_actor>(what);
  if (const auto known = asked_.find({from, asked.order.request}); known != asked_.end()) {
    // It asks another life of the head again.
    const actor& of = actors_.at(known->second);
    here_.send(from, name_reply{asked.order.request,
                                true,
                                of.class_name,
                                {here_.self(), known->second},
                                here_.net->self()});
    return;
  }
  const actor_options& options = asked.order.options;
  const global_id id = begin_to_own(asked, nullptr, what.attachments);
  asked.local = id.local;
  for (const blob& one : what.attachments) {
    asked.attachments.emplace_back(one.bytes().begin(), one.bytes().end());
  }
  host_.keep(put_row(store_table::actors, std::to_string(id.local), options.name, asked, true));
  host_.ask_name({id.local, options.in_namespace, options.name, asked.order.class_name, id,
                  here_.net->self()});
}

/// The control has given the name, or told who has it.
void detached_actors::named(const name_reply& reply) {
  const std::uint64_t local = reply.request;
  const auto at = actors_.find(local);
  if (at == actors_.end() || at->second.named) return;
  at->second.named = true;
  name_reply answer = reply;
  answer.request = at->second.request;
  const process_id asker = at->second.asker;
  const global_id id{here_.self(), local};
  if (reply.done) {
    answer.actor = id;
    answer.owner = here_.net->self();
    manager_.begin(id);
  } else {
    manager_.kill(local, exit_reason::out_of_scope, "its name is taken", false);
  }
  here_.send(asker, std::move(answer));
}

// -- messages -------------------------------------------------------------------------------------

void detached_actors::received(process_id from, message&& what) {
  switch (static_cast<kind>(what.kind)) {
    case kind::adopt_actor:
      adopt(from, std::move(what));
      break;
    case kind::lease_granted:
      if (TROUPE_FAULT("head.exit_at_grant")) core::exit_by_fault();
      desk_.on(from, unpack<lease_granted>(what));
      break;
    case kind::lease_refused:
      desk_.on(from, unpack<lease_refused>(what));
      break;
    case kind::lease_redirected:
      desk_.on(from, unpack<lease_redirected>(what));
      break;
    case kind::lease_revoked:
      manager_.on(from, unpack<lease_revoked>(what));
      break;
    case kind::refs_changed:
      objects_.on(from, unpack<refs_changed>(what));
      break;
    case kind::object_wanted:
      objects_.on(from, unpack<object_wanted>(what));
      break;
    case kind::actor_created:
      if (TROUPE_FAULT("head.exit_at_created")) core::exit_by_fault();
      manager_.on(from, unpack<actor_created>(what));
      break;
    case kind::actor_ended:
      manager_.on(from, unpack<actor_ended>(what));
      break;
    case kind::locate_actor:
      manager_.on(from, unpack<locate_actor>(what));
      break;
    case kind::kill_actor:
      manager_.on(from, unpack<kill_actor>(what));
      break;
    default:
      log::warn("a message of kind ", what.kind, " from process ", from,
                " is of no use to the head");
  }
}

void detached_actors::process_died(const net::process_died& what) {
  desk_.process_gone(what.process, what.cause);
  manager_.process_gone(what.process, what.cause);
  objects_.process_gone(what.process, what.cause);
}

}  // namespace troupe::net
