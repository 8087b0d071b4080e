//! The gate under loom, which tries all orders of the steps of its threads, and the orders of memory that weak processors have.
//!
//! `src/sync/gate.rs` is compiled into this test once more, with loom's atomics, locks and threads in the place of its own.

#![allow(missing_docs, dead_code)]

#[path = "../src/sync"]
mod sync {
    pub mod atomic {
        pub use loom::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};

        pub fn full_fence_after_addition() {
            fence(Ordering::SeqCst);
        }
    }

    pub mod lock {
        pub struct Mutex<T>(loom::sync::Mutex<T>);

        impl<T> Mutex<T> {
            pub fn new(value: T) -> Self {
                Mutex(loom::sync::Mutex::new(value))
            }

            pub fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
                self.0.lock().expect("loom poisons no lock")
            }
        }
    }

    pub mod thread {
        pub use loom::thread::yield_now;

        pub fn sleep(_: std::time::Duration) {
            yield_now();
        }
    }

    pub mod gate;
}

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use sync::gate::Gated;

/// What stands behind the gate: an index that says which of three files is read, as the engine's does.
struct Store {
    index: AtomicUsize,
    files: [UnsafeCell<u32>; 3],
}

// SAFETY: loom tells where an access to a cell is not ordered after the one before; that is the test.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

fn store() -> Arc<Gated<Store>> {
    let files = std::array::from_fn(|_| UnsafeCell::new(1));
    let store = Store { index: AtomicUsize::new(0), files };
    Arc::new(Gated::new(Box::new(store)))
}

/// A get: which file it is, and what stands there. With the weakest load that the index is read with.
fn read(gated: &Gated<Store>) -> bool {
    let Some(store) = gated.enter() else { return false };
    let file = store.index.load(Ordering::Acquire);
    // SAFETY: see `Store`.
    let content = store.files[file].with(|content| unsafe { *content });
    assert_eq!(content, 1, "file {file} was removed under its reader");
    true
}

#[test]
fn a_file_is_removed_when_nobody_reads_in_it_who_looked_it_up_before() {
    loom::model(|| {
        let gated = store();
        let reader = {
            let gated = gated.clone();
            thread::spawn(move || assert!(read(&gated)))
        };
        // Twice: a reader may have found out which counter is in use before the first wait, and use it after that.
        for file in 0..2 {
            gated.enter().unwrap().index.store(file + 1, Ordering::Release);
            let grace = gated.begin_grace();
            while !gated.is_over(grace) {
                thread::yield_now();
            }
            // SAFETY: see `Store`.
            gated.enter().unwrap().files[file].with_mut(|content| unsafe { *content = 0 });
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_store_is_closed_when_nobody_is_inside_any_more() {
    loom::model(|| {
        let gated = store();
        let reader = {
            let gated = gated.clone();
            thread::spawn(move || read(&gated) && read(&gated))
        };
        let taken = gated.take().unwrap();
        // SAFETY: see `Store`.
        taken.files[0].with_mut(|content| unsafe { *content = 0 });
        assert!(gated.take().is_none());
        reader.join().unwrap();
    });
}
