//! Beginning to read a store beside its writer, and beginning anew: as any other opening, but for where the log ends, and for nothing that
//! is changed.

use std::sync::Arc;

use super::Follower;
use super::adopt::Adopted;
use crate::disk::Disk;
use crate::format::features::Needs;
use crate::format::manifest::Manifest;
use crate::log::catalog::Catalog;
use crate::log::live::files::open_files;
use crate::log::live::follower::{Come, Place};
use crate::log::live::ground::{Attempts, BEGINS_WITHIN, CALLS_WAIT, Ground, is_another_store};
use crate::log::opening::active::seq_behind;
use crate::log::opening::manifest::{load_manifest, refuse_other_versions};
use crate::log::recovery::Listed;
use crate::lsm::engine::{Engine, Tree};
use crate::lsm::open::{ForEngine, Replayed, Runs, assemble, replay};
use crate::lsm::shared::Shared;
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;
use crate::store::options::Options;
use crate::sync::signal::Signal;

/// Opens the store on `disk`. `signal` wakes the thread that takes over what is in runs.
pub fn open(disk: &Arc<dyn Disk>, options: &Options, signal: &Arc<Signal>) -> Result<(Engine, Follower)> {
    let mut attempts = Attempts::default();
    loop {
        let opened = attempts
            .make(disk.as_ref(), None, BEGINS_WITHIN, |ground| attempt(disk, options, signal, ground))?;
        if let Some((_, opened)) = opened {
            return Ok(opened);
        }
    }
}

fn attempt(
    disk: &Arc<dyn Disk>,
    options: &Options,
    signal: &Arc<Signal>,
    ground: &Ground,
) -> Result<(Engine, Follower)> {
    let names = disk.list().map_err(|e| Error::io("list the directory", disk.path(), &e))?;
    refuse_other_versions(disk.as_ref())?;
    let manifest = manifest_on(ground, load_manifest(disk.as_ref(), options, &names, Needs::default())?);
    let work =
        ForEngine { ask: Box::new(|_| ()), is_background: false, flush_signal: signal.clone(), page: None };
    let engine =
        assemble(disk, options, &names, work, &manifest, |catalog, _| open_log(catalog, &manifest, ground))?;
    if let Some(told) = ground.living() {
        engine.clock.follow(told);
    }
    let place = Place::behind(&engine.catalog, &manifest, ground, engine.log.last_seq() + 1)?;
    Ok((engine, Follower::new(ground, place, Adopted::default())))
}

/// The manifest, as not clean where a writer lives: it may have written since the clean close.
fn manifest_on(ground: &Ground, manifest: Manifest) -> Manifest {
    Manifest { clean: manifest.clean && !ground.is_live, ..manifest }
}

fn open_log(catalog: &Catalog, manifest: &Manifest, ground: &Ground) -> Result<Vec<Listed>> {
    open_files(catalog, manifest, ground, true)
}

/// Begins anew: with the runs that the newest manifest lists, and what the log has behind them, up to some place that is not before where
/// it ended when this was called, or that it can be followed from. For who holds the follower's locks.
pub fn make_anew(
    shared: &Shared,
    follower: &Follower,
    engine: &Engine,
    place: &mut Place,
    adopted: &mut Adopted,
) -> Result<()> {
    let disk = engine.catalog.disk.as_ref();
    engine.catalog.events.log(LogLevel::Info, || {
        format!(
            "the memtables of '{}' are made anew: more was written and flushed than could be followed",
            disk.path().display()
        )
    });
    adopted.begin_anew();
    follower.begin_anew(place);
    let mut attempts = Attempts::default();
    loop {
        if shared.flush_signal.is_stopped() {
            return Err(Error::Closed);
        }
        let told = follower.told().cloned();
        let made = attempts.make(disk, told, CALLS_WAIT, |ground| read_all(engine, ground))?;
        let Some((ground, (manifest, tree, replayed))) = made else { continue };
        follower.is_told_again();
        engine.clock.not_before(replayed.max_time_ms.max(manifest.clock_ms), None);
        if let Some(told) = ground.living() {
            engine.clock.follow(told);
        }
        let next_seq = seq_behind(replayed.max_seq, disk)?;
        let new = Place::behind(&engine.catalog, &manifest, &ground, next_seq)?;
        engine.begin_anew(tree, replayed.max_seq);
        adopted.take(engine, manifest);
        follower.set_place(engine, place, new);
        // What was appended since is in the log.
        if follower.follow_log(engine, place)? == Come::UpToDate {
            return Ok(());
        }
    }
}

fn read_all(engine: &Engine, ground: &Ground) -> Result<(Manifest, Tree, Replayed)> {
    let (catalog, disk) = (&engine.catalog, &engine.catalog.disk);
    let names = disk.list().map_err(|e| Error::io("list the directory", disk.path(), &e))?;
    let manifest = load_manifest(disk.as_ref(), &engine.options, &names, Needs::default())?;
    let manifest = manifest_on(ground, manifest);
    if manifest.store_id != catalog.manifest().store_id {
        return Err(is_another_store(disk.path()));
    }
    // What is known of their ends may be wrong now. A feed that is in the middle of a file holds it, and can read on.
    for file in catalog.files.all()? {
        catalog.files.take(usize::from(file.slot));
    }
    // Before the runs, as in an opening.
    let files = open_log(catalog, &manifest, ground)?;
    let known = engine.tree();
    let (options, removing) = (&engine.options, &engine.removing);
    let runs = Runs { disk, options, removing, known: Some(&known) };
    let mut tree = runs.tree(&manifest)?;
    let replayed = replay(catalog, &manifest, &engine.options, &files, &mut tree)?;
    Ok((manifest, tree, replayed))
}
