/// What lenders and borrowers of device memory say to each other: over a unix socket of this
/// machine, between processes of one user.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/descriptor.hpp"
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

/// A socket of the abstract namespace that only processes of this user get an answer from; throws
/// `std::system_error`.
core::descriptor listen_at(const std::string& name);
/// Throws `std::system_error` when nobody listens there, or somebody of another user does.
core::descriptor connect_to(const std::string& name);
bool same_user(int socket) noexcept;

/// Whole messages. False when the other side is gone or does not read.
bool send_all(int socket, std::span<const std::byte> bytes, int passed = -1) noexcept;
bool receive_all(int socket, std::span<std::byte> bytes,
                 core::descriptor* passed = nullptr) noexcept;

template <class T>
bool send_one(int socket, const T& what, int passed = -1) noexcept {
  return send_all(socket, std::as_bytes(std::span(&what, 1)), passed);
}
template <class T>
bool receive_one(int socket, T& what, core::descriptor* passed = nullptr) noexcept {
  return receive_all(socket, std::as_writable_bytes(std::span(&what, 1)), passed);
}

}  // namespace troupe::gpu::wire
