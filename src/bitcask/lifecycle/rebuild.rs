//! The index of a store that has no checkpoint: from its hints, and from the records of its files, on all cores.

use std::collections::HashMap;
use std::sync::Arc;

use super::expiring::Expiring;
use super::open::access;
use super::running::{Base, Covered};
use super::sequence::Sequence;
use super::tails::repair_tails;
use crate::bitcask::engine::clock::Reading;
use crate::bitcask::engine::expiry::Expiries;
use crate::bitcask::lifecycle::hints;
use crate::disk::process;
use crate::format::collection::ListHead;
use crate::format::features::COLLECTIONS;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::{Header, Kind, MAX_HEADER_SIZE};
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::format::{ALIGNMENT, FileId};
use crate::index::{Absorber, Cursor, Entry, Index, KeyHash, KeyHasher, Location, SizeClass, Version};
use crate::log::Position;
use crate::log::append::weight;
use crate::log::catalog::Catalog;
use crate::log::file::{DataFile, Frame};
use crate::log::scan::{End, frames_behind, is_zeros, scan};
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;
use crate::store::memory::{self, Refused};
use crate::store::options::Options;
use crate::sync::lock::Mutex;
use crate::sync::parallel::{cores, on_all_cores};

/// What is known of a store before it can be used.
pub struct Rebuilt {
    /// Every key and its place.
    pub index: Index,
    /// Every element of a collection, in stores that may have some.
    pub elements: Option<Index>,
    /// No collection in the log has this number, or a greater one.
    pub next_collection: u64,
    /// The keys that expire.
    pub expiries: Expiries,
    /// The last sequence number.
    pub max_seq: u64,
    /// The latest time of a record.
    pub max_time_ms: u64,
    /// What the clocks said when the store was closed, where that is known.
    pub closed: Option<Reading>,
    /// All of the log before this is durable; behind it all that is not in a file of which it is unsure.
    pub frontier: Position,
    /// What the sequence numbers say; nothing after a clean close, which says it itself.
    pub sequence: Option<Sequence>,
}

/// Rebuilds the index from hints and data files.
pub fn rebuild(
    catalog: &Catalog,
    manifest: &Manifest,
    hasher: &KeyHasher,
    options: &Options,
) -> Result<Rebuilt> {
    let mut files = memory::vec_with_room(manifest.files.len())?;
    for entry in &manifest.files {
        let file = catalog.open_file(entry, access(entry, options), None)?;
        if (entry.state == FileState::Sealed || manifest.clean) && file.tail() != entry.length {
            let what = "the file does not have the length that the manifest gives";
            return Err(file.corrupt(file.tail().min(entry.length), what));
        }
        files.push((*entry, file));
    }
    rebuild_from(catalog, manifest, hasher, options, &files)
}

/// As [`rebuild`], from files that are open.
pub fn rebuild_from(
    catalog: &Catalog,
    manifest: &Manifest,
    hasher: &KeyHasher,
    options: &Options,
    files: &[(FileEntry, Arc<DataFile>)],
) -> Result<Rebuilt> {
    let (by_slot, covered) = (by_slot(files)?, HashMap::new());
    let has_collections = manifest.needs.features & COLLECTIONS.mask() != 0;
    let rebuild = |lost_from| {
        let elements = if has_collections { Some(Index::new()?) } else { None };
        let rebuild = Rebuild {
            index: Index::new()?,
            elements,
            hasher,
            strict: manifest.clean,
            by_slot: &by_slot,
            expiring: Mutex::default(),
            lost_from,
            covered: &covered,
        };
        let outcomes = rebuild.all(catalog, manifest, files)?;
        let repaired = repair(catalog, manifest, files, &outcomes, options)?;
        Ok::<_, Error>((rebuild, outcomes, repaired))
    };
    let (mut rebuilt, mut outcomes, (mut frontier, mut sequence)) = rebuild(None)?;
    if let Some(gap) = sequence.gaps.first().filter(|_| has_collections) {
        // A power cut lost records and left later ones, which nobody was promised. A head among them may name elements that were
        // lost: so the log ends here.
        (rebuilt, outcomes, (frontier, sequence)) = rebuild(Some(*gap))?;
    }
    Ok(Rebuilt { sequence: Some(sequence), ..rebuilt.finish(manifest, files, &outcomes, frontier)? })
}

/// As [`rebuild_from`], for a reader of a store whose writer tells how far the log goes, and which checkpoint goes before that.
pub fn rebuild_over(
    base: Base,
    catalog: &Catalog,
    manifest: &Manifest,
    hasher: &KeyHasher,
    files: &[(FileEntry, Arc<DataFile>)],
    is_in_log: impl Fn(FileId) -> bool,
) -> Result<Rebuilt> {
    let by_slot = by_slot(files)?;
    let expiring = Mutex::new(memory::collect([base.expiring])?);
    let rebuild = Rebuild {
        index: base.index,
        elements: None,
        hasher,
        strict: manifest.clean,
        by_slot: &by_slot,
        expiring,
        lost_from: None,
        covered: &base.covered,
    };
    let outcomes = rebuild.all(catalog, manifest, files)?;
    for ((entry, file), outcome) in files.iter().zip(&outcomes) {
        let (offset, what) = outcome.damage.unwrap_or_default();
        if outcome.damage.is_some() && (entry.state == FileState::Sealed || is_in_log(entry.id)) {
            return Err(file.corrupt(offset, what));
        }
        // Made for an earlier place in the log, and never written to.
        file.set_tail(outcome.end);
    }
    let rebuilt = rebuild.finish(manifest, files, &outcomes, Position::default())?;
    Ok(Rebuilt { max_seq: rebuilt.max_seq.max(base.last_seq), ..rebuilt })
}

/// The files by their slots.
#[allow(clippy::type_complexity)]
fn by_slot(files: &[(FileEntry, Arc<DataFile>)]) -> Result<Vec<Option<(FileState, Arc<DataFile>)>>> {
    files.iter().for_each(|(entry, file)| file.include_seqs(entry.min_seq, entry.max_seq));
    let slots = files.iter().map(|(_, file)| usize::from(file.slot) + 1).max().unwrap_or(0);
    let mut by_slot = memory::vec_of(None, slots)?;
    for (entry, file) in files {
        by_slot[usize::from(file.slot)] = Some((entry.state, file.clone()));
    }
    Ok(by_slot)
}

/// Cuts what is torn off the files, and says so.
fn repair(
    catalog: &Catalog,
    manifest: &Manifest,
    files: &[(FileEntry, Arc<DataFile>)],
    outcomes: &[Outcome],
    options: &Options,
) -> Result<(Position, Sequence)> {
    let repaired = repair_tails(manifest, files, outcomes, options, &catalog.poison)?;
    for ((_, file), outcome) in files.iter().zip(outcomes) {
        if outcome.end < file.tail() {
            catalog.events.log(LogLevel::Info, || {
                format!(
                    "the log of '{}' ends at offset {} of file {}",
                    catalog.disk.path().display(),
                    outcome.end,
                    file.id
                )
            });
        }
        file.set_tail(outcome.end);
    }
    Ok(repaired)
}

/// What was found in one file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Intact frames end here.
    pub end: u64,
    /// Records and their weight.
    pub records: u64,
    /// Their weight: bytes by size class.
    pub weight: u64,
    /// The first and the last sequence number; zeros where there is none.
    pub seqs: (u64, u64),
    /// The latest time of a record.
    pub max_time_ms: u64,
    /// The greatest number of a collection that a record is of; 0 where there is none.
    pub max_collection: u64,
    /// The largest durable frontier that a frame carries.
    pub frontier: u64,
    /// Where and why the walk through an open file ended before the file did.
    pub damage: Option<(u64, &'static str)>,
    /// Whether what stands there may become a part of the log later, if it is not cut off for certain.
    pub goes_on: bool,
}

struct Rebuild<'a> {
    index: Index,
    /// In stores that may have some.
    elements: Option<Index>,
    hasher: &'a KeyHasher,
    /// After a clean close no tail is torn.
    strict: bool,
    by_slot: &'a [Option<(FileState, Arc<DataFile>)>],
    /// What each thread found to expire.
    expiring: Mutex<Vec<Expiring>>,
    /// What is in open files from this number on is not a part of the log.
    lost_from: Option<FileId>,
    /// What is in the index already, and is not read.
    covered: &'a HashMap<FileId, Covered>,
}

/// One record of a file, from its hint or its frame.
pub struct Found {
    /// The hash of its key.
    pub hash: KeyHash,
    /// Where its frame begins and how long it is, in units of 8 bytes.
    pub units: (u32, u32),
    /// Its sequence number.
    pub seq: u64,
    /// When it expires.
    pub expiry_ms: Option<u64>,
    /// What it does.
    pub kind: Kind,
}

/// So many bytes of records are held before the index takes them, at most, and no more than this part of the memory. The more
/// there are, the less often is it written.
const HELD: u64 = 192 << 20;
const HELD_SHARE: u64 = 8;

/// Records on their way into the index, by the first byte of their hashes: those of one byte go to the same memory.
struct Bins<'a> {
    rebuild: &'a Rebuild<'a>,
    absorber: Absorber<'a>,
    bins: Vec<Vec<Version>>,
    /// So many records are put into the index at once.
    most: usize,
    expiring: Expiring,
}

impl<'a> Bins<'a> {
    fn new(rebuild: &'a Rebuild<'a>, index: &'a Index, threads: usize) -> Result<Self> {
        let roots = usize::from(u8::MAX) + 1;
        let held = process::memory_share(HELD_SHARE, 0..=HELD) as usize / size_of::<Version>();
        Ok(Bins {
            rebuild,
            absorber: index.absorber(),
            bins: memory::vec_of(Vec::new(), roots)?,
            // A power of two, so that the vectors do not grow past it.
            most: 1 << (held / roots / threads).max(1).ilog2(),
            expiring: Expiring::default(),
        })
    }

    /// Takes a record of a file.
    fn push(&mut self, file: &DataFile, found: &Found) -> Result<()> {
        let size = weight(found.kind, u64::from(found.units.1));
        let entry = Entry {
            location: Location { slot: file.slot, units: found.units.0 },
            size: if found.kind == Kind::Tombstone { SizeClass::TOMBSTONE } else { size },
        };
        if let Some(expiry_ms) = found.expiry_ms {
            self.expiring.push(found.hash, entry, expiry_ms)?;
        }
        let root = found.hash.root;
        let bin = &mut self.bins[usize::from(root)];
        memory::push(bin, Version::new(found.hash, entry, found.seq))?;
        if bin.len() >= self.most {
            self.rebuild.absorb(&mut self.absorber, root, bin)?;
        }
        if self.expiring.is_full() { self.sweep() } else { Ok(()) }
    }

    /// Forgets which records expire that are not the newest of their keys.
    #[cold]
    fn sweep(&mut self) -> Result<()> {
        for (root, bin) in (0..=u8::MAX).zip(&mut self.bins) {
            self.rebuild.absorb(&mut self.absorber, root, bin)?;
        }
        self.expiring.sweep(&self.rebuild.index);
        Ok(())
    }
}

/// The records of keys, and those of elements.
struct Both<'a> {
    keys: Bins<'a>,
    elements: Option<Bins<'a>>,
}

impl<'a> Both<'a> {
    fn new(rebuild: &'a Rebuild<'a>, threads: usize) -> Result<Self> {
        let elements = rebuild.elements.as_ref().map(|index| Bins::new(rebuild, index, threads));
        Ok(Both { keys: Bins::new(rebuild, &rebuild.index, threads)?, elements: elements.transpose()? })
    }

    fn push(&mut self, file: &DataFile, found: &Found) -> Result<()> {
        if matches!(found.kind, Kind::Range | Kind::Gone) {
            let what = "there is a record of another engine";
            return Err(file.corrupt(u64::from(found.units.0) * ALIGNMENT, what));
        }
        match &mut self.elements {
            Some(elements) if found.kind == Kind::Element => elements.push(file, found),
            None if matches!(found.kind, Kind::Element | Kind::Head) => {
                let what = "there is a collection, and the manifest does not say so";
                Err(file.corrupt(u64::from(found.units.0) * ALIGNMENT, what))
            }
            _ => self.keys.push(file, found),
        }
    }
}

impl Rebuild<'_> {
    /// The bytes of all files.
    fn bytes(&self) -> u64 {
        self.by_slot.iter().flatten().map(|(_, file)| file.tail()).sum()
    }

    /// Works on all files, on all cores.
    fn all(
        &self,
        catalog: &Catalog,
        manifest: &Manifest,
        files: &[(FileEntry, Arc<DataFile>)],
    ) -> Result<Vec<Outcome>> {
        let parts: Vec<Result<_>> = on_all_cores(files.len(), self.bytes(), |pieces| {
            memory::room_for_small_things()?;
            let mut bins = Both::new(self, cores().min(files.len()).max(1))?;
            let mut outcomes = Vec::new();
            for n in pieces {
                let (entry, file) = &files[n];
                memory::push(&mut outcomes, (n, self.one(catalog, manifest, entry, file, &mut bins)?))?;
            }
            self.expiring.lock().push(std::mem::take(&mut bins.keys.expiring));
            Ok((outcomes, bins.keys.bins, bins.elements.map(|elements| elements.bins)))
        });
        let (mut outcomes, mut keys, mut elements) =
            (memory::vec_with_room(files.len())?, Vec::new(), Vec::new());
        for part in parts {
            let (some, of_keys, of_elements) = part?;
            outcomes.extend(some);
            keys.push(Mutex::new(of_keys));
            elements.extend(of_elements.map(Mutex::new));
        }
        self.absorb_rest(&self.index, &keys)?;
        if let Some(index) = &self.elements {
            self.absorb_rest(index, &elements)?;
        }
        outcomes.sort_unstable_by_key(|(n, _)| *n);
        Ok(memory::collect(outcomes.into_iter().map(|(_, outcome)| outcome))?)
    }

    /// Puts into an index what is left in bins.
    fn absorb_rest(&self, index: &Index, left: &[Mutex<Vec<Vec<Version>>>]) -> Result<()> {
        let absorbed = on_all_cores(usize::from(u8::MAX) + 1, self.bytes(), |roots| {
            let mut absorber = index.absorber();
            for root in roots {
                let mut versions = Vec::new();
                for bins in left {
                    let mut some = std::mem::take(&mut bins.lock()[root]);
                    memory::reserve(&mut versions, some.len())?;
                    versions.append(&mut some);
                }
                self.absorb(&mut absorber, root as u8, &mut versions)?;
            }
            Ok(())
        });
        absorbed.into_iter().collect::<Result<()>>()
    }

    fn absorb(&self, absorber: &mut Absorber<'_>, root: u8, versions: &mut Vec<Version>) -> Result<()> {
        absorber.absorb(root, versions, |version, other| self.is_newer(version, other))
    }

    fn one(
        &self,
        catalog: &Catalog,
        manifest: &Manifest,
        entry: &FileEntry,
        file: &DataFile,
        bins: &mut Both<'_>,
    ) -> Result<Outcome> {
        let covered = self.covered.get(&file.id).copied();
        let mut outcome = covered.map_or_else(Outcome::default, |covered| Outcome {
            records: covered.records,
            weight: covered.weight,
            seqs: covered.seqs,
            ..Outcome::default()
        });
        let from = covered.map_or(FILE_HEADER_SIZE, |covered| covered.end);
        if from == file.tail() {
            return Ok(Outcome { end: from, ..outcome });
        }
        if entry.state == FileState::Sealed && covered.is_none() {
            let hinted = hints::load(catalog, file, &manifest.store_id, &mut |found| bins.push(file, found));
            if let Some(outcome) = hinted? {
                return Ok(Outcome { end: entry.length, ..outcome });
            }
        }
        let is_lost = self.lost_from.is_some_and(|from| file.id >= from) && entry.state == FileState::Open;
        let end = if is_lost { FILE_HEADER_SIZE } else { file.tail() };
        // What is cut off here would fit the log again after the next crash.
        outcome.goes_on = is_lost && file.tail() > FILE_HEADER_SIZE;
        let (end, why) = scan(file, from, end, &mut |frame| {
            let header = &frame.header;
            outcome.max_time_ms = outcome.max_time_ms.max(header.time_ms);
            outcome.frontier = outcome.frontier.max(header.frontier.unwrap_or(0));
            if header.kind != Kind::Batch {
                outcome.seqs.0 =
                    if outcome.seqs.0 == 0 { header.seq } else { outcome.seqs.0.min(header.seq) };
                outcome.seqs.1 = outcome.seqs.1.max(header.seq);
            }
            if !header.kind.is_record() {
                return Ok(());
            }
            let found = Found::of(frame, self.hasher);
            outcome.max_collection = outcome.max_collection.max(collection_of(frame));
            outcome.records += 1;
            outcome.weight += weight(found.kind, u64::from(found.units.1)).bytes();
            bins.push(file, &found)
        })?;
        outcome.end = end;
        match why {
            End::Damaged { offset, what } if entry.state == FileState::Sealed || self.strict => {
                return Err(file.corrupt(offset, what));
            }
            End::Damaged { offset, what } => {
                outcome.damage = Some((offset, what));
                let behind = frames_behind(file, end, file.tail())?;
                outcome.frontier = outcome.frontier.max(behind.frontier);
                outcome.goes_on |= behind.frames || !ends_in_one_frame(file, end)?;
            }
            End::Complete => {}
        }
        Ok(outcome)
    }

    fn is_newer(&self, version: &Version, other: Entry) -> Result<bool> {
        let file = |entry: Entry| self.by_slot.get(usize::from(entry.location.slot)).and_then(Option::as_ref);
        let (Some(own), Some((state, other_file))) = (version.entry().and_then(file), file(other)) else {
            return Ok(true);
        };
        if *state == FileState::Sealed && other_file.id != own.1.id {
            let (min, max) = other_file.seqs();
            if version.seq > max || version.seq < min {
                return Ok(version.seq > max);
            }
        }
        Ok(version.seq > other_file.seq_at(u64::from(other.location.units) * ALIGNMENT)?)
    }

    /// Forgets tombstones, and counts the records that are alive in each slot, and their weight.
    fn count_live(&self) -> Result<Vec<(u64, u64)>> {
        let parts = on_all_cores(usize::from(u8::MAX) + 1, self.bytes(), |roots| {
            let (mut live, mut some) = (memory::vec_of((0u64, 0u64), self.by_slot.len())?, Vec::new());
            for root in roots.map(|root| root as u8) {
                let mut cursor = Some(Cursor::of_root(root));
                while let Some(at) = cursor.filter(|at| at.root() == root) {
                    some.clear();
                    cursor = self.index.collect(at, &mut some)?;
                    for (hash, entry) in &some {
                        if entry.size == SizeClass::TOMBSTONE {
                            let _ = self.index.lock(*hash).map(|mut locked| locked.remove(*hash));
                        } else if let Some(live) = live.get_mut(usize::from(entry.location.slot)) {
                            *live = (live.0 + 1, live.1 + entry.size.bytes());
                        }
                    }
                }
            }
            Ok::<_, Refused>(live)
        });
        let add = |(records, weight): (u64, u64), more: (u64, u64)| (records + more.0, weight + more.1);
        let mut all = memory::vec_of((0, 0), self.by_slot.len())?;
        for part in parts {
            all.iter_mut().zip(part?).for_each(|(all, more)| *all = add(*all, more));
        }
        Ok(all)
    }

    /// Finds the elements that heads name: the others count no more. Counts those in each slot, and their weight. What expires before
    /// `known_ms` has expired.
    fn find_named(&self, elements: &Index, known_ms: u64) -> Result<(Index, Vec<(u64, u64)>)> {
        let named = Index::new()?;
        let parts: Vec<Result<_>> = on_all_cores(usize::from(u8::MAX) + 1, self.bytes(), |roots| {
            let (mut live, mut some) = (memory::vec_of((0u64, 0u64), self.by_slot.len())?, Vec::new());
            for root in roots.map(|root| root as u8) {
                let mut cursor = Some(Cursor::of_root(root));
                while let Some(at) = cursor.filter(|at| at.root() == root) {
                    some.clear();
                    cursor = self.index.collect(at, &mut some)?;
                    for (_, entry) in some.iter().filter(|(_, entry)| entry.size.is_head()) {
                        self.name(elements, &named, *entry, known_ms, &mut live)?;
                    }
                }
            }
            Ok(live)
        });
        let mut live = memory::vec_of((0u64, 0u64), self.by_slot.len())?;
        for part in parts {
            for (sum, more) in live.iter_mut().zip(part?) {
                *sum = (sum.0 + more.0, sum.1 + more.1);
            }
        }
        Ok((named, live))
    }

    /// Takes over the elements that the head at `entry` names.
    fn name(
        &self,
        elements: &Index,
        named: &Index,
        entry: Entry,
        known_ms: u64,
        live: &mut [(u64, u64)],
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
            if let Some(live) = live.get_mut(usize::from(element.location.slot)) {
                *live = (live.0 + 1, live.1 + element.size.bytes());
            }
        }
        Ok(())
    }

    /// Counts what is alive.
    fn finish(
        mut self,
        manifest: &Manifest,
        files: &[(FileEntry, Arc<DataFile>)],
        outcomes: &[Outcome],
        frontier: Position,
    ) -> Result<Rebuilt> {
        let mut live = self.count_live()?;
        let known_ms = outcomes.iter().map(|outcome| outcome.max_time_ms).fold(manifest.clock_ms, u64::max);
        let elements = match self.elements.take() {
            Some(all) => {
                let (named, of_elements) = self.find_named(&all, known_ms)?;
                for (sum, more) in live.iter_mut().zip(of_elements) {
                    *sum = (sum.0 + more.0, sum.1 + more.1);
                }
                Some(named)
            }
            None => None,
        };
        let (mut max_seq, mut max_time_ms, mut max_collection) = (manifest.last_seq, 0, 0);
        for ((_, file), outcome) in files.iter().zip(outcomes) {
            let live = live[usize::from(file.slot)];
            file.usage.set(outcome.records, outcome.weight, live.0, live.1);
            if outcome.seqs.1 > 0 {
                file.include_seqs(outcome.seqs.0, outcome.seqs.1);
            }
            max_seq = max_seq.max(outcome.seqs.1);
            max_time_ms = max_time_ms.max(outcome.max_time_ms);
            max_collection = max_collection.max(outcome.max_collection);
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

/// Whether behind `offset` stands the beginning of one frame that has room, as a killed process leaves it, and nothing else. A
/// frame that the end of the file cuts off may become whole again: where zeros are missing, the file only has to grow.
pub fn ends_in_one_frame(file: &DataFile, offset: u64) -> Result<bool> {
    let mut buffer = Vec::new();
    let bytes = file.bytes(offset, MAX_HEADER_SIZE as u64, &mut buffer)?;
    let size = Header::decode(bytes, &file.origin).map_or(0, |header| header.frame_size());
    let end = offset.saturating_add(size);
    Ok(end <= file.tail() && is_zeros(file, end, file.tail())?)
}

/// The number of the collection that a record is of; 0 where it is of none. What is damaged is told elsewhere.
fn collection_of(frame: &Frame<'_>) -> u64 {
    match frame.header.kind {
        Kind::Head => ListHead::decode(frame.value()).map_or(0, |head| head.id),
        Kind::Element => frame.key().first_chunk().map_or(0, |id| u64::from_le_bytes(*id)),
        _ => 0,
    }
}

impl Found {
    /// What the frame of a record says.
    pub fn of(frame: &Frame<'_>, hasher: &KeyHasher) -> Self {
        Found {
            hash: hasher.hash(frame.key()),
            units: ((frame.offset / ALIGNMENT) as u32, (frame.header.frame_size() / ALIGNMENT) as u32),
            seq: frame.header.seq,
            expiry_ms: frame.header.expiry_ms,
            kind: frame.header.kind,
        }
    }
}
