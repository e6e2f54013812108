/// The object store of a simulated node, as `net/object_store*.cpp` have it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "net/bounded_set.hpp"
#include "net/bulk_state.hpp"
#include "net/pull_state.hpp"
#include "net/store_state.hpp"
#include "test/sim/data_connections.hpp"
#include "test/sim/network.hpp"

namespace troupe::sim {

class simulation;
class program;

/// Carries out what `store_state`, `pull_state` and `spread_state` decide, on a memory and a file
/// whose units of 64 bytes hold a mark each: whose value, and which part of it.
class node_store {
 public:
  node_store(simulation& sim, endpoint& net);

  // -- for processes of the node; the answer comes later, if the process lives then
  struct answer {
    net::store_refusal refused{};
    net::stored_id id;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::string text;
  };
  using reply = std::function<void(program&, const answer&)>;
  void create(process_id client, std::uint64_t size, process_id owner, reply then);
  void seal(process_id client, net::stored_id id);
  void pin(process_id client, net::stored_id id, reply then);
  void unpin(process_id client, net::stored_id id);
  /// Writes, or checks, the part from `from` to `to` of a value at that offset.
  void write(std::uint64_t offset, std::uint64_t from, std::uint64_t to, std::uint64_t version);
  bool has(std::uint64_t offset, std::uint64_t size, std::uint64_t version) const;

  // -- of other processes
  void on(process_id from, const net::claim_value& what);
  void on(process_id from, const net::drop_value& what);
  void on(process_id from, const net::pull_value& what);
  void on(process_id from, const net::value_source& what);
  void on(process_id from, const net::open_channel& what);
  void on(process_id from, const net::channel_offered& what);
  void on(process_id from, const net::pull_chunk& what);
  void on(process_id from, const marked_chunk& what);
  void on(process_id from, const net::end_pull& what);
  void on(process_id from, const net::pull_ended& what);
  void on(process_id from, const net::copy_dropped& what);
  void on(process_id from, const net::drop_copy& what);
  void lose(process_id who, const std::string& cause);
  /// A process of the node has ended: its connection is closed.
  void end(process_id who, const std::string& cause);
  void cannot_reach(process_id who, const std::string& why);
  void tick();
  data_connections& data() noexcept { return data_; }

  /// What is left in it, in words; empty: nothing.
  std::string describe() const;
  net::store_state::use usage() const { return state_.usage(); }

 private:
  using transfer_key = std::pair<process_id, net::stored_id>;
  struct transfer {
    net::store_ticket ticket = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::uint64_t pin = 0;  ///< once it is in memory
    std::vector<net::pull_chunk> asked;
  };
  /// Of a transfer and its chunks that have not been taken from memory yet.
  struct shared_pin {
    transfer_key of;
    std::uint64_t users = 0;
  };
  struct waiting {
    process_id client = 0;
    reply then;
  };

  template <class Text>
  void say(net::stored_id id, Text&& text);
  void soon(std::function<void()> f);
  void after(duration wait, std::function<void()> f);
  void hear_seal(process_id client, net::stored_id id);
  void carry_out();
  void tell(net::store_ticket ticket, answer what);
  void release(std::uint64_t pin);
  void stop_receiving(net::stored_id id);
  void came_by_data(std::uint64_t request);
  void refuse_source(process_id to, net::stored_id id);
  void send_chunk(process_id to, const transfer& of, const net::pull_chunk& what);
  void send_missing(process_id to, const net::pull_chunk& what, const std::string& no_room = {});

  void act(const net::answer_created& e);
  void act(const net::answer_pinned& e);
  void act(const net::answer_refused& e);
  void act(const net::spill_block& e);
  void act(const net::restore_block& e);
  void act(const net::discard_file_block& e);
  void act(const net::begin_pull& e) { pulls_.begin(e.id, e.id.owner); }
  void act(const net::receive_into& e);
  void act(const net::stop_pull& e);
  void act(const net::copy_evicted& e);
  void act(const net::value_sealed& e);
  void act(const net::value_freed& e);
  void act(const net::ask_home& e);
  void act(const net::value_located& e);
  void act(const net::ask_chunk& e);
  void act(const net::end_transfer& e);
  void act(const net::tell_home& e);
  void act(const net::pull_complete& e);
  void act(const net::pull_hopeless& e);
  void act(const net::name_source& e);
  void act(const net::delete_copy& e);
  void act(const net::ask_channel& e);
  void act(const net::connect_channel& e);
  void act(const net::close_channel& e) { data_.close(e.channel); }
  void act(const net::chunk_undelivered& e);
  void act(const net::channel_trouble&) {}  // it is logged
  void act(const net::channel_stands& e) { pulls_.set_wide(e.source, e.stands); }

  simulation& sim_;
  endpoint& net_;
  net::store_state state_;
  net::pull_state pulls_;
  net::spread_state spread_;
  net::bulk_state bulk_;
  net::bounded_set<process_id> gone_;  ///< that have died
  data_connections::memory memory_;
  std::map<std::uint64_t, std::uint64_t> file_;
  std::set<std::pair<process_id, net::stored_id>> seals_;  ///< said, and not heard here yet
  net::store_ticket last_ticket_ = 0;
  std::map<net::store_ticket, waiting> tickets_;
  std::map<transfer_key, transfer> transfers_;
  std::map<net::store_ticket, transfer_key> transfer_tickets_;
  std::uint64_t last_pin_ = 0;
  std::map<std::uint64_t, shared_pin> pins_;
  std::map<net::stored_id, net::receive_into> receiving_;
  data_connections data_;
};

}  // namespace troupe::sim
