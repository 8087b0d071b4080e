//! Figures for Prometheus, and a page that draws them: a small HTTP server on a thread of its own.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::commands::unsynced_changes;
use crate::server::Server;

const PAGE: &str = include_str!("dashboard.html");

/// Answers requests at this address until the server ends.
pub fn serve(server: &Arc<Server>, address: &str) -> Result<(SocketAddr, JoinHandle<()>), String> {
    let wrong = |error: std::io::Error| format!("cannot listen for metrics on '{address}': {error}");
    let listener = TcpListener::bind(address).map_err(wrong)?;
    listener.set_nonblocking(true).map_err(wrong)?;
    let local = listener.local_addr().map_err(wrong)?;
    let server = server.clone();
    let work = move || {
        while !server.is_ending.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => {
                    if let Err(error) = answer(&server, stream) {
                        log::debug!("a request for metrics failed: {error}");
                    }
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    };
    let thread = std::thread::Builder::new().name("metrics".into()).spawn(work).map_err(wrong)?;
    Ok((local, thread))
}

fn answer(server: &Server, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    let deadline = Instant::now() + Duration::from_secs(2);
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < 8192 {
        let left = deadline.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        head.extend_from_slice(&buffer[..count]);
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
    let (status, kind, body) = match (method, path) {
        (b"GET", b"/metrics") => ("200 OK", "text/plain; version=0.0.4", prometheus(server)),
        (b"GET", b"/") => ("200 OK", "text/html; charset=utf-8", PAGE.to_owned()),
        (b"GET", b"/stats.json") => ("200 OK", "application/json", json(server)),
        (b"GET", _) => ("404 Not Found", "text/plain", "there is / and /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "text/plain", "GET is all there is\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

struct Figure {
    name: &'static str,
    help: &'static str,
    is_counter: bool,
    value: f64,
}

fn figures(server: &Server) -> Vec<Figure> {
    let stats = &server.stats;
    let load = |place: &std::sync::atomic::AtomicU64| place.load(Ordering::Relaxed) as f64;
    let db = server.keyspace.db.stats().unwrap_or_default();
    let gauge = |name, help, value| Figure { name, help, is_counter: false, value };
    let counter = |name, help, value| Figure { name, help, is_counter: true, value };
    // Where nobody has counted yet there are so many at most.
    let keys = server.keyspace.about().map_or(db.keys, |counts| counts.iter().sum());
    let (system, user) = crate::commands::processor_seconds();
    vec![
        gauge("connected_clients", "Clients that are connected", server.clients.lock().len() as f64),
        gauge("feeds", "Clients that follow the changes", server.feeds.count() as f64),
        counter("feed_changes_total", "Changes that they were told", load(&server.feeds.told)),
        gauge("blocked_clients", "Clients that wait for an element", server.keyspace.blocked.count() as f64),
        gauge("commands_per_second", "Commands in the last second", load(&stats.commands_per_second)),
        counter("commands_total", "Commands that were done", load(&stats.commands)),
        counter("connections_total", "Connections that came", load(&stats.connections)),
        counter("rejected_connections_total", "Connections that were refused", load(&stats.rejected)),
        counter("errors_total", "Errors that were replied", load(&stats.errors)),
        counter("keyspace_hits_total", "GETs of keys that were there", load(&stats.hits)),
        counter("keyspace_misses_total", "GETs of keys that were not", load(&stats.misses)),
        counter("input_bytes_total", "Bytes that clients sent", load(&stats.input_bytes)),
        counter("output_bytes_total", "Bytes that clients were sent", load(&stats.output_bytes)),
        counter("rounds_total", "Rounds of event loops", load(&stats.rounds)),
        counter("round_seconds_total", "Time that they took", load(&stats.round_micros) / 1e6),
        gauge("keys", "Keys in all databases", keys as f64),
        gauge("files", "Data files", db.files as f64),
        gauge("data_bytes", "Bytes of data files", db.data_bytes as f64),
        gauge("live_bytes", "How many of them are alive", db.live_bytes as f64),
        gauge("space_amplification", "Bytes of data files per byte that is alive", db.space_amplification()),
        gauge("index_bytes", "Memory of the index", db.index_bytes as f64),
        counter("merges_total", "Merges", db.merges as f64),
        gauge("merging", "Whether a merge runs", f64::from(u8::from(db.merging))),
        counter("appended_bytes_total", "Bytes that were written for clients", db.appended_bytes as f64),
        counter("merged_bytes_total", "Bytes that merges wrote", db.merged_bytes as f64),
        counter("syncs_total", "Syncs of data files", db.syncs as f64),
        counter("sync_seconds_total", "Time that they took", db.sync_nanos as f64 / 1e9),
        counter("processor_seconds_total", "Processor time of the process", system + user),
        gauge("resident_bytes", "Memory of the process", crate::commands::resident().0 as f64),
        gauge("uptime_seconds", "Time since the start", server.started.elapsed().as_secs_f64()),
    ]
}

fn prometheus(server: &Server) -> String {
    let mut text = String::new();
    for Figure { name, help, is_counter, value } in figures(server) {
        let kind = if is_counter { "counter" } else { "gauge" };
        let _ =
            write!(text, "# HELP filedb_{name} {help}\n# TYPE filedb_{name} {kind}\nfiledb_{name} {value}\n");
    }
    let durations = &server.stats.durations;
    text.push_str(
        "# HELP filedb_command_seconds What commands took in their event loop, without waits for the disk\n\
         # TYPE filedb_command_seconds histogram\n",
    );
    let mut commands = 0;
    for (most, count) in durations.ranges() {
        commands += count;
        let most = most.map_or_else(|| "+Inf".into(), |micros| (micros as f64 / 1e6).to_string());
        let _ = writeln!(text, "filedb_command_seconds_bucket{{le=\"{most}\"}} {commands}");
    }
    let seconds = durations.micros() as f64 / 1e6;
    let _ = write!(text, "filedb_command_seconds_sum {seconds}\nfiledb_command_seconds_count {commands}\n");
    text
}

fn json(server: &Server) -> String {
    let figures = figures(server).into_iter().map(|figure| (figure.name.to_owned(), figure.value.into()));
    let mut all: serde_json::Map<_, _> = figures.collect();
    // The number of commands of each range of Durations.
    let ranges: Vec<u64> = server.stats.durations.ranges().map(|(_, count)| count).collect();
    all.insert("command_ranges".into(), ranges.into());
    serde_json::Value::Object(all).to_string()
}

/// Counts the commands of each second until the server ends.
pub fn sample(server: &Server) {
    let (mut last, mut at) = (0, Instant::now());
    let mut bytes = [0; 2];
    while !server.is_ending.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
        let passed = at.elapsed();
        if passed >= Duration::from_secs(1) {
            let commands = server.stats.commands.load(Ordering::Relaxed);
            let rate = commands.saturating_sub(last) as f64 / passed.as_secs_f64();
            server.stats.commands_per_second.store(rate as u64, Ordering::Relaxed);
            let stats = &server.stats;
            let places = [
                (&stats.input_bytes, &stats.input_per_second),
                (&stats.output_bytes, &stats.output_per_second),
            ];
            for (before, (total, rate)) in bytes.iter_mut().zip(places) {
                let total = total.load(Ordering::Relaxed);
                let new = total.saturating_sub(*before) as f64 / passed.as_secs_f64();
                rate.store(new as u64, Ordering::Relaxed);
                *before = total;
            }
            (last, at) = (commands, Instant::now());
            if server.durability.promise.get() == filedb::SyncMode::Interval && unsynced_changes(server) > 0 {
                // The store syncs by itself; so it is known how far.
                server.durability.want(server.keyspace.written.count());
            }
        }
    }
}
