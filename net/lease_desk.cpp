#include "net/task_owner.hpp"

namespace troupe::net {

std::uint64_t lease_desk::ask(request_lease what, lease_client& who) {
  std::uint64_t number = 0;
  {
    const std::lock_guard guard(mutex_);
    number = what.request = ++last_;
    open_[number] = {what, &who, here_.node.id};
  }
  if (!here_.send(here_.node.id, std::move(what))) {
    here_.net->post([this, number] { refuse(number, "the node of this process is gone"); });
  }
  return number;
}

void lease_desk::refuse(std::uint64_t request, const std::string& why) {
  on(here_.node.id, lease_refused{request, refusal::shutting_down, why});
}

void lease_desk::withdraw(std::uint64_t request) {
  process_id at = 0;
  {
    const std::lock_guard guard(mutex_);
    const auto found = open_.find(request);
    if (found == open_.end()) return;
    at = found->second.at;
    open_.erase(found);
  }
  here_.send(at, cancel_request{request});
}

void lease_desk::on(process_id from, const lease_granted& what) {
  lease_client* who = nullptr;
  {
    const std::lock_guard guard(mutex_);
    if (const auto found = open_.find(what.request); found != open_.end()) {
      who = found->second.who;
      open_.erase(found);
    }
  }
  here_.net->learn(what.worker);
  if (who == nullptr) {
    here_.send(from, return_lease{what.lease});
    return;
  }
  who->granted(what, from);
}

void lease_desk::on(process_id, const lease_refused& what) {
  lease_client* who = nullptr;
  {
    const std::lock_guard guard(mutex_);
    if (const auto found = open_.find(what.request); found != open_.end()) {
      who = found->second.who;
      open_.erase(found);
    }
  }
  if (who != nullptr) who->refused(what);
}

void lease_desk::on(process_id from, const lease_redirected& what) {
  request_lease next;
  {
    const std::lock_guard guard(mutex_);
    const auto found = open_.find(what.request);
    if (found == open_.end() || found->second.at != from) return;
    ++found->second.what.redirections;
    found->second.at = what.node.id;
    next = found->second.what;
  }
  here_.net->learn(what.node);
  here_.send(what.node.id, std::move(next));
}

void lease_desk::process_gone(process_id gone, const std::string& cause) {
  std::vector<request_lease> again;
  std::vector<std::uint64_t> hopeless;
  {
    const std::lock_guard guard(mutex_);
    for (auto& [number, request] : open_) {
      if (request.at != gone) continue;
      if (gone == here_.node.id) {
        hopeless.push_back(number);
        continue;
      }
      request.at = here_.node.id;
      request.what.redirections = 0;
      again.push_back(request.what);
    }
  }
  for (request_lease& request : again) here_.send(here_.node.id, std::move(request));
  for (const std::uint64_t number : hopeless) {
    refuse(number, "the node of this process is gone: " + cause);
  }
}

}  // namespace troupe::net
