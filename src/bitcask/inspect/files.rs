//! Which data files a store has: those that its manifest lists, or, where that is lost, those that are there.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;

use super::content::Content;
use super::ledger::{Ledger, Looked};
use super::survey::Survey;
use super::telling::Told;
use super::walk::{Numbers, Step, Walk};
use crate::disk::Disk;
use crate::format::features::{ORDERED, Refusal};
use crate::format::file_header::{FILE_HEADER_SIZE, FileHeader};
use crate::format::frame::{Kind, Origin};
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::format::names::{self, Name};
use crate::format::{Damage, FileId};
use crate::log::catalog::MAX_FILES;
use crate::store::error::{Error, Result};
use crate::store::findings::Severity;
use crate::store::memory;

/// Where in a header the fields stand that only the header knows: time and number, and its checksum.
const OWN_FIELDS: [Range<usize>; 2] = [40..56, 60..64];

/// What is in the place of a file.
pub enum Opened {
    /// A file.
    File(Content),
    /// Nothing.
    Missing,
    /// Something that cannot be read, and why.
    Lost(String),
}

impl Opened {
    /// The file, where there is one that can be read.
    pub fn file(self) -> Option<Content> {
        match self {
            Opened::File(content) => Some(content),
            Opened::Missing | Opened::Lost(_) => None,
        }
    }
}

/// The name of each data file, by number, salt and store, as its header says them.
pub type Strays = HashMap<(FileId, u32, [u8; 16]), (String, Origin)>;

/// What is in the place of the manifest.
pub enum Listed {
    /// A manifest.
    Whole(Box<Manifest>, Vec<u8>),
    /// Bytes that are none, or what cannot be read; and why.
    Damaged(String),
    /// Nothing.
    Missing,
}

/// What a manifest says of runs and deletes of ranges is no larger than this.
const LARGEST_ORDERED: u64 = 256 << 20;

/// Refuses a store that became one of another engine meanwhile.
fn ordered(disk: &dyn Disk) -> Error {
    Error::Unsupported {
        message: format!(
            "the store '{}' became one of another engine while it was looked at; nothing was changed",
            disk.path().display()
        ),
    }
}

/// Whether there are runs, which only the ordered engine has.
pub fn has_runs(disk: &dyn Disk) -> Result<bool> {
    let names = disk.list().map_err(|e| Error::io("list the directory", disk.path(), &e))?;
    Ok(names.iter().any(|name| matches!(names::parse(name), Some(Name::Run(_)))))
}

/// Whether an intact record is in the data files that only the ordered engine writes.
pub fn has_ordered_records(disk: &dyn Disk) -> Result<bool> {
    let names = disk.list().map_err(|e| Error::io("list the directory", disk.path(), &e))?;
    for (_, name) in data_names(&names) {
        let Some(mut content) = open(disk, name)?.file() else { continue };
        let Beginning::Header(header) = read_header(&mut content, None)? else { continue };
        let range = FILE_HEADER_SIZE..content.size();
        let mut walk = Walk::new(&mut content, (header.id, header.origin, Numbers::Any), range);
        while let Some(step) = walk.next_step()? {
            if let Step::Frame { header, .. } = step
                && matches!(header.kind, Kind::Range | Kind::Gone)
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Reads the manifest.
///
/// # Errors
/// [`Error::Unsupported`] where another version of filedb is needed, [`Error::Io`].
pub fn read_manifest(disk: &dyn Disk, is_ordered: bool) -> Result<Listed> {
    let damaged = |what: String| match !is_ordered && has_runs(disk)? {
        true => Err(ordered(disk)),
        false => Ok(Listed::Damaged(what)),
    };
    let mut content = match open(disk, names::MANIFEST)? {
        Opened::File(content) => content,
        Opened::Missing if !is_ordered && has_runs(disk)? => return Err(ordered(disk)),
        Opened::Missing => return Ok(Listed::Missing),
        Opened::Lost(why) => return damaged(why),
    };
    let size = content.size();
    let of_runs = if is_ordered { LARGEST_ORDERED } else { 0 };
    if size > Manifest::size(MAX_FILES) + of_runs {
        return damaged("it is longer than a manifest can be".into());
    }
    let bytes = content.copy(0..size)?;
    match Manifest::decode(&bytes) {
        Ok(manifest) if manifest.needs.has(ORDERED) != is_ordered => Err(ordered(disk)),
        Ok(manifest) => Ok(Listed::Whole(Box::new(manifest), bytes)),
        Err(Refusal::Damaged(what)) => damaged(what.into()),
        Err(Refusal::NoMemory(refused)) => Err(refused.into()),
        Err(Refusal::OtherVersion(words)) => {
            let message = format!("the store '{}' {words}; nothing was changed", disk.path().display());
            Err(Error::Unsupported { message })
        }
    }
}

/// What is at the beginning of a data file.
pub enum Beginning {
    /// The header of the file.
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

/// Opens a file of the store to be looked at.
///
/// # Errors
/// [`Error::Io`] where this process has no room for one more: that says nothing about the file.
pub fn open(disk: &dyn Disk, name: &str) -> Result<Opened> {
    let opened = disk.open_suspect(name).and_then(|file| Ok((file.size()?, file)));
    let (size, file) = match opened {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::Missing),
        Err(error) if is_lack(&error) => return Err(Error::io("open", &disk.path().join(name), &error)),
        Err(error) => return Ok(Opened::Lost(format!("the file cannot be opened ({error})"))),
    };
    // No offset is behind this; a hole of any size costs the disk nothing, and its reader much.
    let size = size.min(u64::from(u32::MAX) * crate::format::ALIGNMENT + (8 << 30));
    Ok(Opened::File(Content::new(file, size)))
}

/// Whether a failure is for lack of descriptors or memory.
fn is_lack(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

/// All data files by what their headers say.
fn strays(disk: &dyn Disk, names: &[String]) -> Result<Strays> {
    let mut strays = HashMap::new();
    for (_, name) in data_names(names) {
        let Some(mut content) = open(disk, name)?.file() else { continue };
        if let Beginning::Header(header) = read_header(&mut content, None)? {
            let key = (header.id, header.origin.salt, header.store_id);
            strays.insert(key, (name.clone(), header.origin));
        }
    }
    Ok(strays)
}

/// The data files that belong together where no manifest says which do: of each its name, its header and its length. What is
/// left out is told.
pub fn choose(
    disk: &dyn Disk,
    names: &[String],
    ledger: &mut Ledger,
) -> Result<Vec<(String, FileHeader, u64)>> {
    let mut found: Vec<(String, Beginning, u64)> = Vec::new();
    for (_, name) in data_names(names) {
        match open(disk, name)? {
            Opened::File(mut content) => {
                let beginning = read_header(&mut content, None)?;
                found.push((name.clone(), beginning, content.size()));
            }
            Opened::Missing => {}
            Opened::Lost(why) => {
                let message = format!("{why}; what was in it is lost");
                ledger.pend(Severity::DataLost, name, 0..0, message);
            }
        }
    }
    // The store that most of the bytes belong to.
    let mut stores: Vec<([u8; 16], u64)> = Vec::new();
    for (_, beginning, size) in &found {
        if let Beginning::Header(header) = beginning {
            let has_room = stores.len() < 1024;
            match stores.iter_mut().find(|(id, _)| *id == header.store_id) {
                Some((_, bytes)) => *bytes += size,
                None if has_room => stores.push((header.store_id, *size)),
                None => {}
            }
        }
    }
    let store_id = stores.iter().max_by_key(|(_, bytes)| *bytes).map(|(id, _)| *id);
    // Of copies the one under its own name counts.
    found.sort_by_key(|(name, beginning, _)| match beginning {
        Beginning::Header(header) => *name != names::data(header.id),
        _ => true,
    });
    let mut known = HashSet::new();
    let mut chosen = Vec::new();
    for (name, beginning, size) in found {
        match beginning {
            Beginning::Header(header) if Some(header.store_id) == store_id => {
                if known.insert((header.id, header.origin.salt)) {
                    chosen.push((name, header, size));
                } else {
                    let message = "it is a copy of another data file, which is read instead";
                    ledger.pend(Severity::SpaceLost, &name, 0..0, message.into());
                }
            }
            Beginning::Header(_) => {
                ledger.pend(Severity::SpaceLost, &name, 0..0, "it belongs to another store".into());
            }
            Beginning::Lost(what) | Beginning::Recovered(_, what) => {
                let message = format!("{what}; what was in it is lost");
                ledger.pend(Severity::DataLost, &name, 0..0, message);
            }
        }
    }
    Ok(chosen)
}

impl Survey<'_, '_> {
    /// The file of a line of the manifest.
    pub fn find(&mut self, manifest: &Manifest, entry: &FileEntry) -> Told<Option<(Looked, Content)>> {
        memory::room_for_small_things()?;
        let name = names::data(entry.id);
        let looked = |name: String, origin| Looked::new(name, origin, *entry);
        let why = match open(self.disk, &name)? {
            Opened::Missing => "the file is missing".to_string(),
            Opened::Lost(why) => why,
            Opened::File(mut content) => {
                match read_header(&mut content, Some((entry, &manifest.store_id)))? {
                    Beginning::Header(header) => {
                        let is_it = (header.id, header.origin.salt, header.store_id)
                            == (entry.id, entry.salt, manifest.store_id);
                        if is_it {
                            return Ok(Some((looked(name, header.origin), content)));
                        }
                        "the file is another one than the manifest names".into()
                    }
                    Beginning::Recovered(header, what) => {
                        let message = format!(
                            "{what}; the store does not open, but the manifest knows enough of the file to read it"
                        );
                        self.ledger.pend(Severity::SpaceLost, &name, 0..FILE_HEADER_SIZE, message);
                        return Ok(Some((looked(name, header.origin), content)));
                    }
                    Beginning::Lost(what) => what.into(),
                }
            }
        };
        // It may be there under another name.
        let strays = match self.strays.take() {
            Some(strays) => strays,
            None => strays(self.disk, &self.names)?,
        };
        let stray = self.strays.insert(strays).get(&(entry.id, entry.salt, manifest.store_id)).cloned();
        if let Some((other, origin)) = stray
            && let Some(content) = open(self.disk, &other)?.file()
        {
            let message = format!("{why}; it is there as '{other}', and has to be renamed");
            self.ledger.pend(Severity::SpaceLost, &name, 0..0, message);
            return Ok(Some((looked(other, origin), content)));
        }
        let message = format!("{why}; what was in it, up to {} bytes, is lost", entry.length);
        self.ledger.pend(Severity::DataLost, &name, 0..0, message);
        Ok(None)
    }

    /// Names of files that are no part of the store, and what becomes of them.
    pub fn debris(&self) -> Vec<(String, &'static str)> {
        let Some(manifest) = &self.manifest else { return Vec::new() };
        let is_listed = |id: &FileId| manifest.files.binary_search_by_key(id, |entry| entry.id).is_ok();
        let looked: HashSet<&str> = self.ledger.files.iter().map(|file| file.name.as_str()).collect();
        let debris = self.names.iter().filter_map(|name| match names::parse(name) {
            Some(Name::Data(id)) if !is_listed(&id) && !looked.contains(name.as_str()) => Some((
                name.clone(),
                "the manifest does not list it, so it does not count; the next opening for writing removes it",
            )),
            Some(Name::Hint(id)) if !is_listed(&id) => {
                Some((name.clone(), "it belongs to no data file; the next opening for writing removes it"))
            }
            Some(Name::Temporary) => {
                Some((name.clone(), "a crash left it; the next opening for writing removes it"))
            }
            _ => None,
        });
        debris.collect()
    }
}
