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

mod commit;
mod copies;
mod fate;
mod inputs;
mod places;
mod policy;
#[cfg(test)]
mod tests;

pub use policy::is_near;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::bitcask::background::seal;
use crate::bitcask::engine::Engine;
use crate::bitcask::engine::space::sealed;
use crate::bitcask::shared::LONGEST_WAIT_FOR_READERS;
use crate::bitcask::shared::{Shared, Uncommitted};
use crate::format::FileId;
use crate::format::frame::Epoch;
use crate::log::file::DataFile;
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;
use crate::store::memory;
use crate::store::stats::MergeProgress;
use copies::Copies;
use places::Places;
use policy::{choose, file_size, mergeable, unblock_tombstones};

/// How long a merge waits, after each commit, for those who are reading what was merged.
const WAIT_FOR_READERS: Duration = Duration::from_millis(50);

/// Is told, from time to time, how far a merge has come, and ends it with `Break`. Called from outside the gate.
pub type Watch<'a> = &'a mut dyn FnMut(&MergeProgress) -> ControlFlow<()>;

/// Merges some files if the store takes more space than it should; false where there is nothing to merge now. Called by the
/// maintenance thread, from outside the gate.
pub fn run_if_due(shared: &Shared) -> Result<bool> {
    let mut uncommitted = shared.merging().lock();
    if shared.signal().is_stopped() {
        return Ok(false);
    }
    begin_new_file_if_due(shared)?;
    let inputs = {
        let Some(engine) = shared.inside() else { return Ok(false) };
        match choose(&engine)? {
            Some(inputs) if !shared.signal().is_stopped() => inputs,
            _ => return Ok(false),
        }
    };
    run(shared, &mut uncommitted, inputs, &mut MergeProgress::default(), &mut |_| ControlFlow::Continue(()))
}

/// Says how large the files of the log should become, and begins a new one where that which is written to is larger.
fn begin_new_file_if_due(shared: &Shared) -> Result<()> {
    let begun = {
        let Some(engine) = shared.inside() else { return Ok(()) };
        let size = file_size(&engine.space(), &engine.options);
        engine.log.divide_at(size);
        if engine.log.active_size() > size { engine.log.rotate_if_dead() } else { Ok(false) }
    };
    match begun {
        Ok(true) => seal::seal_as_far_as_there_is_room(shared),
        // Merges make room for it.
        Ok(false) | Err(Error::NoSpace { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Merges everything that has something dead in it, the active file included. False where `watch` ended it before.
pub fn run_all(shared: &Shared, watch: Watch<'_>) -> Result<bool> {
    let mut uncommitted = shared.merging().lock();
    let mut progress = MergeProgress::default();
    shared.enter().map(|engine| engine.purge_expired(&engine))?;
    // On a full disk the active file's turn comes when the others have made room for its successor.
    let rotated = shared.enter()?.log.rotate_if_dead();
    let is_full = matches!(rotated, Err(Error::NoSpace { .. }));
    if !is_full {
        rotated?;
    }
    let mut pass = |choose: fn(&Engine) -> Result<Vec<Arc<DataFile>>>| {
        seal::seal_as_far_as_there_is_room(shared)?;
        let inputs = choose(&*shared.enter()?)?;
        run(shared, &mut uncommitted, inputs, &mut progress, &mut *watch)
    };
    if is_full {
        if !pass(mergeable)? {
            return Ok(false);
        }
        let engine = shared.enter()?;
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
        let kept = shared.enter()?.space().kept_tombstones;
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
    shared: &Shared,
    uncommitted: &mut Uncommitted,
    mut inputs: Vec<Arc<DataFile>>,
    progress: &mut MergeProgress,
    watch: Watch<'_>,
) -> Result<bool> {
    let Some(limit) = shared.inside().map(|engine| engine.options.max_file_size) else { return Ok(true) };
    let _noted = shared.note_merge();
    let mut merge = Merge::new(shared, uncommitted, progress, watch);
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
        seal::collect_within(shared, WAIT_FOR_READERS);
        shared.inside().inspect(|engine| engine.back_pressure.has_removed());
        seal::seal_as_far_as_there_is_room(shared)?;
    }
    Ok(!merge.stopped)
}

/// Commits what an earlier merge could not commit; for a close.
pub fn commit_rest(shared: &Shared, uncommitted: &mut Uncommitted) -> Result<()> {
    let progress = &mut MergeProgress::default();
    Merge::new(shared, uncommitted, progress, &mut |_| ControlFlow::Break(())).commit()
}

struct Merge<'a> {
    shared: &'a Shared,
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

impl<'a> Merge<'a> {
    fn new(
        shared: &'a Shared,
        work: &'a mut Uncommitted,
        progress: &'a mut MergeProgress,
        watch: Watch<'a>,
    ) -> Self {
        let mut copies = Copies::new(shared);
        copies.bytes = progress.copied_bytes;
        Merge {
            shared,
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
        let Some(engine) = self.shared.inside() else { return Ok(()) };
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
        let Some(engine) = self.shared.inside() else { return Ok(()) };
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
        if let Some(engine) = self.shared.inside() {
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
        let copied = self.copy_all(inputs);
        // Also after a failure: the index points into the outputs already.
        let flushed = match self.shared.inside() {
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
        match self.shared.inside() {
            Some(engine) if engine.catalog.reserves.merges.is_released() => engine.catalog.fill_reserves(),
            _ => Ok(()),
        }
    }

    fn release_reserve(&self) -> bool {
        self.shared.inside().is_some_and(|engine| engine.catalog.release_for_merges())
    }

    /// After `error` said that the disk is full: with what was set aside for that, merges files that have so little in
    /// them that it fits, one by one, until there is room again. The error comes back where there is no such file.
    fn make_room(&mut self, error: Error) -> Result<()> {
        let mut merged = 0;
        loop {
            let smallest = {
                let Some(engine) = self.shared.inside() else { return Ok(()) };
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
                seal::seal_as_far_as_there_is_room(self.shared)?;
                seal::collect_within(self.shared, LONGEST_WAIT_FOR_READERS);
                merged += 1;
            }
            let Some(engine) = self.shared.inside() else { return Ok(()) };
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
}
