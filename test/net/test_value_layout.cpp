// How a value lies in a block of the store, and what happens when a block holds anything else.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include <troupe/archive.hpp>

#include "net/value_layout.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;

namespace {

std::vector<std::byte> block_of(const std::vector<std::vector<float>>& value) {
  const auto encoded = troupe::detail::encode(value);
  // Blocks of the store begin at multiples of 64; this one does not matter.
  std::vector<std::byte> block(value_block_size(encoded.inline_bytes.size(), encoded.segments));
  write_value(block, encoded.inline_bytes, encoded.segments);
  return block;
}

}  // namespace

TEST_CASE("what was written is read, its arrays at multiples of 64 from the block's begin") {
  const std::vector<std::vector<float>> value{
      std::vector<float>(5'000, 1), {2, 3}, std::vector<float>(2'001, 4)};
  const auto block = block_of(value);
  const auto mapped = map_value(block, nullptr);
  CHECK(mapped->segments().size() == 2);
  for (const auto& segment : mapped->segments()) {
    CHECK((segment.data() - block.data()) % 64 == 0);
  }
  CHECK(troupe::detail::decode<std::vector<std::vector<float>>>(mapped->inline_bytes(),
                                                                mapped->segments()) == value);
}

TEST_CASE("a block that does not hold a value is an error, whatever it holds") {
  CHECK_THROWS_AS(map_value({}, nullptr), troupe::detail::archive_error);
  const auto good = block_of({std::vector<float>(3'000, 1)});
  for (std::size_t size = 0; size < 256; ++size) {
    CHECK_THROWS_AS(map_value(std::span(good).first(size), nullptr), troupe::detail::archive_error);
  }
  for (unsigned seed = 1; seed < 2'000; ++seed) {
    std::minstd_rand random(seed);
    auto damaged = good;
    for (int i = 0; i < 3; ++i) damaged[random() % 40] = static_cast<std::byte>(random());
    try {
      const auto mapped = map_value(damaged, nullptr);
      std::size_t size = mapped->inline_bytes().size();
      for (const auto& segment : mapped->segments()) {
        size = std::max(size, segment.size());
        CHECK(segment.data() >= damaged.data());
        CHECK(segment.data() + segment.size() <= damaged.data() + damaged.size());
      }
      CHECK(size <= damaged.size());
    } catch (const troupe::detail::archive_error&) {
    }
  }
}
