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

#[test]
fn a_subscriber_that_does_not_read_is_disconnected_at_its_limit_and_who_publishes_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--threads", "1", "--set", "client-output-buffer-limit=pubsub 1mb 0 0"];
    let process = Process::filedb(&directory.path().join("store"), &options);
    let (mut deaf, mut listener, mut other) = (process.connect(), process.connect(), process.connect());
    deaf.ask("SUBSCRIBE news");
    listener.ask("SUBSCRIBE news");
    let before = process.resident();
    let message = "m".repeat(100_000);
    let mut sent = 0;
    while other.ask("PUBSUB NUMSUB news") != "*2\r\n$4\r\nnews\r\n:1\r\n" {
        assert!(other.command(&["PUBLISH", "news", &message]).starts_with(':'));
        assert!(listener.reply().ends_with(format!("{message}\r\n").as_bytes()));
        sent += 1;
        assert!(sent < 10_000, "who does not read is still there");
    }
    let grown = process.resident().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
}

#[test]
fn a_command_that_is_larger_than_the_limit_ends_its_connection() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--set", "client-query-buffer-limit=2mb"];
    let process = Process::filedb(&directory.path().join("store"), &options);
    let mut witness = process.connect();
    let mut client = process.connect();
    let value = "v".repeat(600_000);
    assert_eq!(client.command(&["MSET", "a", &value, "b", &value, "c", &value]), "+OK\r\n");
    let large = encode(&["MSET", "a", &value, "b", &value, "c", &value, "d", &value, "e", &value]);
    // It may be reset before all is sent.
    let _ = std::io::Write::write_all(&mut client.stream, &large);
    let mut all = Vec::new();
    let _ = client.stream.read_to_end(&mut all);
    assert!(all.is_empty() || all.starts_with(b"-ERR Protocol error"), "{}", all.escape_ascii());
    assert_eq!(witness.ask("EXISTS a d"), ":1\r\n");
}

#[test]
fn who_sends_commands_and_reads_no_reply_is_read_up_to_a_limit_and_loses_none() {
    const LIMIT: usize = 64 << 20;
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), &[]);
    let mut witness = process.connect();
    let before = process.resident();
    let mut client = process.connect();
    client.stream.set_write_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
    let command = encode(&["ECHO", &"e".repeat(100_000)]);
    let mut sent = 0;
    // Nobody reads what comes behind that; the sockets hold a part of it.
    while sent < 4 * LIMIT {
        match std::io::Write::write(&mut client.stream, &command[sent % command.len()..]) {
            Ok(count) => sent += count,
            Err(_) => break,
        }
    }
    assert!(sent > LIMIT && sent < 2 * LIMIT, "{sent} bytes were taken");
    assert_eq!(witness.ask("PING"), "+PONG\r\n");
    let grown = process.resident().saturating_sub(before);
    assert!(grown < 2 * LIMIT as u64, "{grown} bytes");
    let mut rest = client.stream.try_clone().unwrap();
    rest.set_write_timeout(None).unwrap();
    let end = command[sent % command.len()..].to_vec();
    let ends = std::thread::spawn(move || std::io::Write::write_all(&mut rest, &end).unwrap());
    for n in 0..sent.div_ceil(command.len()) {
        assert_eq!(client.reply().len(), 100_000 + "$100000\r\n\r\n".len(), "reply {n}");
    }
    ends.join().unwrap();
}
