//! What is known of the work that writers wait for: whether it goes on, and what merges gain.

use std::time::{Duration, Instant};

/// Work that has not told for so long that it goes on is not waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// While it waits for the disk it cannot tell anything.
pub(super) const PATIENCE_WITH_DISK: Duration = Duration::from_secs(600);

/// What merges are taken to gain before one has come to its end: so many bytes in such a time.
const FIRST_GAIN: (f64, Duration) = ((16 << 20) as f64, Duration::from_millis(250));
/// A merge that gains little must not stop writers.
pub(super) const LEAST_GAIN: f64 = (128 << 10) as f64;

/// See the module.
#[derive(Default)]
pub(super) struct Work {
    /// Writers wait until then.
    pub(super) waited_for_until: Option<Instant>,
    /// A writer asked for it, and since then all of it was not looked at.
    pub(super) is_asked_for: bool,
    /// The last attempt failed.
    pub(super) has_failed: bool,
    /// Since when the work has been under way, or since when a merge came to its end.
    pub(super) busy_since: Option<Instant>,
    pub(super) merge: Option<Merge>,
    /// What merges gained lately, and in which time.
    pub(super) gained: Option<(f64, Duration)>,
}

/// The merge that is under way, in bytes.
pub(super) struct Merge {
    /// What was dead in its inputs when it began.
    pub(super) dead: u64,
    /// What it is still to write before it removes anything, and what it has written.
    pub(super) to_copy: u64,
    pub(super) copied: u64,
    /// What it has replaced.
    pub(super) replaced: u64,
}

impl Work {
    pub(super) fn goes_on_for(&mut self, time: Duration) {
        let now = Instant::now();
        self.busy_since.get_or_insert(now);
        if !self.has_failed {
            self.waited_for_until = Some(now + time);
        }
    }

    pub(super) fn is_waited_for(&self, now: Instant) -> bool {
        self.waited_for_until.is_some_and(|until| now < until)
    }

    /// The merge has come to its end.
    pub(super) fn end_merge(&mut self) {
        if let Some(merge) = self.merge.take() {
            let now = Instant::now();
            let since = self.busy_since.replace(now).unwrap_or(now);
            let (bytes, time) = self.gained.unwrap_or(FIRST_GAIN);
            let gained = merge.replaced.saturating_sub(merge.copied) as f64;
            // What came before counts for half.
            self.gained = Some((bytes / 2.0 + gained, time / 2 + now.saturating_duration_since(since)));
        }
    }

    /// How many bytes merges give back in a second, seals between them included. What is under way may be slower than what came
    /// before.
    pub(super) fn gain(&self, now: Instant) -> f64 {
        let (bytes, time) = self.gained.unwrap_or(FIRST_GAIN);
        let busy = self.busy_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let dead = self.merge.as_ref().map_or(0, |merge| merge.dead) as f64;
        let known = bytes / time.as_secs_f64();
        let with_this = (bytes + dead) / (time + busy).as_secs_f64();
        known.min(with_this).max(LEAST_GAIN)
    }
}
