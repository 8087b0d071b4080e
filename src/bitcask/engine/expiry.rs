//! Which keys expire, and when: so that expired ones stop counting, and give their space back, without being read.
//!
//! Only keys with an expiry take memory here. A key that is written again leaves its old line behind until that is
//! due or until the lines have doubled in number, whichever comes first.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::format::FileId;
use crate::index::{Entry, Index, KeyHash};
use crate::sync::lock::{Mutex, MutexGuard};

const SHARDS: usize = 16;
const SWEEP_AT_LEAST: usize = 1024;
/// So many lines are looked at under one lock: a write that waits for it does not wait long.
const AT_ONCE: usize = 1024;

/// A record that expires: its place, and the number of its file.
pub type Line = (Entry, FileId);

/// By time and key: the record, and the number of its file. (Places are used again, numbers are not.)
type Lines = BTreeMap<(u64, KeyHash), Line>;

#[derive(Default)]
struct Shard {
    lines: Lines,
    sweep_at: usize,
}

impl Shard {
    fn has_many_lines(&self) -> bool {
        self.lines.len() >= self.sweep_at.max(SWEEP_AT_LEAST)
    }
}

/// See the module.
pub struct Expiries {
    shards: [Mutex<Shard>; SHARDS],
    /// No line is due before this.
    next_due: AtomicU64,
    /// A shard has so many lines that it is worth looking for stale ones.
    wants_sweep: AtomicBool,
    purging: Mutex<()>,
}

impl Default for Expiries {
    fn default() -> Self {
        Expiries {
            shards: Default::default(),
            next_due: AtomicU64::new(u64::MAX),
            wants_sweep: AtomicBool::new(false),
            purging: Mutex::new(()),
        }
    }
}

impl Expiries {
    /// Notes that a record expires. Called by whoever has locked the key.
    pub fn add(&self, expiry_ms: u64, hash: KeyHash, line: Line) {
        self.change(expiry_ms, hash, |lines| {
            lines.insert((expiry_ms, hash), line);
        });
    }

    /// Gives back a line that [`Expiries::take_due`] took out, for a later time; not in the place of one that was added since.
    pub fn give_back(&self, expiry_ms: u64, hash: KeyHash, line: Line) {
        self.change(expiry_ms, hash, |lines| {
            lines.entry((expiry_ms, hash)).or_insert(line);
        });
    }

    fn change(&self, expiry_ms: u64, hash: KeyHash, change: impl FnOnce(&mut Lines)) {
        let mut shard = self.shards[usize::from(hash.root) % SHARDS].lock();
        change(&mut shard.lines);
        if shard.has_many_lines() {
            self.wants_sweep.store(true, Ordering::Relaxed);
        }
        self.next_due.fetch_min(expiry_ms, Ordering::Relaxed);
    }

    /// Takes out lines of keys that were written again since. The maintenance thread calls it.
    pub fn sweep(&self, index: &Index) {
        if !self.wants_sweep.swap(false, Ordering::Relaxed) {
            return;
        }
        for shard in &self.shards {
            if !shard.lock().has_many_lines() {
                continue;
            }
            let mut from = Bound::Unbounded;
            loop {
                let mut shard = shard.lock();
                let some = shard.lines.range((from, Bound::Unbounded)).take(AT_ONCE);
                let some: Vec<_> = some.map(|(key, (entry, _))| (*key, *entry)).collect();
                let Some((last, _)) = some.last() else {
                    shard.sweep_at = shard.lines.len() * 2;
                    break;
                };
                from = Bound::Excluded(*last);
                for (key, entry) in some {
                    if index.get(key.1) != Some(entry) {
                        shard.lines.remove(&key);
                    }
                }
            }
        }
    }

    /// When the next line is due, in milliseconds since 1970; not later than it really is.
    pub fn next_due_ms(&self) -> u64 {
        self.next_due.load(Ordering::Relaxed)
    }

    /// Held by whoever takes lines out and their keys out of the index: whoever has had it finds both there or neither.
    pub fn purging(&self) -> MutexGuard<'_, ()> {
        self.purging.lock()
    }

    /// Takes out lines that are due at `now`, and when each was: all of them once the result is empty.
    pub fn take_due(&self, now_ms: u64) -> Vec<(u64, KeyHash, Line)> {
        let mut due = Vec::new();
        if now_ms < self.next_due_ms() {
            return due;
        }
        // Whoever adds a line from now on lowers it again.
        self.next_due.store(u64::MAX, Ordering::Relaxed);
        for shard in &self.shards {
            let mut shard = shard.lock();
            while let Some(first) = shard.lines.first_entry() {
                if first.key().0 > now_ms || due.len() >= AT_ONCE {
                    self.next_due.fetch_min(first.key().0, Ordering::Relaxed);
                    break;
                }
                let ((expiry_ms, hash), line) = first.remove_entry();
                due.push((expiry_ms, hash, line));
            }
        }
        due
    }

    /// All lines.
    pub fn all(&self) -> Vec<(u64, KeyHash, Line)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.lock().lines.iter().map(|((expiry, hash), line)| (*expiry, *hash, *line)));
        }
        all
    }
}
