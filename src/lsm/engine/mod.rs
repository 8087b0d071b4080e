//! One open store: what it consists of, and the moments that are read.

mod apply;
mod commit;
mod look;
mod pressure;

pub use apply::logged;
pub use commit::{Change, Operation, version_of};
pub use pressure::MOST_WAITING;

use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::key;
use super::memtable::Memtable;
use super::places::Places;
use super::ranges::Ranges;
use super::run::{Questions, Removing, Run};
use crate::bitcask::engine::clock::StoreClock;
use crate::index::KeyHasher;
use crate::log::Position;
use crate::log::append::Log;
use crate::log::catalog::Catalog;
use crate::log::told_time::ToldTime;
use crate::store::error::{Error, Result};
use crate::store::memory::{self, Refused};
use crate::store::options::Options;
use crate::sync::gate;
use crate::sync::lock::{Mutex, MutexGuard, RwLock};
use crate::sync::monitor::Monitor;
use crate::sync::signal::Signal;

/// Keys share so many locks.
const STRIPES: usize = 256;

/// The runs of each level.
pub type Levels = Vec<Vec<Arc<Run>>>;

/// What a store consists of at one moment. It never changes; a change makes another.
pub struct Tree {
    /// The memtable that writes go to.
    pub active: Arc<Memtable>,
    /// The memtables that are full, oldest first.
    pub frozen: Vec<Arc<Memtable>>,
    /// The runs of each level: of level 0 the newest first, of others in the order of their keys.
    pub levels: Arc<Levels>,
    /// The deletes of ranges that the manifest has.
    pub ranges: Arc<Ranges>,
}

impl Tree {
    /// The memtables, newest first.
    pub fn memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        [&self.active].into_iter().chain(self.frozen.iter().rev())
    }

    /// All runs.
    pub fn runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.levels.iter().flatten()
    }
}

/// Threads that look at keys are spread over so many places to find the tree in.
const NEAR: usize = 8;

#[repr(align(128))]
struct Near(RwLock<Arc<NearTree>>);

/// The tree, held by those who found it in one place: they count themselves here, and not with all others.
struct NearTree(Arc<Tree>);

/// What happened so far, in numbers.
#[derive(Default)]
pub struct Counters {
    /// Merges that ended.
    pub merges: AtomicU64,
    /// Bytes of runs that were written, by flushes and by merges.
    pub written_bytes: AtomicU64,
    /// What was asked of filters.
    pub questions: Questions,
}

/// A moment that is read, with what it is read from, until this is dropped.
pub struct Reading<'a> {
    engine: &'a Engine,
    /// The last sequence number that it sees.
    pub seq: u64,
    /// Where that is.
    pub tree: Arc<Tree>,
    ends: bool,
}

impl Reading<'_> {
    /// The moment is read until [`Engine::end_snapshot`] is called.
    pub fn goes_on(mut self) {
        self.ends = false;
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if self.ends {
            self.engine.end_snapshot(self.seq);
        }
    }
}

/// See the module.
pub struct Engine {
    /// How the store was opened.
    pub options: Options,
    /// The set of files.
    pub catalog: Arc<Catalog>,
    /// The log.
    pub log: Log,
    /// The time.
    pub clock: StoreClock,
    /// Makes the hashes of filters.
    pub hasher: KeyHasher,
    /// Held for a change that depends on what its key has.
    stripes: Vec<Mutex<()>>,
    /// The memtable that writes go to. Locked by who writes to the log and to that.
    writer: Mutex<Arc<Memtable>>,
    tree: RwLock<Arc<Tree>>,
    /// The same for who looks at a key: threads that do so on other cores do not wait for a cache line.
    near: [Near; NEAR],
    /// How many memtables of the tree are full, and, from bit 16 on, how many runs level 0 has: for who only wants to know that.
    backlog: AtomicUsize,
    /// All writes up to this sequence number are in the memtable, or in runs.
    visible: AtomicU64,
    /// The moments that are read, and by how many.
    snapshots: Mutex<BTreeMap<u64, usize>>,
    /// Held by who changes which runs there are.
    pub changing: Mutex<()>,
    /// Held by who writes memtables out.
    pub flushing: Mutex<()>,
    /// Held by who seals log files, which is done in their order.
    pub sealing: Mutex<()>,
    /// Held by who merges: runs that are damaged, and left alone.
    pub merging: Mutex<Vec<u32>>,
    /// Whether a merge is under way.
    pub is_merging: AtomicBool,
    /// Whether runs of level 0 will be merged without anybody's doing: writers wait for that.
    merges_come: AtomicBool,
    /// A memtable with so many bytes is full.
    pub memtable_size: usize,
    /// The number of the next list. The manifest has it as it was with the last flush, and the log all that came after that: so the
    /// next opening finds one that is not smaller than any that counts, whatever attempts failed.
    next_list: AtomicU64,
    /// Whether files of runs may be removed.
    pub removing: Arc<Removing>,
    /// Where scans go on.
    pub places: Places,
    /// Why the last memtable was not written out.
    pub flush_failure: Mutex<Option<Error>>,
    /// Whether threads of their own do the work that writers wait for.
    pub is_background: bool,
    /// Wakes who writes memtables out.
    pub flush_signal: Arc<Signal>,
    relieved: Monitor<()>,
    /// What somebody was told has expired.
    pub told_time: ToldTime,
    /// What happened so far.
    pub counters: Counters,
    /// Held as long as the store is open.
    _lock: Box<dyn Send + Sync>,
}

/// What a store is made of when it is opened.
pub struct Parts {
    pub options: Options,
    pub catalog: Arc<Catalog>,
    pub log: Log,
    pub clock: StoreClock,
    pub hasher: KeyHasher,
    pub tree: Tree,
    pub next_seq: u64,
    pub next_list: u64,
    pub removing: Arc<Removing>,
    pub time_ms: u64,
    pub is_background: bool,
    pub flush_signal: Arc<Signal>,
}

/// How large a memtable of a store with this budget becomes.
pub fn memtable_size(options: &Options) -> usize {
    usize::try_from(options.lsm_memory / 8).unwrap_or(usize::MAX).clamp(2 << 10, 64 << 20)
}

impl Engine {
    /// A store that was opened.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            options,
            catalog,
            log,
            clock,
            hasher,
            tree,
            next_seq,
            next_list,
            removing,
            time_ms,
            is_background,
            flush_signal,
        } = parts;
        let tree = match tree.active.seqs() {
            None => Tree { active: Arc::new(Memtable::new(memtable_size(&options))), ..tree },
            Some(_) => tree,
        };
        let tree = Arc::new(tree);
        Engine {
            memtable_size: memtable_size(&options),
            options,
            catalog,
            log,
            clock,
            hasher,
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
            writer: Mutex::new(tree.active.clone()),
            backlog: AtomicUsize::new(backlog_of(&tree)),
            near: std::array::from_fn(|_| Near(RwLock::new(Arc::new(NearTree(tree.clone()))))),
            tree: RwLock::new(tree),
            visible: AtomicU64::new(next_seq - 1),
            snapshots: Mutex::default(),
            changing: Mutex::default(),
            flushing: Mutex::default(),
            sealing: Mutex::default(),
            merging: Mutex::default(),
            is_merging: AtomicBool::new(false),
            merges_come: AtomicBool::new(true),
            next_list: AtomicU64::new(next_list),
            removing,
            places: Places::default(),
            flush_failure: Mutex::default(),
            is_background,
            flush_signal,
            relieved: Monitor::default(),
            told_time: ToldTime::new(time_ms),
            counters: Counters::default(),
            _lock: Box::new(()),
        }
    }

    /// The store, which holds this lock as long as it is open.
    pub fn holding(self, lock: Box<dyn Send + Sync>) -> Self {
        Engine { _lock: lock, ..self }
    }

    /// What the store consists of now.
    pub fn tree(&self) -> Arc<Tree> {
        self.tree.read().clone()
    }

    /// Makes another of what it consists of. That is small, and cannot be refused.
    pub fn change_tree(&self, next: impl FnOnce(&Tree) -> Tree) {
        let mut tree = self.tree.write();
        let next = next(&tree);
        self.backlog.store(backlog_of(&next), Ordering::Relaxed);
        *tree = Arc::new(next);
        for near in &self.near {
            *near.0.write() = Arc::new(NearTree(tree.clone()));
        }
    }

    /// As [`Engine::tree`], for a look at a key.
    fn near_tree(&self) -> Arc<NearTree> {
        self.near[gate::stripe() % NEAR].0.read().clone()
    }

    /// `Err` where the store takes no writes.
    pub fn check_writable(&self) -> Result<()> {
        if self.options.read_only {
            return Err(Error::ReadOnly);
        }
        // What a write is made of, and how it is found, are small things.
        Ok(memory::room_for_more()?)
    }

    /// A number that no list of this store ever had, or will have. An attempt that fails leaves it unused.
    pub fn take_list_number(&self) -> u64 {
        self.next_list.fetch_add(1, Ordering::Relaxed)
    }

    /// No list that is in a memtable or in a run has this number or a larger one.
    pub fn next_list(&self) -> u64 {
        self.next_list.load(Ordering::Relaxed)
    }

    /// The hash of one of the engine's keys, for filters.
    pub fn hash(&self, key: &[u8]) -> u64 {
        key::filter_hash(&self.hasher.hash(key))
    }

    // ---- Locks of keys ----

    fn stripe(&self, key: &[u8]) -> usize {
        usize::from(self.hasher.hash(key).root) % STRIPES
    }

    /// Keeps others from changing a key of the user's.
    pub fn lock_key(&self, key: &[u8]) -> MutexGuard<'_, ()> {
        self.stripes[self.stripe(key)].lock()
    }

    /// Keeps others from changing these keys.
    pub fn lock_keys<'a>(
        &self,
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Vec<MutexGuard<'_, ()>>, Refused> {
        let mut is_wanted = [false; STRIPES];
        keys.for_each(|key| is_wanted[self.stripe(key)] = true);
        let wanted = self.stripes.iter().zip(is_wanted).filter(|(_, is_wanted)| *is_wanted);
        memory::collect(wanted.map(|(stripe, _)| stripe.lock()))
    }

    /// Keeps others from changing any key.
    pub fn lock_all_keys(&self) -> Result<Vec<MutexGuard<'_, ()>>, Refused> {
        memory::collect(self.stripes.iter().map(|stripe| stripe.lock()))
    }

    // ---- Moments ----

    /// Begins to read the store as it is now.
    pub fn read(&self) -> Reading<'_> {
        // Nobody writes meanwhile: a writer that replaces a version asks first whether a snapshot sees it.
        let _no_writer = self.writer.lock();
        let seq = self.visible.load(Ordering::Acquire);
        *self.snapshots.lock().entry(seq).or_default() += 1;
        Reading { engine: self, seq, tree: self.tree(), ends: true }
    }

    /// Ends a snapshot.
    pub fn end_snapshot(&self, seq: u64) {
        let mut snapshots = self.snapshots.lock();
        if let Some(count) = snapshots.get_mut(&seq) {
            *count -= 1;
            if *count == 0 {
                snapshots.remove(&seq);
            }
        }
    }

    /// The moments that are read, oldest first.
    pub fn snapshots(&self) -> Result<Vec<u64>, Refused> {
        memory::collect(self.snapshots.lock().keys().copied())
    }

    /// How many are read.
    pub fn snapshot_count(&self) -> usize {
        self.snapshots.lock().values().sum()
    }

    /// All writes up to this are visible.
    pub fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// The number of the last record of the log, and where the log ends. Nobody writes at this moment.
    pub fn settled(&self) -> (u64, Position) {
        let _no_writer = self.writer.lock();
        // The numbers between what is visible and this belong to times that the log noted. They change no key: who follows goes past them.
        self.log.end()
    }

    // ---- Time ----

    /// Whether something that expires then has expired. Once this said yes, it does so for ever: the log holds a time that is no earlier
    /// before somebody is told.
    pub fn has_expired(&self, expiry_ms: u64) -> bool {
        let Some(now) = self.clock.has_come(expiry_ms) else { return false };
        if !self.options.read_only {
            self.told_time.tell(&self.log, expiry_ms, now);
        }
        true
    }
}

fn backlog_of(tree: &Tree) -> usize {
    tree.frozen.len().min(0xffff) | tree.levels.first().map_or(0, Vec::len) << 16
}
