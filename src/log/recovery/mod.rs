//! Recovery: where the log of a store ends, found when the store is opened, and what is cut off there. The same for both engines.
//!
//! `walk` reads the frames of one file up to the first that is not intact; `tails` tells a torn tail from damage, and cuts it off;
//! `sequence` compares the numbers of the records from file to file. What an engine does with the records is not known here.

pub mod sequence;
pub mod tails;
pub mod walk;

use std::sync::Arc;

use super::Position;
use super::catalog::Catalog;
use super::file::DataFile;
use crate::format::FileId;
use crate::format::features::{COLLECTIONS, ORDERED};
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::store::error::Result;
use crate::store::events::LogLevel;
use crate::store::memory;
use crate::store::options::Options;
use sequence::Sequence;
use tails::repair_tails;
use walk::{Outcome, Walk};

/// A data file, and its line in the manifest.
pub type Listed = (FileEntry, Arc<DataFile>);

/// What a recovery found.
pub struct Recovered<T> {
    /// What the engine made of the records.
    pub made: T,
    /// What was found in each file, in their order.
    pub outcomes: Vec<Outcome>,
    /// All of the log before this is durable.
    pub frontier: Position,
    /// What the sequence numbers say.
    pub sequence: Sequence,
}

/// Opens the files that a manifest lists.
pub fn open_files(catalog: &Catalog, manifest: &Manifest, options: &Options) -> Result<Vec<Listed>> {
    let mut files = memory::vec_with_room(manifest.files.len())?;
    for entry in &manifest.files {
        let file = catalog.open_file(entry, super::opening::access(entry, options), None)?;
        if (entry.state == FileState::Sealed || manifest.clean) && file.tail() != entry.length {
            let what = "the file does not have the length that the manifest gives";
            return Err(file.corrupt(file.tail().min(entry.length), what));
        }
        files.push((*entry, file));
    }
    Ok(files)
}

/// Whether the log of a store ends at its first gap, also where later files go on behind it.
///
/// A gap is where a power cut lost records that nobody was promised, and left later ones in the next file. Records of a bitcask store
/// without lists mean the same without those before them, so what is behind the gap is kept there. A list's head names elements that were
/// written before it, and in the ordered engine any record may be of a list, or stand behind a delete of a range: what is behind the gap
/// may build on what was lost, and is cut off.
pub fn ends_at_gap(manifest: &Manifest) -> bool {
    manifest.needs.has(ORDERED) || manifest.needs.has(COLLECTIONS)
}

/// Finds out where the log ends, and cuts off what stands behind that, but for a store that is opened to be read. `walk_all` walks
/// through all files and makes of their records what the engine wants; it is called a second time where the log ends at a gap.
pub fn recover<T>(
    catalog: &Catalog,
    manifest: &Manifest,
    files: &[Listed],
    options: &Options,
    mut walk_all: impl FnMut(&Walk) -> Result<(T, Vec<Outcome>)>,
) -> Result<Recovered<T>> {
    let mut recover_up_to = |lost_from: Option<FileId>| {
        let (made, outcomes) = walk_all(&Walk { is_clean: manifest.clean, lost_from })?;
        let (frontier, sequence) = repair_tails(manifest, files, &outcomes, options, &catalog.poison)?;
        set_tails(catalog, files, &outcomes);
        Ok(Recovered { made, outcomes, frontier, sequence })
    };
    let recovered = recover_up_to(None)?;
    match recovered.sequence.gaps.first().copied() {
        Some(gap) if ends_at_gap(manifest) => {
            // What was made of the records is not needed twice at once.
            drop(recovered.made);
            recover_up_to(Some(gap))
        }
        _ => Ok(recovered),
    }
}

/// Tells the files where the log ends in them.
fn set_tails(catalog: &Catalog, files: &[Listed], outcomes: &[Outcome]) {
    for ((_, file), outcome) in files.iter().zip(outcomes) {
        if outcome.end < file.tail() {
            catalog.events.log(LogLevel::Info, || {
                format!(
                    "the log of '{}' ends at offset {} of file {}",
                    catalog.disk.path().display(),
                    outcome.end,
                    file.id
                )
            });
        }
        file.set_tail(outcome.end);
    }
}
