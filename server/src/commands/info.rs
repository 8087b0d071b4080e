//! INFO: the server in numbers, in the sections that tools read.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Context;
use super::connection::VERSION;
use super::fault::Result;
use super::table::{Command, Flags, Keys, command};
use crate::server::Server;

/// The table of this group.
pub static COMMANDS: &[Command] = &[command(
    "info",
    info,
    -1,
    Flags::NONE,
    Keys::NONE,
    "server",
    "1.0.0",
    "Returns information and statistics about the server.",
)];

/// Adds a section to the text.
type Section = fn(&Server, &mut String);

const SECTIONS: &[(&str, Section)] = &[
    ("server", server),
    ("clients", clients),
    ("memory", memory),
    ("persistence", persistence),
    ("stats", stats),
    ("replication", replication),
    ("cpu", cpu),
    ("cluster", cluster),
    ("filedb", filedb_section),
    ("keyspace", keyspace),
];

fn info(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let wanted: Vec<String> =
        args[1..].iter().map(|arg| super::args::text(arg).to_ascii_lowercase()).collect();
    let is_all = wanted.is_empty()
        || wanted.iter().any(|name| matches!(name.as_str(), "all" | "default" | "everything"));
    context.work.flush()?;
    let mut text = String::new();
    for (name, section) in SECTIONS {
        if is_all || wanted.iter().any(|wanted| wanted == name) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            section(context.server, &mut text);
        }
    }
    context.reply().verbatim(&text);
    Ok(())
}

fn load(place: &AtomicU64) -> u64 {
    place.load(Ordering::Relaxed)
}

macro_rules! lines {
    ($text:expr, $($name:literal = $value:expr),+ $(,)?) => {
        $(let _ = write!($text, concat!($name, ":{}\r\n"), $value);)+
    };
}

fn server(server: &Server, text: &mut String) {
    text.push_str("# Server\r\n");
    let uptime_s = server.started.elapsed().as_secs();
    let threads = server.mailboxes.get().map_or(1, Vec::len);
    lines!(
        text,
        "redis_version" = VERSION,
        "filedb_version" = env!("CARGO_PKG_VERSION"),
        "redis_mode" = "standalone",
        "os" = std::env::consts::OS,
        "arch_bits" = usize::BITS,
        "multiplexing_api" = "epoll",
        "process_id" = std::process::id(),
        "run_id" = server.run_id,
        "tcp_port" = load(&server.port),
        "server_time_usec" = crate::server::wall_clock().as_micros(),
        "uptime_in_seconds" = uptime_s,
        "uptime_in_days" = uptime_s / 86_400,
        "hz" = 1,
        "io_threads_active" = threads,
        "config_file" =
            server.settings.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default(),
    );
}

fn clients(server: &Server, text: &mut String) {
    text.push_str("# Clients\r\n");
    let clients = server.clients.lock().len();
    let listening = server
        .clients
        .lock()
        .values()
        .filter(|client| load(&client.channels) + load(&client.patterns) > 0)
        .count();
    lines!(
        text,
        "connected_clients" = clients,
        "cluster_connections" = 0,
        "maxclients" = load(&server.settings.max_clients),
        "blocked_clients" = server.keyspace.blocked.count(),
        "pubsub_clients" = listening,
        "tracking_clients" = 0,
        "filedb_feeds" = server.feeds.count(),
    );
}

/// The memory of the process, in bytes: resident, and the most that it was.
pub fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next())
            .and_then(|kib| kib.parse::<u64>().ok())
            .unwrap_or(0)
            << 10
    };
    (field("VmRSS:"), field("VmHWM:"))
}

fn memory(server: &Server, text: &mut String) {
    text.push_str("# Memory\r\n");
    let (now, peak) = resident();
    let index = server.keyspace.db.stats().map_or(0, |stats| stats.index_bytes);
    lines!(
        text,
        "used_memory" = now,
        "used_memory_human" = human(now),
        "used_memory_rss" = now,
        "used_memory_rss_human" = human(now),
        "used_memory_peak" = peak,
        "used_memory_peak_human" = human(peak),
        "used_memory_dataset" = index,
        "maxmemory" = 0,
        "maxmemory_human" = "0B",
        "maxmemory_policy" = "noeviction",
        "mem_fragmentation_ratio" = "1.00",
        "mem_allocator" = "libc",
    );
}

fn human(bytes: u64) -> String {
    let units = [(1u64 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.2}{name}", bytes as f64 / *unit as f64),
        None => format!("{bytes}B"),
    }
}

/// Changes that may not be on the disk.
pub fn unsynced_changes(server: &Server) -> u64 {
    load(&server.keyspace.changes).saturating_sub(load(&server.durability.changes_synced))
}

fn persistence(server: &Server, text: &mut String) {
    text.push_str("# Persistence\r\n");
    let status = if server.durability.failure().is_some() { "err" } else { "ok" };
    let stats = server.keyspace.db.stats().unwrap_or_default();
    let fsync = crate::settings::name_of(server.durability.promise.get());
    lines!(
        text,
        "loading" = 0,
        "rdb_changes_since_last_save" = unsynced_changes(server),
        "rdb_bgsave_in_progress" = u8::from(server.backups.is_running()),
        "rdb_last_save_time" = server.last_save_s(),
        "rdb_last_bgsave_status" = if server.backups.has_failed() { "err" } else { status },
        "aof_enabled" = 1,
        "aof_fsync" = fsync,
        "aof_rewrite_in_progress" = u8::from(stats.merging),
        "aof_last_bgrewrite_status" = "ok",
        "aof_last_write_status" = status,
        "aof_current_size" = stats.data_bytes,
        "aof_base_size" = stats.live_bytes,
        "filedb_syncs" = stats.syncs,
        "filedb_sync_seconds" = format!("{:.3}", stats.sync_nanos as f64 / 1e9),
        "filedb_writers_paused" = u8::from(server.pause.is_behind()),
    );
}

fn stats(server: &Server, text: &mut String) {
    text.push_str("# Stats\r\n");
    let stats = &server.stats;
    let expired = server.keyspace.db.stats().map_or(0, |stats| stats.expired_keys);
    let (channels, patterns) = server.pubsub.counts();
    lines!(
        text,
        "total_connections_received" = load(&stats.connections),
        "total_commands_processed" = load(&stats.commands),
        "instantaneous_ops_per_sec" = load(&stats.commands_per_second),
        "total_net_input_bytes" = load(&stats.input_bytes),
        "total_net_output_bytes" = load(&stats.output_bytes),
        "rejected_connections" = load(&stats.rejected),
        "expired_keys" = expired,
        "evicted_keys" = 0,
        "keyspace_hits" = load(&stats.hits),
        "keyspace_misses" = load(&stats.misses),
        "pubsub_channels" = channels,
        "pubsub_patterns" = patterns,
        "filedb_feed_changes" = load(&server.feeds.told),
        "total_error_replies" = load(&stats.errors),
        "eventloop_cycles" = load(&stats.rounds),
        "eventloop_duration_sum" = load(&stats.round_micros),
    );
}

fn replication(_: &Server, text: &mut String) {
    text.push_str("# Replication\r\n");
    lines!(text, "role" = "master", "connected_slaves" = 0, "master_repl_offset" = 0);
}

fn cluster(_: &Server, text: &mut String) {
    text.push_str("# Cluster\r\n");
    lines!(text, "cluster_enabled" = 0);
}

/// The processor time of the process, in seconds: for the system, and for itself.
pub fn processor_seconds() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0) / 100.0;
    (ticks(12), ticks(11))
}

fn cpu(_: &Server, text: &mut String) {
    text.push_str("# CPU\r\n");
    let (system, user) = processor_seconds();
    lines!(text, "used_cpu_sys" = format!("{system:.6}"), "used_cpu_user" = format!("{user:.6}"));
}

fn filedb_section(server: &Server, text: &mut String) {
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

fn keyspace(server: &Server, text: &mut String) {
    text.push_str("# Keyspace\r\n");
    for (number, count) in server.keyspace.about().into_iter().flatten().enumerate() {
        if count > 0 {
            let _ = write!(text, "db{number}:keys={count},expires=0,avg_ttl=0\r\n");
        }
    }
}
