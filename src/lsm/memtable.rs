//! The newest writes of a store, in the order of their keys, until they are written out as a run.
//!
//! One writer at a time changes it, under a lock that readers share. A key keeps the versions that somebody may still read: an older one
//! is let go of when it is replaced and no snapshot sees it.

use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ops::Bound;
use std::sync::Arc;

use super::key::{self, RangeDelete};
use super::known::Known;
use crate::format::collection::ListHead;
use crate::format::run::block::{Meta, What};
use crate::store::error::Result;
use crate::store::memory::{self, Refused};
use crate::sync::lock::RwLock;

/// What the tables that the standard library makes take for an entry beside its bytes, about.
const OVERHEAD: usize = 210;
/// And for the number of a list that is no more.
const DEAD_LIST: usize = 48;
/// What a record takes in the log beside its bytes, about.
const FRAME: usize = 32;
/// A memtable is full when it takes the bytes that it may, and also when its records take so many times these in the log: where a few keys
/// are written again and again it stays small, and the log goes only when it is written out.
const MOST_LOGGED: usize = 4;
/// And with so many deletes of ranges, which a look goes through one by one.
const MOST_RANGES: usize = 256;

/// What is in the log cannot be refused when it comes here. So all that a write needs is in trees, which ask for small pieces of memory
/// only; this is where to make sure, before the log, that there is memory for so many.
pub fn make_room(writes: usize) -> Result<(), Refused> {
    memory::room_for(writes.saturating_mul(2 * OVERHEAD))
}

/// One version of a key.
#[derive(Clone, Debug)]
pub struct Version {
    /// What it says.
    pub meta: Meta,
    /// The value; empty where there is none.
    pub value: Arc<Vec<u8>>,
}

/// Keys up to this length stand in the tree itself: so a look at a node reads its keys one behind the other.
const SHORT: usize = 30;
/// So many bytes of them are compared at once.
const HALF: usize = 16;

/// A key.
#[derive(Debug)]
pub enum Key {
    /// A short one, and its length.
    Short(u8, [u8; SHORT]),
    /// Another.
    Long(Box<[u8]>),
}

impl Key {
    /// A key with these bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, Refused> {
        match Key::short([], bytes) {
            Some(short) => Ok(short),
            None => Ok(Key::Long(memory::copy_of(bytes)?.into_boxed_slice())),
        }
    }

    /// The engine's key for a key of the user's.
    pub fn of_user(user: &[u8]) -> Result<Self> {
        match Key::short([key::USER], user) {
            Some(short) => Ok(short),
            None => Ok(Key::Long(key::of_user(user)?.into_boxed_slice())),
        }
    }

    /// One that stands in the tree itself, with these bytes first; `None` where it is too long for that.
    #[inline]
    fn short<const N: usize>(first: [u8; N], rest: &[u8]) -> Option<Self> {
        let mut bytes = [0; SHORT];
        bytes.get_mut(..N)?.copy_from_slice(&first);
        bytes.get_mut(N..N + rest.len())?.copy_from_slice(rest);
        Some(Key::Short((N + rest.len()) as u8, bytes))
    }

    /// Its bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Key::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Key::Long(bytes) => bytes,
        }
    }
}

/// The first bytes of a short key as a number, which has their order.
#[inline]
fn first_half(bytes: &[u8; SHORT]) -> u128 {
    u128::from_be_bytes(*bytes.first_chunk::<HALF>().unwrap_or(&[0; HALF]))
}

impl std::borrow::Borrow<[u8]> for Key {
    #[inline]
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    /// Short ones as numbers, with the zeros behind them: where these are equal the longer one ends with zeros, and comes later.
    #[inline]
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (Key::Short(len, bytes), Key::Short(other_len, others)) = (self, other) else {
            return self.bytes().cmp(other.bytes());
        };
        let order = first_half(bytes).cmp(&first_half(others));
        order.then_with(|| (&bytes[HALF..], len).cmp(&(&others[HALF..], other_len)))
    }
}

/// A key and its versions, newest first.
pub type WithVersions = (Vec<u8>, Vec<Version>);

struct Versions {
    newest: Version,
    /// By sequence number.
    older: BTreeMap<u64, Version>,
}

impl Versions {
    fn at(&self, seq: u64) -> Option<&Version> {
        if self.newest.meta.seq <= seq {
            return Some(&self.newest);
        }
        self.older.range(..=seq).next_back().map(|(_, version)| version)
    }
}

#[derive(Default)]
struct Content {
    keys: BTreeMap<Key, Versions>,
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
        let Some(id) = key::list_of_element(key) else {
            let mut newest_first = self.ranges.range(..=seq).rev();
            return newest_first.find(|(_, range)| range.holds(key)).map_or(0, |(seq, _)| *seq);
        };
        let dead = self.dead.range(..=id).next_back();
        dead.filter(|(_, (behind, own))| id < *behind && *own <= seq).map_or(0, |(_, (_, own))| *own)
    }

    fn note(&mut self, seq: u64, bytes: usize) {
        self.bytes += bytes + OVERHEAD;
        self.logged += bytes + FRAME;
        let (min, max) = self.seqs.unwrap_or((seq, seq));
        self.seqs = Some((min.min(seq), max.max(seq)));
    }
}

/// See the module.
#[derive(Default)]
pub struct Memtable {
    content: RwLock<Content>,
    known: Known,
}

impl Memtable {
    /// One that is full with so many bytes.
    pub fn new(size: usize) -> Self {
        let known = Known::new(size);
        let content = Content { bytes: known.bytes(), ..Content::default() };
        Memtable { content: RwLock::new(content), known }
    }

    /// Whether it may have something to say about a key with this hash. Asked without a lock.
    pub fn may_say_something(&self, hash: u64) -> bool {
        self.known.may_say_something(hash)
    }

    /// Adds a version that is newer than all others; `hash` is what filters have of the key. An older one of the key stays where a snapshot sees it: where `newest_snapshot` is
    /// not before it.
    pub fn insert(&self, key: Key, hash: u64, version: Version, newest_snapshot: Option<u64>) {
        self.known.note(hash);
        let mut content = self.content.write();
        let key_len = key.bytes().len();
        let (seq, size) = (version.meta.seq, key_len + version.value.len());
        let mut dead = None;
        let mut let_go = 0;
        match content.keys.entry(key) {
            Entry::Vacant(place) => drop(place.insert(Versions { newest: version, older: BTreeMap::new() })),
            Entry::Occupied(place) => {
                let versions = place.into_mut();
                let before = std::mem::replace(&mut versions.newest, version);
                if newest_snapshot.is_some_and(|snapshot| snapshot >= before.meta.seq) {
                    versions.older.insert(before.meta.seq, before);
                } else {
                    let_go = key_len + before.value.len() + OVERHEAD;
                    dead = dead_list(
                        &before.meta,
                        &before.value,
                        Some((&versions.newest.meta, &versions.newest.value)),
                    );
                }
            }
        }
        content.note(seq, size);
        content.bytes = content.bytes.saturating_sub(let_go);
        if let Some(id) = dead {
            self.known.note_range();
            content.add_dead_list(id, seq);
        }
    }

    /// Adds a delete of a range.
    pub fn delete_range(&self, range: RangeDelete) {
        self.known.note_range();
        let mut content = self.content.write();
        content.note(range.seq, range.from.len() + range.to.len());
        content.ranges.insert(range.seq, range);
    }

    /// The newest version of a key that a reader at `seq` sees; and the newest delete of a range with the key in it that it sees, 0 for
    /// none.
    pub fn get(&self, key: &[u8], seq: u64) -> (Option<Version>, u64) {
        let short = Key::short([], key);
        let content = self.content.read();
        let versions = match &short {
            Some(short) => content.keys.get(short),
            None => content.keys.get(key),
        };
        let version = versions.and_then(|versions| versions.at(seq)).cloned();
        (version, content.covering(key, seq))
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
        all.extend(dead.map(|(first, (behind, seq))| key::dead_lists(*first, *behind, *seq)));
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

    /// Up to `most` keys behind `from`, or before it where `reverse` is set, with the version that a reader at `seq` sees.
    fn some(
        &self,
        from: Bound<&[u8]>,
        reverse: bool,
        seq: u64,
        most: usize,
    ) -> Result<VecDeque<(Vec<u8>, Version)>, Refused> {
        let content = self.content.read();
        let mut rows = memory::vec_with_room(most)?;
        // False where there are enough.
        let mut take = |key: &[u8], versions: &Versions| -> Result<bool, Refused> {
            if let Some(version) = versions.at(seq) {
                rows.push((memory::copy_of(key)?, version.clone()));
            }
            Ok(rows.len() < most)
        };
        if reverse {
            let mut keys = content.keys.range::<[u8], _>((Bound::Unbounded, from)).rev();
            while let Some((key, versions)) = keys.next()
                && take(key.bytes(), versions)?
            {}
        } else {
            let mut keys = content.keys.range::<[u8], _>((from, Bound::Unbounded));
            while let Some((key, versions)) = keys.next()
                && take(key.bytes(), versions)?
            {}
        }
        Ok(rows.into())
    }

    /// Up to `most` keys behind `after`, with all their versions, newest first.
    pub fn all_versions(&self, after: Option<&[u8]>, most: usize) -> Result<Vec<WithVersions>, Refused> {
        let content = self.content.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut all = memory::vec_with_room(most)?;
        for (key, versions) in content.keys.range::<[u8], _>((from, Bound::Unbounded)).take(most) {
            let versions = [&versions.newest].into_iter().chain(versions.older.values().rev()).cloned();
            all.push((memory::copy_of(key.bytes())?, memory::collect(versions)?));
        }
        Ok(all)
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

/// Goes through the keys of a memtable, as a reader at one sequence number sees them. It holds no lock between steps.
pub struct Cursor {
    table: Arc<Memtable>,
    seq: u64,
    reverse: bool,
    rows: VecDeque<(Vec<u8>, Version)>,
    next_load: usize,
}

/// So many rows are loaded at once, at most.
const MOST_LOADED: usize = 256;

impl Cursor {
    /// A cursor that is nowhere yet.
    pub fn new(table: Arc<Memtable>, seq: u64, reverse: bool) -> Self {
        Cursor { table, seq, reverse, rows: VecDeque::new(), next_load: 4 }
    }

    /// Goes to the first key in its direction within a bound.
    pub fn seek(&mut self, from: Bound<&[u8]>) -> Result<()> {
        self.next_load = 4;
        self.rows = self.table.some(from, self.reverse, self.seq, self.next_load)?;
        Ok(())
    }

    /// The key where it is.
    pub fn key(&self) -> Option<&[u8]> {
        self.rows.front().map(|(key, _)| key.as_slice())
    }

    /// Where it is.
    pub fn current(&self) -> Option<(&[u8], &Meta, &[u8])> {
        self.rows.front().map(|(key, version)| (key.as_slice(), &version.meta, version.value.as_slice()))
    }

    /// Goes on.
    pub fn advance(&mut self) -> Result<()> {
        if let (1, Some((key, _))) = (self.rows.len(), self.rows.front()) {
            self.next_load = (self.next_load * 4).min(MOST_LOADED);
            self.rows = self.table.some(Bound::Excluded(key), self.reverse, self.seq, self.next_load)?;
        } else {
            self.rows.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_are_no_more_join_their_neighbours() {
        let mut content = Content::default();
        for (seq, id) in [(10, 3), (20, 5), (30, 9), (40, 4), (50, 4)] {
            content.add_dead_list(id, seq);
        }
        assert_eq!(content.dead, BTreeMap::from([(3, (6, 50)), (9, (10, 30))]));
        assert_eq!(content.bytes, 2 * DEAD_LIST);
        let covering = |id, seq| content.covering(&key::of_element(id, 0), seq);
        let found = [(2, 99), (3, 99), (5, 50), (5, 49), (6, 99), (9, 30), (10, 99)];
        assert_eq!(found.map(|(id, seq)| covering(id, seq)), [0, 50, 50, 0, 0, 30, 0]);
    }
}
