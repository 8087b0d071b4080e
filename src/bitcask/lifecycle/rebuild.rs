//! The index of a store that has no checkpoint: from its hints, and from the records of its files, on all cores.

use std::sync::Arc;

use super::open::access;
use super::sequence::Sequence;
use super::tails::repair_tails;
use crate::bitcask::engine::clock::Reading;
use crate::bitcask::lifecycle::hints;
use crate::format::ALIGNMENT;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::Kind;
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::index::{Absorber, Cursor, Entry, Index, KeyHash, KeyHasher, Location, SizeClass, Version};
use crate::log::Position;
use crate::log::catalog::Catalog;
use crate::log::file::DataFile;
use crate::log::scan::{End, frames_behind, scan};
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;
use crate::store::options::Options;
use crate::sync::lock::Mutex;
use crate::sync::parallel::{cores, on_all_cores};

/// What is known of a store before it can be used.
pub struct Rebuilt {
    /// Every key and its place.
    pub index: Index,
    /// The keys that expire.
    pub expiries: Vec<(u64, KeyHash, Entry)>,
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
    let mut files = Vec::with_capacity(manifest.files.len());
    for entry in &manifest.files {
        let file = catalog.open_file(entry, access(entry, options), None)?;
        if (entry.state == FileState::Sealed || manifest.clean) && file.tail() != entry.length {
            let what = "the file does not have the length that the manifest gives";
            return Err(file.corrupt(file.tail().min(entry.length), what));
        }
        file.include_seqs(entry.min_seq, entry.max_seq);
        files.push((*entry, file));
    }
    let rebuild = Rebuild {
        index: Index::new()?,
        hasher,
        strict: manifest.clean,
        by_slot: {
            let mut by_slot = Vec::new();
            for (entry, file) in &files {
                by_slot.resize_with(by_slot.len().max(usize::from(file.slot) + 1), || None);
                by_slot[usize::from(file.slot)] = Some((entry.state, file.clone()));
            }
            by_slot
        },
        expiries: Mutex::default(),
    };
    let outcomes = rebuild.all(catalog, manifest, &files)?;
    let (frontier, sequence) = repair_tails(manifest, &files, &outcomes, options, &catalog.poison)?;
    for ((_, file), outcome) in files.iter().zip(&outcomes) {
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
    Ok(Rebuilt { sequence: Some(sequence), ..rebuild.finish(manifest, &files, &outcomes, frontier) })
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
    /// The largest durable frontier that a frame carries.
    pub frontier: u64,
    /// Where and why the walk through an open file ended before the file did.
    pub damage: Option<(u64, &'static str)>,
    /// Whether intact frames stand behind that.
    pub goes_on: bool,
}

struct Rebuild<'a> {
    index: Index,
    hasher: &'a KeyHasher,
    /// After a clean close no tail is torn.
    strict: bool,
    by_slot: Vec<Option<(FileState, Arc<DataFile>)>>,
    expiries: Mutex<Vec<(u64, KeyHash, Entry)>>,
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
    /// Whether it takes the key away.
    pub tombstone: bool,
}

/// So many records are held before the index takes them, at most: 24 bytes each, 192 MiB. The more there are, the less often
/// is it written.
const HELD: usize = 8 << 20;

/// Records on their way into the index, by the first byte of their hashes: those of one byte go to the same memory.
struct Bins<'a> {
    rebuild: &'a Rebuild<'a>,
    absorber: Absorber<'a>,
    bins: Vec<Vec<Version>>,
    /// So many records are put into the index at once.
    most: usize,
    expiries: Vec<(u64, KeyHash, Entry)>,
}

impl<'a> Bins<'a> {
    fn new(rebuild: &'a Rebuild<'a>, threads: usize) -> Self {
        let roots = usize::from(u8::MAX) + 1;
        Bins {
            rebuild,
            absorber: rebuild.index.absorber(),
            bins: vec![Vec::new(); roots],
            // A power of two, so that the vectors do not grow past it.
            most: 1 << (HELD / roots / threads).ilog2(),
            expiries: Vec::new(),
        }
    }

    /// Takes a record of a file.
    fn push(&mut self, file: &DataFile, found: &Found) -> Result<()> {
        let size = SizeClass::of_units(u64::from(found.units.1));
        let entry = Entry {
            location: Location { slot: file.slot, units: found.units.0 },
            size: if found.tombstone { SizeClass::TOMBSTONE } else { size },
        };
        let full = |_| Error::NoMemory { bytes: (self.most * size_of::<Version>()) as u64 };
        if let Some(expiry_ms) = found.expiry_ms {
            self.expiries.try_reserve(1).map_err(full)?;
            self.expiries.push((expiry_ms, found.hash, entry));
        }
        let root = found.hash.root;
        let bin = &mut self.bins[usize::from(root)];
        bin.try_reserve(1).map_err(full)?;
        bin.push(Version::new(found.hash, entry, found.seq));
        if bin.len() < self.most { Ok(()) } else { self.rebuild.absorb(&mut self.absorber, root, bin) }
    }
}

impl Rebuild<'_> {
    /// Works on all files, on all cores.
    fn all(
        &self,
        catalog: &Catalog,
        manifest: &Manifest,
        files: &[(FileEntry, Arc<DataFile>)],
    ) -> Result<Vec<Outcome>> {
        let parts: Vec<Result<_>> = on_all_cores(files.len(), |pieces| {
            let (mut bins, mut outcomes) = (Bins::new(self, cores().min(files.len()).max(1)), Vec::new());
            for n in pieces {
                let (entry, file) = &files[n];
                outcomes.push((n, self.one(catalog, manifest, entry, file, &mut bins)?));
            }
            self.expiries.lock().append(&mut bins.expiries);
            Ok((outcomes, bins.bins))
        });
        let (mut outcomes, mut left) = (Vec::new(), Vec::new());
        for part in parts {
            let (some, bins) = part?;
            outcomes.extend(some);
            left.push(Mutex::new(bins));
        }
        let absorbed = on_all_cores(usize::from(u8::MAX) + 1, |roots| {
            let mut absorber = self.index.absorber();
            for root in roots {
                let mut versions = Vec::new();
                for bins in &left {
                    versions.append(&mut std::mem::take(&mut bins.lock()[root]));
                }
                self.absorb(&mut absorber, root as u8, &mut versions)?;
            }
            Ok(())
        });
        absorbed.into_iter().collect::<Result<()>>()?;
        outcomes.sort_unstable_by_key(|(n, _)| *n);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
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
        bins: &mut Bins<'_>,
    ) -> Result<Outcome> {
        if entry.state == FileState::Sealed {
            let hinted = hints::load(catalog, file, &manifest.store_id, &mut |found| bins.push(file, found));
            if let Some(outcome) = hinted? {
                return Ok(Outcome { end: entry.length, ..outcome });
            }
        }
        let mut outcome = Outcome::default();
        let (end, why) = scan(file, FILE_HEADER_SIZE, file.tail(), &mut |frame| {
            let header = &frame.header;
            outcome.max_time_ms = outcome.max_time_ms.max(header.time_ms);
            outcome.frontier = outcome.frontier.max(header.frontier.unwrap_or(0));
            if header.kind != Kind::Batch {
                outcome.seqs.0 =
                    if outcome.seqs.0 == 0 { header.seq } else { outcome.seqs.0.min(header.seq) };
                outcome.seqs.1 = outcome.seqs.1.max(header.seq);
            }
            if !matches!(header.kind, Kind::Put | Kind::Tombstone) {
                return Ok(());
            }
            let found = Found::of(frame, self.hasher);
            outcome.records += 1;
            outcome.weight += SizeClass::of_units(u64::from(found.units.1)).bytes();
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
                outcome.goes_on = behind.frames;
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
    fn count_live(&self) -> Vec<(u64, u64)> {
        let counts = on_all_cores(usize::from(u8::MAX) + 1, |roots| {
            let (mut live, mut some) = (vec![(0u64, 0u64); self.by_slot.len()], Vec::new());
            for root in roots.map(|root| root as u8) {
                let mut cursor = Some(Cursor::of_root(root));
                while let Some(at) = cursor.filter(|at| at.root() == root) {
                    some.clear();
                    cursor = self.index.collect(at, &mut some);
                    for (hash, entry) in &some {
                        if entry.size == SizeClass::TOMBSTONE {
                            let _ = self.index.lock(*hash).map(|mut locked| locked.remove(*hash));
                        } else if let Some(live) = live.get_mut(usize::from(entry.location.slot)) {
                            *live = (live.0 + 1, live.1 + entry.size.bytes());
                        }
                    }
                }
            }
            live
        });
        let add = |(records, weight): (u64, u64), more: (u64, u64)| (records + more.0, weight + more.1);
        (0..self.by_slot.len()).map(|n| counts.iter().map(|live| live[n]).fold((0, 0), add)).collect()
    }

    /// Counts what is alive.
    fn finish(
        self,
        manifest: &Manifest,
        files: &[(FileEntry, Arc<DataFile>)],
        outcomes: &[Outcome],
        frontier: Position,
    ) -> Rebuilt {
        let live = self.count_live();
        let (mut max_seq, mut max_time_ms) = (manifest.last_seq, 0);
        for ((_, file), outcome) in files.iter().zip(outcomes) {
            let live = live[usize::from(file.slot)];
            file.usage.set(outcome.records, outcome.weight, live.0, live.1);
            if outcome.seqs.1 > 0 {
                file.include_seqs(outcome.seqs.0, outcome.seqs.1);
            }
            max_seq = max_seq.max(outcome.seqs.1);
            max_time_ms = max_time_ms.max(outcome.max_time_ms);
        }
        let mut expiries = self.expiries.into_inner();
        expiries.retain(|(_, hash, entry)| self.index.get(*hash) == Some(*entry));
        Rebuilt { index: self.index, expiries, max_seq, max_time_ms, closed: None, frontier, sequence: None }
    }
}

impl Found {
    /// What the frame of a record says.
    pub fn of(frame: &crate::log::file::Frame<'_>, hasher: &KeyHasher) -> Self {
        Found {
            hash: hasher.hash(frame.key()),
            units: ((frame.offset / ALIGNMENT) as u32, (frame.header.frame_size() / ALIGNMENT) as u32),
            seq: frame.header.seq,
            expiry_ms: frame.header.expiry_ms,
            tombstone: frame.header.kind == Kind::Tombstone,
        }
    }
}
