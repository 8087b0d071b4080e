//! The public verbs of a store, and nothing else: what each of them does is in `engine`.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use crate::batch::Batch;
use crate::disk::Disk;
use crate::disk::fs::{FsDisk, Io};
use crate::disk::process::ForkGuard;
pub(crate) use crate::engine::Copying;
use crate::engine::{Condition, Engine, Inside};
use crate::error::{Error, Result};
use crate::gate::Gated;
use crate::hints;
use crate::iter::{Iter, KeyList};
use crate::log::append::Work;
use crate::maintenance::{self, Signal};
use crate::merge::{MergeProgress, Uncommitted};
use crate::options::{IoMode, MergeMode, Options, SyncMode};
use crate::pinned::Pinned;
use crate::stats::{self, FileStats, Stats};
use crate::{close, recovery};

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
    owner: Arc<Owner>,
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

/// What all clones of a store share. When the last of them goes, the store is closed, at once and by the thread that let
/// go; iterators and the maintenance thread may hold the shell for longer.
struct Owner {
    shell: Arc<Shell>,
}

/// What stays of a store after it is closed, so that whoever still calls it gets an answer.
pub struct Shell {
    engine: Gated<Engine>,
    fork: ForkGuard,
    signal: Arc<Signal>,
    /// Wakes the thread that keeps room ahead.
    ahead_signal: Arc<Signal>,
    /// Stops the thread that syncs.
    sync_signal: Arc<Signal>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    background: bool,
    /// Held by whoever merges.
    merging: Mutex<Uncommitted>,
    /// Held by whoever seals and removes files.
    tidying: Mutex<()>,
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

impl Shell {
    /// Goes inside the gate; `None` once the store is closed.
    pub(crate) fn inside(&self) -> Option<Inside<'_>> {
        self.engine.enter()
    }

    pub(crate) fn gated(&self) -> &Gated<Engine> {
        &self.engine
    }

    pub(crate) fn signal(&self) -> &Signal {
        &self.signal
    }

    pub(crate) fn tidying(&self) -> &Mutex<()> {
        &self.tidying
    }

    pub(crate) fn merging(&self) -> &Mutex<Uncommitted> {
        &self.merging
    }

    /// `Err` where the call would wait for the caller itself.
    fn check_may_wait(&self) -> Result<()> {
        if self.engine.is_visited_by_caller() {
            return Err(Error::invalid(
                "this call waits until no value is being visited and no merge is under way, and was made by a function that is shown \
                 a value or told of a merge; make it after that",
            ));
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn enter(&self) -> Result<Inside<'_>> {
        if self.fork.is_forked() {
            return Err(Error::Forked);
        }
        // Not `ok_or`: the error that is not needed would have to be dropped.
        let Some(engine) = self.engine.enter() else { return Err(Error::Closed) };
        Ok(engine)
    }

    /// Makes a change from inside the gate. From outside of it, does the work that comes of it: for stores without a thread,
    /// and where the thread is late.
    #[inline]
    fn change<R>(&self, change: impl FnOnce(&Inside<'_>) -> Result<R>) -> Result<R> {
        let (done, late) = {
            let engine = self.enter()?;
            (change(&engine)?, engine.log.is_sealing_late())
        };
        // What was changed is changed, whatever comes of the work that follows from it.
        if late && self.check_may_wait().is_ok() {
            let _ = maintenance::tidy(self);
        }
        if !self.background && self.check_may_wait().is_ok() && self.signal.take_work() {
            let _ = self.maintain();
        }
        Ok(done)
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = std::thread::Builder::new().name(name.into()).spawn(work);
        let thread =
            thread.map_err(|e| Error::io("start a thread for", Path::new("the store's maintenance"), &e))?;
        self.threads.lock().push(thread);
        Ok(())
    }

    fn maintain(&self) -> Result<()> {
        {
            let engine = self.enter()?;
            engine.log.prepare()?;
            engine.purge_expired(&engine);
            engine.expiries.sweep(&engine.index);
        }
        if self.enter()?.options.merge == MergeMode::Manual {
            return maintenance::tidy(self);
        }
        maintenance::tidy_as_far_as_there_is_room(self)?;
        crate::merge::run_if_due(self)
    }

    fn close(&self) -> Result<()> {
        if self.fork.is_forked() {
            // The child owns neither the lock nor the files, and the thread is not there: nothing to undo. The engine
            // stays in memory, because what it holds may have been locked at the moment of the fork.
            return Err(Error::Forked);
        }
        self.check_may_wait()?;
        self.signal.stop();
        self.ahead_signal.stop();
        self.sync_signal.stop();
        let threads = std::mem::take(&mut *self.threads.lock());
        threads.into_iter().for_each(|thread| drop(thread.join()));
        // A merge that another thread runs sees the signal, commits what it has, and lets go.
        let mut uncommitted = self.merging.lock();
        // Until nobody is inside any more: another thread that takes files to seal them could not do it then.
        let tidying = self.tidying.lock();
        let committed = crate::merge::commit_rest(self, &mut uncommitted);
        let tidied = committed.and_then(|()| maintenance::tidy_alone(self, &tidying));
        let engine = self.engine.take().ok_or(Error::Closed)?;
        drop(tidying);
        tidied.and_then(|()| close::finish(&engine))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.shell.close();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if self.fork.is_forked() {
            self.engine.forget();
        }
    }
}

impl Db {
    /// Opens the store in the directory `path`, or creates it there.
    ///
    /// # Errors
    /// [`Error::Locked`] where it is open already, [`Error::Corrupt`] where it is damaged, [`Error::Missing`] and
    /// [`Error::Exists`] as the options say, [`Error::Io`] where the directory cannot be used.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Db> {
        let path = path.as_ref();
        let create = options.create_if_missing && !options.read_only;
        let io = match options.io {
            IoMode::Mmap => Io::Mapped { synced: options.sync == SyncMode::Always },
            IoMode::Pread => Io::Plain,
        };
        let disk = FsDisk::open(path, create, io).map_err(|e| {
            if e.kind() == std::io::ErrorKind::NotFound && !create {
                return Error::Missing { path: path.to_path_buf() };
            }
            Error::io("open the store's directory", path, &e)
        })?;
        Self::start(Arc::new(disk), options, true)
    }

    /// Opens a store on a disk of the caller's, without a maintenance thread: its work is done inside the calls.
    #[cfg(any(test, feature = "testing"))]
    pub fn open_on(disk: Arc<dyn Disk>, options: &Options) -> Result<Db> {
        Self::start(disk, options, false)
    }

    /// For stores without a maintenance thread: does what the thread would do.
    #[cfg(any(test, feature = "testing"))]
    pub fn maintain(&self) -> Result<()> {
        self.owner.shell.maintain()
    }

    /// Counts what is live in each file anew and compares it with what the store has counted; `Err` says where they differ. For
    /// stores that nobody writes to meanwhile; what the store does by itself waits.
    #[cfg(any(test, feature = "testing"))]
    pub fn recount(&self) -> std::result::Result<(), String> {
        let shell = &self.owner.shell;
        let _merging = shell.merging.lock();
        let _tidying = shell.tidying.lock();
        let engine = shell.enter().map_err(|error| error.to_string())?;
        let _purging = engine.expiries.purging();
        crate::recount::recount(&engine)
    }

    /// What the threads of a store hold of it.
    #[cfg(test)]
    pub(crate) fn shell(&self) -> std::sync::Weak<Shell> {
        Arc::downgrade(&self.owner.shell)
    }

    fn start(disk: Arc<dyn Disk>, options: &Options, background: bool) -> Result<Db> {
        options.check()?;
        let (signal, ahead) = (Arc::new(Signal::default()), Arc::new(Signal::default()));
        let (maintenance, preparing) =
            (signal.clone(), if background { ahead.clone() } else { signal.clone() });
        let ask = move |work| match work {
            Work::Prepare => preparing.wake(),
            Work::Look => maintenance.wake(),
        };
        let engine = recovery::open(disk, options, Box::new(ask))?;
        let shell = Arc::new(Shell {
            engine: Gated::new(Box::new(engine)),
            fork: ForkGuard::new(),
            signal: signal.clone(),
            ahead_signal: ahead.clone(),
            sync_signal: Arc::default(),
            threads: Mutex::default(),
            background,
            merging: Mutex::default(),
            tidying: Mutex::new(()),
        });
        // From here on a failure closes it: no thread works for a store that nobody has.
        let db = Db { owner: Arc::new(Owner { shell }) };
        let shell = &db.owner.shell;
        if background && !options.read_only {
            let weak: Weak<Shell> = Arc::downgrade(shell);
            shell.spawn("filedb", move || maintenance::run_guarded(&weak, &signal))?;
            let weak = Arc::downgrade(shell);
            shell.spawn("filedb-ahead", move || maintenance::keep_room_ahead(&weak, &ahead))?;
            if options.sync == SyncMode::Interval {
                let (weak, signal) = (Arc::downgrade(shell), shell.sync_signal.clone());
                let interval = Duration::from_millis(options.sync_interval_ms);
                shell.spawn("filedb-sync", move || {
                    maintenance::sync_at_intervals(&weak, &signal, interval);
                })?;
            }
        }
        Ok(db)
    }

    /// Closes the store: waits for calls under way, makes everything durable and writes what lets the next open skip all
    /// scanning. Values that are pinned stay readable. The store is closed whatever this returns.
    ///
    /// # Errors
    /// [`Error::Closed`] where it is closed already; what went wrong with the last writes otherwise.
    pub fn close(&self) -> Result<()> {
        self.owner.shell.close()
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
        self.owner
            .shell
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
        self.owner.shell.change(|engine| {
            let expiry_ms = options.ttl_ms.map(|ttl| engine.clock.precise().saturating_add(ttl));
            engine.put(engine, key, value, expiry_ms, condition, options.sync)
        })
    }

    /// Removes `key`. False where there is no such key.
    ///
    /// # Errors
    /// As [`Db::put`].
    pub fn delete(&self, key: &[u8]) -> Result<bool> {
        self.owner.shell.change(|engine| engine.delete(engine, key))
    }

    /// Writes all of a batch or nothing: to readers of the log, to iterators and across a crash. Single gets may see its
    /// keys change one after the other.
    ///
    /// # Errors
    /// As [`Db::put`]; [`Error::TooLarge`] where the batch as a whole is.
    pub fn write(&self, batch: &Batch) -> Result<()> {
        self.owner.shell.change(|engine| engine.write_batch(engine, &batch.records(engine.clock.precise())?))
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
        let engine = self.owner.shell.enter()?;
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
            let _visiting = self.owner.shell.engine.visit();
            visit(value)
        })
    }

    /// As [`Db::read`], for code of this library.
    #[inline]
    pub(crate) fn look_at<R>(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let engine = self.owner.shell.enter()?;
        engine.find(&engine, key, |current| visit(current.value))
    }

    /// The value of `key`, readable for as long as it is held, without a copy where files are mapped.
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn get_pinned(&self, key: &[u8]) -> Result<Option<Pinned>> {
        let engine = self.owner.shell.enter()?;
        engine.pin(&engine, key)
    }

    /// [`Db::get_pinned`] for many keys at once. The cache misses of the lookups overlap, so that a key costs a fraction
    /// of what it costs alone. `out` gets one result per key, in their order.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`]; everything else is in the results.
    pub fn get_many(&self, keys: &[&[u8]], out: &mut Vec<Result<Option<Pinned>>>) -> Result<()> {
        let engine = self.owner.shell.enter()?;
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
        KeyList::collect(&self.owner.shell, prefix)
    }

    /// Goes through all keys that begin with `prefix`, as they are at this moment. The iterator blocks nobody.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn iter(&self, prefix: &[u8]) -> Result<Iter> {
        Iter::new(&self.owner.shell, prefix)
    }

    /// The number of keys.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn count(&self) -> Result<u64> {
        let engine = self.owner.shell.enter()?;
        Ok(engine.count(&engine))
    }

    /// The store in numbers.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn stats(&self) -> Result<Stats> {
        let engine = self.owner.shell.enter()?;
        let keys = engine.count(&engine);
        Ok(stats::collect(&engine, keys, self.owner.shell.merging().is_locked()))
    }

    /// Each data file in numbers, by file number.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn file_stats(&self) -> Result<Vec<FileStats>> {
        Ok(stats::files(&*self.owner.shell.enter()?))
    }

    /// Writes the hint file of every sealed data file that has none, so that a start after a crash reads less. Hints are
    /// written by themselves where they are small beside their data; this writes the others too.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Io`], [`Error::Corrupt`]: some hints may be missing.
    pub fn write_hints(&self) -> Result<()> {
        self.owner.shell.enter()?.check_writable()?;
        self.owner.shell.check_may_wait()?;
        maintenance::tidy(&self.owner.shell)?;
        let engine = self.owner.shell.enter()?;
        for file in crate::merge::sealed(&engine) {
            hints::write_missing(&engine.catalog, &file, &engine.hasher)?;
        }
        Ok(())
    }

    /// How long `key` has to live; `None` where there is no such key.
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn ttl(&self, key: &[u8]) -> Result<Option<Ttl>> {
        let engine = self.owner.shell.enter()?;
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
        self.owner.shell.change(|engine| {
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
        self.owner.shell.change(|engine| if engine.options.read_only { Ok(()) } else { engine.log.sync() })
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
        self.owner.shell.enter()?.check_writable()?;
        self.owner.shell.check_may_wait()?;
        crate::merge::run_all(&self.owner.shell, watch)
    }

    /// Stops all writes, because what happened leaves the state of the store in doubt.
    pub(crate) fn poison(&self, reason: &str) {
        if let Ok(engine) = self.owner.shell.enter() {
            engine.catalog.poison.set_reason(reason);
        }
    }
}
