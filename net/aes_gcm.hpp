/// AES-256-GCM of one frame after another whose bytes come in pieces; two makers of the same bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace troupe::net {

/// One key, used in one direction. Thread-compatible. All but destructors may throw
/// `connection_error`, when a library fails.
class aes_gcm {
 public:
  using key = std::array<std::byte, 32>;
  using nonce = std::array<std::byte, 12>;
  using tag = std::array<std::byte, 16>;
  enum class use : std::uint8_t { seal, open };

  aes_gcm() = default;
  virtual ~aes_gcm() = default;
  aes_gcm(const aes_gcm&) = delete;
  aes_gcm& operator=(const aes_gcm&) = delete;

  /// The next frame, whose header the tag shall cover.
  virtual void begin(const nonce& number, std::span<const std::byte> header) = 0;
  /// Its bytes, to as many at `to`, which may be where they are.
  virtual void pass(std::span<const std::byte> from, std::byte* to) = 0;
  /// The tag of a frame that was sealed.
  virtual tag seal() = 0;
  /// Whether all of a frame that was opened is as it was sealed.
  [[nodiscard]] virtual bool open(const tag& sealed) = 0;
};

/// By OpenSSL, on any CPU.
std::unique_ptr<aes_gcm> openssl_aes_gcm(const aes_gcm::key& key, aes_gcm::use how);

/// By Intel's ipsec-mb, with vectors of 512 bits: 2.7 times as fast as OpenSSL 3.0, which uses
/// those of 128. Nothing where the CPU has no such instructions (VAES) or the library is not there.
std::unique_ptr<aes_gcm> vector_aes_gcm(const aes_gcm::key& key, aes_gcm::use how);

/// The fastest that there is.
std::unique_ptr<aes_gcm> make_aes_gcm(const aes_gcm::key& key, aes_gcm::use how);

}  // namespace troupe::net
