#include "net/task_owner.hpp"

#include <optional>
#include <utility>

namespace troupe::net {

std::uint64_t lease_desk::ask(request_lease what, lease_client& who, process_id near) {
  const process_id first = near != 0 && !what.group ? near : first_of(what);
  std::uint64_t number = 0;
  bool cut_off = false;
  {
    const std::lock_guard guard(mutex_);
    what.home = here_.home();
    what.outlives_job = here_.outlives_job;
    what = requests_.ask(std::move(what), &who, first);
    number = what.request;
    // To the head this process is dead as well, and it would not answer.
    cut_off = requests_.is_gone(here_.node.id);
  }
  const auto refuse_later = [this, number] {
    here_.net->post([this, number] { refuse(number, "the node of this process is gone"); });
    return number;
  };
  if (cut_off) return refuse_later();
  if (here_.send(first, std::move(what))) return number;
  if (first == here_.head.id) return number;  // it is asked again when the head is there
  if (first != near || near == here_.node.id) return refuse_later();
  // It is gone: the request begins anew, as those that lay there have.
  here_.net->post([this, near] { process_gone(near, "it has ended"); });
  return number;
}

process_id lease_desk::first_of(const request_lease& what) const {
  return what.group ? here_.head.id : here_.node.id;
}

void lease_desk::refuse(std::uint64_t request, const std::string& why) {
  std::optional<lease_client*> who;
  {
    const std::lock_guard guard(mutex_);
    who = requests_.answered(request);
  }
  if (who) (*who)->refused({request, refusal::shutting_down, why});
}

void lease_desk::withdraw(std::uint64_t request) {
  std::optional<process_id> at;
  {
    const std::lock_guard guard(mutex_);
    at = requests_.withdraw(request);
  }
  if (at) here_.send(*at, cancel_request{request});
}

void lease_desk::on(process_id from, const lease_granted& what) {
  here_.net->learn(what.worker);
  const bool unknown = !here_.net->find(what.worker.id);
  std::optional<lease_client*> who;
  std::optional<request_lease> again;
  {
    const std::lock_guard guard(mutex_);
    if (unknown || requests_.is_gone(what.worker.id)) {
      again = requests_.granted_in_vain(what.request, here_.node.id, here_.head.id);
    } else {
      who = requests_.answered(what.request);
    }
  }
  if (again) {
    const process_id first = first_of(*again);
    here_.send(first, std::move(*again));
  }
  if (!who) {
    here_.send(from, return_lease{what.lease});
    return;
  }
  (*who)->granted(what, from);
}

void lease_desk::on(process_id from, const lease_refused& what) {
  std::optional<lease_client*> who;
  std::optional<request_lease> again;
  {
    const std::lock_guard guard(mutex_);
    // It may have begun again meanwhile, because that node ends or was not heard of.
    if (!requests_.lies_with(from, what.request)) return;
    if (what.why == refusal::shutting_down) {
      again = requests_.turned_away(from, what.request, here_.node.id);
    }
    if (!again) who = requests_.answered(what.request);
  }
  if (again) here_.send(here_.node.id, std::move(*again));
  if (who) (*who)->refused(what);
}

void lease_desk::on(process_id from, const lease_redirected& what) {
  std::optional<lease_request_state<lease_client*>::errand> next;
  {
    const std::lock_guard guard(mutex_);
    next = requests_.redirected(from, what.request, what.node.id, here_.node.id, here_.head.id,
                                what.located);
  }
  if (!next) return;
  if (next->to == what.node.id) here_.net->learn(what.node);
  if (here_.send(next->to, std::move(next->what)) || next->to != what.node.id) return;
  process_gone(what.node.id, "it cannot be reached");
}

void lease_desk::head_renewed() { process_gone(here_.head.id, "it was started again"); }

void lease_desk::process_gone(process_id gone, const std::string& cause) {
  lease_request_state<lease_client*>::after_loss lost;
  {
    const std::lock_guard guard(mutex_);
    lost = requests_.process_gone(gone, here_.node.id, here_.head.id);
  }
  for (request_lease& request : lost.again) {
    const process_id first = first_of(request);
    here_.send(first, std::move(request));
  }
  for (const std::uint64_t number : lost.hopeless) {
    refuse(number, "the node of this process is gone: " + cause);
  }
}

}  // namespace troupe::net
