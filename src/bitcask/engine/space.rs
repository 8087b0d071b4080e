//! How much space a store takes, and how much of that is alive.

use std::sync::Arc;

use super::Engine;
use crate::format::manifest::FileState;
use crate::log::file::DataFile;
use crate::store::options::Options;

/// Files are not divided below this size, where `max_file_size` allows it: each file and each merge takes a dozen syncs.
const LEAST_PIECE: u64 = 16 << 20;

/// Bytes of all data files, and how many of them are alive.
pub fn space(engine: &Engine) -> (u64, u64) {
    let mut files = engine.catalog.files.all();
    // What snapshots keep of replaced files cannot be merged away.
    files.retain(|file| !file.is_replaced());
    files.iter().fold((0, 0), |(total, live), file| (total + file.tail(), live + live_bytes(file)))
}

/// Dead bytes in the files that a merge may take.
pub fn reclaimable(engine: &Engine) -> u64 {
    sealed(engine).iter().filter(|file| !file.is_replaced()).map(|file| file.tail() - live_bytes(file)).sum()
}

/// Small stores are left alone until about a whole file could be saved.
pub fn slack(options: &Options) -> u64 {
    options.max_file_size.min(1 << 20)
}

/// The files that a merge may take.
pub fn sealed(engine: &Engine) -> Vec<Arc<DataFile>> {
    let manifest = engine.catalog.manifest();
    let is_sealed = |file: &Arc<DataFile>| {
        let entry = manifest.files.binary_search_by_key(&file.id, |entry| entry.id);
        entry.is_ok_and(|n| manifest.files[n].state == FileState::Sealed) && !file.is_never_merged()
    };
    engine.catalog.files.all().into_iter().filter(is_sealed).collect()
}

/// The smallest size that files are divided at.
pub fn least_piece(options: &Options) -> u64 {
    options.max_file_size.min(LEAST_PIECE)
}

/// Bytes of a file that are alive: the part of its weight that is, of its size.
pub fn live_bytes(file: &DataFile) -> u64 {
    let weight = file.usage.weight();
    if weight == 0 {
        return 0;
    }
    (file.tail() as f64 * (file.usage.live_weight() as f64 / weight as f64)) as u64
}
