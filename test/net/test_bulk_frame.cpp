// The frames of data connections, and what encryption makes of them.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "net/bulk_cipher.hpp"
#include "net/bulk_frame.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;

namespace {

using direction = bulk_cipher::direction;
using use = bulk_cipher::use;

bulk_frame chunk_of(std::uint64_t size) {
  return {.what = bulk_frame::kind::chunk,
          .channel = 7,
          .request = 3,
          .value = {11, 13},
          .offset = 64,
          .size = size,
          .total = 64 + size};
}

struct sealed_frame {
  bulk_header header;
  std::vector<std::byte> bytes;
  bulk_tag tag;
};

sealed_frame seal(bulk_cipher& by, const bulk_frame& frame, char fill) {
  sealed_frame made{write_bulk_header(frame), std::vector<std::byte>(frame.size), {}};
  std::ranges::fill(made.bytes, static_cast<std::byte>(fill));
  by.begin(made.header);
  by.pass(made.bytes, made.bytes.data());
  made.tag = by.seal();
  return made;
}

/// What was sealed; empty when it is refused.
std::string open(bulk_cipher& by, const sealed_frame& frame) {
  std::string text(frame.bytes.size(), ' ');
  by.begin(frame.header);
  // In two pieces, as a socket may give them.
  const auto all = std::span(frame.bytes);
  auto* const to = reinterpret_cast<std::byte*>(text.data());
  by.pass(all.first(all.size() / 2), to);
  by.pass(all.subspan(all.size() / 2), to + all.size() / 2);
  return by.open(frame.tag) ? text : std::string();
}

}  // namespace

TEST_CASE("a header is read as it was written") {
  const bulk_frame frame = chunk_of(100);
  CHECK(read_bulk_header(write_bulk_header(frame)) == frame);
  const bulk_frame hello{.what = bulk_frame::kind::hello, .channel = ~std::uint64_t{0}};
  CHECK(read_bulk_header(write_bulk_header(hello)) == hello);
}

TEST_CASE("what is no header of a frame is refused before anything is done with it") {
  bulk_header bytes{};
  CHECK(!read_bulk_header(bytes));
  bytes = write_bulk_header(chunk_of(100));
  bytes[0] = std::byte{'X'};
  CHECK(!read_bulk_header(bytes));
  bulk_frame frame = chunk_of(100);
  frame.what = static_cast<bulk_frame::kind>(9);
  CHECK(!read_bulk_header(write_bulk_header(frame)));
  frame = chunk_of(most_bulk_bytes + 1);
  CHECK(!read_bulk_header(write_bulk_header(frame)));
  frame = chunk_of(100);
  frame.total = 163;  // the chunk would end behind its value
  CHECK(!read_bulk_header(write_bulk_header(frame)));
  frame.offset = ~std::uint64_t{0};
  CHECK(!read_bulk_header(write_bulk_header(frame)));
  CHECK(!read_bulk_header(write_bulk_header({.what = bulk_frame::kind::hello, .size = 1})));
}

TEST_CASE("what is sealed opens on the other side, frame by frame") {
  const bulk_key key = draw_bulk_key();
  bulk_cipher from(key, direction::to_reader, use::seal);
  bulk_cipher to(key, direction::to_reader, use::open);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{100'000}}) {
    const sealed_frame frame = seal(from, chunk_of(size), 'x');
    if (size > 16)
      CHECK(std::string(100'000, 'x')
                .compare(0, size, reinterpret_cast<const char*>(frame.bytes.data()), size) != 0);
    CHECK(open(to, frame) == std::string(size, 'x'));
  }
}

TEST_CASE("a frame with one wrong bit, in its bytes, header or tag, does not open") {
  const bulk_key key = draw_bulk_key();
  for (const int place : {0, 1, 2}) {
    bulk_cipher from(key, direction::to_reader, use::seal);
    bulk_cipher to(key, direction::to_reader, use::open);
    sealed_frame frame = seal(from, chunk_of(64), 'x');
    (place == 0 ? frame.bytes[40] : place == 1 ? frame.header[30] : frame.tag[5]) ^= std::byte{4};
    CHECK(open(to, frame).empty());
  }
}

TEST_CASE("frames that are repeated, left out or swapped do not open") {
  const bulk_key key = draw_bulk_key();
  bulk_cipher from(key, direction::to_reader, use::seal);
  const sealed_frame first = seal(from, chunk_of(64), 'a');
  const sealed_frame second = seal(from, chunk_of(64), 'b');
  {
    bulk_cipher to(key, direction::to_reader, use::open);
    CHECK(!open(to, first).empty());
    CHECK(open(to, first).empty());
  }
  {
    bulk_cipher to(key, direction::to_reader, use::open);
    CHECK(open(to, second).empty());
  }
}

TEST_CASE("a frame of another connection, or of the other direction, does not open") {
  const bulk_key key = draw_bulk_key();
  bulk_cipher from(key, direction::to_reader, use::seal);
  const sealed_frame frame = seal(from, chunk_of(64), 'a');
  bulk_cipher other(draw_bulk_key(), direction::to_reader, use::open);
  CHECK(open(other, frame).empty());
  bulk_cipher back(key, direction::to_source, use::open);
  CHECK(open(back, frame).empty());
}
