#include "tasks/task_engine.hpp"

#include <algorithm>
#include <string>

#include <troupe/detail/stored_options.hpp>
#include <troupe/error.hpp>

#include "core/environment.hpp"
#include "core/node_name.hpp"
#include "core/placement.hpp"
#include "core/placement_groups.hpp"
#include "tasks/lease.hpp"

namespace troupe::tasks {

using detail::task;
using detail::task_access;

// -- task_list ------------------------------------------------------------------------------------

void task_list::push_back(task& t) noexcept {
  task_access::next(t) = nullptr;
  task_access::previous(t) = last_;
  (last_ != nullptr ? task_access::next(*last_) : first_) = &t;
  last_ = &t;
  ++size_;
}

task* task_list::pop_front() noexcept {
  task* const oldest = first_;
  if (oldest != nullptr) remove(*oldest);
  return oldest;
}

void task_list::remove(task& t) noexcept {
  task* const next = task_access::next(t);
  task* const previous = task_access::previous(t);
  (previous != nullptr ? task_access::next(*previous) : first_) = next;
  (next != nullptr ? task_access::previous(*next) : last_) = previous;
  --size_;
}

// -- task_queue -----------------------------------------------------------------------------------

task_queue::task_queue(task_engine& engine, const core::resource_set& demand, core::capacity& from)
    : engine_(engine), from_(from), demand_(demand) {
  core::resource_set cpus;
  cpus.set(core::cpu_name, demand.get(core::cpu_name));
  has_cpus_ = !cpus.empty();
  shape_ = engine.ledger().intern(demand);
  cpu_shape_ = engine.ledger().intern(cpus);
}

bool task_queue::push(task& t, std::size_t bound) noexcept {
  {
    const std::lock_guard guard(lock_);
    if (waiting_.size() >= bound) return false;
    t.set_state(detail::invocation::run_state::queued);
    waiting_.push_back(t);
    size_.store(waiting_.size());
  }
  if (!asking_.load()) want_lease();
  return true;
}

task* task_queue::pop() noexcept {
  if (size_.load(std::memory_order_relaxed) == 0) return nullptr;
  for (;;) {
    task* oldest = nullptr;
    detail::failure_ptr closed;
    {
      const std::lock_guard guard(lock_);
      oldest = waiting_.pop_front();
      if (oldest == nullptr) return nullptr;
      size_.store(waiting_.size());
      oldest->begin();
      closed = closed_;
    }
    if (!closed) return oldest;
    oldest->abandon(closed);
    oldest->retire();
  }
}

void task_queue::close(const detail::failure_ptr& why) noexcept {
  {
    const std::lock_guard guard(lock_);
    closed_ = why;
  }
  pop();
}

bool task_queue::take(task& t) noexcept {
  const std::lock_guard guard(lock_);
  if (!t.begin()) return false;
  waiting_.remove(t);
  size_.store(waiting_.size());
  return true;
}

void task_queue::want_lease() noexcept {
  if (!asking_.exchange(true)) from_.request(*this, shape_, core::grant_order::normal);
}

void task_queue::granted() noexcept { engine_.stage().enqueue(new lease(*this, gpus())); }

void task_queue::lease_arrived() noexcept {
  asking_.store(false);
  if (!empty()) want_lease();
}

void task_queue::lease_leaves() noexcept {
  if (asking_.load() && empty() && from_.withdraw(*this)) lease_arrived();
}

// -- remote_queue ---------------------------------------------------------------------------------

remote_queue::remote_queue(task_engine& engine, const core::resource_set& demand,
                           std::shared_ptr<const detail::stored_options> placed, bool isolated,
                           std::string environment, std::uint64_t near)
    : task_queue(engine, demand, engine.ledger()),
      placed_(std::move(placed)),
      isolated_(isolated),
      environment_(std::move(environment)),
      near_(near) {}

void remote_queue::want_lease() noexcept {
  if (!asking_.exchange(true)) engine().runtime().cluster->tasks_wait(*this);
}

bool remote_queue::settle() noexcept {
  asking_.store(false);
  return !empty() && !asking_.exchange(true);
}

// -- task_engine ----------------------------------------------------------------------------------

task_engine::task_engine(core::runtime& runtime) : runtime_(runtime) {}

task_engine::~task_engine() = default;

task_queue& task_engine::queue_for(const std::shared_ptr<const detail::stored_options>& stored,
                                   std::string_view name, bool remotable) {
  if (stored == nullptr && remotable) {
    if (task_queue* const known = default_queue_.load(std::memory_order_acquire)) return *known;
  }
  if (stored != nullptr &&
      stored->resolved_epoch.load(std::memory_order_acquire) == runtime_.epoch) {
    return *static_cast<task_queue*>(stored->resolved_shape.load(std::memory_order_relaxed));
  }
  task_queue& queue = runtime_.cluster != nullptr && remotable ? remote_queue_for(stored, false)
                                                               : local_queue(stored.get(), name);
  if (stored != nullptr && !stored->get().placement_group) {  // a group can go, its queues with it
    stored->resolved_shape.store(&queue, std::memory_order_relaxed);
    stored->resolved_epoch.store(runtime_.epoch, std::memory_order_release);
  } else if (remotable) {
    default_queue_.store(&queue, std::memory_order_release);
  }
  return queue;
}

namespace {

const options defaults;

core::resource_set demand_of(const options& wanted) {
  return core::make_demand(wanted.num_cpus, 1.0, wanted.num_gpus, wanted.memory,
                           {wanted.resources.begin(), wanted.resources.size()});
}

}  // namespace

task_queue& task_engine::local_queue(const detail::stored_options* stored, std::string_view name) {
  const options& wanted = stored != nullptr ? stored->get() : defaults;
  core::resource_set demand = demand_of(wanted);
  if (wanted.runtime_env != nullptr) {
    if (runtime_.cluster != nullptr) {
      throw runtime_env_error("task '" + std::string(name) +
                              "' stays in this process, because of its arguments: it cannot have a "
                              "runtime_env");
    }
    core::adopt_environment(*wanted.runtime_env);
  }
  if (runtime_.cluster != nullptr) {
    // It is bound to this process, whose node counts nothing for it.
    demand = {};
  } else {
    core::check_placement(wanted, name, core::node_name(), runtime_.settings.labels);
    if (wanted.placement_group) return group_queue(wanted, demand, name);
  }
  if (const auto missing = ledger().never_fits(demand)) {
    throw placement_error("task '" + std::string(name) + "' can never run: it " + *missing);
  }
  const std::lock_guard guard(queues_mutex_);
  task_queue*& known = by_shape_[ledger().intern(demand)];
  if (known == nullptr) {
    known = queues_.emplace_back(std::make_unique<task_queue>(*this, demand, ledger())).get();
  }
  return *known;
}

/// The queue in a bundle of an embedded runtime's placement group.
task_queue& task_engine::group_queue(const options& wanted, const core::resource_set& demand,
                                     std::string_view name) {
  core::capacity& from =
      runtime_.groups->bundle(wanted.placement_group, wanted.bundle_index, demand, name);
  const std::lock_guard guard(queues_mutex_);
  task_queue*& known =
      grouped_[wanted.placement_group][{wanted.bundle_index, ledger().intern(demand)}];
  if (known == nullptr) {
    known = queues_.emplace_back(std::make_unique<task_queue>(*this, demand, from)).get();
  }
  return *known;
}

void task_engine::end_group(placement_group_id group, const detail::failure_ptr& why) {
  std::vector<task_queue*> queues;
  {
    const std::lock_guard guard(queues_mutex_);
    const auto at = grouped_.find(group);
    if (at == grouped_.end()) return;
    for (const auto& [key, queue] : at->second) queues.push_back(queue);
    grouped_.erase(at);
  }
  for (task_queue* const queue : queues) queue->close(why);
  const auto in_group = [&](const task& t) {
    return std::find(queues.begin(), queues.end(), task_access::queue(t)) != queues.end();
  };
  std::vector<task*> found;
  {
    const std::lock_guard guard(aside_mutex_);
    task_list seen;
    while (task* t = aside_.pop_front()) {
      if (in_group(*t)) {
        t->pin();
        found.push_back(t);
      }
      seen.push_back(*t);
    }
    aside_ = seen;
  }
  {
    const std::lock_guard guard(leases_mutex_);
    for (lease* l = first_lease_; l != nullptr; l = l->next_) {
      l->with_running([&](task& t) {
        if (!in_group(t)) return;
        t.pin();
        found.push_back(&t);
      });
    }
  }
  for (task* t : found) {
    t->end_with(why, false, true);
    t->unpin();
  }
}

/// One for each demand and place: its tasks can share leases.
task_queue& task_engine::remote_queue_for(
    const std::shared_ptr<const detail::stored_options>& stored, bool isolated,
    std::uint64_t near) {
  const options& wanted = stored != nullptr ? stored->get() : defaults;
  isolated = isolated || wanted.isolation == isolation::process;
  const core::resource_set demand = demand_of(wanted);
  const scheduling& where = wanted.scheduling;
  std::string key = demand.to_string();
  key += '|' + std::to_string(static_cast<int>(where.what())) + (where.soft() ? "s|" : "h|");
  key.append(where.key()).append("=").append(where.value());
  if (isolated) key += "|isolated";
  if (wanted.infeasible == infeasible::fail) key += "|fail";
  if (const placement_group_id group = wanted.placement_group) {
    key += "|" + std::to_string(group.creator) + "." + std::to_string(group.number) + "." +
           std::to_string(wanted.bundle_index) + (wanted.capture_children ? "c" : "");
  }
  std::string environment;
  if (wanted.runtime_env != nullptr) {
    environment = runtime_.cluster->prepare_environment(*wanted.runtime_env);
    key += "|" + environment;
  }
  if (near != 0) key += "|near=" + std::to_string(near);
  const std::lock_guard guard(queues_mutex_);
  task_queue*& known = remote_[key];
  if (known == nullptr) {
    known = queues_
                .emplace_back(std::make_unique<remote_queue>(*this, demand, stored, isolated,
                                                             std::move(environment), near))
                .get();
  }
  return *known;
}

namespace {

/// Bytes of arguments that are worth another node.
constexpr std::uint64_t bytes_to_follow = std::uint64_t{1} << 20;

/// How much of a task's arguments lies at which node.
struct places {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> bytes;  // by node

  static void add(void* self, const detail::object_state& argument) {
    if (!argument.has_value()) return;
    const detail::stored_ptr where = argument.stored();
    if (where == nullptr) return;
    auto& all = static_cast<places*>(self)->bytes;
    const auto known = std::find_if(all.begin(), all.end(),
                                    [&](const auto& one) { return one.first == where->node(); });
    if (known != all.end()) {
      known->second += where->bytes();
    } else {
      all.emplace_back(where->node(), where->bytes());
    }
  }
};

}  // namespace

task_queue& task_engine::near_arguments(task& of, task_queue& queue) {
  if (!of.info().refers || !queue.is_remote()) return queue;
  auto& remote = static_cast<remote_queue&>(queue);
  if (remote.isolated()) return queue;
  if (of.stored() != nullptr) {
    const options& wanted = of.stored()->get();
    const bool anywhere = wanted.scheduling.what() == scheduling::kind::hybrid &&
                          !wanted.placement_group && wanted.runtime_env == nullptr;
    if (!anywhere) return queue;
  }
  places found;
  of.look_at_arguments(&places::add, &found);
  std::uint64_t near = 0;
  std::uint64_t most = bytes_to_follow - 1;
  for (const auto& [node, bytes] : found.bytes) {
    if (bytes <= most) continue;
    near = node;
    most = bytes;
  }
  if (near == runtime_.cluster->own_node()) near = 0;
  return near == remote.near() ? queue : remote_queue_for(of.shared_options(), false, near);
}

void task_engine::task_ended() noexcept {
  ended_.fetch_add(1);
  if (core::parker* const drainer = drainer_.load()) {
    if (pending() == 0) drainer->unpark();
  }
}

std::size_t task_engine::pending() const noexcept {
  const std::uint64_t ended = ended_.load();
  return static_cast<std::size_t>(submitted_.load() - ended);
}

void task_engine::put_aside(task& t) noexcept {
  const std::lock_guard guard(aside_mutex_);
  aside_.push_back(t);
}

void task_engine::take_up(task& t) noexcept {
  const std::lock_guard guard(aside_mutex_);
  aside_.remove(t);
}

void task_engine::lease_made(lease& made) {
  const std::lock_guard guard(leases_mutex_);
  made.next_ = first_lease_;
  if (first_lease_ != nullptr) first_lease_->previous_ = &made;
  first_lease_ = &made;
}

void task_engine::lease_gone(lease& gone) noexcept {
  const std::lock_guard guard(leases_mutex_);
  (gone.previous_ != nullptr ? gone.previous_->next_ : first_lease_) = gone.next_;
  if (gone.next_ != nullptr) gone.next_->previous_ = gone.previous_;
}

void task_engine::forfeit_lease_of(const task& t) noexcept {
  const std::lock_guard guard(leases_mutex_);
  for (lease* l = first_lease_; l != nullptr; l = l->next_) {
    l->with_running([&](task& running) {
      if (&running == &t) l->forfeit();
    });
  }
}

void task_engine::abort() noexcept {
  std::vector<task*> found;
  const auto keep = [&](task& t) {
    t.pin();
    found.push_back(&t);
  };
  {
    const std::lock_guard guard(aside_mutex_);
    task_list seen;
    while (task* t = aside_.pop_front()) {
      keep(*t);
      seen.push_back(*t);
    }
    aside_ = seen;
  }
  {
    const std::lock_guard guard(leases_mutex_);
    for (lease* l = first_lease_; l != nullptr; l = l->next_) l->with_running(keep);
  }
  {
    // Queued tasks are retired by the leases that come for them; they only have to fail.
    const std::lock_guard guard(queues_mutex_);
    for (const auto& queue : queues_) {
      while (task* t = queue->pop()) {
        t->pin();
        t->cancel(false, true);
        t->retire();
        t->unpin();
      }
    }
  }
  for (task* t : found) {
    t->cancel(false, true);
    t->unpin();
  }
}

std::vector<std::string> task_engine::running() {
  std::vector<std::string> names;
  const std::lock_guard guard(leases_mutex_);
  for (lease* l = first_lease_; l != nullptr; l = l->next_) {
    l->with_running([&](task& t) { names.emplace_back(t.name()); });
  }
  return names;
}

task_engine* find_engine() noexcept {
  core::runtime* const running = core::find_runtime();
  return running != nullptr ? static_cast<task_engine*>(running->tasks.get()) : nullptr;
}

}  // namespace troupe::tasks
