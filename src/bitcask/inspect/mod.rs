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

use super::Bitcask;
use crate::disk::Disk;
use crate::disk::fs::{FsDisk, Io};
use crate::store::Store;
use crate::store::error::{Error, Result};
use crate::store::findings::{CheckProgress, CheckReport, Finding};
use crate::store::options::Options;
pub use content::Content;
pub use files::{Opened, has_ordered_records, has_runs, open};
pub use keys::{Holds, Version};
#[cfg(any(test, feature = "testing"))]
pub use salvage::salvage_to;
pub use salvage::{Held, Pushed, Times, put, salvage};
pub use survey::Survey;
pub use telling::Told;
use telling::{Ended, Telling};

/// Whoever is told of findings.
pub type Visit<'a> = &'a mut dyn FnMut(&Finding<'_>) -> ControlFlow<()>;
/// Whoever is told how far it has come.
pub type Watch<'a> = &'a mut dyn FnMut(&CheckProgress);

/// What the engines have of their own when a store is looked at.
pub trait Engine {
    /// Whether it is the ordered one.
    const IS_ORDERED: bool;
    /// The stores of this engine.
    type Store: Store;
    /// Looks at what a store has beside its data files.
    fn look(&mut self, survey: &mut Survey<'_, '_>) -> Told<()>;
    /// Opens the new store of a salvage.
    fn start(&self, disk: Arc<dyn Disk>, options: &Options, background: bool) -> Result<Self::Store>;
    /// Puts what is intact into the new store, after everything was looked at.
    fn save(&mut self, survey: &mut Survey<'_, '_>, times: Times, store: &Self::Store) -> Told<()>;
}

/// The default engine, which keeps no order.
pub struct Unordered;

impl Engine for Unordered {
    const IS_ORDERED: bool = false;
    type Store = Bitcask;

    fn look(&mut self, survey: &mut Survey<'_, '_>) -> Told<()> {
        survey::look_beside(survey)
    }

    fn start(&self, disk: Arc<dyn Disk>, options: &Options, background: bool) -> Result<Bitcask> {
        Bitcask::start(disk, options, background)
    }

    fn save(&mut self, survey: &mut Survey<'_, '_>, times: Times, store: &Bitcask) -> Told<()> {
        survey.save_values(store, times)?;
        survey.save_lists(store, times)
    }
}

/// The directory of a store, to be read.
pub fn open_directory(path: &Path) -> Result<Arc<dyn Disk>> {
    let disk = FsDisk::open(path, false, Io::Plain).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::Missing { path: path.to_path_buf() },
        _ => Error::io("open the store's directory", path, &error),
    })?;
    Ok(Arc::new(disk))
}

/// Looks for damage in the store on a disk.
pub fn check<E: Engine>(
    mut engine: E,
    disk: Arc<dyn Disk>,
    visit: Visit<'_>,
    progress: Watch<'_>,
) -> Result<CheckReport> {
    let mut telling = Telling::new(visit, progress);
    let mut survey = Survey::new(disk.as_ref(), &mut telling, false, E::IS_ORDERED);
    match survey.check(&mut |survey| engine.look(survey)) {
        Ok(()) | Err(Ended::Stopped { .. }) => Ok(telling.report),
        Err(Ended::Failed(error)) => Err(error),
    }
}
