#include "actors/local_actor.hpp"

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

namespace {

const options default_options{};

std::size_t instance_offset(std::size_t alignment) {
  return (sizeof(detail::local_actor) + alignment - 1) / alignment * alignment;
}

std::align_val_t alignment_of(const detail::class_info& info) {
  return std::align_val_t(std::max(info.alignment, alignof(detail::local_actor)));
}

}  // namespace

}  // namespace troupe::actors

namespace troupe::detail {

using actors::call_group;

// -- memory ---------------------------------------------------------------------------------------

local_actor* local_actor::make(actors::actor_engine& engine, const class_info& info,
                               actor_call* creation, options_ptr options) {
  void* const memory = ::operator new(actors::instance_offset(info.alignment) + info.size,
                                      actors::alignment_of(info));
  auto* const actor = ::new (memory) local_actor(engine, info, std::move(options));
  actor->creation_ = creation;
  actor->creation_object_ = object_ptr::adopt(creation);
  creation->creates_ = true;
  creation->target_ = actor;
  actor->add_reference();
  return actor;
}

local_actor::local_actor(actors::actor_engine& engine, const class_info& info,
                         options_ptr given_options)
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

local_actor::~local_actor() = default;

void local_actor::release_reference() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const std::align_val_t alignment = actors::alignment_of(*info_);
  this->~local_actor();
  ::operator delete(static_cast<void*>(this), alignment);
}

void* local_actor::instance() noexcept {
  return reinterpret_cast<std::byte*>(this) + actors::instance_offset(info_->alignment);
}

actors::actor_extras& local_actor::extras() { return extras_.make(); }

const options& local_actor::given() const noexcept {
  return options_ ? options_->get() : actors::default_options;
}

core::timers& local_actor::timers() const noexcept { return *engine_.runtime().the_timers; }

std::string local_actor::name() const {
  return std::string(given().name.empty() ? info_->name : given().name);
}

std::string local_actor::full_name() const {
  return given().name.empty() ? std::string(info_->name) + " #" + std::to_string(id_)
                              : std::string(info_->name) + " '" + std::string(given().name) + "'";
}

std::vector<std::uint32_t> local_actor::gpus() const {
  if (!extras_) return {};
  return extras_->resources ? extras_->resources->gpus().ids : extras_->gpus;
}

std::optional<std::uint32_t> local_actor::first_gpu() const noexcept {
  if (!extras_) return std::nullopt;
  const auto& ids = extras_->resources ? extras_->resources->gpus().ids : extras_->gpus;
  return ids.empty() ? std::nullopt : std::optional(ids.front());
}

std::string local_actor::in_namespace() const {
  return given().in_namespace.empty() ? engine_.runtime().settings.job_namespace
                                      : std::string(given().in_namespace);
}

// -- handles --------------------------------------------------------------------------------------

void local_actor::release_handle() noexcept {
  if (handles_.fetch_sub(1) != 1) return;
  check_scope();
  release_reference();
}

bool local_actor::try_add_handle() noexcept {
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
void local_actor::check_scope() noexcept {
  if (handles_.load() != 0 || pending_.load() != 0 || !constructed_.load()) return;
  std::uint32_t none = 0;
  if (handles_.compare_exchange_strong(none, no_more_handles)) {
    order_end(exit_reason::out_of_scope, "its last handle has gone", false);
  }
}

// -- calls ----------------------------------------------------------------------------------------

bool local_actor::is_ordered() const noexcept { return main_.limit == 1; }

call_group& local_actor::group_of(const actor_call& call) noexcept {
  return call.group_ == 0 ? main_ : *extras_->groups[call.group_ - 1];
}

void local_actor::submit(actor_call& call, options_ptr call_options) {
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
    throw pending_calls_limit_error("call '" + std::string(call.info().name) + "' of actor " +
                                    full_name() + " is one too many: " + std::to_string(bound) +
                                    " calls wait already (option " +
                                    (own_bound != 0 ? "max_pending_calls)" : "max-pending)"));
  }
  const bool retries = o.max_task_retries != 0 || given().max_task_retries != 0;
  if (retries && call.info().repeatable) call.set_keep_arguments(true);
  call.group_ = group;
  call.target_ = this;
  call.set_options(std::move(call_options));
  if (life() == phase::dead ||
      ending_.load()) {  // perhaps with its runtime: nobody would come for the call
    call.abandon(death_failure());
    call.retire();
    return;
  }
  if (batch_place* const place = call.place()) place->since = std::chrono::steady_clock::now();
  call.adopt_parent();
  const core::execution* const caller = core::current_execution;
  if (caller != nullptr) {
    call.caller_ = caller->actor != nullptr  ? caller->actor->id() * 2 + 1
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

void local_actor::enqueue(actor_call& call) noexcept {
  call_group& group = group_of(call);
  call.set_state(invocation::run_state::queued);
  group.fresh.push(call);
  if (constructed_.load() || life() == phase::dead) activate(group);
}

void local_actor::hold(actor_call& call) noexcept {
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
void local_actor::flush_lane(std::uint64_t caller) noexcept {
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

void local_actor::dispatch(actor_call& call) noexcept {
  if (call.creates_) {
    open_gate();
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

void local_actor::go_on(actor_call& call) noexcept {
  if (!take_up(call)) return;
  call_group& group = group_of(call);
  call.set_state(invocation::run_state::queued);
  (call.begun() ? group.resumed : group.fresh).push(call);
  activate(group);
}

void local_actor::call_ended() noexcept {
  if (pending_.fetch_sub(1) != 1) return;
  check_scope();
  engine_.actor_is_idle();
  release_reference();
}

void local_actor::stop_showing(actor_call& call) noexcept {
  if (call.place() != nullptr) return;  // its batch is shown for it
  actors::running_call::current->end(&call);
}

void local_actor::take_back(actor_call& call) noexcept {
  if (take_up(call)) actors::running_call::current->begin(&call);
}

void local_actor::put_aside(actor_call& call) noexcept {
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
bool local_actor::take_up(actor_call& call) noexcept {
  const std::lock_guard guard(lock_);
  if (!std::exchange(call.aside_, false)) return false;
  (call.previous_ != nullptr ? call.previous_->next_ : aside_) = call.next_;
  if (call.next_ != nullptr) call.next_->previous_ = call.previous_;
  suspended_.fetch_sub(1);
  return true;
}

void local_actor::run_again(actor_call& call) noexcept {
  const std::lock_guard guard(lock_);
  call.set_state(invocation::run_state::queued);
  extras().again.push_back(&call);
  has_again_.store(true);
}

}  // namespace troupe::detail
