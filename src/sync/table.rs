//! A table of shared values that are looked up inside a gate without counting references.

use super::atomic::{AtomicPtr, Ordering};
use std::alloc::{Layout, alloc_zeroed};
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::Arc;

use super::gate::{Entered, Gated, Grace};
use super::lock::Mutex;
use crate::store::memory::{self, Refused};

/// Null pointers in memory that the operating system has zeroed, so that what is not used costs nothing.
fn null_pointers<T>(count: usize) -> Result<Box<[AtomicPtr<T>]>, Refused> {
    let refused = Refused { bytes: count.saturating_mul(size_of::<AtomicPtr<T>>()) };
    let layout = Layout::array::<AtomicPtr<T>>(count.max(1)).map_err(|_| refused)?;
    // SAFETY: the layout is not empty.
    let zeros = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(refused)?;
    let pointers = std::ptr::slice_from_raw_parts_mut(zeros.as_ptr().cast::<AtomicPtr<T>>(), count.max(1));
    // SAFETY: allocated with the layout of such a slice, and all zeros is the null pointer.
    Ok(unsafe { Box::from_raw(pointers) })
}

/// See the module.
pub struct Table<T> {
    /// The values by place, for [`Table::get`]; none where nobody looks values up.
    fast: Box<[AtomicPtr<T>]>,
    size: usize,
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
    pub fn new(size: usize) -> Result<Self, Refused> {
        Ok(Table { fast: null_pointers(size)?, ..Table::without_look_ups(size)? })
    }

    /// An empty table in which nobody looks values up: [`Table::get`] finds none, and [`Table::take`] frees a place at once.
    pub fn without_look_ups(size: usize) -> Result<Self, Refused> {
        let owners = Mutex::new(memory::collect([None])?);
        Ok(Table { fast: Box::default(), size, owners, retired: Mutex::default() })
    }

    /// Takes a value out of a table in which nobody looks values up.
    pub fn take(&self, place: usize) -> Option<Arc<T>> {
        if !self.fast.is_empty() {
            return None;
        }
        self.owners.lock().get_mut(place).and_then(Option::take)
    }

    /// Puts the value that `make` returns into the lowest free place, and tells `make` which that is.
    /// `None` where the table is full.
    pub fn insert<E: From<Refused>>(
        &self,
        make: impl FnOnce(usize) -> Result<Arc<T>, E>,
    ) -> Option<Result<Arc<T>, E>> {
        let mut owners = self.owners.lock();
        let free = owners.iter().skip(1).position(Option::is_none).map_or(owners.len(), |n| n + 1);
        if free >= self.size {
            return None;
        }
        if let Err(refused) = self.make_room(&mut owners, free) {
            return Some(Err(refused.into()));
        }
        Some(make(free).inspect(|value| {
            owners[free] = Some(value.clone());
            self.show(free, value);
        }))
    }

    /// Makes this place, where there is none yet, and room to take it out of use.
    fn make_room(&self, owners: &mut Vec<Option<Arc<T>>>, place: usize) -> Result<(), Refused> {
        let more = (place + 1).saturating_sub(owners.len());
        if more > 0 {
            let mut retired = self.retired.lock();
            let Retired { unknown, empty, .. } = &mut *retired;
            for queue in [unknown, empty] {
                let refused = Refused { bytes: (place + 1) * size_of::<(Grace, usize)>() };
                queue.try_reserve(place + 1 - queue.len()).map_err(|_| refused)?;
            }
            memory::reserve(owners, more)?;
            owners.resize(place + 1, None);
        }
        Ok(())
    }

    fn show(&self, place: usize, value: &Arc<T>) {
        if let Some(pointer) = self.fast.get(place) {
            pointer.store(Arc::as_ptr(value).cast_mut(), Ordering::SeqCst);
        }
    }

    /// The value at `place`, for somebody who is inside the gate.
    #[inline]
    pub fn get<'a, G: Send + Sync>(&'a self, place: usize, _inside: &'a Entered<'_, G>) -> Option<&'a T> {
        let value = self.fast.get(place)?.load(Ordering::SeqCst);
        // SAFETY: a pointer that is not null is to a value that `owners` keeps; `next_unused` lets go of it only after
        // everybody who was inside the gate when it became null has left. (One engine has one gate and one table.)
        unsafe { value.as_ref() }
    }

    /// Puts a value into a place of the caller's choice, which must be free. False where it is not, or out of range.
    pub fn insert_at(&self, place: usize, value: Arc<T>) -> Result<bool, Refused> {
        let mut owners = self.owners.lock();
        if place == 0 || place >= self.size {
            return Ok(false);
        }
        self.make_room(&mut owners, place)?;
        if owners[place].is_some() {
            return Ok(false);
        }
        self.show(place, &value);
        owners[place] = Some(value);
        Ok(true)
    }

    /// Shows all values to `look`, which must be quick: nobody can add one meanwhile.
    pub fn for_each(&self, mut look: impl FnMut(&T)) {
        self.owners.lock().iter().flatten().for_each(|value| look(value));
    }

    /// All values, counted.
    pub fn all(&self) -> Result<Vec<Arc<T>>, Refused> {
        let owners = self.owners.lock();
        let mut all = memory::vec_with_room(owners.len())?;
        all.extend(owners.iter().flatten().cloned());
        Ok(all)
    }

    /// What `part` says of each value, together. Nobody adds or removes one meanwhile.
    pub fn sum(&self, part: impl Fn(&T) -> u64) -> u64 {
        self.owners.lock().iter().flatten().map(|value| part(value)).sum()
    }

    /// Whether `is_so` of one of the values, or more. Nobody adds or removes one meanwhile.
    pub fn any(&self, is_so: impl Fn(&T) -> bool) -> bool {
        self.owners.lock().iter().flatten().any(|value| is_so(value))
    }

    /// Takes a place, which nobody can come to know of any more, out of use: [`Table::next_unused`] frees it when nobody can be
    /// using its value through [`Table::get`].
    pub fn retire<G: Send + Sync>(&self, place: usize, gated: &Gated<G>) {
        let mut retired = self.retired.lock();
        retired.begun += 1;
        // There is room for all places: see `make_room`.
        retired.unknown.push_back((gated.begin_grace(), place));
    }

    /// How many places went out of use so far, and how many of these are free: the first of them.
    pub fn retired(&self) -> (u64, u64) {
        let retired = self.retired.lock();
        (retired.begun, retired.ended)
    }

    /// Frees a place that nobody can be using any more, and gives its value; `None` where there is none now. Waits for nobody. To be
    /// called from outside the gate, or it frees none.
    pub fn next_unused<G: Send + Sync>(&self, gated: &Gated<G>) -> Option<Arc<T>> {
        let mut retired = self.retired.lock();
        while let Some(place) = next(&mut retired.unknown, gated) {
            if let Some(pointer) = self.fast.get(place) {
                pointer.store(std::ptr::null_mut(), Ordering::SeqCst);
            }
            retired.empty.push_back((gated.begin_grace(), place));
        }
        let place = next(&mut retired.empty, gated)?;
        retired.ended += 1;
        drop(retired);
        self.owners.lock().get_mut(place).and_then(Option::take)
    }
}
