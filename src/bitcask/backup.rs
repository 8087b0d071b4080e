//! Copying the store to a directory while it is in use: what of that is the store's own. The copying is `log/backup`.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::background::seal;
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
        seal::seal_as_far_as_there_is_room(shared)?;
    }
    let (cut, clock_ms) = {
        let engine = shared.enter()?;
        (engine.log.cut()?, engine.told_time.known_ms())
    };
    if !read_only {
        shared.enter()?.log.sync()?;
        // What was rotated out until then can be linked.
        seal::seal_as_far_as_there_is_room(shared)?;
    }
    let number = number_for_tail(&catalog, read_only)?;
    let is_closed = || shared.inside().is_none() || shared.signal().is_stopped();
    Copying::new(&catalog, &target, options, watch, &is_closed).run(&cut, number, clock_ms)
}
