//! A block of a run: entries in the order of their keys, and of one key the newest first.
//!
//! ```text
//! block    = entry* restart{u32}* count{u32} crc{u32}
//! entry    = shared unshared value-len  tag{u8}  seq  [expiry{u64}]  key's end  value
//! ```
//! Numbers without a size are LEB128. `shared` says how many bytes of key the entry has in common with the one before. Each
//! [`RESTART_EVERY`]th entry has its whole key, and its place in the block stands in the list of restarts: so a key is found by halving.
//! `seq` counts from the run's base. The tag has the kind in its lower four bits, and 16 where an expiry follows.

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

    /// The key of the last entry.
    pub fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// Adds an entry that comes behind all others; of a run that counts sequence numbers from `base`.
    pub fn add(&mut self, key: &[u8], meta: &Meta, base: u64, value: &[u8]) -> Result<(), Refused> {
        const LONGEST: usize = 5 * 10 + 9;
        // With room for what ends the block.
        let restarts = (self.restarts.len() + 1) * 4 + TAIL;
        memory::reserve(&mut self.bytes, key.len() + value.len() + LONGEST + restarts)?;
        memory::reserve(&mut self.restarts, 1)?;
        let more = key.len().saturating_sub(self.last_key.len());
        memory::reserve(&mut self.last_key, more)?;
        let shared = if self.since_restart == 0 {
            self.restarts.push(self.bytes.len() as u32);
            0
        } else {
            key.iter().zip(&self.last_key).take_while(|(a, b)| a == b).count()
        };
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

    /// The whole block, whose checksum begins with `seed`. The builder is empty afterwards when [`Builder::clear`] was called.
    pub fn finish(&mut self, seed: u32) -> &[u8] {
        for restart in &self.restarts {
            self.bytes.extend_from_slice(&restart.to_le_bytes());
        }
        self.bytes.extend_from_slice(&(self.restarts.len() as u32).to_le_bytes());
        let crc = super::checksum(seed, &self.bytes);
        self.bytes.extend_from_slice(&crc.to_le_bytes());
        &self.bytes
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
}

impl<'a> Block<'a> {
    /// The block that these bytes are, of a run with this base. The checksum is compared where `seed` says with what it begins.
    pub fn parse(bytes: &'a [u8], seed: Option<u32>, base: u64) -> Result<Self, Damage> {
        let (rest, crc) = bytes.split_last_chunk::<4>().ok_or("a block is too short")?;
        if seed.is_some_and(|seed| super::checksum(seed, rest) != u32::from_le_bytes(*crc)) {
            return Err("the checksum of a block does not match");
        }
        let (rest, count) = rest.split_last_chunk::<4>().ok_or("a block is too short")?;
        let size = (u32::from_le_bytes(*count) as usize).checked_mul(4).filter(|size| *size > 0);
        let entries =
            size.and_then(|size| rest.len().checked_sub(size)).ok_or("a block has too few restarts")?;
        let (entries, restarts) = rest.split_at(entries);
        Ok(Block { entries, restarts, base })
    }

    /// Where the block ends that `bytes` begin with, whose checksum begins with `seed`: for who does not know that.
    pub fn find_end(bytes: &[u8], seed: u32) -> Ending {
        let whole = Block { entries: bytes, restarts: &[], base: 0 };
        let (mut at, mut key, mut entries) = (0, Vec::new(), 0usize);
        loop {
            at = match whole.entry(at, &mut key) {
                Ok(Some(entry)) => entry.next,
                Ok(None) | Err(Refusal::Damaged(TOO_LONG)) => return Ending::Behind,
                Err(_) => return Ending::Nowhere,
            };
            entries += 1;
            let count = entries.div_ceil(RESTART_EVERY);
            let end = at.saturating_add(count.saturating_mul(4)).saturating_add(TAIL);
            let Some(block) = bytes.get(..end) else { continue };
            let told = block.get(end - TAIL..).and_then(|tail| tail.first_chunk::<4>());
            let is_count = told.is_some_and(|told| u32::from_le_bytes(*told) as usize == count);
            if is_count && Block::parse(block, Some(seed), 0).is_ok() {
                return Ending::At(end);
            }
        }
    }

    /// The value of an entry.
    pub fn value(&self, entry: &Entry) -> &'a [u8] {
        self.entries.get(entry.value.clone()).unwrap_or_default()
    }

    /// Reads the entry at `at`; `key` is that of the entry before, and becomes its own. `None` behind the last.
    pub fn entry(&self, at: usize, key: &mut Vec<u8>) -> Result<Option<Entry>, Refusal> {
        let mut numbers = Numbers { bytes: self.entries, at };
        if at >= self.entries.len() {
            return Ok(None);
        }
        let (shared, unshared) = (numbers.next()? as usize, numbers.next()? as usize);
        let value_len = numbers.next()? as usize;
        let tag = numbers.byte()?;
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
        key.truncate(shared);
        memory::reserve(key, end.len())?;
        key.extend_from_slice(end);
        Ok(Some(Entry { meta: Meta { what, seq, expiry_ms }, value: key_end..value_end, next: value_end }))
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
        let bytes = builder.finish(7).to_vec();
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
}
