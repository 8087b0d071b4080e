//! What a store can say about itself, in numbers.

use crate::format::FileId;

/// A store in numbers, as they are at one moment or very nearly so.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Keys that have not expired.
    pub keys: u64,
    /// Data files.
    pub files: u64,
    /// Bytes of frames in all data files, without what is reserved ahead.
    pub data_bytes: u64,
    /// How many of them are alive, to within an eighth; with `engine=lsm` at most so many.
    pub live_bytes: u64,
    /// Memory of the index and of what stands beside it (keys that expire, iterators), in bytes.
    pub index_bytes: u64,
    /// Merges that were committed since the store was opened.
    pub merges: u64,
    /// Whether one is running.
    pub merging: bool,
    /// Bytes that callers' writes appended since the store was opened.
    pub appended_bytes: u64,
    /// Bytes that merges wrote since then; with `engine=lsm` also those of memtables that were written out.
    pub merged_bytes: u64,
    /// Syncs of data files since then, and the time that they took in nanoseconds.
    pub syncs: u64,
    /// The time that they took, in nanoseconds.
    pub sync_nanos: u64,
    /// Keys that were forgotten because they had expired; always 0 with `engine=lsm`.
    pub expired_keys: u64,
    /// Iterators that are alive.
    pub snapshots: u64,
    /// How far the store's time is ahead of the machine's wall clock, in milliseconds: what that was once ahead of itself, or was
    /// set back. Keys expire when the time that they were given has passed all the same.
    pub clock_ahead_ms: u64,
}

impl Stats {
    /// Bytes of data files per byte that is alive; 1 for an empty store.
    pub fn space_amplification(&self) -> f64 {
        if self.live_bytes == 0 { 1.0 } else { self.data_bytes as f64 / self.live_bytes as f64 }
    }
}

/// One data file in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileStats {
    /// The number of the file.
    pub id: FileId,
    /// The bytes of the file, without what is reserved ahead.
    pub bytes: u64,
    /// How many of them are alive, to within an eighth; with `engine=lsm` at most so many.
    pub live_bytes: u64,
    /// Records that were written to it.
    pub records: u64,
    /// How many of them can still be read.
    pub live_records: u64,
}

/// How far a merge has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergeProgress {
    /// Data files that were worked through, and how many there are to work through.
    pub files: (u64, u64),
    /// Bytes of data files that were worked through, and how many there are.
    pub bytes: (u64, u64),
    /// Bytes that were copied into new files.
    pub copied_bytes: u64,
}
