//! Where the log of a store that is opened goes on: at which number, and in which file.

use std::sync::Arc;

use crate::disk::Disk;
use crate::format::frame::Epoch;
use crate::format::manifest::{FileState, Manifest};
use crate::format::names;
use crate::log::Position;
use crate::log::append::{Start, epoch};
use crate::log::catalog::Catalog;
use crate::log::file::DataFile;
use crate::log::recovery::sequence::Sequence;
use crate::store::error::{Error, Result};
use crate::store::options::Options;

/// No store has written this many records: a number past it was made up.
pub const LAST_SEQ: u64 = 1 << 56;

/// The number that the log goes on with behind `max_seq`, the last one in the store on `disk`.
pub fn seq_behind(max_seq: u64, disk: &dyn Disk) -> Result<u64> {
    max_seq.checked_add(1).filter(|seq| *seq < LAST_SEQ).ok_or_else(|| {
        let path = disk.path().join(names::MANIFEST);
        Error::Corrupt { path, file_id: 0, offset: 0, what: "the sequence numbers are used up" }
    })
}

/// Says in the manifest where numbers are missing, before later writes could make that look like damage; and counts all
/// numbers that are not in open files, which version 0.1 left out. `next_seq` is the first free number.
pub fn remember(catalog: &Catalog, sequence: &Sequence, next_seq: u64) -> Result<()> {
    let before_open_files = sequence.first.unwrap_or(next_seq).saturating_sub(1);
    catalog.amend(|manifest| {
        manifest.last_seq = manifest.last_seq.max(before_open_files);
        for entry in manifest.files.iter_mut().filter(|entry| sequence.gaps.contains(&entry.id)) {
            entry.follows = false;
        }
    });
    if sequence.gaps.is_empty() {
        return Ok(());
    }
    match catalog.update(|_| ()) {
        Err(Error::NoSpace { .. }) if catalog.release_for_deletes() => catalog.update(|_| ()),
        done => done,
    }
}

/// A new file, listed in the manifest, that the log goes on in.
fn begin_file(catalog: &Catalog, options: &Options, epoch: Epoch) -> Result<Arc<DataFile>> {
    let active = catalog.create_file(options.max_file_size, epoch)?;
    let entry = Catalog::open_entry(&active);
    catalog.update(|manifest| {
        manifest.clean = false;
        manifest.files.push(entry);
    })?;
    Ok(active)
}

/// The open file that the log goes on in, or a new one; older open files are left to be sealed.
pub fn choose_active(
    catalog: &Catalog,
    manifest: &Manifest,
    options: &Options,
    next_seq: u64,
    time_ms: u64,
    frontier: Position,
) -> Result<Start> {
    let mut open = catalog.files.all()?;
    open.retain(|file| {
        manifest.files.iter().any(|entry| entry.id == file.id && entry.state == FileState::Open)
    });
    open.sort_unstable_by_key(|file| file.id);
    let active = match open.pop_if(|file| options.read_only || file.tail() < options.max_file_size) {
        Some(active) => active,
        None if options.read_only => {
            // Never written to: a file that is there, or nothing at all.
            match catalog.files.all()?.pop() {
                Some(file) => file,
                None => return Err(Error::Missing { path: catalog.disk.path().to_path_buf() }),
            }
        }
        None => match (begin_file(catalog, options, epoch(next_seq, time_ms)), open.pop()) {
            (Ok(active), last) => {
                open.extend(last);
                active
            }
            // Reads, and deletes, need no new file: on a full disk the store opens with the one that is full.
            (Err(Error::NoSpace { .. }), Some(last)) => last,
            (Err(error), _) => return Err(error),
        },
    };
    let unclean = !catalog.manifest().clean;
    let unsealed = if options.read_only { Vec::new() } else { open };
    let is_sure = !unsealed.iter().chain([&active]).any(|file| file.is_unsure());
    let end = Position::new(active.id, active.tail());
    let durable = if is_sure { end } else { frontier.min(end) };
    // The manifest of a clean close says how long the files are; else only frames tell how far the log is durable.
    let recorded = if unclean { frontier.min(durable) } else { durable };
    Ok(Start { active, durable, recorded, next_seq, time_ms, unsealed, unclean })
}
