//! What a merge takes, and when: runs of a level that is too large, with what is below them.

use std::sync::Arc;

use super::engine::{Engine, Tree};
use super::key::RangeDelete;
use super::run::Run;
use crate::store::error::Result;
use crate::store::memory::{self, Refused};

/// How many runs of level 0 there are when they are merged.
pub const MOST_ON_TOP: usize = 4;
/// A run that is not of level 0 becomes no smaller than this, or than the largest file that the options allow: each costs syncs.
const LEAST_RUN: u64 = 4 << 20;
/// A level may have so many times the bytes of the one above.
const GROWTH: u64 = 10;
/// A run is moved as it is from level 0 on where it has such a part of that at least.
const LEAST_PART_MOVED: u64 = 8;
/// Where nobody writes, level 0 has less than such a part of what the levels below have.
const LEAST_PART_ON_TOP: u64 = 8;
/// With so many deletes of ranges a run is written anew that they have something left to delete in.
const MOST_RANGES: usize = 4096;

/// The runs that a merge takes, and the level that it writes to.
pub struct Choice {
    /// The runs; of level 0 the newest first.
    pub inputs: Vec<Arc<Run>>,
    /// The level.
    pub to: usize,
    /// Whether there is one run, which goes there as it is.
    pub is_move: bool,
}

impl Choice {
    fn merge(inputs: Vec<Arc<Run>>, to: usize) -> Self {
        Choice { inputs, to, is_move: false }
    }
}

/// Whether a run can go one level down as it is: nothing there overlaps with it, and a merge would find nothing in it to leave out.
fn is_movable(tree: &Tree, run: &Run, below: &[Arc<Run>]) -> bool {
    let footer = &run.footer;
    let is_plain = footer.tombstones == 0 && footer.expiring == 0 && footer.keys == footer.entries;
    is_plain
        && !below.iter().any(|other| other.overlaps(run.first_key(), &run.last_key))
        && !has_something_to_delete(tree, run)
}

/// Whether a delete of a range has something left to delete in a run.
fn has_something_to_delete(tree: &Tree, run: &Run) -> bool {
    tree.ranges.all.iter().any(|range| is_in_reach(range, run))
}

fn is_in_reach(range: &RangeDelete, run: &Run) -> bool {
    run.entry.cleaned <= range.id
        && run.entry.min_seq < range.seq
        && range.overlaps(run.first_key(), &run.last_key)
}

/// A run of level 0 that overlaps with no other, as where keys are written in their order. Small ones are merged first.
fn movable_on_top(engine: &Engine, tree: &Tree, damaged: &[u32]) -> Result<Option<Choice>, Refused> {
    let on_top = level(tree, 0);
    let least = run_size(engine) / LEAST_PART_MOVED;
    let overlaps_no_other = |run: &&Arc<Run>| {
        let others = on_top.iter().filter(|other| !Arc::ptr_eq(run, other));
        !others.into_iter().any(|other| other.overlaps(run.first_key(), &run.last_key))
    };
    let found = on_top.iter().filter(overlaps_no_other).find(|run| {
        run.entry.length >= least && !damaged.contains(&run.entry.id) && is_movable(tree, run, level(tree, 1))
    });
    let Some(run) = found else { return Ok(None) };
    Ok(Some(Choice { inputs: memory::collect([run.clone()])?, to: 1, is_move: true }))
}

/// How large a run becomes that is not of level 0.
pub fn run_size(engine: &Engine) -> u64 {
    let least = LEAST_RUN.min(engine.options.max_file_size);
    (engine.memtable_size as u64 * 2).clamp(4 << 10, 64 << 20).max(least)
}

pub fn most_bytes(engine: &Engine, level: usize) -> u64 {
    let first = run_size(engine).saturating_mul(MOST_ON_TOP as u64);
    first.saturating_mul(GROWTH.saturating_pow((level as u32).saturating_sub(1)))
}

pub fn bytes(runs: &[Arc<Run>]) -> u64 {
    runs.iter().map(|run| run.entry.length).sum()
}

/// The runs of a level that overlap with some runs.
fn overlapping(level: &[Arc<Run>], runs: &[Arc<Run>]) -> Result<Vec<Arc<Run>>, Refused> {
    let first = runs.iter().map(|run| run.first_key()).min().unwrap_or_default();
    let last = runs.iter().map(|run| run.last_key.as_slice()).max().unwrap_or_default();
    memory::collect(level.iter().filter(|run| run.overlaps(first, last)).cloned())
}

/// Some runs, and the runs of a level that overlap with them.
fn with_overlapping(runs: &[Arc<Run>], level: &[Arc<Run>]) -> Result<Vec<Arc<Run>>, Refused> {
    let mut below = overlapping(level, runs)?;
    let mut all = memory::vec_with_room(runs.len() + below.len())?;
    all.extend_from_slice(runs);
    all.append(&mut below);
    Ok(all)
}

/// What a merge should take now; damaged runs are left alone, and so is what is above them.
pub fn choose(engine: &Engine, tree: &Tree, damaged: &[u32]) -> Result<Option<Choice>> {
    let is_sound = |choice: &Choice| !choice.inputs.iter().any(|run| damaged.contains(&run.entry.id));
    let on_top = level(tree, 0);
    if let Some(choice) = movable_on_top(engine, tree, damaged)? {
        return Ok(Some(choice));
    }
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
            let choice = Some(Choice::merge(inputs, 1)).filter(is_sound);
            if let Some(choice) = choice.map_or_else(|| newest_on_top(on_top, damaged), |c| Ok(Some(c)))? {
                return Ok(Some(choice));
            }
            continue;
        }
        // The one that is oldest by number: so all of them have their turn.
        for run in sorted_by_id(level(tree, n))? {
            let inputs = with_overlapping(std::slice::from_ref(&run), level(tree, n + 1))?;
            let is_move = is_movable(tree, &run, level(tree, n + 1));
            if let Some(choice) = Some(Choice { inputs, to: n + 1, is_move }).filter(is_sound) {
                return Ok(Some(choice));
            }
        }
    }
    let is_worth_it = tree.ranges.all.len() > MOST_RANGES && engine.snapshot_count() == 0;
    if is_worth_it { with_most_deletes(tree, damaged) } else { Ok(None) }
}

pub fn level(tree: &Tree, n: usize) -> &[Arc<Run>] {
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
    Ok((inputs.len() >= MOST_ON_TOP).then_some(Choice::merge(inputs, 0)))
}

/// The run that most deletes of ranges have something left to delete in, written anew; one of level 0 with all of that level.
fn with_most_deletes(tree: &Tree, damaged: &[u32]) -> Result<Option<Choice>> {
    let deletes = |run: &Run| {
        let ranges = tree.ranges.all.iter().filter(|range| is_in_reach(range, run));
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
            most = Some((count, Choice::merge(inputs, n.max(1))));
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
pub fn choose_all(tree: &Tree) -> Result<Option<Choice>, Refused> {
    let Some(lowest) = tree.levels.iter().rposition(|level| !level.is_empty()) else { return Ok(None) };
    Ok(Some(Choice::merge(memory::collect(tree.runs().cloned())?, lowest.max(1))))
}

/// Level 0, where it is large for what is below it though it has few runs.
pub fn choose_settling(tree: &Tree, damaged: &[u32]) -> Result<Option<Choice>> {
    let on_top = level(tree, 0);
    let below: u64 = tree.levels.iter().skip(1).map(|level| bytes(level)).sum();
    if on_top.is_empty() || bytes(on_top) < below / LEAST_PART_ON_TOP {
        return Ok(None);
    }
    let choice = Choice::merge(with_overlapping(on_top, level(tree, 1))?, 1);
    Ok(Some(choice).filter(|choice| !choice.inputs.iter().any(|run| damaged.contains(&run.entry.id))))
}
