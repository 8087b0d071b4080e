//! How many keys databases have.
//!
//! The store counts all keys at once where it has an index of them; of one database among several, and of a store with the ordered engine,
//! only a walk tells. A long one is made by a thread of its own ([`Counts::run`]): who asks waits as for an element of a list, and one walk
//! answers all who asked before it began.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use filedb::Result;
use parking_lot::{Condvar, Mutex};

use super::blocked::Waiter;
use super::{DATABASES, Keyspace};

/// A store with no more keys than this is walked through at once.
const FEW: u64 = 1 << 14;

/// What is told to who does not need to know exactly is not older than this, and than so many times what a walk takes.
const FRESH: Duration = Duration::from_secs(5);
const REST: u32 = 50;

/// The number of keys in each place.
pub type ByPlace = [u64; DATABASES];

/// See the module.
#[derive(Default)]
pub struct Counts {
    asked: Mutex<Asked>,
    changed: Condvar,
    ends: AtomicBool,
    /// What the last walk found, and when a new one is due.
    last: Mutex<Option<(ByPlace, Instant)>>,
}

#[derive(Default)]
struct Asked {
    waiting: Vec<(Arc<Waiter>, u8)>,
    is_wanted: bool,
}

impl Counts {
    /// Has the keys of a place counted for a client that waits.
    pub fn ask(&self, waiter: Arc<Waiter>, place: u8) {
        let mut asked = self.asked.lock();
        asked.waiting.push((waiter, place));
        self.changed.notify_one();
    }

    /// Lets [`Counts::run`] end.
    pub fn end(&self) {
        self.ends.store(true, Ordering::SeqCst);
        let _asked = self.asked.lock();
        self.changed.notify_all();
    }

    /// What the last walk found; another one is begun where that was long ago. `None` before the first.
    fn known(&self) -> Option<ByPlace> {
        let last = *self.last.lock();
        if last.is_none_or(|(_, due)| due <= Instant::now()) {
            self.asked.lock().is_wanted = true;
            self.changed.notify_one();
        }
        last.map(|(counts, _)| counts)
    }

    fn walk(&self, keyspace: &Keyspace, counts: &mut ByPlace) -> Result<()> {
        let mut count = |key: &[u8]| {
            if let Some(count) = key.first().and_then(|place| counts.get_mut(usize::from(*place))) {
                *count += 1;
            }
            !self.ends.load(Ordering::Relaxed)
        };
        if keyspace.is_ordered {
            keyspace.db.iter([])?.visit_rows(|key, _| count(key))?;
            return Ok(());
        }
        let mut at = Some(0);
        while let Some(from) = at.filter(|_| !self.ends.load(Ordering::Relaxed)) {
            at = keyspace.db.scan(from, 1 << 14, |key, _| {
                count(key);
            })?;
        }
        Ok(())
    }

    /// Counts whenever somebody wants it, and tells `tell` for each who waited.
    pub fn run(&self, keyspace: &Keyspace, tell: impl Fn(&Waiter, &Result<u64>)) {
        loop {
            let waiting = {
                let mut asked = self.asked.lock();
                while !asked.is_wanted && asked.waiting.is_empty() && !self.ends.load(Ordering::SeqCst) {
                    self.changed.wait(&mut asked);
                }
                if self.ends.load(Ordering::SeqCst) {
                    return;
                }
                asked.is_wanted = false;
                std::mem::take(&mut asked.waiting)
            };
            let (mut counts, began) = ([0; DATABASES], Instant::now());
            let walked = self.walk(keyspace, &mut counts);
            if walked.is_ok() {
                *self.last.lock() = Some((counts, Instant::now() + FRESH.max(began.elapsed() * REST)));
            }
            for (waiter, place) in waiting {
                let count = counts.get(usize::from(place)).copied().unwrap_or(0);
                let told = walked.as_ref().map(|()| count).map_err(Clone::clone);
                if waiter.decide() {
                    tell(&waiter, &told);
                }
            }
        }
    }
}

impl Keyspace {
    /// The number of keys in each place, if that can be told at once, or has to be: `now`.
    fn counted(&self, now: bool) -> Result<Option<ByPlace>> {
        let mut counts = [0; DATABASES];
        if !self.is_ordered && self.databases.is_one() {
            counts[0] = self.db.count()?;
            return Ok(Some(counts));
        }
        // The ordered engine has no more keys than this.
        let all = if self.is_ordered { self.db.stats()?.keys } else { self.db.count()? };
        if all > FEW && !now {
            return Ok(None);
        }
        self.counts.walk(self, &mut counts)?;
        Ok(Some(counts))
    }

    /// The number of keys of a database, if that can be told at once, or has to be: `now`.
    pub fn count(&self, database: u8, now: bool) -> Result<Option<u64>> {
        let place = usize::from(self.databases.place(database));
        Ok(self.counted(now)?.map(|counts| counts.get(place).copied().unwrap_or(0)))
    }

    /// The number of keys of each database, for who does not need to know exactly; `None` where nobody knows yet.
    pub fn about(&self) -> Option<[u64; DATABASES]> {
        let by_place = self.counted(false).ok()?.or_else(|| self.counts.known())?;
        let of = |number: usize| by_place.get(usize::from(self.databases.place(number as u8)));
        Some(std::array::from_fn(|number| of(number).copied().unwrap_or(0)))
    }
}
