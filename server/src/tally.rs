//! How often each command was done and how long that took, and which errors were replied: for INFO and LATENCY HISTOGRAM.
//!
//! Each event loop counts for itself, without locks, because it alone writes its counters; who asks adds them up ([`Tallies::totals`]).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::commands::table;

/// Times are counted by their highest bits: this one and so many more.
const MORE_BITS: u32 = 3;
/// Longer times count as this one, which is more than two minutes.
const LONGEST: u64 = (1 << 37) - 1;
/// The ranges that times are counted in.
const RANGES: usize = ((37 - MORE_BITS as usize) << MORE_BITS) + (1 << MORE_BITS);

/// The range that a time in nanoseconds is counted in.
#[inline]
fn range_of(nanos: u64) -> usize {
    let nanos = nanos.min(LONGEST);
    let Some(low) = (nanos | 1).ilog2().checked_sub(MORE_BITS) else { return nanos as usize };
    ((low as usize + 1) << MORE_BITS) + ((nanos >> low) as usize & ((1 << MORE_BITS) - 1))
}

/// The longest time of a range.
fn longest_of(range: usize) -> u64 {
    let within = (range & ((1 << MORE_BITS) - 1)) as u64;
    match (range >> MORE_BITS).checked_sub(1) {
        None => within,
        Some(low) => (((1 << MORE_BITS) + within + 1) << low) - 1,
    }
}

/// The counters of one command.
struct Counters {
    nanos: AtomicU64,
    failed: AtomicU64,
    rejected: AtomicU64,
    times: [AtomicU64; RANGES],
}

impl Counters {
    fn new() -> Box<Self> {
        Box::new(Counters {
            nanos: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            times: std::array::from_fn(|_| AtomicU64::new(0)),
        })
    }
}

/// Adds to a counter that no other thread writes.
#[inline]
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// What one event loop has counted. Only that one may add to it.
pub struct Tally {
    commands: Box<[OnceLock<Box<Counters>>]>,
    /// By the first word of the error.
    errors: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    /// Nothing was counted yet.
    pub fn new() -> Arc<Self> {
        let commands = (0..table::count()).map(|_| OnceLock::new()).collect();
        Arc::new(Tally { commands, errors: Mutex::default() })
    }

    #[inline]
    fn of(&self, command: u16) -> Option<&Counters> {
        self.commands.get(usize::from(command)).map(|counters| &**counters.get_or_init(Counters::new))
    }

    /// The command with this number was done so many times, which took that long in all.
    #[inline]
    pub fn done(&self, command: u16, times: u64, nanos: u64) {
        if let Some(counters) = self.of(command)
            && times > 0
        {
            add(&counters.nanos, nanos);
            let each = if times == 1 { nanos } else { nanos / times };
            add(&counters.times[range_of(each)], times);
        }
    }

    /// Notes that a command was done and failed.
    pub fn failed(&self, command: u16) {
        self.of(command).into_iter().for_each(|counters| add(&counters.failed, 1));
    }

    /// Notes that a command was not done.
    pub fn rejected(&self, command: u16) {
        self.of(command).into_iter().for_each(|counters| add(&counters.rejected, 1));
    }

    /// This error was replied.
    pub fn replied(&self, error: &str) {
        let code = error.split(' ').next().unwrap_or_default();
        let mut errors = self.errors.lock();
        match errors.get_mut(code) {
            Some(count) => *count += 1,
            None => drop(errors.insert(code.to_owned(), 1)),
        }
    }
}

/// What became of one command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// How often it was done.
    pub calls: u64,
    /// How long that took, in nanoseconds.
    pub nanos: u64,
    /// How often it failed.
    pub failed: u64,
    /// How often it was wrong and not done.
    pub rejected: u64,
    times: Vec<u64>,
}

impl Total {
    fn add(&mut self, counters: &Counters) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.nanos += load(&counters.nanos);
        self.failed += load(&counters.failed);
        self.rejected += load(&counters.rejected);
        self.times.resize(RANGES, 0);
        for (time, counter) in self.times.iter_mut().zip(&counters.times) {
            let count = load(counter);
            *time += count;
            self.calls += count;
        }
    }

    fn subtract(&mut self, before: &Total) {
        self.calls -= before.calls.min(self.calls);
        self.nanos -= before.nanos.min(self.nanos);
        self.failed -= before.failed.min(self.failed);
        self.rejected -= before.rejected.min(self.rejected);
        self.times.iter_mut().zip(&before.times).for_each(|(time, before)| *time -= (*before).min(*time));
    }

    /// Whether there is anything to tell.
    pub fn is_empty(&self) -> bool {
        self.calls + self.failed + self.rejected == 0
    }

    /// The time in nanoseconds within which so many of 1,000 calls were done.
    pub fn within(&self, of_1000: u64) -> u64 {
        let wanted = (self.calls * of_1000).div_ceil(1000).max(1);
        let mut seen = 0;
        let reaches = |count: &u64| {
            seen += count;
            seen >= wanted
        };
        self.times.iter().position(reaches).map_or(0, longest_of)
    }

    /// How many calls were done within about so many microseconds, for each power of two that adds some.
    pub fn histogram(&self) -> Vec<(u64, u64)> {
        let (mut shown, mut before) = (Vec::new(), 0);
        for power in 10..64 {
            let end = range_of(1 << power).min(RANGES);
            let count = self.times[..end.min(self.times.len())].iter().sum();
            let is_last = (1 << power) > LONGEST;
            let count = if is_last { self.calls } else { count };
            if count > before {
                // As Redis rounds it, which keeps the highest 8 bits of a time.
                shown.push((((1u64 << power) + (1 << (power - 7)) - 1) / 1000, count));
            }
            before = count;
            if is_last {
                break;
            }
        }
        shown
    }
}

/// What was counted, by all.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// By the number of the command.
    pub commands: Vec<Total>,
    /// By the first word of the error.
    pub errors: BTreeMap<String, u64>,
}

/// See the module.
#[derive(Default)]
pub struct Tallies {
    all: Mutex<Vec<Arc<Tally>>>,
    /// What was counted before CONFIG RESETSTAT.
    before: Mutex<Totals>,
}

impl Tallies {
    /// One more event loop counts.
    pub fn add(&self, tally: Arc<Tally>) {
        self.all.lock().push(tally);
    }

    fn sum(&self) -> Totals {
        let mut totals = Totals::default();
        totals.commands.resize_with(table::count(), Total::default);
        for tally in self.all.lock().iter() {
            for (total, counters) in totals.commands.iter_mut().zip(&tally.commands) {
                counters.get().into_iter().for_each(|counters| total.add(counters));
            }
            for (code, count) in tally.errors.lock().iter() {
                *totals.errors.entry(code.clone()).or_default() += count;
            }
        }
        totals
    }

    /// What was counted since the server was started, or CONFIG RESETSTAT.
    pub fn totals(&self) -> Totals {
        let mut totals = self.sum();
        let before = self.before.lock();
        totals.commands.iter_mut().zip(&before.commands).for_each(|(total, before)| total.subtract(before));
        for (code, before) in &before.errors {
            if let Some(count) = totals.errors.get_mut(code) {
                *count -= (*before).min(*count);
            }
        }
        totals.errors.retain(|_, count| *count > 0);
        totals
    }

    /// Begins anew.
    pub fn reset(&self) {
        let sum = self.sum();
        *self.before.lock() = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_a_range_that_ends_at_most_an_eighth_above_it() {
        let mut last = 0;
        let powers = (12..37).flat_map(|power| [(1 << power) - 1, 1 << power, 3 << (power - 1)]);
        for nanos in (0..5000).chain(powers).chain([LONGEST]) {
            let range = range_of(nanos);
            assert!(range < RANGES);
            let longest = longest_of(range);
            assert!(longest >= nanos && longest <= nanos + nanos / 8, "{nanos}: {longest}");
            assert_eq!(range_of(longest), range);
            last = last.max(range);
        }
        assert_eq!((last, range_of(u64::MAX), longest_of(RANGES - 1)), (RANGES - 1, RANGES - 1, LONGEST));
    }

    #[test]
    fn what_loops_have_counted_is_added_up_and_begins_anew_after_a_reset() {
        let tallies = Tallies::default();
        let loops = [Tally::new(), Tally::new()];
        loops.iter().for_each(|tally| tallies.add(tally.clone()));
        loops[0].done(3, 1, 500);
        loops[0].done(3, 10, 30_000);
        loops[1].done(3, 1, 9_000_000);
        loops[1].failed(3);
        loops[1].rejected(4);
        loops[0].replied("ERR no");
        loops[1].replied("ERR never");
        loops[1].replied("OOM");
        let totals = tallies.totals();
        let total = &totals.commands[3];
        assert_eq!((total.calls, total.nanos, total.failed, total.rejected), (12, 9_030_500, 1, 0));
        assert_eq!(total.histogram(), [(1, 1), (4, 11), (16908, 12)]);
        assert_eq!(total.within(500), longest_of(range_of(3000)));
        assert_eq!(total.within(1000), longest_of(range_of(9_000_000)));
        assert_eq!(totals.commands[4].rejected, 1);
        assert_eq!(totals.errors.into_iter().collect::<Vec<_>>(), [("ERR".into(), 2), ("OOM".into(), 1)]);
        tallies.reset();
        loops[0].done(3, 1, 5_000);
        let totals = tallies.totals();
        let total = &totals.commands[3];
        assert_eq!((total.calls, total.nanos, total.failed), (1, 5_000, 0));
        assert!(totals.commands[4].is_empty() && totals.errors.is_empty());
    }
}
