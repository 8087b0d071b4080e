//! The newest writes of a store, in the order of their keys, until they are written out as a run.
//!
//! One writer at a time changes it, under a lock that readers share. A key keeps the versions that somebody may still read: an older one
//! is let go of when it is replaced and no snapshot sees it.

mod cursor;
mod key;
mod values;

pub use cursor::Cursor;
pub use key::Key;
pub use values::{NewValue, Value};

use std::collections::btree_map::{BTreeMap, Entry};

use values::{Stored, Values};

use crate::format::collection::ListHead;
use crate::format::run::block::{Meta, What};
use crate::lsm::key::{RangeDelete, dead_lists, list_of_element};
use crate::lsm::known::Known;
use crate::store::memory::{self, Refused};
use crate::sync::lock::{ReadGuard, RwLock};

/// What the tree takes for an entry beside its bytes, about.
const OVERHEAD: usize = 160;
/// What the number of a list that is no more takes, about.
const DEAD_LIST: usize = 48;
/// What a record takes in the log beside its bytes, about.
const FRAME: usize = 32;
/// A memtable is full when it takes the bytes that it may, and also when its records take this many times as much in the log: where a few
/// keys are written again and again it stays small, and the log goes only when it is written out.
const MOST_LOGGED: usize = 4;
/// A memtable is full with this many deletes of ranges too: a look goes through them one by one.
const MOST_RANGES: usize = 256;

/// What is in the log cannot be refused when it comes here. So all that a write needs beside its values is in trees, which ask for small
/// pieces of memory only; this is where to make sure, before the log, that there is memory for so many.
pub fn make_room(writes: usize) -> Result<(), Refused> {
    memory::room_for(writes.saturating_mul(2 * OVERHEAD))
}

/// One version of a key.
struct Version {
    meta: Meta,
    value: Stored,
}

/// Versions that were replaced and that a snapshot sees, by sequence number.
#[derive(Default)]
struct Older(BTreeMap<u64, Version>);

struct Versions {
    newest: Version,
    /// Most keys have none, and room for one pointer only.
    older: Option<Box<Older>>,
}

impl Versions {
    fn at(&self, seq: u64) -> Option<&Version> {
        if self.newest.meta.seq <= seq {
            return Some(&self.newest);
        }
        self.older.as_ref()?.0.range(..=seq).next_back().map(|(_, version)| version)
    }
}

#[derive(Default)]
struct Content {
    keys: BTreeMap<Key, Versions>,
    values: Values,
    /// Deletes of ranges of the user's keys, by sequence number.
    ranges: BTreeMap<u64, RangeDelete>,
    /// Lists that are no more, neighbours together: the first number, the one behind the last, and the place in the order of writes.
    /// Nothing of a list is newer than its delete, so that of neighbours the later one serves both.
    dead: BTreeMap<u64, (u64, u64)>,
    bytes: usize,
    /// What its records take in the log, also those of which nothing is left here.
    logged: usize,
    seqs: Option<(u64, u64)>,
}

impl Content {
    fn add_dead_list(&mut self, id: u64, seq: u64) {
        let (mut first, mut behind, mut seq) = (id, id.saturating_add(1), seq);
        if let Some((before, (end, other))) =
            self.dead.range(..=id).next_back().map(|(id, dead)| (*id, *dead))
            && end >= id
        {
            (first, behind, seq) = (before, behind.max(end), seq.max(other));
        }
        if let Some((end, other)) = self.dead.remove(&behind) {
            (behind, seq) = (end, seq.max(other));
            self.bytes = self.bytes.saturating_sub(DEAD_LIST);
        }
        if self.dead.insert(first, (behind, seq)).is_none() {
            self.bytes += DEAD_LIST;
        }
    }

    /// The newest delete with `key` in it that a reader at `seq` sees; 0 for none.
    fn covering(&self, key: &[u8], seq: u64) -> u64 {
        let Some(id) = list_of_element(key) else {
            let mut newest_first = self.ranges.range(..=seq).rev();
            return newest_first.find(|(_, range)| range.holds(key)).map_or(0, |(seq, _)| *seq);
        };
        let dead = self.dead.range(..=id).next_back();
        dead.filter(|(_, (behind, own))| id < *behind && *own <= seq).map_or(0, |(_, (_, own))| *own)
    }

    fn note(&mut self, seq: u64, bytes: usize) {
        self.logged += bytes + FRAME;
        let (min, max) = self.seqs.unwrap_or((seq, seq));
        self.seqs = Some((min.min(seq), max.max(seq)));
    }
}

/// See the module.
pub struct Memtable {
    content: RwLock<Content>,
    known: Known,
}

impl Memtable {
    /// One that is full with so many bytes.
    pub fn new(size: usize) -> Self {
        let known = Known::new(size);
        let content = Content { bytes: known.bytes(), values: Values::new(size), ..Content::default() };
        Memtable { content: RwLock::new(content), known }
    }

    /// As [`Memtable::new`], for an opening that fills it from the log. It has no filter: whoever looks for a key looks into it.
    pub fn of_the_log(size: usize) -> Self {
        let content = Content { values: Values::new(size), ..Content::default() };
        Memtable { content: RwLock::new(content), known: Known::default() }
    }

    /// Whether it may have something to say about a key with this hash. Asked without a lock.
    pub fn may_say_something(&self, hash: u64) -> bool {
        self.known.may_say_something(hash)
    }

    /// Makes sure that there is memory for so many bytes of values, which are added then without fail. For who writes.
    pub fn make_room(&self, bytes: usize) -> Result<(), Refused> {
        let mut content = self.content.write();
        content.bytes += content.values.make_room(bytes)?;
        Ok(())
    }

    /// Adds a version that is newer than all others; `hash` is what filters have of the key. An older one of the key stays where a
    /// snapshot sees it: where `newest_snapshot` is not before it.
    pub fn insert(&self, key: Key, hash: u64, meta: Meta, value: NewValue<'_>, newest_snapshot: Option<u64>) {
        self.known.note(hash);
        let mut content = self.content.write();
        let content = &mut *content;
        let (key_len, len) = (key.bytes().len(), value.bytes().len());
        content.note(meta.seq, key_len + len);
        let mut dead = None;
        match content.keys.entry(key) {
            Entry::Vacant(place) => {
                content.bytes += key_len + len + OVERHEAD;
                let newest = Version { meta, value: content.values.add(value) };
                place.insert(Versions { newest, older: None });
            }
            Entry::Occupied(place) => {
                let versions = place.into_mut();
                let before = versions.newest.meta;
                if newest_snapshot.is_some_and(|snapshot| snapshot >= before.seq) {
                    content.bytes += len + OVERHEAD;
                    let newest = Version { meta, value: content.values.add(value) };
                    let before = std::mem::replace(&mut versions.newest, newest);
                    versions.older.get_or_insert_default().0.insert(before.meta.seq, before);
                } else {
                    let newest = &mut versions.newest;
                    dead =
                        dead_list(&before, content.values.bytes(&newest.value), Some((&meta, value.bytes())));
                    newest.meta = meta;
                    let (taken, given_back) = content.values.replace(&mut newest.value, value);
                    content.bytes = (content.bytes + taken).saturating_sub(given_back);
                }
            }
        }
        if let Some(id) = dead {
            self.known.note_range();
            content.add_dead_list(id, meta.seq);
        }
    }

    /// Adds a delete of a range.
    pub fn delete_range(&self, range: RangeDelete) {
        self.known.note_range();
        let mut content = self.content.write();
        let bytes = range.from.len() + range.to.len();
        content.note(range.seq, bytes);
        content.bytes += bytes + OVERHEAD;
        content.ranges.insert(range.seq, range);
    }

    /// The newest version of a key that a reader at `seq` sees, with its value; and the newest delete of a range with the key in it that
    /// it sees, 0 for none.
    pub fn get(&self, key: &[u8], seq: u64) -> Result<(Option<(Meta, Value)>, u64), Refused> {
        let short = Key::short([], key);
        let content = self.content.read();
        let versions = match &short {
            Some(short) => content.keys.get(short),
            None => content.keys.get(key),
        };
        let version = versions.and_then(|versions| versions.at(seq));
        let version = version.map(|version| Ok((version.meta, content.values.value(&version.value)?)));
        Ok((version.transpose()?, content.covering(key, seq)))
    }

    /// The newest delete of a range with `key` in it that a reader at `seq` sees; 0 for none.
    pub fn covering(&self, key: &[u8], seq: u64) -> u64 {
        self.content.read().covering(key, seq)
    }

    /// The deletes of ranges, and of lists that are no more.
    pub fn ranges(&self) -> Result<Vec<RangeDelete>, Refused> {
        let content = self.content.read();
        let mut all = RangeDelete::copies(content.ranges.values())?;
        memory::reserve(&mut all, content.dead.len())?;
        let dead = content.dead.iter();
        all.extend(dead.map(|(first, (behind, seq))| dead_lists(*first, *behind, *seq)));
        Ok(all)
    }

    /// Whether there is a delete of a range, or a list that is no more.
    pub fn has_ranges(&self) -> bool {
        self.known.may_have_ranges()
    }

    /// Whether another should take over, where it may take so many bytes.
    pub fn is_full(&self, size: usize) -> bool {
        let content = self.content.read();
        content.bytes >= size
            || content.logged >= size.saturating_mul(MOST_LOGGED)
            || content.ranges.len() >= MOST_RANGES
    }

    /// What its records take in the log, about.
    pub fn logged_bytes(&self) -> usize {
        self.content.read().logged
    }

    /// The memory that it takes, about.
    pub fn bytes(&self) -> usize {
        self.content.read().bytes
    }

    /// The number of keys.
    pub fn keys(&self) -> usize {
        self.content.read().keys.len()
    }

    /// The smallest and the largest sequence number; `None` where it is empty.
    pub fn seqs(&self) -> Option<(u64, u64)> {
        self.content.read().seqs
    }

    /// Everything that is in it: for who writes it out, while nobody writes to it any more.
    pub fn all(&self) -> All<'_> {
        All(self.content.read())
    }
}

/// What is in a memtable, which stays as it is as long as this is there.
pub struct All<'a>(ReadGuard<'a, Content>);

/// A version and its value.
pub type WithValue<'a> = (&'a Meta, &'a [u8]);

impl All<'_> {
    /// The keys in their order, each with its versions, newest first.
    pub fn keys(&self) -> impl Iterator<Item = (&[u8], impl Iterator<Item = WithValue<'_>>)> {
        let values = &self.0.values;
        self.0.keys.iter().map(move |(key, versions)| {
            let older = versions.older.iter().flat_map(|older| older.0.values().rev());
            let all = [&versions.newest].into_iter().chain(older);
            (key.bytes(), all.map(move |version| (&version.meta, values.bytes(&version.value))))
        })
    }
}

/// The list that is no more, where a version goes that was followed by `newer`, or by a delete.
pub fn dead_list(meta: &Meta, value: &[u8], newer: Option<(&Meta, &[u8])>) -> Option<u64> {
    let id = |meta: &Meta, value: &[u8]| {
        (meta.what == What::Head).then(|| ListHead::decode(value).ok()).flatten().map(|head| head.id)
    };
    let old = id(meta, value)?;
    (newer.and_then(|(meta, value)| id(meta, value)) != Some(old)).then_some(old)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsm::key::of_element;

    #[test]
    fn lists_that_are_no_more_join_their_neighbours() {
        let mut content = Content::default();
        for (seq, id) in [(10, 3), (20, 5), (30, 9), (40, 4), (50, 4)] {
            content.add_dead_list(id, seq);
        }
        assert_eq!(content.dead, BTreeMap::from([(3, (6, 50)), (9, (10, 30))]));
        assert_eq!(content.bytes, 2 * DEAD_LIST);
        let covering = |id, seq| content.covering(&of_element(id, 0), seq);
        let found = [(2, 99), (3, 99), (5, 50), (5, 49), (6, 99), (9, 30), (10, 99)];
        assert_eq!(found.map(|(id, seq)| covering(id, seq)), [0, 50, 50, 0, 0, 30, 0]);
    }
}
