//! The keys of a checkpoint and what was written since, where a live reader finds both until its index is made: the reader begins with
//! the checkpoint as it lies in its mapping, and a thread of it makes the index root by root.
//!
//! Invariants:
//! - A noted version is newer than the one in the checkpoint. So a key is looked for among the noted ones first.
//! - While a root is pending its keys in the checkpoint do not change, and nothing but this points at a noted version. When the root is taken
//!   over, the index gets the newest version of each key first, and the notes are dropped after that.
//! - Files count as alive only records of roots that were taken over. So all roots are taken over before keys are counted, shown, or moved
//!   from file to file.

use std::sync::Arc;

use super::checkpoint::Keys;
use super::running::Places;
use crate::format::checkpoint::ROOTS;
use crate::format::packed::Pair;
use crate::index::{Entry, Index, KeyHash, SizeClass, Sorted, Unavailable};
use crate::log::catalog::Catalog;
use crate::store::error::Result;
use crate::store::memory::{self, Refused};
use crate::sync::lock::Mutex;

/// See the module.
pub struct Overlaid {
    keys: Keys,
    places: Places,
    roots: Vec<Mutex<Root>>,
    catalog: Arc<Catalog>,
}

#[derive(Default)]
struct Root {
    /// Newer versions of keys, and tombstones, in the order of their hashes.
    noted: Vec<Pair>,
    /// For the file of each slot: how many live records the last `take` gave, and what they weigh.
    live: Vec<(u64, u64)>,
}

/// The order of what is noted.
fn order(pair: &Pair) -> (u64, u8) {
    (pair.0, (pair.1 >> 56) as u8)
}

/// What a pair points at; `None` where that is a tombstone.
fn entry(pair: Pair) -> Option<Entry> {
    Index::unpack(0, pair).map(|(_, entry)| entry).filter(|entry| entry.size != SizeClass::TOMBSTONE)
}

impl Overlaid {
    /// Whether these keys can stay where they are: they are mapped, and not damaged.
    pub fn can_be_over(keys: &Keys) -> bool {
        keys.is_mapped() && keys.are_intact()
    }

    /// An index that begins with keys that can stay where they are, and with the newer versions and tombstones that `noted` has.
    pub fn index(keys: Keys, places: Places, noted: Option<&Index>, catalog: &Arc<Catalog>) -> Result<Index> {
        let mut roots = memory::vec_with_room(ROOTS)?;
        for root in 0..=u8::MAX {
            let mut noted = noted.map_or(Ok(Vec::new()), |noted| noted.export(root))?;
            noted.sort_unstable_by_key(order);
            roots.push(Mutex::new(Root { noted, live: Vec::new() }));
        }
        let catalog = catalog.clone();
        Ok(Index::over(Box::new(Overlaid { keys, places, roots, catalog }))?)
    }

    /// Counts what is alive in each file.
    fn count(&self, keys: &[Pair], live: &mut Vec<(u64, u64)>) -> std::result::Result<(), Refused> {
        live.clear();
        for entry in keys.iter().filter_map(|pair| entry(*pair)) {
            let slot = usize::from(entry.location.slot);
            if slot >= live.len() {
                memory::reserve(live, slot + 1 - live.len())?;
                live.resize(slot + 1, (0, 0));
            }
            live[slot] = (live[slot].0 + 1, live[slot].1 + entry.size.bytes());
        }
        Ok(())
    }
}

impl Sorted for Overlaid {
    /// At least 1: a root without keys may get some, and has to be taken over too.
    fn len(&self, root: u8) -> usize {
        self.keys.len(root).max(1)
    }

    fn find(&self, hash: KeyHash) -> Option<Entry> {
        {
            let noted = &self.roots[usize::from(hash.root)].lock().noted;
            if let Ok(at) = noted.binary_search_by_key(&(hash.word, hash.fingerprint), order) {
                return entry(noted[at]);
            }
        }
        let found = self.keys.find(hash)?;
        self.places.translate(Index::pack(&hash, found)).and_then(entry)
    }

    fn note(&self, hash: KeyHash, entry: Entry) -> std::result::Result<bool, Refused> {
        let noted = &mut self.roots[usize::from(hash.root)].lock().noted;
        let pair = Index::pack(&hash, entry);
        match noted.binary_search_by_key(&order(&pair), order) {
            Ok(at) => noted[at] = pair,
            Err(at) => {
                memory::reserve(noted, 1)?;
                noted.insert(at, pair);
            }
        }
        Ok(true)
    }

    /// Without what is noted: who walks takes over all keys first.
    fn visit(&self, root: u8, from: u64, visit: &mut dyn FnMut(Pair) -> bool) {
        self.keys.visit(root, from, &mut |pair| self.places.translate(pair).is_none_or(&mut *visit));
    }

    fn take(&self, root: u8, keys: &mut Vec<Pair>) -> std::result::Result<(), Unavailable> {
        let mut all = memory::vec_with_room(self.keys.len(root))?;
        self.keys.take(root, &mut all)?;
        // Somebody may have made them up.
        if !all.is_sorted_by_key(|key| key.0) {
            all.sort_unstable();
        }
        let mut own = self.roots[usize::from(root)].lock();
        let Root { noted, live } = &mut *own;
        memory::reserve(keys, all.len() + noted.len())?;
        let mut rest = &noted[..];
        for pair in all.into_iter().filter_map(|pair| self.places.translate(pair)) {
            let before = rest.partition_point(|newer| newer.0 < pair.0);
            keys.extend(rest[..before].iter().filter(|newer| entry(**newer).is_some()));
            rest = &rest[before..];
            let mut same_word = rest.iter().take_while(|newer| newer.0 == pair.0);
            if !same_word.any(|newer| order(newer) == order(&pair)) {
                keys.push(pair);
            }
        }
        keys.extend(rest.iter().filter(|newer| entry(**newer).is_some()));
        Ok(self.count(keys, live)?)
    }

    fn took_over(&self, root: u8) {
        let Root { live, .. } = std::mem::take(&mut *self.roots[usize::from(root)].lock());
        self.catalog.files.for_each(|file| {
            if let Some((records, weight)) = live.get(usize::from(file.slot)) {
                file.usage.came_alive(*records, *weight);
            }
        });
    }

    fn let_go(&self) {
        self.keys.let_go();
    }
}
