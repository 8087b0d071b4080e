//! A run: entries in the order of their keys, in a file that is written once. (An SSTable; O'Neil et al., 1996, and LevelDB.)
//!
//! ```text
//! run    = header block* filter index footer
//! header = magic version{u32} id{u32} salt{u32} 0{u32} store-id{16} base{u64} 0{12} crc{u32}
//! filter = bits crc{u32}
//! index  = first-len{u32} first-key  count{u32} line{12}*  keys crc{u32}
//! line   = end{u32} offset{u64}
//! footer = magic 10 numbers{u64} id{u32} crc{u32}
//! ```
//! A line of the index is that of a block: where its last key ends among the keys, and where the block begins. Blocks lie one behind the
//! other. Checksums begin with the run's salt, and that of what has no fixed place with its offset too, so that what stands in another
//! place or another run does not pass.

pub mod block;
pub mod filter;

use std::ops::Range;

use super::bytes::Reader;
use super::features::Refusal;
use super::{Damage, FileId};
use crate::store::memory::{self, Refused};

const MAGIC: &[u8; 8] = b"filedb\0R";
const FOOTER_MAGIC: &[u8; 8] = b"filedb\0F";
/// Blocks of version 1 have no padding. Where the two bytes that tell it stand they have zeros.
const VERSION: u32 = 2;
const OLDEST_VERSION: u32 = 1;

/// The bytes of a header.
pub const HEADER_SIZE: usize = 64;
/// The bytes of a footer.
pub const FOOTER_SIZE: usize = 96;
const LINE: usize = 12;

/// A CRC-32 that begins with `seed`.
pub fn checksum(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

/// What the checksum of a part of a run begins with.
pub fn seed(salt: u32, offset: u64) -> u32 {
    salt ^ (offset as u32).rotate_left(16) ^ (offset >> 32) as u32
}

/// The beginning of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The number of the run, as in its name.
    pub id: FileId,
    /// Random; mixed into all checksums.
    pub salt: u32,
    /// The store that it belongs to.
    pub store_id: [u8; 16],
    /// Sequence numbers are counted from here.
    pub base: u64,
}

impl Header {
    /// The bytes of the header.
    pub fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = Vec::with_capacity(HEADER_SIZE);
        bytes.extend_from_slice(MAGIC);
        for number in [VERSION, self.id, self.salt, 0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.store_id);
        bytes.extend_from_slice(&self.base.to_le_bytes());
        bytes.resize(HEADER_SIZE - 4, 0);
        bytes.extend_from_slice(&checksum(0, &bytes).to_le_bytes());
        let mut header = [0; HEADER_SIZE];
        header.copy_from_slice(&bytes);
        header
    }

    /// The base as it stands in a header that may be damaged.
    pub fn base_of(bytes: &[u8; HEADER_SIZE]) -> u64 {
        let base = bytes.get(40..).and_then(|rest| rest.first_chunk::<8>());
        base.map_or(0, |base| u64::from_le_bytes(*base))
    }

    /// Reads it.
    pub fn decode(bytes: &[u8; HEADER_SIZE]) -> Result<Self, Refusal> {
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or("it is too short")?;
        let mut reader = Reader::new(body);
        if reader.take(8)? != MAGIC {
            return Err("it is no run of filedb".into());
        }
        if checksum(0, body) != u32::from_le_bytes(*crc) {
            return Err("the checksum of the run's header does not match".into());
        }
        let (version, id, salt) = (reader.u32()?, reader.u32()?, reader.u32()?);
        reader.u32()?;
        if !(OLDEST_VERSION..=VERSION).contains(&version) {
            let words = format!(
                "a run of the store has version {version}; this version of filedb reads those up to {VERSION}"
            );
            return Err(Refusal::OtherVersion(words));
        }
        Ok(Header { id, salt, store_id: reader.bytes16()?, base: reader.u64()? })
    }
}

/// The end of a run: where its parts are, and what is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footer {
    /// The number of the run.
    pub id: FileId,
    /// Blocks end and the filter begins here.
    pub filter_at: u64,
    /// The filter ends and the index begins here.
    pub index_at: u64,
    /// The index ends and the footer begins here.
    pub footer_at: u64,
    /// How many entries there are.
    pub entries: u64,
    /// How many keys.
    pub keys: u64,
    /// Entries that take a key away.
    pub tombstones: u64,
    /// The smallest sequence number.
    pub min_seq: u64,
    /// The largest sequence number.
    pub max_seq: u64,
    /// Bytes of keys and values, as they were written.
    pub data_bytes: u64,
    /// Entries that expire.
    pub expiring: u64,
}

impl Footer {
    /// The bytes of the footer, in a run with this salt.
    pub fn encode(&self, salt: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FOOTER_SIZE);
        bytes.extend_from_slice(FOOTER_MAGIC);
        for number in [
            self.filter_at,
            self.index_at,
            self.footer_at,
            self.entries,
            self.keys,
            self.tombstones,
            self.min_seq,
            self.max_seq,
            self.data_bytes,
            self.expiring,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        // 8 + 80 bytes; the number of the run and the checksum follow.
        bytes.extend_from_slice(&self.id.to_le_bytes());
        let crc = checksum(seed(salt, self.footer_at), &bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads it from where it should stand.
    pub fn decode(bytes: &[u8; FOOTER_SIZE], salt: u32, at: u64) -> Result<Self, Damage> {
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or("it is too short")?;
        if checksum(seed(salt, at), body) != u32::from_le_bytes(*crc) {
            return Err("the checksum of the run's footer does not match");
        }
        let mut reader = Reader::new(body);
        if reader.take(8)? != FOOTER_MAGIC {
            return Err("the run has no footer");
        }
        let mut numbers = [0; 10];
        for number in &mut numbers {
            *number = reader.u64()?;
        }
        let [
            filter_at,
            index_at,
            footer_at,
            entries,
            keys,
            tombstones,
            min_seq,
            max_seq,
            data_bytes,
            expiring,
        ] = numbers;
        let footer = Footer {
            id: reader.u32()?,
            filter_at,
            index_at,
            footer_at,
            entries,
            keys,
            tombstones,
            min_seq,
            max_seq,
            data_bytes,
            expiring,
        };
        let is_ordered = HEADER_SIZE as u64 <= filter_at
            && filter_at <= index_at
            && index_at <= footer_at
            && footer_at == at;
        if is_ordered { Ok(footer) } else { Err("the parts of the run are out of order") }
    }
}

/// Puts the index of a run together.
#[derive(Default)]
pub struct IndexBuilder {
    first_key: Vec<u8>,
    lines: Vec<u8>,
    keys: Vec<u8>,
}

impl IndexBuilder {
    /// The first key of the run.
    pub fn begin(&mut self, first_key: &[u8]) -> Result<(), Refused> {
        self.first_key = memory::copy_of(first_key)?;
        Ok(())
    }

    /// Adds a block.
    pub fn add(&mut self, last_key: &[u8], offset: u64) -> Result<(), Refused> {
        memory::reserve(&mut self.keys, last_key.len())?;
        memory::reserve(&mut self.lines, LINE)?;
        self.keys.extend_from_slice(last_key);
        self.lines.extend_from_slice(&(self.keys.len() as u32).to_le_bytes());
        self.lines.extend_from_slice(&offset.to_le_bytes());
        Ok(())
    }

    /// The bytes that the index has so far, about.
    pub fn size(&self) -> usize {
        self.lines.len() + self.keys.len() + self.first_key.len() + 12
    }

    /// The index without its checksum.
    pub fn finish(&self) -> Result<Vec<u8>, Refused> {
        let mut bytes = memory::vec_with_room(self.size())?;
        bytes.extend_from_slice(&(self.first_key.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.first_key);
        bytes.extend_from_slice(&((self.lines.len() / LINE) as u32).to_le_bytes());
        bytes.extend_from_slice(&self.lines);
        bytes.extend_from_slice(&self.keys);
        Ok(bytes)
    }
}

/// The parts of an index, as ranges of its bytes: found once, when a run is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexShape {
    /// The first key of the run.
    pub first_key: Range<usize>,
    lines: Range<usize>,
    keys: Range<usize>,
    /// How many blocks there are.
    pub blocks: usize,
}

impl IndexShape {
    /// Finds the parts of an index, and checks that each line is within them; blocks end at `end`.
    pub fn find(bytes: &[u8], end: u64) -> Result<Self, Damage> {
        const SHORT: Damage = "the index of the run is too short";
        let mut reader = Reader::new(bytes);
        let first = reader.u32()? as usize;
        reader.take(first)?;
        let blocks = reader.u32()? as usize;
        let start = 4 + first + 4;
        let lines = start..blocks.checked_mul(LINE).and_then(|size| size.checked_add(start)).ok_or(SHORT)?;
        if lines.end > bytes.len() || blocks == 0 {
            return Err(SHORT);
        }
        let shape = IndexShape { first_key: 4..4 + first, keys: lines.end..bytes.len(), lines, blocks };
        let (mut last, mut at) = (0, HEADER_SIZE as u64);
        for n in 0..blocks {
            let (key_end, offset) = shape.line(bytes, n).ok_or(SHORT)?;
            let is_next = if n == 0 { offset == at } else { offset > at };
            if key_end < last || key_end > shape.keys.len() || !is_next || offset >= end {
                return Err("the index of the run is out of order");
            }
            (last, at) = (key_end, offset);
        }
        Ok(shape)
    }

    fn line(&self, bytes: &[u8], n: usize) -> Option<(usize, u64)> {
        let line = bytes.get(self.lines.start + n * LINE..)?.first_chunk::<LINE>()?;
        let [a, b, c, d, rest @ ..] = *line;
        Some((u32::from_le_bytes([a, b, c, d]) as usize, u64::from_le_bytes(rest)))
    }

    /// Where a block begins.
    pub fn offset(&self, bytes: &[u8], n: usize) -> Option<u64> {
        if n < self.blocks { self.line(bytes, n).map(|(_, offset)| offset) } else { None }
    }

    /// The last key of a block.
    pub fn last_key<'a>(&self, bytes: &'a [u8], n: usize) -> Option<&'a [u8]> {
        let start = if n == 0 { 0 } else { self.line(bytes, n - 1)?.0 };
        let (end, _) = self.line(bytes, n)?;
        bytes.get(self.keys.start + start..self.keys.start + end)
    }

    /// The first block whose last key is not before `key`; the number of blocks where there is none.
    pub fn find_block(&self, bytes: &[u8], key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.blocks);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.last_key(bytes, middle) {
                Some(last) if last < key => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_footers_are_read_back_and_every_flipped_bit_is_noticed() {
        let header = Header { id: 7, salt: 9, store_id: [3; 16], base: 11 };
        let mut bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for (version, is_read) in [(0, false), (1, true), (VERSION, true), (VERSION + 1, false)] {
            bytes[8..12].copy_from_slice(&version.to_le_bytes());
            let crc = checksum(0, &bytes[..HEADER_SIZE - 4]);
            bytes[HEADER_SIZE - 4..].copy_from_slice(&crc.to_le_bytes());
            let decoded = Header::decode(&bytes);
            assert!(if is_read {
                decoded == Ok(header)
            } else {
                matches!(decoded, Err(Refusal::OtherVersion(_)))
            });
        }
        let footer = Footer {
            id: 7,
            filter_at: 100,
            index_at: 200,
            footer_at: 300,
            entries: 5,
            keys: 4,
            tombstones: 1,
            min_seq: 11,
            max_seq: 20,
            data_bytes: 50,
            expiring: 2,
        };
        let mut bytes: [u8; FOOTER_SIZE] = footer.encode(9).try_into().unwrap();
        assert_eq!(Footer::decode(&bytes, 9, 300), Ok(footer));
        assert!(Footer::decode(&bytes, 9, 301).is_err() && Footer::decode(&bytes, 8, 300).is_err());
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Footer::decode(&bytes, 9, 300).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn an_index_finds_the_block_of_a_key_and_no_length_of_it_panics() {
        let mut builder = IndexBuilder::default();
        builder.begin(b"b").unwrap();
        for (n, key) in [&b"c"[..], b"ee", b"g", b"g", b"z"].into_iter().enumerate() {
            builder.add(key, HEADER_SIZE as u64 + n as u64 * 10).unwrap();
        }
        let bytes = builder.finish().unwrap();
        assert_eq!(bytes.len(), builder.size() - 4);
        let shape = IndexShape::find(&bytes, 1_000).unwrap();
        let found =
            [&b"a"[..], b"c", b"d", b"ee", b"f", b"g", b"h", b"zz"].map(|key| shape.find_block(&bytes, key));
        assert_eq!(found, [0, 0, 1, 1, 2, 2, 4, 5]);
        assert_eq!((shape.last_key(&bytes, 1), shape.offset(&bytes, 4)), (Some(&b"ee"[..]), Some(104)));
        assert_eq!(&bytes[shape.first_key.clone()], b"b");
        for length in 0..bytes.len() {
            let _ = IndexShape::find(&bytes[..length], 1_000);
        }
        assert!(IndexShape::find(&bytes, 100).is_err(), "a block begins behind the end");
    }
}
