// How an object store answers the processes of its node, over its unix socket.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <exception>

#include <troupe/archive.hpp>
#include <troupe/log.hpp>

#include "net/object_store_implementation.hpp"

namespace troupe::net {

namespace {

constexpr std::size_t most_connections = 10'000;

}  // namespace

void object_store::implementation::accept_all() {
  while (core::descriptor fd = accept_own(listener_)) {
    if (connections_.size() >= most_connections) {
      log::warn("the object store refused a connection: there are ", connections_.size());
      continue;
    }
    const std::uint64_t token = ++last_token_;
    watch(fd.get(), token);
    connections_[token].fd = std::move(fd);
  }
}

void object_store::implementation::read_from(std::uint64_t token) {
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

void object_store::implementation::closed(std::uint64_t token) {
  const auto at = connections_.find(token);
  if (at == connections_.end()) return;
  const connection gone = std::move(at->second);
  connections_.erase(at);
  if (gone.ticket != 0) state_.cancel(gone.ticket);
  if (gone.first) lose(gone.process, "it has closed its connection to the object store");
}

void object_store::implementation::request(std::uint64_t token, connection& from,
                                           store_request&& what) {
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

store_ticket object_store::implementation::begin_request(std::uint64_t token, connection& from) {
  if (from.process == 0 || from.ticket != 0) {
    throw detail::archive_error("a request before the first word or while another one waits");
  }
  from.ticket = ++last_ticket_;
  tickets_.emplace(from.ticket, token);
  return from.ticket;
}

/// False when nobody is there to hear it.
bool object_store::implementation::answer(store_ticket ticket, const store_reply& reply) {
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

}  // namespace troupe::net
