//! Writing memtables out as runs, and making log files final.

use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

use super::engine::{Engine, Tree};
use super::install::{Installation, free_log_file, install};
use super::key::RangeDelete;
use super::memtable::Memtable;
use super::run::RunWriter;
use super::shared::Shared;
use super::survivors::{Around, Survivors};
use crate::store::error::{Error, Result};
use crate::store::memory::{self, Refused};
use crate::sync::thread;

/// How many memtables become one run at most, and how many bytes of them.
const MOST_TOGETHER: usize = 4;
const MOST_BYTES_TOGETHER: usize = 128 << 20;

/// Nothing is at the bottom: a run of level 0 may have older versions below it.
struct OnTop;

impl Around for OnTop {
    fn is_bottom(&self, _: &[u8]) -> bool {
        false
    }

    fn has_expired(&self, _: u64) -> bool {
        false
    }

    fn is_newest(&self, _: &[u8], _: u64) -> Result<Option<u64>> {
        Ok(None)
    }
}

/// Seals the log files that were rotated out, and takes those out of the store that were never written to.
pub fn seal(engine: &Engine) -> Result<()> {
    // Of two at once the one with the later files could be done first.
    let is_out_of_order = seeded_bug!("log-files-sealed-out-of-order");
    let _in_order = (!is_out_of_order).then(|| engine.sealing.lock());
    let files = engine.log.take_unsealed();
    if is_out_of_order && files.len() > 1 {
        thread::sleep(Duration::from_millis(2));
    }
    if files.is_empty() {
        return Ok(());
    }
    let mut sealed = engine.log.seal(&files);
    if matches!(sealed, Err(Error::NoSpace { .. })) && engine.catalog.release_for_deletes() {
        sealed = engine.log.seal(&files);
    }
    if let Err(error) = sealed {
        engine.log.return_unsealed(files);
        return Err(error);
    }
    for file in files.iter().filter(|file| file.seqs().1 == 0) {
        free_log_file(engine, file);
    }
    Ok(())
}

/// Writes all memtables out that are full, for a user. Where that fails, and there is a thread for it, that tries again: writes are refused
/// only where it fails there too. From outside the gate.
pub fn flush_all(shared: &Shared) -> Result<()> {
    let flushed = flush_each(shared, || true);
    if flushed.is_err() {
        if shared.background {
            shared.flush_signal.wake();
        } else {
            note_failure(shared, &flushed);
        }
    }
    flushed
}

/// As [`flush_all`], for the thread, while `goes_on` says so.
pub fn flush_in_background(shared: &Shared, goes_on: impl Fn() -> bool) -> Result<()> {
    let flushed = flush_each(shared, goes_on);
    note_failure(shared, &flushed);
    flushed
}

fn note_failure(shared: &Shared, flushed: &Result<()>) {
    if let Some(engine) = shared.engine.enter() {
        *engine.flush_failure.lock() = flushed.as_ref().err().cloned();
    }
}

/// Several become one run, as far as they wait. Those that get full meanwhile are left to the next call, or it had no end where writers are faster. Who merges is woken after each.
fn flush_each(shared: &Shared, goes_on: impl Fn() -> bool) -> Result<()> {
    let count = shared.engine.enter().map_or(0, |engine| engine.tree().frozen.len());
    let mut left = count.max(1);
    while left > 0 && goes_on() {
        let Some(engine) = shared.engine.enter() else { return Ok(()) };
        if engine.options.read_only {
            return Ok(());
        }
        // In memory all of it counts for the limit until the run is done.
        let most = if engine.catalog.disk.is_volatile() { 1 } else { MOST_TOGETHER };
        let mut flushed = flush_oldest(&engine, most);
        // What is written out gives the log back, which takes as much: so little by little where there is little room.
        if matches!(flushed, Err(Error::NoSpace { .. })) && most > 1 {
            flushed = flush_oldest(&engine, 1);
        }
        if matches!(flushed, Err(Error::NoSpace { .. })) && engine.release_room_for_runs() {
            flushed = flush_oldest(&engine, 1);
        }
        let count = flushed?;
        *engine.flush_failure.lock() = None;
        if count == 0 {
            return Ok(());
        }
        shared.merge_signal.wake();
        left = left.saturating_sub(count);
    }
    Ok(())
}

/// The oldest memtables that are full, up to `most`, as many as become one run: so what is written often is in few runs, and each of these is merged
/// with what is below it once.
fn oldest_together(tree: &Tree, most: usize) -> Result<Vec<Arc<Memtable>>, Refused> {
    let (mut bytes, mut count) = (0usize, 0);
    for table in tree.frozen.iter().take(most) {
        bytes = bytes.saturating_add(table.bytes());
        if count > 0 && bytes > MOST_BYTES_TOGETHER {
            break;
        }
        count += 1;
    }
    memory::copy_of(tree.frozen.get(..count).unwrap_or_default())
}

/// Of the memtables that become a run together, newest first, that with the first key: of those that have it the newest.
fn first<'a, V>(parts: &mut [Peekable<impl Iterator<Item = (&'a [u8], V)>>]) -> Option<usize> {
    let keys = parts.iter_mut().enumerate().filter_map(|(n, part)| part.peek().map(|(key, _)| (*key, n)));
    keys.min().map(|(_, n)| n)
}

/// Writes the oldest memtables out that are full, up to `most`, as one run. How many.
fn flush_oldest(engine: &Engine, most: usize) -> Result<usize> {
    let _alone = engine.flushing.lock();
    engine.catalog.poison.check()?;
    seal(engine)?;
    let tree = engine.tree();
    let tables = oldest_together(&tree, most)?;
    let seqs = |table: &Arc<Memtable>| table.seqs();
    let Some((min_seq, _)) = tables.first().and_then(seqs) else { return Ok(0) };
    let Some((_, max_seq)) = tables.last().and_then(seqs) else { return Ok(0) };
    memory::room_for_small_things()?;
    let mut own = Vec::new();
    for table in &tables {
        let mut ranges = table.ranges()?;
        memory::reserve(&mut own, ranges.len())?;
        own.append(&mut ranges);
    }
    let (mut known, cleaned) = {
        let manifest = engine.catalog.manifest();
        (RangeDelete::copies(&manifest.ordered.ranges)?, manifest.ordered.next_range)
    };
    memory::reserve(&mut known, own.len())?;
    known.append(&mut RangeDelete::copies(&own)?);
    let around = OnTop;
    let mut survivors = Survivors::new(engine.snapshots()?, known, &around)?;
    // The filter and the index take less than what keys and values take in a memtable.
    let bytes: u64 = tables.iter().map(|table| table.bytes() as u64).sum();
    let capacity = bytes.saturating_mul(2).saturating_add(4 << 20);
    let mut writer: Option<RunWriter> = None;
    let mut emit = |key: &[u8], meta: &crate::format::run::block::Meta, value: &[u8]| {
        let writer = match &mut writer {
            Some(writer) => writer,
            None => writer.insert(RunWriter::begin(&engine.catalog, min_seq, capacity)?),
        };
        writer.add(key, engine.hash(key), meta, value).map(drop)
    };
    {
        // Nobody writes to them any more, so that nobody waits for this.
        let all = memory::collect(tables.iter().rev().map(|table| table.all()))?;
        let mut parts = memory::collect(all.iter().map(|one| one.keys().peekable()))?;
        while let Some((key, versions)) =
            first(&mut parts).and_then(|n| parts.get_mut(n)).and_then(Iterator::next)
        {
            for (meta, value) in versions {
                survivors.take(key, meta, value, &mut emit)?;
            }
        }
    }
    let (mut dead, is_blocked) = (std::mem::take(&mut survivors.dead), survivors.is_blocked);
    memory::reserve(&mut own, dead.len())?;
    own.append(&mut dead);
    join(&mut own)?;
    // From here on nothing is refused that would leave the run behind.
    let run = match writer {
        Some(writer) => writer.finish(0)?,
        None => None,
    };
    add_written(engine, run.iter().map(|run| run.length).sum());
    let count = tables.len();
    let change = Installation {
        flushed: Some((tables, max_seq)),
        added: run.into_iter().collect(),
        ranges: own,
        cleaned: if is_blocked { 0 } else { cleaned },
        ..Installation::default()
    };
    install(engine, change)?;
    Ok(count)
}

/// Counts bytes of runs that were written.
pub fn add_written(engine: &Engine, bytes: u64) {
    engine.counters.written_bytes.fetch_add(bytes, crate::sync::atomic::Ordering::Relaxed);
}

/// Puts deletes of lists that are neighbours together.
pub fn join(ranges: &mut Vec<RangeDelete>) -> Result<(), Refused> {
    let mut lists = memory::vec_with_room(ranges.len())?;
    lists.extend(ranges.extract_if(.., |range| !super::key::is_users(&range.from)));
    super::key::join_dead_lists(&mut lists);
    // There is room: they were in it.
    ranges.append(&mut lists);
    Ok(())
}
