#include "actors/actor_core.hpp"

#include <algorithm>
#include <cstddef>
#include <new>
#include <string>
#include <thread>

#include <troupe/error.hpp>

#include "actors/actor_engine.hpp"
#include "actors/group_runner.hpp"
#include "core/execution.hpp"
#include "core/stage/stage.hpp"

namespace troupe::actors {

// -- running_call ---------------------------------------------------------------------------------

void running_call::end(detail::actor_call* call) noexcept {
  for (;;) {
    detail::actor_call* seen = call;
    if (call_.compare_exchange_weak(seen, nullptr, std::memory_order_acq_rel)) return;
    std::this_thread::yield();
  }
}

// -- resource_gate --------------------------------------------------------------------------------

void resource_gate::ask() { actor_.engine().ledger().request(*this, shape_, core::grant_order::normal); }

void resource_gate::granted() noexcept {
  has_.store(true);
  actor_.open_gate();
}

void resource_gate::give_back() noexcept {
  core::ledger& ledger = actor_.engine().ledger();
  if (ledger.withdraw(*this)) {
    actor_.open_gate();  // the condition can never be met any more
    return;
  }
  while (!has_.load()) std::this_thread::yield();  // the grant is on its way
  ledger.release(shape_);
}

namespace {

const options default_options{};

std::size_t instance_offset(std::size_t alignment) {
  return (sizeof(detail::actor_core) + alignment - 1) / alignment * alignment;
}

std::align_val_t alignment_of(const detail::class_info& info) {
  return std::align_val_t(std::max(info.alignment, alignof(detail::actor_core)));
}

}  // namespace

}  // namespace troupe::actors

namespace troupe::detail {

using actors::call_group;
using actors::running_call;

namespace {

thread_local running_call* current_running = nullptr;

template <class Error>
failure_ptr failure_with(const std::string& message) {
  return make_failure(std::make_exception_ptr(Error(message)));
}

}  // namespace

// -- memory ---------------------------------------------------------------------------------------

actor_core* actor_core::make(actors::actor_engine& engine, const class_info& info,
                             actor_call* creation, options_ptr options) {
  void* const memory = ::operator new(actors::instance_offset(info.alignment) + info.size,
                                      actors::alignment_of(info));
  auto* const actor = ::new (memory) actor_core(engine, info, std::move(options));
  actor->creation_ = creation;
  actor->creation_object_ = object_ptr::adopt(creation);
  creation->creates_ = true;
  creation->target_ = actor;
  actor->add_reference();
  return actor;
}

actor_core::actor_core(actors::actor_engine& engine, const class_info& info, options_ptr given_options)
    : engine_(engine), info_(&info), options_(std::move(given_options)), id_(engine.next_id()) {
  const troupe::options& o = given();
  main_.limit = o.max_concurrency > 1 ? o.max_concurrency : 1;
  max_suspended_ = o.max_concurrency == 0 ? 1000 : o.max_concurrency;
  if (o.lifetime == lifetime::detached) handles_.store(2, std::memory_order_relaxed);
  if (o.groups.size() == 0) return;
  for (const concurrency_group& g : o.groups) {
    auto group = std::make_unique<call_group>();
    group->limit = g.limit;
    group->index = static_cast<std::uint8_t>(extras().groups.size() + 1);
    extras().groups.push_back(std::move(group));
  }
}

actor_core::~actor_core() = default;

void actor_core::release_reference() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const std::align_val_t alignment = actors::alignment_of(*info_);
  this->~actor_core();
  ::operator delete(static_cast<void*>(this), alignment);
}

void* actor_core::instance() noexcept {
  return reinterpret_cast<std::byte*>(this) + actors::instance_offset(info_->alignment);
}

actors::actor_extras& actor_core::extras() {
  if (!extras_) extras_ = std::make_unique<actors::actor_extras>();
  return *extras_;
}

const options& actor_core::given() const noexcept {
  return options_ ? options_->get() : actors::default_options;
}

std::string actor_core::name() const {
  return std::string(given().name.empty() ? info_->name : given().name);
}

std::string actor_core::full_name() const {
  return given().name.empty()
             ? std::string(info_->name) + " #" + std::to_string(id_)
             : std::string(info_->name) + " '" + std::string(given().name) + "'";
}

std::string actor_core::in_namespace() const {
  return given().in_namespace.empty() ? engine_.runtime().settings.job_namespace
                                      : std::string(given().in_namespace);
}

// -- handles --------------------------------------------------------------------------------------

void actor_core::release_handle() noexcept {
  if (handles_.fetch_sub(1) != 1) return;
  check_scope();
  release_reference();
}

bool actor_core::try_add_handle() noexcept {
  std::uint32_t seen = handles_.load();
  add_reference();  // if there are no handles now: they count as one reference
  for (;;) {
    const bool dead = seen == no_more_handles || life() == phase::dead;
    if (dead || handles_.compare_exchange_weak(seen, seen + 1)) {
      if (dead || seen != 0) release_reference();
      return !dead;
    }
  }
}

/// Ends an actor that nobody can call any more and that has nothing left to do.
void actor_core::check_scope() noexcept {
  if (handles_.load() != 0 || pending_.load() != 0 || !constructed_.load()) return;
  std::uint32_t none = 0;
  if (handles_.compare_exchange_strong(none, no_more_handles)) {
    order_end(exit_reason::out_of_scope, "its last handle has gone", false);
  }
}

// -- calls ----------------------------------------------------------------------------------------

bool actor_core::is_ordered() const noexcept { return main_.limit == 1; }

call_group& actor_core::group_of(const actor_call& call) noexcept {
  return call.group_ == 0 ? main_ : *extras_->groups[call.group_ - 1];
}

void actor_core::submit(actor_call& call, options_ptr call_options) {
  const troupe::options& o = call_options ? call_options->get() : actors::default_options;
  std::uint8_t group = 0;
  if (!o.concurrency_group.empty()) {
    for (const concurrency_group& g : given().groups) {
      ++group;
      if (g.name == o.concurrency_group) break;
      if (group == given().groups.size()) group = 0;
    }
    if (group == 0) {
      throw std::invalid_argument("actor " + full_name() + " has no concurrency group '" +
                                  std::string(o.concurrency_group) + "'");
    }
  }
  if (o.max_task_retries != 0 && !call.info().repeatable) {
    throw std::invalid_argument("call '" + std::string(call.info().name) +
                                "': max_task_retries needs arguments that can be copied");
  }
  const std::uint32_t own_bound = given().max_pending_calls;
  const std::size_t bound = own_bound != 0 ? own_bound : engine_.runtime().settings.max_pending;
  const std::uint32_t before = pending_.fetch_add(1);
  if (before == 0) add_reference();  // calls that have not ended keep the actor, all as one
  if (before >= bound) {
    call_ended();
    throw pending_calls_limit_error(
        "call '" + std::string(call.info().name) + "' of actor " + full_name() +
        " is one too many: " + std::to_string(bound) + " calls wait already (option " +
        (own_bound != 0 ? "max_pending_calls)" : "max-pending)"));
  }
  const bool retries = o.max_task_retries != 0 || given().max_task_retries != 0;
  if (retries && call.info().repeatable) call.set_keep_arguments(true);
  call.group_ = group;
  call.target_ = this;
  call.set_options(std::move(call_options));
  call.adopt_parent();
  const core::execution* const caller = core::current_execution;
  if (caller != nullptr) {
    call.caller_ = caller->actor != nullptr ? caller->actor->id() * 2 + 1
                   : caller->call != nullptr ? caller->call->id() * 2
                                             : 0;
  }
  if (o.timeout.count() > 0) call.start_deadline(o.timeout);
  if (call.info().refers) {
    call.connect_arguments();
    const bool ready = call.arguments_ready();
    const bool ordered = is_ordered() && group == 0;
    // Where order does not matter, a call that waits has a lane of its own.
    if (!ordered) call.caller_ = ~call.id();
    if (!ready || (ordered && lanes_in_use_.load(std::memory_order_relaxed))) {
      hold(call);
      if (call.release_arguments()) dispatch(call);
      return;
    }
    call.release_arguments();
  } else if (is_ordered() && group == 0 && lanes_in_use_.load(std::memory_order_relaxed)) {
    hold(call);
    dispatch(call);
    return;
  }
  enqueue(call);
}

void actor_core::enqueue(actor_call& call) noexcept {
  call_group& group = group_of(call);
  call.set_state(invocation::run_state::queued);
  group.fresh.push(call);
  if (constructed_.load() || life() == phase::dead) activate(group);
}

void actor_core::hold(actor_call& call) noexcept {
  const std::lock_guard guard(lock_);
  auto& lanes = extras().lanes;
  const auto at = std::find_if(lanes.begin(), lanes.end(),
                               [&](const auto& lane) { return lane.caller == call.caller_; });
  auto& lane = at != lanes.end() ? *at : lanes.emplace_back();
  lane.caller = call.caller_;
  lane.calls.push_back(&call);
  call.held_ = true;
  lanes_in_use_.store(true, std::memory_order_relaxed);
}

/// Sends on what stands ready at the head of a caller's lane, in its order.
void actor_core::flush_lane(std::uint64_t caller) noexcept {
  auto& lanes = extras().lanes;
  const auto at = std::find_if(lanes.begin(), lanes.end(),
                               [&](const auto& lane) { return lane.caller == caller; });
  if (at == lanes.end()) return;
  while (!at->calls.empty() && at->calls.front()->ready_) {
    actor_call& call = *at->calls.front();
    at->calls.pop_front();
    call.held_ = false;
    enqueue(call);
  }
  if (at->calls.empty()) lanes.erase(at);
  lanes_in_use_.store(!lanes.empty(), std::memory_order_relaxed);
}

void actor_core::dispatch(actor_call& call) noexcept {
  if (call.creates_) {
    open_gate();
    return;
  }
  if (call.state() == invocation::run_state::suspended) {
    if (!take_up(call)) return;
    call_group& group = group_of(call);
    call.set_state(invocation::run_state::queued);
    (call.begun() ? group.resumed : group.fresh).push(call);
    activate(group);
    return;
  }
  {
    const std::lock_guard guard(lock_);
    if (call.held_) {
      call.ready_ = true;
      flush_lane(call.caller_);
      return;
    }
  }
  enqueue(call);
}

void actor_core::call_ended() noexcept {
  if (pending_.fetch_sub(1) != 1) return;
  check_scope();
  engine_.actor_is_idle();
  release_reference();
}

void actor_core::stop_showing(actor_call& call) noexcept { current_running->end(&call); }

void actor_core::take_back(actor_call& call) noexcept {
  if (take_up(call)) current_running->begin(&call);
}

void actor_core::put_aside(actor_call& call) noexcept {
  stop_showing(call);
  const std::lock_guard guard(lock_);
  call.aside_ = true;
  call.next_ = aside_;
  call.previous_ = nullptr;
  if (aside_ != nullptr) aside_->previous_ = &call;
  aside_ = &call;
  suspended_.fetch_add(1);
}

/// True for the one who may go on with the call.
bool actor_core::take_up(actor_call& call) noexcept {
  const std::lock_guard guard(lock_);
  if (!std::exchange(call.aside_, false)) return false;
  (call.previous_ != nullptr ? call.previous_->next_ : aside_) = call.next_;
  if (call.next_ != nullptr) call.next_->previous_ = call.previous_;
  suspended_.fetch_sub(1);
  return true;
}

void actor_core::run_again(actor_call& call) noexcept {
  const std::lock_guard guard(lock_);
  call.set_state(invocation::run_state::queued);
  extras().again.push_back(&call);
  has_again_.store(true);
}

// -- runners --------------------------------------------------------------------------------------

void actor_core::activate(call_group& group) noexcept {
  int seen = group.active.load();
  while (seen < group.limit) {
    if (!group.active.compare_exchange_weak(seen, seen + 1)) continue;
    runners_.fetch_add(1);
    core::job* runner = this;
    if (&group == &main_ && group.limit == 1) {
      add_reference();
    } else {
      runner = new actors::group_runner(*this, group);
    }
    engine_.stage().enqueue(runner);
    return;
  }
}

void actor_core::activate_all() noexcept {
  if (has_work(main_)) activate(main_);
  if (!extras_) return;
  for (const auto& group : extras_->groups) {
    if (has_work(*group)) activate(*group);
  }
}

bool actor_core::has_work(const call_group& group) const noexcept {
  return !group.resumed.empty() || (group.index == 0 && has_again_.load()) ||
         (!group.fresh.empty() && suspended_.load() < max_suspended_);
}

actor_call* actor_core::pop(call_group& group) noexcept {
  if (group.index == 0 && has_again_.load()) {
    const std::lock_guard guard(lock_);
    auto& again = extras_->again;
    if (!again.empty()) {
      actor_call* const call = again.front();
      again.pop_front();
      has_again_.store(!again.empty());
      return call;
    }
  }
  const auto take = [&] {
    actor_call* call = group.resumed.pop();
    if (call == nullptr && (suspended_.load() < max_suspended_ || life() == phase::dead)) {
      call = group.fresh.pop();
    }
    return call;
  };
  if (group.limit == 1) return take();
  const std::lock_guard guard(group.consumers);
  return take();
}

core::job::resume_result actor_core::resume(caf::execution_unit*, std::size_t max_throughput) {
  return run_group(main_, running_, max_throughput);
}

core::job::resume_result actor_core::run_group(call_group& group, running_call& running,
                                               std::size_t max_throughput) noexcept {
  running_call* const outer = std::exchange(current_running, &running);
  auto result = resume_later;
  for (std::size_t turn = 0; turn < max_throughput; ++turn) {
    if (orders_.load() != 0) {
      leave(group);
      result = done;
      break;
    }
    if (actor_call* const call = pop(group)) {
      run_call(*call, running);
      core::stage::tick();
      if (engine_.stage().should_yield()) break;
      continue;
    }
    group.active.fetch_sub(1);
    if (has_work(group)) {
      int seen = group.active.load();
      if (seen < group.limit && group.active.compare_exchange_strong(seen, seen + 1)) continue;
    }
    check_scope();
    if (runners_.fetch_sub(1) == 1 && orders_.load() != 0) carry_out();
    result = done;
    break;
  }
  current_running = outer;
  return result;
}

/// Ends a runner's turn because of an order. The last one carries it out.
void actor_core::leave(call_group& group) noexcept {
  group.active.fetch_sub(1);
  if (runners_.fetch_sub(1) == 1) carry_out();
  // What came meanwhile found no free place for a runner.
  if (orders_.load() == 0 && has_work(group) && (constructed_.load() || life() == phase::dead)) {
    activate(group);
  }
}

void actor_core::run_call(actor_call& call, running_call& running) noexcept {
  if (life() == phase::dead) call.abandon(death_failure());
  if (call.claimed() && (!call.begun() || life() == phase::dead)) {
    call.retire();
    return;
  }
  if (call.begun() && call.life_ != restarts_) {  // a coroutine of the instance before
    call.drop_frame();
    end_interrupted(call, "the actor failed and restarted", true);
    return;
  }
  call.life_ = restarts_;
  running.begin(&call);
  core::execution inner{.call = &call, .actor = this};
  invocation::outcome outcome;
  {
    const core::execution_scope scope(inner);
    outcome = call.execute(instance());
  }
  if (outcome == invocation::outcome::suspended) return;
  running.end(&call);
  if (outcome == invocation::outcome::finished) {
    call.retire();
  } else {
    unwound(call);
  }
}

bool actor_core::may_restart() const noexcept {
  const int most = given().max_restarts;
  return most == -1 || restarts_ < most;
}

bool actor_core::may_retry(const actor_call& call) const noexcept {
  const int of_call = call.stored() != nullptr ? call.stored()->get().max_task_retries : 0;
  const int most = of_call != 0 ? of_call : given().max_task_retries;
  return call.keeps_arguments() && !call.claimed() && (most == -1 || call.attempt() < most);
}

/// A failure of the actor interrupted the call: another attempt, or the error.
void actor_core::end_interrupted(actor_call& call, const std::string& why, bool restarts) noexcept {
  if (restarts && may_retry(call)) {
    call.start_over();
    run_again(call);
    return;
  }
  const std::string text = "call '" + std::string(call.name()) + "' of actor " + full_name() +
                           " was interrupted: the actor failed (" + why + ")";
  call.abandon(restarts ? failure_with<actor_unavailable_error>(text + " and restarts")
                        : failure_with<actor_died_error>(text));
  call.retire();
}

/// A method left by `this_actor::exit` or `fail`.
void actor_core::unwound(actor_call& call) noexcept {
  const core::actor_unwind how = core::current_unwind;
  if (how.exits) {
    call.abandon(failure_with<actor_died_error>("actor " + full_name() +
                                                " has ended: it called this_actor::exit()"));
    call.retire();
    order_end(exit_reason::exited, "it called this_actor::exit()", false);
    return;
  }
  end_interrupted(call, how.why, may_restart());
  order_end(exit_reason::failed, how.why, true);
}

// -- orders ---------------------------------------------------------------------------------------

void actor_core::give_order(std::uint32_t order) noexcept {
  orders_.fetch_or(order);
  activate(main_);  // if none is there to see it
}

void actor_core::order_end(exit_reason reason, std::string message, bool restart) noexcept {
  if (life() == phase::dead) return;
  std::vector<actor_call*> found;
  const auto keep = [&](actor_call& call) {
    call.pin();
    found.push_back(&call);
  };
  {
    const std::lock_guard guard(lock_);
    auto& more = extras();
    if (!more.ordered || (more.ordered_restart && !restart)) {
      more.ordered = true;
      more.ordered_restart = restart;
      more.ordered_reason = reason;
      more.ordered_message = message;
    }
    running_.look(keep);
    for (running_call* running : more.running) running->look(keep);
  }
  for (actor_call* call : found) {
    if (reason != exit_reason::out_of_scope) {
      const std::string text = "actor " + full_name() + " has ended: " + message;
      call->abandon(restart && may_restart() ? failure_with<actor_unavailable_error>(text)
                                             : failure_with<actor_died_error>(text));
      call->request_stop(true);
    }
    call->unpin();
  }
  give_order(restart ? order_fail : order_kill);
}

/// Runs on the stage, with no runner at work and all orders given so far.
void actor_core::carry_out() noexcept {
  for (;;) {
    if (carrying_out_.exchange(true)) return;
    add_reference();  // an end drops the one of the living actor
    while (const std::uint32_t orders = orders_.load()) {
      if (life() == phase::dead) {
        orders_.store(0);
      } else if ((orders & order_kill) != 0) {
        end_now();
      } else if ((orders & order_fail) != 0) {
        fail_now();
      } else {
        create();
      }
    }
    carrying_out_.store(false);
    const bool more = orders_.load() != 0 && runners_.load() == 0;
    if (!more && (constructed_.load() || life() == phase::dead)) activate_all();
    check_scope();
    release_reference();
    if (!more) return;
  }
}

void actor_core::create() noexcept {
  core::execution inner{.call = creation_, .actor = this};
  failure_ptr thrown;
  auto outcome = invocation::outcome::finished;
  if (!creation_->claimed() || restarts_ > 0) {
    const core::execution_scope scope(inner);
    outcome = creation_->execute(instance(), &thrown);
  }
  if (thrown == nullptr && restarts_ == 0 && creation_->has_failed()) thrown = creation_->why();
  if (outcome == invocation::outcome::finished && thrown == nullptr) {
    phase_.store(phase::alive, std::memory_order_release);
    constructed_.store(true);
    orders_.fetch_and(~order_create);
    if (given().max_restarts == 0) retire_creation();
    return;
  }
  std::string message = "its constructor called this_actor::exit() or fail()";
  if (thrown != nullptr) {
    message = thrown->info ? "its constructor threw " + thrown->info->type + ": " +
                                 thrown->info->message
                           : "an argument of its constructor failed";
    if (!thrown->info) {
      try {
        std::rethrow_exception(thrown->thrown);
      } catch (const std::exception& e) {
        message += std::string(": ") + e.what();
      } catch (...) {
        message += " with an exception that is no std::exception";
      }
    }
  }
  orders_.fetch_and(~order_create);
  const bool restart = restarts_ > 0 && may_restart();
  order_end(restart ? exit_reason::failed : exit_reason::constructor_threw, std::move(message),
            restart);
}

void actor_core::fail_now() noexcept {
  std::string message;
  {
    const std::lock_guard guard(lock_);
    message = extras().ordered_message;
  }
  if (!may_restart()) {
    orders_.fetch_or(order_kill);
    orders_.fetch_and(~order_fail);
    return;
  }
  phase_.store(phase::restarting, std::memory_order_release);
  ++restarts_;
  end_suspended(message, true);
  if (constructed_.exchange(false)) {
    core::execution inner{.actor = this};
    const core::execution_scope scope(inner);
    info_->destroy(instance());
  }
  {
    const std::lock_guard guard(lock_);
    extras().ordered = false;
  }
  orders_.fetch_or(order_create);
  orders_.fetch_and(~order_fail);
}

/// Ends the coroutine calls that have begun: their frames belong to the old instance. Runs alone, so
/// that it may pop what was woken.
void actor_core::end_suspended(const std::string& why, bool restarts) noexcept {
  const auto end = [&](actor_call& call) {
    call.drop_frame();
    end_interrupted(call, why, restarts);
  };
  for (;;) {
    actor_call* call = nullptr;
    {
      const std::lock_guard guard(lock_);
      call = aside_;
    }
    if (call == nullptr) break;
    if (take_up(*call)) end(*call);
  }
  const auto drain = [&](call_group& group) {
    while (actor_call* call = group.resumed.pop()) end(*call);
  };
  drain(main_);
  for (const auto& group : extras().groups) drain(*group);
}

failure_ptr actor_core::death_failure() const {
  const std::lock_guard guard(lock_);
  const std::string why = extras_ && extras_->end ? extras_->end->message : "it is being ended";
  return failure_with<actor_died_error>("actor " + full_name() + " has ended: " + why);
}

void actor_core::end_now() noexcept {
  exit_info end{.id = {id_}, .name = name(), .reason = {}, .message = {}};
  {
    const std::lock_guard guard(lock_);
    end.reason = extras().ordered_reason;
    end.message = extras().ordered_message;
    extras().end = end;
  }
  phase_.store(phase::dead);
  const failure_ptr why = death_failure();
  end_suspended(end.message, false);
  if (constructed_.exchange(false)) {
    core::execution inner{.actor = this};
    const core::execution_scope scope(inner);
    info_->destroy(instance());
  }
  std::vector<actor_call*> held;
  std::vector<std::shared_ptr<actors::exit_watch>> watches;
  std::vector<actor_core*> links;
  std::vector<std::weak_ptr<void>> timers;
  {
    const std::lock_guard guard(lock_);
    for (auto& lane : extras().lanes) {
      for (actor_call* call : lane.calls) {
        call->held_ = false;
        // One whose arguments are not there yet is queued, and ended, when they are.
        call->pin();
        held.push_back(call);
      }
    }
    for (actor_call* call : held) {
      if (call->ready_) enqueue(*call);
    }
    extras().lanes.clear();
    lanes_in_use_.store(false, std::memory_order_relaxed);
    watches.swap(extras().watches);
    links.swap(extras().links);
    timers.swap(extras().timers);
  }
  for (actor_call* call : held) {
    call->abandon(why);
    call->disconnect();
    call->unpin();
  }
  if (!creation_retired_.load()) {
    creation_->abandon(why);
    creation_->disconnect();
    // One that still waits for its arguments is retired when they come; see `open_gate`.
    if (gate_.load() == 0) retire_creation();
  }
  if (extras_->resources) extras_->resources->give_back();
  engine_.remove(*this);
  orders_.store(0);
  actors::tell_watches(std::move(watches), end);
  for (const auto& timer : timers) actors::stop_timer(timer);
  for (actor_core* other : links) {
    if (is_abnormal(end.reason)) {
      other->order_end(exit_reason::linked,
                       "it was linked to actor " + full_name() + ", which ended: " + end.message,
                       false);
    }
    other->link_with(*this, false);
    other->release_reference();
  }
  release_reference();
}

// -- start ----------------------------------------------------------------------------------------

void actor_core::prepare_creation() noexcept {
  creation_->set_keep_arguments(given().max_restarts != 0);
  creation_->connect_arguments();
}

void actor_core::discard() noexcept {
  phase_.store(phase::dead);
  if (extras_) extras_->resources.reset();
  gate_.store(1);
  creation_->abandon(failure_with<actor_died_error>("the actor was never started"));
  if (creation_->release_arguments()) open_gate();
  release_reference();
}

void actor_core::start() {
  if (creation_->release_arguments()) open_gate();
  if (extras_ && extras_->resources) extras_->resources->ask();
}

/// One more condition of the creation is met.
void actor_core::open_gate() noexcept {
  if (gate_.fetch_sub(1) != 1) return;
  if (life() == phase::dead) {
    retire_creation();
  } else {
    give_order(order_create);
  }
}

void actor_core::retire_creation() noexcept {
  if (creation_retired_.exchange(true)) return;
  creation_->retire();
  release_reference();  // the one that kept the actor for its creation
}

// -- watches, links, timers -----------------------------------------------------------------------

void actor_core::watch(std::shared_ptr<actors::exit_watch> watch) {
  std::optional<exit_info> end;
  {
    const std::lock_guard guard(lock_);
    auto& more = extras();
    if (life() != phase::dead) {
      more.watches.push_back(std::move(watch));
      return;
    }
    end = more.end;
  }
  actors::tell_watches({std::move(watch)}, *end);
}

void actor_core::link_with(actor_core& other, bool linked) {
  bool late = false;
  {
    const std::lock_guard guard(lock_);
    auto& links = extras().links;
    const auto at = std::find(links.begin(), links.end(), &other);
    if (linked) {
      late = life() == phase::dead;
      if (!late && at == links.end()) {
        other.add_reference();
        links.push_back(&other);
      }
    } else if (at != links.end()) {
      links.erase(at);
      other.release_reference();
    }
  }
  if (late && extras_->end && is_abnormal(extras_->end->reason)) {
    other.order_end(exit_reason::linked,
                    "it was linked to actor " + full_name() + ", which had ended", false);
  }
}

void actor_core::keep_timer(std::weak_ptr<void> timer) {
  const std::lock_guard guard(lock_);
  auto& timers = extras().timers;
  std::erase_if(timers, [](const auto& t) { return t.expired(); });
  timers.push_back(std::move(timer));
}

}  // namespace troupe::detail
