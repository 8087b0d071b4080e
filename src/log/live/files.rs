//! The files of a store that another process may be writing to, as far as they may be read.

use std::collections::HashMap;
use std::sync::Arc;

use super::ground::Ground;
use crate::disk::Access;
use crate::format::FileId;
use crate::format::manifest::{FileState, Manifest};
use crate::log::catalog::Catalog;
use crate::log::file::DataFile;
use crate::log::recovery::Listed;
use crate::store::error::Result;
use crate::store::memory;

/// Opens the files of a manifest, each up to where it may be read. A file that is open already is used as it is. `is_first` for a catalog
/// that nobody else uses yet: a file whose end nobody tells is opened without a mapping then.
pub fn open_files(
    catalog: &Catalog,
    manifest: &Manifest,
    ground: &Ground,
    is_first: bool,
) -> Result<Vec<Listed>> {
    let open: HashMap<FileId, Arc<DataFile>> =
        catalog.files.all()?.into_iter().map(|file| (file.id, file)).collect();
    // The manifest was read before this. So all that it lists was in the log then, and stands before the tail that is told now.
    let told = ground.living();
    let active = told.map(|told| told.tail().file());
    let mut files = memory::vec_with_room(manifest.files.len())?;
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
            // The file stays open here also if this attempt fails. So only bytes of intact frames may become readable.
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
