//! Keys of the index, sorted by hash, in as few bits as a search among them allows.
//!
//! ```text
//!  0  word_bits  u8   bits of a key's distance from the first of its group
//!  1  kind_bits  u8   bits of the number of a kind, or 24 where kinds are not numbered
//!  2  place_bits u8   bits of an offset in a file
//!  3             u8   0
//!  4  kinds      u32  how many kinds are numbered
//!  8  first      u64  the word of the first key of each group of 64
//!     kind       u32  size class << 16 | slot of the file, of each kind
//!     key             fingerprint (8 bits), distance, kind, offset: one key after the other, lowest bit first
//!     zeros           to the next byte, and 16 bytes more
//! ```
//!
//! A key is two words: that of its hash, and `fingerprint << 56 | size class << 48 | slot of the file << 32 | offset`. Sorted
//! hashes are close to each other, sizes and files are few, and offsets end where the largest file does.

use super::Damage;
use super::bytes::Reader;
use crate::store::memory::{self, Refused};

/// A key, as two words.
pub type Pair = (u64, u64);

const GROUP: usize = 64;
/// Bits that a kind has by itself.
const PLAIN_KIND: u32 = 24;
const FINGERPRINT_BITS: u32 = 8;
/// Zeros at the end, so that any key can be read with the bytes that follow it.
const MARGIN: usize = 16;

/// As if none were packed like others.
const NO_KEYS: &[u8] = &[0; 8 + MARGIN];

/// Appends keys, sorted by their first words, to `out`; nothing where there are none.
pub fn pack(keys: &[Pair], out: &mut Vec<u8>) -> Result<(), Refused> {
    if keys.is_empty() {
        return Ok(());
    }
    let kind = |key: &Pair| (key.1 >> 32) as u32 & ((1 << PLAIN_KIND) - 1);
    let mut kinds = memory::collect(keys.iter().map(kind))?;
    kinds.sort_unstable();
    kinds.dedup();
    let mut kind_bits = bits(kinds.len().saturating_sub(1) as u64);
    if kind_bits as usize * keys.len() + 32 * kinds.len() > PLAIN_KIND as usize * keys.len() {
        (kind_bits, kinds) = (PLAIN_KIND, Vec::new());
    }
    let distances =
        keys.chunks(GROUP).flat_map(|group| group.iter().map(|key| key.0.wrapping_sub(group[0].0)));
    let word_bits = bits(distances.clone().max().unwrap_or(0));
    let place_bits = bits(keys.iter().map(|key| u64::from(key.1 as u32)).max().unwrap_or(0));

    let key_bits = (FINGERPRINT_BITS + word_bits + kind_bits + place_bits) as usize;
    let words = keys.len().div_ceil(GROUP) * 8 + kinds.len() * 4;
    memory::reserve(out, 8 + words + (keys.len() * key_bits).div_ceil(8) + MARGIN)?;
    out.extend_from_slice(&[word_bits as u8, kind_bits as u8, place_bits as u8, 0]);
    out.extend_from_slice(&(kinds.len() as u32).to_le_bytes());
    keys.chunks(GROUP).for_each(|group| out.extend_from_slice(&group[0].0.to_le_bytes()));
    kinds.iter().for_each(|kind| out.extend_from_slice(&kind.to_le_bytes()));
    let (mut held, mut count) = (0u128, 0);
    for (key, distance) in keys.iter().zip(distances) {
        let number = match kind_bits {
            PLAIN_KIND => kind(key),
            _ => kinds.partition_point(|other| *other < kind(key)) as u32,
        };
        let word = (u128::from(distance) << FINGERPRINT_BITS) | u128::from(key.1 >> 56);
        let place = (u64::from(key.1 as u32) << kind_bits) | u64::from(number);
        for (field, bits) in [(word, FINGERPRINT_BITS + word_bits), (place.into(), kind_bits + place_bits)] {
            held |= field << count;
            count += bits;
            while count >= 8 {
                out.push(held as u8);
                (held, count) = (held >> 8, count - 8);
            }
        }
    }
    if count > 0 {
        out.push(held as u8);
    }
    out.extend_from_slice(&[0; MARGIN]);
    Ok(())
}

/// How many bits a number takes.
fn bits(n: u64) -> u32 {
    u64::BITS - n.leading_zeros()
}

/// Packed keys.
pub struct Packed<'a> {
    len: usize,
    word_bits: u32,
    kind_bits: u32,
    place_bits: u32,
    firsts: &'a [[u8; 8]],
    kinds: &'a [[u8; 4]],
    keys: &'a [u8],
}

impl<'a> Packed<'a> {
    /// Finds `len` keys in `bytes`, which nothing else is in.
    pub fn parse(bytes: &'a [u8], len: usize) -> Result<Self, Damage> {
        let mut reader = Reader::new(if len == 0 && bytes.is_empty() { NO_KEYS } else { bytes });
        let (word_bits, kind_bits) = (u32::from(reader.u8()?), u32::from(reader.u8()?));
        let place_bits = u32::from(reader.u8()?);
        reader.u8()?;
        let kinds = (reader.u32()? as usize).checked_mul(4).ok_or("its counts are too large")?;
        if word_bits > u64::BITS || kind_bits > PLAIN_KIND || place_bits > u32::BITS {
            return Err("keys have more bits than there are");
        }
        let (firsts, _) = reader.take(len.div_ceil(GROUP).saturating_mul(8))?.as_chunks();
        let (kinds, _) = reader.take(kinds)?.as_chunks();
        let packed = Packed { len, word_bits, kind_bits, place_bits, firsts, kinds, keys: reader.rest() };
        let size = len.checked_mul(packed.key_bits()).and_then(|bits| bits.div_ceil(8).checked_add(MARGIN));
        if size != Some(packed.keys.len()) {
            return Err("its length does not match the number of keys in it");
        }
        Ok(packed)
    }

    /// The keys, in order, from the first on whose word is at least `from`.
    pub fn iter_from(&self, from: u64) -> impl Iterator<Item = Pair> {
        let behind = self.firsts.partition_point(|first| u64::from_le_bytes(*first) < from);
        let group = behind.saturating_sub(1) * GROUP;
        (group..self.len).map(|n| self.get(n)).skip_while(move |key| key.0 < from)
    }

    fn key_bits(&self) -> usize {
        (FINGERPRINT_BITS + self.word_bits + self.kind_bits + self.place_bits) as usize
    }

    /// The key number `n`.
    #[inline]
    fn get(&self, n: usize) -> Pair {
        let at = n * self.key_bits();
        let word = self.bits(at);
        let distance = ((word >> FINGERPRINT_BITS) & ((1 << self.word_bits) - 1)) as u64;
        let first = self.firsts.get(n / GROUP).map_or(0, |first| u64::from_le_bytes(*first));
        let rest = self.bits(at + (FINGERPRINT_BITS + self.word_bits) as usize);
        let number = (rest & ((1 << self.kind_bits) - 1)) as u32;
        let kind = match self.kind_bits {
            PLAIN_KIND => number,
            _ => self.kinds.get(number as usize).map_or(0, |kind| u32::from_le_bytes(*kind)),
        };
        let place = ((rest >> self.kind_bits) & ((1 << self.place_bits) - 1)) as u64;
        let entry = (word as u64 & 0xFF) << 56 | u64::from(kind & ((1 << PLAIN_KIND) - 1)) << 32 | place;
        (first.wrapping_add(distance), entry)
    }

    /// What stands from a bit on, 121 bits and more of it.
    #[inline]
    fn bits(&self, at: usize) -> u128 {
        let bytes = self.keys.get(at / 8..).and_then(|rest| rest.first_chunk::<MARGIN>());
        bytes.map_or(0, |bytes| u128::from_le_bytes(*bytes) >> (at % 8))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(keys: &[Pair]) -> Vec<u8> {
        let mut bytes = Vec::new();
        pack(keys, &mut bytes).unwrap();
        bytes
    }

    fn key() -> impl Strategy<Value = Pair> {
        let word = prop_oneof![any::<u64>(), 0u64..9, u64::MAX - 9..=u64::MAX];
        let kind = prop_oneof![Just(0x12_3456u64), 0u64..4, 0u64..1 << 24];
        let place = prop_oneof![any::<u32>(), 0u32..100];
        (word, any::<u8>(), kind, place).prop_map(|(word, finger, kind, place)| {
            (word, u64::from(finger) << 56 | kind << 32 | u64::from(place))
        })
    }

    proptest! {
        #[test]
        #[cfg_attr(miri, ignore = "there is nothing unsafe here, and what makes the cases is slow")]
        fn keys_are_read_back_from_any_place_on(
            mut keys in prop::collection::vec(key(), 0..400),
            from in any::<u64>(),
        ) {
            keys.sort_unstable();
            let bytes = packed(&keys);
            let packed = Packed::parse(&bytes, keys.len()).unwrap();
            for from in [0, from, keys.first().map_or(7, |key| key.0), keys.last().map_or(7, |key| key.0), u64::MAX] {
                let wanted: Vec<_> = keys.iter().copied().filter(|key| key.0 >= from).collect();
                prop_assert_eq!(packed.iter_from(from).collect::<Vec<_>>(), wanted);
            }
        }

        #[test]
        #[cfg_attr(miri, ignore = "there is nothing unsafe here, and what makes the cases is slow")]
        fn bytes_that_somebody_made_up_are_refused_or_read_without_a_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200),
            len in 0usize..20,
            from in any::<u64>(),
        ) {
            if let Some(widths) = bytes.first_chunk_mut::<8>() {
                *widths = [widths[0] % 66, widths[1] % 26, widths[2] % 34, 0, widths[4] % 4, 0, 0, 0];
            }
            if let Ok(packed) = Packed::parse(&bytes, len) {
                prop_assert!(packed.iter_from(from).count() <= len);
            }
            prop_assert!(Packed::parse(&bytes, usize::MAX - len).is_err());
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "there is nothing unsafe here, and what makes the cases is slow")]
    fn keys_of_a_large_store_take_less_than_12_bytes() {
        // A root of a store of a million: records of one size in one file of 136 MB.
        let mut keys: Vec<Pair> = (0..3_906u64)
            .map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15), n << 56 | 17 << 48 | (n * 4_352)))
            .collect();
        keys.sort_unstable();
        let size = packed(&keys).len();
        assert!(size < keys.len() * 12, "{size}");
    }
}
