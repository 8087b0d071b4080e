//! The memory of what stands beside the index: bounded by how many keys there are, whatever is done to them, how often and for how long.
//!
//! This program counts all bytes that it allocates. One test runs at a time.

#![allow(clippy::unwrap_used, reason = "what fails in a test ends it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use filedb::{Batch, Db, MergeMode, Options, PutOptions, SyncMode};

struct Counting;

/// Bytes that were allocated and not freed.
static BYTES: AtomicI64 = AtomicI64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn bytes() -> i64 {
    BYTES.load(Ordering::Relaxed)
}

/// What is allocated for a while by threads, files that change and the test itself.
const SMALL_CHANGE: i64 = 256 << 10;

const KEYS: u32 = 20_000;
const HOUR: Duration = Duration::from_secs(60 * 60);

fn key(n: u32) -> [u8; 16] {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&n.to_le_bytes());
    key
}

fn load(db: &Db) {
    (0..KEYS).for_each(|n| db.put(key(n), b"value").unwrap());
}

fn open(directory: &tempfile::TempDir) -> Db {
    // Merges are looked at elsewhere: their buffers come and go.
    let options = Options { merge: MergeMode::Manual, sync: SyncMode::None, ..Options::default() };
    Db::open(directory.path().join("store"), &options).unwrap()
}

#[test]
fn a_key_that_expires_costs_24_bytes_however_often_it_is_written() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let db = open(&directory);
    load(&db);
    // What threads keep for good is there before it is counted.
    assert!(db.put_with(key(0), b"value", &living(HOUR)).unwrap());
    let before = bytes();
    let most = before + 24 * i64::from(KEYS) + SMALL_CHANGE;
    for round in 0..10 {
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let db = &db;
                scope.spawn(move || {
                    for n in (writer..KEYS).step_by(3) {
                        let ttl = HOUR + HOUR * (n * 7 + round) / KEYS;
                        match n % 4 {
                            0 => assert!(db.expire(key(n), ttl).unwrap()),
                            1 => {
                                let mut batch = Batch::new();
                                batch.put_with_ttl(key(n), b"batch", ttl).unwrap();
                                db.write(&batch).unwrap();
                            }
                            _ => assert!(db.put_with(key(n), b"value", &living(ttl)).unwrap()),
                        }
                    }
                });
            }
        });
        let now = bytes();
        assert!(now <= most, "{} bytes a key in round {round}", (now - before) / i64::from(KEYS));
    }
    // Keys that do not expire any more cost nothing more.
    for n in 0..KEYS {
        match n % 4 {
            0 => db.put(key(n), b"value").unwrap(),
            1 => assert!(db.persist(key(n)).unwrap()),
            2 => assert!(db.delete(key(n)).unwrap()),
            _ => assert!(db.put_with(key(n), b"value", &living(Duration::from_millis(1))).unwrap()),
        }
    }
    while db.count().unwrap() > u64::from(KEYS) / 2 {
        std::thread::yield_now();
    }
    assert!(bytes() <= before + SMALL_CHANGE, "{} bytes are left", bytes() - before);
}

fn living(ttl: Duration) -> PutOptions {
    PutOptions { ttl: Some(ttl), ..PutOptions::default() }
}

/// What a version that is kept for a walk takes at most: `src/capi/manual.md` says so.
const VERSION: i64 = 60;

#[test]
fn walks_that_come_and_go_beside_a_long_one_leave_nothing_behind() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let db = open(&directory);
    load(&db);
    let before = bytes();
    let mut long = db.iter(b"").unwrap();
    assert!(long.next_row().unwrap().is_some());
    for round in 0..30 {
        let short = db.iter(b"").unwrap();
        load(&db);
        drop(short);
        let now = bytes();
        let most = before + VERSION * i64::from(KEYS) + SMALL_CHANGE;
        assert!(now <= most, "{} bytes a key in round {round}", (now - before) / i64::from(KEYS));
    }
    let mut rows = 1;
    while long.next_row().unwrap().is_some() {
        rows += 1;
    }
    assert_eq!(rows, KEYS);
    drop(long);
    assert!(bytes() <= before + SMALL_CHANGE, "{} bytes are left", bytes() - before);
}

#[test]
fn a_walk_that_stands_still_keeps_the_files_that_it_may_read_and_no_more() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        merge: MergeMode::Manual,
        sync: SyncMode::None,
        max_file_size: 256 << 10,
        ..Options::default()
    };
    let db = Db::open(directory.path().join("store"), &options).unwrap();
    load(&db);
    let mut walk = db.iter(b"").unwrap();
    // What it loaded, and has not shown, it may still read.
    (0..10).for_each(|_| assert!(walk.next_row().unwrap().is_some()));
    let files = || std::fs::read_dir(directory.path().join("store")).unwrap().count();
    let (mut after_some, mut most) = (0, 0);
    for round in 0..16u32 {
        // Half of the keys are written again, and the merge takes the others along.
        (0..KEYS).step_by(2).for_each(|n| db.put(key(n), round.to_le_bytes()).unwrap());
        db.merge().unwrap();
        if round == 4 {
            after_some = files();
        }
        most = files();
    }
    assert!(most <= after_some + 2, "{after_some} files after 5 rounds, {most} after 16");
    let mut rows = 10;
    while let Some(row) = walk.next_row().unwrap() {
        assert_eq!(row.value(), b"value");
        rows += 1;
    }
    assert_eq!(rows, KEYS);
}
