//! The frame: the unit of atomicity of the log.
//!
//! ```text
//!  0  crc        u32  CRC-32 of all that follows up to the end of the frame, begun with the frame's seed
//!  4  value_len  u32  bytes of value; of a batch: bytes of the frames inside
//!  8  seq        u64  sequence number, greater than that of every frame written before; of a batch: of its first
//! 16  time       u48  milliseconds since 1970 when it was written
//! 22  kind       u8   1 put, 2 tombstone, 3 batch, 4 mark
//! 23  flags      u8   1 expires, 2 frontier
//! 24  key_len    u32  bytes of key; of a batch: number of frames inside
//! 28  expiry     u64  where flagged: when it expires, milliseconds since 1970
//!     frontier   u64  where flagged: all of the log before this position was durable when the frame was written
//!     key, value      of a batch: zeros up to a multiple of 8, then whole frames
//!     zeros           up to a multiple of 8
//! ```
//!
//! The seed is the salt of the file combined with the frame's offset, so that a frame is valid in one place only:
//! the image of a frame inside a value, in a copied file or in a recycled block never passes for one.

use super::{Damage, align};

/// The size of a frame's fixed header.
pub const FRAME_HEADER_SIZE: usize = 28;
/// The size of a header with all optional fields.
pub const MAX_HEADER_SIZE: usize = FRAME_HEADER_SIZE + 16;
/// The longest key, in bytes.
pub const MAX_KEY_SIZE: usize = 64 << 10;
/// The longest value, in bytes.
pub const MAX_VALUE_SIZE: u64 = u32::MAX as u64;

const EXPIRES: u8 = 1;
const FRONTIER: u8 = 2;
const TIME_BITS: u32 = 48;

/// What a frame does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Gives a key a value.
    Put = 1,
    /// Takes a key away.
    Tombstone = 2,
    /// Holds other frames, all of which count or none.
    Batch = 3,
    /// Changes nothing; records the clock and the durable frontier.
    Mark = 4,
}

/// A frame's header, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame does.
    pub kind: Kind,
    /// Its place in the order of all writes.
    pub seq: u64,
    /// When it was written, in milliseconds since 1970.
    pub time_ms: u64,
    /// When it expires, in milliseconds since 1970.
    pub expiry_ms: Option<u64>,
    /// The log position before which all was durable when this frame was written.
    pub frontier: Option<u64>,
    /// Bytes of key; of a batch, the number of frames inside.
    pub key_len: u32,
    /// Bytes of value; of a batch, bytes of the frames inside.
    pub value_len: u32,
}

impl Header {
    /// Bytes from the start of the frame to its key.
    pub fn size(&self) -> usize {
        FRAME_HEADER_SIZE + 8 * (self.expiry_ms.is_some() as usize + self.frontier.is_some() as usize)
    }

    /// Where the key stands, from the start of the frame.
    pub fn key_range(&self) -> std::ops::Range<usize> {
        let start = self.size();
        start..start + if self.kind == Kind::Batch { 0 } else { self.key_len as usize }
    }

    /// Where the value, or what a batch holds, stands, from the start of the frame.
    pub fn value_range(&self) -> std::ops::Range<u64> {
        let start = match self.kind {
            Kind::Batch => align(self.size() as u64),
            _ => self.size() as u64 + u64::from(self.key_len),
        };
        start..start + u64::from(self.value_len)
    }

    /// The size of the whole frame with its padding.
    pub fn frame_size(&self) -> u64 {
        align(self.value_range().end)
    }

    /// The header's bytes with a checksum of zero, and how many there are.
    pub fn encode(&self) -> ([u8; MAX_HEADER_SIZE], usize) {
        let mut bytes = [0; MAX_HEADER_SIZE];
        let flags = if self.expiry_ms.is_some() { EXPIRES } else { 0 }
            | if self.frontier.is_some() { FRONTIER } else { 0 };
        let time = self.time_ms.min((1 << TIME_BITS) - 1);
        let word = time | (self.kind as u64) << TIME_BITS | u64::from(flags) << (TIME_BITS + 8);
        bytes[4..8].copy_from_slice(&self.value_len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.seq.to_le_bytes());
        bytes[16..24].copy_from_slice(&word.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.key_len.to_le_bytes());
        let mut size = FRAME_HEADER_SIZE;
        for field in [self.expiry_ms, self.frontier].into_iter().flatten() {
            bytes[size..size + 8].copy_from_slice(&field.to_le_bytes());
            size += 8;
        }
        (bytes, size)
    }

    /// Reads the header at the front of `bytes`, of which at least [`FRAME_HEADER_SIZE`] must be there and, where
    /// the flags ask for them, the optional fields. Lengths are within the limits afterwards; whether the frame fits
    /// its file, and its checksum, are the caller's to check.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let Some((fixed, optional)) = bytes.split_first_chunk::<FRAME_HEADER_SIZE>() else {
            return Err("the file ends inside a frame");
        };
        let word32 = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let word64 = |at: usize| u64::from(word32(at)) | u64::from(word32(at + 4)) << 32;
        let word = word64(16);
        let flags = (word >> (TIME_BITS + 8)) as u8;
        let (key_len, value_len) = (word32(24), word32(4));
        let kind = match ((word >> TIME_BITS) as u8, key_len, value_len) {
            (1, 1..=0x1_0000, _) => Kind::Put,
            (2, 1..=0x1_0000, 0) => Kind::Tombstone,
            (3, 1.., 1..) => Kind::Batch,
            (4, 0, 0) => Kind::Mark,
            (1..=4, ..) => return Err("a frame's lengths are out of range"),
            _ => return Err("there is no frame of a known kind"),
        };
        if flags & !(EXPIRES | FRONTIER) != 0 {
            return Err("a frame has unknown flags");
        }
        let mut header = Header {
            kind,
            seq: word64(8),
            time_ms: word & ((1 << TIME_BITS) - 1),
            expiry_ms: None,
            frontier: None,
            key_len,
            value_len,
        };
        if flags != 0 {
            header.decode_optional(flags, optional)?;
        }
        Ok(header)
    }

    fn decode_optional(&mut self, flags: u8, bytes: &[u8]) -> Result<(), Damage> {
        let mut reader = super::bytes::Reader::new(bytes);
        if flags & EXPIRES != 0 {
            self.expiry_ms = Some(reader.u64()?);
        }
        if flags & FRONTIER != 0 {
            self.frontier = Some(reader.u64()?);
        }
        Ok(())
    }
}

/// The initial CRC of the frame at `offset` of a file with this salt.
pub fn seed(salt: u32, offset: u64) -> u32 {
    salt ^ ((offset / super::ALIGNMENT) as u32)
}

/// The checksum of a frame whose bytes after the checksum field are `parts`.
#[inline]
pub fn checksum(seed: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// Whether the whole `frame` has the checksum that it carries.
#[inline]
pub fn is_intact(seed: u32, frame: &[u8]) -> bool {
    match frame.split_first_chunk::<4>() {
        Some((crc, rest)) => checksum(seed, &[rest]) == u32::from_le_bytes(*crc),
        None => false,
    }
}

/// Why `bytes` cannot be a key, or `Ok`.
pub fn check_key(key: &[u8]) -> crate::Result<()> {
    match key.len() {
        0 => Err(crate::Error::invalid("the key is empty; a key has 1 to 65536 bytes")),
        1..=MAX_KEY_SIZE => Ok(()),
        size => Err(crate::Error::TooLarge { what: "key", size: size as u64, limit: MAX_KEY_SIZE as u64 }),
    }
}

/// Why a value of this many bytes cannot be stored, or `Ok`.
pub fn check_value_len(size: u64) -> crate::Result<()> {
    if size > MAX_VALUE_SIZE {
        return Err(crate::Error::TooLarge { what: "value", size, limit: MAX_VALUE_SIZE });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put() -> Header {
        Header {
            kind: Kind::Put,
            seq: 0x0102_0304_0506_0708,
            time_ms: 1_700_000_000_123,
            expiry_ms: Some(9),
            frontier: Some(77),
            key_len: 65_536,
            value_len: u32::MAX,
        }
    }

    #[test]
    fn a_header_is_read_back_with_and_without_optional_fields() {
        for (expiry_ms, frontier) in [(None, None), (Some(1), None), (None, Some(2)), (Some(3), Some(4))] {
            let header = Header { expiry_ms, frontier, ..put() };
            let (bytes, size) = header.encode();
            assert_eq!(size, header.size());
            assert_eq!(Header::decode(&bytes[..size]), Ok(header));
        }
    }

    #[test]
    fn zeros_and_impossible_lengths_are_no_header() {
        assert!(Header::decode(&[0; MAX_HEADER_SIZE]).is_err());
        for header in [
            Header { key_len: 0, ..put() },
            Header { key_len: 65_537, ..put() },
            Header { kind: Kind::Tombstone, ..put() },
            Header { kind: Kind::Mark, ..put() },
            Header { kind: Kind::Batch, key_len: 0, ..put() },
        ] {
            assert!(Header::decode(&header.encode().0).is_err(), "{header:?}");
        }
        let (bytes, size) = put().encode();
        for short in 0..size {
            assert!(Header::decode(&bytes[..short]).is_err());
        }
    }

    #[test]
    fn a_frame_is_intact_in_its_own_place_only() {
        let header = Header { key_len: 1, value_len: 3, expiry_ms: None, frontier: None, ..put() };
        let mut frame = header.encode().0[..header.size()].to_vec();
        frame.extend_from_slice(b"kval");
        let crc = checksum(seed(5, 64), &[&frame[4..]]);
        frame[..4].copy_from_slice(&crc.to_le_bytes());
        assert!(is_intact(seed(5, 64), &frame));
        assert!(!is_intact(seed(5, 72), &frame));
        assert!(!is_intact(seed(6, 64), &frame));
    }
}
