//! Many threads at once on the same keys while files rotate: every read gives a whole value that was current at some
//! moment of the read.
//!
//! Values describe themselves, so that a torn or foreign one is recognised. A counter that all threads share orders what
//! they do: a read may not give a value that was replaced before the read began, nor one whose write began after it.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use filedb::disk::sim::{Random, Reserve, SimDisk};
use filedb::{Db, IoMode, MergeMode, Options, SyncMode};

use support::generate::pick;
use support::history::{Value, key};
use support::runner::{histories, seeds, tally};
use support::store::Ground;

const WRITERS: u32 = 3;
const READERS: u32 = 2;
const SHARED_KEYS: u8 = 8;
/// Keys from here on have one writer each, which must read what it wrote.
const FIRST_OWN_KEY: u8 = 20;

/// The order of events in all threads.
#[derive(Default)]
struct Clock(AtomicU64);

impl Clock {
    fn tick(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// A write or a read of a key, and when: it took effect between `begun` and `ended`.
#[derive(Clone, Copy, Debug)]
struct Event {
    key: u8,
    /// The version written or read; none for a delete or for nothing.
    version: Option<u32>,
    begun: u64,
    ended: u64,
}

#[derive(Default)]
struct Log {
    writes: Vec<Event>,
    reads: Vec<Event>,
}

/// The version that a value claims, if all its other bytes bear it out.
fn version_of(index: u8, bytes: &[u8]) -> Option<u32> {
    let version = u32::from_le_bytes(*bytes.first_chunk()?);
    (Value { version, len: bytes.len() as u32 }.bytes(index) == bytes).then_some(version)
}

fn read(db: &Db, clock: &Clock, index: u8, how: u64) -> Event {
    let key = key(index);
    let check = |bytes: &[u8]| {
        version_of(index, bytes).unwrap_or_else(|| {
            panic!(
                "key #{index} holds {} bytes that nobody wrote for it: {:?}",
                bytes.len(),
                &bytes[..bytes.len().min(64)]
            )
        })
    };
    let begun = clock.tick();
    let version = match how % 4 {
        0 => db.get(&key).expect("get").map(|bytes| check(&bytes)),
        1 => db.read(&key, check).expect("read"),
        2 => db.get_pinned(&key).expect("get_pinned").map(|pinned| check(&pinned)),
        _ => {
            let mut values = Vec::new();
            db.get_many(&[&key], &mut values).expect("get_many");
            values.remove(0).expect("one of get_many").map(|pinned| check(&pinned))
        }
    };
    Event { key: index, version, begun, ended: clock.tick() }
}

fn write(db: &Db, clock: &Clock, random: &mut Random, writer: u32, turn: u32, log: &mut Log) {
    // The version tells the writer and its turn; no two writes have the same.
    let version = turn * WRITERS + writer + 1;
    let own = random.one_in(3);
    let index = if own {
        FIRST_OWN_KEY + writer as u8 * 5 + random.below(5) as u8
    } else {
        random.below(u64::from(SHARED_KEYS)) as u8
    };
    let len = 4 + if random.one_in(50) { 5_000 } else { random.below(200) as u32 };
    let version = (!random.one_in(5)).then_some(version);
    let begun = clock.tick();
    match version {
        Some(version) => db.put(key(index), Value { version, len }.bytes(index)).expect("put"),
        None => drop(db.delete(key(index)).expect("delete")),
    }
    log.writes.push(Event { key: index, version, begun, ended: clock.tick() });
    if own {
        let seen = read(db, clock, index, random.number());
        assert_eq!(seen.version, version, "writer {writer} does not read what it wrote to key #{index}");
    }
}

/// Runs the threads, and gives all that they did.
fn run(db: &Db, seed: u64, turns: u32) -> Log {
    let clock = Clock::default();
    let logs: Vec<Log> = std::thread::scope(|scope| {
        let clock = &clock;
        let writers = (0..WRITERS).map(|writer| {
            scope.spawn(move || {
                let mut random = Random::new(seed ^ u64::from(writer) << 40);
                let mut log = Log::default();
                for turn in 0..turns {
                    write(db, clock, &mut random, writer, turn, &mut log);
                    if random.one_in(200) {
                        db.sync().expect("sync");
                    }
                    if random.one_in(500) {
                        db.merge().expect("merge");
                    }
                }
                log
            })
        });
        let readers = (0..READERS).map(|reader| {
            scope.spawn(move || {
                let mut random = Random::new(seed ^ u64::from(reader + 1) << 50);
                let mut log = Log::default();
                let mut held = Vec::new();
                for turn in 0..turns * 2 {
                    let index = random.below(u64::from(SHARED_KEYS)) as u8;
                    log.reads.push(read(db, clock, index, random.number()));
                    if random.one_in(20) {
                        held.extend(
                            db.get_pinned(key(index)).expect("get_pinned").map(|pinned| (index, pinned)),
                        );
                    }
                    if held.len() > 20 {
                        let (index, pinned) = held.swap_remove(random.below(20) as usize);
                        assert!(
                            version_of(index, &pinned).is_some(),
                            "a pinned value of key #{index} has changed"
                        );
                    }
                    if turn % 100 == 0 {
                        check_list(db);
                    }
                }
                log
            })
        });
        let threads: Vec<_> = writers.chain(readers).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|why| std::panic::resume_unwind(why)))
            .collect()
    });
    let mut all = Log::default();
    for log in logs {
        all.writes.extend(log.writes);
        all.reads.extend(log.reads);
    }
    all
}

/// A list that is made while keys come and go has no key twice, and none that was never written.
fn check_list(db: &Db) {
    let keys = db.list(b"").expect("list");
    let mut known: Vec<Vec<u8>> = (0..50).map(key).collect();
    for listed in keys.iter() {
        let place = known.iter().position(|key| key == listed);
        let place =
            place.unwrap_or_else(|| panic!("a list has '{}' twice, or from nowhere", listed.escape_ascii()));
        known.swap_remove(place);
    }
}

/// The writes of one key, in the order in which they began.
#[derive(Default)]
struct Writes(Vec<Event>);

impl Writes {
    /// Whether a value that was complete at `ended` was certainly replaced before `read` began: a later write was over by
    /// then, and later means that it began after the value's own write had ended.
    fn replaced(&self, ended: u64, read: &Event) -> bool {
        let later = self.0.partition_point(|write| write.begun <= ended);
        self.0[later..]
            .iter()
            .take_while(|write| write.begun < read.begun)
            .any(|write| write.ended < read.begun)
    }

    /// Whether the read may have given what it gave.
    fn allow(&self, read: &Event) -> bool {
        let begun = self.0.partition_point(|write| write.begun < read.ended);
        let mut candidates = self.0[..begun].iter().rev().filter(|write| write.version == read.version);
        // Nothing is also what there was before the first write.
        let untouched = read.version.is_none() && !self.0.iter().any(|write| write.ended < read.begun);
        untouched || candidates.any(|write| !self.replaced(write.ended, read))
    }
}

/// Every read gave a value that may have been current while it ran.
fn check_reads(log: &Log) {
    let mut writes: BTreeMap<u8, Writes> = BTreeMap::new();
    for write in &log.writes {
        writes.entry(write.key).or_default().0.push(*write);
    }
    writes.values_mut().for_each(|writes| writes.0.sort_by_key(|write| write.begun));
    let none = Writes::default();
    for read in &log.reads {
        let possible = writes.get(&read.key).unwrap_or(&none).allow(read);
        assert!(
            possible,
            "{read:?} gave what was replaced before it began, written after it ended, or never written"
        );
    }
}

/// What is there at the end was written by one of the last writes: no write that was over before another began.
fn check_end(db: &Db, log: &Log) {
    let clock = Clock(AtomicU64::new(u64::MAX / 2));
    let keys: Vec<u8> = (0..SHARED_KEYS).chain(FIRST_OWN_KEY..FIRST_OWN_KEY + 5 * WRITERS as u8).collect();
    let reads = keys.iter().map(|index| read(db, &clock, *index, 0)).collect();
    check_reads(&Log { writes: log.writes.clone(), reads });
}

fn options(io: IoMode, sync: SyncMode) -> Options {
    Options {
        io,
        sync,
        max_file_size: 4 << 10,
        merge: MergeMode::Manual,
        sync_interval_ms: 5,
        ..Options::default()
    }
}

fn run_in_a_directory(io: IoMode, sync: SyncMode, turns: u32) {
    for seed in seeds(histories(2)) {
        println!("FILEDB_TEST_SEED={seed}, io={io:?}, sync={sync:?}");
        let ground = Ground::directory();
        let options = options(io, sync);
        let db = ground.open(&options).expect("opening");
        let log = run(&db, seed, turns);
        check_reads(&log);
        check_end(&db, &log);
        db.close().expect("closing");
        drop(db);
        let db = ground.open(&options).expect("opening again");
        check_end(&db, &log);
        db.close().expect("closing again");
        tally(1, "histories");
    }
}

#[test]
fn no_value_is_stale_or_torn_under_concurrency_in_mapped_files() {
    run_in_a_directory(IoMode::Mmap, SyncMode::None, 10_000);
}

#[test]
fn no_value_is_stale_or_torn_under_concurrency_in_plain_files() {
    run_in_a_directory(IoMode::Pread, SyncMode::None, 10_000);
}

#[test]
fn no_value_is_stale_or_torn_under_concurrency_with_shared_syncs() {
    run_in_a_directory(IoMode::Mmap, SyncMode::Always, 500);
    run_in_a_directory(IoMode::Pread, SyncMode::Always, 500);
}

#[test]
fn no_value_is_stale_or_torn_under_concurrency_with_syncs_at_intervals() {
    run_in_a_directory(IoMode::Mmap, SyncMode::Interval, 2_000);
}

#[test]
fn no_value_is_stale_or_torn_under_concurrency_on_the_simulated_disk() {
    for seed in seeds(histories(4)) {
        println!("FILEDB_TEST_SEED={seed}");
        let disk = SimDisk::new();
        let mut random = Random::new(seed);
        disk.set_reserve(pick(&mut random, &[Reserve::Pages, Reserve::Exact, Reserve::Nothing]));
        let options = options(IoMode::Pread, pick(&mut random, &[SyncMode::None, SyncMode::Always]));
        let db = Db::open_on(Arc::new(disk.clone()), &options).expect("opening");
        let log = run(&db, seed, 3_000);
        check_reads(&log);
        check_end(&db, &log);
        // Every call has returned: a kill loses none of them.
        let next = Db::open_on(Arc::new(disk.kill()), &options).expect("opening after the kill");
        check_end(&next, &log);
        tally(1, "histories");
    }
}

#[test]
fn a_close_during_calls_neither_crashes_nor_hangs() {
    for io in [IoMode::Mmap, IoMode::Pread] {
        for seed in seeds(histories(20)) {
            let ground = Ground::directory();
            let db = ground.open(&options(io, SyncMode::None)).expect("opening");
            let started = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for thread in 0..3u64 {
                    let (db, started) = (&db, &started);
                    scope.spawn(move || {
                        let mut random = Random::new(seed ^ thread << 32);
                        let mut held = Vec::new();
                        for version in 0.. {
                            let index = random.below(10) as u8;
                            let value = Value { version, len: 100 }.bytes(index);
                            let outcome = match random.below(3) {
                                0 => db.put(key(index), &value),
                                1 => db
                                    .get_pinned(key(index))
                                    .map(|pinned| held.extend(pinned.map(|it| (index, it)))),
                                _ => db.count().map(drop),
                            };
                            started.fetch_add(1, Ordering::SeqCst);
                            match outcome {
                                Ok(()) => {}
                                Err(filedb::Error::Closed) => break,
                                Err(error) => panic!("{error}"),
                            }
                        }
                        for (index, pinned) in held {
                            assert!(
                                version_of(index, &pinned).is_some(),
                                "a pinned value changed after the close"
                            );
                        }
                    });
                }
                while started.load(Ordering::SeqCst) < 500 {
                    std::thread::yield_now();
                }
                db.close().expect("closing");
                assert!(matches!(db.close(), Err(filedb::Error::Closed)), "a second close says so");
            });
        }
    }
}
