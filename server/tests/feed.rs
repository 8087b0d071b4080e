//! FILEDB.FEED: who follows the changes, is stopped anywhere and goes on, ends with what the server has; and nobody else is harmed.
//!
//! `FILEDB_FEED_KILLS` is how often followers are killed (100).

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/follower.rs"]
mod follower;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Client, Process, Random, encode};
use follower::{Follower, Following, contents, parts};

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

fn server(options: &[&str]) -> (tempfile::TempDir, Process) {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), options);
    (directory, process)
}

fn figure(client: &mut Client, name: &str) -> u64 {
    let info = client.ask("INFO");
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
    line.parse().unwrap()
}

/// A message without its time: `what seq database key value expiry`.
fn shown(message: &[u8]) -> String {
    let mut parts = parts(message);
    assert_eq!(parts.remove(0).unwrap(), b"filedb.feed");
    parts.remove(2);
    let words =
        parts.into_iter().map(|part| part.map_or("-".into(), |part| String::from_utf8(part).unwrap()));
    words.collect::<Vec<_>>().join(" ")
}

fn next(client: &mut Client) -> String {
    shown(&client.reply())
}

#[test]
fn changes_of_all_databases_are_told_in_their_order_and_may_be_stopped() {
    for engine in ["bitcask", "lsm"] {
        let (_directory, process) = server(&["--engine", engine]);
        let (mut writer, mut reader) = (process.connect(), process.connect());
        writer.ask("SET a 1");
        assert_eq!(shown(reader.command(&["filedb.feed", "0"]).as_bytes()), "start 0 - - - -");
        assert_eq!(next(&mut reader), "put 1 0 a 1 -");
        writer.ask("SET a 2 PXAT 33000000000000");
        assert_eq!(next(&mut reader), "put 2 0 a 2 33000000000000");
        writer.ask("DEL a");
        assert_eq!(next(&mut reader), "delete 3 0 a - -");
        writer.ask("SELECT 9");
        writer.ask("RPUSH l x y");
        // As a whole, for whatever was there may have expired.
        let told = [next(&mut reader), next(&mut reader), next(&mut reader)];
        assert!(told[0].starts_with("delete ") && told[0].ends_with(" 9 l - -"), "{told:?}");
        assert!(told[1].starts_with("push ") && told[1].ends_with(" 9 l x -"), "{told:?}");
        assert!(told[2].starts_with("push ") && told[2].ends_with(" 9 l y -"), "{told:?}");
        writer.ask("LPOP l");
        assert!(next(&mut reader).starts_with("pop-front "));
        writer.ask("SWAPDB 9 0");
        let told = next(&mut reader);
        assert!(told.starts_with("swapdb ") && told.ends_with(" - - 0 9 -"), "{told}");
        writer.ask("SET b 3");
        assert!(next(&mut reader).ends_with(" 9 b 3 -"));
        writer.ask("SELECT 0");
        writer.ask("PEXPIREAT l 33000000000000");
        let told = next(&mut reader);
        assert!(told.starts_with("expire ") && told.ends_with(" 0 l - 33000000000000"), "{told}");
        let last = figure(&mut writer, "last_seq");
        assert_eq!(
            shown(reader.command(&["FILEDB.FEED", "STOP"]).as_bytes()),
            format!("stop {last} - - - -")
        );
        writer.ask("SET c 4");
        // The connection is as any other again, and can follow once more.
        assert_eq!(reader.ask("GET c"), "$1\r\n4\r\n");
        assert_eq!(next_after(&mut reader, last), format!("put {} 0 c 4 -", last + 1));
        assert_eq!(
            shown(reader.command(&["FILEDB.FEED", "STOP"]).as_bytes()),
            format!("stop {} - - - -", last + 1)
        );
        assert_eq!(shown(reader.command(&["FILEDB.FEED", "STOP"]).as_bytes()), "stop - - - - -");
        reader.ask("FILEDB.FEED $");
        writer.ask("SET d 5");
        assert_eq!(next(&mut reader), format!("put {} 0 d 5 -", last + 2));
    }
}

fn next_after(client: &mut Client, seq: u64) -> String {
    assert!(client.ask(&format!("FILEDB.FEED {seq}")).contains("start"));
    next(client)
}

#[test]
fn messages_are_pushes_in_version_3_and_like_those_of_channels_in_version_2() {
    let (_directory, process) = server(&[]);
    let (mut writer, mut two, mut three) = (process.connect(), process.connect(), process.connect());
    three.ask("HELLO 3");
    let start = "8\r\n$11\r\nfiledb.feed\r\n$5\r\nstart\r\n:0\r\n";
    assert_eq!(three.ask("FILEDB.FEED 0"), format!(">{start}_\r\n_\r\n_\r\n_\r\n_\r\n"));
    assert_eq!(two.ask("FILEDB.FEED 0"), format!("*{start}$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n"));
    writer.ask("SET k v");
    for (client, kind, null) in [(&mut two, "*", "$-1"), (&mut three, ">", "_")] {
        let told = String::from_utf8(client.reply()).unwrap();
        let begin = format!("{kind}8\r\n$11\r\nfiledb.feed\r\n$3\r\nput\r\n:1\r\n:");
        assert!(told.starts_with(&begin), "{told}");
        assert!(told.ends_with(&format!("\r\n:0\r\n$1\r\nk\r\n$1\r\nv\r\n{null}\r\n")), "{told}");
    }
    // In version 2 nothing else can be told apart from the messages.
    assert!(two.ask("GET k").starts_with("-ERR Can't execute 'get'"));
    assert_eq!(two.ask("PING"), "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    assert_eq!(three.ask("GET k"), "$1\r\nv\r\n");
    for client in [&mut two, &mut three] {
        assert!(client.ask("FILEDB.FEED 0").starts_with("-ERR this connection follows"));
    }
    assert_eq!(two.ask("RESET"), "+RESET\r\n");
    assert_eq!(two.ask("GET k"), "$1\r\nv\r\n");
    for wrong in ["-1", "x", "18446744073709551616", ""] {
        assert!(two.command(&["FILEDB.FEED", wrong]).starts_with("-ERR the number of a change is meant"));
    }
    two.ask("MULTI");
    assert!(two.ask("FILEDB.FEED 0").starts_with("-ERR Command not allowed inside a transaction"));
}

#[test]
fn a_number_that_the_server_has_not_given_is_a_gap_and_ends_the_feed() {
    let (_directory, process) = server(&[]);
    let mut client = process.connect();
    client.ask("SET k v");
    for _ in 0..3 {
        let told = next_after(&mut client, 5000);
        assert!(told.starts_with("gap 5000 - - what was changed") && told.contains("Begin anew"), "{told}");
        assert_eq!(client.ask("GET k"), "$1\r\nv\r\n");
    }
    until("the feeds are over", || figure(&mut client, "filedb_feeds") == 0);
}

#[test]
fn there_are_as_many_feeds_as_the_setting_says_and_those_of_clients_that_are_gone_do_not_count() {
    let (_directory, process) = server(&["--set", "maxfeeds=2"]);
    let (mut first, mut second, mut third) = (process.connect(), process.connect(), process.connect());
    for client in [&mut first, &mut second] {
        assert!(client.ask("FILEDB.FEED 0").contains("start"));
    }
    let refused = third.ask("FILEDB.FEED 0");
    assert!(
        refused.starts_with("-ERR 2 connections follow the changes, which is as many as maxfeeds"),
        "{refused}"
    );
    assert_eq!(figure(&mut third, "filedb_feeds"), 2);
    assert_eq!(third.ask("CONFIG SET maxfeeds 3"), "+OK\r\n");
    assert!(third.ask("FILEDB.FEED 0").contains("start"));
    drop((first, second));
    let mut fourth = process.connect();
    until("the feeds of those who are gone end", || figure(&mut fourth, "filedb_feeds") == 1);
    assert!(process.terminate(), "the server ends in order while there are feeds");
}

/// A server with 20,000 keys, and who wrote them.
fn full_server() -> (tempfile::TempDir, Process) {
    let (directory, process) = server(&["--threads", "2"]);
    let mut writer = process.connect();
    for begin in (0..20_000).step_by(1000) {
        let sets: Vec<_> = (begin..begin + 1000)
            .map(|n| {
                encode(&[
                    "SET",
                    &format!("k{n}"),
                    "a value that is not short, so that there are many messages",
                ])
            })
            .collect();
        writer.send(&sets.concat());
        (0..1000).for_each(|_| assert_eq!(writer.reply(), b"+OK\r\n"));
    }
    (directory, process)
}

#[test]
fn stop_says_the_number_of_the_last_message_that_came_before_it() {
    let (_directory, process) = full_server();
    for n in 0..60 {
        let mut client = process.connect();
        client.send(&encode(&["FILEDB.FEED", "0"]));
        let (mut last, read) = ("0".to_owned(), n * n);
        let mut take = |client: &mut Client| {
            let told = next(client);
            let number = told.split(' ').nth(1).unwrap().to_owned();
            let before = std::mem::replace(&mut last, number.clone());
            (told.starts_with("stop "), before, number)
        };
        (0..read).for_each(|_| drop(take(&mut client)));
        client.send(&encode(&["FILEDB.FEED", "STOP"]));
        loop {
            if let (true, before, stop) = take(&mut client) {
                assert_eq!(stop, before, "try {n}");
                break;
            }
        }
    }
}

#[test]
fn the_version_of_the_protocol_stays_while_a_feed_runs() {
    let (_directory, process) = server(&[]);
    let mut client = process.connect();
    for (now, other) in [("3", "2"), ("2", "3")] {
        assert!(!client.command(&["HELLO", now]).starts_with('-'));
        assert!(client.ask("FILEDB.FEED 0").contains("start"));
        assert!(client.command(&["HELLO", other]).starts_with("-ERR "), "version {now} while a feed runs");
        if now == "3" {
            assert!(!client.command(&["HELLO", now]).starts_with('-'));
        }
        assert!(client.ask("FILEDB.FEED STOP").contains("stop"));
        assert!(!client.command(&["HELLO", other]).starts_with('-'));
    }
}

/// The threads of a process that feed: how often each went to sleep.
fn sleeps(process: &Process) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let status = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).ok());
    let feeding = status.filter(|status| status.starts_with("Name:\tfeed\n"));
    let line = |status: String| {
        let switches = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
        let state = status.lines().find(|line| line.starts_with("State:"));
        format!("{} {}", state.unwrap(), switches.unwrap())
    };
    feeding.map(line).collect()
}

#[test]
fn a_feed_that_has_nothing_to_tell_sleeps() {
    let (_directory, process) = server(&[]);
    let (mut reader, mut other) = (process.connect(), process.connect());
    other.ask("SET k v");
    assert!(next_after(&mut reader, 0).starts_with("put 1"));
    until("it sleeps", || sleeps(&process).iter().all(|feed| feed.contains("S (sleeping)")));
    let before = sleeps(&process);
    assert_eq!(before.len(), 1);
    // What others do meanwhile takes some time, and is nothing that is told.
    (0..5000).for_each(|_| drop(other.ask("GET k")));
    assert_eq!(sleeps(&process), before, "it was awake meanwhile");
    drop(reader);
    until("it ends with its client", || sleeps(&process).is_empty());
}

#[test]
fn a_client_that_does_not_read_takes_little_memory_and_holds_nobody_up() {
    let (_directory, process) = server(&["--threads", "2"]);
    let (mut writer, value) = (process.connect(), vec![b'v'; 64 << 10]);
    let mut write = |n: usize| {
        let words = [&b"SET"[..], format!("k{n}").as_bytes(), &value].map(<[u8]>::to_vec);
        assert_eq!(writer.command(&words), "+OK\r\n");
    };
    (0..100).for_each(&mut write);
    let mut live = process.connect();
    assert!(live.ask("FILEDB.FEED 0").contains("start"));
    (0..100).for_each(|_| drop(next(&mut live)));
    let before = process.anonymous();
    let mut silent: Vec<Client> = (0..8).map(|_| process.connect()).collect();
    silent.iter_mut().for_each(|client| client.send(&encode(&["FILEDB.FEED", "0"])));
    for n in 0..1000 {
        write(n);
        // One that reads is told each change, whatever those do that do not.
        assert!(next(&mut live).starts_with("put "));
    }
    let more = process.anonymous().saturating_sub(before);
    println!("{} KiB more, for 8 clients that do not read", more >> 10);
    assert!(more < 48 << 20, "{} KiB more, for 8 clients that did not read 64 MiB", more >> 10);
    // And they miss nothing when they read at last.
    for client in &mut silent {
        assert_eq!(next(client), "start 0 - - - -");
        for n in 0..1100 {
            assert!(next(client).starts_with(&format!("put {} 0 k", n + 1)));
        }
    }
}

#[test]
fn who_goes_on_anywhere_is_told_the_exchanges_of_databases_whose_records_merges_have_dropped() {
    let (_directory, process) = server(&["--keep-tombstones-ms", "1000000000"]);
    let (mut writer, mut reader) = (process.connect(), process.connect());
    let (one, other) = (["SELECT 1", "SET one a", "SELECT 0", "SET zero a"], ["SET mid 1", "SET mid2 1"]);
    let all = one.iter().chain(&["SWAPDB 0 1"]).chain(&other).chain(&["SWAPDB 2 3", "SET late 1", "SET z 1"]);
    all.for_each(|command| assert_eq!(writer.ask(command), "+OK\r\n", "{command}"));
    writer.ask("BGREWRITEAOF");
    until("it was merged", || figure(&mut writer, "merges") > 0 && figure(&mut writer, "merging") == 0);
    let (last, expected) = (figure(&mut writer, "last_seq"), contents(&mut writer));
    let mut told: Vec<Vec<u8>> = Vec::new();
    reader.send(&encode(&["FILEDB.FEED", "0"]));
    while told.last().is_none_or(|message| number(message) < last) {
        told.push(reader.reply());
    }
    for stop in 1..=told.len() {
        let mut following = Following::default();
        told[..stop].iter().for_each(|message| assert!(following.apply(message)));
        let mut seq = number(&told[stop - 1]);
        let mut client = process.connect();
        assert!(client.ask(&format!("FILEDB.FEED {seq}")).contains("start"));
        while seq < last {
            let message = client.reply();
            assert!(following.apply(&message));
            seq = number(&message);
        }
        assert_eq!(following.held(), expected, "who goes on behind message {stop} of {}", told.len());
    }
}

/// The number of a message.
fn number(message: &[u8]) -> u64 {
    String::from_utf8(parts(message)[2].clone().unwrap()).unwrap().parse().unwrap()
}

const DATABASES: usize = 3;

/// Some commands that change something.
fn commands(random: &mut Random, step: u64) -> Vec<u8> {
    let key = |random: &mut Random| format!("k{}", random.below(8));
    let mut bytes = encode(&["SELECT", &random.below(DATABASES).to_string()]);
    let is_transaction = random.below(8) == 0;
    if is_transaction {
        bytes.extend(encode(&["MULTI"]));
    }
    for n in 0..1 + random.below(6) {
        let (one, other) = (key(random), key(random));
        let value = format!("{step}.{n}.{}", "x".repeat(random.below(40)));
        let end = random.one(&["LEFT", "RIGHT"]);
        let number = random.below(DATABASES).to_string();
        let life = random.one(&["1", "40", "100000000"]);
        let words: &[&str] = match random.below(34) {
            0..5 => &["SET", &one, &value],
            5 => &["SET", &one, &value, "PX", life],
            6 | 7 => &["DEL", &one, &other],
            8 => &["APPEND", &one, "+"],
            9..13 => &["RPUSH", &one, &value, "b"],
            13 | 14 => &["LPUSH", &one, &value],
            15 => &["LPOP", &one],
            16 => &["RPOP", &one, "2"],
            17 => &["LSET", &one, "0", &value],
            18 => &["LINSERT", &one, "BEFORE", "b", &value],
            19 => &["LREM", &one, "1", "b"],
            20 => &["LTRIM", &one, "1", "5"],
            21 => &["PEXPIRE", &one, life],
            22 => &["PERSIST", &one],
            23 => &["RENAME", &one, &other],
            24 => &["COPY", &one, &other, "DB", &number, "REPLACE"],
            25 => &["MOVE", &one, &number],
            26 | 27 => &["LMOVE", &one, &other, end, "LEFT"],
            28 => &["MSET", &one, &value, &other, "m"],
            29 => &["GETDEL", &one],
            30 if random.below(4) == 0 => &["SWAPDB", &number, "1"],
            31 if random.below(6) == 0 => &["FLUSHDB"],
            32 if random.below(20) == 0 => &["FLUSHALL"],
            33 if random.below(10) == 0 && !is_transaction => &["BGREWRITEAOF"],
            _ => &["SET", &one, &value],
        };
        bytes.extend(encode(words));
    }
    if is_transaction {
        bytes.extend(encode(&["EXEC"]));
    }
    bytes
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// How much a follower was told, and how often it began anew.
fn so_far(following: &Mutex<Following>) -> (u64, u64) {
    let following = following.lock().unwrap();
    (following.told, following.gaps)
}

/// Followers that are killed anywhere, and servers that are, while random commands run: how often one had to begin anew.
fn history(seed: u64, kills: u64, engine: &str) -> u64 {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    let sync = random.one(&["none", "always"]);
    let options =
        ["--engine", engine, "--sync", sync, "--threads", "2", "--keep-tombstones-ms", "1000000000"];
    let options = &options[..if engine == "lsm" { 6 } else { 8 }];
    let mut process = Process::filedb(&store, options);
    let following = Arc::new(Mutex::new(Following::default()));
    let mut client = process.connect();
    let mut follower = Follower::start(process.port, &following, 1 + random.next() % 200);
    let mut step = 0;
    for _ in 0..kills {
        let (before, mut sent) = (so_far(&following), 0);
        for _ in 0..1 + random.below(10) {
            step += 1;
            client.send(&commands(&mut random, step));
            client.send(&encode(&["SET", "step", &step.to_string()]));
            client.send(&encode(&["ECHO", &step.to_string()]));
            sent = step;
        }
        if random.below(16) == 0 {
            process.kill();
            follower.join();
            process = Process::filedb(&store, options);
            client = process.connect();
        } else {
            let wait = |client: &mut Client| {
                let last = format!("${}\r\n{sent}\r\n", sent.to_string().len()).into_bytes();
                while client.reply() != last {}
            };
            // Before the changes are made, or after that.
            let is_early = random.below(2) == 0;
            if !is_early {
                wait(&mut client);
            }
            if random.below(3) == 0 {
                // In the middle of what it is told, and not before it was told anything.
                until("it goes on or has ended", || so_far(&following) != before || follower.is_over());
            }
            follower.kill();
            if is_early {
                wait(&mut client);
            }
        }
        follower = Follower::start(process.port, &following, 1 + random.next() % 200);
    }
    follower.kill();
    let follower = Follower::start(process.port, &following, u64::MAX);
    let end = Instant::now() + Duration::from_secs(60);
    while contents(&mut client) != following.lock().unwrap().held() {
        if Instant::now() > end {
            let (expected, found) = (contents(&mut client), following.lock().unwrap().clone());
            assert_eq!(found.held(), expected, "seed {seed}, {engine}, sync {sync}, at {}", found.seq);
        }
    }
    follower.kill();
    let gaps = following.lock().unwrap().gaps;
    assert!(engine == "lsm" || gaps == 0, "seed {seed}: nothing was dropped, and there were {gaps} gaps");
    gaps
}

fn histories(engine: &str, kills: u64) {
    let seed = setting("FILEDB_FEED_SEED", 1);
    let (each, mut gaps) = (25, 0);
    for n in 0..kills.div_ceil(each) {
        gaps += history(seed + n, each.min(kills - n * each), engine);
    }
    println!("{engine}: {kills} kills, {gaps} gaps");
}

#[test]
fn who_follows_and_is_killed_anywhere_ends_with_what_the_server_has() {
    histories("bitcask", setting("FILEDB_FEED_KILLS", 100));
}

#[test]
fn with_the_ordered_engine_who_comes_to_a_gap_begins_anew_and_ends_with_what_the_server_has() {
    histories("lsm", setting("FILEDB_FEED_KILLS", 100) / 2);
}
