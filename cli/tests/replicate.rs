//! `filedb replicate`: a copy that follows a store, whatever is killed.
//!
//! `FILEDB_TEST_HISTORIES=n` sets how often it is killed, `FILEDB_TEST_SEED=n` when.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use filedb::{Batch, Db, Followed, Options, Type};

const STATE: &[u8] = b"\xff\xfffiledb replicate";

fn replicate(from: &Path, to: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_filedb"));
    command.arg("replicate").arg(from).arg(to).args(["-o", "max_file_size=20000"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn once(from: &Path, to: &Path) -> Output {
    replicate(from, to).arg("--once").output().unwrap()
}

fn succeeds(output: &Output) -> String {
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}");
    words
}

/// What keys hold: a value, or the elements of a list.
type Map = BTreeMap<Vec<u8>, (Type, Vec<Vec<u8>>)>;

fn contents(db: &Db) -> Map {
    let mut map = Map::new();
    for key in db.list("").unwrap().iter().filter(|key| *key != STATE) {
        let held = match db.type_of(key).unwrap().unwrap() {
            Type::List => db.list_range(key, 0, -1).unwrap().unwrap().iter().map(<[u8]>::to_vec).collect(),
            _ => vec![db.get(key).unwrap().unwrap()],
        };
        map.insert(key.to_vec(), (db.type_of(key).unwrap().unwrap(), held));
    }
    map
}

fn reading(path: &Path) -> Db {
    Db::open(path, &Options::new().read_only(true)).unwrap()
}

#[test]
fn a_copy_has_what_the_store_has_and_goes_on_where_it_was() {
    let home = tempfile::tempdir().unwrap();
    let (from, to) = (home.path().join("from"), home.path().join("to"));
    let db = Db::open(&from, &Options::default()).unwrap();
    db.put("planet", "earth").unwrap();
    db.push_back("jobs", "first").unwrap();
    assert!(succeeds(&once(&from, &to)).contains("up to number"));
    assert_eq!(contents(&reading(&to)), contents(&db));
    db.delete("planet").unwrap();
    db.push_front("jobs", "before").unwrap();
    db.put("new", "1").unwrap();
    succeeds(&once(&from, &to));
    assert_eq!(contents(&reading(&to)), contents(&db));
    // A copy of a copy.
    let third = home.path().join("third");
    succeeds(&once(&to, &third));
    assert_eq!(contents(&reading(&third)), contents(&db));
    db.put("new", "2").unwrap();
    succeeds(&once(&from, &to));
    succeeds(&once(&to, &third));
    assert_eq!(contents(&reading(&third)), contents(&db));
    // And it is followed while it is written to.
    let mut child = Child0(replicate(&from, &to).stderr(Stdio::null()).spawn().unwrap());
    db.put("new", "3").unwrap();
    let reader = Db::open(&to, &Options::new().read_only(true).live(true)).unwrap();
    let mut feed = reader.changes(0).unwrap();
    loop {
        match feed.next(Some(Duration::from_secs(60))).unwrap() {
            Followed::Change(change) if change.key == b"new" && change.value == b"3" => break,
            Followed::Change(_) => assert!(child.0.try_wait().unwrap().is_none(), "it ended by itself"),
            other => panic!("the copy does not get what the store has: {other:?}"),
        }
    }
}

#[test]
fn a_store_that_is_no_copy_is_not_written_over() {
    let home = tempfile::tempdir().unwrap();
    let (from, to) = (home.path().join("from"), home.path().join("to"));
    let db = Db::open(&from, &Options::default()).unwrap();
    db.put("planet", "earth").unwrap();
    Db::open(&to, &Options::default()).unwrap().put("other", "1").unwrap();
    let refused = once(&from, &to);
    assert_eq!(refused.status.code(), Some(6), "{}", String::from_utf8_lossy(&refused.stderr));
    assert_eq!(reading(&to).get("other").unwrap().as_deref(), Some(&b"1"[..]));
    // Nor is the copy of another store.
    let (copy, other) = (home.path().join("copy"), home.path().join("other"));
    succeeds(&once(&from, &copy));
    Db::open(&other, &Options::default()).unwrap().put("other", "1").unwrap();
    assert_eq!(once(&other, &copy).status.code(), Some(6));
    assert_eq!(contents(&reading(&copy)), contents(&db));
}

#[test]
fn after_a_gap_a_new_copy_takes_the_place_of_the_old_one() {
    let home = tempfile::tempdir().unwrap();
    let (from, to) = (home.path().join("from"), home.path().join("to"));
    let mut options = Options { max_file_size: 400, ..Options::default() };
    options.set("merge", "manual").unwrap();
    let db = Db::open(&from, &options).unwrap();
    for n in 0..20 {
        db.put(format!("key{n}"), "value").unwrap();
    }
    succeeds(&once(&from, &to));
    for n in 0..19 {
        db.delete(format!("key{n}")).unwrap();
    }
    db.merge().unwrap();
    let words = succeeds(&once(&from, &to.join("")));
    assert!(words.contains("a new backup is made"), "{words}");
    assert_eq!(contents(&reading(&to)), contents(&db));
    assert!(!home.path().join("to.next").exists());
}

/// A process that does not outlive the test.
struct Child0(Child);

impl Drop for Child0 {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

fn write(db: &Db, random: &mut Random, version: &mut u64) {
    let key = format!("key{}", random.below(200));
    let value = format!("{} ", random.below(1 << 40)).repeat(1 + random.below(20) as usize);
    let holds = db.type_of(&key).unwrap();
    match random.below(20) {
        0..8 => db.put(&key, &value).unwrap(),
        8..12 => drop(db.delete(&key).unwrap()),
        12 => {
            // In one batch: who sees one of them sees all.
            *version += 1;
            let mut batch = Batch::new();
            (0..10).for_each(|n| batch.put(format!("all{n}"), version.to_string()).unwrap());
            db.write(&batch).unwrap();
        }
        13..17 if holds != Some(Type::Value) => drop(db.push_back(&key, &value).unwrap()),
        17 if holds == Some(Type::List) => drop(db.pop_front(&key).unwrap()),
        18 if holds == Some(Type::List) => drop(db.list_set(&key, 0, &value).unwrap()),
        _ => {}
    }
}

#[test]
fn a_copy_that_is_killed_at_any_moment_opens_and_ends_with_what_the_store_has() {
    let kills = std::env::var("FILEDB_TEST_HISTORIES").map_or(12, |n| n.parse::<u64>().unwrap());
    let home = tempfile::tempdir().unwrap();
    let (from, to) = (home.path().join("from"), home.path().join("to"));
    let mut options = Options { max_file_size: 64 << 10, merge_interval_ms: 20, ..Options::default() };
    let seed = std::env::var("FILEDB_TEST_SEED").map_or(0, |n| n.parse::<u64>().unwrap());
    let (mut gaps, mut random) = (0, Random(seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15)));
    let mut version = 0;
    for round in 0..kills.div_ceil(6) {
        options.keep_tombstones_ms = if round % 2 == 0 { 0 } else { 1_000_000_000 };
        let db = Db::open(&from, &options).unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut own = Random(seed.wrapping_add(round).wrapping_mul(2) + 1);
                while !is_over.load(Ordering::Relaxed) {
                    write(&db, &mut own, &mut version);
                    if own.below(100) == 0 {
                        std::thread::sleep(Duration::from_millis(own.below(3)));
                    }
                }
            });
            for _ in 0..6.min(kills - round * 6) {
                let mut child = replicate(&from, &to).spawn().unwrap();
                // When it is killed is chance, and may be any moment: nothing is waited for here.
                std::thread::sleep(Duration::from_millis(random.below(150)));
                let ended = child.try_wait().unwrap();
                let _ = child.kill();
                let output = child.wait_with_output().unwrap();
                let words = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(ended.is_none(), "it ended by itself: {words}");
                gaps += words.matches("a new backup is made").count();
                if to.join("MANIFEST").exists() {
                    check(&reading(&to));
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let words = succeeds(&once(&from, &to));
        gaps += words.matches("a new backup is made").count();
        assert_eq!(contents(&reading(&to)), contents(&db), "round {round}: {words}");
        db.close().unwrap();
    }
    println!("{kills} kills, {gaps} gaps");
    println!("tally: {kills} kills of a copy that follows");
}

/// What a copy must be at each moment: all of each batch is in it.
fn check(copy: &Db) {
    let all: Vec<Option<Vec<u8>>> = (0..10).map(|n| copy.get(format!("all{n}")).unwrap()).collect();
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    contents(copy);
}
