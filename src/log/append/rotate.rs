//! One file after the other: when the next is begun, and how the last becomes final.

use crate::sync::atomic::Ordering;
use std::sync::Arc;

use super::super::Position;
use super::super::catalog::Catalog;
use super::super::file::DataFile;
use super::durable::most_behind;
use super::{Log, Work, Writer, epoch};
use crate::disk::Room;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::Epoch;
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::format::{ALIGNMENT, FileId, align};
use crate::store::error::{Error, Result};
use crate::sync::thread::NotCancelled;

/// How much may wait to be sealed while writers are fast, if no less may wait for the disk: an opening after a kill reads all of it.
const MOST_UNSEALED_BYTES: u64 = 1 << 30;

impl Log {
    /// Sees to it that a new file is begun if something in the active one is dead, so that a merge can take that. False where
    /// nothing is.
    pub fn rotate_if_dead(&self) -> Result<bool> {
        self.rotate_if(|active| active.has_dead())
    }

    /// Sees to it that a new file is begun if the active one has more bytes than that. False where it has not.
    pub fn rotate_if_larger(&self, bytes: u64) -> Result<bool> {
        self.rotate_if(|active| active.tail() > bytes)
    }

    fn rotate_if(&self, is_due: impl Fn(&DataFile) -> bool) -> Result<bool> {
        self.catalog.poison.check()?;
        let (active, needs_spare) = {
            let mut writer = self.writer.lock();
            if !is_due(&writer.active) {
                return Ok(false);
            }
            self.mark_unclean(&mut writer)?;
            (writer.active.id, writer.spare.is_none())
        };
        if needs_spare {
            // Not under the lock: writers do not wait for it. On a full disk it takes nothing of what was set aside.
            let reserves = &self.catalog.reserves;
            let is_full = reserves.merges.is_released() || reserves.deletes.is_released();
            let room = if is_full { Room::default() } else { self.pace.lock().last_room() };
            self.make_spare(room)?;
        }
        let mut writer = self.writer.lock();
        if writer.active.id != active {
            // Somebody's record did not fit it any more.
            return Ok(true);
        }
        let time_ms = writer.time_ms;
        self.rotate(&mut writer, 0, 0, time_ms).map(|()| true)
    }

    /// Begins a new file that has room for a frame of `size` bytes, which takes so many numbers and is written at `time_ms`.
    #[cold]
    pub(super) fn rotate(&self, writer: &mut Writer, size: u64, seqs: u64, time_ms: u64) -> Result<()> {
        let _not_cancelled = NotCancelled::begin();
        let needed = FILE_HEADER_SIZE + size;
        if align(needed) > u64::from(u32::MAX) * ALIGNMENT {
            return Err(Error::TooLarge { what: "record", size, limit: u64::from(u32::MAX) });
        }
        let capacity = self.max_file_size.max(needed);
        let seq = writer.next_seq;
        let is_near = |file: &DataFile| file.origin.is_near(seq, seqs, time_ms);
        if let Some(spare) = writer.spare.take() {
            let fits = needed <= self.max_file_size && is_near(&spare);
            self.retire(writer, spare, self.max_file_size);
            if fits {
                return Ok(());
            }
        }
        let file = loop {
            let file = self.create_listed(capacity, epoch(seq, time_ms))?;
            if file.id > writer.active.id && is_near(&file) {
                break file;
            }
            // Made for an earlier place in the log, where it is not needed any more: file numbers grow along the log.
            self.leave_to_seal(file);
        };
        self.retire(writer, file, capacity);
        Ok(())
    }

    /// Makes `next` the active file, and leaves the last one to be synced and sealed.
    fn retire(&self, writer: &mut Writer, next: Arc<DataFile>, capacity: u64) {
        let begin = Position::new(next.id, FILE_HEADER_SIZE);
        self.published.goes_on(Position::new(writer.active.id, writer.tail), begin);
        let last = std::mem::replace(&mut writer.active, next);
        self.unsynced.lock().push(last.clone());
        self.leave_to_seal(last);
        writer.capacity = capacity;
        writer.tail = FILE_HEADER_SIZE;
        writer.recorded_frontier = Position::default();
        writer.wake_at = 0;
        writer.awaited = writer.awaited.map(|_| 0);
        writer.pause_at = 0;
        (self.ask)(Work::Look);
    }

    /// From now on the active file is followed by another when it has about so many bytes, and by `max_file_size` at the latest. No
    /// writer waits for that: until the next file is ready, the active one grows.
    pub fn divide_at(&self, bytes: u64) {
        let bytes = bytes.min(self.max_file_size);
        if self.divided_at.swap(bytes, Ordering::Relaxed) == bytes {
            return;
        }
        let mut writer = self.writer.lock();
        if writer.spare.is_some() {
            // A record that is larger has a file of its own, which takes no other.
            writer.capacity = bytes;
        } else if bytes < self.max_file_size {
            (self.ask)(Work::Prepare);
        }
    }

    pub(super) fn divided_at(&self) -> u64 {
        self.divided_at.load(Ordering::Relaxed)
    }

    /// A new file that the manifest lists. One that could not be listed is kept for the next attempt.
    pub(super) fn create_listed(&self, capacity: u64, epoch: Epoch) -> Result<Arc<DataFile>> {
        let mut unlisted = self.unlisted.lock();
        let (file, its_capacity) = match unlisted.take() {
            Some((file, its_capacity)) if its_capacity >= capacity => (file, its_capacity),
            Some((file, _)) => {
                self.leave_to_seal(file);
                (self.catalog.create_file(capacity, epoch)?, capacity)
            }
            None => (self.catalog.create_file(capacity, epoch)?, capacity),
        };
        let listed = self.catalog.update(|manifest| manifest.files.push(Catalog::open_entry(&file)));
        match listed {
            Ok(()) => Ok(file),
            Err(error) => {
                *unlisted = Some((file, its_capacity));
                Err(error)
            }
        }
    }

    /// Leaves a file to be sealed, or removed where it was never written to.
    pub(super) fn leave_to_seal(&self, file: Arc<DataFile>) {
        self.waiting_to_be_sealed.fetch_add(1, Ordering::Relaxed);
        self.unsealed.lock().push(file);
    }

    /// How many files wait to be sealed: each takes a descriptor and a mapping more until then.
    pub fn unsealed_files(&self) -> usize {
        self.waiting_to_be_sealed.load(Ordering::Relaxed)
    }

    /// Whether the files that wait to be sealed are many, or hold much.
    pub fn has_many_unsealed(&self) -> bool {
        let unsealed = self.unsealed.lock();
        unsealed.len() >= 8
            || unsealed.iter().map(|file| file.tail()).sum::<u64>() > MOST_UNSEALED_BYTES.min(most_behind())
    }

    /// Maintenance: the files that were rotated out and wait to be sealed.
    pub fn take_unsealed(&self) -> Vec<Arc<DataFile>> {
        std::mem::take(&mut self.unsealed.lock())
    }

    /// Maintenance: gives back what [`Log::take_unsealed`] took and could not be sealed.
    pub fn return_unsealed(&self, files: Vec<Arc<DataFile>>) {
        let mut unsealed = self.unsealed.lock();
        let newer = std::mem::replace(&mut *unsealed, files);
        unsealed.extend(newer);
    }

    /// Maintenance: makes the content and the length of files that were rotated out final, and says so in the manifest. Those that
    /// were never written to are in it no more afterwards. Files are sealed in the order of the log: recovery relies on it that
    /// no open file stands before a sealed one.
    pub fn seal(&self, files: &[Arc<DataFile>]) -> Result<()> {
        let written = || files.iter().filter(|file| file.seqs().1 > 0);
        if let Some(end) = written().map(|file| Position::new(file.id, file.tail())).max() {
            self.wait_durable(end)?;
        }
        written().try_for_each(|file| file.complete(&self.catalog.poison, "seal"))?;
        self.catalog.update(|manifest| {
            debug_assert!(self.is_next(files, manifest), "a file is sealed before one that stands before it");
            manifest.files.retain_mut(|entry| {
                let Some(file) = files.iter().find(|file| file.id == entry.id) else { return true };
                let (min_seq, max_seq) = file.seqs();
                // The file may be merged away, and its numbers with it.
                manifest.last_seq = manifest.last_seq.max(max_seq);
                let (id, salt, length) = (entry.id, entry.salt, file.tail());
                let state = FileState::Sealed;
                *entry = FileEntry { id, state, salt, follows: false, length, min_seq, max_seq };
                max_seq > 0
            });
        })?;
        for file in files {
            if file.seqs().1 > 0 { file.set_sealed() } else { file.set_replaced() }
        }
        self.waiting_to_be_sealed.fetch_sub(files.len(), Ordering::Relaxed);
        Ok(())
    }

    /// Whether no open file that was written to stands before the last of these, but for them.
    fn is_next(&self, files: &[Arc<DataFile>], manifest: &Manifest) -> bool {
        let sealed = files.iter().filter(|file| file.seqs().1 > 0);
        let last = sealed.map(|file| file.id).max().unwrap_or(0);
        let others = manifest.files.iter().filter(|entry| {
            entry.state == FileState::Open && entry.id < last && files.iter().all(|file| file.id != entry.id)
        });
        let all = self.catalog.files.all().unwrap_or_default();
        let was_written = |id: FileId| all.iter().any(|file| file.id == id && file.seqs().1 > 0);
        !others.map(|entry| entry.id).any(was_written)
    }
}
