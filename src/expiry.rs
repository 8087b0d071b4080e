//! Which keys expire, and when: so that expired ones stop counting, and give their space back, without being read.
//!
//! Only keys with an expiry take memory here. A key that is written again leaves its old line behind until that is
//! due or until half of the lines are stale, whichever comes first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::format::FileId;
use crate::index::{Entry, Index, KeyHash};

const SHARDS: usize = 16;
const SWEEP_AT_LEAST: usize = 1024;

/// A record that expires: its place, and the number of its file.
pub type Line = (Entry, FileId);

#[derive(Default)]
struct Shard {
    /// By time and key: the record, and the number of its file. (Places are used again, numbers are not.)
    lines: BTreeMap<(u64, KeyHash), Line>,
    sweep_at: usize,
}

/// See the module.
pub struct Expiries {
    shards: [Mutex<Shard>; SHARDS],
    /// No line is due before this.
    next_due: AtomicU64,
}

impl Default for Expiries {
    fn default() -> Self {
        Expiries { shards: Default::default(), next_due: AtomicU64::new(u64::MAX) }
    }
}

impl Expiries {
    /// Notes that the record of `entry` expires.
    pub fn add(&self, expiry_ms: u64, hash: KeyHash, line: Line, index: &Index) {
        let mut shard = self.shards[usize::from(hash.root) % SHARDS].lock();
        if shard.lines.len() >= shard.sweep_at.max(SWEEP_AT_LEAST) {
            shard.lines.retain(|(_, hash), line| index.get(*hash) == Some(line.0));
            shard.sweep_at = shard.lines.len() * 2;
        }
        shard.lines.insert((expiry_ms, hash), line);
        self.next_due.fetch_min(expiry_ms, Ordering::Relaxed);
    }

    /// When the next line is due, in milliseconds since 1970; not later than it really is.
    pub fn next_due_ms(&self) -> u64 {
        self.next_due.load(Ordering::Relaxed)
    }

    /// Takes out all lines that are due at `now`.
    pub fn take_due(&self, now_ms: u64) -> Vec<(KeyHash, Line)> {
        if now_ms < self.next_due_ms() {
            return Vec::new();
        }
        // Whoever adds a line from now on lowers it again.
        self.next_due.store(u64::MAX, Ordering::Relaxed);
        let mut due = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            while let Some(first) = shard.lines.first_entry() {
                if first.key().0 > now_ms {
                    self.next_due.fetch_min(first.key().0, Ordering::Relaxed);
                    break;
                }
                let ((_, hash), line) = first.remove_entry();
                due.push((hash, line));
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
