/// Counts of values by their size: latencies, sizes of batches.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace troupe {

/// Values below 32 are counted exactly, larger ones in steps of at most 1/16 of their size, so that
/// any 64-bit value costs a few instructions and all of them at most 8 KiB. A value;
/// thread-compatible.
class histogram {
 public:
  void add(std::uint64_t value) {
    const std::size_t at = bucket_of(value);
    if (at >= counts_.size()) counts_.resize(at + 1);
    ++counts_[at];
    ++count_;
    sum_ += static_cast<double>(value);
    max_ = std::max(max_, value);
  }
  /// Adds what another one counted.
  void add(const histogram& other) {
    if (other.counts_.size() > counts_.size()) counts_.resize(other.counts_.size());
    for (std::size_t i = 0; i < other.counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
  }

  std::uint64_t count() const noexcept { return count_; }
  double sum() const noexcept { return sum_; }
  double mean() const noexcept { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  std::uint64_t max() const noexcept { return max_; }
  /// A value that this share of all is not above: `quantile(0.99)`. At most 1/16 too large; 0 when
  /// nothing was counted.
  std::uint64_t quantile(double share) const noexcept {
    const double wanted = std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t at = 0; at < counts_.size(); ++at) {
      seen += counts_[at];
      if (seen > 0 && static_cast<double>(seen) >= wanted) return std::min(last_of(at), max_);
    }
    return max_;
  }

  /// A range of values that was counted.
  struct bucket {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t count = 0;
    bool operator==(const bucket&) const = default;
  };
  /// Those that are not empty, in their order.
  std::vector<bucket> buckets() const {
    std::vector<bucket> all;
    for (std::size_t at = 0; at < counts_.size(); ++at) {
      if (counts_[at] == 0) continue;
      all.push_back({at == 0 ? 0 : last_of(at - 1) + 1, last_of(at), counts_[at]});
    }
    return all;
  }

  bool operator==(const histogram&) const = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(counts_, count_, sum_, max_);
  }

 private:
  static constexpr std::uint64_t exact = 32;
  static constexpr int steps_log2 = 4;  ///< 16 steps for each power of two

  static std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < exact) return static_cast<std::size_t>(value);
    const int power = std::bit_width(value) - 1;
    const std::uint64_t step = (value >> (power - steps_log2)) - (1U << steps_log2);
    return static_cast<std::size_t>(exact + (static_cast<std::uint64_t>(power - 5) << steps_log2) +
                                    step);
  }
  static std::uint64_t last_of(std::size_t bucket) noexcept {
    if (bucket < exact) return bucket;
    const std::uint64_t above = bucket - exact;
    const int power = static_cast<int>(above >> steps_log2) + 5;
    const std::uint64_t step = above & ((1U << steps_log2) - 1);
    return (((1U << steps_log2) + step + 1) << (power - steps_log2)) - 1;
  }

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace troupe
