//! Opening a store: from the files of a directory to an engine that can be used.
//!
//! After a clean close the checkpoint is the index, and nothing is scanned. After a crash the index is rebuilt: from
//! the hints of sealed files, by reading those that have none, and by walking the frames of the open files up to the
//! first that is not intact. What stands there is a torn tail, which is cut off, unless it lies before the durable
//! frontier that later frames recorded: then it is damage, and the store is not opened.

use std::sync::Arc;

use super::checkpoint;
use super::publish::{own_page, publish};
use super::rebuild::{Rebuilt, rebuild};
use crate::bitcask::engine::back_pressure::BackPressure;
use crate::bitcask::engine::clock::StoreClock;
use crate::bitcask::engine::disk_watch::DiskWatch;
use crate::bitcask::engine::elements::Elements;
use crate::bitcask::engine::snapshot::Snapshots;
use crate::bitcask::engine::{Counters, Engine};
use crate::disk::Disk;
use crate::disk::page::{self, OwnPage};
use crate::format::features::{KEPT_DELETES, Needs, ORDERED};
use crate::format::manifest::Manifest;
use crate::index::KeyHasher;
use crate::log::Position;
use crate::log::append::{Log, Work};
use crate::log::catalog::Catalog;
use crate::log::opening::active::{choose_active, remember, seq_behind};
use crate::log::opening::manifest::load_manifest;
use crate::log::opening::{open_alone, remove_debris};
use crate::log::published::Checkpointed;
use crate::log::told_time::ToldTime;
use crate::store::error::{Error, Result};
use crate::store::events::{Events, LogLevel};
use crate::store::options::Options;

/// Opens the store in `disk`, or creates it. `ask` wakes whoever does the log's work.
pub fn open(disk: Arc<dyn Disk>, options: &Options, ask: Box<dyn Fn(Work) + Send + Sync>) -> Result<Engine> {
    let opened = open_alone(disk.as_ref(), options, |names| {
        let had_page = names.iter().any(|name| name == page::FILE_NAME);
        let (page, page_lock) =
            if options.read_only { None } else { own_page(disk.as_ref(), options) }.unzip();
        let engine = open_locked(&disk, options, ask, names, page).inspect_err(|_| {
            if !had_page && page_lock.is_some() {
                let _ = disk.remove(page::FILE_NAME);
            }
        })?;
        Ok((engine, page_lock))
    });
    let ((engine, page_lock), lock) = opened?;
    let page_lock = match page_lock {
        Some(page_lock) => publish(&engine.log, &engine.clock, checkpoint_of(&engine), page_lock)?,
        None => None,
    };
    // In this order: who finds the page without its lock is to find the store without one, too.
    Ok(Engine { _lock: Box::new((page_lock, lock)), ..engine })
}

/// The checkpoint of the clean close before this opening, for those who begin to read the store later.
fn checkpoint_of(engine: &Engine) -> Option<Checkpointed> {
    let manifest = engine.catalog.manifest();
    if !manifest.clean || manifest.checkpoint == 0 {
        return None;
    }
    let (id, generation) = (manifest.checkpoint, manifest.generation);
    drop(manifest);
    let moment = engine.log.moment();
    Some(Checkpointed {
        id,
        at: Position::new(moment.active.id, moment.tail),
        last_seq: moment.last_seq,
        first_seq: moment.first_seq,
        generation,
    })
}

fn open_locked(
    disk: &Arc<dyn Disk>,
    options: &Options,
    ask: Box<dyn Fn(Work) + Send + Sync>,
    names: &[String],
    page: Option<OwnPage>,
) -> Result<Engine> {
    let manifest = load_manifest(disk.as_ref(), options, names, Needs::default())?;
    assemble(disk, options, ask, names, page, &manifest, |catalog, hasher| {
        rebuild(catalog, &manifest, hasher, options)
    })
}

/// The engine over the files that a manifest lists. `rebuild` makes the index where there is no checkpoint that it can be taken from.
pub fn assemble(
    disk: &Arc<dyn Disk>,
    options: &Options,
    ask: Box<dyn Fn(Work) + Send + Sync>,
    names: &[String],
    page: Option<OwnPage>,
    manifest: &Manifest,
    rebuild: impl FnOnce(&Arc<Catalog>, &KeyHasher) -> Result<Rebuilt>,
) -> Result<Engine> {
    if manifest.needs.has(ORDERED) {
        return Err(Error::other_engine(disk.path(), "lsm"));
    }
    let listed = manifest.copy_with_room(0)?;
    let events = Events::new(options.log.clone(), options.log_level);
    let catalog = Catalog::new(disk.clone(), listed, events, options.max_file_size)?.publishing(page);
    catalog.published.close_page();
    let catalog = Arc::new(catalog);
    let hasher = KeyHasher::new(&manifest.hash_key);
    let rebuilt = match checkpoint::load(&catalog, manifest, options)? {
        Some(rebuilt) => rebuilt,
        None => {
            catalog.events.log(LogLevel::Info, || {
                format!(
                    "rebuilding the index of '{}' from {} files",
                    disk.path().display(),
                    manifest.files.len()
                )
            });
            rebuild(&catalog, &hasher)?
        }
    };
    if !options.read_only {
        remove_debris(disk.as_ref(), names, manifest)?;
    }
    let time_ms = rebuilt.max_time_ms.max(manifest.clock_ms);
    let clock = StoreClock::new(disk.clone(), time_ms, rebuilt.closed).publishing(catalog.published.clone());
    clock.warn_if_far_ahead(&catalog.events, disk.path());
    let next_seq = seq_behind(rebuilt.max_seq, disk.as_ref())?;
    if let Some(sequence) = rebuilt.sequence.filter(|_| !options.read_only) {
        remember(&catalog, &sequence, next_seq)?;
    }
    let start = choose_active(&catalog, manifest, options, next_seq, time_ms, rebuilt.frontier)?;
    begin_to_keep_deletes(&catalog, options, next_seq)?;
    if next_seq > 1 {
        rebuilt.expiries.note_some();
    }
    Ok(Engine {
        log: Log::new(catalog.clone(), options.max_file_size, start, ask),
        options: options.clone(),
        catalog,
        index: rebuilt.index,
        hasher,
        clock,
        expiries: rebuilt.expiries,
        elements: Elements::new(rebuilt.elements, next_seq.max(rebuilt.next_collection)),
        snapshots: Snapshots::default(),
        back_pressure: BackPressure::default(),
        disk_watch: DiskWatch::new(),
        told_time: ToldTime::new(time_ms),
        counters: Counters::default(),
        _lock: Box::new(()),
    })
}

/// What merges dropped before is not known, but for stores that say it. Who keeps deletes from now on says so in the manifest.
fn begin_to_keep_deletes(catalog: &Catalog, options: &Options, next_seq: u64) -> Result<()> {
    if catalog.manifest().needs.has(KEPT_DELETES) {
        return Ok(());
    }
    catalog.amend(|manifest| manifest.complete_after = next_seq - 1);
    if options.keep_tombstones_ms == 0 || options.read_only {
        return Ok(());
    }
    match catalog.require(KEPT_DELETES) {
        // Deletes are kept all the same, as long as the store is open.
        Err(Error::NoSpace { .. }) => Ok(()),
        done => done,
    }
}
