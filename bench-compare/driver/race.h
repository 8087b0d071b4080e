// One store in one process: it is opened, rows are measured one after the other, it is closed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine.h"
#include "machine.h"
#include "workload.h"

namespace race {

struct Plan {
  const EngineKind* engine = nullptr;
  Config config;
  // The longest that a row of reads or mixed work measures.
  double seconds = 3;
  // The longest that single puts are measured; what is missing then comes in batches, off the clock.
  double load_seconds = 60;
  // The most operations of such a row, and how many keys are drawn for it.
  uint64_t operations = 4u << 20;
  std::vector<std::string> rows;
};

class Race {
 public:
  explicit Race(Plan plan);
  // Measures one row and reports it. Throws where an answer is wrong or there is no such row.
  void run(const std::string& row);

  // In rows_write.cc.
  void load();
  void load_in_order();
  void load_batch();
  void overwrite();
  void overwrite_twice();
  void erase();
  void put_synced(unsigned threads);
  void die();
  // In rows_read.cc.
  void get(Choice choice, unsigned threads);
  void get_chain();
  void absent(unsigned threads);
  void get_many();
  void mixed(Choice choice, unsigned threads);
  void scan();
  void scan_backwards();
  void range_of_100();
  void latency();
  // In rows_open.cc.
  void open_closed();
  void open_killed();
  void close();

  unsigned cores() const { return plan_.config.threads; }

 private:
  struct Totals {
    uint64_t operations = 0;
    double seconds = 0;
  };

  Session& session();
  void open();
  // For a row that takes new memory, before it opens the store: see make_memory_ready.
  void ready_memory();
  void figure(const char* name, double number) const;
  void rate(const Totals& totals) const;

  // Calls `operation(i)` for i from 0 up to `count`, for `seconds` at most; the clock is read every few calls.
  template <class Operation>
  static Totals repeat(uint64_t count, double seconds, Operation&& operation);
  // The same in several threads at once: `make(session, thread)` makes the operation of each.
  template <class Make>
  Totals together(unsigned threads, uint64_t count, double seconds, Make&& make);

  // Puts keys order(from) to order(to - 1) in this version, as many as the time allows one by one, the rest in batches.
  template <class Order>
  Totals fill(uint64_t from, uint64_t to, uint64_t version, double seconds, Order&& order);
  void load(const std::function<uint64_t(uint64_t)>& order);
  // Waits for rest, then reports the room on the disk.
  void weigh();
  // Bytes of all keys and values.
  double live_bytes() const {
    return static_cast<double>(plan_.config.keys) * static_cast<double>(kKeySize + plan_.config.value_size);
  }

  void verify(Bytes value, uint64_t n) const;

  Plan plan_;
  Values values_;
  std::string row_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Session> session_;
  bool settings_reported_ = false;
  // How often this process stored everything, and the bytes that it had written before.
  unsigned times_stored_ = 0;
  uint64_t written_before_ = bytes_written();
  // The version that every key has, where the rows before leave no doubt.
  std::optional<uint64_t> version_;
  // The newest version that any key can have.
  uint64_t newest_ = 3;
};

inline constexpr uint64_t kLoaded = 0;
inline constexpr uint64_t kOverwritten = 1;
inline constexpr uint64_t kMixed = 2;
inline constexpr uint64_t kBeforeDeath = 3;

// How many keys the row `die` writes before it kills the process.
inline uint64_t last_writes(uint64_t keys) {
  const uint64_t tenth = keys / 10;
  return tenth < 200'000 ? tenth : 200'000;
}

}  // namespace race

#include "race_inl.h"
