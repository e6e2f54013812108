#include "actors/group_runner.hpp"

#include <algorithm>
#include <mutex>

namespace troupe::actors {

group_runner::group_runner(detail::actor_core& actor, call_group& group)
    : actor_(actor), group_(group) {
  actor_.add_reference();
}

group_runner::~group_runner() {
  if (listed_) {
    const std::lock_guard guard(actor_.lock_);
    std::erase(actor_.extras().running, &running_);
  }
  actor_.release_reference();
}

core::job::resume_result group_runner::resume(caf::execution_unit*, std::size_t max_throughput) {
  if (!listed_) {  // not when it is made: that may be under the actor's lock
    const std::lock_guard guard(actor_.lock_);
    actor_.extras().running.push_back(&running_);
    listed_ = true;
  }
  return actor_.run_group(group_, running_, max_throughput);
}

}  // namespace troupe::actors
