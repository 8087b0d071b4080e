//! Many keys at once, for a store that is being rebuilt: sorted by hash, they reach each segment in one pass.
//!
//! One by one, every key is a cache miss and moves its neighbours. Sorted runs are merged with what a segment holds, which
//! is in the same order (as a merge sort does, and as segments grow and split).

use super::arena::BLOCK_SLOTS;
use super::segment::{Grown, MAX_BLOCKS, Pair};
use super::{Entry, Index, KeyHash, Locked, Unavailable};
use crate::store::memory::{self, Refused};

/// A run that brings less than one key for so many in a segment is inserted key by key.
const SPARSE: usize = 32;

/// One version of a key: where its record is, and the sequence number.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    word: u64,
    packed: u64,
    /// The sequence number of the record.
    pub seq: u64,
}

impl Version {
    /// The record of a key with this hash, of which [`Index::absorb`] is told the root.
    pub fn new(hash: KeyHash, entry: Entry, seq: u64) -> Self {
        Version { word: hash.word, packed: entry.pack(hash.fingerprint), seq }
    }

    /// Where the record is.
    pub fn entry(&self) -> Option<Entry> {
        Entry::unpack(self.packed)
    }

    fn fingerprint(&self) -> u8 {
        (self.packed >> 56) as u8
    }

    fn is_same_key(&self, other: &Version) -> bool {
        (self.word, self.fingerprint()) == (other.word, other.fingerprint())
    }
}

/// Puts many versions of keys into an index, through buffers that are made once. One for each thread.
pub struct Absorber<'a> {
    index: &'a Index,
    sorted: Vec<Version>,
    buffers: Buffers,
}

/// The keys of a segment before and after a merge. One segment after the other is written through them.
#[derive(Default)]
struct Buffers {
    held: Vec<Pair>,
    merged: Vec<Pair>,
}

impl Index {
    /// Takes many versions of keys at once.
    pub fn absorber(&self) -> Absorber<'_> {
        Absorber { index: self, sorted: Vec::new(), buffers: Buffers::default() }
    }
}

impl Absorber<'_> {
    /// Inserts versions of keys whose hashes begin with the byte `root`, in any order, and empties the vector. Of two
    /// versions of a key the one with the larger number stays; `is_newer` is asked whether a version is newer than the
    /// entry that the index has.
    pub fn absorb<E: From<Unavailable>>(
        &mut self,
        root: u8,
        versions: &mut Vec<Version>,
        mut is_newer: impl FnMut(&Version, Entry) -> Result<bool, E>,
    ) -> Result<(), E> {
        sort(versions, &mut self.sorted).map_err(Unavailable::from)?;
        versions.clear();
        // The last of each key.
        self.sorted.dedup_by(|newer, kept| {
            let same = newer.is_same_key(kept);
            if same {
                *kept = *newer;
            }
            same
        });

        let hash =
            |version: &Version| KeyHash { root, word: version.word, fingerprint: version.fingerprint() };
        let mut rest = &self.sorted[..];
        while let Some(first) = rest.first() {
            let mut locked = self.index.lock_top(hash(first).top())?;
            let here = rest.partition_point(|version| locked.segment.covers(hash(version).top()));
            let (run, behind) = rest.split_at(here);
            if run.len() * SPARSE < locked.writing.len {
                drop(locked);
                for version in run {
                    let hash = hash(version);
                    let mut locked = self.index.lock_for_insert(hash)?;
                    let Some(entry) = version.entry() else { continue };
                    match locked.get(hash) {
                        Some(old) if !is_newer(version, old)? => {}
                        _ => drop(locked.insert(hash, entry)),
                    }
                }
                rest = behind;
            } else if locked.merge(run, &mut self.buffers, &mut is_newer)? {
                rest = behind;
            } else {
                locked.split()?;
            }
        }
        Ok(())
    }
}

/// How many versions share a bucket, when hashes are spread as they should be.
const BUCKET: usize = 8;

/// Fills `sorted` with the versions, by key and age. The words are spread evenly, so that counting them by their first bits
/// leaves little to sort; made-up ones cost a sort.
fn sort(versions: &[Version], sorted: &mut Vec<Version>) -> Result<(), Refused> {
    let bits = (versions.len() / BUCKET).max(2).ilog2();
    let bucket = |version: &Version| (version.word >> (64 - bits)) as usize;
    let mut ends = memory::vec_of(0u32, 1 << bits)?;
    versions.iter().for_each(|version| ends[bucket(version)] += 1);
    let mut begin = 0;
    for end in &mut ends {
        begin += std::mem::replace(end, begin);
    }
    sorted.clear();
    memory::reserve(sorted, versions.len())?;
    sorted.resize(versions.len(), Version { word: 0, packed: 0, seq: 0 });
    for version in versions {
        let end = &mut ends[bucket(version)];
        sorted[*end as usize] = *version;
        *end += 1;
    }
    let mut begin = 0;
    for end in ends {
        sorted[begin..end as usize]
            .sort_unstable_by_key(|version| (version.word, version.fingerprint(), version.seq));
        begin = end as usize;
    }
    Ok(())
}

impl Locked<'_> {
    /// Merges a sorted run of different keys into the segment. False, and nothing is changed, where it has no room.
    fn merge<E: From<Unavailable>>(
        &mut self,
        run: &[Version],
        Buffers { held, merged }: &mut Buffers,
        is_newer: &mut impl FnMut(&Version, Entry) -> Result<bool, E>,
    ) -> Result<bool, E> {
        if self.writing.len == 0 && run.len() > MAX_BLOCKS * BLOCK_SLOTS {
            return Ok(false);
        }
        held.clear();
        self.collect(0, usize::MAX, held).map_err(Unavailable::from)?;
        let before = held.len();
        merged.clear();
        memory::reserve(merged, before + run.len()).map_err(Unavailable::from)?;
        let mut at = 0;
        for version in run {
            let smaller = held[at..].iter().take_while(|(word, _)| *word < version.word).count();
            merged.extend_from_slice(&held[at..at + smaller]);
            at += smaller;
            let same = |(word, packed): &&mut Pair| {
                *word == version.word && (*packed >> 56) as u8 == version.fingerprint()
            };
            let equal = held[at..].iter_mut().take_while(|(word, _)| *word == version.word);
            match { equal }.find(same) {
                None => merged.push((version.word, version.packed)),
                Some((_, packed)) => {
                    let newer = match Entry::unpack(*packed) {
                        Some(old) => is_newer(version, old)?,
                        None => true,
                    };
                    if newer {
                        *packed = version.packed;
                    }
                }
            }
        }
        merged.extend_from_slice(&held[at..]);
        match self.segment.lay_out(&mut self.writing, &self.index.arena, merged, 0) {
            Grown::Done => {
                let added = (merged.len() - before) as u64;
                self.index.len.fetch_add(added, crate::sync::atomic::Ordering::Relaxed);
                Ok(true)
            }
            Grown::MustSplit => Ok(false),
            Grown::NoMemory => Err(Unavailable::NoMemory.into()),
        }
    }
}
