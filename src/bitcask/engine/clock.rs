//! The store's clock: wall time that never goes backwards for this store, so that what expired stays expired.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::Disk;

/// Milliseconds since 1970, never less than it said before, in this process or an earlier one: the latest time that
/// the log and the manifest know of is where it starts.
pub struct StoreClock {
    disk: Arc<dyn Disk>,
    latest: AtomicU64,
}

impl StoreClock {
    /// A clock that does not read earlier than `latest`.
    pub fn new(disk: Arc<dyn Disk>, latest: u64) -> Self {
        StoreClock { disk, latest: AtomicU64::new(latest) }
    }

    /// The time, some milliseconds old perhaps; for time stamps.
    #[inline]
    pub fn coarse(&self) -> u64 {
        self.at_least(self.disk.now_ms(false))
    }

    /// The time, to the millisecond; for expiry.
    #[inline]
    pub fn precise(&self) -> u64 {
        self.at_least(self.disk.now_ms(true))
    }

    #[inline]
    fn at_least(&self, now: u64) -> u64 {
        let latest = self.latest.load(Ordering::Relaxed);
        if now > latest { self.latest.fetch_max(now, Ordering::Relaxed).max(now) } else { latest }
    }
}
