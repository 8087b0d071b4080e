//! Opening a store beside the process that writes to it: as any other opening, but for where the log ends, and for nothing that is
//! changed.

use std::sync::Arc;

use super::Follower;
use super::adopt::Adopted;
use crate::bitcask::engine::Engine;
use crate::bitcask::lifecycle::open::assemble;
use crate::bitcask::lifecycle::rebuild::{Rebuilt, rebuild_from, rebuild_over};
use crate::bitcask::lifecycle::running;
use crate::disk::Disk;
use crate::format::features::Needs;
use crate::format::manifest::Manifest;
use crate::index::KeyHasher;
use crate::log::catalog::Catalog;
use crate::log::live::files::open_files;
use crate::log::live::follower::Place;
use crate::log::live::ground::{Attempts, BEGINS_WITHIN, Ground};
use crate::log::opening::manifest::{load_manifest, refuse_other_versions};
use crate::log::recovery::Listed;
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;
use crate::store::options::Options;

/// Opens the store on `disk`.
pub fn open(disk: &Arc<dyn Disk>, options: &Options) -> Result<(Engine, Follower)> {
    let mut attempts = Attempts::default();
    loop {
        let opened =
            attempts.make(disk.as_ref(), None, BEGINS_WITHIN, |ground| attempt(disk, options, ground))?;
        if let Some((_, opened)) = opened {
            return Ok(opened);
        }
    }
}

fn attempt(disk: &Arc<dyn Disk>, options: &Options, ground: &Ground) -> Result<(Engine, Follower)> {
    let names = disk.list().map_err(|e| Error::io("list the directory", disk.path(), &e))?;
    refuse_other_versions(disk.as_ref())?;
    let manifest = load_manifest(disk.as_ref(), options, &names, Needs::default())?;
    let engine = assemble(disk, options, Box::new(|_| ()), &names, None, &manifest, |catalog, hasher| {
        let files = open_files(catalog, &manifest, ground, true)?;
        make_index(catalog, &manifest, hasher, options, ground, &files, true)
    })?;
    if let Some(told) = ground.living() {
        engine.clock.follow(told);
    }
    let place = Place::behind(&engine.catalog, &manifest, ground, engine.log.last_seq() + 1)?;
    let follower = Follower::new(ground, place, Adopted::default());
    Ok((engine, follower))
}

/// The index of what these files hold: from the checkpoint that the writer tells, and what was written since, or else from all. `may_stay` where the
/// keys of the checkpoint may stay in it at first.
pub fn make_index(
    catalog: &Arc<Catalog>,
    manifest: &Manifest,
    hasher: &KeyHasher,
    options: &Options,
    ground: &Ground,
    files: &[Listed],
    may_stay: bool,
) -> Result<Rebuilt> {
    if let (Some(told), Some(checkpoint)) = (&ground.told, &ground.checkpoint)
        && let Some(base) = running::load(catalog, manifest, (told, ground.session, checkpoint), files)?
    {
        let is_in_log = |id| told.extent(id).is_some();
        if let Some(rebuilt) = rebuild_over(base, may_stay, catalog, manifest, hasher, files, is_in_log)? {
            catalog.events.log(LogLevel::Info, || {
                format!(
                    "took the index of '{}' from its checkpoint and from what was written since number {}",
                    catalog.disk.path().display(),
                    checkpoint.last_seq
                )
            });
            return Ok(rebuilt);
        }
    }
    rebuild_from(catalog, manifest, hasher, options, files)
}
