//! When keys expire: a line of 16 bytes for each key that does, found by the hash of the key, so that no key has two.
//!
//! Invariant: a key has a line if and only if the record that the index points at expires, and the line says when ([`noted`]). Whoever changes a
//! key changes its line with it, while the key is locked. So the memory depends on how many keys expire, and neither on how often they are
//! written nor on how long nobody comes to take out those that are due.
//!
//! There is a shard for each first byte of a hash. What is due in one is found by looking at all of its lines, which is done when
//! the earliest of them is due: a look at a line takes a nanosecond.

mod table;

use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::index::KeyHash;
use crate::store::error::{Error, Result};
use crate::store::memory::{self, vec_with_room};
use crate::sync::lock::{Mutex, MutexGuard};
use table::Table;

/// What expires this late (it is the year 10889, in milliseconds since 1970) is noted to expire never.
pub const NEVER_FROM: u64 = (1 << 48) - 1;

/// The time that is noted for something that expires then; never 0.
pub fn noted(expiry_ms: u64) -> u64 {
    if expiry_ms < NEVER_FROM { expiry_ms.max(1) } else { u64::MAX }
}

/// One for each first byte of a hash.
pub const SHARDS: usize = 1 << 8;

/// How many slots are looked at under one lock: a write that waits for it does not wait long.
const AT_ONCE: usize = 4096;

#[repr(align(64))]
#[derive(Default)]
struct Shard {
    table: Mutex<Table>,
    /// How many lines it has. Changed under the lock.
    len: AtomicUsize,
}

/// See the module.
pub struct Expiries {
    /// Not in place: whoever opens a store may have little stack.
    shards: Vec<Shard>,
    /// No line of the shard is due before this, in milliseconds since 1970. Changed under the shard's lock.
    due: Vec<AtomicU64>,
    purging: Mutex<()>,
    /// Whether a key may have expired ever.
    some: AtomicBool,
}

/// Room for lines that are about to be added.
pub struct Room<'a> {
    shard: &'a Shard,
    lines: usize,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.shard.table.lock().give_up_room(self.lines);
    }
}

impl Expiries {
    /// No lines.
    pub fn new() -> Result<Self> {
        let (mut shards, mut due) = (vec_with_room(SHARDS)?, vec_with_room(SHARDS)?);
        shards.resize_with(SHARDS, Shard::default);
        due.resize_with(SHARDS, || AtomicU64::new(u64::MAX));
        Ok(Expiries { shards, due, purging: Mutex::new(()), some: AtomicBool::new(false) })
    }

    /// Notes that keys may have expired before the store was opened.
    pub fn note_some(&self) {
        self.some.store(true, Ordering::Relaxed);
    }

    /// Whether a key of the store may have expired ever.
    pub fn were_some(&self) -> bool {
        self.some.load(Ordering::Relaxed)
    }

    /// Makes room for so many more lines of keys whose hashes begin with `root`: before anything is written, and until the lines are
    /// there.
    pub fn make_room(&self, root: u8, lines: usize) -> Result<Room<'_>> {
        let shard = &self.shards[usize::from(root)];
        let mut table = shard.table.lock();
        let bytes = (table.len() + lines) as u64 * table::LINE_SIZE;
        table.make_room(lines).map_err(|_| Error::NoMemory { bytes })?;
        self.note_some();
        Ok(Room { shard, lines })
    }

    /// Notes when a key expires, whose record was written; the caller has it locked. A key that had no line has room for one.
    pub fn set(&self, hash: KeyHash, expiry_ms: u64) {
        let (shard, due) = (&self.shards[usize::from(hash.root)], &self.due[usize::from(hash.root)]);
        let expiry_ms = noted(expiry_ms);
        let mut table = shard.table.lock();
        table.set(hash, expiry_ms);
        shard.len.store(table.len(), Ordering::Relaxed);
        if expiry_ms < due.load(Ordering::Relaxed) {
            due.fetch_min(expiry_ms, Ordering::Relaxed);
        }
    }

    /// Notes when a key expires, in a store that nobody else uses yet.
    pub fn add(&self, hash: KeyHash, expiry_ms: u64) -> Result<()> {
        let _room = self.make_room(hash.root, 1)?;
        self.set(hash, expiry_ms);
        Ok(())
    }

    /// Takes the line of a key away, if it has one; the caller has it locked.
    #[inline(never)]
    pub fn clear(&self, hash: KeyHash) {
        let shard = &self.shards[usize::from(hash.root)];
        // Who gave the key a line had it locked before the caller: that is seen.
        if shard.len.load(Ordering::Relaxed) > 0 {
            let mut table = shard.table.lock();
            table.remove(hash);
            shard.len.store(table.len(), Ordering::Relaxed);
        }
    }

    /// When a key is noted to expire.
    pub fn get(&self, hash: KeyHash) -> Option<u64> {
        self.shards[usize::from(hash.root)].table.lock().get(hash)
    }

    /// How many keys expire.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len.load(Ordering::Relaxed)).sum()
    }

    /// When the next key expires, in milliseconds since 1970; not later than it really does.
    pub fn next_due_ms(&self) -> u64 {
        self.due.iter().map(|due| due.load(Ordering::Relaxed)).min().unwrap_or(u64::MAX)
    }

    /// As [`Expiries::next_due_ms`], of one shard.
    pub fn due_in(&self, root: u8) -> u64 {
        self.due[usize::from(root)].load(Ordering::Relaxed)
    }

    /// Held by whoever takes due keys out: whoever has had it finds none that was due before.
    pub fn purging(&self) -> MutexGuard<'_, ()> {
        self.purging.lock()
    }

    /// Begins a look at a whole shard: what [`Expiries::find_due`] finds not to be due says anew when something will be.
    pub fn begin_look(&self, root: u8) {
        let _changes_wait = self.shards[usize::from(root)].table.lock();
        self.due[usize::from(root)].store(u64::MAX, Ordering::Relaxed);
    }

    /// Appends what is due at `now` to `due`, from the place `from` on and for some lines, and gives the next place. Called by who
    /// holds [`Expiries::purging`].
    pub fn find_due(&self, root: u8, from: u64, now: u64, due: &mut Vec<(KeyHash, u64)>) -> Option<u64> {
        let table = self.shards[usize::from(root)].table.lock();
        let mut earliest = u64::MAX;
        let next = table.visit(from, AT_ONCE, |word, fingerprint, expiry_ms| {
            // Where there is no memory for it now, it is found at the next look.
            if expiry_ms <= now && memory::push(due, (KeyHash { root, word, fingerprint }, expiry_ms)).is_ok()
            {
            } else {
                earliest = earliest.min(expiry_ms);
            }
        });
        self.due[usize::from(root)].fetch_min(earliest, Ordering::Relaxed);
        next
    }

    /// Sees to it that a shard in which something due had to be left is looked at then.
    pub fn look_again(&self, root: u8, then: u64) {
        self.due[usize::from(root)].fetch_min(then, Ordering::Relaxed);
    }

    /// Shows all lines to `visit`, in the order of the hashes.
    pub fn for_each(&self, mut visit: impl FnMut(KeyHash, u64)) {
        for (root, shard) in (0..=u8::MAX).zip(&self.shards) {
            shard.table.lock().visit(0, usize::MAX, |word, fingerprint, expiry_ms| {
                visit(KeyHash { root, word, fingerprint }, expiry_ms);
            });
        }
    }

    /// The memory that all lines take, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        let used = self.shards.iter().filter(|shard| shard.len.load(Ordering::Relaxed) > 0);
        used.map(|shard| shard.table.lock().bytes()).sum()
    }
}
