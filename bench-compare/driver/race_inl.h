// The loops of race.h, where the time is spent.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

namespace race {

template <class Operation>
Race::Totals Race::repeat(uint64_t count, double seconds, Operation&& operation) {
  constexpr uint64_t kLook = 64;
  const Stopwatch watch;
  uint64_t i = 0;
  while (i < count) {
    const uint64_t stop = std::min(count, i + kLook);
    for (; i < stop; i++) operation(i);
    if (watch.seconds() > seconds) break;
  }
  return {i, watch.seconds()};
}

template <class Make>
Race::Totals Race::together(unsigned threads, uint64_t count, double seconds, Make&& make) {
  std::atomic<unsigned> ready{0};
  std::vector<Totals> totals(threads);
  std::vector<std::exception_ptr> failures(threads);
  const auto work = [&](unsigned thread) {
    try {
      const std::unique_ptr<Session> session = engine_->session();
      auto operation = make(*session, thread);
      ready++;
      while (ready < threads) std::this_thread::yield();
      totals[thread] = repeat(count, seconds, operation);
    } catch (...) {
      failures[thread] = std::current_exception();
      ready = threads;
    }
  };
  std::vector<std::thread> workers;
  for (unsigned thread = 0; thread < threads; thread++) workers.emplace_back(work, thread);
  for (std::thread& worker : workers) worker.join();
  Totals sum;
  for (unsigned thread = 0; thread < threads; thread++) {
    if (failures[thread]) std::rethrow_exception(failures[thread]);
    sum.operations += totals[thread].operations;
    sum.seconds = std::max(sum.seconds, totals[thread].seconds);
  }
  return sum;
}

template <class Order>
Race::Totals Race::fill(uint64_t from, uint64_t to, uint64_t version, double seconds, Order&& order) {
  Session& session = this->session();
  ValueWriter writer(values_);
  const Totals totals = repeat(to - from, seconds, [&](uint64_t i) {
    const uint64_t n = order(from + i);
    session.put(Key(n).bytes(), writer.make(n, version));
  });
  const size_t batch = std::max<size_t>(1, (1u << 20) / values_.size());
  std::vector<std::string> texts;
  std::vector<Pair> pairs;
  for (uint64_t i = from + totals.operations; i < to;) {
    texts.clear();
    pairs.clear();
    for (size_t k = 0; k < batch && i < to; k++, i++) {
      const uint64_t n = order(i);
      texts.emplace_back(Key(n).bytes());
      texts.emplace_back(writer.make(n, version));
    }
    for (size_t k = 0; k < texts.size(); k += 2) pairs.emplace_back(texts[k], texts[k + 1]);
    session.put_many(pairs);
  }
  return totals;
}

}  // namespace race
