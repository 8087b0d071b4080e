#include "race.h"

#include "report.h"

namespace race {
namespace {

struct Row {
  const char* name;
  void (*measure)(Race&);
};

// More than a row takes, in bytes of all keys and values, because some of it is gone again when the row comes to it; and no more
// than this.
constexpr double kReadyFactor = 12;
constexpr double kMostReady = 6.0 * (1 << 30);

// The names are those of the table that the orchestrator prints: ../race/src/lines.rs.
constexpr Row kRows[] = {
    {"load", [](Race& race) { race.load(); }},
    {"load_in_order", [](Race& race) { race.load_in_order(); }},
    {"load_batch", [](Race& race) { race.load_batch(); }},
    {"overwrite", [](Race& race) { race.overwrite(); }},
    {"overwrite_twice", [](Race& race) { race.overwrite_twice(); }},
    {"delete", [](Race& race) { race.erase(); }},
    {"get", [](Race& race) { race.get(Choice::kUniform, 1); }},
    {"get_chain", [](Race& race) { race.get_chain(); }},
    {"get_all", [](Race& race) { race.get(Choice::kUniform, race.cores()); }},
    {"get_zipf", [](Race& race) { race.get(Choice::kZipfian, 1); }},
    {"get_zipf_all", [](Race& race) { race.get(Choice::kZipfian, race.cores()); }},
    {"absent", [](Race& race) { race.absent(1); }},
    {"absent_all", [](Race& race) { race.absent(race.cores()); }},
    {"get_many", [](Race& race) { race.get_many(); }},
    {"scan", [](Race& race) { race.scan(); }},
    {"scan_backwards", [](Race& race) { race.scan_backwards(); }},
    {"range_100", [](Race& race) { race.range_of_100(); }},
    {"mixed", [](Race& race) { race.mixed(Choice::kUniform, 1); }},
    {"mixed_all", [](Race& race) { race.mixed(Choice::kUniform, race.cores()); }},
    {"mixed_zipf", [](Race& race) { race.mixed(Choice::kZipfian, 1); }},
    {"mixed_zipf_all", [](Race& race) { race.mixed(Choice::kZipfian, race.cores()); }},
    {"sync_1", [](Race& race) { race.put_synced(1); }},
    {"sync_16", [](Race& race) { race.put_synced(16); }},
    {"latency", [](Race& race) { race.latency(); }},
    {"close", [](Race& race) { race.close(); }},
    {"close_overwritten", [](Race& race) { race.close(); }},
    {"close_overwritten_thrice", [](Race& race) { race.close(); }},
    {"open_closed", [](Race& race) { race.open_closed(); }},
    {"open_killed", [](Race& race) { race.open_killed(); }},
    {"die", [](Race& race) { race.die(); }},
};

}  // namespace

Race::Race(Plan plan) : plan_(std::move(plan)), values_(plan_.config.value_size) {}

void Race::run(const std::string& row) {
  for (const Row& known : kRows) {
    if (row != known.name) continue;
    row_ = row;
    report::start(row);
    known.measure(*this);
    return;
  }
  throw std::runtime_error("there is no row '" + row + "'");
}

void Race::open() {
  engine_ = plan_.engine->open(plan_.config);
  session_ = engine_->session();
  if (!settings_reported_) report::settings(engine_->settings());
  settings_reported_ = true;
}

Session& Race::session() {
  if (!session_) open();
  return *session_;
}

void Race::ready_memory() {
  // Under a limit it would be the store's own memory, and the host has little to supply.
  if (plan_.config.memory_bytes > 0) return;
  const Stopwatch watch;
  make_memory_ready(static_cast<uint64_t>(std::min(live_bytes() * kReadyFactor, kMostReady)));
  figure("ready_memory_milliseconds", watch.seconds() * 1e3);
}

void Race::figure(const char* name, double number) const { report::figure(row_, name, number); }

void Race::rate(const Totals& totals) const {
  figure("per_second", static_cast<double>(totals.operations) / totals.seconds);
  figure("operations", static_cast<double>(totals.operations));
  figure("seconds", totals.seconds);
}

void Race::verify(Bytes value, uint64_t n) const {
  if (version_) {
    values_.verify(value, n, *version_);
  } else {
    values_.verify_any(value, n, newest_);
  }
}

}  // namespace race
