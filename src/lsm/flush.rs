//! Writing memtables out as runs, and making log files final.

use std::sync::Arc;

use super::engine::Engine;
use super::install::{Installation, install};
use super::key::RangeDelete;
use super::shared::Shared;
use super::survivors::{Around, Survivors};
use super::write::RunWriter;
use crate::store::error::{Error, Result};

/// So many keys of a memtable are looked at with its lock held.
const AT_ONCE: usize = 256;

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
pub fn seal(shared: &Shared, engine: &Engine) -> Result<()> {
    let files = engine.log.take_unsealed();
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
        engine.catalog.files.retire(usize::from(file.slot), &shared.engine);
    }
    Ok(())
}

/// Writes all memtables out that are full. From outside the gate.
pub fn flush_all(shared: &Shared) -> Result<()> {
    loop {
        let Some(engine) = shared.engine.enter() else { return Ok(()) };
        if engine.options.read_only {
            return Ok(());
        }
        let flushed = flush_oldest(shared, &engine);
        *engine.flush_failure.lock() = flushed.as_ref().err().cloned();
        let more = flushed?;
        drop(engine);
        super::install::collect(shared);
        if !more {
            return Ok(());
        }
    }
}

/// Writes the oldest memtable out that is full. False where there is none.
fn flush_oldest(shared: &Shared, engine: &Engine) -> Result<bool> {
    let _alone = engine.flushing.lock();
    seal(shared, engine)?;
    let tree = engine.tree();
    let Some(table) = tree.frozen.first().cloned() else { return Ok(false) };
    let Some((min_seq, max_seq)) = table.seqs() else { return Ok(false) };
    let ordered = engine.catalog.manifest().ordered;
    let (own, cleaned): (Vec<RangeDelete>, u64) = (table.ranges(), ordered.next_range);
    let known = ordered.ranges.into_iter().chain(own.iter().cloned()).collect();
    let around = OnTop;
    let mut survivors = Survivors::new(engine.snapshots(), known, &around);
    // The filter and the index take less than what keys and values take in a memtable.
    let capacity = (table.bytes() as u64).saturating_mul(2).saturating_add(4 << 20);
    let mut writer: Option<RunWriter> = None;
    let mut emit = |key: &[u8], meta: &crate::format::run::block::Meta, value: &[u8]| {
        let writer = match &mut writer {
            Some(writer) => writer,
            None => writer.insert(RunWriter::begin(&engine.catalog, min_seq, capacity)?),
        };
        writer.add(key, engine.hash(key), meta, value).map(drop)
    };
    let mut after: Option<Vec<u8>> = None;
    loop {
        let some = table.all_versions(after.as_deref(), AT_ONCE);
        for (key, versions) in &some {
            for version in versions {
                survivors.take(key, &version.meta, &version.value, &mut emit)?;
            }
        }
        match some.into_iter().next_back() {
            Some((key, _)) => after = Some(key),
            None => break,
        }
    }
    let (dead, is_blocked) = (std::mem::take(&mut survivors.dead), survivors.is_blocked);
    let run = match writer {
        Some(writer) => writer.finish(0)?,
        None => None,
    };
    add_written(engine, run.iter().map(|run| run.length).sum());
    let mut ranges = own;
    ranges.extend(dead);
    join(&mut ranges);
    let change = Installation {
        flushed: Some((Arc::clone(&table), max_seq)),
        added: run.into_iter().collect(),
        ranges,
        cleaned: if is_blocked { 0 } else { cleaned },
        ..Installation::default()
    };
    install(shared, engine, change)?;
    Ok(true)
}

/// Counts bytes of runs that were written.
pub fn add_written(engine: &Engine, bytes: u64) {
    engine.counters.written_bytes.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
}

/// Puts deletes of lists that are neighbours together.
pub fn join(ranges: &mut Vec<RangeDelete>) {
    let (mut lists, others): (Vec<_>, Vec<_>) =
        std::mem::take(ranges).into_iter().partition(|range| !super::key::is_users(&range.from));
    super::key::join_dead_lists(&mut lists);
    *ranges = others;
    ranges.append(&mut lists);
}
