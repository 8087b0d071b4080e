//! The figures that INFO and LATENCY tell.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Client, Process, encode};

fn server(options: &[&str]) -> (tempfile::TempDir, Process) {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), options);
    (directory, process)
}

/// A field of INFO.
fn field(client: &mut Client, name: &str) -> String {
    let info = client.ask("INFO everything");
    let found = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_else(|| panic!("{name} is not in {info}")).to_owned()
}

/// A part of a field: `calls=3,usec=...`.
fn part(field: &str, name: &str) -> u64 {
    let found = field.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    found.unwrap().split('.').next().unwrap().parse().unwrap()
}

#[test]
fn commands_are_counted_by_what_became_of_them() {
    let (_directory, process) = server(&["--threads", "2"]);
    let (mut one, mut other) = (process.connect(), process.connect());
    one.ask("CONFIG RESETSTAT");
    for client in [&mut one, &mut other] {
        let gets: Vec<u8> = (0..50).flat_map(|_| encode(&["GET", "k"])).collect();
        client.send(&gets);
        (0..50).for_each(|_| drop(client.reply()));
        client.ask("SET k v");
        client.ask("LPUSH k v");
        client.ask("GET");
        client.ask("NOSUCH");
        client.ask("CLIENT GETNAME");
    }
    let gets = field(&mut one, "cmdstat_get");
    assert_eq!(
        (part(&gets, "calls"), part(&gets, "rejected_calls"), part(&gets, "failed_calls")),
        (100, 2, 0)
    );
    assert!(gets.contains(",usec_per_call="));
    assert_eq!(part(&field(&mut one, "cmdstat_set"), "calls"), 2);
    let pushes = field(&mut one, "cmdstat_lpush");
    assert_eq!((part(&pushes, "calls"), part(&pushes, "failed_calls")), (2, 2));
    assert_eq!(part(&field(&mut one, "cmdstat_client|getname"), "calls"), 2);
    assert_eq!(field(&mut one, "errorstat_ERR"), "count=4");
    assert_eq!(field(&mut one, "errorstat_WRONGTYPE"), "count=2");
    assert_eq!(field(&mut one, "total_error_replies"), "6");
    assert!(field(&mut one, "latency_percentiles_usec_get").starts_with("p50="));
    // What is queued is counted when it is done.
    one.ask("MULTI");
    one.ask("APPEND k w");
    assert!(!one.ask("INFO commandstats").contains("cmdstat_append"));
    one.ask("EXEC");
    assert_eq!(part(&field(&mut one, "cmdstat_append"), "calls"), 1);
    assert_eq!(part(&field(&mut one, "cmdstat_exec"), "calls"), 1);
    // A list is no value, also for GETs that are looked up together.
    one.ask("RPUSH l v");
    one.ask("GET l");
    assert_eq!(field(&mut one, "errorstat_WRONGTYPE"), "count=3");
    let histogram = one.ask("LATENCY HISTOGRAM get nosuch client");
    assert!(
        histogram.starts_with("*4\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:101\r\n$14\r\nhistogram_usec\r\n"),
        "{histogram}"
    );
    assert!(histogram.contains("$14\r\nclient|getname\r\n"), "{histogram}");
    one.ask("CONFIG RESETSTAT");
    let info = one.ask("INFO everything");
    assert!(!info.contains("cmdstat_get") && !info.contains("errorstat_"), "{info}");
    assert!(info.contains("cmdstat_config|resetstat:calls=1,"));
    assert!(!one.ask("INFO").contains("# Commandstats"), "as in Redis, who wants that must ask for it");
}

#[test]
fn reads_of_all_commands_are_hits_or_misses() {
    let (_directory, process) = server(&[]);
    let mut client = process.connect();
    client.ask("SET k v");
    client.ask("RPUSH l a b");
    for (line, hits, misses) in [
        ("MGET k nosuch k", 2, 1),
        ("GET k", 1, 0),
        ("STRLEN nosuch", 0, 1),
        ("LRANGE l 0 -1", 1, 0),
        ("LRANGE nosuch 0 -1", 0, 1),
        ("LRANGE k 0 -1", 1, 0),
        ("LINDEX l 0", 1, 0),
        ("LPOS l a", 1, 0),
        ("BITCOUNT k", 1, 0),
        ("BITPOS nosuch 1", 0, 1),
        ("EXISTS k l nosuch", 2, 1),
        ("TTL k", 1, 0),
        ("TYPE nosuch", 0, 1),
        ("DUMP l", 1, 0),
        ("OBJECT ENCODING l", 1, 0),
        ("GETEX k", 1, 0),
        ("GETEX nosuch", 0, 1),
        ("GETSET k w", 1, 0),
        ("SET k x GET", 1, 0),
        ("GETDEL nosuch", 0, 1),
        ("SORT l ALPHA", 1, 0),
        ("APPEND k y", 0, 0),
        ("SET k z", 0, 0),
        ("LPUSH l z", 0, 0),
        ("MEMORY USAGE l", 0, 0),
    ] {
        client.ask("CONFIG RESETSTAT");
        client.ask(line);
        let count = |client: &mut Client, name| field(client, name).parse::<u64>().unwrap();
        let seen = (count(&mut client, "keyspace_hits"), count(&mut client, "keyspace_misses"));
        assert_eq!(seen, (hits, misses), "{line}");
    }
}

#[test]
fn the_fields_that_tools_read_are_there() {
    let (_directory, process) = server(&[]);
    let mut client = process.connect();
    client.ask("SET k v");
    let info = client.ask("INFO everything");
    for name in "redis_version gcc_version executable configured_hz lru_clock used_memory_overhead used_memory_startup \
        used_memory_peak_perc used_memory_dataset_perc total_system_memory mem_fragmentation_bytes \
        number_of_cached_scripts aof_rewrite_scheduled aof_last_rewrite_time_sec aof_last_bgrewrite_status \
        rdb_last_bgsave_time_sec rdb_saves latest_fork_usec instantaneous_input_kbps instantaneous_output_kbps \
        total_reads_processed total_writes_processed evicted_clients pubsubshard_channels master_replid \
        used_cpu_sys_children used_cpu_user_children"
        .split_whitespace()
    {
        assert!(info.contains(&format!("\r\n{name}:")), "{name} is not in {info}");
    }
    for section in ["Modules", "Commandstats", "Errorstats", "Latencystats"] {
        assert!(info.contains(&format!("# {section}\r\n")));
        assert!(client.ask(&format!("INFO {section}")).contains(&format!("# {section}\r\n")));
    }
    assert!(field(&mut client, "total_reads_processed").parse::<u64>().unwrap() > 0);
    assert!(field(&mut client, "total_system_memory").parse::<u64>().unwrap() > 1 << 20);
}

#[test]
fn a_merge_that_was_asked_for_is_told_in_info() {
    let (_directory, process) = server(&[]);
    let mut client = process.connect();
    assert_eq!(field(&mut client, "aof_last_rewrite_time_sec"), "-1");
    assert!(client.ask("BGREWRITEAOF").starts_with("+Background append only file rewriting started"));
    while field(&mut client, "aof_last_rewrite_time_sec") == "-1" {
        std::thread::yield_now();
    }
    assert_eq!(field(&mut client, "aof_last_bgrewrite_status"), "ok");
}

#[test]
fn what_is_slow_is_an_event_of_latency() {
    let (_directory, process) = server(&[]);
    let mut client = process.connect();
    let value = "x".repeat(8 << 20);
    client.command(&["SET", "a", &value]);
    client.command(&["SET", "b", &value]);
    assert_eq!(client.ask("LATENCY LATEST"), "*0\r\n");
    client.ask("CONFIG SET latency-monitor-threshold 1");
    let mut event = String::new();
    // Some command is slow sooner or later, here by its work.
    while !event.contains("$7\r\ncommand\r\n") {
        client.ask("BITOP AND c a b");
        client.ask("BITCOUNT c");
        event = client.ask("LATENCY LATEST");
    }
    assert_ne!(client.ask("LATENCY HISTORY command"), "*0\r\n");
    let graph = client.ask("LATENCY GRAPH command");
    assert!(graph.contains("command - high ") && graph.contains(&"-".repeat(80)), "{graph}");
    let report = client.ask("LATENCY DOCTOR");
    assert!(report.contains("Dave, I have observed latency spikes"), "{report}");
    assert!(report.contains(". command: ") && report.contains(" latency spikes (average "), "{report}");
    client.ask("CONFIG SET latency-monitor-threshold 0");
    assert_ne!(client.ask("LATENCY RESET"), ":0\r\n");
    assert!(client.ask("LATENCY GRAPH command").starts_with("-ERR No samples"));
}
