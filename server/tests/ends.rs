//! Clients that go away, servers that end, and clients that send much before they read.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use common::{Client, Process, encode};

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
    }
}

fn count(info: &str, name: &str) -> u64 {
    let line = info.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().parse().unwrap()
}

#[test]
fn a_client_that_went_away_during_a_pause_is_given_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), &["--threads", "1"]);
    let (mut client, mut gone) = (process.connect(), process.connect());
    gone.ask("PING");
    client.ask("CLIENT PAUSE 100000 WRITE");
    gone.send(&encode(&["BLPOP", "queue", "0"]));
    drop(gone);
    (0..3).for_each(|_| assert_eq!(client.ask("PING"), "+PONG\r\n"));
    client.ask("CLIENT UNPAUSE");
    until("the client waits or has gone", || {
        let info = client.ask("INFO clients");
        count(&info, "connected_clients") == 1 || count(&info, "blocked_clients") == 1
    });
    assert_eq!(client.ask("RPUSH queue x"), ":1\r\n");
    assert_eq!(client.ask("LLEN queue"), ":1\r\n");
}

#[test]
fn a_server_that_ends_gives_no_element_to_a_client_that_it_does_not_tell() {
    for _ in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store");
        let process = Process::filedb(&store, &["--threads", "2"]);
        // The threads have connections in turn: the first and the third are of one thread, the others of the other.
        let mut all: Vec<Client> = (0..4).map(|_| process.connect()).collect();
        all.iter_mut().for_each(|client| assert_eq!(client.ask("PING"), "+PONG\r\n"));
        let [client, waiter, _, ender] = all.as_mut_slice() else { unreachable!() };
        waiter.send(&encode(&["BLPOP", "queue", "0"]));
        until("the client waits", || count(&client.ask("INFO clients"), "blocked_clients") == 1);
        client.ask("MULTI");
        // Time for the other thread to end.
        let commands: Vec<_> = (0..20_000).map(|n| encode(&["SET", &format!("k{n}"), "v"])).collect();
        client.send(&commands.concat());
        (0..20_000).for_each(|_| assert_eq!(client.reply(), b"+QUEUED\r\n"));
        client.ask("RPUSH queue x");
        client.send(&encode(&["EXEC"]));
        ender.send(&encode(&["SHUTDOWN"]));
        let was_given = waiter.try_reply().is_some_and(|reply| reply.ends_with(b"$1\r\nx\r\n"));
        while client.try_reply().is_some() {}
        drop(process);
        let process = Process::filedb(&store, &[]);
        let is_there = process.connect().ask("LLEN queue") == ":1\r\n";
        assert!(was_given != is_there, "given: {was_given}, there: {is_there}");
    }
}

#[test]
fn a_client_may_send_all_of_its_commands_before_it_reads_a_reply() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), &["--threads", "1"]);
    let mut client = process.connect();
    client.stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    let text = "x".repeat(1000);
    let commands = encode(&["ECHO", &text]).repeat(100);
    for _ in 0..400 {
        client.stream.write_all(&commands).expect("the server reads on");
    }
    // It ends what it sends, and gets all replies.
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut replies = 0;
    while let Some(reply) = client.try_reply() {
        assert_eq!(reply.len(), 1000 + 9);
        replies += 1;
    }
    assert_eq!(replies, 40_000);
}

#[test]
fn gets_of_large_values_are_answered_as_far_as_they_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), &["--threads", "1"]);
    let mut witness = process.connect();
    let value = vec![b'x'; 4 << 20];
    witness.command(&[b"SET".to_vec(), b"big".to_vec(), value]);
    let before = process.resident();
    let mut client = process.connect();
    client.send(&encode(&["GET", "big"]).repeat(100));
    (0..3).for_each(|_| assert_eq!(witness.ask("PING"), "+PONG\r\n"));
    let grown = process.resident().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes for one client");
    (0..100).for_each(|_| assert_eq!(client.reply().len(), (4 << 20) + 12));
    // Commands in between, and the reply of each.
    let line = [encode(&["GET", "big"]), encode(&["STRLEN", "big"]), encode(&["GET", "none"])].concat();
    client.send(&line.repeat(20));
    for _ in 0..20 {
        assert_eq!(client.reply().len(), (4 << 20) + 12);
        assert_eq!(client.reply(), b":4194304\r\n");
        assert_eq!(client.reply(), b"$-1\r\n");
    }
}

#[test]
fn a_part_of_a_command_is_no_reason_to_keep_a_connection() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), &[]);
    let mut client = process.connect();
    client.send(b"*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$5\r\nab");
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut all = Vec::new();
    client.stream.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"+PONG\r\n");
}

#[test]
fn a_file_that_is_no_socket_is_not_replaced_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, "precious").unwrap();
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_filedb-server"))
        .arg("--dir")
        .arg(directory.path().join("store"))
        .args(["--port", "0", "--unixsocket"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(!ended.status.success());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_reply_that_nobody_wants_is_not_sent_late() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), &["--threads", "2"]);
    let (mut client, mut other): (Client, Client) = (process.connect(), process.connect());
    client.send(
        &[encode(&["CLIENT", "REPLY", "SKIP"]), encode(&["BLPOP", "queue", "0"]), encode(&["PING"])].concat(),
    );
    until("the client waits", || count(&other.ask("INFO clients"), "blocked_clients") == 1);
    other.ask("RPUSH queue x");
    assert_eq!(client.reply(), b"+PONG\r\n");
}
