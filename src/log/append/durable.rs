//! Making what was appended durable: now, in order, and as far as somebody waits for.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::Position;
use super::Log;
use crate::store::error::Result;
use crate::sync::thread::NotCancelled;

/// How much of a log whose files have this size may be in files that were rotated out and are not on the disk yet. On machines
/// with much memory less than what the kernel keeps in it before it lets writers wait, for as long as it likes.
pub(super) fn most_behind(max_file_size: u64) -> u64 {
    (crate::disk::process::physical_memory() / 16).max(max_file_size)
}

impl Log {
    /// How far the disk is behind the writers: above 0 where they should pause, 1 where they are twice as far ahead as they
    /// may be.
    pub fn sync_lag(&self) -> f64 {
        let behind: u64 = self.unsynced.lock().iter().map(|file| file.tail()).sum();
        behind as f64 / self.most_behind as f64 - 1.0
    }

    /// Returns once all that was appended before `position` is durable.
    pub fn wait_durable(&self, position: Position) -> Result<()> {
        let _not_cancelled = NotCancelled::begin();
        self.commit.wait(position, || self.sync_to(position))
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
        for file in &files {
            let begun = Instant::now();
            let synced = file.sync(&self.catalog.poison, "sync");
            self.syncs.fetch_add(1, Ordering::Relaxed);
            self.sync_nanos.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
            synced?;
        }
        // Not the one that was active: if it was rotated out meanwhile, more was appended to it than was synced.
        self.unsynced.lock().retain(|file| file.id > wanted.file() || file.id >= end.file());
        Ok(if wanted.file() < end.file() { wanted } else { end })
    }
}
