#include "gpu/engine.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include <troupe/actor.hpp>
#include <troupe/detail/gpu_claim.hpp>
#include <troupe/gpu/error.hpp>
#include <troupe/log.hpp>
#include <troupe/task.hpp>

#include "gpu/local_device.hpp"

namespace troupe::gpu::detail {
namespace {

// Streams of one device: for actors, and for threads outside of them. Beyond that they are shared.
constexpr std::size_t lanes_of_a_kind = 16;

std::atomic<engine*> replacement{nullptr};

/// The node's number of the first GPU of what runs on this thread; -1: it has none.
thread_local int current_gpu = -1;
/// The device that an `on_device` has chosen on this thread; -1: none has.
thread_local int chosen_device = -1;

/// The device that is this thread's own, if it has one.
std::optional<int> own_device(int count) noexcept {
  return chosen_device >= 0 ? std::optional(chosen_device) : local_device(current_gpu, count);
}

std::size_t number_of_this_thread() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t own = next.fetch_add(1);
  return own;
}

void make_current(int id) noexcept {
  current_gpu = id;
  if (id < 0) return;
  engine::process().make_own_device_current();
}

// Whoever links this library uses devices.
const bool hooked = [] {
  troupe::detail::set_gpu_hook(&make_current);
  return true;
}();

}  // namespace

engine& engine::process() {
  if (engine* const other = replacement.load(std::memory_order_acquire)) return *other;
  static auto& only = *new engine(cuda_driver());
  return only;
}

void engine::replace_for_test(engine* other) noexcept { replacement.store(other); }

engine::engine(driver& over) : driver_(over), count_(over.count_devices(why_none_)) {}

const device_info& engine::info_of(int device) {
  std::call_once(described_, [this] {
    for (int i = 0; i < count_; ++i) infos_.push_back(driver_.describe(i));
  });
  return infos_.at(static_cast<std::size_t>(device));
}

engine::~engine() {
  {
    const std::lock_guard guard(flights_mutex_);
    ending_ = true;
  }
  added_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

void engine::make_own_device_current() noexcept {
  const std::optional<int> own = own_device(count_);
  if (!own) return;
  try {
    driver_.make_current(*own);
  } catch (const std::exception& error) {
    log::error("the device of a task cannot be made current: ", error.what());
  }
}

int engine::choose_device(int device) {
  if (device >= count_) {
    throw no_device_error(
        "there is no device " + std::to_string(device) + ": " +
        (count_ == 0 ? why_none_ : "this process sees " + std::to_string(count_)));
  }
  if (device >= 0) driver_.make_current(device);
  const int outer = std::exchange(chosen_device, device);
  if (device < 0) make_own_device_current();
  return outer;
}

int engine::current_device() const {
  if (count_ == 0) throw no_device_error("there is no GPU: " + why_none_);
  if (const std::optional<int> device = own_device(count_)) return *device;
  if (current_gpu < 0) return 0;
  throw no_device_error("the running task has GPU " + std::to_string(current_gpu) +
                        ", which is a logical one: this process sees " + std::to_string(count_) +
                        (count_ == 1 ? " device" : " devices") +
                        ", fewer than the option num-gpus says");
}

// -- lanes ----------------------------------------------------------------------------------------

lane& engine::lane_on(int device) {
  const std::size_t whose = this_actor::running()
                                ? lanes_of_a_kind + this_actor::id().value % lanes_of_a_kind
                                : number_of_this_thread() % lanes_of_a_kind;
  const std::lock_guard guard(order_mutex_);
  lane*& found = named_[{device, whose}];
  if (found != nullptr) return *found;
  check_usable(device);
  driver_.make_current(device);
  const stream_handle stream = driver_.make_stream();
  const event_handle tail = driver_.make_event();
  const event_handle done = driver_.make_event();
  const std::lock_guard flights_guard(flights_mutex_);
  completions_.add_lane();
  found = &lanes_.emplace_back(lane{*this, device, order_.add_lane(), stream, tail, done});
  flights_.push_back({found, {}});
  return *found;
}

void engine::check_usable(int device) const {
  const auto broken = broken_.find(device);
  if (broken == broken_.end()) return;
  throw device_error(
      "device " + std::to_string(device) +
          " is of no use to this process any more, what it does has to begin again in "
          "another one; it has failed before: " +
          broken->second.what(),
      broken->second.code(), true);
}

void engine::break_device(int device, const device_error& why) {
  if (!why.fatal()) return;
  const std::lock_guard guard(order_mutex_);
  broken_.emplace(device, why);
}

void engine::follow(lane& on, const std::vector<lane_id>& before) {
  for (const lane_id id : before) {
    lane& other = lanes_[id];
    if (other.device != on.device) driver_.make_current(other.device);
    driver_.record(other.tail, other.stream);
    if (other.device != on.device) driver_.make_current(on.device);
    driver_.wait(on.stream, other.tail);
  }
}

void* engine::use(lane& on, memory& what, bool write) {
  if (what.device() != on.device) {
    throw device_error("an array lies on device " + std::to_string(what.device()) +
                           " and is used by work on device " + std::to_string(on.device) +
                           "; pass array.here(), which is a copy on the current device",
                       0, false);
  }
  const std::lock_guard guard(order_mutex_);
  follow(on, order_.use(on.id, what.marks, write));
  return what.address();
}

// -- work -----------------------------------------------------------------------------------------

void engine::enqueue(work& what, lane& on) noexcept {
  try {
    what.prepare();
    in_order(on, [&] {
      const stream into(on);
      what.enqueue(into);
    });
  } catch (...) {
    what.drop();
    if (what.claim()) what.fail(troupe::detail::make_failure(std::current_exception()));
    return;
  }
  what.enqueued_.store(true, std::memory_order_release);
  watch_for(what, on);
}

void engine::watch_for(work& what, lane& on) {
  bool first = false;
  {
    const std::lock_guard guard(flights_mutex_);
    first = completions_.idle();
    completions_.added(on.id);
    flights_[on.id].work.push_back(object_ptr::share(&what));
    if (!watcher_.joinable()) watcher_ = std::thread([this] { watch(); });
  }
  if (first) added_.notify_one();
}

void engine::watch() {
  std::vector<outcome> over;
  std::unique_lock guard(flights_mutex_);
  for (;;) {
    added_.wait(guard, [&] { return ending_ || !completions_.idle(); });
    if (ending_) return;
    auto since = std::chrono::steady_clock::now();
    while (!completions_.idle() && !ending_) {
      look(over);
      guard.unlock();
      if (!over.empty()) {
        tell(over);
        since = std::chrono::steady_clock::now();
      } else {
        const auto pause = pause_between_looks(std::chrono::steady_clock::now() - since);
        if (pause.count() == 0) {
          std::this_thread::yield();
        } else {
          std::this_thread::sleep_for(pause);
        }
      }
      guard.lock();
    }
  }
}

void engine::hurry(const work& what) {
  constexpr std::chrono::microseconds patience(20);
  const auto until = std::chrono::steady_clock::now() + patience;
  std::vector<outcome> over;
  do {
    {
      const std::lock_guard guard(flights_mutex_);
      if (completions_.idle()) return;
      look(over);
    }
    tell(over);
  } while (!what.ready() && std::chrono::steady_clock::now() < until);
}

/// With the lock held.
void engine::look(std::vector<outcome>& over) {
  const auto on_each = [&](const std::vector<std::size_t>& lanes, auto&& act) {
    for (const std::size_t at : lanes) {
      lane& one = *flights_[at].on;
      try {
        const device_scope current(*this, one.device);
        act(at, one);
      } catch (const device_error& why) {
        take(at, completions_.failed(at), &why, over);
      }
    }
  };
  on_each(completions_.to_record(), [&](std::size_t at, lane& one) {
    driver_.record(one.done, one.stream);
    completions_.recorded(at);
  });
  on_each(completions_.to_query(), [&](std::size_t at, lane& one) {
    if (driver_.query(one.done)) take(at, completions_.happened(at), nullptr, over);
  });
}

void engine::take(std::size_t at, std::size_t count, const device_error* why,
                  std::vector<outcome>& over) {
  std::deque<object_ptr>& all = flights_[at].work;
  const std::string first = all.empty() ? "" : std::string(all.front()->describe());
  for (std::size_t i = 0; i < count; ++i) {
    outcome one{std::move(all.front()), nullptr};
    all.pop_front();
    if (why != nullptr) {
      std::string message =
          "'" + std::string(one.work->describe()) + "' has failed: " + why->what();
      if (i > 0) {
        message += "; it, or work before it in its stream, of which '" + first +
                   "' is the first that was not known to be done";
      }
      one.failure = troupe::detail::make_failure(
          std::make_exception_ptr(device_error(message, why->code(), why->fatal())));
    }
    over.push_back(std::move(one));
  }
}

/// Without the lock: what is waited for these objects runs here.
void engine::tell(std::vector<outcome>& over) noexcept {
  for (outcome& one : over) {
    auto& what = static_cast<work&>(*one.work);
    if (one.failure) {
      try {
        std::rethrow_exception(one.failure->thrown);
      } catch (const device_error& why) {
        const auto& lane = what.on_;
        lane->of.break_device(lane->device, why);
      } catch (...) {
      }
    }
    what.drop();
    if (!what.claim()) continue;
    if (one.failure) {
      what.fail(std::move(one.failure));
    } else {
      what.publish();
    }
  }
  over.clear();
}

void engine::wait_for(event_handle event) {
  constexpr std::chrono::microseconds eager(20);
  const auto until = std::chrono::steady_clock::now() + eager;
  do {
    if (driver_.query(event)) return;
  } while (std::chrono::steady_clock::now() < until);
  blocking([&] { driver_.synchronize(event); });
}

}  // namespace troupe::gpu::detail
