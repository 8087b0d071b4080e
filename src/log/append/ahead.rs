//! Room ahead of the tail: blocks, pages and the next file, ready before a writer comes to them.

use crate::sync::atomic::Ordering;
use std::time::Duration;

use super::Log;
use crate::disk::Room;
use crate::store::error::Result;

/// How much room is kept ahead of the tail at least; of a small first file as much as it holds.
const AHEAD: std::ops::RangeInclusive<u64> = 64 << 10..=16 << 20;
/// Which part of a file is kept ahead at least, in a store that is overwritten and whose files are small for that.
const DIVIDED_PARTS: u64 = 4;
/// How much room is kept ahead of the tail at most; of a store that is small, an eighth of its size.
const MOST_AHEAD: u64 = 128 << 20;
/// The room should last this long: a file system that is writing much lets a reservation wait for a tenth of a second.
const LAST: Duration = Duration::from_millis(150);

/// Which part of the room is made anew at once, and how much at most: pages are ready for four times as much.
const PARTS: u64 = 16;
const MOST_EVERY: u64 = 4 << 20;

/// Pages are made for bulk where writers fill this much in [`LAST`], and where no more than so many syncs fall into the time
/// of a measurement.
const BULK: u64 = 4 << 20;
const MOST_SYNCS_IN_BULK: u64 = 2;

/// How fast writers are, by the disk's clock: on a simulated disk a run can be repeated.
pub(super) struct Pace {
    since_ms: u64,
    /// Bytes that were appended until then, and syncs.
    appended: u64,
    syncs: u64,
    /// How far writers get while room should last.
    ahead: u64,
    in_bulk: bool,
}

impl Pace {
    /// Writers that have not begun.
    pub(super) fn new(now_ms: u64) -> Self {
        Pace { since_ms: now_ms, appended: 0, syncs: 0, ahead: 0, in_bulk: false }
    }

    /// How much room to keep ahead of the tail of a store, now that so many bytes were appended in so many syncs.
    fn room(&mut self, now_ms: u64, appended: u64, syncs: u64, store_size: impl FnOnce() -> u64) -> Room {
        let elapsed = self.elapsed(now_ms);
        if elapsed >= LAST / 10 {
            let measured =
                appended.saturating_sub(self.appended) as f64 * LAST.as_secs_f64() / elapsed.as_secs_f64();
            // Writers that pause come back as fast as they were.
            let ahead = (measured as u64).max(self.ahead / 4 * 3);
            self.in_bulk = ahead >= BULK && syncs.saturating_sub(self.syncs) <= MOST_SYNCS_IN_BULK;
            self.ahead = ahead.min(MOST_AHEAD).min(store_size() / 8);
            (self.since_ms, self.appended, self.syncs) = (now_ms, appended, syncs);
        }
        self.last_room()
    }

    fn elapsed(&self, now_ms: u64) -> Duration {
        Duration::from_millis(now_ms.saturating_sub(self.since_ms))
    }

    /// How much room that was the last time.
    pub(super) fn last_room(&self) -> Room {
        Room { bytes: self.ahead, in_bulk: self.in_bulk }
    }
}

impl Log {
    /// Whether writers are fast, and were so a moment ago.
    pub fn is_filled_fast(&self) -> bool {
        let pace = self.pace.lock();
        pace.in_bulk && pace.elapsed(self.catalog.disk.monotonic_ms()) < 2 * LAST
    }

    /// Keeps the tail's pages and the next file ready ahead of the writers.
    pub fn prepare(&self) -> Result<()> {
        let (active, spare, tail, appended) = {
            let writer = self.writer.lock();
            if !writer.unclean {
                // Nothing was written yet, and perhaps nothing will be: the files stay as the manifest says.
                return Ok(());
            }
            (writer.active.clone(), writer.spare.clone(), writer.tail, writer.appended)
        };
        self.catalog.poison.check()?;
        let reserves = &self.catalog.reserves;
        if reserves.merges.is_released() || reserves.deletes.is_released() {
            // The disk is full. What was set aside is for merges and deletes; those who write take what they need themselves.
            return Ok(());
        }
        let (now, syncs) = (self.catalog.disk.monotonic_ms(), self.syncs.load(Ordering::Relaxed));
        let mut room = self.pace.lock().room(now, appended, syncs, || self.catalog.bytes());
        let divided_at = self.divided_at();
        let least = if divided_at < self.max_file_size { divided_at / DIVIDED_PARTS } else { *AHEAD.end() };
        room.bytes = room.bytes.max(tail.clamp(*AHEAD.start(), least.max(*AHEAD.start())));
        let every = (room.bytes / PARTS).clamp(*super::telling::PREPARE_EVERY.end(), MOST_EVERY);
        self.prepare_every.store(every, Ordering::Relaxed);
        // Where the log goes on in the next file soon, the room is there.
        let end = if tail < divided_at { divided_at } else { self.max_file_size };
        let here = Room { bytes: room.bytes.min(end.saturating_sub(tail)), ..room };
        let rest = Room { bytes: room.bytes - here.bytes, ..room };
        if here.bytes > 0 {
            active.prepare(here)?;
        }
        // Without it the store works until the disk is full; the next pass tries again.
        let has_reserves = self.catalog.fill_reserves().is_ok();
        match spare {
            // Only now: what it has the active file cannot have.
            Some(spare) if has_reserves && rest.bytes > 0 => {
                // As in `make_spare`.
                let _ = spare.prepare(rest);
            }
            None if has_reserves && (tail >= self.max_file_size / 2 || divided_at < self.max_file_size) => {
                self.make_spare(Room { bytes: rest.bytes.max(*AHEAD.start()), ..room })?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Creates the next file ahead.
    pub(super) fn make_spare(&self, room: Room) -> Result<()> {
        let epoch = {
            let writer = self.writer.lock();
            super::epoch(writer.next_seq, writer.time_ms)
        };
        let spare = self.create_listed(self.max_file_size, epoch)?;
        // Without room ahead the file is a file all the same; who writes to it makes the room.
        let _ = spare.prepare(room);
        let mut writer = self.writer.lock();
        // A writer that could not wait may have created a later file meanwhile: numbers grow along the log.
        if writer.active.id < spare.id && writer.spare.is_none() {
            writer.spare = Some(spare);
            writer.capacity = writer.capacity.min(self.divided_at());
        } else {
            self.leave_to_seal(spare);
        }
        Ok(())
    }
}
