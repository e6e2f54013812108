/// The parts of an endpoint, for the files that make it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <troupe/log.hpp>

#include "core/descriptor.hpp"
#include "core/idle_work.hpp"
#include "core/timer_heap.hpp"
#include "net/address.hpp"
#include "net/connection_watch.hpp"
#include "net/endpoint.hpp"
#include "net/knocking.hpp"
#include "net/peer_link.hpp"
#include "net/zmq_context.hpp"
#include "net/zmq_socket.hpp"

namespace troupe::net {

/// One thread receives from two listeners (unix socket, TCP), hands messages over, opens and closes
/// links, and runs timers. Others reach it by the inbox. It sleeps in epoll and has no reason to
/// wake while nothing is on its way.
///
/// Or rather: whoever has the turn does. It belongs to the endpoint's thread, which lets a thread
/// that waits in troupe take it (endpoint_turn.cpp). "The endpoint's thread" means that one.
class endpoint::implementation final : public core::idle_work {
 public:
  using clock = std::chrono::steady_clock;
  using link_ptr = std::shared_ptr<peer_link>;
  using function = std::function<void()>;

  implementation(endpoint_options options, endpoint_handler& handler);
  ~implementation();

  // -- any thread: endpoint.cpp, endpoint_resolve.cpp ---------------------------------------------
  const peer& self() const noexcept { return self_; }
  void learn(const peer& other);
  std::optional<peer> find(process_id other) const;
  peer resolve(const std::string& address, std::chrono::milliseconds timeout, whom wanted);
  bool send(process_id to, message&& what);
  std::size_t queued_bytes(process_id to) const;
  bool has_room(process_id to) const;
  bool is_connected(process_id other) const;
  void wait_for_room(process_id to);
  void forget(process_id gone);
  bool flush(std::chrono::milliseconds timeout);
  void post(function f);
  std::uint64_t post_at(clock::time_point when, function f);
  void cancel(std::uint64_t timer);
  void allow_keys(const std::vector<std::string>& public_keys);
  statistics stats() const;

  // -- who has the turn: endpoint_turn.cpp --------------------------------------------------------
  void share_reading();
  bool work_until_woken(core::parker& sleeper,
                        const std::optional<clock::time_point>& deadline) noexcept override;

 private:
  // endpoint_turn.cpp
  enum class turn : std::uint8_t { own, free, guest };
  bool let_go_of_turn();
  void wait_for_turn();
  void arm_grace(std::chrono::nanoseconds from_now) noexcept;
  /// Has the endpoint's thread take a free turn now.
  void call_own_thread() noexcept { arm_grace(std::chrono::nanoseconds(1)); }

  // endpoint_listen.cpp
  void listen_locally();
  void listen_remotely();
  void told_of_stranger(const std::string& address, const std::string& why);
  void admit(const std::vector<std::string>& public_keys);
  void cut(const connection_watch::open_connection& which);
  void cut_the_unadmitted();

  // endpoint_loop.cpp
  bool on_own_thread() const noexcept;
  void list(const link_ptr& link);
  void pump(const link_ptr& link);
  void control(const link_ptr& link, std::uint16_t flags, std::uint32_t nack_generation = 0);
  void wake();
  void run();
  bool work();
  void take_inbox();
  void run_timers();
  void flush_listed();
  void wait_for_events(int timeout_ms);
  int time_to_next_timer();
  void add_descriptor(int fd, std::uint64_t token);
  void add_poll_descriptor();
  void remove_descriptor(int fd);
  void close_everything();
  void stop_listening();
  /// Runs code of others on this thread.
  template <class F>
  void call_out(const char* what, F&& f) noexcept {
    try {
      f();
    } catch (const std::exception& e) {
      log::error("an exception left ", what, ", which must not happen: ", e);
    } catch (...) {
      log::error("an exception left ", what, ", which must not happen");
    }
  }

  // endpoint_room.cpp
  struct room_wait;
  bool is_roomy(const peer_link& link) const;
  void tell_of_room();

  // endpoint_links.cpp
  link_ptr find_link(process_id other) const;
  void open_link(const link_ptr& link);
  void close_link(peer_link& link);
  void reopen_later(const link_ptr& link);
  void watch_broken(const link_ptr& link);
  void look_at_broken(const link_ptr& link);
  void retire(const link_ptr& link);
  void drop(const link_ptr& link);
  void fail_link(const link_ptr& link, const std::string& why);
  void renew_link(const link_ptr& link, peer other);
  std::string why_not_up(const peer_link& link) const;
  void look_at_link(std::uint64_t token);
  void handle_event(const link_ptr& link, const connection_event& event);
  void heard(const link_ptr& link, const batch_header& header);
  void read_answers(const link_ptr& link);
  void watch_unacknowledged();
  void ask_the_silent();

  // endpoint_receive.cpp
  /// A batch of which not all parts have arrived.
  struct partial_batch {
    batch_header header;
    zmq_frame first;
    std::vector<blob> parts;
  };
  struct listening {
    zmq_socket socket;
    std::map<std::string, partial_batch> partial;  ///< by the connection's route
    bool more = false;                             ///< what has arrived was not read to its end
    bool secure = false;
  };
  void receive(listening& from);
  void handle_frame(listening& from, const zmq_frame& route, zmq_frame& frame);
  bool completes(listening& from, const zmq_frame& route, zmq_frame& frame);
  void drop_partial(process_id sender);
  bool admitted(listening& from, const zmq_frame& frame);
  void refuse(listening& from, const zmq_frame& route, const batch_header& header,
              refusal_reason reason);
  void answer_who(listening& from, const zmq_frame& route, const batch_header& header);
  void meet(const batch_header& header, std::span<const std::byte> record);
  void hand_over(const batch_header& header, std::span<const std::byte> small,
                 std::vector<blob> parts);
  void owe(const link_ptr& link, std::size_t bytes);
  void acknowledge(bool all);
  void watch_listener();
  void wake_flushers();

  const endpoint_options options_;
  endpoint_handler& handler_;
  peer self_;
  std::string public_key_;
  std::size_t chunk_bytes_ = 0;
  std::vector<std::byte> record_;  ///< `self_` in its archive
  std::shared_ptr<zmq_context> context_;
  link_counters counters_;

  /// Strangers are told of until the end, also when construction fails half-way.
  struct domain_owner {
    zmq_context* context = nullptr;
    std::string domain;
    domain_owner() = default;
    domain_owner(const domain_owner&) = delete;
    domain_owner& operator=(const domain_owner&) = delete;
    ~domain_owner() {
      if (context != nullptr) context->close_domain(domain);
    }
  };

  // Shared with other threads.
  mutable std::shared_mutex links_mutex_;
  std::unordered_map<process_id, link_ptr> links_;
  std::unordered_set<process_id> forgotten_;
  std::deque<process_id> forgotten_order_;
  std::mutex inbox_mutex_;
  std::vector<function> posted_;
  std::vector<message> to_self_;
  std::vector<link_ptr> listed_;
  std::atomic<bool> inbox_filled_{false};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> watching_{false};  ///< for acknowledgements
  std::atomic<turn> turn_{turn::own};
  std::atomic<core::parker*> wants_turn_{nullptr};  ///< from the pool: never freed
  std::atomic<std::uint64_t> guest_readings_{0};
  std::mutex timers_mutex_;
  core::timer_heap<function> timers_;
  std::mutex flush_mutex_;
  std::condition_variable flushed_;
  std::atomic<int> flushers_{0};
  std::mutex room_mutex_;
  std::vector<room_wait*> room_waits_;  ///< guarded by room_mutex_
  std::atomic<int> waiting_for_room_{0};
  std::mutex strangers_mutex_;
  knocking strangers_;
  domain_owner domain_;

  /// Whose turn the calling thread has.
  static inline thread_local const implementation* own_ = nullptr;

  // The endpoint's thread's.
  core::descriptor epoll_;
  core::descriptor wake_;
  core::descriptor grace_;       ///< a timer: until then a guest may take a free turn
  zmq_socket listener_watcher_;  ///< closed after what it watches
  listening local_;
  listening remote_;
  connection_watch connections_;
  std::unordered_map<std::uint64_t, link_ptr> watched_;  ///< by token
  std::uint64_t next_token_ = 16;
  std::vector<link_ptr> listed_here_;
  std::vector<link_ptr> owing_;
  std::deque<std::weak_ptr<peer_link>> retired_;  ///< without sockets, oldest first
  bool ack_timer_ = false;
  bool undrained_ = true;

  std::jthread thread_;
};

}  // namespace troupe::net
