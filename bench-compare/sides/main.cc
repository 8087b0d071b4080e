// sides lists|memory DIRECTORY REDIS-PORT COUNT ROUNDS: all contestants of a row by turns, in another order each round; medians. By the
// clock, and the processor time of this process, in which a server has no part: where others use the processors too, that tells more.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>

#include "sides.h"

namespace sides {

filedb_t* open_filedb(const std::string& path, const std::vector<std::pair<const char*, const char*>>& options) {
  filedb_error_t error = no_error();
  filedb_options_t* given = filedb_options_new();
  for (const auto& [name, value] : options) check(filedb_options_set(given, name, value, &error), error);
  filedb_t* db = nullptr;
  const filedb_status_t status = filedb_open(path.c_str(), given, &db, &error);
  filedb_options_free(given);
  check(status, error);
  return db;
}

namespace {

using Clock = std::chrono::steady_clock;

double processor_seconds() {
  timespec time = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// What one operation takes, in nanoseconds.
struct Cost {
  double clock;
  double processor;
};

// What an operation costs where so many threads share `count` of them.
Cost cost(uint64_t count, unsigned threads, const std::function<void(unsigned, uint64_t)>& work) {
  const double processor = processor_seconds();
  const auto begun = Clock::now();
  std::vector<std::thread> all;
  for (unsigned thread = 0; thread < threads; thread++) {
    all.emplace_back([&, thread] {
      for (uint64_t n = thread; n < count; n += threads) work(thread, n);
    });
  }
  for (std::thread& one : all) one.join();
  const double each = 1e9 / static_cast<double>(count);
  return {std::chrono::duration<double>(Clock::now() - begun).count() * each, (processor_seconds() - processor) * each};
}

Cost median(const std::vector<Cost>& all) {
  const auto middle = [&all](double Cost::*which) {
    std::vector<double> sorted;
    for (const Cost& one : all) sorted.push_back(one.*which);
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  };
  return {middle(&Cost::clock), middle(&Cost::processor)};
}

// All sides by turns: what puts, and what takes or gets, cost each of them.
void race(const char* title, std::vector<Side> sides, uint64_t count, unsigned threads, unsigned rounds) {
  std::map<std::string, std::pair<std::vector<Cost>, std::vector<Cost>>> figures;
  std::vector<std::string> names;
  for (const Side& side : sides) names.emplace_back(side.name);
  for (unsigned round = 0; round < rounds; round++) {
    for (const Side& side : sides) {
      const std::unique_ptr<Contestant> one = side.make();
      const std::string value(100, 'v');
      auto& [puts, takes] = figures[side.name];
      puts.push_back(cost(count, threads, [&](unsigned thread, uint64_t n) { one->put(thread, n, value); }));
      std::vector<std::string> taken(threads * 16);
      takes.push_back(cost(count, threads, [&](unsigned thread, uint64_t n) {
        // Not one behind the other as they were put; all of them, for a list has no more.
        std::string& into = taken[thread * 16];
        one->take(thread, n * 7 % count, into);
        if (into.size() != value.size()) throw std::runtime_error("that is not what was put");
      }));
    }
    std::rotate(sides.begin(), sides.begin() + 1, sides.end());
  }
  for (const std::string& name : names) {
    const Cost put = median(figures[name].first), take = median(figures[name].second);
    std::printf("%-22s %8u %-18s %10.0f %10.0f %12.0f %10.0f\n", title, threads, name.c_str(), put.clock, put.processor,
                take.clock, take.processor);
    std::fflush(stdout);
  }
}

int run(int count_of_words, char** words) {
  if (count_of_words != 6) throw std::runtime_error("sides lists|memory DIRECTORY REDIS-PORT COUNT ROUNDS");
  const std::string row = words[1];
  const uint64_t count = std::stoull(words[4]);
  const unsigned rounds = static_cast<unsigned>(std::stoul(words[5]));
  if (row == "lists") {
    race("push back, pop front", lists(words[2], words[3]), count, 1, rounds);
  } else {
    for (const unsigned threads : {1u, std::max(2u, std::thread::hardware_concurrency())}) {
      race("memory: put, get", memory(count, threads), count, threads, rounds);
    }
  }
  return 0;
}

}  // namespace
}  // namespace sides

int main(int count, char** words) {
  try {
    return sides::run(count, words);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sides: %s\n", error.what());
    return 1;
  }
}
