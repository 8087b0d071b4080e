//! The right to change the entries of one segment, and what is done with it.

use crate::sync::atomic::Ordering;

use super::entry::Entry;
use super::hash::KeyHash;
use super::segment::{Grown, Segment, Writing};
use super::{Index, Pair, ROOT_BITS, Unavailable, import_segments};
use crate::store::memory::Refused;
use crate::sync::lock::MutexGuard;

/// The right to change the entries of one segment.
pub struct Locked<'a> {
    pub(super) index: &'a Index,
    pub(super) segment: &'a Segment,
    pub(super) writing: MutexGuard<'a, Writing>,
}

impl Locked<'_> {
    /// All keys whose word is at least `from`. An empty segment is not looked at: its memory was never touched. Of a pending one,
    /// which may be large, about `most`, and the word to go on at.
    pub(super) fn collect(
        &self,
        from: u64,
        most: usize,
        out: &mut Vec<Pair>,
    ) -> Result<Option<u64>, Refused> {
        if self.segment.is_pending()
            && let Some(frozen) = &self.index.frozen
        {
            return frozen.collect((self.segment.prefix() >> 56) as u8, from, most, out);
        }
        if self.writing.len > 0 {
            self.segment.collect(from, &self.writing, out)?;
        }
        Ok(None)
    }

    /// Puts the keys of a pending root where they can be changed: into the segment, and into others where they are many.
    /// Without memory for that nothing changes.
    #[cold]
    pub(super) fn take_over(&mut self) -> Result<(), Unavailable> {
        let (index, prefix) = (self.index, self.segment.prefix());
        let Some(frozen) = &index.frozen else { return Ok(()) };
        let root = (prefix >> 56) as u8;
        let keys = frozen.take(root)?;
        let mut parts = Vec::new();
        let built = import_segments(&index.arena, ROOT_BITS, prefix, &keys, &mut parts);
        let mut structure = index.structure.lock();
        let depth = parts.iter().map(|part| part.depth()).max().unwrap_or(ROOT_BITS);
        let has_room = built.is_some() && index.make_room_for(&mut structure, parts.len(), depth).is_ok();
        if !has_room {
            drop(structure);
            parts.into_iter().for_each(|part| part.give_back(&index.arena));
            return Err(Unavailable::NoMemory);
        }
        let mut parts = parts.into_iter();
        let Some(first) = parts.next() else { return Err(Unavailable::NoMemory) };
        parts.for_each(|part| index.register(&mut structure, part));
        // Last: until then who looks for a key that went to another part finds it where it was.
        self.segment.become_ready(&mut self.writing, *first, &index.arena);
        drop(structure);
        index.len.fetch_add(keys.len() as u64, Ordering::Relaxed);
        index.len.fetch_sub(frozen.len(root) as u64, Ordering::Relaxed);
        frozen.took_over(root);
        Ok(())
    }

    /// The entry of a key of this segment.
    pub fn get(&self, hash: KeyHash) -> Option<Entry> {
        self.segment.get(hash)
    }

    /// Whether all keys of this segment come before `hash`.
    pub fn ends_before(&self, hash: KeyHash) -> bool {
        let last = self.segment.prefix() | (u64::MAX >> self.segment.depth());
        last < hash.top()
    }

    /// Inserts or replaces, and gives what was there before. Room was made when the segment was locked.
    pub fn insert(&mut self, hash: KeyHash, entry: Entry) -> Option<Entry> {
        let old = self.segment.insert(&mut self.writing, hash, entry);
        if old.is_none() {
            self.index.len.fetch_add(1, Ordering::Relaxed);
        }
        old
    }

    /// Replaces the entry only where it still is `old`.
    pub fn replace(&mut self, hash: KeyHash, old: Entry, new: Entry) -> bool {
        self.segment.replace(hash, old, new)
    }

    /// Removes a key and gives its entry.
    pub fn remove(&mut self, hash: KeyHash) -> Option<Entry> {
        let old = self.segment.remove(&mut self.writing, hash);
        if old.is_some() {
            self.index.len.fetch_sub(1, Ordering::Relaxed);
        }
        old
    }

    /// Makes the segment larger, or splits it; the key that it was locked for may belong to another one then.
    pub(super) fn make_room(&mut self) -> Result<(), Unavailable> {
        let index = self.index;
        let grown = {
            let mut structure = index.structure.lock();
            self.segment.grow(&mut self.writing, &index.arena, &mut structure.scratch)
        };
        match grown {
            Grown::Done => Ok(()),
            Grown::NoMemory => Err(Unavailable::NoMemory),
            Grown::MustSplit => self.split(),
        }
    }

    /// Gives the upper half of the hashes to a new segment.
    pub(super) fn split(&mut self) -> Result<(), Unavailable> {
        let index = self.index;
        let mut structure = index.structure.lock();
        index.make_room_for(&mut structure, 1, self.segment.depth() + 1)?;
        let sibling = self.segment.split(&mut self.writing, &index.arena, &mut structure.scratch);
        index.register(&mut structure, sibling.ok_or(Unavailable::NoMemory)?);
        Ok(())
    }
}
