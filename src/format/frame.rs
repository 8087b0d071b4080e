//! The frame: the unit of atomicity of the log.
//!
//! ```text
//!  0  crc        u32  CRC-32 of all that follows up to the end of the frame, begun with the frame's seed
//!  4  value_len  u32  bytes of value; of a batch: bytes of the frames inside
//!  8  seq        u32  sequence number, greater than that of every frame written before; of a batch: of its first;
//!                     counted from the one in the file's header
//! 12  time       u40  milliseconds when it was written, counted from those in the file's header
//! 17  key_len    u16  bytes of key less one; of a batch and a mark: 0
//! 19  kind       u4   1 put, 2 tombstone, 3 batch, 4 mark, 5 head, 6 element, 7 range, 8 gone
//!     flags      u4   1 expires, 2 frontier, 4 far
//! 20  far        u64 x2  where flagged: the sequence number and the time in full; then they are 0 above
//!     expiry     u64  where flagged: when it expires, milliseconds since 1970
//!     frontier   u64  where flagged: all of the log before this position was durable when the frame was written
//!     key, value      of a batch: zeros up to a multiple of 8, then whole frames
//!     zeros           up to a multiple of 8
//! ```
//!
//! Most frames of a file are near its first in number and in time. Where a merge brings together what is not, those that are
//! far say both in full.
//!
//! The seed is the salt of the file combined with the frame's offset, so that a frame is valid in one place only:
//! the image of a frame inside a value, in a copied file or in a recycled block never passes for one.

use super::{Damage, align};
use crate::store::error::{self, Error};

/// The size of a frame's fixed header.
pub const FRAME_HEADER_SIZE: usize = 20;
/// The size of a header with all optional fields.
pub const MAX_HEADER_SIZE: usize = FRAME_HEADER_SIZE + 32;
/// The longest key, in bytes.
pub const MAX_KEY_SIZE: usize = 64 << 10;
/// The longest value, in bytes.
pub const MAX_VALUE_SIZE: u64 = u32::MAX as u64;

/// Values are copied and checked in pieces of so many bytes, which the processor's nearest caches hold.
pub const COPIED_AT_ONCE: usize = 4096;

const EXPIRES: u8 = 1;
const FRONTIER: u8 = 2;
const FAR: u8 = 4;

/// Where the parts of the header's last eight bytes begin.
const KEY_SHIFT: u32 = 40;
const KIND_SHIFT: u32 = 56;
const FLAGS_SHIFT: u32 = 60;
const TIME_MASK: u64 = (1 << KEY_SHIFT) - 1;

/// From where on the numbers and times of a file's frames are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// The sequence number that is told as 0.
    pub seq: u64,
    /// The time that is told as 0, in milliseconds since 1970.
    pub time_ms: u64,
}

/// What the frames of a file are told relative to: what its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Mixed into the checksum of every frame, so that a frame is valid in this file only.
    pub salt: u32,
    /// Where numbers and times begin.
    pub epoch: Epoch,
}

impl Origin {
    /// Whether frames that hold `count` numbers from `seq` on, written at `time_ms`, are near enough to be told relative to this.
    #[inline]
    pub fn is_near(&self, seq: u64, count: u64, time_ms: u64) -> bool {
        let (epoch, last) = (self.epoch, seq.saturating_add(count));
        seq >= epoch.seq
            && last - epoch.seq <= u64::from(u32::MAX)
            && time_ms >= epoch.time_ms
            && time_ms - epoch.time_ms <= TIME_MASK
    }

    /// The initial CRC of the frame at `offset`.
    #[inline]
    pub fn seed(&self, offset: u64) -> u32 {
        self.salt ^ ((offset / super::ALIGNMENT) as u32)
    }
}

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
    /// Names a collection under its key; the value is its head.
    Head = 5,
    /// Gives an element of a collection its value.
    Element = 6,
    /// Of the ordered engine: takes the keys of a range away. The key is one byte, 0, and the value has the bounds.
    Range = 7,
    /// Of the ordered engine: takes an element of a collection away.
    Gone = 8,
}

impl Kind {
    /// Whether it says something of a key, or of an element of a collection.
    #[inline]
    pub fn is_record(self) -> bool {
        !matches!(self, Kind::Batch | Kind::Mark)
    }
}

/// The bytes of a head, as the header has them.
const HEAD: u32 = super::collection::HEAD_SIZE as u32;

/// A frame's header, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame does.
    pub kind: Kind,
    /// The frame's place in the order of all writes.
    pub seq: u64,
    /// When it was written, in milliseconds since 1970.
    pub time_ms: u64,
    /// When it expires, in milliseconds since 1970.
    pub expiry_ms: Option<u64>,
    /// The log position before which all was durable when this frame was written.
    pub frontier: Option<u64>,
    /// Bytes of key; 0 for a batch and a mark.
    pub key_len: u32,
    /// Bytes of value; of a batch, bytes of the frames inside.
    pub value_len: u32,
    /// Number and time stand in full: they are not near the file's origin.
    pub is_far: bool,
}

impl Header {
    /// The header as it has to be in a file with this origin.
    pub fn told_from(self, origin: &Origin) -> Self {
        Header { is_far: !origin.is_near(self.seq, 0, self.time_ms), ..self }
    }

    /// Bytes from the start of the frame to its key.
    pub fn size(&self) -> usize {
        let optional = [self.is_far, self.is_far, self.expiry_ms.is_some(), self.frontier.is_some()];
        FRAME_HEADER_SIZE + 8 * optional.iter().filter(|there| **there).count()
    }

    /// Where the key stands, from the start of the frame.
    pub fn key_range(&self) -> std::ops::Range<usize> {
        self.size()..self.size() + self.key_len as usize
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

    /// Writes the header's bytes, in a file with this origin, to the front of `bytes`, which has room for [`MAX_HEADER_SIZE`]; the
    /// checksum is left as it is. Gives how many bytes there are with it.
    #[inline]
    pub fn encode(&self, origin: &Origin, bytes: &mut [u8]) -> usize {
        debug_assert!(self.is_far || origin.is_near(self.seq, 0, self.time_ms));
        let (flags, size) = self.encode_optional(bytes);
        let (seq, time) = match self.is_far {
            true => (0, 0),
            false => {
                (self.seq.wrapping_sub(origin.epoch.seq), self.time_ms.wrapping_sub(origin.epoch.time_ms))
            }
        };
        let word = time & TIME_MASK
            | u64::from(self.key_len.saturating_sub(1)) << KEY_SHIFT
            | (self.kind as u64) << KIND_SHIFT
            | u64::from(flags) << FLAGS_SHIFT;
        bytes[4..8].copy_from_slice(&self.value_len.to_le_bytes());
        bytes[8..12].copy_from_slice(&(seq as u32).to_le_bytes());
        bytes[12..20].copy_from_slice(&word.to_le_bytes());
        size
    }

    /// Writes the fields behind the fixed ones, and gives the flags that say which are there, and where they end.
    #[inline]
    fn encode_optional(&self, bytes: &mut [u8]) -> (u8, usize) {
        let (mut flags, mut end) = (0, FRAME_HEADER_SIZE);
        let mut add = |flag, field: u64| {
            bytes[end..end + 8].copy_from_slice(&field.to_le_bytes());
            (flags, end) = (flags | flag, end + 8);
        };
        if self.is_far {
            add(FAR, self.seq);
            add(FAR, self.time_ms);
        }
        if let Some(expiry_ms) = self.expiry_ms {
            add(EXPIRES, expiry_ms);
        }
        if let Some(frontier) = self.frontier {
            add(FRONTIER, frontier);
        }
        (flags, end)
    }

    /// Reads the header at the front of `bytes`, of a file with this origin. At least [`FRAME_HEADER_SIZE`] bytes must be there
    /// and, where the flags ask for them, the optional fields. Lengths are within the limits afterwards; whether the frame fits
    /// its file, and its checksum, are the caller's to check.
    #[inline(always)]
    pub fn decode(bytes: &[u8], origin: &Origin) -> Result<Self, Damage> {
        let Some((fixed, optional)) = bytes.split_first_chunk::<FRAME_HEADER_SIZE>() else {
            return Err("the file ends inside a frame");
        };
        let word32 = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let word = u64::from(word32(12)) | u64::from(word32(16)) << 32;
        let (key_field, value_len) = ((word >> KEY_SHIFT) as u16, word32(4));
        let kind = match ((word >> KIND_SHIFT) & 15, key_field, value_len) {
            (1, ..) => Kind::Put,
            (2, _, 0) => Kind::Tombstone,
            (3, 0, 1..) => Kind::Batch,
            (4, 0, 0) => Kind::Mark,
            (5, _, HEAD) => Kind::Head,
            (6, ..) => Kind::Element,
            (7, 0, _) => Kind::Range,
            (8, _, 0) => Kind::Gone,
            (2..=8, ..) => return Err("a frame's lengths are out of range"),
            _ => return Err("there is no frame of a known kind"),
        };
        let has_key = kind.is_record();
        let mut header = Header {
            kind,
            seq: origin.epoch.seq.wrapping_add(u64::from(word32(8))),
            time_ms: origin.epoch.time_ms.wrapping_add(word & TIME_MASK),
            expiry_ms: None,
            frontier: None,
            key_len: if has_key { u32::from(key_field) + 1 } else { 0 },
            value_len,
            is_far: false,
        };
        let flags = (word >> FLAGS_SHIFT) as u8;
        if flags != 0 {
            header.decode_optional(flags, optional)?;
        }
        Ok(header)
    }

    fn decode_optional(&mut self, flags: u8, bytes: &[u8]) -> Result<(), Damage> {
        if flags & !(EXPIRES | FRONTIER | FAR) != 0 {
            return Err("a frame has unknown flags");
        }
        let mut reader = super::bytes::Reader::new(bytes);
        if flags & FAR != 0 {
            (self.seq, self.time_ms, self.is_far) = (reader.u64()?, reader.u64()?, true);
        }
        if flags & EXPIRES != 0 {
            self.expiry_ms = Some(reader.u64()?);
        }
        if flags & FRONTIER != 0 {
            self.frontier = Some(reader.u64()?);
        }
        Ok(())
    }
}

/// A frame that is a put which does not expire and is near its file's origin; its header was checked and nothing else. What a get
/// needs of it and no more: with a whole [`Header`] a get takes 200 instructions more.
pub struct BarePut<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    frame: &'a [u8],
    seed: u32,
}

impl<'a> BarePut<'a> {
    /// The frame with this seed at the front of `bytes`, which may be longer. `None` where it is another one, or none:
    /// [`Header::decode`] tells which.
    #[inline(always)]
    pub fn parse(bytes: &'a [u8], seed: u32) -> Option<Self> {
        // Kind and flags.
        const PUT: u8 = Kind::Put as u8;
        const PUT_WITH_FRONTIER: u8 = PUT | FRONTIER << 4;
        let fixed = bytes.first_chunk::<FRAME_HEADER_SIZE>()?;
        let start = match fixed[19] {
            PUT => FRAME_HEADER_SIZE,
            // With sync=always nearly all frames have a frontier.
            PUT_WITH_FRONTIER => FRAME_HEADER_SIZE + 8,
            _ => return None,
        };
        let key_len = usize::from(u16::from_le_bytes([fixed[17], fixed[18]])) + 1;
        let value_len = u32::from_le_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
        let end = (start + key_len) as u64 + u64::from(value_len);
        let frame = bytes.get(..super::align(end) as usize)?;
        let (key, value) = frame.get(start..end as usize)?.split_at_checked(key_len)?;
        Some(BarePut { key, value, frame, seed })
    }

    /// Whether its checksum matches.
    #[inline]
    pub fn is_intact(&self) -> bool {
        is_intact(self.seed, self.frame)
    }
}

/// The checksum of a frame whose bytes after the checksum field are `parts`.
#[inline]
pub fn checksum<'a>(seed: u32, parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// Puts the checksum of a whole `frame` where the frame carries it.
#[inline]
pub fn seal(seed: u32, frame: &mut [u8]) {
    if let Some((crc, rest)) = frame.split_first_chunk_mut::<4>() {
        *crc = checksum(seed, [&*rest]).to_le_bytes();
    }
}

/// Whether the whole `frame` has the checksum that it carries.
#[inline]
pub fn is_intact(seed: u32, frame: &[u8]) -> bool {
    match frame.split_first_chunk::<4>() {
        Some((crc, rest)) => checksum(seed, [rest]) == u32::from_le_bytes(*crc),
        None => false,
    }
}

/// As [`is_intact`], and shows what stands at `value` to `copy`, piece by piece, so that it is loaded from memory once for
/// both. What it was shown counts only where this says yes.
pub fn is_intact_and_copied(
    seed: u32,
    frame: &[u8],
    value: std::ops::Range<usize>,
    mut copy: impl FnMut(&[u8]),
) -> bool {
    let (Some((crc, _)), Some(value), Some(before), Some(behind)) = (
        frame.split_first_chunk::<4>(),
        frame.get(value.clone()),
        frame.get(4..value.start),
        frame.get(value.end..),
    ) else {
        return false;
    };
    let pieces = value.chunks(COPIED_AT_ONCE).inspect(|piece| copy(piece));
    checksum(seed, [before].into_iter().chain(pieces).chain([behind])) == u32::from_le_bytes(*crc)
}

/// Why `bytes` cannot be a key, or `Ok`.
pub fn check_key(key: &[u8]) -> error::Result<()> {
    match key.len() {
        0 => Err(Error::invalid("the key is empty; a key has 1 to 65536 bytes")),
        1..=MAX_KEY_SIZE => Ok(()),
        size => Err(Error::TooLarge { what: "key", size: size as u64, limit: MAX_KEY_SIZE as u64 }),
    }
}

/// Why a value of this many bytes cannot be stored, or `Ok`.
pub fn check_value_len(size: u64) -> error::Result<()> {
    if size > MAX_VALUE_SIZE {
        return Err(Error::TooLarge { what: "value", size, limit: MAX_VALUE_SIZE });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Epoch = Epoch { seq: 0x0102_0304_0000_0000, time_ms: 1_700_000_000_000 };
    const ORIGIN: Origin = Origin { salt: 5, epoch: EPOCH };

    fn encoded(header: &Header) -> Vec<u8> {
        let mut bytes = [0; MAX_HEADER_SIZE];
        let size = header.encode(&ORIGIN, &mut bytes);
        assert_eq!(size, header.size());
        bytes[..size].to_vec()
    }

    fn put() -> Header {
        Header {
            kind: Kind::Put,
            seq: 0x0102_0304_0506_0708,
            time_ms: 1_700_000_000_123,
            expiry_ms: Some(9),
            frontier: Some(77),
            key_len: 65_536,
            value_len: u32::MAX,
            is_far: false,
        }
    }

    #[test]
    fn a_header_is_read_back_with_and_without_optional_fields() {
        for (expiry_ms, frontier) in [(None, None), (Some(1), None), (None, Some(2)), (Some(3), Some(4))] {
            for is_far in [false, true] {
                for (kind, key_len, value_len) in [
                    (Kind::Put, 1, 0),
                    (Kind::Put, 65_536, u32::MAX),
                    (Kind::Tombstone, 256, 0),
                    (Kind::Batch, 0, 1),
                    (Kind::Mark, 0, 0),
                ] {
                    let header = Header { kind, key_len, value_len, expiry_ms, frontier, is_far, ..put() };
                    assert_eq!(Header::decode(&encoded(&header), &ORIGIN), Ok(header));
                }
            }
        }
    }

    /// The frame of this header, with a seed of 7.
    fn sealed(header: &Header) -> Vec<u8> {
        let mut frame = encoded(header);
        frame.resize(header.value_range().start as usize, b'k');
        frame.resize(header.value_range().end as usize, b'v');
        frame.resize(header.frame_size() as usize, 0);
        seal(7, &mut frame);
        frame
    }

    #[test]
    #[cfg_attr(miri, ignore = "there is nothing unsafe here, and so many cases are slow")]
    fn a_bare_put_is_what_its_header_says_and_nothing_else_is_one() {
        let bare = Header { expiry_ms: None, frontier: None, key_len: 3, value_len: 5, ..put() };
        for (value_len, frontier) in
            [(0, None), (1, None), (4, Some(7)), (5, Some(77)), (300, None), (300, Some(0))]
        {
            let mut frame = sealed(&Header { value_len, frontier, ..bare });
            let (end, len) = (frame.len(), value_len as usize);
            for more in [0, 1, 64] {
                frame.resize(end + more, 0xFF);
                let found = BarePut::parse(&frame, 7).unwrap();
                assert_eq!((found.key, found.value), (&b"kkk"[..], &vec![b'v'; len][..]));
                assert!(found.is_intact() && !BarePut::parse(&frame, 8).unwrap().is_intact());
            }
            assert!((0..end).all(|cut| BarePut::parse(&frame[..cut], 7).is_none()));
            for bit in 0..end * 8 {
                frame[bit / 8] ^= 1 << (bit % 8);
                assert!(!BarePut::parse(&frame, 7).is_some_and(|found| found.is_intact()), "bit {bit}");
                frame[bit / 8] ^= 1 << (bit % 8);
            }
        }
        for header in [
            Header { expiry_ms: Some(9), ..bare },
            Header { expiry_ms: Some(9), frontier: Some(77), ..bare },
            Header { is_far: true, ..bare },
            Header { kind: Kind::Tombstone, value_len: 0, ..bare },
            Header { kind: Kind::Batch, key_len: 0, ..bare },
            Header { kind: Kind::Mark, key_len: 0, value_len: 0, ..bare },
        ] {
            assert!(BarePut::parse(&sealed(&header), 7).is_none(), "{header:?}");
        }
    }

    proptest::proptest! {
        #[test]
        #[cfg_attr(miri, ignore = "there is nothing unsafe here, and so many cases are slow")]
        fn a_bare_put_of_any_bytes_is_what_decoding_them_says(
            kind_and_flags in 0u8..=255,
            lengths in (0u32..64, 0u16..64),
            rest in proptest::collection::vec(0u8..=255, 0..160),
        ) {
            let mut bytes = [&[0; FRAME_HEADER_SIZE][..], &rest].concat();
            bytes[4..8].copy_from_slice(&lengths.0.to_le_bytes());
            bytes[17..19].copy_from_slice(&lengths.1.to_le_bytes());
            for kind in [kind_and_flags, Kind::Put as u8, Kind::Put as u8 | FRONTIER << 4] {
                bytes[19] = kind;
                let whole = Header::decode(&bytes, &ORIGIN).ok().filter(|header| {
                    let is_bare = header.kind == Kind::Put && header.expiry_ms.is_none() && !header.is_far;
                    is_bare && header.frame_size() <= bytes.len() as u64
                });
                let expected = whole.map(|header| {
                    let value = header.value_range();
                    (&bytes[header.key_range()], &bytes[value.start as usize..value.end as usize])
                });
                let found = BarePut::parse(&bytes, 7);
                proptest::prop_assert_eq!(found.as_ref().map(|found| (found.key, found.value)), expected);
                let is_whole_intact = whole.map(|header| is_intact(7, &bytes[..header.frame_size() as usize]));
                proptest::prop_assert_eq!(found.map(|found| found.is_intact()), is_whole_intact);
            }
        }
    }

    #[test]
    fn what_is_not_near_a_files_origin_is_far_and_keeps_its_number_and_time() {
        let (last, late) = (EPOCH.seq + u64::from(u32::MAX), EPOCH.time_ms + (1 << 40));
        for (seq, time_ms, is_far) in [
            (EPOCH.seq, EPOCH.time_ms, false),
            (last, late - 1, false),
            (EPOCH.seq - 1, EPOCH.time_ms, true),
            (EPOCH.seq, EPOCH.time_ms - 1, true),
            (last + 1, EPOCH.time_ms, true),
            (last, late, true),
            (0, 0, true),
            (u64::MAX, u64::MAX, true),
        ] {
            let header = Header { seq, time_ms, ..put() }.told_from(&ORIGIN);
            assert_eq!(header.is_far, is_far, "{seq} {time_ms}");
            assert_eq!(Header::decode(&encoded(&header), &ORIGIN), Ok(header));
        }
        assert!(ORIGIN.is_near(last, 0, late - 1) && !ORIGIN.is_near(last, 1, late - 1));
    }

    #[test]
    fn zeros_and_impossible_lengths_are_no_header() {
        assert!(Header::decode(&[0; MAX_HEADER_SIZE], &ORIGIN).is_err());
        for header in [
            Header { kind: Kind::Tombstone, ..put() },
            Header { kind: Kind::Mark, value_len: 0, ..put() },
            Header { kind: Kind::Mark, key_len: 0, ..put() },
            Header { kind: Kind::Batch, ..put() },
            Header { kind: Kind::Batch, key_len: 0, value_len: 0, ..put() },
        ] {
            assert!(Header::decode(&encoded(&header), &ORIGIN).is_err(), "{header:?}");
        }
        let mut bytes = encoded(&put());
        for short in 0..bytes.len() {
            assert!(Header::decode(&bytes[..short], &ORIGIN).is_err());
        }
        // Of a head the value has one length only.
        for kind in [0, 5, 7, 8, 15] {
            bytes[19] = bytes[19] & 0xF0 | kind;
            assert!(Header::decode(&bytes, &ORIGIN).is_err(), "kind {kind}");
        }
        bytes[19] = 0x81;
        assert_eq!(Header::decode(&bytes, &ORIGIN), Err("a frame has unknown flags"));
    }

    #[test]
    fn a_value_is_copied_whole_and_counts_only_where_every_bit_of_the_frame_is_right() {
        for len in [0, 1, COPIED_AT_ONCE - 1, COPIED_AT_ONCE, COPIED_AT_ONCE + 1, 3 * COPIED_AT_ONCE + 100] {
            let content: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
            let mut frame = [&[0; 30][..], &content, &[0; 5]].concat();
            seal(3, &mut frame);
            let copy = |frame: &[u8], seed| {
                let mut copied = Vec::new();
                let range = 30..30 + len;
                (is_intact_and_copied(seed, frame, range, |piece| copied.extend_from_slice(piece)), copied)
            };
            assert_eq!(copy(&frame, 3), (true, content));
            assert!(!copy(&frame, 4).0 && !copy(&frame[..3], 3).0);
            for byte in (0..frame.len()).step_by(97).chain(frame.len() - 9..frame.len()) {
                frame[byte] ^= 4;
                assert!(!copy(&frame, 3).0, "{len} {byte}");
                frame[byte] ^= 4;
            }
        }
        assert!(
            !is_intact_and_copied(0, &[0; 30], 2..8, |_| ())
                && !is_intact_and_copied(0, &[0; 30], 9..31, |_| ())
        );
    }

    #[test]
    fn a_frame_is_intact_in_its_own_place_only() {
        let header = Header { key_len: 1, value_len: 3, expiry_ms: None, frontier: None, ..put() };
        let mut frame = encoded(&header);
        frame.extend_from_slice(b"kval");
        seal(ORIGIN.seed(64), &mut frame);
        assert!(is_intact(ORIGIN.seed(64), &frame));
        assert!(!is_intact(ORIGIN.seed(72), &frame));
        assert!(!is_intact(Origin { salt: 6, ..ORIGIN }.seed(64), &frame));
    }
}
