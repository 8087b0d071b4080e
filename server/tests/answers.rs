//! What commands do, beyond their texts.

#![allow(clippy::unwrap_used)]

mod common;

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use common::{Client, Process, encode};

fn server(options: &[&str]) -> (tempfile::TempDir, Process) {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::filedb(&directory.path().join("store"), options);
    (directory, process)
}

#[test]
fn a_bit_that_is_set_already_is_not_written() {
    let (_directory, process) = server(&[]);
    let (mut one, mut other) = (process.connect(), process.connect());
    let appended = |client: &mut Client| {
        let info = client.ask("INFO filedb");
        info.lines().find_map(|line| line.strip_prefix("appended_bytes:")).unwrap().to_owned()
    };
    one.ask("SET k abc EX 1000");
    one.ask("WATCH k");
    let before = appended(&mut other);
    assert_eq!(other.ask("SETBIT k 1 1"), ":1\r\n");
    assert_eq!(other.ask("SETBIT k 0 0"), ":0\r\n");
    assert_eq!(appended(&mut other), before);
    one.ask("MULTI");
    one.ask("TTL k");
    assert_ne!(one.ask("EXEC"), "*-1\r\n", "nothing was changed, and the watch holds");
    one.ask("WATCH k");
    // A bit behind the end makes the string longer, also where it is 0.
    assert_eq!(other.ask("SETBIT k 100 0"), ":0\r\n");
    assert_eq!(other.ask("STRLEN k"), ":13\r\n");
    one.ask("MULTI");
    one.ask("TTL k");
    assert_eq!(one.ask("EXEC"), "*-1\r\n");
}

#[test]
fn appendfsync_changes_when_a_reply_is_sent() {
    let (_directory, process) = server(&["--sync", "none"]);
    let mut client = process.connect();
    let synced = |client: &mut Client| {
        let info = client.ask("INFO persistence");
        assert!(info.contains("aof_fsync:always"));
        info.contains("rdb_changes_since_last_save:0\r\n")
    };
    assert_eq!(client.ask("CONFIG SET appendfsync always"), "+OK\r\n");
    for n in 0..20 {
        assert_eq!(client.ask(&format!("SET k{n} v")), "+OK\r\n");
        assert!(synced(&mut client), "an acknowledged write is on the disk");
    }
    assert_eq!(client.ask("CONFIG SET appendfsync no"), "+OK\r\n");
    assert_eq!(client.ask("SET k v"), "+OK\r\n");
    assert!(client.ask("INFO persistence").contains("aof_fsync:no\r\n"));
}

#[test]
fn config_rewrite_keeps_appendfsync_and_the_command_line_wins() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.toml");
    std::fs::write(&file, "sync = \"none\"\n").unwrap();
    let store = directory.path().join("store");
    let start = |options: &[&str]| {
        Process::filedb(&store, &[&["--config", file.to_str().unwrap()], options].concat())
    };
    let process = start(&[]);
    let mut client = process.connect();
    assert!(client.ask("CONFIG GET appendfsync").contains("\r\nno\r\n"));
    client.ask("CONFIG SET appendfsync always");
    assert_eq!(client.ask("CONFIG REWRITE"), "+OK\r\n");
    assert!(process.terminate());
    let process = start(&[]);
    assert!(process.connect().ask("CONFIG GET appendfsync").contains("always"));
    assert!(process.terminate());
    assert!(start(&["--sync", "interval"]).connect().ask("CONFIG GET appendfsync").contains("everysec"));
}

#[test]
fn client_list_tells_what_is_queued_and_what_waits() {
    let (_directory, process) = server(&["--threads", "1"]);
    let (mut one, mut other) = (process.connect(), process.connect());
    let line = |client: &mut Client, name: &str| {
        let list = client.ask("CLIENT LIST");
        list.lines().find(|line| line.contains(&format!(" name={name} "))).unwrap().to_owned()
    };
    let number = |line: &str, field: &str| -> u64 {
        line.split(' ').find_map(|word| word.strip_prefix(field)).unwrap().parse().unwrap()
    };
    one.ask("CLIENT SETNAME one");
    one.ask("MULTI");
    one.ask("SET k v");
    one.ask("GET k");
    let shown = line(&mut other, "one");
    assert_eq!(number(&shown, "multi="), 2);
    assert!(number(&shown, "multi-mem=") > 0 && number(&shown, "tot-mem=") > number(&shown, "multi-mem="));
    one.ask("EXEC");
    assert!(
        line(&mut other, "one").contains(" multi=-1 ") && line(&mut other, "one").contains(" multi-mem=0 ")
    );
    // A command that has come in part.
    let part = encode(&["SET", "k", "a value that goes on"]);
    one.send(&part[..part.len() - 9]);
    while number(&line(&mut other, "one"), "qbuf=") != part.len() as u64 - 9 {
        std::thread::yield_now();
    }
    one.send(&part[part.len() - 9..]);
    assert_eq!(one.reply(), b"+OK\r\n");
    while number(&line(&mut other, "one"), "qbuf=") != 0 {
        std::thread::yield_now();
    }
}

#[test]
fn keys_that_move_between_databases_are_in_one_of_them() {
    let (_directory, process) = server(&["--threads", "2"]);
    let mut first = process.connect();
    for n in 0..8 {
        first.ask(&format!("SET k{n} v"));
    }
    let port = process.port;
    let work = |database: u8| {
        move || {
            let mut client = Client::connect(port);
            client.ask(&format!("SELECT {database}"));
            let mut moved = 0;
            for n in 0..2000 {
                let line = format!("MOVE k{} {}", n % 8, 1 - database);
                moved += i64::from(client.ask(&line) == ":1\r\n");
                client.ask(&format!("COPY k{} c{} DB {} REPLACE", n % 8, n % 8, 1 - database));
            }
            moved
        }
    };
    let threads = [0, 1].map(|database| std::thread::spawn(work(database)));
    let [there, back] = threads.map(|thread| thread.join().unwrap());
    first.ask("SELECT 1");
    let count = |client: &mut Client| {
        (0..8).filter(|n| client.ask(&format!("EXISTS k{n}")) == ":1\r\n").count() as i64
    };
    let in_second = count(&mut first);
    first.ask("SELECT 0");
    assert_eq!((count(&mut first), in_second), (8 - in_second, there - back));
}

#[test]
fn systemd_is_told_that_the_server_ends_when_that_begins() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let store = directory.path().join("store");
    let process = Process::filedb_with(&store, &[], &[("NOTIFY_SOCKET", &path)]);
    let mut buffer = [0; 64];
    let mut told = || {
        let count = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    assert_eq!(told(), "READY=1");
    let mut client = process.connect();
    client.send(&encode(&["SHUTDOWN"]));
    assert_eq!(told(), "STOPPING=1");
    assert!(client.try_reply().is_none());
    assert!(process.terminate());
}

/// Its own loop closes it, and may be late.
#[test]
fn a_client_that_was_killed_is_not_listed_any_more() {
    let (_directory, process) = server(&["--threads", "2"]);
    let mut killer = process.connect();
    for _ in 0..200 {
        let mut victim = process.connect();
        let id = victim.ask("CLIENT ID")[1..].trim().to_owned();
        assert_eq!(killer.ask(&format!("CLIENT KILL ID {id}")), ":1\r\n");
        assert!(!killer.ask("CLIENT LIST").contains(&format!("id={id} ")));
        assert_eq!(killer.ask(&format!("CLIENT KILL ID {id}")), ":0\r\n");
        assert!(victim.try_reply().is_none());
    }
}
