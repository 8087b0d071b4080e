//! A close makes durable what was written, whatever else fails; and a store that nobody holds any more is closed.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use filedb::disk::sim::{Fault, Kind, PowerCut, SimDisk};
use filedb::{Db, Error, LogLevel, LogSink, MergeMode, Options, SyncMode};

fn options() -> Options {
    Options { sync: SyncMode::None, merge: MergeMode::Manual, max_file_size: 400, ..Options::default() }
}

fn key(n: u32) -> Vec<u8> {
    format!("key {n:05}").into_bytes()
}

fn open(disk: &SimDisk) -> Db {
    Db::open_on(Arc::new(disk.clone()), &options()).unwrap()
}

/// From now on the manifest cannot be replaced, and no file be finished.
fn freeze(disk: &SimDisk) {
    disk.fail(Fault::from_then_on(disk.operations(), libc::EIO).of(&[Kind::Rename, Kind::Truncate]));
}

/// What the next machine finds when the power is cut after a close that failed.
fn check_after_close(disk: &SimDisk, closed: Result<(), Error>, what: &str, keys: std::ops::Range<u32>) {
    let error = closed.unwrap_err();
    assert!(matches!(error, Error::Io { errno: libc::EIO, .. }), "{what}: {error}");
    disk.repair();
    for policy in PowerCut::ALL {
        let db = open(&disk.power_cut(1, policy));
        assert!(keys.clone().all(|n| db.get(key(n)).unwrap().is_some()), "{what}: lost after {policy:?}");
    }
}

#[test]
fn a_close_that_cannot_commit_what_a_merge_left_keeps_the_last_writes() {
    let disk = SimDisk::new();
    let db = open(&disk);
    for _ in 0..2 {
        (0..30).for_each(|n| db.put(key(n), b"value").unwrap());
    }
    freeze(&disk);
    db.merge().unwrap_err();
    // They fit the file that is written to, which needs no manifest.
    (30..33).for_each(|n| db.put(key(n), b"v").unwrap());
    check_after_close(&disk, db.close(), "a commit that failed", 0..33);
}

#[test]
fn a_close_that_cannot_seal_a_file_keeps_the_last_writes() {
    let disk = SimDisk::new();
    let db = open(&disk);
    db.put(b"visited", b"").unwrap();
    db.read(b"visited", |_| (0..20).for_each(|n| db.put(key(n), b"value").unwrap())).unwrap();
    freeze(&disk);
    check_after_close(&disk, db.close(), "a seal that failed", 0..20);
}

#[test]
fn a_close_that_cannot_replace_the_manifest_keeps_the_last_writes() {
    let disk = SimDisk::new();
    let db = open(&disk);
    (0..3).for_each(|n| db.put(key(n), b"value").unwrap());
    freeze(&disk);
    check_after_close(&disk, db.close(), "a manifest that failed", 0..3);
}

#[test]
fn what_goes_wrong_when_the_last_handle_is_dropped_is_told_to_the_log() {
    let (told, disk) = (Arc::new(Mutex::new(Vec::new())), SimDisk::new());
    let sink = told.clone();
    let log = LogSink::new(move |level, words| sink.lock().unwrap().push((level, words.to_string())));
    let options = Options { log, log_level: LogLevel::Error, ..options() };
    let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
    let other = db.clone();
    db.put(key(1), b"value").unwrap();
    freeze(&disk);
    drop(db);
    assert!(told.lock().unwrap().is_empty());
    drop(other);
    let told = told.lock().unwrap();
    assert!(
        matches!(&told[..], [(LogLevel::Error, words)] if words.contains("'/simulated'") && words.contains("Input/output error")),
        "{told:?}"
    );
    disk.repair();
    drop(open(&disk));
}

#[test]
fn a_store_whose_last_handle_is_dropped_inside_a_visit_is_closed_after_it() {
    for stops in [false, true] {
        let disk = SimDisk::new();
        let db = open(&disk);
        (0..3).for_each(|n| db.put(key(n), b"value").unwrap());
        let (mut walk, mut held, mut shown) = (db.iter(b"").unwrap(), Some(db), 0);
        let walked = walk.visit_rows(|_, value| {
            held = None;
            shown += 1;
            assert_eq!(value, b"value");
            !stops
        });
        // The visitor is asked once more by nobody: the store is closed.
        assert!(matches!(walked, Ok(false)) == stops && matches!(walked, Err(Error::Closed)) != stops);
        assert_eq!(shown, 1);
        check_is_closed(&disk);
        assert!(matches!(walk.next_row(), Err(Error::Closed)));
    }
}

#[test]
fn a_store_whose_last_handle_is_dropped_inside_a_visit_inside_a_visit_is_closed_after_the_outer_one() {
    let disk = SimDisk::new();
    let db = open(&disk);
    (0..3).for_each(|n| db.put(key(n), b"value").unwrap());
    let (mut outer, mut inner) = (db.iter(b"").unwrap(), db.iter(b"").unwrap());
    let mut held = Some(db);
    let walked = outer.visit_rows(|_, value| {
        let walked = inner.visit_rows(|_, _| {
            held = None;
            true
        });
        // All of it, because the outer visit keeps the store open.
        assert!(walked.unwrap());
        assert_eq!(value, b"value");
        true
    });
    assert!(matches!(walked, Err(Error::Closed)));
    check_is_closed(&disk);
}

#[test]
fn a_visitor_that_drops_the_last_handle_and_panics_leaves_the_store_closed() {
    let disk = SimDisk::new();
    let db = open(&disk);
    db.put(key(0), b"value").unwrap();
    let (mut walk, mut held) = (db.iter(b"").unwrap(), Some(db));
    let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        walk.visit_rows(|_, _| {
            held = None;
            std::panic::resume_unwind(Box::new("on purpose"))
        })
    }));
    assert!(walked.is_err());
    check_is_closed(&disk);
}

#[test]
fn a_store_with_threads_whose_last_handle_is_dropped_inside_a_visit_leaves_no_lock_and_no_thread_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    for life in 0..20 {
        let db = Db::open(&path, &Options::default()).unwrap();
        db.put(key(life), b"value").unwrap();
        let (mut walk, mut held) = (db.iter(b"").unwrap(), Some(db));
        let walked = walk.visit_rows(|_, _| {
            held = None;
            true
        });
        assert!(matches!(walked, Err(Error::Closed)));
    }
    // The next opening finds the lock free each time, and here all there was.
    let db = Db::open(&path, &Options::default()).unwrap();
    assert_eq!(db.count().unwrap(), 20);
}

/// Nothing is open, nothing is locked, and what the next opening finds was closed cleanly.
fn check_is_closed(disk: &SimDisk) {
    use filedb::format::manifest::Manifest;
    assert_eq!(disk.open_files(), 0);
    assert!(Manifest::decode(&disk.read_file("MANIFEST").unwrap()).unwrap().clean);
    drop(open(disk));
}
