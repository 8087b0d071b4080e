//! Looks for damage in a store, and saves what is intact. Neither changes the store.
//!
//! [`survey`] reads all of a store through `pread`, and holds what it finds against each other; [`check`] tells the findings, also of
//! a store that is in use; [`salvage`] copies what is intact to another one. `walk` finds the intact frames of a file, `ledger` and `keys` hold
//! what was found, `files` knows which files count, `agree` compares them with hints and the checkpoint, `verdict` says what it means.

mod agree;
mod content;
mod files;
mod keys;
mod ledger;
mod salvage;
mod survey;
mod telling;
mod verdict;
mod walk;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::disk::Disk;
use crate::disk::fs::{FsDisk, Io};
use crate::store::error::{Error, Result};
use crate::store::findings::{CheckProgress, CheckReport, Finding};
use survey::Survey;
use telling::{Ended, Telling};

pub use salvage::salvage;
#[cfg(any(test, feature = "testing"))]
pub use salvage::salvage_to;

/// Whoever is told of findings.
pub type Visit<'a> = &'a mut dyn FnMut(&Finding<'_>) -> ControlFlow<()>;
/// Whoever is told how far it has come.
pub type Watch<'a> = &'a mut dyn FnMut(&CheckProgress);

/// The directory of a store, to be read.
fn open_directory(path: &Path) -> Result<Arc<dyn Disk>> {
    let disk = FsDisk::open(path, false, Io::Plain).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::Missing { path: path.to_path_buf() },
        _ => Error::io("open the store's directory", path, &error),
    })?;
    Ok(Arc::new(disk))
}

/// Looks for damage in the store in a directory.
pub fn check(path: &Path, visit: Visit<'_>, progress: Watch<'_>) -> Result<CheckReport> {
    check_on(open_directory(path)?, visit, progress)
}

/// As [`check`], of a store on any disk.
pub fn check_on(disk: Arc<dyn Disk>, visit: Visit<'_>, progress: Watch<'_>) -> Result<CheckReport> {
    let mut telling = Telling::new(visit, progress);
    match Survey::new(disk.as_ref(), &mut telling, false).check() {
        Ok(()) | Err(Ended::Stopped { .. }) => Ok(telling.report),
        Err(Ended::Failed(error)) => Err(error),
    }
}
