#include "core/stage/scheduler.hpp"

#include <algorithm>
#include <chrono>

#include <caf/actor_system_config.hpp>

#include <troupe/detail/assert.hpp>

#include "core/idle_work.hpp"

namespace troupe::core {

namespace {

constexpr auto monitor_period = std::chrono::milliseconds(10);
constexpr auto spare_lifetime = std::chrono::seconds(5);
// Every so many turns a thread looks at the injected jobs before its own, so that neither starves.
constexpr std::uint32_t injected_every = 8;

}  // namespace

thread_local stage_thread* stage_thread::current = nullptr;
thread_local stage_thread* stage_thread::idle = nullptr;

job* job_queue::steal_into(job_queue& target) {
  if (size_.load(std::memory_order_relaxed) == 0) return nullptr;
  std::array<job*, 32> loot;
  std::size_t count = 0;
  {
    const std::lock_guard guard(mutex_);
    const std::size_t half = (jobs_.size() + 1) / 2;
    while (count < half && count < loot.size()) loot[count++] = jobs_.pop_front();
    size_.store(jobs_.size());
  }
  if (count == 0) return nullptr;
  for (std::size_t i = 1; i < count; ++i) target.push(loot[i]);
  return loot[0];
}

stage_thread::stage_thread(stage_scheduler& owner)
    : caf::execution_unit(&owner.system()), scheduler(owner) {}

void stage_thread::exec_later(caf::resumable* what) { scheduler.enqueue(what); }

stage_scheduler::stage_scheduler(caf::actor_system& system, const stage_options& options)
    : abstract_coordinator(system), options_(options) {
  options_.slots = std::clamp<std::size_t>(options_.slots, 1, max_slots / 2);
  options_.max_threads = std::max(options_.max_threads, options_.slots + 1);
  for (std::size_t i = 0; i < options_.slots; ++i) {
    slots_[i] = new slot;
    free_.push_back(slots_[i]);
  }
  slot_count_ = options_.slots;
  free_slots_ = options_.slots;
}

stage_scheduler::~stage_scheduler() {
  for (std::size_t i = 0; i < slot_count_; ++i) delete slots_[i].load();
}

void stage_scheduler::init(caf::actor_system_config& config) {
  abstract_coordinator::init(config);
  num_workers_ = options_.slots;
  max_throughput_ = options_.max_throughput;
}

void stage_scheduler::start() {
  clock_thread_ = std::thread([this] { clock_.run_dispatch_loop(); });
  monitor_thread_ = std::thread([this] { monitor(); });
  abstract_coordinator::start();
}

void stage_scheduler::stop() {
  stop_actors();
  stop_threads();
  clock_.cancel_dispatch_loop();
  clock_thread_.join();
  const auto drop = [](job_queue& queue) {
    while (job* what = queue.pop()) cleanup_and_release(what);
  };
  drop(injected_);
  for (std::size_t i = 0; i < slot_count_; ++i) drop(slots_[i].load()->queue);
}

void stage_scheduler::stop_threads() noexcept {
  {
    std::unique_lock guard(mutex_);
    if (!stopping_.exchange(true)) {
      for (stage_thread* spare : spares_) spare->sleep->unpark();
    }
  }
  {
    const std::lock_guard guard(monitor_mutex_);
    monitor_stop_ = true;
  }
  monitor_wake_.notify_all();
  if (monitor_thread_.joinable()) monitor_thread_.join();
  for (;;) {
    std::unique_lock guard(mutex_);
    reap_finished(guard);
    if (threads_.empty()) return;
    const pthread_t next = threads_.front()->handle;
    guard.unlock();
    pthread_join(next, nullptr);
    guard.lock();
    // The thread moved itself to the finished ones; it is joined already.
    std::erase_if(finished_, [next](const auto& t) { return pthread_equal(t->handle, next) != 0; });
  }
}

void stage_scheduler::enqueue(caf::resumable* what) {
  stage_thread* const self = stage_thread::current;
  slot* const own = self != nullptr && &self->scheduler == this
                        ? self->own.load(std::memory_order_relaxed)
                        : nullptr;
  (own != nullptr ? own->queue : injected_).push(what);
  if (free_slots_.load() > 0) {
    wake_one(false);
  } else if (!monitor_armed_.load(std::memory_order_relaxed)) {
    arm_monitor();
  }
}

// -- threads --------------------------------------------------------------------------------------

void* stage_scheduler::thread_main(void* argument) {
  auto& self = *static_cast<stage_thread*>(argument);
  stage_thread::current = &self;
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    void* base = nullptr;
    std::size_t size = 0;
    pthread_attr_getstack(&attributes, &base, &size);
    self.stack_limit = static_cast<char*>(base);
    pthread_attr_destroy(&attributes);
  }
  pthread_setname_np(pthread_self(), "troupe.stage");
  self.scheduler.run(self);
  return nullptr;
}

stage_thread* stage_scheduler::spare_or_new(bool patient_enough) {
  // One that reads the network wakes itself for what it has read: it need not be woken.
  stage_thread* const idle = stage_thread::idle;
  if (idle != nullptr && &idle->scheduler == this && std::erase(spares_, idle) != 0) return idle;
  if (!spares_.empty()) {
    stage_thread* const spare = spares_.back();
    spares_.pop_back();
    return spare;
  }
  const std::size_t bound = patient_enough ? options_.max_threads : options_.soft_max_threads;
  if (stopping_ || threads_.size() >= std::max(bound, options_.slots)) return nullptr;
  auto thread = std::make_unique<stage_thread>(*this);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, options_.stack_bytes);
  // The new thread sleeps until it is given a slot, which needs the lock that we hold.
  const int failed = pthread_create(&thread->handle, &attributes, &thread_main, thread.get());
  pthread_attr_destroy(&attributes);
  if (failed != 0) return nullptr;  // out of threads: the slot waits for one that ends or unblocks
  threads_.push_back(std::move(thread));
  peak_threads_ = std::max(peak_threads_, threads_.size());
  return threads_.back().get();
}

void stage_scheduler::reap_finished(std::unique_lock<std::mutex>& guard) {
  auto finished = std::exchange(finished_, {});
  if (finished.empty()) return;
  guard.unlock();
  for (const auto& thread : finished) pthread_join(thread->handle, nullptr);
  guard.lock();
}

void stage_scheduler::wake_one(bool patient_enough) {
  std::unique_lock guard(mutex_);
  if (free_.empty() || stopping_) return;
  stage_thread* const thread = spare_or_new(patient_enough);
  if (thread == nullptr) {
    guard.unlock();
    arm_monitor();
    return;
  }
  slot* const own = free_.back();
  free_.pop_back();
  free_slots_.fetch_sub(1);
  parker& sleep = *thread->sleep;  // outlives the thread, which may end as soon as it has its slot
  thread->own.store(own, std::memory_order_release);
  if (!finished_.empty()) reap_finished(guard);
  guard.unlock();
  sleep.unpark();
}

void stage_scheduler::run(stage_thread& self) {
  for (;;) {
    if (self.own.load(std::memory_order_acquire) == nullptr && !park(self)) return;
    slot* own = self.own.load(std::memory_order_acquire);
    if (job* what = stopping_.load(std::memory_order_relaxed) ? nullptr : find_job(*own)) {
      run_job(self, *own, what);
      own =
          self.own.load(std::memory_order_relaxed);  // it may have blocked and come back elsewhere
      own->ticks.store(own->ticks.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      if (!should_yield()) continue;
    }
    std::unique_lock guard(mutex_);
    self.own.store(nullptr, std::memory_order_relaxed);
    spares_.push_back(&self);
    give_away(own, guard);
  }
}

void stage_scheduler::run_job(stage_thread& self, slot&, job* what) {
  switch (what->resume(&self, max_throughput_)) {
    case caf::resumable::resume_later:
      self.own.load(std::memory_order_relaxed)->queue.push(what);
      break;
    case caf::resumable::done:
    case caf::resumable::awaiting_message:
    case caf::resumable::shutdown_execution_unit:
      intrusive_ptr_release(what);
      break;
  }
}

job* stage_scheduler::find_job(slot& own) {
  const bool injected_first = ++own.turn % injected_every == 0;
  if (injected_first) {
    if (job* what = injected_.pop()) return what;
  }
  if (job* what = own.queue.pop()) return what;
  if (job* what = injected_.pop()) return what;
  const std::size_t count = slot_count_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < count; ++i) {
    slot* const victim = slots_[(own.turn + i) % count].load(std::memory_order_acquire);
    if (victim == &own) continue;
    if (job* what = victim->queue.steal_into(own.queue)) return what;
  }
  return nullptr;
}

bool stage_scheduler::any_job() const noexcept {
  if (!injected_.empty()) return true;
  const std::size_t count = slot_count_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < count; ++i) {
    if (!slots_[i].load(std::memory_order_acquire)->queue.empty()) return true;
  }
  return false;
}

/// Sleeps until the thread has a slot. False when it shall end.
bool stage_scheduler::park(stage_thread& self) {
  const auto has_slot = [&] { return self.own.load(std::memory_order_acquire) != nullptr; };
  while (!has_slot()) {
    std::unique_lock guard(mutex_);
    const bool surplus = threads_.size() > options_.slots + 2;
    if (has_slot()) return true;
    if (!stopping_) {
      guard.unlock();
      if (!surplus) {
        sleep(self, std::nullopt);
        continue;
      }
      const auto end_of_life = std::chrono::steady_clock::now() + spare_lifetime;
      sleep(self, end_of_life);
      if (std::chrono::steady_clock::now() < end_of_life) continue;
      guard.lock();
      if (has_slot()) return true;
    }
    std::erase(spares_, &self);
    const auto at = std::find_if(threads_.begin(), threads_.end(),
                                 [&](const auto& thread) { return thread.get() == &self; });
    finished_.push_back(std::move(*at));
    threads_.erase(at);
    return false;
  }
  return true;
}

void stage_scheduler::sleep(stage_thread& self,
                            const std::optional<parker::time_point>& deadline) noexcept {
  if (!threads_read_.load(std::memory_order_relaxed)) {
    self.sleep->park_until(deadline);
    return;
  }
  stage_thread::current = nullptr;
  stage_thread::idle = &self;
  idle_work::wait(*self.sleep, deadline);
  stage_thread::idle = nullptr;
  stage_thread::current = &self;
}

/// Hands a slot that its thread does not need to one that waits for it, or makes it free.
void stage_scheduler::give_away(slot* free, std::unique_lock<std::mutex>& guard) {
  if (!resumers_.empty()) {
    stage_thread* const next = resumers_.front();
    resumers_.pop_front();
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    parker& sleep = *next->sleep;
    next->own.store(free, std::memory_order_release);
    guard.unlock();
    sleep.unpark();
    return;
  }
  if (free->lent && free->queue.empty()) {
    unlent_.push_back(free);
    guard.unlock();
    return;
  }
  free_.push_back(free);
  free_slots_.fetch_add(1);
  guard.unlock();
  if (any_job()) wake_one(false);
}

// -- blocking -------------------------------------------------------------------------------------

bool stage_scheduler::leave() noexcept {
  stage_thread& self = *stage_thread::current;
  std::unique_lock guard(mutex_);
  if (spares_.empty() && threads_.size() >= options_.max_threads) return false;
  slot* const own = self.own.exchange(nullptr, std::memory_order_relaxed);
  TROUPE_ASSERT(own != nullptr, "a thread that leaves the stage holds a slot");
  ++blocked_;
  give_away(own, guard);
  return true;
}

void stage_scheduler::rejoin() noexcept {
  stage_thread& self = *stage_thread::current;
  {
    const std::lock_guard guard(mutex_);
    --blocked_;
    if (!free_.empty()) {
      self.own.store(free_.back(), std::memory_order_relaxed);
      free_.pop_back();
      free_slots_.fetch_sub(1);
      return;
    }
    resumers_.push_back(&self);
    waiting_.fetch_add(1, std::memory_order_relaxed);
  }
  arm_monitor();
  while (self.own.load(std::memory_order_acquire) == nullptr) self.sleep->park();
}

// -- the monitor ----------------------------------------------------------------------------------

void stage_scheduler::arm_monitor() noexcept {
  if (monitor_armed_.exchange(true)) return;
  const std::lock_guard guard(monitor_mutex_);  // so that the monitor sees it before it sleeps
  monitor_wake_.notify_one();
}

std::uint64_t stage_scheduler::total_ticks() const noexcept {
  std::uint64_t sum = 0;
  const std::size_t count = slot_count_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < count; ++i) {
    sum += slots_[i].load(std::memory_order_acquire)->ticks.load(std::memory_order_relaxed);
  }
  return sum;
}

slot* stage_scheduler::lend_slot() {
  if (!unlent_.empty()) {
    slot* const again = unlent_.back();
    unlent_.pop_back();
    return again;
  }
  const std::size_t count = slot_count_.load(std::memory_order_relaxed);
  if (count == max_slots) return nullptr;
  auto* const fresh = new slot;
  fresh->lent = true;
  slots_[count].store(fresh, std::memory_order_release);
  slot_count_.store(count + 1, std::memory_order_release);
  return fresh;
}

void stage_scheduler::monitor() {
  pthread_setname_np(pthread_self(), "troupe.monitor");
  std::uint64_t seen = 0;
  std::unique_lock guard(monitor_mutex_);
  for (;;) {
    monitor_wake_.wait(guard, [&] { return monitor_stop_ || monitor_armed_.load(); });
    if (monitor_wake_.wait_for(guard, monitor_period, [&] { return monitor_stop_; })) return;
    guard.unlock();
    const bool work_waits = any_job() || waiting_.load() > 0;
    const std::uint64_t ticks = total_ticks();
    if (!work_waits) {
      monitor_armed_.store(false);
      if (any_job() || waiting_.load() > 0) monitor_armed_.store(true);
    } else if (free_slots_.load() > 0) {
      wake_one(true);
    } else if (ticks == seen) {
      std::unique_lock lock(mutex_);
      if (slot* const lent = stopping_ ? nullptr : lend_slot()) {
        if (!resumers_.empty()) {
          give_away(lent, lock);
        } else {
          free_.push_back(lent);
          free_slots_.fetch_add(1);
          lock.unlock();
          wake_one(true);
        }
      }
    }
    seen = ticks;
    guard.lock();
  }
}

stage_stats stage_scheduler::stats() const noexcept {
  const std::lock_guard guard(mutex_);
  return {threads_.size(), peak_threads_, blocked_};
}

}  // namespace troupe::core
