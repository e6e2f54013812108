#include "core/gpu_memory_watch.hpp"

#include <deque>
#include <mutex>
#include <utility>

#include <troupe/detail/gpu_memory.hpp>

namespace troupe {

namespace {

// These two are never destroyed: arrays may outlive main, and a task may call std::exit while
// others run.
std::mutex mutex;
std::function<void()>& watcher() {  // guarded by mutex
  static auto& told = *new std::function<void()>;
  return told;
}
std::deque<detail::gpu_memory_counter>& counters() {  // guarded by mutex
  static auto& all = *new std::deque<detail::gpu_memory_counter>;
  return all;
}
/// There is something that nobody has asked for since.
std::atomic<bool> news{false};

void changed() noexcept {
  if (news.load() || news.exchange(true)) return;
  const std::lock_guard guard(mutex);
  if (watcher()) watcher()();
}

}  // namespace

namespace detail {

gpu_memory_counter::gpu_memory_counter(std::string id, std::string what, std::uint64_t all)
    : uuid(std::move(id)), name(std::move(what)), total(all) {}

void gpu_memory_counter::took(std::uint64_t bytes) noexcept {
  bytes_.fetch_add(bytes);
  changed();
}

void gpu_memory_counter::gave_back(std::uint64_t bytes) noexcept {
  bytes_.fetch_sub(bytes);
  changed();
}

gpu_memory_counter& count_gpu_memory(const std::string& uuid, const std::string& name,
                                     std::uint64_t total) {
  const std::lock_guard guard(mutex);
  for (gpu_memory_counter& known : counters()) {
    if (known.uuid == uuid) return known;
  }
  return counters().emplace_back(uuid, name, total);
}

}  // namespace detail

namespace core {

void watch_gpu_memory(std::function<void()> told) {
  const std::lock_guard guard(mutex);
  watcher() = std::move(told);
  // What there is already is told, too.
  if (watcher() && news.load()) watcher()();
}

std::vector<gpu_memory> gpu_memory_now() {
  // Before the counters are read: what changes after this is told anew.
  news.store(false);
  const std::lock_guard guard(mutex);
  std::vector<gpu_memory> result;
  for (const detail::gpu_memory_counter& one : counters()) {
    result.push_back({one.uuid, one.name, one.total, one.in_arrays()});
  }
  return result;
}

}  // namespace core
}  // namespace troupe
