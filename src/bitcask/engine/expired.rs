//! What has expired: who is told so, what the log knows of it, and when the key goes.
//!
//! Nobody is told that a key has expired before the log holds a time that is no earlier. So it stays expired, also for the next
//! process, and also if the machine's clock is set back. Where the log cannot take the time (the store is opened for reading
//! only, or poisoned, or the disk is full to the last block), the key counts as expired all the same; the time is tried again
//! at the next question and by the background thread, and a clean close or a merge makes up for it.

use std::sync::atomic::Ordering;

use super::{Counters, Engine, Inside};
use crate::index::{Entry, KeyHash};
use crate::store::error::Result;

/// A key that could not be forgotten when it expired is tried again after so many milliseconds.
const FORGET_AGAIN: u64 = 1_000;

impl Engine {
    /// Whether something that expires then has expired. Once this said yes, it does so for ever.
    #[cold]
    pub fn has_expired(&self, expiry_ms: u64) -> bool {
        let Some(now) = self.clock.has_come(expiry_ms) else { return false };
        if self.counters.logged_time_ms.load(Ordering::Acquire) < expiry_ms && !self.options.read_only {
            self.counters.told_time_ms.fetch_max(expiry_ms, Ordering::Relaxed);
            self.log_time(expiry_ms, now);
        }
        true
    }

    /// Tries again to log a time that somebody was told of.
    pub fn log_told_time(&self) {
        let told = self.counters.told_time_ms.load(Ordering::Relaxed);
        if self.counters.logged_time_ms.load(Ordering::Relaxed) < told {
            self.log_time(told, self.clock.precise());
        }
    }

    fn log_time(&self, least: u64, now: u64) {
        // Whoever comes while this is under way finds `logged_time_ms` as it was, and waits for the log.
        if let Ok(time_ms) = self.log.record_time(least, now) {
            self.counters.logged_time_ms.fetch_max(time_ms, Ordering::Release);
        }
    }

    /// The latest time that somebody may have been told of: what the manifest says when the log's notes of it go.
    pub fn known_time_ms(&self) -> u64 {
        let Counters { logged_time_ms, told_time_ms, .. } = &self.counters;
        logged_time_ms.load(Ordering::Relaxed).max(told_time_ms.load(Ordering::Relaxed))
    }

    /// Takes keys out of the index whose time has come.
    pub fn purge_expired(&self, inside: &Inside<'_>) {
        let _until_all_are_out = self.expiries.purging();
        self.log_told_time();
        let now = self.clock.precise();
        // Parts of the index that cannot be changed now are tried once.
        let (mut stuck, mut later) = ([false; 256], Vec::new());
        loop {
            let due = self.expiries.take_due(now);
            if due.is_empty() {
                break;
            }
            for (expiry_ms, hash, line) in due {
                let is_stuck = &mut stuck[usize::from(hash.root)];
                // Another file may have taken the place of the one that the line is about.
                if self.index.get(hash) == Some(line.0)
                    && self.file(inside, line.0).is_ok_and(|file| file.id == line.1)
                    && self.has_expired(expiry_ms)
                {
                    *is_stuck = *is_stuck || self.forget_expired(inside, hash, line.0).is_err();
                    later.extend(is_stuck.then_some((hash, line)));
                }
            }
        }
        for (hash, line) in later {
            self.expiries.give_back(now.saturating_add(FORGET_AGAIN), hash, line);
        }
    }

    /// Takes a key out of the index whose record at `entry` has expired, if the index still points there. `Err` where it can not
    /// be changed now.
    pub fn forget_expired(&self, inside: &Inside<'_>, hash: KeyHash, entry: Entry) -> Result<()> {
        let mut locked = self.index.lock(hash)?;
        if locked.get(hash) != Some(entry) {
            return Ok(());
        }
        if entry.size.is_head() {
            self.let_go_of(inside, entry);
        }
        locked.remove(hash);
        // While the key is locked: see `Index::wait_for_writers`.
        if let Some(file) = self.catalog.files.get(usize::from(entry.location.slot), inside) {
            file.usage.died(entry.size);
        }
        drop(locked);
        self.counters.expired.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The number of keys that have not expired.
    pub fn count(&self, inside: &Inside<'_>) -> u64 {
        self.purge_expired(inside);
        self.index.len()
    }
}
