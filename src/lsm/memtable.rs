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
use crate::sync::lock::RwLock;

/// What the tables that the standard library makes take for an entry beside its bytes, about.
const OVERHEAD: usize = 120;

/// One version of a key.
#[derive(Clone, Debug)]
pub struct Version {
    /// What it says.
    pub meta: Meta,
    /// The value; empty where there is none.
    pub value: Arc<Vec<u8>>,
}

struct Versions {
    newest: Version,
    /// Newest first.
    older: Vec<Version>,
}

impl Versions {
    fn at(&self, seq: u64) -> Option<&Version> {
        if self.newest.meta.seq <= seq {
            return Some(&self.newest);
        }
        self.older.iter().find(|version| version.meta.seq <= seq)
    }
}

#[derive(Default)]
struct Content {
    keys: BTreeMap<Box<[u8]>, Versions>,
    ranges: Vec<RangeDelete>,
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
            None => drop(content.keys.insert(key, Versions { newest: version, older: Vec::new() })),
            Some(versions) => {
                let before = std::mem::replace(&mut versions.newest, version);
                if newest_snapshot.is_some_and(|snapshot| snapshot >= before.meta.seq) {
                    versions.older.insert(0, before);
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
            content.ranges.push(key::dead_list(id, seq));
        }
    }

    /// Adds a delete of a range.
    pub fn delete_range(&self, range: RangeDelete) {
        let mut content = self.content.write();
        content.note(range.seq, range.from.len() + range.to.len());
        content.ranges.push(range);
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
    pub fn ranges(&self) -> Vec<RangeDelete> {
        self.content.read().ranges.clone()
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
    fn some(&self, from: Bound<&[u8]>, reverse: bool, seq: u64, most: usize) -> VecDeque<(Vec<u8>, Version)> {
        let content = self.content.read();
        let seen = |(key, versions): (&[u8], &Versions)| {
            versions.at(seq).map(|version| (key.to_vec(), version.clone()))
        };
        if reverse {
            let keys = content.keys.range::<[u8], _>((Bound::Unbounded, from)).rev();
            keys.map(|(key, versions)| (&**key, versions)).filter_map(seen).take(most).collect()
        } else {
            let keys = content.keys.range::<[u8], _>((from, Bound::Unbounded));
            keys.map(|(key, versions)| (&**key, versions)).filter_map(seen).take(most).collect()
        }
    }

    /// Up to `most` keys behind `after`, with all their versions, newest first.
    pub fn all_versions(&self, after: Option<&[u8]>, most: usize) -> Vec<(Vec<u8>, Vec<Version>)> {
        let content = self.content.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let keys = content.keys.range::<[u8], _>((from, Bound::Unbounded)).take(most);
        keys.map(|(key, versions)| {
            let all = [&versions.newest].into_iter().chain(&versions.older).cloned();
            (key.to_vec(), all.collect())
        })
        .collect()
    }
}

/// The newest of these deletes with `key` in it that a reader at `seq` sees; 0 for none.
pub fn covering(ranges: &[RangeDelete], key: &[u8], seq: u64) -> u64 {
    let seen = ranges.iter().filter(|range| range.seq <= seq && range.holds(key));
    seen.map(|range| range.seq).max().unwrap_or(0)
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
        self.rows = self.table.some(from, self.reverse, self.seq, self.next_load);
        Ok(())
    }

    /// Where it is.
    pub fn current(&self) -> Option<(&[u8], &Meta, &[u8])> {
        self.rows.front().map(|(key, version)| (key.as_slice(), &version.meta, version.value.as_slice()))
    }

    /// Goes on.
    pub fn advance(&mut self) -> Result<()> {
        let Some((key, _)) = self.rows.pop_front() else { return Ok(()) };
        if self.rows.is_empty() {
            self.next_load = (self.next_load * 4).min(MOST_LOADED);
            self.rows = self.table.some(Bound::Excluded(&key), self.reverse, self.seq, self.next_load);
        }
        Ok(())
    }
}
