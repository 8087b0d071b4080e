//! Keys that expire: beside clocks that jump, writes that fail, threads, and merges that take long.
use std::sync::Arc;
use std::time::Duration;

use crate::disk::Disk;
use crate::disk::sim::{Fault, Kind, Random, SimDisk};
use crate::{Batch, Db, EngineKind, LogLevel, LogSink, Options, PutOptions, Ttl};

const HOUR: u64 = 60 * 60 * 1000;
const YEAR_2026: u64 = 1_767_225_600_000;
const YEAR_2100: u64 = 4_102_444_800_000;

fn manual() -> Options {
    let mut options = Options::default();
    options.set("merge", "manual").unwrap();
    options
}

fn open(disk: &SimDisk) -> Db {
    Db::open_on(Arc::new(disk.clone()), &manual()).unwrap()
}

fn living(ttl_ms: u64) -> PutOptions {
    PutOptions { ttl: Some(Duration::from_millis(ttl_ms)), ..PutOptions::default() }
}

/// A store that was opened in the year 2100, once, and written to; the clock is right again.
fn once_in_2100(leave: impl FnOnce(&SimDisk, Db) -> SimDisk) -> SimDisk {
    once_in_2100_with(&manual(), leave)
}

fn once_in_2100_with(options: &Options, leave: impl FnOnce(&SimDisk, Db) -> SimDisk) -> SimDisk {
    let disk = SimDisk::new();
    disk.set_clock_ms(YEAR_2100);
    let db = Db::open_on(Arc::new(disk.clone()), options).unwrap();
    db.put(b"old", b"value").unwrap();
    let disk = leave(&disk, db);
    disk.set_clock_ms(YEAR_2026);
    disk
}

fn closed(disk: &SimDisk, db: Db) -> SimDisk {
    db.close().unwrap();
    disk.clone()
}

fn killed(disk: &SimDisk, _db: Db) -> SimDisk {
    disk.kill()
}

#[test]
fn keys_expire_in_their_time_after_the_clock_was_once_far_ahead() {
    for leave in [closed, killed] {
        let disk = once_in_2100(leave);
        let db = open(&disk);
        assert!(db.put_with(b"key", b"value", &living(500)).unwrap());
        disk.advance_clock_ms(498);
        assert!(db.exists(b"key").unwrap());
        disk.advance_clock_ms(3);
        assert!(!db.exists(b"key").unwrap());
        assert_eq!(db.count().unwrap(), 1);
        db.close().unwrap();
        let db = open(&disk);
        assert!(!db.exists(b"key").unwrap());
        // What is put and left to itself expires while the store is closed.
        assert!(db.put_with(b"key", b"value", &living(500)).unwrap());
        db.close().unwrap();
        disk.advance_clock_ms(498);
        let db = open(&disk);
        assert!(db.exists(b"key").unwrap());
        db.close().unwrap();
        disk.advance_clock_ms(3);
        assert!(!open(&disk).exists(b"key").unwrap());
    }
}

#[test]
fn keys_expire_in_their_time_after_the_clock_is_set_back_while_the_store_is_open() {
    let disk = SimDisk::new();
    let db = open(&disk);
    assert!(db.put_with(b"before", b"value", &living(500)).unwrap());
    disk.advance_clock_ms(100);
    disk.set_clock_ms(disk.now_ms(true) - HOUR);
    assert!(db.put_with(b"after", b"value", &living(500)).unwrap());
    disk.advance_clock_ms(398);
    assert!(db.exists(b"before").unwrap());
    disk.advance_clock_ms(3);
    assert!(!db.exists(b"before").unwrap());
    disk.advance_clock_ms(97);
    assert!(db.exists(b"after").unwrap());
    disk.advance_clock_ms(3);
    assert!(!db.exists(b"after").unwrap());
    assert_eq!(db.count().unwrap(), 0);
}

#[test]
fn a_clock_that_is_set_forward_is_followed() {
    let disk = SimDisk::new();
    let db = open(&disk);
    assert!(db.put_with(b"key", b"value", &living(HOUR)).unwrap());
    assert!(matches!(db.ttl(b"key").unwrap(), Some(Ttl::Left(left)) if left == Duration::from_millis(HOUR)));
    disk.set_clock_ms(disk.now_ms(true) + HOUR + 10);
    assert!(!db.exists(b"key").unwrap());
    // And the step that only a write without an expiry came to see.
    assert!(db.put_with(b"key", b"value", &living(HOUR)).unwrap());
    let right = disk.now_ms(true);
    disk.set_clock_ms(right + 2 * HOUR);
    db.put(b"other", b"value").unwrap();
    disk.set_clock_ms(right);
    assert!(!db.exists(b"key").unwrap());
    assert!(db.put_with(b"key", b"value", &living(500)).unwrap());
    disk.advance_clock_ms(510);
    assert!(!db.exists(b"key").unwrap());
}

#[test]
fn a_clock_that_jumps_forth_and_back_takes_the_store_ahead_once() {
    let disk = SimDisk::new();
    let mut db = open(&disk);
    for round in 0..20 {
        let right = disk.now_ms(true);
        disk.set_clock_ms(right + HOUR);
        assert!(db.put_with(b"key", b"value", &living(1)).unwrap());
        if round % 3 == 0 {
            db.close().unwrap();
            db = open(&disk);
        }
        disk.set_clock_ms(right);
        db.put(b"other", b"value").unwrap();
        if round % 2 == 0 {
            db.close().unwrap();
            db = open(&disk);
        }
        assert!(db.put_with(b"key", b"value", &living(1)).unwrap());
        disk.advance_clock_ms(1_000);
        let ahead = db.stats().unwrap().clock_ahead_ms;
        assert!((HOUR - 22_000..=HOUR + 1).contains(&ahead), "round {round}: {ahead} ms");
    }
}

#[test]
fn a_store_that_is_far_ahead_of_the_clock_says_so() {
    for engine in [EngineKind::Bitcask, EngineKind::Lsm] {
        let own = Options { engine, ..manual() };
        let disk = once_in_2100_with(&own, closed);
        let told = Arc::new(crate::sync::lock::Mutex::new(Vec::new()));
        let sink = told.clone();
        let log = LogSink::new(move |level, words| sink.lock().push((level, words.to_string())));
        let db = Db::open_on(Arc::new(disk.clone()), &Options { log, ..own.clone() }).unwrap();
        let seconds = ((YEAR_2100 - YEAR_2026) / 1000).to_string();
        let told = std::mem::take(&mut *told.lock());
        let is_it = |(level, words): &(LogLevel, String)| {
            *level == LogLevel::Warn
                && words.contains("ahead of this machine's clock")
                && words.contains(&seconds)
        };
        assert!(told.iter().any(is_it), "{engine:?}: {told:?}");
        let ahead = db.stats().unwrap().clock_ahead_ms;
        assert!((YEAR_2100 - YEAR_2026 - 1..=YEAR_2100 - YEAR_2026).contains(&ahead), "{engine:?}: {ahead}");
        let right = Db::open_on(Arc::new(SimDisk::new()), &own).unwrap();
        assert_eq!(right.stats().unwrap().clock_ahead_ms, 0);
    }
}

#[test]
fn whatever_the_clock_does_nothing_comes_back_and_nothing_stays() {
    const KEYS: u64 = 8;
    for seed in 0..50 {
        let mut random = Random::new(seed);
        let mut disk = SimDisk::new();
        let mut db = open(&disk);
        // How much time a key that was put has left, and whether it was seen expired. What really passes is what `advance` says.
        let mut left: [Option<u64>; KEYS as usize] = [None; KEYS as usize];
        for step in 0..100 {
            let key = random.below(KEYS);
            match random.below(10) {
                0..4 => {
                    let ttl = 1 + random.below(20_000);
                    assert!(db.put_with([key as u8], b"value", &living(ttl)).unwrap());
                    left[key as usize] = Some(ttl);
                }
                4..7 => {
                    let by = random.below(5_000);
                    if random.one_in(3) {
                        // As long as the clock is not set meanwhile, this counts as well.
                        db.close().unwrap();
                        disk.advance_clock_ms(by);
                        db = open(&disk);
                    } else {
                        disk.advance_clock_ms(by);
                    }
                    // A millisecond may be lost to rounding.
                    let by = by.saturating_sub(1);
                    left.iter_mut().flatten().for_each(|left| *left = left.saturating_sub(by));
                }
                7 => {
                    let now = disk.now_ms(true);
                    let by = random.below(20_000);
                    disk.set_clock_ms(if random.one_in(2) { now + by } else { now - by });
                    // A store that is closed as it was opened says what the clocks said at the close before.
                    db.put(b"time", b"").unwrap();
                }
                8 => {
                    db.close().unwrap();
                    db = open(&disk);
                }
                _ => {
                    // What a killed process leaves is the time of its last write, which may be a second old.
                    let ahead = db.stats().unwrap().clock_ahead_ms;
                    db.put(b"time", b"").unwrap();
                    disk = disk.kill();
                    db = open(&disk);
                    let lost = ahead.saturating_sub(db.stats().unwrap().clock_ahead_ms);
                    assert!(lost <= 1_100, "seed {seed}, step {step}: {lost} ms were lost");
                    left.iter_mut().flatten().for_each(|left| *left += lost);
                }
            }
            for (n, left) in (0u8..).zip(&mut left) {
                let is_there = db.exists([n]).unwrap();
                match left {
                    None => assert!(!is_there, "seed {seed}, step {step}: key {n} came back"),
                    Some(0) => assert!(!is_there, "seed {seed}, step {step}: key {n} stayed"),
                    Some(_) => {}
                }
                if !is_there {
                    *left = None;
                }
            }
        }
    }
}

/// A store with a key whose time has come, and the time of the clock when it was put.
fn with_an_expired_key(disk: &SimDisk) -> (Db, u64) {
    let db = open(disk);
    let put_at = disk.now_ms(true);
    assert!(db.put_with(b"key", b"value", &living(1_000)).unwrap());
    disk.advance_clock_ms(2_000);
    (db, put_at)
}

/// Whether the key is there for a process that finds the disk as it is now, on a machine whose clock was set back.
fn comes_back(disk: &SimDisk, put_at: u64) -> bool {
    let disk = disk.fork();
    disk.set_clock_ms(put_at);
    open(&disk).exists(b"key").unwrap()
}

#[test]
fn that_a_key_expired_is_logged_before_anybody_is_told_also_while_another_thread_logs_it() {
    let disk = SimDisk::new();
    let (db, put_at) = with_an_expired_key(&disk);
    disk.hold_writes();
    std::thread::scope(|scope| {
        let ask = || {
            assert!(!db.exists(b"key").unwrap());
            disk.release_writes();
            assert!(!comes_back(&disk, put_at), "it comes back, and somebody was told that it is gone");
        };
        let first = scope.spawn(ask);
        disk.wait_for_a_held_write();
        let second = scope.spawn(ask);
        // The second has a while for a wrong answer; a right one it gives only after this.
        for _ in 0..100 {
            if second.is_finished() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        disk.release_writes();
        first.join().unwrap();
        second.join().unwrap();
    });
}

#[test]
fn that_a_key_expired_is_logged_at_last_where_it_could_not_be_at_first() {
    type Ask = fn(&Db);
    const GET: Ask = |db| assert!(!db.exists(b"key").unwrap());
    const COUNT: Ask = |db| assert_eq!(db.count().unwrap(), 0);
    const MAINTAIN: Ask = |db| db.maintain().unwrap();
    const MERGE: Ask = |db| db.merge().unwrap();
    // A count takes the key out of the index, and a get after it finds nothing that could expire.
    let orders: [(Ask, &[Ask]); 2] =
        [(GET, &[GET, COUNT, MAINTAIN, MERGE]), (COUNT, &[COUNT, MAINTAIN, MERGE])];
    for (first, then) in orders {
        for again in then {
            let disk = SimDisk::new();
            let (db, put_at) = with_an_expired_key(&disk);
            disk.fail(Fault::once(0, libc::EIO).of(&[Kind::Write]));
            first(&db);
            assert!(!disk.has_faults());
            assert!(comes_back(&disk, put_at), "nothing was to be written");
            again(&db);
            assert!(!comes_back(&disk, put_at));
        }
    }
}

#[test]
fn a_key_expires_for_good_on_a_full_disk() {
    let disk = SimDisk::new();
    let mut options = manual();
    options.max_file_size = 64 << 10;
    let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
    let put_at = disk.now_ms(true);
    assert!(db.put_with(b"key", b"value", &living(1_000)).unwrap());
    db.maintain().unwrap();
    disk.set_room(Some(disk.used()));
    let full = (0..100_000u32).find_map(|n| db.put(n.to_le_bytes(), [7; 40]).err()).unwrap();
    assert!(matches!(full, crate::Error::NoSpace { .. }), "{full}");
    disk.advance_clock_ms(2_000);
    assert!(!db.exists(b"key").unwrap());
    let disk = disk.kill();
    disk.set_clock_ms(put_at);
    let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
    assert!(!db.exists(b"key").unwrap());
}

#[test]
fn the_memory_for_keys_that_expire_depends_on_how_many_there_are_and_not_on_how_often_they_are_written() {
    let disk = SimDisk::new();
    let db = open(&disk);
    let key = |n: u32| n.to_le_bytes();
    const KEYS: u32 = 20_000;
    (0..KEYS).for_each(|n| db.put(key(n), b"v").unwrap());
    let bytes = |db: &Db| db.stats().unwrap().index_bytes;
    let before = bytes(&db);
    for round in 1..8 {
        for n in 0..KEYS {
            let ttl = HOUR * (1 + u64::from(n * round) % 1_000);
            assert!(db.put_with(key(n), b"v", &living(ttl)).unwrap());
        }
        let more = bytes(&db) - before;
        assert!(more <= 24 * u64::from(KEYS) + (256 << 10), "{more} bytes in round {round}");
    }
    // A kill, and what the next process makes of all that.
    let disk = disk.kill();
    let db = open(&disk);
    assert!(bytes(&db) - before <= 24 * u64::from(KEYS) + (256 << 10));
    db.recount().unwrap();
    // What does not expire any more takes nothing.
    for n in 0..KEYS {
        match n % 4 {
            0 => db.put(key(n), b"v").unwrap(),
            1 => assert!(db.delete(key(n)).unwrap()),
            2 => assert!(db.persist(key(n)).unwrap()),
            _ => {
                let mut batch = Batch::new();
                batch.put(key(n), b"v").unwrap();
                db.write(&batch).unwrap();
            }
        }
    }
    assert_eq!(bytes(&db), before);
    db.recount().unwrap();
}

#[test]
fn which_keys_expire_is_known_whatever_happens_to_them() {
    const KEYS: u64 = 40;
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut disk = SimDisk::new();
        let options = Options { max_file_size: 1_000, ..manual() };
        let open = |disk: &SimDisk| Db::open_on(Arc::new(disk.clone()), &options).unwrap();
        let mut db = open(&disk);
        for step in 0..300 {
            let key = [random.below(KEYS) as u8];
            let ttl = 1 + random.below(20_000);
            match random.below(20) {
                0..6 => assert!(db.put_with(key, [step as u8; 20], &living(ttl)).unwrap()),
                6..8 => db.put(key, b"for ever").unwrap(),
                8 | 9 => drop(db.delete(key).unwrap()),
                10 => drop(db.expire(key, Duration::from_millis(ttl)).unwrap()),
                11 => drop(db.persist(key).unwrap()),
                12 => {
                    let keep = PutOptions { keep_ttl: true, ..PutOptions::default() };
                    db.put_with(key, b"kept", &keep).unwrap();
                }
                13 | 14 => {
                    let mut batch = Batch::new();
                    for _ in 0..random.below(30) {
                        let key = [random.below(KEYS) as u8];
                        match random.below(3) {
                            0 => batch.put(key, b"batch").unwrap(),
                            1 => batch
                                .put_with_ttl(key, b"batch", Duration::from_millis(1 + random.below(20_000)))
                                .unwrap(),
                            _ => batch.delete(key).unwrap(),
                        }
                    }
                    db.write(&batch).unwrap();
                }
                15 => db.merge().unwrap(),
                16 => db.maintain().unwrap(),
                17 => disk.advance_clock_ms(random.below(5_000)),
                18 => {
                    db.close().unwrap();
                    db = open(&disk);
                }
                _ => {
                    disk = disk.kill();
                    db = open(&disk);
                }
            }
            db.recount().unwrap_or_else(|why| panic!("seed {seed}, step {step}: {why}"));
        }
        disk.advance_clock_ms(20_000);
        let found = (0..KEYS as u8).filter(|key| db.exists([*key]).unwrap()).count() as u64;
        assert_eq!(db.count().unwrap(), found);
        assert!((0..KEYS as u8).all(|key| matches!(db.ttl([key]).unwrap(), None | Some(Ttl::Forever))));
    }
}

#[test]
fn keys_that_have_expired_are_forgotten_while_the_maintenance_thread_is_stuck() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path().join("store"), &manual()).unwrap();
    let shared = db.shared().upgrade().unwrap();
    // As a merge that takes long, or a seal on a slow disk.
    let _stuck = shared.sealing().lock();
    (0..1_000u32).for_each(|n| assert!(db.put_with(n.to_le_bytes(), b"v", &living(1)).unwrap()));
    // Who writes on wakes the other thread, which forgets them.
    while shared.inside().unwrap().index.len() > 1 {
        db.put(b"filler", [1; 60_000]).unwrap();
        std::thread::yield_now();
    }
}

#[test]
fn a_key_that_expires_too_late_to_be_noted_stays_whatever_the_clock_says() {
    for ttl in [u64::MAX, u64::MAX / 2, 1 << 56, 1 << 48] {
        let disk = SimDisk::new();
        disk.set_clock_ms(YEAR_2026);
        let db = open(&disk);
        assert!(db.put_with(b"key", b"value", &living(ttl)).unwrap());
        db.recount().unwrap();
        disk.advance_clock_ms((1 << 48) - YEAR_2026 - 1);
        assert_eq!(db.count().unwrap(), 1, "{ttl}");
        db.close().unwrap();
        let db = open(&disk);
        db.recount().unwrap();
        assert_eq!(db.count().unwrap(), 1);
        let disk = disk.kill();
        let db = open(&disk);
        db.recount().unwrap();
        assert!(db.exists(b"key").unwrap());
    }
}
