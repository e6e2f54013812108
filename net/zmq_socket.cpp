#include "net/zmq_socket.hpp"

#include <zmq.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>

#include <troupe/detail/assert.hpp>
#include <troupe/error.hpp>

namespace troupe::net {
namespace {

static_assert(sizeof(zmq_msg_t) <= 64);

zmq_msg_t* message_of(const zmq_frame& frame) noexcept {
  return static_cast<zmq_msg_t*>(frame.handle());
}

void release_keeper(void* /*bytes*/, void* hint) {
  delete static_cast<std::shared_ptr<const void>*>(hint);
}

/// Below this, copying costs less than sharing.
constexpr std::size_t copied_bytes = 1024;

bool send_parts(zmq_socket& socket, const encoded_batch& batch) noexcept {
  return std::all_of(batch.frames.begin(), batch.frames.end(), [&](const blob& part) {
    return socket.send(zmq_frame(part.bytes(), part.keeper()));
  });
}

}  // namespace

zmq_frame::zmq_frame() noexcept { zmq_msg_init(message_of(*this)); }

zmq_frame::zmq_frame(std::span<const std::byte> copied) {
  if (zmq_msg_init_size(message_of(*this), copied.size()) != 0) throw std::bad_alloc();
  if (!copied.empty()) std::memcpy(zmq_msg_data(message_of(*this)), copied.data(), copied.size());
}

zmq_frame::zmq_frame(std::span<const std::byte> first, std::span<const std::byte> second) {
  const std::size_t size = first.size() + second.size();
  if (zmq_msg_init_size(message_of(*this), size) != 0) throw std::bad_alloc();
  auto* const to = static_cast<std::byte*>(zmq_msg_data(message_of(*this)));
  std::copy(second.begin(), second.end(), std::copy(first.begin(), first.end(), to));
}

zmq_frame::zmq_frame(std::span<const std::byte> bytes, std::shared_ptr<const void> keeper) {
  auto hint = std::make_unique<std::shared_ptr<const void>>(std::move(keeper));
  // libzmq takes mutable bytes and does not change them.
  void* const data = const_cast<std::byte*>(bytes.data());  // NOLINT
  if (zmq_msg_init_data(message_of(*this), data, bytes.size(), &release_keeper, hint.get()) != 0) {
    throw std::bad_alloc();
  }
  static_cast<void>(hint.release());
}

zmq_frame::zmq_frame(zmq_frame&& other) noexcept : zmq_frame() {
  zmq_msg_move(message_of(*this), message_of(other));
}

zmq_frame& zmq_frame::operator=(zmq_frame&& other) noexcept {
  if (this != &other) zmq_msg_move(message_of(*this), message_of(other));
  return *this;
}

zmq_frame::~zmq_frame() { zmq_msg_close(message_of(*this)); }

std::span<const std::byte> zmq_frame::bytes() const noexcept {
  return {static_cast<const std::byte*>(zmq_msg_data(message_of(*this))),
          zmq_msg_size(message_of(*this))};
}

bool zmq_frame::more() const noexcept { return zmq_msg_more(message_of(*this)) != 0; }

const char* zmq_frame::property(const char* name) const noexcept {
  const char* const found = zmq_msg_gets(message_of(*this), name);
  return found == nullptr ? "" : found;
}

blob to_blob(zmq_frame&& frame) {
  auto kept = std::make_shared<zmq_frame>(std::move(frame));
  const auto bytes = kept->bytes();
  return {bytes, std::move(kept)};
}

zmq_socket::zmq_socket(void* context, int type) : handle_(::zmq_socket(context, type)) {
  if (handle_ == nullptr) {
    throw connection_error(std::string("no socket could be made: ") + zmq_strerror(errno) +
                           "; raise the limit of open files (ulimit -n)");
  }
}

void zmq_socket::close() noexcept {
  if (handle_ == nullptr) return;
  zmq_socket_monitor(handle_, nullptr, 0);
  zmq_close(std::exchange(handle_, nullptr));
}

void zmq_socket::set(int option, int value) {
  const int rc = zmq_setsockopt(handle_, option, &value, sizeof value);
  TROUPE_ASSERT(rc == 0, "libzmq knows the option and its value");
}

void zmq_socket::set(int option, std::int64_t value) {
  const int rc = zmq_setsockopt(handle_, option, &value, sizeof value);
  TROUPE_ASSERT(rc == 0, "libzmq knows the option and its value");
}

void zmq_socket::set(int option, const std::string& value) {
  const int rc = zmq_setsockopt(handle_, option, value.data(), value.size());
  TROUPE_ASSERT(rc == 0, "libzmq knows the option and its value");
}

std::string zmq_socket::text(int option) const {
  char buffer[512];
  std::size_t size = sizeof buffer;
  if (zmq_getsockopt(handle_, option, buffer, &size) != 0 || size == 0) return {};
  return {buffer, size - 1};
}

int zmq_socket::descriptor() const {
  int fd = -1;
  std::size_t size = sizeof fd;
  const int rc = zmq_getsockopt(handle_, ZMQ_FD, &fd, &size);
  TROUPE_ASSERT(rc == 0, "every socket has a descriptor");
  return fd;
}

int zmq_socket::bind(const std::string& address) noexcept {
  return zmq_bind(handle_, address.c_str()) == 0 ? 0 : errno;
}

void zmq_socket::unbind(const std::string& address) noexcept {
  zmq_unbind(handle_, address.c_str());
}

int zmq_socket::connect(const std::string& address) noexcept {
  return zmq_connect(handle_, address.c_str()) == 0 ? 0 : errno;
}

bool zmq_socket::receive(zmq_frame& to) noexcept {
  int rc = 0;
  do {
    rc = zmq_msg_recv(message_of(to), handle_, ZMQ_DONTWAIT);
  } while (rc < 0 && errno == EINTR);
  return rc >= 0;
}

bool zmq_socket::wait(long milliseconds) noexcept {
  zmq_pollitem_t item{handle_, 0, ZMQ_POLLIN, 0};
  return zmq_poll(&item, 1, milliseconds) > 0;
}

bool zmq_socket::send(zmq_frame&& frame, bool more) noexcept {
  int rc = 0;
  do {
    rc = zmq_msg_send(message_of(frame), handle_, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
  } while (rc < 0 && errno == EINTR);
  return rc >= 0;
}

bool zmq_socket::send(const batch_header& header, std::span<const std::byte> rest) noexcept {
  return send(zmq_frame(encode_header(header), rest));
}

bool zmq_socket::send(const std::shared_ptr<const encoded_batch>& batch) noexcept {
  const std::span<const std::byte> first = batch->first_frame;
  return send(first.size() <= copied_bytes ? zmq_frame(first) : zmq_frame(first, batch)) &&
         send_parts(*this, *batch);
}

bool zmq_socket::send_again(const batch_header& header, const encoded_batch& batch) noexcept {
  return send(header, batch.small()) && send_parts(*this, batch);
}

void zmq_socket::catch_up() noexcept {
  int ignored = 0;
  std::size_t size = sizeof ignored;
  zmq_getsockopt(handle_, ZMQ_EVENTS, &ignored, &size);
}

zmq_socket watch(void* context, zmq_socket& watched) {
  zmq_socket watcher(context, ZMQ_PAIR);
  static std::atomic<std::uint64_t> watched_before{0};
  const std::string name = "inproc://troupe-monitor-" + std::to_string(++watched_before);
  constexpr int wanted = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_CONNECT_RETRIED |
                         ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                         ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                         ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;
  watcher.set(ZMQ_LINGER, 0);
  watcher.set(ZMQ_RCVHWM, 0);
  if (zmq_socket_monitor(watched.handle(), name.c_str(), wanted) != 0 ||
      watcher.connect(name) != 0) {
    throw connection_error(std::string("a socket can not be watched: ") + zmq_strerror(errno) +
                           "; raise the limit of open files (ulimit -n)");
  }
  return watcher;
}

bool next_event(zmq_socket& watcher, connection_event& out) {
  zmq_frame frame;
  if (!watcher.receive(frame)) return false;
  std::uint16_t event = 0;
  std::uint32_t value = 0;
  const auto bytes = frame.bytes();
  if (bytes.size() >= 6) {
    std::memcpy(&event, bytes.data(), sizeof event);
    std::memcpy(&value, bytes.data() + sizeof event, sizeof value);
  }
  while (frame.more() && watcher.receive(frame)) {  // the address: of the listener, or its own
  }
  using what = connection_event::what;
  out.value = static_cast<int>(value);
  switch (event) {
    case ZMQ_EVENT_ACCEPTED:
      out.kind = what::accepted;
      break;
    case ZMQ_EVENT_CONNECT_RETRIED:
      out.kind = what::retried;
      break;
    case ZMQ_EVENT_CLOSED:
      out.kind = what::closed;
      break;
    case ZMQ_EVENT_DISCONNECTED:
      out.kind = what::disconnected;
      break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      out.kind = what::ready;
      break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      out.kind = what::refused_key;
      break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      out.kind = what::not_understood;
      break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      out.kind = what::failed;
      break;
    default:
      out.kind = what::other;
      break;
  }
  return true;
}

void set_link_options(zmq_socket& socket) {
  socket.set(ZMQ_LINGER, 0);
  socket.set(ZMQ_SNDHWM, 0);  // bytes are bounded by who sends; a full socket would drop
  socket.set(ZMQ_RCVHWM, 256);
  socket.set(ZMQ_RECONNECT_IVL, 20);
  // Far below what a node waits for a head that was started again, before it ends its work.
  socket.set(ZMQ_RECONNECT_IVL_MAX, 250);
  socket.set(ZMQ_HANDSHAKE_IVL, 3000);
}

void set_secure_options(zmq_socket& socket, const std::string& cluster_key,
                        const std::string& public_key, const std::string& domain) {
  if (domain.empty()) {
    socket.set(ZMQ_CURVE_SERVERKEY, public_key);
    socket.set(ZMQ_CURVE_PUBLICKEY, public_key);
  } else {
    socket.set(ZMQ_CURVE_SERVER, 1);
    socket.set(ZMQ_ZAP_DOMAIN, domain);
  }
  socket.set(ZMQ_CURVE_SECRETKEY, cluster_key);
  socket.set(ZMQ_TCP_KEEPALIVE, 1);
  socket.set(ZMQ_TCP_KEEPALIVE_IDLE, 10);
  socket.set(ZMQ_TCP_KEEPALIVE_INTVL, 3);
  socket.set(ZMQ_TCP_KEEPALIVE_CNT, 3);
  socket.set(ZMQ_TCP_MAXRT, 15'000);
}

}  // namespace troupe::net
