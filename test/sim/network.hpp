/// The simulated network: what the endpoints of all processes send each other, and how it breaks.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "net/bounded_set.hpp"
#include "net/link_state.hpp"
#include "net/messages.hpp"
#include "test/sim/world.hpp"

namespace troupe::sim {

using net::process_id;

/// As `net::value_chunk` with its attachment: a mark for each unit of the store's memory.
struct marked_chunk {
  net::global_id value;
  std::uint64_t offset = 0;
  bool missing = false;
  std::string no_room;
  std::vector<std::uint64_t> marks;
};

/// All messages that travel, as the structs that they are. Their archives have tests of their own.
using any_message = std::variant<
    net::register_process, net::registered, net::goodbye, net::process_died, net::end_process,
    net::request_lease, net::lease_granted, net::lease_refused, net::lease_redirected,
    net::cancel_request, net::return_lease, net::open_lease, net::close_lease, net::suspend_lease,
    net::resume_lease, net::lease_resumed, net::run_task, net::task_done, net::task_returned,
    net::cancel_task, net::object_wanted, net::object_value, net::refs_changed, net::create_actor,
    net::actor_created, net::call_actor, net::call_done, net::end_actor, net::actor_ended,
    net::locate_actor, net::actor_at, net::kill_actor, net::register_name, net::find_name,
    net::release_name, net::name_reply, net::adopt_actor, net::join_cluster, net::joined,
    net::node_report, net::cluster_view, net::job_ended, net::job_started, net::process_joined,
    net::ask_view, net::status, net::lease_revoked, net::create_group, net::remove_group,
    net::ask_group, net::group_reply, net::prepare_bundles, net::bundles_prepared,
    net::bundles_dropped, net::commit_bundles, net::drop_bundles, net::claim_value, net::drop_value,
    net::pull_value, net::value_source, net::open_channel, net::channel_offered, net::pull_chunk,
    marked_chunk, net::end_pull, net::pull_ended, net::copy_dropped, net::drop_copy,
    net::rebuild_value, net::value_rebuilt>;

/// As `net::endpoint_handler`.
class receiver {
 public:
  virtual void received(process_id from, const any_message& what) = 0;
  virtual void unreachable(process_id peer, const std::string& why) = 0;
  virtual void renewed(const net::peer&) {}

 protected:
  ~receiver() = default;
};

class network;

/// As `net::endpoint`, of one process, on the same `send_state` and `receive_state`.
class endpoint {
 public:
  /// `epoch`: which of its lives, of a process that begins again under its id.
  endpoint(network& net, process_id self, std::size_t machine, receiver& handler,
           std::uint32_t epoch = 0);
  ~endpoint() { close(); }
  /// The process is no more. To be called in time: an object that is called now is not destroyed.
  void close();
  endpoint(const endpoint&) = delete;
  endpoint& operator=(const endpoint&) = delete;

  process_id id() const noexcept { return self_; }
  net::peer self() const;
  void learn(process_id other, std::uint32_t epoch = 0);
  void learn(const net::peer& other) { learn(other.id, other.epoch); }
  bool knows(process_id other) const { return links_.contains(other); }
  bool send(process_id to, any_message what);
  void forget(process_id gone);
  std::size_t machine() const noexcept { return machine_; }
  /// Messages that no peer has acknowledged, and those that were not sent.
  std::size_t queued() const;

 private:
  friend class network;
  struct batch final : net::encoded_batch {
    std::vector<any_message> messages;
  };
  struct link {
    process_id other = 0;
    std::uint32_t epoch = 0;  ///< of the other
    net::send_state sending;
    net::receive_state receiving;
    std::vector<any_message> outbox;
    bool open = false;
    bool up = false;
    bool worked = false;
    bool ended = false;
    bool flush_due = false;
    bool ack_due = false;
    std::uint64_t acknowledged = 1;
    std::uint64_t connection = 0;  ///< 0: none
    std::uint64_t opened = 0;      ///< counts the times of opening
    time last_arrival{};           ///< on this connection
  };

  link* find(process_id other);
  void open(link& of);
  void renew(link& of, std::uint32_t epoch);
  void connect(process_id other, std::uint64_t opened, duration wait, duration next_wait);
  void came_up(link& of);
  void lost(process_id other, std::uint64_t connection);
  void flush_soon(link& of);
  void flush(link& of);
  void send_again(link& of);
  void control(link& of, std::uint16_t flags, std::uint32_t nack_generation = 0);
  net::batch_header header(link& of, std::uint16_t flags);
  void transmit(link& of, const net::batch_header& header, std::shared_ptr<const batch> what);
  void handle(process_id from, std::uint64_t connection, const net::batch_header& header,
              const batch* what);
  void owe(link& of);
  void watch_unacknowledged();
  void fail(link& of, const std::string& why);

  network& net_;
  const process_id self_;
  const std::size_t machine_;
  receiver& handler_;
  const std::uint32_t epoch_;
  const std::uint64_t instance_;
  std::map<process_id, std::unique_ptr<link>> links_;
  net::bounded_set<process_id> forgotten_;
  bool watching_ = false;
  bool closed_ = false;
};

/// A data connection, by which chunks of large values go beside the links.
struct data_wire {
  std::uint64_t number = 0;
  process_id source = 0;
  process_id reader = 0;
  bool whole = true;  ///< else nothing arrives any more
  time clear{};       ///< when the last chunk that was sent is read
  std::uint64_t carried = 0;
  std::function<void(duration notice)> told;  ///< has both ends learn that it is not whole

  void cut(duration notice) {
    if (std::exchange(whole, false)) told(notice);
  }
};

struct network_settings {
  duration least_delay = 20us;
  duration most_delay = 2ms;
  double frame_loss = 0;  ///< of a single frame on a connection that goes on
};

/// Who lives where, which connections are whole, and which machines see each other.
class network {
 public:
  network(world& w, network_settings settings) : world_(w), settings_(settings) {}

  // -- faults -------------------------------------------------------------------------------------
  /// Each message from or to that machine takes so many times as long.
  void slow_down(std::size_t machine, double factor) { slowness_[machine] = factor; }
  /// Machines of different groups do not see each other.
  void put_into_group(std::size_t machine, int group);
  void heal();
  /// Breaks a connection, drawn from those that are up. Who sends on it learns of that late or
  /// later.
  void break_one();
  void stop_losing_frames() { settings_.frame_loss = 0; }

  // -- asked --------------------------------------------------------------------------------------
  world& in() noexcept { return world_; }
  bool lives(process_id id) const { return living_.contains(id); }
  endpoint* find(process_id id) const;
  /// That one, if it still lives, and not another life of the process.
  endpoint* find(process_id id, std::uint64_t instance) const;
  std::size_t machine_of(process_id id) const { return machines_.at(id); }
  net::peer peer_of(process_id id) const;
  duration delay(std::size_t from, std::size_t to);
  bool reachable(std::size_t a, std::size_t b) const { return group(a) == group(b); }
  void add(const std::shared_ptr<data_wire>& made);

  struct statistics {
    std::uint64_t messages = 0;
    std::uint64_t frames = 0;
    std::uint64_t frames_lost = 0;
    std::uint64_t broken = 0;
    std::uint64_t resent = 0;
    std::uint64_t duplicates = 0;
  };
  statistics counted;

 private:
  friend class endpoint;
  struct connection {
    process_id from = 0;
    process_id to = 0;
  };
  int group(std::size_t machine) const;
  /// What is on its way is lost; the sender is told after `notice`.
  void break_connection(std::uint64_t number, duration notice);

  world& world_;
  network_settings settings_;
  std::map<process_id, endpoint*> living_;
  std::map<process_id, std::size_t> machines_;  ///< of all processes that ever were
  std::map<process_id, std::uint32_t> epochs_;  ///< the latest life of those that have several
  std::uint64_t last_instance_ = 0;
  std::map<std::uint64_t, connection> connections_;
  std::uint64_t last_connection_ = 0;
  std::vector<std::weak_ptr<data_wire>> wires_;
  std::map<std::size_t, int> groups_;
  std::map<std::size_t, double> slowness_;
};

}  // namespace troupe::sim
