//! What all who use one open store share: the gate with the engine behind it, and the signals and locks of its background work.

use crate::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use std::time::Duration;

use crate::bitcask::engine::{Engine, Inside};
use crate::disk::process::ForkGuard;
use crate::log::file::DataFile;
use crate::store::error::{Error, Result};
use crate::sync::gate::Gated;
use crate::sync::lock::Mutex;
use crate::sync::signal::Signal;
use crate::sync::thread::Thread;

/// Who needs room waits so long for those who are reading files that are not needed any more.
pub const LONGEST_WAIT_FOR_READERS: Duration = Duration::from_secs(1);

/// What the handles, iterators and threads of one open store share. It outlives the engine, which a close takes away, so that
/// whoever calls the store after that gets an answer.
pub struct Shared {
    pub(super) engine: Gated<Engine>,
    pub(super) fork: ForkGuard,
    pub(super) signal: Arc<Signal>,
    /// Wakes the thread that keeps room ahead.
    pub(super) ahead_signal: Arc<Signal>,
    /// Stops the thread that syncs.
    pub(super) sync_signal: Arc<Signal>,
    pub(super) threads: Mutex<Vec<Thread>>,
    pub(super) background: bool,
    /// Held by whoever merges.
    pub(super) merging: Mutex<Uncommitted>,
    /// A merge is under way, for who asks.
    pub(super) is_merging: AtomicBool,
    /// Held by whoever seals files. Writers do not take it.
    pub(super) sealing: Mutex<()>,
    /// The last handle went inside a visit, and the thread that let go of it has not closed the store yet.
    pub(super) is_abandoned: AtomicBool,
}

/// What a merge has done and not committed yet. It outlives a merge whose commit failed: the index points into the
/// outputs then, so nothing else may be merged before they are in the manifest.
#[derive(Default)]
pub struct Uncommitted {
    /// Files that were written.
    pub outputs: Vec<Arc<DataFile>>,
    /// Inputs of which everything that is needed has been copied.
    pub finished: Vec<Arc<DataFile>>,
    /// The largest number of a tombstone, or of what had expired, that is not copied.
    pub dropped: u64,
}

impl Shared {
    /// Goes inside the gate; `None` once the store is closed, and in a forked child: a function that is told of a merge may have
    /// forked, and in the child nothing may go on with it.
    pub fn inside(&self) -> Option<Inside<'_>> {
        if self.fork.is_forked() {
            return None;
        }
        self.engine.enter()
    }

    /// The gate, and the engine behind it.
    pub fn gated(&self) -> &Gated<Engine> {
        &self.engine
    }

    /// Wakes and stops the maintenance thread.
    pub fn signal(&self) -> &Signal {
        &self.signal
    }

    /// Held by whoever seals files.
    pub fn sealing(&self) -> &Mutex<()> {
        &self.sealing
    }

    /// Held by whoever merges.
    pub fn merging(&self) -> &Mutex<Uncommitted> {
        &self.merging
    }

    /// Says that a merge is under way, until the answer is dropped. For who holds [`Shared::merging`].
    pub fn note_merge(&self) -> MergeNoted<'_> {
        self.is_merging.store(true, Ordering::Relaxed);
        MergeNoted(&self.is_merging)
    }

    /// Whether a merge is under way.
    pub fn is_merging(&self) -> bool {
        self.is_merging.load(Ordering::Relaxed)
    }

    /// `Err` where the call would wait for the caller itself.
    pub fn check_may_wait(&self) -> Result<()> {
        if self.engine.is_visited_by_caller() {
            return Err(Error::invalid(
                "this call waits until no value is being visited and no merge is under way, and was made by a function that is shown \
                 a value or told of a merge; make it after that",
            ));
        }
        Ok(())
    }

    /// Goes inside the gate, for a call of a user.
    #[inline]
    pub fn enter(&self) -> Result<Inside<'_>> {
        if self.fork.is_forked() {
            return Err(Error::Forked);
        }
        // Not `ok_or`: the error that is not needed would have to be dropped.
        let Some(engine) = self.engine.enter() else { return Err(Error::Closed) };
        Ok(engine)
    }
}

/// See [`Shared::note_merge`].
pub struct MergeNoted<'a>(&'a AtomicBool);

impl Drop for MergeNoted<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.fork.is_forked() {
            self.engine.forget();
        }
    }
}
