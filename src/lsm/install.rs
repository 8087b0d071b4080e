//! Making a change of the set of runs count: in the manifest first, then for who reads.

use std::sync::Arc;

use super::engine::{Engine, Levels, Tree};
use super::key::RangeDelete;
use super::memtable::Memtable;
use super::ranges::Ranges;
use super::run::{self, Run};
use crate::disk::Access;
use crate::format::FileId;
use crate::format::features::NUMBERED_LISTS;
use crate::format::manifest::{FileState, Manifest};
use crate::format::ordered::RunEntry;
use crate::log::file::DataFile;
use crate::store::error::Result;
use crate::store::memory::{self, Refused};

/// A change of the set of runs.
#[derive(Default)]
pub struct Installation {
    /// The memtables that are in runs now, and the largest sequence number in them.
    pub flushed: Option<(Vec<Arc<Memtable>>, u64)>,
    /// Runs that were merged.
    pub removed: Vec<FileId>,
    /// A run that is in another level now, as it is, and that level.
    pub moved: Option<(Arc<Run>, u32)>,
    /// Runs that were written.
    pub added: Vec<RunEntry>,
    /// Deletes of ranges that the manifest does not have yet.
    pub ranges: Vec<RangeDelete>,
    /// Deletes of ranges with a smaller number took what was to be taken from the runs that were written; 0 where a snapshot kept
    /// something.
    pub cleaned: u64,
}

fn is_among(tables: &[Arc<Memtable>], table: &Arc<Memtable>) -> bool {
    tables.iter().any(|one| Arc::ptr_eq(one, table))
}

/// Whether this delete of a range may have something left to delete.
fn is_needed<'a>(
    range: &RangeDelete,
    runs: impl Iterator<Item = &'a Arc<Run>>,
    tree: &Tree,
    flushed: &[Arc<Memtable>],
) -> bool {
    let mut runs = runs;
    let mut tables = tree.memtables().filter(|table| !is_among(flushed, table));
    tables.any(|table| table.seqs().is_some_and(|(min, _)| min < range.seq))
        || runs.any(|run| {
            // `to` is behind the last key: a run that begins there has nothing of it, and one key more does no harm.
            run.entry.min_seq < range.seq
                && run.entry.cleaned <= range.id
                && range.overlaps(run.first_key(), &run.last_key)
        })
}

/// Drops deletes of ranges that lie within one of the newer ones, where nobody reads a moment between the two.
fn drop_covered(ranges: &mut Vec<RangeDelete>, newer: &[RangeDelete], snapshots: &[u64]) {
    ranges.retain(|range| {
        !newer.iter().any(|newer| {
            newer.from <= range.from
                && range.to <= newer.to
                && range.seq < newer.seq
                && !snapshots.iter().any(|snapshot| (range.seq..newer.seq).contains(snapshot))
        })
    });
}

/// Makes a change count. After an error nothing has changed, unless the store is poisoned then.
pub fn install(engine: &Engine, mut change: Installation) -> Result<()> {
    let mut may_count = false;
    let installed = try_install(engine, &mut change, &mut may_count);
    if installed.is_err() && !may_count {
        // The old manifest counts, for certain.
        run::remove(engine.catalog.disk.as_ref(), change.added.iter().map(|run| run.id));
    }
    installed?;
    engine.relieve();
    Ok(())
}

fn try_install(engine: &Engine, change: &mut Installation, may_count: &mut bool) -> Result<()> {
    let _alone = engine.changing.lock();
    engine.catalog.poison.check()?;
    if change.flushed.is_some() && !seeded_bug!("run-counts-before-the-log-is-synced") {
        // A run must not hold what the log may lose: the numbers of that would be used again.
        engine.log.sync()?;
    }
    memory::room_for_small_things()?;
    let (store_id, mut ordered) = {
        let manifest = engine.catalog.manifest();
        (manifest.store_id, manifest.ordered.copy()?)
    };
    let is_complete = change.cleaned == ordered.next_range;
    for range in &mut change.ranges {
        range.id = ordered.next_range;
        ordered.next_range += 1;
    }
    // The runs that were written have nothing of the new ones either.
    let cleaned = if is_complete { ordered.next_range } else { change.cleaned };
    let mut added = memory::vec_with_room(change.added.len())?;
    for run in &mut change.added {
        run.cleaned = cleaned;
        let (disk, verify) = (&engine.catalog.disk, engine.options.verify_checksums);
        added.push(Run::open(disk, run, Access::Read, &store_id, verify, &engine.removing)?);
    }
    let tree = engine.tree();
    let stays = |run: &&Arc<Run>| !change.removed.contains(&run.entry.id);
    drop_covered(&mut ordered.ranges, &change.ranges, &engine.snapshots()?);
    memory::reserve(&mut ordered.ranges, change.ranges.len())?;
    ordered.ranges.append(&mut change.ranges);
    let flushed = change.flushed.as_ref().map(|(tables, _)| tables.as_slice()).unwrap_or_default();
    ordered.ranges.retain(|range| is_needed(range, tree.runs().filter(stays).chain(&added), &tree, flushed));
    ordered.runs.retain(|run| !change.removed.contains(&run.id));
    memory::reserve(&mut ordered.runs, change.added.len())?;
    ordered.runs.extend(&change.added);
    if let Some((moved, level)) = &change.moved {
        ordered.runs.iter_mut().filter(|run| run.id == moved.entry.id).for_each(|run| run.level = *level);
    }
    ordered.runs.sort_unstable_by_key(|run| run.id);
    if let Some((_, seq)) = &change.flushed {
        ordered.flushed_seq = ordered.flushed_seq.max(*seq);
        // After all that the memtable has, which nobody changes any more.
        ordered.next_list = ordered.next_list.max(engine.next_list());
    }
    // Who reads an older moment has the tree of that.
    let ranges = Arc::new(Ranges::for_later(RangeDelete::copies(&ordered.ranges)?)?);
    // Nobody else changes which runs there are. What comes after the manifest must not fail.
    let removed = memory::collect(tree.runs().filter(|run| !stays(run)).cloned())?;
    let mut levels = levels_with(tree.runs().filter(stays).chain(&added))?;
    if let Some((moved, level)) = &change.moved {
        move_to(&mut levels, moved, *level)?;
    }
    let levels = Arc::new(levels);
    let known_time_ms = engine.told_time.known_ms();
    let updated = engine.catalog.update(|manifest| {
        let flushed_seq = ordered.flushed_seq;
        manifest.last_seq = manifest.last_seq.max(flushed_seq);
        manifest.clock_ms = manifest.clock_ms.max(known_time_ms);
        if ordered.next_list > 0 {
            manifest.needs.add(NUMBERED_LISTS);
        }
        manifest.ordered = ordered;
        drop_log_files(manifest, flushed_seq);
    });
    // Which manifest a crash would leave is not known where the store takes no writes any more.
    *may_count = engine.catalog.poison.check().is_err();
    updated?;
    if let Some((moved, level)) = &change.moved {
        moved.set_level(*level);
    }
    engine.change_tree(|tree| Tree {
        active: tree.active.clone(),
        frozen: tree.frozen.iter().filter(|table| !is_among(flushed, table)).cloned().collect(),
        levels,
        ranges,
    });
    // Their files go with the last who reads them.
    removed.iter().for_each(|run| run.set_obsolete());
    free_log_files(engine);
    engine.note_memory();
    Ok(())
}

/// Puts runs where they belong.
pub fn levels_with<'a>(runs: impl Iterator<Item = &'a Arc<Run>>) -> Result<Levels, Refused> {
    let mut levels = Levels::new();
    for run in runs {
        add(&mut levels, run, run.level())?;
    }
    for (level, runs) in levels.iter_mut().enumerate() {
        sort(runs, level);
    }
    Ok(levels)
}

fn add(levels: &mut Levels, run: &Arc<Run>, level: u32) -> Result<(), Refused> {
    while levels.len() <= level as usize {
        memory::push(levels, Vec::new())?;
    }
    match levels.get_mut(level as usize) {
        Some(level) => memory::push(level, run.clone()),
        None => Ok(()),
    }
}

fn sort(runs: &mut [Arc<Run>], level: usize) {
    if level == 0 {
        runs.sort_unstable_by_key(|run| std::cmp::Reverse((run.entry.max_seq, run.entry.id)));
    } else {
        runs.sort_unstable_by(|a, b| a.first_key().cmp(b.first_key()));
    }
}

/// Puts a run from where it is into another level.
fn move_to(levels: &mut Levels, moved: &Arc<Run>, level: u32) -> Result<(), Refused> {
    levels.iter_mut().for_each(|runs| runs.retain(|run| !Arc::ptr_eq(run, moved)));
    add(levels, moved, level)?;
    if let Some(runs) = levels.get_mut(level as usize) {
        sort(runs, level as usize);
    }
    Ok(())
}

/// Takes log files out of the manifest of which everything is in runs.
fn drop_log_files(manifest: &mut Manifest, flushed_seq: u64) {
    let needed = if seeded_bug!("log-dropped-too-early") { u64::MAX } else { flushed_seq };
    manifest.files.retain(|file| file.state == FileState::Open || file.max_seq > needed);
}

/// Frees log files that the manifest has no more: they are read by an opening only. For who changes the set of runs.
fn free_log_files(engine: &Engine) {
    // Where memory is refused, the next change does it.
    let Ok(files) = engine.catalog.files.all() else { return };
    let manifest = engine.catalog.manifest();
    for file in files {
        let is_listed = manifest.files.binary_search_by_key(&file.id, |entry| entry.id).is_ok();
        // A file that was made and is not listed yet has no record.
        if !is_listed && file.seqs().1 > 0 {
            free_log_file(engine, &file);
        }
    }
}

/// Frees a log file that the manifest does not list.
pub fn free_log_file(engine: &Engine, file: &DataFile) {
    if engine.catalog.files.take(usize::from(file.slot)).is_some() {
        engine.catalog.unlink(file);
    }
}
