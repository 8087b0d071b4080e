//! What a server does with all keys of a database, and around them, with either engine.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{Client, Process, encode};

const ENGINES: [&str; 2] = ["bitcask", "lsm"];

fn keys_of(reply: &str) -> Vec<String> {
    let is_size = |line: &&str| !line.starts_with('$') && !line.starts_with('*');
    reply.lines().filter(is_size).map(str::to_owned).collect()
}

/// All keys that a walk by SCAN shows, each as often as it does.
fn scanned(client: &mut Client, count: usize) -> Vec<String> {
    let (mut cursor, mut all) = ("0".to_owned(), Vec::new());
    loop {
        let mut lines = keys_of(&client.ask(&format!("SCAN {cursor} COUNT {count}"))).into_iter();
        cursor = lines.next().unwrap();
        all.extend(lines);
        if cursor == "0" {
            return all;
        }
    }
}

fn filled(client: &mut Client) {
    for n in 0..300 {
        assert_eq!(client.ask(&format!("SET user:{n} {n}")), "+OK\r\n");
    }
    client.ask("SELECT 2");
    for n in 0..50 {
        assert_eq!(client.ask(&format!("RPUSH user:list:{n} a b c")), ":3\r\n");
    }
    client.ask("SELECT 0");
}

#[test]
fn walks_and_counts_are_those_of_a_database() {
    for engine in ENGINES {
        let directory = tempfile::tempdir().unwrap();
        let process = Process::filedb(&directory.path().join("store"), &["--engine", engine]);
        let mut client = process.connect();
        filled(&mut client);
        for (database, count) in [(0, 300), (2, 50), (5, 0)] {
            client.ask(&format!("SELECT {database}"));
            assert_eq!(client.ask("DBSIZE"), format!(":{count}\r\n"), "{engine}, database {database}");
            for at_once in [1, 7, 1000] {
                let shown = scanned(&mut client, at_once);
                let different: BTreeSet<_> = shown.iter().cloned().collect();
                assert_eq!((shown.len(), different.len()), (count, count), "{engine}, COUNT {at_once}");
            }
            assert_eq!(keys_of(&client.ask("KEYS user:*")).len(), count, "{engine}");
            let random: BTreeSet<_> = (0..200).map(|_| client.ask("RANDOMKEY")).collect();
            assert!(random.len() > count / 10, "{engine}: {} of {count} random keys", random.len());
        }
        let info = client.ask("INFO keyspace");
        assert!(info.contains("db0:keys=300,") && info.contains("db2:keys=50,"), "{engine}: {info}");
        assert!(client.ask("INFO filedb").contains(&format!("engine:{engine}")), "{engine}");
        // An event loop is not held up by a merge, and nothing is lost by it.
        assert!(client.ask("BGREWRITEAOF").starts_with("+Background"));
        assert_eq!(client.ask("SELECT 0"), "+OK\r\n");
        assert_eq!(client.ask("FLUSHDB"), "+OK\r\n");
        assert_eq!(client.ask("DBSIZE"), ":0\r\n");
        assert_eq!(client.ask("SET new 1"), "+OK\r\n");
        assert_eq!(client.ask("DBSIZE"), ":1\r\n");
        client.ask("SELECT 2");
        assert_eq!(client.ask("DBSIZE"), ":50\r\n");
        assert_eq!(client.ask("LRANGE user:list:7 0 -1"), "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
        assert_eq!(client.ask("SWAPDB 0 2"), "+OK\r\n");
        assert_eq!(client.ask("GET new"), "$1\r\n1\r\n");
        assert_eq!(client.ask("FLUSHALL"), "+OK\r\n");
        assert!(scanned(&mut client, 10).is_empty());
        assert_eq!(client.ask("DBSIZE"), ":0\r\n");
    }
}

#[test]
fn a_store_is_opened_with_the_engine_that_it_was_made_with() {
    for engine in ENGINES {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store");
        let process = Process::filedb(&store, &["--engine", engine]);
        assert_eq!(process.connect().ask("SET a 1"), "+OK\r\n");
        assert!(process.terminate());
        let process = Process::filedb(&store, &[]);
        assert_eq!(process.connect().ask("GET a"), "$1\r\n1\r\n");
        assert!(process.terminate());
    }
}

#[test]
fn a_copy_that_bgsave_made_is_a_store() {
    for engine in ENGINES {
        let home = tempfile::tempdir().unwrap();
        let (store, backup) = (home.path().join("store"), home.path().join("backup"));
        let process =
            Process::filedb(&store, &["--engine", engine, "--backup-dir", backup.to_str().unwrap()]);
        let mut client = process.connect();
        filled(&mut client);
        assert!(client.ask("BGSAVE").starts_with("+Background"));
        while client.ask("INFO persistence").contains("rdb_bgsave_in_progress:1") {
            std::thread::yield_now();
        }
        assert!(client.ask("INFO persistence").contains("rdb_last_bgsave_status:ok"), "{engine}");
        assert!(process.terminate());
        let process = Process::filedb(&backup, &[]);
        let mut client = process.connect();
        assert_eq!(client.ask("DBSIZE"), ":300\r\n", "{engine}");
        client.ask("SELECT 2");
        assert_eq!(client.ask("LLEN user:list:49"), ":3\r\n", "{engine}");
    }
}

/// More keys than are counted at once.
#[test]
fn the_keys_of_a_large_database_are_counted_while_the_client_waits() {
    for engine in ENGINES {
        let directory = tempfile::tempdir().unwrap();
        let options = ["--engine", engine, "--threads", "1"];
        let process = Process::filedb(&directory.path().join("store"), &options);
        let mut client = process.connect();
        client.ask("SELECT 1");
        for n in 0..200 {
            let pairs: Vec<String> = (0..100).map(|k| format!("{n}:{k} v")).collect();
            assert_eq!(client.ask(&format!("MSET {}", pairs.join(" "))), "+OK\r\n");
        }
        // What stands before it is counted, what stands behind it is done after it, and others are served.
        client.send(&encode(&["SET", "one", "more"]));
        client.send(&encode(&["DBSIZE"]));
        client.send(&encode(&["SET", "another", "one"]));
        client.send(&encode(&["DBSIZE"]));
        assert_eq!(process.connect().ask("DBSIZE"), ":0\r\n", "{engine}");
        for expected in [&b"+OK\r\n"[..], b":20001\r\n", b"+OK\r\n", b":20002\r\n"] {
            assert_eq!(client.reply(), expected, "{engine}");
        }
        client.ask("MULTI");
        client.ask("DEL one");
        client.ask("DBSIZE");
        assert_eq!(client.ask("EXEC"), "*2\r\n:1\r\n:20001\r\n", "{engine}");
        while !client.ask("INFO keyspace").contains("db1:keys=20") {
            std::thread::yield_now();
        }
        let mut short = process.connect();
        short.send(&encode(&["SELECT", "1"]));
        short.send(&encode(&["DBSIZE"]));
        short.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!((short.reply(), short.reply()), (b"+OK\r\n".to_vec(), b":20001\r\n".to_vec()));
        assert!(short.try_reply().is_none(), "{engine}");
        client.send(&encode(&["DBSIZE"]));
        assert!(process.terminate(), "{engine}: a client that waits for a count holds nothing up");
    }
}
