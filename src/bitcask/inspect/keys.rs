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
    /// The number of the record.
    pub seq: u64,
    units: u32,
    /// The file and, in the lowest three bits, a mark and what it holds.
    file: u32,
}

/// The mark of a key that the checkpoint has.
const MARK: u32 = 4;

impl Version {
    /// A version in the file of this number, in the order of those that are looked at.
    pub fn new(seq: u64, file: usize, offset: u64, holds: Holds) -> Self {
        let holds = match holds {
            Holds::Value => 0,
            Holds::Head => 1,
            Holds::Nothing => 2,
            Holds::Expired => 3,
        };
        Version { seq, units: (offset / ALIGNMENT) as u32, file: (file as u32) << 3 | holds }
    }

    /// The file, and the offset in it.
    pub fn place(&self) -> (usize, u64) {
        ((self.file >> 3) as usize, u64::from(self.units) * ALIGNMENT)
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
    keys: Newest<(u64, u16)>,
    elements: Newest<ElementKey>,
    /// The newest heads, with their numbers.
    heads: HashMap<(u64, u16), (u64, ListHead)>,
    /// What was taken out at the ends of lists, by their numbers.
    taken: HashMap<u64, Taken>,
}

/// Up to which places a list was cut, and by heads of which numbers.
#[derive(Default)]
struct Taken {
    /// Heads that ended before this place; the later, the farther.
    back: Vec<(i64, u64)>,
    /// Heads that began with this place; the later, the nearer to the front.
    front: Vec<(i64, u64)>,
}

/// How many cuts are known of each end of a list.
const CUTS_HELD: usize = 64;

impl Taken {
    fn cut_back(&mut self, end: i64, seq: u64) {
        self.back.retain(|(other, _)| *other < end);
        self.back.push((end, seq));
        let more = self.back.len().saturating_sub(CUTS_HELD);
        self.back.drain(..more);
    }

    fn cut_front(&mut self, first: i64, seq: u64) {
        self.front.retain(|(other, _)| *other > first);
        self.front.push((first, seq));
        let more = self.front.len().saturating_sub(CUTS_HELD);
        self.front.drain(..more);
    }

    /// The number of the last head that a place was not in.
    fn last_without(&self, position: i64) -> u64 {
        let back = self.back.iter().filter(|(end, _)| *end <= position).map(|(_, seq)| *seq);
        let front = self.front.iter().filter(|(first, _)| *first > position).map(|(_, seq)| *seq);
        back.chain(front).max().unwrap_or(0)
    }
}

/// The 80 bits that stand for a key, in 16 bytes.
pub fn name(hash: &KeyHash) -> (u64, u16) {
    (hash.word, u16::from_le_bytes([hash.root, hash.fingerprint]))
}

/// A file, and an offset in it.
type Place = (usize, u64);

/// The newest version of each key of some kind.
struct Newest<K> {
    versions: HashMap<K, Version>,
    /// Other places of versions, with their numbers: a merge that ended early leaves copies of some records of a file, and the file.
    twins: HashMap<(K, Place), u64>,
}

impl<K> Default for Newest<K> {
    fn default() -> Self {
        Newest { versions: HashMap::new(), twins: HashMap::new() }
    }
}

impl<K: Copy + Eq + std::hash::Hash> Newest<K> {
    fn put(&mut self, key: K, version: Version) -> Result<()> {
        let map = &mut self.versions;
        if map.len() == map.capacity() {
            let bytes = map.len() as u64 * 40;
            map.try_reserve(map.len() / 2 + 1).map_err(|_| Error::NoMemory { bytes })?;
        }
        match map.entry(key) {
            Entry::Occupied(mut held) if version.seq > held.get().seq => {
                held.insert(version);
            }
            Entry::Occupied(held) if version.seq == held.get().seq => {
                let bytes = self.twins.len() as u64 * 48;
                self.twins.try_reserve(1).map_err(|_| Error::NoMemory { bytes })?;
                self.twins.insert((key, version.place()), version.seq);
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(place) => {
                place.insert(version);
            }
        }
        Ok(())
    }

    /// Whether the newest version stands there too.
    fn is_twin(&self, key: K, place: Place) -> bool {
        let seq = self.twins.get(&(key, place)).copied();
        seq.is_some() && seq == self.versions.get(&key).map(|version| version.seq)
    }
}

impl Keys {
    /// Notes a version of a key; the one with the largest number counts.
    pub fn put(&mut self, hash: &KeyHash, version: Version) -> Result<()> {
        self.keys.put(name(hash), version)
    }

    /// Notes what a head of a collection says, beside [`Keys::put`].
    pub fn put_head(&mut self, hash: &KeyHash, seq: u64, head: ListHead) -> Result<()> {
        self.heads.try_reserve(1).map_err(|_| Error::NoMemory { bytes: self.heads.len() as u64 * 48 })?;
        let held = self.heads.entry(name(hash)).or_insert((seq, head));
        if held.0 < seq {
            let before = std::mem::replace(held, (seq, head)).1;
            let (is_back, is_front) = (head.end < before.end, head.first > before.first);
            if before.id == head.id && (is_back || is_front) {
                let bytes = self.taken.len() as u64 * 64;
                self.taken.try_reserve(1).map_err(|_| Error::NoMemory { bytes })?;
                let taken = self.taken.entry(head.id).or_default();
                if is_back {
                    taken.cut_back(head.end, seq);
                }
                if is_front {
                    taken.cut_front(head.first, seq);
                }
            }
        }
        Ok(())
    }

    /// Whether a version of an element is what the list has at its place: nothing was taken out there since it was written.
    pub fn is_current(&self, list: u64, position: i64, seq: u64) -> bool {
        self.taken.get(&list).is_none_or(|taken| taken.last_without(position) < seq)
    }

    /// Notes that the checkpoint has a key.
    pub fn mark(&mut self, hash: &KeyHash) {
        if let Some(version) = self.keys.versions.get_mut(&name(hash)) {
            version.file |= MARK;
        }
    }

    /// Forgets the keys that are not marked.
    pub fn drop_unmarked(&mut self) {
        self.keys.versions.retain(|_, version| version.file & MARK != 0);
    }

    /// The lists, without their elements.
    pub fn lists(&self) -> impl Iterator<Item = FoundList> {
        self.heads.iter().filter_map(|(name, (seq, head))| {
            let version = *self.keys.versions.get(name)?;
            let counts = version.seq == *seq && version.holds() == Holds::Head;
            counts.then_some(FoundList { head: *head, version, elements: Vec::new() })
        })
    }

    /// Notes a version of an element of a collection.
    pub fn put_element(&mut self, key: ElementKey, version: Version) -> Result<()> {
        self.elements.put(key, version)
    }

    /// The newest version of a key.
    pub fn get(&self, hash: &KeyHash) -> Option<Version> {
        self.keys.versions.get(&name(hash)).copied()
    }

    /// Whether the newest version of a key has a copy there, beside the place that [`Keys::get`] gives.
    pub fn has_copy_at(&self, hash: &KeyHash, place: Place) -> bool {
        self.keys.is_twin(name(hash), place)
    }

    /// The same of an element.
    pub fn has_copy_of_element_at(&self, id: u64, position: i64, place: Place) -> bool {
        self.elements.is_twin(ListHead { id, first: position, end: position }.element_key(position), place)
    }

    /// The newest versions of all keys.
    pub fn all(&self) -> impl Iterator<Item = Version> {
        self.keys.versions.values().copied()
    }

    /// How many keys hold a value or a head.
    pub fn count(&self) -> u64 {
        self.all().filter(|version| matches!(version.holds(), Holds::Value | Holds::Head)).count() as u64
    }

    /// How many keys and tombstones are known.
    pub fn len(&self) -> usize {
        self.keys.versions.len()
    }

    /// The elements of collections, of any.
    pub fn elements(&self) -> impl Iterator<Item = (u64, i64, Version)> {
        self.elements.versions.iter().map(|(key, version)| {
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
    /// The elements of the list that are there.
    pub elements: Vec<(i64, Version)>,
}

impl FoundList {
    /// How many elements are gone.
    pub fn missing(&self) -> u64 {
        self.head.length().saturating_sub(self.elements.len() as u64)
    }
}
