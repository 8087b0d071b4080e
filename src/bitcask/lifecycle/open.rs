//! Opening a store: from the files of a directory to an engine that can be used.
//!
//! After a clean close the checkpoint is the index, and nothing is scanned. After a crash the index is rebuilt: from
//! the hints of sealed files, by reading those that have none, and by walking the frames of the open files up to the
//! first that is not intact. What stands there is a torn tail, which is cut off, unless it lies before the durable
//! frontier that later frames recorded: then it is damage, and the store is not opened.

pub use super::rebuild::{Found, Outcome, Rebuilt};

use std::sync::Arc;

use super::rebuild::rebuild;
use super::sequence::Sequence;
use crate::bitcask::engine::back_pressure::BackPressure;
use crate::bitcask::engine::clock::StoreClock;
use crate::bitcask::engine::disk_watch::DiskWatch;
use crate::bitcask::engine::elements::Elements;
use crate::bitcask::engine::snapshot::Snapshots;
use crate::bitcask::engine::{Counters, Engine};
use crate::bitcask::lifecycle::checkpoint;
use crate::disk::page::{self, OwnPage, PageLock};
use crate::disk::{Access, Disk, LockKind};
use crate::format::features::{KEPT_DELETES, Needs, ORDERED, Refusal};
use crate::format::frame::Epoch;
use crate::format::live::Header;
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::format::names::{self, Name};
use crate::format::ordered::Ordered;
use crate::index::KeyHasher;
use crate::log::Position;
use crate::log::append::{Log, Start, Work, epoch};
use crate::log::catalog::{Catalog, write_first_manifest};
use crate::log::file::DataFile;
use crate::log::published::{Beginning, Checkpointed};
use crate::store::error::{Error, Result};
use crate::store::events::{Events, LogLevel};
use crate::store::memory;
use crate::store::options::Options;

/// No store has written this many records: a number past it was made up.
pub const LAST_SEQ: u64 = 1 << 56;

/// Opens the store in `disk`, or creates it. `ask` wakes whoever does the log's work.
pub fn open(disk: Arc<dyn Disk>, options: &Options, ask: Box<dyn Fn(Work) + Send + Sync>) -> Result<Engine> {
    let list = || disk.list().map_err(|e| Error::io("list the directory", disk.path(), &e));
    // Where no store may be created, none is looked for with a lock file that would stay behind.
    if (options.read_only || !options.create_if_missing)
        && !list()?.iter().any(|name| names::parse(name).is_some())
    {
        return Err(Error::Missing { path: disk.path().to_path_buf() });
    }
    if !options.error_if_exists {
        refuse_other_versions(disk.as_ref())?;
    }
    let lock = acquire(disk.as_ref(), options)?;
    let names = list().inspect_err(|_| disk.remove_if_new())?;
    let is_new = !options.read_only && !names.iter().any(|name| names::parse(name).is_some());
    let had_page = names.iter().any(|name| name == page::FILE_NAME);
    let (page, page_lock) = if options.read_only { None } else { own_page(disk.as_ref(), options) }.unzip();
    // The lock is held until nothing is left of a new store that could not be made.
    let opened = open_locked(&disk, options, ask, &names, page).inspect_err(|_| {
        if !had_page && page_lock.is_some() {
            let _ = disk.remove(page::FILE_NAME);
        }
        if is_new {
            remove_all(disk.as_ref())
        }
    });
    let engine = opened?;
    let page_lock = match page_lock {
        Some(page_lock) => publish(&engine, page_lock)?,
        None => None,
    };
    // In this order: who finds the page without its lock is to find the store without one, too.
    Ok(Engine { _lock: Box::new((page_lock, lock)), ..engine })
}

/// The page by which those who read the store meanwhile are told what is written. Without it the store can be used all the same.
fn own_page(disk: &dyn Disk, options: &Options) -> Option<(OwnPage, PageLock)> {
    disk.own_page(true).unwrap_or_else(|error| {
        untold(&Events::new(options.log.clone(), options.log_level), disk, &error);
        None
    })
}

fn untold(events: &Events, disk: &dyn Disk, error: &std::io::Error) {
    events.log(LogLevel::Warn, || {
        let path = disk.path().join(page::FILE_NAME);
        format!("the store cannot be read live by other processes meanwhile: {}: {error}", path.display())
    });
}

/// Begins to tell those who read the store meanwhile how far it has come.
fn publish(engine: &Engine, page_lock: PageLock) -> Result<Option<PageLock>> {
    let catalog = &engine.catalog;
    let random = catalog.disk.random();
    let random =
        random.map_err(|e| Error::io("choose a number for the opening of", catalog.disk.path(), &e))?;
    let session = u64::from_le_bytes(random[..8].try_into().unwrap_or_default()).clamp(1, u64::MAX - 1);
    let manifest = catalog.manifest();
    catalog.published.begin(&Beginning {
        header: Header { session, store_id: manifest.store_id, process: std::process::id() },
        ends: &engine.log.ends(),
        generation: manifest.generation,
        durable: engine.log.durable(),
        clock: engine.clock.offset(),
        checkpoint: checkpoint_of(engine, &manifest),
    });
    // Another program that locks the page keeps readers out, and nobody else.
    if let Err(error) = page_lock.tell() {
        catalog.published.close_page();
        untold(&catalog.events, catalog.disk.as_ref(), &error);
        return Ok(None);
    }
    Ok(Some(page_lock))
}

/// The checkpoint of the clean close before this opening, for those who begin to read the store later.
fn checkpoint_of(engine: &Engine, manifest: &Manifest) -> Option<Checkpointed> {
    if !manifest.clean || manifest.checkpoint == 0 {
        return None;
    }
    let moment = engine.log.moment();
    Some(Checkpointed {
        id: manifest.checkpoint,
        at: Position::new(moment.active.id, moment.tail),
        last_seq: moment.last_seq,
        first_seq: moment.first_seq,
        generation: manifest.generation,
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
    rebuild: impl FnOnce(&Catalog, &KeyHasher) -> Result<Rebuilt>,
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
        // Not before the files that the manifest lists were found to be this store's, and not before that manifest is
        // certain: the renaming that made it count may not be on the disk yet.
        disk.sync_dir().map_err(|e| Error::io("sync the directory", disk.path(), &e))?;
        remove_debris(disk.as_ref(), names, manifest);
    }
    let time_ms = rebuilt.max_time_ms.max(manifest.clock_ms);
    let clock = StoreClock::new(disk.clone(), time_ms, rebuilt.closed).publishing(catalog.published.clone());
    if let Some(ahead) = clock.read().far_ahead() {
        catalog.events.log(LogLevel::Warn, || {
            format!(
                "the time of the store '{}' is {:.0} s ahead of this machine's clock, which was once set that far ahead, or was set \
                 back since: keys expire when the time that they were given has passed, and not by that clock",
                disk.path().display(),
                ahead.as_secs_f64()
            )
        });
    }
    let next_seq = rebuilt.max_seq.checked_add(1).filter(|seq| *seq < LAST_SEQ).ok_or_else(|| {
        let path = disk.path().join(names::MANIFEST);
        Error::Corrupt { path, file_id: 0, offset: 0, what: "the sequence numbers are used up" }
    })?;
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
        counters: Counters { logged_time_ms: time_ms.into(), ..Counters::default() },
        _lock: Box::new(()),
    })
}

/// Says in the manifest where numbers are missing, before later writes could make that look like damage; and counts all
/// numbers that are not in open files, which version 0.1 left out.
pub fn remember(catalog: &Catalog, sequence: &Sequence, next_seq: u64) -> Result<()> {
    let before_open_files = sequence.first.unwrap_or(next_seq).saturating_sub(1);
    catalog.amend(|manifest| {
        manifest.last_seq = manifest.last_seq.max(before_open_files);
        for entry in manifest.files.iter_mut().filter(|entry| sequence.gaps.contains(&entry.id)) {
            entry.follows = false;
        }
    });
    if sequence.gaps.is_empty() {
        return Ok(());
    }
    match catalog.update(|_| ()) {
        Err(Error::NoSpace { .. }) if catalog.release_for_deletes() => catalog.update(|_| ()),
        done => done,
    }
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

/// Refuses a store that this version does not know all of, before it locks or changes anything in it. Whatever else may be
/// wrong is found, and told, later.
pub fn refuse_other_versions(disk: &dyn Disk) -> Result<()> {
    let begins_as_usual = || -> std::io::Result<bool> {
        let mut bytes = [0; 12];
        disk.open_plain(names::MANIFEST)?.read_at(&mut bytes, 0)?;
        Ok(Manifest::has_usual_version(&bytes))
    };
    // Two openings of the file in the rare case, and twelve bytes of it in the usual one.
    match begins_as_usual() {
        Ok(false) => match read_whole(disk, names::MANIFEST).map(|bytes| Manifest::decode(&bytes)) {
            Ok(Err(Refusal::OtherVersion(words))) => Err(other_version(disk, &words)),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn other_version(disk: &dyn Disk, words: &str) -> Error {
    Error::Unsupported {
        message: format!("the store '{}' {words}; nothing was changed", disk.path().display()),
    }
}

/// Takes the store's lock.
pub fn acquire(disk: &dyn Disk, options: &Options) -> Result<Box<dyn Send + Sync>> {
    if seeded_bug!("lock-not-taken") {
        return Ok(Box::new(()));
    }
    let kind = if options.read_only { LockKind::Shared } else { LockKind::Exclusive };
    match disk.lock(kind) {
        Ok(lock) => Ok(lock),
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
            Err(Error::Locked { path: disk.path().to_path_buf() })
        }
        Err(e) => Err(Error::io("lock the store", disk.path(), &e)),
    }
}

/// The manifest of the store, or, where there is none, that of a new one with these needs.
pub fn load_manifest(disk: &dyn Disk, options: &Options, names: &[String], needs: Needs) -> Result<Manifest> {
    let path = disk.path().join(names::MANIFEST);
    let corrupt = |what| Error::Corrupt { path: path.clone(), file_id: 0, offset: 0, what };
    let is_there = names.iter().any(|name| name == names::MANIFEST);
    if is_there && options.error_if_exists {
        return Err(Error::Exists { path: disk.path().to_path_buf() });
    }
    // A new manifest in the place of the old one empties a store at one moment: what the old one listed is debris then.
    let begins_empty = options.truncate && !options.read_only;
    if is_there && !begins_empty {
        let bytes = read_whole(disk, names::MANIFEST)?;
        return Manifest::decode(&bytes).map_err(|refusal| match refusal {
            Refusal::Damaged(what) => corrupt(what),
            Refusal::OtherVersion(words) => other_version(disk, &words),
            Refusal::NoMemory(refused) => refused.into(),
        });
    }
    // It is the last file that a backup gets.
    if !begins_empty && names.iter().any(|name| name == names::BACKUP) {
        return Err(corrupt(
            "the manifest is missing: this is a backup that was not finished, and no store; make it again",
        ));
    }
    // The manifest is the first file that a store gets.
    if !begins_empty
        && names.iter().any(|name| matches!(names::parse(name), Some(Name::Data(_) | Name::Run(_))))
    {
        return Err(corrupt("the manifest is missing, though there are data files"));
    }
    if !is_there && (options.read_only || !options.create_if_missing) {
        return Err(Error::Missing { path: disk.path().to_path_buf() });
    }
    let ids = names.iter().filter_map(|name| match names::parse(name) {
        Some(Name::Data(id) | Name::Hint(id) | Name::Run(id)) => Some(id),
        _ => None,
    });
    // Files that cannot be removed are in nobody's way.
    let next_file_id = ids.max().unwrap_or(0).saturating_add(1);
    let random = || disk.random().map_err(|e| Error::io("choose an identity for", disk.path(), &e));
    let manifest = Manifest {
        generation: 1,
        store_id: random()?,
        hash_key: random()?,
        clean: false,
        next_file_id,
        last_seq: 0,
        clock_ms: disk.now_ms(true),
        checkpoint: 0,
        needs,
        files: Vec::new(),
        ordered: Ordered::default(),
        complete_after: 0,
    };
    disk.sync_name().map_err(|e| Error::io("make durable the name of", disk.path(), &e))?;
    write_first_manifest(disk, &manifest)?;
    Ok(manifest)
}

/// Reads a small file as a whole.
pub fn read_whole(disk: &dyn Disk, name: &str) -> Result<Vec<u8>> {
    let io = |e: std::io::Error| Error::io("read", &disk.path().join(name), &e);
    let file = disk.open_plain(name).map_err(io)?;
    let size = file.size().map_err(io)?;
    let mut bytes = memory::vec_of(0, size as usize)?;
    file.read_at(&mut bytes, 0).map_err(io)?;
    Ok(bytes)
}

/// Removes what a crash left behind: files of ours that the manifest does not know. What cannot be removed stays, and
/// does no harm.
pub fn remove_debris(disk: &dyn Disk, names: &[String], manifest: &Manifest) {
    let is_live = |id| manifest.files.binary_search_by_key(&id, |file| file.id).is_ok();
    for name in names {
        let debris = match names::parse(name) {
            Some(Name::Data(id) | Name::Hint(id)) => !is_live(id),
            Some(Name::Run(id)) => !manifest.ordered.runs.iter().any(|run| run.id == id),
            Some(Name::Temporary) => true,
            Some(Name::Manifest | Name::Checkpoint | Name::Backup | Name::Reserve) | None => false,
        };
        if debris {
            let _ = disk.remove(name);
        }
    }
}

/// Removes all files of a store that was being made.
pub fn remove_all(disk: &dyn Disk) {
    for name in disk.list().unwrap_or_default() {
        if names::parse(&name).is_some() || name == page::FILE_NAME {
            let _ = disk.remove(&name);
        }
    }
    disk.remove_if_new();
}

/// The access that a file is opened with.
pub fn access(entry: &FileEntry, options: &Options) -> Access {
    match entry.state {
        FileState::Open if !options.read_only => Access::Append { capacity: options.max_file_size },
        state if options.live => Access::Follow { grows: state == FileState::Open },
        _ => Access::Read,
    }
}

/// A new file, listed in the manifest, that the log goes on in.
fn begin_file(catalog: &Catalog, options: &Options, epoch: Epoch) -> Result<Arc<DataFile>> {
    let active = catalog.create_file(options.max_file_size, epoch)?;
    let entry = Catalog::open_entry(&active);
    catalog.update(|manifest| {
        manifest.clean = false;
        manifest.files.push(entry);
    })?;
    Ok(active)
}

/// The open file that the log goes on in, or a new one; older open files are left to be sealed.
pub fn choose_active(
    catalog: &Catalog,
    manifest: &Manifest,
    options: &Options,
    next_seq: u64,
    time_ms: u64,
    frontier: Position,
) -> Result<Start> {
    let mut open = catalog.files.all()?;
    open.retain(|file| {
        manifest.files.iter().any(|entry| entry.id == file.id && entry.state == FileState::Open)
    });
    open.sort_unstable_by_key(|file| file.id);
    let active = match open.pop_if(|file| options.read_only || file.tail() < options.max_file_size) {
        Some(active) => active,
        None if options.read_only => {
            // Never written to: a file that is there, or nothing at all.
            match catalog.files.all()?.pop() {
                Some(file) => file,
                None => return Err(Error::Missing { path: catalog.disk.path().to_path_buf() }),
            }
        }
        None => match (begin_file(catalog, options, epoch(next_seq, time_ms)), open.pop()) {
            (Ok(active), last) => {
                open.extend(last);
                active
            }
            // Reads, and deletes, need no new file: on a full disk the store opens with the one that is full.
            (Err(Error::NoSpace { .. }), Some(last)) => last,
            (Err(error), _) => return Err(error),
        },
    };
    let unclean = !catalog.manifest().clean;
    let unsealed = if options.read_only { Vec::new() } else { open };
    let is_sure = !unsealed.iter().chain([&active]).any(|file| file.is_unsure());
    let end = Position::new(active.id, active.tail());
    let durable = if is_sure { end } else { frontier.min(end) };
    // The manifest of a clean close says how long the files are; else only frames tell how far the log is durable.
    let recorded = if unclean { frontier.min(durable) } else { durable };
    Ok(Start { active, durable, recorded, next_seq, time_ms, unsealed, unclean })
}
