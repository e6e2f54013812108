// What a simulated process waits for, and where that is.
#include <algorithm>

#include "test/sim/program.hpp"
#include "test/sim/program_running.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

/// By when everybody has heard of a death, whatever happens to the network meanwhile.
constexpr auto news_take_at_most = 60s;

std::string name_of(process_id id) { return std::to_string(id % 1'000'000); }

}  // namespace

std::string program::waits_for() const {
  if (tasks_.empty()) return actors_.waits_for() + groups_.waits_for() + values_.waits_for();
  return std::to_string(tasks_.size()) + " tasks; " + where_is(tasks_.begin()->first);
}

std::string program::where_is(std::uint64_t number, int depth) const {
  std::string text = "\n    task " + std::to_string(number) + " of process " + name_of(id());
  const auto at = tasks_.find(number);
  if (at == tasks_.end()) return text + " has ended";
  const task& what = *at->second;
  if (what.cancelled) text += ", cancelled,";
  const auto where = flights_.find(number);
  if (!where) {
    text += " waits for a lease of " + std::to_string(what.home->what.wanted.size()) + " resources";
    if (what.home->what.isolated) text += ", alone in its process";
    if (!what.home->asking) return text + ", and nobody asks for one";
    return text + ", which was asked for; " + std::to_string(what.home->leases.size()) +
           " others are held";
  }
  const process_id worker = where->by->worker;
  text += " is in lease " + std::to_string(where->by->id) + " of process " + name_of(worker);
  const auto host = sim_.programs.find(worker);
  if (host == sim_.programs.end()) return text + ", which is dead";
  const program& there = *host->second;
  const auto run = there.running_.find({id(), number});
  if (run == there.running_.end()) {
    const bool early = there.early_.contains(where->by->id);
    return text + (early ? ", which is not open there" : ", which does not know it");
  }
  constexpr const char* phases[] = {"waits for its turn", "works", "is blocked", "wants to go on"};
  text += ", where it " + std::string(phases[static_cast<int>(run->second->state)]);
  if (run->second->cancelled) text += ", cancelled";
  if (!there.leases_.contains(where->by->id)) text += ", and the lease is closed";
  if (run->second->state == running::phase::waiting) {
    for (const auto& [key, other] : there.running_) {
      if (other->under != run->second->under || other->state == running::phase::waiting) continue;
      text += "; in the same lease, task " + std::to_string(key.local) + " of process " +
              name_of(key.owner) + " " + phases[static_cast<int>(other->state)];
      const auto owner = sim_.programs.find(key.owner);
      if (depth < 12 && owner != sim_.programs.end()) {
        text += owner->second->where_is(key.local, depth + 1);
      }
      break;
    }
  }
  if (run->second->marker != 0) return text + "; there: " + there.values_.waits_for();
  if (depth < 12 && !run->second->children.empty()) {
    text += there.where_is(*run->second->children.begin(), depth + 1);
  }
  return text;
}

void program::check_nothing_waits_on_the_dead() {
  if (!sim_.head_lives()) return;
  for (const auto& [what, of] : lines_) {
    for (const auto& one : of->leases) {
      if (one->in_flight == 0 || sim_.programs.contains(one->worker)) continue;
      const time since = dead_.emplace(one->worker, sim_.w.now()).first->second;
      // News of deaths are the head's: while there is none, and before it knows, they wait.
      if (sim_.w.now() - std::max(since, sim_.head_began()) > news_take_at_most) {
        throw violation("process " + name_of(id()) + " waits for tasks in process " +
                        name_of(one->worker) + ", which has been dead for long");
      }
    }
  }
}

}  // namespace troupe::sim
