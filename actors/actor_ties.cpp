// What ties an actor to others: watches, links, timers.
#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "actors/group_runner.hpp"
#include "actors/local_actor.hpp"

namespace troupe::actors {

exit_watch::~exit_watch() {
  if (watcher != nullptr) watcher->release_reference();
}

}  // namespace troupe::actors

namespace troupe::detail {

// -- watches, links, timers -----------------------------------------------------------------------

void local_actor::watch(std::shared_ptr<actors::exit_watch> watch) {
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

void local_actor::link_with(actor_core& other, bool linked) {
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

void local_actor::keep_timer(std::weak_ptr<void> timer) {
  const std::lock_guard guard(lock_);
  auto& timers = extras().timers;
  std::erase_if(timers, [](const auto& t) { return t.expired(); });
  timers.push_back(std::move(timer));
}

}  // namespace troupe::detail
