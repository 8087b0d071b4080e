//! The ordered engine against a map: random histories with flushes, merges, snapshots, ranges, lists, expiry and reopenings; and each
//! byte of a run damaged.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use filedb::disk::sim::{Random, SimDisk};
use filedb::{
    Batch, Capabilities, Db, EngineKind, Error, Iter, KeyRange, MergeMode, Options, PutOptions, SyncMode,
    Type,
};

use support::runner::{histories, seeds, tally};

fn options() -> Options {
    Options {
        engine: EngineKind::Lsm,
        lsm_memory: 16 << 10,
        max_file_size: 4 << 10,
        sync: SyncMode::None,
        ..Options::default()
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Held {
    Value(Vec<u8>),
    List(Vec<Vec<u8>>),
}

type Row = (Vec<u8>, Vec<u8>);
type Model = BTreeMap<Vec<u8>, (Held, Option<u64>)>;

struct Run {
    random: Random,
    disk: SimDisk,
    db: Option<Db>,
    options: Options,
    model: Model,
    snapshots: Vec<(Iter, Vec<Row>)>,
    now: u64,
}

fn key(random: &mut Random) -> Vec<u8> {
    let n = random.below(60);
    match n % 4 {
        0 => format!("k{n:03}").into_bytes(),
        1 => format!("k{n:03}/a/longer/key").into_bytes(),
        2 => vec![n as u8; 1 + n as usize % 5],
        _ => [&b"k"[..], &[n as u8, 255, 255]].concat(),
    }
}

fn value(random: &mut Random) -> Vec<u8> {
    let len = match random.below(10) {
        0 => 0,
        1 => random.below(6_000) as usize,
        _ => random.below(120) as usize,
    };
    let first = random.number() as u8;
    (0..len).map(|n| first.wrapping_add(n as u8)).collect()
}

impl Run {
    fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    fn forget_expired(&mut self) {
        let now = self.now;
        self.model.retain(|_, (_, expiry)| expiry.is_none_or(|at| at > now));
    }

    fn rows(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, reverse: bool) -> Vec<Row> {
        let is_empty = match (from, to) {
            (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => {
                a > b || (a == b && !matches!((from, to), (Bound::Included(_), Bound::Included(_))))
            }
            _ => false,
        };
        if is_empty {
            return Vec::new();
        }
        let shown = |(key, (held, _)): (&Vec<u8>, &(Held, Option<u64>))| {
            let value = if let Held::Value(value) = held { value.clone() } else { Vec::new() };
            (key.clone(), value)
        };
        let mut rows: Vec<_> = self.model.range::<[u8], _>((from, to)).map(shown).collect();
        if reverse {
            rows.reverse();
        }
        rows
    }

    fn read(walk: &mut Iter) -> Vec<Row> {
        let mut rows = Vec::new();
        while let Some(row) = walk.next_row().unwrap() {
            rows.push((row.key().to_vec(), row.value().to_vec()));
        }
        rows
    }

    fn check_all(&mut self) {
        self.forget_expired();
        assert_eq!(
            Run::read(&mut self.db().iter(b"").unwrap()),
            self.rows(Bound::Unbounded, Bound::Unbounded, false)
        );
        let back = KeyRange { reverse: true, ..KeyRange::ALL };
        assert_eq!(
            Run::read(&mut self.db().range(&back).unwrap()),
            self.rows(Bound::Unbounded, Bound::Unbounded, true)
        );
        assert_eq!(self.db().count().unwrap(), self.model.len() as u64);
        for (key, (held, expiry)) in &self.model {
            match held {
                Held::Value(value) => assert_eq!(self.db().get(key).unwrap().as_ref(), Some(value)),
                Held::List(list) => {
                    let found = self.db().list_range(key, 0, -1).unwrap().unwrap();
                    assert_eq!(found.iter().map(<[u8]>::to_vec).collect::<Vec<_>>(), *list);
                    assert!(matches!(self.db().get(key), Err(Error::WrongType)));
                }
            }
            assert_eq!(
                self.db().ttl(key).unwrap().is_some_and(|ttl| ttl != filedb::Ttl::Forever),
                expiry.is_some()
            );
        }
    }

    fn list<'a>(model: &'a mut Model, key: &[u8]) -> Option<&'a mut Vec<Vec<u8>>> {
        match model.get_mut(key) {
            Some((Held::List(list), _)) => Some(list),
            _ => None,
        }
    }

    fn step(&mut self) {
        self.forget_expired();
        let (k, v) = (key(&mut self.random), value(&mut self.random));
        let held = self.model.get(&k).cloned();
        let is_list = matches!(held, Some((Held::List(_), _)));
        match self.random.below(100) {
            0..30 => {
                self.db().put(&k, &v).unwrap();
                self.model.insert(k, (Held::Value(v), None));
            }
            30..36 => {
                let ttl = 1 + self.random.below(5_000);
                let options = PutOptions::new().ttl(Duration::from_millis(ttl));
                assert!(self.db().put_with(&k, &v, &options).unwrap());
                self.model.insert(k, (Held::Value(v), Some(self.now + ttl)));
            }
            36..44 => {
                assert_eq!(self.db().delete(&k).unwrap(), self.model.remove(&k).is_some());
            }
            44..47 => {
                let (a, b) = (key(&mut self.random), key(&mut self.random));
                let from =
                    if self.random.one_in(2) { Bound::Included(&a[..]) } else { Bound::Excluded(&a[..]) };
                let to =
                    if self.random.one_in(2) { Bound::Included(&b[..]) } else { Bound::Excluded(&b[..]) };
                // Few at a time, or there is never anything.
                let gone: Vec<_> = self.rows(from, to, false).into_iter().map(|(key, _)| key).collect();
                if gone.len() < 12 {
                    let reverse = self.random.one_in(2);
                    self.db().delete_range(&KeyRange { from, to, reverse }).unwrap();
                    gone.iter().for_each(|key| drop(self.model.remove(key)));
                }
            }
            47..57 => {
                let end = self.random.one_in(2);
                let pushed = if end { self.db().push_back(&k, &v) } else { self.db().push_front(&k, &v) };
                if held.is_some() && !is_list {
                    assert!(matches!(pushed, Err(Error::WrongType)));
                } else {
                    let entry = self.model.entry(k).or_insert((Held::List(Vec::new()), None));
                    let Held::List(list) = &mut entry.0 else { panic!() };
                    if end {
                        list.push(v)
                    } else {
                        list.insert(0, v)
                    }
                    assert_eq!(pushed.unwrap(), list.len() as u64);
                }
            }
            57..64 if is_list => {
                let list = Run::list(&mut self.model, &k).unwrap();
                let (popped, wanted) = if self.random.one_in(2) {
                    (self.db.as_ref().unwrap().pop_back(&k).unwrap(), list.pop())
                } else {
                    (self.db.as_ref().unwrap().pop_front(&k).unwrap(), Some(list.remove(0)))
                };
                assert_eq!(popped, wanted);
                if list.is_empty() {
                    self.model.remove(&k);
                }
            }
            64..66 if is_list => {
                let list = Run::list(&mut self.model, &k).unwrap();
                let at = self.random.below(list.len() as u64) as usize;
                list[at].clone_from(&v);
                assert!(self.db.as_ref().unwrap().list_set(&k, at as i64, &v).unwrap());
            }
            66..70 => {
                let ttl = self.random.one_in(3).then(|| 1 + self.random.below(5_000));
                let there = match ttl {
                    Some(ttl) => self.db().expire(&k, Duration::from_millis(ttl)).unwrap(),
                    None => self.db().persist(&k).unwrap(),
                };
                assert_eq!(there, held.is_some());
                let now = self.now;
                if let Some((_, expiry)) = self.model.get_mut(&k) {
                    *expiry = ttl.map(|ttl| now + ttl);
                }
            }
            70..75 => {
                let (mut batch, mut after) = (Batch::new(), self.model.clone());
                for _ in 0..self.random.below(8) {
                    let (k, v) = (key(&mut self.random), value(&mut self.random));
                    match self.random.below(4) {
                        0 => {
                            batch.delete(&k).unwrap();
                            after.remove(&k);
                        }
                        1 if !matches!(after.get(&k), Some((Held::Value(_), _))) => {
                            batch.push_back(&k, &v).unwrap();
                            let entry = after.entry(k).or_insert((Held::List(Vec::new()), None));
                            if let Held::List(list) = &mut entry.0 {
                                list.push(v);
                            }
                        }
                        _ => {
                            batch.put(&k, &v).unwrap();
                            after.insert(k, (Held::Value(v), None));
                        }
                    }
                }
                self.db().write(&batch).unwrap();
                self.model = after;
            }
            75..78 if !is_list => {
                let current = held
                    .as_ref()
                    .map(|(held, _)| if let Held::Value(value) = held { &value[..] } else { b"" });
                assert!(
                    !self.db().compare_and_swap(&k, Some(b"something else entirely"), Some(b"x")).unwrap()
                );
                assert!(self.db().compare_and_swap(&k, current, Some(&v)).unwrap());
                let expiry = held.and_then(|(_, expiry)| expiry);
                self.model.insert(k, (Held::Value(v), expiry));
            }
            78..82 => {
                self.now += self.random.below(1_500);
                let by = self.now - self.disk_now();
                self.disk.advance_clock_ms(by);
            }
            82..85 => {
                let reverse = self.random.one_in(2);
                let walk = self.db().range(&KeyRange { reverse, ..KeyRange::ALL }).unwrap();
                let rows = self.rows(Bound::Unbounded, Bound::Unbounded, reverse);
                // What expires goes for walks too: those that have nothing of that are compared to the end.
                let is_fixed = self.model.values().all(|(_, expiry)| expiry.is_none());
                if is_fixed && self.snapshots.len() < 4 {
                    self.snapshots.push((walk, rows));
                }
            }
            85..87 if !self.snapshots.is_empty() => {
                let at = self.random.below(self.snapshots.len() as u64) as usize;
                let (mut walk, rows) = self.snapshots.remove(at);
                assert_eq!(Run::read(&mut walk), rows);
            }
            87..92 => {
                let (a, b) = (key(&mut self.random), key(&mut self.random));
                let reverse = self.random.one_in(2);
                let (from, to) = (Bound::Included(&a[..]), Bound::Excluded(&b[..]));
                let mut walk = self.db().range(&KeyRange { from, to, reverse }).unwrap();
                let rows = self.rows(from, to, reverse);
                assert_eq!(Run::read(&mut walk), rows);
                walk.seek(&k).unwrap();
                let rest = rows.into_iter().filter(|(key, _)| if reverse { *key <= k } else { *key >= k });
                assert_eq!(Run::read(&mut walk), rest.collect::<Vec<_>>());
            }
            92..94 => self.db().flush().unwrap(),
            94..95 => self.db().merge().unwrap(),
            95..97 => {
                self.snapshots.clear();
                if self.random.one_in(2) {
                    self.db().close().unwrap();
                } else {
                    self.disk = self.disk.kill();
                }
                self.db = None;
                self.db = Some(Db::open_on(Arc::new(self.disk.clone()), &self.options).unwrap());
                self.check_all();
            }
            _ => {
                let found = self.db().type_of(&k).unwrap();
                let wanted = held
                    .map(|(held, _)| if matches!(held, Held::List(_)) { Type::List } else { Type::Value });
                assert_eq!(found, wanted);
            }
        }
    }

    fn disk_now(&self) -> u64 {
        use filedb::disk::Disk;
        self.disk.now_ms(true)
    }
}

fn run(seed: u64, steps: usize, merge: MergeMode) {
    use filedb::disk::Disk;
    let disk = SimDisk::new();
    let options = Options { merge, ..options() };
    let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
    let now = disk.now_ms(true);
    let mut run = Run {
        random: Random::new(seed),
        disk,
        db: Some(db),
        options,
        model: Model::new(),
        snapshots: Vec::new(),
        now,
    };
    for _ in 0..steps {
        run.step();
    }
    run.check_all();
    run.snapshots.clear();
    run.db().merge().unwrap();
    run.check_all();
    run.db().close().unwrap();
}

#[test]
fn random_histories_leave_what_a_map_holds() {
    let seeds = seeds(histories(60));
    for seed in seeds.clone() {
        println!("seed {seed}");
        run(seed, 700, if seed % 3 == 0 { MergeMode::Manual } else { MergeMode::Auto });
    }
    tally(seeds.end - seeds.start, "histories");
}

/// Versions that open walks still see stand side by side in a run, anywhere in a block and in several.
#[test]
fn of_versions_side_by_side_a_walk_shows_the_newest_alone() {
    for before in 0..34u32 {
        for (versions, size, is_deleted) in
            [(2, 9, false), (2, 9, true), (17, 9, true), (40, 9, false), (17, 400, false), (17, 400, true)]
        {
            let db = Db::open_on(Arc::new(SimDisk::new()), &options()).unwrap();
            let mut model = BTreeMap::new();
            for n in 0..before {
                model.insert(format!("a{n:02}").into_bytes(), vec![n as u8]);
            }
            model.insert(b"c".to_vec(), b"behind".to_vec());
            for (key, value) in &model {
                db.put(key, value).unwrap();
            }
            let mut walks = Vec::new();
            for n in 0..versions {
                db.put("b", vec![n; size]).unwrap();
                walks.push((db.iter(b"").unwrap(), n));
            }
            match is_deleted {
                true => assert!(db.delete("b").unwrap()),
                false => drop(model.insert(b"b".to_vec(), vec![versions - 1; size])),
            }
            db.flush().unwrap();
            let place = format!("{before} before {versions} versions, deleted: {is_deleted}");
            let rows = |walk: Iter| -> Vec<Row> {
                walk.map(|row| row.unwrap()).map(|row| (row.key().to_vec(), row.value().to_vec())).collect()
            };
            let model: Vec<Row> = model.into_iter().collect();
            assert_eq!(rows(db.iter(b"").unwrap()), model, "{place}");
            let mut backwards = rows(
                db.range(&KeyRange { from: Bound::Unbounded, to: Bound::Unbounded, reverse: true }).unwrap(),
            );
            backwards.reverse();
            assert_eq!(backwards, model, "{place}");
            assert_eq!(db.count().unwrap(), model.len() as u64, "{place}");
            for (walk, n) in walks {
                let seen = rows(walk).into_iter().filter(|(key, _)| key == b"b").collect::<Vec<_>>();
                assert_eq!(seen, [(b"b".to_vec(), vec![n; size])], "{place}");
            }
        }
    }
}

#[test]
fn the_store_can_what_its_capabilities_say() {
    let db = Db::open_on(Arc::new(SimDisk::new()), &options()).unwrap();
    let can = db.capabilities().unwrap();
    assert!(
        can.contains(Capabilities::ORDER | Capabilities::SNAPSHOT | Capabilities::BATCH | Capabilities::SYNC)
    );
}

/// A store with runs on several levels and something in the log, and what is in it.
fn filled(disk: &SimDisk) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let db = Db::open_on(Arc::new(disk.clone()), &options()).unwrap();
    let mut model = BTreeMap::new();
    let mut random = Random::new(1);
    for n in 0..360u32 {
        let (key, value) =
            (format!("key{:03}", random.below(120)).into_bytes(), format!("value {n}").into_bytes());
        if random.one_in(5) {
            db.delete(&key).unwrap();
            model.remove(&key);
        } else {
            db.put(&key, &value).unwrap();
            model.insert(key, value);
        }
        if n == 100 {
            let (from, to) = (Bound::Included(&b"key020"[..]), Bound::Excluded(&b"key030"[..]));
            db.delete_range(&KeyRange { from, to, reverse: false }).unwrap();
            model.retain(|key, _| !(&b"key020"[..]..&b"key030"[..]).contains(&&key[..]));
        }
    }
    assert!(db.stats().unwrap().merges > 0, "there are runs below the first level");
    db.close().unwrap();
    model
}

#[test]
fn a_damaged_byte_of_a_run_is_an_error_or_makes_no_difference() {
    let disk = SimDisk::new();
    let model = filled(&disk);
    let runs: Vec<String> = disk.file_names().into_iter().filter(|name| name.ends_with(".run")).collect();
    assert!(runs.len() > 1, "{runs:?}");
    let (mut refused, mut answered) = (0, 0);
    for name in runs {
        let whole = disk.read_file(&name).unwrap();
        for at in 0..whole.len() {
            let damaged = disk.fork();
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            damaged.write_file(&name, bytes);
            let db = match Db::open_on(Arc::new(damaged), &options()) {
                Ok(db) => db,
                Err(Error::Corrupt { .. }) => {
                    refused += 1;
                    continue;
                }
                Err(error) => panic!("byte {at} of {name}: {error}"),
            };
            answered += 1;
            for n in 0..120 {
                let key = format!("key{n:03}").into_bytes();
                match db.get(&key) {
                    Ok(found) => assert_eq!(found.as_ref(), model.get(&key), "byte {at} of {name}, key {n}"),
                    Err(Error::Corrupt { .. }) => {}
                    Err(error) => panic!("byte {at} of {name}: {error}"),
                }
            }
            for reverse in [false, true] {
                let mut walk = db.range(&KeyRange { reverse, ..KeyRange::ALL }).unwrap();
                let (mut rows, mut failures) = (Vec::new(), 0);
                loop {
                    match walk.next_row() {
                        Ok(Some(row)) => {
                            let value = model.get(row.key());
                            assert_eq!(
                                value.map(|value| &value[..]),
                                Some(row.value()),
                                "byte {at} of {name}"
                            );
                            rows.push(row.key().to_vec());
                        }
                        Ok(None) => break,
                        Err(Error::Corrupt { .. }) if failures < 100 => failures += 1,
                        Err(error) => panic!("byte {at} of {name}: {error}"),
                    }
                }
                assert!(rows.is_sorted_by(|a, b| if reverse { a > b } else { a < b }), "byte {at} of {name}");
                assert!(failures > 0 || rows.len() == model.len(), "byte {at} of {name}: rows are missing");
            }
            // A merge that meets it fails, and loses nothing.
            let merged = db.merge();
            assert!(matches!(merged, Ok(()) | Err(Error::Corrupt { .. })), "byte {at} of {name}: {merged:?}");
            for (key, value) in model.iter().step_by(7) {
                match db.get(key) {
                    Ok(found) => {
                        assert_eq!(found.as_ref(), Some(value), "byte {at} of {name}, after the merge")
                    }
                    Err(Error::Corrupt { .. }) => assert!(merged.is_err()),
                    Err(error) => panic!("byte {at} of {name}: {error}"),
                }
            }
        }
        for length in (0..whole.len()).step_by(13) {
            let cut = disk.fork();
            cut.write_file(&name, whole[..length].to_vec());
            let opened = Db::open_on(Arc::new(cut), &options());
            assert!(matches!(opened, Err(Error::Corrupt { .. })), "length {length} of {name}");
        }
    }
    assert!(refused > 100 && answered > 1_000, "{refused} refused, {answered} opened");
}

#[test]
fn runs_that_are_missing_swapped_or_of_another_store_are_noticed() {
    let disk = SimDisk::new();
    filled(&disk);
    let other = SimDisk::with_random_bytes(9);
    filled(&other);
    let runs: Vec<String> = disk.file_names().into_iter().filter(|name| name.ends_with(".run")).collect();
    for name in &runs {
        let others = runs.iter().filter(|other| *other != name).map(|name| disk.read_file(name).unwrap());
        for bytes in others.chain(other.read_file(name)) {
            let swapped = disk.fork();
            swapped.write_file(name, bytes);
            assert!(
                matches!(Db::open_on(Arc::new(swapped), &options()), Err(Error::Corrupt { .. })),
                "{name}"
            );
        }
    }
}

#[test]
fn the_other_engine_refuses_the_store_and_auto_opens_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let open = |engine| Db::open(&path, &Options { engine, ..Options::default() });
    let db = open(EngineKind::Lsm).unwrap();
    db.put(b"key", b"value").unwrap();
    db.close().unwrap();
    assert!(matches!(open(EngineKind::Bitcask), Err(Error::InvalidArgument { .. })));
    let db = open(EngineKind::Auto).unwrap();
    assert!(db.capabilities().unwrap().contains(Capabilities::ORDER));
    assert_eq!(db.get(b"key").unwrap().as_deref(), Some(&b"value"[..]));
    db.close().unwrap();
    // What looks for damage does not take it for one of the other engine.
    let checked = filedb::check(&path, |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert!(checked.is_sound() && checked.keys == 1, "{checked:?}");
    let path = directory.path().join("other");
    Db::open(&path, &Options::default()).unwrap().put(b"key", b"value").unwrap();
    let lsm = Options { engine: EngineKind::Lsm, ..Options::default() };
    assert!(matches!(Db::open(&path, &lsm), Err(Error::InvalidArgument { .. })));
}

#[test]
fn threads_write_read_and_walk_while_memtables_are_written_out_and_merged() {
    let directory = tempfile::tempdir().unwrap();
    for io in [filedb::IoMode::Mmap, filedb::IoMode::Pread] {
        let options = Options { io, lsm_memory: 256 << 10, ..options() };
        let path = directory.path().join(format!("{io:?}"));
        let db = Db::open(&path, &options).unwrap();
        let count = 3_000u32;
        std::thread::scope(|scope| {
            for thread in 0..3u32 {
                let db = &db;
                scope.spawn(move || {
                    for n in 0..count {
                        let key = format!("{thread}/{:06}", n % 1_000);
                        db.put(key.as_bytes(), n.to_le_bytes().repeat(10)).unwrap();
                        if n % 7 == 0 {
                            let read = db.get(key.as_bytes()).unwrap().unwrap();
                            assert_eq!(read, n.to_le_bytes().repeat(10));
                        }
                        db.increment(b"sum", 1).unwrap();
                    }
                });
            }
            let db = &db;
            scope.spawn(move || {
                for _ in 0..20 {
                    let mut walk = db.iter(b"").unwrap();
                    let mut last = Vec::new();
                    while let Some(row) = walk.next_row().unwrap() {
                        assert!(last.as_slice() < row.key());
                        last = row.key().to_vec();
                    }
                }
            });
        });
        assert_eq!(db.get(b"sum").unwrap().unwrap(), (3 * count).to_string().into_bytes());
        assert_eq!(db.count().unwrap(), 3_001);
        db.close().unwrap();
        let db = Db::open(&path, &options).unwrap();
        assert_eq!(db.count().unwrap(), 3_001);
        for n in 0..1_000u32 {
            let wanted = (count - 1_000 + n).to_le_bytes().repeat(10);
            assert_eq!(db.get(format!("1/{n:06}").as_bytes()).unwrap(), Some(wanted));
        }
        db.merge().unwrap();
        db.recount().unwrap();
        db.close().unwrap();
    }
}

#[test]
fn a_store_in_memory_keeps_to_its_limit_and_works_again_after_deletes() {
    for path in ["memory://", "memory://ordered"] {
        let options = Options { memory_limit: 8 << 20, engine: EngineKind::Lsm, ..Options::default() };
        let db = Db::open(path, &options).unwrap();
        assert!(db.capabilities().unwrap().contains(Capabilities::ORDER));
        assert!(!db.capabilities().unwrap().contains(Capabilities::SYNC));
        for round in 0..3 {
            let mut count = 0u32;
            let full = loop {
                match db.put(count.to_be_bytes(), [round; 1000]) {
                    Ok(()) => count += 1,
                    Err(error) => break error,
                }
                assert!(count < 20_000, "the limit is kept to");
            };
            assert!(matches!(full, Error::NoSpace { .. }), "{full}");
            assert!(count > 1_000, "{count} in round {round}");
            assert_eq!(db.count().unwrap(), u64::from(count));
            for n in (0..count).step_by(97) {
                assert_eq!(db.get(n.to_be_bytes()).unwrap(), Some(vec![round; 1000]));
            }
            db.delete_range(&KeyRange::ALL).unwrap();
            assert_eq!(db.count().unwrap(), 0);
            db.merge().unwrap();
        }
        db.close().unwrap();
    }
}

#[test]
fn a_store_that_is_open_for_reading_only_is_read_after_a_close_and_after_a_kill() {
    let disk = SimDisk::new();
    let model = filled(&disk);
    let read_only = Options { read_only: true, ..options() };
    let killed = {
        let db = Db::open_on(Arc::new(disk.clone()), &options()).unwrap();
        db.put(b"late", b"in the log").unwrap();
        disk.kill()
    };
    let closed = SimDisk::new();
    filled(&closed);
    for (disk, rows) in [(closed, model.len()), (killed, model.len() + 1)] {
        let before: Vec<_> = disk.file_names().iter().map(|name| disk.read_file(name)).collect();
        let db = Db::open_on(Arc::new(disk.clone()), &read_only).unwrap();
        assert_eq!(db.count().unwrap(), rows as u64);
        assert!(matches!(db.put(b"key", b"value"), Err(Error::ReadOnly)));
        assert!(matches!(db.delete_range(&KeyRange::ALL), Err(Error::ReadOnly)));
        db.close().unwrap();
        let after: Vec<_> = disk.file_names().iter().map(|name| disk.read_file(name)).collect();
        assert_eq!(before, after, "nothing was changed");
    }
}
