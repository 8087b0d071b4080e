//! The newest version of each key that was found: by number, wherever it stands. About 40 bytes for each key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::format::ALIGNMENT;
use crate::format::collection::{ELEMENT_KEY_SIZE, ListHead};
use crate::index::KeyHash;
use crate::store::error::{Error, Result};

/// What the newest version of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A value.
    Value,
    /// A head of a collection.
    Head,
    /// Nothing: it was removed.
    Nothing,
    /// A value or a head that has expired.
    Expired,
}

/// A version of a key, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub seq: u64,
    units: u32,
    /// The file and, in the lowest two bits, what it holds.
    file: u32,
}

impl Version {
    /// A version in the file of this number, in the order of those that are looked at.
    pub fn new(seq: u64, file: usize, offset: u64, holds: Holds) -> Self {
        let holds = match holds {
            Holds::Value => 0,
            Holds::Head => 1,
            Holds::Nothing => 2,
            Holds::Expired => 3,
        };
        Version { seq, units: (offset / ALIGNMENT) as u32, file: (file as u32) << 2 | holds }
    }

    /// The file, and the offset in it.
    pub fn place(&self) -> (usize, u64) {
        ((self.file >> 2) as usize, u64::from(self.units) * ALIGNMENT)
    }

    /// What the key holds.
    pub fn holds(&self) -> Holds {
        match self.file & 3 {
            0 => Holds::Value,
            1 => Holds::Head,
            2 => Holds::Nothing,
            _ => Holds::Expired,
        }
    }
}

/// The key of an element of a collection.
pub type ElementKey = [u8; ELEMENT_KEY_SIZE];

/// See the module.
#[derive(Default)]
pub struct Keys {
    keys: HashMap<(u64, u16), Version>,
    elements: HashMap<ElementKey, Version>,
    /// The newest heads, with their numbers.
    heads: HashMap<(u64, u16), (u64, ListHead)>,
}

/// The 80 bits that stand for a key, in 16 bytes.
pub fn name(hash: &KeyHash) -> (u64, u16) {
    (hash.word, u16::from_le_bytes([hash.root, hash.fingerprint]))
}

fn put<K: Eq + std::hash::Hash>(map: &mut HashMap<K, Version>, key: K, version: Version) -> Result<()> {
    if map.len() == map.capacity() {
        map.try_reserve(map.len() / 2 + 1).map_err(|_| Error::NoMemory { bytes: map.len() as u64 * 40 })?;
    }
    match map.entry(key) {
        Entry::Occupied(mut held) if version.seq > held.get().seq => {
            held.insert(version);
        }
        Entry::Occupied(_) => {}
        Entry::Vacant(place) => {
            place.insert(version);
        }
    }
    Ok(())
}

impl Keys {
    /// Notes a version of a key; the one with the largest number counts.
    pub fn put(&mut self, hash: &KeyHash, version: Version) -> Result<()> {
        put(&mut self.keys, name(hash), version)
    }

    /// Notes what a head of a collection says, beside [`Keys::put`].
    pub fn put_head(&mut self, hash: &KeyHash, seq: u64, head: ListHead) -> Result<()> {
        self.heads.try_reserve(1).map_err(|_| Error::NoMemory { bytes: self.heads.len() as u64 * 48 })?;
        let held = self.heads.entry(name(hash)).or_insert((seq, head));
        if held.0 < seq {
            *held = (seq, head);
        }
        Ok(())
    }

    /// The lists, without their elements.
    pub fn lists(&self) -> impl Iterator<Item = FoundList> {
        self.heads.iter().filter_map(|(name, (seq, head))| {
            let version = *self.keys.get(name)?;
            let counts = version.seq == *seq && version.holds() == Holds::Head;
            counts.then_some(FoundList { head: *head, version, elements: Vec::new() })
        })
    }

    /// Notes a version of an element of a collection.
    pub fn put_element(&mut self, key: ElementKey, version: Version) -> Result<()> {
        put(&mut self.elements, key, version)
    }

    /// The newest version of a key.
    pub fn get(&self, hash: &KeyHash) -> Option<Version> {
        self.keys.get(&name(hash)).copied()
    }

    /// The newest versions of all keys.
    pub fn all(&self) -> impl Iterator<Item = Version> {
        self.keys.values().copied()
    }

    /// How many keys hold a value or a head.
    pub fn count(&self) -> u64 {
        self.all().filter(|version| matches!(version.holds(), Holds::Value | Holds::Head)).count() as u64
    }

    /// How many keys and tombstones are known.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The elements of collections, of any.
    pub fn elements(&self) -> impl Iterator<Item = (u64, i64, Version)> {
        self.elements.iter().map(|(key, version)| {
            let (mut id, mut position) = ([0; 8], [0; 8]);
            id.copy_from_slice(&key[..8]);
            position.copy_from_slice(&key[8..]);
            (u64::from_le_bytes(id), i64::from_le_bytes(position), *version)
        })
    }
}

/// A list, and the elements of it that are there, in their order.
pub struct FoundList {
    /// What its head says.
    pub head: ListHead,
    /// Where its head stands.
    pub version: Version,
    /// Its elements that are there.
    pub elements: Vec<(i64, Version)>,
}

impl FoundList {
    /// How many elements are gone.
    pub fn missing(&self) -> u64 {
        self.head.length().saturating_sub(self.elements.len() as u64)
    }
}
