//! Opening a store: runs from the manifest, then the log behind the last flush.
//!
//! The log is walked twice after a crash: to find where it ends, as the other engine does, and to fill the memtable. It ends at the first
//! gap in its sequence numbers, also where later files go on behind it: a batch that was written there may build on what was lost.

use std::sync::Arc;

use super::engine::{Change, Engine, Parts, Tree, logged, memtable_size};
use super::install::levels_with;
use super::key::{self, RangeDelete};
use super::memtable::{Key, Memtable};
use super::ranges::Ranges;
use super::run::{Removing, Run};
use crate::bitcask::engine::clock::StoreClock;
use crate::bitcask::lifecycle::publish::{own_page, publish};
use crate::disk::fs::{FsDisk, Io};
use crate::disk::page::{self, OwnPage};
use crate::disk::{Access, Disk};
use crate::format::features::{NUMBERED_LISTS, Needs, ORDERED};
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::manifest::{FileState, Manifest};
use crate::format::names;
use crate::format::run::block::Meta;
use crate::index::KeyHasher;
use crate::log::Position;
use crate::log::append::{Log, Work};
use crate::log::catalog::Catalog;
use crate::log::file::DataFile;
use crate::log::opening::active::{choose_active, remember, seq_behind};
use crate::log::opening::manifest::load_manifest;
use crate::log::opening::{open_alone, read_whole, remove_debris};
use crate::log::recovery::sequence::Sequence;
use crate::log::recovery::walk::{Outcome, Walk};
use crate::log::recovery::{Listed, open_files, recover};
use crate::log::scan::{End, scan};
use crate::store::error::{Error, Result};
use crate::store::events::Events;
use crate::store::memory;
use crate::store::options::Options;
use crate::sync::signal::Signal;

/// Whether there is a store of this engine in a directory. Whatever else may be wrong is found by who opens it.
pub fn is_ordered(path: &std::path::Path) -> bool {
    let Ok(disk) = FsDisk::open(path, false, Io::Plain) else { return false };
    is_ordered_on(&disk)
}

/// Whether there is a store of this engine on a disk.
pub fn is_ordered_on(disk: &dyn Disk) -> bool {
    let begins_as_usual = || -> std::io::Result<bool> {
        let mut bytes = [0; 12];
        disk.open_plain(names::MANIFEST)?.read_at(&mut bytes, 0)?;
        Ok(Manifest::has_usual_version(&bytes))
    };
    match begins_as_usual() {
        Ok(false) => read_whole(disk, names::MANIFEST)
            .is_ok_and(|bytes| Manifest::decode(&bytes).is_ok_and(|manifest| manifest.needs.has(ORDERED))),
        _ => false,
    }
}

/// Opens the store in `disk`, or creates it. `ask` wakes whoever does the log's work.
pub fn open(
    disk: Arc<dyn Disk>,
    options: &Options,
    ask: Box<dyn Fn(Work) + Send + Sync>,
    is_background: bool,
    flush_signal: Arc<Signal>,
) -> Result<Engine> {
    let opened = open_alone(disk.as_ref(), options, |names| {
        let had_page = names.iter().any(|name| name == page::FILE_NAME);
        let (page, page_lock) =
            if options.read_only { None } else { own_page(disk.as_ref(), options) }.unzip();
        let work = ForEngine { ask, is_background, flush_signal, page };
        let engine = open_locked(&disk, options, names, work).inspect_err(|_| {
            if !had_page && page_lock.is_some() {
                let _ = disk.remove(page::FILE_NAME);
            }
        })?;
        Ok((engine, page_lock))
    });
    let ((engine, page_lock), lock) = opened?;
    let page_lock = match page_lock {
        Some(page_lock) => publish(&engine.log, &engine.clock, None, page_lock)?,
        None => None,
    };
    // In this order: who finds the page without its lock is to find the store without one, too.
    Ok(engine.holding(Box::new((page_lock, lock))))
}

/// What an engine gets that is not of its store.
pub struct ForEngine {
    /// Wakes whoever does the log's work.
    pub ask: Box<dyn Fn(Work) + Send + Sync>,
    /// Whether threads of their own work for it.
    pub is_background: bool,
    /// Wakes who writes memtables out.
    pub flush_signal: Arc<Signal>,
    /// The page by which those who read the store meanwhile are told what is written.
    pub page: Option<OwnPage>,
}

/// Where files of the log are as large as this, each is followed by another when it is half full, if that is ready by then: so no
/// writer waits for one.
const DIVIDED: u64 = 8 << 20;

/// The options of the log: its files are small, so that what is in runs goes soon; but each costs syncs, where there is a disk.
fn of_log(disk: &dyn Disk, options: &Options) -> Options {
    let wanted = memtable_size(options) as u64;
    let wanted = if disk.is_volatile() { wanted / 2 } else { wanted.max(DIVIDED) };
    Options { max_file_size: wanted.clamp(16 << 10, 64 << 20).min(options.max_file_size), ..options.clone() }
}

fn open_locked(disk: &Arc<dyn Disk>, options: &Options, names: &[String], work: ForEngine) -> Result<Engine> {
    let mut needs = Needs::default();
    needs.add(ORDERED);
    needs.add(NUMBERED_LISTS);
    let manifest = load_manifest(disk.as_ref(), options, names, needs)?;
    assemble(disk, options, names, work, &manifest, |catalog, options| {
        open_files(catalog, &manifest, options)
    })
}

/// The engine over the runs that a manifest lists and the files of the log, which `open_log` opens, with the options that the log has.
pub fn assemble(
    disk: &Arc<dyn Disk>,
    options: &Options,
    names: &[String],
    work: ForEngine,
    manifest: &Manifest,
    open_log: impl FnOnce(&Catalog, &Options) -> Result<Vec<Listed>>,
) -> Result<Engine> {
    if !manifest.needs.has(ORDERED) {
        return Err(Error::other_engine(disk.path(), "bitcask"));
    }
    let options = &of_log(disk.as_ref(), options);
    let events = Events::new(options.log.clone(), options.log_level);
    let listed = manifest.copy_with_room(0)?;
    let catalog = Catalog::new(disk.clone(), listed, events, options.max_file_size)?;
    let catalog = catalog.without_look_ups()?.publishing(work.page);
    catalog.published.close_page();
    let catalog = Arc::new(catalog);
    let removing = Arc::default();
    let runs = Runs { disk, options, removing: &removing, known: None };
    // The log first: where another process writes, its files go sooner than runs, which take longer to open.
    let files = open_log(&catalog, options)?;
    let mut tree = runs.tree(manifest)?;
    let replayed = replay(&catalog, manifest, options, &files, &mut tree)?;
    let next_list = replayed.next_list.max(next_list(manifest, &tree));
    if !options.read_only {
        remove_debris(disk.as_ref(), names, manifest)?;
    }
    let time_ms = replayed.max_time_ms.max(manifest.clock_ms);
    let clock = StoreClock::new(disk.clone(), time_ms, None).publishing(catalog.published.clone());
    clock.warn_if_far_ahead(&catalog.events, disk.path());
    let next_seq = seq_behind(replayed.max_seq, disk.as_ref())?;
    if let Some(sequence) = replayed.sequence.filter(|_| !options.read_only) {
        remember(&catalog, &sequence, next_seq)?;
    }
    // The log alone says what changed, and what is not in it any more is a gap.
    catalog.amend(|manifest| manifest.complete_after = u64::MAX);
    let start = choose_active(&catalog, manifest, options, next_seq, time_ms, replayed.frontier)?;
    if !tree.frozen.is_empty() {
        work.flush_signal.wake();
    }
    let log = Log::new(catalog.clone(), options.max_file_size, start, work.ask);
    if options.max_file_size >= DIVIDED && !options.read_only {
        log.divide_at(options.max_file_size / 2);
    }
    Ok(Engine::new(Parts {
        log,
        options: options.clone(),
        hasher: KeyHasher::new(&manifest.hash_key),
        catalog,
        clock,
        tree,
        next_seq,
        // Before manifests told it, it was about this.
        next_list: next_list.max(next_seq),
        time_ms,
        removing,
        is_background: work.is_background,
        flush_signal: work.flush_signal,
    }))
}

/// Opens the runs that a manifest lists.
pub struct Runs<'a> {
    /// Where they are.
    pub disk: &'a Arc<dyn Disk>,
    /// The options of who opens them.
    pub options: &'a Options,
    /// See [`Removing`].
    pub removing: &'a Arc<Removing>,
    /// What has some of them open already.
    pub known: Option<&'a Tree>,
}

impl Runs<'_> {
    /// What a manifest lists, and a memtable for what is in the log, with nothing in it.
    pub fn tree(&self, manifest: &Manifest) -> Result<Tree> {
        let (store_id, verify) = (&manifest.store_id, self.options.verify_checksums);
        // A writer beside a live reader removes their names when it has merged them.
        let access = if self.options.live { Access::Follow { grows: false } } else { Access::Read };
        let mut known = memory::collect(self.known.iter().flat_map(|tree| tree.runs()))?;
        known.sort_unstable_by_key(|run| run.entry.id);
        let mut runs = memory::vec_with_room(manifest.ordered.runs.len())?;
        for entry in &manifest.ordered.runs {
            let place = known.binary_search_by_key(&entry.id, |run| run.entry.id);
            let open = place.ok().and_then(|place| known.get(place));
            runs.push(match open.filter(|run| run.entry.salt == entry.salt) {
                Some(run) => {
                    run.set_level(entry.level);
                    Arc::clone(run)
                }
                None => Run::open(self.disk, entry, access, store_id, verify, self.removing)?,
            });
        }
        let tree = Tree {
            active: Arc::new(Memtable::of_the_log(memtable_size(self.options))),
            frozen: Vec::new(),
            levels: Arc::new(levels_with(runs.iter())?),
            ranges: Arc::new(Ranges::for_later(RangeDelete::copies(&manifest.ordered.ranges)?)?),
        };
        check_levels(&tree)?;
        Ok(tree)
    }
}

/// Runs of one level below the first do not overlap.
fn check_levels(tree: &Tree) -> Result<()> {
    for level in tree.levels.iter().skip(1) {
        for pair in level.windows(2) {
            let [one, next] = pair else { continue };
            if one.last_key.as_slice() >= next.first_key() {
                return Err(next.corrupt(0, "the run overlaps with another of its level"));
            }
        }
    }
    Ok(())
}

/// A number that no list has which runs know of, or deletes of ranges. Manifests tell it, but for those of early builds.
fn next_list(manifest: &Manifest, tree: &Tree) -> u64 {
    // The keys of elements come last, and of these those of the list with the largest number.
    let of_runs = tree.runs().filter_map(|run| key::list_of_element(&run.last_key));
    // Where a range ends no list of it is.
    let of_ranges = manifest.ordered.ranges.iter().filter_map(|range| key::list_of_element(&range.to));
    let known = of_runs.map(|id| id.saturating_add(1)).chain(of_ranges).max();
    manifest.ordered.next_list.max(known.unwrap_or(0))
}

/// What the log said.
pub struct Replayed {
    pub max_seq: u64,
    pub max_time_ms: u64,
    frontier: Position,
    sequence: Option<Sequence>,
    /// No list that is in the log and in no run has this number or a larger one.
    next_list: u64,
}

/// Puts into memtables what is in these files of the log and in no run.
pub fn replay(
    catalog: &Catalog,
    manifest: &Manifest,
    options: &Options,
    files: &[Listed],
    tree: &mut Tree,
) -> Result<Replayed> {
    files.iter().for_each(|(entry, file)| file.include_seqs(entry.min_seq, entry.max_seq));
    let flushed = manifest.ordered.flushed_seq;
    let recovered = recover(catalog, manifest, files, options, |walk| {
        let mut outcomes = memory::vec_with_room(files.len())?;
        for file in files {
            outcomes.push(outcome_of(file, walk, flushed)?);
        }
        Ok(((), outcomes))
    })?;
    let (mut max_seq, mut max_time_ms, mut next_list) = (manifest.last_seq.max(flushed), 0, 0);
    for ((entry, file), outcome) in files.iter().zip(&recovered.outcomes) {
        if outcome.seqs.1 > 0 {
            file.include_seqs(outcome.seqs.0, outcome.seqs.1);
        }
        max_seq = max_seq.max(outcome.seqs.1);
        max_time_ms = max_time_ms.max(outcome.max_time_ms);
        let is_flushed = entry.state == FileState::Sealed && entry.max_seq <= flushed;
        if !is_flushed && outcome.seqs.1 > flushed {
            next_list = next_list.max(fill(file, outcome.end, flushed, options, tree)?);
        }
    }
    let sequence = (!manifest.clean).then_some(recovered.sequence);
    Ok(Replayed { max_seq, max_time_ms, frontier: recovered.frontier, sequence, next_list })
}

/// What is in one file of the log. A file whose records are all in runs, for certain, is not read.
fn outcome_of(listed: &Listed, walk: &Walk, flushed: u64) -> Result<Outcome> {
    let (entry, _) = listed;
    if walk.is_final(entry.state) && entry.max_seq <= flushed {
        let seqs = (entry.min_seq, entry.max_seq);
        return Ok(Outcome { end: entry.length, seqs, ..Outcome::default() });
    }
    walk.file(listed, FILE_HEADER_SIZE, Outcome::default(), |_| Ok(()))
}

/// Puts the records of a file that are in no run into the memtable, and gives a number that no list of these has.
fn fill(file: &DataFile, end: u64, flushed: u64, options: &Options, tree: &mut Tree) -> Result<u64> {
    let mut next_list = 0;
    let most = memtable_size(options);
    let (_, why) = scan(file, FILE_HEADER_SIZE, end, &mut |frame| {
        let header = &frame.header;
        if tree.active.is_full(most) && (!options.read_only || options.live) {
            let full = std::mem::replace(&mut tree.active, Arc::new(Memtable::of_the_log(most)));
            memory::push(&mut tree.frozen, full)?;
        }
        if !header.kind.is_record() || header.seq <= flushed {
            return Ok(());
        }
        memory::room_for_more()?;
        let (key, change) = logged(file, frame)?;
        next_list = next_list.max(key::list_of_element(key.bytes()).map_or(0, |id| id.saturating_add(1)));
        tree.active.make_room(change.room())?;
        put(&tree.active, key, change, header.seq);
        Ok(())
    })?;
    match why {
        End::Complete => Ok(next_list),
        End::Damaged { offset, what } => Err(file.corrupt(offset, what)),
    }
}

/// What the log had goes to memtables that know nothing of their keys before they are asked for them.
fn put(table: &Memtable, key: Key, change: Change<'_>, seq: u64) {
    match change {
        Change::Version(meta, value) => table.insert(key, 0, Meta { seq, ..meta }, value, None),
        Change::Range { from, to } => table.delete_range(RangeDelete { id: 0, seq, from, to }),
    }
}
