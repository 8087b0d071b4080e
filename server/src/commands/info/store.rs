//! INFO of the store: what is on the disk, and the keys.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use super::{lines, load};
use crate::server::Server;

/// Changes that may not be on the disk.
pub fn unsynced_changes(server: &Server) -> u64 {
    load(&server.keyspace.changes).saturating_sub(load(&server.durability.changes_synced))
}

/// INFO persistence.
pub fn persistence(server: &Server, text: &mut String) {
    text.push_str("# Persistence\r\n");
    let status = |is_bad| if is_bad { "err" } else { "ok" };
    let has_failed = server.durability.failure().is_some();
    let is_write_bad = has_failed || server.keyspace.has_write_failed.load(Ordering::Relaxed);
    let stats = server.keyspace.db.stats().unwrap_or_default();
    let fsync = crate::settings::name_of(server.durability.promise.get());
    lines!(
        text,
        "loading" = 0,
        "rdb_changes_since_last_save" = unsynced_changes(server),
        "rdb_bgsave_in_progress" = u8::from(server.backups.is_running()),
        "rdb_last_save_time" = server.last_save_s(),
        "rdb_last_bgsave_status" = status(has_failed || server.backups.has_failed()),
        "rdb_last_bgsave_time_sec" = server.backups.took_s(),
        "rdb_current_bgsave_time_sec" = server.backups.running_s(),
        "rdb_saves" = server.backups.count(),
        "aof_enabled" = 1,
        "aof_fsync" = fsync,
        "aof_rewrite_in_progress" = u8::from(stats.merging),
        "aof_rewrite_scheduled" = 0,
        "aof_last_rewrite_time_sec" = server.merges.took_s(),
        "aof_current_rewrite_time_sec" = server.merges.running_s(),
        "aof_last_bgrewrite_status" = status(server.merges.has_failed()),
        "aof_last_write_status" = status(is_write_bad),
        "aof_current_size" = stats.data_bytes,
        "aof_base_size" = stats.live_bytes,
        "filedb_syncs" = stats.syncs,
        "filedb_sync_seconds" = format!("{:.3}", stats.sync_nanos as f64 / 1e9),
        "filedb_writers_paused" = u8::from(server.pause.is_behind()),
    );
}

/// INFO filedb.
pub fn filedb(server: &Server, text: &mut String) {
    text.push_str("# Filedb\r\n");
    let Ok(stats) = server.keyspace.db.stats() else { return };
    // Nobody waits for the disk here. Where there is none it is not there.
    if let Ok(seq) = server.keyspace.db.written_seq() {
        lines!(text, "last_seq" = seq);
    }
    lines!(
        text,
        "engine" = if server.keyspace.is_ordered { "lsm" } else { "bitcask" },
        "files" = stats.files,
        "data_bytes" = stats.data_bytes,
        "live_bytes" = stats.live_bytes,
        "space_amplification" = format!("{:.3}", stats.space_amplification()),
        "index_bytes" = stats.index_bytes,
        "merges" = stats.merges,
        "merging" = u8::from(stats.merging),
        "appended_bytes" = stats.appended_bytes,
        "merged_bytes" = stats.merged_bytes,
        "clock_ahead_ms" = stats.clock_ahead_ms,
    );
}

/// INFO keyspace.
pub fn keyspace(server: &Server, text: &mut String) {
    text.push_str("# Keyspace\r\n");
    for (number, count) in server.keyspace.about().into_iter().flatten().enumerate() {
        if count > 0 {
            let _ = write!(text, "db{number}:keys={count},expires=0,avg_ttl=0\r\n");
        }
    }
}
