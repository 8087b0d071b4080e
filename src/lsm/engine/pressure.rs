//! What makes writers wait: memtables that are not written out yet, and runs that are not merged.

use crate::sync::atomic::Ordering;
use std::time::Duration;

use super::Engine;
use crate::store::error::Result;
use crate::store::options::MergeMode;
use crate::sync::thread::NotCancelled;

/// How many memtables that are full may wait to be written out before writers wait a little: more than are written out together.
const FEW_FROZEN: usize = 5;
/// How many memtables may wait where runs cannot be written: puts are refused then, and everything when twice as many wait.
const MOST_FROZEN: usize = 4;
/// How many memtables may wait before no writer goes on until one was written out, as long as that works: with the one that is written to
/// they take seven eighths of `lsm_memory`.
pub const MOST_WAITING: usize = 6;
/// How many runs that overlap make writers wait a little.
const MANY_RUNS: usize = 20;
/// A write waits for at most this long.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

impl Engine {
    /// Whether a writer should wait a little before it writes more.
    pub fn is_behind(&self) -> bool {
        let (waiting, runs) = self.backlog();
        waiting >= FEW_FROZEN || runs >= MANY_RUNS
    }

    /// How many memtables wait to be written out, and how many runs for a merge that comes by itself.
    fn backlog(&self) -> (usize, usize) {
        let backlog = self.backlog.load(Ordering::Relaxed);
        let is_merged = self.options.merge == MergeMode::Auto && self.merges_come.load(Ordering::Relaxed);
        (backlog & 0xffff, if is_merged { backlog >> 16 } else { 0 })
    }

    /// How many memtables are full.
    pub fn frozen(&self) -> usize {
        self.backlog().0
    }

    /// Says whether writers should wait for merges.
    pub fn set_merges_come(&self, merges_come: bool) {
        self.merges_come.store(merges_come, Ordering::Relaxed);
    }

    /// `Err` where memtables cannot be written out and too many of them wait.
    pub fn check_flushes(&self, makes_room: bool) -> Result<()> {
        let most = if makes_room { 2 * MOST_FROZEN } else { MOST_FROZEN };
        if self.backlog().0 < most {
            return Ok(());
        }
        match self.flush_failure.lock().clone() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Lets a writer wait a little where memtables wait to be written out, or runs to be merged. True where it is to call again before
    /// it writes. `Err` where memtables cannot be written out and too many wait. To be called without a lock.
    pub fn pause(&self, makes_room: bool) -> Result<bool> {
        let (waiting, runs) = self.backlog();
        if (waiting < FEW_FROZEN && runs < MANY_RUNS) || self.options.read_only {
            return Ok(false);
        }
        self.check_flushes(makes_room)?;
        if self.is_background {
            let behind = waiting.saturating_sub(FEW_FROZEN - 1).max(runs.saturating_sub(MANY_RUNS - 1));
            let pause =
                LONGEST_PAUSE.min(Duration::from_micros(250) * 2u32.saturating_pow(behind.min(10) as u32));
            let _not_cancelled = NotCancelled::begin();
            drop(self.relieved.wait_for(self.relieved.lock(), pause));
        }
        // What fails there stops the writes that come after this one.
        let _ = self.log.stay_near_disk();
        let is_written_out =
            self.is_background && self.flush_failure.lock().is_none() && self.catalog.poison.check().is_ok();
        Ok(is_written_out && self.backlog().0 >= MOST_WAITING)
    }

    /// Something was done that writers may be waiting for.
    pub fn relieve(&self) {
        self.relieved.notify_all();
    }
}
