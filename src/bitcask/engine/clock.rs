//! The store's clock: follows the wall clock forwards and the monotonic clock always, so that what expired stays expired
//! and what is to expire does, whatever happens to the wall clock.
//!
//! Store time is the monotonic clock plus an offset. The offset begins where the store's time is at least the wall clock's
//! and the latest that the store has known, and only grows: when the wall clock is ahead. So a wall clock that is set
//! forward takes the store with it, one that is set back is ignored, and one that is set forward again counts only as far
//! as it passes the store. A store that was taken ahead stays ahead; its keys live as long as they were given.

use crate::sync::atomic::{AtomicU64, Ordering};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::disk::Disk;
use crate::log::published::{Published, Told};
use crate::store::events::{Events, LogLevel};

/// The imprecise reading of the wall clock may be as old as this: a tick of the kernel, or a few.
const COARSE_LAG: u64 = 50;
/// A time stamp may be as old as this where the wall clock was set back; after that it is looked at the monotonic clock.
const LATEST_LAG: u64 = 1_000;
/// While the wall clock is as near as this to what it was at the last precise reading, that reading is good enough to say
/// that something is still far off.
const FRESH: u64 = 500;
const FAR_OFF: u64 = 2_000;

/// Machines' clocks are put right by less than this all the time.
const FAR_AHEAD: Duration = Duration::from_secs(60);

/// What the clocks said at one moment, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The store's time.
    pub store_ms: u64,
    /// The machine's wall clock.
    pub wall_ms: u64,
    /// The machine's monotonic clock.
    pub monotonic_ms: u64,
}

impl Reading {
    /// How far the store's time is ahead of the wall clock; 0 where they agree to within a millisecond, which is what rounding
    /// makes of them.
    pub fn ahead_ms(&self) -> u64 {
        self.store_ms.saturating_sub(self.wall_ms.saturating_add(1))
    }

    /// Whether it is.
    pub fn is_ahead(&self) -> bool {
        self.ahead_ms() > 0
    }

    /// How far, where that is more than what keeping a clock right takes.
    pub fn far_ahead(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.ahead_ms())).filter(|ahead| *ahead >= FAR_AHEAD)
    }
}

/// Milliseconds since 1970 by the wall clock, or later: never less than it said before, in this process or an earlier one.
pub struct StoreClock {
    disk: Arc<dyn Disk>,
    /// What is added to the monotonic clock. It never shrinks.
    offset: AtomicU64,
    /// The latest time stamp, or a little more.
    latest: AtomicU64,
    /// The wall clock at a precise reading not long ago, and the store's time then.
    seen_wall: AtomicU64,
    seen_time: AtomicU64,
    /// Where live readers are told the offset.
    published: Option<Arc<Published>>,
    /// What the writer tells its offset by, for who reads the store meanwhile.
    told: OnceLock<Arc<Told>>,
}

impl StoreClock {
    /// The clock of a store that is opened: not earlier than `latest`, nor than the time at the last close and as much as
    /// has certainly passed since.
    pub fn new(disk: Arc<dyn Disk>, latest: u64, closed: Option<Reading>) -> Self {
        let clock = StoreClock {
            disk,
            offset: AtomicU64::new(0),
            latest: AtomicU64::new(0),
            seen_wall: AtomicU64::new(0),
            seen_time: AtomicU64::new(0),
            published: None,
            told: OnceLock::new(),
        };
        clock.not_before(latest, closed);
        clock.precise();
        clock
    }

    /// Tells the log of the store at `path` where its time is so far ahead of the wall clock that somebody may wonder why keys live on.
    pub fn warn_if_far_ahead(&self, events: &Events, path: &Path) {
        if let Some(ahead) = self.read().far_ahead() {
            events.log(LogLevel::Warn, || {
                format!(
                    "the time of the store '{}' is {:.0} s ahead of this machine's clock, which was once set that far ahead, or was set \
                     back since: keys expire when the time that they were given has passed, and not by that clock",
                    path.display(),
                    ahead.as_secs_f64()
                )
            });
        }
    }

    /// From now on the time is not earlier than `latest`, nor than the time at the last close and as much as has certainly passed since.
    pub fn not_before(&self, latest: u64, closed: Option<Reading>) {
        let passed = closed.map_or(0, |closed| {
            let (wall, monotonic) = (self.disk.now_ms(true), self.disk.monotonic_ms());
            closed.store_ms.saturating_add(certainly_passed(&closed, wall, monotonic))
        });
        self.latest.fetch_max(latest.max(passed), Ordering::Relaxed);
    }

    /// The same, which tells its offset.
    pub fn publishing(self, published: Arc<Published>) -> Self {
        StoreClock { published: Some(published), ..self }
    }

    /// From now on the time is not before that of the store's writer, who tells it.
    pub fn follow(&self, told: &Arc<Told>) {
        let _ = self.told.set(told.clone());
        self.hear();
    }

    /// Takes the store's time ahead, as a wall clock does that is set forward and back.
    #[cfg(test)]
    pub fn go_ahead(&self, by_ms: u64) {
        self.latest.fetch_max(self.precise().saturating_add(by_ms), Ordering::Relaxed);
        self.precise();
    }

    /// What is added to the monotonic clock.
    pub fn offset(&self) -> u64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// Takes over what the writer says, if this is the clock of somebody who reads.
    #[inline]
    fn hear(&self) {
        if let Some(told) = self.told.get() {
            self.offset.fetch_max(told.clock(), Ordering::Relaxed);
        }
    }

    /// The time, some milliseconds old perhaps, and older where the wall clock was just set back; for time stamps.
    #[inline(always)]
    pub fn coarse(&self) -> u64 {
        let wall = self.disk.now_ms(false);
        let latest = self.latest.load(Ordering::Relaxed);
        if wall > latest {
            self.latest.fetch_max(wall, Ordering::Relaxed).max(wall)
        } else if latest - wall <= COARSE_LAG {
            latest
        } else {
            self.precise().max(latest)
        }
    }

    /// The time, to the millisecond; for expiry.
    #[inline(never)]
    pub fn precise(&self) -> u64 {
        // Before the monotonic clock: a pause in between must not look as if the wall clock were ahead.
        self.hear();
        let (wall, latest) = (self.disk.now_ms(false), self.latest.load(Ordering::Relaxed));
        let mut now = self.disk.monotonic_ms().saturating_add(self.offset.load(Ordering::Relaxed));
        if wall.max(latest) > now {
            now = self.catch_up();
        }
        if now.saturating_sub(latest) > LATEST_LAG {
            self.latest.fetch_max(now, Ordering::Relaxed);
        }
        if wall.abs_diff(self.seen_wall.load(Ordering::Relaxed)) > FRESH / 4 {
            self.seen_time.fetch_max(now, Ordering::Release);
            self.seen_wall.store(wall, Ordering::Release);
        }
        now
    }

    /// The offset becomes so large that the time is at least the wall clock's, and the latest time stamp's.
    #[cold]
    fn catch_up(&self) -> u64 {
        let wanted = self.disk.now_ms(true).max(self.latest.load(Ordering::Relaxed));
        let monotonic = self.disk.monotonic_ms();
        let offset = wanted.saturating_sub(monotonic);
        // Told first: what has expired for somebody here must have for them.
        if let Some(published) = &self.published {
            published.clock(offset);
        }
        monotonic.saturating_add(self.offset.fetch_max(offset, Ordering::Relaxed).max(offset))
    }

    /// The time, if `time_ms` has come. Of what is far off it may say so up to a second late after the wall clock was set
    /// back: no precise clock is read for it.
    #[inline]
    pub fn has_come(&self, time_ms: u64) -> Option<u64> {
        let wall = self.disk.now_ms(false);
        // In this order: a time that was seen later than the wall clock is no harm.
        let is_fresh = wall.abs_diff(self.seen_wall.load(Ordering::Acquire)) <= FRESH;
        let near = self.seen_time.load(Ordering::Acquire).saturating_add(FAR_OFF);
        // What another process says is not known to be fresh.
        if is_fresh && self.told.get().is_none() && time_ms > near.max(self.latest.load(Ordering::Relaxed)) {
            return None;
        }
        let now = self.precise();
        (now >= time_ms).then_some(now)
    }

    /// What all clocks say.
    pub fn read(&self) -> Reading {
        let store_ms = self.precise();
        Reading { store_ms, wall_ms: self.disk.now_ms(true), monotonic_ms: self.disk.monotonic_ms() }
    }
}

/// How much time has passed since a store was closed, at least. The monotonic clock begins anew when the machine is started:
/// if it says less than it did then all that it says has passed since, and if it says more, then the difference, or more.
/// Another machine's clock tells nothing about this one's: no more than the wall clock says has passed.
fn certainly_passed(closed: &Reading, wall_ms: u64, monotonic_ms: u64) -> u64 {
    let running = monotonic_ms.checked_sub(closed.monotonic_ms).unwrap_or(monotonic_ms);
    running.min(wall_ms.saturating_sub(closed.wall_ms))
}
