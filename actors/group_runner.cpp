#include "actors/group_runner.hpp"

#include <mutex>

namespace troupe::actors {

group_runner::group_runner(detail::local_actor& actor, call_group& group)
    : actor_(actor), group_(group) {
  actor_.add_reference();
}

group_runner::~group_runner() {
  if (listed_) {
    const std::lock_guard guard(actor_.lock_);
    (running_.previous != nullptr ? running_.previous->next : actor_.extras().running) =
        running_.next;
    if (running_.next != nullptr) running_.next->previous = running_.previous;
  }
  actor_.release_reference();
}

core::job::resume_result group_runner::resume(caf::execution_unit*, std::size_t max_throughput) {
  if (!listed_) {  // not when it is made: that may be under the actor's lock
    const std::lock_guard guard(actor_.lock_);
    running_call*& first = actor_.extras().running;
    running_.next = first;
    if (first != nullptr) first->previous = &running_;
    first = &running_;
    listed_ = true;
  }
  return actor_.run_group(group_, running_, max_throughput);
}

}  // namespace troupe::actors
