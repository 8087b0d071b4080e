//! The ordered engine: the newest writes in a memtable, over a log, and all others in runs, which are merged (O'Neil et al., 1996).
//! What a store of it is on the disk, and why, is in `docs/ARCHITECTURE.md` and `docs/FORMAT.md`.

mod background;
mod backup;
mod batch;
mod choice;
mod close;
mod elements;
mod engine;
mod flush;
mod following;
pub mod inspect;
mod install;
mod key;
mod known;
mod lists;
pub mod live;
mod memtable;
mod merge;
mod open;
mod places;
mod ranges;
mod run;
mod shared;
mod survivors;
mod verbs;
mod walk;

use crate::sync::atomic::AtomicBool;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::disk::fs::{FsDisk, Io};
use crate::disk::process::ForkGuard;
use crate::log::append::Work;
use crate::store::error::{Error, Result};
use crate::store::memory;
use crate::store::options::{IoMode, MergeMode, Options, SyncMode};
use crate::sync::gate::Gated;
use crate::sync::lock::Mutex;
use crate::sync::signal::Signal;
use crate::sync::thread;
use engine::Engine;
use shared::Shared;

pub use open::is_ordered;

/// A change that makes room in a full memory waits so long for it.
const LONGEST_WAIT_FOR_ROOM: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// An open store of the ordered engine. It is closed when this goes.
pub struct Lsm {
    shared: Arc<Shared>,
}

impl Lsm {
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
        memory::room_for_small_things()?;
        let signal = || Arc::new(Signal::default());
        let (flush_signal, merge_signal, sync_signal, ahead_signal) =
            (signal(), signal(), signal(), signal());
        let (flusher, ahead) =
            (flush_signal.clone(), if background { ahead_signal.clone() } else { flush_signal.clone() });
        let ask = move |work| match work {
            Work::Prepare => ahead.wake(),
            Work::Look => flusher.wake(),
        };
        let is_volatile = disk.is_volatile();
        let engine = open::open(disk, options, Box::new(ask), background, flush_signal.clone())?;
        // From here on a failure closes it: no thread works for a store that nobody has.
        let signals = [merge_signal.clone(), sync_signal.clone(), ahead_signal.clone()];
        let store = Lsm::with(engine, flush_signal.clone(), signals, background)?;
        if background && !options.read_only {
            let weak: Weak<Shared> = Arc::downgrade(&store.shared);
            let of = weak.clone();
            store.spawn("filedb-flush", move || background::flush(&of, &flush_signal))?;
            let of = weak.clone();
            store.spawn("filedb-merge", move || background::merge(&of, &merge_signal))?;
            let of = weak.clone();
            store.spawn("filedb-ahead", move || background::keep_room_ahead(&of, &ahead_signal))?;
            if options.sync == SyncMode::Interval && !is_volatile {
                let interval = Duration::from_millis(options.sync_interval_ms);
                store.spawn("filedb-sync", move || {
                    background::sync_at_intervals(&weak, &sync_signal, interval);
                })?;
            }
        }
        Ok(store)
    }

    /// A store whose engine is open.
    fn with(
        engine: Engine,
        flush_signal: Arc<Signal>,
        [merge_signal, sync_signal, ahead_signal]: [Arc<Signal>; 3],
        background: bool,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            engine: Gated::new(memory::boxed(engine)?),
            fork: ForkGuard::new(),
            flush_signal,
            merge_signal,
            sync_signal,
            ahead_signal,
            threads: Mutex::default(),
            background,
            is_abandoned: AtomicBool::new(false),
        });
        Ok(Lsm { shared })
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = thread::spawn(name, work);
        let thread =
            thread.map_err(|e| Error::io("start a thread for", Path::new("the store's maintenance"), &e))?;
        // There is room for few: the C library has just asked for more than that.
        self.shared.threads.lock().push(thread);
        Ok(())
    }

    /// Makes a change from inside the gate. Stores without a thread do the work that comes of it after that.
    fn change<R>(&self, makes_room: bool, mut change: impl FnMut(&Engine) -> Result<R>) -> Result<R> {
        let mut paused = self.pause(makes_room);
        if paused.is_err() && !self.shared.background && self.shared.check_may_wait().is_ok() {
            paused = flush::flush_all(&self.shared);
        }
        paused?;
        let mut done = change(&*self.shared.enter()?);
        if matches!(done, Err(Error::NoSpace { .. })) && self.shared.check_may_wait().is_ok() {
            // In memory nobody else can make room: what is in the log and in runs twice goes. What a thread still looks at goes a
            // moment later, and a change that makes room waits for that.
            let is_volatile = self.shared.enter()?.catalog.disk.is_volatile();
            let begun = Instant::now();
            while is_volatile && matches!(done, Err(Error::NoSpace { .. })) {
                let made = self.make_room();
                if made.is_ok() || makes_room {
                    done = change(&*self.shared.enter()?);
                }
                if !makes_room || begun.elapsed() > LONGEST_WAIT_FOR_ROOM {
                    break;
                }
                if done.is_err() {
                    thread::sleep(LOOK_AGAIN);
                }
            }
        }
        let done = done?;
        // What was changed is changed, whatever comes of the work that follows from it.
        if !self.shared.background
            && self.shared.check_may_wait().is_ok()
            && self.shared.flush_signal.take_work()
        {
            let _ = self.maintain();
        }
        Ok(done)
    }

    /// Waits as long as memory is used up that a thread is about to free; for a moment where that is near. Between two looks it is
    /// outside the gate.
    fn pause(&self, makes_room: bool) -> Result<()> {
        while self.shared.enter()?.pause(makes_room)? {}
        Ok(())
    }

    fn make_room(&self) -> Result<()> {
        self.shared.enter()?.freeze_all();
        flush::flush_all(&self.shared)?;
        merge::run_all(&self.shared, &mut |_| std::ops::ControlFlow::Continue(())).map(drop)?;
        Ok(())
    }

    /// One pass of what the threads do.
    pub fn maintain(&self) -> Result<()> {
        {
            let engine = self.shared.enter()?;
            if engine.options.read_only {
                return Ok(());
            }
            engine.log.prepare()?;
            engine.told_time.log_again(&engine.log, || engine.clock.precise());
            flush::seal(&engine)?;
        }
        flush::flush_all(&self.shared)?;
        if self.shared.enter()?.options.merge == MergeMode::Auto {
            merge::run_if_due(&self.shared)?;
        }
        Ok(())
    }

    /// Compares the runs on the disk with those that count; for tests. Nobody may walk meanwhile.
    #[cfg(any(test, feature = "testing"))]
    pub fn recount(&self) -> std::result::Result<(), String> {
        let engine = self.shared.enter().map_err(|error| error.to_string())?;
        let (_flushing, _merging) = (engine.flushing.lock(), engine.merging.lock());
        let names = engine.catalog.disk.list().map_err(|error| error.to_string())?;
        let mut on_disk: Vec<u32> = names
            .iter()
            .filter_map(|name| match crate::format::names::parse(name) {
                Some(crate::format::names::Name::Run(id)) => Some(id),
                _ => None,
            })
            .collect();
        on_disk.sort_unstable();
        let listed: Vec<u32> = engine.catalog.manifest().ordered.runs.iter().map(|run| run.id).collect();
        let mut read: Vec<u32> = engine.tree().runs().map(|run| run.entry.id).collect();
        read.sort_unstable();
        // A thread may hold what it has merged a moment longer.
        let is_there = |id| on_disk.binary_search(id).is_ok();
        let fits = if self.shared.background { listed.iter().all(is_there) } else { on_disk == listed };
        if !fits || read != listed {
            return Err(format!(
                "the manifest lists the runs {listed:?}, {read:?} are read, {on_disk:?} are there"
            ));
        }
        Ok(())
    }

    /// Writes the memtable out, and does what follows from it; for tests.
    #[cfg(any(test, feature = "testing"))]
    pub fn flush(&self) -> Result<()> {
        self.shared.enter()?.freeze_all();
        self.maintain()
    }
}

impl Drop for Lsm {
    fn drop(&mut self) {
        close::abandon(&self.shared);
    }
}
