/// Owners of libzmq's sockets and frames, so that the rest of `net` does not include its header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "net/batch.hpp"
#include "net/wire.hpp"

namespace troupe::net {

/// One frame of a message. Move-only; thread-compatible.
class zmq_frame {
 public:
  zmq_frame() noexcept;
  explicit zmq_frame(std::span<const std::byte> copied);
  /// Copies of both, one after the other.
  zmq_frame(std::span<const std::byte> first, std::span<const std::byte> second);
  /// Refers to the bytes; `keeper` lives until libzmq is done with them, and ends on its thread.
  zmq_frame(std::span<const std::byte> bytes, std::shared_ptr<const void> keeper);
  zmq_frame(zmq_frame&& other) noexcept;
  zmq_frame& operator=(zmq_frame&& other) noexcept;
  ~zmq_frame();

  std::span<const std::byte> bytes() const noexcept;
  bool more() const noexcept;
  /// What the connection it came by is known for, such as "User-Id"; empty when it is not.
  const char* property(const char* name) const noexcept;
  void* handle() const noexcept { return storage_; }

 private:
  alignas(void*) mutable unsigned char storage_[64];
};

/// The frame's bytes without a copy: the frame goes with the last who has them.
blob to_blob(zmq_frame&& frame);

/// A socket; closed at the end with what it has not sent. Thread-compatible: another thread may use
/// it behind a mutex.
class zmq_socket {
 public:
  zmq_socket() = default;
  /// Of libzmq's type, such as ZMQ_DEALER. Throws `connection_error` when there are no more.
  zmq_socket(void* context, int type);
  zmq_socket(zmq_socket&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  zmq_socket& operator=(zmq_socket&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~zmq_socket() { close(); }

  explicit operator bool() const noexcept { return handle_ != nullptr; }
  void* handle() const noexcept { return handle_; }
  void close() noexcept;

  void set(int option, int value);
  void set(int option, std::int64_t value);
  void set(int option, const std::string& value);
  std::string text(int option) const;
  /// Readable when there may be something to receive.
  int descriptor() const;

  /// 0 or the error's number.
  int bind(const std::string& address) noexcept;
  void unbind(const std::string& address) noexcept;
  int connect(const std::string& address) noexcept;
  /// False when there is nothing (more).
  bool receive(zmq_frame& to) noexcept;
  /// Waits so long for something to receive.
  bool wait(long milliseconds) noexcept;
  /// False when it can not be sent.
  bool send(zmq_frame&& frame, bool more = false) noexcept;
  /// A header and what follows in its frame.
  bool send(const batch_header& header, std::span<const std::byte> rest = {}) noexcept;
  /// A batch with its header, each frame as a message of its own: libzmq 4.3.4 aborts the process
  /// when a socket is closed and its connection breaks while a message of several is half sent.
  bool send(const std::shared_ptr<const encoded_batch>& batch) noexcept;
  /// The same once more under another header; copies the small messages.
  bool send_again(const batch_header& header, const encoded_batch& batch) noexcept;
  /// Takes note of connections that came and went. Sending alone does so only now and then.
  void catch_up() noexcept;

 private:
  void* handle_ = nullptr;
};

/// What libzmq tells of a socket's connections.
struct connection_event {
  enum class what : std::uint8_t {
    accepted,        ///< `value` is the descriptor
    retried,         ///< nothing answered; it will try again
    ready,           ///< shaken hands
    refused_key,     ///< the other side does not accept the key
    failed,          ///< shaking hands failed in another way; it may try again
    not_understood,  ///< what came is no handshake of this kind; it does not try again
    closed,          ///< no longer listening, or an attempt has ended
    disconnected,    ///< `value` is the descriptor
    other,
  };
  what kind = what::other;
  int value = 0;
};

/// Has the events of a socket told to the socket that is returned. That must be closed after the
/// watched one: libzmq's thread waits for a reader with every event.
zmq_socket watch(void* context, zmq_socket& watched);
/// False when there is none (more).
bool next_event(zmq_socket& watcher, connection_event& out);

/// What all sockets of a link have in common.
void set_link_options(zmq_socket& socket);
/// And those to other machines: encrypted, with keepalives. A listener accepts what the gatekeeper
/// of `domain` lets in; else `domain` is empty.
void set_secure_options(zmq_socket& socket, const std::string& cluster_key,
                        const std::string& public_key, const std::string& domain);

}  // namespace troupe::net
