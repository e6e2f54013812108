#include "net/object_store.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include <troupe/error.hpp>
#include <troupe/log.hpp>

#include "net/pack.hpp"
#include "net/pull_state.hpp"
#include "net/session_files.hpp"
#include "net/spill_file.hpp"
#include "net/store_parts.hpp"
#include "net/store_socket.hpp"
#include "net/store_wire.hpp"

namespace troupe::net {

namespace {

using clock = std::chrono::steady_clock;
using function = std::function<void()>;

constexpr std::uint64_t pull_chunk_bytes = std::uint64_t{4} << 20;
constexpr std::uint32_t pull_window = 6;
constexpr std::size_t most_connections = 10'000;
constexpr int tick_ms = 100;
constexpr std::uint32_t io_threads = 2;
// How far pages are made ahead of what was used so far.
constexpr std::uint64_t least_ahead = std::uint64_t{64} << 20;
constexpr std::uint64_t most_ahead = std::uint64_t{1} << 30;

}  // namespace

class object_store::implementation {
 public:
  implementation(object_store_options options, endpoint& net)
      : options_(std::move(options)),
        net_(net),
        shared_(std::make_shared<store_shared>(options_.capacity)),
        state_({.self = net.id(),
                .capacity = options_.capacity,
                .spill_capacity = options_.spill_dir.empty() ? 0 : std::uint64_t{1} << 46,
                .parallel_io = io_threads,
                .patience = options_.patience,
                .spill_place = options_.spill_dir}),
        pulls_(pull_chunk_bytes, pull_window),
        spread_(net.id()),
        prefault_(shared_->region) {
    if (!options_.spill_dir.empty()) file_ = std::make_unique<spill_file>(options_.spill_dir);
    listener_ = listen_for_store(options_.socket_path);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    watch(listener_.get(), 0);
    watch(shared_->wake_fd, 1);
    use_ = measured_ = measure();
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }

  ~implementation() {
    thread_.request_stop();
    shared_->wake();
    thread_.join();
    {
      const std::lock_guard guard(shared_->mutex);
      shared_->closed = true;
    }
    ::close(epoll_);
    ::unlink(options_.socket_path.c_str());
  }

  void post(function f) { shared_->post(std::move(f)); }

  void received(process_id from, message&& what) {
    post([this, from, m = std::make_shared<message>(std::move(what))] {
      try {
        dispatch(from, *m);
      } catch (const std::exception& e) {
        log::warn("the object store dropped a message of process ", from,
                  " that cannot be read: ", e.what());
      }
    });
  }

  void process_gone(process_id who, const std::string& cause) {
    post([this, who, cause] { lose(who, cause); });
  }

  store_use use() const {
    const std::lock_guard guard(use_mutex_);
    return use_;
  }

 private:
  struct connection {
    store_fd fd;
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

  // -- the thread
  // ----------------------------------------------------------------------------------

  void watch(int fd, std::uint64_t token) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = token;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void run(const std::stop_token& stop) {
    epoll_event events[64];
    auto next_tick = clock::now();
    while (!stop.stop_requested()) {
      const int n = ::epoll_wait(epoll_, events, 64, state_.wants_ticks() ? tick_ms : -1);
      for (int i = 0; i < n; ++i) {
        const std::uint64_t token = events[i].data.u64;
        if (token == 0) {
          accept_all();
        } else if (token == 1) {
          take_inbox();
        } else {
          read_from(token);
        }
      }
      if (const auto now = clock::now(); state_.wants_ticks() && now >= next_tick) {
        next_tick = now + std::chrono::milliseconds(tick_ms);
        state_.tick(now);
      }
      carry_out();
      if (const store_use now = measure(); now != measured_) {
        measured_ = now;
        const std::lock_guard guard(use_mutex_);
        use_ = now;
      }
    }
  }

  void take_inbox() {
    std::uint64_t ignored = 0;
    [[maybe_unused]] const ssize_t got = ::read(shared_->wake_fd, &ignored, sizeof(ignored));
    std::vector<function> work;
    {
      const std::lock_guard guard(shared_->mutex);
      work.swap(shared_->inbox);
    }
    for (function& f : work) f();
  }

  store_use measure() const {
    return {state_.memory().capacity(), state_.memory().used(), state_.spilled_bytes()};
  }

  memory_use report() const {
    constexpr std::size_t most = 100'000;
    const store_state::use now = state_.usage();
    memory_use result{.node = options_.node,
                      .capacity = now.capacity,
                      .used = now.used,
                      .pinned = now.pinned,
                      .spilled = now.spilled,
                      .waiting = now.waiting,
                      .spills = now.spills,
                      .restores = now.restores,
                      .evictions = now.evictions,
                      .pulls = now.pulls,
                      .values = {}};
    const auto name_of = [this](process_id id) {
      const auto at = pids_.find(id);
      return memory_use::process{id, at == pids_.end() ? 0 : at->second};
    };
    for (const store_state::item& one : state_.items()) {
      if (result.values.size() == most) break;
      memory_use::value& v = result.values.emplace_back();
      v.name = to_hex(one.id.owner) + "-" + std::to_string(one.id.local);
      v.size = one.size;
      v.owner = name_of(one.label.owner);
      v.made_by = one.label.made_by;
      v.copy = one.copy;
      v.in_memory = one.in_memory;
      v.in_file = one.in_file;
      v.writing = one.writing;
      v.waiting = one.waiting;
      for (const process_id reader : one.readers) v.readers.push_back(name_of(reader));
    }
    return result;
  }

  // -- connections
  // ---------------------------------------------------------------------------------

  void accept_all() {
    while (store_fd fd = accept_own(listener_)) {
      if (connections_.size() >= most_connections) {
        log::warn("the object store refused a connection: there are ", connections_.size());
        continue;
      }
      const std::uint64_t token = ++last_token_;
      watch(fd.get(), token);
      connections_[token].fd = std::move(fd);
    }
  }

  void read_from(std::uint64_t token) {
    for (;;) {
      const auto at = connections_.find(token);
      if (at == connections_.end()) return;
      std::byte buffer[max_store_message];
      const ssize_t got = ::recv(at->second.fd.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (got <= 0) return closed(token);
      try {
        request(token, at->second,
                detail::decode<store_request>({buffer, static_cast<std::size_t>(got)}));
      } catch (const std::exception& e) {
        log::warn("the object store closes a connection of process ", at->second.process,
                  ": what came cannot be read: ", e.what());
        return closed(token);
      }
    }
  }

  void closed(std::uint64_t token) {
    const auto at = connections_.find(token);
    if (at == connections_.end()) return;
    const connection gone = std::move(at->second);
    connections_.erase(at);
    if (gone.ticket != 0) state_.cancel(gone.ticket);
    if (gone.first) lose(gone.process, "it has closed its connection to the object store");
  }

  void lose(process_id who, const std::string& cause) {
    pids_.erase(who);
    std::erase_if(connections_, [&](const auto& entry) {
      if (entry.second.process != who) return false;
      if (entry.second.ticket != 0) tickets_.erase(entry.second.ticket);
      return true;
    });
    std::erase_if(transfers_, [who](const auto& entry) { return entry.first.first == who; });
    std::erase_if(transfer_tickets_, [who](const auto& e) { return e.second.first == who; });
    state_.process_gone(who);
    pulls_.process_gone(who, cause);
    spread_.process_gone(who);
  }

  void request(std::uint64_t token, connection& from, store_request&& what) {
    using request_kind = store_request::kind;
    const auto now = clock::now();
    switch (what.what) {
      case request_kind::hello: {
        from.process = what.process;
        from.first = true;
        pids_[what.process] = peer_pid(from.fd);
        store_reply reply;
        reply.size = shared_->region.size();
        if (!send_reply(from.fd, reply, shared_->region.fd())) closed(token);
        return;
      }
      case request_kind::join:
        from.process = what.process;
        return;
      case request_kind::create:
        if (what.label.made_by.size() > max_made_by) what.label.made_by.resize(max_made_by);
        return state_.create(now, from.process, begin_request(token, from), what.size,
                             std::move(what.label), options_.patience);
      case request_kind::pin:
        if (what.home) net_.learn(what.home);
        return state_.pin(now, from.process, begin_request(token, from), what.id);
      case request_kind::cancel:
        if (from.ticket != 0) state_.cancel(from.ticket);
        return;
      case request_kind::seal:
        return state_.seal(now, from.process, what.id);
      case request_kind::abort:
        return state_.abort(from.process, what.id);
      case request_kind::unpin:
        return state_.unpin(from.process, what.id);
    }
    throw detail::archive_error("an unknown request");
  }

  store_ticket begin_request(std::uint64_t token, connection& from) {
    if (from.process == 0 || from.ticket != 0) {
      throw detail::archive_error("a request before the first word or while another one waits");
    }
    from.ticket = ++last_ticket_;
    tickets_.emplace(from.ticket, token);
    return from.ticket;
  }

  /// False when nobody is there to hear it.
  bool answer(store_ticket ticket, const store_reply& reply) {
    const auto at = tickets_.find(ticket);
    if (at == tickets_.end()) return false;
    const std::uint64_t token = at->second;
    tickets_.erase(at);
    const auto to = connections_.find(token);
    if (to == connections_.end()) return false;
    to->second.ticket = 0;
    answered_ = to->second.process;
    return send_reply(to->second.fd, reply);
  }

  // -- messages of other processes
  // -----------------------------------------------------------------

  void dispatch(process_id from, const message& what) {
    switch (static_cast<kind>(what.kind)) {
      case kind::claim_value:
        return state_.claim(unpack<claim_value>(what).value);
      case kind::drop_value:
        return state_.drop(unpack<drop_value>(what).value);
      case kind::pull_value: {
        const auto asked = unpack<pull_value>(what);
        if (state_.size_of(asked.value) == 0) return refuse_source(from, asked.value);
        return spread_.asked(asked.value, from, asked.keeps);
      }
      case kind::value_source: {
        const auto named = unpack<value_source>(what);
        if (!named.refused.empty()) return pulls_.refused(named.value, named.refused);
        net_.learn(named.source);
        return pulls_.located(named.value, named.size, named.source.id);
      }
      case kind::pull_chunk:
        return chunk_asked(from, unpack<pull_chunk>(what));
      case kind::value_chunk:
        return chunk_came(from, unpack<value_chunk>(what), what);
      case kind::end_pull:
        return end_transfer_to(from, unpack<end_pull>(what).value);
      case kind::pull_ended: {
        const auto ended = unpack<pull_ended>(what);
        return spread_.ended(ended.value, from, ended.source, ended.done);
      }
      case kind::copy_dropped:
        return spread_.evicted(unpack<copy_dropped>(what).value, from);
      case kind::drop_copy: {
        const stored_id id = unpack<drop_copy>(what).value;
        if (id.owner == from) state_.drop(id);
        return;
      }
      case kind::ask_memory:
        net_.send(from, pack(report()));
        return;
      default:
        log::warn("dropped a message of kind ", what.kind, ", which is not for an object store");
    }
  }

  void refuse_source(process_id to, stored_id id) {
    value_source none;
    none.value = id;
    none.refused = "the node that it was made on does not have it any more";
    net_.send(to, pack(std::move(none)));
  }

  // -- sending
  // -------------------------------------------------------------------------------------

  void chunk_asked(process_id by, pull_chunk&& what) {
    const transfer_key key{by, what.value};
    auto at = transfers_.find(key);
    if (at == transfers_.end()) {
      if (state_.size_of(what.value) == 0) return send_missing(by, what);
      at = transfers_.emplace(key, transfer{}).first;
      at->second.ticket = ++last_ticket_;
      transfer_tickets_.emplace(at->second.ticket, key);
      at->second.asked.push_back(std::move(what));
      return state_.pin(clock::now(), by, at->second.ticket, key.second);
    }
    if (at->second.pin == nullptr) {
      if (at->second.asked.size() < 64) at->second.asked.push_back(std::move(what));
      return;
    }
    send_chunk(by, at->second, what);
  }

  void send_missing(process_id to, const pull_chunk& what) {
    value_chunk none;
    none.value = what.value;
    none.offset = what.offset;
    none.missing = true;
    net_.send(to, pack(none));
  }

  void send_chunk(process_id to, const transfer& of, const pull_chunk& what) {
    if (what.offset > of.size || what.size > of.size - what.offset) return send_missing(to, what);
    message packed = pack(value_chunk{what.value, what.offset, false});
    packed.attachments.emplace_back(shared_->region.readable(of.offset + what.offset, what.size),
                                    of.pin);
    net_.send(to, std::move(packed));
  }

  void transfer_pinned(const transfer_key& key, const answer_pinned& e) {
    transfer& of = transfers_.at(key);
    of.offset = e.offset;
    of.size = e.size;
    of.ticket = 0;
    of.pin = std::shared_ptr<const void>(shared_.get(), [this, shared = shared_, key](const void*) {
      shared->post([this, key] { state_.unpin(key.first, key.second); });
    });
    for (const pull_chunk& one : std::exchange(of.asked, {})) send_chunk(key.first, of, one);
  }

  void transfer_refused(const transfer_key& key) {
    const auto at = transfers_.find(key);
    for (const pull_chunk& one : at->second.asked) send_missing(key.first, one);
    transfers_.erase(at);
  }

  void end_transfer_to(process_id by, stored_id id) {
    const auto at = transfers_.find({by, id});
    if (at == transfers_.end()) return;
    if (at->second.ticket != 0) {
      const store_ticket ticket = at->second.ticket;
      transfer_tickets_.erase(ticket);
      state_.cancel(ticket);
    }
    transfers_.erase(at);
  }

  // -- receiving
  // -----------------------------------------------------------------------------------

  void chunk_came(process_id from, const value_chunk& what, const message& carrier) {
    if (what.missing) return pulls_.missing(what.value, from);
    const auto into = receiving_.find(what.value);
    if (into == receiving_.end() || carrier.attachments.size() != 1) return;
    const std::span<const std::byte> bytes = carrier.attachments.front().bytes();
    if (!pulls_.expects(what.value, from, what.offset, bytes.size())) return;
    const auto to = shared_->region.writable(into->second.offset + what.offset, bytes.size());
    std::memcpy(to.data(), bytes.data(), bytes.size());
    pulls_.arrived(what.value, what.offset);
  }

  // -- effects
  // -------------------------------------------------------------------------------------

  void carry_out() {
    for (bool more = true; more;) {
      more = false;
      const auto all = [&](auto effects) {
        for (auto& effect : effects) {
          more = true;
          std::visit([this](auto& e) { act(e); }, effect);
        }
      };
      all(state_.take_effects(clock::now()));
      all(pulls_.take_effects());
      all(spread_.take_effects());
    }
  }

  void act(const answer_created& e) {
    const std::uint64_t used = state_.memory().high_water();
    prefault_.reach(used + std::clamp(used, least_ahead, most_ahead));
    store_reply reply;
    reply.id = e.id;
    reply.offset = e.offset;
    if (!answer(e.ticket, reply)) state_.abort(answered_, e.id);
  }
  void act(const answer_pinned& e) {
    if (const auto at = transfer_tickets_.find(e.ticket); at != transfer_tickets_.end()) {
      const transfer_key key = at->second;
      transfer_tickets_.erase(at);
      return transfer_pinned(key, e);
    }
    store_reply reply;
    reply.id = e.id;
    reply.offset = e.offset;
    reply.size = e.size;
    if (!answer(e.ticket, reply)) state_.unpin(answered_, e.id);
  }
  void act(const answer_refused& e) {
    if (const auto at = transfer_tickets_.find(e.ticket); at != transfer_tickets_.end()) {
      const transfer_key key = at->second;
      transfer_tickets_.erase(at);
      return transfer_refused(key);
    }
    store_reply reply;
    reply.refused = e.why;
    reply.text = e.text.substr(0, max_store_message / 2);
    answer(e.ticket, reply);
  }

  void act(const spill_block& e) {
    io_.add([this, e] {
      const std::string failed =
          file_->write(e.file_offset, shared_->region.readable(e.offset, e.size));
      if (!failed.empty()) {
        log::warn("cannot spill an object to ", options_.spill_dir, ": ", failed);
      }
      post([this, e, failed] { state_.spilled(clock::now(), e.id, failed); });
    });
  }
  void act(const restore_block& e) {
    io_.add([this, e] {
      const std::string failed =
          file_->read(e.file_offset, shared_->region.writable(e.offset, e.size));
      post([this, e, failed] { state_.restored(e.id, failed); });
    });
  }
  void act(const discard_file_block& e) const { file_->discard(e.file_offset, e.size); }

  void act(const begin_pull& e) { pulls_.begin(e.id, e.id.owner); }
  void act(const receive_into& e) {
    receiving_[e.id] = e;
    pulls_.memory_granted(e.id);
  }
  void act(const stop_pull& e) {
    receiving_.erase(e.id);
    pulls_.stop(e.id);
  }
  void act(const copy_evicted& e) { net_.send(e.id.owner, pack(copy_dropped{e.id})); }
  void act(const value_freed& e) { spread_.freed(e.id); }

  void act(const ask_home& e) {
    if (!net_.send(e.home, pack(pull_value{e.id, true}))) {
      pulls_.process_gone(e.home, "it cannot be reached");
    }
  }
  void act(const value_located& e) { state_.pull_located(clock::now(), e.id, e.size); }
  void act(const ask_chunk& e) {
    if (!net_.send(e.source, pack(pull_chunk{e.id, e.offset, e.size}))) {
      pulls_.process_gone(e.source, "it cannot be reached");
    }
  }
  void act(const end_transfer& e) { net_.send(e.source, pack(end_pull{e.id})); }
  void act(const tell_home& e) { net_.send(e.home, pack(pull_ended{e.id, e.source, e.done})); }
  void act(const pull_complete& e) {
    receiving_.erase(e.id);
    state_.pulled(e.id);
  }
  void act(const pull_hopeless& e) {
    receiving_.erase(e.id);
    state_.pull_failed(e.id, e.why);
  }

  void act(const name_source& e) {
    value_source named;
    named.value = e.id;
    named.size = state_.size_of(e.id);
    if (named.size == 0) return refuse_source(e.to, e.id);
    const auto source = e.source == net_.id() ? net_.self() : net_.find(e.source).value_or(peer{});
    named.source = source;
    net_.send(e.to, pack(std::move(named)));
  }
  void act(const delete_copy& e) { net_.send(e.node, pack(drop_copy{e.id})); }

  const object_store_options options_;
  endpoint& net_;
  const std::shared_ptr<store_shared> shared_;

  // Of the thread.
  store_state state_;
  pull_state pulls_;
  spread_state spread_;
  store_fd listener_;
  int epoll_ = -1;
  std::map<std::uint64_t, connection> connections_;
  std::uint64_t last_token_ = 1;
  store_ticket last_ticket_ = 0;
  std::unordered_map<store_ticket, std::uint64_t> tickets_;  ///< connections by request
  process_id answered_ = 0;                                  ///< whom the last answer was for
  std::map<transfer_key, transfer> transfers_;
  std::unordered_map<store_ticket, transfer_key> transfer_tickets_;
  std::map<stored_id, receive_into> receiving_;
  std::unordered_map<process_id, std::int64_t> pids_;  ///< of those that are connected
  store_use measured_;

  mutable std::mutex use_mutex_;
  store_use use_;  // guarded by use_mutex_

  std::unique_ptr<spill_file> file_;
  prefaulter prefault_;
  std::jthread thread_;
  io_pool io_{io_threads};  // last: its threads use the others
};

object_store::object_store(object_store_options options, endpoint& net)
    : impl_(std::make_unique<implementation>(std::move(options), net)) {}
object_store::~object_store() = default;
void object_store::received(process_id from, message&& what) {
  impl_->received(from, std::move(what));
}
void object_store::process_gone(process_id who, const std::string& cause) {
  impl_->process_gone(who, cause);
}
store_use object_store::use() const { return impl_->use(); }

}  // namespace troupe::net
