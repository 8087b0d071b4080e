//! INFO: the server in numbers, in the sections that tools read.

mod commands;
mod process;
mod store;

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Context;
use super::connection::VERSION;
use super::fault::Result;
use super::table::{Command, Flags, Keys, command};
use crate::server::Server;

pub use process::{processor_seconds, resident};
pub use store::unsynced_changes;

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

/// Each section: whether it is shown to who does not ask for it.
const SECTIONS: &[(&str, bool, Section)] = &[
    ("server", true, server),
    ("clients", true, clients),
    ("memory", true, process::memory),
    ("persistence", true, store::persistence),
    ("stats", true, stats),
    ("replication", true, replication),
    ("cpu", true, process::cpu),
    ("modules", true, |_, text| text.push_str("# Modules\r\n")),
    ("commandstats", false, commands::commandstats),
    ("errorstats", true, commands::errorstats),
    ("latencystats", false, commands::latencystats),
    ("cluster", true, cluster),
    ("filedb", true, store::filedb),
    ("keyspace", true, store::keyspace),
];

fn info(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let wanted: Vec<String> =
        args[1..].iter().map(|arg| super::args::text(arg).to_ascii_lowercase()).collect();
    let wants = |name: &str| wanted.iter().any(|wanted| wanted == name);
    let (is_all, is_default) = (wants("all") || wants("everything"), wanted.is_empty() || wants("default"));
    context.work.flush()?;
    let mut text = String::new();
    for (name, is_shown, section) in SECTIONS {
        if is_all || (is_default && *is_shown) || wants(name) {
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
use lines;

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
        "gcc_version" = "0.0.0",
        "process_id" = std::process::id(),
        "run_id" = server.run_id,
        "tcp_port" = load(&server.port),
        "server_time_usec" = crate::server::wall_clock().as_micros(),
        "uptime_in_seconds" = uptime_s,
        "uptime_in_days" = uptime_s / 86_400,
        "hz" = 1,
        "configured_hz" = 1,
        "lru_clock" = crate::server::wall_clock().as_secs() & 0xff_ffff,
        "executable" = std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default(),
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

fn stats(server: &Server, text: &mut String) {
    text.push_str("# Stats\r\n");
    let stats = &server.stats;
    let expired = server.keyspace.db.stats().map_or(0, |stats| stats.expired_keys);
    let errors: u64 = server.tallies.totals().errors.values().sum();
    let (channels, patterns) = server.pubsub.counts();
    lines!(
        text,
        "total_connections_received" = load(&stats.connections),
        "total_commands_processed" = load(&stats.commands),
        "instantaneous_ops_per_sec" = load(&stats.commands_per_second),
        "total_net_input_bytes" = load(&stats.input_bytes),
        "total_net_output_bytes" = load(&stats.output_bytes),
        "instantaneous_input_kbps" = kilobytes(&stats.input_per_second),
        "instantaneous_output_kbps" = kilobytes(&stats.output_per_second),
        "rejected_connections" = load(&stats.rejected),
        "expired_keys" = expired,
        "evicted_keys" = 0,
        "evicted_clients" = 0,
        "keyspace_hits" = load(&stats.hits),
        "keyspace_misses" = load(&stats.misses),
        "pubsub_channels" = channels,
        "pubsub_patterns" = patterns,
        "pubsubshard_channels" = 0,
        "latest_fork_usec" = 0,
        "total_forks" = 0,
        "filedb_feed_changes" = load(&server.feeds.told),
        "total_error_replies" = errors,
        "total_reads_processed" = load(&stats.reads),
        "total_writes_processed" = load(&stats.writes),
        "eventloop_cycles" = load(&stats.rounds),
        "eventloop_duration_sum" = load(&stats.round_micros),
    );
}

/// Bytes in thousands of bytes, as Redis shows them.
fn kilobytes(bytes: &AtomicU64) -> String {
    format!("{:.2}", load(bytes) as f64 / 1024.0)
}

fn replication(server: &Server, text: &mut String) {
    text.push_str("# Replication\r\n");
    lines!(
        text,
        "role" = "master",
        "connected_slaves" = 0,
        "master_failover_state" = "no-failover",
        "master_replid" = server.run_id,
        "master_replid2" = "0".repeat(40),
        "master_repl_offset" = 0,
        "second_repl_offset" = -1,
        "repl_backlog_active" = 0,
        "repl_backlog_size" = 0,
        "repl_backlog_first_byte_offset" = 0,
        "repl_backlog_histlen" = 0,
    );
}

fn cluster(_: &Server, text: &mut String) {
    text.push_str("# Cluster\r\n");
    lines!(text, "cluster_enabled" = 0);
}
