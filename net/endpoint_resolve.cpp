// How a process is found of which only the address is known, and what is said when it is not.
#include <zmq.h>

#include <algorithm>
#include <utility>

#include <troupe/archive.hpp>
#include <troupe/detail/archive_error.hpp>
#include <troupe/error.hpp>

#include "net/endpoint_implementation.hpp"
#include "net/messages.hpp"

namespace troupe::net {
namespace {

using clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& address, const std::string& why) {
  throw connection_error("no link to " + address + ": " + why);
}

/// Looks for the cause where libzmq only knows that there is one. Returns when all is as it should
/// be there.
void explain(const std::string& address, const host_and_port& numeric) {
  switch (examine(numeric, clock::now() + std::chrono::seconds(1))) {
    case listener::nobody:
      fail(address, "nothing listens there; is the head running, and is the port right?");
    case listener::silent:
      fail(address, "it does not answer: the machine may be down, or a firewall in between");
    case listener::other_program:
      fail(address, "what listens there is not troupe; is the port right?");
    case listener::without_encryption:
      fail(address,
           "what listens there does not use the cluster's encryption, so it is not troupe");
    case listener::encrypted:
      break;
  }
}

[[noreturn]] void explain_failed_handshake(const std::string& address,
                                           const host_and_port& numeric) {
  explain(address, numeric);
  fail(address,
       "it refused the cluster key: this process has another one than the cluster; take the key "
       "that the head made");
}

long milliseconds_until(clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
  return static_cast<long>(std::max<std::int64_t>(left, 0));
}

/// The answer to our question; nothing when something else came.
std::optional<peer> read_answer(const std::string& address, zmq_socket& socket) {
  zmq_frame frame;
  if (!socket.receive(frame)) return std::nullopt;
  const auto header = decode_header(frame.bytes());
  if (!header) fail(address, "what listens there has the cluster key and is not troupe");
  if (header->version != protocol_version) {
    fail(address, "it speaks protocol version " + std::to_string(header->version) +
                      ", this process " + std::to_string(protocol_version) +
                      ": use the same version of troupe in the whole cluster");
  }
  if (!header->has(batch_flag::hello)) return std::nullopt;
  try {
    peer found = detail::decode<peer>(frame.bytes().subspan(batch_header_bytes));
    if (found.id == header->sender) return found;
  } catch (const detail::archive_error&) {
    // Said below.
  }
  fail(address, "it introduced itself by what can not be read");
}

}  // namespace

peer endpoint::implementation::resolve(const std::string& address,
                                       std::chrono::milliseconds timeout, whom wanted) {
  const auto deadline = clock::now() + timeout;
  const auto parts = parse_address(address);
  if (!parts || parts->port == "0") fail(address, "it is no address; write HOST:PORT");
  if (public_key_.empty()) fail(address, "this process has no cluster key");
  std::string why;
  const auto numeric = look_up(*parts, why);
  if (!numeric) fail(address, "the host can not be found: " + why);

  zmq_socket watcher;
  zmq_socket socket(context_->handle(), ZMQ_DEALER);
  set_link_options(socket);
  socket.set(ZMQ_MAXMSGSIZE, std::int64_t{64} << 10);
  set_secure_options(socket, options_.cluster_key, public_key_, {});
  if (numeric->is_ipv6()) socket.set(ZMQ_IPV6, 1);
  watcher = watch(context_->handle(), socket);
  if (const int error = socket.connect("tcp://" + numeric->text()); error != 0) {
    fail(address, zmq_strerror(error));
  }
  const std::uint16_t flags =
      wanted == whom::head ? batch_flag::who | batch_flag::head : batch_flag::who;
  const batch_header question{.version = protocol_version, .flags = flags, .sender = self_.id};
  socket.send(question);

  int failures = 0;
  bool question_lost = false;
  std::optional<peer> found;
  while (!found) {
    zmq_pollitem_t items[] = {{socket.handle(), 0, ZMQ_POLLIN, 0},
                              {watcher.handle(), 0, ZMQ_POLLIN, 0}};
    if (zmq_poll(items, 2, milliseconds_until(deadline)) == 0 && clock::now() >= deadline) {
      if (failures > 0) explain_failed_handshake(address, *numeric);
      fail(address, "it did not answer within " + std::to_string(timeout.count()) +
                        " ms: the machine may be down, or a firewall in between");
    }
    found = read_answer(address, socket);
    connection_event event;
    while (!found && next_event(watcher, event)) {
      using what = connection_event::what;
      if (event.kind == what::refused_key) {
        fail(address, "it refused the cluster key: it is not, or no longer, valid");
      }
      if (event.kind == what::retried && failures == 0) explain(address, *numeric);
      if (event.kind == what::not_understood) explain_failed_handshake(address, *numeric);
      // It may just be starting or ending: a second try tells.
      if (event.kind == what::failed && ++failures > 1) explain_failed_handshake(address, *numeric);
      if (event.kind == what::failed || event.kind == what::disconnected) question_lost = true;
      if (event.kind == what::ready && std::exchange(question_lost, false)) socket.send(question);
    }
  }
  learn(*found);
  return *found;
}

}  // namespace troupe::net
