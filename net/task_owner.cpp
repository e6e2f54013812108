#include "net/task_owner.hpp"

#include <chrono>
#include <utility>

#include <troupe/detail/stored_options.hpp>
#include <troupe/error.hpp>
#include <troupe/generator.hpp>

#include "core/fault.hpp"
#include "net/cluster_groups.hpp"
#include "net/demand.hpp"
#include "net/failures.hpp"
#include "net/lineage.hpp"

namespace troupe::net {

namespace {

using clock = std::chrono::steady_clock;

/// How long a lease without work is kept for the next task of its shape.
constexpr auto idle_lease = std::chrono::milliseconds(10);

const options defaults;

const options& options_of(const detail::task& task) {
  return task.stored() != nullptr ? task.stored()->get() : defaults;
}

}  // namespace

/// One queue's leases. Guarded by the owner's mutex but where it says so.
class task_owner::line final : public lease_client, public task_owner::state::line {
 public:
  line(task_owner& o, tasks::remote_queue& q) : owner(o), queue(q) {}

  void granted(const lease_granted& what, process_id node) override {
    std::vector<departure> leaving;
    {
      const std::lock_guard guard(owner.mutex_);
      state::lease& fresh = owner.flights_.granted(*this, what.lease, node, what.worker.id);
      owner.pump(*this, leaving);
      watch_idle(fresh);
    }
    owner.send(leaving);
  }

  void refused(const lease_refused& what) override {
    std::vector<detail::task*> hopeless;
    {
      const std::lock_guard guard(owner.mutex_);
      asking = false;
      do {
        while (detail::task* const task = queue.pop()) hopeless.push_back(task);
      } while (queue.settle());
    }
    for (detail::task* const task : hopeless) {
      const std::string text = "task '" + std::string(task->name()) + "' cannot run: " + what.text;
      owner.finish(*task, what.why == refusal::worker_failed ? failure_with<runtime_env_error>(text)
                          : what.why == refusal::shutting_down
                              ? failure_with<connection_error>(text)
                              : failure_with<placement_error>(text));
    }
  }

  /// Gives the lease back if it is idle for long. Requires the lock.
  void watch_idle(state::lease& of) {
    if (!owner.flights_.watch_idle(of)) return;
    const auto patience =
        TROUPE_FAULT("owner.lease_returned_at_once") ? std::chrono::milliseconds(0) : idle_lease;
    owner.here_.net->post_at(clock::now() + patience, [this, id = of.id, node = of.node] {
      const std::lock_guard guard(owner.mutex_);
      if (owner.flights_.idle_over(*this, node, id)) owner.here_.send(node, return_lease{id});
    });
  }

  task_owner& owner;
  tasks::remote_queue& queue;
};

task_owner::task_owner(process& here, lease_desk& desk) : here_(here), desk_(desk) {}

task_owner::~task_owner() = default;

task_owner::line& task_owner::line_of(tasks::remote_queue& queue) {
  auto& known = lines_[&queue];
  if (!known) known = std::make_unique<line>(*this, queue);
  return *known;
}

void task_owner::tasks_wait(tasks::remote_queue& queue) noexcept {
  std::vector<departure> leaving;
  {
    const std::lock_guard guard(mutex_);
    pump(line_of(queue), leaving);
  }
  send(leaving);
}

/// Gives waiting tasks to leases with room, and asks for another lease when some are left over.
void task_owner::pump(line& of, std::vector<departure>& leaving) {
  for (;;) {
    flights_.fill(
        of,
        [&of]() -> std::pair<detail::task*, std::uint64_t> {
          detail::task* const next = of.queue.empty() ? nullptr : of.queue.pop();
          return {next, next != nullptr ? next->id() : 0};
        },
        [this](process_id worker) { return here_.net->has_room(worker); }, leaving);
    if (!of.queue.empty()) break;
    if (!of.queue.settle()) return;
  }
  if (!flights_.ask(of)) return;
  request_lease wanted;
  wanted.job = here_.job;
  wanted.wanted = to_demand(of.queue.demand());
  wanted.isolated = of.queue.isolated();
  wanted.surroundings = here_.surroundings_for(of.queue.environment());
  if (const detail::stored_options* const placed = of.queue.placed()) {
    const scheduling& where = placed->get().scheduling;
    wanted.name = placed->get().name;
    wanted.placement = static_cast<placement_kind>(where.what());
    wanted.place_key = where.key();
    wanted.place_value = where.value();
    wanted.soft = where.soft();
    wanted.infeasible_fails = placed->get().infeasible == infeasible::fail;
    wanted.group = to_global(placed->get().placement_group);
    wanted.bundle = placed->get().bundle_index;
  }
  desk_.ask(std::move(wanted), of, of.queue.near());
}

void task_owner::send(const std::vector<departure>& leaving) {
  for (const departure& one : leaving) send(one);
}

void task_owner::send(const departure& one) {
  detail::task& task = *one.task;
  if (task.claimed()) {  // cancelled, or an argument has failed
    ended(task);
    task.retire();
    return;
  }
  message carrier;
  run_task order;
  order.task = task.id();
  order.lease = one.under;
  order.function = task.remote_key();
  if (task.name() != task.info().name) order.name = task.name();
  order.attempt = static_cast<std::uint32_t>(task.attempt());
  order.backpressure = options_of(task).backpressure;
  order.group = to_global(options_of(task).placement_group);
  order.captures = options_of(task).capture_children;
  if (detail::remote_stream* const results = task.results()) {
    order.skip = results->stream()->produced();
    results->stream()->on_consumed([this, id = task.id()](std::size_t read, bool abandoned) {
      consumed(id, read, abandoned);
    });
  }
  try {
    order.arguments = archive_for(one.worker, carrier, nullptr, [&](detail::output_archive& out) {
      task.archive_arguments(out);
    });
  } catch (...) {
    const detail::failure_ptr why = detail::make_failure(std::current_exception());
    ended(task);
    finish(task, why);
    return;
  }
  message packed = pack(std::move(order));
  packed.attachments = std::move(carrier.attachments);
  here_.net->send(one.worker, std::move(packed));
}

/// A task in flight has landed, or never left: its lease has room.
void task_owner::ended(detail::task& task) {
  std::vector<departure> leaving;
  {
    const std::lock_guard guard(mutex_);
    const auto landed = flights_.returned(task.id());
    if (!landed) return;
    line& of = *static_cast<line*>(landed->by->of);
    pump(of, leaving);
    of.watch_idle(*landed->by);
  }
  send(leaving);
}

void task_owner::finish(detail::task& task, const detail::failure_ptr& why) {
  task.abandon(why);
  task.retire();
}

void task_owner::on(process_id from, const task_done& what, const message& carrier) {
  detail::task* task = nullptr;
  std::vector<departure> leaving;
  {
    const std::lock_guard guard(mutex_);
    const auto landed = flights_.done(what.task, clock::now());
    if (!landed) return;
    task = landed->task;
    line& of = *static_cast<line*>(landed->by->of);
    pump(of, leaving);
    of.watch_idle(*landed->by);
  }
  send(leaving);
  if (what.result.failed) {
    const detail::failure_ptr why = from_message(what.result.failure);
    if (!task->claimed() && detail::task_access::retry(*task, why)) return;
    finish(*task, why);
    return;
  }
  try {
    const completion_scope scope(*task);
    read_payload(from, what.result.value, carrier, 0, [&](detail::input_archive& archive) {
      task->complete_from(archive);
      return 0;
    });
  } catch (...) {
    task->abandon(detail::make_failure(std::current_exception()));
  }
  task->retire();
}

void task_owner::on(process_id, const task_returned& what) {
  detail::task* task = nullptr;
  {
    const std::lock_guard guard(mutex_);
    const auto landed = flights_.returned(what.task);
    if (!landed) return;
    task = landed->task;
  }
  detail::task_access::queue(*task)->push(*task, static_cast<std::size_t>(-1));
}

void task_owner::on(process_id from, const stream_item& what, const message& carrier) {
  detail::task* task = nullptr;
  {
    const std::lock_guard guard(mutex_);
    const auto at = flights_.find(what.task);
    if (!at) return;
    task = at->task;
    task->pin();
  }
  detail::remote_stream* const results = task->results();
  if (results != nullptr && results->stream()->produced() == what.index) {
    detail::object_ptr item;
    try {
      item = read_payload(from, what.item.value, carrier, 0, [&](detail::input_archive& archive) {
        return results->read_item(archive);
      });
      results->stream()->push(std::move(item), *task);
    } catch (const std::exception& e) {
      task->cancel(false, true);
    }
  }
  task->unpin();
}

void task_owner::on(process_id from, const lease_revoked& what) {
  std::vector<state::stranded> tasks;
  std::vector<departure> leaving;
  std::optional<process_id> worker;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [queue, of] : lines_) {
      worker = flights_.revoked(*of, from, what.lease, tasks);
      if (!worker) continue;
      pump(*of, leaving);  // what waits is refused by the head, with its reason
      break;
    }
  }
  send(leaving);
  for (const auto& [task, was_running] : tasks) {
    here_.send(*worker, cancel_task{task->id(), true});
    finish(*task, failure_with<placement_error>("task '" + std::string(task->name()) +
                                                "' was ended: " + what.why));
  }
}

void task_owner::consumed(std::uint64_t task, std::size_t read, bool abandoned) {
  process_id worker = 0;
  {
    const std::lock_guard guard(mutex_);
    const auto at = flights_.find(task);
    if (!at) return;
    worker = at->by->worker;
  }
  here_.send(worker, stream_consumed{task, read, abandoned});
}

void task_owner::task_stopped(detail::task& task) noexcept {
  process_id worker = 0;
  {
    const std::lock_guard guard(mutex_);
    const auto at = flights_.find(task.id());
    if (!at) return;
    worker = at->by->worker;
  }
  here_.send(worker, cancel_task{task.id(), true});
}

void task_owner::abandon_all() noexcept {
  std::vector<std::pair<detail::task*, process_id>> left;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& one : flights_.take_all()) left.emplace_back(one.task, one.by->worker);
  }
  for (const auto& [task, worker] : left) {
    here_.send(worker, cancel_task{task->id(), true});
    task->cancel(false, true);
    task->retire();
  }
}

/// Nobody tells this process of deaths any more, and the others hold it for dead.
void task_owner::cut_off(const std::string& cause) {
  std::vector<state::stranded> tasks;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [queue, of] : lines_) flights_.cut_off(*of, tasks);
  }
  for (const auto& [task, was_running] : tasks) {
    finish(*task,
           failure_with<connection_error>("what became of task '" + std::string(task->name()) +
                                          "' is not known: the node of this process is "
                                          "gone, and the cluster with it: " +
                                          cause));
  }
}

void task_owner::process_gone(process_id gone, const std::string& cause) {
  if (gone == here_.node.id) return cut_off(cause);
  std::vector<state::stranded> tasks;
  std::vector<line*> touched;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [queue, of] : lines_) {
      if (flights_.process_gone(*of, gone, tasks)) touched.push_back(of.get());
    }
  }
  for (const auto& [task, was_running] : tasks) {
    const after_death next =
        decide_after_death(options_of(*task).max_retries.value_or(3), task->attempt(), was_running);
    if (task->claimed() || next == after_death::fail) {
      finish(*task, failure_with<worker_crashed_error>(
                        "the worker that ran task '" + std::string(task->name()) + "' (attempt " +
                        std::to_string(task->attempt() + 1) + ") has ended: " + cause));
      continue;
    }
    if (next == after_death::again_alone) {
      // Alone in a process: if it is what crashes its workers, it takes no neighbour along.
      task->start_over();
      detail::task_access::move_to_isolation(*task);
    }
    detail::task_access::queue(*task)->push(*task, static_cast<std::size_t>(-1));
  }
  std::vector<departure> leaving;
  {
    const std::lock_guard guard(mutex_);
    for (line* const of : touched) pump(*of, leaving);
  }
  send(leaving);
}

}  // namespace troupe::net
