//! Compares hints and the checkpoint, which only save time, with the records that they were made from.

use std::collections::HashMap;

use super::content::Content;
use super::files::{self, Opened};
use super::keys::{Holds, name};
use super::survey::Survey;
use super::telling::{Ended, Told};
use crate::format::checkpoint::{CheckpointHeader, PREFIX_SIZE, ROOTS};
use crate::format::collection::ListHead;
use crate::format::features::Refusal;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::{Header, Kind};
use crate::format::hint::{HintEntry, HintReader};
use crate::format::manifest::FileState;
use crate::format::packed::Packed;
use crate::format::{ALIGNMENT, Damage, names};
use crate::index::{Index, KeyHash, KeyHasher};
use crate::log::catalog::MAX_FILES;
use crate::store::error::Error;
use crate::store::findings::Severity;
use crate::store::memory;

const FIRST_UNITS: u32 = (FILE_HEADER_SIZE / ALIGNMENT) as u32;
/// The room that a key takes in a checkpoint at most, and the keys of one root, of a store with as many keys as a machine has memory for.
const KEY_ROOM: u64 = 32;
const LONGEST_ROOT: u64 = 512 << 20;
/// No record takes less.
const SMALLEST_RECORD: u64 = 24;
/// Hints that are longer are not read: no merge writes them, and they would not fit into memory.
const LONGEST_HINT: u64 = 512 << 20;

/// The newest version of an element.
struct Element {
    id: u64,
    position: i64,
    place: (usize, u64),
    /// Whether the head of a list that is alive names it.
    is_named: bool,
}

/// A hint that is read beside its data file.
pub struct HintCursor<'a> {
    reader: HintReader<'a>,
    next: Option<HintEntry>,
    has_begun: bool,
}

impl Survey<'_, '_> {
    /// The bytes of the hint of a sealed file, if it has one.
    pub fn read_hint(&mut self, n: usize, data_size: u64) -> Told<Option<Vec<u8>>> {
        memory::room_for_small_things()?;
        let entry = self.ledger.files[n].entry;
        let name = names::hint(entry.id);
        if self.manifest.is_none() || entry.state != FileState::Sealed {
            return Ok(None);
        }
        let mut content = match files::open(self.disk, &name)? {
            Opened::File(content) => content,
            Opened::Missing => return Ok(None),
            Opened::Lost(why) => {
                let message = format!("{why}; the hint is not used, and nothing is lost");
                self.ledger.pend(Severity::SpaceLost, &name, 0..0, message);
                return Ok(None);
            }
        };
        let size = content.size();
        if size > LONGEST_HINT || size > data_size.saturating_mul(2).saturating_add(4096) {
            let message = "it is longer than a hint of its data file is; it is not used, and nothing is lost";
            self.ledger.pend(Severity::SpaceLost, &name, 0..size, message.into());
            return Ok(None);
        }
        Ok(Some(content.copy(0..size)?))
    }

    /// A hint that belongs to its data file.
    pub fn open_hint<'h>(&mut self, n: usize, bytes: &'h [u8]) -> Option<HintCursor<'h>> {
        let entry = self.ledger.files[n].entry;
        let name = names::hint(entry.id);
        let store_id = self.manifest.as_ref()?.store_id;
        let size = bytes.len() as u64;
        match HintReader::open(bytes, FIRST_UNITS) {
            Ok((header, reader)) => {
                let belongs = (header.file_id, header.salt, header.store_id, header.data_length)
                    == (entry.id, entry.salt, store_id, entry.length);
                if belongs {
                    return Some(HintCursor { reader, next: None, has_begun: false });
                }
                let message =
                    "it belongs to another data file than this one; it is not used, and nothing is lost";
                self.ledger.pend(Severity::SpaceLost, &name, 0..size, message.into());
            }
            Err(what) => {
                let message = format!(
                    "{what}; the hint is not used, and nothing is lost: an opening reads the data file instead"
                );
                self.ledger.pend(Severity::SpaceLost, &name, 0..size, message);
            }
        }
        None
    }

    /// Compares a hint with the next record of its data file, or, after the last, with nothing.
    pub fn compare_hint(
        &mut self,
        n: usize,
        hint: &mut HintCursor<'_>,
        record: Option<(u64, &Header)>,
        content: &mut Content,
        first_place: usize,
    ) -> Told<()> {
        let units = record.map(|(offset, _)| (offset / ALIGNMENT) as u32);
        loop {
            if !hint.has_begun {
                hint.next = match hint.reader.next_entry() {
                    Ok(next) => next,
                    Err(what) => {
                        self.ledger.pend_hint(n, what);
                        None
                    }
                };
                hint.has_begun = true;
            }
            let Some(entry) = hint.next.filter(|entry| units.is_none_or(|units| entry.offset_units < units))
            else {
                break;
            };
            hint.has_begun = false;
            self.ledger.note_known(n, entry, first_place)?;
        }
        let Some((offset, header)) = record else { return Ok(()) };
        let Some(entry) = hint.next.filter(|entry| Some(entry.offset_units) == units) else {
            self.ledger.pend_hint(
                n,
                "the hint leaves a record of the data file out: an opening that believes it misses keys",
            );
            return Ok(());
        };
        hint.has_begun = false;
        let key_at = offset + header.key_range().start as u64;
        let hash = self.ledger.about.hasher.hash(content.get(key_at, u64::from(header.key_len))?);
        let of_hint = (entry.hash, entry.size_units, entry.seq, entry.expiry_ms, entry.tombstone);
        let of_data = (
            (hash.root, hash.word, hash.fingerprint),
            (header.frame_size() / ALIGNMENT) as u32,
            header.seq,
            header.expiry_ms,
            header.kind == Kind::Tombstone,
        );
        if of_hint != of_data {
            self.ledger
                .pend_hint(n, "the hint says something else of a record than the data file: remove the hint");
        }
        Ok(())
    }

    /// Compares the checkpoint of a store that was closed with what is in its files.
    pub fn look_at_checkpoint(&mut self) -> Told<()> {
        memory::room_for_small_things()?;
        let Some(manifest) = &self.manifest else { return Ok(()) };
        let manifest = manifest.copy_with_room(0)?;
        if !manifest.clean || manifest.checkpoint == 0 {
            return Ok(());
        }
        let mut content = match files::open(self.disk, names::CHECKPOINT)? {
            Opened::File(content) => content,
            Opened::Missing => {
                let message = "the checkpoint is missing; nothing is lost, the next opening takes longer";
                self.ledger.pend(Severity::Note, names::CHECKPOINT, 0..0, message.into());
                return Ok(());
            }
            Opened::Lost(why) => {
                let message = format!("{why}; nothing is lost, the next opening takes longer");
                self.ledger.pend(Severity::SpaceLost, names::CHECKPOINT, 0..0, message);
                return Ok(());
            }
        };
        let size = content.size();
        let header = match self.checkpoint_header(&mut content) {
            Ok(Ok((header, start))) => Ok((header, start)),
            Ok(Err(what)) => Err(what),
            Err(ended) => return Err(ended),
        };
        let compared = match header {
            Ok((header, _)) if (header.store_id, header.id) != (manifest.store_id, manifest.checkpoint) => {
                Err("it is not the one that the manifest names")
            }
            Ok((header, _)) if !header.files.iter().all(|file| is_listed(&manifest, file.id)) => {
                Err("it names a data file that the manifest does not list")
            }
            Ok((header, start)) => self.compare_checkpoint(&header, start, &mut content)?,
            Err(what) => Err(what),
        };
        if let Err(what) = compared {
            let message = format!(
                "{what}; the checkpoint is not used, and nothing is lost: the next opening takes longer"
            );
            self.ledger.pend(Severity::SpaceLost, names::CHECKPOINT, 0..size, message);
        }
        Ok(())
    }

    fn checkpoint_header(&mut self, content: &mut Content) -> Told<Result<(CheckpointHeader, u64), Damage>> {
        let sizes = match CheckpointHeader::sizes_from_prefix(content.get(0, PREFIX_SIZE as u64)?) {
            Ok(sizes) => sizes,
            Err(what) => return Ok(Err(what)),
        };
        if sizes.all > content.size() || sizes.header > MAX_FILES as u64 * 64 {
            return Ok(Err("its counts are too large"));
        }
        let mut hasher = crc32fast::Hasher::new();
        content.hash(&mut hasher, 0..sizes.all - 4)?;
        if content.copy(sizes.all - 4..sizes.all)? != hasher.finalize().to_le_bytes() {
            return Ok(Err("its checksum does not match its content"));
        }
        let bytes = content.copy(0..sizes.header)?;
        match CheckpointHeader::decode(&bytes) {
            Ok(header) => Ok(Ok((header, sizes.all))),
            Err(Refusal::Damaged(what)) => Ok(Err(what)),
            Err(Refusal::OtherVersion(_)) => Ok(Err("it is of another version of filedb")),
            Err(Refusal::NoMemory(refused)) => Err(Ended::Failed(refused.into())),
        }
    }

    fn compare_checkpoint(
        &mut self,
        header: &CheckpointHeader,
        start: u64,
        content: &mut Content,
    ) -> Told<Result<(), Damage>> {
        let slots: HashMap<u16, u32> = header.files.iter().map(|file| (file.slot, file.id)).collect();
        let files: HashMap<u32, usize> =
            self.ledger.files.iter().enumerate().map(|(n, file)| (file.entry.id, n)).collect();
        self.ledger.places.sort_by_key(|place| (place.file, place.range.start));
        let elements = self.elements_by_hash(header.elements.is_some())?;
        let named = elements.values().filter(|element| element.is_named).count() as u64;
        // As many keys and elements as were found, and as have room where none was.
        let missing =
            header.files.iter().filter(|file| !files.contains_key(&file.id)).map(|file| file.records);
        let damaged = self
            .ledger
            .places
            .iter()
            .map(|place| (place.range.end - place.range.start) / SMALLEST_RECORD + 1);
        let found = (self.ledger.keys.len() + elements.len()) as u64;
        let most = missing.chain(damaged).fold(found, u64::saturating_add);
        let longest = most.saturating_mul(KEY_ROOM).saturating_add(1 << 20).min(LONGEST_ROOT);
        let (mut at, mut agreed, mut agreed_elements, mut wrong) = (start, 0u64, 0u64, 0u64);
        let of_elements = header.elements.iter().flat_map(|elements| &elements.roots);
        for (n, line) in header.roots.iter().chain(of_elements).enumerate() {
            let (root, is_of_elements) = (n as u8, n >= ROOTS);
            let end = at.saturating_add(line.bytes);
            if line.records > line.bytes || line.bytes > longest || end > content.size() {
                return Ok(Err("its counts are too large"));
            }
            let bytes = content.copy(at..end)?;
            at = end;
            if crc32fast::hash(&bytes) != line.crc {
                return Ok(Err("the checksum of some of its keys does not match"));
            }
            let packed = match Packed::parse(&bytes, line.records as usize) {
                Ok(packed) => packed,
                Err(what) => return Ok(Err(what)),
            };
            for pair in packed.iter_from(0) {
                let Some((hash, entry)) = Index::unpack(root, pair) else {
                    wrong += 1;
                    continue;
                };
                let place = (
                    slots.get(&entry.location.slot).and_then(|id| files.get(id)).copied(),
                    u64::from(entry.location.units) * ALIGNMENT,
                );
                if is_of_elements {
                    match elements.get(&name(&hash)) {
                        Some(element) if (Some(element.place.0), element.place.1) == place => {
                            agreed_elements += u64::from(element.is_named);
                        }
                        _ if self.is_damaged_at(place, &hash) || place.0.is_none() => {}
                        Some(element)
                            if is_copy(place, |place| {
                                self.ledger.keys.has_copy_of_element_at(element.id, element.position, place)
                            }) =>
                        {
                            agreed_elements += u64::from(element.is_named)
                        }
                        _ => wrong += 1,
                    }
                    continue;
                }
                match self.ledger.keys.get(&hash) {
                    Some(version) if (Some(version.place().0), version.place().1) == place => {
                        agreed += u64::from(matches!(version.holds(), Holds::Value | Holds::Head));
                        self.ledger.keys.mark(&hash);
                    }
                    _ if self.is_damaged_at(place, &hash) => self.ledger.keys.mark(&hash),
                    // A file that is missing was told.
                    _ if place.0.is_none() => self.ledger.keys.mark(&hash),
                    Some(version) if is_copy(place, |place| self.ledger.keys.has_copy_at(&hash, place)) => {
                        agreed += u64::from(matches!(version.holds(), Holds::Value | Holds::Head));
                        self.ledger.keys.mark(&hash);
                    }
                    _ => wrong += 1,
                }
            }
        }
        if at != content.size() {
            return Ok(Err("its length does not match the keys in it"));
        }
        let has_damage = !self.ledger.places.is_empty() || self.ledger.files.len() < header.files.len();
        let has_all = agreed == self.ledger.keys.count() && agreed_elements == named;
        if wrong > 0 || !(has_all || has_damage) {
            let message = "the checkpoint and the data files do not agree on where the newest records are: remove it, and the \
                           next opening reads the data files";
            self.ledger.pend(Severity::DataLost, names::CHECKPOINT, 0..at, message.into());
        } else {
            self.ledger.is_compared = true;
            // A key that is not in it was removed, by a record that is damaged.
            self.ledger.keys.drop_unmarked();
        }
        Ok(Ok(()))
    }

    /// The newest version of each element, by the hash of its key.
    fn elements_by_hash(&self, has_elements: bool) -> Told<HashMap<(u64, u16), Element>> {
        let mut elements = HashMap::new();
        if !has_elements {
            return Ok(elements);
        }
        let heads: HashMap<u64, ListHead> =
            self.ledger.keys.lists().map(|list| (list.head.id, list.head)).collect();
        for (id, position, version) in self.ledger.keys.elements() {
            let is_named = heads.get(&id).is_some_and(|head| (head.first..head.end).contains(&position));
            let hash = self
                .ledger
                .about
                .hasher
                .hash(&ListHead { id, first: position, end: position }.element_key(position));
            elements.try_reserve(1).map_err(|_| Error::NoMemory { bytes: elements.len() as u64 * 48 })?;
            elements.insert(name(&hash), Element { id, position, place: version.place(), is_named });
        }
        Ok(elements)
    }

    /// Whether the place of a record is damaged: then the newest version of a key is lost with it.
    fn is_damaged_at(&mut self, (file, offset): (Option<usize>, u64), hash: &KeyHash) -> bool {
        let Some(file) = file else { return false };
        let at =
            self.ledger.places.partition_point(|place| (place.file, place.range.start) <= (file, offset));
        let Some(place) = at.checked_sub(1).and_then(|at| self.ledger.places.get_mut(at)) else {
            return false;
        };
        let is_there = place.file == file && place.range.contains(&offset);
        if is_there {
            place.alive += 1;
            // Whether the key that can be read there is the one that was.
            let hasher: &KeyHasher = &self.ledger.about.hasher;
            place.is_key_sure |= place.key.as_ref().is_some_and(|key| hasher.hash(key) == *hash);
        }
        is_there
    }
}

/// Whether this is the place of another copy, which `has_copy` says.
fn is_copy((file, offset): (Option<usize>, u64), has_copy: impl Fn((usize, u64)) -> bool) -> bool {
    file.is_some_and(|file| has_copy((file, offset)))
}

fn is_listed(manifest: &crate::format::manifest::Manifest, id: u32) -> bool {
    manifest.files.binary_search_by_key(&id, |entry| entry.id).is_ok()
}
