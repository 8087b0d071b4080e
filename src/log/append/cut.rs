//! The store as it is at one moment: a manifest, and where the log ends that belongs to it.

use super::Log;
use crate::format::FileId;
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::store::error::Result;
use crate::store::memory;

/// See the module.
pub struct Cut {
    /// The manifest of the moment.
    pub manifest: Manifest,
    /// The files that it lists as open and that have records, as they are once they are complete.
    pub complete: Vec<FileEntry>,
    /// The file that is written to, as far as it goes; nothing where it is complete.
    pub tail: Option<FileEntry>,
    /// The number of the last record.
    pub last_seq: u64,
    /// The latest time in the log, in milliseconds since 1970.
    pub time_ms: u64,
}

impl Log {
    /// The store as it is now. Writers wait for as long as it takes to read a few numbers.
    pub fn cut(&self) -> Result<Cut> {
        loop {
            let manifest = self.catalog.manifest().copy_with_room(1)?;
            let (active, tail, seqs, last_seq, time_ms) = {
                let writer = self.writer.lock();
                let active = writer.active.clone();
                let seqs = active.seqs();
                (active, writer.tail, seqs, writer.next_seq - 1, writer.time_ms)
            };
            // While the manifest lists a file as open, it is among them.
            let files = self.catalog.files.all()?;
            // Where it was not replaced, it is that of the moment between the two looks.
            if self.catalog.generation() != manifest.generation {
                continue;
            }
            let sealed = |id: FileId, salt, length, (min_seq, max_seq)| FileEntry {
                id,
                state: FileState::Sealed,
                salt,
                follows: false,
                length,
                min_seq,
                max_seq,
            };
            let open = |id| {
                let of_id = manifest.files.iter().find(|entry| entry.id == id);
                of_id.is_some_and(|entry| entry.state == FileState::Open)
            };
            // File numbers grow along the log: what is behind the active one was not begun. What is before it grows no more.
            let before = files.iter().filter(|file| file.id < active.id && open(file.id));
            let complete = before
                .filter(|file| file.seqs().1 > 0)
                .map(|file| sealed(file.id, file.origin.salt, file.tail(), file.seqs()));
            return Ok(Cut {
                complete: memory::collect(complete)?,
                tail: open(active.id).then(|| sealed(active.id, active.origin.salt, tail, seqs)),
                manifest,
                last_seq,
                time_ms,
            });
        }
    }
}
