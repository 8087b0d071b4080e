//! A block of a run: entries in the order of their keys, and of one key the newest first.
//!
//! ```text
//! block    = entry* 0{padding} restart{u32}* count{u16} padding{u16} crc{u32}
//! entry    = shared unshared value-len  tag{u8}  seq  [expiry{u64}]  key's end  value
//! ```
//! Numbers without a size are LEB128. `shared` says how many bytes of key the entry has in common with the one before. Each
//! [`RESTART_EVERY`]th entry has its whole key, and its place in the block stands in the list of restarts: so a key is found by halving.
//! `seq` counts from the run's base. The tag has the kind in its lower four bits, and 16 where an expiry follows. Padding makes a block end
//! with a page, so that the next is read with one fault and not with two; runs of version 1 have none, and 0 in its place.

use std::cmp::Ordering;
use std::ops::Range;

use crate::format::Damage;
use crate::format::features::Refusal;
use crate::store::memory::{self, Refused};

/// Of this many entries one has its whole key.
pub const RESTART_EVERY: usize = 16;

/// The bytes of a block behind its restarts.
const TAIL: usize = 8;
const EXPIRES: u8 = 16;

/// The most bytes of padding that a writer gives a block: a sixteenth of a page.
pub const MOST_PADDING: usize = 256;

/// What an entry says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum What {
    /// The key has this value.
    Value = 1,
    /// The key is not there.
    Nothing = 2,
    /// The key has a collection; the value is its head.
    Head = 5,
}

/// What an entry says beside its key and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// What the key has.
    pub what: What,
    /// The version's place in the order of all writes.
    pub seq: u64,
    /// When it expires, in milliseconds since 1970.
    pub expiry_ms: Option<u64>,
}

/// Puts entries together to a block.
#[derive(Default)]
pub struct Builder {
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    last_key: Vec<u8>,
    since_restart: usize,
}

impl Builder {
    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes of the block so far.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.restarts.len() * 4 + TAIL
    }

    /// How many bytes of the next key are left out, which the last key has too.
    fn shared(&self, key: &[u8]) -> usize {
        match self.since_restart {
            0 => 0,
            _ => key.iter().zip(&self.last_key).take_while(|(a, b)| a == b).count(),
        }
    }

    /// The bytes that the block would have with another entry.
    pub fn size_with(&self, key: &[u8], meta: &Meta, base: u64, value: &[u8]) -> usize {
        let shared = self.shared(key);
        let end = key.len() - shared;
        let numbers = [shared as u64, end as u64, value.len() as u64, meta.seq.wrapping_sub(base)];
        let numbers: usize = numbers.into_iter().map(number_len).sum();
        let fixed = 1 + if meta.expiry_ms.is_some() { 8 } else { 0 };
        let restart = if self.since_restart == 0 { 4 } else { 0 };
        self.size() + numbers + fixed + end + value.len() + restart
    }

    /// The key of the last entry.
    pub fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// Adds an entry that comes behind all others; of a run that counts sequence numbers from `base`.
    pub fn add(&mut self, key: &[u8], meta: &Meta, base: u64, value: &[u8]) -> Result<(), Refused> {
        // Four numbers, a tag and an expiry.
        const MOST_NUMBERS: usize = 4 * 10 + 9;
        memory::reserve(&mut self.bytes, key.len() + value.len() + MOST_NUMBERS)?;
        memory::reserve(&mut self.restarts, 1)?;
        let more = key.len().saturating_sub(self.last_key.len());
        memory::reserve(&mut self.last_key, more)?;
        let shared = self.shared(key);
        if self.since_restart == 0 {
            self.restarts.push(self.bytes.len() as u32);
        }
        self.since_restart = (self.since_restart + 1) % RESTART_EVERY;
        let (_, end) = key.split_at(shared);
        push_number(&mut self.bytes, shared as u64);
        push_number(&mut self.bytes, end.len() as u64);
        push_number(&mut self.bytes, value.len() as u64);
        self.bytes.push(meta.what as u8 | if meta.expiry_ms.is_some() { EXPIRES } else { 0 });
        push_number(&mut self.bytes, meta.seq.wrapping_sub(base));
        if let Some(expiry_ms) = meta.expiry_ms {
            self.bytes.extend_from_slice(&expiry_ms.to_le_bytes());
        }
        self.bytes.extend_from_slice(end);
        self.bytes.extend_from_slice(value);
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        Ok(())
    }

    /// The whole block, `padding` bytes longer than [`Builder::size`], whose checksum begins with `seed`. Whoever goes on with this
    /// builder calls [`Builder::clear`] first.
    pub fn finish(&mut self, seed: u32, padding: u16) -> Result<&[u8], Refused> {
        memory::reserve(&mut self.bytes, usize::from(padding) + self.restarts.len() * 4 + TAIL)?;
        self.bytes.resize(self.bytes.len() + usize::from(padding), 0);
        for restart in &self.restarts {
            self.bytes.extend_from_slice(&restart.to_le_bytes());
        }
        self.bytes.extend_from_slice(&(self.restarts.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(&padding.to_le_bytes());
        let crc = super::checksum(seed, &self.bytes);
        self.bytes.extend_from_slice(&crc.to_le_bytes());
        Ok(&self.bytes)
    }

    /// Begins the next block.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.restarts.clear();
        self.last_key.clear();
        self.since_restart = 0;
    }
}

/// Where a block ends whose length nobody tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The block has this many bytes.
    At(usize),
    /// Behind the bytes that are there, if it is one.
    Behind,
    /// The bytes are no block.
    Nowhere,
}

/// A block that was read.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    entries: &'a [u8],
    restarts: &'a [u8],
    base: u64,
}

/// An entry of a block, without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it says.
    pub meta: Meta,
    /// Where its value stands in the block.
    pub value: Range<usize>,
    /// Where the next entry begins.
    pub next: usize,
    /// Whether the key is that of the entry before.
    pub is_same_key: bool,
}

impl<'a> Block<'a> {
    /// The block that these bytes are, of a run with this base. The checksum is compared where `seed` says with what it begins.
    pub fn parse(bytes: &'a [u8], seed: Option<u32>, base: u64) -> Result<Self, Damage> {
        let (rest, crc) = bytes.split_last_chunk::<4>().ok_or("a block is too short")?;
        if seed.is_some_and(|seed| super::checksum(seed, rest) != u32::from_le_bytes(*crc)) {
            return Err("the checksum of a block does not match");
        }
        let (rest, [count @ .., c, d]) = rest.split_last_chunk::<4>().ok_or("a block is too short")?;
        let (size, padding) = (usize::from(u16::from_le_bytes(*count)) * 4, u16::from_le_bytes([*c, *d]));
        let entries =
            rest.len().checked_sub(size).filter(|_| size > 0).ok_or("a block has too few restarts")?;
        let (entries, restarts) = rest.split_at(entries);
        let end = entries.len().checked_sub(usize::from(padding)).filter(|end| *end > 0);
        let entries = end.and_then(|end| entries.get(..end)).ok_or("a block has no entries")?;
        Ok(Block { entries, restarts, base })
    }

    /// A block of which no more than the entries is at hand: they can be gone through, and no key be sought.
    pub fn of_entries(entries: &'a [u8], base: u64) -> Self {
        Block { entries, restarts: &[], base }
    }

    /// How many bytes of the block are entries.
    pub fn entries_len(&self) -> usize {
        self.entries.len()
    }

    /// Where the block ends that `bytes` begin with, whose checksum begins with `seed`: for who does not know that.
    pub fn find_end(bytes: &[u8], seed: u32) -> Ending {
        let whole = Block::of_entries(bytes, 0);
        let (mut at, mut key, mut entries) = (0, Vec::new(), 0usize);
        // The block may end behind these bytes with the entries that were read.
        let mut is_cut = false;
        loop {
            at = match whole.entry(at, &mut key) {
                Ok(Some(entry)) => entry.next,
                Ok(None) | Err(Refusal::Damaged(TOO_LONG)) => return Ending::Behind,
                Err(_) if is_cut => return Ending::Behind,
                Err(_) => return Ending::Nowhere,
            };
            entries += 1;
            let count = entries.div_ceil(RESTART_EVERY);
            for padding in 0..=MOST_PADDING {
                let end = at + padding + count.saturating_mul(4).saturating_add(TAIL);
                let Some(block) = bytes.get(..end) else {
                    is_cut = true;
                    break;
                };
                let told = block.get(end - TAIL..).and_then(|tail| tail.first_chunk::<4>());
                let is_told = told.is_some_and(|[a, b, c, d]| {
                    usize::from(u16::from_le_bytes([*a, *b])) == count
                        && usize::from(u16::from_le_bytes([*c, *d])) == padding
                });
                if is_told && Block::parse(block, Some(seed), 0).is_ok() {
                    return Ending::At(end);
                }
                if bytes.get(at + padding) != Some(&0) {
                    break;
                }
            }
        }
    }

    /// The value of an entry.
    pub fn value(&self, entry: &Entry) -> &'a [u8] {
        self.entries.get(entry.value.clone()).unwrap_or_default()
    }

    /// Reads the entry at `at`; `key` is that of the entry before, and becomes its own. `None` behind the last.
    #[inline]
    pub fn entry(&self, at: usize, key: &mut Vec<u8>) -> Result<Option<Entry>, Refusal> {
        let mut numbers = Numbers { bytes: self.entries, at };
        let (shared, unshared, value_len, tag) = match self.entries.get(at..) {
            None | Some([]) => return Ok(None),
            // Most lengths have one byte.
            Some(&[shared, unshared, value_len, tag, ..]) if (shared | unshared | value_len) < 128 => {
                numbers.at += 4;
                (usize::from(shared), usize::from(unshared), usize::from(value_len), tag)
            }
            Some(_) => {
                let (shared, unshared) = (numbers.next()? as usize, numbers.next()? as usize);
                (shared, unshared, numbers.next()? as usize, numbers.byte()?)
            }
        };
        let what = match tag & !EXPIRES {
            1 => What::Value,
            2 => What::Nothing,
            5 => What::Head,
            _ => return Err("an entry of a block is of no known kind".into()),
        };
        let seq = self.base.wrapping_add(numbers.next()?);
        let expiry_ms = if tag & EXPIRES != 0 { Some(numbers.fixed()?) } else { None };
        let key_end = numbers.at.checked_add(unshared).ok_or(TOO_LONG)?;
        let value_end =
            key_end.checked_add(value_len).filter(|end| *end <= self.entries.len()).ok_or(TOO_LONG)?;
        let end = self.entries.get(numbers.at..key_end).ok_or(TOO_LONG)?;
        if shared > key.len() {
            return Err("a key of a block has more in common with the one before than that has".into());
        }
        if at == 0 && shared > 0 {
            return Err("the first key of a block has something in common with one before".into());
        }
        // At a restart nothing is shared with a key that is the same.
        let is_same_key = key.len() - shared == end.len() && key.get(shared..) == Some(end);
        key.truncate(shared);
        memory::reserve(key, end.len())?;
        key.extend_from_slice(end);
        let meta = Meta { what, seq, expiry_ms };
        Ok(Some(Entry { meta, value: key_end..value_end, next: value_end, is_same_key }))
    }

    fn restart(&self, n: usize) -> Result<usize, Damage> {
        let bytes = self.restarts.get(n * 4..).and_then(|rest| rest.first_chunk::<4>());
        bytes.map(|bytes| u32::from_le_bytes(*bytes) as usize).ok_or("a block has too few restarts")
    }

    /// The first entry whose key is not before `wanted`, with its key in `key`; `None` where there is none.
    pub fn seek(&self, wanted: &[u8], key: &mut Vec<u8>) -> Result<Option<Entry>, Refusal> {
        // The last restart whose key is before the wanted one: versions of one key may begin before a restart.
        let (mut low, mut high) = (0, self.restarts.len() / 4);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            key.clear();
            let entry = self.entry(self.restart(middle)?, key)?;
            match entry.map(|_| key.as_slice().cmp(wanted)) {
                Some(Ordering::Less) => low = middle,
                _ => high = middle,
            }
        }
        key.clear();
        let mut at = self.restart(low)?;
        while let Some(entry) = self.entry(at, key)? {
            if key.as_slice() >= wanted {
                return Ok(Some(entry));
            }
            at = entry.next;
        }
        Ok(None)
    }
}

const TOO_LONG: Damage = "an entry of a block is longer than the block";

struct Numbers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Numbers<'_> {
    fn byte(&mut self) -> Result<u8, Damage> {
        let byte = *self.bytes.get(self.at).ok_or(TOO_LONG)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn next(&mut self) -> Result<u64, Damage> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(number);
            }
        }
        Err("a number of a block is too long")
    }

    fn fixed(&mut self) -> Result<u64, Damage> {
        let bytes = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()).ok_or(TOO_LONG)?;
        self.at += 8;
        Ok(u64::from_le_bytes(*bytes))
    }
}

/// The bytes of a number in LEB128.
fn number_len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a number in LEB128.
fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 127 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<(Vec<u8>, Meta, Vec<u8>)> {
        let mut all = Vec::new();
        for n in 0..100u64 {
            let key = format!("key{:04}", n / 3 * 7).into_bytes();
            let what = [What::Value, What::Nothing, What::Head][n as usize % 3];
            let expiry_ms = (n % 5 == 0).then_some(n * 1_000);
            let value = vec![n as u8; if what == What::Nothing { 0 } else { n as usize % 40 }];
            all.push((key, Meta { what, seq: 1_000_000 - n, expiry_ms }, value));
        }
        all
    }

    fn built(all: &[(Vec<u8>, Meta, Vec<u8>)]) -> Vec<u8> {
        let mut builder = Builder::default();
        for (key, meta, value) in all {
            builder.add(key, meta, 900_000, value).unwrap();
        }
        let size = builder.size();
        let bytes = builder.finish(7, 0).unwrap().to_vec();
        assert_eq!(bytes.len(), size);
        bytes
    }

    #[test]
    fn entries_are_read_back_from_the_front_and_by_key() {
        let all = sample();
        let bytes = built(&all);
        let block = Block::parse(&bytes, Some(7), 900_000).unwrap();
        let (mut at, mut key, mut read) = (0, Vec::new(), Vec::new());
        while let Some(entry) = block.entry(at, &mut key).unwrap() {
            read.push((key.clone(), entry.meta, block.value(&entry).to_vec()));
            at = entry.next;
        }
        assert_eq!(read, all);
        for wanted in ["", "key0000", "key0001", "key0070", "key0075", "key0231", "key9"] {
            let first = all.iter().find(|(key, ..)| key.as_slice() >= wanted.as_bytes());
            let found = block.seek(wanted.as_bytes(), &mut key).unwrap();
            assert_eq!(found.map(|entry| (key.clone(), entry.meta)), first.map(|(k, m, _)| (k.clone(), *m)));
        }
    }

    #[test]
    fn every_flipped_bit_of_a_block_is_noticed_and_none_panics_where_nobody_compares_checksums() {
        let mut bytes = built(&sample());
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Block::parse(&bytes, Some(7), 0).is_err(), "bit {bit}");
            if let Ok(block) = Block::parse(&bytes, None, 0) {
                let (mut at, mut key) = (0, Vec::new());
                while let Ok(Some(entry)) = block.entry(at, &mut key) {
                    block.value(&entry);
                    at = entry.next;
                }
                let _ = block.seek(b"key0070", &mut key);
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for length in 0..bytes.len() {
            assert!(Block::parse(&bytes[..length], Some(7), 0).is_err(), "length {length}");
        }
    }
    fn padded(all: &[(Vec<u8>, Meta, Vec<u8>)], padding: u16) -> Vec<u8> {
        let mut builder = Builder::default();
        for (key, meta, value) in all {
            let most = builder.size_with(key, meta, 900_000, value);
            builder.add(key, meta, 900_000, value).unwrap();
            assert_eq!(builder.size(), most);
        }
        builder.finish(7, padding).unwrap().to_vec()
    }

    #[test]
    fn padding_is_no_part_of_the_entries() {
        let all = sample();
        for padding in [1, 2, 3, 4, 7, 255, MOST_PADDING as u16] {
            let bytes = padded(&all, padding);
            assert_eq!(bytes.len(), built(&all).len() + usize::from(padding));
            let block = Block::parse(&bytes, Some(7), 900_000).unwrap();
            let (mut at, mut key, mut read) = (0, Vec::new(), 0);
            while let Some(entry) = block.entry(at, &mut key).unwrap() {
                read += 1;
                at = entry.next;
            }
            assert_eq!(read, all.len());
            assert_eq!(block.seek(b"key9", &mut key).unwrap(), None);
        }
        // More padding than there is room for, or nothing else, is an error also where nobody compares checksums.
        let mut bytes = padded(&all, 1);
        let at = bytes.len() - 6;
        let whole = Block::parse(&bytes, None, 900_000).unwrap().entries_len() as u16 + 1;
        for padding in [whole, whole + 1, u16::MAX] {
            bytes[at..at + 2].copy_from_slice(&padding.to_le_bytes());
            assert!(Block::parse(&bytes, None, 900_000).is_err(), "{padding}");
        }
    }

    #[test]
    fn the_end_of_a_block_is_found_without_an_index_wherever_the_bytes_behind_it_stop() {
        let all = sample();
        for (count, padding) in [(1, 0), (1, 1), (16, 0), (17, 5), (100, 0), (100, MOST_PADDING as u16)] {
            let bytes = padded(&all[..count], padding);
            let followed = [bytes.as_slice(), &padded(&all[..3], 2)].concat();
            assert_eq!(Block::find_end(&followed, 7), Ending::At(bytes.len()), "{count} {padding}");
            for length in 0..bytes.len() {
                assert_eq!(
                    Block::find_end(&bytes[..length], 7),
                    Ending::Behind,
                    "{count} {padding} {length}"
                );
            }
        }
    }
}
