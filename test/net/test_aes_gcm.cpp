// Both makers of AES-256-GCM: what is published of it, and that each opens what the other sealed.
#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "net/aes_gcm.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;

namespace {

using bytes = std::vector<std::byte>;
using use = aes_gcm::use;
using maker = std::unique_ptr<aes_gcm> (*)(const aes_gcm::key&, use);

/// One of them alone where the CPU or the machine lacks the other.
std::vector<maker> makers() {
  std::vector<maker> all{&openssl_aes_gcm};
  if (vector_aes_gcm({}, use::seal) != nullptr) {
    all.push_back(&vector_aes_gcm);
  } else {
    WARN("no vectors of 512 bits here, or no ipsec-mb: OpenSSL alone was tested");
  }
  return all;
}

bytes of_hex(const std::string& text) {
  bytes made;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    made.push_back(static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return made;
}

template <std::size_t N>
std::array<std::byte, N> array_of_hex(const std::string& text) {
  std::array<std::byte, N> made{};
  std::ranges::copy(of_hex(text), made.begin());
  return made;
}

bytes random_bytes(std::mt19937& from, std::size_t count) {
  bytes made(count);
  for (std::byte& one : made) one = static_cast<std::byte>(from());
  return made;
}

/// In pieces of any size, as sockets and buffers cut them.
bytes pass(aes_gcm& by, bytes all, std::mt19937& cuts) {
  for (std::size_t done = 0; done < all.size();) {
    const std::size_t piece = std::min<std::size_t>(all.size() - done, cuts() % 5000);
    by.pass(std::span(all).subspan(done, piece), all.data() + done);
    done += piece;
  }
  return all;
}

}  // namespace

TEST_CASE("AES-256-GCM gives what its authors published") {
  // Test case 16 of McGrew and Viega, "The Galois/Counter Mode of Operation".
  const std::string half = "feffe9928665731c6d6a8f9467308308";
  const auto key = array_of_hex<32>(half + half);
  const auto nonce = array_of_hex<12>("cafebabefacedbaddecaf888");
  const bytes header = of_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const bytes plain = of_hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  const bytes sealed = of_hex(
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
      "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662");
  const auto tag = array_of_hex<16>("76fc6ece0f4e1768cddf8853bb2d551b");
  for (const maker make : makers()) {
    const auto from = make(key, use::seal);
    from->begin(nonce, header);
    bytes made(plain.size());
    from->pass(plain, made.data());
    CHECK(made == sealed);
    CHECK(from->seal() == tag);
    const auto to = make(key, use::open);
    to->begin(nonce, header);
    to->pass(made, made.data());
    CHECK(made == plain);
    CHECK(to->open(tag));
  }
}

TEST_CASE("each maker opens what any has sealed, however it is cut, and nothing else") {
  std::mt19937 random(7);
  for (const maker make_one : makers()) {
    for (const maker make_other : makers()) {
      aes_gcm::key key{};
      std::ranges::copy(random_bytes(random, key.size()), key.begin());
      const auto from = make_one(key, use::seal);
      const auto to = make_other(key, use::open);
      for (int i = 0; i < 200; ++i) {
        aes_gcm::nonce nonce{};
        nonce[0] = static_cast<std::byte>(i);
        bytes header = random_bytes(random, 64);
        const bytes plain = random_bytes(random, random() % 20'000);
        from->begin(nonce, header);
        const bytes sealed = pass(*from, plain, random);
        const aes_gcm::tag tag = from->seal();
        const bool spoil = i % 3 == 0;
        if (spoil) header[static_cast<std::size_t>(i) % header.size()] ^= std::byte{1};
        to->begin(nonce, header);
        const bytes opened = pass(*to, sealed, random);
        REQUIRE(to->open(tag) == !spoil);
        REQUIRE(opened == plain);
      }
    }
  }
}
