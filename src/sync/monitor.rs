//! A lock with something to wait for, of which a forked child inherits nothing.
//!
//! parking_lot keeps all waiting threads of a process in one table. A child has that table after `fork`, and not the
//! threads: a queue in which one of them stood leads to memory that is used for something else by then. The threads of a
//! store wait nearly always, and a child may open a store of its own. So they wait here, on what std has: futexes, which
//! keep nothing outside of themselves.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// See the module. A panic while it is locked is no reason not to go on: whoever locks it changes plain flags.
#[derive(Default)]
pub struct Monitor<T> {
    state: Mutex<T>,
    changed: Condvar,
}

impl<T> Monitor<T> {
    /// Locks the state.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the lock up, waits until somebody notifies, and locks again; sometimes for no reason.
    pub fn wait<'a>(&self, state: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Monitor::wait`], and so long at most.
    pub fn wait_for<'a>(&self, state: MutexGuard<'a, T>, most: Duration) -> MutexGuard<'a, T> {
        self.changed.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Wakes one who waits.
    pub fn notify_one(&self) {
        self.changed.notify_one();
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        self.changed.notify_all();
    }
}
