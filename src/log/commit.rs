//! Group commit: all who wait for the log to be durable share one sync.
//!
//! The first to come leads: it syncs all that is appended so far, while those who come later append and wait; one of
//! them leads the next round. (The idea is old; DeWitt et al., 1984.)

use crate::sync::atomic::{AtomicU64, Ordering};

use super::Position;
use crate::store::error::Result;
use crate::sync::monitor::Monitor;

/// How far the log is durable, and who is at work on that.
#[derive(Default)]
pub struct Commit {
    durable: AtomicU64,
    turn: Monitor<Turn>,
}

/// Who syncs, and who waits for that.
#[derive(Default)]
struct Turn {
    /// Somebody is syncing.
    is_led: bool,
    /// How many wait until that is done. Where nobody does, nobody is woken, which is a system call.
    waiting: u32,
}

impl Commit {
    /// A log that is durable up to `position`.
    pub fn new(position: Position) -> Self {
        Commit { durable: AtomicU64::new(position.0), ..Default::default() }
    }

    /// All of the log before this is durable.
    #[inline]
    pub fn durable(&self) -> Position {
        Position(self.durable.load(Ordering::Acquire))
    }

    /// Returns once the log is durable up to `position`. `sync` makes all that is appended durable and says how far
    /// that is; it runs in one thread at a time.
    pub fn wait(&self, position: Position, sync: impl Fn() -> Result<Position>) -> Result<()> {
        loop {
            if self.durable() >= position {
                return Ok(());
            }
            let mut turn = self.turn.lock();
            if turn.is_led && seeded_bug!("sync-of-others-not-awaited") {
                return Ok(());
            }
            if turn.is_led {
                turn.waiting += 1;
                turn = self.turn.wait(turn);
                turn.waiting -= 1;
                continue;
            }
            if self.durable() >= position {
                return Ok(());
            }
            turn.is_led = true;
            drop(turn);
            let _leader = Leader(self);
            self.durable.fetch_max(sync()?.0, Ordering::AcqRel);
        }
    }
}

/// Steps down when dropped, also where the sync failed or panicked.
struct Leader<'a>(&'a Commit);

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let mut turn = self.0.turn.lock();
        turn.is_led = false;
        let somebody_waits = turn.waiting > 0;
        drop(turn);
        if somebody_waits && seeded_bug!("one-waiter-woken") {
            self.0.turn.notify_one();
        } else if somebody_waits {
            self.0.turn.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_waiters_share_few_syncs_and_none_returns_too_early() {
        let (commit, tail, syncs) = (Commit::default(), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let mine = Position(tail.fetch_add(1, Ordering::SeqCst) + 1);
                        commit
                            .wait(mine, || {
                                syncs.fetch_add(1, Ordering::SeqCst);
                                let reached = tail.load(Ordering::SeqCst);
                                std::thread::yield_now();
                                Ok(Position(reached))
                            })
                            .unwrap();
                        assert!(commit.durable() >= mine);
                    }
                });
            }
        });
        assert!(syncs.load(Ordering::SeqCst) <= 1600);
    }

    #[test]
    fn a_sync_that_fails_or_panics_reaches_the_one_who_led_it_and_frees_those_who_wait() {
        for panics in [false, true] {
            let commit = Commit::default();
            std::thread::scope(|scope| {
                let leader = scope.spawn(|| {
                    commit.wait(Position(1), || {
                        while commit.turn.lock().waiting < 3 {
                            std::thread::yield_now();
                        }
                        assert!(!panics, "a sync that panics");
                        Err(crate::Error::ReadOnly)
                    })
                });
                while !commit.turn.lock().is_led {
                    std::thread::yield_now();
                }
                for _ in 0..3 {
                    scope.spawn(|| commit.wait(Position(1), || Ok(Position(1))).unwrap());
                }
                assert!(leader.join().map_or(panics, |led| led.is_err() && !panics));
            });
            assert!(commit.durable() == Position(1) && commit.turn.lock().waiting == 0);
        }
    }
}
