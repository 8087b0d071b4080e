//! Hostile clients: random arguments to every command, and random bytes. The server answers, or ends that connection; no thread of it fails, and
//! another client is served.
//!
//! `FILEDB_TEST_SEED` is the seed, which a failure names, and `FILEDB_TEST_HISTORIES` the number of histories, each on connections of its
//! own; `cargo xtask torture hostile-clients` goes on with fresh seeds.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};

use common::{Client, Random, encode};
use filedb_server::commands::table;
use filedb_server::config::Config;
use filedb_server::run::{self, Running};

/// They end the connection or the server, or change what is answered to whom, or wait; what is left of these is in the tests of the protocol.
const NOT_SENT: &[&str] =
    &["shutdown", "quit", "client|reply", "client|kill", "client|pause", "debug", "hello", "config|rewrite"];

/// Words that some command knows.
const WORDS: &str = "EX PX EXAT PXAT NX XX GT LT GET KEEPTTL PERSIST COUNT MATCH TYPE LIMIT BY ASC DESC ALPHA STORE LEFT RIGHT REPLACE DB \
                     LEN IDX MINMATCHLEN WITHMATCHLEN RANK MAXLEN BEFORE AFTER BIT BYTE AND OR XOR NOT ABSTTL IDLETIME FREQ SAMPLES TIMEOUT \
                     ERROR ON OFF YES NO SYNC ASYNC NOSAVE FORCE LIB-NAME ID USER ADDR SKIPME MODULE FILTERBY PATTERN # nosort k* *";
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "-8",
    "16",
    "255",
    "1000",
    "65536",
    "1000000",
    "2147483647",
    "2147483648",
    "4294967295",
    "-2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551616",
    "0.5",
    "1e308",
    "-1e308",
    "inf",
    "nan",
    "0x10",
    "+1",
    "01",
    " 1",
    "",
];

fn argument(random: &mut Random) -> Vec<u8> {
    match random.below(10) {
        0..4 => format!("k{}", random.below(6)).into_bytes(),
        4..7 => random.one(NUMBERS).as_bytes().to_vec(),
        7 | 8 => random.one(&WORDS.split_whitespace().collect::<Vec<_>>()).as_bytes().to_vec(),
        _ => random.bytes(40),
    }
}

fn command(random: &mut Random) -> Vec<Vec<u8>> {
    loop {
        let all: Vec<_> = table::all().collect();
        let command = random.one(&all);
        let line = match command.subcommands {
            [] => command,
            // Sometimes with a subcommand that is not there.
            _ if random.below(20) == 0 => command,
            subcommands => &subcommands[random.below(subcommands.len())],
        };
        if NOT_SENT.contains(&line.name) || NOT_SENT.contains(&command.name) {
            continue;
        }
        let mut words: Vec<Vec<u8>> = line.name.split('|').map(|word| word.as_bytes().to_vec()).collect();
        // Mostly as many arguments as it takes.
        let least = (line.arity.unsigned_abs() as usize).saturating_sub(words.len());
        let more = if line.arity < 0 || random.below(20) == 0 { random.below(5) } else { 0 };
        (0..least + more).for_each(|_| words.push(argument(random)));
        // Nobody is to wait for an element for long.
        if ["blpop", "brpop", "brpoplpush", "blmove"].contains(&line.name)
            && let Some(last) = words.last_mut()
        {
            *last = b"0.001".to_vec();
        } else if line.name == "blmpop" || line.name.starts_with("wait") {
            let at = if line.name == "blmpop" { 1 } else { words.len() - 1 };
            words[at] = b"0.001".to_vec();
        }
        return words;
    }
}

fn started(directory: &std::path::Path, engine: &str) -> Running {
    let dir = directory.join(engine);
    let args = [
        "filedb-server",
        "--dir",
        dir.to_str().unwrap(),
        "--port",
        "0",
        "--threads",
        "2",
        "--engine",
        engine,
    ];
    // Values stay small, and with them what a bit or a range far away makes.
    let args = args.into_iter().chain(["--set", "proto-max-bulk-len=1048576"]);
    run::start(Config::from_args(args).unwrap_or_else(|why| panic!("{why}")))
        .unwrap_or_else(|why| panic!("{why}"))
}

/// Whether the server does what another client asks.
fn check_others_are_served(port: u16, what: &str) {
    let mut client = Client::connect(port);
    client.send(&encode(&["ECHO", "well"]));
    let reply = client.try_reply();
    assert_eq!(reply.as_deref(), Some(&b"$4\r\nwell\r\n"[..]), "{what}");
}

/// Random arguments: each command gets a whole reply, but for subscriptions, which get any number.
fn arguments(random: &mut Random, port: u16, what: &str) -> u64 {
    let mut client = Client::connect(port);
    let mut sent = Vec::new();
    for _ in 0..200 {
        let words = command(random);
        let shown: Vec<_> = words.iter().map(|word| word.escape_ascii().to_string()).collect();
        sent.push(shown.join(" "));
        client.send(&encode(&words));
    }
    // What ends all of the states that it may be in.
    client.send(&encode(&["RESET"]));
    client.send(&encode(&["ECHO", "the end"]));
    loop {
        let Some(reply) = client.try_reply() else {
            panic!("{what}: the connection ended after:\n{}", sent.join("\n"))
        };
        if reply == b"$7\r\nthe end\r\n" {
            return sent.len() as u64;
        }
    }
}

/// Random bytes, and commands of which some bytes are others: any reply is right, and so is the end of the connection.
fn bytes(random: &mut Random, port: u16) {
    let mut input: Vec<u8> = match random.below(3) {
        0 => random.bytes(2000),
        _ => (0..20).flat_map(|_| encode(&command(random))).collect(),
    };
    for _ in 0..random.below(12) {
        let (at, byte) = (random.below(input.len().max(1)), random.one(b"*$:-+\r\n09\x00\xff\"' "));
        match random.below(3) {
            0 => input.insert(at.min(input.len()), byte),
            1 if at < input.len() => drop(input.remove(at)),
            _ if at < input.len() => input[at] = byte,
            _ => {}
        }
    }
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut rest = input.as_slice();
    while !rest.is_empty() {
        let (piece, left) = rest.split_at(1 + random.below(rest.len()));
        // The server may have ended the connection.
        if stream.write_all(piece).is_err() {
            return;
        }
        rest = left;
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.set_read_timeout(Some(std::time::Duration::from_secs(60)));
    let mut replies = Vec::new();
    if let Err(error) = stream.read_to_end(&mut replies) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "after {}", input.escape_ascii());
    }
}

#[test]
fn hostile_clients_are_answered_or_disconnected_and_harm_nobody() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let first = number("FILEDB_TEST_SEED").unwrap_or_else(|| std::process::id().into());
    let histories = number("FILEDB_TEST_HISTORIES").unwrap_or(25);
    let directory = tempfile::tempdir().unwrap();
    let mut sent = 0;
    for engine in ["bitcask", "lsm"] {
        let running = started(directory.path(), engine);
        let port = running.port.unwrap();
        for seed in first..first + histories {
            let what = format!("FILEDB_TEST_SEED={seed} FILEDB_TEST_HISTORIES=1, {engine}");
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            sent += arguments(&mut random, port, &what);
            (0..5).for_each(|_| bytes(&mut random, port));
            check_others_are_served(port, &what);
        }
        running.server.end();
        running.wait().unwrap_or_else(|why| panic!("seeds from {first} on, {engine}: {why}"));
    }
    println!("tally: {sent} commands of hostile clients");
}
