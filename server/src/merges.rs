//! BGREWRITEAOF: a thread of its own merges, which takes the space of dead records back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Instant;

use filedb::Db;
use parking_lot::Mutex;

/// See the module.
pub struct Merges {
    begun: Mutex<Option<Instant>>,
    has_failed: AtomicBool,
    /// How long the last one took, in seconds; -1 before the first.
    took_s: AtomicI64,
}

impl Default for Merges {
    fn default() -> Self {
        Merges { begun: Mutex::new(None), has_failed: AtomicBool::new(false), took_s: AtomicI64::new(-1) }
    }
}

impl Merges {
    /// Whether the last one failed.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// How long the last one took, in seconds; -1 before the first.
    pub fn took_s(&self) -> i64 {
        self.took_s.load(Ordering::Relaxed)
    }

    /// For how many seconds one has been under way; -1 where none is.
    pub fn running_s(&self) -> i64 {
        self.begun.lock().map_or(-1, |begun| begun.elapsed().as_secs() as i64)
    }

    /// Begins one. False where one is under way.
    pub fn begin(self: &Arc<Self>, db: &Db) -> std::io::Result<bool> {
        let mut begun = self.begun.lock();
        if begun.is_some() {
            return Ok(false);
        }
        let (own, db, now) = (self.clone(), db.clone(), Instant::now());
        let merge = move || {
            let _ended = Ended(&own);
            match db.merge() {
                Ok(_) => own.has_failed.store(false, Ordering::Relaxed),
                Err(error) => {
                    own.has_failed.store(true, Ordering::Relaxed);
                    log::error!("a merge failed: {error}");
                }
            }
            own.took_s.store(now.elapsed().as_secs() as i64, Ordering::Relaxed);
        };
        std::thread::Builder::new().name("merge".into()).spawn(merge)?;
        *begun = Some(now);
        Ok(true)
    }
}

/// Says that a merge has ended, also where it panicked.
struct Ended<'a>(&'a Merges);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        *self.0.begun.lock() = None;
    }
}
