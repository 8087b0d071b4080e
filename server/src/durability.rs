//! When what was written is on the disk: a thread of its own syncs for all clients, and replies that promise it wait without a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use filedb::SyncMode;
use parking_lot::{Condvar, Mutex};

use crate::keyspace::Keyspace;
use crate::server::wall_clock;

/// When a write must be on the disk, as CONFIG SET changes it.
#[derive(Debug)]
pub struct Promise(AtomicU8);

impl Promise {
    /// As the server was started.
    pub fn new(mode: SyncMode) -> Self {
        let promise = Promise(AtomicU8::new(0));
        promise.set(mode);
        promise
    }

    /// What holds from now on.
    pub fn set(&self, mode: SyncMode) {
        let number = match mode {
            SyncMode::None => 0,
            SyncMode::Interval => 1,
            SyncMode::Always => 2,
        };
        self.0.store(number, Ordering::SeqCst);
    }

    /// What holds.
    #[inline]
    pub fn get(&self) -> SyncMode {
        match self.0.load(Ordering::Relaxed) {
            0 => SyncMode::None,
            1 => SyncMode::Interval,
            _ => SyncMode::Always,
        }
    }
}

/// See the module. A ticket is the number of a batch that was written: [`Keyspace::written`].
pub struct Durability {
    /// What was asked for.
    pub promise: Arc<Promise>,
    /// All batches up to this number are on the disk.
    durable: AtomicU64,
    wanted: Mutex<u64>,
    changed: Condvar,
    ends: AtomicBool,
    failure: Mutex<Option<String>>,
    has_failed: AtomicBool,
    /// When it was synced last, in seconds since 1970.
    pub last_sync_s: AtomicU64,
    /// Changes that were not synced then.
    pub changes_synced: AtomicU64,
}

impl Durability {
    /// Nothing was written yet.
    pub fn new(promise: Arc<Promise>) -> Self {
        Durability {
            promise,
            durable: AtomicU64::new(0),
            wanted: Mutex::new(0),
            changed: Condvar::new(),
            ends: AtomicBool::new(false),
            failure: Mutex::new(None),
            has_failed: AtomicBool::new(false),
            last_sync_s: AtomicU64::new(wall_clock().as_secs()),
            changes_synced: AtomicU64::new(0),
        }
    }

    /// Whether each reply waits until its write is on the disk.
    #[inline]
    pub fn is_always(&self) -> bool {
        self.promise.get() == SyncMode::Always
    }

    /// All batches up to this number are on the disk.
    #[inline]
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }

    /// Why no write can be made durable any more.
    #[inline]
    pub fn failure(&self) -> Option<String> {
        if self.has_failed.load(Ordering::Relaxed) { self.failure.lock().clone() } else { None }
    }

    /// Asks that a batch is brought to the disk.
    pub fn want(&self, ticket: u64) {
        let mut wanted = self.wanted.lock();
        if *wanted < ticket {
            *wanted = ticket;
            self.changed.notify_one();
        }
    }

    /// Lets [`Durability::run`] end.
    pub fn end(&self) {
        self.ends.store(true, Ordering::SeqCst);
        let _wanted = self.wanted.lock();
        self.changed.notify_all();
    }

    /// Syncs whenever somebody wants it, and tells `took` how many nanoseconds that took, and `tell` each time.
    pub fn run(&self, keyspace: &Arc<Keyspace>, took: impl Fn(u64), tell: impl Fn()) {
        loop {
            {
                let mut wanted = self.wanted.lock();
                while *wanted <= self.durable() && !self.ends.load(Ordering::SeqCst) {
                    self.changed.wait(&mut wanted);
                }
                if *wanted <= self.durable() {
                    return;
                }
            }
            // What was written before this number was read is in the log before the sync begins.
            let written = keyspace.written.count();
            let changes = keyspace.changes.load(Ordering::Relaxed);
            let begun = Instant::now();
            let synced = keyspace.db.sync();
            took(begun.elapsed().as_nanos() as u64);
            match synced {
                Ok(()) => {
                    self.last_sync_s.store(wall_clock().as_secs(), Ordering::Relaxed);
                    self.changes_synced.store(changes, Ordering::Relaxed);
                    self.durable.fetch_max(written, Ordering::SeqCst);
                }
                Err(error) => {
                    log::error!("a sync failed, and no write is accepted any more: {error}");
                    *self.failure.lock() = Some(error.to_string());
                    self.has_failed.store(true, Ordering::SeqCst);
                    tell();
                    return;
                }
            }
            tell();
        }
    }
}
