//! The checkpoint of a store that somebody has open for writing, from which a live reader begins: docs/ARCHITECTURE.md, "How a reader
//! follows".
//!
//! It is written root by root beside writers, in the format of that of a clean close, and the writer's page says where the log was
//! when it was begun. Invariants:
//! - Of what stands in the log in front of that place it has the newest version of each key, or a newer one. What changes while it
//!   is written stands behind the place.
//! - It points into no file that a merge has written and not committed, and no merge goes on meanwhile.
//! - It counts as long as the session of the page that names it, and its writer lives.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::checkpoint::{Front, Keys, USUAL_KEY_SIZE, find_roots, for_each_line, read, write_index};
use super::expiring::Expiring;
use super::overlaid::Overlaid;
use crate::bitcask::engine::expiry::Expiries;
use crate::bitcask::engine::{Engine, Inside};
use crate::bitcask::shared::Shared;
use crate::format::checkpoint::{
    CheckpointFile, CheckpointHeader, CheckpointLine, CheckpointRoot, LINE_SIZE, ROOTS,
};
use crate::format::features::COLLECTIONS;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::format::packed::Pair;
use crate::format::{ALIGNMENT, FileId, names};
use crate::index::{Entry, Index, KeyHash, Sorted, Unavailable};
use crate::log::Position;
use crate::log::append::Moment;
use crate::log::catalog::{Catalog, replace_with};
use crate::log::file::DataFile;
use crate::log::published::{Checkpointed, Told};
use crate::store::error::{Error, Result};
use crate::store::memory;
use crate::sync::thread;

/// Where more keys expire than this, no checkpoint is written: their lines are held in memory, 32 bytes each.
const MOST_LINES: usize = 1 << 19;
/// A checkpoint is written only where the disk has so many times its size left, and a data file more: writers need that room more.
const FREE_TIMES: u64 = 2;
/// A reader that finds another checkpoint than the page names looks again so often, with a pause in between: the page names a new one a
/// moment after the file is there.
const LOOKED_AGAIN: u32 = 5;
const PAUSE: Duration = Duration::from_millis(1);

/// Whether a checkpoint can be written beside writers. Where elements of lists are, a head and what it names would have to be of one
/// moment.
pub fn is_possible(engine: &Engine) -> bool {
    let reserves = &engine.catalog.reserves;
    engine.catalog.published.is_on_disk()
        && engine.log.was_written_to()
        && !engine.catalog.manifest().needs.has(COLLECTIONS)
        && engine.expiries.len() < MOST_LINES
        && !(reserves.merges.is_released() || reserves.deletes.is_released())
}

/// Writes a checkpoint of an open store, and tells it on the page. False where that cannot be done now: while something is merged, or the
/// disk is nearly full.
pub fn write(shared: &Shared) -> Result<bool> {
    write_with(shared, || (), || ())
}

/// As [`write`]; `meanwhile` is called when the place in the log is known and nothing of the index was read yet, and `then` when it is noted
/// what expires, and no key was. For tests.
pub fn write_with(shared: &Shared, meanwhile: impl FnOnce(), then: impl FnOnce()) -> Result<bool> {
    // This does not wait for a merge: one that a caller began may take an hour, and the thread that calls this seals files too.
    let Some(merging) = shared.merging().try_lock() else { return Ok(false) };
    if !merging.outputs.is_empty() || !merging.finished.is_empty() {
        return Ok(false);
    }
    let Some(engine) = shared.inside() else { return Ok(false) };
    if !is_possible(&engine) {
        return Ok(false);
    }
    let size = engine.index.len() * USUAL_KEY_SIZE + (engine.expiries.len() * LINE_SIZE) as u64;
    let least = size.saturating_mul(FREE_TIMES).saturating_add(engine.options.max_file_size);
    if engine.catalog.disk.unused_bytes().is_some_and(|unused| unused < least) {
        return Ok(false);
    }
    let is_over = || shared.signal().is_stopped();
    match write_beside_writers(&engine, meanwhile, then, &is_over) {
        Ok(checkpointed) => engine.catalog.published.checkpoint(checkpointed),
        // Nobody needs it any more.
        Err(_) if is_over() => return Ok(false),
        Err(error) => return Err(error),
    }
    Ok(true)
}

fn write_beside_writers(
    engine: &Inside<'_>,
    meanwhile: impl FnOnce(),
    then: impl FnOnce(),
    is_over: &dyn Fn() -> bool,
) -> Result<Checkpointed> {
    let catalog = &engine.catalog;
    memory::room_for_small_things()?;
    let (listed, moment) = loop {
        let listed = catalog.manifest().copy_with_room(0)?;
        let moment = engine.log.moment();
        // Else the log went on in another file in between.
        if listed.files.binary_search_by_key(&moment.active.id, |entry| entry.id).is_ok() {
            break (listed, moment);
        }
    };
    let files = files(catalog, &listed, &moment)?;
    meanwhile();
    // What stands in front of it is in the index then.
    engine.index.wait_for_writers();
    // The lines first: of a key that expires meanwhile there is a line and no place, and not the other way around.
    let mut lines = memory::vec_with_room(engine.expiries.len().saturating_add(1) * LINE_SIZE)?;
    for_each_line(engine, engine.clock.read(), |line| {
        memory::reserve(&mut lines, LINE_SIZE)?;
        lines.extend_from_slice(&line.encode());
        Ok(())
    })
    .map_err(|e| Error::io("note what expires in", catalog.disk.path(), &e))?;
    then();
    let random =
        catalog.disk.random().map_err(|e| Error::io("name the checkpoint of", catalog.disk.path(), &e))?;
    let id = u64::from_le_bytes(random[..8].try_into().unwrap_or_default()).max(1);
    let mut header = CheckpointHeader {
        store_id: listed.store_id,
        id,
        files,
        roots: memory::vec_of(CheckpointRoot::default(), ROOTS)?,
        elements: None,
        lines: (lines.len() / LINE_SIZE) as u64,
    };
    let keys_at = header.encode()?.len() as u64 + lines.len() as u64 + 4;
    let disk = catalog.disk.as_ref();
    // With all its blocks, what the next one replaces soon need not be written to the disk at all.
    let size = keys_at + engine.index.len() * USUAL_KEY_SIZE;
    replace_with(disk, names::CHECKPOINT_TMP, names::CHECKPOINT, size, false, &mut |file| {
        let mut at = keys_at;
        write_index(&engine.index, &mut header.roots, file, &mut at, is_over)?;
        let mut front = Front::new(file, header.encode()?);
        front.push(&lines)?;
        front.finish()?;
        file.truncate(at)
    })?;
    let (at, last_seq) = (Position::new(moment.active.id, moment.tail), moment.last_seq);
    Ok(Checkpointed { id, at, last_seq, first_seq: moment.first_seq, generation: listed.generation })
}

/// The files of the log up to that which it was in, and those that are complete: all but what was made ahead, in which the log may be by now.
fn files(catalog: &Catalog, listed: &Manifest, moment: &Moment) -> Result<Vec<CheckpointFile>> {
    let all = catalog.files.all()?;
    let mut files = memory::vec_with_room(all.len())?;
    for file in all {
        let is_active = file.id == moment.active.id;
        let Ok(n) = listed.files.binary_search_by_key(&file.id, |entry| entry.id) else { continue };
        let is_ahead = listed.files[n].state == FileState::Open && file.id > moment.active.id;
        if is_ahead || file.is_replaced() {
            continue;
        }
        let (records, total_weight) = match is_active {
            true => (moment.records, moment.weight),
            false => (file.usage.records(), file.usage.weight()),
        };
        // What is alive changes while this is written: who reads it counts.
        let (id, slot) = (file.id, file.slot);
        files.push(CheckpointFile { id, slot, live_records: 0, live_weight: 0, records, total_weight });
    }
    Ok(files)
}

/// How much of a file the checkpoint has.
#[derive(Clone, Copy)]
pub struct Covered {
    /// All up to here, in bytes.
    pub end: u64,
    /// The records in it, and their weight.
    pub records: u64,
    /// The bytes that the records take, by size class.
    pub weight: u64,
    /// The smallest and the largest sequence number; zeros where there is none.
    pub seqs: (u64, u64),
}

/// What a reader begins with.
pub struct Base {
    /// The newest version of each key, as far as it stands in what is covered: where they are.
    keys: Keys,
    places: Places,
    /// When these expire.
    lines: Vec<(KeyHash, Entry, u64)>,
    /// What need not be read.
    pub covered: HashMap<FileId, Covered>,
    /// The number of the last record.
    pub last_seq: u64,
    bytes: u64,
    /// How far the store's time was ahead of the machine's monotonic clock when all keys were noted, at least.
    ahead_ms: u64,
}

/// Keys stay in the checkpoint where at most this part as much was written since (a quarter). Else the index is made before anybody uses
/// it, because each noted version takes memory.
const FEW_SINCE: u64 = 4;

/// What expires later than this, by the store's time, in milliseconds, had not expired while the checkpoint was written.
const SOON_MS: u64 = 60_000;

impl Base {
    /// Whether the keys can stay where they are: all that is not covered was written since, and is little.
    pub fn can_stay(&self, files: &[(FileEntry, Arc<DataFile>)]) -> bool {
        let (mut before, mut since) = (0, 0);
        for (entry, file) in files {
            let covered = self.covered.get(&entry.id);
            // A merge has written it, perhaps: of older versions.
            if covered.is_none() && entry.state == FileState::Sealed && entry.min_seq <= self.last_seq {
                return false;
            }
            let end = covered.map_or(FILE_HEADER_SIZE, |covered| covered.end);
            before += end;
            since += file.tail().saturating_sub(end);
        }
        since <= before / FEW_SINCE && Overlaid::can_be_over(&self.keys)
    }

    /// An index that begins with the keys where they are, and with what was written since, which is newer.
    pub fn over(self, newer: &Index, expiries: &Expiries, catalog: &Arc<Catalog>) -> Result<Index> {
        // Keys expire by the store's time, which may be any time ahead of the wall clock.
        let store_ms = catalog.disk.monotonic_ms().saturating_add(self.ahead_ms);
        let soon_ms = catalog.disk.now_ms(true).max(store_ms).saturating_add(SOON_MS);
        for (hash, entry, expiry_ms) in &self.lines {
            // A key that expired while the checkpoint was written may have a line and no place. That takes long to find out, and where it is not
            // found out, who looks for what has expired does.
            let is_there = || {
                let found =
                    self.keys.find(*hash).and_then(|found| self.places.translate(Index::pack(hash, found)));
                found == Some(Index::pack(hash, *entry))
            };
            // Of a key that was written while the checkpoint was, too, the line may be of an older version.
            if newer.get(*hash).is_none() && (*expiry_ms > soon_ms || is_there()) {
                expiries.add(*hash, *expiry_ms)?;
            }
        }
        Overlaid::index(self.keys, self.places, Some(newer), catalog)
    }

    /// The index of these keys, and when they expire. `None` where the checkpoint is damaged.
    pub fn take(&self) -> Result<Option<(Index, Expiring)>> {
        let index = match Index::of_sorted(self.bytes, |root| take(&self.keys, root, &self.places)) {
            Ok(index) => index,
            Err(Unavailable::Damaged) => return Ok(None),
            Err(no_memory) => return Err(no_memory.into()),
        };
        self.keys.let_go();
        let mut expiring = Expiring::default();
        self.lines
            .iter()
            .try_for_each(|(hash, entry, expiry_ms)| expiring.push(*hash, *entry, *expiry_ms))?;
        Ok(Some((index, expiring)))
    }
}

/// The checkpoint that the page names in this session, for these files of a manifest that was read after `told` was. `None` where there is none that can
/// be used.
pub fn load(
    catalog: &Catalog,
    manifest: &Manifest,
    (told, session, checkpointed): (&Told, u64, &Checkpointed),
    files: &[(FileEntry, Arc<DataFile>)],
) -> Result<Option<Base>> {
    if manifest.needs.has(COLLECTIONS) || checkpointed.generation > manifest.generation {
        return Ok(None);
    }
    let belongs =
        |header: &CheckpointHeader| (header.store_id, header.id) == (manifest.store_id, checkpointed.id);
    let (mut looked, mut lines) = (0, Vec::new());
    let found = loop {
        lines.clear();
        let found = read(catalog, belongs, |line| match line {
            CheckpointLine::Expiry { expiry_ms, root, slot } => {
                Ok(memory::push(&mut lines, (root, slot, expiry_ms))?)
            }
            CheckpointLine::Clocks { .. } => Ok(()),
        })?;
        if let Some(found) = found {
            break found;
        }
        if told.checkpoint(session) != Some(*checkpointed) {
            let path = catalog.disk.path().join(names::CHECKPOINT);
            let what = "another checkpoint took its place while it was read";
            return Err(Error::Corrupt { path, file_id: 0, offset: 0, what });
        }
        // It is told a moment after it is there.
        looked += 1;
        if looked > LOOKED_AGAIN {
            return Ok(None);
        }
        thread::sleep(PAUSE);
    };
    let header = &found.header;
    let Some((roots, _)) = find_roots(header, found.keys_at, found.file.size().ok())? else {
        return Ok(None);
    };
    let Some((covered, places)) = cover(header, (told, checkpointed), files)? else { return Ok(None) };
    let bytes = found.file.size().unwrap_or(0);
    let keys = Keys::of(found.file.clone(), roots);
    let lines = lines.iter().filter_map(|(root, pair, expiry_ms)| {
        let (hash, entry) = Index::unpack(*root, places.translate(*pair)?)?;
        Some((hash, entry, *expiry_ms))
    });
    let lines = memory::collect(lines)?;
    // Read after the page told of the checkpoint, and it only grows.
    let ahead_ms = told.clock();
    Ok(Some(Base { keys, places, lines, covered, last_seq: checkpointed.last_seq, bytes, ahead_ms }))
}

/// What the slots of a checkpoint are here, and up to which unit their files are covered.
pub struct Places(Vec<(u16, u32)>);

impl Places {
    /// None is covered.
    fn none(header: &CheckpointHeader) -> Result<Self> {
        let slots = header.files.iter().map(|saved| usize::from(saved.slot) + 1).max().unwrap_or(0);
        Ok(Places(memory::vec_of((0, 0), slots)?))
    }

    /// The files have the same slots here, and are covered to their ends.
    pub fn same(header: &CheckpointHeader) -> Result<Self> {
        let mut places = Places::none(header)?;
        header.files.iter().for_each(|saved| places.0[usize::from(saved.slot)] = (saved.slot, u32::MAX));
        Ok(places)
    }

    /// A key with its place in the files that are open here; `None` where that is in no file that is covered so far.
    pub fn translate(&self, (word, entry): Pair) -> Option<Pair> {
        let (slot, end) = self.0.get(usize::from((entry >> 32) as u16)).copied().unwrap_or_default();
        let is_covered = (entry as u32) < end;
        is_covered.then_some((word, entry & !(0xFFFF << 32) | u64::from(slot) << 32))
    }
}

/// Which parts of these files the checkpoint has: of the file that the log was in all up to there, of those before it everything, and
/// nothing of what was empty. `None` where the page does not tell of all of them.
fn cover(
    header: &CheckpointHeader,
    (told, checkpointed): (&Told, &Checkpointed),
    files: &[(FileEntry, Arc<DataFile>)],
) -> Result<Option<(HashMap<FileId, Covered>, Places)>> {
    let (mut covered, mut places) = (HashMap::new(), Places::none(header)?);
    let at = checkpointed.at;
    // The files that are open, from the last on: the numbers in one end where those of the next begin.
    let mut next = checkpointed.last_seq.saturating_add(1);
    for (entry, file) in files.iter().rev() {
        let Ok(n) = header.files.binary_search_by_key(&entry.id, |saved| saved.id) else { continue };
        let saved = &header.files[n];
        let (end, seqs) = if entry.id == at.file() {
            let first = checkpointed.first_seq;
            let seqs = if first == 0 { (0, 0) } else { (first, checkpointed.last_seq) };
            next = if first == 0 { next } else { first };
            (at.offset(), seqs)
        } else if saved.records == 0 {
            // The log may have gone on in it since.
            continue;
        } else if entry.state == FileState::Sealed {
            (entry.length, (entry.min_seq, entry.max_seq))
        } else {
            if told.extent(entry.id).is_none() || entry.id > at.file() {
                return Ok(None);
            }
            let first = file.seq_at(FILE_HEADER_SIZE)?;
            let seqs = (first, next.saturating_sub(1));
            next = first;
            (file.tail(), seqs)
        };
        if !(FILE_HEADER_SIZE..=file.tail()).contains(&end) {
            return Ok(None);
        }
        let (records, weight) = (saved.records, saved.total_weight);
        covered.insert(entry.id, Covered { end, records, weight, seqs });
        // The end of a file is below 32 GiB.
        places.0[usize::from(saved.slot)] = (file.slot, u32::try_from(end / ALIGNMENT).unwrap_or(u32::MAX));
    }
    Ok(Some((covered, places)))
}

/// The keys of a root that stand in what is covered.
fn take(keys: &Keys, root: u8, places: &Places) -> std::result::Result<Vec<Pair>, Unavailable> {
    let mut taken = memory::vec_with_room(keys.len(root))?;
    keys.take(root, &mut taken)?;
    let mut kept = 0;
    for n in 0..taken.len() {
        if let Some(pair) = places.translate(taken[n]) {
            taken[kept] = pair;
            kept += 1;
        }
    }
    taken.truncate(kept);
    // Somebody may have made them up.
    if !taken.is_sorted_by_key(|key| key.0) {
        taken.sort_unstable();
    }
    Ok(taken)
}
