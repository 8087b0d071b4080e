//! The index of a store that has no checkpoint: from its hints, and from the records of its files, on all cores.

use std::collections::HashMap;
use std::sync::Arc;

use super::bins::{Both, Found};
use super::count::Keys;
use super::expiring::Expiring;
use super::hints;
use super::running::{Base, Covered};
use crate::bitcask::engine::clock::Reading;
use crate::bitcask::engine::expiry::Expiries;
use crate::format::FileId;
use crate::format::collection::ListHead;
use crate::format::features::COLLECTIONS;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::Kind;
use crate::format::manifest::{FileState, Manifest};
use crate::index::{Index, KeyHasher};
use crate::log::Position;
use crate::log::append;
use crate::log::catalog::Catalog;
use crate::log::file::{DataFile, Frame};
use crate::log::recovery::sequence::Sequence;
use crate::log::recovery::walk::{Outcome, Walk};
use crate::log::recovery::{Listed, Recovered, open_files, recover};
use crate::store::error::Result;
use crate::store::memory;
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
    let files = open_files(catalog, manifest, options)?;
    rebuild_from(catalog, manifest, hasher, options, &files)
}

/// As [`rebuild`], from files that are open.
pub fn rebuild_from(
    catalog: &Catalog,
    manifest: &Manifest,
    hasher: &KeyHasher,
    options: &Options,
    files: &[Listed],
) -> Result<Rebuilt> {
    let (by_slot, covered) = (by_slot(files)?, HashMap::new());
    let has_collections = manifest.needs.has(COLLECTIONS);
    let recovered = recover(catalog, manifest, files, options, |walk| {
        let elements = if has_collections { Some(Index::new()?) } else { None };
        let rebuild = Rebuild {
            index: Index::new()?,
            elements,
            hasher,
            by_slot: &by_slot,
            expiring: Mutex::default(),
            covered: &covered,
        };
        let (outcomes, contents) = rebuild.all(catalog, manifest, files, walk)?;
        Ok(((rebuild, contents), outcomes))
    })?;
    let Recovered { made: (rebuild, contents), outcomes, frontier, sequence } = recovered;
    let rebuilt = rebuild.finish(manifest, files, (&outcomes, &contents), Keys::AreComplete, frontier)?;
    Ok(Rebuilt { sequence: Some(sequence), ..rebuilt })
}

/// As [`rebuild_from`], for a live reader: begins with a checkpoint, `base`, and reads what was written since. With `may_stay` the keys
/// may stay in the checkpoint. `None` where the checkpoint is damaged.
pub fn rebuild_over(
    base: Base,
    may_stay: bool,
    catalog: &Arc<Catalog>,
    manifest: &Manifest,
    hasher: &KeyHasher,
    files: &[Listed],
    is_in_log: impl Fn(FileId) -> bool,
) -> Result<Option<Rebuilt>> {
    let by_slot = by_slot(files)?;
    let stays = may_stay && base.can_stay(files);
    let (index, expiring) = match stays {
        true => (Index::new()?, Expiring::default()),
        false => match base.take()? {
            Some(taken) => taken,
            None => return Ok(None),
        },
    };
    let expiring = Mutex::new(memory::collect([expiring])?);
    let rebuild =
        Rebuild { index, elements: None, hasher, by_slot: &by_slot, expiring, covered: &base.covered };
    let walk = Walk { is_clean: manifest.clean, lost_from: None };
    let (outcomes, contents) = rebuild.all(catalog, manifest, files, &walk)?;
    for ((entry, file), outcome) in files.iter().zip(&outcomes) {
        if let Some((offset, what)) = outcome.damage
            && (entry.state == FileState::Sealed || is_in_log(entry.id))
        {
            return Err(file.corrupt(offset, what));
        }
        // Behind this is room that a writer made, and no frame.
        file.set_tail(outcome.end);
    }
    let last_seq = base.last_seq;
    let keys = if stays { Keys::AreSome } else { Keys::AreComplete };
    let rebuilt = rebuild.finish(manifest, files, (&outcomes, &contents), keys, Position::default())?;
    let index = match stays {
        true => base.over(&rebuilt.index, &rebuilt.expiries, catalog)?,
        false => rebuilt.index,
    };
    Ok(Some(Rebuilt { index, max_seq: rebuilt.max_seq.max(last_seq), ..rebuilt }))
}

/// The files by their slots.
fn by_slot(files: &[Listed]) -> Result<Vec<Option<InSlot>>> {
    files.iter().for_each(|(entry, file)| file.include_seqs(entry.min_seq, entry.max_seq));
    let slots = files.iter().map(|(_, file)| usize::from(file.slot) + 1).max().unwrap_or(0);
    let mut by_slot = memory::vec_of(None, slots)?;
    for (entry, file) in files {
        by_slot[usize::from(file.slot)] = Some((entry.state, file.clone()));
    }
    Ok(by_slot)
}

/// The file of a slot, and its state in the manifest.
pub(super) type InSlot = (FileState, Arc<DataFile>);

/// What the records of one file are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content {
    /// How many records there are.
    pub records: u64,
    /// The bytes that they take, by size class.
    pub weight: u64,
    /// The greatest number of a collection that a record is of; 0 where there is none.
    pub max_collection: u64,
}

/// An index that is being rebuilt: `bins` puts records into it, `count` finds out which of them are alive.
pub(super) struct Rebuild<'a> {
    pub index: Index,
    /// The index of elements, in stores that may have some.
    pub elements: Option<Index>,
    pub hasher: &'a KeyHasher,
    pub by_slot: &'a [Option<InSlot>],
    /// What each thread found to expire.
    pub expiring: Mutex<Vec<Expiring>>,
    /// What is in the index already, and is not read.
    covered: &'a HashMap<FileId, Covered>,
}

impl Rebuild<'_> {
    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.by_slot.iter().flatten().map(|(_, file)| file.tail()).sum()
    }

    /// Walks through all files, on all cores, and puts their records into the index.
    fn all(
        &self,
        catalog: &Catalog,
        manifest: &Manifest,
        files: &[Listed],
        walk: &Walk,
    ) -> Result<(Vec<Outcome>, Vec<Content>)> {
        let parts: Vec<Result<_>> = on_all_cores(files.len(), self.bytes(), |pieces| {
            memory::room_for_small_things()?;
            let mut bins = Both::new(self, cores().min(files.len()).max(1))?;
            let mut found = Vec::new();
            for n in pieces {
                memory::push(&mut found, (n, self.one(catalog, manifest, &files[n], walk, &mut bins)?))?;
            }
            self.expiring.lock().push(std::mem::take(&mut bins.keys.expiring));
            Ok((found, bins.keys.bins, bins.elements.map(|elements| elements.bins)))
        });
        let (mut found, mut keys, mut elements) =
            (memory::vec_with_room(files.len())?, Vec::new(), Vec::new());
        for part in parts {
            let (some, of_keys, of_elements) = part?;
            found.extend(some);
            keys.push(Mutex::new(of_keys));
            elements.extend(of_elements.map(Mutex::new));
        }
        self.absorb_rest(&self.index, &keys)?;
        if let Some(index) = &self.elements {
            self.absorb_rest(index, &elements)?;
        }
        found.sort_unstable_by_key(|(n, _)| *n);
        let outcomes = memory::collect(found.iter().map(|(_, (outcome, _))| *outcome))?;
        Ok((outcomes, memory::collect(found.into_iter().map(|(_, (_, content))| content))?))
    }

    /// Puts the records of one file into bins: from its hint, if it has one.
    fn one(
        &self,
        catalog: &Catalog,
        manifest: &Manifest,
        listed: &Listed,
        walk: &Walk,
        bins: &mut Both<'_>,
    ) -> Result<(Outcome, Content)> {
        let (entry, file) = listed;
        let covered = self.covered.get(&file.id).copied();
        let known = Outcome { seqs: covered.map_or((0, 0), |covered| covered.seqs), ..Outcome::default() };
        let (records, weight) = covered.map_or((0, 0), |covered| (covered.records, covered.weight));
        let mut content = Content { records, weight, max_collection: 0 };
        let from = covered.map_or(FILE_HEADER_SIZE, |covered| covered.end);
        if from == file.tail() {
            return Ok((Outcome { end: from, ..known }, content));
        }
        if entry.state == FileState::Sealed && covered.is_none() {
            let hinted = hints::load(catalog, file, &manifest.store_id, &mut |found| bins.push(file, found));
            if let Some((outcome, content)) = hinted? {
                return Ok((Outcome { end: entry.length, ..outcome }, content));
            }
        }
        let outcome = walk.file(listed, from, known, |frame| {
            let found = Found::of(frame, self.hasher);
            content.max_collection = content.max_collection.max(collection_of(frame));
            content.records += 1;
            content.weight += append::weight(found.kind, u64::from(found.units.1)).bytes();
            bins.push(file, &found)
        })?;
        Ok((outcome, content))
    }
}

/// The number of the collection that a record is of; 0 where it is of none. What is damaged is told elsewhere.
fn collection_of(frame: &Frame<'_>) -> u64 {
    match frame.header.kind {
        Kind::Head => ListHead::decode(frame.value()).map_or(0, |head| head.id),
        Kind::Element => frame.key().first_chunk().map_or(0, |id| u64::from_le_bytes(*id)),
        _ => 0,
    }
}
