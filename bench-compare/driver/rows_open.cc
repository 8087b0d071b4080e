// The rows that open and close.
#include "race.h"
#include "report.h"

namespace race {

void Race::close() {
  const Stopwatch watch;
  session_.reset();
  engine_.reset();
  figure("milliseconds", watch.seconds() * 1e3);
  figure("disk_per_live_byte", static_cast<double>(bytes_on_disk(plan_.config.directory)) / live_bytes());
  // Only now has every store written what it had put off.
  if (times_stored_ > 0) {
    const auto written = static_cast<double>(bytes_written() - written_before_);
    figure("written_per_byte", written / (live_bytes() * times_stored_));
  }
}

// Up to the first answer: a store may put off its work until then.
void Race::open_closed() {
  Value value(values_.size());
  const Stopwatch watch;
  engine_ = plan_.engine->open(plan_.config);
  session_ = engine_->session();
  const bool found = session_->get(Key(0).bytes(), value);
  figure("milliseconds", watch.seconds() * 1e3);
  if (!found) throw std::runtime_error("the first key is missing");
  values_.verify_any(value.bytes, 0, newest_);
}

// What the dead process had written is read back, off the clock: how much of it is lost is a figure too.
void Race::open_killed() {
  open_closed();
  const Permutation order(plan_.config.keys);
  Value value(values_.size());
  uint64_t lost = 0;
  for (uint64_t i = 0; i < last_writes(plan_.config.keys); i++) {
    const uint64_t n = order(i);
    if (!session_->get(Key(n).bytes(), value)) throw std::runtime_error("key " + std::to_string(n) + " is gone");
    if (values_.verify_any(value.bytes, n, newest_) != kBeforeDeath) lost++;
  }
  figure("lost_writes", static_cast<double>(lost));
}

}  // namespace race
