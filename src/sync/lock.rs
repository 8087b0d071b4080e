//! The locks of the engine, of which a forked child inherits nothing.
//!
//! They are std's: futexes, which keep nothing outside of themselves. parking_lot keeps all waiting threads of a process in
//! one table. A child has that table after `fork`, and not the threads: a queue in which one of them stood leads to memory
//! that is used for something else by then. And a child may open a store of its own.
//!
//! A panic while one is locked is no reason not to lock it again: where that left something half done, the store is
//! poisoned, which is asked before every write.

use std::sync::{PoisonError, TryLockError};

#[cfg(filedb_schedules)]
use shuttle::sync as its;
#[cfg(not(filedb_schedules))]
use std::sync as its;

/// See the module.
#[derive(Default)]
pub struct Mutex<T>(its::Mutex<T>);

/// Keeps a [`Mutex`] locked.
pub type MutexGuard<'a, T> = its::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Mutex(its::Mutex::new(value))
    }

    /// Waits until nobody else has it locked, and locks it.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks it, if nobody else has it locked.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(panicked)) => Some(panicked.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// What is inside, without a lock: nobody else has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Mutex::get_mut`], taken out.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lock that many may hold to read.
#[derive(Default)]
pub struct RwLock<T>(its::RwLock<T>);

/// Keeps a [`RwLock`] locked for reading.
pub type ReadGuard<'a, T> = its::RwLockReadGuard<'a, T>;
/// Keeps a [`RwLock`] locked for writing.
pub type WriteGuard<'a, T> = its::RwLockWriteGuard<'a, T>;

impl<T> RwLock<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        RwLock(its::RwLock::new(value))
    }

    /// Waits until nobody writes.
    pub fn read(&self) -> ReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody reads or writes.
    pub fn write(&self) -> WriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::panics;

    #[test]
    fn a_panic_under_a_lock_leaves_it_usable() {
        panics::keep_quiet();
        let (one, many) = (Mutex::new(1), RwLock::new(1));
        let panicked = panics::catch(|| {
            let _locked = (one.lock(), many.write());
            panic!("while both are locked");
        });
        assert!(panicked.is_err());
        *one.lock() += 1;
        *many.write() += 1;
        assert_eq!((one.try_lock().map(|value| *value), *many.read()), (Some(2), 2));
        assert_eq!(one.into_inner(), 2);
    }

    #[test]
    fn what_is_locked_cannot_be_locked_again() {
        let lock = Mutex::new(());
        let held = lock.try_lock();
        assert!(held.is_some() && lock.try_lock().is_none());
        drop(held);
        assert!(lock.try_lock().is_some());
    }
}
