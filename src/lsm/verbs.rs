//! The verbs of this engine: each goes inside the gate and does what `engine` has for it.

use crate::sync::atomic::Ordering;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::engine::{Engine, Operation};
use super::lists::{copied, copy_whole};
use super::memtable::Key;
use super::walk::Iter;
use super::{Lsm, backup, flush, key, merge, places};
use crate::disk::Disk;
use crate::format::frame::{self, Kind};
use crate::format::run::block::What;
use crate::store::backup::{BackupOptions, BackupProgress};
use crate::store::batch::Batch;
use crate::store::capabilities::Capabilities;
use crate::store::changes::{Follow, Following};
use crate::store::error::{Error, Result};
use crate::store::iter::{KeyList, Walk};
use crate::store::memory;
use crate::store::pinned::Pinned;
use crate::store::range::KeyRange;
use crate::store::stats::{FileStats, MergeProgress, Stats};
use crate::store::value::{Change, End, Seen, Shown, Type, incremented};
use crate::store::write::{PutOptions, Ttl, millis};
use crate::store::{Copying, Store};
use crate::sync::thread::NotCancelled;

fn check_can_sync(engine: &Engine) -> Result<()> {
    if engine.catalog.disk.is_volatile() {
        let message =
            "a store in memory cannot make anything durable: what it holds is gone with the process";
        return Err(Error::Unsupported { message: message.into() });
    }
    Ok(())
}

impl Engine {
    fn put(&self, key: &[u8], value: &[u8], options: &PutOptions) -> Result<bool> {
        self.check_writable()?;
        frame::check_key(key)?;
        frame::check_value_len(value.len() as u64)?;
        let mut expiry_ms = options.ttl.map(|life| self.clock.precise().saturating_add(millis(life)));
        let locked = self.lock_key(key);
        if options.if_absent || options.if_present || options.keep_ttl {
            let current = self.describe(key)?;
            if (options.if_absent && current.is_some()) || (options.if_present && current.is_none()) {
                return Ok(false);
            }
            if options.keep_ttl {
                expiry_ms = current.and_then(|(_, expiry_ms)| expiry_ms);
            }
        }
        self.commit(Operation::of_user(Kind::Put, key, value, expiry_ms)?, options.sync, locked)?;
        Ok(true)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.check_writable()?;
        frame::check_key(key)?;
        let locked = self.lock_key(key);
        match self.describe(key) {
            Ok(None) => return Ok(false),
            // What is damaged can be deleted, and is gone then.
            Ok(Some(_)) | Err(Error::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        self.commit(Operation::of_user(Kind::Tombstone, key, &[], None)?, false, locked)?;
        Ok(true)
    }

    fn delete_range(&self, range: &KeyRange<'_>) -> Result<()> {
        self.check_writable()?;
        let (from, to) = key::bounds(range)?;
        if from >= to {
            return Ok(());
        }
        let bounds = key::encode_bounds(&from, &to)?;
        let locked = self.lock_all_keys()?;
        let record =
            crate::log::append::Record { kind: Kind::Range, key: &[0], value: &bounds, expiry_ms: None };
        self.commit(Operation { record, key: Key::new(&[])? }, false, locked)
    }

    fn set_expiry(&self, key: &[u8], expiry_ms: Option<u64>) -> Result<bool> {
        self.check_writable()?;
        frame::check_key(key)?;
        let locked = self.lock_key(key);
        let found = self.find(key, |meta, value| {
            let kind = if meta.what == What::Head { Kind::Head } else { Kind::Put };
            copied(value).map(|value| (kind, value))
        })?;
        let Some(found) = found else { return Ok(false) };
        let (kind, value) = found?;
        self.commit(Operation::of_user(kind, key, &value, expiry_ms)?, false, locked)?;
        Ok(true)
    }

    /// Shows the value of a key to `visit`.
    fn value<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> Result<R>) -> Result<Option<R>> {
        let shown = self.find(key, |meta, value| match meta.what {
            What::Head => Err(Error::WrongType),
            _ => visit(value),
        })?;
        shown.transpose()
    }

    fn update(&self, key: &[u8], change: &mut dyn FnMut(Option<&[u8]>) -> Result<Change>) -> Result<()> {
        self.check_writable()?;
        frame::check_key(key)?;
        let locked = self.lock_key(key);
        let found = self.find(key, |meta, value| match meta.what {
            What::Head => Err(Error::WrongType),
            _ => Ok((meta.expiry_ms, copied(value)?)),
        })?;
        let found = found.transpose()?;
        let operation = match change(found.as_ref().map(|(_, value)| value.as_slice()))? {
            Change::Keep => return Ok(()),
            Change::Delete if found.is_none() => return Ok(()),
            Change::Delete => Operation::of_user(Kind::Tombstone, key, &[], None)?,
            Change::Put(value) => {
                frame::check_value_len(value.len() as u64)?;
                let expiry_ms = found.and_then(|(expiry_ms, _)| expiry_ms);
                return self.commit(Operation::of_user(Kind::Put, key, &value, expiry_ms)?, false, locked);
            }
        };
        self.commit(operation, false, locked)
    }

    fn stats(&self) -> Stats {
        let tree = self.tree();
        let files = {
            // Not held any longer: who appends waits for the manifest with the log's lock.
            let manifest = self.catalog.manifest();
            manifest.files.len() + manifest.ordered.runs.len()
        };
        let log_bytes = self.catalog.bytes();
        let of_runs = |count: fn(&super::run::Run) -> u64| tree.runs().map(|run| count(run)).sum::<u64>();
        let in_memory: u64 = tree.memtables().map(|table| table.keys() as u64).sum();
        let memory: u64 = tree.memtables().map(|table| table.bytes() as u64).sum();
        Stats {
            // No more than this: a key may be in several places. A count goes through all of them.
            keys: of_runs(|run| run.footer.keys) + in_memory,
            files: files as u64,
            data_bytes: log_bytes + of_runs(|run| run.entry.length),
            live_bytes: memory + of_runs(|run| run.footer.data_bytes),
            index_bytes: memory + of_runs(|run| run.memory_bytes()),
            merges: self.counters.merges.load(Ordering::Relaxed),
            merging: self.is_merging.load(Ordering::Relaxed),
            appended_bytes: self.log.appended_bytes(),
            merged_bytes: self.counters.written_bytes.load(Ordering::Relaxed),
            syncs: self.log.syncs.load(Ordering::Relaxed),
            sync_nanos: self.log.sync_nanos.load(Ordering::Relaxed),
            expired_keys: 0,
            snapshots: self.snapshot_count() as u64,
            clock_ahead_ms: self.clock.read().ahead_ms(),
        }
    }
}

impl Store for Lsm {
    fn capabilities(&self) -> Result<Capabilities> {
        let engine = self.shared.enter()?;
        let can = Capabilities::ORDER | Capabilities::SNAPSHOT | Capabilities::BATCH | Capabilities::MERGE;
        Ok(if engine.catalog.disk.is_volatile() { can } else { can | Capabilities::SYNC })
    }

    fn close(&self) -> Result<()> {
        super::close::close(&self.shared)
    }

    fn check_may_wait(&self) -> Result<()> {
        self.shared.check_may_wait()
    }

    fn poison(&self, reason: &str) {
        if let Ok(engine) = self.shared.enter() {
            engine.catalog.poison.set_reason(reason);
        }
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.change(false, |engine| engine.put(key, value, &PutOptions::default()).map(drop))
    }

    fn put_with(&self, key: &[u8], value: &[u8], options: &PutOptions) -> Result<bool> {
        self.change(false, |engine| {
            if options.sync {
                check_can_sync(engine)?;
            }
            engine.put(key, value, options)
        })
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.change(true, |engine| engine.delete(key))
    }

    fn write(&self, batch: &Batch) -> Result<()> {
        self.change(false, |engine| engine.write(batch, true))
    }

    fn copy(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        self.shared.enter()?.value(key, |value| {
            if to.begin(value.len()) {
                to.copy(value);
            }
            Ok(value.len())
        })
    }

    fn show(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let engine = self.shared.enter()?;
        let shown = engine.value(key, |value| {
            let _visiting = self.shared.engine.visit();
            visit(value);
            Ok(())
        });
        Ok(shown?.is_some())
    }

    fn get_pinned(&self, key: &[u8]) -> Result<Option<Pinned>> {
        self.shared.enter()?.value(key, Pinned::copied)
    }

    fn get_many(&self, keys: &[&[u8]], out: &mut Vec<Result<Option<Pinned>>>) -> Result<()> {
        let engine = self.shared.enter()?;
        memory::reserve(out, keys.len())?;
        out.extend(keys.iter().map(|key| engine.value(key, Pinned::copied)));
        Ok(())
    }

    fn exists(&self, key: &[u8]) -> Result<bool> {
        Ok(self.shared.enter()?.describe(key)?.is_some())
    }

    fn walk(&self, prefix: &[u8]) -> Result<Box<dyn Walk>> {
        Ok(memory::boxed(Iter::new(&self.shared, key::prefix_bounds(prefix)?, false)?)?)
    }

    fn walk_range(&self, range: &KeyRange<'_>) -> Result<Box<dyn Walk>> {
        Ok(memory::boxed(Iter::new(&self.shared, key::bounds(range)?, range.reverse)?)?)
    }

    fn delete_range(&self, range: &KeyRange<'_>) -> Result<()> {
        self.change(true, |engine| engine.delete_range(range))
    }

    fn count(&self) -> Result<u64> {
        let mut count = 0;
        let mut walk = Iter::new(&self.shared, key::prefix_bounds(&[])?, false)?;
        while walk.pass_row()? {
            count += 1;
        }
        Ok(count)
    }

    fn ttl(&self, key: &[u8]) -> Result<Option<Ttl>> {
        let engine = self.shared.enter()?;
        let found = engine.describe(key)?;
        let now = engine.clock.precise();
        Ok(found.map(|(_, expiry_ms)| match expiry_ms {
            None => Ttl::Forever,
            Some(expiry_ms) => Ttl::Left(Duration::from_millis(expiry_ms.saturating_sub(now))),
        }))
    }

    fn set_ttl(&self, key: &[u8], ttl_ms: Option<u64>) -> Result<bool> {
        self.change(true, |engine| {
            let expiry_ms = ttl_ms.map(|ttl| engine.clock.precise().saturating_add(ttl));
            engine.set_expiry(key, expiry_ms)
        })
    }

    fn sync(&self) -> Result<()> {
        let engine = self.shared.enter()?;
        if engine.options.read_only {
            return Ok(());
        }
        engine.check_writable()?;
        check_can_sync(&engine)?;
        engine.log.sync()
    }

    fn merge(&self, watch: &mut dyn FnMut(&MergeProgress) -> ControlFlow<()>) -> Result<bool> {
        self.shared.enter()?.check_writable()?;
        self.shared.check_may_wait()?;
        let _not_cancelled = NotCancelled::begin();
        self.shared.enter()?.freeze_all();
        flush::flush_all(&self.shared)?;
        merge::run_all(&self.shared, watch)
    }

    fn check_can_backup(&self) -> Result<()> {
        self.shared.enter().map(drop)
    }

    fn backup(
        &self,
        to: Arc<dyn Disk>,
        options: &BackupOptions,
        watch: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<bool> {
        backup::backup(&self.shared, to, options, watch)
    }

    fn identity(&self) -> Result<[u8; 16]> {
        let engine = self.shared.enter()?;
        let id = engine.catalog.manifest().store_id;
        Ok(id)
    }

    fn last_seq(&self) -> Result<u64> {
        self.shared.check_may_wait()?;
        let engine = self.shared.enter()?;
        let (seq, end) = engine.settled();
        if !engine.options.read_only && engine.syncs_always() {
            engine.log.wait_durable(end)?;
        }
        Ok(seq)
    }

    fn written_seq(&self) -> Result<u64> {
        self.shared.check_may_wait()?;
        Ok(self.shared.enter()?.settled().0)
    }

    fn changes(&self, after: u64) -> Result<Box<dyn Follow>> {
        Ok(memory::boxed(Following::new(&self.shared, after)?)?)
    }

    fn stats(&self) -> Result<Stats> {
        Ok(self.shared.enter()?.stats())
    }

    fn file_stats(&self) -> Result<Vec<FileStats>> {
        let tree = self.shared.enter()?.tree();
        let mut stats = memory::collect(tree.runs().map(|run| FileStats {
            id: run.entry.id,
            bytes: run.entry.length,
            live_bytes: run.footer.data_bytes,
            records: run.footer.entries,
            live_records: run.footer.keys - run.footer.tombstones.min(run.footer.keys),
        }))?;
        stats.sort_unstable_by_key(|file| file.id);
        Ok(stats)
    }

    fn write_hints(&self) -> Result<()> {
        // A start reads the log behind the last flush, and nothing else.
        self.shared.enter()?.check_writable()?;
        self.shared.check_may_wait()
    }

    fn write_now(&self, batch: &Batch) -> Result<bool> {
        let engine = self.shared.enter()?;
        engine.check_flushes(false)?;
        engine.write(batch, false)?;
        Ok(engine.is_behind())
    }

    fn pause(&self) -> Result<()> {
        Lsm::pause(self, true)
    }

    fn now_ms(&self) -> Result<u64> {
        Ok(self.shared.enter()?.clock.precise())
    }

    fn look(&self, key: &[u8], visit: &mut dyn FnMut(Seen<'_>)) -> Result<bool> {
        let engine = self.shared.enter()?;
        let shown = engine.find(key, |meta, value| {
            let length = if meta.what == What::Head { engine.list_of(meta, value)?.head.length() } else { 0 };
            let (holds, value) = match meta.what {
                What::Head => (Type::List, &[][..]),
                _ => (Type::Value, value),
            };
            let _visiting = self.shared.engine.visit();
            visit(Seen { holds, value, length, expiry_ms: meta.expiry_ms });
            Ok(())
        })?;
        shown.transpose().map(|shown| shown.is_some())
    }

    fn read_many(&self, keys: &[&[u8]], visit: &mut dyn FnMut(Shown<'_>)) -> Result<()> {
        let engine = self.shared.enter()?;
        let _visiting = self.shared.engine.visit();
        for key in keys {
            let mut shown = false;
            let read = engine.value(key, |value| {
                shown = true;
                visit(Ok(Some(value)));
                Ok(())
            });
            if !shown {
                visit(read.map(|_| None));
            }
        }
        Ok(())
    }

    fn scan(&self, from: u64, most: usize, visit: &mut dyn FnMut(&[u8], Type)) -> Result<Option<u64>> {
        let (mut first, last) = key::prefix_bounds(&[])?;
        let start = self.shared.enter()?.places.key_of(from)?;
        first.extend_from_slice(&start);
        let mut walk = Iter::new(&self.shared, (first, last), false)?;
        let (mut count, mut before) = (0, None);
        while walk.pass_row()? {
            let (key, holds) = walk.key();
            if count >= most.max(1) {
                return self.shared.enter()?.places.place_of(key, before).map(Some);
            }
            (count, before) = (count + 1, Some(places::first_bytes(key)));
            let _visiting = self.shared.engine.visit();
            visit(key, holds);
        }
        Ok(None)
    }

    fn type_of(&self, key: &[u8]) -> Result<Option<Type>> {
        Ok(self.shared.enter()?.describe(key)?.map(|(holds, _)| holds))
    }

    fn push(&self, key: &[u8], value: &[u8], end: End) -> Result<u64> {
        self.change(false, |engine| engine.push(key, value, end))
    }

    fn pop(&self, key: &[u8], end: End, to: &mut dyn Copying) -> Result<Option<usize>> {
        self.change(true, |engine| engine.pop(key, end, to))
    }

    fn list_move(
        &self,
        from: (&[u8], End),
        to: (&[u8], End),
        out: &mut dyn Copying,
    ) -> Result<Option<usize>> {
        self.change(true, |engine| engine.list_move(from, to, out))
    }

    fn list_length(&self, key: &[u8]) -> Result<Option<u64>> {
        self.shared.enter()?.list_length(key)
    }

    fn list_get(&self, key: &[u8], index: i64) -> Result<Option<Vec<u8>>> {
        self.shared.enter()?.list_get(key, index)
    }

    fn list_set(&self, key: &[u8], index: i64, value: &[u8]) -> Result<bool> {
        self.change(false, |engine| engine.list_set(key, index, value))
    }

    fn list_range(&self, key: &[u8], first: i64, last: i64) -> Result<Option<KeyList>> {
        self.shared.enter()?.list_range(key, first, last)
    }

    fn get_delete(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        let mut had = None;
        self.change(true, |engine| {
            engine.update(key, &mut |value| {
                had = value.map(|value| copy_whole(value, to)).transpose()?;
                Ok(Change::Delete)
            })
        })?;
        Ok(had)
    }

    fn compare_and_swap(&self, key: &[u8], expected: Option<&[u8]>, desired: Option<&[u8]>) -> Result<bool> {
        if let Some(desired) = desired {
            frame::check_value_len(desired.len() as u64)?;
        }
        let mut is_expected = false;
        self.change(false, |engine| {
            engine.update(key, &mut |value| {
                is_expected = value == expected;
                match desired {
                    _ if !is_expected => Ok(Change::Keep),
                    Some(desired) => Ok(Change::Put(copied(desired)?)),
                    None => Ok(Change::Delete),
                }
            })
        })?;
        Ok(is_expected)
    }

    fn increment(&self, key: &[u8], by: i64) -> Result<i64> {
        let mut sum = Err(Error::Closed);
        self.change(false, |engine| {
            engine.update(key, &mut |value| {
                let number = incremented(value, by)?;
                sum = Ok(number);
                Ok(Change::Put(number.to_string().into_bytes()))
            })
        })?;
        sum
    }

    fn update(&self, key: &[u8], change: &mut dyn FnMut(Option<&[u8]>) -> Result<Change>) -> Result<()> {
        self.change(false, |engine| engine.update(key, change))
    }
}
