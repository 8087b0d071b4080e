//! The merge: copies what is alive out of files that are mostly dead, and removes them.
//!
//! Invariants, each of which a test tries to break:
//! - A record that is dropped is one that nobody can need: the index points at a newer one, which is durable before the
//!   merge commits; or it is a tombstone, or has expired, and no file that stays can hold an older version of its key.
//! - Inputs are worked on oldest first. A file counts as one that stays unless it goes together with what is worked on.
//! - Until the manifest lists the outputs in place of the inputs, the inputs are the store. After that the outputs are.
//! - The index is moved record by record, each only if it still points at the place that was copied.
//! - A tombstone that is younger than `keep_tombstones_ms` is kept for those who follow the log. The manifest says up to which number
//!   one may be missing (`complete_after`), in the same change by which it goes.
//! - An input is removed when no reader, snapshot or pinned value can be in it.

mod copies;
mod places;
mod policy;
#[cfg(test)]
mod tests;

pub use policy::is_near;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::bitcask::background::seal;
use crate::bitcask::engine::space::sealed;
use crate::bitcask::engine::{Engine, Inside};
use crate::bitcask::lifecycle::hints;
use crate::bitcask::shared::LONGEST_WAIT_FOR_READERS;
use crate::bitcask::shared::{Shared, Uncommitted};
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::{Epoch, Header, Kind};
use crate::format::manifest::{FileEntry, FileState};
use crate::format::{ALIGNMENT, FileId};
use crate::index::{Entry, KeyHash, Location};
use crate::log::file::{DataFile, Frame};
use crate::log::scan::{End, frames_at, scan};
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;
use crate::store::memory;
use crate::store::stats::MergeProgress;
use copies::Copies;
use places::Places;
use policy::{choose, file_size, mergeable, unblock_tombstones};

/// Between pieces of an input of so many bytes it is asked whether to go on.
const PIECE: u64 = 256 << 10;

/// So long a merge waits, after each commit, for those who are reading what was merged.
const WAIT_FOR_READERS: Duration = Duration::from_millis(50);

/// Is told, from time to time, how far a merge has come, and ends it with `Break`. Called from outside the gate.
pub type Watch<'a> = &'a mut dyn FnMut(&MergeProgress) -> ControlFlow<()>;

/// Merges some files if the store takes more space than it should; false where there is nothing to merge now. Called by the
/// maintenance thread, from outside the gate.
pub fn run_if_due(shell: &Shared) -> Result<bool> {
    let mut uncommitted = shell.merging().lock();
    if shell.signal().is_stopped() {
        return Ok(false);
    }
    begin_new_file_if_due(shell)?;
    let inputs = {
        let Some(engine) = shell.inside() else { return Ok(false) };
        match choose(&engine)? {
            Some(inputs) if !shell.signal().is_stopped() => inputs,
            _ => return Ok(false),
        }
    };
    run(shell, &mut uncommitted, inputs, &mut MergeProgress::default(), &mut |_| ControlFlow::Continue(()))
}

/// Says how large the files of the log should become, and begins a new one where that which is written to is larger.
fn begin_new_file_if_due(shell: &Shared) -> Result<()> {
    let begun = {
        let Some(engine) = shell.inside() else { return Ok(()) };
        let size = file_size(&engine.space(), &engine.options);
        engine.log.divide_at(size);
        if engine.log.active_size() > size { engine.log.rotate_if_dead() } else { Ok(false) }
    };
    match begun {
        Ok(true) => seal::seal_as_far_as_there_is_room(shell),
        // Merges make room for it.
        Ok(false) | Err(Error::NoSpace { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Merges everything that has something dead in it, the active file included. False where `watch` ended it before.
pub fn run_all(shell: &Shared, watch: Watch<'_>) -> Result<bool> {
    let mut uncommitted = shell.merging().lock();
    let mut progress = MergeProgress::default();
    shell.enter().map(|engine| engine.purge_expired(&engine))?;
    // On a full disk the active file's turn comes when the others have made room for its successor.
    let rotated = shell.enter()?.log.rotate_if_dead();
    let is_full = matches!(rotated, Err(Error::NoSpace { .. }));
    if !is_full {
        rotated?;
    }
    let mut pass = |choose: fn(&Engine) -> Result<Vec<Arc<DataFile>>>| {
        seal::seal_as_far_as_there_is_room(shell)?;
        let inputs = choose(&*shell.enter()?)?;
        run(shell, &mut uncommitted, inputs, &mut progress, &mut *watch)
    };
    if is_full {
        if !pass(mergeable)? {
            return Ok(false);
        }
        let engine = shell.enter()?;
        match engine.log.rotate_if_dead() {
            // There was nothing else to merge, and deletes took all that was set aside for them.
            Err(Error::NoSpace { .. }) if engine.catalog.release_for_merges() => {
                engine.log.rotate_if_dead()?
            }
            done => done?,
        };
    }
    let mut goes_on = pass(mergeable)?;
    // Tombstones that were kept because of files that were merged later can go now: all of them, unless somebody writes.
    let mut left = u64::MAX;
    while goes_on {
        let kept = shell.enter()?.space().kept_tombstones;
        if kept == 0 || kept >= left {
            break;
        }
        left = kept;
        goes_on = pass(|engine| Ok(unblock_tombstones(engine)?.unwrap_or_default()))?;
    }
    Ok(goes_on)
}

/// Merges `inputs` in groups, each of which is committed before the next begins: so the space that is needed meanwhile
/// is that of about one file.
fn run(
    shell: &Shared,
    uncommitted: &mut Uncommitted,
    mut inputs: Vec<Arc<DataFile>>,
    progress: &mut MergeProgress,
    watch: Watch<'_>,
) -> Result<bool> {
    let Some(limit) = shell.inside().map(|engine| engine.options.max_file_size) else { return Ok(true) };
    let _noted = shell.note_merge();
    let mut merge = Merge::new(shell, uncommitted, progress, watch);
    merge.begin()?;
    // What an earlier merge could not commit may have been chosen again.
    inputs.retain(|file| !file.is_replaced());
    inputs.sort_unstable_by_key(|file| file.seqs());
    merge.progress.files.1 += inputs.len() as u64;
    merge.progress.bytes.1 += inputs.iter().map(|file| file.tail()).sum::<u64>();

    while !inputs.is_empty() && !merge.stopped {
        let mut weight = 0;
        let fit = inputs.iter().take_while(|file| {
            weight += file.live_bytes();
            weight <= limit
        });
        let next = fit.count().max(1);
        // Without the reserve a merge could end with no room for the manifest that makes it count.
        match merge.has_reserve().and_then(|()| merge.group(&inputs[..next])) {
            Err(error @ Error::NoSpace { .. }) => {
                merge.make_room(error)?;
                inputs.retain(|file| !file.is_replaced());
            }
            done => {
                done?;
                inputs.drain(..next);
            }
        }
        // What was merged is to be gone before writers go on, unless somebody reads it for long.
        seal::collect_within(shell, WAIT_FOR_READERS);
        shell.inside().inspect(|engine| engine.back_pressure.has_removed());
        seal::seal_as_far_as_there_is_room(shell)?;
    }
    Ok(!merge.stopped)
}

/// Commits what an earlier merge could not commit; for a close.
pub fn commit_rest(shell: &Shared, uncommitted: &mut Uncommitted) -> Result<()> {
    let progress = &mut MergeProgress::default();
    Merge::new(shell, uncommitted, progress, &mut |_| ControlFlow::Break(())).commit()
}

struct Merge<'a> {
    shell: &'a Shared,
    work: &'a mut Uncommitted,
    watch: Watch<'a>,
    progress: &'a mut MergeProgress,
    /// Told to stop, by the watcher or because the store is being closed.
    stopped: bool,
    /// The files that had something dead in them when the merge began, and after which number that died: only there can
    /// an older version be of a key that was deleted later. Without those that are taken or finished.
    blockers: Vec<(FileId, u64)>,
    /// Inputs of which everything that is needed was copied: finished when the copies are written.
    taken: Vec<Arc<DataFile>>,
    /// Where the index points into the inputs that are next.
    places: Places,
    copies: Copies<'a>,
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
    /// Only that the key is gone needs to be known; until this time also where it hides nothing.
    KeepTombstone(u64),
    /// It says that the key is gone, and that needs to be known no more.
    DropTombstone,
}

impl<'a> Merge<'a> {
    fn new(
        shell: &'a Shared,
        work: &'a mut Uncommitted,
        progress: &'a mut MergeProgress,
        watch: Watch<'a>,
    ) -> Self {
        let mut copies = Copies::new(shell);
        copies.bytes = progress.copied_bytes;
        Merge {
            shell,
            work,
            watch,
            progress,
            stopped: false,
            blockers: Vec::new(),
            taken: Vec::new(),
            places: Places::default(),
            copies,
        }
    }

    /// Commits what is left of an earlier merge, and notes where older versions can be.
    fn begin(&mut self) -> Result<()> {
        match self.commit() {
            Err(Error::NoSpace { .. }) if self.release_reserve() => self.commit()?,
            done => done?,
        }
        let Some(engine) = self.shell.inside() else { return Ok(()) };
        engine.index.take_over_all()?;
        if let Some(elements) = engine.elements.index() {
            elements.take_over_all()?;
        }
        self.copies.suit(&engine.options);
        drop(engine);
        self.note_blockers()
    }

    /// Notes where older versions can be of what is in files that were sealed before. What is in those is known then: a writer
    /// may have appended to one and not yet told the index, or not yet counted what it made dead, but it holds a lock of the index.
    fn note_blockers(&mut self) -> Result<()> {
        let Some(engine) = self.shell.inside() else { return Ok(()) };
        let last_seq = engine.log.last_seq();
        engine.index.wait_for_writers();
        if let Some(elements) = engine.elements.index() {
            elements.wait_for_writers();
        }
        let mut files = engine.catalog.files.all()?;
        // A file that was replaced does not count, also after a crash.
        files.retain(|file| file.has_dead() && file.seqs().0 > 0 && !file.is_replaced());
        self.blockers = memory::collect(files.iter().map(|file| (file.id, file.deaths_after())))?;
        self.copies.alive_after = last_seq;
        Ok(())
    }

    /// Everything that is needed of an input was copied. After a failure the same may be counted again.
    fn take(&mut self, input: &Arc<DataFile>) {
        self.blockers.retain(|(id, _)| *id != input.id);
        // There is room: see `group`.
        self.taken.push(input.clone());
        self.progress.files.0 = (self.progress.files.0 + 1).min(self.progress.files.1);
    }

    /// Merges one group of inputs, in the order of their sequence numbers.
    fn group(&mut self, inputs: &[Arc<DataFile>]) -> Result<()> {
        if let Some(engine) = self.shell.inside() {
            engine.catalog.events.log(LogLevel::Debug, || format!("merging {} files", inputs.len()));
            let sum = |bytes: fn(&DataFile) -> u64| inputs.iter().map(|file| bytes(file)).sum();
            engine.back_pressure.will_merge(sum(DataFile::dead_bytes), sum(DataFile::live_bytes));
        }
        // All in the inputs are later, and most are near.
        self.copies.epoch = Epoch {
            seq: inputs.iter().map(|input| input.seqs().0).filter(|seq| *seq > 0).min().unwrap_or(0),
            time_ms: inputs.iter().map(|input| input.origin.epoch.time_ms).min().unwrap_or(0),
        };
        self.places = Places::default();
        // For what is noted when something was copied, and must not fail then.
        memory::reserve(&mut self.taken, inputs.len())?;
        memory::reserve(&mut self.blockers, inputs.len())?;
        memory::reserve(&mut self.work.finished, inputs.len())?;
        let copied = self.take_over_all(inputs);
        // Also after a failure: the index points into the outputs already.
        let flushed = match self.shell.inside() {
            Some(engine) => {
                engine.back_pressure.has_copied_all();
                self.copies.flush(&engine, &self.work.outputs).map(|()| true)
            }
            None => Ok(false),
        };
        self.progress.copied_bytes = self.copies.bytes;
        let is_lost = std::mem::take(&mut self.copies.is_lost);
        if matches!(flushed, Ok(true)) && !is_lost {
            self.work.finished.append(&mut self.taken);
        } else {
            // So they stay.
            self.blockers.extend(self.taken.drain(..).map(|input| (input.id, input.deaths_after())));
        }
        let committed = self.commit();
        copied?;
        self.stopped |= !flushed?;
        committed
    }

    fn has_reserve(&self) -> Result<()> {
        match self.shell.inside() {
            Some(engine) if engine.catalog.reserves.merges.is_released() => engine.catalog.fill_reserves(),
            _ => Ok(()),
        }
    }

    fn release_reserve(&self) -> bool {
        self.shell.inside().is_some_and(|engine| engine.catalog.release_for_merges())
    }

    /// After `error` said that the disk is full: with what was set aside for that, merges files that have so little in
    /// them that it fits, one by one, until there is room again. The error comes back where there is no such file.
    fn make_room(&mut self, error: Error) -> Result<()> {
        let mut merged = 0;
        loop {
            let smallest = {
                let Some(engine) = self.shell.inside() else { return Ok(()) };
                engine.catalog.release_for_merges();
                let mut files = sealed(&engine)?;
                files.retain(|file| file.has_dead() && !self.work.finished.iter().any(|it| it.id == file.id));
                let room = engine.catalog.reserves.merges.room();
                files
                    .into_iter()
                    .min_by_key(|file| file.live_bytes())
                    .filter(|file| file.live_bytes() <= room)
            };
            self.commit()?;
            if let Some(file) = &smallest {
                // It may have been sealed after the merge began.
                self.note_blockers()?;
                self.group(std::slice::from_ref(file))?;
                seal::seal_as_far_as_there_is_room(self.shell)?;
                seal::collect_within(self.shell, LONGEST_WAIT_FOR_READERS);
                merged += 1;
            }
            let Some(engine) = self.shell.inside() else { return Ok(()) };
            // What a snapshot still reads gives nothing back yet.
            let _ = engine.catalog.fill_reserves();
            if self.stopped || (merged > 0 && !engine.catalog.reserves.merges.is_released()) {
                return Ok(());
            }
            if smallest.is_none() {
                return Err(error);
            }
        }
    }

    fn take_over_all(&mut self, inputs: &[Arc<DataFile>]) -> Result<()> {
        let mut is_worth_a_look = true;
        for (n, input) in inputs.iter().enumerate() {
            if is_worth_a_look && self.places.in_file(input).is_none() && Places::are_enough(input) {
                let places = Places::look_up(self.shell, &inputs[n..]);
                is_worth_a_look = places.is_some();
                self.places = places.unwrap_or_default();
            }
            match self.take_over(input) {
                Ok(true) => {
                    self.take(input);
                    if !self.goes_on()? {
                        return Ok(());
                    }
                }
                // What is finished is committed.
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

    /// Whether to go on; asked between pieces, from outside the gate. `Err` in a child that the watcher forked: locks that other threads
    /// held then are never given up in it.
    fn goes_on(&mut self) -> Result<bool> {
        self.progress.copied_bytes = self.copies.bytes;
        let has_unused = self.shell.inside().is_some_and(|engine| {
            engine.back_pressure.goes_on();
            let (begun, ended) = engine.catalog.files.retired();
            ended < begun
        });
        if has_unused {
            seal::collect(self.shell);
        }
        self.copies.keep_pace();
        let ended = {
            let _visiting = self.shell.gated().visit();
            (self.watch)(self.progress).is_break()
        };
        if self.shell.fork.is_forked() {
            return Err(Error::Forked);
        }
        self.stopped |= ended || self.shell.signal().is_stopped();
        Ok(!self.stopped)
    }

    /// Copies what is needed of one input. False if told to stop before the end.
    ///
    /// Records are decided about in groups: the index is asked for all of a group before any of them is looked up, so
    /// that the cache misses overlap.
    fn take_over(&mut self, input: &Arc<DataFile>) -> Result<bool> {
        // Those that are taken go together with the input, or, if that fails, stay together with it.
        let deaths = self.blockers.iter().filter(|(id, _)| *id != input.id).map(|(_, after)| *after).min();
        let older_elsewhere = deaths.unwrap_or(u64::MAX);
        let Some(hasher) = self.shell.inside().map(|engine| engine.hasher) else { return Ok(false) };
        let (mut group, mut reported) = (memory::vec_with_room(GROUP)?, 0);
        let places = std::mem::take(&mut self.places);
        let mut visit = |frame: &Frame<'_>| {
            if !frame.header.kind.is_record() {
                return Ok(());
            }
            let hash = hasher.hash(frame.key());
            group.push(Candidate { offset: frame.offset, header: frame.header, hash });
            let is_piece = frame.offset - reported >= PIECE;
            if is_piece || group.len() == GROUP {
                self.decide(input, &mut group, older_elsewhere)?;
            }
            if is_piece {
                self.worked_through(frame.offset - reported);
                reported = frame.offset;
                if !self.goes_on()? {
                    // Nobody needs the rest of the file.
                    return Err(Error::Closed);
                }
            }
            Ok(())
        };
        let scanned = match places.in_file(input) {
            Some(places) => frames_at(input, places, &mut visit),
            None => scan(input, FILE_HEADER_SIZE, input.tail(), &mut visit).map(|(_, end)| end),
        };
        self.places = places;
        match scanned {
            Err(Error::Closed) => {
                self.stopped = true;
                return Ok(false);
            }
            Ok(End::Damaged { offset, what }) => return Err(input.corrupt(offset, what)),
            done => done?,
        };
        self.decide(input, &mut group, older_elsewhere)?;
        self.worked_through(input.tail() - reported);
        Ok(true)
    }

    /// Counts bytes of an input; after a failure the same may be counted again.
    fn worked_through(&mut self, bytes: u64) {
        self.progress.bytes.0 = (self.progress.bytes.0 + bytes).min(self.progress.bytes.1);
    }

    /// Copies those of a group that are needed, and empties it.
    fn decide(&mut self, input: &DataFile, group: &mut Vec<Candidate>, older_elsewhere: u64) -> Result<()> {
        let Some(engine) = self.shell.inside() else { return Ok(()) };
        for candidate in group.iter() {
            if let Some(index) = engine.index_of(candidate.header.kind) {
                index.prefetch_to_look(candidate.hash);
            }
        }
        let mut buffer = Vec::new();
        for candidate in group.drain(..) {
            let (from, until) = match fate(&engine, input, &candidate, older_elsewhere)? {
                Fate::Drop => continue,
                Fate::DropTombstone => {
                    self.work.dropped = self.work.dropped.max(candidate.header.seq);
                    continue;
                }
                Fate::Keep(entry) => (Some(entry), 0),
                Fate::KeepTombstone(until) => (None, until),
            };
            let bytes = input.bytes(candidate.offset, candidate.header.frame_size(), &mut buffer)?;
            let frame = Frame::parse(bytes, candidate.offset, &input.origin)
                .map_err(|what| input.corrupt(candidate.offset, what))?;
            if !input.is_mapped() && !frame.is_intact() {
                return Err(input.corrupt(candidate.offset, "a frame is not what it was a moment ago"));
            }
            self.copies.append(&engine, &mut self.work.outputs, &frame, candidate.hash, from)?;
            if let Some(output) = self.work.outputs.last().filter(|_| until > 0) {
                output.keep_tombstones_until(until);
            }
        }
        Ok(())
    }

    /// Makes the outputs durable and lets them take the place of the inputs that are finished.
    fn commit(&mut self) -> Result<()> {
        let Some(engine) = self.shell.inside() else { return Ok(()) };
        if self.work.finished.is_empty() && self.work.outputs.is_empty() {
            return Ok(());
        }
        memory::room_for_small_things()?;
        let entries = engine.back_pressure.while_disk_works(|| self.make_durable(&engine))?;
        engine.catalog.events.log(LogLevel::Info, || {
            let (gone, kept) =
                (self.work.finished.len(), entries.iter().map(|entry| entry.length).sum::<u64>());
            format!("merged {gone} files into {} with {kept} bytes", entries.len())
        });
        engine.counters.merges.fetch_add(1, Ordering::Relaxed);
        let work = std::mem::take(self.work);
        let is_unused = |output: &Arc<DataFile>| output.seqs().1 == 0;
        let gone = || work.finished.iter().chain(work.outputs.iter().filter(|file| is_unused(file)));
        engine.back_pressure.will_remove(work.finished.iter().map(|file| file.tail()).sum(), || {
            work.outputs.iter().filter(|file| !is_unused(file)).for_each(|file| file.set_sealed());
            gone().for_each(|file| file.set_replaced());
        });
        // Who took a record of an input out of the index may not have told the snapshots yet.
        engine.index.wait_for_writers();
        engine.snapshots.pin(gone().cloned());
        Ok(())
    }

    /// Writes outputs and manifest to the disk; what the manifest says of the outputs.
    fn make_durable(&self, engine: &Engine) -> Result<Vec<FileEntry>> {
        let mut entries = memory::vec_with_room(self.work.outputs.len())?;
        for output in &self.work.outputs {
            output.complete(&engine.catalog.poison, "finish the merged file")?;
            let _ = hints::write(&engine.catalog, output, &engine.hasher, hints::AUTOMATIC_SHARE);
            let (min_seq, max_seq) = output.seqs();
            entries.push(FileEntry {
                id: output.id,
                state: FileState::Sealed,
                salt: output.origin.salt,
                follows: false,
                length: output.tail(),
                min_seq,
                max_seq,
            });
        }
        engine.catalog.events.log(LogLevel::Debug, || "outputs are durable");
        // What made the dropped records dead must be at least as durable as they were.
        let last_seq = engine.log.last_seq();
        if !seeded_bug!("merge-committed-before-the-log") {
            engine.log.sync()?;
        }
        if seeded_bug!("unlink-before-manifest") {
            self.work.finished.iter().for_each(|file| engine.catalog.unlink(file));
        }
        let empty = |entry: &FileEntry| entry.max_seq == 0;
        let gone = memory::collect(self.work.finished.iter().map(|file| file.id))?;
        // What comes after the manifest must not fail.
        engine.snapshots.make_room_to_pin(self.work.finished.len() + self.work.outputs.len())?;
        engine.catalog.update_many(entries.len(), |manifest| {
            manifest.clean = false;
            // The files that say so may go, and no number may be used twice. Only what is synced counts: see `Manifest::last_seq`.
            if !seeded_bug!("sequence-number-reused") {
                manifest.last_seq = manifest.last_seq.max(last_seq);
            }
            // The note of it may have stood in an input.
            manifest.clock_ms = manifest.clock_ms.max(engine.known_time_ms());
            if !seeded_bug!("dropped-tombstone-not-told") {
                manifest.complete_after = manifest.complete_after.max(self.work.dropped);
            }
            manifest.files.retain(|entry| !gone.contains(&entry.id));
            manifest.files.extend(entries.iter().filter(|entry| !empty(entry)));
        })?;
        Ok(entries)
    }
}

/// Decides about one record.
fn fate(engine: &Inside<'_>, input: &DataFile, candidate: &Candidate, older_elsewhere: u64) -> Result<Fate> {
    let Candidate { offset, header, hash } = candidate;
    let location = Location { slot: input.slot, units: (offset / ALIGNMENT) as u32 };
    let current = engine.index_of(header.kind).and_then(|index| index.get(*hash));
    let is_tombstone = header.kind == Kind::Tombstone;
    let expired = header.expiry_ms.is_some_and(|expiry_ms| engine.has_expired(expiry_ms));
    if let Some(entry) = current {
        if entry.location != location {
            // The index points at something newer.
            return Ok(Fate::Drop);
        }
        if !expired {
            return Ok(Fate::Keep(entry));
        }
        engine.forget_expired(engine, *hash, entry)?;
    }
    // A tombstone, or what is left of an expired record, hides older versions of the key.
    let may_hide = match is_tombstone {
        true => !seeded_bug!("tombstone-dropped-early"),
        false => expired && !seeded_bug!("expired-record-hides-nothing"),
    };
    let hides = may_hide && older_elsewhere < header.seq;
    if !is_tombstone && !expired {
        return Ok(Fate::Drop);
    }
    let died_ms = header.expiry_ms.unwrap_or(header.time_ms);
    let until = match engine.options.keep_tombstones_ms {
        0 => 0,
        kept => died_ms.saturating_add(kept),
    };
    let is_young = until > 0 && until > engine.clock.precise();
    Ok(match hides || is_young {
        true => Fate::KeepTombstone(if is_young { until } else { 0 }),
        false => Fate::DropTombstone,
    })
}
