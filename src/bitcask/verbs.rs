//! The verbs of this engine: each goes inside the gate and does what `engine` has for it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::bitcask::background::{merge, seal};
use crate::bitcask::engine::space::sealed;
use crate::bitcask::engine::{Condition, Engine};
use crate::bitcask::iter::Iter;
use crate::bitcask::lifecycle::hints;
use crate::bitcask::{Bitcask, backup, stats};
use crate::disk::Disk;
use crate::store::backup::{BackupOptions, BackupProgress};
use crate::store::batch::Batch;
use crate::store::capabilities::Capabilities;
use crate::store::changes::{Follow, Following};
use crate::store::error::{Error, Result};
use crate::store::iter::{KeyList, Walk};
use crate::store::memory;
use crate::store::options::SyncMode;
use crate::store::pinned::Pinned;
use crate::store::range::KeyRange;
use crate::store::stats::{FileStats, MergeProgress, Stats};
use crate::store::value::{Change, End, Seen, Shown, Type};
use crate::store::write::{PutOptions, Ttl, millis};
use crate::store::{Copying, Store};

/// The verbs that are called most, without a call through a table: that costs a tenth of a get.
impl Bitcask {
    /// As [`Store::put`].
    #[inline]
    pub fn put_plain(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.change(|engine| engine.put(engine, key, value, None, Condition::default(), false).map(drop))
    }

    /// As [`Store::copy`].
    #[inline]
    pub fn copy_to(&self, key: &[u8], to: &mut (impl Copying + ?Sized)) -> Result<Option<usize>> {
        let engine = self.shared.enter()?;
        engine.copy(&engine, key, to)
    }

    /// As [`Store::show`].
    #[inline]
    pub fn show_to(&self, key: &[u8], visit: impl FnOnce(&[u8])) -> Result<bool> {
        let engine = self.shared.enter()?;
        let shown = engine.find(&engine, key, |current| {
            let _visiting = self.shared.gated().visit();
            visit(current.value);
        });
        Ok(shown?.is_some())
    }
}

impl Store for Bitcask {
    fn capabilities(&self) -> Result<Capabilities> {
        let engine = self.shared.enter()?;
        let disk = &engine.catalog.disk;
        let mut can = Capabilities::SNAPSHOT | Capabilities::BATCH | Capabilities::MERGE;
        if !disk.is_volatile() {
            can = can | Capabilities::SYNC;
        }
        if disk.is_mapped() {
            can = can | Capabilities::PIN;
        }
        Ok(can)
    }

    fn close(&self) -> Result<()> {
        self.shut()
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
        self.put_plain(key, value)
    }

    fn put_with(&self, key: &[u8], value: &[u8], options: &PutOptions) -> Result<bool> {
        let condition = Condition {
            if_absent: options.if_absent,
            if_present: options.if_present,
            keep_expiry: options.keep_ttl,
        };
        self.change(|engine| {
            if options.sync {
                can_sync(engine)?;
            }
            let expiry_ms = options.ttl.map(|life| engine.clock.precise().saturating_add(millis(life)));
            engine.put(engine, key, value, expiry_ms, condition, options.sync)
        })
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        // It makes room: the request to pause is for who adds something.
        self.change_now(|engine| engine.delete(engine, key)).map(|(done, _)| done)
    }

    fn write(&self, batch: &Batch) -> Result<()> {
        self.change(|engine| engine.write(engine, batch))
    }

    fn copy(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        self.copy_to(key, to)
    }

    fn show(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.show_to(key, visit)
    }

    fn get_pinned(&self, key: &[u8]) -> Result<Option<Pinned>> {
        let engine = self.shared.enter()?;
        engine.pin(&engine, key)
    }

    fn get_many(&self, keys: &[&[u8]], out: &mut Vec<Result<Option<Pinned>>>) -> Result<()> {
        let engine = self.shared.enter()?;
        engine.pin_many(&engine, keys, out);
        Ok(())
    }

    fn exists(&self, key: &[u8]) -> Result<bool> {
        let engine = self.shared.enter()?;
        Ok(engine.describe(&engine, key)?.is_some())
    }

    fn walk(&self, prefix: &[u8]) -> Result<Box<dyn Walk>> {
        Ok(Box::new(Iter::new(&self.shared, prefix)?))
    }

    fn walk_range(&self, _: &KeyRange<'_>) -> Result<Box<dyn Walk>> {
        let _open = self.shared.enter()?;
        Err(Error::no_order("walk through a range of them"))
    }

    fn delete_range(&self, _: &KeyRange<'_>) -> Result<()> {
        let _open = self.shared.enter()?;
        Err(Error::no_order("delete a range of them"))
    }

    fn count(&self) -> Result<u64> {
        let engine = self.shared.enter()?;
        Ok(engine.count(&engine))
    }

    fn ttl(&self, key: &[u8]) -> Result<Option<Ttl>> {
        let engine = self.shared.enter()?;
        Ok(engine.describe(&engine, key)?.map(|(_, expiry_ms)| match expiry_ms {
            None => Ttl::Forever,
            Some(expiry_ms) => {
                Ttl::Left(Duration::from_millis(expiry_ms.saturating_sub(engine.clock.precise())))
            }
        }))
    }

    fn set_ttl(&self, key: &[u8], ttl_ms: Option<u64>) -> Result<bool> {
        self.change(|engine| {
            let expiry_ms = ttl_ms.map(|ttl| engine.clock.precise().saturating_add(ttl));
            engine.set_expiry(engine, key, expiry_ms)
        })
    }

    fn sync(&self) -> Result<()> {
        // It adds nothing: the request to pause is for who writes.
        let synced = self.change_now(|engine| {
            can_sync(engine)?;
            if engine.options.read_only { Ok(()) } else { engine.log.sync() }
        });
        synced.map(|((), _)| ())
    }

    fn merge(&self, watch: &mut dyn FnMut(&MergeProgress) -> ControlFlow<()>) -> Result<bool> {
        self.shared.enter()?.check_writable()?;
        self.shared.check_may_wait()?;
        let merged = merge::run_all(&self.shared, watch);
        // The function that was told of the merge may have forked; the child left it where it was.
        if self.shared.fork.is_forked() {
            return Err(Error::Forked);
        }
        // No lock is held: whoever is reading what was replaced holds up this call and nothing else.
        seal::collect_within(&self.shared, Duration::MAX);
        merged
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
        let (seq, end) = engine.log.end();
        if !engine.options.read_only {
            if engine.options.sync == SyncMode::Always {
                engine.log.wait_durable(end)?;
            }
            // Who reads after this sees all up to that number.
            engine.index.wait_for_writers();
        }
        Ok(seq)
    }

    fn written_seq(&self) -> Result<u64> {
        self.shared.check_may_wait()?;
        let engine = self.shared.enter()?;
        let seq = engine.log.last_seq();
        if !engine.options.read_only {
            engine.index.wait_for_writers();
        }
        Ok(seq)
    }

    fn changes(&self, after: u64) -> Result<Box<dyn Follow>> {
        Ok(memory::boxed(Following::new(&self.shared, after)?)?)
    }

    fn stats(&self) -> Result<Stats> {
        let engine = self.shared.enter()?;
        let keys = engine.count(&engine);
        Ok(stats::collect(&engine, keys, self.shared.is_merging()))
    }

    fn file_stats(&self) -> Result<Vec<FileStats>> {
        stats::files(&*self.shared.enter()?)
    }

    fn write_hints(&self) -> Result<()> {
        self.shared.enter()?.check_writable()?;
        self.shared.check_may_wait()?;
        seal::seal_and_collect(&self.shared)?;
        let engine = self.shared.enter()?;
        for file in sealed(&engine)? {
            hints::write_missing(&engine.catalog, &file, &engine.hasher)?;
        }
        Ok(())
    }

    fn write_now(&self, batch: &Batch) -> Result<bool> {
        self.change_now(|engine| engine.write_now(engine, batch)).map(|((), is_asked)| is_asked)
    }

    fn pause(&self) -> Result<()> {
        drop(self.shared.enter()?);
        self.let_pause();
        Ok(())
    }

    fn now_ms(&self) -> Result<u64> {
        Ok(self.shared.enter()?.clock.precise())
    }

    fn look(&self, key: &[u8], visit: &mut dyn FnMut(Seen<'_>)) -> Result<bool> {
        let engine = self.shared.enter()?;
        engine.look(&engine, key, |seen| {
            let _visiting = self.shared.gated().visit();
            visit(seen);
        })
    }

    fn read_many(&self, keys: &[&[u8]], visit: &mut dyn FnMut(Shown<'_>)) -> Result<()> {
        let engine = self.shared.enter()?;
        let _visiting = self.shared.gated().visit();
        engine.read_many(&engine, keys, visit);
        Ok(())
    }

    fn scan(&self, from: u64, most: usize, visit: &mut dyn FnMut(&[u8], Type)) -> Result<Option<u64>> {
        let engine = self.shared.enter()?;
        engine.scan(&engine, from, most, |key, holds| {
            let _visiting = self.shared.gated().visit();
            visit(key, holds);
        })
    }

    fn type_of(&self, key: &[u8]) -> Result<Option<Type>> {
        let engine = self.shared.enter()?;
        Ok(engine.describe(&engine, key)?.map(|(holds, _)| holds))
    }

    fn push(&self, key: &[u8], value: &[u8], end: End) -> Result<u64> {
        self.change(|engine| engine.push(engine, key, value, end))
    }

    fn pop(&self, key: &[u8], end: End, to: &mut dyn Copying) -> Result<Option<usize>> {
        // As for a delete.
        self.change_now(|engine| engine.pop(engine, key, end, to)).map(|(done, _)| done)
    }

    fn list_move(
        &self,
        from: (&[u8], End),
        to: (&[u8], End),
        out: &mut dyn Copying,
    ) -> Result<Option<usize>> {
        self.change(|engine| engine.list_move(engine, from, to, out))
    }

    fn list_length(&self, key: &[u8]) -> Result<Option<u64>> {
        let engine = self.shared.enter()?;
        engine.list_length(&engine, key)
    }

    fn list_get(&self, key: &[u8], index: i64) -> Result<Option<Vec<u8>>> {
        let engine = self.shared.enter()?;
        engine.list_get(&engine, key, index)
    }

    fn list_set(&self, key: &[u8], index: i64, value: &[u8]) -> Result<bool> {
        self.change(|engine| engine.list_set(engine, key, index, value))
    }

    fn list_range(&self, key: &[u8], first: i64, last: i64) -> Result<Option<KeyList>> {
        let engine = self.shared.enter()?;
        engine.list_range(&engine, key, first, last)
    }

    fn get_delete(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        // As for a delete.
        self.change_now(|engine| engine.get_delete(engine, key, to)).map(|(done, _)| done)
    }

    fn compare_and_swap(&self, key: &[u8], expected: Option<&[u8]>, desired: Option<&[u8]>) -> Result<bool> {
        self.change(|engine| engine.compare_and_swap(engine, key, expected, desired))
    }

    fn increment(&self, key: &[u8], by: i64) -> Result<i64> {
        self.change(|engine| engine.increment(engine, key, by))
    }

    fn update(&self, key: &[u8], change: &mut dyn FnMut(Option<&[u8]>) -> Result<Change>) -> Result<()> {
        self.change(|engine| engine.update(engine, key, change))
    }
}

fn can_sync(engine: &Engine) -> Result<()> {
    if engine.catalog.disk.is_volatile() {
        let message =
            "a store in memory cannot make anything durable: what it holds is gone with the process";
        return Err(Error::Unsupported { message: message.into() });
    }
    Ok(())
}
