//! A write: limits, the lock of the key's stripe; then, one writer at a time, the log and the memtable; then, where asked for, the disk.

use crate::sync::atomic::Ordering;
use std::sync::Arc;

use super::{Engine, Tree};
use crate::format::frame::Kind;
use crate::format::run::block::{Meta, What};
use crate::log::Position;
use crate::log::append::Record;
use crate::lsm::key::{self, RangeDelete};
use crate::lsm::memtable::{self, Key, Memtable, NewValue};
use crate::store::error::{Error, Result};
use crate::store::memory::{self, vec_with_room};
use crate::store::options::SyncMode;
use crate::sync::thread::NotCancelled;

/// One operation of a write, with the engine's key.
pub struct Operation<'a> {
    /// What goes into the log.
    pub record: Record<'a>,
    /// What it is about: empty for the delete of a range.
    pub key: Key,
}

impl<'a> Operation<'a> {
    /// About a key of the user's.
    pub fn of_user(kind: Kind, key: &'a [u8], value: &'a [u8], expiry_ms: Option<u64>) -> Result<Self> {
        Ok(Operation { record: Record { kind, key, value, expiry_ms }, key: Key::of_user(key)? })
    }

    /// About an element of a list; `logged` is its key in the log.
    pub fn of_element(
        kind: Kind,
        logged: &'a [u8],
        (id, position): (u64, i64),
        value: &'a [u8],
    ) -> Result<Self> {
        let key = Key::new(&key::of_element(id, position))?;
        Ok(Operation { record: Record { kind, key: logged, value, expiry_ms: None }, key })
    }
}

/// What comes into the memtable once the log has it.
pub struct Entering<'a> {
    key: Key,
    hash: u64,
    change: Change<'a>,
}

impl<'a> Entering<'a> {
    /// This change of one of the engine's keys.
    pub fn new(engine: &Engine, key: Key, change: Change<'a>) -> Self {
        Entering { hash: engine.hash(key.bytes()), key, change }
    }

    /// See [`Change::room`].
    pub fn room(&self) -> usize {
        self.change.room()
    }
}

impl Engine {
    /// Writes one operation. Lets go of what keeps others from its key before it waits for the disk, which it does where `sync` or the
    /// options say so.
    pub fn commit<L>(&self, operation: Operation<'_>, sync: bool, locked: L) -> Result<()> {
        self.commit_one(operation, sync || self.syncs_always(), locked)
    }

    /// Whether every write is durable before somebody is told of it.
    pub fn syncs_always(&self) -> bool {
        self.options.sync == SyncMode::Always
    }

    fn commit_one<L>(&self, operation: Operation<'_>, waits: bool, locked: L) -> Result<()> {
        self.check_writable()?;
        let record = operation.record;
        let entering = self.entering(operation)?;
        let time_ms = self.clock.coarse();
        let end = {
            let _not_cancelled = NotCancelled::begin();
            let mut active = self.writer.lock();
            active.make_room(entering.room())?;
            let appended = self.log.append(&record, time_ms)?;
            self.enter(&mut active, [(entering, appended.seq)]);
            appended.end
        };
        drop(locked);
        if waits { self.log.wait_durable(end) } else { Ok(()) }
    }

    /// As [`Engine::commit`], for several operations, of which all are written or, where that fails, none; waits for the disk where
    /// `waits` says so.
    pub fn commit_all<L>(&self, operations: Vec<Operation<'_>>, waits: bool, locked: L) -> Result<()> {
        self.check_writable()?;
        if operations.len() < 2 {
            let only = operations.into_iter().next();
            return only.map_or(Ok(()), |operation| self.commit_one(operation, waits, locked));
        }
        let mut records = vec_with_room(operations.len())?;
        records.extend(operations.iter().map(|operation| operation.record));
        let mut entering = vec_with_room(operations.len())?;
        for operation in operations {
            entering.push(self.entering(operation)?);
        }
        let mut appended = vec_with_room(records.len())?;
        memtable::make_room(records.len())?;
        let time_ms = self.clock.coarse();
        let end = {
            let _not_cancelled = NotCancelled::begin();
            let mut active = self.writer.lock();
            active.make_room(entering.iter().map(|entering| entering.room()).sum())?;
            self.log.append_batch(&records, time_ms, &mut appended)?;
            let seqs = appended.iter().map(|appended| appended.seq);
            self.enter(&mut active, entering.into_iter().zip(seqs));
            appended.last().map_or(Position::default(), |appended| appended.end)
        };
        drop(locked);
        if waits { self.log.wait_durable(end) } else { Ok(()) }
    }

    fn entering<'a>(&self, operation: Operation<'a>) -> Result<Entering<'a>> {
        let Operation { record, key } = operation;
        Ok(Entering::new(self, key, version_of(&record)?))
    }

    /// Puts what the log has, with its sequence numbers, into the memtable, and lets it be seen. For who holds the writer's lock.
    pub(super) fn enter<'a>(
        &self,
        active: &mut Arc<Memtable>,
        all: impl IntoIterator<Item = (Entering<'a>, u64)>,
    ) {
        let newest_snapshot = self.snapshots.lock().last_key_value().map(|(seq, _)| *seq);
        let mut last = 0;
        for (Entering { key, hash, change }, seq) in all {
            last = seq;
            match change {
                Change::Version(meta, value) => {
                    active.insert(key, hash, Meta { seq, ..meta }, value, newest_snapshot);
                }
                Change::Range { from, to } => active.delete_range(RangeDelete { id: 0, seq, from, to }),
            }
        }
        self.visible.store(last, Ordering::Release);
        self.note_memory();
        if active.is_full(self.memtable_size) {
            self.freeze(active);
        }
    }

    /// A new memtable takes over. For who holds the writer's lock.
    fn freeze(&self, active: &mut Arc<Memtable>) {
        *active = Arc::new(Memtable::new(self.memtable_size));
        self.change_tree(|tree| Tree {
            active: active.clone(),
            frozen: tree.frozen.iter().chain([&tree.active]).cloned().collect(),
            levels: tree.levels.clone(),
            ranges: tree.ranges.clone(),
        });
        self.flush_signal.wake();
    }

    /// A new memtable takes over where the last one has something.
    pub fn freeze_all(&self) {
        let mut active = self.writer.lock();
        if active.seqs().is_some() {
            self.freeze(&mut active);
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
}

/// What a record makes of the memtable.
pub enum Change<'a> {
    /// A version of its key, whose sequence number is not known yet.
    Version(Meta, NewValue<'a>),
    /// All keys from the first on and before the second are no more.
    Range { from: Vec<u8>, to: Vec<u8> },
}

impl Change<'_> {
    /// The room that it needs for its value: see [`Memtable::make_room`].
    pub fn room(&self) -> usize {
        if let Change::Version(_, value) = self { value.room() } else { 0 }
    }
}

/// What a record makes of the memtable.
pub fn version_of<'a>(record: &Record<'a>) -> Result<Change<'a>> {
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
    Ok(Change::Version(meta, NewValue::new(record.value)?))
}
