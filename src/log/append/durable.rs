//! Making what was appended durable: now, in order, and as far as somebody waits for.

use crate::sync::atomic::Ordering;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::Position;
use super::super::file::DataFile;
use super::Log;
use crate::disk::process;
use crate::store::error::Result;
use crate::sync::thread::NotCancelled;

/// How much of the log may be in memory only, as a part of that, before it is written to the disk. Less than what the kernel keeps before it
/// lets writers wait, for as long as it likes; and where a control group has little memory, it would end the process, because it
/// cannot take back pages that are not on the disk.
const BEHIND_SHARE: u64 = 16;
/// How much may be in memory only however little memory there is.
const LEAST_BEHIND: u64 = 256 << 10;
/// How much a writer lets the disk write at a time.
const WAITED_FOR: RangeInclusive<u64> = 64 << 10..=4 << 20;

/// How many bytes may be in memory only before writers let the disk write them. Where twice as many are, they wait for it.
pub fn most_behind() -> u64 {
    process::memory_share(BEHIND_SHARE, LEAST_BEHIND..=u64::MAX)
}

impl Log {
    /// Whether no more is in memory only than may be.
    pub fn is_near_disk(&self) -> bool {
        self.dirty(&self.unsynced_files()) <= most_behind()
    }

    /// The files that something was appended to that is not synced, oldest first.
    fn unsynced_files(&self) -> Vec<Arc<DataFile>> {
        let writer = self.writer.lock();
        let mut files = self.unsynced.lock().clone();
        files.push(writer.active.clone());
        files
    }

    fn dirty(&self, files: &[Arc<DataFile>]) -> u64 {
        files.iter().map(|file| file.dirty()).sum()
    }

    /// Writes some of what is in memory only to the disk, where that is more than may be, and waits where it is twice as much: then
    /// writers are as fast as the disk. For a writer who holds no lock.
    pub fn stay_near_disk(&self) -> Result<()> {
        let files = self.unsynced_files();
        let (most, poison) = (most_behind(), &self.catalog.poison);
        if self.dirty(&files) <= most {
            return Ok(());
        }
        let _not_cancelled = NotCancelled::begin();
        let piece = (most / 8).clamp(*WAITED_FOR.start(), *WAITED_FOR.end());
        for file in &files {
            if file.begin_write_back(piece, poison)? {
                break;
            }
        }
        if self.dirty(&files) <= 2 * most {
            return Ok(());
        }
        // One at a time, and the others wait for that one.
        let _alone = self.writing_back.lock();
        for file in &files {
            while self.dirty(&files) > 2 * most
                && (file.begin_write_back(piece, poison)? | file.finish_write_back(piece, poison)?)
            {
            }
        }
        Ok(())
    }

    /// Returns once all that was appended before `position` is durable.
    pub fn wait_durable(&self, position: Position) -> Result<()> {
        let _not_cancelled = NotCancelled::begin();
        self.commit.wait(position, || {
            let durable = self.sync_to(position)?;
            self.published.durable(durable);
            Ok(durable)
        })
    }

    /// Makes all that was appended so far durable.
    pub fn sync(&self) -> Result<()> {
        let position = {
            let writer = self.writer.lock();
            Position::new(writer.active.id, writer.tail)
        };
        self.catalog.poison.check()?;
        self.wait_durable(position)
    }

    /// Syncs if something is not durable and the last sync is that long ago.
    pub fn sync_if_due(&self, interval: Duration) -> Result<()> {
        let begun = Instant::now();
        if begun.duration_since(*self.last_sync.lock()) < interval {
            return Ok(());
        }
        let unsynced = {
            let writer = self.writer.lock();
            Position::new(writer.active.id, writer.tail) > self.commit.durable()
        };
        if unsynced {
            self.sync()?;
            *self.last_sync.lock() = begun;
        }
        Ok(())
    }

    /// Syncs files in the order in which they were written: all, or, where `wanted` is in one that was rotated out, up to that
    /// one. Gives how far the log is durable then.
    fn sync_to(&self, wanted: Position) -> Result<Position> {
        self.catalog.poison.check()?;
        let (mut files, end) = {
            let writer = self.writer.lock();
            let mut files = self.unsynced.lock().clone();
            files.push(writer.active.clone());
            (files, Position::new(writer.active.id, writer.tail))
        };
        files.retain(|file| file.id <= wanted.file());
        if seeded_bug!("rotated-files-not-synced") {
            files.drain(..files.len() - 1);
        }
        for file in &files {
            let begun = Instant::now();
            let synced = file.sync(&self.catalog.poison, "sync");
            self.syncs.fetch_add(1, Ordering::Relaxed);
            self.sync_nanos.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
            synced?;
        }
        let end = if seeded_bug!("sync-counts-what-came-during-it") {
            let writer = self.writer.lock();
            Position::new(writer.active.id, writer.tail)
        } else {
            end
        };
        // Not the one that was active: if it was rotated out meanwhile, more was appended to it than was synced.
        self.unsynced.lock().retain(|file| file.id > wanted.file() || file.id >= end.file());
        Ok(if wanted.file() < end.file() { wanted } else { end })
    }
}
