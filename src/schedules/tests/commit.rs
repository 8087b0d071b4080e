//! The group commit: nobody returns before what it wrote is durable, one syncs at a time, and nobody is left waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool as Flag, AtomicU64 as Number};

use super::explore;
use crate::log::Position;
use crate::log::commit::Commit;
use crate::sync::atomic::{AtomicU64, Ordering};

const THREADS: u64 = 3;
const WRITES: u64 = 2;

/// A log of records that are numbers.
#[derive(Default)]
struct Log {
    commit: Commit,
    tail: AtomicU64,
    durable: Number,
    is_syncing: Flag,
    /// How many syncs fail from now on.
    failing: Number,
}

impl Log {
    fn sync(&self) -> crate::Result<Position> {
        assert!(!self.is_syncing.swap(true, Ordering::SeqCst), "two sync at once");
        let reached = self.tail.load(Ordering::SeqCst);
        // A sync takes its time: whoever comes now is not in it.
        crate::sync::scheduled::point();
        let fails = self.failing.load(Ordering::SeqCst) > 0;
        if fails {
            self.failing.fetch_sub(1, Ordering::SeqCst);
        } else {
            self.durable.fetch_max(reached, Ordering::SeqCst);
        }
        self.is_syncing.store(false, Ordering::SeqCst);
        if fails { Err(crate::Error::ReadOnly) } else { Ok(Position(reached)) }
    }
}

fn writers_share_syncs(failing: u64) {
    let log = Arc::new(Log { failing: Number::new(failing), ..Log::default() });
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let log = log.clone();
            shuttle::thread::spawn(move || {
                let mut failed = 0;
                for _ in 0..WRITES {
                    let mine = log.tail.fetch_add(1, Ordering::SeqCst) + 1;
                    match log.commit.wait(Position(mine), || log.sync()) {
                        Ok(()) => assert!(log.durable.load(Ordering::SeqCst) >= mine, "it is not durable"),
                        Err(_) => failed += 1,
                    }
                }
                failed
            })
        })
        .collect();
    let failed: u64 = threads.into_iter().map(|thread| thread.join().expect("a thread")).sum();
    // A sync that fails is told to the one who led it, and to nobody else.
    assert_eq!(failed, failing - log.failing.load(Ordering::SeqCst));
}

#[test]
fn nobody_returns_before_it_is_durable_and_nobody_is_left_waiting() {
    explore(10, |_| writers_share_syncs(0));
}

#[test]
fn a_sync_that_fails_is_told_to_its_leader_and_the_others_go_on() {
    explore(10, |seed| writers_share_syncs(1 + seed % 2));
}
