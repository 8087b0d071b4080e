//! The checkpoint: the whole index as a clean close leaves it, so that the next open scans nothing.
//!
//! ```text
//! header   magic, version, store, its identity, which the manifest names, and per file:
//!          id, slot, records alive, weight alive, records written, weight written
//! roots    256 x { records, bytes, CRC-32 of those }
//! in stores that may have collections, whose checkpoints have the next version of the format:
//!          next free number of a collection u64, and 256 roots more, of the elements
//! lines    count x { expiry u64, root u8 x8, slot 16 bytes }, or clocks
//! crc      CRC-32 of all so far
//! keys     of each root those whose hash begins with that byte, packed: see `packed`; then the elements likewise
//! ```

use super::bytes::Reader;
use super::features::Refusal;
use super::{Damage, FORMAT_VERSION, FileId};
use crate::store::memory::{Refused, vec_with_room};

const MAGIC: &[u8; 8] = b"filedb\0C";
/// The version of a checkpoint with elements of collections. Who does not know it makes the index anew.
const WITH_ELEMENTS: u32 = FORMAT_VERSION + 1;
/// The number of parts that the index is divided into by the first byte of the hash.
pub const ROOTS: usize = 256;
/// The size of a root's line in the header.
const ROOT_SIZE: usize = 20;
/// The size of a file's line.
const FILE_SIZE: usize = 40;

/// What the index knows of one data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointFile {
    /// The file's number.
    pub id: FileId,
    /// The number that locations in the slots use for it.
    pub slot: u16,
    /// How many of its records are alive.
    pub live_records: u64,
    /// The weight (bytes, rounded as size classes are) of what is alive.
    pub live_weight: u64,
    /// How many records were written to it.
    pub records: u64,
    /// The weight of all that was written to it.
    pub total_weight: u64,
}

/// A line behind the roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointLine {
    /// One record that expires.
    Expiry {
        /// When, in milliseconds since 1970.
        expiry_ms: u64,
        /// The first byte of its hash.
        root: u8,
        /// The key's slot in the index.
        slot: (u64, u64),
    },
    /// What the clocks said when the store was closed, in milliseconds. There is none where the store's time was not ahead.
    Clocks {
        /// The store's time.
        store_ms: u64,
        /// The wall clock.
        wall_ms: u64,
        /// The monotonic clock.
        monotonic_ms: u64,
    },
}

/// The size of a line.
pub const LINE_SIZE: usize = 32;

impl CheckpointLine {
    /// The line's bytes.
    pub fn encode(&self) -> [u8; LINE_SIZE] {
        let fields = match *self {
            CheckpointLine::Expiry { expiry_ms, root, slot } => [expiry_ms, u64::from(root), slot.0, slot.1],
            // A slot that is empty tells it from the line of a record.
            CheckpointLine::Clocks { store_ms, wall_ms, monotonic_ms } => {
                [wall_ms, monotonic_ms, store_ms, 0]
            }
        };
        let mut bytes = [0; LINE_SIZE];
        for (bytes, field) in bytes.chunks_exact_mut(8).zip(fields) {
            bytes.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// Reads a line.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut reader = Reader::new(bytes);
        let (first, second, slot) = (reader.u64()?, reader.u64()?, (reader.u64()?, reader.u64()?));
        Ok(match slot {
            (store_ms, 0) => CheckpointLine::Clocks { store_ms, wall_ms: first, monotonic_ms: second },
            slot => CheckpointLine::Expiry { expiry_ms: first, root: second as u8, slot },
        })
    }
}

/// One part of the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointRoot {
    /// How many records it has.
    pub records: u64,
    /// How many bytes they take, packed.
    pub bytes: u64,
    /// The CRC-32 of those.
    pub crc: u32,
}

impl CheckpointRoot {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.records.to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.extend_from_slice(&self.crc.to_le_bytes());
    }

    fn decode_all(reader: &mut Reader<'_>) -> Result<Vec<Self>, Refusal> {
        let mut roots = vec_with_room(ROOTS)?;
        for _ in 0..ROOTS {
            roots.push(Self { records: reader.u64()?, bytes: reader.u64()?, crc: reader.u32()? });
        }
        Ok(roots)
    }
}

/// What a checkpoint says of collections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointElements {
    /// No collection has this number, or a greater one.
    pub next_id: u64,
    /// The parts of the index of elements, by the first byte of the hash.
    pub roots: Vec<CheckpointRoot>,
}

/// All in front of the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointHeader {
    /// The store's identity.
    pub store_id: [u8; 16],
    /// The identity of the checkpoint, random, which the clean manifest that it belongs to names.
    pub id: u64,
    /// The live data files.
    pub files: Vec<CheckpointFile>,
    /// The parts of the index of keys, by the first byte of the hash.
    pub roots: Vec<CheckpointRoot>,
    /// In stores that may have collections.
    pub elements: Option<CheckpointElements>,
    /// How many lines follow.
    pub lines: u64,
}

/// The size of the part of the file that tells the sizes of the others.
pub const PREFIX_SIZE: usize = 56;

/// The sizes of the parts in front of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointSizes {
    /// The header.
    pub header: u64,
    /// How many lines follow it.
    pub lines: u64,
    /// Header, lines, and the checksum of both.
    pub all: u64,
}

impl CheckpointHeader {
    /// The header's bytes. Behind them go the lines, and the CRC-32 of all that.
    pub fn encode(&self) -> Result<Vec<u8>, Refused> {
        let version = if self.elements.is_some() { WITH_ELEMENTS } else { FORMAT_VERSION };
        let mut bytes =
            vec_with_room(PREFIX_SIZE + self.files.len() * FILE_SIZE + 2 * ROOTS * ROOT_SIZE + 8)?;
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.store_id);
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&(self.files.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&self.lines.to_le_bytes());
        for file in &self.files {
            bytes.extend_from_slice(&file.id.to_le_bytes());
            bytes.extend_from_slice(&u32::from(file.slot).to_le_bytes());
            for field in [file.live_records, file.live_weight, file.records, file.total_weight] {
                bytes.extend_from_slice(&field.to_le_bytes());
            }
        }
        self.roots.iter().for_each(|root| root.encode(&mut bytes));
        if let Some(CheckpointElements { next_id, roots }) = &self.elements {
            bytes.extend_from_slice(&next_id.to_le_bytes());
            roots.iter().for_each(|root| root.encode(&mut bytes));
        }
        Ok(bytes)
    }

    /// The sizes that the first [`PREFIX_SIZE`] bytes of the file tell.
    pub fn sizes_from_prefix(prefix: &[u8]) -> Result<CheckpointSizes, Damage> {
        let mut reader = Reader::new(prefix);
        if reader.take(8)? != MAGIC {
            return Err("it is not a checkpoint of filedb");
        }
        let version = reader.u32()?;
        let of_elements = match version {
            WITH_ELEMENTS => 8 + ROOTS * ROOT_SIZE,
            version => super::check_version(version).map(|()| 0)?,
        };
        reader.take(28)?;
        let (files, lines) = (reader.u64()?, reader.u64()?);
        let fixed = (PREFIX_SIZE + ROOTS * ROOT_SIZE + of_elements) as u64;
        let header = files.checked_mul(FILE_SIZE as u64).and_then(|n| n.checked_add(fixed));
        let all = header
            .and_then(|header| lines.checked_mul(LINE_SIZE as u64)?.checked_add(header)?.checked_add(4));
        match (header, all) {
            (Some(header), Some(all)) => Ok(CheckpointSizes { header, lines, all }),
            _ => Err("its counts are too large"),
        }
    }

    /// Reads a header, whose checksum is compared elsewhere; `bytes` is as long as [`CheckpointHeader::sizes_from_prefix`] says.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut reader = Reader::new(bytes);
        reader.take(8)?;
        let has_elements = reader.u32()? == WITH_ELEMENTS;
        reader.take(4)?;
        let (store_id, id) = (reader.bytes16()?, reader.u64()?);
        let (file_count, lines) = (reader.u64()?, reader.u64()?);
        // A count that was made up asks for no more than what has been read.
        let files = vec_with_room(file_count.min((bytes.len() / FILE_SIZE) as u64) as usize)?;
        let (roots, elements) = (Vec::new(), None);
        let mut header = CheckpointHeader { store_id, id, files, roots, elements, lines };
        for _ in 0..file_count {
            let (id, slot) = (reader.u32()?, reader.u32()? as u16);
            let (live_records, live_weight) = (reader.u64()?, reader.u64()?);
            let (records, total_weight) = (reader.u64()?, reader.u64()?);
            header.files.push(CheckpointFile { id, slot, live_records, live_weight, records, total_weight });
        }
        header.roots = CheckpointRoot::decode_all(&mut reader)?;
        if has_elements {
            let next_id = reader.u64()?;
            let roots = CheckpointRoot::decode_all(&mut reader)?;
            header.elements = Some(CheckpointElements { next_id, roots });
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_back_as_it_was_written() {
        let roots = || {
            let root = |n| CheckpointRoot { records: n, bytes: n + 7, crc: n as u32 + 1 };
            (0..ROOTS as u64).map(root).collect()
        };
        let plain = CheckpointHeader {
            store_id: [7; 16],
            id: 3,
            files: vec![CheckpointFile {
                id: 1,
                slot: 2,
                live_records: 3,
                live_weight: 4,
                records: 6,
                total_weight: 5,
            }],
            roots: roots(),
            elements: None,
            lines: 2,
        };
        let elements = Some(CheckpointElements { next_id: 77, roots: roots() });
        for header in [plain.clone(), CheckpointHeader { elements, ..plain }] {
            let bytes = header.encode().unwrap();
            let sizes = CheckpointHeader::sizes_from_prefix(&bytes[..PREFIX_SIZE]).unwrap();
            let size = bytes.len() as u64;
            assert_eq!(sizes, CheckpointSizes { header: size, lines: 2, all: size + 2 * 32 + 4 });
            assert_eq!(CheckpointHeader::decode(&bytes), Ok(header));
            for length in 0..bytes.len() {
                assert!(CheckpointHeader::decode(&bytes[..length]).is_err());
            }
        }
        for line in [
            CheckpointLine::Expiry { expiry_ms: 9, root: 255, slot: (u64::MAX, 1) },
            CheckpointLine::Clocks { store_ms: 30, wall_ms: 20, monotonic_ms: 1 << 40 },
        ] {
            assert_eq!(CheckpointLine::decode(&line.encode()), Ok(line));
        }
    }
}
