/// What lenders and borrowers of device memory say to each other: over a unix socket of this
/// machine, between processes of one user.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "gpu/driver.hpp"

namespace troupe::gpu::wire {

enum class verb : std::uint32_t {
  claim = 1,  ///< no answer
  give_back,  ///< no answer
  open,       ///< answer, with a pool's descriptor when `with_pool`
  fetch,      ///< answer, and as many bytes as it says
  pass_on,    ///< answer: a further loan
};

struct request {
  verb what;
  std::uint32_t with_pool = 0;
  std::uint64_t loan = 0;
};
struct answer {
  std::uint64_t ok = 0;
  std::uint64_t loan = 0;
  std::uint64_t bytes = 0;
  pointer_export pointer{};
};

/// A descriptor of this process; closed when it goes.
class descriptor {
 public:
  explicit descriptor(int number = -1) noexcept : number_(number) {}
  descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~descriptor();
  int get() const noexcept { return number_; }
  explicit operator bool() const noexcept { return number_ >= 0; }

 private:
  int number_;
};

/// A socket of the abstract namespace that only processes of this user get an answer from; throws
/// `std::system_error`.
descriptor listen_at(const std::string& name);
/// Throws `std::system_error` when nobody listens there, or somebody of another user does.
descriptor connect_to(const std::string& name);
bool same_user(int socket) noexcept;

/// Whole messages. False when the other side is gone or does not read.
bool send_all(int socket, std::span<const std::byte> bytes, int passed = -1) noexcept;
bool receive_all(int socket, std::span<std::byte> bytes, descriptor* passed = nullptr) noexcept;

template <class T>
bool send_one(int socket, const T& what, int passed = -1) noexcept {
  return send_all(socket, std::as_bytes(std::span(&what, 1)), passed);
}
template <class T>
bool receive_one(int socket, T& what, descriptor* passed = nullptr) noexcept {
  return receive_all(socket, std::as_writable_bytes(std::span(&what, 1)), passed);
}

}  // namespace troupe::gpu::wire
