/// The parts of a node's object store, for the files that make it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/descriptor.hpp"
#include "net/bounded_set.hpp"
#include "net/bulk_sink.hpp"
#include "net/bulk_source.hpp"
#include "net/bulk_state.hpp"
#include "net/object_store.hpp"
#include "net/pull_state.hpp"
#include "net/spill_file.hpp"
#include "net/store_parts.hpp"
#include "net/store_socket.hpp"
#include "net/store_wire.hpp"

namespace troupe::net {

/// One thread has the states and all that is in here; others post to it.
class object_store::implementation {
 public:
  using clock = std::chrono::steady_clock;
  using function = std::function<void()>;

  implementation(object_store_options options, endpoint& net);
  ~implementation();

  // -- any thread: object_store.cpp ---------------------------------------------------------------
  void received(process_id from, message&& what);
  void process_gone(process_id who, const std::string& cause);
  void cannot_reach(process_id who, const std::string& why);
  store_use use() const;

 private:
  struct connection {
    core::descriptor fd;
    process_id process = 0;
    bool first = false;       ///< lives as long as its process
    store_ticket ticket = 0;  ///< of the request that is not answered
  };
  /// A block that is being sent to another process.
  struct transfer {
    store_ticket ticket = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::shared_ptr<const void> pin;  ///< once it is in memory; frames keep it as well
    std::vector<pull_chunk> asked;    ///< before that
  };
  using transfer_key = std::pair<process_id, stored_id>;

  // object_store.cpp
  void post(function f) { shared_->post(std::move(f)); }
  void watch(int fd, std::uint64_t token) const;
  void run(const std::stop_token& stop);
  void take_inbox();
  store_use measure() const;
  memory_use report() const;
  void lose(process_id who, const std::string& cause);
  void carry_out();
  void act(const answer_created& e);
  void act(const answer_pinned& e);
  void act(const answer_refused& e);
  void act(const spill_block& e);
  void act(const restore_block& e);
  void act(const discard_file_block& e) const { file_->discard(e.file_offset, e.size); }

  // object_store_clients.cpp: processes of this node
  void accept_all();
  void read_from(std::uint64_t token);
  void closed(std::uint64_t token);
  void request(std::uint64_t token, connection& from, store_request&& what);
  store_ticket begin_request(std::uint64_t token, connection& from);
  bool answer(store_ticket ticket, const store_reply& reply);

  // object_store_sending.cpp: to other processes
  void dispatch(process_id from, const message& what);
  void refuse_source(process_id to, stored_id id);
  void offer_channel(process_id to);
  void chunk_asked(process_id by, pull_chunk&& what);
  void send_missing(process_id to, const pull_chunk& what, const std::string& no_room = {});
  void send_chunk(process_id to, const transfer& of, const pull_chunk& what);
  void transfer_pinned(const transfer_key& key, const answer_pinned& e);
  void transfer_refused(const transfer_key& key, const answer_refused& e);
  void end_transfer_to(process_id by, stored_id id);
  void act(const value_sealed& e) { spread_.sealed(e.id); }
  void act(const value_freed& e) { spread_.freed(e.id); }
  void act(const name_source& e);
  void act(const delete_copy& e);

  // object_store_receiving.cpp: from other nodes
  void source_named(const value_source& named);
  void channel_came(process_id from, const channel_offered& what);
  void chunk_came(process_id from, const value_chunk& what, const message& carrier);
  void bulk_came(std::uint64_t request);
  void stop_receiving(stored_id id);
  void act(const begin_pull& e) { pulls_.begin(e.id, e.id.owner); }
  void act(const receive_into& e);
  void act(const stop_pull& e);
  void act(const copy_evicted& e);
  void act(const ask_home& e);
  void act(const value_located& e);
  void act(const ask_chunk& e);
  void act(const end_transfer& e);
  void act(const tell_home& e);
  void act(const pull_complete& e);
  void act(const pull_hopeless& e);
  void act(const ask_channel& e);
  void act(const connect_channel& e);
  void act(const close_channel& e) { sink_.close(e.channel); }
  void act(const chunk_undelivered& e);
  void act(const channel_trouble& e) const;
  void act(const channel_stands& e) { pulls_.set_wide(e.source, e.stands); }

  const object_store_options options_;
  endpoint& net_;
  const std::shared_ptr<store_shared> shared_;

  // Of the thread.
  store_state state_;
  pull_state pulls_;
  spread_state spread_;
  bulk_state bulk_;
  core::descriptor listener_;
  core::descriptor epoll_;
  std::map<std::uint64_t, connection> connections_;
  std::uint64_t last_token_ = 1;
  store_ticket last_ticket_ = 0;
  std::unordered_map<store_ticket, std::uint64_t> tickets_;  ///< connections by request
  process_id answered_ = 0;                                  ///< whom the last answer was for
  std::map<transfer_key, transfer> transfers_;
  std::unordered_map<store_ticket, transfer_key> transfer_tickets_;
  std::map<stored_id, receive_into> receiving_;
  bounded_set<process_id> gone_;                       ///< that have died
  std::unordered_map<process_id, std::int64_t> pids_;  ///< of those that are connected
  store_use measured_;

  mutable std::mutex use_mutex_;
  store_use use_;  // guarded by use_mutex_

  std::unique_ptr<spill_file> file_;
  prefaulter prefault_;
  std::jthread thread_;
  std::unique_ptr<bulk_source> source_;  ///< none: chunks go by the link
  bulk_sink sink_;
  io_pool io_;  // last: its threads use the others
};

}  // namespace troupe::net
