//! What a reader knows of a store's writer, and reading what holds only as long as that is true.
//!
//! Where a living writer tells how far it has come, the log ends there. Where nobody writes it ends as it would for the next writer: at
//! the first frame that is not intact. If a writer comes, or the manifest is replaced, while files are opened and read, it is done
//! once more.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::format::names;
use crate::log::opening::read_whole;
use crate::log::published::{Checkpointed, Told};
use crate::store::error::{Error, Result};
use crate::store::memory;
use crate::sync::thread;

/// So often an opening begins anew because the store changed under it, with a pause in between; then it fails.
const MOST_ATTEMPTS: u32 = 1_000;
/// Damage is believed when it was found so often: a file may be cut, or a name be gone, while it is looked at.
const BELIEVED_AFTER: u32 = 20;
/// The pause between two attempts.
pub const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(1);
/// Whoever has just locked a store makes its page within this time, also on a machine that is busy, or never does. An opening waits as long.
pub const BEGINS_WITHIN: Duration = Duration::from_secs(5);
/// So long waits a call of a store that is open.
pub const CALLS_WAIT: Duration = Duration::from_secs(1);

/// What there is to know of the writer at one moment.
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
    /// Whether a living writer opens the store: it may cut what is being read.
    pub is_opening: bool,
    changes: u64,
    /// The bytes of the manifest.
    pub manifest: Option<Vec<u8>>,
    /// The checkpoint that the living writer's session went on from before that was read.
    pub checkpoint: Option<Checkpointed>,
    patience: Duration,
}

impl Ground {
    /// As it is now. `told` is what is known already of where it is told. A writer that tells nothing yet is waited for as long as `patience`.
    pub fn of(disk: &dyn Disk, told: Option<Arc<Told>>, patience: Duration) -> Result<Ground> {
        let since = Instant::now();
        loop {
            let told = match &told {
                Some(told) => Some(told.clone()),
                None => find_told(disk)?,
            };
            // Before it is looked whether somebody writes: who came later changes them.
            let changes = told.as_ref().map_or(0, |told| told.changes());
            let begun = told.as_ref().map_or(0, |told| told.begun());
            let word = told.as_ref().map_or(0, |told| told.session());
            let has_writer = told.as_ref().is_some_and(|told| told.has_writer());
            if !has_writer && disk.is_locked_by_a_writer() {
                // It may be about to, or just gone; or it is of a version that tells nothing.
                if since.elapsed() > patience {
                    return Err(untold(disk.path()));
                }
                thread::sleep(BETWEEN_ATTEMPTS);
                continue;
            }
            // Asked after the session was read, and that is compared with what is there now: so the two belong together.
            let is_told = told.as_ref().is_some_and(|told| told.is_told());
            let session = if is_told { Self::session(told.as_deref(), disk)? } else { 0 };
            // Before the manifest: so that lists no less than was merged when the checkpoint was made.
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
        "the store '{}' is open in a program that does not tell others what it writes: one with an older version of filedb, \
         or on a file system other than ext4, XFS and tmpfs, or on a full disk; it cannot be read live meanwhile",
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

/// What is said where what was read was true no more each time.
pub fn changes_too_fast(disk: &dyn Disk) -> Error {
    let message = format!(
        "the store '{}' was opened for writing, or merged, again and again while it was read; try again",
        disk.path().display()
    );
    Error::Unsupported { message }
}
