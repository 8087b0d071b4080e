//! What is alive in each file once the index of a store was rebuilt.

use super::rebuild::{Content, Rebuild, Rebuilt};
use crate::bitcask::engine::expiry::Expiries;
use crate::format::collection::ListHead;
use crate::format::manifest::Manifest;
use crate::index::{Cursor, Entry, Index, KeyHash, SizeClass};
use crate::log::Position;
use crate::log::recovery::Listed;
use crate::log::recovery::walk::Outcome;
use crate::store::error::Result;
use crate::store::memory;
use crate::sync::parallel::on_all_cores;

/// What is alive in each slot.
type InSlots = [Live];

/// Records that are alive.
#[derive(Clone, Copy, Default)]
struct Live {
    records: u64,
    /// The bytes that they take, by size class.
    weight: u64,
}

/// What the index has when [`Rebuild::finish`] is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// All keys.
    AreComplete,
    /// The keys that were written since a checkpoint, and tombstones, which are kept. Live records are counted when roots are taken over.
    AreSome,
}

impl std::ops::AddAssign for Live {
    fn add_assign(&mut self, more: Live) {
        self.records += more.records;
        self.weight += more.weight;
    }
}

/// Counts a record.
fn note(live: &mut InSlots, entry: Entry) {
    if let Some(live) = live.get_mut(usize::from(entry.location.slot)) {
        *live += Live { records: 1, weight: entry.size.bytes() };
    }
}

/// Adds counts, slot by slot.
fn add(sums: &mut InSlots, more: &InSlots) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += *more);
}

impl Rebuild<'_> {
    /// Shows all keys of the index to `visit`, on all cores, and adds up what it counts.
    fn count(&self, visit: impl Fn(KeyHash, Entry, &mut InSlots) -> Result<()> + Sync) -> Result<Vec<Live>> {
        let no_live = || memory::vec_of(Live::default(), self.by_slot.len());
        let parts: Vec<Result<_>> = on_all_cores(usize::from(u8::MAX) + 1, self.bytes(), |roots| {
            let (mut live, mut some) = (no_live()?, Vec::new());
            for root in roots.map(|root| root as u8) {
                let mut cursor = Some(Cursor::of_root(root));
                while let Some(at) = cursor.filter(|at| at.root() == root) {
                    some.clear();
                    cursor = self.index.collect(at, &mut some)?;
                    some.iter().try_for_each(|(hash, entry)| visit(*hash, *entry, &mut live))?;
                }
            }
            Ok(live)
        });
        let mut sums = no_live()?;
        for part in parts {
            add(&mut sums, &part?);
        }
        Ok(sums)
    }

    /// Forgets tombstones, and counts the records of keys that are alive.
    fn count_live(&self) -> Result<Vec<Live>> {
        self.count(|hash, entry, live| {
            if entry.size == SizeClass::TOMBSTONE {
                let _ = self.index.lock(hash).map(|mut locked| locked.remove(hash));
            } else {
                note(live, entry);
            }
            Ok(())
        })
    }

    /// Finds the elements that heads name, which alone are alive, and counts them. What expires before `known_ms` has expired.
    fn find_named(&self, elements: &Index, known_ms: u64) -> Result<(Index, Vec<Live>)> {
        let named = Index::new()?;
        let live = self.count(|_, entry, live| {
            if entry.size.is_head() { self.name(elements, &named, entry, known_ms, live) } else { Ok(()) }
        })?;
        Ok((named, live))
    }

    /// Takes over the elements that the head at `entry` names.
    fn name(
        &self,
        elements: &Index,
        named: &Index,
        entry: Entry,
        known_ms: u64,
        live: &mut InSlots,
    ) -> Result<()> {
        let Some(Some((_, file))) = self.by_slot.get(usize::from(entry.location.slot)) else { return Ok(()) };
        let mut buffer = Vec::new();
        let frame = file.frame(entry, &mut buffer)?;
        let corrupt = |what| file.corrupt(frame.offset, what);
        let head = ListHead::decode(frame.value()).map_err(corrupt)?;
        for position in head.first..head.end {
            let hash = self.hasher.hash(&head.element_key(position));
            let Some(element) = elements.get(hash) else {
                // Of a list that has expired nothing is said in the log, and merges may have dropped elements before the head.
                if frame.header.expiry_ms.is_some_and(|expiry_ms| expiry_ms <= known_ms) {
                    continue;
                }
                return Err(corrupt("the head of a list names an element that is not there"));
            };
            named.lock_for_insert(hash)?.insert(hash, element);
            note(live, element);
        }
        Ok(())
    }

    /// Counts what is alive, once all records are in the index. `outcomes` and `contents` are what was found in the files.
    pub fn finish(
        mut self,
        manifest: &Manifest,
        files: &[Listed],
        (outcomes, contents): (&[Outcome], &[Content]),
        keys: Keys,
        frontier: Position,
    ) -> Result<Rebuilt> {
        let mut live = match keys {
            Keys::AreComplete => self.count_live()?,
            Keys::AreSome => memory::vec_of(Live::default(), self.by_slot.len())?,
        };
        let known_ms = outcomes.iter().map(|outcome| outcome.max_time_ms).fold(manifest.clock_ms, u64::max);
        let elements = match self.elements.take() {
            Some(all) => {
                let (named, of_elements) = self.find_named(&all, known_ms)?;
                add(&mut live, &of_elements);
                Some(named)
            }
            None => None,
        };
        let (mut max_seq, mut max_time_ms, mut max_collection) = (manifest.last_seq, 0, 0);
        for (((_, file), outcome), content) in files.iter().zip(outcomes).zip(contents) {
            let live = live[usize::from(file.slot)];
            file.usage.set(content.records, content.weight, live.records, live.weight);
            if outcome.seqs.1 > 0 {
                file.include_seqs(outcome.seqs.0, outcome.seqs.1);
            }
            max_seq = max_seq.max(outcome.seqs.1);
            max_time_ms = max_time_ms.max(outcome.max_time_ms);
            max_collection = max_collection.max(content.max_collection);
        }
        let next_collection = max_collection.saturating_add(1);
        let expiries = Expiries::new()?;
        for expiring in self.expiring.into_inner() {
            expiring.finish(&self.index, &expiries)?;
        }
        let (index, closed, sequence) = (self.index, None, None);
        Ok(Rebuilt {
            index,
            elements,
            next_collection,
            expiries,
            max_seq,
            max_time_ms,
            closed,
            frontier,
            sequence,
        })
    }
}
