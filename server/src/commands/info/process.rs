//! INFO of the process: its memory and its processor time.

use std::fmt::Write;

use super::{lines, load};
use crate::server::Server;

/// The memory of the process, in bytes: resident, and the most that it was.
pub fn resident() -> (u64, u64) {
    let field = |name| kib_of("/proc/self/status", name) << 10;
    (field("VmRSS:"), field("VmHWM:"))
}

/// A number of kibibytes that a file of the kernel tells.
fn kib_of(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64)
}

/// INFO memory.
pub fn memory(server: &Server, text: &mut String) {
    text.push_str("# Memory\r\n");
    let (now, peak) = resident();
    let index = server.keyspace.db.stats().map_or(0, |stats| stats.index_bytes);
    let system = kib_of("/proc/meminfo", "MemTotal:") << 10;
    let clients = server.clients.lock();
    let clients: u64 =
        clients.values().map(|client| load(&client.buffers) + load(&client.queued_bytes)).sum();
    lines!(
        text,
        "used_memory" = now,
        "used_memory_human" = human(now),
        "used_memory_rss" = now,
        "used_memory_rss_human" = human(now),
        "used_memory_peak" = peak,
        "used_memory_peak_human" = human(peak),
        "used_memory_peak_perc" = percent(now, peak),
        "used_memory_startup" = server.resident_at_start,
        "used_memory_dataset" = index,
        "used_memory_dataset_perc" = percent(index, now),
        "used_memory_overhead" = now.saturating_sub(index),
        "total_system_memory" = system,
        "total_system_memory_human" = human(system),
        "used_memory_lua" = 0,
        "used_memory_scripts" = 0,
        "number_of_cached_scripts" = 0,
        "maxmemory" = 0,
        "maxmemory_human" = "0B",
        "maxmemory_policy" = "noeviction",
        "mem_fragmentation_ratio" = "1.00",
        "mem_fragmentation_bytes" = 0,
        "mem_clients_normal" = clients,
        "mem_clients_slaves" = 0,
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

/// The processor time of the process, in seconds: for the system, and for itself.
pub fn processor_seconds() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0) / 100.0;
    (ticks(12), ticks(11))
}

/// INFO cpu. There are no children.
pub fn cpu(_: &Server, text: &mut String) {
    text.push_str("# CPU\r\n");
    let (system, user) = processor_seconds();
    lines!(
        text,
        "used_cpu_sys" = format!("{system:.6}"),
        "used_cpu_user" = format!("{user:.6}"),
        "used_cpu_sys_children" = "0.000000",
        "used_cpu_user_children" = "0.000000",
    );
}
