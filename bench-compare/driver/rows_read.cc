// The rows that read, and those that do both.
#include "histogram.h"
#include "race.h"

namespace race {
namespace {

constexpr size_t kManyKeys = 64;

enum class Order { kAny, kForwards, kBackwards };

// Checks every key and value of a scan, and counts them.
class Census final : public Visitor {
 public:
  Census(const Values& values, std::optional<uint64_t> version, uint64_t newest, Order order = Order::kAny)
      : values_(values), version_(version), newest_(newest), order_(order) {}

  void visit(Bytes key, Bytes value) override {
    uint64_t n = 0;
    if (key.size() == kKeySize) std::memcpy(&n, key.data() + kKeySize - sizeof n, sizeof n);
    if (key != Key(n).bytes()) throw std::runtime_error("a key was never stored");
    if (version_) {
      values_.verify(value, n, *version_);
    } else {
      values_.verify_any(value, n, newest_);
    }
    if (order_ != Order::kAny) {
      const int compared = last_.compare(key);
      if (!last_.empty() && (order_ == Order::kForwards ? compared >= 0 : compared <= 0)) {
        throw std::runtime_error("keys are out of order");
      }
      last_ = key;
    }
    count_++;
  }

  // What comes next is a walk of its own.
  void begin() { last_.clear(); }

  uint64_t count() const { return count_; }

 private:
  const Values& values_;
  std::optional<uint64_t> version_;
  uint64_t newest_;
  Order order_;
  std::string last_;
  uint64_t count_ = 0;
};

}  // namespace

void Race::get(Choice choice, unsigned threads) {
  session();
  const std::vector<uint32_t> drawn = draw(choice, plan_.operations, plan_.config.keys, 11);
  const uint64_t share = drawn.size() / threads;
  rate(together(threads, share, plan_.seconds, [&](Session& session, unsigned thread) {
    return [&, value = Value(values_.size()), first = thread * share](uint64_t i) mutable {
      const uint64_t n = drawn[first + i];
      if (!session.get(Key(n).bytes(), value)) throw std::runtime_error("key " + std::to_string(n) + " is missing");
      verify(value.bytes, n);
    };
  }));
}

void Race::get_chain() {
  Session& session = this->session();
  const std::vector<uint32_t> drawn = draw(Choice::kUniform, plan_.operations, plan_.config.keys, 16);
  Value value(values_.size());
  uint64_t told = 0;
  uint64_t expected = 0;
  rate(repeat(drawn.size(), plan_.seconds, [&](uint64_t i) {
    // What is added is 0, which only who has read the value knows.
    const uint64_t n = drawn[i] + (told ^ expected);
    if (!session.get(Key(n).bytes(), value)) throw std::runtime_error("key " + std::to_string(n) + " is missing");
    verify(value.bytes, n);
    std::memcpy(&told, value.bytes.data(), sizeof told);
    expected = n;
  }));
}

void Race::absent(unsigned threads) {
  session();
  const uint64_t keys = plan_.config.keys;
  const std::vector<uint32_t> drawn = draw(Choice::kUniform, plan_.operations, keys, 12);
  const uint64_t share = drawn.size() / threads;
  rate(together(threads, share, plan_.seconds, [&](Session& session, unsigned thread) {
    return [&, keys, value = Value(values_.size()), first = thread * share](uint64_t i) mutable {
      const uint64_t n = keys + drawn[first + i];
      if (session.get(Key(n).bytes(), value)) throw std::runtime_error("key " + std::to_string(n) + " was never stored");
    };
  }));
}

void Race::get_many() {
  Session& session = this->session();
  const std::vector<uint32_t> drawn = draw(Choice::kUniform, plan_.operations, plan_.config.keys, 13);
  Census census(values_, version_, newest_);
  std::vector<Key> keys(kManyKeys, Key(0));
  std::vector<Bytes> bytes(kManyKeys);
  bool has_it = true;
  Totals totals = repeat(drawn.size() / kManyKeys, plan_.seconds, [&](uint64_t i) {
    for (size_t k = 0; k < kManyKeys; k++) {
      keys[k] = Key(drawn[i * kManyKeys + k]);
      bytes[k] = keys[k].bytes();
    }
    has_it = has_it && session.get_many(bytes, census);
  });
  if (!has_it) return;
  totals.operations *= kManyKeys;
  if (census.count() != totals.operations) throw std::runtime_error("get_many left keys out");
  rate(totals);
}

void Race::mixed(Choice choice, unsigned threads) {
  version_.reset();
  const std::vector<uint32_t> drawn = draw(choice, plan_.operations, plan_.config.keys, 14);
  ready_memory();
  session();
  const uint64_t share = drawn.size() / threads;
  rate(together(threads, share, plan_.seconds, [&](Session& session, unsigned thread) {
    return [&, value = Value(values_.size()), writer = ValueWriter(values_), first = thread * share](uint64_t i) mutable {
      const uint64_t n = drawn[first + i];
      if (i % 2 == 0) {
        session.put(Key(n).bytes(), writer.make(n, kMixed));
      } else {
        if (!session.get(Key(n).bytes(), value)) throw std::runtime_error("key " + std::to_string(n) + " is missing");
        verify(value.bytes, n);
      }
    };
  }));
}

void Race::scan() {
  Session& session = this->session();
  Census census(values_, version_, newest_);
  const Stopwatch watch;
  session.scan(census);
  const double seconds = watch.seconds();
  if (census.count() != plan_.config.keys) {
    throw std::runtime_error("the scan saw " + std::to_string(census.count()) + " keys");
  }
  rate({census.count(), seconds});
}

void Race::scan_backwards() {
  Session& session = this->session();
  Census census(values_, version_, newest_, Order::kBackwards);
  const Stopwatch watch;
  session.walk({{}, true, UINT64_MAX}, census);
  const double seconds = watch.seconds();
  if (census.count() != plan_.config.keys) {
    throw std::runtime_error("the scan backwards saw " + std::to_string(census.count()) + " keys");
  }
  rate({census.count(), seconds});
}

// From a key that is there; ranges are counted, not keys.
void Race::range_of_100() {
  constexpr uint64_t kRange = 100;
  Session& session = this->session();
  const std::vector<uint32_t> drawn = draw(Choice::kUniform, plan_.operations, plan_.config.keys, 17);
  Census census(values_, version_, newest_, Order::kForwards);
  const Totals totals = repeat(drawn.size(), plan_.seconds, [&](uint64_t i) {
    census.begin();
    session.walk({Key(drawn[i]).bytes(), false, kRange}, census);
  });
  // Few keys are so near to the end that a range has less.
  if (census.count() < totals.operations * (kRange - 2)) throw std::runtime_error("ranges left keys out");
  rate(totals);
}

void Race::latency() {
  const uint64_t half = plan_.config.keys / 2;
  const auto in_order = [](uint64_t i) { return i; };
  fill(0, half, kLoaded, plan_.load_seconds, in_order);
  settle(plan_.config.directory, plan_.load_seconds);
  write_back(plan_.config.directory);
  const std::vector<uint32_t> drawn = draw(Choice::kUniform, plan_.operations, half, 15);
  ready_memory();

  std::atomic<bool> loading{true};
  std::exception_ptr failure;
  Totals loaded;
  std::thread loader([&] {
    try {
      ValueWriter writer(values_);
      const std::unique_ptr<Session> session = engine_->session();
      loaded = repeat(plan_.config.keys - half, plan_.seconds, [&](uint64_t i) {
        session->put(Key(half + i).bytes(), writer.make(half + i, kLoaded));
      });
    } catch (...) {
      failure = std::current_exception();
    }
    loading = false;
  });
  Session& session = this->session();
  Value value(values_.size());
  Histogram histogram;
  uint64_t reads = 0;
  while (loading) {
    const uint64_t n = drawn[reads++ % drawn.size()];
    const Key key(n);
    const Stopwatch watch;
    const bool found = session.get(key.bytes(), value);
    histogram.add(watch.nanoseconds());
    if (!found) break;
    values_.verify(value.bytes, n, kLoaded);
  }
  const bool lost = loading;
  loader.join();
  if (failure) std::rethrow_exception(failure);
  if (lost) throw std::runtime_error("a key went missing during the load");
  figure("p50_ns", static_cast<double>(histogram.percentile(0.5)));
  figure("p99_ns", static_cast<double>(histogram.percentile(0.99)));
  figure("p999_ns", static_cast<double>(histogram.percentile(0.999)));
  figure("max_ns", static_cast<double>(histogram.largest()));
  figure("operations", static_cast<double>(reads));
  figure("puts_per_second", static_cast<double>(loaded.operations) / loaded.seconds);
}

}  // namespace race
