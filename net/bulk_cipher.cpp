#include "net/bulk_cipher.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <troupe/error.hpp>

namespace troupe::net {
namespace {

// How many frames one key may have: far below what AES-GCM bears with nonces that are counted.
constexpr std::uint64_t most_frames = std::uint64_t{1} << 32;

void check(int result, const char* what) {
  if (result != 1) throw connection_error(std::string("OpenSSL failed: ") + what);
}

unsigned char* raw(std::byte* at) { return reinterpret_cast<unsigned char*>(at); }
const unsigned char* raw(const std::byte* at) { return reinterpret_cast<const unsigned char*>(at); }

}  // namespace

struct bulk_cipher::state {
  EVP_CIPHER_CTX* const context = ::EVP_CIPHER_CTX_new();
  direction way{};
  use how{};
  std::uint64_t frames = 0;

  state() = default;
  state(const state&) = delete;
  state& operator=(const state&) = delete;
  ~state() { ::EVP_CIPHER_CTX_free(context); }
};

bulk_key draw_bulk_key() {
  bulk_key key;
  check(::RAND_priv_bytes(raw(key.data()), static_cast<int>(key.size())), "no random numbers");
  return key;
}

bulk_cipher::bulk_cipher(const bulk_key& key, direction way, use how)
    : state_(std::make_unique<state>()) {
  state_->way = way;
  state_->how = how;
  check(state_->context != nullptr ? 1 : 0, "no memory");
  check(::EVP_CipherInit_ex(state_->context, ::EVP_aes_256_gcm(), nullptr, raw(key.data()), nullptr,
                            how == use::seal ? 1 : 0),
        "no AES-256-GCM");
}

bulk_cipher::~bulk_cipher() = default;

void bulk_cipher::begin(std::span<const std::byte> header) {
  if (state_->frames == most_frames) {
    throw connection_error("the data connection has had all the frames that its key is good for");
  }
  const auto way = static_cast<std::uint32_t>(state_->way);
  const std::uint64_t number = state_->frames++;
  std::array<unsigned char, 12> nonce{};
  for (std::size_t i = 0; i < 4; ++i) nonce[i] = static_cast<unsigned char>(way >> (8 * i));
  for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] = static_cast<unsigned char>(number >> (8 * i));
  check(::EVP_CipherInit_ex(state_->context, nullptr, nullptr, nullptr, nonce.data(), -1), "nonce");
  int ignored = 0;
  check(::EVP_CipherUpdate(state_->context, nullptr, &ignored, raw(header.data()),
                           static_cast<int>(header.size())),
        "header");
}

void bulk_cipher::pass(std::span<const std::byte> from, std::byte* to) {
  int done = 0;
  check(::EVP_CipherUpdate(state_->context, raw(to), &done, raw(from.data()),
                           static_cast<int>(from.size())),
        "bytes");
}

bulk_tag bulk_cipher::seal() {
  bulk_tag tag{};
  int ignored = 0;
  check(::EVP_CipherFinal_ex(state_->context, raw(tag.data()), &ignored), "end");
  check(::EVP_CIPHER_CTX_ctrl(state_->context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag.size()),
                              tag.data()),
        "tag");
  return tag;
}

bool bulk_cipher::open(const bulk_tag& tag) {
  bulk_tag expected = tag;
  check(::EVP_CIPHER_CTX_ctrl(state_->context, EVP_CTRL_AEAD_SET_TAG,
                              static_cast<int>(expected.size()), expected.data()),
        "tag");
  std::array<unsigned char, bulk_tag_bytes> none{};
  int ignored = 0;
  return ::EVP_CipherFinal_ex(state_->context, none.data(), &ignored) == 1;
}

}  // namespace troupe::net
