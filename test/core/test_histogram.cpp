#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <troupe/histogram.hpp>

#include "test/support/catch.hpp"

using troupe::histogram;

TEST_CASE("a histogram without values tells zeros") {
  const histogram none;
  CHECK(none.count() == 0);
  CHECK(none.mean() == 0);
  CHECK(none.quantile(0.5) == 0);
  CHECK(none.buckets().empty());
}

TEST_CASE("small values are counted exactly") {
  histogram sizes;
  for (const std::uint64_t size : {1U, 1U, 8U, 31U}) sizes.add(size);
  CHECK(sizes.buckets() == std::vector<histogram::bucket>{{1, 1, 2}, {8, 8, 1}, {31, 31, 1}});
  CHECK(sizes.quantile(0.5) == 1);
  CHECK(sizes.quantile(0.75) == 8);
  CHECK(sizes.mean() == 10.25);
  CHECK(sizes.max() == 31);
}

TEST_CASE("any value falls into a bucket that holds it and is at most a sixteenth wide") {
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> values{
      0, 31, 32, 33, 63, 64, std::numeric_limits<std::uint64_t>::max()};
  for (int i = 0; i < 1000; ++i) values.push_back(random() >> (random() % 64));
  for (const std::uint64_t value : values) {
    histogram one;
    one.add(value);
    const auto bucket = one.buckets().at(0);
    CHECK(bucket.first <= value);
    CHECK(value <= bucket.last);
    CHECK(bucket.last - bucket.first <= bucket.first / 16);
  }
}

TEST_CASE("the quantiles of many values are near the exact ones") {
  histogram all;
  for (std::uint64_t value = 1; value <= 10'000; ++value) all.add(value);
  for (const double share : {0.01, 0.5, 0.99, 0.999}) {
    const double exact = share * 10'000;
    CHECK(static_cast<double>(all.quantile(share)) >= exact);
    CHECK(static_cast<double>(all.quantile(share)) <= exact * 17 / 16 + 1);
  }
  CHECK(all.quantile(1) == 10'000);
}

TEST_CASE("histograms add up") {
  histogram a;
  histogram b;
  a.add(3);
  b.add(3);
  b.add(1000);
  a.add(b);
  CHECK(a.count() == 3);
  CHECK(a.max() == 1000);
  CHECK(a.buckets().front().count == 2);
}
