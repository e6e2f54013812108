// What the program of a simulated driver does, and the tasks that it and its tasks submit.
#include "test/sim/program.hpp"
#include "test/sim/program_running.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

constexpr std::size_t most_pending = 2'000;

}  // namespace

void program::work() {
  if (leaving_) return;
  if (node_lost_ || !may_submit_) {
    actors_.go_on_putting_away();
    groups_.remove_all();
    const bool idle = tasks_.empty() && !actors_.has_pending() && !groups_.has_pending() &&
                      !values_.has_pending();
    if (idle) return leave();
  } else if (tasks_.size() < most_pending) {
    const std::int64_t burst =
        random_.chance(0.1) ? random_.between(20, 200) : random_.between(1, 5);
    for (std::int64_t i = 0; i < burst; ++i) submit(random_, 0, {});
    actors_.work(random_);
    groups_.work(random_);
    values_.work(random_);
    if (random_.chance(0.02)) actors_.let_go();
    if (random_.chance(0.1) && !tasks_.empty()) {
      auto at = tasks_.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(random_.below(tasks_.size())));
      cancel(at->first);
    }
  }
  later(random_.skewed(2ms, 500ms), [](program& self) { self.work(); });
}

std::uint64_t program::submit(rng& draw, std::uint64_t depth, net::global_id parent) {
  shape what;
  const core::resource_set& most = sim_.machines.front().total;
  // A task that waits keeps its GPUs: what it waits for must not need any, or both wait for ever.
  const std::int64_t gpus = depth == 0 ? most.get("GPU").units() : 0;
  switch (draw.below(8)) {
    case 0:
      what.wanted = {{"CPU", 5'000}};
      break;
    case 1:
      if (most.get("CPU").units() >= 20'000) what.wanted = {{"CPU", 20'000}};
      break;
    case 2:
      if (gpus > 0) what.wanted = {{"CPU", 10'000}, {"GPU", draw.chance(0.5) ? 10'000 : 2'500}};
      break;
    case 3:
      if (gpus > 10'000) what.wanted = {{"GPU", 20'000}};
      break;
    default:
      break;
  }
  if (what.wanted.empty()) what.wanted = {{"CPU", 10'000}};
  what.isolated = draw.chance(0.02);
  what.spread = draw.chance(0.1);
  return submit(what, draw, depth, parent);
}

void program::submit_in(net::global_id group, std::int32_t bundle, net::demand wanted, rng& draw) {
  shape what;
  what.wanted = std::move(wanted);
  what.group = group;
  what.bundle = bundle;
  submit(what, draw, 0, {});
}

std::uint64_t program::submit(const shape& what, rng& draw, std::uint64_t depth,
                              net::global_id parent) {
  const std::uint64_t function = (draw.next() << 4U) | depth;
  constexpr std::int32_t retries[] = {0, 0, 3, 3, 3, 1, -1, 10};
  return submit(what, retries[draw.below(8)], 0, function, parent);
}

std::uint64_t program::submit_value(const value_order& what, std::int32_t max_retries,
                                    std::int32_t attempt, rng& draw) {
  shape where;
  where.wanted = {{"CPU", draw.chance(0.5) ? 5'000 : 10'000}};
  where.spread = draw.chance(0.5);
  return submit(where, max_retries, attempt, (draw.next() << 4U) | deepest, {}, &what);
}

std::uint64_t program::submit(const shape& what, std::int32_t max_retries, std::int32_t attempt,
                              std::uint64_t function, net::global_id parent,
                              const value_order* order) {
  const std::uint64_t number = next_number();
  if (order != nullptr) sim_.orders[{id(), number}] = *order;
  auto& added = tasks_[number] = std::make_unique<task>();
  added->id = number;
  added->function = function;
  added->home = &line_of(what);
  added->max_retries = max_retries;
  added->attempt = attempt;
  added->parent = parent;
  added->submitted = sim_.w.now();
  sim_.watch.submitted({id(), number}, added->max_retries);
  added->home->waiting.push_back(added.get());
  pump(*added->home);
  return number;
}

}  // namespace troupe::sim
