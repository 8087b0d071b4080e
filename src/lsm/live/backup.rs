//! Copying a store that another process writes to: as in the writer (`log/backup`), but for the moment, and for what the writer would
//! do to the end of its log first.
//!
//! The moment is one at which the manifest that was taken over last is the newest: then it lists all that the log went on in. What the
//! writer's flushes and merges take away while it is copied is open here, and is copied from there.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use super::Follower;
use super::adopt::adopt;
use super::follow::follow;
use crate::bitcask::live::backup::make_durable;
use crate::disk::Disk;
use crate::log::append::Cut;
use crate::log::backup::{Copying, Open, number_for_tail, open_target};
use crate::log::live::follower::Come;
use crate::log::live::ground::{BETWEEN_ATTEMPTS, CALLS_WAIT, changes_too_fast};
use crate::lsm::shared::Shared;
use crate::store::backup::{BackupOptions, BackupProgress};
use crate::store::error::Result;
use crate::store::memory;
use crate::sync::thread::{self, NotCancelled};

/// Copies the store to the directory `to`. False where `watch` ended it before.
pub fn backup(
    shared: &Shared,
    follower: &Follower,
    to: Arc<dyn Disk>,
    options: &BackupOptions,
    watch: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
) -> Result<bool> {
    let _not_cancelled = NotCancelled::begin();
    shared.check_may_wait()?;
    memory::room_for_small_things()?;
    let catalog = shared.enter()?.catalog.clone();
    let target = open_target(to, &catalog)?;
    let begun = Instant::now();
    let (cut, clock_ms, open) = loop {
        if let Some(cut) = cut(shared, follower)? {
            break cut;
        }
        if begun.elapsed() > CALLS_WAIT {
            return Err(changes_too_fast(catalog.disk.as_ref()));
        }
        thread::sleep(BETWEEN_ATTEMPTS);
    };
    make_durable(&catalog, &cut)?;
    let number = number_for_tail(&catalog, true)?;
    let is_closed = || shared.enter().is_err() || shared.flush_signal.is_stopped();
    Copying::new(&catalog, &target, options, watch, &is_closed).holding(open).run(&cut, number, clock_ms)
}

/// The store as it is now, with what is open of it; `None` where the writer has just replaced the manifest.
fn cut(shared: &Shared, follower: &Follower) -> Result<Option<(Cut, u64, Open)>> {
    adopt(shared, follower)?;
    follow(shared, follower)?;
    let engine = shared.enter()?;
    let _adopted = follower.adopted.lock();
    let mut place = follower.place();
    if follower.follow_log(&*engine, &mut place)? == Come::Lost {
        return Ok(None);
    }
    // The log goes on in a file only after that is listed: so all files that it was followed through are.
    let is_newest = !place.has_writer()
        || follower.told().is_none_or(|told| told.generation() == engine.catalog.generation());
    if !is_newest {
        return Ok(None);
    }
    let runs = memory::collect(engine.tree().runs().map(|run| (run.entry.id, run.disk_file().clone())))?;
    let open = Open { files: engine.catalog.files.all()?, runs };
    Ok(Some((engine.log.cut()?, engine.told_time.known_ms(), open)))
}
