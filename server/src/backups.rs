//! BGSAVE where the server has a directory for backups: the store is copied by a thread of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use filedb::BackupOptions;
use parking_lot::Mutex;

use crate::keyspace::Keyspace;
use crate::server::wall_clock;

/// See the module.
pub struct Backups {
    /// Where they go; `None` where BGSAVE only syncs.
    to: Option<PathBuf>,
    is_running: AtomicBool,
    has_failed: AtomicBool,
    /// When the last one was begun that is whole, in seconds since 1970; 0 before the first.
    last_s: AtomicU64,
    /// How many were made.
    count: AtomicU64,
    /// How long the last one took, in seconds; -1 before the first.
    took_s: AtomicI64,
    begun: Mutex<Option<Instant>>,
}

impl Backups {
    /// None was made yet.
    pub fn new(to: Option<PathBuf>) -> Self {
        Backups {
            to,
            is_running: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            last_s: AtomicU64::new(0),
            count: AtomicU64::new(0),
            took_s: AtomicI64::new(-1),
            begun: Mutex::new(None),
        }
    }

    /// Whether there is a directory for them.
    pub fn are_made(&self) -> bool {
        self.to.is_some()
    }

    /// Whether one is under way.
    pub fn is_running(&self) -> bool {
        self.is_running.load(Ordering::SeqCst)
    }

    /// Whether the last one failed.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// The time of what the last whole one holds, in seconds since 1970; 0 before the first.
    pub fn last_s(&self) -> u64 {
        self.last_s.load(Ordering::Relaxed)
    }

    /// How many whole backups were made since the server was started.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// How long the last one took, in seconds; -1 before the first.
    pub fn took_s(&self) -> i64 {
        self.took_s.load(Ordering::Relaxed)
    }

    /// For how many seconds one has been under way; -1 where none is.
    pub fn running_s(&self) -> i64 {
        let begun = self.begun.lock().filter(|_| self.is_running());
        begun.map_or(-1, |begun| begun.elapsed().as_secs() as i64)
    }

    /// Begins one, in a thread of its own. False where one is under way.
    pub fn begin(self: &Arc<Self>, keyspace: &Arc<Keyspace>) -> std::io::Result<bool> {
        if self.to.is_none() || self.is_running.swap(true, Ordering::SeqCst) {
            return Ok(false);
        }
        let (own, keyspace) = (self.clone(), keyspace.clone());
        let spawned = std::thread::Builder::new().name("backup".into()).spawn(move || own.make(&keyspace));
        spawned.map(|_| true).inspect_err(|_| self.is_running.store(false, Ordering::SeqCst))
    }

    fn make(&self, keyspace: &Keyspace) {
        let _ended = Ended(&self.is_running);
        let Some(to) = &self.to else { return };
        // What is written from here on may be missing in it.
        let begun_s = wall_clock().as_secs();
        let begun = Instant::now();
        *self.begun.lock() = Some(begun);
        let made = keyspace.db.backup(to, &BackupOptions::new());
        self.took_s.store(begun.elapsed().as_secs() as i64, Ordering::Relaxed);
        match made {
            Ok(()) => {
                self.count.fetch_add(1, Ordering::Relaxed);
                self.last_s.store(begun_s, Ordering::Relaxed);
                self.has_failed.store(false, Ordering::Relaxed);
                log::info!("the store was backed up to '{}'", to.display());
            }
            Err(error) => {
                self.has_failed.store(true, Ordering::Relaxed);
                log::error!("the store could not be backed up to '{}': {error}", to.display());
            }
        }
    }
}

/// Says that a backup has ended, also where it panicked.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}
