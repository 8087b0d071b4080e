//! A value that many threads use and one may take away: grace periods after the model of the kernel's SRCU.
//!
//! [`Gate::enter`] costs two uncontended atomic additions. Whoever takes something away first makes it unreachable,
//! then calls [`Gate::wait_for_readers`], after which nobody who could have seen it is still inside. The engine uses
//! it to close data files that a merge replaced, and to close a store while other threads are calling it.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};
use std::time::Duration;

use super::lock::Mutex;
use super::thread;

/// Threads are spread over this many counters, so that cores seldom share a cache line.
const STRIPES: usize = 16;

#[repr(align(128))]
#[derive(Default)]
struct Stripe {
    inside: [AtomicUsize; 2],
}

/// Counts who is inside, in two phases.
struct Gate {
    stripes: [Stripe; STRIPES],
    phase: AtomicUsize,
    waiting: Mutex<()>,
}

static NEXT_STRIPE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
    /// The gates, by address, inside of which, or while it holds something up, this thread runs code of the library's user.
    static VISITING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Says, until it is dropped, that this thread runs code of the library's user which must not wait for it.
pub struct Visiting;

impl Drop for Visiting {
    fn drop(&mut self) {
        let _ = VISITING.try_with(|gates| gates.borrow_mut().pop());
    }
}

/// The counter that this thread uses, the same for all gates.
#[inline]
fn stripe() -> usize {
    // A thread that is being torn down has no thread-local storage any more; any counter will do for it.
    STRIPE
        .try_with(|stripe| {
            if stripe.get() == usize::MAX {
                stripe.set(NEXT_STRIPE.fetch_add(1, Ordering::Relaxed) % STRIPES);
            }
            stripe.get()
        })
        .unwrap_or(0)
}

impl Gate {
    fn wait_for_readers(&self) {
        let _one_at_a_time = self.waiting.lock();
        fence(Ordering::SeqCst);
        // Twice: a reader may have read the phase before the first turn and count itself in after it.
        for _ in 0..2 {
            let old = self.phase.load(Ordering::Relaxed);
            self.phase.store(old ^ 1, Ordering::SeqCst);
            let mut rounds = 0u32;
            while self.stripes.iter().map(|s| s.inside[old].load(Ordering::SeqCst)).sum::<usize>() != 0 {
                rounds += 1;
                if rounds < 64 {
                    std::thread::yield_now();
                } else {
                    thread::sleep(Duration::from_micros(50));
                }
            }
        }
        fence(Ordering::SeqCst);
    }
}

/// A shared value behind a gate, until it is taken.
pub struct Gated<T> {
    gate: Gate,
    value: AtomicPtr<T>,
    _owns: PhantomData<T>,
}

/// Proof of being inside the gate, and access to the value.
pub struct Entered<'a, T> {
    counter: &'a AtomicUsize,
    value: *const T,
}

impl<T: Send + Sync> Gated<T> {
    /// A gate with `value` behind it.
    pub fn new(value: Box<T>) -> Self {
        let gate = Gate { stripes: Default::default(), phase: AtomicUsize::new(0), waiting: Mutex::new(()) };
        Gated { gate, value: AtomicPtr::new(Box::into_raw(value)), _owns: PhantomData }
    }

    /// Goes in; `None` once the value has been taken.
    #[inline]
    pub fn enter(&self) -> Option<Entered<'_, T>> {
        let phase = self.gate.phase.load(Ordering::Relaxed);
        let counter = &self.gate.stripes[stripe()].inside[phase & 1];
        // Sequentially consistent, so that whoever waits either sees this reader, or this reader sees what the
        // waiter made unreachable as unreachable.
        counter.fetch_add(1, Ordering::SeqCst);
        let value = self.value.load(Ordering::SeqCst);
        if value.is_null() {
            counter.fetch_sub(1, Ordering::Release);
            return None;
        }
        Some(Entered { counter, value })
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// For a thread that is inside, or that others wait for, and goes on with code of the library's user, which may call the
    /// library.
    pub fn visit(&self) -> Visiting {
        let _ = VISITING.try_with(|gates| gates.borrow_mut().push(self.address()));
        Visiting
    }

    /// Whether this thread runs code of the library's user so: it must not wait for itself.
    pub fn is_visited_by_caller(&self) -> bool {
        VISITING.try_with(|gates| gates.borrow().contains(&self.address())).unwrap_or(false)
    }

    /// Returns when everybody who is inside now has left. Must not be called from inside.
    pub fn wait_for_readers(&self) {
        self.gate.wait_for_readers();
    }

    /// Gives the value up without freeing it, for a process that does not own it any more.
    pub fn forget(&mut self) {
        *self.value.get_mut() = std::ptr::null_mut();
    }

    /// Takes the value, once; returns when nobody uses it any more. Must not be called from inside.
    pub fn take(&self) -> Option<Box<T>> {
        let value = self.value.swap(std::ptr::null_mut(), Ordering::SeqCst);
        if value.is_null() {
            return None;
        }
        self.gate.wait_for_readers();
        // SAFETY: the pointer came from a Box in `new`; the swap made this call its only owner, and all readers
        // that saw it have left.
        Some(unsafe { Box::from_raw(value) })
    }
}

impl<T> Drop for Gated<T> {
    fn drop(&mut self) {
        let value = *self.value.get_mut();
        if !value.is_null() {
            // SAFETY: as in `take`; `&mut self` proves that nobody is inside.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}

impl<T> std::ops::Deref for Entered<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: it was not null on entry, and is not freed before this reader has left.
        unsafe { &*self.value }
    }
}

impl<T> Drop for Entered<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Release);
    }
}

/// Null pointers in memory that the operating system has zeroed, so that what is not used costs nothing.
fn null_pointers<T>(count: usize) -> Box<[AtomicPtr<T>]> {
    let zeros = Box::into_raw(vec![0usize; count].into_boxed_slice());
    // SAFETY: the box is given up and taken back as what it holds: usizes and AtomicPtrs have the same size and alignment,
    // and all zeros is the null pointer.
    unsafe { Box::from_raw(zeros as *mut [AtomicPtr<T>]) }
}

/// A table of shared values that are looked up inside a gate without counting references.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_value_is_not_freed_under_a_reader_and_is_gone_afterwards() {
        struct Canary(Arc<AtomicBool>);
        impl Drop for Canary {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        for _ in 0..200 {
            let freed = Arc::new(AtomicBool::new(false));
            let gated = Arc::new(Gated::new(Box::new(Canary(freed.clone()))));
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    let gated = gated.clone();
                    std::thread::spawn(move || {
                        let mut entries = 0u64;
                        while let Some(inside) = gated.enter() {
                            assert!(!inside.0.load(Ordering::SeqCst));
                            entries += 1;
                        }
                        entries
                    })
                })
                .collect();
            gated.wait_for_readers();
            assert!(gated.take().is_some() && gated.take().is_none());
            assert!(freed.load(Ordering::SeqCst));
            let entries: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
            let _ = entries;
        }
    }
}
