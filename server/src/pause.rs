//! Why commands wait: CLIENT PAUSE, and the pauses that the store asks for where the disk or merges are behind. Only who writes waits
//! for those, and no thread sleeps with clients behind it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::keyspace::Keyspace;

/// See the module.
#[derive(Default)]
pub struct Pause {
    /// Until when all wait, and until when who writes does, in milliseconds since the server was started.
    all_until_ms: AtomicU64,
    writes_until_ms: AtomicU64,
    /// The store asked for a pause.
    is_behind: AtomicBool,
    /// Somebody waits for any reason.
    any: AtomicBool,
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Default)]
struct Work {
    is_wanted: bool,
    ends: bool,
}

impl Pause {
    /// Whether a command must wait.
    #[inline]
    pub fn holds(&self, is_write: bool, now_ms: impl FnOnce() -> u64) -> bool {
        self.any.load(Ordering::Relaxed) && self.holds_now(is_write, now_ms())
    }

    #[cold]
    fn holds_now(&self, is_write: bool, now_ms: u64) -> bool {
        let all = self.all_until_ms.load(Ordering::SeqCst) > now_ms;
        let writes = self.writes_until_ms.load(Ordering::SeqCst) > now_ms;
        let is_behind = self.is_behind.load(Ordering::SeqCst);
        if !all && !writes && !is_behind {
            self.any.store(false, Ordering::SeqCst);
            // Somebody may have begun a pause meanwhile.
            let is_over = |until: &AtomicU64| until.load(Ordering::SeqCst) <= now_ms;
            let has_begun = !is_over(&self.all_until_ms)
                || !is_over(&self.writes_until_ms)
                || self.is_behind.load(Ordering::SeqCst);
            self.any.fetch_or(has_begun, Ordering::SeqCst);
        }
        all || (is_write && (writes || is_behind))
    }

    /// CLIENT PAUSE: all wait until then, or only who writes.
    pub fn until(&self, until_ms: u64, all: bool) {
        let until = if all { &self.all_until_ms } else { &self.writes_until_ms };
        until.fetch_max(until_ms, Ordering::SeqCst);
        self.any.store(true, Ordering::SeqCst);
    }

    /// CLIENT UNPAUSE.
    pub fn end_clients_pause(&self) {
        self.all_until_ms.store(0, Ordering::SeqCst);
        self.writes_until_ms.store(0, Ordering::SeqCst);
    }

    /// The store asks for a pause: who writes waits until [`Pause::run`] has called it.
    pub fn store_is_behind(&self) {
        self.is_behind.store(true, Ordering::SeqCst);
        self.any.store(true, Ordering::SeqCst);
        self.work.lock().is_wanted = true;
        self.changed.notify_one();
    }

    /// Whether the store asked for a pause that is not over.
    pub fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::SeqCst)
    }

    /// Lets [`Pause::run`] end.
    pub fn end(&self) {
        self.work.lock().ends = true;
        self.changed.notify_all();
    }

    /// Pauses whenever the store asks for it, and tells `tell` when that is over.
    pub fn run(&self, keyspace: &Keyspace, tell: impl Fn()) {
        loop {
            {
                let mut work = self.work.lock();
                while !work.is_wanted && !work.ends {
                    self.changed.wait_for(&mut work, Duration::from_secs(60));
                }
                if work.ends {
                    return;
                }
                work.is_wanted = false;
            }
            let _ = keyspace.db.pause();
            self.is_behind.store(false, Ordering::SeqCst);
            tell();
        }
    }
}
