//! Opening what all stores with a log have: the lock, the manifest, and the file that the log goes on in. The same for both engines.
//!
//! `manifest` loads the manifest or makes the first one, `active` chooses the file; here is what is done around that.

pub mod active;
pub mod manifest;

use crate::disk::page;
use crate::disk::{Access, Disk, LockKind};
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::format::names::{self, Name};
use crate::store::error::{Error, Result};
use crate::store::memory;
use crate::store::options::Options;
use manifest::refuse_other_versions;

/// Opens the store in `disk`, or creates it, by `open`, which gets the names of the files in the directory, under the store's lock. Gives
/// the lock too. Where a new store could not be made nothing is left of it.
pub fn open_alone<T>(
    disk: &dyn Disk,
    options: &Options,
    open: impl FnOnce(&[String]) -> Result<T>,
) -> Result<(T, Box<dyn Send + Sync>)> {
    let list = || disk.list().map_err(|e| Error::io("list the directory", disk.path(), &e));
    // Where no store may be created, none is looked for with a lock file that would stay behind.
    if (options.read_only || !options.create_if_missing)
        && !list()?.iter().any(|name| names::parse(name).is_some())
    {
        return Err(Error::Missing { path: disk.path().to_path_buf() });
    }
    if !options.error_if_exists {
        refuse_other_versions(disk)?;
    }
    let lock = acquire(disk, options)?;
    let names = list().inspect_err(|_| disk.remove_if_new())?;
    let is_new = !options.read_only && !names.iter().any(|name| names::parse(name).is_some());
    // The lock is held until nothing is left of a new store that could not be made.
    let opened = open(&names).inspect_err(|_| {
        if is_new {
            remove_all(disk)
        }
    })?;
    Ok((opened, lock))
}

/// Takes the store's lock.
fn acquire(disk: &dyn Disk, options: &Options) -> Result<Box<dyn Send + Sync>> {
    if seeded_bug!("lock-not-taken") {
        return Ok(Box::new(()));
    }
    let kind = if options.read_only { LockKind::Shared } else { LockKind::Exclusive };
    match disk.lock(kind) {
        Ok(lock) => Ok(lock),
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
            Err(Error::Locked { path: disk.path().to_path_buf() })
        }
        Err(e) => Err(Error::io("lock the store", disk.path(), &e)),
    }
}

/// Removes what a crash left behind: files of ours that the manifest does not know. What cannot be removed stays, and
/// does no harm. To be called once the files that the manifest lists were found to be this store's.
pub fn remove_debris(disk: &dyn Disk, names: &[String], manifest: &Manifest) -> Result<()> {
    // Not before that manifest is certain: the renaming that made it count may not be on the disk yet.
    disk.sync_dir().map_err(|e| Error::io("sync the directory", disk.path(), &e))?;
    let is_live = |id| manifest.files.binary_search_by_key(&id, |file| file.id).is_ok();
    for name in names {
        let debris = match names::parse(name) {
            Some(Name::Data(id) | Name::Hint(id)) => !is_live(id),
            Some(Name::Run(id)) => !manifest.ordered.runs.iter().any(|run| run.id == id),
            Some(Name::Temporary) => true,
            Some(Name::Manifest | Name::Checkpoint | Name::Backup | Name::Reserve) | None => false,
        };
        if debris {
            let _ = disk.remove(name);
        }
    }
    Ok(())
}

/// Removes all files of a store that was being made.
pub fn remove_all(disk: &dyn Disk) {
    for name in disk.list().unwrap_or_default() {
        if names::parse(&name).is_some() || name == page::FILE_NAME {
            let _ = disk.remove(&name);
        }
    }
    disk.remove_if_new();
}

/// The access that a file is opened with.
pub fn access(entry: &FileEntry, options: &Options) -> Access {
    match entry.state {
        FileState::Open if !options.read_only => Access::Append { capacity: options.max_file_size },
        state if options.live => Access::Follow { grows: state == FileState::Open },
        _ => Access::Read,
    }
}

/// Reads a small file as a whole.
pub fn read_whole(disk: &dyn Disk, name: &str) -> Result<Vec<u8>> {
    let io = |e: std::io::Error| Error::io("read", &disk.path().join(name), &e);
    let file = disk.open_plain(name).map_err(io)?;
    let size = file.size().map_err(io)?;
    let mut bytes = memory::vec_of(0, size as usize)?;
    file.read_at(&mut bytes, 0).map_err(io)?;
    Ok(bytes)
}
