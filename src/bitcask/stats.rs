//! Counts what a store says about itself.

use std::sync::atomic::Ordering;

use crate::bitcask::engine::Engine;
use crate::store::stats::{FileStats, Stats};

/// Each data file in numbers, by file number.
pub fn files(engine: &Engine) -> Vec<FileStats> {
    let mut files: Vec<_> = engine
        .catalog
        .files
        .all()
        .iter()
        .map(|file| FileStats {
            id: file.id,
            bytes: file.tail(),
            live_bytes: file.live_bytes(),
            records: file.usage.records(),
            live_records: file.usage.live_records(),
        })
        .collect();
    files.sort_by_key(|file| file.id);
    files
}

/// The store in numbers.
pub fn collect(engine: &Engine, keys: u64, merging: bool) -> Stats {
    let files = files(engine);
    Stats {
        keys,
        files: files.len() as u64,
        data_bytes: files.iter().map(|file| file.bytes).sum(),
        live_bytes: files.iter().map(|file| file.live_bytes).sum(),
        index_bytes: engine.index.memory_bytes()
            + engine.elements.index().map_or(0, |elements| elements.memory_bytes())
            + engine.expiries.memory_bytes()
            + engine.snapshots.memory_bytes(),
        merges: engine.counters.merges.load(Ordering::Relaxed),
        merging,
        appended_bytes: engine.log.appended_bytes(),
        merged_bytes: engine.counters.merged_bytes.load(Ordering::Relaxed),
        syncs: engine.log.syncs.load(Ordering::Relaxed),
        sync_nanos: engine.log.sync_nanos.load(Ordering::Relaxed),
        expired_keys: engine.counters.expired.load(Ordering::Relaxed),
        snapshots: engine.snapshots.count() as u64,
        clock_ahead_ms: engine.clock.read().ahead_ms(),
    }
}
