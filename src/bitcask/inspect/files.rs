//! Which data files a store has: those that its manifest lists, or, where that is lost, those that are there.

use std::ops::Range;

use super::content::Content;
use crate::disk::Disk;
use crate::format::features::{ORDERED, Refusal};
use crate::format::file_header::{FILE_HEADER_SIZE, FileHeader};
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::format::names::{self, Name};
use crate::format::{Damage, FileId, frame::Origin};
use crate::log::catalog::MAX_FILES;
use crate::store::error::{Error, Result};

/// Where in a header the fields stand that only the header knows: time and number, and its checksum.
const OWN_FIELDS: [Range<usize>; 2] = [40..56, 60..64];

/// A data file that is looked at.
pub struct Looked {
    /// Its name in the directory.
    pub name: String,
    /// What its frames are told relative to.
    pub origin: Origin,
    /// The manifest's line for it, or what is taken for one where there is no manifest.
    pub entry: FileEntry,
    /// Intact frames end here: of an open file the log.
    pub end: u64,
    /// Where and why the log in it ends before the file does.
    pub damage: Option<(Range<u64>, Damage)>,
    /// Damage behind the end of the log.
    pub damage_behind: u64,
    /// Intact frames behind it.
    pub frames_behind: u64,
    /// The first and the last number in it up to its end; zeros where there is none.
    pub seqs: (u64, u64),
    /// The largest durable frontier that a frame carries.
    pub frontier: u64,
    /// Where records stand that may belong to a batch that is damaged.
    pub doubts: Vec<Range<u64>>,
}

impl Looked {
    pub fn new(name: String, origin: Origin, entry: FileEntry) -> Self {
        Looked {
            name,
            origin,
            entry,
            end: FILE_HEADER_SIZE,
            damage: None,
            damage_behind: 0,
            frames_behind: 0,
            seqs: (0, 0),
            frontier: 0,
            doubts: Vec::new(),
        }
    }
}

/// What is in the place of the manifest.
pub enum Listed {
    /// A manifest.
    Whole(Box<Manifest>, Vec<u8>),
    /// Bytes that are none.
    Damaged(Damage),
    /// Nothing.
    Missing,
}

/// Refuses a store of the ordered engine: what is in runs nobody looks into here.
fn ordered(disk: &dyn Disk) -> Error {
    Error::Unsupported {
        message: format!(
            "the store '{}' was made with engine=lsm, which cannot be checked or salvaged yet; reads tell of damage; nothing was changed",
            disk.path().display()
        ),
    }
}

/// Whether there are runs, which only the ordered engine has.
fn has_runs(disk: &dyn Disk) -> Result<bool> {
    let names = disk.list().map_err(|e| Error::io("list the directory", disk.path(), &e))?;
    Ok(names.iter().any(|name| matches!(names::parse(name), Some(Name::Run(_)))))
}

/// Reads the manifest.
///
/// # Errors
/// [`Error::Unsupported`] where another version of filedb is needed, [`Error::Io`].
pub fn read_manifest(disk: &dyn Disk) -> Result<Listed> {
    let path = disk.path().join(names::MANIFEST);
    let file = match disk.open_plain(names::MANIFEST) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return if has_runs(disk)? { Err(ordered(disk)) } else { Ok(Listed::Missing) };
        }
        Err(error) => return Err(Error::io("open", &path, &error)),
    };
    let size = file.size().map_err(|e| Error::io("read the size of", &path, &e))?;
    if size > Manifest::size(MAX_FILES) {
        if has_runs(disk)? {
            return Err(ordered(disk));
        }
        return Ok(Listed::Damaged("it is longer than a manifest can be"));
    }
    let bytes = Content::new(file, size).copy(0..size)?;
    match Manifest::decode(&bytes) {
        Ok(manifest) if manifest.needs.has(ORDERED) => Err(ordered(disk)),
        Ok(manifest) => Ok(Listed::Whole(Box::new(manifest), bytes)),
        Err(Refusal::Damaged(_)) if has_runs(disk)? => Err(ordered(disk)),
        Err(Refusal::Damaged(what)) => Ok(Listed::Damaged(what)),
        Err(Refusal::NoMemory(refused)) => Err(refused.into()),
        Err(Refusal::OtherVersion(words)) => {
            let message = format!("the store '{}' {words}; nothing was changed", disk.path().display());
            Err(Error::Unsupported { message })
        }
    }
}

/// What is at the beginning of a data file.
pub enum Beginning {
    /// Its header.
    Header(FileHeader),
    /// A damaged one of which everything is known that is needed.
    Recovered(FileHeader, Damage),
    /// A damaged one.
    Lost(Damage),
}

/// Reads the header of a data file, which the manifest describes so if it is listed.
pub fn read_header(content: &mut Content, listed: Option<(&FileEntry, &[u8; 16])>) -> Result<Beginning> {
    let bytes = content.get(0, FILE_HEADER_SIZE)?;
    let what = match FileHeader::decode(bytes) {
        Ok(header) => return Ok(Beginning::Header(header)),
        Err(what) => what,
    };
    let recovered = listed.and_then(|(entry, store_id)| recover(bytes, entry, store_id));
    Ok(recovered.map_or(Beginning::Lost(what), |header| Beginning::Recovered(header, what)))
}

/// A damaged header with everything in it that the manifest knows: where its checksum matches then, or would with one bit changed, it
/// is what was written.
fn recover(bytes: &[u8], entry: &FileEntry, store_id: &[u8; 16]) -> Option<FileHeader> {
    let known = FileHeader {
        id: entry.id,
        store_id: *store_id,
        origin: Origin { salt: entry.salt, epoch: Default::default() },
    };
    let mut header = known.encode();
    for range in OWN_FIELDS {
        header.get_mut(range.clone())?.copy_from_slice(bytes.get(range)?);
    }
    if let Ok(header) = FileHeader::decode(&header) {
        return Some(header);
    }
    OWN_FIELDS.into_iter().flatten().flat_map(|at| (0..8).map(move |bit| (at, bit))).find_map(|(at, bit)| {
        let mut header = header.clone();
        *header.get_mut(at)? ^= 1 << bit;
        FileHeader::decode(&header).ok()
    })
}

/// The data files that are in a directory, by name.
pub fn data_names(names: &[String]) -> Vec<(FileId, &String)> {
    let mut files: Vec<_> = names
        .iter()
        .filter_map(|name| match names::parse(name) {
            Some(Name::Data(id)) => Some((id, name)),
            _ => None,
        })
        .collect();
    files.sort();
    files
}

/// A line for a file that no manifest lists.
pub fn unlisted(header: &FileHeader) -> FileEntry {
    FileEntry {
        id: header.id,
        state: FileState::Open,
        salt: header.origin.salt,
        follows: false,
        length: FILE_HEADER_SIZE,
        min_seq: 0,
        max_seq: 0,
    }
}

/// Opens a data file to be looked at; `None` where there is none of this name.
pub fn open(disk: &dyn Disk, name: &str) -> Result<Option<Content>> {
    let io = |action, error: &std::io::Error| Error::io(action, &disk.path().join(name), error);
    let file = match disk.open_plain(name) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("open the data file", &error)),
    };
    let size = file.size().map_err(|e| io("read the size of", &e))?;
    // No offset is behind this; a hole of any size costs the disk nothing, and its reader much.
    Ok(Some(Content::new(file, size.min(u64::from(u32::MAX) * crate::format::ALIGNMENT + (8 << 30)))))
}
