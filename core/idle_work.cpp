#include "core/idle_work.hpp"

#include <thread>

namespace troupe::core {

namespace {

std::atomic<idle_work*> installed{nullptr};
std::atomic<int> inside{0};

}  // namespace

bool idle_work::install(idle_work& work) noexcept {
  idle_work* none = nullptr;
  return installed.compare_exchange_strong(none, &work);
}

bool idle_work::remove(idle_work& work) noexcept {
  idle_work* same = &work;
  return installed.compare_exchange_strong(same, nullptr);
}

void idle_work::wait_until_left() noexcept {
  while (inside.load() != 0) std::this_thread::yield();
}

void idle_work::wait(parker& sleeper, const std::optional<time_point>& deadline) noexcept {
  // Counted before it is looked at: who removes it sees one of the two.
  inside.fetch_add(1);
  idle_work* const work = installed.load();
  const bool worked = work != nullptr && work->work_until_woken(sleeper, deadline);
  inside.fetch_sub(1);
  if (!worked) sleeper.park_until(deadline);
}

}  // namespace troupe::core
