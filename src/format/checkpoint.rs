//! The checkpoint: the whole index as a clean close leaves it, so that the next open scans nothing.
//!
//! ```text
//! header   magic, version, store, its identity, which the manifest names, and per file:
//!          id, slot, records alive, weight alive, records written, weight written
//! roots    256 x { records, bytes, CRC-32 of those }
//! expiries count x { expiry u64, root u8 x8, slot 16 bytes }, or clocks
//! crc      CRC-32 of all so far
//! keys     of each root those whose hash begins with that byte, packed: see `packed`
//! ```

use super::bytes::{Reader, append_checksum, split_checked};
use super::{Damage, FORMAT_VERSION, FileId};

const MAGIC: &[u8; 8] = b"filedb\0C";
/// The number of parts that the index is divided into by the first byte of the hash.
pub const ROOTS: usize = 256;
/// The size of a root's line in the header.
const ROOT_SIZE: usize = 20;

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

/// One expiring record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointExpiry {
    /// When it expires, in milliseconds since 1970.
    pub expiry_ms: u64,
    /// The first byte of its hash.
    pub root: u8,
    /// Its slot in the index.
    pub slot: (u64, u64),
}

/// What the clocks said when the store was closed, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointClocks {
    /// The store's time.
    pub store_ms: u64,
    /// The wall clock.
    pub wall_ms: u64,
    /// The monotonic clock.
    pub monotonic_ms: u64,
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

/// All but the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointHeader {
    /// The store's identity.
    pub store_id: [u8; 16],
    /// Its identity, random, which the clean manifest that it belongs to names.
    pub id: u64,
    /// The live data files.
    pub files: Vec<CheckpointFile>,
    /// The parts of the index, by the first byte of the hash.
    pub roots: Vec<CheckpointRoot>,
    /// The records that expire.
    pub expiries: Vec<CheckpointExpiry>,
    /// Where the store's time was ahead of the wall clock.
    pub clocks: Option<CheckpointClocks>,
}

/// The size of the part of the file that tells the size of the header.
pub const PREFIX_SIZE: usize = 56;

impl CheckpointHeader {
    /// The header's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.store_id);
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&(self.files.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&(self.lines() as u64).to_le_bytes());
        for file in &self.files {
            bytes.extend_from_slice(&file.id.to_le_bytes());
            bytes.extend_from_slice(&u32::from(file.slot).to_le_bytes());
            for field in [file.live_records, file.live_weight, file.records, file.total_weight] {
                bytes.extend_from_slice(&field.to_le_bytes());
            }
        }
        for root in &self.roots {
            bytes.extend_from_slice(&root.records.to_le_bytes());
            bytes.extend_from_slice(&root.bytes.to_le_bytes());
            bytes.extend_from_slice(&root.crc.to_le_bytes());
        }
        for expiry in &self.expiries {
            for field in [expiry.expiry_ms, u64::from(expiry.root), expiry.slot.0, expiry.slot.1] {
                bytes.extend_from_slice(&field.to_le_bytes());
            }
        }
        // A slot that is empty tells it from the line of a record.
        if let Some(clocks) = &self.clocks {
            for field in [clocks.wall_ms, clocks.monotonic_ms, clocks.store_ms, 0] {
                bytes.extend_from_slice(&field.to_le_bytes());
            }
        }
        append_checksum(&mut bytes);
        bytes
    }

    fn lines(&self) -> usize {
        self.expiries.len() + usize::from(self.clocks.is_some())
    }

    fn size(&self) -> usize {
        PREFIX_SIZE + self.files.len() * 40 + ROOTS * ROOT_SIZE + self.lines() * 32 + 4
    }

    /// The size of the whole header, told by the first [`PREFIX_SIZE`] bytes of the file.
    pub fn size_from_prefix(prefix: &[u8]) -> Result<u64, Damage> {
        let mut reader = Reader::new(prefix);
        if reader.take(8)? != MAGIC {
            return Err("it is not a checkpoint of filedb");
        }
        super::check_version(reader.u32()?)?;
        reader.take(28)?;
        let (files, expiries) = (reader.u64()?, reader.u64()?);
        let parts = files.checked_mul(40).and_then(|n| n.checked_add(expiries.checked_mul(32)?));
        parts
            .and_then(|n| n.checked_add((PREFIX_SIZE + ROOTS * ROOT_SIZE + 4) as u64))
            .ok_or("its counts are too large")
    }

    /// Reads a header; `bytes` is exactly as long as [`CheckpointHeader::size_from_prefix`] says.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut reader = Reader::new(split_checked(bytes)?);
        reader.take(16)?;
        let (store_id, id) = (reader.bytes16()?, reader.u64()?);
        let (file_count, expiry_count) = (reader.u64()?, reader.u64()?);
        let mut header = CheckpointHeader {
            store_id,
            id,
            files: Vec::new(),
            roots: Vec::with_capacity(ROOTS),
            expiries: Vec::new(),
            clocks: None,
        };
        for _ in 0..file_count {
            let (id, slot) = (reader.u32()?, reader.u32()? as u16);
            let (live_records, live_weight) = (reader.u64()?, reader.u64()?);
            let (records, total_weight) = (reader.u64()?, reader.u64()?);
            header.files.push(CheckpointFile { id, slot, live_records, live_weight, records, total_weight });
        }
        for _ in 0..ROOTS {
            header.roots.push(CheckpointRoot {
                records: reader.u64()?,
                bytes: reader.u64()?,
                crc: reader.u32()?,
            });
        }
        for _ in 0..expiry_count {
            let (expiry_ms, root, slot) = (reader.u64()?, reader.u64()?, (reader.u64()?, reader.u64()?));
            if slot.1 == 0 {
                header.clocks =
                    Some(CheckpointClocks { store_ms: slot.0, wall_ms: expiry_ms, monotonic_ms: root });
            } else {
                header.expiries.push(CheckpointExpiry { expiry_ms, root: root as u8, slot });
            }
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_header_is_read_back_and_every_flipped_bit_is_noticed() {
        let header = CheckpointHeader {
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
            roots: (0..ROOTS as u64)
                .map(|n| CheckpointRoot { records: n, bytes: n + 7, crc: n as u32 + 1 })
                .collect(),
            expiries: vec![CheckpointExpiry { expiry_ms: 9, root: 255, slot: (u64::MAX, 1) }],
            clocks: Some(CheckpointClocks { store_ms: 30, wall_ms: 20, monotonic_ms: 1 << 40 }),
        };
        let mut bytes = header.encode();
        assert_eq!(CheckpointHeader::size_from_prefix(&bytes[..PREFIX_SIZE]), Ok(bytes.len() as u64));
        assert_eq!(CheckpointHeader::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(CheckpointHeader::decode(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
