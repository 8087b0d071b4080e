//! `filedb_backup`: a copy of a store that is in use.

use super::db::filedb_t;
use super::error::{Failure, filedb_error_t};
use super::guard;
use super::status::{FILEDB_OK, filedb_status_t};
use crate::BackupOptions;
use std::ffi::{OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

/// filedb_backup() makes no hard links: no file of the backup is one of the store's. Since 0.2.0.
pub const FILEDB_BACKUP_COPY: u32 = 1u32;

/// Copies the store, which may be in use, to `directory`, which becomes a store itself: what this one held
/// at a moment between the beginning of the call and its end. The directory is made if it is not there;
/// it must be empty, or hold an older backup of the same store. Then only what is new is written, and
/// what is no longer part of the store is removed; until the new backup is whole the older one is.
///
/// Files that never change again are linked (hard links) where the file system can do that, and copied
/// where not, or with FILEDB_BACKUP_COPY in `flags`. A backup that consists of links is safe from all that
/// is done through this library, and from a lost directory, but not from a damaged disk. Writers do not
/// wait for it, and merges go on, but what they replace takes space until it is done. When it returns
/// FILEDB_OK the backup is durable, and so is all of the store that is in it. A backup that was
/// interrupted is never taken for a whole one: it does not open.
///
/// A backup is opened with read_only to look at it, or copied back with filedb_backup(). One that was
/// opened for writing has become another store, and takes no more backups.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL, the path is empty or no directory, there are other
///   flags, or the directory holds something else than a backup of this store, holds one that was opened
///   for writing, or lies inside the store;
/// - FILEDB_ERR_UNSUPPORTED: the store is on a server;
/// - FILEDB_ERR_LOCKED: somebody has the backup open;
/// - FILEDB_ERR_NO_SPACE, FILEDB_ERR_IO, FILEDB_ERR_CORRUPT, FILEDB_ERR_POISONED, FILEDB_ERR_NO_MEMORY;
/// - FILEDB_ERR_CLOSED: the handle is closed, or was closed meanwhile; FILEDB_ERR_FORKED.
///
/// The directory holds what it held before where it fails.
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_backup(
    db: *mut filedb_t,
    directory: *const c_char,
    flags: u32,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let db = call.store(db)?;
        let directory = call.text("directory", directory)?;
        if directory.is_empty() {
            return Err(Failure::invalid("the path is empty; it has to name a directory"));
        }
        if flags & !FILEDB_BACKUP_COPY != 0 {
            return Err(Failure::invalid(format!(
                "the flags {flags:#x} have bits that this version does not know; it knows FILEDB_BACKUP_COPY (1)"
            )));
        }
        let options = BackupOptions { copy: flags & FILEDB_BACKUP_COPY != 0, ..BackupOptions::default() };
        db.backup(OsStr::from_bytes(directory.to_bytes()), &options)?;
        Ok(FILEDB_OK)
    })
}
