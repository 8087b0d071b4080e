//! What stands behind a handle: a shell that still answers for itself after its handle was given up.
//!
//! Programs use handles after closing them, and close them twice. With the bare memory of a store behind the handle
//! that would be a wild read; with a shell it is `FILEDB_ERR_CLOSED`. A shell that was given up goes into a quarantine
//! and is freed only when so many others have followed it. This is no cure for a program that goes on using dead
//! handles, it is a net under one that slipped.
//!
//! No locks: a child of `fork` must get through here even if another thread of its parent was here at that moment.

use crate::Error;
use crate::capi::error::Failure;
use crate::capi::failpoint::failpoint;
use crate::store::memory;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

/// What a handle of type `S` points to is a `S`; this is what there is to know about it besides its content.
pub(in crate::capi) trait Shell: Sized + Send + Sync + 'static {
    /// What messages call the handle.
    const WHAT: &'static str;
    /// What [`Shell::tag`] holds while the handle is in use: a random number, which other memory is unlikely to hold.
    const IN_USE: u64;
    /// What it holds when the handle was given up.
    const GIVEN_UP: u64 = !Self::IN_USE;

    /// The word that tells. Shells are made with [`Shell::IN_USE`] in it.
    fn tag(&self) -> &AtomicU64;

    /// Where shells go whose handle was given up.
    fn quarantine() -> &'static Quarantine<Self>;
}

/// Whether the handle of this shell may be used.
pub(in crate::capi) fn check<S: Shell>(shell: &S) -> Result<(), Failure> {
    match shell.tag().load(Ordering::Relaxed) {
        tag if tag == S::IN_USE => Ok(()),
        tag if tag == S::GIVEN_UP => Err(Error::Closed.into()),
        _ => Err(Failure::invalid(format!("the {} is not one that filedb made", S::WHAT))),
    }
}

/// Ends the use of the handle; of several threads that try, one succeeds.
pub(in crate::capi) fn give_up<S: Shell>(shell: &S) -> Result<(), Failure> {
    match shell.tag().compare_exchange(S::IN_USE, S::GIVEN_UP, Ordering::AcqRel, Ordering::Relaxed) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Closed.into()),
    }
}

/// Puts a shell behind a new handle.
pub(in crate::capi) fn make<S: Shell>(shell: S) -> Result<*mut S, Failure> {
    failpoint();
    Ok(Box::into_raw(memory::boxed(shell).map_err(Error::from)?))
}

/// The last `N` shells whose handles were given up, as a ring.
pub(in crate::capi) struct Quarantine<S> {
    next: AtomicUsize,
    places: [AtomicPtr<S>; SHELLS_KEPT],
}

/// How many shells of a type are kept after their handles were given up.
pub(in crate::capi) const SHELLS_KEPT: usize = 1024;

impl<S: Shell> Quarantine<S> {
    pub(in crate::capi) const fn new() -> Quarantine<S> {
        Quarantine {
            next: AtomicUsize::new(0),
            places: [const { AtomicPtr::new(ptr::null_mut()) }; SHELLS_KEPT],
        }
    }

    /// Takes in a shell that its handle's owner gave up, and frees the one that has been here for the longest.
    pub(in crate::capi) fn admit(&self, shell: NonNull<S>) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        // The remainder is always within the array; `get` says so without a panic to think about.
        let Some(place) = self.places.get(turn % SHELLS_KEPT) else { return };
        let oldest = place.swap(shell.as_ptr(), Ordering::AcqRel);
        if !oldest.is_null() {
            // SAFETY: `make` got it out of a Box. The swap made this thread its only owner, and the
            // header's contract is that nobody uses a handle so many closes after it was closed.
            drop(unsafe { Box::from_raw(oldest) });
        }
    }
}
