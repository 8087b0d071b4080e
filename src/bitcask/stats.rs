//! Counts what a store says about itself.

use crate::sync::atomic::Ordering;

use crate::bitcask::engine::Engine;
use crate::store::error::Result;
use crate::store::memory;
use crate::store::stats::{FileStats, Stats};

/// Each data file in numbers, by file number.
pub fn files(engine: &Engine) -> Result<Vec<FileStats>> {
    let mut files = memory::collect(engine.catalog.files.all()?.iter().map(|file| FileStats {
        id: file.id,
        bytes: file.tail(),
        live_bytes: file.live_bytes(),
        records: file.usage.records(),
        live_records: file.usage.live_records(),
    }))?;
    files.sort_unstable_by_key(|file| file.id);
    Ok(files)
}

/// The store in numbers.
pub fn collect(engine: &Engine, keys: u64, merging: bool) -> Stats {
    let (mut files, mut data_bytes, mut live) = (0, 0, 0);
    engine.catalog.files.for_each(|file| {
        files += 1;
        data_bytes += file.tail();
        live += file.live_bytes();
    });
    Stats {
        keys,
        files,
        data_bytes,
        live_bytes: live,
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
