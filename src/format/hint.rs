//! The hint file of a sealed data file: where each of its records is, by hash, so that a start need not read the data.
//!
//! It is bound to the data file's number, salt and length, and to the store's hash key through the store's identity;
//! a hint about which there is any doubt is not used. Entries stand in the order of the data file and take some 13 bytes.

use super::bytes::{Reader, append_checksum, split_checked};
use super::{Damage, FORMAT_VERSION, FileId};
use crate::store::memory::{self, Refused};

const MAGIC: &[u8; 8] = b"filedb\0H";
const TOMBSTONE: u8 = 1;
const EXPIRES: u8 = 2;

/// What a hint file says about its data file as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintHeader {
    /// The data file's number.
    pub file_id: FileId,
    /// The data file's salt.
    pub salt: u32,
    /// The store's identity.
    pub store_id: [u8; 16],
    /// The data file's length in bytes.
    pub data_length: u64,
    /// The latest time of a record in it, in milliseconds since 1970.
    pub max_time_ms: u64,
    /// The smallest and the largest sequence number in it.
    pub seqs: (u64, u64),
}

/// One record of the data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintEntry {
    /// The keyed hash of its key, as the index stores it.
    pub hash: (u8, u64, u8),
    /// Where its frame begins, in units of 8 bytes.
    pub offset_units: u32,
    /// The size of its frame, in units of 8 bytes.
    pub size_units: u32,
    /// The sequence number of the record.
    pub seq: u64,
    /// When it expires, in milliseconds since 1970.
    pub expiry_ms: Option<u64>,
    /// Whether it takes the key away.
    pub tombstone: bool,
}

/// Builds a hint file, entry by entry, in memory.
pub struct HintWriter {
    bytes: Vec<u8>,
    next_units: u32,
    last_seq: u64,
}

impl HintWriter {
    /// An empty hint file for a data file whose first frame stands at `first_units`.
    pub fn new(first_units: u32) -> Self {
        HintWriter { bytes: vec![0; HEADER_SIZE], next_units: first_units, last_seq: 0 }
    }

    /// Appends a record; records come in the order of the file.
    pub fn push(&mut self, entry: &HintEntry) -> Result<(), Refused> {
        memory::reserve(&mut self.bytes, MOST_OF_ENTRY + CHECKSUM_SIZE)?;
        let flags =
            if entry.tombstone { TOMBSTONE } else { 0 } | if entry.expiry_ms.is_some() { EXPIRES } else { 0 };
        self.bytes.extend_from_slice(&[entry.hash.0, entry.hash.2, flags]);
        self.bytes.extend_from_slice(&entry.hash.1.to_le_bytes());
        self.varint(u64::from(entry.offset_units.wrapping_sub(self.next_units)));
        self.varint(u64::from(entry.size_units));
        self.varint(entry.seq.wrapping_sub(self.last_seq));
        if let Some(expiry_ms) = entry.expiry_ms {
            self.varint(expiry_ms);
        }
        self.next_units = entry.offset_units.wrapping_add(entry.size_units);
        self.last_seq = entry.seq;
        Ok(())
    }

    /// The size that the hint file has so far, in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The whole file.
    pub fn finish(mut self, header: &HintHeader) -> Vec<u8> {
        let mut head = Vec::with_capacity(HEADER_SIZE);
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        head.extend_from_slice(&header.file_id.to_le_bytes());
        head.extend_from_slice(&header.salt.to_le_bytes());
        head.extend_from_slice(&[0; 4]);
        head.extend_from_slice(&header.store_id);
        for field in [header.data_length, header.max_time_ms, header.seqs.0, header.seqs.1] {
            head.extend_from_slice(&field.to_le_bytes());
        }
        self.bytes[..HEADER_SIZE].copy_from_slice(&head);
        append_checksum(&mut self.bytes);
        self.bytes
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

const HEADER_SIZE: usize = 72;
/// Three bytes, eight, and four numbers, the longest of which takes ten.
const MOST_OF_ENTRY: usize = 3 + 8 + 4 * 10;
const CHECKSUM_SIZE: usize = 4;

/// Reads a hint file.
pub struct HintReader<'a> {
    reader: Reader<'a>,
    next_units: u32,
    last_seq: u64,
}

impl<'a> HintReader<'a> {
    /// Checks the whole file and gives its header and its entries, of which the first is at or after `first_units`.
    pub fn open(bytes: &'a [u8], first_units: u32) -> Result<(HintHeader, Self), Damage> {
        let mut reader = Reader::new(split_checked(bytes)?);
        if reader.take(8)? != MAGIC {
            return Err("it is not a filedb hint file");
        }
        super::check_version(reader.u32()?)?;
        let (file_id, salt) = (reader.u32()?, reader.u32()?);
        reader.u32()?;
        let header = HintHeader {
            file_id,
            salt,
            store_id: reader.bytes16()?,
            data_length: reader.u64()?,
            max_time_ms: reader.u64()?,
            seqs: (reader.u64()?, reader.u64()?),
        };
        Ok((header, HintReader { reader, next_units: first_units, last_seq: 0 }))
    }

    /// The next entry, or `None` after the last.
    pub fn next_entry(&mut self) -> Result<Option<HintEntry>, Damage> {
        if self.reader.rest().is_empty() {
            return Ok(None);
        }
        let (root, fingerprint, flags) = (self.reader.u8()?, self.reader.u8()?, self.reader.u8()?);
        let word = self.reader.u64()?;
        let gap = self.varint()? as u32;
        let size_units = self.varint()? as u32;
        let seq = self.last_seq.wrapping_add(self.varint()?);
        let expiry_ms = if flags & EXPIRES != 0 { Some(self.varint()?) } else { None };
        let offset_units = self.next_units.checked_add(gap).ok_or("an entry lies outside the data file")?;
        self.next_units =
            offset_units.checked_add(size_units).ok_or("an entry lies outside the data file")?;
        self.last_seq = seq;
        Ok(Some(HintEntry {
            hash: (root, word, fingerprint),
            offset_units,
            size_units,
            seq,
            expiry_ms,
            tombstone: flags & TOMBSTONE != 0,
        }))
    }

    fn varint(&mut self) -> Result<u64, Damage> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.reader.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number in it is too long")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_back_and_every_flipped_bit_is_noticed() {
        let entries = [
            HintEntry {
                hash: (1, u64::MAX, 3),
                offset_units: 8,
                size_units: 18,
                seq: 500,
                expiry_ms: None,
                tombstone: false,
            },
            HintEntry {
                hash: (0, 7, 0),
                offset_units: 30,
                size_units: 5,
                seq: 501,
                expiry_ms: None,
                tombstone: true,
            },
            HintEntry {
                hash: (9, 8, 7),
                offset_units: 35,
                size_units: 1 << 29,
                seq: 4,
                expiry_ms: Some(u64::MAX),
                tombstone: false,
            },
        ];
        let header = HintHeader {
            file_id: 2,
            salt: 3,
            store_id: [4; 16],
            data_length: 5,
            max_time_ms: 6,
            seqs: (4, 501),
        };
        let mut writer = HintWriter::new(8);
        entries.iter().for_each(|entry| writer.push(entry).unwrap());
        let mut bytes = writer.finish(&header);
        let (read, mut reader) = HintReader::open(&bytes, 8).unwrap();
        assert_eq!(read, header);
        for entry in &entries {
            assert_eq!(reader.next_entry(), Ok(Some(*entry)));
        }
        assert_eq!(reader.next_entry(), Ok(None));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(HintReader::open(&bytes, 8).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
