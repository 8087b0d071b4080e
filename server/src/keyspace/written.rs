//! The number of batches that were written, and who waits for the next one.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};

/// See the module.
#[derive(Default)]
pub struct Written {
    count: AtomicU64,
    /// Who writes looks no further where nobody waits.
    waiting: AtomicUsize,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Written {
    /// How many batches were written: the number of the last, which is what waits for the disk.
    #[inline]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Another was written: its number.
    #[inline]
    pub fn raise(&self) -> u64 {
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.wake();
        }
        number
    }

    /// Lets all who wait look again whether they still want to.
    pub fn wake(&self) {
        let _lock = self.lock.lock();
        self.changed.notify_all();
    }

    /// Returns when more than so many batches were written, or `is_over` says that it is enough: who changes that calls [`Written::wake`].
    pub fn wait_for_more_than(&self, count: u64, is_over: impl Fn() -> bool) {
        let mut lock = self.lock.lock();
        // Before it is looked how many there are: who writes one more looks here afterwards, and comes to the lock.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        while self.count() <= count && !is_over() {
            self.changed.wait(&mut lock);
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_batch_misses_none() {
        let (written, rounds) = (Written::default(), 20_000);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..rounds {
                    written.wait_for_more_than(n, || false);
                }
            });
            // Each is waited for by itself: one that is missed lets the other wait for ever.
            for n in 0..rounds {
                while n % 7 == 0 && written.waiting.load(Ordering::SeqCst) == 0 && written.count() == n {
                    std::thread::yield_now();
                }
                assert_eq!(written.raise(), n + 1);
            }
        });
    }
}
