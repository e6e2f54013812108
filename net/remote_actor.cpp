#include "net/remote_actor.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include <troupe/error.hpp>
#include <troupe/generator.hpp>

#include "actors/local_actor.hpp"
#include "core/execution.hpp"
#include "core/pinned.hpp"
#include "core/retry_state.hpp"
#include "net/failures.hpp"

namespace troupe::net {

using detail::actor_call;
using detail::actor_call_access;

namespace {

const options defaults;

const options& options_of(const actor_call& call) {
  return call.stored() != nullptr ? call.stored()->get() : defaults;
}

}  // namespace

remote_actor::remote_actor(process& here, actor_directory& directory, global_id id,
                           const detail::class_info& info, std::string name)
    : here_(here),
      directory_(directory),
      id_(id),
      info_(info),
      name_(std::move(name)),
      constructed_(detail::object_ptr::adopt(new detail::value_object<void>)) {}

std::uint64_t remote_actor::public_id(global_id id) noexcept { return std::hash<global_id>{}(id); }

std::string remote_actor::name() const { return name_.empty() ? std::string(info_.name) : name_; }

std::string remote_actor::full_name() const {
  return std::string(info_.name) + (name_.empty() ? "" : " '" + name_ + "'");
}

bool remote_actor::is_dead() const noexcept {
  const std::lock_guard guard(mutex_);
  return state_.is_dead();
}

// -- memory ---------------------------------------------------------------------------------------

void remote_actor::release_reference() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

void remote_actor::release_handle() noexcept {
  if (handles_.fetch_sub(1) != 1) return;
  if (pending_.load() == 0) directory_.gone(*this);
  release_reference();
}

bool remote_actor::try_add_handle() noexcept {
  std::uint32_t seen = handles_.load();
  do {
    if (seen == 0 && pending_.load() == 0) return false;
  } while (!handles_.compare_exchange_weak(seen, seen + 1));
  if (seen == 0) add_reference();
  return true;
}

void remote_actor::call_ended() noexcept {
  if (pending_.fetch_sub(1) != 1) return;
  if (handles_.load() == 0) directory_.gone(*this);
  release_reference();
}

// -- calls ----------------------------------------------------------------------------------------

std::uint64_t remote_actor::caller_now() const noexcept {
  const core::execution* const now = core::current_execution;
  if (now == nullptr) return 0;
  if (now->actor != nullptr) return now->actor->id() | 1;
  return now->call != nullptr ? now->call->id() * 2 : 0;
}

void remote_actor::submit(actor_call& call, detail::options_ptr options) {
  if (call.remote_key() == 0) {
    throw std::invalid_argument("call '" + std::string(call.info().name) + "' of actor " +
                                full_name() +
                                ": its arguments cannot be archived, and the actor lives in "
                                "another process");
  }
  if (pending_.fetch_add(1) == 0) add_reference();
  if (pending_.load() > here_.runtime().settings.max_pending) {
    call_ended();
    throw pending_calls_limit_error(
        "call '" + std::string(call.info().name) + "' of actor " + full_name() +
        " is one too many: " + std::to_string(here_.runtime().settings.max_pending) +
        " calls wait already (option max-pending)");
  }
  wait_for_room();
  actor_call_access::aim(call, *this, std::move(options));
  if (options_of(call).timeout.count() > 0) {
    actor_call_access::start_deadline(call, options_of(call).timeout);
  }
  call.set_state(detail::invocation::run_state::queued);
  {
    const std::lock_guard guard(mutex_);
    const std::uint64_t place = ++last_;
    places_.emplace(call.id(), place);
    waiting_.emplace(place, entry{&call, caller_now(), false});
  }
  if (call.info().refers) call.connect_arguments();
  if (call.release_arguments()) dispatch(call);
}

/// Slows down who sends faster than the actor's process takes. Throws as `wait_for_room`.
void remote_actor::wait_for_room() {
  process_id host = 0;
  {
    const std::lock_guard guard(mutex_);
    host = state_.host().id;
  }
  if (host == 0 || here_.net->has_room(host)) return;
  try {
    here_.net->wait_for_room(host);
  } catch (...) {
    call_ended();
    throw;
  }
}

void remote_actor::expect(actor_call& creation, std::function<void()> when_ready) {
  actor_call_access::aim_creation(creation, *this);
  const std::lock_guard guard(mutex_);
  creation_ = &creation;
  creation_ready_ = std::move(when_ready);
}

void remote_actor::dispatch(actor_call& call) noexcept {
  if (&call == creation_) {
    creation_ready_();
    return;
  }
  {
    const std::lock_guard guard(mutex_);
    const auto at = places_.find(call.id());
    if (at == places_.end()) return;
    waiting_.at(at->second).ready = true;
  }
  flush();
}

/// Sends what is ready and has no unready call of its caller before it.
void remote_actor::flush() noexcept {
  std::vector<actor_call*> ended;
  {
    const std::lock_guard guard(mutex_);
    if (state_.is_away()) return;
    std::vector<std::uint64_t> held;  // callers
    for (auto at = waiting_.begin(); at != waiting_.end();) {
      entry& one = at->second;
      if (!one.ready) {
        held.push_back(one.caller);
        ++at;
        continue;
      }
      if (state_.is_dead()) {
        one.call->abandon(
            failure_with<actor_died_error>("actor " + full_name() + " has ended: " + end_.message));
      }
      const bool over = one.call->claimed();  // cancelled, or an argument has failed
      if (!over && std::find(held.begin(), held.end(), one.caller) != held.end()) {
        ++at;
        continue;
      }
      places_.erase(one.call->id());
      if (!over && send(one)) {
        sent_.emplace(one.call->id(), sent_entry{one, at->first});
      } else {
        ended.push_back(one.call);
      }
      at = waiting_.erase(at);
    }
  }
  for (actor_call* const call : ended) call->retire();
}

/// Requires the lock, which keeps the order of the calls.
bool remote_actor::send(const entry& one) {
  actor_call& call = *one.call;
  const options& o = options_of(call);
  message carrier;
  call_actor order;
  order.actor = id_;
  order.incarnation = state_.incarnation();
  order.call = call.id();
  order.caller = one.caller;
  order.method = call.remote_key();
  if (call.name() != call.info().name) order.name = call.name();
  order.group = o.concurrency_group;
  order.attempt = static_cast<std::uint32_t>(call.attempt());
  order.backpressure = o.backpressure;
  try {
    order.arguments =
        archive_for(state_.host().id, carrier, nullptr,
                    [&](detail::output_archive& archive) { call.archive_arguments(archive); });
  } catch (...) {
    call.abandon(detail::make_failure(std::current_exception()));
    return false;
  }
  if (detail::remote_stream* const results = call.results()) {
    results->stream()->on_consumed([this, id = call.id()](std::size_t read, bool abandoned) {
      consumed(id, read, abandoned);
    });
  }
  directory_.sent(call.id(), *this);
  message packed = pack(std::move(order));
  packed.attachments = std::move(carrier.attachments);
  here_.net->send(state_.host().id, std::move(packed));
  return true;
}

/// Puts a call that was sent back to its place in the line. Requires the lock.
void remote_actor::wait_again(const sent_entry& one) {
  places_.emplace(one.what.call->id(), one.place);
  waiting_.emplace(one.place, one.what);
}

void remote_actor::consumed(std::uint64_t call, std::size_t read, bool abandoned) {
  process_id host = 0;
  {
    const std::lock_guard guard(mutex_);
    host = state_.host().id;
  }
  if (host != 0) here_.send(host, stream_consumed{call, read, abandoned});
}

void remote_actor::call_stopped(actor_call& call) noexcept {
  process_id host = 0;
  bool retire = false;
  {
    const std::lock_guard guard(mutex_);
    if (sent_.contains(call.id())) {
      host = state_.host().id;
    } else if (const auto at = places_.find(call.id()); at != places_.end()) {
      // One whose arguments are not there comes by `dispatch`.
      retire = waiting_.at(at->second).ready;
      if (retire) {
        waiting_.erase(at->second);
        places_.erase(at);
      }
    }
  }
  if (host != 0) here_.send(host, cancel_call{call.id(), true});
  if (retire) call.retire();
}

bool remote_actor::may_retry(const actor_call& call) const {
  const int of_call = options_of(call).max_task_retries;
  const int most = of_call != 0 ? of_call : max_task_retries_;
  return !call.claimed() && (most == -1 || call.attempt() < most);
}

/// Whether the call has ended.
bool remote_actor::answered(std::uint64_t id, process_id from, const call_done& what,
                            const message& carrier) {
  actor_call* call = nullptr;
  bool again = false;
  detail::failure_ptr why;
  if (what.result.failed && !what.refused) why = from_message(what.result.failure);
  {
    const std::lock_guard guard(mutex_);
    const auto at = sent_.find(id);
    if (at == sent_.end()) return false;
    if (what.incarnation != state_.incarnation())
      return false;  // it has been sent again, or waits for that
    if (why && !why->info && detail::is_exception<actor_died_error>(why->thrown)) {
      // That life is over. Whether another one follows, and why, its owner tells.
      here_.send(id_.owner, locate_actor{id_.local});
      return false;
    }
    const sent_entry one = at->second;
    sent_.erase(at);
    call = one.what.call;
    const options& o = options_of(*call);
    if (what.refused) {
      wait_again(one);
      again = true;
      if (state_.refused()) here_.send(id_.owner, locate_actor{id_.local});
    } else if (why && o.retry_exceptions && may_retry(*call) &&
               !detail::is_exception<task_cancelled_error>(why->thrown) &&
               !detail::is_exception<actor_died_error>(why->thrown) &&
               o.retry_exceptions.matches(why->thrown)) {
      call->start_over();
      wait_again(one);
      again = true;
    }
  }
  if (again) {
    flush();
    return false;
  }
  if (why) {
    call->abandon(why);
  } else {
    try {
      read_payload(from, what.result.value, carrier, 0, [&](detail::input_archive& archive) {
        call->complete_from(archive);
        return 0;
      });
    } catch (...) {
      call->abandon(detail::make_failure(std::current_exception()));
    }
  }
  call->retire();
  return true;
}

void remote_actor::item(std::uint64_t id, process_id from, const stream_item& what,
                        const message& carrier) {
  actor_call* call = nullptr;
  {
    const std::lock_guard guard(mutex_);
    const auto at = sent_.find(id);
    if (at == sent_.end()) return;
    call = at->second.what.call;
    call->pin();
  }
  detail::remote_stream* const results = call->results();
  if (results != nullptr && results->stream()->produced() == what.index) {
    try {
      results->stream()->push(
          read_payload(from, what.item.value, carrier, 0,
                       [&](detail::input_archive& archive) { return results->read_item(archive); }),
          *call);
    } catch (const std::exception&) {
      call->cancel(false, true);
    }
  }
  call->unpin();
}

// -- life -----------------------------------------------------------------------------------------

void remote_actor::moved(const actor_at& to) {
  using news = actor_handle_state::news;
  std::vector<actor_call*> interrupted;
  bool born = false;
  {
    const std::lock_guard guard(mutex_);
    const news what = state_.heard(to);
    if (what == news::none) return;
    max_task_retries_ = to.max_task_retries;
    if (what == news::another) {
      for (const auto& [call, one] : sent_) {
        if (may_retry(*one.what.call)) {
          one.what.call->start_over();
          wait_again(one);
        } else {
          interrupted.push_back(one.what.call);
        }
      }
      sent_.clear();
    }
    born = state_.phase() == actor_phase::alive;
    if (what != news::over && state_.host().id != 0) here_.net->learn(state_.host());
  }
  if (to.phase == actor_phase::dead) {
    over(static_cast<exit_reason>(to.reason), to.text);
    return;
  }
  for (actor_call* const call : interrupted) {
    directory_.forget(call->id());
    call->abandon(failure_with<actor_unavailable_error>(
        "call '" + std::string(call->name()) + "' of actor " + full_name() +
        " was interrupted: the actor failed (" + to.text + ") and restarts"));
    call->retire();
  }
  if (born) static_cast<detail::value_object<void>&>(*constructed_).set();
  flush();
}

void remote_actor::over(exit_reason reason, const std::string& text) {
  std::vector<actor_call*> lost;
  std::vector<actor_call*> unready;
  std::vector<std::shared_ptr<actors::exit_watch>> watches;
  std::vector<detail::actor_core*> links;
  detail::failure_ptr why;
  {
    const std::lock_guard guard(mutex_);
    if (!state_.end()) return;
    end_ = {.id = {id()}, .name = name(), .reason = reason, .message = text};
    why = failure_with<actor_died_error>("actor " + full_name() + " has ended: " + text);
    for (const auto& [call, one] : sent_) lost.push_back(one.what.call);
    sent_.clear();
    for (auto at = waiting_.begin(); at != waiting_.end();) {
      if (!at->second.ready) {
        unready.push_back(at->second.call);
        at->second.call->pin();
        ++at;
        continue;
      }
      lost.push_back(at->second.call);
      places_.erase(at->second.call->id());
      at = waiting_.erase(at);
    }
    watches.swap(watches_);
    links.swap(links_);
  }
  for (actor_call* const call : lost) {
    directory_.forget(call->id());
    call->abandon(why);
    call->retire();
  }
  for (actor_call* const call : unready) {
    call->abandon(why);
    call->disconnect();  // it comes by `dispatch`, to be ended
    call->unpin();
  }
  static_cast<detail::value_object<void>&>(*constructed_).set_failure(why);
  actors::tell_watches(std::move(watches), end_);
  for (detail::actor_core* const other : links) {
    if (is_abnormal(reason)) {
      other->order_end(exit_reason::linked,
                       "it was linked to actor " + full_name() + ", which ended: " + text, false);
    }
    other->link_with(*this, false);
    other->release_reference();
  }
}

void remote_actor::owner_gone(const std::string& cause) {
  over(exit_reason::failed, "the process that owned it has ended: " + cause);
}

void remote_actor::owner_renewed() {
  std::optional<kill_actor> order;
  {
    const std::lock_guard guard(mutex_);
    if (state_.is_dead()) return;
    order = state_.ordered_end();
  }
  if (order) here_.send(id_.owner, std::move(*order));
  here_.send(id_.owner, locate_actor{id_.local});
}

void remote_actor::abandon(const std::string& why) noexcept { over(exit_reason::shutdown, why); }

void remote_actor::order_end(exit_reason reason, std::string message, bool may_restart) noexcept {
  if (id_.owner == here_.self() && directory_.kill_owned) {
    directory_.kill_owned(id_.local, reason, message, may_restart);
    return;
  }
  kill_actor order;
  {
    const std::lock_guard guard(mutex_);
    order = state_.order_end(id_.local, static_cast<std::uint8_t>(reason), std::move(message),
                             may_restart);
  }
  here_.send(id_.owner, std::move(order));
}

void remote_actor::watch(std::shared_ptr<actors::exit_watch> watch) {
  {
    const std::lock_guard guard(mutex_);
    if (!state_.is_dead()) {
      watches_.push_back(std::move(watch));
      return;
    }
  }
  actors::tell_watches({std::move(watch)}, end_);
}

void remote_actor::link_with(detail::actor_core& other, bool linked) {
  bool late = false;
  {
    const std::lock_guard guard(mutex_);
    const auto at = std::find(links_.begin(), links_.end(), &other);
    if (linked) {
      late = state_.is_dead();
      if (!late && at == links_.end()) {
        other.add_reference();
        links_.push_back(&other);
      }
    } else if (at != links_.end()) {
      links_.erase(at);
      other.release_reference();
    }
  }
  if (late && is_abnormal(end_.reason)) {
    other.order_end(exit_reason::linked,
                    "it was linked to actor " + full_name() + ", which had ended", false);
  }
}

// -- actor_directory ------------------------------------------------------------------------------

detail::actor_core_ptr actor_directory::handle(global_id actor, const detail::class_info& info,
                                               std::string name, bool counted) {
  remote_actor* made = nullptr;
  remote_actor* found = nullptr;
  {
    const std::lock_guard guard(mutex_);
    known& entry = actors_[actor];
    if (entry.actor != nullptr && entry.actor->try_add_handle()) {
      if (counted) ++entry.count;
      found = entry.actor;
    } else {
      ++entry.count;
      made = new remote_actor(here_, *this, actor, info, std::move(name));
      entry.actor = made;
    }
  }
  if (found != nullptr) {
    if (*found->info().type != *info.type) {
      const auto wrong = detail::actor_core_ptr::adopt(found);
      throw actor_name_error("actor " + found->full_name() + " is not a " + std::string(info.name));
    }
    return detail::actor_core_ptr::adopt(found);
  }
  if (!counted) sharing_.count(actor, here_.self(), 1);
  const bool asked = here_.send(actor.owner, locate_actor{actor.local});
  if (!asked && actor.owner != here_.head.id) {
    made->owner_gone("it cannot be reached any more");
  }
  return detail::actor_core_ptr::adopt(made);
}

void actor_directory::gone(remote_actor& actor) noexcept {
  std::int32_t held = 0;
  {
    const std::lock_guard guard(mutex_);
    const auto at = actors_.find(actor.where());
    if (at == actors_.end() || at->second.actor != &actor) return;
    if (actor.handles_.load() != 0 || actor.pending_.load() != 0) return;  // found again meanwhile
    held = at->second.count;
    actors_.erase(at);
  }
  sharing_.count(actor.where(), here_.self(), -held);
}

remote_actor* actor_directory::find(global_id id) {
  const std::lock_guard guard(mutex_);
  const auto at = actors_.find(id);
  if (at == actors_.end()) return nullptr;
  at->second.actor->add_reference();
  return at->second.actor;
}

void actor_directory::sent(std::uint64_t call, remote_actor& by) {
  const std::lock_guard guard(mutex_);
  if (in_flight_.emplace(call, &by).second) by.add_reference();
}

void actor_directory::on(process_id from, const actor_at& what) {
  remote_actor* const actor = find({from, what.actor});
  if (actor == nullptr) return;
  actor->moved(what);
  actor->release_reference();
}

void actor_directory::on(process_id from, const call_done& what, const message& carrier) {
  remote_actor* actor = nullptr;
  {
    const std::lock_guard guard(mutex_);
    const auto at = in_flight_.find(what.call);
    if (at == in_flight_.end()) return;
    actor = at->second;
    actor->add_reference();
  }
  if (actor->answered(what.call, from, what, carrier)) {
    bool mine = false;
    {
      const std::lock_guard guard(mutex_);
      mine = in_flight_.erase(what.call) != 0;
    }
    if (mine) actor->release_reference();
  }
  actor->release_reference();
}

void actor_directory::forget(std::uint64_t call) {
  remote_actor* actor = nullptr;
  {
    const std::lock_guard guard(mutex_);
    const auto at = in_flight_.find(call);
    if (at == in_flight_.end()) return;
    actor = at->second;
    in_flight_.erase(at);
  }
  actor->release_reference();
}

void actor_directory::on_item(process_id from, const stream_item& what, const message& carrier) {
  remote_actor* actor = nullptr;
  {
    const std::lock_guard guard(mutex_);
    const auto at = in_flight_.find(what.task);
    if (at == in_flight_.end()) return;
    actor = at->second;
    actor->add_reference();
  }
  actor->item(what.task, from, what, carrier);
  actor->release_reference();
}

void actor_directory::process_gone(process_id gone, const std::string& cause) {
  std::vector<remote_actor*> orphans;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [id, entry] : actors_) {
      if (id.owner != gone) continue;
      entry.actor->add_reference();
      orphans.push_back(entry.actor);
    }
  }
  for (remote_actor* const actor : orphans) {
    actor->owner_gone(cause);
    actor->release_reference();
  }
}

void actor_directory::owner_renewed(process_id owner) {
  std::vector<std::pair<remote_actor*, std::int32_t>> held;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [id, entry] : actors_) {
      if (id.owner != owner) continue;
      entry.actor->add_reference();
      held.emplace_back(entry.actor, entry.count);
    }
  }
  for (const auto& [actor, count] : held) {
    sharing_.count(actor->where(), here_.self(), count);
    actor->owner_renewed();
    actor->release_reference();
  }
}

void actor_directory::abandon_all(const std::string& why) noexcept {
  std::vector<remote_actor*> all;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [id, entry] : actors_) {
      entry.actor->add_reference();
      all.push_back(entry.actor);
    }
  }
  for (remote_actor* const actor : all) {
    actor->abandon(why);
    actor->release_reference();
  }
}

}  // namespace troupe::net
