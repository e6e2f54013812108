#include "net/detached_actors.hpp"

#include <utility>

#include <troupe/log.hpp>

namespace troupe::net {

detached_actors::detached_actors(endpoint& net)
    : here_(nullptr), objects_(here_), desk_(here_), manager_(here_, desk_, objects_) {
  here_.net = &net;
  here_.node = net.self();
  here_.head = net.self();
}

detached_actors::~detached_actors() = default;

void detached_actors::adopt(process_id from, message&& what) {
  auto order = unpack<adopt_actor>(what);
  actor_plan plan;
  plan.class_name = order.class_name;
  plan.constructor = order.constructor;
  plan.options = order.options;
  plan.lease = std::move(order.lease);
  plan.lease.job = order.job;
  // As they came: the head has no type of a user and cannot read them.
  plan.arguments = [arguments = std::move(order.arguments),
                    attachments = std::move(what.attachments)](process_id, message& carrier) {
    carrier.attachments = attachments;
    return arguments;
  };
  const global_id actor = manager_.own(std::move(plan));
  const std::uint64_t request = ++last_request_;
  pending_[request] = {from, order.request, actor};
  here_.send(here_.self(), register_name{request, order.options.in_namespace, order.options.name,
                                         order.class_name, actor, here_.net->self()});
}

/// The control has given the name, or told who has it.
void detached_actors::named(const name_reply& reply) {
  const auto at = pending_.find(reply.request);
  if (at == pending_.end()) return;
  const pending asked = at->second;
  pending_.erase(at);
  name_reply answer = reply;
  answer.request = asked.request;
  if (reply.done) {
    answer.actor = asked.actor;
    answer.owner = here_.net->self();
    manager_.begin(asked.actor);
  } else {
    manager_.kill(asked.actor.local, exit_reason::out_of_scope, "its name is taken", false);
  }
  here_.send(asked.from, std::move(answer));
}

void detached_actors::received(process_id from, message&& what) {
  switch (static_cast<kind>(what.kind)) {
    case kind::adopt_actor:
      adopt(from, std::move(what));
      break;
    case kind::name_reply:
      named(unpack<name_reply>(what));
      break;
    case kind::lease_granted:
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
