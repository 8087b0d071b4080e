//! Who follows the changes of a store that another process writes to ends with what that has: whoever writes is killed, closes the store, opens it
//! again and merges, and whoever follows stops somewhere and goes on by its number.
//!
//! This program runs itself as the writer. `FILEDB_TEST_HISTORIES=n` sets how many stores are followed.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use filedb::disk::sim::Random;
use filedb::{
    BackupOptions, Batch, Changes, Db, EngineKind, Error, Followed, MergeMode, Options, PutOptions, Type,
};
use support::follower::{Follower, NOW, What, contents};
use support::runner::{histories, seeds, tally};

/// The environment variable that makes this program a writer.
const TASK: &str = "FILEDB_TEST_LIVE_CHANGES";
const KEYS: u64 = 300;

#[test]
fn the_process_that_writes() {
    let Ok(task) = std::env::var(TASK) else { return };
    let parts: Vec<&str> = task.split('|').collect();
    let [path, seed, engine, keep] = parts[..] else { panic!("the task has four parts") };
    let mut random = Random::new(seed.parse().unwrap());
    let mut options = Options {
        max_file_size: 64 << 10,
        merge_interval_ms: 20,
        lsm_memory: 512 << 10,
        ..Options::default()
    };
    options.set("engine", engine).unwrap();
    options.set("keep_tombstones_ms", keep).unwrap();
    options.set("io", if random.one_in(4) { "pread" } else { "mmap" }).unwrap();
    let db = Db::open(Path::new(path), &options).unwrap();
    let begun = Instant::now();
    // Some close the store by themselves before they are killed.
    let leaves = random.one_in(3).then(|| Duration::from_millis(random.below(300)));
    while leaves.is_none_or(|leaves| begun.elapsed() < leaves) {
        if random.one_in(3_000) {
            db.merge().unwrap();
        }
        if random.one_in(50) {
            std::thread::sleep(Duration::from_micros(random.below(2_000)));
        }
        write(&db, &mut random);
    }
    db.close().unwrap();
}

fn write(db: &Db, random: &mut Random) {
    let key = format!("key{}", random.below(KEYS));
    let value = format!("{} ", random.number()).repeat(1 + random.below(20) as usize);
    let holds = db.type_of(&key).unwrap();
    match random.below(20) {
        0..8 => db.put(&key, &value).unwrap(),
        8..12 => drop(db.delete(&key).unwrap()),
        12 => {
            let life = Duration::from_secs(10_000 + random.below(10_000));
            assert!(db.put_with(&key, &value, &PutOptions::new().ttl(life)).unwrap());
        }
        13 => {
            let mut batch = Batch::new();
            for _ in 0..1 + random.below(10) {
                let key = format!("key{}", random.below(KEYS));
                if random.one_in(3) { batch.delete(&key).unwrap() } else { batch.put(&key, &value).unwrap() }
            }
            db.write(&batch).unwrap();
        }
        14..17 if holds != Some(Type::Value) => drop(db.push_back(&key, &value).unwrap()),
        17 if holds == Some(Type::List) => assert!(db.list_set(&key, 0, &value).unwrap()),
        18 if holds == Some(Type::List) => drop(db.pop_front(&key).unwrap()),
        _ => {}
    }
}

/// A process that does not outlive the test.
struct Writer(Child);

impl Writer {
    fn start(path: &Path, seed: u64, engine: &str, keep: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let process = Command::new(program)
            .args(["--exact", "the_process_that_writes", "--nocapture", "--test-threads=1"])
            .env(TASK, format!("{}|{seed}|{engine}|{keep}", path.display()))
            .stdout(Stdio::null())
            .spawn();
        Writer(process.expect("starting a process"))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn open(path: &Path, random: &mut Random) -> Db {
    let mut options = Options { read_only: true, live: true, ..Options::default() };
    options.set("io", if random.one_in(4) { "pread" } else { "mmap" }).unwrap();
    let begun = Instant::now();
    loop {
        match Db::open(path, &options) {
            Ok(db) => return db,
            // The first writer is making the store.
            Err(Error::Missing { .. }) if begun.elapsed() < Duration::from_secs(60) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("the store cannot be opened: {error}"),
        }
    }
}

/// What is held, and whether it expires. (Two processes do not see the same time left.)
fn comparable(map: &BTreeMap<Vec<u8>, (What, Option<u64>)>) -> BTreeMap<Vec<u8>, (What, bool)> {
    map.iter().map(|(key, (what, expiry))| (key.clone(), (what.clone(), expiry.is_some()))).collect()
}

/// Copies the store beside its writer, at first to an empty directory and then to the same one again, and gives what the copy holds.
fn back_up(db: &Db, to: &Path) -> Follower {
    let before = db.last_seq().unwrap();
    db.backup(to, &BackupOptions::new()).unwrap();
    let after = db.last_seq().unwrap();
    let copy = Db::open(to, &Options::new().read_only(true)).unwrap();
    let seq = copy.last_seq().unwrap();
    assert!((before..=after).contains(&seq), "{seq} is not of the time from {before} to {after}");
    Follower { map: contents(&copy), seq }
}

/// One store that is followed; how many changes were shown, and how many gaps and backups there were.
fn run(seed: u64, engine: &str) -> (u64, u64, u64) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let mut random = Random::new(seed);
    let keep = if random.one_in(2) { "0" } else { "1000000000" };
    let (mut follower, mut changes): (Follower, Option<Changes>) = (Follower::default(), None);
    let (mut shown, mut gaps, mut backups) = (0, 0, 0);
    let mut writer = Writer::start(&path, random.number() >> 8, engine, keep);
    let mut db = open(&path, &mut random);
    for _ in 0..3 + random.below(4) {
        let until = Instant::now() + Duration::from_millis(20 + random.below(250));
        while Instant::now() < until {
            let feed = changes.get_or_insert_with(|| db.changes(follower.seq).unwrap());
            // Stops after so many, or at the end.
            for _ in 0..random.below(3_000) {
                match feed.next(NOW).unwrap() {
                    Followed::Change(change) => {
                        shown += 1;
                        follower.apply(&change);
                    }
                    Followed::Gap => {
                        gaps += 1;
                        follower = Follower::copy_of(&db);
                        changes = None;
                        break;
                    }
                    Followed::Timeout => {
                        follower.seq = follower.seq.max(feed.seq());
                        break;
                    }
                }
            }
            if random.one_in(20) {
                changes = None;
            }
            if random.one_in(40) {
                changes = None;
                db = open(&path, &mut random);
            }
            if random.one_in(60) {
                // Who followed goes on with a copy instead, at its number.
                follower = back_up(&db, &home.path().join("backup"));
                changes = None;
                backups += 1;
            }
            if random.one_in(30) {
                std::thread::sleep(Duration::from_millis(random.below(120)));
            }
        }
        match writer.0.try_wait().unwrap() {
            Some(status) => assert!(status.success(), "a writer failed: {status} (seed {seed})"),
            None => {
                writer.0.kill().unwrap();
                writer.0.wait().unwrap();
            }
        }
        // What it has without a writer is what there is.
        let mut feed = changes.take().unwrap_or_else(|| db.changes(follower.seq).unwrap());
        if !follower.follow(&mut feed, u64::MAX) {
            gaps += 1;
            follower = Follower::copy_of(&db);
        } else if random.one_in(2) {
            changes = Some(feed);
        }
        assert_eq!(comparable(&follower.map), comparable(&contents(&db)), "seed {seed}");
        writer = Writer::start(&path, random.number() >> 8, engine, keep);
    }
    drop(writer);
    // The ordered engine has in its log what is not in runs, whatever it keeps.
    assert!(
        keep == "0" || gaps == 0 || engine == "lsm",
        "deletes are kept, and there were {gaps} gaps (seed {seed})"
    );
    (shown, gaps, backups)
}

#[test]
fn who_follows_in_another_process_ends_with_what_the_writer_has() {
    let seeds = seeds(histories(8));
    let (mut shown, mut gaps, mut backups) = (0, 0, 0);
    for (seed, engine) in seeds.clone().flat_map(|seed| ["bitcask", "lsm"].map(|engine| (seed, engine))) {
        let one = run(seed, engine);
        println!("{engine}, seed {seed}: {} changes, {} gaps, {} backups", one.0, one.1, one.2);
        shown += one.0;
        gaps += one.1;
        backups += one.2;
    }
    println!("{shown} changes, {gaps} gaps, {backups} backups");
    tally(seeds.end - seeds.start, "stores followed by another process");
}

#[test]
fn who_waits_is_given_what_another_process_writes() {
    for engine in [EngineKind::Bitcask, EngineKind::Lsm] {
        who_waits_is_given_what_is_written(&Options { engine, ..Options::default() });
    }
}

fn who_waits_is_given_what_is_written(options: &Options) {
    let home = tempfile::tempdir().unwrap();
    let db = Db::open(home.path(), options).unwrap();
    let reader =
        Db::open(home.path(), &Options { read_only: true, live: true, ..Options::default() }).unwrap();
    let mut changes = reader.changes(reader.last_seq().unwrap()).unwrap();
    assert_eq!(changes.next(Some(Duration::from_millis(5))).unwrap(), Followed::Timeout);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            db.put("planet", "earth").unwrap();
        });
        match changes.next(None).unwrap() {
            Followed::Change(change) => {
                assert_eq!((change.key, change.value), (&b"planet"[..], &b"earth"[..]))
            }
            other => panic!("{other:?}"),
        }
    });
    // A close wakes who waits.
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| matches!(changes.next(None), Err(Error::Closed)));
        std::thread::sleep(Duration::from_millis(20));
        reader.close().unwrap();
        assert!(waits.join().unwrap());
    });
}

/// Returns when the reader has let go of all files that the writer has not any more.
fn take_over_merges(db: &Db, reader: &Db) {
    let ids = |db: &Db| -> BTreeSet<u32> { db.file_stats().unwrap().iter().map(|file| file.id).collect() };
    let begun = Instant::now();
    while !ids(reader).is_subset(&ids(db)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?} and {:?}", ids(reader), ids(db));
        // Who reads what changes looks at the manifest more often.
        db.put("tick", "").unwrap();
        reader.get("tick").unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_delete_that_a_merge_of_the_writer_dropped_is_a_gap_unless_it_is_kept() {
    for keep_tombstones_ms in [0, 1_000_000_000] {
        let home = tempfile::tempdir().unwrap();
        let options = Options {
            merge: MergeMode::Manual,
            max_file_size: 400,
            keep_tombstones_ms,
            ..Options::default()
        };
        let db = Db::open(home.path(), &options).unwrap();
        db.put("gone", "1").unwrap();
        let reader =
            Db::open(home.path(), &Options { read_only: true, live: true, ..Options::default() }).unwrap();
        let before = reader.last_seq().unwrap();
        let (mut behind, mut current) = (reader.changes(before).unwrap(), reader.changes(before).unwrap());
        db.delete("gone").unwrap();
        db.put("kept", "2").unwrap();
        let delete = before + 1;
        let next = |changes: &mut Changes| match changes.next(NOW).unwrap() {
            Followed::Change(change) => Some((change.seq, change.key.to_vec())),
            Followed::Gap => None,
            Followed::Timeout => panic!("something was changed"),
        };
        assert_eq!(next(&mut current), Some((delete, b"gone".to_vec())));
        db.merge().unwrap();
        db.merge().unwrap();
        take_over_merges(&db, &reader);
        let expected = (keep_tombstones_ms > 0).then(|| (delete, b"gone".to_vec()));
        assert_eq!(next(&mut behind), expected, "{keep_tombstones_ms}");
        assert_eq!(next(&mut reader.changes(before).unwrap()), expected, "{keep_tombstones_ms}");
        // Who was not behind goes on.
        assert_eq!(next(&mut current), Some((delete + 1, b"kept".to_vec())));
    }
}
