//! Copying the store to a directory while it is in use: what of that is the engine's own. The copying is `log/backup`.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::flush;
use super::shared::Shared;
use crate::disk::Disk;
use crate::log::backup::{Copying, copied_tail, number_for_tail, open_target};
use crate::store::backup::{BackupOptions, BackupProgress};
use crate::store::error::{Error, Result};
use crate::store::memory;
use crate::sync::thread::NotCancelled;

/// Copies the store to the directory `to`. False where `watch` ended it before.
pub fn backup(
    shared: &Shared,
    to: Arc<dyn Disk>,
    options: &BackupOptions,
    watch: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
) -> Result<bool> {
    let _not_cancelled = NotCancelled::begin();
    shared.check_may_wait()?;
    memory::room_for_small_things()?;
    let (catalog, read_only, max_file_size) = {
        let engine = shared.enter()?;
        (engine.catalog.clone(), engine.options.read_only, engine.options.max_file_size)
    };
    catalog.poison.check()?;
    let target = open_target(to, &catalog)?;
    let _held = catalog.hold();
    if !read_only {
        match shared.enter()?.log.rotate_if_larger(copied_tail(max_file_size)) {
            // All of it is copied then.
            Err(Error::NoSpace { .. }) => {}
            rotated => drop(rotated?),
        }
        seal(shared)?;
    }
    // The tree holds the files of the runs that the manifest lists.
    let (cut, clock_ms, _tree) = {
        let engine = shared.enter()?;
        let _alone = engine.changing.lock();
        (engine.log.cut()?, engine.told_time.known_ms(), engine.tree())
    };
    if !read_only {
        shared.enter()?.log.sync()?;
        // What was rotated out until then can be linked.
        seal(shared)?;
    }
    let number = number_for_tail(&catalog, read_only)?;
    let is_closed = || shared.enter().is_err() || shared.flush_signal.is_stopped();
    Copying::new(&catalog, &target, options, watch, &is_closed).run(&cut, number, clock_ms)
}

/// Makes the log files final that were rotated out, as far as there is room.
fn seal(shared: &Shared) -> Result<()> {
    let engine = shared.enter()?;
    let _alone = engine.flushing.lock();
    match flush::seal(&engine) {
        Err(Error::NoSpace { .. }) => Ok(()),
        sealed => sealed,
    }
}
