//! What somebody was told has expired, and what the log knows of it.
//!
//! Nobody is told that a key has expired before the log holds a time that is no earlier. So it stays expired, also for the next
//! process, and also if the machine's clock is set back. Where the log cannot take the time (the store is poisoned, or the disk is
//! full to the last block), the key counts as expired all the same; the time is tried again at the next question and by a
//! thread of the store, and a clean close or a merge makes up for it.

use crate::sync::atomic::{AtomicU64, Ordering};

use super::append::Log;
use crate::sync::thread::NotCancelled;

/// The times that somebody was told of, in milliseconds since 1970.
pub struct ToldTime {
    /// The latest time that is known to be in the log.
    logged_ms: AtomicU64,
    /// The latest time that somebody was told of, or is about to be. It is later than what is in the log only where it could not be
    /// written there.
    told_ms: AtomicU64,
}

impl ToldTime {
    /// For a log that holds this time.
    pub fn new(logged_ms: u64) -> Self {
        ToldTime { logged_ms: logged_ms.into(), told_ms: AtomicU64::new(0) }
    }

    /// Sees to it that somebody may be told that something has expired, which it has by the time `now`.
    pub fn tell(&self, log: &Log, expiry_ms: u64, now: u64) {
        if self.logged_ms.load(Ordering::Acquire) < expiry_ms {
            self.told_ms.fetch_max(expiry_ms, Ordering::Relaxed);
            self.log_time(log, expiry_ms, now);
        }
    }

    /// Tries again to log a time that somebody was told of.
    pub fn log_again(&self, log: &Log, now: impl FnOnce() -> u64) {
        let told = self.told_ms.load(Ordering::Relaxed);
        if self.logged_ms.load(Ordering::Relaxed) < told {
            self.log_time(log, told, now());
        }
    }

    /// The latest time that somebody may have been told of: what the manifest says when the log's notes of it go.
    pub fn known_ms(&self) -> u64 {
        self.logged_ms.load(Ordering::Relaxed).max(self.told_ms.load(Ordering::Relaxed))
    }

    fn log_time(&self, log: &Log, least: u64, now: u64) {
        let _not_cancelled = NotCancelled::begin();
        // Whoever comes while this is under way finds `logged_ms` as it was, and waits for the log.
        if let Ok(time_ms) = log.record_time(least, now) {
            self.logged_ms.fetch_max(time_ms, Ordering::Release);
        }
    }
}
