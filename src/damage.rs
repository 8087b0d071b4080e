//! Looking for damage in a store, and saving what is intact: for stores that may not open. What these do is in
//! `bitcask/inspect`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bitcask::inspect::{self, Unordered};
use crate::disk::Disk;
use crate::lsm::inspect::{Ordered, is_ordered};
use crate::store::address::Address;
use crate::store::error::{Error, Result};
use crate::store::findings::{CheckProgress, CheckReport, Finding};

/// Looks for damage in the store at `path`, and shows each finding to `visit`, which ends it with `Break`. Reads all files of the
/// store and changes none of them, whatever it finds. The store may be open, in this process or another, and be written to. Memory:
/// about 40 bytes for each key.
///
/// ```
/// # use std::ops::ControlFlow;
/// # fn main() -> filedb::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("store");
/// # filedb::Db::open(&path, &filedb::Options::default())?.put(b"planet", b"earth")?;
/// let report = filedb::check(&path, |finding| {
///     println!("{} at {}: {}", finding.file, finding.offset, finding.message);
///     ControlFlow::Continue(())
/// })?;
/// assert!(report.is_sound() && report.keys == 1);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Missing`] where there is no store; [`Error::Unsupported`] where it is no directory, or needs another version of this
/// library; [`Error::Io`], [`Error::NoMemory`]. Damage is no error: [`CheckReport::is_sound`] says whether there is any.
pub fn check(
    path: impl AsRef<Path>,
    visit: impl FnMut(&Finding<'_>) -> ControlFlow<()>,
) -> Result<CheckReport> {
    check_watched(path, visit, |_| ())
}

/// As [`check`]; `watch` is told from time to time how far it has come.
///
/// # Errors
/// As [`check`].
pub fn check_watched(
    path: impl AsRef<Path>,
    mut visit: impl FnMut(&Finding<'_>) -> ControlFlow<()>,
    mut watch: impl FnMut(&CheckProgress),
) -> Result<CheckReport> {
    check_disk(inspect::open_directory(&directory(path.as_ref(), "checked")?)?, &mut visit, &mut watch)
}

/// Copies all that is provably intact in the store at `path`, which may be damaged, to a new store at `to`, which must not exist: the
/// newest intact version of each key; lists with their elements; expiries. What an intact record removed stays removed; a batch
/// counts as a whole or not at all. Findings are shown to `visit` as by [`check`]; with `Break` the salvage ends and there is no new
/// store. The damaged store is not changed; it must not be open for writing. The new store is called `to` with `.unfinished` behind it
/// until it is whole; what has that name was left by a salvage that was killed, and has to be removed before the next.
///
/// # Errors
/// As [`check`]; [`Error::Exists`] where `to` exists, [`Error::InvalidArgument`] where its unfinished name does, [`Error::Locked`] where the store is open for writing, [`Error::NoSpace`], and
/// [`Error::Corrupt`] where `visit` ended it. There is no new store then.
pub fn salvage(
    path: impl AsRef<Path>,
    to: impl AsRef<Path>,
    visit: impl FnMut(&Finding<'_>) -> ControlFlow<()>,
) -> Result<CheckReport> {
    salvage_watched(path, to, visit, |_| ())
}

/// As [`salvage`]; `watch` is told from time to time how far it has come.
///
/// # Errors
/// As [`salvage`].
pub fn salvage_watched(
    path: impl AsRef<Path>,
    to: impl AsRef<Path>,
    mut visit: impl FnMut(&Finding<'_>) -> ControlFlow<()>,
    mut watch: impl FnMut(&CheckProgress),
) -> Result<CheckReport> {
    let (from, to) = (directory(path.as_ref(), "salvaged")?, directory(to.as_ref(), "salvaged to")?);
    let disk = inspect::open_directory(&from)?;
    if is_ordered(disk.as_ref())? {
        inspect::salvage(Ordered::default(), disk, &to, &mut visit, &mut watch)
    } else {
        inspect::salvage(Unordered, disk, &to, &mut visit, &mut watch)
    }
}

fn check_disk(
    disk: Arc<dyn Disk>,
    visit: inspect::Visit<'_>,
    watch: inspect::Watch<'_>,
) -> Result<CheckReport> {
    if is_ordered(disk.as_ref())? {
        inspect::check(Ordered::default(), disk, visit, watch)
    } else {
        inspect::check(Unordered, disk, visit, watch)
    }
}

/// The directory that a path or URL names.
fn directory(path: &Path, what: &str) -> Result<PathBuf> {
    match Address::parse(path)? {
        Address::Directory(path) => Ok(path),
        Address::Memory(_) | Address::Server(..) => Err(Error::Unsupported {
            message: format!("only a store in a directory can be {what}; nothing was changed"),
        }),
    }
}

/// As [`check`], of a store on a disk of the caller's.
#[cfg(any(test, feature = "testing"))]
pub fn check_on(
    disk: Arc<dyn Disk>,
    mut visit: impl FnMut(&Finding<'_>) -> ControlFlow<()>,
) -> Result<CheckReport> {
    check_disk(disk, &mut visit, &mut |_| ())
}

/// As [`salvage`], from and to disks of the caller's.
#[cfg(any(test, feature = "testing"))]
pub fn salvage_on(
    from: Arc<dyn Disk>,
    to: Arc<dyn Disk>,
    mut visit: impl FnMut(&Finding<'_>) -> ControlFlow<()>,
) -> Result<CheckReport> {
    if is_ordered(from.as_ref())? {
        inspect::salvage_to(Ordered::default(), from, to, false, &mut visit, &mut |_| ())
    } else {
        inspect::salvage_to(Unordered, from, to, false, &mut visit, &mut |_| ())
    }
}
