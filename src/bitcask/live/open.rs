//! Opening a store beside the process that writes to it: as any other opening, but for where the log ends, and for nothing that is
//! changed.
//!
//! Where a living writer tells how far it has come, the log ends there. Where nobody writes it ends as it would for the next writer: at
//! the first frame that is not intact. If a writer comes, or the manifest is replaced, while files are opened and read, it is done
//! once more.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::follow::{Follower, Place};
use crate::bitcask::engine::Engine;
use crate::bitcask::lifecycle::open::assemble;
use crate::bitcask::lifecycle::rebuild::{Rebuilt, rebuild_from, rebuild_over};
use crate::bitcask::lifecycle::running;
use crate::disk::{Access, Disk};
use crate::format::features::Needs;
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::format::{FileId, names};
use crate::index::KeyHasher;
use crate::log::catalog::Catalog;
use crate::log::file::DataFile;
use crate::log::opening::manifest::{load_manifest, refuse_other_versions};
use crate::log::opening::read_whole;
use crate::log::published::{Checkpointed, Told};
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;
use crate::store::memory;
use crate::store::options::Options;
use crate::sync::thread;

/// So often an opening begins anew because the store changed under it, with a pause in between; then it fails.
pub const MOST_ATTEMPTS: u32 = 1_000;
/// Damage is believed when it was found so often: a file may be cut, or a name be gone, while it is looked at.
pub const BELIEVED_AFTER: u32 = 20;
/// The pause.
pub const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(1);
/// Whoever has just locked a store makes its page within this time, also on a machine that is busy, or never does. An opening waits as long.
const BEGINS_WITHIN: Duration = Duration::from_secs(5);
/// So long waits a call of a store that is open.
pub const CALLS_WAIT: Duration = Duration::from_secs(1);

/// A file, and what the manifest says of it.
pub type Listed = (FileEntry, Arc<DataFile>);

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
    checkpoint: Option<Checkpointed>,
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
        "the store '{}' is open in a program that does not tell others what it writes: one with an older version of filedb, or with \
         engine=lsm, or on a file system other than ext4, XFS and tmpfs, or on a full disk; it cannot be read live meanwhile",
        path.display()
    );
    Error::Unsupported { message }
}

/// Opens the store on `disk`.
pub fn open(disk: &Arc<dyn Disk>, options: &Options) -> Result<(Engine, Follower)> {
    let mut attempts = 0;
    loop {
        memory::room_for_small_things()?;
        let ground = Ground::of(disk.as_ref(), None, BEGINS_WITHIN)?;
        let opened = attempt(disk, options, &ground);
        let holds = ground.holds(disk.as_ref())?;
        attempts += 1;
        match opened {
            Ok(opened) if holds => return Ok(opened),
            Err(error)
                if holds
                    && !ground.is_opening
                    && (attempts >= BELIEVED_AFTER || !matches!(error, Error::Corrupt { .. }))
                    && ground.has_manifest(disk.as_ref()) =>
            {
                return Err(error);
            }
            _ if attempts >= MOST_ATTEMPTS => return Err(changes_too_fast(disk.as_ref())),
            _ => thread::sleep(BETWEEN_ATTEMPTS),
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

fn attempt(disk: &Arc<dyn Disk>, options: &Options, ground: &Ground) -> Result<(Engine, Follower)> {
    let names = disk.list().map_err(|e| Error::io("list the directory", disk.path(), &e))?;
    refuse_other_versions(disk.as_ref())?;
    let manifest = load_manifest(disk.as_ref(), options, &names, Needs::default())?;
    let engine = assemble(disk, options, Box::new(|_| ()), &names, None, &manifest, |catalog, hasher| {
        let files = open_files(catalog, &manifest, ground, true)?;
        make_index(catalog, &manifest, hasher, options, ground, &files, true)
    })?;
    let place = Place::behind(&engine, &manifest, ground, engine.log.last_seq() + 1)?;
    let follower = Follower::new(ground, place);
    Ok((engine, follower))
}

/// The index of what these files hold: from the checkpoint that the writer tells, and what was written since, or else from all. `may_stay` where the
/// keys of the checkpoint may stay in it at first.
pub fn make_index(
    catalog: &Arc<Catalog>,
    manifest: &Manifest,
    hasher: &KeyHasher,
    options: &Options,
    ground: &Ground,
    files: &[Listed],
    may_stay: bool,
) -> Result<Rebuilt> {
    if let (Some(told), Some(checkpoint)) = (&ground.told, &ground.checkpoint)
        && let Some(base) = running::load(catalog, manifest, (told, ground.session, checkpoint), files)?
    {
        let is_in_log = |id| told.extent(id).is_some();
        if let Some(rebuilt) = rebuild_over(base, may_stay, catalog, manifest, hasher, files, is_in_log)? {
            catalog.events.log(LogLevel::Info, || {
                format!(
                    "took the index of '{}' from its checkpoint and from what was written since number {}",
                    catalog.disk.path().display(),
                    checkpoint.last_seq
                )
            });
            return Ok(rebuilt);
        }
    }
    rebuild_from(catalog, manifest, hasher, options, files)
}

/// The files of a manifest, each up to where it may be read; those that are open already as they are. `is_first` for a catalog that is
/// given up with the attempt.
pub fn open_files(
    catalog: &Catalog,
    manifest: &Manifest,
    ground: &Ground,
    is_first: bool,
) -> Result<Vec<Listed>> {
    let open: HashMap<FileId, Arc<DataFile>> =
        catalog.files.all()?.into_iter().map(|file| (file.id, file)).collect();
    // The manifest was read before: what is in it was in the log then, and so is in front of this.
    let told = ground.told.as_ref().filter(|_| ground.is_live);
    let active = told.map(|told| told.tail().file());
    let mut files = Vec::with_capacity(manifest.files.len());
    for entry in &manifest.files {
        let mut entry = *entry;
        let open_as = |access| match open.get(&entry.id) {
            Some(file) => Ok(file.clone()),
            None => catalog.open_file(&entry, access, None),
        };
        if entry.state == FileState::Sealed {
            let file = open_as(Access::Follow { grows: false })?;
            if !file.is_sealed() {
                // It was followed while it grew.
                file.follow(entry.length)?;
            }
            if file.tail() != entry.length {
                let what = "the file does not have the length that the manifest gives";
                return Err(file.corrupt(file.tail().min(entry.length), what));
            }
            files.push((entry, file));
            continue;
        }
        // Made ahead: the log is not there yet. It is opened when the log goes on in it.
        if active.is_some_and(|active| entry.id > active) {
            continue;
        }
        let end = match told.and_then(|told| told.extent(entry.id)) {
            Some((end, _)) => Some(end),
            None if manifest.clean => Some(entry.length),
            None => None,
        };
        let file = match end {
            Some(end) => {
                let file = open_as(Access::Follow { grows: true })?;
                file.follow(end)?;
                entry.length = end;
                file
            }
            // Where it ends is found by looking at its frames. Not through a mapping: who comes to write may cut it.
            None if is_first => catalog.open_unsure(&entry)?,
            // It stays in the table whatever comes of this attempt: so no byte of it counts that is not of an intact frame.
            None => {
                let file = open_as(Access::Follow { grows: true })?;
                catalog.follow_to_end(&file)?;
                file
            }
        };
        files.push((entry, file));
    }
    Ok(files)
}
