//! Room ahead of the tail: blocks, pages and the next file, ready before a writer comes to them.

use std::time::{Duration, Instant};

use super::Log;
use crate::error::Result;

/// So much room is kept ahead of the tail at least; of a small first file as much as it holds.
const AHEAD: std::ops::RangeInclusive<u64> = 64 << 10..=16 << 20;
/// And so much at most; of a store that is small, an eighth of its size.
const MOST_AHEAD: u64 = 128 << 20;
/// The room should last this long: a file system that is writing much lets a reservation wait for a tenth of a second.
const LAST: Duration = Duration::from_millis(150);

/// How fast writers are.
pub(super) struct Pace {
    since: Instant,
    /// Bytes that were appended until then.
    appended: u64,
    /// How far writers get while room should last.
    ahead: u64,
}

impl Pace {
    /// Writers that have not begun.
    pub(super) fn new() -> Self {
        Pace { since: Instant::now(), appended: 0, ahead: 0 }
    }

    /// How much room to keep ahead of the tail of a store, now that so many bytes were appended.
    fn ahead(&mut self, appended: u64, store_size: impl FnOnce() -> u64) -> u64 {
        let elapsed = self.since.elapsed();
        if elapsed >= LAST / 10 {
            let measured =
                appended.saturating_sub(self.appended) as f64 * LAST.as_secs_f64() / elapsed.as_secs_f64();
            // Writers that pause come back as fast as they were.
            self.ahead = (measured as u64).max(self.ahead / 4 * 3).min(MOST_AHEAD).min(store_size() / 8);
            (self.since, self.appended) = (Instant::now(), appended);
        }
        self.ahead
    }
}

impl Log {
    /// Keeps the tail's pages and the next file ready ahead of the writers.
    pub fn prepare(&self) -> Result<()> {
        let (active, tail, appended, needs_spare) = {
            let writer = self.writer.lock();
            if !writer.unclean {
                // Nothing was written yet, and perhaps nothing will be: the files stay as the manifest says.
                return Ok(());
            }
            let half = writer.tail >= self.max_file_size / 2;
            (writer.active.clone(), writer.tail, writer.appended, writer.spare.is_none() && half)
        };
        self.catalog.poison.check()?;
        let reserves = &self.catalog.reserves;
        if reserves.merges.is_released() || reserves.deletes.is_released() {
            // The disk is full. What was set aside is for merges and deletes; those who write take what they need themselves.
            return Ok(());
        }
        let store_size = || self.catalog.files.all().iter().map(|file| file.tail()).sum();
        let least = tail.clamp(*AHEAD.start(), *AHEAD.end());
        let ahead = self.pace.lock().ahead(appended, store_size).max(least);
        active.prepare(ahead)?;
        // Without it the store works until the disk is full; the next pass tries again.
        let _ = self.catalog.fill_reserves();
        if needs_spare {
            self.make_spare(ahead.max(*AHEAD.end()))?;
        }
        Ok(())
    }

    /// Creates the next file ahead.
    pub(super) fn make_spare(&self, ahead: u64) -> Result<()> {
        let spare = self.create_listed(self.max_file_size)?;
        // Without room ahead the file is a file all the same; who writes to it makes the room.
        let _ = spare.prepare(ahead);
        let mut writer = self.writer.lock();
        // A writer that could not wait may have created a later file meanwhile: numbers grow along the log.
        if writer.active.id < spare.id && writer.spare.is_none() {
            writer.spare = Some(spare);
        } else {
            self.unsealed.lock().push(spare);
        }
        Ok(())
    }
}
