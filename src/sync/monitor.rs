//! A lock with something to wait for.

#[cfg(filedb_schedules)]
use shuttle::sync::Condvar;
#[cfg(not(filedb_schedules))]
use std::sync::Condvar;
use std::sync::PoisonError;
use std::time::Duration;

use super::lock::{Mutex, MutexGuard};

/// See the module.
#[derive(Default)]
pub struct Monitor<T> {
    state: Mutex<T>,
    changed: Condvar,
}

impl<T> Monitor<T> {
    /// Locks the state.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock()
    }

    /// Gives the lock up, waits until somebody notifies, and locks again; sometimes for no reason.
    pub fn wait<'a>(&self, state: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Monitor::wait`], and so long at most.
    pub fn wait_for<'a>(&'a self, state: MutexGuard<'a, T>, most: Duration) -> MutexGuard<'a, T> {
        #[cfg(filedb_schedules)]
        {
            // There is no time in schedules: it is always over.
            let _ = (state, most);
            super::thread::yield_now();
            self.lock()
        }
        #[cfg(not(filedb_schedules))]
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
