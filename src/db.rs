//! The public verbs of a store, and nothing else: what each of them does is in `engine`.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::bitcask::background::{self, merge};
use crate::bitcask::engine::Condition;
pub(crate) use crate::bitcask::engine::Copying;
use crate::bitcask::iter::{Iter, KeyList};
use crate::bitcask::lifecycle::hints;
use crate::bitcask::{Bitcask, stats};
#[cfg(any(test, feature = "testing"))]
use crate::disk::Disk;
use crate::store::batch::Batch;
use crate::store::error::{Error, Result};
use crate::store::options::Options;
use crate::store::pinned::Pinned;
use crate::store::stats::{FileStats, MergeProgress, Stats};

/// An open store. Clones share it; all methods may be called from any thread at once. It is closed by [`Db::close`], or
/// when the last clone is dropped.
///
/// ```
/// # fn main() -> filedb::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("store");
/// let db = filedb::Db::open(&path, &filedb::Options::default())?;
/// db.put(b"planet", b"earth")?;
/// assert_eq!(db.get(b"planet")?.as_deref(), Some(&b"earth"[..]));
/// assert!(db.delete(b"planet")?);
/// db.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Db {
    store: Arc<Bitcask>,
}

/// A copy of a value.
#[derive(Default)]
struct Copied {
    value: Vec<u8>,
    has_no_memory: bool,
}

impl Copying for Copied {
    fn begin(&mut self, len: usize) -> bool {
        self.has_no_memory = self.value.try_reserve_exact(len).is_err();
        !self.has_no_memory
    }

    fn copy(&mut self, bytes: &[u8]) {
        self.value.extend_from_slice(bytes);
    }
}

/// More to say about a write than [`Db::put`] does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// The key expires this many milliseconds from now.
    pub ttl_ms: Option<u64>,
    /// Only if there is no such key.
    pub if_absent: bool,
    /// Only if there is such a key.
    pub if_present: bool,
    /// The write is durable when the call returns, whatever the store's `sync` says.
    pub sync: bool,
    /// The key keeps the expiry that it has.
    pub keep_ttl: bool,
}

/// When a key expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Never.
    Forever,
    /// This many milliseconds from now.
    Ms(u64),
}

impl Db {
    /// Opens the store in the directory `path`, or creates it there.
    ///
    /// # Errors
    /// [`Error::Locked`] where it is open already, [`Error::Corrupt`] where it is damaged, [`Error::Missing`] and
    /// [`Error::Exists`] as the options say, [`Error::Io`] where the directory cannot be used.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Db> {
        let store = Arc::new(Bitcask::open(path.as_ref(), options)?);
        Ok(Db { store })
    }

    /// Opens a store on a disk of the caller's, without a maintenance thread: its work is done inside the calls.
    #[cfg(any(test, feature = "testing"))]
    pub fn open_on(disk: Arc<dyn Disk>, options: &Options) -> Result<Db> {
        Ok(Db { store: Arc::new(Bitcask::start(disk, options, false)?) })
    }

    /// For stores without a maintenance thread: does what the thread would do.
    #[cfg(any(test, feature = "testing"))]
    pub fn maintain(&self) -> Result<()> {
        self.store.maintain()
    }

    /// Counts what is live in each file anew and compares it with what the store has counted; `Err` says where they differ. For
    /// stores that nobody writes to meanwhile; what the store does by itself waits.
    #[cfg(any(test, feature = "testing"))]
    pub fn recount(&self) -> std::result::Result<(), String> {
        let shared = &self.store.shared;
        let _merging = shared.merging().lock();
        let _tidying = shared.tidying().lock();
        let engine = shared.enter().map_err(|error| error.to_string())?;
        let _purging = engine.expiries.purging();
        crate::bitcask::recount::recount(&engine)
    }

    /// What the threads of a store hold of it.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> std::sync::Weak<crate::bitcask::shared::Shared> {
        Arc::downgrade(&self.store.shared)
    }

    /// Closes the store: waits for calls under way, makes everything durable and writes what lets the next open skip all
    /// scanning. Values that are pinned stay readable. The store is closed whatever this returns.
    ///
    /// # Errors
    /// [`Error::Closed`] where it is closed already; what went wrong with the last writes otherwise.
    pub fn close(&self) -> Result<()> {
        self.store.close()
    }

    /// Gives `key` the value `value`. When it returns, the write survives the death of the process; when it survives a
    /// power cut is what the option `sync` says.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty key, [`Error::TooLarge`], [`Error::NoSpace`], [`Error::ReadOnly`]: nothing was
    /// written. [`Error::Unsupported`]: nothing was written; the store has all the files that it can have, or its checkpoint was
    /// changed or damaged since it was opened. [`Error::Io`] and [`Error::Poisoned`]: nothing was written, or, with
    /// `sync=always`, it was and could not be made durable; then the handle takes no more writes.
    #[inline]
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.store
            .change(|engine| engine.put(engine, key, value, None, Condition::default(), false).map(drop))
    }

    /// Writes a key under conditions, or with an expiry. False where a condition does not hold.
    ///
    /// # Errors
    /// As [`Db::put`]; [`Error::InvalidArgument`] where the conditions contradict each other.
    pub fn put_with(&self, key: &[u8], value: &[u8], options: &PutOptions) -> Result<bool> {
        if options.if_absent && options.if_present {
            return Err(Error::invalid("a write cannot ask for both an absent and a present key"));
        }
        if options.keep_ttl && options.ttl_ms.is_some() {
            return Err(Error::invalid("a write cannot both keep the key's expiry and set a new one"));
        }
        let condition = Condition {
            if_absent: options.if_absent,
            if_present: options.if_present,
            keep_expiry: options.keep_ttl,
        };
        self.store.change(|engine| {
            let expiry_ms = options.ttl_ms.map(|ttl| engine.clock.precise().saturating_add(ttl));
            engine.put(engine, key, value, expiry_ms, condition, options.sync)
        })
    }

    /// Removes `key`. False where there is no such key.
    ///
    /// # Errors
    /// As [`Db::put`].
    pub fn delete(&self, key: &[u8]) -> Result<bool> {
        self.store.change(|engine| engine.delete(engine, key))
    }

    /// Writes all of a batch or nothing: to readers of the log, to iterators and across a crash. Single gets may see its
    /// keys change one after the other.
    ///
    /// # Errors
    /// As [`Db::put`]; [`Error::TooLarge`] where the batch as a whole is.
    pub fn write(&self, batch: &Batch) -> Result<()> {
        self.store.change(|engine| engine.write_batch(engine, &batch.records(engine.clock.precise())?))
    }

    /// A copy of the value of `key`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the record is damaged, [`Error::Io`], [`Error::NoMemory`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut copy = Copied::default();
        match self.copy(key, &mut copy)? {
            Some(len) if copy.has_no_memory => Err(Error::NoMemory { bytes: len as u64 }),
            Some(_) => Ok(Some(copy.value)),
            None => Ok(None),
        }
    }

    /// Copies the value of `key`, if `to` has room for it, and gives its size. For code of this library.
    pub(crate) fn copy(&self, key: &[u8], to: &mut impl Copying) -> Result<Option<usize>> {
        let engine = self.store.shared.enter()?;
        engine.copy(&engine, key, to)
    }

    /// Shows the value of `key` to `visit`, without a copy where files are mapped. The store cannot be closed, and
    /// replaced files cannot be removed, before `visit` returns: from `visit`, [`Db::close`], [`Db::merge`] and
    /// [`Db::write_hints`] of the same store are refused.
    ///
    /// # Errors
    /// As [`Db::get`].
    #[inline]
    pub fn read<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.look_at(key, |value| {
            let _visiting = self.store.shared.gated().visit();
            visit(value)
        })
    }

    /// As [`Db::read`], for code of this library.
    #[inline]
    pub(crate) fn look_at<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let engine = self.store.shared.enter()?;
        engine.find(&engine, key, |current| visit(current.value))
    }

    /// The value of `key`, readable for as long as it is held, without a copy where files are mapped.
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn get_pinned(&self, key: &[u8]) -> Result<Option<Pinned>> {
        let engine = self.store.shared.enter()?;
        engine.pin(&engine, key)
    }

    /// [`Db::get_pinned`] for many keys at once. The cache misses of the lookups overlap, so that a key costs a fraction
    /// of what it costs alone. `out` gets one result per key, in their order.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`]; everything else is in the results.
    pub fn get_many(&self, keys: &[&[u8]], out: &mut Vec<Result<Option<Pinned>>>) -> Result<()> {
        let engine = self.store.shared.enter()?;
        engine.pin_many(&engine, keys, out);
        Ok(())
    }

    /// Whether there is such a key.
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn exists(&self, key: &[u8]) -> Result<bool> {
        Ok(self.look_at(key, |_| ())?.is_some())
    }

    /// All keys that begin with `prefix`, as they are at one moment, in no particular order.
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn list(&self, prefix: &[u8]) -> Result<KeyList> {
        KeyList::collect(&self.store.shared, prefix)
    }

    /// Goes through all keys that begin with `prefix`, as they are at this moment. The iterator blocks nobody.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn iter(&self, prefix: &[u8]) -> Result<Iter> {
        Iter::new(&self.store.shared, prefix)
    }

    /// The number of keys.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn count(&self) -> Result<u64> {
        let engine = self.store.shared.enter()?;
        Ok(engine.count(&engine))
    }

    /// The store in numbers.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn stats(&self) -> Result<Stats> {
        let engine = self.store.shared.enter()?;
        let keys = engine.count(&engine);
        Ok(stats::collect(&engine, keys, self.store.shared.merging().is_locked()))
    }

    /// Each data file in numbers, by file number.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn file_stats(&self) -> Result<Vec<FileStats>> {
        Ok(stats::files(&*self.store.shared.enter()?))
    }

    /// Writes the hint file of every sealed data file that has none, so that a start after a crash reads less. Hints are
    /// written by themselves where they are small beside their data; this writes the others too.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Io`], [`Error::Corrupt`]: some hints may be missing.
    pub fn write_hints(&self) -> Result<()> {
        self.store.shared.enter()?.check_writable()?;
        self.store.shared.check_may_wait()?;
        background::tidy(&self.store.shared)?;
        let engine = self.store.shared.enter()?;
        for file in merge::sealed(&engine) {
            hints::write_missing(&engine.catalog, &file, &engine.hasher)?;
        }
        Ok(())
    }

    /// How long `key` has to live; `None` where there is no such key.
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn ttl(&self, key: &[u8]) -> Result<Option<Ttl>> {
        let engine = self.store.shared.enter()?;
        let expiry = engine.find(&engine, key, |current| current.expiry_ms)?;
        Ok(expiry.map(|expiry_ms| match expiry_ms {
            None => Ttl::Forever,
            Some(expiry_ms) => Ttl::Ms(expiry_ms.saturating_sub(engine.clock.precise())),
        }))
    }

    /// Lets `key` expire this many milliseconds from now. False where there is no such key.
    ///
    /// # Errors
    /// As [`Db::put`]. The record is written again: the cost is that of a put.
    pub fn expire(&self, key: &[u8], ttl_ms: u64) -> Result<bool> {
        self.rewrite(key, Some(ttl_ms))
    }

    /// Lets `key` live for ever. False where there is no such key.
    ///
    /// # Errors
    /// As [`Db::expire`].
    pub fn persist(&self, key: &[u8]) -> Result<bool> {
        self.rewrite(key, None)
    }

    fn rewrite(&self, key: &[u8], ttl_ms: Option<u64>) -> Result<bool> {
        self.store.change(|engine| {
            let expiry_ms = ttl_ms.map(|ttl| engine.clock.precise().saturating_add(ttl));
            engine.set_expiry(engine, key, expiry_ms)
        })
    }

    /// Makes all completed writes durable.
    ///
    /// # Errors
    /// [`Error::Poisoned`] or [`Error::Io`]: the disk did not take them. The handle takes no more writes then; what it
    /// had not synced may be lost.
    pub fn sync(&self) -> Result<()> {
        self.store.change(|engine| if engine.options.read_only { Ok(()) } else { engine.log.sync() })
    }

    /// Takes the space of dead records back, now. Runs beside readers and writers.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Io`], [`Error::Corrupt`]: the store is as it was.
    pub fn merge(&self) -> Result<()> {
        self.merge_with(&mut |_| ControlFlow::Continue(())).map(drop)
    }

    /// As [`Db::merge`]; `watch` is told from time to time how far it has come, and ends it with `Break`. What was merged
    /// until then stays merged. False if it was ended. From `watch`, [`Db::close`], [`Db::merge`] and [`Db::write_hints`] of the
    /// same store are refused.
    ///
    /// # Errors
    /// As [`Db::merge`].
    pub fn merge_with(&self, watch: &mut dyn FnMut(&MergeProgress) -> ControlFlow<()>) -> Result<bool> {
        self.store.shared.enter()?.check_writable()?;
        self.store.shared.check_may_wait()?;
        merge::run_all(&self.store.shared, watch)
    }

    /// Stops all writes, because what happened leaves the state of the store in doubt.
    pub(crate) fn poison(&self, reason: &str) {
        if let Ok(engine) = self.store.shared.enter() {
            engine.catalog.poison.set_reason(reason);
        }
    }
}
