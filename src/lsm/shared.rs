//! What all who use one open store share: the gate with the engine behind it, and its threads.

use crate::sync::atomic::AtomicBool;
use std::sync::Arc;

use super::engine::Engine;
use crate::disk::process::ForkGuard;
use crate::store::error::{Error, Result};
use crate::sync::gate::{Entered, Gated};
use crate::sync::lock::Mutex;
use crate::sync::signal::Signal;
use crate::sync::thread::Thread;

/// See the module.
pub struct Shared {
    /// The engine, until the store is closed.
    pub engine: Gated<Engine>,
    /// Whether this is a child of who opened the store.
    pub fork: ForkGuard,
    /// Wakes and stops the thread that writes memtables out.
    pub flush_signal: Arc<Signal>,
    /// Wakes and stops the thread that merges.
    pub merge_signal: Arc<Signal>,
    /// Stops the thread that syncs, and wakes and stops the one that keeps room ahead.
    pub sync_signal: Arc<Signal>,
    /// See above.
    pub ahead_signal: Arc<Signal>,
    /// The threads.
    pub threads: Mutex<Vec<Thread>>,
    /// Whether there are threads.
    pub background: bool,
    /// The last handle went inside a visit, and the thread that let go of it has not closed the store yet.
    pub is_abandoned: AtomicBool,
}

impl Shared {
    /// Goes inside the gate, for a call of a user.
    pub fn enter(&self) -> Result<Entered<'_, Engine>> {
        if self.fork.is_forked() {
            return Err(Error::Forked);
        }
        self.engine.enter().ok_or(Error::Closed)
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
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.fork.is_forked() {
            self.engine.forget();
        }
    }
}
