//! The default engine: an append-only log, an index in memory from every key to its newest record, and a merge that takes
//! dead records back (Bitcask; Sheehy and Smith, 2010).

pub mod background;
mod backup;
mod close;
pub mod engine;
mod following;
pub mod inspect;
pub mod iter;
pub mod lifecycle;
pub mod live;
pub mod memory;
#[cfg(any(test, feature = "testing"))]
pub mod recount;
pub mod shared;
pub mod stats;
mod verbs;

use crate::sync::atomic::AtomicBool;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::disk::Disk;
use crate::disk::fs::{FsDisk, Io};
use crate::disk::process::ForkGuard;
use crate::log::append::Work;
use crate::store::error::{Error, Result};
use crate::store::memory::boxed;
use crate::store::options::{IoMode, MergeMode, Options, SyncMode};
use crate::sync::gate::Gated;
use crate::sync::lock::Mutex;
use crate::sync::signal::Signal;
use crate::sync::thread;
use background::{merge, seal};
use engine::{Engine, Inside};
use lifecycle::open;
use shared::{LONGEST_WAIT_FOR_READERS, Shared};

/// A full memory is merged by who needs room where at least such a part of it is dead.
const WORTH_A_MERGE: u64 = 16;

/// An open store. It is closed when this goes, at once and by the thread that lets go; iterators and the store's threads may hold
/// what is shared for longer.
pub struct Bitcask {
    /// What its handles, iterators and threads share.
    pub shared: Arc<Shared>,
}

impl Bitcask {
    /// Opens the store in the directory `path`, or creates it there.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
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

    /// Opens the store on `disk`. Without `background` no thread works for it: its work is done inside the calls.
    pub fn start(disk: Arc<dyn Disk>, options: &Options, background: bool) -> Result<Self> {
        options.check()?;
        let (signal, ahead) = (Arc::new(Signal::default()), Arc::new(Signal::default()));
        let (maintenance, preparing) =
            (signal.clone(), if background { ahead.clone() } else { signal.clone() });
        let ask = move |work| match work {
            Work::Prepare => preparing.wake(),
            Work::Look => maintenance.wake(),
        };
        let is_volatile = disk.is_volatile();
        let mut engine = open::open(disk, options, Box::new(ask))?;
        engine.back_pressure.is_on = background;
        // From here on a failure closes it: no thread works for a store that nobody has.
        let store = Self::over(engine, signal.clone(), ahead.clone(), background)?;
        let shared = &store.shared;
        if background && !options.read_only {
            let weak: Weak<Shared> = Arc::downgrade(shared);
            store.spawn("filedb", move || background::run_guarded(&weak, &signal))?;
            let weak = Arc::downgrade(shared);
            store.spawn("filedb-ahead", move || background::keep_room_ahead(&weak, &ahead))?;
            if options.sync == SyncMode::Interval && !is_volatile {
                let (weak, signal) = (Arc::downgrade(shared), shared.sync_signal.clone());
                let interval = Duration::from_millis(options.sync_interval_ms);
                store.spawn("filedb-sync", move || {
                    background::sync_at_intervals(&weak, &signal, interval);
                })?;
            }
        }
        Ok(store)
    }

    /// The store of an engine, for which no thread works yet.
    fn over(engine: Engine, signal: Arc<Signal>, ahead: Arc<Signal>, background: bool) -> Result<Self> {
        let shared = Arc::new(Shared {
            engine: Gated::new(boxed(engine)?),
            fork: ForkGuard::new(),
            signal,
            ahead_signal: ahead,
            sync_signal: Arc::default(),
            threads: Mutex::default(),
            background,
            merging: Mutex::default(),
            is_merging: Default::default(),
            sealing: Mutex::new(()),
            is_abandoned: AtomicBool::new(false),
        });
        Ok(Bitcask { shared })
    }

    /// As [`crate::Db::recount`].
    #[cfg(any(test, feature = "testing"))]
    pub fn recount(&self) -> std::result::Result<(), String> {
        let _merging = self.shared.merging().lock();
        let _sealing = self.shared.sealing().lock();
        let engine = self.shared.enter().map_err(|error| error.to_string())?;
        let _purging = engine.expiries.purging();
        recount::recount(&engine)
    }

    /// Makes a change from inside the gate, and lets its writer pause while too much is behind.
    #[inline]
    pub fn change<R>(&self, change: impl FnMut(&Inside<'_>) -> Result<R>) -> Result<R> {
        let (done, is_asked) = self.change_now(change)?;
        if is_asked {
            self.let_pause();
        }
        Ok(done)
    }

    /// As [`Bitcask::change`], without a pause; whether somebody is to call [`Bitcask::let_pause`]. Stores without a thread do the work
    /// that comes of the change after it.
    #[inline]
    pub fn change_now<R>(&self, mut change: impl FnMut(&Inside<'_>) -> Result<R>) -> Result<(R, bool)> {
        let done = {
            let engine = self.shared.enter()?;
            match change(&engine) {
                Ok(done) => (done, engine.back_pressure.is_asked()),
                Err(error) => {
                    drop(engine);
                    return self.after_failure(error, change).map(|done| (done, false));
                }
            }
        };
        // What was changed is changed, whatever comes of the work that follows from it.
        if !self.shared.background && self.shared.check_may_wait().is_ok() && self.shared.signal.take_work() {
            let _ = self.maintain();
        }
        Ok(done)
    }

    /// Lets a writer pause while too much is behind; not one that a merge or a reader waits for, which leaves it to another.
    #[cold]
    pub fn let_pause(&self) {
        let may_wait = self.shared.check_may_wait().is_ok();
        let appended = {
            let Some(engine) = self.shared.inside() else { return };
            if may_wait && !engine.back_pressure.take_asked() {
                return;
            }
            // What fails there stops the writes that come after this one.
            let _ = engine.log.stay_near_disk();
            engine.log.appended_when_asked()
        };
        if !may_wait {
            return;
        }
        while let Some(pause) = self.shared.inside().and_then(|engine| engine.pause(appended)) {
            thread::sleep(pause);
        }
    }

    /// In a full memory waits for the merge that is under way, then merges where enough is dead, and tries again after each: nobody
    /// else can make room there. On a disk that is its users' decision, and other programs share it.
    #[cold]
    fn after_failure<R>(&self, error: Error, mut change: impl FnMut(&Inside<'_>) -> Result<R>) -> Result<R> {
        let is_full = matches!(error, Error::NoSpace { .. });
        if !is_full
            || !self.shared.enter()?.catalog.disk.is_volatile()
            || self.shared.check_may_wait().is_err()
        {
            return Err(error);
        }
        // What a merge writes takes room until its inputs are gone.
        drop(self.shared.merging().lock());
        let mut again = || {
            seal::collect_within(&self.shared, LONGEST_WAIT_FOR_READERS);
            change(&self.shared.enter()?)
        };
        let done = again();
        if !matches!(done, Err(Error::NoSpace { .. })) {
            return done;
        }
        let space = self.shared.enter()?.space();
        if space.total.saturating_sub(space.live) <= space.total / WORTH_A_MERGE {
            return done;
        }
        // Also where it did not come to its end: what it merged until then has made room.
        let _ = merge::run_all(&self.shared, &mut |_| ControlFlow::Continue(()));
        again()
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = thread::spawn(name, work);
        let thread =
            thread.map_err(|e| Error::io("start a thread for", Path::new("the store's maintenance"), &e))?;
        self.shared.threads.lock().push(thread);
        Ok(())
    }

    /// One pass of what the maintenance threads do.
    pub fn maintain(&self) -> Result<()> {
        {
            let engine = self.shared.enter()?;
            engine.log.prepare()?;
            engine.purge_expired(&engine);
            background::take_out_gone(&engine);
        }
        if self.shared.enter()?.options.merge == MergeMode::Manual {
            return seal::seal_and_collect(&self.shared);
        }
        seal::seal_as_far_as_there_is_room(&self.shared)?;
        while merge::run_if_due(&self.shared)? {}
        Ok(())
    }

    /// Closes the store, whatever it returns.
    fn shut(&self) -> Result<()> {
        close::close(&self.shared)
    }
}

impl Drop for Bitcask {
    fn drop(&mut self) {
        close::abandon(&self.shared);
    }
}
