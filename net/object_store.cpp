#include "net/object_store.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <exception>

#include <troupe/log.hpp>

#include "net/object_store_implementation.hpp"
#include "net/session_files.hpp"

namespace troupe::net {

namespace {

constexpr std::uint64_t pull_chunk_bytes = std::uint64_t{4} << 20;
constexpr std::uint32_t pull_window = 6;
constexpr int tick_ms = 100;
constexpr std::uint32_t io_threads = 2;
// How far pages are made ahead of what was used so far.
constexpr std::uint64_t least_ahead = std::uint64_t{64} << 20;
constexpr std::uint64_t most_ahead = std::uint64_t{1} << 30;

}  // namespace

object_store::implementation::implementation(object_store_options options, endpoint& net)
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
      prefault_(shared_->region),
      sink_({.opened =
                 [this, shared = shared_](std::uint64_t channel) {
                   shared->post([this, channel] { bulk_.opened(clock::now(), channel); });
                 },
             .arrived =
                 [this, shared = shared_](std::uint64_t request) {
                   shared->post([this, request] { bulk_came(request); });
                 },
             .lost =
                 [this, shared = shared_](std::uint64_t channel, const std::string& why) {
                   shared->post([this, channel, why] {
                     sink_.close(channel);
                     bulk_.lost(clock::now(), channel, why);
                   });
                 }}),
      io_(io_threads) {
  if (!options_.spill_dir.empty()) file_ = std::make_unique<spill_file>(options_.spill_dir);
  if (options_.bulk_port) {
    source_ = std::make_unique<bulk_source>(options_.bulk_host, *options_.bulk_port);
  }
  listener_ = listen_for_store(options_.socket_path);
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  watch(listener_.get(), 0);
  watch(shared_->wake_fd.get(), 1);
  use_ = measured_ = measure();
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

object_store::implementation::~implementation() {
  thread_.request_stop();
  shared_->wake();
  thread_.join();
  {
    const std::lock_guard guard(shared_->mutex);
    shared_->closed = true;
  }
  ::unlink(options_.socket_path.c_str());
}

void object_store::implementation::received(process_id from, message&& what) {
  post([this, from, m = std::make_shared<message>(std::move(what))] {
    try {
      dispatch(from, *m);
    } catch (const std::exception& e) {
      log::warn("the object store dropped a message of process ", from,
                " that cannot be read: ", e.what());
    }
  });
}

void object_store::implementation::process_gone(process_id who, const std::string& cause) {
  post([this, who, cause] {
    // One of this node that has left, or is to be killed, may read and write still: it does so
    // until its connection is closed, at the latest by the kernel when it ends.
    if (pids_.contains(who)) return state_.owner_gone(who);
    lose(who, cause);
  });
}

void object_store::implementation::cannot_reach(process_id who, const std::string& why) {
  post([this, who, why] { pulls_.process_gone(who, why); });
}

store_use object_store::implementation::use() const {
  const std::lock_guard guard(use_mutex_);
  return use_;
}

// -- the thread -----------------------------------------------------------------------------------

void object_store::implementation::watch(int fd, std::uint64_t token) const {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = token;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

void object_store::implementation::run(const std::stop_token& stop) {
  epoll_event events[64];
  auto next_tick = clock::now();
  const auto wants_ticks = [this] { return state_.wants_ticks() || bulk_.wants_ticks(); };
  while (!stop.stop_requested()) {
    const int n = ::epoll_wait(epoll_.get(), events, 64, wants_ticks() ? tick_ms : -1);
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
    if (const auto now = clock::now(); wants_ticks() && now >= next_tick) {
      next_tick = now + std::chrono::milliseconds(tick_ms);
      state_.tick(now);
      for (const std::uint64_t channel : bulk_.open_channels()) {
        bulk_.carried(now, channel, sink_.carried(channel));
      }
      bulk_.tick(now);
    }
    carry_out();
    if (const store_use now = measure(); now != measured_) {
      measured_ = now;
      const std::lock_guard guard(use_mutex_);
      use_ = now;
    }
  }
}

void object_store::implementation::take_inbox() {
  std::uint64_t ignored = 0;
  [[maybe_unused]] const ssize_t got = ::read(shared_->wake_fd.get(), &ignored, sizeof(ignored));
  std::vector<function> work;
  {
    const std::lock_guard guard(shared_->mutex);
    work.swap(shared_->inbox);
  }
  for (function& f : work) f();
}

store_use object_store::implementation::measure() const {
  return {state_.memory().capacity(), state_.memory().used(), state_.spilled_bytes()};
}

memory_use object_store::implementation::report() const {
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
                    .bulk_bytes = sink_.bytes(),
                    .bulk_refused = sink_.refused(),
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

void object_store::implementation::lose(process_id who, const std::string& cause) {
  gone_.insert(who);
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
  bulk_.process_gone(who);
  if (source_ != nullptr) source_->close(who);
}

// -- effects --------------------------------------------------------------------------------------

void object_store::implementation::carry_out() {
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
    all(bulk_.take_effects());
  }
}

void object_store::implementation::act(const answer_created& e) {
  const std::uint64_t used = state_.memory().high_water();
  prefault_.reach(used + std::clamp(used, least_ahead, most_ahead));
  store_reply reply;
  reply.id = e.id;
  reply.offset = e.offset;
  if (!answer(e.ticket, reply)) state_.abort(answered_, e.id);
}
void object_store::implementation::act(const answer_pinned& e) {
  if (const auto of = transfer_tickets_.extract(e.ticket)) {
    return transfer_pinned(of.mapped(), e);
  }
  store_reply reply;
  reply.id = e.id;
  reply.offset = e.offset;
  reply.size = e.size;
  if (!answer(e.ticket, reply)) state_.unpin(answered_, e.id);
}
void object_store::implementation::act(const answer_refused& e) {
  if (const auto of = transfer_tickets_.extract(e.ticket)) {
    return transfer_refused(of.mapped(), e);
  }
  store_reply reply;
  reply.refused = e.why;
  reply.text = e.text.substr(0, max_store_message / 2);
  answer(e.ticket, reply);
}

void object_store::implementation::act(const spill_block& e) {
  io_.add([this, e] {
    const std::string failed =
        file_->write(e.file_offset, shared_->region.readable(e.offset, e.size));
    if (!failed.empty()) {
      log::warn("cannot spill an object to ", options_.spill_dir, ": ", failed);
    }
    post([this, e, failed] { state_.spilled(clock::now(), e.id, failed); });
  });
}
void object_store::implementation::act(const restore_block& e) {
  io_.add([this, e] {
    const std::string failed =
        file_->read(e.file_offset, shared_->region.writable(e.offset, e.size));
    post([this, e, failed] { state_.restored(e.id, failed); });
  });
}

// -- the object store -----------------------------------------------------------------------------

object_store::object_store(object_store_options options, endpoint& net)
    : impl_(std::make_unique<implementation>(std::move(options), net)) {}
object_store::~object_store() = default;
void object_store::received(process_id from, message&& what) {
  impl_->received(from, std::move(what));
}
void object_store::process_gone(process_id who, const std::string& cause) {
  impl_->process_gone(who, cause);
}
void object_store::cannot_reach(process_id who, const std::string& why) {
  impl_->cannot_reach(who, why);
}
store_use object_store::use() const { return impl_->use(); }

}  // namespace troupe::net
