//! Seals the files that were rotated out, and removes those that nobody needs any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bitcask::engine::Engine;
use crate::bitcask::lifecycle::hints;
use crate::bitcask::shared::Shared;
use crate::log::file::DataFile;
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;
use crate::sync::lock::MutexGuard;
use crate::sync::thread;

/// While somebody may be reading what is to be removed, it is looked as often as this.
const LOOK_AGAIN: Duration = Duration::from_micros(50);

/// How many files are sealed at once, or files with how many bytes: each time the manifest is written.
const AT_ONCE: usize = 16;
const BYTES_AT_ONCE: u64 = 16 << 20;

/// Seals the files that were rotated out, and removes those that nobody needs any more, as far as nobody can be reading them.
/// Called from outside the gate.
pub fn seal_and_collect(shared: &Shared) -> Result<()> {
    collect(shared);
    seal_waiting(shared, &shared.sealing().lock())
}

/// As [`seal_and_collect`]. On a full disk files wait to be sealed until a merge has made room.
pub fn seal_as_far_as_there_is_room(shared: &Shared) -> Result<()> {
    match seal_and_collect(shared) {
        Err(Error::NoSpace { .. }) => Ok(()),
        done => done,
    }
}

/// Removes files that nobody needs any more, as far as nobody can be reading them. Waits for no reader. Called from outside the
/// gate.
pub fn collect(shared: &Shared) {
    let catalog = {
        let Some(engine) = shared.inside().filter(|engine| !engine.options.read_only) else { return };
        engine.snapshots.let_go(|file| engine.catalog.files.retire(usize::from(file.slot), shared.gated()));
        engine.catalog.clone()
    };
    let mut is_changed = false;
    while let Some(file) = catalog.files.next_unused(shared.gated()) {
        catalog.unlink(&file);
        is_changed = true;
    }
    if is_changed {
        // Their room can be had for certain when the removal is on the disk.
        let _ = catalog.disk.sync_dir();
    }
}

/// As [`collect`], until those files are gone that are not needed now, or the time is over: some may be reading them. Whoever
/// holds a lock that a reader or a writer may want must not wait for long.
pub fn collect_within(shared: &Shared, most: Duration) {
    collect(shared);
    // None once somebody has closed the store, with all that was to be waited for.
    let retired = || shared.inside().map(|engine| engine.catalog.files.retired());
    let (begun, begin) = (retired().map_or(0, |(begun, _)| begun), Instant::now());
    while retired().map_or(seeded_bug!("merge-waits-for-a-closed-store"), |(_, ended)| ended < begun)
        && begin.elapsed() < most
    {
        thread::sleep(LOOK_AGAIN);
        collect(shared);
    }
}

/// Seals the files that were rotated out, for who sees to it that nobody else does it meanwhile.
pub fn seal_waiting(shared: &Shared, _one_at_a_time: &MutexGuard<'_, ()>) -> Result<()> {
    let mut waiting = match shared.inside() {
        Some(engine) if !engine.options.read_only => engine.log.take_unsealed(),
        _ => return Ok(()),
    };
    while !waiting.is_empty() {
        // Anew for each: files go out of use meanwhile.
        let Some(engine) = shared.inside() else { return Ok(()) };
        let mut bytes = 0;
        let fit = waiting.iter().take(AT_ONCE).take_while(|file| {
            let fits = bytes < BYTES_AT_ONCE;
            bytes += file.tail();
            fits
        });
        let count = fit.count();
        let mut sealed = seal(shared, &engine, &waiting[..count]);
        if matches!(sealed, Err(Error::NoSpace { .. })) && engine.catalog.release_for_deletes() {
            // A sealed file gives back what was reserved behind its end.
            sealed = seal(shared, &engine, &waiting[..count]);
        }
        if let Err(error) = sealed {
            engine.log.return_unsealed(waiting);
            return Err(error);
        }
        waiting.drain(..count);
    }
    Ok(())
}

/// Seals some files and writes their hints, and takes those out of the store that were never written to.
fn seal(shared: &Shared, engine: &Engine, files: &[Arc<DataFile>]) -> Result<()> {
    engine.back_pressure.while_disk_works(|| engine.log.seal(files))?;
    engine.back_pressure.relieve();
    for file in files {
        if file.seqs().1 == 0 {
            engine.catalog.files.retire(usize::from(file.slot), shared.gated());
            continue;
        }
        engine.catalog.events.log(LogLevel::Debug, || format!("sealed file {}", file.id));
        // Without a hint the next start takes longer; that is all.
        if let Err(error) = hints::write(&engine.catalog, file, &engine.hasher, hints::AUTOMATIC_SHARE) {
            engine.catalog.events.log(LogLevel::Warn, || &error);
        }
    }
    Ok(())
}
