#include "net/content_hash.hpp"

#include <sodium.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace troupe::net {
namespace {

constexpr std::size_t hash_bytes = 32;
constexpr std::size_t read_at_once = std::size_t{1} << 20;

}  // namespace

struct content_hasher::state {
  crypto_generichash_state of;
};

content_hasher::content_hasher() : state_(std::make_unique<state>()) {
  if (::sodium_init() < 0) throw std::runtime_error("libsodium cannot be used");
  ::crypto_generichash_init(&state_->of, nullptr, 0, hash_bytes);
}
content_hasher::~content_hasher() = default;
content_hasher::content_hasher(content_hasher&&) noexcept = default;
content_hasher& content_hasher::operator=(content_hasher&&) noexcept = default;

void content_hasher::add(std::span<const std::byte> bytes) {
  ::crypto_generichash_update(&state_->of, reinterpret_cast<const unsigned char*>(bytes.data()),
                              bytes.size());
}
void content_hasher::add(std::string_view text) { add(std::as_bytes(std::span(text))); }

std::string content_hasher::finish() {
  std::array<unsigned char, hash_bytes> raw;
  ::crypto_generichash_final(&state_->of, raw.data(), raw.size());
  std::array<char, 2 * hash_bytes + 1> text;
  ::sodium_bin2hex(text.data(), text.size(), raw.data(), raw.size());
  return text.data();
}

std::string hash_of_file(int fd) {
  content_hasher hasher;
  std::vector<std::byte> buffer(read_at_once);
  for (off_t at = 0;;) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw std::system_error(errno, std::generic_category(), "cannot read a file");
    if (got == 0) return hasher.finish();
    hasher.add(std::span(buffer.data(), static_cast<std::size_t>(got)));
    at += got;
  }
}

bool is_content_hash(std::string_view text) noexcept {
  return text.size() == 2 * hash_bytes && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace troupe::net
