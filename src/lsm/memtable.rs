//! The newest writes of a store, in the order of their keys, until they are written out as a run.
//!
//! One writer at a time changes it, under a lock that readers share. A key keeps the versions that somebody may still read: an older one
//! is let go of when it is replaced and no snapshot sees it.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use super::key::{self, RangeDelete};
use crate::format::collection::ListHead;
use crate::format::run::block::{Meta, What};
use crate::store::error::Result;
use crate::store::memory::{self, Refused};
use crate::sync::lock::RwLock;

/// What the tables that the standard library makes take for an entry beside its bytes, about.
const OVERHEAD: usize = 120;

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
    keys: BTreeMap<Box<[u8]>, Versions>,
    /// By sequence number.
    ranges: BTreeMap<u64, RangeDelete>,
    bytes: usize,
    seqs: Option<(u64, u64)>,
}

impl Content {
    fn note(&mut self, seq: u64, bytes: usize) {
        self.bytes += bytes + OVERHEAD;
        let (min, max) = self.seqs.unwrap_or((seq, seq));
        self.seqs = Some((min.min(seq), max.max(seq)));
    }
}

/// See the module.
#[derive(Default)]
pub struct Memtable {
    content: RwLock<Content>,
}

impl Memtable {
    /// Adds a version that is newer than all others. An older one of the key stays where a snapshot sees it: where `newest_snapshot` is
    /// not before it.
    pub fn insert(&self, key: Box<[u8]>, version: Version, newest_snapshot: Option<u64>) {
        let mut content = self.content.write();
        let (seq, size) = (version.meta.seq, key.len() + version.value.len());
        let mut dead = None;
        let mut let_go = 0;
        match content.keys.get_mut(&key) {
            None => drop(content.keys.insert(key, Versions { newest: version, older: BTreeMap::new() })),
            Some(versions) => {
                let before = std::mem::replace(&mut versions.newest, version);
                if newest_snapshot.is_some_and(|snapshot| snapshot >= before.meta.seq) {
                    versions.older.insert(before.meta.seq, before);
                } else {
                    let_go = key.len() + before.value.len() + OVERHEAD;
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
            content.ranges.insert(seq, key::dead_list(id, seq));
        }
    }

    /// Adds a delete of a range.
    pub fn delete_range(&self, range: RangeDelete) {
        let mut content = self.content.write();
        content.note(range.seq, range.from.len() + range.to.len());
        content.ranges.insert(range.seq, range);
    }

    /// The newest version of a key that a reader at `seq` sees; and the newest delete of a range with the key in it that it sees, 0 for
    /// none.
    pub fn get(&self, key: &[u8], seq: u64) -> (Option<Version>, u64) {
        let content = self.content.read();
        let version = content.keys.get(key).and_then(|versions| versions.at(seq)).cloned();
        (version, covering(&content.ranges, key, seq))
    }

    /// The newest delete of a range with `key` in it that a reader at `seq` sees; 0 for none.
    pub fn covering(&self, key: &[u8], seq: u64) -> u64 {
        covering(&self.content.read().ranges, key, seq)
    }

    /// The deletes of ranges.
    pub fn ranges(&self) -> Result<Vec<RangeDelete>, Refused> {
        RangeDelete::copies(self.content.read().ranges.values())
    }

    /// How many there are.
    pub fn range_count(&self) -> usize {
        self.content.read().ranges.len()
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
                && take(key, versions)?
            {}
        } else {
            let mut keys = content.keys.range::<[u8], _>((from, Bound::Unbounded));
            while let Some((key, versions)) = keys.next()
                && take(key, versions)?
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
            all.push((memory::copy_of(key)?, memory::collect(versions)?));
        }
        Ok(all)
    }
}

/// The newest of these deletes with `key` in it that a reader at `seq` sees; 0 for none.
fn covering(ranges: &BTreeMap<u64, RangeDelete>, key: &[u8], seq: u64) -> u64 {
    let mut newest_first = ranges.range(..=seq).rev();
    newest_first.find(|(_, range)| range.holds(key)).map_or(0, |(seq, _)| *seq)
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
