//! `filedb_stats_t`: a store in numbers.

use super::db::filedb_t;
use super::error::filedb_error_t;
use super::guard;
use super::status::{FILEDB_OK, filedb_status_t};

/// A store in numbers. Begin with `filedb_stats_t stats = FILEDB_STATS_INIT;` or `= {0}`. Later versions may add
/// members at the end; a library that does not know one leaves it 0. Since 0.1.0.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct filedb_store_stats {
    /// sizeof(filedb_stats_t), set by the caller; 0 is the size that it has in version 0.1.0.
    pub struct_size: u32,
    /// 1 while a merge is running, else 0.
    pub merging: u32,
    /// Keys.
    pub keys: u64,
    /// Data files.
    pub files: u64,
    /// Bytes of records in all data files, without what is reserved ahead.
    pub data_bytes: u64,
    /// How many of them are alive, to within an eighth; with engine=lsm at most so many.
    pub live_bytes: u64,
    /// Memory of the index and of what stands beside it (keys that expire, iterators), in bytes.
    pub index_bytes: u64,
    /// Iterators that are alive.
    pub iterators: u64,
    /// Bytes that puts, deletes and batches wrote since the store was opened.
    pub appended_bytes: u64,
    /// Merges since then.
    pub merges: u64,
    /// Bytes that merges wrote since then; with engine=lsm also those of memtables that were written out.
    pub merged_bytes: u64,
    /// Syncs of data files since then.
    pub syncs: u64,
    /// The time that they took, in nanoseconds.
    pub sync_nanos: u64,
    /// Keys that were forgotten since then because they had expired; always 0 with engine=lsm.
    pub expired_keys: u64,
    /// How far the store's time is ahead of the machine's wall clock, in milliseconds, because that was once further ahead or was
    /// set back. Keys expire when the time that they were given has passed all the same. Since 0.2.0.
    pub clock_ahead_ms: u64,
}

/// A store in numbers. Since 0.1.0.
pub type filedb_stats_t = filedb_store_stats;

/// Stores the store in numbers in `*out`, without reading the disk. Members that lie beyond the
/// struct_size of `*out` are left out.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL, or struct_size is not set;
/// - FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_stats(
    db: *mut filedb_t,
    out: *mut filedb_stats_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let out = call.sized_out("out", out)?;
        let stats = call.store(db)?.stats()?;
        out.set(filedb_store_stats {
            struct_size: 0,
            merging: u32::from(stats.merging),
            keys: stats.keys,
            files: stats.files,
            data_bytes: stats.data_bytes,
            live_bytes: stats.live_bytes,
            index_bytes: stats.index_bytes,
            iterators: stats.snapshots,
            appended_bytes: stats.appended_bytes,
            merges: stats.merges,
            merged_bytes: stats.merged_bytes,
            syncs: stats.syncs,
            sync_nanos: stats.sync_nanos,
            expired_keys: stats.expired_keys,
            clock_ahead_ms: stats.clock_ahead_ms,
        });
        Ok(FILEDB_OK)
    })
}
