//! Opening a store: from the files of a directory to an engine that can be used.
//!
//! After a clean close the checkpoint is the index, and nothing is scanned. After a crash the index is rebuilt: from
//! the hints of sealed files, by reading those that have none, and by walking the frames of the open files up to the
//! first that is not intact. What stands there is a torn tail, which is cut off, unless it lies before the durable
//! frontier that later frames recorded: then it is damage, and the store is not opened.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::clock::StoreClock;
use crate::disk::{Access, Disk, LockKind};
use crate::engine::{Counters, Engine};
use crate::error::{Error, Result};
use crate::events::{Events, LogLevel};
use crate::expiry::Expiries;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::Kind;
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::format::names::{self, Name};
use crate::format::{ALIGNMENT, FileId};
use crate::index::{Cursor, Entry, Index, KeyHash, KeyHasher, Location, SizeClass, Version};
use crate::log::Position;
use crate::log::append::{Log, Start};
use crate::log::catalog::{Catalog, Poison, write_first_manifest};
use crate::log::file::DataFile;
use crate::log::scan::{End, frames_behind, scan};
use crate::options::{Options, SyncMode};
use crate::snapshot::Snapshots;
use crate::{checkpoint, hints};

/// No store has written this many records: a number past it was made up.
const LAST_SEQ: u64 = 1 << 56;

/// Opens the store in `disk`, or creates it. `wake` tells the maintenance thread that there is work.
pub fn open(disk: Arc<dyn Disk>, options: &Options, wake: Box<dyn Fn() + Send + Sync>) -> Result<Engine> {
    let list = || disk.list().map_err(|e| Error::io("list the directory", disk.path(), &e));
    // Where no store may be created, none is looked for with a lock file that would stay behind.
    if (options.read_only || !options.create_if_missing)
        && !list()?.iter().any(|name| names::parse(name).is_some())
    {
        return Err(Error::Missing { path: disk.path().to_path_buf() });
    }
    let lock = acquire(disk.as_ref(), options)?;
    let names = list()?;
    let manifest = load_manifest(disk.as_ref(), options, &names)?;
    let events = Events::new(options.log.clone(), options.log_level);
    let catalog = Arc::new(Catalog::new(disk.clone(), manifest.clone(), events, options.max_file_size));
    let hasher = KeyHasher::new(&manifest.hash_key);
    let rebuilt = match checkpoint::load(&catalog, &manifest, options)? {
        Some(rebuilt) => rebuilt,
        None => {
            catalog.events.log(LogLevel::Info, || {
                format!(
                    "rebuilding the index of '{}' from {} files",
                    disk.path().display(),
                    manifest.files.len()
                )
            });
            rebuild(&catalog, &manifest, &hasher, options)?
        }
    };
    if !options.read_only {
        // Not before the files that the manifest lists were found to be this store's, and not before that manifest is
        // certain: the renaming that made it count may not be on the disk yet.
        disk.sync_dir().map_err(|e| Error::io("sync the directory", disk.path(), &e))?;
        remove_debris(disk.as_ref(), &names, &manifest);
    }
    let clock = StoreClock::new(disk.clone(), rebuilt.max_time_ms.max(manifest.clock_ms));
    let expiries = Expiries::default();
    let ids: HashMap<u16, FileId> = catalog.files.all().iter().map(|file| (file.slot, file.id)).collect();
    for (expiry_ms, hash, entry) in rebuilt.expiries {
        if let Some(id) = ids.get(&entry.location.slot) {
            expiries.add(expiry_ms, hash, (entry, *id));
        }
    }
    let next_seq = rebuilt.max_seq.checked_add(1).filter(|seq| *seq < LAST_SEQ).ok_or_else(|| {
        let path = disk.path().join(names::MANIFEST);
        Error::Corrupt { path, file_id: 0, offset: 0, what: "the sequence numbers are used up" }
    })?;
    let start = choose_active(&catalog, &manifest, options, next_seq, rebuilt.frontier)?;
    Ok(Engine {
        log: Log::new(catalog.clone(), options.max_file_size, start, wake),
        options: options.clone(),
        catalog,
        index: rebuilt.index,
        hasher,
        clock,
        expiries,
        snapshots: Snapshots::default(),
        counters: Counters { logged_time_ms: rebuilt.max_time_ms.into(), ..Counters::default() },
        _lock: lock,
    })
}

/// What is known of a store before it can be used.
pub struct Rebuilt {
    /// Every key and its place.
    pub index: Index,
    /// The keys that expire.
    pub expiries: Vec<(u64, KeyHash, Entry)>,
    /// The last sequence number.
    pub max_seq: u64,
    /// The latest time of a record.
    pub max_time_ms: u64,
    /// All of the log before this is durable; without it, all of the log.
    pub frontier: Option<Position>,
}

fn acquire(disk: &dyn Disk, options: &Options) -> Result<Option<Box<dyn Send + Sync>>> {
    let kind = if options.read_only { LockKind::Shared } else { LockKind::Exclusive };
    match disk.lock(kind) {
        Ok(lock) => Ok(Some(lock)),
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
            Err(Error::Locked { path: disk.path().to_path_buf() })
        }
        // Nobody ever wrote here, or the lock file was left out of a copy: there is nobody to keep out.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && options.read_only => Ok(None),
        Err(e) => Err(Error::io("lock the store", disk.path(), &e)),
    }
}

fn load_manifest(disk: &dyn Disk, options: &Options, names: &[String]) -> Result<Manifest> {
    let path = disk.path().join(names::MANIFEST);
    let corrupt = |what| Error::Corrupt { path: path.clone(), file_id: 0, offset: 0, what };
    if names.iter().any(|name| name == names::MANIFEST) {
        if options.error_if_exists {
            return Err(Error::Exists { path: disk.path().to_path_buf() });
        }
        let bytes = read_whole(disk, names::MANIFEST)?;
        return Manifest::decode(&bytes).map_err(corrupt);
    }
    // The manifest is the first file that a store gets.
    if names.iter().any(|name| matches!(names::parse(name), Some(Name::Data(_)))) {
        return Err(corrupt("the manifest is missing, though there are data files"));
    }
    if options.read_only || !options.create_if_missing {
        return Err(Error::Missing { path: disk.path().to_path_buf() });
    }
    let random = || disk.random().map_err(|e| Error::io("choose an identity for", disk.path(), &e));
    let manifest = Manifest {
        generation: 1,
        store_id: random()?,
        hash_key: random()?,
        clean: false,
        next_file_id: 1,
        last_seq: 0,
        clock_ms: disk.now_ms(true),
        checkpoint: 0,
        files: Vec::new(),
    };
    write_first_manifest(disk, &manifest)?;
    Ok(manifest)
}

/// Reads a small file as a whole.
pub fn read_whole(disk: &dyn Disk, name: &str) -> Result<Vec<u8>> {
    let io = |e: std::io::Error| Error::io("read", &disk.path().join(name), &e);
    let file = disk.open_plain(name).map_err(io)?;
    let size = file.size().map_err(io)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size as usize).map_err(|_| Error::NoMemory { bytes: size })?;
    bytes.resize(size as usize, 0);
    file.read_at(&mut bytes, 0).map_err(io)?;
    Ok(bytes)
}

/// Removes what a crash left behind: files of ours that the manifest does not know. What cannot be removed stays, and
/// does no harm.
fn remove_debris(disk: &dyn Disk, names: &[String], manifest: &Manifest) {
    let live: BTreeSet<FileId> = manifest.files.iter().map(|file| file.id).collect();
    for name in names {
        let debris = match names::parse(name) {
            Some(Name::Data(id) | Name::Hint(id)) => !live.contains(&id),
            Some(Name::Temporary) => true,
            Some(Name::Manifest | Name::Checkpoint | Name::Reserve) | None => false,
        };
        if debris {
            let _ = disk.remove(name);
        }
    }
}

/// The access that a file is opened with.
pub fn access(entry: &FileEntry, options: &Options) -> Access {
    match entry.state {
        FileState::Open if !options.read_only => Access::Append { capacity: options.max_file_size },
        _ => Access::Read,
    }
}

/// Rebuilds the index from hints and data files.
fn rebuild(catalog: &Catalog, manifest: &Manifest, hasher: &KeyHasher, options: &Options) -> Result<Rebuilt> {
    let mut files = Vec::with_capacity(manifest.files.len());
    for entry in &manifest.files {
        let file = catalog.open_file(entry, access(entry, options), None)?;
        if (entry.state == FileState::Sealed || manifest.clean) && file.tail() != entry.length {
            let what = "the file does not have the length that the manifest gives";
            return Err(file.corrupt(file.tail().min(entry.length), what));
        }
        file.include_seqs(entry.min_seq, entry.max_seq);
        files.push((*entry, file));
    }
    let rebuild = Rebuild {
        index: Index::new()?,
        hasher,
        strict: manifest.clean,
        by_slot: {
            let mut by_slot = Vec::new();
            for (entry, file) in &files {
                by_slot.resize_with(by_slot.len().max(usize::from(file.slot) + 1), || None);
                by_slot[usize::from(file.slot)] = Some((entry.state, file.clone()));
            }
            by_slot
        },
        expiries: Mutex::default(),
    };
    let outcomes = rebuild.all(catalog, manifest, &files)?;
    let frontier = repair_tails(&files, &outcomes, options, &catalog.poison)?;
    for ((_, file), outcome) in files.iter().zip(&outcomes) {
        if outcome.end < file.tail() {
            catalog.events.log(LogLevel::Info, || {
                format!(
                    "the log of '{}' ends at offset {} of file {}",
                    catalog.disk.path().display(),
                    outcome.end,
                    file.id
                )
            });
        }
        file.set_tail(outcome.end);
    }
    Ok(Rebuilt { frontier: Some(frontier), ..rebuild.finish(manifest, &files, &outcomes)? })
}

/// Runs `work` in as many threads as there are cores, and pieces of work.
fn on_all_cores(pieces: usize, work: &(impl Fn() + Sync)) {
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get()).min(pieces).min(16);
    std::thread::scope(|scope| {
        for _ in 1..workers {
            // Where no thread can be made, those that there are do its work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
}

/// What was found in one file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Intact frames end here.
    pub end: u64,
    /// Records and their weight.
    pub records: u64,
    /// Their weight: bytes by size class.
    pub weight: u64,
    /// The first and the last sequence number; zeros where there is none.
    pub seqs: (u64, u64),
    /// The latest time of a record.
    pub max_time_ms: u64,
    /// The largest durable frontier that a frame carries.
    pub frontier: u64,
    /// Where and why the walk through an open file ended before the file did.
    pub damage: Option<(u64, &'static str)>,
    /// Whether intact frames stand behind that.
    pub goes_on: bool,
}

struct Rebuild<'a> {
    index: Index,
    hasher: &'a KeyHasher,
    /// After a clean close no tail is torn.
    strict: bool,
    by_slot: Vec<Option<(FileState, Arc<DataFile>)>>,
    expiries: Mutex<Vec<(u64, KeyHash, Entry)>>,
}

/// One record of a file, from its hint or its frame.
pub struct Found {
    /// The hash of its key.
    pub hash: KeyHash,
    /// Where its frame begins and how long it is, in units of 8 bytes.
    pub units: (u32, u32),
    /// Its sequence number.
    pub seq: u64,
    /// When it expires.
    pub expiry_ms: Option<u64>,
    /// Whether it takes the key away.
    pub tombstone: bool,
}

/// So many records with one first byte of the hash are put into the index at once: 24 bytes each, 25 MB for a thread.
const AT_ONCE: usize = 4096;

/// Records on their way into the index, by the first byte of their hashes: sorted, a number of them goes to the same memory.
struct Bins<'a> {
    rebuild: &'a Rebuild<'a>,
    bins: Vec<Vec<Version>>,
    expiries: Vec<(u64, KeyHash, Entry)>,
}

impl<'a> Bins<'a> {
    fn new(rebuild: &'a Rebuild<'a>) -> Self {
        Bins { rebuild, bins: vec![Vec::new(); 256], expiries: Vec::new() }
    }

    /// Takes a record of a file.
    fn push(&mut self, file: &DataFile, found: &Found) -> Result<()> {
        let size = SizeClass::of_units(u64::from(found.units.1));
        let entry = Entry {
            location: Location { slot: file.slot, units: found.units.0 },
            size: if found.tombstone { SizeClass::TOMBSTONE } else { size },
        };
        let full = |_| Error::NoMemory { bytes: (AT_ONCE * size_of::<Version>()) as u64 };
        if let Some(expiry_ms) = found.expiry_ms {
            self.expiries.try_reserve(1).map_err(full)?;
            self.expiries.push((expiry_ms, found.hash, entry));
        }
        let bin = &mut self.bins[usize::from(found.hash.root)];
        bin.try_reserve(1).map_err(full)?;
        bin.push(Version::new(found.hash, entry, found.seq));
        if bin.len() < AT_ONCE { Ok(()) } else { self.empty(found.hash.root) }
    }

    fn empty(&mut self, root: u8) -> Result<()> {
        let rebuild = self.rebuild;
        let bin = &mut self.bins[usize::from(root)];
        rebuild.index.absorb(root, bin, |version, other| rebuild.is_newer(version, other))
    }

    /// Takes what is left.
    fn finish(mut self) -> Result<()> {
        for root in 0..=u8::MAX {
            self.empty(root)?;
        }
        self.rebuild.expiries.lock().append(&mut self.expiries);
        Ok(())
    }
}

impl Rebuild<'_> {
    /// Works on all files, on all cores.
    fn all(
        &self,
        catalog: &Catalog,
        manifest: &Manifest,
        files: &[(FileEntry, Arc<DataFile>)],
    ) -> Result<Vec<Outcome>> {
        let next = AtomicUsize::new(0);
        let outcomes: Mutex<Vec<Option<Result<Outcome>>>> = Mutex::new(files.iter().map(|_| None).collect());
        let ends = Mutex::new(Vec::new());
        let work = || {
            let mut bins = Bins::new(self);
            while let Some((n, (entry, file))) =
                Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, files.get(n)?)))
            {
                let outcome = self.one(catalog, manifest, entry, file, &mut bins);
                outcomes.lock()[n] = Some(outcome);
            }
            ends.lock().push(bins.finish());
        };
        on_all_cores(files.len(), &work);
        ends.into_inner().into_iter().collect::<Result<()>>()?;
        let missing =
            || Err(Error::Panic { message: "a thread that was reading the store's files failed".into() });
        outcomes.into_inner().into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect()
    }

    fn one(
        &self,
        catalog: &Catalog,
        manifest: &Manifest,
        entry: &FileEntry,
        file: &DataFile,
        bins: &mut Bins<'_>,
    ) -> Result<Outcome> {
        if entry.state == FileState::Sealed {
            let hinted = hints::load(catalog, file, &manifest.store_id, &mut |found| bins.push(file, found));
            if let Some(outcome) = hinted? {
                return Ok(Outcome { end: entry.length, ..outcome });
            }
        }
        let mut outcome = Outcome::default();
        let (end, why) = scan(file, FILE_HEADER_SIZE, file.tail(), &mut |frame| {
            let header = &frame.header;
            outcome.max_time_ms = outcome.max_time_ms.max(header.time_ms);
            outcome.frontier = outcome.frontier.max(header.frontier.unwrap_or(0));
            if header.kind != Kind::Batch {
                outcome.seqs.0 =
                    if outcome.seqs.0 == 0 { header.seq } else { outcome.seqs.0.min(header.seq) };
                outcome.seqs.1 = outcome.seqs.1.max(header.seq);
            }
            if !matches!(header.kind, Kind::Put | Kind::Tombstone) {
                return Ok(());
            }
            let found = Found::of(frame, self.hasher);
            outcome.records += 1;
            outcome.weight += SizeClass::of_units(u64::from(found.units.1)).bytes();
            bins.push(file, &found)
        })?;
        outcome.end = end;
        match why {
            End::Damaged { offset, what } if entry.state == FileState::Sealed || self.strict => {
                return Err(file.corrupt(offset, what));
            }
            End::Damaged { offset, what } => {
                outcome.damage = Some((offset, what));
                let behind = frames_behind(file, end, file.tail())?;
                outcome.frontier = outcome.frontier.max(behind.frontier);
                outcome.goes_on = behind.frames;
            }
            End::Complete => {}
        }
        Ok(outcome)
    }

    fn is_newer(&self, version: &Version, other: Entry) -> Result<bool> {
        let file = |entry: Entry| self.by_slot.get(usize::from(entry.location.slot)).and_then(Option::as_ref);
        let (Some(own), Some((state, other_file))) = (version.entry().and_then(file), file(other)) else {
            return Ok(true);
        };
        if *state == FileState::Sealed && other_file.id != own.1.id {
            let (min, max) = other_file.seqs();
            if version.seq > max || version.seq < min {
                return Ok(version.seq > max);
            }
        }
        Ok(version.seq > other_file.seq_at(u64::from(other.location.units) * ALIGNMENT)?)
    }

    /// Forgets tombstones, and counts the records that are alive in each slot, and their weight.
    fn count_live(&self) -> Vec<(u64, u64)> {
        let none = vec![(0u64, 0u64); self.by_slot.len()];
        let (next, all) = (AtomicUsize::new(0), Mutex::new(none.clone()));
        let work = || {
            let (mut live, mut some) = (none.clone(), Vec::new());
            while let Ok(root) = u8::try_from(next.fetch_add(1, Ordering::Relaxed)) {
                let mut cursor = Some(Cursor::of_root(root));
                while let Some(at) = cursor.filter(|at| at.root() == root) {
                    some.clear();
                    cursor = self.index.collect(at, &mut some);
                    for (hash, entry) in &some {
                        if entry.size == SizeClass::TOMBSTONE {
                            self.index.lock(*hash).remove(*hash);
                        } else if let Some(live) = live.get_mut(usize::from(entry.location.slot)) {
                            *live = (live.0 + 1, live.1 + entry.size.bytes());
                        }
                    }
                }
            }
            for (all, live) in all.lock().iter_mut().zip(live) {
                *all = (all.0 + live.0, all.1 + live.1);
            }
        };
        on_all_cores(usize::from(u8::MAX) + 1, &work);
        all.into_inner()
    }

    /// Counts what is alive.
    fn finish(
        self,
        manifest: &Manifest,
        files: &[(FileEntry, Arc<DataFile>)],
        outcomes: &[Outcome],
    ) -> Result<Rebuilt> {
        let live = self.count_live();
        let (mut max_seq, mut max_time_ms) = (manifest.last_seq, 0);
        for ((_, file), outcome) in files.iter().zip(outcomes) {
            let live = live[usize::from(file.slot)];
            file.usage.set(outcome.records, outcome.weight, live.0, live.1);
            if outcome.seqs.1 > 0 {
                file.include_seqs(outcome.seqs.0, outcome.seqs.1);
            }
            max_seq = max_seq.max(outcome.seqs.1);
            max_time_ms = max_time_ms.max(outcome.max_time_ms);
        }
        let mut expiries = self.expiries.into_inner();
        expiries.retain(|(_, hash, entry)| self.index.get(*hash) == Some(*entry));
        Ok(Rebuilt { index: self.index, expiries, max_seq, max_time_ms, frontier: None })
    }
}

impl Found {
    /// What the frame of a record says.
    pub fn of(frame: &crate::log::file::Frame<'_>, hasher: &KeyHasher) -> Self {
        Found {
            hash: hasher.hash(frame.key()),
            units: ((frame.offset / ALIGNMENT) as u32, (frame.header.frame_size() / ALIGNMENT) as u32),
            seq: frame.header.seq,
            expiry_ms: frame.header.expiry_ms,
            tombstone: frame.header.kind == Kind::Tombstone,
        }
    }
}

/// Cuts torn tails off, and gives the durable frontier. What stands behind that may be in the kernel's memory only, where a
/// killed process left it. Writing it to the disk may take long; the next sync does it. But it is done here where
/// every write is to be durable before it is seen, and where intact frames were cut off: they would be a part of the log
/// again after the next crash if something else came to stand in front of them.
fn repair_tails(
    files: &[(FileEntry, Arc<DataFile>)],
    outcomes: &[Outcome],
    options: &Options,
    poison: &Poison,
) -> Result<Position> {
    let frontier = Position(outcomes.iter().map(|outcome| outcome.frontier).max().unwrap_or(0));
    let open = || files.iter().zip(outcomes).filter(|((entry, _), _)| entry.state == FileState::Open);
    for ((entry, file), outcome) in open() {
        if outcome.end < entry.length {
            let (offset, what) =
                outcome.damage.unwrap_or((outcome.end, "the file ends before what a close left"));
            return Err(file.corrupt(offset, what));
        }
        if Position::new(file.id, outcome.end) < frontier
            && let Some((offset, what)) = outcome.damage
            && !is_unwritten_space(file, offset, frontier)
        {
            return Err(file.corrupt(offset, what));
        }
        if frontier.file() == file.id && Position::new(file.id, outcome.end) < frontier {
            return Err(file.corrupt(outcome.end, "the log ends before what was durable"));
        }
    }
    if options.read_only {
        return Ok(frontier);
    }
    for ((entry, file), outcome) in open() {
        let failed = |e: std::io::Error| file.io_error("cut the torn tail of", &e);
        // A clean store has nothing to repair, and is not written to by opening it.
        if outcome.end < file.tail() {
            file.disk_file.truncate(outcome.end).map_err(failed)?;
        } else if entry.length == outcome.end {
            continue;
        }
        let durable = match frontier.file() {
            id if id == file.id => frontier.offset(),
            id if id > file.id => outcome.end,
            _ => FILE_HEADER_SIZE,
        };
        // What a clean close left is durable too.
        file.set_unsure(durable.max(entry.length), outcome.end);
        if options.sync == SyncMode::Always || outcome.goes_on {
            file.sync(poison, "sync the tail of")?;
        }
    }
    Ok(frontier)
}

/// Whether a file before the frontier's only ends where the log went on in the next file: in reserved space.
fn is_unwritten_space(file: &DataFile, offset: u64, frontier: Position) -> bool {
    let mut buffer = Vec::new();
    frontier.file() > file.id
        && file
            .bytes(offset, file.tail() - offset, &mut buffer)
            .is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0))
}

/// A new file, listed in the manifest, that the log goes on in.
fn begin_file(catalog: &Catalog, options: &Options) -> Result<Arc<DataFile>> {
    let active = catalog.create_file(options.max_file_size)?;
    let entry = Catalog::open_entry(&active);
    catalog.update(|manifest| {
        manifest.clean = false;
        manifest.files.push(entry);
    })?;
    Ok(active)
}

/// The open file that the log goes on in, or a new one; older open files are left to be sealed.
fn choose_active(
    catalog: &Catalog,
    manifest: &Manifest,
    options: &Options,
    next_seq: u64,
    frontier: Option<Position>,
) -> Result<Start> {
    let mut open: Vec<Arc<DataFile>> = catalog
        .files
        .all()
        .into_iter()
        .filter(|file| {
            manifest.files.iter().any(|entry| entry.id == file.id && entry.state == FileState::Open)
        })
        .collect();
    open.sort_by_key(|file| file.id);
    let active = match open.pop_if(|file| options.read_only || file.tail() < options.max_file_size) {
        Some(active) => active,
        None if options.read_only => {
            // Never written to: a file that is there, or nothing at all.
            match catalog.files.all().pop() {
                Some(file) => file,
                None => return Err(Error::Missing { path: catalog.disk.path().to_path_buf() }),
            }
        }
        None => match (begin_file(catalog, options), open.pop()) {
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
    let durable = frontier.filter(|_| !is_sure).map_or(end, |frontier| frontier.min(end));
    Ok(Start { active, durable, next_seq, unsealed, unclean })
}
