#include "net/task_executor.hpp"

#include <utility>

#include <troupe/detail/stored_options.hpp>
#include <troupe/error.hpp>
#include <troupe/generator.hpp>
#include <troupe/log.hpp>

#include "core/fault.hpp"
#include "core/remote_registry.hpp"
#include "net/cluster_groups.hpp"
#include "net/demand.hpp"
#include "net/failures.hpp"

namespace troupe::net {

namespace {

constexpr std::size_t max_early_leases = 10'000;
constexpr std::size_t max_closed = 1'000;

tasks::task_engine& engine_of(process& here) {
  return static_cast<tasks::task_engine&>(*here.runtime().tasks);
}

}  // namespace

/// Sends a task's outcome to its owner when it is there.
struct task_executor::answering final : detail::continuation {
  task_executor& executor;
  task_key key;
  detail::object_ptr task;
  kind_of_work kind;

  answering(task_executor& e, const task_key& k, detail::object_ptr t, kind_of_work w)
      : executor(e), key(k), task(std::move(t)), kind(w) {
    fire = [](detail::continuation& self, detail::object_state&) noexcept {
      auto* const mine = static_cast<answering*>(&self);
      mine->send();
      delete mine;
    };
  }
  void send() noexcept {
    if (kind.is_call ? TROUPE_FAULT("worker.exit_before_call_reply")
                     : TROUPE_FAULT("worker.exit_before_reply")) {
      core::exit_by_fault();
    }
    message carrier;
    auto& call = static_cast<detail::invocation&>(*task);
    outcome result = outcome_for(key.owner, carrier, task, [&](detail::output_archive& archive) {
      call.archive_result(archive);
    });
    executor.done(key);
    message packed = kind.is_call
                         ? pack(call_done{key.local, kind.incarnation, false, std::move(result)})
                         : pack(task_done{key.local, std::move(result)});
    packed.attachments = std::move(carrier.attachments);
    executor.here_.net->send(key.owner, std::move(packed));
  }
};

/// Sends a generator's results, as many as its owner has room for.
struct task_executor::streaming : std::enable_shared_from_this<streaming> {
  struct waiting final : detail::continuation {
    std::shared_ptr<streaming> stream;
    detail::object_ptr signal;
  };

  process& here;
  task_key key;
  detail::remote_stream& results;
  detail::object_ptr call;  // keeps `results`
  std::uint64_t window;
  std::function<void()> at_end;
  std::mutex mutex;
  std::uint64_t sent = 0;  // guarded by mutex, as below
  std::uint64_t consumed = 0;
  bool pumping = false;

  streaming(process& p, const task_key& k, detail::remote_stream& r, detail::object_ptr c,
            std::uint64_t w, std::uint64_t skip)
      : here(p), key(k), results(r), call(std::move(c)), window(w), sent(skip), consumed(skip) {}

  /// Sends what there is. One thread at a time; it comes again when there is more to do.
  void pump() noexcept {
    {
      const std::lock_guard guard(mutex);
      if (std::exchange(pumping, true)) return;
    }
    for (;;) {
      bool room = false;
      {
        const std::lock_guard guard(mutex);
        room = sent - consumed < window;
        if (!room) pumping = false;
      }
      if (!room) return;
      if (const detail::object_ptr item = results.stream()->try_next()) {
        send(item);
        continue;
      }
      if (results.stream()->at_end()) {
        at_end();
        return;
      }
      auto* const node = new waiting;
      node->stream = shared_from_this();
      node->signal = results.stream()->signal();
      node->fire = [](detail::continuation& self, detail::object_state&) noexcept {
        auto* const mine = static_cast<waiting*>(&self);
        const auto stream = std::move(mine->stream);
        delete mine;
        {
          const std::lock_guard guard(stream->mutex);
          stream->pumping = false;
        }
        stream->pump();
      };
      const detail::object_ptr signal = node->signal;
      if (signal->when_ready(*node)) return;
      delete node;
    }
  }
  void send(const detail::object_ptr& item) noexcept {
    if (item->has_failed()) return;  // the task's own outcome tells it
    message carrier;
    stream_item next;
    next.task = key.local;
    next.item = outcome_for(key.owner, carrier, item, [&](detail::output_archive& archive) {
      results.write_item(*item, archive);
    });
    {
      const std::lock_guard guard(mutex);
      next.index = sent++;
    }
    message packed = pack(std::move(next));
    packed.attachments = std::move(carrier.attachments);
    here.net->send(key.owner, std::move(packed));
  }
};

// -- leases ---------------------------------------------------------------------------------------

void task_executor::on(process_id, open_lease what) {
  if (TROUPE_FAULT("worker.exit_at_lease")) core::exit_by_fault();
  if (what.outlives_job) here_.outlives_job = true;
  std::string why;
  const auto amounts = to_resources(what.granted, why);
  if (!amounts) {
    log::error("a lease of this worker's node makes no sense: ", why);
    return;
  }
  std::vector<early_task> early;
  lease* opened = nullptr;
  {
    const std::lock_guard guard(mutex_);
    lease& made = leases_[what.lease];
    made.capacity = std::make_unique<lease_capacity>(
        [this, id = what.lease](lease_capacity::wish wish) {
          if (wish == lease_capacity::wish::suspend) {
            here_.send(here_.node.id, suspend_lease{id});
          } else {
            here_.send(here_.node.id, resume_lease{id});
          }
        },
        std::move(what.gpus));
    made.queue = std::make_unique<tasks::task_queue>(engine_of(here_), *amounts, *made.capacity);
    made.capacity->set_shapes(made.queue->shape(), made.queue->cpu_shape());
    if (const auto at = early_.find(what.lease); at != early_.end()) {
      early = std::move(at->second);
      early_.erase(at);
    }
    opened = &made;
  }
  for (early_task& one : early) begin(*opened, one.from, std::move(one.task), one.carrier);
}

void task_executor::on(process_id, const close_lease& what) {
  lease_capacity* capacity = nullptr;
  {
    const std::lock_guard guard(mutex_);
    early_.erase(what.lease);
    const auto at = leases_.find(what.lease);
    if (at == leases_.end()) return;
    capacity = at->second.capacity.get();
    // Its last runner may still be on its way out of the queue.
    closed_.push_back(std::move(at->second));
    leases_.erase(at);
    if (closed_.size() > max_closed) closed_.pop_front();
  }
  capacity->close();
}

void task_executor::on(process_id, const lease_resumed& what) {
  lease_capacity* capacity = nullptr;
  {
    const std::lock_guard guard(mutex_);
    const auto at = leases_.find(what.lease);
    if (at != leases_.end()) capacity = at->second.capacity.get();
  }
  if (capacity != nullptr) capacity->resumed();
}

// -- tasks ----------------------------------------------------------------------------------------

void task_executor::on(process_id from, run_task what, message carrier) {
  lease* under = nullptr;
  {
    const std::lock_guard guard(mutex_);
    const auto at = leases_.find(what.lease);
    if (at != leases_.end()) {
      under = &at->second;
    } else if (early_.size() < max_early_leases) {
      early_[what.lease].push_back({from, std::move(what), std::move(carrier)});
      return;
    }
  }
  if (under == nullptr) {
    here_.send(from, task_returned{what.task, "its lease is not open"});
    return;
  }
  begin(*under, from, std::move(what), carrier);
}

void task_executor::fail(process_id to, std::uint64_t task, const detail::failure_ptr& why) {
  task_done answer;
  answer.task = task;
  answer.result = failed_outcome(*why);
  here_.send(to, std::move(answer));
}

void task_executor::begin(lease& under, process_id from, run_task what, const message& carrier) {
  const detail::remote_function* const function = core::find_remote(what.function);
  if (function == nullptr) {
    fail(from, what.task,
         failure_with<runtime_env_error>(
             "this worker's executable has no function with the key " +
             std::to_string(what.function) + (what.name.empty() ? "" : " ('" + what.name + "')") +
             " (it has " + core::describe_remotes() +
             "): run the same build everywhere, and link libraries of tasks as a whole"));
    return;
  }
  detail::invocation* call = nullptr;
  try {
    call = read_payload(from, what.arguments, carrier, 0,
                        [&](detail::input_archive& archive) { return function->make(archive); });
  } catch (const std::exception& e) {
    fail(from, what.task,
         failure_with<runtime_env_error>("the arguments of task '" + std::string(function->name) +
                                         "' cannot be read: " + e.what()));
    return;
  }
  const detail::object_ptr task = detail::object_ptr::adopt(call);
  std::shared_ptr<const detail::stored_options> options;
  if (!what.name.empty() || what.backpressure != 0 || what.group) {
    options = detail::stored_options::make({.name = what.name,
                                            .backpressure = what.backpressure,
                                            .placement_group = to_public(what.group),
                                            .capture_children = what.captures});
  }
  track({from, what.task}, task, {}, what.backpressure, what.skip);
  detail::task_access::submit_to(static_cast<detail::task&>(*call), *under.queue,
                                 std::move(options));
}

void task_executor::track(global_id key, const detail::object_ptr& work, kind_of_work kind,
                          std::uint32_t backpressure, std::uint64_t skip) {
  auto& call = static_cast<detail::invocation&>(*work);
  call.note_asked();  // its owner tells of its failure
  auto* const answer = new answering(*this, key, work, kind);
  detail::remote_stream* const results = call.results();
  if (results == nullptr) {
    {
      const std::lock_guard guard(mutex_);
      running_.emplace(key, work);
    }
    work->when_ready(*answer);
    return;
  }
  results->stream()->begin_after(skip);
  const std::uint64_t window =
      backpressure != 0 ? backpressure : here_.runtime().settings.generator_backpressure;
  auto stream = std::make_shared<streaming>(here_, key, *results, work, window, skip);
  stream->at_end = [answer, work] {
    if (!work->when_ready(*answer)) {
      answer->send();
      delete answer;
    }
  };
  {
    const std::lock_guard guard(mutex_);
    running_.emplace(key, work);
    streams_.emplace(key, stream);
  }
  stream->pump();
}

void task_executor::done(const task_key& key) noexcept {
  std::shared_ptr<streaming> stream;
  detail::object_ptr task;
  const std::lock_guard guard(mutex_);
  if (const auto at = streams_.find(key); at != streams_.end()) {
    stream = std::move(at->second);
    streams_.erase(at);
  }
  if (const auto at = running_.find(key); at != running_.end()) {
    task = std::move(at->second);
    running_.erase(at);
  }
}

void task_executor::cancel(process_id from, std::uint64_t id, bool recursive) {
  detail::object_ptr task;
  {
    const std::lock_guard guard(mutex_);
    const auto at = running_.find({from, id});
    if (at != running_.end()) task = at->second;
  }
  if (task) task->cancel(false, recursive);
}

void task_executor::on(process_id from, const stream_consumed& what) {
  std::shared_ptr<streaming> stream;
  {
    const std::lock_guard guard(mutex_);
    const auto at = streams_.find({from, what.task});
    if (at != streams_.end()) stream = at->second;
  }
  if (!stream) return;
  if (what.abandoned) {
    stream->results.stream()->abandon();
    return;
  }
  {
    const std::lock_guard guard(stream->mutex);
    stream->consumed = std::max(stream->consumed, what.count);
  }
  stream->pump();
}

void task_executor::process_gone(process_id gone) {
  std::vector<detail::object_ptr> orphans;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [key, task] : running_) {
      if (key.owner == gone) orphans.push_back(task);
    }
    for (auto& [under, tasks] : early_) {
      std::erase_if(tasks, [gone](const early_task& one) { return one.from == gone; });
    }
  }
  for (const detail::object_ptr& task : orphans) task->cancel(false, true);
}

std::size_t task_executor::running() const {
  const std::lock_guard guard(mutex_);
  return running_.size();
}

}  // namespace troupe::net
