#include "net/value_rebuilder.hpp"

#include <utility>

#include <troupe/error.hpp>
#include <troupe/log.hpp>

#include "actors/nobodys_child.hpp"
#include "net/failures.hpp"
#include "net/value_store.hpp"

namespace troupe::net {

namespace {

detail::failure_ptr not_rebuilt(const std::string& why) {
  return failure_with<object_lost_error>("it cannot be made again: " + why);
}

}  // namespace

// -- what this process owns -----------------------------------------------------------------------

void value_rebuilder::made(value_origin& value, const detail::task& by) {
  const stored_id id = value.first_id();
  const std::int32_t most = by.stored() != nullptr ? by.stored()->get().max_retries.value_or(3) : 3;
  std::string why_not;
  if (most == 0) {
    why_not = "its task has max_retries = 0";
  } else if (!by.info().repeatable) {
    why_not = "its task's arguments cannot be copied, so that it cannot run again";
  } else {
    try {
      auto how = std::make_shared<const lineage>(by);
      {
        const std::lock_guard guard(mutex_);
        if (known_.has_room(how->bytes())) {
          known_.keep(id, how->bytes(), most, by.attempt());
          value.set_lineage(std::move(how));
          origins_[id] = value.weak_from_this();
          return;
        }
      }
      why_not = "its task's arguments, of " + std::to_string(how->bytes()) +
                " bytes, were not kept, because those of others fill the room for them (option "
                "max-lineage-bytes)";
    } catch (const std::exception& e) {
      why_not = std::string("its task's arguments cannot be kept: ") + e.what();
    }
  }
  const std::lock_guard guard(mutex_);
  known_.keep_not(id, std::move(why_not));
}

void value_rebuilder::forget(stored_id first) {
  std::vector<rebuild_state::asked> left;
  {
    const std::lock_guard guard(mutex_);
    left = known_.forget(first);
    origins_.erase(first);
  }
  for (const auto& one : left) {
    answer(one, nullptr, not_rebuilt("its owner has freed it meanwhile"));
  }
}

/// A task that runs again, until its result is there.
struct value_rebuilder::rerun final : detail::continuation {
  std::shared_ptr<value_origin> origin;
  detail::object_ptr task;

  rerun(std::shared_ptr<value_origin> o, detail::object_ptr t)
      : origin(std::move(o)), task(std::move(t)) {
    fire = [](detail::continuation& self, detail::object_state&) noexcept {
      const std::unique_ptr<rerun> mine(static_cast<rerun*>(&self));
      mine->task->note_asked();
      mine->origin->in().rebuilder().ended(*mine->origin,
                                           static_cast<const repeated_task&>(*mine->task));
    };
  }
};

void value_rebuilder::lost(process_id who, stored_id value, const std::string& why) {
  rebuild_state::verdict verdict;
  std::shared_ptr<value_origin> origin;
  {
    const std::lock_guard guard(mutex_);
    verdict = known_.lost(value, who);
    stored_id first;
    if (const auto* const again = std::get_if<rebuild_state::run_again>(&verdict)) {
      first = again->value;
    } else if (const auto* const moved = std::get_if<rebuild_state::lies_elsewhere>(&verdict)) {
      first = moved->value;
    }
    if (const auto at = origins_.find(first); at != origins_.end()) origin = at->second.lock();
  }
  if (const auto* const hopeless = std::get_if<rebuild_state::hopeless>(&verdict)) {
    answer({who, value}, nullptr, not_rebuilt(hopeless->why));
  } else if (std::holds_alternative<rebuild_state::under_way>(verdict)) {
    // It is answered with the others.
  } else if (!origin) {
    // Its last holder goes just now: `forget` answers who was noted as waiting.
    if (std::holds_alternative<rebuild_state::lies_elsewhere>(verdict)) {
      answer({who, value}, nullptr, not_rebuilt("its owner has freed it"));
    }
  } else if (const auto* const again = std::get_if<rebuild_state::run_again>(&verdict)) {
    begin(*again, *origin, why);
  } else {
    const value_origin::place now = origin->now();
    answer({who, value}, &now, nullptr);
  }
}

void value_rebuilder::begin(const rebuild_state::run_again& what, value_origin& value,
                            const std::string& why) {
  log::warn("'", value.how()->name(), "' runs again (attempt ", what.attempt + 1,
            what.most == -1 ? "" : " of " + std::to_string(what.most + 1), "): ", why);
  auto* const task = new repeated_task(value.how(), in_, what.attempt);
  const auto object = detail::object_ptr::adopt(task);
  try {
    // One that waits may be cancelled, while others wait too.
    const actors::nobodys_child nobody;
    task->begin();
  } catch (const std::exception&) {
    if (task->claim()) task->fail(detail::make_failure(std::current_exception()));
  }
  auto* const watching = new rerun(value.shared_from_this(), object);
  if (!object->when_ready(*watching)) watching->fire(*watching, *object);
}

void value_rebuilder::ended(value_origin& value, const repeated_task& task) {
  std::vector<rebuild_state::asked> waiting;
  const bool made = task.has_value();
  if (made) value.moved(task.place());
  {
    const std::lock_guard guard(mutex_);
    waiting = made ? known_.rebuilt(value.first_id(), task.place().id, task.attempt())
                   : known_.failed(value.first_id(), task.attempt());
  }
  const value_origin::place now = value.now();
  for (const auto& one : waiting) {
    answer(one, made ? &now : nullptr, made ? nullptr : task.why());
  }
}

void value_rebuilder::answer(const rebuild_state::asked& to, const value_origin::place* now,
                             const detail::failure_ptr& why) {
  value_rebuilt told;
  told.value = to.value;
  if (now != nullptr) {
    told.now = now->id;
    told.home = now->home;
  } else {
    told.failed = true;
    told.failure = to_message(*why);
  }
  if (to.who == in_.self()) {
    on(told);
  } else {
    in_.send(to.who, std::move(told));
  }
}

// -- who cannot read a value ----------------------------------------------------------------------

value_origin::place value_rebuilder::recover(stored_id value, const peer& keeper,
                                             const std::string& lost,
                                             const detail::deadline& until) {
  const process_id self = in_.self();
  std::shared_ptr<question> asked;
  bool first = false;
  {
    const std::lock_guard guard(mutex_);
    std::shared_ptr<question>& known = questions_[value];
    if (!known) {
      known = std::make_shared<question>();
      known->owner = keeper.id;
      first = true;
    }
    asked = known;
  }
  if (first) {
    if (keeper.id == self) {
      this->lost(self, value, lost);
    } else if (!in_.send(keeper.id, rebuild_value{value, lost})) {
      process_gone(keeper.id, "it cannot be reached");
    }
  }
  detail::wait_until_ready(*asked->answered, until);
  if (asked->answered->has_failed()) detail::throw_failure(*asked->answered);
  return asked->now;
}

void value_rebuilder::on(const value_rebuilt& what) {
  std::shared_ptr<question> asked;
  {
    const std::lock_guard guard(mutex_);
    const auto at = questions_.find(what.value);
    if (at == questions_.end()) return;
    asked = std::move(at->second);
    questions_.erase(at);
  }
  auto& answered = static_cast<detail::value_object<void>&>(*asked->answered);
  if (what.failed) {
    answered.set_failure(from_message(what.failure));
  } else {
    asked->now = {what.now, what.home};
    in_.learn(what.home);
    answered.set();
  }
}

void value_rebuilder::process_gone(process_id gone, const std::string& cause) {
  std::vector<std::shared_ptr<question>> hopeless;
  {
    const std::lock_guard guard(mutex_);
    known_.process_gone(gone);
    std::erase_if(questions_, [&](const auto& one) {
      if (one.second->owner != gone) return false;
      hopeless.push_back(one.second);
      return true;
    });
  }
  for (const auto& one : hopeless) {
    static_cast<detail::value_object<void>&>(*one->answered)
        .set_failure(failure_with<owner_died_error>(
            "it cannot be made again: the process that owned it has ended (" + cause + ")"));
  }
}

void value_rebuilder::close(const std::string& why) {
  std::map<stored_id, std::shared_ptr<question>> left;
  {
    const std::lock_guard guard(mutex_);
    left.swap(questions_);
  }
  for (const auto& [id, one] : left) {
    static_cast<detail::value_object<void>&>(*one->answered)
        .set_failure(failure_with<connection_error>(why));
  }
}

}  // namespace troupe::net
