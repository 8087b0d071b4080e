//! What clients are told where the disk is slow, full or broken.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "../../tests/support/mount.rs"]
#[allow(dead_code)]
mod mount;

use std::net::Shutdown;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Client, Process, encode};

/// A server whose syncs a test can hold up, or let fail.
struct Disk {
    _directory: tempfile::TempDir,
    hold: PathBuf,
    fail: PathBuf,
    refuse: PathBuf,
    process: Process,
}

impl Disk {
    fn new(options: &[&str]) -> Disk {
        let directory = tempfile::tempdir().unwrap();
        let (source, library) = (directory.path().join("disk.c"), directory.path().join("disk.so"));
        std::fs::write(&source, include_str!("common/disk.c")).unwrap();
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
        assert!(built.unwrap().success(), "the C compiler has failed");
        let [hold, fail, refuse] = ["hold", "fail", "refuse"].map(|name| directory.path().join(name));
        let environment = [
            ("LD_PRELOAD", library.as_path()),
            ("FILEDB_TEST_HOLD", hold.as_path()),
            ("FILEDB_TEST_FAIL", fail.as_path()),
            ("FILEDB_TEST_REFUSE", refuse.as_path()),
        ];
        let process = Process::filedb_with(&directory.path().join("store"), options, &environment);
        Disk { _directory: directory, hold, fail, refuse, process }
    }

    fn set(&self, path: &PathBuf, there: bool) {
        match there {
            true => std::fs::write(path, "").unwrap(),
            false => std::fs::remove_file(path).unwrap(),
        }
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
    }
}

/// Whether a client is not sent anything for a moment.
fn hears_nothing(client: &Client) -> bool {
    client.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let heard = client.stream.peek(&mut [0]);
    client.stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    heard.is_err()
}

#[test]
fn neither_info_nor_who_begins_to_follow_keeps_others_waiting_for_the_disk() {
    let disk = Disk::new(&["--sync", "always", "--threads", "2"]);
    // Loops take them in turns. With the writer's nothing is asked: what is answered in the round of a write waits with it.
    let (mut writer, mut other) = (disk.process.connect(), disk.process.connect());
    assert_eq!(writer.ask("PING"), "+PONG\r\n");
    assert_eq!(other.ask("PING"), "+PONG\r\n");
    let (mut idle, mut follower) = (disk.process.connect(), disk.process.connect());
    assert_eq!(idle.ask("PING"), "+PONG\r\n");
    assert_eq!(writer.ask("SET k 1"), "+OK\r\n");
    disk.set(&disk.hold, true);
    writer.send(&encode(&["SET", "k", "2"]));
    until("it is written", || other.ask("GET k") == "$1\r\n2\r\n");
    assert!(other.ask("INFO filedb").contains("last_seq:2\r\n"));
    follower.send(&encode(&["FILEDB.FEED", "$"]));
    assert_eq!(other.ask("GET k"), "$1\r\n2\r\n");
    assert!(hears_nothing(&follower), "a power cut may give that number to another change");
    disk.set(&disk.hold, false);
    assert_eq!(writer.reply(), b"+OK\r\n");
    assert!(String::from_utf8(follower.reply()).unwrap().contains(":2\r\n"));
}

#[test]
fn a_reply_waits_for_the_disk_also_where_its_command_had_to_wait_first() {
    let disk = Disk::new(&["--sync", "always", "--threads", "2"]);
    let (mut writer, mut other) = (disk.process.connect(), disk.process.connect());
    assert_eq!(writer.ask("PING"), "+PONG\r\n");
    // It ends by itself, when the loop has nothing else to do.
    assert_eq!(other.ask("CLIENT PAUSE 700 WRITE"), "+OK\r\n");
    disk.set(&disk.hold, true);
    // More keys than are collected for one batch: they are written in the middle of what is done when the pause is over.
    let mut commands: Vec<Vec<u8>> = (0..1025).map(|n| encode(&["SET", &format!("k{n}"), "v"])).collect();
    commands.push(encode(&["EXISTS", "k0"]));
    writer.send(&commands.concat());
    until("the keys are written", || other.ask("GET k1024") == "$1\r\nv\r\n");
    assert!(hears_nothing(&writer), "a reply came before its write was on the disk");
    disk.set(&disk.hold, false);
    (0..1025).for_each(|_| assert_eq!(writer.reply(), b"+OK\r\n"));
    assert_eq!(writer.reply(), b":1\r\n");
}

#[test]
fn the_reply_to_swapdb_waits_for_the_disk_also_where_that_was_promised_while_the_server_ran() {
    let disk = Disk::new(&["--sync", "none", "--threads", "1"]);
    let mut client = disk.process.connect();
    assert_eq!(client.ask("SET k 1"), "+OK\r\n");
    assert_eq!(client.ask("CONFIG SET appendfsync always"), "+OK\r\n");
    disk.set(&disk.hold, true);
    client.send(&encode(&["SWAPDB", "0", "1"]));
    assert!(hears_nothing(&client), "a reply came before the exchange was on the disk");
    disk.set(&disk.hold, false);
    assert_eq!(client.reply(), b"+OK\r\n");
}

#[test]
fn a_client_that_will_send_no_more_gets_its_reply_when_the_disk_has_its_write() {
    let disk = Disk::new(&["--sync", "always", "--threads", "2"]);
    let (mut writer, mut other) = (disk.process.connect(), disk.process.connect());
    disk.set(&disk.hold, true);
    writer.send(&encode(&["SET", "k", "v"]));
    writer.stream.shutdown(Shutdown::Write).unwrap();
    until("the key is written", || other.ask("GET k") == "$1\r\nv\r\n");
    disk.set(&disk.hold, false);
    assert_eq!(writer.reply(), b"+OK\r\n");
    assert_eq!(writer.try_reply(), None);
}

#[test]
fn a_wait_for_the_disk_ends_in_its_time() {
    let disk = Disk::new(&["--sync", "none"]);
    let mut client = disk.process.connect();
    disk.set(&disk.hold, true);
    assert_eq!(client.ask("SET k v"), "+OK\r\n");
    assert_eq!(client.ask("WAITAOF 1 0 50"), "*2\r\n:0\r\n:0\r\n");
    // Or when another client says so.
    let mut other = disk.process.connect();
    let id = client.ask("CLIENT ID");
    client.send(&encode(&["WAITAOF", "1", "0", "0"]));
    until("the client is let go", || other.ask(&format!("CLIENT UNBLOCK {}", id[1..].trim())) == ":1\r\n");
    assert_eq!(client.reply(), b"*2\r\n:0\r\n:0\r\n");
    client.send(&[encode(&["WAITAOF", "1", "0", "0"]), encode(&["PING"])].concat());
    assert!(hears_nothing(&client), "the write is not on the disk");
    disk.set(&disk.hold, false);
    assert_eq!(client.reply(), b"*2\r\n:1\r\n:0\r\n");
    assert_eq!(client.reply(), b"+PONG\r\n");
    assert_eq!(client.ask("WAITAOF 0 0 0"), "*2\r\n:1\r\n:0\r\n");
    // A reply that waits for the disk goes on waiting whatever comes behind it.
    disk.set(&disk.hold, true);
    client.ask("SET k w");
    client.send(&[encode(&["SAVE"]), encode(&["WAITAOF", "0", "0", "0"])].concat());
    assert!(hears_nothing(&client), "nothing was saved");
    disk.set(&disk.hold, false);
    assert_eq!(client.reply(), b"+OK\r\n");
}

#[test]
fn after_a_sync_that_failed_nobody_waits_for_the_disk() {
    let disk = Disk::new(&["--sync", "none"]);
    let (mut saver, mut waiter) = (disk.process.connect(), disk.process.connect());
    disk.set(&disk.hold, true);
    assert_eq!(saver.ask("SET k v"), "+OK\r\n");
    waiter.send(&encode(&["WAITAOF", "1", "0", "0"]));
    saver.send(&encode(&["SAVE"]));
    disk.set(&disk.fail, true);
    disk.set(&disk.hold, false);
    let told = waiter.reply();
    assert!(told.starts_with(b"-MISCONF"), "{}", told.escape_ascii());
    // What became of the write nobody knows.
    assert!(saver.try_reply().is_none_or(|told| told.starts_with(b"-MISCONF")));
    let mut client = disk.process.connect();
    for command in ["SAVE", "WAITAOF 1 0 0", "SET k w"] {
        let told = client.ask(command);
        assert!(told.starts_with("-MISCONF"), "{command}: {told}");
    }
    assert_eq!(client.ask("GET k"), "$1\r\nv\r\n");
}

/// Sets keys of 400,000 bytes until one cannot be set: how many could be, and what was told then.
fn set_until_refused(client: &mut Client) -> (u32, String) {
    let value = vec![b'x'; 400_000];
    for n in 0..10_000 {
        let told = client.command(&[b"SET".to_vec(), format!("k{n}").into_bytes(), value.clone()]);
        if told != "+OK\r\n" {
            return (n, told);
        }
    }
    panic!("nothing was ever refused");
}

#[test]
fn a_write_that_the_disk_refuses_is_misconf_and_what_was_acknowledged_stays() {
    for engine in ["bitcask", "lsm"] {
        let disk = Disk::new(&["--sync", "none", "--engine", engine]);
        let mut client = disk.process.connect();
        assert_eq!(client.ask("SET first v"), "+OK\r\n");
        disk.set(&disk.refuse, true);
        let (count, told) = set_until_refused(&mut client);
        assert!(told.starts_with("-MISCONF Errors writing to the AOF file: "), "{engine}: {told}");
        assert_eq!(client.ask("GET first"), "$1\r\nv\r\n");
        assert_eq!(client.ask(&format!("EXISTS k{count}")), ":0\r\n");
        for n in 0..count {
            assert_eq!(client.ask(&format!("STRLEN k{n}")), ":400000\r\n", "{engine}");
        }
        disk.set(&disk.refuse, false);
        // It may be that it has to be started anew; nobody is told that something is written that is not.
        let told = client.command(&[b"SET".to_vec(), b"late".to_vec(), vec![b'x'; 400_000]]);
        let length = client.ask("STRLEN late");
        match told.as_str() {
            "+OK\r\n" => assert_eq!(length, ":400000\r\n"),
            _ => assert!(told.starts_with("-MISCONF") && length == ":0\r\n", "{engine}: {told}"),
        }
        println!("{engine}: {count} keys were set, and then {told}");
    }
}

#[test]
fn a_full_disk_is_oom_and_writes_work_again_when_there_is_room() {
    for engine in ["bitcask", "lsm"] {
        let Some(mount) = mount::Mount::tmpfs(64 << 20) else { return };
        let process = Process::filedb(&mount.path().join("store"), &["--sync", "none", "--engine", engine]);
        let mut client = process.connect();
        assert_eq!(client.ask("SET first v"), "+OK\r\n");
        let filler = mount.fill();
        let (count, told) = set_until_refused(&mut client);
        assert!(told.starts_with("-OOM command not allowed: "), "{engine}: {told}");
        assert_eq!(client.ask("GET first"), "$1\r\nv\r\n");
        assert_eq!(client.ask(&format!("EXISTS k{count}")), ":0\r\n");
        std::fs::remove_file(filler).unwrap();
        let value = vec![b'y'; 400_000];
        until("writes work again", || {
            client.command(&[b"SET".to_vec(), b"late".to_vec(), value.clone()]) == "+OK\r\n"
        });
        assert_eq!(client.ask("STRLEN late"), ":400000\r\n");
        (0..count).for_each(|n| assert_eq!(client.ask(&format!("STRLEN k{n}")), ":400000\r\n", "{engine}"));
    }
}

#[test]
fn a_transaction_of_which_a_part_could_not_be_written_is_an_error() {
    let Some(mount) = mount::Mount::tmpfs(24 << 20) else { return };
    let process = Process::filedb(&mount.path().join("store"), &["--sync", "none"]);
    let mut client = process.connect();
    assert_eq!(client.ask("SET first v"), "+OK\r\n");
    // Until a value of this size has no room, wherever the store has some left.
    let mut n = 0;
    let value = vec![b'x'; 400_000];
    while client.command(&[b"SET".to_vec(), format!("k{n}").into_bytes(), value.clone()]).starts_with('+') {
        n += 1;
    }
    assert!(client.ask("INFO persistence").contains("aof_last_write_status:err"));
    mount.fill();
    client.ask("MULTI");
    client.command(&[b"SET".to_vec(), b"v".to_vec(), value]);
    for line in ["EXISTS v", "DBSIZE", "SET w 1"] {
        assert_eq!(client.ask(line), "+QUEUED\r\n");
    }
    let told = client.ask("EXEC");
    assert!(told.starts_with("-OOM") || told.starts_with("-MISCONF"), "{told}");
    assert_eq!(client.ask("EXISTS v w"), ":0\r\n");
}

#[test]
fn who_follows_is_told_a_change_when_the_disk_has_it_and_never_one_that_the_disk_refused() {
    let disk = Disk::new(&["--sync", "always", "--threads", "2"]);
    let (mut follower, mut writer, mut other) =
        (disk.process.connect(), disk.process.connect(), disk.process.connect());
    assert!(follower.ask("FILEDB.FEED 0").contains("start"));
    disk.set(&disk.hold, true);
    writer.send(&encode(&["SET", "k", "v"]));
    until("the key is written", || other.ask("GET k") == "$1\r\nv\r\n");
    assert!(hears_nothing(&follower), "a change was told before it was on the disk");
    disk.set(&disk.hold, false);
    let told = follower.reply();
    assert!(told.ends_with(b"$1\r\nk\r\n$1\r\nv\r\n$-1\r\n"), "{}", told.escape_ascii());
    assert_eq!(writer.reply(), b"+OK\r\n");

    disk.set(&disk.hold, true);
    writer.send(&encode(&["SET", "k", "w"]));
    until("the key is written", || other.ask("GET k") == "$1\r\nw\r\n");
    disk.set(&disk.fail, true);
    disk.set(&disk.hold, false);
    let told = follower.reply();
    let begin = b"*8\r\n$11\r\nfiledb.feed\r\n$5\r\nerror\r\n:1\r\n";
    assert!(told.starts_with(begin), "{}", told.escape_ascii());
    // It is over, and the connection is as any other.
    assert_eq!(follower.ask("GET k"), "$1\r\nw\r\n");
}
