//! What has expired: when the key goes. What the log knows of it is `log/told_time.rs`.

use crate::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Engine, Inside};
use crate::index::{Entry, KeyHash, Locked};
use crate::store::error::Result;

/// A key that could not be forgotten when it expired is tried again after so many milliseconds.
const FORGET_AGAIN: u64 = 1_000;

impl Engine {
    /// Whether something that expires then has expired. Once this said yes, it does so for ever.
    #[cold]
    pub fn has_expired(&self, expiry_ms: u64) -> bool {
        let Some(now) = self.clock.has_come(expiry_ms) else { return false };
        self.tell_expired(expiry_ms, now);
        true
    }

    /// Sees to it that somebody may be told that something has expired, which it has.
    fn tell_expired(&self, expiry_ms: u64, now: u64) {
        if !self.options.read_only {
            self.told_time.tell(&self.log, expiry_ms, now);
        }
    }

    /// Takes all keys out of the index whose time has come.
    pub fn purge_expired(&self, inside: &Inside<'_>) {
        while self.purge_some(inside, None) {}
    }

    /// As [`Engine::purge_expired`], until that takes longer than `most`. True where something is left to do.
    pub fn purge_some(&self, inside: &Inside<'_>, most: Option<Duration>) -> bool {
        let (_until_all_are_out, begun) = (self.expiries.purging(), Instant::now());
        self.told_time.log_again(&self.log, || self.clock.precise());
        let (now, mut due) = (self.clock.precise(), Vec::new());
        for root in 0..=u8::MAX {
            if self.expiries.due_in(root) > now {
                continue;
            }
            self.expiries.begin_look(root);
            let mut from = Some(0);
            while let Some(word) = from {
                if most.is_some_and(|most| begun.elapsed() > most) {
                    self.expiries.look_again(root, now);
                    return true;
                }
                from = self.expiries.find_due(root, word, now, &mut due);
                for (hash, expiry_ms) in due.drain(..) {
                    if self.forget_due(inside, hash, expiry_ms, now).is_err() {
                        self.expiries.look_again(root, now.saturating_add(FORGET_AGAIN));
                    }
                }
            }
        }
        false
    }

    /// Takes a key out of the index that was found to expire then. `Err` where that cannot be changed now.
    fn forget_due(&self, inside: &Inside<'_>, hash: KeyHash, expiry_ms: u64, now: u64) -> Result<()> {
        self.tell_expired(expiry_ms, now);
        let locked = self.index.lock(hash)?;
        // Somebody may have written the key again.
        if self.expiries.get(hash) == Some(expiry_ms) {
            self.forget(inside, locked, hash);
        }
        Ok(())
    }

    /// Takes a key out of the index whose record at `entry` has expired, if the index still points there. `Err` where it can not
    /// be changed now.
    pub fn forget_expired(&self, inside: &Inside<'_>, hash: KeyHash, entry: Entry) -> Result<()> {
        let locked = self.index.lock(hash)?;
        if locked.get(hash) == Some(entry) {
            self.forget(inside, locked, hash);
        }
        Ok(())
    }

    fn forget(&self, inside: &Inside<'_>, mut locked: Locked<'_>, hash: KeyHash) {
        if let Some(entry) = locked.get(hash).filter(|entry| entry.size.is_head()) {
            self.let_go_of(inside, entry);
        }
        let entry = locked.remove(hash);
        self.expiries.clear(hash);
        if let Some(entry) = entry {
            // While the key is locked: see `Index::wait_for_writers`.
            if let Some(file) = self.catalog.files.get(usize::from(entry.location.slot), inside) {
                file.usage.died(entry.size);
            }
            self.counters.expired.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The number of keys that have not expired.
    pub fn count(&self, inside: &Inside<'_>) -> u64 {
        self.purge_expired(inside);
        self.index.len()
    }
}
