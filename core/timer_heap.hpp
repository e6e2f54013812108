/// A queue of timers: what is due next, in O(log n), with timers that can be taken back.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace troupe::core {

/// Payloads by due time; equal times in the order they were added. Reads no clock;
/// thread-compatible. Each timer knows its place in the heap, so a cancelled one is gone at once
/// and its payload destroyed.
template <class Payload>
class timer_heap {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  /// Never 0, and not used again for another timer.
  using id = std::uint64_t;

  id add(time_point due, Payload payload) {
    make_room();  // nothing below allocates, so nothing is left half-way
    const std::uint32_t slot = take_slot(std::move(payload));
    heap_.push_back({due, next_order_++, slot});
    slots_[slot].place = heap_.size() - 1;
    sift_up(heap_.size() - 1);
    return make_id(slot);
  }

  /// False when it has been popped or cancelled before.
  bool cancel(id timer) {
    const auto slot = static_cast<std::uint32_t>(timer);
    if (slot >= slots_.size() || !slots_[slot].payload || make_id(slot) != timer) return false;
    erase(slots_[slot].place);
    // Destroyed at the end, when the heap is in order: a payload's destructor may come back here.
    [[maybe_unused]] const Payload dying = free_slot(slot);
    return true;
  }

  /// When the earliest timer is due.
  std::optional<time_point> next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().due;
  }

  /// Moves the earliest payload to `out` if it is due at `now`.
  bool pop_due(time_point now, Payload& out) {
    if (heap_.empty() || heap_.front().due > now) return false;
    const std::uint32_t slot = heap_.front().slot;
    erase(0);
    out = free_slot(slot);
    return true;
  }

  std::size_t size() const noexcept { return heap_.size(); }
  bool empty() const noexcept { return heap_.empty(); }

 private:
  struct node {
    time_point due;
    std::uint64_t order;
    std::uint32_t slot;

    bool before(const node& other) const {
      return due != other.due ? due < other.due : order < other.order;
    }
  };

  struct slot_state {
    std::optional<Payload> payload;
    std::size_t place = 0;         ///< in `heap_`
    std::uint32_t generation = 1;  ///< tells the timers apart that used this slot
  };

  id make_id(std::uint32_t slot) const { return id{slots_[slot].generation} << 32 | slot; }

  void make_room() {
    if (heap_.size() == heap_.capacity()) heap_.reserve(heap_.size() * 2 + 16);
    if (free_slots_.empty() && slots_.size() == slots_.capacity()) {
      free_slots_.reserve(slots_.size() * 2 + 16);
      slots_.reserve(slots_.size() * 2 + 16);
    }
  }

  std::uint32_t take_slot(Payload&& payload) {
    if (free_slots_.empty()) {
      slots_.emplace_back().payload.emplace(std::move(payload));
      return static_cast<std::uint32_t>(slots_.size() - 1);
    }
    const std::uint32_t slot = free_slots_.back();
    slots_[slot].payload.emplace(std::move(payload));
    free_slots_.pop_back();
    return slot;
  }

  Payload free_slot(std::uint32_t slot) {
    slot_state& freed = slots_[slot];
    Payload payload = std::move(*freed.payload);
    freed.payload.reset();
    // A slot whose generations are used up is retired, so that no id is given twice.
    if (++freed.generation != 0) free_slots_.push_back(slot);
    return payload;
  }

  void put(std::size_t place, const node& n) {
    heap_[place] = n;
    slots_[n.slot].place = place;
  }

  void sift_up(std::size_t place) {
    const node moving = heap_[place];
    while (place > 0) {
      const std::size_t parent = (place - 1) / 2;
      if (!moving.before(heap_[parent])) break;
      put(place, heap_[parent]);
      place = parent;
    }
    put(place, moving);
  }

  void sift_down(std::size_t place) {
    const node moving = heap_[place];
    while (true) {
      std::size_t child = 2 * place + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && heap_[child + 1].before(heap_[child])) ++child;
      if (!heap_[child].before(moving)) break;
      put(place, heap_[child]);
      place = child;
    }
    put(place, moving);
  }

  void erase(std::size_t place) {
    const node last = heap_.back();
    heap_.pop_back();
    if (place == heap_.size()) return;
    put(place, last);
    sift_up(place);
    sift_down(slots_[last.slot].place);
  }

  std::vector<node> heap_;
  std::vector<slot_state> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::uint64_t next_order_ = 0;
};

}  // namespace troupe::core
