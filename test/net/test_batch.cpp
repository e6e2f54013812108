// The form in which messages travel, and what is made of bytes that are no messages.
#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "net/batch.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;

namespace {

constexpr std::size_t chunk = 10'000;

std::vector<std::byte> bytes_of(std::size_t size, unsigned seed = 1) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + seed);
  return bytes;
}

message make(std::uint16_t kind, std::size_t body, const std::vector<std::size_t>& attachments) {
  message m{.kind = kind, .body = bytes_of(body, kind), .attachments = {}};
  for (const std::size_t size : attachments) m.attachments.emplace_back(bytes_of(size, 3));
  return m;
}

bool same(const message& a, const message& b) {
  return a.kind == b.kind && a.body == b.body &&
         std::equal(
             a.attachments.begin(), a.attachments.end(), b.attachments.begin(), b.attachments.end(),
             [](const blob& x, const blob& y) { return std::ranges::equal(x.bytes(), y.bytes()); });
}

encoded_batch encode(const std::vector<message>& messages) {
  batch_builder builder(chunk);
  for (message m : messages) builder.add(std::move(m));
  return builder.take();
}

bool survives(const std::vector<message>& messages) {
  const encoded_batch batch = encode(messages);
  const auto decoded = decode_messages(batch.count, batch.small(), batch.frames);
  return decoded &&
         std::equal(messages.begin(), messages.end(), decoded->begin(), decoded->end(), &same);
}

}  // namespace

TEST_CASE("a header comes back as it was") {
  const batch_header header{.version = 3,
                            .flags = batch_flag::hello | batch_flag::nack,
                            .reason = refusal_reason::forgotten,
                            .generation = 4,
                            .sender = 5,
                            .receiver = ~std::uint64_t{0},
                            .first = 7,
                            .ack = 8,
                            .base = 9,
                            .count = 10,
                            .nack_generation = 11,
                            .parts = 12};
  const auto back = decode_header(encode_header(header));
  REQUIRE(back);
  CHECK(encode_header(*back) == encode_header(header));
  CHECK(back->receiver == header.receiver);
  CHECK(back->has(batch_flag::nack));
  CHECK_FALSE(back->has(batch_flag::who));
}

TEST_CASE("what is no header is seen by its size and its first bytes") {
  auto bytes = encode_header({});
  CHECK_FALSE(decode_header({}));
  CHECK_FALSE(decode_header(std::span(bytes).first(bytes.size() - 1)));
  bytes[0] ^= std::byte{1};
  CHECK_FALSE(decode_header(bytes));
}

TEST_CASE("messages of all shapes come back as they were") {
  CHECK(survives({make(1, 0, {})}));
  CHECK(survives({make(1, 100, {}), make(2, 0, {0, 1, 2}), make(65'535, 3, {})}));
  CHECK(survives({make(1, inline_part_bytes - 1, {inline_part_bytes - 1, inline_part_bytes})}));
  CHECK(survives({make(1, 50'000, {chunk, chunk + 1, 5 * chunk, 9}), make(2, 1, {4096})}));
  CHECK(survives({make(1, 10, std::vector<std::size_t>(max_attachments, 1))}));
  CHECK(survives({make(1, 10, std::vector<std::size_t>(500, 3000)), make(2, 4000, {})}));
}

TEST_CASE("the frame of small messages has a bound that one more message does not break") {
  message many = make(2, 1, {});
  many.attachments.assign(max_attachments, blob(bytes_of(4000)));
  const encoded_batch largest = encode({make(1, 4000, {}), std::move(many)});
  CHECK(largest.first_frame.size() + max_batch_bytes <= max_small_frame_bytes);
}

TEST_CASE("big parts are not copied on their way out and in") {
  message m = make(1, 10, {chunk});
  const std::byte* const data = m.attachments[0].bytes().data();
  const encoded_batch batch = encode({m});
  REQUIRE(batch.frames.size() == 1);
  CHECK(batch.frames[0].bytes().data() == data);
  const auto decoded = decode_messages(1, batch.small(), batch.frames);
  REQUIRE(decoded);
  CHECK((*decoded)[0].attachments[0].bytes().data() == data);
}

TEST_CASE("a batch is full by the number of its messages or their bytes") {
  batch_builder builder(chunk);
  for (std::size_t i = 0; i < max_batch_messages; ++i) {
    CHECK_FALSE(builder.full());
    builder.add(make(1, 1, {}));
  }
  CHECK(builder.full());
  const encoded_batch batch = builder.take();
  CHECK(batch.count == max_batch_messages);
  CHECK(batch.bytes == max_batch_messages * (1 + message_header_bytes));
  CHECK(builder.empty());
}

TEST_CASE("a message with too many attachments is refused with a reason") {
  batch_builder builder(chunk);
  CHECK_THROWS_AS(builder.add(make(1, 0, std::vector<std::size_t>(max_attachments + 1, 0))),
                  std::invalid_argument);
  CHECK(builder.empty());
}

TEST_CASE("truncated, extended and reordered batches are refused") {
  const encoded_batch batch = encode({make(1, 100, {20, 5000}), make(2, 9, {2 * chunk})});
  const std::span<const std::byte> small = batch.small();
  REQUIRE(decode_messages(2, small, batch.frames));
  for (std::size_t size = 0; size < small.size(); ++size) {
    REQUIRE_FALSE(decode_messages(2, small.first(size), batch.frames));
  }
  std::vector<std::byte> longer(small.begin(), small.end());
  longer.push_back(std::byte{0});
  CHECK_FALSE(decode_messages(2, longer, batch.frames));
  CHECK_FALSE(decode_messages(1, small, batch.frames));
  CHECK_FALSE(decode_messages(3, small, batch.frames));

  auto frames = batch.frames;
  frames.pop_back();
  CHECK_FALSE(decode_messages(2, small, frames));
  frames = batch.frames;
  frames.push_back(frames.front());
  CHECK_FALSE(decode_messages(2, small, frames));
  frames = batch.frames;
  std::swap(frames.front(), frames.back());
  CHECK_FALSE(decode_messages(2, small, frames));
  frames = batch.frames;
  frames[1] = blob();
  CHECK_FALSE(decode_messages(2, small, frames));
}

TEST_CASE("hostile sizes allocate nothing") {
  encoded_batch batch = encode({make(1, 10, {20, 30})});
  const std::uint64_t sizes[] = {~std::uint64_t{0}, std::uint64_t{1} << 62, std::uint64_t{1} << 40};
  for (const std::uint64_t size : sizes) {
    for (const std::size_t at : {4, 12, 20}) {  // the body's size, and the attachments'
      std::vector<std::byte> bytes(batch.small().begin(), batch.small().end());
      std::memcpy(bytes.data() + at, &size, sizeof size);
      REQUIRE_FALSE(decode_messages(1, bytes, {}));
      REQUIRE_FALSE(decode_messages(1, bytes, {blob(bytes_of(5000))}));
    }
  }
  CHECK_FALSE(decode_messages(~std::uint32_t{0}, batch.small(), {}));
}

TEST_CASE("random bytes and flipped bits are refused or read, and nothing else") {
  std::mt19937 random(7);
  const encoded_batch batch =
      encode({make(1, 100, {20, 5000}), make(2, 9, {chunk}), make(3, 3, {})});
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::byte> bytes(batch.small().begin(), batch.small().end());
    for (int flips = 1 + static_cast<int>(random() % 3); flips > 0; --flips) {
      bytes[random() % bytes.size()] ^= static_cast<std::byte>(1U << (random() % 8));
    }
    static_cast<void>(decode_messages(3, bytes, batch.frames));
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    static_cast<void>(decode_messages(random() % 8, bytes, {}));
  }
  SUCCEED();
}
