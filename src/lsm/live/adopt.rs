//! Taking over a new manifest: its runs are opened, and the memtables go of which all records are in runs.
//!
//! The order is: read the manifest, follow the log, open the runs. By then all records up to the last of the manifest are visible here, in a
//! memtable or in a run that the reader had before. So no run that is opened has a record that is not visible.

use super::Follower;
use super::open::make_anew;
use crate::format::manifest::Manifest;
use crate::format::names;
use crate::log::live::follower::Come;
use crate::log::opening::read_whole;
use crate::lsm::engine::{Engine, MOST_WAITING};
use crate::lsm::open::Runs;
use crate::lsm::shared::Shared;
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;
use crate::store::memory;

/// How often the manifest is read again when the writer replaced it meanwhile. After that it is left to the next look.
const MOST_ATTEMPTS: u32 = 16;
/// What was taken over of manifests.
#[derive(Default)]
pub struct Adopted {
    /// What the writer told last when that was done: see [`Told::changes`](crate::log::published::Told::changes).
    changes: u64,
}

impl Adopted {
    /// All is read anew.
    pub fn begin_anew(&mut self) {
        *self = Adopted::default();
    }

    /// Notes that the tree has the runs of this manifest.
    pub fn take(&mut self, engine: &Engine, manifest: Manifest) {
        engine.catalog.amend(|known| {
            let next_file_id = known.next_file_id.max(manifest.next_file_id);
            *known = Manifest { next_file_id, complete_after: u64::MAX, ..manifest };
        });
    }
}

/// Takes over the manifest, if the writer tells of a new one. Called from outside the gate.
pub fn adopt(shared: &Shared, follower: &Follower) -> Result<()> {
    let mut adopted = follower.adopted.lock();
    let Ok(engine) = shared.enter() else { return Ok(()) };
    adopt_locked(shared, follower, &engine, &mut adopted)
}

/// As [`adopt`], for a call that reads, when as many memtables are full as a writer lets wait. Does nothing where the thread is at it
/// already. An error is logged: the thread tries again.
pub fn relieve(shared: &Shared, follower: &Follower, engine: &Engine) {
    if engine.frozen() < MOST_WAITING {
        return;
    }
    if let Some(mut adopted) = follower.adopted.try_lock()
        && let Err(error) = adopt_locked(shared, follower, engine, &mut adopted)
    {
        engine.catalog.events.log(LogLevel::Warn, || &error);
    }
}

fn adopt_locked(shared: &Shared, follower: &Follower, engine: &Engine, adopted: &mut Adopted) -> Result<()> {
    let Some(told) = follower.told() else { return Ok(()) };
    let changes = told.changes();
    if adopted.changes == changes || told.session() == 0 {
        return Ok(());
    }
    memory::room_for_small_things()?;
    for _ in 0..MOST_ATTEMPTS {
        if adopt_manifest(shared, follower, engine, adopted)? {
            adopted.changes = changes;
            return Ok(());
        }
    }
    Ok(())
}

/// False where it is to be tried again.
fn adopt_manifest(
    shared: &Shared,
    follower: &Follower,
    engine: &Engine,
    adopted: &mut Adopted,
) -> Result<bool> {
    let catalog = &engine.catalog;
    let read = || read_whole(catalog.disk.as_ref(), names::MANIFEST).map(|bytes| Manifest::decode(&bytes));
    let Ok(Ok(manifest)) = read() else { return Ok(false) };
    {
        let mut place = follower.place();
        if follower.follow_log(engine, &mut place)? == Come::Lost {
            make_anew(shared, follower, engine, &mut place, adopted)?;
            return Ok(false);
        }
        if !place.has_writer() {
            return Ok(true);
        }
    }
    let flushed = manifest.ordered.flushed_seq;
    // Else a program wrote it that tells nothing: a later look finds that.
    if manifest.store_id != catalog.manifest().store_id || flushed > engine.visible() {
        return Ok(false);
    }
    let known = engine.tree();
    let (disk, options, removing) = (&catalog.disk, &engine.options, &engine.removing);
    let runs = Runs { disk, options, removing, known: Some(&known) };
    let tree = match runs.tree(&manifest) {
        // Merged meanwhile: the next manifest says into what.
        Err(Error::Corrupt { .. })
            if read().is_ok_and(|now| now.is_ok_and(|now| now.generation != manifest.generation)) =>
        {
            return Ok(false);
        }
        tree => tree?,
    };
    let is_listed = |id| manifest.files.binary_search_by_key(&id, |entry| entry.id).is_ok();
    let at = follower.place().file.as_ref().map_or(0, |file| file.id);
    let files = catalog.files.all()?;
    // Nothing may fail from here on: the tree and the manifest that is known change together.
    engine.take_runs(tree, flushed);
    for file in files {
        // What is not listed and not behind the place is in runs. Who is in the middle of it holds it.
        if !is_listed(file.id) && file.id < at && file.seqs().1 <= flushed {
            catalog.files.take(usize::from(file.slot));
        }
    }
    adopted.take(engine, manifest);
    Ok(true)
}
