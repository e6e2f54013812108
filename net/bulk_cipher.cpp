#include "net/bulk_cipher.hpp"

#include <openssl/rand.h>

#include <troupe/error.hpp>

namespace troupe::net {
namespace {

// How many frames one key may have: far below what AES-GCM bears with nonces that are counted.
constexpr std::uint64_t most_frames = std::uint64_t{1} << 32;

}  // namespace

bulk_key draw_bulk_key() {
  bulk_key key;
  if (::RAND_priv_bytes(reinterpret_cast<unsigned char*>(key.data()),
                        static_cast<int>(key.size())) != 1) {
    throw connection_error("OpenSSL failed: no random numbers");
  }
  return key;
}

bulk_cipher::bulk_cipher(const bulk_key& key, direction way, use how)
    : way_(way), by_(make_aes_gcm(key, how)) {}

void bulk_cipher::begin(std::span<const std::byte> header) {
  if (frames_ == most_frames) {
    throw connection_error("the data connection has had all the frames that its key is good for");
  }
  const auto way = static_cast<std::uint32_t>(way_);
  const std::uint64_t number = frames_++;
  aes_gcm::nonce nonce{};
  for (std::size_t i = 0; i < 4; ++i) nonce[i] = static_cast<std::byte>(way >> (8 * i));
  for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] = static_cast<std::byte>(number >> (8 * i));
  by_->begin(nonce, header);
}

}  // namespace troupe::net
