// Memory of devices: from and to the pool, from and to the host.
#include <troupe/gpu/memory.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <new>

#include <troupe/actor.hpp>
#include <troupe/detail/gpu_claim.hpp>
#include <troupe/gpu/error.hpp>
#include <troupe/log.hpp>

#include "gpu/engine.hpp"

namespace troupe::gpu::detail {
namespace {

constexpr std::size_t chunk = std::size_t{4} << 20;

std::byte* at(void* memory, std::size_t offset) { return static_cast<std::byte*>(memory) + offset; }

}  // namespace

memory::memory(engine& in, std::unique_ptr<const borrowed> from)
    : of(in), bytes(from->what().bytes), was_lent(true), loan_(std::move(from)) {}

memory::~memory() { of.release(*this); }

void memory::settle() {
  if (was_lent) std::call_once(settled_, [this] { of.open(*this); });
}

/// Counts it for the running task or actor, if that has a part of a GPU and parts are limited.
std::optional<share_holder> engine::count(int device, std::size_t bytes) {
  if (!limited_.load(std::memory_order_relaxed)) return std::nullopt;
  const troupe::detail::gpu_claim claim = troupe::detail::current_gpu_claim();
  if (claim.share <= 0 || claim.share >= 1) return std::nullopt;
  const share_holder who{claim.actor != 0, claim.actor != 0 ? claim.actor : claim.task};
  const std::uint64_t total = info_of(device).memory_bytes;
  if (const auto left = shares_.take(device, who, bytes, claim.share, total)) {
    throw device_memory_error("an array of " + std::to_string(bytes) + " bytes is more than the " +
                              std::to_string(*left) + " bytes that are left of this " +
                              (who.actor ? "actor" : "task") + "'s part of device " +
                              std::to_string(device) +
                              " (num_gpus = " + std::to_string(claim.share) +
                              "); ask for a larger part, or free arrays first");
  }
  return who;
}

/// What the status shows of it. Requires the order's lock.
troupe::detail::gpu_memory_counter& engine::counter_of(int device) {
  troupe::detail::gpu_memory_counter*& known = counters_[device];
  if (known == nullptr) {
    const device_info& of = info_of(device);
    known = &troupe::detail::count_gpu_memory(of.uuid, of.name, of.memory_bytes);
  }
  return *known;
}

memory_ptr engine::allocate_on(lane& on, std::size_t bytes) {
  const std::lock_guard guard(order_mutex_);
  const std::optional<share_holder> who = count(on.device, bytes);
  troupe::detail::gpu_memory_counter& shown = counter_of(on.device);
  void* address = nullptr;
  try {
    in_order(on, [&] { address = driver_.allocate(on.device, bytes, on.stream); });
    if (address == nullptr) {
      const memory_use has = driver_.memory_of(on.device);
      throw device_memory_error(
          "device " + std::to_string(on.device) + " has no " + std::to_string(bytes) +
          " bytes for an array: " + std::to_string(has.free) + " of " + std::to_string(has.total) +
          " are free, arrays of this process have " + std::to_string(has.pool_used));
    }
  } catch (...) {
    if (who) shares_.give_back(on.device, *who, bytes);
    throw;
  }
  auto made = std::make_shared<memory>(*this, address, bytes, on.device);
  made->counted_for = who;
  made->shown_in = &shown;
  shown.took(bytes);
  static_cast<void>(order_.use(on.id, made->marks, true));
  order_.enqueued(on.id);
  return made;
}

namespace {

/// Keeps a loan until the device has passed where its memory was freed here.
class loan_keeper final {
 public:
  explicit loan_keeper(std::unique_ptr<const borrowed> what) : what_(std::move(what)) {}
  void operator()(const stream&) const {}

 private:
  std::unique_ptr<const borrowed> what_;
};

}  // namespace

void engine::release(memory& gone) noexcept {
  if (gone.address_ == nullptr) return;
  try {
    const std::lock_guard guard(order_mutex_);
    if (gone.shown_in != nullptr) gone.shown_in->gave_back(gone.bytes);
    if (gone.counted_for) shares_.give_back(gone.device_, *gone.counted_for, gone.bytes);
    if (broken_.contains(gone.device_)) return;  // its memory went with it
    const device_scope current(*this, gone.device_);
    lane& on = gone.marks.writer ? lanes_[gone.marks.writer->lane] : lane_on(gone.device_);
    follow(on, order_.use(on.id, gone.marks, true));
    driver_.free(gone.address_, on.stream);
    order_.enqueued(on.id);
    if (gone.loan_) {
      auto* const last = new typed_work<void, loan_keeper>("gpu: memory of another process",
                                                           loan_keeper(std::move(gone.loan_)));
      const auto hold = object_ptr::adopt(last);
      last->submit_to(on);
    }
  } catch (const std::exception& error) {
    log::warn("memory of device ", gone.device_, " cannot be freed: ", error.what());
  }
}

// -- copies ---------------------------------------------------------------------------------------

staging engine::take_staging() {
  {
    const std::lock_guard guard(order_mutex_);
    if (!spare_staging_.empty()) {
      const staging found = spare_staging_.back();
      spare_staging_.pop_back();
      return found;
    }
  }
  staging made;
  made.memory = driver_.allocate_pinned(chunk);
  if (made.memory == nullptr) {
    throw device_memory_error("no " + std::to_string(chunk) +
                              " bytes of pinned memory for a copy to or from a device");
  }
  made.done = driver_.make_event();
  return made;
}

void engine::give_staging(staging used) {
  const std::lock_guard guard(order_mutex_);
  spare_staging_.push_back(used);
}

namespace {

/// Two pieces of pinned memory that take turns: the host fills one while the device reads the
/// other.
class staging_pair {
 public:
  staging_pair(std::function<staging()> take, std::function<void(staging)> give)
      : give_(std::move(give)) {
    for (std::optional<staging>& one : both_) one = take();
  }
  ~staging_pair() {
    for (std::optional<staging>& one : both_) {
      if (one) give_(*one);
    }
  }
  staging_pair(const staging_pair&) = delete;
  staging_pair& operator=(const staging_pair&) = delete;
  staging& operator[](std::size_t turn) { return *both_[turn % 2]; }

 private:
  std::function<void(staging)> give_;
  std::array<std::optional<staging>, 2> both_;
};

}  // namespace

void engine::wait_for_copy(lane& on, const std::function<void()>& enqueues) {
  event_handle done = nullptr;
  in_order(on, [&] {
    enqueues();
    done = driver_.make_event();
    driver_.record(done, on.stream);
  });
  wait_for(done);
  driver_.free_event(done);
}

void engine::upload(memory& to, const void* from, std::size_t bytes) {
  lane& on = lane_on(to.device());
  const device_scope current(*this, to.device());
  if (driver_.is_pinned(from)) {
    return wait_for_copy(on, [&] {
      use(on, to, true);
      driver_.copy(to.address(), from, bytes, on.stream);
    });
  }
  staging_pair stages([this] { return take_staging(); }, [this](staging s) { give_staging(s); });
  for (std::size_t done = 0, turn = 0; done < bytes; ++turn) {
    const std::size_t size = std::min(chunk, bytes - done);
    staging& stage = stages[turn];
    if (stage.used) wait_for(stage.done);
    std::memcpy(stage.memory, static_cast<const std::byte*>(from) + done, size);
    in_order(on, [&] {
      use(on, to, true);
      driver_.copy(at(to.address(), done), stage.memory, size, on.stream);
      driver_.record(stage.done, on.stream);
      stage.used = true;
    });
    done += size;
  }
}

void engine::download(memory& from, void* to, std::size_t bytes) {
  lane& on = lane_on(from.device());
  const device_scope current(*this, from.device());
  if (driver_.is_pinned(to)) {
    return wait_for_copy(on, [&] {
      use(on, from, false);
      driver_.copy(to, from.address(), bytes, on.stream);
    });
  }
  staging_pair stages([this] { return take_staging(); }, [this](staging s) { give_staging(s); });
  const std::size_t chunks = (bytes + chunk - 1) / chunk;
  const auto size_of_chunk = [&](std::size_t i) { return std::min(chunk, bytes - i * chunk); };
  const auto ask = [&](std::size_t i) {
    staging& stage = stages[i];
    if (stage.used) wait_for(stage.done);
    in_order(on, [&] {
      use(on, from, false);
      driver_.copy(stage.memory, at(from.address(), i * chunk), size_of_chunk(i), on.stream);
      driver_.record(stage.done, on.stream);
      stage.used = true;
    });
  };
  if (chunks > 0) ask(0);
  for (std::size_t i = 0; i < chunks; ++i) {
    if (i + 1 < chunks) ask(i + 1);
    wait_for(stages[i].done);
    std::memcpy(at(to, i * chunk), stages[i].memory, size_of_chunk(i));
  }
}

void engine::copy(lane& on, memory& to, memory& from) {
  in_order(on, [&] {
    use(on, to, true);
    if (from.device() == on.device) {
      use(on, from, false);
      driver_.copy(to.address(), from.address(), to.bytes, on.stream);
      return;
    }
    // What uses it on its own device ends first; what follows there waits for the copy.
    follow(on, order_.use(on.id, from.marks, false));
    driver_.copy(to.address(), from.address(), to.bytes, on.stream);
  });
}

// -- for arrays -----------------------------------------------------------------------------------

memory_ptr allocate(std::size_t bytes) {
  engine& here = engine::process();
  if (bytes == 0) {
    static_cast<void>(here.current_device());
    return nullptr;
  }
  return here.allocate(bytes);
}

std::size_t size_of(const memory& of) noexcept { return of.bytes; }
int device_of(memory& of) { return of.device(); }
void* address_of(memory& of) { return of.address(); }

memory_ptr clone(const memory_ptr& of) {
  if (!of) return nullptr;
  engine& here = of->of;
  lane& on = here.lane_on(of->device());
  memory_ptr made = here.allocate_on(on, of->bytes);
  here.copy(on, *made, *of);
  return made;
}

memory_ptr bring_here(const memory_ptr& of) {
  if (!of || of->of.current_device() == of->device()) return of;
  engine& here = of->of;
  lane& on = here.lane_here();
  memory_ptr made = here.allocate_on(on, of->bytes);
  here.copy(on, *made, *of);
  return made;
}

void upload(const memory_ptr& to, const void* from, std::size_t bytes) {
  if (bytes != 0) to->of.upload(*to, from, bytes);
}

void download(const memory_ptr& from, void* to, std::size_t bytes) {
  if (bytes == 0) return;
  if (from->loan() != nullptr && from->of.count_devices() == 0) {
    // A process without a device can still read it.
    from->loan()->lender().fetch(from->loan()->what().number, {static_cast<std::byte*>(to), bytes});
    return;
  }
  from->of.download(*from, to, bytes);
}

void enqueue_download(const stream& on, const memory_ptr& from, void* to, std::size_t bytes) {
  if (bytes == 0) return;
  from->of.under().copy(to, on.use(from, false), bytes, on.native());
}

void settle(const memory_ptr& of) {
  if (of) static_cast<void>(of->device());
}

void* use(lane& on, const memory_ptr& what, bool write, captured* into) {
  if (!what) return nullptr;
  if (into == nullptr) return on.of.use(on, *what, write);
  into->uses.emplace_back(what, write);
  return what->address();
}

CUstream_st* native_stream(const lane& of) noexcept { return of.stream; }
int device_of(const lane& of) noexcept { return of.device; }

void* allocate_pinned(std::size_t bytes) {
  engine& here = engine::process();
  const device_scope current(here, here.current_device());
  void* const memory = here.under().allocate_pinned(bytes);
  if (memory != nullptr) return memory;
  throw device_memory_error("no " + std::to_string(bytes) + " bytes of pinned memory can be had");
}

void free_pinned(void* memory) noexcept { engine::process().under().free_pinned(memory); }

}  // namespace troupe::gpu::detail
