//! A store that is read beside the process that writes to it, whatever engine it has: docs/ARCHITECTURE.md, "How a reader follows".
//!
//! It is a store that is opened for reading only, which is brought up to date before it is asked. `log/live` follows the writer; `keep` is
//! the thread that takes over what the log does not tell, `changes` follows the changes.

pub mod changes;
pub mod keep;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::backup::{BackupOptions, BackupProgress};
use super::batch::Batch;
use super::capabilities::Capabilities;
use super::changes::Follow;
use super::error::{Error, Result};
use super::iter::{KeyList, Walk};
use super::options::{IoMode, Options};
use super::pinned::Pinned;
use super::range::KeyRange;
use super::stats::{FileStats, MergeProgress, Stats};
use super::value::{Change, End, Seen, Shown, Type};
use super::write::{PutOptions, Ttl};
use super::{Copying, Store};
use crate::disk::Disk;
use crate::disk::fs::{FsDisk, Io};

/// What an engine does itself in a live store.
pub trait Reading: Send + Sync {
    /// A store of the engine, which is opened for reading only.
    type Of: Store;

    /// The store as it is.
    fn store(&self) -> &Self::Of;

    /// Returns when the store has all that was written when this was called.
    fn follow(&self) -> Result<()>;

    /// Returns when the index has all keys. Needed before all keys are counted or shown; to look up some keys it is not.
    fn complete(&self) -> Result<()> {
        Ok(())
    }

    /// As [`Store::walk`], up to date.
    fn walk(&self, prefix: &[u8]) -> Result<Box<dyn Walk>>;

    /// As [`Store::changes`].
    fn changes(&self, after: u64) -> Result<Box<dyn Follow>>;

    /// As [`Store::backup`].
    fn backup(
        &self,
        to: Arc<dyn Disk>,
        options: &BackupOptions,
        watch: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<bool>;
}

/// The directory of a store that is to be read beside its writer.
pub fn open_disk(path: &Path, options: &Options) -> Result<Arc<dyn Disk>> {
    options.check()?;
    let io = match options.io {
        IoMode::Mmap => Io::Mapped { synced: false },
        IoMode::Pread => Io::Plain,
    };
    let disk = FsDisk::open(path, false, io).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::Missing { path: path.to_path_buf() },
        _ => Error::io("open the store's directory", path, &e),
    })?;
    if !disk.can_tell() {
        let message = format!(
            "the store '{}' cannot be read live: that needs Linux on a machine of 64 bits, and a store on ext4, XFS or tmpfs; open it without \
             the option live",
            path.display()
        );
        return Err(Error::Unsupported { message });
    }
    Ok(Arc::new(disk))
}

/// See the module.
pub struct Live<R> {
    /// The engine's part.
    pub reading: R,
}

impl<R: Reading> Live<R> {
    /// The store, brought up to date.
    #[inline(always)]
    pub fn current(&self) -> Result<&R::Of> {
        self.reading.follow()?;
        Ok(self.reading.store())
    }

    /// As [`Live::current`], for who counts or shows all keys.
    pub fn complete(&self) -> Result<&R::Of> {
        self.reading.complete()?;
        self.current()
    }
}

impl<R: Reading> Store for Live<R> {
    fn capabilities(&self) -> Result<Capabilities> {
        self.reading.store().capabilities()
    }

    fn close(&self) -> Result<()> {
        self.reading.store().close()
    }

    fn check_may_wait(&self) -> Result<()> {
        self.reading.store().check_may_wait()
    }

    fn poison(&self, reason: &str) {
        self.reading.store().poison(reason);
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.reading.store().put(key, value)
    }

    fn put_with(&self, key: &[u8], value: &[u8], options: &PutOptions) -> Result<bool> {
        self.reading.store().put_with(key, value, options)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.reading.store().delete(key)
    }

    fn write(&self, batch: &Batch) -> Result<()> {
        self.reading.store().write(batch)
    }

    fn copy(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        self.current()?.copy(key, to)
    }

    fn show(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.current()?.show(key, visit)
    }

    fn get_pinned(&self, key: &[u8]) -> Result<Option<Pinned>> {
        self.current()?.get_pinned(key)
    }

    fn get_many(&self, keys: &[&[u8]], out: &mut Vec<Result<Option<Pinned>>>) -> Result<()> {
        self.current()?.get_many(keys, out)
    }

    fn exists(&self, key: &[u8]) -> Result<bool> {
        self.current()?.exists(key)
    }

    fn walk(&self, prefix: &[u8]) -> Result<Box<dyn Walk>> {
        self.reading.walk(prefix)
    }

    fn walk_range(&self, range: &KeyRange<'_>) -> Result<Box<dyn Walk>> {
        self.current()?.walk_range(range)
    }

    fn delete_range(&self, range: &KeyRange<'_>) -> Result<()> {
        self.reading.store().delete_range(range)
    }

    fn count(&self) -> Result<u64> {
        self.complete()?.count()
    }

    fn ttl(&self, key: &[u8]) -> Result<Option<Ttl>> {
        self.current()?.ttl(key)
    }

    fn set_ttl(&self, key: &[u8], ttl_ms: Option<u64>) -> Result<bool> {
        self.reading.store().set_ttl(key, ttl_ms)
    }

    fn sync(&self) -> Result<()> {
        self.reading.store().sync()
    }

    fn merge(&self, watch: &mut dyn FnMut(&MergeProgress) -> ControlFlow<()>) -> Result<bool> {
        self.reading.store().merge(watch)
    }

    fn check_can_backup(&self) -> Result<()> {
        self.reading.store().check_can_backup()
    }

    fn backup(
        &self,
        to: Arc<dyn Disk>,
        options: &BackupOptions,
        watch: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<bool> {
        self.reading.backup(to, options, watch)
    }

    fn identity(&self) -> Result<[u8; 16]> {
        self.reading.store().identity()
    }

    fn last_seq(&self) -> Result<u64> {
        self.current()?.last_seq()
    }

    fn written_seq(&self) -> Result<u64> {
        self.current()?.written_seq()
    }

    fn changes(&self, after: u64) -> Result<Box<dyn Follow>> {
        self.reading.changes(after)
    }

    fn stats(&self) -> Result<Stats> {
        self.complete()?.stats()
    }

    fn file_stats(&self) -> Result<Vec<FileStats>> {
        self.complete()?.file_stats()
    }

    fn write_hints(&self) -> Result<()> {
        self.reading.store().write_hints()
    }

    fn write_now(&self, batch: &Batch) -> Result<bool> {
        self.reading.store().write_now(batch)
    }

    fn pause(&self) -> Result<()> {
        self.reading.store().pause()
    }

    fn now_ms(&self) -> Result<u64> {
        self.reading.store().now_ms()
    }

    fn look(&self, key: &[u8], visit: &mut dyn FnMut(Seen<'_>)) -> Result<bool> {
        self.current()?.look(key, visit)
    }

    fn read_many(&self, keys: &[&[u8]], visit: &mut dyn FnMut(Shown<'_>)) -> Result<()> {
        self.current()?.read_many(keys, visit)
    }

    fn scan(&self, from: u64, most: usize, visit: &mut dyn FnMut(&[u8], Type)) -> Result<Option<u64>> {
        self.complete()?.scan(from, most, visit)
    }

    fn type_of(&self, key: &[u8]) -> Result<Option<Type>> {
        self.current()?.type_of(key)
    }

    fn push(&self, key: &[u8], value: &[u8], end: End) -> Result<u64> {
        self.reading.store().push(key, value, end)
    }

    fn pop(&self, key: &[u8], end: End, to: &mut dyn Copying) -> Result<Option<usize>> {
        self.reading.store().pop(key, end, to)
    }

    fn list_move(
        &self,
        from: (&[u8], End),
        to: (&[u8], End),
        out: &mut dyn Copying,
    ) -> Result<Option<usize>> {
        self.reading.store().list_move(from, to, out)
    }

    fn list_length(&self, key: &[u8]) -> Result<Option<u64>> {
        self.current()?.list_length(key)
    }

    fn list_get(&self, key: &[u8], index: i64) -> Result<Option<Vec<u8>>> {
        self.current()?.list_get(key, index)
    }

    fn list_set(&self, key: &[u8], index: i64, value: &[u8]) -> Result<bool> {
        self.reading.store().list_set(key, index, value)
    }

    fn list_range(&self, key: &[u8], first: i64, last: i64) -> Result<Option<KeyList>> {
        self.current()?.list_range(key, first, last)
    }

    fn get_delete(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        self.reading.store().get_delete(key, to)
    }

    fn compare_and_swap(&self, key: &[u8], expected: Option<&[u8]>, desired: Option<&[u8]>) -> Result<bool> {
        self.reading.store().compare_and_swap(key, expected, desired)
    }

    fn increment(&self, key: &[u8], by: i64) -> Result<i64> {
        self.reading.store().increment(key, by)
    }

    fn update(&self, key: &[u8], change: &mut dyn FnMut(Option<&[u8]>) -> Result<Change>) -> Result<()> {
        self.reading.store().update(key, change)
    }
}
