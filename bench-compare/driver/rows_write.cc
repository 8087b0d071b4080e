// The rows that write: load, overwrite, delete, synced puts, and a death in the middle.
#include <csignal>

#include "race.h"

namespace race {
namespace {

// A store may take so many times the measured time of a load to come to rest, and this many seconds besides.
constexpr double kSettleFactor = 2;
constexpr double kSettleSeconds = 5;

}  // namespace

void Race::weigh() {
  const double limit = plan_.load_seconds * kSettleFactor + kSettleSeconds;
  figure("settled", settle(plan_.config.directory, limit) ? 1 : 0);
  figure("disk_per_live_byte", static_cast<double>(bytes_on_disk(plan_.config.directory)) / live_bytes());
}

void Race::load() {
  load([](uint64_t i) { return i; });
}

void Race::load_in_order() {
  const std::vector<uint32_t> sorted = in_order_of_bytes(plan_.config.keys);
  load([&sorted](uint64_t i) { return sorted[i]; });
}

void Race::load(const std::function<uint64_t(uint64_t)>& order) {
  const uint64_t keys = plan_.config.keys;
  const Memory memory_before = resident_memory();
  ready_memory();
  rate(fill(0, keys, kLoaded, plan_.load_seconds, order));
  version_ = kLoaded;
  times_stored_++;
  weigh();
  const Memory memory = resident_memory();
  const auto per_key = [keys](uint64_t after, uint64_t before) {
    return (static_cast<double>(after) - static_cast<double>(before)) / static_cast<double>(keys);
  };
  figure("anonymous_memory_per_key", per_key(memory.anonymous, memory_before.anonymous));
  figure("mapped_memory_per_key", per_key(memory.mapped_files, memory_before.mapped_files));
  if (const std::optional<uint64_t> own = engine_->memory_bytes()) {
    figure("own_memory_per_key", static_cast<double>(*own) / static_cast<double>(keys));
  }
  write_back(plan_.config.directory);
}

void Race::load_batch() {
  const uint64_t keys = plan_.config.keys;
  ready_memory();
  session();
  const Stopwatch watch;
  fill(0, keys, kLoaded, -1, [](uint64_t i) { return i; });
  rate({keys, watch.seconds()});
  version_ = kLoaded;
}

void Race::overwrite() {
  ready_memory();
  rate(fill(0, plan_.config.keys, kOverwritten, plan_.load_seconds, Permutation(plan_.config.keys)));
  version_ = kOverwritten;
  times_stored_++;
  weigh();
  write_back(plan_.config.directory);
}

// After `overwrite` all is overwritten three times.
void Race::overwrite_twice() {
  const Permutation order(plan_.config.keys);
  ready_memory();
  const Totals first = fill(0, plan_.config.keys, kMixed, plan_.load_seconds, order);
  const Totals second = fill(0, plan_.config.keys, kOverwritten, plan_.load_seconds, order);
  rate({first.operations + second.operations, first.seconds + second.seconds});
  version_ = kOverwritten;
  times_stored_ += 2;
  weigh();
  write_back(plan_.config.directory);
}

void Race::erase() {
  const Permutation order(plan_.config.keys);
  ready_memory();
  Session& session = this->session();
  const Totals totals = repeat(plan_.config.keys, plan_.load_seconds,
                               [&](uint64_t i) { session.erase(Key(order(i)).bytes()); });
  rate(totals);
  Value value(values_.size());
  // The first of those that went are gone, and the first of those that stayed are there.
  for (uint64_t i = 0; i < std::min<uint64_t>(totals.operations, 1000); i++) {
    if (session.get(Key(order(i)).bytes(), value)) throw std::runtime_error("a deleted key is there");
  }
  for (uint64_t i = totals.operations; i < std::min(plan_.config.keys, totals.operations + 1000); i++) {
    if (!session.get(Key(order(i)).bytes(), value)) throw std::runtime_error("a key is gone that was not deleted");
    verify(value.bytes, order(i));
  }
}

void Race::put_synced(unsigned threads) {
  session();
  const Totals totals = together(threads, UINT32_MAX, plan_.seconds, [&](Session& session, unsigned thread) {
    return [&session, writer = ValueWriter(values_), thread, threads](uint64_t i) mutable {
      const uint64_t n = i * threads + thread;
      session.put(Key(n).bytes(), writer.make(n, kLoaded));
    };
  });
  rate(totals);
}

void Race::die() {
  const uint64_t count = last_writes(plan_.config.keys);
  const Permutation order(plan_.config.keys);
  Session& session = this->session();
  ValueWriter writer(values_);
  for (uint64_t i = 0; i < count; i++) {
    const uint64_t n = order(i);
    session.put(Key(n).bytes(), writer.make(n, kBeforeDeath));
  }
  figure("operations", static_cast<double>(count));
  std::raise(SIGKILL);
}

}  // namespace race
