//! A segment of the index under loom, which tries all orders of the steps of its threads, and the orders of memory that weak
//! processors have: readers take no lock, and notice by the version that slots were moved under them.
//!
//! `src/index/segment.rs` is compiled into this test once more, with loom's atomics and locks in the place of its own and blocks of four
//! slots. `src/schedules` tries the whole index, where all threads see each step at once.

#![allow(clippy::unwrap_used, missing_docs, dead_code, unused_macros)]

#[macro_use]
#[path = "../src/seeded.rs"]
mod seeded;

mod store {
    pub mod memory {
        #[derive(Clone, Copy, Debug)]
        pub struct Refused;

        pub fn boxed<T>(value: T) -> Result<Box<T>, Refused> {
            Ok(Box::new(value))
        }

        pub fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result<(), Refused> {
            list.reserve(more);
            Ok(())
        }

        pub fn vec_with_room<T>(count: usize) -> Result<Vec<T>, Refused> {
            Ok(Vec::with_capacity(count))
        }
    }
}

mod sync {
    pub mod atomic {
        pub use loom::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
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

            pub fn get_mut(&mut self) -> &mut T {
                self.0.get_mut().expect("loom poisons no lock")
            }

            pub fn into_inner(self) -> T {
                self.0.into_inner().expect("loom poisons no lock")
            }
        }
    }
}

#[path = "../src/index"]
mod index {
    pub mod entry;
    pub mod segment;

    pub mod hash {
        #[derive(Clone, Copy)]
        pub struct KeyHash {
            pub root: u8,
            pub word: u64,
            pub fingerprint: u8,
        }

        impl KeyHash {
            pub fn top(&self) -> u64 {
                u64::from(self.root) << 56 | self.word >> 8
            }
        }
    }

    pub mod arena {
        use std::ptr::NonNull;
        use std::sync::Mutex;

        use crate::sync::atomic::AtomicU64;

        pub struct Slot {
            pub word: AtomicU64,
            pub entry: AtomicU64,
        }

        pub const BLOCK_SLOTS: usize = 4;
        pub type Block = [Slot; BLOCK_SLOTS];

        /// Blocks that stay until it goes.
        #[derive(Default)]
        pub struct Arena(Mutex<Vec<usize>>);

        impl Arena {
            pub fn allocate(&self) -> Option<NonNull<Block>> {
                let slot = || Slot { word: AtomicU64::new(0), entry: AtomicU64::new(0) };
                let block = Box::into_raw(Box::<Block>::new(std::array::from_fn(|_| slot())));
                self.0.lock().unwrap().push(block.addr());
                NonNull::new(block)
            }

            pub fn recycle(&self, _: NonNull<Block>) {}
        }

        impl Drop for Arena {
            fn drop(&mut self) {
                for block in self.0.get_mut().unwrap().drain(..) {
                    // SAFETY: made by `allocate`, and nobody looks at it any more.
                    drop(unsafe { Box::from_raw(block as *mut Block) });
                }
            }
        }
    }

    /// What this test needs of a segment.
    pub struct Index {
        arena: arena::Arena,
        segment: Box<segment::Segment>,
    }

    impl Index {
        pub fn new() -> Self {
            let arena = arena::Arena::default();
            let segment = segment::Segment::new(8, 0, &arena).unwrap();
            Index { arena, segment }
        }

        pub fn insert(&self, hash: hash::KeyHash, entry: entry::Entry) {
            self.segment.insert(&mut self.segment.writing.lock(), hash, entry);
        }

        pub fn remove(&self, hash: hash::KeyHash) {
            self.segment.remove(&mut self.segment.writing.lock(), hash).unwrap();
        }

        /// As `Index::get`, but for who looks again: `Err` where slots moved meanwhile.
        pub fn read(&self, hash: hash::KeyHash) -> Result<Option<entry::Entry>, ()> {
            self.segment.read(hash)
        }
    }
}

use index::Index;
use index::entry::{Entry, Location, SizeClass};
use index::hash::KeyHash;
use loom::sync::Arc;

/// All at home in the first slot, so that each but the first stands behind it.
fn hash(n: u64) -> KeyHash {
    KeyHash { root: 0, word: n << 8, fingerprint: n as u8 }
}

fn entry(n: u64) -> Entry {
    Entry { location: Location { slot: n as u16, units: 1 }, size: SizeClass::of_units(4) }
}

/// `keys` are there; one thread changes them and another looks for `wanted`, which stays.
fn model(keys: &'static [u64], change: fn(&Index), wanted: u64) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let index = Arc::new(Index::new());
        keys.iter().for_each(|n| index.insert(hash(*n), entry(*n)));
        let reader = {
            let index = index.clone();
            loom::thread::spawn(move || {
                if let Ok(found) = index.read(hash(wanted)) {
                    assert_eq!(found, Some(entry(wanted)), "a key that stays was not found");
                }
            })
        };
        change(&index);
        reader.join().unwrap();
        assert_eq!(index.read(hash(wanted)), Ok(Some(entry(wanted))));
    });
}

#[test]
fn a_key_is_found_while_one_before_it_goes() {
    model(&[1, 2], |index| index.remove(hash(1)), 2);
}

#[test]
fn a_key_is_found_while_one_before_it_comes() {
    model(&[2], |index| index.insert(hash(1), entry(1)), 2);
}

#[test]
fn a_key_that_takes_the_place_of_another_is_that_key() {
    // The key behind moves to where the one that goes was: not its entry, nor the place of the other.
    model(
        &[1, 3],
        |index| {
            index.remove(hash(1));
            index.insert(hash(2), entry(2));
        },
        3,
    );
}

#[test]
fn a_key_is_there_whole_or_not_at_all() {
    loom::model(|| {
        let index = Arc::new(Index::new());
        let writer = {
            let index = index.clone();
            loom::thread::spawn(move || index.insert(hash(1), entry(1)))
        };
        if let Ok(Some(found)) = index.read(hash(1)) {
            assert_eq!(found, entry(1));
        }
        writer.join().unwrap();
        assert_eq!(index.read(hash(1)), Ok(Some(entry(1))));
    });
}
