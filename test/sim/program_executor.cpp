// The executor in a simulated process: runs tasks in leases, as `net/task_executor.cpp` does.
#include <utility>

#include "test/sim/program.hpp"
#include "test/sim/program_running.hpp"
#include "test/sim/simulation.hpp"

namespace troupe::sim {
namespace {

enum record : std::uint64_t { task_runs = 41 };

std::string name_of(process_id id) { return std::to_string(id % 1'000'000); }

}  // namespace

void program::on(process_id, const net::open_lease& what) {
  if (what.outlives_job) outlives_job_ = true;
  auto& made = leases_[what.lease] = std::make_shared<lease>();
  made->capacity = std::make_unique<net::lease_capacity>(
      [this, id = what.lease](net::lease_capacity::wish wish) {
        if (wish == net::lease_capacity::wish::suspend) {
          net_.send(node_, net::suspend_lease{id});
        } else {
          net_.send(node_, net::resume_lease{id});
        }
      });
  // Its queue's shapes: all of it, and its CPUs.
  made->whole = 1;
  made->cpus = what.granted.size() == 1 && what.granted.front().first == "CPU" ? 1 : 2;
  made->capacity->set_shapes(made->whole, made->cpus);
  const auto early = early_.find(what.lease);
  if (early == early_.end()) return;
  const auto tasks = std::move(early->second);
  early_.erase(early);
  for (const auto& [from, one] : tasks) start(from, one, made);
}

void program::on(process_id, const net::close_lease& what) {
  early_.erase(what.lease);
  leases_.erase(what.lease);  // what runs in it keeps it
}

void program::on(process_id, const net::lease_resumed& what) {
  const auto at = leases_.find(what.lease);
  if (at != leases_.end()) at->second->capacity->resumed();
}

void program::on(process_id from, const net::run_task& what) {
  const auto at = leases_.find(what.lease);
  if (at == leases_.end()) {
    early_[what.lease].emplace_back(from, what);
    return;
  }
  start(from, what, at->second);
}

void program::start(process_id from, const net::run_task& what, std::shared_ptr<lease> under) {
  const net::global_id key{from, what.task};
  if (running_.contains(key)) throw violation("a task was sent to a worker that runs it already");
  auto& made = running_[key] = std::make_unique<running>(*this, key, std::move(under), what);
  const auto order = sim_.orders.find(key);
  if (order != sim_.orders.end()) made->order = order->second;
  made->under->capacity->request(*made, made->under->whole, core::grant_order::normal);
}

/// It has its turn: to begin, or to go on.
void program::granted(running& what) {
  what.state = running::phase::working;
  const duration takes =
      what.draw.skewed(50us, what.draw.chance(0.03) ? duration(2s) : duration(20ms));
  if (!what.has_begun) {
    what.has_begun = true;
    // By its own event: this may be called from anywhere, and what it finds may be fatal.
    later(0ns, [key = what.key, step = what.step](program& self) {
      const auto at = self.running_.find(key);
      if (at == self.running_.end() || at->second->step != step) return;
      self.sim_.w.record(task_runs, key.owner, key.local, [&] {
        return name_of(self.id()) + " runs task " + std::to_string(key.local) + " of " +
               name_of(key.owner);
      });
      self.sim_.watch.began(key);
      const running& begun = *at->second;
      const auto& made = begun.order;
      if (made && !made->reads) {
        self.sim_.watch.maker_runs(made->version, made->most, key, begun.attempt);
      }
    });
  }
  later(takes, [key = what.key, step = what.step](program& self) {
    const auto at = self.running_.find(key);
    if (at != self.running_.end() && at->second->step == step) self.proceed(*at->second);
  });
}

void program::proceed(running& what) {
  if (what.order) {
    if (what.cancelled || what.marker != 0)
      return finish(what, what.cancelled || what.order_failed);
    return carry_out_order(what);
  }
  const bool again = what.draw.chance(0.3);
  if (what.cancelled || !again || what.depth >= deepest) {
    return finish(what, what.draw.chance(0.03));
  }
  // It has other tasks run, and waits for them.
  const std::int64_t children = what.draw.between(1, 4);
  for (std::int64_t i = 0; i < children; ++i) {
    what.children.insert(submit(what.draw, what.depth + 1, what.key));
  }
  what.state = running::phase::blocked;
  ++what.step;
  what.under->capacity->lend(what.under->cpus);
}

/// It makes a value, or reads one: meanwhile others may have its CPUs.
void program::carry_out_order(running& what) {
  const net::global_id key = what.key;
  const std::uint64_t marker = what.marker = next_number();
  what.children.insert(marker);
  what.state = running::phase::blocked;
  ++what.step;
  what.under->capacity->lend(what.under->cpus);
  const value_order order = *what.order;
  if (order.reads) {
    values_.read(order, [key, marker](program& self, bool succeeded) {
      self.order_ended(key, marker, !succeeded, {});
    });
  } else {
    values_.make(order, [key, marker](program& self, net::stored_id made) {
      self.order_ended(key, marker, !made, made);
    });
  }
}

void program::order_ended(net::global_id key, std::uint64_t marker, bool failed,
                          net::stored_id made) {
  const auto at = running_.find(key);
  if (at == running_.end() || at->second->marker != marker) return;
  at->second->order_failed = failed;
  if (made) sim_.results[{key, id()}] = made;
  at->second->children.erase(marker);
  child_ended(key);
}

void program::child_ended(net::global_id parent) {
  running& of = *running_.at(parent);
  if (!of.children.empty() || of.state != running::phase::blocked) return;
  of.state = running::phase::resuming;
  of.under->capacity->request(of, of.under->cpus, core::grant_order::resume);
}

void program::finish(running& what, bool failed) {
  const net::global_id key = what.key;
  const std::shared_ptr<lease> under = what.under;
  const auto at = running_.find(key);
  finished_.push_back(std::move(at->second));
  running_.erase(at);
  net::task_done answer;
  answer.task = key.local;
  answer.result.failed = failed;
  // Now and then a reply is lost after the work was done.
  net_.send(key.owner, std::move(answer));
  later(0ns, [](program& self) { self.finished_.clear(); });
  under->capacity->release(under->whole, {});
}

/// A cancel, or its owner is gone: it ends as soon as it can.
void program::stop(running& what) {
  if (std::exchange(what.cancelled, true)) return;
  switch (what.state) {
    case running::phase::waiting: {
      if (!what.under->capacity->withdraw(what)) return;
      const net::global_id key = what.key;
      running_.erase(key);
      net::task_done answer;
      answer.task = key.local;
      answer.result.failed = true;
      net_.send(key.owner, std::move(answer));
      break;
    }
    case running::phase::working: {
      const std::uint64_t step = what.step;
      later(random_.time(0ns, 5ms), [key = what.key, step](program& self) {
        const auto at = self.running_.find(key);
        if (at == self.running_.end() || at->second->step != step) return;
        ++at->second->step;
        self.finish(*at->second, true);
      });
      break;
    }
    case running::phase::blocked:
      for (const std::uint64_t child : std::set(what.children)) cancel(child);
      break;
    case running::phase::resuming:
      break;
  }
}

void program::on(process_id from, const net::cancel_task& what) {
  const auto at = running_.find({from, what.task});
  if (at != running_.end()) stop(*at->second);
}

}  // namespace troupe::sim
