//! What was acknowledged is there after the server was killed under load, in every mode; and a queue loses no job and gives none twice.
//!
//! `FILEDB_KILLS`, or `FILEDB_TEST_HISTORIES`, is the number of kills (4 for each mode), and `FILEDB_JOBS` the number of jobs (20,000). `cargo xtask torture server-kill`
//! does it again and again.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Client, Process, encode};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// Writes numbers to keys of its own, several requests under way at a time, until the connection ends: the last that was acknowledged of
/// each key, and the last that was sent. Adds to `count` how many were acknowledged.
fn write_until_killed(port: u16, writer: u64, from: u64, count: &AtomicU64) -> BTreeMap<u64, (u64, u64)> {
    const KEYS: u64 = 16;
    const AT_ONCE: u64 = 8;
    let mut client = Client::connect(port);
    let mut known = BTreeMap::new();
    let mut number = from;
    loop {
        let batch: Vec<u64> = (number..number + AT_ONCE).collect();
        number += AT_ONCE;
        let mut bytes = Vec::new();
        for n in &batch {
            let (key, value) = (format!("w{writer}:{}", n % KEYS), n.to_string());
            bytes.extend(encode(&["SET", &key, &value]));
            known.entry(n % KEYS).or_insert((0, 0)).1 = *n;
        }
        if std::io::Write::write_all(&mut client.stream, &bytes).is_err() {
            return known;
        }
        for n in &batch {
            match client.try_reply() {
                Some(reply) => {
                    assert_eq!(reply, b"+OK\r\n");
                    known.entry(n % KEYS).or_insert((0, 0)).0 = *n;
                    count.fetch_add(1, Ordering::SeqCst);
                }
                None => return known,
            }
        }
    }
}

fn kills(sync: &str, engine: &str) {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    // Of each key, the last number that is known to be there.
    let mut there: BTreeMap<(usize, u64), u64> = BTreeMap::new();
    let (mut from, mut acknowledged_in_all) = (1, 0);
    let rounds = setting("FILEDB_KILLS", setting("FILEDB_TEST_HISTORIES", 4));
    let seed = setting("FILEDB_TEST_SEED", 0);
    for round in 0..rounds {
        let process = Process::filedb(&store, &["--engine", engine, "--sync", sync, "--threads", "2"]);
        let port = process.port;
        let count = Arc::new(AtomicU64::new(0));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let count = count.clone();
                std::thread::spawn(move || write_until_killed(port, writer, from, &count))
            })
            .collect();
        // In the middle of it: so many were acknowledged, and more are under way.
        while count.load(Ordering::SeqCst) < 200 + (round * 370 + seed % 1009) % 2000 {
            assert!(writers.iter().any(|writer| !writer.is_finished()), "the server is gone");
            std::thread::yield_now();
        }
        process.kill();
        let known: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();

        let process = Process::filedb(&store, &["--sync", sync]);
        let mut client = process.connect();
        let mut next = from;
        for (writer, keys) in known.iter().enumerate() {
            for (key, (acknowledged, sent)) in keys {
                let reply = client.ask(&format!("GET w{writer}:{key}"));
                let found: u64 = reply.lines().nth(1).map_or(0, |text| text.parse().unwrap());
                // Where nothing was acknowledged this time, what was there before is, or what was sent.
                let before = there.get(&(writer, *key)).copied().unwrap_or(0);
                let least = if *acknowledged == 0 { before } else { *acknowledged };
                let is_one_of_key = found == before || (found >= from && found % 16 == *key);
                assert!(
                    (least..=*sent).contains(&found) && is_one_of_key,
                    "--engine {engine}, --sync {sync}, round {round}: w{writer}:{key} is {found}, {acknowledged} was acknowledged and {sent} sent, {before} \
                     was there before"
                );
                there.insert((writer, *key), found);
                next = next.max(*sent + 1);
            }
        }
        from = next + 16 - next % 16;
        assert!(process.terminate());
        acknowledged_in_all += count.load(Ordering::SeqCst);
    }
    println!("tally: {rounds} kills of a server");
    println!("tally: {acknowledged_in_all} acknowledged writes");
}

#[test]
fn what_was_acknowledged_survives_a_kill_with_sync_always() {
    kills("always", "bitcask");
}

#[test]
fn what_was_acknowledged_survives_a_kill_with_the_ordered_engine() {
    kills("always", "lsm");
    kills("none", "lsm");
}

#[test]
fn what_was_acknowledged_survives_a_kill_without_syncs() {
    kills("none", "bitcask");
}

#[test]
fn what_was_acknowledged_survives_a_kill_with_a_sync_each_second() {
    kills("interval", "bitcask");
    kills("interval", "lsm");
}

/// A worker: takes jobs until there are none, connecting again where the server was killed. A job is in the worker's own list before it is given
/// out, so none is lost when the reply is, and the worker looks there first when it is back.
fn work(port: Arc<AtomicU64>, worker: usize, done: Arc<Mutex<BTreeMap<u64, u64>>>, ends: Arc<AtomicBool>) {
    let own = format!("taken:{worker}");
    let mut current: Option<u64> = None;
    'connect: loop {
        let port = port.load(Ordering::SeqCst) as u16;
        let Ok(stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else {
            if ends.load(Ordering::SeqCst) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        drop(stream);
        let Ok(mut client) = std::panic::catch_unwind(|| Client::connect(port)) else { continue };
        loop {
            // What is in the own list was taken and is not done, or is done and was not taken out.
            let held = {
                client_send(&mut client, &["LINDEX", &own, "0"]);
                let Some(reply) = client.try_reply() else { continue 'connect };
                text_of(&reply)
            };
            let job = match held {
                Some(job) => job,
                None => {
                    client_send(&mut client, &["BLMOVE", "jobs", &own, "RIGHT", "LEFT", "0.2"]);
                    let Some(reply) = client.try_reply() else { continue 'connect };
                    match text_of(&reply) {
                        Some(job) => job,
                        None if ends.load(Ordering::SeqCst) => return,
                        None => continue,
                    }
                }
            };
            if current != Some(job) {
                *done.lock().unwrap().entry(job).or_insert(0) += 1;
                current = Some(job);
            }
            client_send(&mut client, &["RPOP", &own]);
            if client.try_reply().is_none() {
                continue 'connect;
            }
        }
    }
}

fn client_send(client: &mut Client, words: &[&str]) {
    // Where this fails, so does the reply.
    let _ = std::io::Write::write_all(&mut client.stream, &encode(words));
}

fn text_of(reply: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(reply).ok()?;
    text.starts_with('$').then(|| text.lines().nth(1)?.parse().ok()).flatten()
}

/// Adds jobs, each once: where the server was killed before it answered, the list of what was added tells.
fn produce(store: &Path, count: u64, port: &Arc<AtomicU64>, kills: u64, engine: &str) -> Process {
    let options = ["--engine", engine, "--threads", "2"];
    let mut process = Process::filedb(store, &options);
    port.store(process.port.into(), Ordering::SeqCst);
    let mut client = process.connect();
    let mut next = 0;
    let mut killed = 0;
    while next < count {
        let until = (next + 100).min(count);
        let mut bytes = encode(&["MULTI"]);
        for job in next..until {
            bytes.extend(encode(&["LPUSH", "jobs", &job.to_string()]));
        }
        bytes.extend(encode(&["SET", "produced", &until.to_string()]));
        bytes.extend(encode(&["EXEC"]));
        let _ = std::io::Write::write_all(&mut client.stream, &bytes);
        if killed < kills && next >= count / (kills + 1) * (killed + 1) {
            killed += 1;
            process.kill();
            process = Process::filedb(store, &options);
            port.store(process.port.into(), Ordering::SeqCst);
            client = process.connect();
            // The transaction is there as a whole or not at all.
            next = client.ask("GET produced").lines().nth(1).map_or(0, |text| text.parse().unwrap());
            continue;
        }
        for _ in next..until + 3 {
            client.reply();
        }
        next = until;
    }
    process
}

#[test]
fn a_queue_loses_no_job_and_gives_none_twice_where_the_server_is_killed() {
    queue("bitcask");
}

#[test]
fn a_queue_loses_no_job_and_gives_none_twice_with_the_ordered_engine() {
    queue("lsm");
}

fn queue(engine: &str) {
    let count = setting("FILEDB_JOBS", 20_000);
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let port = Arc::new(AtomicU64::new(0));
    let (done, ends) = (Arc::new(Mutex::new(BTreeMap::new())), Arc::new(AtomicBool::new(false)));
    let workers: Vec<_> = (0..50)
        .map(|worker| {
            let (port, done, ends) = (port.clone(), done.clone(), ends.clone());
            std::thread::spawn(move || {
                while port.load(Ordering::SeqCst) == 0 {
                    std::thread::sleep(Duration::from_millis(5));
                }
                work(port, worker, done, ends);
            })
        })
        .collect();
    let process = produce(&store, count, &port, 3, engine);
    let mut client = process.connect();
    while client.ask("LLEN jobs") != ":0\r\n" {
        std::thread::yield_now();
    }
    ends.store(true, Ordering::SeqCst);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    let done = done.lock().unwrap();
    assert_eq!(done.len() as u64, count, "jobs were lost");
    let twice: Vec<_> = done.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "jobs were given twice: {twice:?}");
}
