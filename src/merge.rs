//! The merge: copies what is alive out of files that are mostly dead, and removes them.
//!
//! Invariants, each of which a test tries to break:
//! - A record that is dropped is one that nobody can need: the index points at a newer one, which is durable before the
//!   merge commits; or it is a tombstone, or has expired, and no file that stays can hold an older version of its key.
//! - Inputs are worked on oldest first, and a file that is not finished counts as one that stays.
//! - Until the manifest lists the outputs in place of the inputs, the inputs are the store. After that the outputs are.
//! - The index is moved record by record, each only if it still points at the place that was copied.
//! - An input is removed when no reader, snapshot or pinned value can be in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::db::Shell;
use crate::engine::{Engine, Inside};
use crate::error::{Error, Result};
use crate::events::LogLevel;
use crate::format::ALIGNMENT;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::{Header, Kind};
use crate::format::manifest::{FileEntry, FileState};
use crate::hints;
use crate::index::{Entry, KeyHash, Location, SizeClass};
use crate::log::append::encode_frame;
use crate::log::file::{DataFile, Frame};
use crate::log::scan::{End, scan};
use crate::maintenance;
use crate::options::Options;

/// Copies are written, and the index is moved, in pieces of about this many bytes.
const PIECE: usize = 256 << 10;

/// Merges while the store takes more space than it should. Called by the maintenance thread, from outside the gate.
pub fn run_if_due(shell: &Shell) -> Result<()> {
    loop {
        let inputs = {
            let Some(engine) = shell.inside() else { return Ok(()) };
            match choose(&engine) {
                Some(inputs) if !shell.signal().is_stopped() => inputs,
                _ => return Ok(()),
            }
        };
        run(shell, inputs)?;
    }
}

/// Merges everything that has something dead in it, the active file included.
pub fn run_all(shell: &Shell) -> Result<()> {
    let mut uncommitted = shell.merging().lock();
    {
        let engine = shell.enter()?;
        engine.purge_expired(&engine);
        engine.log.rotate_if_dead()?;
    }
    maintenance::tidy(shell)?;
    let mut waiting = {
        let engine = shell.enter()?;
        let mut files: Vec<_> = sealed(&engine).into_iter().filter(|file| has_dead(file)).collect();
        files.sort_by_key(|file| file.seqs());
        files
    };
    while !waiting.is_empty() {
        let limit = shell.enter()?.options.max_file_size;
        let mut weight = 0;
        let take = waiting.iter().take_while(|file| {
            weight += file.usage.live_weight();
            weight <= limit
        });
        let take = take.count().max(1);
        let rest = waiting.split_off(take);
        run_locked(shell, &mut uncommitted, waiting)?;
        waiting = rest;
    }
    Ok(())
}

fn has_dead(file: &DataFile) -> bool {
    file.usage.live_records() < file.usage.records()
}

/// The files that a merge may take.
pub fn sealed(engine: &Engine) -> Vec<Arc<DataFile>> {
    let manifest = engine.catalog.manifest();
    let is_sealed = |file: &Arc<DataFile>| {
        let entry = manifest.files.binary_search_by_key(&file.id, |entry| entry.id);
        entry.is_ok_and(|n| manifest.files[n].state == FileState::Sealed) && !file.is_never_merged()
    };
    engine.catalog.files.all().into_iter().filter(is_sealed).collect()
}

/// The oldest file that has something dead in it, which keeps merges from dropping tombstones, and the files that hold
/// tombstones that were kept. `None` where it would not help, because a file that cannot be merged keeps them too.
fn unblock_tombstones(engine: &Engine) -> Option<Vec<Arc<DataFile>>> {
    let mut files = sealed(engine);
    files.sort_by_key(|file| file.seqs());
    let newest = files.iter().filter(|file| file.kept_tombstones() > 0).map(|file| file.seqs().1).max()?;
    let is_in_the_way = |file: &Arc<DataFile>| {
        let (oldest, _) = file.seqs();
        let mergeable = files.iter().any(|sealed| sealed.id == file.id);
        !mergeable && !file.is_replaced() && has_dead(file) && (1..newest).contains(&oldest)
    };
    if engine.catalog.files.all().iter().any(is_in_the_way) {
        return None;
    }
    let blocker = files.iter().find(|file| has_dead(file)).map(|file| file.id);
    files.retain(|file| Some(file.id) == blocker || file.kept_tombstones() > 0);
    Some(files)
}

/// Bytes of all data files, and how many of them are alive.
pub fn space(engine: &Engine) -> (u64, u64) {
    let mut files = engine.catalog.files.all();
    // What snapshots keep of replaced files cannot be merged away.
    files.retain(|file| !file.is_replaced());
    files.iter().fold((0, 0), |(total, live), file| (total + file.tail(), live + live_bytes(file)))
}

/// Dead bytes in the files that a merge may take.
pub fn reclaimable(engine: &Engine) -> u64 {
    sealed(engine).iter().filter(|file| !file.is_replaced()).map(|file| file.tail() - live_bytes(file)).sum()
}

/// Small stores are left alone until about a whole file could be saved.
pub fn slack(options: &Options) -> u64 {
    options.max_file_size.min(1 << 20)
}

/// The files whose merge gives back the most for the least, if the store takes more space than it should.
fn choose(engine: &Engine) -> Option<Vec<Arc<DataFile>>> {
    let (total, live) = space(engine);
    let tombstones: u64 = engine.catalog.files.all().iter().map(|file| file.kept_tombstones()).sum();
    if tombstones > live / 8 + slack(&engine.options)
        && let Some(inputs) = unblock_tombstones(engine)
    {
        return Some(inputs);
    }
    // Merging begins below the target, so that a store under load settles at it and not above.
    let target = 1.0 + (engine.options.merge_space_amplification - 1.0) * 0.8;
    if (total as f64) <= live as f64 * target + slack(&engine.options) as f64 {
        return None;
    }
    let mut files: Vec<_> = sealed(engine).into_iter().filter(|file| has_dead(file)).collect();
    files.sort_by(|a, b| dead_share(b).total_cmp(&dead_share(a)));
    let mut weight = 0;
    let enough = files.iter().take_while(|file| {
        let before = weight;
        weight += live_bytes(file);
        before < engine.options.max_file_size && dead_share(file) > 0.05
    });
    let enough = enough.count().min(64);
    files.truncate(enough);
    files.sort_by_key(|file| file.seqs());
    if files.is_empty() { None } else { Some(files) }
}

/// Bytes of a file that are alive: the part of its weight that is, of its size.
pub fn live_bytes(file: &DataFile) -> u64 {
    let weight = file.usage.weight();
    if weight == 0 {
        return 0;
    }
    (file.tail() as f64 * (file.usage.live_weight() as f64 / weight as f64)) as u64
}

fn dead_share(file: &DataFile) -> f64 {
    1.0 - live_bytes(file) as f64 / file.tail().max(1) as f64
}

fn run(shell: &Shell, inputs: Vec<Arc<DataFile>>) -> Result<()> {
    run_locked(shell, &mut shell.merging().lock(), inputs)
}

/// What a merge has done and not committed yet. It outlives a merge whose commit failed: the index points into the
/// outputs then, so nothing else may be merged before they are in the manifest.
#[derive(Default)]
pub struct Uncommitted {
    outputs: Vec<Arc<DataFile>>,
    /// Inputs of which everything that is needed has been copied.
    finished: Vec<Arc<DataFile>>,
}

/// Commits what an earlier merge could not commit; for a close.
pub fn commit_rest(shell: &Shell, uncommitted: &mut Uncommitted) -> Result<()> {
    Merge { shell, work: uncommitted, pace: Pace::new(), buffer: Vec::new(), moves: Vec::new() }.commit()
}

/// Merges `inputs`, which are sealed and in the order of their sequence numbers.
fn run_locked(shell: &Shell, uncommitted: &mut Uncommitted, inputs: Vec<Arc<DataFile>>) -> Result<()> {
    let mut merge =
        Merge { shell, work: uncommitted, pace: Pace::new(), buffer: Vec::new(), moves: Vec::new() };
    merge.commit()?;
    // A writer may have appended to an input and not yet told the index. It is inside the gate, and the inputs have been
    // sealed before: once all who are inside have left, the index knows every record of the inputs.
    shell.gated().wait_for_readers();
    if let Some(engine) = shell.inside() {
        engine.catalog.events.log(LogLevel::Debug, || format!("merging {} files", inputs.len()));
    }
    let copied = merge.take_over_all(inputs);
    // Also after a failure: the index points into the outputs already.
    let committed = merge.commit();
    copied?;
    committed?;
    maintenance::tidy(shell)
}

struct Merge<'a> {
    shell: &'a Shell,
    work: &'a mut Uncommitted,
    pace: Pace,
    /// Frames for the current output that are not written yet, and where each came from.
    buffer: Vec<u8>,
    moves: Vec<Move>,
}

/// A record that goes to the output.
struct Move {
    hash: KeyHash,
    /// Where it was; `None` for a tombstone, which the index does not know.
    from: Option<Entry>,
    units: u32,
    size: SizeClass,
    seq: u64,
    expiry_ms: Option<u64>,
}

/// A record of an input that is to be decided about.
struct Candidate {
    offset: u64,
    header: Header,
    hash: KeyHash,
}

/// How many records are decided about at once.
const GROUP: usize = 64;

/// What becomes of a record of an input.
enum Fate {
    Drop,
    Keep(Entry),
    /// Only that the key is gone needs to be known.
    KeepTombstone,
}

impl Merge<'_> {
    fn take_over_all(&mut self, inputs: Vec<Arc<DataFile>>) -> Result<()> {
        for input in inputs {
            match self.take_over(&input) {
                Ok(true) => self.work.finished.push(input),
                // Told to stop: what is finished is committed.
                Ok(false) => return Ok(()),
                Err(error) => {
                    if matches!(error, Error::Corrupt { .. }) {
                        input.never_merge();
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Copies what is needed of one input. False if told to stop before the end.
    ///
    /// Records are decided about in groups: the index is asked for all of a group before any of them is looked up, so
    /// that the cache misses overlap. Most records are dead, and a lookup is all that they cost.
    fn take_over(&mut self, input: &Arc<DataFile>) -> Result<bool> {
        let older_elsewhere = match self.shell.inside() {
            Some(engine) => self.oldest_dead_elsewhere(&engine, input),
            None => return Ok(false),
        };
        let (mut group, mut stopped) = (Vec::with_capacity(GROUP), false);
        let (_, end) = scan(input, FILE_HEADER_SIZE, input.tail(), &mut |frame| {
            if stopped || !matches!(frame.header.kind, Kind::Put | Kind::Tombstone) {
                return Ok(());
            }
            group.push(Candidate { offset: frame.offset, header: frame.header, hash: KeyHash::default() });
            let candidate = group.last_mut().map(|candidate| &mut candidate.hash);
            match (self.shell.inside(), candidate) {
                (Some(engine), Some(hash)) if !self.shell.signal().is_stopped() => {
                    *hash = engine.hasher.hash(frame.key());
                    engine.index.prefetch(*hash);
                }
                _ => stopped = true,
            }
            if group.len() == GROUP {
                self.decide(input, &mut group, older_elsewhere)?;
            }
            Ok(())
        })?;
        if let End::Damaged { offset, what } = end {
            return Err(input.corrupt(offset, what));
        }
        if stopped {
            return Ok(false);
        }
        self.decide(input, &mut group, older_elsewhere)?;
        // An input is finished when its last record is in an output, not when it is in the buffer.
        match self.shell.inside() {
            Some(engine) => self.flush(&engine).map(|()| true),
            None => Ok(false),
        }
    }

    /// Copies those of a group that are needed, and empties it.
    fn decide(&mut self, input: &DataFile, group: &mut Vec<Candidate>, older_elsewhere: u64) -> Result<()> {
        let Some(engine) = self.shell.inside() else { return Ok(()) };
        self.pace.limit = engine.options.merge_rate_limit;
        maintenance::sync_if_due(&engine);
        let mut buffer = Vec::new();
        for candidate in group.drain(..) {
            let from = match fate(&engine, input, &candidate, older_elsewhere) {
                Fate::Drop => continue,
                Fate::Keep(entry) => Some(entry),
                Fate::KeepTombstone => None,
            };
            let bytes = input.bytes(candidate.offset, candidate.header.frame_size(), &mut buffer)?;
            let frame = Frame::parse(bytes, candidate.offset, input.salt)
                .map_err(|what| input.corrupt(candidate.offset, what))?;
            self.copy(&engine, &frame, candidate.hash, from)?;
        }
        Ok(())
    }

    /// The smallest sequence number in a file that stays and has something dead in it: only there can an older version
    /// of a key be that nobody sees any more.
    fn oldest_dead_elsewhere(&self, engine: &Engine, input: &DataFile) -> u64 {
        let stays = |file: &Arc<DataFile>| {
            file.id != input.id
                && !self.work.finished.iter().any(|finished| finished.id == file.id)
                && !self.work.outputs.iter().any(|output| output.id == file.id)
                && has_dead(file)
                && file.seqs().0 > 0
        };
        engine
            .catalog
            .files
            .all()
            .iter()
            .filter(|file| stays(file))
            .map(|file| file.seqs().0)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Appends a record to the current output. Without an entry only its tombstone.
    fn copy(
        &mut self,
        engine: &Inside<'_>,
        frame: &Frame<'_>,
        hash: KeyHash,
        from: Option<Entry>,
    ) -> Result<()> {
        let mut header = Header { frontier: None, ..frame.header };
        let mut value = frame.value();
        if from.is_none() {
            header = Header { kind: Kind::Tombstone, expiry_ms: None, value_len: 0, ..header };
            value = &[];
        }
        let size = header.frame_size();
        let full = |output: &Arc<DataFile>| {
            output.tail() + self.buffer.len() as u64 + size > engine.options.max_file_size
        };
        if self.work.outputs.last().is_none_or(full) {
            self.flush(engine)?;
            let capacity = engine.options.max_file_size.max(FILE_HEADER_SIZE + size);
            self.work.outputs.push(engine.catalog.create_file(capacity)?);
        }
        let Some(output) = self.work.outputs.last() else { return Ok(()) };
        self.buffer.try_reserve(size as usize).map_err(|_| Error::NoMemory { bytes: size })?;
        let first = output.tail();
        let units = ((first + self.buffer.len() as u64) / ALIGNMENT) as u32;
        encode_frame(&header, &[frame.key(), value], output.salt, first, &mut self.buffer);
        self.moves.push(Move {
            hash,
            from,
            units,
            size: SizeClass::of_units(size / ALIGNMENT),
            seq: header.seq,
            expiry_ms: header.expiry_ms,
        });
        if self.buffer.len() >= PIECE { self.flush(engine) } else { Ok(()) }
    }

    /// Writes the buffer to the current output and moves the index.
    fn flush(&mut self, engine: &Inside<'_>) -> Result<()> {
        let Some(output) = self.work.outputs.last().filter(|_| !self.buffer.is_empty()) else {
            return Ok(());
        };
        let (start, len) = (output.tail(), self.buffer.len() as u64);
        let failed = |e: std::io::Error| output.io_error("copy records to", &e);
        let written = output
            .disk_file
            .reserve(start + len)
            .and_then(|()| output.disk_file.write_at(&[&self.buffer], start))
            .map_err(failed);
        let moves = std::mem::take(&mut self.moves);
        self.buffer.clear();
        written?;
        engine.counters.merged_bytes.fetch_add(len, std::sync::atomic::Ordering::Relaxed);
        let last = moves.last().map_or(0, |last| last.seq);
        for moved in &moves {
            output.include_seqs(moved.seq, moved.seq);
        }
        output.advance(start + len, last);
        for moved in &moves {
            output.usage.wrote(moved.size);
            let Some(from) = moved.from else {
                output.keep_tombstone(moved.size);
                continue;
            };
            let location = Location { slot: output.slot, units: moved.units };
            let to = Entry { location, size: moved.size };
            if engine.index.lock(moved.hash).replace(moved.hash, from, to) {
                if let Some(file) = engine.catalog.files.get(usize::from(from.location.slot), engine) {
                    file.usage.died(from.size);
                }
                if let Some(expiry_ms) = moved.expiry_ms {
                    engine.expiries.add(expiry_ms, moved.hash, (to, output.id), &engine.index);
                }
            } else {
                output.usage.died(moved.size);
            }
        }
        self.moves = moves;
        self.moves.clear();
        self.pace.wrote(len, self.shell);
        // The thread that merges is the one that keeps room ahead of the writers: it does so between two pieces.
        if self.shell.signal().take_work()
            && let Err(error) = engine.log.prepare()
        {
            engine.catalog.events.log(LogLevel::Warn, || error);
        }
        Ok(())
    }

    /// Makes the outputs durable and lets them take the place of the inputs that are finished.
    fn commit(&mut self) -> Result<()> {
        let Some(engine) = self.shell.inside() else { return Ok(()) };
        if self.work.finished.is_empty() && self.work.outputs.is_empty() {
            return Ok(());
        }
        let mut entries = Vec::with_capacity(self.work.outputs.len());
        for output in &self.work.outputs {
            let failed = |e: std::io::Error| output.io_error("finish the merged file", &e);
            output.disk_file.seal().map_err(failed)?;
            output.disk_file.truncate(output.tail()).map_err(failed)?;
            output.disk_file.sync().map_err(|e| engine.catalog.poison.set(failed(e)))?;
            let _ = hints::write(&engine.catalog, output, &engine.hasher, hints::AUTOMATIC_SHARE);
            let (min_seq, max_seq) = output.seqs();
            entries.push(FileEntry {
                id: output.id,
                state: FileState::Sealed,
                salt: output.salt,
                length: output.tail(),
                min_seq,
                max_seq,
            });
        }
        engine.catalog.events.log(LogLevel::Debug, || "outputs are durable");
        // What made the dropped records dead must be at least as durable as they were.
        engine.log.sync()?;
        let empty = |entry: &FileEntry| entry.max_seq == 0;
        let gone: Vec<u32> = self.work.finished.iter().map(|file| file.id).collect();
        engine.catalog.update(|manifest| {
            manifest.clean = false;
            manifest.files.retain(|entry| !gone.contains(&entry.id));
            manifest.files.extend(entries.iter().filter(|entry| !empty(entry)));
        })?;
        engine.catalog.events.log(LogLevel::Info, || {
            let kept: u64 = entries.iter().map(|entry| entry.length).sum();
            format!("merged {} files into {} with {kept} bytes", gone.len(), entries.len())
        });
        engine.counters.merges.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let work = std::mem::take(self.work);
        work.finished.iter().for_each(|file| file.set_replaced());
        let unused = work.outputs.into_iter().filter(|output| output.seqs().1 == 0);
        engine.snapshots.pin(work.finished.into_iter().chain(unused).collect());
        Ok(())
    }
}

/// Decides about one record.
fn fate(engine: &Inside<'_>, input: &DataFile, candidate: &Candidate, older_elsewhere: u64) -> Fate {
    let Candidate { offset, header, hash } = candidate;
    let location = Location { slot: input.slot, units: (offset / ALIGNMENT) as u32 };
    let current = engine.index.get(*hash);
    let is_tombstone = header.kind == Kind::Tombstone;
    let expired = header.expiry_ms.is_some_and(|expiry_ms| engine.has_expired(expiry_ms));
    if let Some(entry) = current {
        if entry.location != location {
            // The index points at something newer.
            return Fate::Drop;
        }
        if !expired {
            return Fate::Keep(entry);
        }
        engine.forget_expired(engine, *hash, entry);
    }
    // A tombstone, or what is left of an expired record, hides older versions of the key.
    if (is_tombstone || expired) && older_elsewhere < header.seq { Fate::KeepTombstone } else { Fate::Drop }
}

/// Keeps a merge below its limit of bytes per second.
struct Pace {
    limit: u64,
    begun: Instant,
    bytes: u64,
}

impl Pace {
    fn new() -> Self {
        Pace { limit: 0, begun: Instant::now(), bytes: 0 }
    }

    fn wrote(&mut self, bytes: u64, shell: &Shell) {
        self.bytes += bytes;
        while self.limit > 0 && !shell.signal().is_stopped() {
            let due = Duration::from_secs_f64(self.bytes as f64 / self.limit as f64);
            let Some(early) = due.checked_sub(self.begun.elapsed()) else { return };
            std::thread::sleep(early.min(Duration::from_millis(20)));
            if let Some(engine) = shell.inside() {
                maintenance::sync_if_due(&engine);
            }
        }
    }
}
