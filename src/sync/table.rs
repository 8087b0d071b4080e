//! A table of shared values that are looked up inside a gate without counting references.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::gate::{Entered, Gated, Grace};
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
    retired: Mutex<Retired>,
}

/// Places that go out of use, those that went first in front, and when each goes on.
#[derive(Default)]
struct Retired {
    /// Nobody comes to know of these places any more. Whoever knew of one before must still find the value there.
    unknown: VecDeque<(Grace, usize)>,
    /// Nobody finds a value at these any more. Whoever has found one before must be done with it.
    empty: VecDeque<(Grace, usize)>,
    /// How many places went out of use, and how many of them are free.
    begun: u64,
    ended: u64,
}

/// The first place of a queue, if its time has come.
fn next<G: Send + Sync>(queue: &mut VecDeque<(Grace, usize)>, gated: &Gated<G>) -> Option<usize> {
    let (_, place) = *queue.front().filter(|(grace, _)| gated.is_over(*grace))?;
    queue.pop_front();
    Some(place)
}

impl<T: Send + Sync> Table<T> {
    /// An empty table. Place 0 is never used.
    pub fn new(size: usize) -> Self {
        Table { fast: null_pointers(size), owners: Mutex::new(vec![None]), retired: Mutex::default() }
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
        // SAFETY: a pointer that is not null is to a value that `owners` keeps; `take_unused` lets go of it only after
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

    /// Shows all values to `look`, which must be quick: nobody can add one meanwhile.
    pub fn for_each(&self, mut look: impl FnMut(&T)) {
        self.owners.lock().iter().flatten().for_each(|value| look(value));
    }

    /// All values, counted.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.owners.lock().iter().flatten().cloned().collect()
    }

    /// Takes a place, which nobody can come to know of any more, out of use: [`Table::take_unused`] frees it when nobody can be
    /// using its value through [`Table::get`].
    pub fn retire<G: Send + Sync>(&self, place: usize, gated: &Gated<G>) {
        let mut retired = self.retired.lock();
        retired.begun += 1;
        retired.unknown.push_back((gated.begin_grace(), place));
    }

    /// How many places went out of use so far, and how many of these are free: the first of them.
    pub fn retired(&self) -> (u64, u64) {
        let retired = self.retired.lock();
        (retired.begun, retired.ended)
    }

    /// Frees the places that nobody can be using any more, and gives their values. Waits for nobody. To be called from outside
    /// the gate, or it frees none.
    pub fn take_unused<G: Send + Sync>(&self, gated: &Gated<G>) -> Vec<Arc<T>> {
        let mut retired = self.retired.lock();
        while let Some(place) = next(&mut retired.unknown, gated) {
            if let Some(pointer) = self.fast.get(place) {
                pointer.store(std::ptr::null_mut(), Ordering::SeqCst);
            }
            retired.empty.push_back((gated.begin_grace(), place));
        }
        let mut unused = Vec::new();
        while let Some(place) = next(&mut retired.empty, gated) {
            retired.ended += 1;
            unused.extend(self.owners.lock().get_mut(place).and_then(Option::take));
        }
        unused
    }
}
