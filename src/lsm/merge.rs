//! Merging runs into the next level: which, when, and how.
//!
//! Runs of level 0 overlap; those of each other level do not, and each level may have ten times the bytes of the one above. Versions of a
//! key are newer the higher they stand. So a merge takes some runs of a level, or all of level 0, and those below that overlap them.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::engine::{Engine, Tree};
use super::flush::add_written;
use super::install::{Installation, install, levels_with};
use super::key::{self, RangeDelete};
use super::run::{PIECE, Run, RunWriter, Versions, remove};
use super::shared::Shared;
use super::survivors::{Around, Survivors};
use crate::format::ordered::RunEntry;
use crate::format::run::block::Meta;
use crate::store::error::{Error, Result};
use crate::store::memory::{self, Refused};
use crate::store::stats::MergeProgress;

/// So many runs of level 0 are merged.
const MOST_ON_TOP: usize = 4;
/// A run that is not of level 0 becomes no smaller than this, or than the largest file that the options allow: each costs syncs.
const LEAST_RUN: u64 = 4 << 20;
/// A level may have so many times the bytes of the one above.
const GROWTH: u64 = 10;
/// With so many deletes of ranges a run is written anew that they have something left to delete in.
const MOST_RANGES: usize = 4096;

/// What watches a merge, and may end it.
pub type Watch<'a> = &'a mut dyn FnMut(&MergeProgress) -> ControlFlow<()>;

/// The runs that a merge takes, and the level that it writes to.
struct Choice {
    inputs: Vec<Arc<Run>>,
    to: usize,
}

/// How large a run becomes that is not of level 0.
fn run_size(engine: &Engine) -> u64 {
    let least = LEAST_RUN.min(engine.options.max_file_size);
    (engine.memtable_size as u64 * 2).clamp(4 << 10, 64 << 20).max(least)
}

fn most_bytes(engine: &Engine, level: usize) -> u64 {
    let first = run_size(engine).saturating_mul(MOST_ON_TOP as u64);
    first.saturating_mul(GROWTH.saturating_pow((level as u32).saturating_sub(1)))
}

fn bytes(runs: &[Arc<Run>]) -> u64 {
    runs.iter().map(|run| run.entry.length).sum()
}

/// Those of a level that overlap with some runs.
fn overlapping(level: &[Arc<Run>], runs: &[Arc<Run>]) -> Result<Vec<Arc<Run>>, Refused> {
    let first = runs.iter().map(|run| run.first_key()).min().unwrap_or_default();
    let last = runs.iter().map(|run| run.last_key.as_slice()).max().unwrap_or_default();
    memory::collect(level.iter().filter(|run| run.overlaps(first, last)).cloned())
}

/// These runs, and those of a level that overlap with them.
fn with_overlapping(runs: &[Arc<Run>], level: &[Arc<Run>]) -> Result<Vec<Arc<Run>>, Refused> {
    let mut below = overlapping(level, runs)?;
    let mut all = memory::vec_with_room(runs.len() + below.len())?;
    all.extend_from_slice(runs);
    all.append(&mut below);
    Ok(all)
}

/// What a merge should take now; damaged runs are left alone, and so is what is above them.
fn choose(engine: &Engine, tree: &Tree, damaged: &[u32]) -> Result<Option<Choice>> {
    let is_sound = |choice: &Choice| !choice.inputs.iter().any(|run| damaged.contains(&run.entry.id));
    let on_top = level(tree, 0);
    // What is furthest beyond its measure comes first: so no level waits for ever while writers are fast.
    let scores = (1..tree.levels.len())
        .map(|n| (bytes(level(tree, n)) as f64 / most_bytes(engine, n) as f64, n))
        .filter(|(score, _)| *score > 1.0);
    let mut due: Vec<(f64, usize)> = memory::collect(scores)?;
    if on_top.len() >= MOST_ON_TOP {
        memory::push(&mut due, (on_top.len() as f64 / MOST_ON_TOP as f64, 0))?;
    }
    due.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, n) in due {
        if n == 0 {
            let inputs = with_overlapping(on_top, level(tree, 1))?;
            let choice = Some(Choice { inputs, to: 1 }).filter(is_sound);
            if let Some(choice) = choice.map_or_else(|| newest_on_top(on_top, damaged), |c| Ok(Some(c)))? {
                return Ok(Some(choice));
            }
            continue;
        }
        // The one that is oldest by number: so all of them have their turn.
        for run in sorted_by_id(level(tree, n))? {
            let inputs = with_overlapping(std::slice::from_ref(&run), level(tree, n + 1))?;
            if let Some(choice) = Some(Choice { inputs, to: n + 1 }).filter(is_sound) {
                return Ok(Some(choice));
            }
        }
    }
    let is_worth_it = tree.ranges.all.len() > MOST_RANGES && engine.snapshot_count() == 0;
    if is_worth_it { with_most_deletes(tree, damaged) } else { Ok(None) }
}

fn level(tree: &Tree, n: usize) -> &[Arc<Run>] {
    tree.levels.get(n).map(Vec::as_slice).unwrap_or_default()
}

/// Where damage keeps level 0 from being merged into the next: runs of it that are newer than what is damaged there become one. Each
/// is at most twice as large as all newer ones, so that few bytes are written again and again.
fn newest_on_top(on_top: &[Arc<Run>], damaged: &[u32]) -> Result<Option<Choice>> {
    let (mut inputs, mut total) = (Vec::new(), 0u64);
    for run in on_top {
        let fits = inputs.is_empty() || run.entry.length <= total.saturating_mul(2);
        if !fits || damaged.contains(&run.entry.id) {
            break;
        }
        total += run.entry.length;
        memory::push(&mut inputs, run.clone())?;
    }
    Ok((inputs.len() >= MOST_ON_TOP).then_some(Choice { inputs, to: 0 }))
}

/// The run that most deletes of ranges have something left to delete in, written anew; one of level 0 with all of that level.
fn with_most_deletes(tree: &Tree, damaged: &[u32]) -> Result<Option<Choice>> {
    let deletes = |run: &Run| {
        let ranges = tree.ranges.all.iter().filter(|range| {
            run.entry.cleaned <= range.id
                && run.entry.min_seq < range.seq
                && range.overlaps(run.first_key(), &run.last_key)
        });
        ranges.count()
    };
    let runs = tree.levels.iter().enumerate().flat_map(|(n, runs)| runs.iter().map(move |run| (n, run)));
    let mut most: Option<(usize, Choice)> = None;
    for (n, run) in runs {
        let count = deletes(run);
        if count == 0 || most.as_ref().is_some_and(|(most, _)| count <= *most) {
            continue;
        }
        let inputs = match n {
            0 => with_overlapping(level(tree, 0), level(tree, 1))?,
            _ => memory::collect([run.clone()])?,
        };
        if !inputs.iter().any(|run| damaged.contains(&run.entry.id)) {
            most = Some((count, Choice { inputs, to: n.max(1) }));
        }
    }
    Ok(most.map(|(_, choice)| choice))
}

fn sorted_by_id(level: &[Arc<Run>]) -> Result<Vec<Arc<Run>>, Refused> {
    let mut runs = memory::copy_of(level)?;
    runs.sort_unstable_by_key(|run| run.entry.id);
    Ok(runs)
}

/// Everything, into the level that is the lowest.
fn choose_all(tree: &Tree) -> Result<Option<Choice>, Refused> {
    let Some(lowest) = tree.levels.iter().rposition(|level| !level.is_empty()) else { return Ok(None) };
    Ok(Some(Choice { inputs: memory::collect(tree.runs().cloned())?, to: lowest.max(1) }))
}

/// What the rest of the store says to a merge.
struct Below<'a> {
    engine: &'a Engine,
    /// Runs that may have something older, and overlap.
    on_top: Vec<Arc<Run>>,
    /// Those of levels below the one that is written to.
    levels: Vec<Vec<Arc<Run>>>,
}

impl<'a> Below<'a> {
    fn new(engine: &'a Engine, tree: &Tree, choice: &Choice) -> Result<Self> {
        let is_input = |run: &Run| choice.inputs.iter().any(|input| input.entry.id == run.entry.id);
        let on_top = match choice.to {
            0 => memory::collect(level(tree, 0).iter().filter(|run| !is_input(run)).cloned())?,
            _ => Vec::new(),
        };
        let mut levels = Vec::new();
        for level in tree.levels.iter().skip(choice.to + 1) {
            memory::push(&mut levels, memory::copy_of(level)?)?;
        }
        Ok(Below { engine, on_top, levels })
    }
}

impl Around for Below<'_> {
    fn is_bottom(&self, key: &[u8]) -> bool {
        let holds = |level: &Vec<Arc<Run>>| {
            let n = level.partition_point(|run| run.last_key.as_slice() < key);
            level.get(n).is_some_and(|run| run.overlaps(key, key))
        };
        seeded_bug!("ordered-tombstone-dropped-early")
            || !self.on_top.iter().any(|run| run.overlaps(key, key)) && !self.levels.iter().any(holds)
    }

    fn has_expired(&self, expiry_ms: u64) -> bool {
        self.engine.has_expired(expiry_ms)
    }

    fn is_newest(&self, key: &[u8], seq: u64) -> Result<Option<u64>> {
        // Whoever found the list before it expired, and changes it, is done before this looks; who comes later finds it expired.
        let _locked = self.engine.lock_key(key::user_part(key));
        match self.engine.newest_seq(key) {
            Ok(newest) => Ok((newest == seq).then(|| self.engine.visible() + 1)),
            // In a run that this merge does not read, or it would have failed. Then that is not known.
            Err(Error::Corrupt { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Merges as long as something is due. From outside the gate.
pub fn run_if_due(shared: &Shared) -> Result<()> {
    while run_once(shared)? {}
    Ok(())
}

/// Makes the merge that is due most. False where none is, or where it was ended.
pub fn run_once(shared: &Shared) -> Result<bool> {
    let Some(engine) = shared.engine.enter() else { return Ok(false) };
    if engine.options.read_only || shared.merge_signal.is_stopped() {
        return Ok(false);
    }
    let mut damaged = engine.merging.lock();
    let tree = engine.tree();
    let Some(choice) = choose(&engine, &tree, &damaged)? else {
        engine.set_merges_come(level(&tree, 0).len() < MOST_ON_TOP);
        return Ok(false);
    };
    drop(tree);
    let mut attempt = || {
        let mut progress = MergeProgress::default();
        merge(shared, &engine, &choice, &mut damaged, &mut progress, &mut |_| ControlFlow::Continue(()))
    };
    let mut merged = attempt();
    if matches!(merged, Err(Error::NoSpace { .. })) && engine.release_room_for_runs() {
        merged = attempt();
    }
    // Writers wait for what comes.
    engine.set_merges_come(merged.is_ok());
    merged
}

/// Merges everything into one level. False where `watch` ended it before. From outside the gate, after a flush.
pub fn run_all(shared: &Shared, watch: Watch<'_>) -> Result<bool> {
    let engine = shared.enter()?;
    let mut damaged = engine.merging.lock();
    let tree = engine.tree();
    let Some(choice) = choose_all(&tree)? else { return Ok(true) };
    let is_merged = tree.levels.iter().filter(|level| !level.is_empty()).count() == 1
        && tree.levels.first().is_none_or(Vec::is_empty)
        && tree.ranges.all.is_empty()
        && choice.inputs.iter().all(|run| {
            run.footer.tombstones == 0 && run.footer.expiring == 0 && run.footer.keys == run.footer.entries
        });
    drop(tree);
    if is_merged {
        return Ok(true);
    }
    // That may take long, and no writer waits for it.
    engine.set_merges_come(false);
    let mut attempt = || merge(shared, &engine, &choice, &mut damaged, &mut MergeProgress::default(), watch);
    let mut merged = attempt();
    if matches!(merged, Err(Error::NoSpace { .. })) && engine.release_room_for_runs() {
        merged = attempt();
    }
    engine.set_merges_come(true);
    merged
}

/// Merges some runs. False where it was ended before it was done: nothing has changed then.
fn merge(
    shared: &Shared,
    engine: &Engine,
    choice: &Choice,
    damaged: &mut Vec<u32>,
    progress: &mut MergeProgress,
    watch: Watch<'_>,
) -> Result<bool> {
    engine.catalog.poison.check()?;
    engine.is_merging.store(true, Ordering::Relaxed);
    let mut written = Vec::new();
    let merged = write_all(shared, engine, choice, &mut written, progress, watch);
    // What was written so far is the parent's, and locks that its threads held are never given up in a child.
    if shared.fork.is_forked() {
        return Err(Error::Forked);
    }
    engine.is_merging.store(false, Ordering::Relaxed);
    let (ranges, cleaned) = match merged {
        Ok(Some(done)) => done,
        Ok(None) => {
            remove(engine.catalog.disk.as_ref(), written.iter().map(|run| run.id));
            return Ok(false);
        }
        Err(error) => {
            remove(engine.catalog.disk.as_ref(), written.iter().map(|run| run.id));
            if let Error::Corrupt { file_id, .. } = &error
                && choice.inputs.iter().any(|run| run.entry.id == *file_id)
            {
                // What is whole in it stays where it is; nothing is written anew that would hide the damage.
                damaged.push(*file_id);
            }
            return Err(error);
        }
    };
    let removed = memory::collect(choice.inputs.iter().map(|run| run.entry.id));
    let removed = match removed {
        Ok(removed) => removed,
        Err(refused) => {
            remove(engine.catalog.disk.as_ref(), written.iter().map(|run| run.id));
            return Err(refused.into());
        }
    };
    install(engine, Installation { removed, added: written, ranges, cleaned, ..Installation::default() })?;
    engine.counters.merges.fetch_add(1, Ordering::Relaxed);
    Ok(true)
}

type Done = (Vec<RangeDelete>, u64);

fn write_all(
    shared: &Shared,
    engine: &Engine,
    choice: &Choice,
    written: &mut Vec<RunEntry>,
    progress: &mut MergeProgress,
    watch: Watch<'_>,
) -> Result<Option<Done>> {
    let tree = engine.tree();
    memory::room_for_small_things()?;
    let (ranges, cleaned) = {
        let manifest = engine.catalog.manifest();
        (RangeDelete::copies(&manifest.ordered.ranges)?, manifest.ordered.next_range)
    };
    let around = Below::new(engine, &tree, choice)?;
    drop(tree);
    let mut survivors = Survivors::new(engine.snapshots()?, ranges, &around)?;
    let base = choice.inputs.iter().map(|run| run.entry.min_seq).min().unwrap_or(0);
    // In level 0 each run is looked at: so they are few.
    let most = if choice.to == 0 { u64::MAX } else { run_size(engine) };
    let largest = choice.inputs.iter().map(|run| run.entry.length).max().unwrap_or(0);
    let (total, level) = (bytes(&choice.inputs), choice.to as u32);
    let capacity = most.min(total).saturating_add(largest).saturating_mul(2).saturating_add(4 << 20);
    progress.files = (0, choice.inputs.len() as u64);
    progress.bytes = (0, total);
    let mut sources = sources(&choice.inputs)?;
    let (mut writer, mut last_key): (Option<RunWriter>, Vec<u8>) = (None, Vec::new());
    let (mut value, mut copied, mut is_over) = (Vec::new(), 0u64, false);
    while let Some(n) = first(&sources) {
        let Some((key, meta)) = sources[n].current() else { break };
        sources[n].copy_value(&mut value)?;
        let mut emit = |key: &[u8], meta: &Meta, value: &[u8]| {
            if writer
                .as_ref()
                .is_some_and(|writer| (writer.size() >= most || writer.is_full()) && last_key != key)
                && let Some(full) = writer.take()
            {
                memory::reserve(written, 1)?;
                written.extend(full.finish(level)?);
            }
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(RunWriter::begin(&engine.catalog, base, capacity)?),
            };
            memory::copy_to(&mut last_key, key)?;
            if writer.add(key, engine.hash(key), meta, value)? {
                is_over = pause(shared, engine);
            }
            Ok(())
        };
        survivors.take(key, meta, &value, &mut emit)?;
        copied += (key.len() + value.len()) as u64;
        sources[n].advance(false)?;
        if copied >= 1 << 20 {
            progress.bytes.0 = (progress.bytes.0 + copied).min(total);
            progress.copied_bytes += copied;
            copied = 0;
            let _visiting = shared.engine.visit();
            if is_over || watch(progress).is_break() || shared.fork.is_forked() {
                return Ok(None);
            }
        }
    }
    if let Some(writer) = writer {
        memory::reserve(written, 1)?;
        written.extend(writer.finish(level)?);
    }
    add_written(engine, written.iter().map(|run| run.length).sum());
    progress.files.0 = progress.files.1;
    progress.bytes.0 = total;
    {
        let _visiting = shared.engine.visit();
        if watch(progress).is_break() || shared.fork.is_forked() {
            return Ok(None);
        }
    }
    let cleaned = if survivors.is_blocked { 0 } else { cleaned };
    let mut dead = std::mem::take(&mut survivors.dead);
    key::join_dead_lists(&mut dead);
    Ok(Some((dead, cleaned)))
}

/// Keeps to the limit of the bandwidth, after each piece that was written. True where it is time to stop.
fn pause(shared: &Shared, engine: &Engine) -> bool {
    let limit = engine.options.merge_rate_limit;
    if limit > 0 && engine.is_background {
        shared.merge_signal.pause(Duration::from_secs_f64(PIECE as f64 / limit as f64));
    }
    shared.merge_signal.is_stopped()
}

/// Runs that do not overlap are gone through one after the other.
fn sources(inputs: &[Arc<Run>]) -> Result<Vec<Versions>> {
    let mut levels = levels_with(inputs.iter())?.into_iter();
    let mut all = Vec::new();
    for run in levels.next().unwrap_or_default() {
        memory::push(&mut all, Versions::verified(memory::collect([run])?))?;
    }
    for level in levels.filter(|level| !level.is_empty()) {
        memory::push(&mut all, Versions::verified(level))?;
    }
    for versions in &mut all {
        versions.seek(Bound::Unbounded, false)?;
    }
    Ok(all)
}

/// The source whose version comes first: by key, and of one key the newest.
fn first(sources: &[Versions]) -> Option<usize> {
    let at = |n: usize| sources.get(n).and_then(Versions::current);
    let mut best: Option<usize> = None;
    for n in 0..sources.len() {
        let Some((key, meta)) = at(n) else { continue };
        let is_first = match best.and_then(at) {
            Some((other, other_meta)) => {
                (key, std::cmp::Reverse(meta.seq)) < (other, std::cmp::Reverse(other_meta.seq))
            }
            None => true,
        };
        if is_first {
            best = Some(n);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;
    use crate::lsm::Lsm;
    use crate::store::Store;
    use crate::store::options::{EngineKind, MergeMode, Options};

    #[test]
    fn no_level_grows_without_end_while_writers_are_faster_than_merges() {
        let options = Options {
            engine: EngineKind::Lsm,
            lsm_memory: 16 << 10,
            max_file_size: 4 << 10,
            merge: MergeMode::Manual,
            ..Options::default()
        };
        let store = Lsm::start(Arc::new(SimDisk::new()), &options, false).unwrap();
        let mut largest = 0.0f64;
        for n in 0..3_000u32 {
            // In an order that lets all runs overlap.
            store.put(&n.wrapping_mul(0x9e37_79b9).to_be_bytes(), &[7; 100]).unwrap();
            store.shared.enter().unwrap().flush_signal.wake();
            if n % 20 == 19 {
                // One merge in the time of some flushes: level 0 never gets small.
                store.flush().unwrap();
                run_once(&store.shared).unwrap();
            }
            let engine = store.shared.enter().unwrap();
            largest = largest.max(bytes(level(&engine.tree(), 1)) as f64 / most_bytes(&engine, 1) as f64);
        }
        assert!(largest < 5.0, "level 1 had {largest} times the bytes that it may have");
        store.close().unwrap();
    }
}
