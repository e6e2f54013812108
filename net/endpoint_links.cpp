// How links to peers are opened, watched and given up.
#include <sys/stat.h>
#include <zmq.h>

#include <utility>

#include <troupe/error.hpp>

#include "net/connection_attempt.hpp"
#include "net/endpoint_implementation.hpp"
#include "net/messages.hpp"

namespace troupe::net {
namespace {

bool is_socket(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode);
}

/// Whether the process that listened at a unix socket has ended, or has closed it.
bool is_deserted(const std::string& path) {
  return connection_attempt(path).look() == connection_attempt::result::refused;
}

/// A link that breaks is made anew at once when the peer is there. Then it is looked at, again and
/// again.
constexpr std::chrono::milliseconds time_to_come_back{500};
/// Before what is known of a process that has ended is dropped.
constexpr std::chrono::seconds time_for_last_words{2};
/// A link with nothing to send keeps its sockets so long when it is broken: longer than it takes to
/// declare a process dead.
constexpr std::chrono::seconds longest_idle_break{60};
/// So many links without sockets are known.
constexpr std::size_t max_retired = 1024;

/// A process that starts or ends, or a bad network, may break a connection half-way more than once.
constexpr int handshakes_to_fail = 5;

}  // namespace

endpoint::implementation::link_ptr endpoint::implementation::find_link(process_id other) const {
  const std::shared_lock guard(links_mutex_);
  const auto found = links_.find(other);
  return found == links_.end() ? nullptr : found->second;
}

void endpoint::implementation::open_link(const link_ptr& link) {
  const peer other = link->where();
  const bool same_host = other.host == self_.host && !other.local.empty();
  const bool local = same_host && (other.remote.empty() || is_socket(other.local));
  if (!local && other.remote.empty()) {
    fail_link(link,
              "it listens on its own machine only, and this is another: give it an address "
              "to listen at");
    return;
  }
  if (!local && public_key_.empty()) {
    fail_link(link, "this process has no cluster key, which a link to " + other.remote + " needs");
    return;
  }
  try {
    zmq_socket watcher;
    zmq_socket socket(context_->handle(), ZMQ_DEALER);
    set_link_options(socket);
    socket.set(ZMQ_RCVHWM, 16);  // refusals only
    // What was queued for a connection that broke goes with it; each new one begins by a hello.
    socket.set(ZMQ_IMMEDIATE, 1);
    socket.set(ZMQ_MAXMSGSIZE, std::int64_t{4096});
    if (!local) {
      set_secure_options(socket, options_.cluster_key, public_key_, {});
      if (other.remote.front() == '[') socket.set(ZMQ_IPV6, 1);
    }
    link->address = local ? other.local : other.remote;
    link->is_local = local;
    watcher = watch(context_->handle(), socket);
    if (const int error = socket.connect((local ? "ipc://" : "tcp://") + link->address);
        error != 0) {
      fail_link(link,
                "no connection to '" + link->address + "' is possible: " + zmq_strerror(error));
      return;
    }
    link->token = next_token_;
    next_token_ += 2;
    add_descriptor(socket.descriptor(), link->token);
    add_descriptor(watcher.descriptor(), link->token + 1);
    watched_.emplace(link->token, link);
    link->open(std::move(socket), std::move(watcher));
  } catch (const connection_error& e) {
    fail_link(link, e.what());
    return;
  }
  link->failed_handshakes = 0;
  link->was_up = false;
  if (!link->worked) {
    link->deadline = post_at(clock::now() + options_.connect_timeout, [this, link] {
      if (!link->worked && !link->ended()) fail_link(link, why_not_up(*link));
    });
  }
  // Events may have come before the descriptors were watched.
  look_at_link(link->token);
  look_at_link(link->token + 1);
}

void endpoint::implementation::close_link(peer_link& link) {
  cancel(link.deadline);
  if (!link.is_open()) return;
  watched_.erase(link.token);
  auto [socket, watcher] = link.take_sockets();
  remove_descriptor(socket.descriptor());
  remove_descriptor(watcher.descriptor());
  socket.close();
  watcher.close();
}

/// After an error for which libzmq does not try again.
void endpoint::implementation::reopen_later(const link_ptr& link) {
  close_link(*link);
  post_at(clock::now() + std::chrono::seconds(1), [this, link] {
    if (!link->is_open() && !link->ended()) open_link(link);
  });
}

/// libzmq connects anew without end. What it finds nobody at shall not cost sockets for ever.
void endpoint::implementation::watch_broken(const link_ptr& link) {
  link->down_since = clock::now();
  if (std::exchange(link->is_watched, true)) return;
  post_at(clock::now() + time_to_come_back, [this, link] { look_at_broken(link); });
}

void endpoint::implementation::look_at_broken(const link_ptr& link) {
  link->is_watched = false;
  // One that begins again under its id is waited for: its next life is to be noticed.
  if (link->epoch() != 0) return;
  if (!link->is_open() || link->up() || link->ended()) return;
  const auto now = clock::now();
  if (link->is_local && is_deserted(link->address)) {
    call_out("ended()", [&] { handler_.ended(link->id()); });
    undrained_ = true;
    // What it sent last may still wait to be read here.
    post_at(now + time_for_last_words, [this, link] {
      if (link->up()) return;
      drop(link);
      // Who has sent it something since may wait for an answer.
      call_out("ended()", [&] { handler_.ended(link->id()); });
      undrained_ = true;
    });
    return;
  }
  if (now - link->down_since >= longest_idle_break && link->queued_bytes() == 0) {
    retire(link);
    return;
  }
  link->is_watched = true;
  post_at(now + time_to_come_back, [this, link] { look_at_broken(link); });
}

/// Without sockets until something is to be sent. Of those that are longest so, only so many are
/// known.
void endpoint::implementation::retire(const link_ptr& link) {
  close_link(*link);
  link->worked = false;
  retired_.push_back(link);
  if (retired_.size() <= max_retired) return;
  const link_ptr oldest = retired_.front().lock();
  retired_.pop_front();
  if (oldest && !oldest->is_open() && oldest->queued_bytes() == 0) drop(oldest);
}

/// As if the peer had never been known.
void endpoint::implementation::drop(const link_ptr& link) {
  {
    const std::unique_lock guard(links_mutex_);
    const auto found = links_.find(link->id());
    if (found == links_.end() || found->second != link) return;
    links_.erase(found);
  }
  link->end();
  close_link(*link);
  drop_partial(link->id());
  wake_flushers();
  tell_of_room();
}

void endpoint::implementation::fail_link(const link_ptr& link, const std::string& why) {
  link->end();
  close_link(*link);
  link->worked = false;
  wake_flushers();
  tell_of_room();
  if (find_link(link->id()) != link) return;  // forgotten meanwhile
  undrained_ = true;
  call_out("unreachable()", [&] { handler_.unreachable(link->id(), why); });
}

/// A link to the life of the peer that `other` names, in place of one to an earlier life.
void endpoint::implementation::renew_link(const link_ptr& link, peer other) {
  {
    const std::unique_lock guard(links_mutex_);
    const auto found = links_.find(link->id());
    if (found == links_.end() || found->second != link) return;  // forgotten, or renewed already
    found->second = std::make_shared<peer_link>(self_, other, chunk_bytes_, counters_);
    // It is known to live: its link is tried as long as one that has worked.
    found->second->worked = true;
  }
  link->end();
  close_link(*link);
  drop_partial(link->id());
  wake_flushers();
  tell_of_room();
  undrained_ = true;
  call_out("renewed()", [&] { handler_.renewed(other); });
}

std::string endpoint::implementation::why_not_up(const peer_link& link) const {
  const auto waited = std::to_string(options_.connect_timeout.count()) + " ms";
  if (link.failed_handshakes > 0) {
    return "what listens at " + link.address +
           " ends each connection before it is made: its cluster key differs, or it is not troupe";
  }
  if (link.was_up) {
    return "the process at " + link.address + " was reached and did not answer within " + waited +
           ": it has ended, or it can not connect back to " +
           (self_.remote.empty() ? self_.local : self_.remote);
  }
  return "nothing answered at " + link.address + " within " + waited +
         ": the process has ended, or a firewall is in between";
}

void endpoint::implementation::look_at_link(std::uint64_t token) {
  const auto found = watched_.find(token & ~std::uint64_t{1});
  if (found == watched_.end()) return;  // closed by an event before this one
  const link_ptr link = found->second;
  if (token % 2 == 0) {
    read_answers(link);
    return;
  }
  connection_event event;
  while (link->is_open() && next_event(link->watcher(), event)) handle_event(link, event);
}

void endpoint::implementation::handle_event(const link_ptr& link, const connection_event& event) {
  using what = connection_event::what;
  switch (event.kind) {
    case what::ready:
      link->was_up = true;
      link->failed_handshakes = 0;
      link->came_up(record_);
      pump(link);
      // What waited for the connection is looked after from now on; and its sending may have
      // consumed the signal of an answer to the hello, such as that another life is there now.
      if (!watching_.exchange(true)) watch_unacknowledged();
      read_answers(link);
      break;
    case what::disconnected:
      link->went_down();
      watch_broken(link);
      break;
    case what::refused_key:
      fail_link(link, "the process at " + link->address +
                          " refused this process's cluster key: it is not, or no longer, valid");
      break;
    case what::not_understood:
      if (link->worked) {
        reopen_later(link);
      } else {
        fail_link(link, "what listens at " + link->address +
                            " does not speak the cluster's protocol: it is not troupe, or it is "
                            "one without encryption");
      }
      break;
    case what::failed:
      if (++link->failed_handshakes >= handshakes_to_fail && !link->worked) {
        fail_link(link, why_not_up(*link));
      }
      break;
    default:
      break;
  }
}

/// What the peer says of what it has got, on whichever connection.
void endpoint::implementation::heard(const link_ptr& link, const batch_header& header) {
  link->heard(header);
  pump(link);
  if (flushers_.load() > 0 && link->queued_bytes() == 0) wake_flushers();
  if (waiting_for_room_.load() > 0) tell_of_room();
}

void endpoint::implementation::read_answers(const link_ptr& link) {
  batch_header answer;
  while (link->next_answer(answer)) {
    if (!answer.has(batch_flag::refusal)) {
      const bool of_this_life = answer.sender_epoch == static_cast<short_epoch>(link->epoch());
      if (answer.sender == link->id() && of_this_life) heard(link, answer);
      continue;
    }
    pump(link);
    switch (answer.reason) {
      case refusal_reason::version:
        fail_link(link, "the process at " + link->address + " speaks protocol version " +
                            std::to_string(answer.version) + ", this process " +
                            std::to_string(protocol_version) +
                            ": use the same version of troupe in the whole cluster");
        return;
      case refusal_reason::not_receiver:
        fail_link(link, "the process that was at " + link->address +
                            " has ended; another one is there now");
        return;
      case refusal_reason::forgotten:
        fail_link(link, "the process at " + link->address +
                            " holds this one for dead and does not listen to it any more");
        return;
      case refusal_reason::other_life: {
        const int later = later_by(answer.sender_epoch, static_cast<short_epoch>(link->epoch()));
        if (later <= 0) break;
        peer other = link->where();
        other.epoch = link->epoch() + static_cast<std::uint32_t>(later);
        renew_link(link, std::move(other));
        return;
      }
      case refusal_reason::none:
        break;
    }
  }
}

/// While something is unacknowledged, looks after it now and then.
void endpoint::implementation::watch_unacknowledged() {
  post_at(clock::now() + send_state::first_patience, [this] { ask_the_silent(); });
}

void endpoint::implementation::ask_the_silent() {
  // Before looking: who sends from now on starts the watch again.
  watching_.store(false);
  std::vector<link_ptr> links;
  {
    const std::shared_lock guard(links_mutex_);
    for (const auto& [id, link] : links_) links.push_back(link);
  }
  bool waiting = false;
  for (const link_ptr& link : links) {
    const bool silent = link->ask_if_silent();
    pump(link);
    if (!silent) continue;
    waiting = true;
    // A sender may have consumed the signal of an answer.
    if (link->is_open()) read_answers(link);
    // Between machines a connection may be dead and nobody has been told.
    if (link->is_open() && !link->is_local && link->has_stalled()) {
      close_link(*link);
      open_link(link);
    }
  }
  if (waiting && !watching_.exchange(true)) watch_unacknowledged();
}

}  // namespace troupe::net
