//! What commands took, as a histogram: from when their event loop began to look at what had come to when their replies were sent, or wait for
//! the disk. That is the time of a round, so it is noted once for all commands of the round.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many ranges there are: each ends at twice the microseconds at which the one before it ends, the first at one. The last has all that took more than half a
/// minute.
const RANGES: usize = 27;

/// See the module.
#[derive(Default)]
pub struct Durations {
    counts: [AtomicU64; RANGES],
    micros: AtomicU64,
}

impl Durations {
    /// Notes so many commands that took so long.
    #[inline]
    pub fn note(&self, micros: u64, commands: u64) {
        let range = (u64::BITS - micros.saturating_sub(1).leading_zeros()) as usize;
        if let Some(count) = self.counts.get(range).or(self.counts.last()) {
            count.fetch_add(commands, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros.saturating_mul(commands), Ordering::Relaxed);
    }

    /// The time of all commands together, in microseconds.
    pub fn micros(&self) -> u64 {
        self.micros.load(Ordering::Relaxed)
    }

    /// Each range: the most microseconds that are in it, `None` for the last, and the number of commands.
    pub fn ranges(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        self.counts.iter().enumerate().map(|(n, count)| {
            let most = (n + 1 < RANGES).then_some(1 << n);
            (most, count.load(Ordering::Relaxed))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_the_range_that_ends_at_it_or_above() {
        for micros in [0, 1, 2, 3, 4, 5, 1000, 1024, 1025, (1 << 25) + 1, u64::MAX] {
            let durations = Durations::default();
            durations.note(micros, 3);
            let counted: Vec<_> = durations.ranges().filter(|(_, count)| *count > 0).collect();
            assert_eq!(counted.len(), 1, "{micros}");
            let (most, count) = counted[0];
            assert_eq!(count, 3);
            match most {
                Some(most) => {
                    assert!(micros <= most && (most == 1 || micros > most / 2), "{micros} in {most}")
                }
                None => assert!(micros > 1 << 25, "{micros}"),
            }
        }
    }
}
