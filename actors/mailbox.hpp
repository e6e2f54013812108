/// A queue of calls with many producers and one consumer at a time.
#pragma once

#include <atomic>
#include <thread>

#include <troupe/detail/invocation.hpp>

namespace troupe::actors {

/// Vyukov's intrusive queue: a push is one exchange. `push` is thread-safe; `pop` needs its caller
/// to be the only one. `empty` and `push` are sequentially consistent, so that "push, then look
/// whether a consumer is awake" and "go to sleep, then look whether it is empty" cannot both miss.
class mailbox {
 public:
  mailbox() noexcept : head_(&stub_), tail_(&stub_) {}
  mailbox(const mailbox&) = delete;
  mailbox& operator=(const mailbox&) = delete;

  void push(detail::actor_call& call) noexcept { link(call); }

  detail::actor_call* pop() noexcept {
    detail::queue_node* head = head_.load(std::memory_order_relaxed);
    detail::queue_node* next = head->next_in_queue.load(std::memory_order_acquire);
    if (head == &stub_) {
      if (next == nullptr) {
        if (tail_.load() == &stub_) return nullptr;
        next = wait_for_next(*head);
      }
      head = next;
      next = head->next_in_queue.load(std::memory_order_acquire);
    }
    if (next == nullptr) {
      // The last node can go only when another one stands behind it: the stub.
      if (tail_.load() == head) link(stub_);
      next = wait_for_next(*head);
    }
    head_.store(next, std::memory_order_relaxed);
    return static_cast<detail::actor_call*>(head);
  }

  /// Whether nothing was pushed that was not popped. By the consumer, or as a hint. The stub at the
  /// end alone does not say so: a push that came just before it was put there stands before it.
  bool empty() const noexcept {
    return tail_.load() == &stub_ && head_.load(std::memory_order_relaxed) == &stub_;
  }

 private:
  void link(detail::queue_node& node) noexcept {
    node.next_in_queue.store(nullptr, std::memory_order_relaxed);
    detail::queue_node* const before = tail_.exchange(&node);
    before->next_in_queue.store(&node, std::memory_order_release);
  }
  /// A producer is between its exchange and its store.
  static detail::queue_node* wait_for_next(detail::queue_node& node) noexcept {
    detail::queue_node* next = nullptr;
    while ((next = node.next_in_queue.load(std::memory_order_acquire)) == nullptr) {
      std::this_thread::yield();
    }
    return next;
  }

  std::atomic<detail::queue_node*> head_;  // written by the consumer
  detail::queue_node stub_;
  alignas(8) std::atomic<detail::queue_node*> tail_;
};

}  // namespace troupe::actors
