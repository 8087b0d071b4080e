// Latencies in buckets of 1/64 of their size: percentiles to within 1.6 %, without an allocation while measuring.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace race {

class Histogram {
 public:
  void add(uint64_t nanoseconds) {
    counts_[bucket(nanoseconds)]++;
    total_++;
    largest_ = std::max(largest_, nanoseconds);
  }

  uint64_t largest() const { return largest_; }

  // The smallest time that `share` of all did not exceed.
  uint64_t percentile(double share) const {
    const auto wanted = static_cast<uint64_t>(share * static_cast<double>(total_));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); i++) {
      seen += counts_[i];
      if (seen > wanted) return std::min(upper_bound(i), largest_);
    }
    return largest_;
  }

 private:
  static constexpr unsigned kBits = 6;

  static size_t bucket(uint64_t n) {
    if (n < (1u << kBits)) return n;
    const unsigned shift = 63 - kBits - static_cast<unsigned>(__builtin_clzll(n));
    return ((shift + 1) << kBits) + ((n >> shift) - (1u << kBits));
  }

  static uint64_t upper_bound(size_t bucket) {
    if (bucket < (1u << kBits)) return bucket;
    const size_t shift = (bucket >> kBits) - 1;
    return (((bucket & ((1u << kBits) - 1)) + (1u << kBits) + 1) << shift) - 1;
  }

  std::array<uint64_t, (64 - kBits + 1) << kBits> counts_ = {};
  uint64_t total_ = 0;
  uint64_t largest_ = 0;
};

}  // namespace race
