//! What a reader knows of a store's writer, and reading what holds only as long as that is true.
//!
//! Where a living writer tells how far it has come, the log ends there. Where nobody writes it ends as it would for the next writer: at
//! the first frame that is not intact. If a writer comes, or the manifest is replaced, while files are opened and read, it is done
//! once more.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::disk::Disk;
use crate::format::names;
use crate::log::opening::read_whole;
use crate::log::published::{Checkpointed, Told};
use crate::store::error::{Error, Result};
use crate::store::memory;
use crate::sync::thread;

/// How often an opening begins again because the store changed under it, with a pause in between. After that the opening fails.
const MOST_ATTEMPTS: u32 = 1_000;
/// Damage is believed when it was found so often: a file may be cut, or a name be gone, while it is looked at.
const BELIEVED_AFTER: u32 = 20;
/// The pause between two attempts.
pub const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(1);
/// Whoever has just locked a store makes its page within this time, also on a machine that is busy, or never does. An opening waits as long.
pub const BEGINS_WITHIN: Duration = Duration::from_secs(5);
/// How long a call of an open store waits for the writer: until it tells what it writes, or until its manifest holds still for a backup.
pub const CALLS_WAIT: Duration = Duration::from_secs(1);

/// What is known of the writer at one moment.
pub struct Ground {
    /// What it tells, where it ever told something.
    pub told: Option<Arc<Told>>,
    /// The session that it tells; 0 while a writer opens the store, and where what is there means nothing.
    pub session: u64,
    /// What stands in its place.
    pub word: u64,
    /// How many sessions were begun before anything was read.
    pub begun: u64,
    /// Whether a living writer tells how far it has come.
    pub is_live: bool,
    /// Whether a writer is opening the store now: it may cut off bytes while they are read.
    pub is_opening: bool,
    changes: u64,
    /// The bytes of the manifest.
    pub manifest: Option<Vec<u8>>,
    /// The checkpoint on the page of the living writer. Read before the manifest, which then lists at least the files that it was made of.
    pub checkpoint: Option<Checkpointed>,
    patience: Duration,
}

impl Ground {
    /// As it is now. `told` is what is known already of where it is told. A writer that tells nothing yet is waited for as long as `patience`.
    pub fn of(disk: &dyn Disk, told: Option<Arc<Told>>, patience: Duration) -> Result<Ground> {
        // Looks are counted, and not the time: a process that was stopped, or had no processor, has not looked meanwhile.
        let mut looks = 0;
        loop {
            let told = match &told {
                Some(told) => Some(told.clone()),
                None => find_told(disk)?,
            };
            // Read before it is asked whether somebody writes. A writer that comes after this changes them, and `holds` sees that.
            let changes = told.as_ref().map_or(0, |told| told.changes());
            let begun = told.as_ref().map_or(0, |told| told.begun());
            let word = told.as_ref().map_or(0, |told| told.session());
            let has_writer = told.as_ref().is_some_and(|told| told.has_writer());
            if !has_writer && disk.is_locked_by_a_writer() {
                // It may be about to, or just gone; or it is of a version that tells nothing.
                if BETWEEN_ATTEMPTS * looks > patience {
                    return Err(untold(disk.path()));
                }
                looks += 1;
                thread::sleep(BETWEEN_ATTEMPTS);
                continue;
            }
            // Asked after the session was read, and that is compared with what is there now: so the two belong together.
            let is_told = told.as_ref().is_some_and(|told| told.is_told());
            let session = if is_told { Self::session(told.as_deref(), disk)? } else { 0 };
            // Read before the manifest, which then has all that was merged when the checkpoint was made.
            let checkpoint = told.as_ref().and_then(|told| told.checkpoint(word));
            let manifest = read_whole(disk, names::MANIFEST).ok();
            let is_live = is_told && session != 0 && session == word;
            let is_opening = has_writer && !is_live;
            return Ok(Ground {
                told,
                session,
                word,
                begun,
                is_live,
                is_opening,
                changes,
                manifest,
                checkpoint: checkpoint.filter(|_| is_live),
                patience,
            });
        }
    }

    /// What a living writer tells.
    pub fn living(&self) -> Option<&Arc<Told>> {
        self.told.as_ref().filter(|_| self.is_live)
    }

    /// The session that a living writer tells; 0 where it changes just now.
    fn session(told: Option<&Told>, disk: &dyn Disk) -> Result<u64> {
        let header = told.map_or(Ok(None), Told::header);
        let header = header.map_err(|what| {
            let path = disk.path().join(crate::disk::page::FILE_NAME);
            Error::Corrupt { path, file_id: 0, offset: 0, what }
        })?;
        Ok(header.map_or(0, |header| header.session))
    }

    /// Whether what was found on this ground is true: no writer came or went that may have cut or written what was read.
    pub fn holds(&self, disk: &dyn Disk) -> Result<bool> {
        let now = Ground::of(disk, self.told.clone(), self.patience)?;
        Ok(self.word == now.word
            && self.is_live == now.is_live
            && self.told.is_some() == now.told.is_some()
            && (self.is_live || (self.changes == now.changes && self.manifest == now.manifest)))
    }

    /// Whether the manifest is still the one that it was.
    pub fn has_manifest(&self, disk: &dyn Disk) -> bool {
        read_whole(disk, names::MANIFEST).ok() == self.manifest
    }
}

/// Where the writer of a store tells how far it has come, if one ever did.
pub fn find_told(disk: &dyn Disk) -> Result<Option<Arc<Told>>> {
    let page = disk.page();
    let page = page.map_err(|e| {
        Error::io("map the page of the store's writer,", &disk.path().join(crate::disk::page::FILE_NAME), &e)
    })?;
    Ok(page.map(|page| Arc::new(Told::by(page))))
}

fn untold(path: &Path) -> Error {
    let message = format!(
        "the store '{}' is open in a program that does not tell others what it writes: it has an older version of filedb, or the store is \
         not on ext4, XFS or tmpfs, or the disk is full; it can be read when that program has closed it",
        path.display()
    );
    Error::Unsupported { message }
}

/// The error where another program has begun a store anew in the place of the one that is read.
pub fn is_another_store(path: &Path) -> Error {
    let message = format!(
        "another program has begun a store anew in the place of the one that was opened at '{}' (truncate); close it, and open it again to \
         read the new one",
        path.display()
    );
    Error::Unsupported { message }
}

/// Attempts to read a store that may be changed meanwhile.
#[derive(Default)]
pub struct Attempts {
    made: u32,
}

impl Attempts {
    /// What `attempt` reads, and the ground that holds for it; `None` where it is to be done once more. An error counts where nothing
    /// else explains it. `told` and `patience` are as for [`Ground::of`].
    pub fn make<T>(
        &mut self,
        disk: &dyn Disk,
        told: Option<Arc<Told>>,
        patience: Duration,
        attempt: impl FnOnce(&Ground) -> Result<T>,
    ) -> Result<Option<(Ground, T)>> {
        if self.made >= MOST_ATTEMPTS {
            return Err(changes_too_fast(disk));
        }
        if self.made > 0 {
            thread::sleep(BETWEEN_ATTEMPTS);
        }
        self.made += 1;
        memory::room_for_small_things()?;
        let ground = Ground::of(disk, told, patience)?;
        let read = attempt(&ground);
        let holds = ground.holds(disk)?;
        match read {
            Ok(read) if holds => Ok(Some((ground, read))),
            Err(error)
                if holds
                    && !ground.is_opening
                    && (self.made >= BELIEVED_AFTER || !matches!(error, Error::Corrupt { .. }))
                    && ground.has_manifest(disk) =>
            {
                Err(error)
            }
            _ => Ok(None),
        }
    }
}

/// The error where each attempt was spoiled by a change of the store.
pub fn changes_too_fast(disk: &dyn Disk) -> Error {
    let message = format!(
        "the store '{}' changed too often while it was being read: it was opened for writing, or merged, again and again; try again",
        disk.path().display()
    );
    Error::Unsupported { message }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fs::{FsDisk, Io};
    use crate::format::live::Header;
    use crate::log::Position;
    use crate::log::published::{Beginning, Published};

    #[test]
    fn who_looks_while_a_writer_begins_to_tell_notices_it_later() {
        let home = tempfile::tempdir().unwrap();
        let open = || FsDisk::open(home.path(), true, Io::Mapped { synced: false }).unwrap();
        let (writer, reader) = (open(), open());
        if !writer.can_tell() {
            println!("NOT RUN: no page on this file system");
            return;
        }
        for session in 1..4 {
            let (page, lock) = writer.own_page(true).unwrap().unwrap();
            let published = Published::on(page);
            let beginning = Beginning {
                header: Header { session, store_id: [1; 16], process: 1 },
                ends: &[Position::new(1, 64)],
                generation: 1,
                durable: Position::new(1, 64),
                clock: 0,
                checkpoint: None,
            };
            let look = || Ground::of(&reader, None, Duration::ZERO).unwrap();
            let mut found = None;
            published.begin_with(&beginning, &lock, || found = Some(look())).unwrap();
            let found = found.unwrap();
            assert!(!found.is_live);
            assert_ne!(found.begun, look().begun, "it would take this writer for none, as long as it lives");
            assert!(look().is_live);
        }
    }
}
