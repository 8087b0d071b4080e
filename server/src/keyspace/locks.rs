//! Locks of keys: who changes a key holds its lock, so that reading and writing it is one step.
//!
//! There are a thousand locks and a key has one of them. A thread takes those that it lacks without waiting, or, where somebody has
//! one, first gives up all that it has and then waits for all in their order: so nobody waits for somebody who waits.

use parking_lot::{Mutex, MutexGuard};

/// The number of locks.
const LOCKS: usize = 1024;

/// See the module.
pub struct Locks {
    /// Never freed: guards are kept beside what they guard.
    all: &'static [Mutex<()>],
    hasher: foldhash::fast::FixedState,
}

/// The locks that a thread has.
#[derive(Default)]
pub struct Held {
    guards: Vec<(usize, MutexGuard<'static, ()>)>,
    mask: [u64; LOCKS / 64],
}

impl Locks {
    /// Locks that nobody has.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let all: Vec<_> = (0..LOCKS).map(|_| Mutex::new(())).collect();
        Locks {
            all: Box::leak(all.into_boxed_slice()),
            hasher: foldhash::fast::FixedState::with_seed(0x7f4a),
        }
    }

    fn number(&self, key: &[u8]) -> usize {
        use std::hash::BuildHasher;
        self.hasher.hash_one(key) as usize % LOCKS
    }

    /// Takes the lock of a key too. False where somebody else has it.
    pub fn try_add(&self, key: &[u8], held: &mut Held) -> bool {
        self.try_number(self.number(key), held)
    }

    fn try_number(&self, number: usize, held: &mut Held) -> bool {
        if held.has(number) {
            return true;
        }
        match self.all[number].try_lock() {
            Some(guard) => {
                held.add(number, guard);
                true
            }
            None => false,
        }
    }

    /// Waits for the locks of these keys, for who holds none.
    pub fn wait_for<'a>(&self, keys: impl Iterator<Item = &'a [u8]>, held: &mut Held) {
        debug_assert!(held.is_empty(), "who holds locks must not wait for others");
        let mut numbers: Vec<_> = keys.map(|key| self.number(key)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            held.add(number, self.all[number].lock());
        }
    }

    /// Waits for all locks, for who holds none.
    pub fn wait_for_all(&self, held: &mut Held) {
        for (number, lock) in self.all.iter().enumerate() {
            held.add(number, lock.lock());
        }
    }
}

impl Held {
    fn has(&self, number: usize) -> bool {
        self.mask[number / 64] & 1 << (number % 64) != 0
    }

    fn add(&mut self, number: usize, guard: MutexGuard<'static, ()>) {
        self.mask[number / 64] |= 1 << (number % 64);
        self.guards.push((number, guard));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.guards.is_empty()
    }

    /// Whether all are held.
    pub fn is_all(&self) -> bool {
        self.guards.len() == LOCKS
    }

    /// Gives all up.
    pub fn release(&mut self) {
        for (number, guard) in self.guards.drain(..) {
            self.mask[number / 64] = 0;
            drop(guard);
        }
    }
}
