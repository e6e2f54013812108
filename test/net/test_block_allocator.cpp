// How a region's blocks are dealt out and taken back.
#include <cstdint>
#include <iterator>
#include <map>
#include <random>

#include "net/block_allocator.hpp"
#include "test/support/catch.hpp"

using troupe::net::block_allocator;

TEST_CASE("blocks begin at multiples of 64 and take whole units") {
  block_allocator blocks(1000);
  CHECK(blocks.capacity() == 960);
  CHECK(blocks.allocate(1) == 0U);
  CHECK(blocks.allocate(65) == 64U);
  CHECK(blocks.allocate(0) == 192U);
  CHECK(blocks.used() == 256);
}

TEST_CASE("a region that is full gives nothing, and everything again when all is free") {
  block_allocator blocks(640);
  const auto a = blocks.allocate(320);
  const auto b = blocks.allocate(320);
  CHECK_FALSE(blocks.allocate(1));
  CHECK(blocks.largest() == 0);
  blocks.free(*a);
  blocks.free(*b);
  CHECK(blocks.largest() == 640);
  CHECK(blocks.allocate(640) == 0U);
}

TEST_CASE("more than there is at all is refused, however large the number") {
  block_allocator blocks(640);
  CHECK_FALSE(blocks.allocate(641));
  CHECK_FALSE(blocks.allocate(~std::uint64_t{0}));
}

TEST_CASE("of equal holes the one that was freed last is dealt first") {
  block_allocator blocks(64 * 100);
  std::uint64_t at[6];
  for (auto& offset : at) offset = *blocks.allocate(64);
  blocks.free(at[0]);
  blocks.free(at[4]);
  blocks.free(at[2]);
  CHECK(blocks.allocate(64) == at[2]);
  CHECK(blocks.allocate(64) == at[4]);
  CHECK(blocks.allocate(64) == at[0]);
}

TEST_CASE("memory that was dealt before comes before memory that never was") {
  block_allocator blocks(64 * 100);
  const auto a = blocks.allocate(64 * 10);
  blocks.free(*a);
  CHECK(blocks.allocate(64 * 3) == 0U);
  CHECK(blocks.high_water() == 64 * 10);
}

TEST_CASE("the last hole and what was never dealt are one block") {
  block_allocator blocks(64 * 10);
  const auto a = blocks.allocate(64 * 4);
  const auto b = blocks.allocate(64 * 4);
  blocks.free(*b);
  CHECK(blocks.largest() == 64 * 6);
  CHECK(blocks.allocate(64 * 6) == 64U * 4);
  blocks.free(*a);
}

TEST_CASE("blocks never overlap, and neighbours that are free are one, in any order of events") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    std::minstd_rand random(seed);
    block_allocator blocks(64 * 512);
    std::map<std::uint64_t, std::uint64_t> model;  // offset to size
    for (int step = 0; step < 600; ++step) {
      if (random() % 5 < 3) {
        const std::uint64_t size = 1 + random() % (64 * (random() % 4 == 0 ? 100 : 8));
        const bool fits = size <= blocks.largest();
        const auto offset = blocks.allocate(size);
        REQUIRE(offset.has_value() == fits);
        if (!offset) continue;
        const std::uint64_t end = *offset + block_allocator::rounded(size);
        REQUIRE(*offset % 64 == 0);
        REQUIRE(end <= blocks.capacity());
        const auto next = model.lower_bound(*offset);
        if (next != model.end()) REQUIRE(end <= next->first);
        if (next != model.begin()) {
          const auto before = std::prev(next);
          REQUIRE(before->first + before->second <= *offset);
        }
        model.emplace(*offset, end - *offset);
      } else if (!model.empty()) {
        auto at = std::next(model.begin(), static_cast<long>(random() % model.size()));
        blocks.free(at->first);
        model.erase(at);
      }
      std::uint64_t used = 0;
      std::uint64_t holes = 0;  // that are not at the end
      std::uint64_t end = 0;
      for (const auto& [offset, size] : model) {
        used += size;
        holes += offset != end ? 1 : 0;
        end = offset + size;
      }
      REQUIRE(blocks.used() == used);
      REQUIRE(blocks.blocks() == model.size());
      REQUIRE(blocks.free_blocks() <= holes + 1);
    }
    while (!model.empty()) {
      blocks.free(model.begin()->first);
      model.erase(model.begin());
    }
    CHECK(blocks.largest() == blocks.capacity());
  }
}
