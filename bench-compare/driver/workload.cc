#include "workload.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <stdexcept>

namespace race {

Values::Values(size_t size) : size_(size), pool_(kStarts + size) {
  if (size < kHeaderSize) throw std::runtime_error("a value has at least 16 bytes");
  std::mt19937_64 random(7);
  for (char& byte : pool_) byte = static_cast<char>(random());
}

void Values::verify(std::string_view value, uint64_t n, uint64_t version) const {
  const uint64_t header[2] = {n, version};
  const char* rest = pool_.data() + start(n, version) + kHeaderSize;
  if (value.size() != size_ || std::memcmp(value.data(), header, kHeaderSize) != 0 ||
      std::memcmp(value.data() + kHeaderSize, rest, size_ - kHeaderSize) != 0) {
    throw std::runtime_error("key " + std::to_string(n) + " has another value than version " +
                             std::to_string(version));
  }
}

uint64_t Values::verify_any(std::string_view value, uint64_t n, uint64_t newest) const {
  uint64_t header[2] = {0, newest + 1};
  if (value.size() >= kHeaderSize) std::memcpy(header, value.data(), kHeaderSize);
  if (header[1] > newest) throw std::runtime_error("key " + std::to_string(n) + " has a value never written");
  verify(value, n, header[1]);
  return header[1];
}

std::string_view ValueWriter::make(uint64_t n, uint64_t version) {
  std::memcpy(pool_.data() + hidden_, values_.pool_.data() + hidden_, kHeaderSize);
  hidden_ = values_.start(n, version);
  const uint64_t header[2] = {n, version};
  std::memcpy(pool_.data() + hidden_, header, kHeaderSize);
  return {pool_.data() + hidden_, values_.size_};
}

namespace {

// After Gray et al., "Quickly generating billion-record synthetic databases", as YCSB does it.
class Zipfian {
 public:
  explicit Zipfian(uint64_t items) : items_(static_cast<double>(items)) {
    for (uint64_t i = 1; i <= items; i++) zeta_ += 1 / std::pow(static_cast<double>(i), kTheta);
    const double zeta2 = 1 + std::pow(0.5, kTheta);
    eta_ = (1 - std::pow(2 / items_, 1 - kTheta)) / (1 - zeta2 / zeta_);
  }

  // 0 is the favourite; `u` is from [0, 1).
  uint64_t rank(double u) const {
    const double uz = u * zeta_;
    if (uz < 1) return 0;
    if (uz < 1 + std::pow(0.5, kTheta)) return 1;
    return static_cast<uint64_t>(items_ * std::pow(eta_ * u - eta_ + 1, kAlpha));
  }

 private:
  static constexpr double kTheta = 0.99;
  static constexpr double kAlpha = 1 / (1 - kTheta);
  double items_;
  double zeta_ = 0;
  double eta_ = 0;
};

}  // namespace

std::vector<uint32_t> draw(Choice choice, uint64_t count, uint64_t keys, uint64_t seed) {
  std::vector<uint32_t> drawn(count);
  std::mt19937_64 random(seed);
  if (choice == Choice::kUniform) {
    for (uint32_t& n : drawn) n = static_cast<uint32_t>(random() % keys);
    return drawn;
  }
  const Zipfian zipfian(keys);
  for (uint32_t& n : drawn) {
    const double u = static_cast<double>(random() >> 11) * 0x1p-53;
    n = static_cast<uint32_t>(mix(zipfian.rank(u)) % keys);
  }
  return drawn;
}

std::vector<uint32_t> in_order_of_bytes(uint64_t keys) {
  std::vector<std::pair<uint64_t, uint32_t>> order;
  order.reserve(keys);
  // No two keys have the same first eight bytes.
  for (uint64_t n = 0; n < keys; n++) order.emplace_back(__builtin_bswap64(mix(n)), static_cast<uint32_t>(n));
  std::sort(order.begin(), order.end());
  std::vector<uint32_t> sorted;
  sorted.reserve(keys);
  for (const auto& pair : order) sorted.push_back(pair.second);
  return sorted;
}

Permutation::Permutation(uint64_t keys) : keys_(keys), stride_(2654435761u % keys) {
  while (std::gcd(stride_, keys) != 1) stride_++;
}

}  // namespace race
