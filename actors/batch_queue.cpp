#include "actors/batch_queue.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include <troupe/detail/batch_call.hpp>

#include "actors/local_actor.hpp"

namespace troupe::actors {

namespace {

using detail::actor_call;
using detail::local_actor;
using clock = std::chrono::steady_clock;
constexpr std::size_t default_batch_size = 32;

batch_limits limits_of(const options& given, bool ordered) {
  return {.max_batch_size = given.max_batch_size != 0 ? given.max_batch_size : default_batch_size,
          .max_wait = given.max_wait,
          .ordered = ordered};
}

batch_queue_state::call_id id_of(actor_call& call) {
  return reinterpret_cast<batch_queue_state::call_id>(&call);
}
actor_call* call_of(batch_queue_state::call_id id) { return reinterpret_cast<actor_call*>(id); }

}  // namespace

/// Lets a runner look again. Keeps the actor's memory.
class batch_queue::alarm {
 public:
  alarm(local_actor& actor, batch_queue& queue) : queue_(&queue), actor_(&actor, release{}) {
    actor.add_reference();
  }
  void operator()() const {
    queue_->armed_.store(false);
    queue_->due_.store(true);
    actor_->wake_group(queue_->group_);
  }

 private:
  struct release {
    void operator()(local_actor* actor) const noexcept { actor->release_reference(); }
  };
  batch_queue* queue_;
  std::shared_ptr<local_actor> actor_;
};

batch_queue::batch_queue(local_actor& actor, call_group& group)
    : actor_(actor),
      group_(group),
      state_(limits_of(actor.given(), group.index == 0 && group.limit == 1)) {}

void batch_queue::take_in(actor_call& call) {
  const detail::batch_place* const place = call.place();
  const std::uint64_t caller = actor_.caller_of(call);
  if (place == nullptr) return state_.arrive(id_of(call), caller);
  const auto known = std::find(methods_.begin(), methods_.end(), place->kind);
  const auto method = static_cast<batch_queue_state::method_id>(known - methods_.begin());
  if (known == methods_.end()) methods_.push_back(place->kind);
  if (call.attempt() > 0) return state_.arrive_again(id_of(call), caller, method);
  state_.arrive(id_of(call), caller, method, place->since);
}

actor_call* batch_queue::next() {
  while (actor_call* const call = group_.fresh.pop()) take_in(*call);
  due_.store(false);  // before the look at the clock: an alarm that rings now is seen
  const auto turn = state_.next(clock::now());
  if (!turn) {
    set_alarm();
    return nullptr;
  }
  due_.store(!state_.empty());
  return turn->method == batch_queue_state::no_method ? call_of(turn->calls.front())
                                                      : batch_of(*turn);
}

actor_call* batch_queue::batch_of(const batch_queue_state::turn& turn) {
  std::vector<actor_call*> calls;
  calls.reserve(turn.calls.size());
  for (const auto id : turn.calls) calls.push_back(call_of(id));
  return actor_.make_batch(*methods_[turn.method], std::move(calls));
}

actor_call* batch_queue::take_any() {
  if (taken_.empty()) {
    const auto turn = state_.take_any();
    if (!turn) return nullptr;
    for (const auto id : turn->calls) taken_.push_back(call_of(id));
    std::reverse(taken_.begin(), taken_.end());
  }
  actor_call* const call = taken_.back();
  taken_.pop_back();
  return call;
}

/// One at a time is enough: what begins to wait later may go later.
void batch_queue::set_alarm() {
  const auto time = state_.due();
  if (!time || armed_.exchange(true)) return;
  alarm_ = actor_.timers().call_at(*time, alarm(actor_, *this));
}

void batch_queue::stop_alarm() noexcept {
  if (armed_.exchange(false)) actor_.timers().cancel(alarm_);
}

}  // namespace troupe::actors
