//! A value that many threads use and one may take away: grace periods after the model of the kernel's SRCU.
//!
//! [`Gate::enter`] costs two uncontended atomic additions. Whoever takes something away first makes it unreachable,
//! then lets a grace period pass, after which nobody who could have seen it is still inside. The engine uses it to close data
//! files that a merge replaced, for which nobody waits, and to close a store while other threads are calling it.

use std::cell::Cell;
use std::marker::PhantomData;
use std::time::Duration;

// Not from std: `tests/gate_model.rs` tries this file out with others, which reorder what processors may reorder.
use super::atomic::{AtomicPtr, AtomicUsize, Ordering, fence, full_fence_after_addition};
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
    turns: Mutex<Turns>,
}

static NEXT_STRIPE: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// How many gates are remembered. A thread that is inside more of them counts as inside of all there are.
const MOST_VISITED: usize = 16;

/// Gates by address.
#[derive(Clone, Copy)]
struct Visited {
    count: usize,
    gates: [usize; MOST_VISITED],
}

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
    /// The gates inside of which, or while it holds something up, this thread runs code of the library's user. Nothing that would have
    /// to be dropped: to note that takes memory, without which the C library ends the process.
    static VISITING: Cell<Visited> = const { Cell::new(Visited { count: 0, gates: [0; MOST_VISITED] }) };
}

/// Says, until it is dropped, that this thread runs code of the library's user which must not wait for it.
pub struct Visiting;

impl Drop for Visiting {
    fn drop(&mut self) {
        change_visited(|visited| visited.count = visited.count.saturating_sub(1));
    }
}

fn change_visited(change: impl FnOnce(&mut Visited)) {
    let _ = VISITING.try_with(|visiting| {
        let mut visited = visiting.get();
        change(&mut visited);
        visiting.set(visited);
    });
}

/// The counter that this thread uses, the same for all gates. Also for others that spread threads over cache lines.
#[inline]
pub fn stripe() -> usize {
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

/// A moment from which on nobody is inside any more who was inside when it was asked for: the number of turns after which that is
/// certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grace(u64);

/// The turns of a gate: each changes the phase and ends when nobody is left of the old one.
#[derive(Default)]
struct Turns {
    /// The phase that readers are leaving.
    leaving: Option<usize>,
    ended: u64,
}

impl Gate {
    /// The grace period that begins now. Two turns that begin later: a reader may have read the phase before the first and count
    /// itself in after that.
    fn begin_grace(&self) -> Grace {
        let turns = self.turns.lock();
        fence(Ordering::SeqCst);
        Grace(turns.ended + u64::from(turns.leaving.is_some()) + 2)
    }

    /// Whether a grace period is over. Takes as many turns as end at once, and waits for nobody.
    fn is_over(&self, grace: Grace) -> bool {
        let mut turns = self.turns.lock();
        while turns.ended < grace.0 {
            let old = *turns.leaving.get_or_insert_with(|| {
                fence(Ordering::SeqCst);
                let old = self.phase.load(Ordering::Relaxed);
                self.phase.store(old ^ 1, Ordering::SeqCst);
                old
            });
            if self.stripes.iter().any(|stripe| stripe.inside[old].load(Ordering::SeqCst) != 0) {
                return false;
            }
            turns.leaving = None;
            turns.ended += 1;
        }
        fence(Ordering::SeqCst);
        true
    }

    fn wait_for_readers(&self) {
        let (grace, mut rounds) = (self.begin_grace(), 0u32);
        while !self.is_over(grace) {
            rounds += 1;
            if rounds < 64 { thread::yield_now() } else { thread::sleep(Duration::from_micros(50)) }
        }
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
        let gate = Gate {
            stripes: Default::default(),
            phase: AtomicUsize::new(0),
            turns: Mutex::new(Turns::default()),
        };
        Gated { gate, value: AtomicPtr::new(Box::into_raw(value)), _owns: PhantomData }
    }

    /// Goes in; `None` once the value has been taken.
    #[inline]
    pub fn enter(&self) -> Option<Entered<'_, T>> {
        let phase = self.gate.phase.load(Ordering::Relaxed);
        let counter = &self.gate.stripes[stripe()].inside[phase & 1];
        // Whoever waits either sees this reader, or this reader sees as unreachable what the waiter made so before. For that the
        // addition has to be done before anything is read, by whatever kind of load: the index is read with weaker ones.
        counter.fetch_add(1, Ordering::SeqCst);
        full_fence_after_addition();
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
        change_visited(|visited| {
            if let Some(gate) = visited.gates.get_mut(visited.count) {
                *gate = self.address();
            }
            visited.count += 1;
        });
        Visiting
    }

    /// Whether this thread runs code of the library's user so: it must not wait for itself.
    pub fn is_visited_by_caller(&self) -> bool {
        let is_visited = |visited: Visited| match visited.gates.get(..visited.count) {
            Some(gates) => gates.contains(&self.address()),
            None => true,
        };
        VISITING.try_with(|visiting| is_visited(visiting.get())).unwrap_or(false)
    }

    /// A grace period begins: it is over when everybody who is inside now has left.
    pub fn begin_grace(&self) -> Grace {
        self.gate.begin_grace()
    }

    /// Whether a grace period is over. Waits for nobody, and gets on only where it is asked, so from outside.
    pub fn is_over(&self, grace: Grace) -> bool {
        self.gate.is_over(grace)
    }

    /// Gives the value up without freeing it, for a process that does not own it any more.
    pub fn forget(&mut self) {
        self.value.store(std::ptr::null_mut(), Ordering::Relaxed);
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
        let value = self.value.load(Ordering::Relaxed);
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
