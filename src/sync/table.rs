//! A table of shared values that are looked up inside a gate without counting references.

use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::gate::{Entered, Gated};
use super::lock::Mutex;

/// Null pointers in memory that the operating system has zeroed, so that what is not used costs nothing.
fn null_pointers<T>(count: usize) -> Box<[AtomicPtr<T>]> {
    let zeros = Box::into_raw(vec![0usize; count].into_boxed_slice());
    // SAFETY: the box is given up and taken back as what it holds: usizes and AtomicPtrs have the same size and alignment,
    // and all zeros is the null pointer.
    unsafe { Box::from_raw(zeros as *mut [AtomicPtr<T>]) }
}

/// See the module.
pub struct Table<T> {
    fast: Box<[AtomicPtr<T>]>,
    owners: Mutex<Vec<Option<Arc<T>>>>,
}

impl<T: Send + Sync> Table<T> {
    /// An empty table. Place 0 is never used.
    pub fn new(size: usize) -> Self {
        Table { fast: null_pointers(size), owners: Mutex::new(vec![None]) }
    }

    /// Puts the value that `make` returns into the lowest free place, and tells `make` which that is.
    /// `None` where the table is full.
    pub fn insert<E>(&self, make: impl FnOnce(usize) -> Result<Arc<T>, E>) -> Option<Result<Arc<T>, E>> {
        let mut owners = self.owners.lock();
        let free = owners.iter().skip(1).position(Option::is_none).map_or(owners.len(), |n| n + 1);
        if free >= self.fast.len() {
            return None;
        }
        Some(make(free).inspect(|value| {
            if free == owners.len() {
                owners.push(None);
            }
            owners[free] = Some(value.clone());
            self.fast[free].store(Arc::as_ptr(value).cast_mut(), Ordering::SeqCst);
        }))
    }

    /// The value at `place`, for somebody who is inside the gate.
    #[inline]
    pub fn get<'a, G: Send + Sync>(&'a self, place: usize, _inside: &'a Entered<'_, G>) -> Option<&'a T> {
        let value = self.fast.get(place)?.load(Ordering::SeqCst);
        // SAFETY: a pointer that is not null is to a value that `owners` keeps; `remove` lets go of it only after
        // everybody who was inside the gate when it became null has left. (One engine has one gate and one table.)
        unsafe { value.as_ref() }
    }

    /// Puts a value into a place of the caller's choice, which must be free. False where it is not, or out of range.
    pub fn insert_at(&self, place: usize, value: Arc<T>) -> bool {
        let mut owners = self.owners.lock();
        if place == 0 || place >= self.fast.len() {
            return false;
        }
        if owners.len() <= place {
            owners.resize_with(place + 1, || None);
        }
        if owners[place].is_some() {
            return false;
        }
        self.fast[place].store(Arc::as_ptr(&value).cast_mut(), Ordering::SeqCst);
        owners[place] = Some(value);
        true
    }

    /// All values, counted.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.owners.lock().iter().flatten().cloned().collect()
    }

    /// Frees a place, which may be used again afterwards; waits until nobody can be using the value through
    /// [`Table::get`]. Must not be called from inside the gate.
    pub fn remove<G: Send + Sync>(&self, place: usize, gated: &Gated<G>) -> Option<Arc<T>> {
        // Whoever looked the place up before it went out of use must still find the value there ...
        gated.wait_for_readers();
        self.fast.get(place)?.store(std::ptr::null_mut(), Ordering::SeqCst);
        // ... and whoever has found it must be done with it.
        gated.wait_for_readers();
        self.owners.lock().get_mut(place)?.take()
    }
}
