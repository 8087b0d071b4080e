//! Merging runs into the next level: how. Which, and when, is in `choice`.
//!
//! Runs of level 0 overlap; those of each other level do not, and each level may have ten times the bytes of the one above. Versions of a
//! key are newer the higher they stand. So a merge takes some runs of a level, or all of level 0, and those below that overlap them.

use crate::sync::atomic::Ordering;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::time::Duration;

use super::choice::{Choice, MOST_ON_TOP, bytes, choose, choose_all, choose_settling, level, run_size};
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
use crate::store::memory;
use crate::store::stats::MergeProgress;

/// What watches a merge, and may end it.
pub type Watch<'a> = &'a mut dyn FnMut(&MergeProgress) -> ControlFlow<()>;

/// What the rest of the store says to a merge.
struct Below<'a> {
    engine: &'a Engine,
    /// Runs that may have something older, and overlap.
    on_top: Vec<Arc<Run>>,
    /// The runs of levels below the one that is written to.
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

/// Merges level 0 into the next where it is large for what is below it, and where writers rest: it waits for four runs while they are
/// fast, and what takes room twice, or is looked into for each key, would be left as it is. From outside the gate.
pub fn settle(shared: &Shared) -> Result<()> {
    run(shared, |engine, tree, damaged| match choose(engine, tree, damaged)? {
        None => choose_settling(tree, damaged),
        due => Ok(due),
    })
    .map(drop)
}

/// Makes the merge that is due most. False where none is, or where it was ended.
pub fn run_once(shared: &Shared) -> Result<bool> {
    run(shared, choose)
}

fn run(
    shared: &Shared,
    choose: impl FnOnce(&Engine, &Tree, &[u32]) -> Result<Option<Choice>>,
) -> Result<bool> {
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
    if let (true, Some(run)) = (choice.is_move, choice.inputs.first()) {
        let moved = Some((run.clone(), choice.to as u32));
        return install(engine, Installation { moved, ..Installation::default() }).map(|()| true);
    }
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
    use crate::lsm::choice::most_bytes;
    use crate::lsm::{Lsm, flush};
    use crate::store::Store;
    use crate::store::batch::Batch;
    use crate::store::options::{EngineKind, MergeMode, Options};
    use crate::store::write::Expiry;

    fn small() -> Options {
        Options {
            engine: EngineKind::Lsm,
            lsm_memory: 16 << 10,
            max_file_size: 4 << 10,
            ..Options::default()
        }
    }

    fn levels(store: &Lsm) -> Vec<usize> {
        store.shared.enter().unwrap().tree().levels.iter().map(Vec::len).collect()
    }

    #[test]
    fn keys_that_come_in_their_order_are_written_to_runs_once_and_stay_through_a_kill() {
        let disk = SimDisk::new();
        let store = Lsm::start(Arc::new(disk.clone()), &small(), false).unwrap();
        let shared = store.shared.clone();
        // Of all entries an eighth stays in level 0 at least, of which a walk holds the runs while they are moved.
        let mut walk = None;
        for n in 0..4_000u32 {
            store.put(&n.to_be_bytes(), &[n as u8; 100]).unwrap();
            if n == 2_000 {
                store.flush().unwrap();
                let key = crate::lsm::key::prefix_bounds(&[]).unwrap();
                walk = Some(crate::lsm::walk::Iter::new(&shared, key, false).unwrap());
            }
        }
        store.flush().unwrap();
        let written = shared.enter().unwrap().counters.written_bytes.load(Ordering::Relaxed);
        let in_runs: u64 = shared.enter().unwrap().tree().runs().map(|run| run.entry.length).sum();
        assert!(written < in_runs * 11 / 10, "{written} bytes were written for {in_runs}");
        assert!(levels(&store).iter().skip(1).sum::<usize>() > 20, "{:?}", levels(&store));
        store.recount().unwrap();
        let mut walk = walk.unwrap();
        for n in 0..=2_000u32 {
            assert!(walk.pass_row().unwrap());
            assert_eq!(walk.key().0, n.to_be_bytes());
        }
        assert!(!walk.pass_row().unwrap());
        let again = Lsm::start(Arc::new(disk.kill()), &small(), false).unwrap();
        assert_eq!(levels(&again), levels(&store));
        let mut found = 0;
        for n in 0..4_000u32 {
            found += usize::from(again.look(&n.to_be_bytes(), &mut |_| ()).unwrap());
        }
        assert_eq!(found, 4_000);
    }

    #[test]
    fn what_a_merge_may_leave_out_is_not_moved_past_it() {
        let options = Options { lsm_memory: 128 << 10, ..small() };
        let store = Lsm::start(Arc::new(SimDisk::new()), &options, false).unwrap();
        let fill = |from: u32, expires: bool| {
            let mut batch = Batch::new();
            for n in from..from + 50 {
                let expiry = if expires { Expiry::At(1 << 50) } else { Expiry::Never };
                batch.put_with_expiry(n.to_be_bytes(), [7; 100], expiry).unwrap();
            }
            store.write_now(&batch).unwrap();
            store.shared.enter().unwrap().freeze_all();
            flush::flush_all(&store.shared).unwrap();
        };
        let engine = store.shared.enter().unwrap();
        let moves = || choose(&engine, &engine.tree(), &[]).unwrap().is_some_and(|choice| choice.is_move);
        fill(0, false);
        assert!(moves());
        fill(10, false);
        assert!(!moves(), "they overlap");
        run_if_due(&store.shared).unwrap();
        fill(1_000, false);
        assert!(moves());
        run_if_due(&store.shared).unwrap();
        fill(2_000, true);
        assert!(!moves(), "it expires");
    }

    #[test]
    fn memtables_that_wait_become_one_run_whose_newest_versions_count() {
        let disk = SimDisk::new();
        let options = Options { merge: MergeMode::Manual, ..small() };
        let store = Lsm::start(Arc::new(disk.clone()), &options, false).unwrap();
        let reading = |store: &Lsm, n: u32| {
            let mut read = Vec::new();
            store.look(&n.to_be_bytes(), &mut |seen| read = seen.value.to_vec()).unwrap();
            read
        };
        let engine = store.shared.enter().unwrap();
        let mut snapshot = None;
        for round in 0..4u8 {
            for n in (0..12u32).filter(|n| n % 4 != u32::from(round)) {
                let mut batch = Batch::new();
                batch.put(n.to_be_bytes(), [round; 10]).unwrap();
                store.write_now(&batch).unwrap();
            }
            engine.freeze_all();
            if round == 1 {
                snapshot = Some(engine.read());
            }
        }
        let before = snapshot.as_ref().map(|reading| (reading.seq, reading.tree.clone())).unwrap();
        assert_eq!(engine.tree().frozen.len(), 4);
        flush::flush_all(&store.shared).unwrap();
        assert_eq!((levels(&store), engine.tree().frozen.len()), (vec![1], 0));
        let newest = |n: u32, rounds: u8| (0..rounds).rev().find(|round| n % 4 != u32::from(*round)).unwrap();
        for n in 0..12u32 {
            assert_eq!(reading(&store, n), [newest(n, 4); 10], "key {n}");
            let key = key::of_user(&n.to_be_bytes()).unwrap();
            for tree in [&before.1, &engine.tree()] {
                let seen = engine.look(tree, &key, before.0, |_, value| value.to_vec()).unwrap();
                assert_eq!(seen.unwrap(), [newest(n, 2); 10], "key {n} as it was");
            }
        }
        let again = Lsm::start(Arc::new(disk.kill()), &options, false).unwrap();
        assert!((0..12).all(|n| reading(&again, n) == [newest(n, 4); 10]));
    }

    #[test]
    fn where_writers_rest_level_0_is_merged_if_it_is_large_for_what_is_below() {
        let options = Options { lsm_memory: 8 << 20, ..small() };
        let store = Lsm::start(Arc::new(SimDisk::new()), &options, false).unwrap();
        // One run, from the first key to the last: it is not moved where there is another.
        let write_out = |count: u32| {
            let mut batch = Batch::new();
            for n in 0..=count {
                batch.put((n * 1_000 / count).to_be_bytes(), [7; 100]).unwrap();
            }
            store.write_now(&batch).unwrap();
            store.shared.enter().unwrap().freeze_all();
            flush::flush_all(&store.shared).unwrap();
        };
        for (count, stays) in [(1_000, 0), (10, 1), (20, 2), (500, 0), (500, 0)] {
            write_out(count);
            settle(&store.shared).unwrap();
            assert_eq!(levels(&store)[0], stays, "after {count}");
        }
    }

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
