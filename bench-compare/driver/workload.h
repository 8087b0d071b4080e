// Keys, values and the order in which they are used: all deterministic, so that every store does the same work.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace race {

inline constexpr size_t kKeySize = 16;
inline constexpr size_t kHeaderSize = 16;

// The finaliser of splitmix64: a bijection that leaves no pattern.
inline uint64_t mix(uint64_t n) {
  n += 0x9E3779B97F4A7C15u;
  n = (n ^ (n >> 30)) * 0xBF58476D1CE4E5B9u;
  n = (n ^ (n >> 27)) * 0x94D049BB133111EBu;
  return n ^ (n >> 31);
}

// Key number n. Neighbours in number are no neighbours in the order of bytes: a load is a load in random order.
class Key {
 public:
  explicit Key(uint64_t n) {
    const uint64_t halves[2] = {mix(n), n};
    std::memcpy(bytes_.data(), halves, kKeySize);
  }
  std::string_view bytes() const { return {bytes_.data(), kKeySize}; }

 private:
  std::array<char, kKeySize> bytes_;
};

// The values of a run: key number and version, then bytes that do not compress, other ones for each key and version.
class Values {
 public:
  explicit Values(size_t size);
  size_t size() const { return size_; }
  // Throws unless it is, in every byte, the value of key n in this version.
  void verify(std::string_view value, uint64_t n, uint64_t version) const;
  // The same for whatever version up to `newest` the value says it is; returns that.
  uint64_t verify_any(std::string_view value, uint64_t n, uint64_t newest) const;

 private:
  friend class ValueWriter;
  size_t start(uint64_t n, uint64_t version) const { return mix(n * 31 + version) % kStarts; }

  static constexpr size_t kStarts = 16 << 10;
  size_t size_;
  std::vector<char> pool_;
};

// Makes values, each valid until the next is made. One per thread.
class ValueWriter {
 public:
  explicit ValueWriter(const Values& values) : values_(values), pool_(values.pool_) {}
  std::string_view make(uint64_t n, uint64_t version);

 private:
  const Values& values_;
  std::vector<char> pool_;
  // Where the header of the value before hides bytes of the pool.
  size_t hidden_ = 0;
};

enum class Choice { kUniform, kZipfian };

// All numbers below `keys`, in the order of the bytes of their keys.
std::vector<uint32_t> in_order_of_bytes(uint64_t keys);

// `count` numbers below `keys`, drawn before the clock starts. Zipfian as in YCSB: exponent 0.99, the favourites scattered.
std::vector<uint32_t> draw(Choice choice, uint64_t count, uint64_t keys, uint64_t seed);

// Every number below `keys` once, in an order without pattern in time.
class Permutation {
 public:
  explicit Permutation(uint64_t keys);
  uint64_t operator()(uint64_t i) const { return (i * stride_ + 12345) % keys_; }

 private:
  uint64_t keys_;
  uint64_t stride_;
};

}  // namespace race
