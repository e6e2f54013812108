// The half of control_state that takes up what an earlier life of the head has left.
#include <algorithm>
#include <iterator>

#include "net/control_state.hpp"

namespace troupe::net {
namespace {

/// So many of those that died last are told to who returns.
constexpr std::size_t most_obituaries = 4'096;

}  // namespace

void control_state::recover(time now, stored_cluster&& known,
                            const std::vector<stored_actor>& detached) {
  for (process_died& one : known.dead) {
    dead_.insert(one.process);
    effects_.emplace_back(forget_process{one.process});
    obituaries_.push_back(std::move(one));
  }
  for (auto& [id, info] : known.nodes) awaited_[id].info = std::move(info);
  for (const auto& [process, at] : known.processes) {
    const auto of = awaited_.find(at);
    if (of != awaited_.end()) of->second.processes.insert(process);
  }
  for (stored_job& one : known.jobs) {
    const job_id id = one.started.job;
    if (!one.ended) drivers_.emplace(one.started.driver.id, id);
    (one.ended ? ended_jobs_ : jobs_).emplace(id, job{std::move(one.started)});
  }
  next_job_ = known.next_job;
  const auto is_over = [&](const stored_name& one) {
    return one.owner.id == settings_.self.id &&
           std::none_of(detached.begin(), detached.end(),
                        [&](const stored_actor& actor) { return actor.local == one.actor.local; });
  };
  for (stored_name& one : known.names) {
    if (is_over(one)) {  // the head died before it had stored that the name is free again
      keep(remove_row(store_table::names, key_of(one.in_namespace, one.name)));
      continue;
    }
    names_.emplace(std::pair(std::move(one.in_namespace), std::move(one.name)),
                   name{std::move(one.class_name), one.actor, std::move(one.owner)});
  }
  groups_.recover(settings_.life, std::move(known.groups));
  recovering_ = settings_.life > 1;
  awaited_until_ = now + settings_.node_timeout;
  view_changed();
  if (!recovering_) return;
  note(log_level::info, "the head begins its life " + std::to_string(settings_.life) + ": " +
                            std::to_string(awaited_.size()) + " nodes are awaited, " +
                            std::to_string(jobs_.size()) + " jobs and " +
                            std::to_string(names_.size()) + " names are known");
}

void control_state::welcome_back(time now, process_id who, const awaited_node& before,
                                 const std::vector<process_id>& processes) {
  joined answer;
  answer.returning = true;
  for (const auto& [id, living] : jobs_) answer.jobs.push_back(id);
  for (const auto& [id, ended] : ended_jobs_) answer.held.push_back(id);
  send(who, std::move(answer));
  for (const process_died& one : obituaries_) send(who, one);
  tell_of_jobs(who);
  for (const process_id one : processes) {
    if (!dead_.contains(one)) nodes_.at(who).processes.insert(one);
    if (before.processes.count(one) == 0) {
      keep(put_row(store_table::processes, key_of(one), before.info.name, who));
    }
  }
  for (const process_id one : before.processes) {
    if (nodes_.at(who).processes.count(one) != 0) continue;
    declare_dead(now, one, "it ended while the head was away", false);
  }
  effects_.emplace_back(node_back{who, processes});
}

void control_state::give_up_awaited(time now, process_id who, const std::string& cause) {
  const auto found = awaited_.find(who);
  const awaited_node gone = std::move(found->second);
  awaited_.erase(found);
  gone_.push_back(who);
  keep(remove_row(store_table::nodes, key_of(who)));
  note(log_level::warn, "node '" + gone.info.name + "' is gone: " + cause);
  declare_dead(now, who, cause, false);
  for (const process_id of_it : gone.processes) {
    declare_dead(now, of_it, "its node '" + gone.info.name + "' is gone (" + cause + ")", false);
  }
  groups_.node_gone(now, who);
  view_changed();
}

void control_state::look_after_awaited(time now) {
  if (now < awaited_until_ && !awaited_.empty()) return;
  recovering_ = false;
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(settings_.node_timeout).count();
  while (!awaited_.empty()) {
    give_up_awaited(now, awaited_.begin()->first,
                    "it did not come back within " + std::to_string(seconds) +
                        " s to the head that was started again");
  }
  std::set<process_id> living;
  for (const auto& [id, n] : nodes_) living.insert(n.processes.begin(), n.processes.end());
  // Of these no node has ever told, and none speaks for them now.
  std::vector<process_id> lost;
  for (const auto& [driver, of] : drivers_) {
    if (living.count(driver) == 0) lost.push_back(driver);
  }
  for (const auto& [key, of] : names_) {
    if (of.owner.id != settings_.self.id && living.count(of.owner.id) == 0) {
      lost.push_back(of.owner.id);
    }
  }
  for (const process_id one : lost) {
    declare_dead(now, one, "it ended while the head was away", false);
  }
  // The earlier life died between the end of its last detached actor and this.
  std::vector<job_id> over;
  for (const auto& [id, of] : ended_jobs_) {
    if (of.held == 0) over.push_back(id);
  }
  for (const job_id id : over) job_over(now, id);
  effects_.emplace_back(recovery_over{std::move(living)});
}

void control_state::remember_dead(const process_died& news) {
  obituaries_.push_back(news);
  keep(put_row(store_table::dead, key_of(news.process), news.cause, news));
  if (obituaries_.size() <= most_obituaries) return;
  keep(remove_row(store_table::dead, key_of(obituaries_.front().process)));
  obituaries_.pop_front();
}

}  // namespace troupe::net
