//! One open store: what a write and a look at a key consist of.
//!
//! A write: limits, the lock of the key's stripe where it depends on what is there; then, one writer at a time, the log and the memtable;
//! then, where asked for, the disk. A look: memtables, newest first, then runs, newest first, each behind its filter.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::key::{self, RangeDelete};
use super::memtable::{self, Memtable, Version};
use super::places::Places;
use super::ranges::Ranges;
use super::run::{Questions, Removing, Run};
use crate::bitcask::engine::clock::StoreClock;
use crate::format::frame::{self, Kind};
use crate::format::run::block::{Meta, What};
use crate::index::KeyHasher;
use crate::log::Position;
use crate::log::append::{Log, Record};
use crate::log::catalog::Catalog;
use crate::store::error::{Error, Result};
use crate::store::memory::{self, Refused, vec_with_room};
use crate::store::options::{MergeMode, Options, SyncMode};
use crate::store::value::Type;
use crate::sync::gate;
use crate::sync::lock::{Mutex, MutexGuard, RwLock};
use crate::sync::monitor::Monitor;
use crate::sync::signal::Signal;
use crate::sync::thread::NotCancelled;

/// Keys share so many locks.
const STRIPES: usize = 256;
/// So many memtables that are full may wait to be written out before writers wait a little: more than are written out together.
const FEW_FROZEN: usize = 5;
/// Where runs cannot be written, puts are refused when so many wait, and everything when twice as many do.
const MOST_FROZEN: usize = 4;
/// When so many wait, no writer goes on until one was written out, as long as that works: with the one that is written to they take
/// seven eighths of `lsm_memory`.
const MOST_WAITING: usize = 6;
/// So many runs that overlap make writers wait a little.
const MANY_RUNS: usize = 20;
/// A write waits for at most this long.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// The runs of each level.
pub type Levels = Vec<Vec<Arc<Run>>>;

/// What a store consists of at one moment. It never changes; a change makes another.
pub struct Tree {
    /// The memtable that writes go to.
    pub active: Arc<Memtable>,
    /// Those that are full, oldest first.
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

/// One operation of a write, with the engine's key.
pub struct Operation<'a> {
    /// What goes into the log.
    pub record: Record<'a>,
    /// What it is about: empty for the delete of a range.
    pub key: Vec<u8>,
}

impl<'a> Operation<'a> {
    /// About a key of the user's.
    pub fn of_user(kind: Kind, key: &'a [u8], value: &'a [u8], expiry_ms: Option<u64>) -> Result<Self> {
        Ok(Operation { record: Record { kind, key, value, expiry_ms }, key: key::of_user(key)? })
    }

    /// About an element of a list; `logged` is its key in the log.
    pub fn of_element(kind: Kind, logged: &'a [u8], (id, position): (u64, i64), value: &'a [u8]) -> Self {
        // Few bytes, which are not refused: see `store::memory`.
        let key = key::of_element(id, position).to_vec();
        Operation { record: Record { kind, key: logged, value, expiry_ms: None }, key }
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
    /// The latest time that is known to be in the log.
    pub logged_time_ms: AtomicU64,
    /// The latest time that somebody was told of, or is about to be.
    pub told_time_ms: AtomicU64,
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
    /// It is read until [`Engine::end_snapshot`] is called.
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
    /// Held by who writes to the log and the memtable.
    writer: Mutex<()>,
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
            writer: Mutex::new(()),
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
            counters: Counters { logged_time_ms: time_ms.into(), ..Counters::default() },
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

    /// All writes up to a number are visible, and nobody writes behind it at this moment; the number of the last record of the log, and
    /// where that ends.
    pub fn settled(&self) -> (u64, u64, Position) {
        let _no_writer = self.writer.lock();
        let (last, end) = self.log.end();
        (self.visible(), last, end)
    }

    // ---- Writes ----

    /// Writes all operations or, where it fails, none of them. Lets go of what keeps others from the keys before it waits for the disk.
    pub fn commit<L>(&self, operations: &[Operation<'_>], sync: bool, locked: L) -> Result<()> {
        self.commit_as(operations, sync || self.syncs_always(), locked)
    }

    /// Whether every write is durable before somebody is told of it.
    pub fn syncs_always(&self) -> bool {
        self.options.sync == SyncMode::Always
    }

    /// As [`Engine::commit`]; waits for the disk where `waits` says so.
    pub fn commit_as<L>(&self, operations: &[Operation<'_>], waits: bool, locked: L) -> Result<()> {
        self.check_writable()?;
        if operations.is_empty() {
            return Ok(());
        }
        let mut versions = vec_with_room(operations.len())?;
        for operation in operations {
            versions.push(version_of(&operation.record)?);
        }
        let mut keys: Vec<(memtable::Key, u64)> = vec_with_room(operations.len())?;
        for operation in operations {
            keys.push((memtable::Key::new(&operation.key)?, self.hash(&operation.key)));
        }
        let mut records = vec_with_room(operations.len())?;
        records.extend(operations.iter().map(|operation| operation.record));
        let mut appended = vec_with_room(operations.len())?;
        if operations.len() > 1 {
            memtable::make_room(operations.len())?;
        }
        let time_ms = self.clock.coarse();
        let end = {
            let _not_cancelled = NotCancelled::begin();
            let _alone = self.writer.lock();
            let tree = self.tree();
            let table = &tree.active;
            match records.as_slice() {
                [record] => appended.push(self.log.append(record, time_ms)?),
                records => self.log.append_batch(records, time_ms, &mut appended)?,
            }
            let newest_snapshot = self.snapshots.lock().last_key_value().map(|(seq, _)| *seq);
            let (mut end, mut last) = (Position::default(), 0);
            for (((key, hash), version), appended) in keys.into_iter().zip(versions).zip(&appended) {
                (end, last) = (appended.end, appended.seq);
                match version {
                    Change::Version(mut version) => {
                        version.meta.seq = appended.seq;
                        table.insert(key, hash, version, newest_snapshot);
                    }
                    Change::Range { from, to } => {
                        table.delete_range(RangeDelete { id: 0, seq: appended.seq, from, to });
                    }
                }
            }
            self.visible.store(last, Ordering::Release);
            self.note_memory();
            if table.is_full(self.memtable_size) {
                self.freeze();
            }
            end
        };
        drop(locked);
        if waits {
            self.log.wait_durable(end)?;
        }
        Ok(())
    }

    /// A new memtable takes over. For who holds the writer's lock, or is alone.
    fn freeze(&self) {
        let active = Arc::new(Memtable::new(self.memtable_size));
        self.change_tree(|tree| Tree {
            active,
            frozen: tree.frozen.iter().chain([&tree.active]).cloned().collect(),
            levels: tree.levels.clone(),
            ranges: tree.ranges.clone(),
        });
        self.flush_signal.wake();
    }

    /// A new memtable takes over where the last one has something.
    pub fn freeze_all(&self) {
        let _alone = self.writer.lock();
        if self.tree().active.seqs().is_some() {
            self.freeze();
        }
    }

    /// Tells a disk in memory what memtables take, which counts for its limit: late, and they would take what is kept free for deletes.
    pub fn note_memory(&self) {
        if self.catalog.disk.is_volatile() {
            let memory = self.tree().memtables().map(|table| table.bytes() as u64).sum();
            self.catalog.disk.note_memory(memory);
        }
    }

    /// Gives what is set aside for merges to who writes runs. False where that was done before, and in memory, where the limit is kept
    /// to in another way.
    pub fn release_room_for_runs(&self) -> bool {
        !self.catalog.disk.is_volatile() && self.catalog.release_for_merges()
    }

    /// Whether a writer should wait a little before it writes more.
    pub fn is_behind(&self) -> bool {
        let (waiting, runs) = self.backlog();
        waiting >= FEW_FROZEN || runs >= MANY_RUNS
    }

    /// How many memtables wait to be written out, and how many runs for a merge that comes by itself.
    fn backlog(&self) -> (usize, usize) {
        let backlog = self.backlog.load(Ordering::Relaxed);
        let is_merged = self.options.merge == MergeMode::Auto && self.merges_come.load(Ordering::Relaxed);
        (backlog & 0xffff, if is_merged { backlog >> 16 } else { 0 })
    }

    /// Says whether writers should wait for merges.
    pub fn set_merges_come(&self, merges_come: bool) {
        self.merges_come.store(merges_come, Ordering::Relaxed);
    }

    /// `Err` where memtables cannot be written out and too many of them wait.
    pub fn check_flushes(&self, makes_room: bool) -> Result<()> {
        let most = if makes_room { 2 * MOST_FROZEN } else { MOST_FROZEN };
        if self.backlog().0 < most {
            return Ok(());
        }
        match self.flush_failure.lock().clone() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Lets a writer wait a little where memtables wait to be written out, or runs to be merged. True where it is to call again before
    /// it writes. `Err` where memtables cannot be written out and too many wait. To be called without a lock.
    pub fn pause(&self, makes_room: bool) -> Result<bool> {
        let (waiting, runs) = self.backlog();
        if waiting < FEW_FROZEN && runs < MANY_RUNS {
            return Ok(false);
        }
        self.check_flushes(makes_room)?;
        if self.is_background {
            let behind = waiting.saturating_sub(FEW_FROZEN - 1).max(runs.saturating_sub(MANY_RUNS - 1));
            let pause =
                LONGEST_PAUSE.min(Duration::from_micros(250) * 2u32.saturating_pow(behind.min(10) as u32));
            let _not_cancelled = NotCancelled::begin();
            drop(self.relieved.wait_for(self.relieved.lock(), pause));
        }
        // What fails there stops the writes that come after this one.
        let _ = self.log.stay_near_disk();
        let is_written_out = self.is_background
            && !self.options.read_only
            && self.flush_failure.lock().is_none()
            && self.catalog.poison.check().is_ok();
        Ok(is_written_out && self.backlog().0 >= MOST_WAITING)
    }

    /// Something was done that writers may be waiting for.
    pub fn relieve(&self) {
        self.relieved.notify_all();
    }

    // ---- Looks ----

    /// Shows the newest version of one of the engine's keys that a reader at `seq` sees, if it says that the key is there, to `visit`.
    pub fn look<R>(
        &self,
        tree: &Tree,
        key: &[u8],
        seq: u64,
        visit: impl FnOnce(&Meta, &[u8]) -> R,
    ) -> Result<Option<R>> {
        let mut visit = Some(visit);
        let mut show = |meta: &Meta, value: &[u8], deleted: u64| {
            let is_there = meta.what != What::Nothing && meta.seq >= deleted;
            visit.take().filter(|_| is_there).map(|visit| visit(meta, value))
        };
        let mut deleted = 0;
        let (hash, questions) = (self.hash(key), &self.counters.questions);
        for table in tree.memtables().filter(|table| table.may_say_something(hash)) {
            let (version, covering) = table.get(key, seq);
            deleted = deleted.max(covering);
            if let Some(version) = version {
                return Ok(show(&version.meta, &version.value, deleted));
            }
        }
        if tree.levels.is_empty() {
            return Ok(None);
        }
        deleted = deleted.max(tree.ranges.covering(key, seq));
        let _not_cancelled = NotCancelled::begin();
        for (n, level) in tree.levels.iter().enumerate() {
            let runs = match n {
                0 => level.as_slice(),
                _ => {
                    let n = level.partition_point(|run| run.last_key.as_slice() < key);
                    level.get(n..=n).unwrap_or_default()
                }
            };
            for run in runs {
                if let Some(shown) =
                    run.get(key, hash, seq, questions, |meta, value| show(meta, value, deleted))?
                {
                    return Ok(shown);
                }
            }
        }
        Ok(None)
    }

    /// As [`Engine::look`], at a key of the user's, as it is now; `None` also where it has expired.
    pub fn find<R>(&self, key: &[u8], visit: impl FnOnce(&Meta, &[u8]) -> R) -> Result<Option<R>> {
        frame::check_key(key)?;
        let found = self.look(&self.near_tree().0, &key::of_user(key)?, u64::MAX, |meta, value| {
            let expired = meta.expiry_ms.is_some_and(|expiry_ms| self.has_expired(expiry_ms));
            (!expired).then(|| visit(meta, value))
        });
        Ok(found?.flatten())
    }

    /// What a key of the user's holds and when it expires.
    pub fn describe(&self, key: &[u8]) -> Result<Option<(Type, Option<u64>)>> {
        self.find(key, |meta, _| {
            let holds = if meta.what == What::Head { Type::List } else { Type::Value };
            (holds, meta.expiry_ms)
        })
    }

    /// The sequence number of the newest version of one of the engine's keys; 0 where there is none, or none that is not deleted.
    pub fn newest_seq(&self, key: &[u8]) -> Result<u64> {
        Ok(self.look(&self.tree(), key, u64::MAX, |meta, _| meta.seq)?.unwrap_or(0))
    }

    // ---- Time ----

    /// Whether something that expires then has expired. Once this said yes, it does so for ever: the log holds a time that is no earlier
    /// before somebody is told.
    pub fn has_expired(&self, expiry_ms: u64) -> bool {
        let Some(now) = self.clock.has_come(expiry_ms) else { return false };
        if self.counters.logged_time_ms.load(Ordering::Acquire) < expiry_ms && !self.options.read_only {
            self.counters.told_time_ms.fetch_max(expiry_ms, Ordering::Relaxed);
            self.log_time(expiry_ms, now);
        }
        true
    }

    /// Tries again to log a time that somebody was told of.
    pub fn log_told_time(&self) {
        let told = self.counters.told_time_ms.load(Ordering::Relaxed);
        if self.counters.logged_time_ms.load(Ordering::Relaxed) < told {
            self.log_time(told, self.clock.precise());
        }
    }

    fn log_time(&self, least: u64, now: u64) {
        let _not_cancelled = NotCancelled::begin();
        if let Ok(time_ms) = self.log.record_time(least, now) {
            self.counters.logged_time_ms.fetch_max(time_ms, Ordering::Release);
        }
    }

    /// The latest time that somebody may have been told of: what the manifest says when the log's notes of it go.
    pub fn known_time_ms(&self) -> u64 {
        let Counters { logged_time_ms, told_time_ms, .. } = &self.counters;
        logged_time_ms.load(Ordering::Relaxed).max(told_time_ms.load(Ordering::Relaxed))
    }
}

fn backlog_of(tree: &Tree) -> usize {
    tree.frozen.len().min(0xffff) | tree.levels.first().map_or(0, Vec::len) << 16
}

/// What a record makes of the memtable.
pub enum Change {
    /// A version of its key, whose sequence number is not known yet.
    Version(Version),
    /// All keys from the first on and before the second are no more.
    Range { from: Vec<u8>, to: Vec<u8> },
}

/// What a record makes of the memtable.
pub fn version_of(record: &Record<'_>) -> Result<Change> {
    let what = match record.kind {
        Kind::Head => What::Head,
        Kind::Tombstone | Kind::Gone => What::Nothing,
        Kind::Range => {
            let (from, to) = key::decode_bounds(record.value).map_err(Error::invalid)?;
            return Ok(Change::Range { from: memory::copy_of(from)?, to: memory::copy_of(to)? });
        }
        _ => What::Value,
    };
    let meta = Meta { what, seq: 0, expiry_ms: record.expiry_ms };
    Ok(Change::Version(Version { meta, value: Arc::new(memory::copy_of(record.value)?) }))
}
