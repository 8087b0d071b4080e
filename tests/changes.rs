//! Who follows the changes of a store, and applies them, ends with what the store has: whatever merges, restarts, kills and power cuts
//! come in between, and wherever it was stopped itself. Where that cannot be it is told so.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use filedb::disk::sim::{Fault, Kind, PowerCut, Random, SimDisk};
use filedb::{
    BackupOptions, Batch, ChangeKind, Changed, Changes, Db, End, EngineKind, Error, Followed, MergeMode,
    Options, PutOptions, SyncMode, Type,
};
use support::follower::{Follower, NOW, contents};
use support::runner::{histories, seeds, tally};

const KEYS: u64 = 24;

fn key(n: u64) -> Vec<u8> {
    format!("key{n:02}").into_bytes()
}

/// A store that is written to, and who follows it.
struct World {
    disk: SimDisk,
    options: Options,
    db: Option<Db>,
    random: Random,
    step: u64,
    follower: Follower,
    changes: Option<Changes>,
    gaps: u64,
}

impl World {
    fn new(disk: SimDisk, options: Options, seed: u64) -> World {
        let db = Some(Db::open_on(Arc::new(disk.clone()), &options).unwrap());
        let (random, follower) = (Random::new(seed), Follower::default());
        World { disk, options, db, random, step: 0, follower, changes: None, gaps: 0 }
    }

    fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        self.db = Some(Db::open_on(Arc::new(self.disk.clone()), &self.options).unwrap());
    }

    fn write(&mut self) {
        self.step += 1;
        let (other, db) = (key(self.random.below(KEYS)), self.db.clone().unwrap());
        let key = key(self.random.below(KEYS));
        let len = self.random.below(90) as usize;
        let value: Vec<u8> =
            format!("{}-", self.step).into_bytes().into_iter().cycle().take(len + 1).collect();
        let life = Duration::from_millis(match self.random.below(3) {
            0 => 1 + self.random.below(3_000),
            _ => 1_000_000 + self.random.below(1_000_000),
        });
        let holds = db.type_of(&key).unwrap();
        let is_list = holds == Some(Type::List);
        match self.random.below(30) {
            0..6 => db.put(&key, &value).unwrap(),
            6 | 7 => assert!(db.put_with(&key, &value, &PutOptions::new().ttl(life)).unwrap()),
            8..11 => drop(db.delete(&key).unwrap()),
            11 => drop(db.expire(&key, life).unwrap()),
            12 => drop(db.persist(&key).unwrap()),
            13..15 => self.write_batch(&value),
            15..20 if holds.is_none() || is_list => drop(db.push_back(&key, &value).unwrap()),
            20..22 if holds.is_none() || is_list => drop(db.push_front(&key, &value).unwrap()),
            22 | 23 if is_list => assert!(db.pop_front(&key).unwrap().is_some()),
            24 if is_list => assert!(db.pop_back(&key).unwrap().is_some()),
            25 if is_list => {
                let at = self.random.below(db.list_length(&key).unwrap().unwrap()) as i64;
                assert!(db.list_set(&key, at, &value).unwrap());
            }
            26 => self.disk.advance_clock_ms(self.random.below(2_000)),
            27 if is_list => {
                let to = &other;
                let ends = [End::Front, End::Back];
                let mut end = || ends[self.random.below(2) as usize];
                let moved = db.list_move((&key, end()), (to, end()));
                assert!(matches!(moved, Ok(Some(_)) | Err(Error::WrongType)), "{moved:?}");
            }
            _ => {}
        }
    }

    fn write_batch(&mut self, value: &[u8]) {
        let (mut batch, db) = (Batch::new(), self.db.clone().unwrap());
        let mut lists: BTreeMap<Vec<u8>, bool> = BTreeMap::new();
        for _ in 0..1 + self.random.below(8) {
            let key = key(self.random.below(KEYS));
            let is_list =
                *lists.entry(key.clone()).or_insert_with(|| db.type_of(&key).unwrap() != Some(Type::Value));
            match self.random.below(7) {
                0 => {
                    batch.put(&key, value).unwrap();
                    lists.insert(key, false);
                }
                1 => {
                    batch.delete(&key).unwrap();
                    lists.insert(key, true);
                }
                2..5 if is_list => batch.push_back(&key, value).unwrap(),
                5 if is_list => batch.push_front(&key, value).unwrap(),
                6 if is_list => {
                    batch.push_back(&key, value).unwrap();
                    batch.push_back(&key, b"popped").unwrap();
                    batch.pop_back(&key).unwrap();
                    batch.pop_front(&key).unwrap();
                }
                _ => {}
            }
        }
        db.write(&batch).unwrap();
    }

    /// The follower goes on, and is stopped somewhere, or not.
    fn follow(&mut self, most: u64) {
        let db = self.db.clone().unwrap();
        let changes = self.changes.get_or_insert_with(|| db.changes(self.follower.seq).unwrap());
        if !self.follower.follow(changes, most) {
            self.gaps += 1;
            self.changes = None;
            self.follower = Follower::copy_of(&db);
        }
        if self.random.one_in(3) {
            self.changes = None;
        }
    }

    fn check(&mut self) {
        self.follow(u64::MAX);
        let (db, now) = (self.db(), self.db().now_ms().unwrap());
        let (expected, found) = (contents(db), self.follower.held(now));
        for n in 0..KEYS {
            let key = key(n);
            assert_eq!(
                found.get(&key),
                expected.get(&key),
                "key {n}, at {} of {}, step {}",
                self.follower.seq,
                db.last_seq().unwrap(),
                self.step
            );
        }
        assert_eq!(found, expected);
    }

    fn close(&mut self) {
        self.changes = None;
        self.db.take().unwrap().close().unwrap();
    }

    /// The process is killed.
    fn kill(&mut self) {
        self.changes = None;
        self.disk = self.disk.kill();
        self.db = None;
        self.reopen();
    }
}

fn options(random: &mut Random, engine: EngineKind) -> Options {
    let pick = |random: &mut Random, from: &[u64]| from[random.below(from.len() as u64) as usize];
    Options {
        engine,
        sync: if random.one_in(3) { SyncMode::Always } else { SyncMode::None },
        max_file_size: pick(random, &[400, 400, 1_000, 5_000, 20_000]),
        merge: if random.one_in(2) { MergeMode::Auto } else { MergeMode::Manual },
        merge_space_amplification: 1.2,
        keep_tombstones_ms: pick(random, &[0, 0, 1_000, u64::MAX]),
        lsm_memory: 16 << 10,
        ..Options::default()
    }
}

fn run(seed: u64, engine: EngineKind) -> u64 {
    let mut random = Random::new(seed);
    let disk = SimDisk::new();
    disk.set_mapped(random.one_in(2));
    let options = options(&mut random, engine);
    // What is dropped while it is kept for ever is what nobody misses.
    let may_gap = options.keep_tombstones_ms != u64::MAX || engine == EngineKind::Lsm;
    let mut world = World::new(disk, options, seed);
    for _ in 0..400 {
        match world.random.below(40) {
            0 => world.check(),
            1..7 => {
                let most = world.random.below(12);
                world.follow(most);
            }
            7 => {
                world.close();
                world.reopen();
            }
            8 => world.kill(),
            9 => world.db().maintain().unwrap(),
            10 => world.db().merge().unwrap(),
            11 => world.db().sync().unwrap(),
            12 if engine == EngineKind::Lsm => world.db().flush().unwrap(),
            _ => world.write(),
        }
    }
    world.check();
    assert!(may_gap || world.gaps == 0, "there were {} gaps, and nothing was dropped", world.gaps);
    world.gaps
}

#[test]
fn who_follows_and_is_stopped_anywhere_ends_with_what_the_store_has() {
    let (mut gaps, seeds) = (0, seeds(histories(300)));
    for seed in seeds.clone() {
        gaps += run(seed, EngineKind::Bitcask);
    }
    println!("{gaps} gaps");
    tally(seeds.end - seeds.start, "followed histories");
}

#[test]
fn the_ordered_engine_is_followed_as_far_as_its_log_goes() {
    let (mut gaps, seeds) = (0, seeds(histories(150)));
    for seed in seeds.clone() {
        gaps += run(seed, EngineKind::Lsm);
    }
    println!("{gaps} gaps");
    tally(seeds.end - seeds.start, "followed histories");
}

/// A change: its number, what was done, the key and the value.
type Seen = (u64, ChangeKind, Vec<u8>, Vec<u8>);

/// All that is shown from one number on; where there is a gap, behind which number.
fn shown(db: &Db, after: u64) -> Result<Vec<Seen>, u64> {
    let (mut all, mut changes) = (Vec::new(), db.changes(after).unwrap());
    loop {
        match changes.next(NOW).unwrap() {
            Followed::Change(Changed { seq, kind, key, value, .. }) => {
                all.push((seq, kind, key.to_vec(), value.to_vec()));
            }
            Followed::Gap => return Err(changes.seq()),
            Followed::Timeout => return Ok(all),
        }
    }
}

const ENGINES: [EngineKind; 2] = [EngineKind::Bitcask, EngineKind::Lsm];

#[test]
fn each_change_is_shown_once_and_in_its_order() {
    for engine in ENGINES {
        let db = Db::open("memory://", &Options { engine, ..Options::default() }).unwrap();
        assert_eq!((db.last_seq().unwrap(), shown(&db, 0)), (0, Ok(Vec::new())));
        db.put("a", "1").unwrap();
        db.put("a", "2").unwrap();
        db.delete("a").unwrap();
        let mut batch = Batch::new();
        batch.put("b", "3").unwrap();
        batch.delete("c").unwrap();
        db.write(&batch).unwrap();
        let put = |seq, key: &str, value: &str| (seq, ChangeKind::Put, key.into(), value.into());
        let delete = |seq, key: &str| (seq, ChangeKind::Delete, key.into(), Vec::new());
        let all = [put(1, "a", "1"), put(2, "a", "2"), delete(3, "a"), put(4, "b", "3"), delete(5, "c")];
        assert_eq!(db.last_seq().unwrap(), 5);
        for after in 0..=5 {
            assert_eq!(shown(&db, after as u64).unwrap(), all[after..], "{engine:?} after {after}");
        }
        assert_eq!(shown(&db, 6), Err(6), "a number that the store has not given");
    }
}

#[test]
fn pushes_and_pops_are_told_as_such_and_a_set_as_the_whole_list() {
    let db = Db::open("memory://", &Options::default()).unwrap();
    db.push_back("l", "b").unwrap();
    db.push_back("l", "c").unwrap();
    db.push_front("l", "a").unwrap();
    db.pop_back("l").unwrap();
    db.pop_front("l").unwrap();
    let kinds: Vec<_> = shown(&db, 0).unwrap().into_iter().map(|(_, kind, _, value)| (kind, value)).collect();
    let push = |kind, value: &str| (kind, value.as_bytes().to_vec());
    assert_eq!(
        kinds,
        [
            push(ChangeKind::PushBack, "b"),
            // The second push finds a list that this feed knows.
            push(ChangeKind::PushBack, "c"),
            push(ChangeKind::PushFront, "a"),
            push(ChangeKind::PopBack, ""),
            push(ChangeKind::PopFront, ""),
        ]
    );
    db.push_back("l", "d").unwrap();
    let mut changes = db.changes(db.last_seq().unwrap()).unwrap();
    db.list_set("l", 0, "B").unwrap();
    let mut follower = Follower::default();
    assert!(follower.follow(&mut changes, u64::MAX));
    assert_eq!(follower.map, contents(&db));
    db.pop_front("l").unwrap();
    let Followed::Change(change) = changes.next(NOW).unwrap() else { panic!() };
    assert_eq!((change.kind, change.seq), (ChangeKind::PopFront, db.last_seq().unwrap()));
    db.pop_front("l").unwrap();
    let Followed::Change(change) = changes.next(NOW).unwrap() else { panic!() };
    assert_eq!(change.kind, ChangeKind::Delete);
}

#[test]
fn a_delete_that_a_merge_dropped_is_a_gap_unless_it_is_kept() {
    for keep_tombstones_ms in [0, 1_000_000] {
        let disk = SimDisk::new();
        let options = Options {
            merge: MergeMode::Manual,
            max_file_size: 400,
            keep_tombstones_ms,
            ..Options::default()
        };
        let open = || Db::open_on(Arc::new(disk.clone()), &options).unwrap();
        let db = open();
        db.put("gone", "1").unwrap();
        let before = db.last_seq().unwrap();
        db.put("kept", "1").unwrap();
        db.delete("gone").unwrap();
        db.put("kept", "2").unwrap();
        let after = db.last_seq().unwrap();
        db.merge().unwrap();
        let kept = (after, ChangeKind::Put, b"kept".to_vec(), b"2".to_vec());
        let gone = (after - 1, ChangeKind::Delete, b"gone".to_vec(), Vec::new());
        let check = |db: &Db| {
            assert_eq!(shown(db, after), Ok(Vec::new()));
            match keep_tombstones_ms {
                0 => assert_eq!(shown(db, before), Err(before)),
                _ => assert_eq!(shown(db, before), Ok(vec![gone.clone(), kept.clone()])),
            }
        };
        check(&db);
        db.close().unwrap();
        let db = open();
        check(&db);
        db.put("new", "3").unwrap();
        assert_eq!(shown(&db, after).unwrap().len(), 1);
        drop(db);
        let db = open_after_time(&disk, &options);
        if keep_tombstones_ms > 0 {
            db.put("kept", "3").unwrap();
            db.put("kept", "4").unwrap();
            db.merge().unwrap();
            db.merge().unwrap();
            assert_eq!(shown(&db, before), Err(before), "they are kept for a time, and not for ever");
            assert!(shown(&db, after).is_ok());
        }
    }
}

fn open_after_time(disk: &SimDisk, options: &Options) -> Db {
    let disk = disk.kill();
    disk.advance_clock_ms(2_000_000);
    Db::open_on(Arc::new(disk), options).unwrap()
}

#[test]
fn a_power_cut_takes_nothing_back_that_was_shown_where_every_write_is_synced() {
    for seed in seeds(histories(60)) {
        let mut random = Random::new(seed);
        let disk = SimDisk::new();
        let options = Options {
            sync: SyncMode::Always,
            keep_tombstones_ms: u64::MAX,
            ..options(&mut random, EngineKind::Bitcask)
        };
        let mut world = World::new(disk, options, seed);
        for _ in 0..150 {
            match world.random.below(30) {
                0 => {
                    let most = world.random.below(30);
                    world.follow(most);
                    world.changes = None;
                    let (seed, policies) = (world.random.number(), PowerCut::ALL);
                    let policy = policies[world.random.below(policies.len() as u64) as usize];
                    world.disk = world.disk.power_cut(seed, policy);
                    world.db = None;
                    world.reopen();
                }
                1 => world.check(),
                2 => world.db().merge().unwrap(),
                3 => world.db().maintain().unwrap(),
                _ => world.write(),
            }
        }
        world.check();
        assert_eq!(world.gaps, 0);
    }
}

#[test]
fn a_store_that_is_opened_for_reading_shows_what_is_there() {
    let disk = SimDisk::new();
    let db = Db::open_on(Arc::new(disk.clone()), &Options::default()).unwrap();
    db.put("a", "1").unwrap();
    db.push_back("l", "2").unwrap();
    db.close().unwrap();
    let reader = Db::open_on(Arc::new(disk), &Options::default().read_only(true)).unwrap();
    let mut follower = Follower::default();
    assert!(follower.follow(&mut reader.changes(0).unwrap(), u64::MAX));
    assert_eq!((follower.map, follower.seq), (contents(&reader), reader.last_seq().unwrap()));
    let mut changes = reader.changes(reader.last_seq().unwrap()).unwrap();
    assert_eq!(changes.next(Some(Duration::from_millis(5))).unwrap(), Followed::Timeout);
}

#[test]
fn who_waits_is_woken_by_a_write_and_by_a_close() {
    for engine in ENGINES {
        let db = Db::open("memory://", &Options { engine, ..Options::default() }).unwrap();
        let rounds = 2_000;
        let has_all = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let mut changes = db.changes(0).unwrap();
            let has_all = &has_all;
            let follower = scope.spawn(move || {
                for n in 1..=rounds {
                    let Followed::Change(change) = changes.next(None).unwrap() else { panic!() };
                    assert_eq!((change.seq, change.value), (n, n.to_string().as_bytes()));
                }
                has_all.store(true, Ordering::Release);
                assert!(matches!(changes.next(None), Err(Error::Closed)));
            });
            for n in 1..=rounds {
                db.put("key", n.to_string()).unwrap();
                if n % 7 == 0 {
                    std::thread::yield_now();
                }
            }
            while !has_all.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            db.close().unwrap();
            follower.join().unwrap();
        });
    }
}

#[test]
fn what_is_shown_can_be_read_beside_many_writers() {
    for engine in ENGINES {
        let db = Db::open("memory://", &Options { engine, ..Options::default() }).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3u64)
                .map(|writer| {
                    let db = db.clone();
                    scope.spawn(move || {
                        for n in 1..=5_000u64 {
                            db.put(writer.to_be_bytes(), n.to_be_bytes()).unwrap();
                        }
                    })
                })
                .collect();
            let (done, db) = (&done, &db);
            let follower = scope.spawn(move || {
                let (mut changes, mut seen) = (db.changes(0).unwrap(), BTreeMap::new());
                loop {
                    let was_done = done.load(Ordering::SeqCst);
                    match changes.next(NOW).unwrap() {
                        Followed::Change(change) => {
                            let n = u64::from_be_bytes(change.value.try_into().unwrap());
                            assert_eq!(seen.insert(change.key.to_vec(), n).unwrap_or(0) + 1, n);
                            let held = db.get(change.key).unwrap().unwrap();
                            assert!(u64::from_be_bytes(held.try_into().unwrap()) >= n);
                        }
                        Followed::Timeout if was_done => break seen,
                        Followed::Timeout => {}
                        Followed::Gap => panic!("nothing was merged"),
                    }
                }
            });
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            done.store(true, Ordering::SeqCst);
            assert!(follower.join().unwrap().values().all(|n| *n == 5_000));
        });
    }
}

#[test]
fn an_element_that_was_set_is_told_also_where_a_merge_took_the_batch_apart() {
    let disk = SimDisk::new();
    let db = Db::open_on(Arc::new(disk), &Options::default().merge(MergeMode::Manual)).unwrap();
    let (mut changes, mut follower) = (db.changes(0).unwrap(), Follower::default());
    for value in ["a", "b", "c"] {
        db.push_back("l", value).unwrap();
    }
    assert!(follower.follow(&mut changes, u64::MAX));
    // A new file, of which the feed knows nothing.
    db.merge().unwrap();
    db.list_set("l", 1, "B").unwrap();
    db.list_set("l", 2, "C").unwrap();
    db.merge().unwrap();
    assert!(follower.follow(&mut changes, u64::MAX));
    assert_eq!(follower.map, contents(&db));
}

#[test]
fn a_batch_is_shown_when_all_of_it_can_be_read() {
    const LAST: u32 = 30_000;
    for engine in ENGINES {
        let db = Db::open("memory://", &Options { engine, ..Options::default() }).unwrap();
        let mut batch = Batch::new();
        (0..=LAST).for_each(|n| batch.put(n.to_be_bytes(), "here").unwrap());
        std::thread::scope(|scope| {
            let mut changes = db.changes(0).unwrap();
            let writer = scope.spawn(|| db.write(&batch).unwrap());
            let Followed::Change(_) = changes.next(None).unwrap() else { panic!() };
            assert!(db.exists(LAST.to_be_bytes()).unwrap(), "{engine:?}");
            writer.join().unwrap();
        });
    }
}

#[test]
fn what_could_not_be_made_durable_is_not_shown_where_every_write_is_synced() {
    for engine in ENGINES {
        let disk = SimDisk::new();
        let options = Options { engine, sync: SyncMode::Always, ..Options::default() };
        let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
        db.put("a", "1").unwrap();
        let mut changes = db.changes(0).unwrap();
        assert!(matches!(changes.next(NOW).unwrap(), Followed::Change(change) if change.key == b"a"));
        disk.fail(Fault::from_then_on(disk.operations(), libc::EIO).of(&[Kind::Sync]));
        db.put("b", "2").unwrap_err();
        assert!(!matches!(changes.next(NOW), Ok(Followed::Change(_))), "{engine:?}");
    }
}

#[test]
fn what_was_told_before_an_error_is_given_and_the_error_comes_again() {
    let home = tempfile::tempdir().unwrap();
    let db = Db::open(home.path(), &Options::default().io(filedb::IoMode::Pread)).unwrap();
    for value in ["first", "damaged", "last"] {
        db.put("key", value).unwrap();
    }
    let file = home.path().join("0000000001.data");
    let bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(7).position(|part| part == b"damaged").unwrap();
    let damage = |byte| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        use std::os::unix::fs::FileExt;
        std::fs::OpenOptions::new()
            .write(true)
            .open(&file)
            .unwrap()
            .write_all_at(&bytes[at..=at], at as u64)
            .unwrap();
    };
    damage(b'D');
    let mut changes = db.changes(0).unwrap();
    let mut next = || match changes.next(NOW) {
        Ok(Followed::Change(change)) => Ok(change.value.to_vec()),
        other => Err(matches!(other, Err(Error::Corrupt { .. }))),
    };
    assert_eq!(next(), Ok(b"first".to_vec()));
    assert_eq!((next(), next()), (Err(true), Err(true)));
    damage(b'd');
    assert_eq!((next(), next()), (Ok(b"damaged".to_vec()), Ok(b"last".to_vec())));
}

#[test]
fn a_list_that_merges_took_apart_is_told_once() {
    const ELEMENTS: usize = 60;
    let options = Options { merge: MergeMode::Manual, max_file_size: 2_000, ..Options::default() };
    let db = Db::open_on(Arc::new(SimDisk::new()), &options).unwrap();
    for n in 0..ELEMENTS {
        db.push_back("l", n.to_string()).unwrap();
        db.put("other", n.to_string()).unwrap();
    }
    db.merge().unwrap();
    let all = shown(&db, 0).unwrap();
    assert!(all.len() < ELEMENTS + 10, "{} changes", all.len());
    let mut follower = Follower::default();
    assert!(follower.follow(&mut db.changes(0).unwrap(), u64::MAX));
    assert_eq!(follower.map, contents(&db));
}

/// How many files of a store are mapped that have no name any more.
#[cfg(target_os = "linux")]
fn nameless(path: &std::path::Path) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let (path, gone) = (path.to_str().unwrap(), " (deleted)");
    maps.lines().filter(|line| line.contains(path) && line.contains(".data") && line.ends_with(gone)).count()
}

#[test]
#[cfg(target_os = "linux")]
fn who_rests_keeps_no_file_that_merges_replaced_and_goes_on_where_it_was() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let mut options = Options { max_file_size: 64 << 10, ..Options::default() };
    options.set("merge", "manual").unwrap();
    options.set("keep_tombstones_ms", "1000000000").unwrap();
    let db = Db::open(&path, &options).unwrap();
    let write = |from: u64| (from..from + 3_000).for_each(|n| db.put(key(n % 1_000), n.to_string()).unwrap());
    write(0);
    db.merge().unwrap();
    write(3_000);
    let (mut changes, mut seen) = (db.changes(0).unwrap(), BTreeMap::new());
    let mut take = |changes: &mut Changes, most: usize| {
        for _ in 0..most {
            match changes.next(Some(Duration::ZERO)).unwrap() {
                Followed::Change(change) => drop(seen.insert(change.key.to_vec(), change.value.to_vec())),
                Followed::Timeout => return seen.clone(),
                Followed::Gap => panic!("a gap"),
            }
        }
        seen.clone()
    };
    take(&mut changes, 10);
    write(6_000);
    db.merge().unwrap();
    let is_let_go = || {
        let begun = std::time::Instant::now();
        while nameless(&path) > 0 && begun.elapsed() < Duration::from_secs(20) {
            db.maintain().unwrap();
            std::thread::yield_now();
        }
        nameless(&path) == 0
    };
    assert!(nameless(&path) > 0, "what was gathered is in files that were merged since");
    changes.rest();
    assert!(is_let_go());
    let seen = take(&mut changes, usize::MAX);
    assert_eq!(seen.len(), 1_000);
    assert!((0..1_000).all(|n| seen[&key(n)] == (8_000 + n).to_string().into_bytes()));
}

#[test]
fn a_number_that_the_log_gave_to_a_time_is_passed_and_is_no_gap() {
    for engine in [EngineKind::Bitcask, EngineKind::Lsm] {
        let home = tempfile::tempdir().unwrap();
        let (store, copy) = (home.path().join("store"), home.path().join("copy"));
        let db = Db::open(&store, &Options { engine, ..Options::default() }).unwrap();
        db.put("stays", "1").unwrap();
        assert!(db.put_with("brief", "1", &PutOptions::new().ttl(Duration::from_millis(1))).unwrap());
        // Who is told that it has expired is told so for ever: the log has the time.
        while db.get("brief").unwrap().is_some() {
            std::thread::yield_now();
        }
        db.backup(&copy, &BackupOptions::new()).unwrap();
        let seq = Db::open(&copy, &Options::new().read_only(true)).unwrap().last_seq().unwrap();
        assert_eq!(db.last_seq().unwrap(), seq, "{engine:?}");
        let mut changes = db.changes(seq).unwrap();
        assert_eq!(changes.next(NOW).unwrap(), Followed::Timeout, "{engine:?}");
        db.put("next", "1").unwrap();
        assert!(matches!(changes.next(NOW).unwrap(), Followed::Change(_)), "{engine:?}");
    }
}
