//! `filedb watch`, beside a process that writes.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use filedb::{Db, MergeMode, Options, PutOptions};

fn watch(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_filedb"));
    command.arg("watch").args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn says(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn each_change_is_a_line_and_who_was_stopped_goes_on_by_its_number() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    let path = store.to_str().unwrap();
    let db = Db::open(&store, &Options::default()).unwrap();
    db.put("planet", "earth").unwrap();
    db.put("a key\n", b"\xff").unwrap();
    db.push_back("jobs", "first").unwrap();
    db.delete("planet").unwrap();
    let first = watch(&[path, "--from", "0", "--count", "2"]).output().unwrap();
    assert!(first.status.success());
    assert_eq!(says(&first), "1 put planet earth\n2 put a\\x20key\\n \\xff\n");
    let rest = watch(&[path, "--from", "2", "--count", "3"]).output().unwrap();
    let lines = says(&rest);
    let words: Vec<Vec<&str>> = lines.lines().map(|line| line.split(' ').skip(1).collect()).collect();
    assert_eq!(words, [vec!["delete", "jobs"], vec!["push", "jobs", "first"], vec!["delete", "planet"]]);
    let numbers: Vec<u64> =
        lines.lines().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers[2] == db.last_seq().unwrap(), "{numbers:?}");
}

#[test]
fn what_is_written_meanwhile_comes_as_json_too() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    let path = store.to_str().unwrap();
    let db = Db::open(&store, &Options::default()).unwrap();
    db.put("before", "1").unwrap();
    let mut child = watch(&[path, "--json", "--count", "3", "--from", "1"]).spawn().unwrap();
    db.put("planet", b"\xff").unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    // It is printed before the next is waited for.
    let put = next();
    assert_eq!((&put["seq"], &put["change"]), (&2.into(), &"put".into()));
    assert_eq!(put["value"]["base64"], "/w==");
    assert!(put["time_ms"].as_u64().unwrap() > 0 && put.get("expiry_ms").is_none());
    assert!(db.put_with("planet", "mars", &PutOptions::new().ttl(Duration::from_secs(1_000))).unwrap());
    assert!(next()["expiry_ms"].as_u64().unwrap() > 1_000_000);
    db.delete("planet").unwrap();
    let delete = next();
    assert_eq!((&delete["change"], delete.get("value")), (&"delete".into(), None));
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_gap_is_a_sentence_that_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    let path = store.to_str().unwrap();
    let options = Options { max_file_size: 300, merge: MergeMode::Manual, ..Options::default() };
    let db = Db::open(&store, &options).unwrap();
    for n in 0..40 {
        db.put(format!("key{n}"), "value").unwrap();
        db.delete(format!("key{n}")).unwrap();
    }
    db.merge().unwrap();
    for (what, from) in [("a number that is behind", "1"), ("a number of another store", "1000000")] {
        let output = watch(&[path, "--from", from]).output().unwrap();
        assert_eq!(output.status.code(), Some(6), "{what}");
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(
            words.contains(&format!("behind number {from} ")) && words.contains("keep_tombstones_ms"),
            "{words}"
        );
    }
    // A store in memory, or on a server, cannot be followed by a process of its own.
    assert_eq!(watch(&["valkey://127.0.0.1:1/0"]).output().unwrap().status.code(), Some(6));
}
