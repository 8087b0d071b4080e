//! Copying a store that another process writes to: as in the writer (`log/backup`), but for the moment, and for what the writer would
//! do to the end of its log first.
//!
//! The moment is one at which the manifest that was taken over last is the newest: then it lists all that the log went on in. What merges of the
//! writer take away while it is copied is open here, and is copied from there.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use super::Follower;
use super::follow::follow_and;
use crate::bitcask::engine::Inside;
use crate::bitcask::shared::Shared;
use crate::disk::Disk;
use crate::format::names;
use crate::log::append::Cut;
use crate::log::backup::{Copying, number_for_tail, open_target};
use crate::log::catalog::Catalog;
use crate::log::live::follower::Come;
use crate::log::live::ground::{BETWEEN_ATTEMPTS, CALLS_WAIT, changes_too_fast};
use crate::store::backup::{BackupOptions, BackupProgress};
use crate::store::error::{Error, Result};
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
    let (cut, clock_ms) = loop {
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
    let is_closed = || shared.inside().is_none() || shared.signal().is_stopped();
    Copying::new(&catalog, &target, options, watch, &is_closed).run(&cut, number, clock_ms)
}

/// The store as it is now; `None` where the writer has just replaced the manifest.
fn cut(shared: &Shared, follower: &Follower) -> Result<Option<(Cut, u64)>> {
    // First, because it lets go of the files that only an older manifest lists.
    follower.adopt(shared)?;
    follow_and(shared, follower, |_| ())?;
    let engine = shared.enter()?;
    let _adopted = follower.adopted.lock();
    let mut place = follower.place();
    if follower.follow_log(&engine, &mut place)? == Come::Lost {
        return Ok(None);
    }
    // The log goes on in a file only after that is listed: so all files that it was followed through are.
    let is_newest = !place.has_writer() || is_newest(&engine, follower);
    let cut = is_newest.then(|| engine.log.cut()).transpose()?;
    Ok(cut.map(|cut| (cut, engine.told_time.known_ms())))
}

fn is_newest(engine: &Inside<'_>, follower: &Follower) -> bool {
    follower.told().is_none_or(|told| told.generation() == engine.catalog.generation())
}

/// The writer may not have brought the end of the log to the disk. After a power cut it would go on with other records there.
pub fn make_durable(catalog: &Catalog, cut: &Cut) -> Result<()> {
    for entry in cut.complete.iter().chain(&cut.tail) {
        let name = names::data(entry.id);
        let failed = |e: &std::io::Error| Error::io("sync", &catalog.disk.path().join(&name), e);
        match catalog.disk.open_plain(&name) {
            // It was merged, so it was durable.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            file => file.map_err(|e| failed(&e))?.sync().map_err(|e| failed(&e))?,
        }
    }
    Ok(())
}
