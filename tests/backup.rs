//! A backup is a store as the other was at one moment between the beginning and the end of the call, whatever is written and merged
//! meanwhile; and until a backup is whole the one before it is.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use filedb::disk::sim::{Fault, PowerCut, Random, SimDisk};
use filedb::{
    BackupOptions, BackupProgress, Batch, Db, EngineKind, Error, MergeMode, Options, PutOptions, SyncMode,
};

const ENGINES: [EngineKind; 2] = [EngineKind::Bitcask, EngineKind::Lsm];

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    Value(Vec<u8>, bool),
    List(Vec<Vec<u8>>),
}

type Map = BTreeMap<Vec<u8>, Held>;

const KEYS: u64 = 40;

fn key(n: u64) -> Vec<u8> {
    format!("key{n:03}").into_bytes()
}

/// A store on a simulated disk, and what it holds.
struct Model {
    db: Db,
    now: Map,
    /// What it held after each change.
    moments: Vec<Map>,
    random: Random,
    step: u64,
}

impl Model {
    fn new(disk: &SimDisk, options: &Options, seed: u64) -> Model {
        let db = Db::open_on(Arc::new(disk.clone()), options).unwrap();
        Model { db, now: Map::new(), moments: vec![Map::new()], random: Random::new(seed), step: 0 }
    }

    fn value(&mut self) -> Vec<u8> {
        let len = self.random.below(120) as usize;
        format!("{}-", self.step).into_bytes().into_iter().cycle().take(len + 1).collect()
    }

    fn step(&mut self) {
        self.step += 1;
        let (key, value) = (key(self.random.below(KEYS)), self.value());
        let is_list = matches!(self.now.get(&key), Some(Held::List(_)));
        match self.random.below(24) {
            0..8 => {
                self.db.put(&key, &value).unwrap();
                self.now.insert(key, Held::Value(value, false));
            }
            8 | 9 => {
                let forever = PutOptions::new().ttl(Duration::from_secs(1_000_000));
                self.db.put_with(&key, &value, &forever).unwrap();
                self.now.insert(key, Held::Value(value, true));
            }
            10..13 => assert_eq!(self.db.delete(&key).unwrap(), self.now.remove(&key).is_some()),
            13..16 => {
                let mut batch = Batch::new();
                for _ in 0..1 + self.random.below(6) {
                    let key = self::key(self.random.below(KEYS));
                    if self.random.below(3) == 0 {
                        batch.delete(&key).unwrap();
                        self.now.remove(&key);
                    } else {
                        batch.put(&key, &value).unwrap();
                        self.now.insert(key, Held::Value(value.clone(), false));
                    }
                }
                self.db.write(&batch).unwrap();
            }
            16..19 if is_list || !self.now.contains_key(&key) => {
                self.db.push_back(&key, &value).unwrap();
                let Held::List(list) = self.now.entry(key).or_insert_with(|| Held::List(Vec::new())) else {
                    unreachable!()
                };
                list.push(value);
            }
            19 if is_list => {
                let popped = self.db.pop_front(&key).unwrap();
                let Some(Held::List(list)) = self.now.get_mut(&key) else { unreachable!() };
                assert_eq!(popped, Some(list.remove(0)));
                if list.is_empty() {
                    self.now.remove(&key);
                }
            }
            20 => self.db.maintain().unwrap(),
            21 if self.random.below(4) == 0 => self.db.merge().unwrap(),
            22 => self.db.sync().unwrap(),
            _ => {}
        }
        self.moments.push(self.now.clone());
    }

    /// Backs the store up, while things happen to it. The moments that the backup may show.
    fn backup(&mut self, to: &SimDisk) -> Result<Vec<Map>, Error> {
        let (done, moments) = self.try_backup(to);
        done.map(|()| moments)
    }

    fn try_backup(&mut self, to: &SimDisk) -> (Result<(), Error>, Vec<Map>) {
        let (begin, db) = (self.moments.len() - 1, self.db.clone());
        let busy = self.random.below(3);
        let mut meanwhile = |_: &BackupProgress| {
            (0..busy * 2).for_each(|_| self.step());
            ControlFlow::Continue(())
        };
        let done = db.backup_on(Arc::new(to.clone()), &BackupOptions::new(), &mut meanwhile);
        (done.map(|whole| assert!(whole)), self.moments[begin..].to_vec())
    }
}

fn contents(db: &Db) -> Map {
    let mut map = Map::new();
    for n in 0..KEYS {
        let key = key(n);
        match db.type_of(&key).unwrap() {
            Some(filedb::Type::List) => {
                let list = db.list_range(&key, 0, -1).unwrap().unwrap();
                map.insert(key, Held::List(list.iter().map(<[u8]>::to_vec).collect()));
            }
            Some(filedb::Type::Value) => {
                let expires = db.ttl(&key).unwrap().unwrap() != filedb::Ttl::Forever;
                map.insert(key.clone(), Held::Value(db.get(&key).unwrap().unwrap(), expires));
            }
            _ => {}
        }
    }
    assert_eq!(map.len() as u64, db.count().unwrap());
    map
}

fn options(engine: EngineKind) -> Options {
    let options = Options { merge: MergeMode::Auto, max_file_size: 4_000, engine, ..Options::default() };
    Options { lsm_memory: 64 << 10, ..options }
}

/// What a backup holds, opened for reading only and then for writing; both are done to copies of the disk.
fn opened(disk: &SimDisk, options: &Options) -> Result<Map, Error> {
    let read_only = Options { read_only: true, ..options.clone() };
    let held = contents(&Db::open_on(Arc::new(disk.fork()), &read_only)?);
    let no_new = Options { create_if_missing: false, ..options.clone() };
    let db = Db::open_on(Arc::new(disk.fork()), &no_new)?;
    assert_eq!(contents(&db), held);
    db.put("more", "of it").unwrap();
    db.merge().unwrap();
    db.close().unwrap();
    Ok(held)
}

fn histories(usual: u64) -> u64 {
    std::env::var("FILEDB_TEST_HISTORIES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

#[test]
fn backups_at_random_moments_hold_a_moment_between_their_beginning_and_their_end() {
    let first = std::env::var("FILEDB_TEST_SEED").map_or(0, |n| n.parse::<u64>().unwrap());
    let seeds = first..first + histories(120);
    for engine in ENGINES {
        for seed in seeds.clone() {
            let (source, target) = (SimDisk::new(), SimDisk::new());
            source.set_mapped(seed.is_multiple_of(2));
            let options = options(engine);
            let mut model = Model::new(&source, &options, seed);
            for round in 0..4 {
                (0..model.random.below(150)).for_each(|_| model.step());
                let moments = model.backup(&target).unwrap();
                let held = opened(&target, &options).unwrap_or_else(|e| {
                    panic!(
                        "{engine:?}, seed {seed}, round {round}: {e} {:?}\n{}",
                        target.file_names(),
                        target.trace_text(u64::MAX)
                    )
                });
                assert!(
                    moments.contains(&held),
                    "{engine:?}, seed {seed}, round {round}: {held:#?}\n{:#?}",
                    moments.last()
                );
                if engine == EngineKind::Bitcask {
                    let sound = filedb::check_on(Arc::new(target.fork()), |finding| {
                        panic!("{engine:?}, seed {seed}, round {round}: {finding:?}")
                    });
                    assert!(sound.unwrap().is_sound());
                }
                // A copy of the copy is one too.
                let again = SimDisk::new();
                let read_only = Options { read_only: true, ..options.clone() };
                let copy = Db::open_on(Arc::new(target.fork()), &read_only).unwrap();
                copy.backup_on(Arc::new(again.clone()), &BackupOptions::new(), &mut |_| {
                    ControlFlow::Continue(())
                })
                .unwrap();
                assert_eq!(opened(&again, &options).unwrap(), held);
            }
            model.db.maintain().unwrap();
            model.db.recount().unwrap();
            assert_eq!(contents(&model.db), model.now);
            model.db.close().unwrap();
            // What merges replaced meanwhile is gone.
            let left = source.file_names();
            let reopened = Db::open_on(Arc::new(source.clone()), &options).unwrap();
            assert!(source.file_names().len() >= left.len(), "{left:?} {:?}", source.file_names());
            assert_eq!(contents(&reopened), model.now);
        }
    }
    println!("tally: {} backups at random moments", 8 * (seeds.end - seeds.start));
}

#[test]
fn a_backup_whose_power_is_cut_at_any_moment_holds_what_the_last_one_held_or_all_that_is_new() {
    for engine in ENGINES {
        for seed in 0..histories(3) {
            let (source, target) = (SimDisk::new(), SimDisk::new());
            let options = options(engine);
            let mut model = Model::new(&source, &options, seed);
            let mut last: Option<Map> = None;
            for round in 0..3 {
                (0..40 + model.random.below(60)).for_each(|_| model.step());
                target.capture_images(seed);
                let moments = model.backup(&target).unwrap();
                let next = opened(&target, &options).unwrap();
                assert!(moments.contains(&next));
                for image in target.take_images() {
                    for _ in 0..4 {
                        let policy = PowerCut::ALL[model.random.below(PowerCut::ALL.len() as u64) as usize];
                        let seed = model.random.below(1 << 40);
                        let cut = image.disk.power_cut(seed, policy);
                        let at = format!(
                            "{engine:?}, seed {seed}, round {round}, {policy:?}, {}",
                            image.operation
                        );
                        match (opened(&cut, &options), &last) {
                            (Ok(held), Some(last)) => assert!(held == *last || held == next, "{at}"),
                            (Ok(held), None) => assert_eq!(held, next, "{at}"),
                            (Err(Error::Missing { .. } | Error::Corrupt { .. }), None) => {}
                            (Err(error), _) => {
                                panic!("{at}: {error}\n{}", target.trace_text(image.operation))
                            }
                        }
                        // It is taken up again.
                        if seed.is_multiple_of(4) {
                            let go_on = &mut |_: &BackupProgress| ControlFlow::Continue(());
                            model.db.backup_on(Arc::new(cut.clone()), &BackupOptions::new(), go_on).unwrap();
                            assert_eq!(opened(&cut, &options).unwrap(), model.now, "{at}");
                        }
                    }
                }
                last = Some(next);
            }
        }
    }
}

#[test]
fn a_backup_of_which_any_operation_fails_leaves_the_last_one_whole_and_can_be_made_again() {
    for engine in ENGINES {
        let errnos = [libc::EIO, libc::ENOSPC];
        for (errno, lasts) in errnos.into_iter().flat_map(|errno| [(errno, false), (errno, true)]) {
            let (source, target) = (SimDisk::new(), SimDisk::new());
            let options = options(engine);
            let mut model = Model::new(&source, &options, 7);
            let mut last: Option<Map> = None;
            for round in 0..3 {
                (0..80).for_each(|_| model.step());
                for n in 1.. {
                    let target = target.fork();
                    let fault = if lasts { Fault::from_then_on(n, errno) } else { Fault::once(n, errno) };
                    target.fail(fault);
                    let (done, moments) = model.try_backup(&target);
                    let is_over = target.has_faults() && !lasts || lasts && done.is_ok();
                    target.repair();
                    let at = format!("{engine:?}, errno {errno}, {lasts}, round {round}, operation {n}");
                    let held = opened(&target, &options);
                    match (&done, &last) {
                        (Ok(()), _) => assert!(moments.contains(&held.unwrap()), "{at}"),
                        // It may count: the directory could not be synced.
                        (Err(_), last) => match held {
                            Ok(held) => {
                                assert!(Some(&held) == last.as_ref() || moments.contains(&held), "{at}")
                            }
                            Err(Error::Missing { .. } | Error::Corrupt { .. }) if last.is_none() => {}
                            Err(error) => panic!("{at}: {error}"),
                        },
                    }
                    let error = done.err().map(|error| error.to_string());
                    let moments =
                        model.backup(&target).unwrap_or_else(|e| panic!("{at}: {e}, after {error:?}"));
                    assert!(moments.contains(&opened(&target, &options).unwrap()), "{at}");
                    if is_over {
                        break;
                    }
                }
                let moments = model.backup(&target).unwrap();
                let next = opened(&target, &options).unwrap();
                assert!(moments.contains(&next));
                last = Some(next);
            }
        }
    }
}

/// All bytes that a backup writes.
fn backup(db: &Db, to: &Path, options: &BackupOptions) -> Result<BackupProgress, Error> {
    let mut last = BackupProgress::default();
    let done = db.backup_with(to, options, &mut |progress| {
        last = *progress;
        ControlFlow::Continue(())
    })?;
    assert!(done && last.files.0 == last.files.1 && last.bytes.0 == last.bytes.1, "{last:?}");
    Ok(last)
}

fn inode(path: &Path) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap())
}

fn real(engine: EngineKind) -> Options {
    Options {
        engine,
        sync: SyncMode::None,
        max_file_size: 8 << 20,
        lsm_memory: 16 << 20,
        ..Options::default()
    }
}

/// The same keys, with values of this round.
fn fill(db: &Db, keys: u64, round: u64) {
    (0..keys).for_each(|n| db.put(key(n), vec![(n + round) as u8; 10_000]).unwrap());
}

fn is_filled(db: &Db, keys: u64, round: u64) -> bool {
    (0..keys).all(|n| db.get(key(n)).unwrap() == Some(vec![(n + round) as u8; 10_000]))
}

#[test]
fn a_second_backup_writes_only_what_is_new_and_copies_share_no_file() {
    for engine in ENGINES {
        let home = tempfile::tempdir().unwrap();
        let (store, links, copies) =
            (home.path().join("store"), home.path().join("links"), home.path().join("copies"));
        // Merges would take files away that the backup still has.
        let options = Options { merge: MergeMode::Manual, ..real(engine) };
        let db = Db::open(&store, &options).unwrap();
        fill(&db, 5_000, 1);
        let (link, copy) = (BackupOptions::new(), BackupOptions::new().copy());
        let by_links = backup(&db, &links, &link).unwrap();
        // The end of the log is all that has to be copied.
        assert!(by_links.copied_bytes <= 4 << 20 && by_links.bytes.1 > 45 << 20, "{engine:?}: {by_links:?}");
        let by_copies = backup(&db, &copies, &copy).unwrap();
        let names = |of: &Path| -> Vec<_> {
            std::fs::read_dir(of).unwrap().map(|it| it.unwrap().file_name()).collect()
        };
        let shared = |of: &Path| {
            let both = names(of).into_iter().filter(|name| store.join(name).exists());
            both.filter(|name| inode(&store.join(name)) == inode(&of.join(name))).count()
        };
        assert!(shared(&links) > 3 && shared(&copies) == 0);
        assert!(is_filled(
            &Db::open(&copies, &Options { read_only: true, engine, ..Options::default() }).unwrap(),
            5_000,
            1
        ));

        for (to, how, first) in [(&links, &link, &by_links), (&copies, &copy, &by_copies)] {
            backup(&db, to, how).unwrap();
            let nothing = backup(&db, to, how).unwrap();
            assert_eq!(nothing.copied_bytes, 0, "{engine:?}");
            fill(&db, 1, 1);
            let little = backup(&db, to, how).unwrap();
            assert!(little.copied_bytes <= 4 << 20, "{engine:?}: {first:?}, then {little:?}");
        }
        db.merge().unwrap();
        fill(&db, 5_000, 2);
        db.merge().unwrap();
        backup(&db, &links, &link).unwrap();
        // What the store has no more, the backup has no more either.
        let size: u64 =
            names(&links).iter().map(|name| std::fs::metadata(links.join(name)).unwrap().len()).sum();
        assert!(size < 120 << 20, "{engine:?}: {size} bytes");

        // The store goes its way, and the copy, once it is opened for writing, another.
        let copy = Db::open(&links, &real(engine)).unwrap();
        fill(&copy, 5_000, 3);
        copy.merge().unwrap();
        assert!(is_filled(&db, 5_000, 2) && is_filled(&copy, 5_000, 3));
        fill(&db, 2_500, 4);
        db.merge().unwrap();
        assert!(is_filled(&db, 2_500, 4) && is_filled(&copy, 5_000, 3));
        let refused = db.backup(&links, &link).unwrap_err();
        assert!(
            matches!(refused, Error::Locked { .. }) || refused.to_string().contains("opened for writing"),
            "{refused}"
        );
        copy.close().unwrap();
        let refused = db.backup(&links, &link).unwrap_err();
        assert!(refused.to_string().contains("opened for writing"), "{refused}");
        db.close().unwrap();
        let copy = Db::open(&links, &real(engine)).unwrap();
        assert!(is_filled(&copy, 5_000, 3));
    }
}

#[test]
fn a_directory_that_is_not_a_backup_of_the_store_is_refused_and_left_as_it_is() {
    for engine in ENGINES {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let db = Db::open(at("store"), &real(engine)).unwrap();
        let other = Db::open(at("other"), &real(engine)).unwrap();
        fill(&db, 10, 1);
        fill(&other, 10, 2);
        other.backup(at("of other"), &BackupOptions::new()).unwrap();
        std::fs::create_dir(at("foreign")).unwrap();
        std::fs::write(at("foreign").join("letter"), "dear").unwrap();
        let names = |of: &str| -> Vec<_> {
            let mut names: Vec<_> =
                std::fs::read_dir(at(of)).unwrap().map(|it| it.unwrap().file_name()).collect();
            // A thread of the store makes its next file ahead, and writes the manifest for that.
            names.retain(|name| {
                of != "store" || [".data", ".tmp"].iter().all(|own| !name.to_str().unwrap().ends_with(own))
            });
            names.sort();
            names
        };
        for (to, words) in [
            ("store", "is the store itself"),
            ("store/inside", "lies inside of it"),
            ("foreign", "'letter'"),
            ("other", "is no backup"),
            ("of other", "another store"),
        ] {
            let before = (names("store"), names("foreign"), names("of other"));
            let refused = db.backup(at(to), &BackupOptions::new()).unwrap_err();
            assert!(matches!(refused, Error::InvalidArgument { .. }), "{refused}");
            assert!(refused.to_string().contains(words), "{to}: {refused}");
            assert_eq!((names("store"), names("foreign"), names("of other")), before, "{to}");
        }
        let refused = db.backup("memory://", &BackupOptions::new()).unwrap_err();
        assert!(matches!(refused, Error::InvalidArgument { .. }), "{refused}");
        let refused = db.backup(at("not/there"), &BackupOptions::new()).unwrap_err();
        assert!(matches!(refused, Error::Io { errno: libc::ENOENT, .. }), "{refused}");
        // One that is read is locked.
        db.backup(at("read"), &BackupOptions::new()).unwrap();
        let reader =
            Db::open(at("read"), &Options { read_only: true, engine, ..Options::default() }).unwrap();
        let refused = db.backup(at("read"), &BackupOptions::new()).unwrap_err();
        assert!(matches!(refused, Error::Locked { .. }), "{refused}");
        drop(reader);
        db.backup(at("read"), &BackupOptions::new()).unwrap();
    }
}

#[test]
fn a_backup_that_was_not_finished_is_no_store() {
    for engine in ENGINES {
        let home = tempfile::tempdir().unwrap();
        let db = Db::open(home.path().join("store"), &real(engine)).unwrap();
        fill(&db, 100, 1);
        let to = home.path().join("backup");
        // Told to end, it leaves nothing.
        let ended = db.backup_with(&to, &BackupOptions::new(), &mut |_| ControlFlow::Break(()));
        assert!(!ended.unwrap() && !to.exists());
        db.backup(&to, &BackupOptions::new()).unwrap();
        std::fs::remove_file(to.join("MANIFEST")).unwrap();
        let refused = Db::open(&to, &real(engine)).err().unwrap();
        assert!(refused.to_string().contains("not finished"), "{refused}");
        for entry in std::fs::read_dir(&to).unwrap() {
            let name = entry.unwrap().file_name();
            if name.to_string_lossy().ends_with(".data") {
                std::fs::remove_file(to.join(name)).unwrap();
            }
        }
        let refused = Db::open(&to, &real(engine)).err().unwrap();
        assert!(refused.to_string().contains("not finished"), "{refused}");
        db.backup(&to, &BackupOptions::new()).unwrap();
        assert!(is_filled(&Db::open(&to, &real(engine)).unwrap(), 100, 1));
    }
}

#[test]
fn stores_in_memory_and_stores_that_are_read_only_and_empty_ones_are_copied_too() {
    for engine in ENGINES {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let memory = Db::open("memory://", &Options { memory_limit: 64 << 20, ..real(engine) }).unwrap();
        fill(&memory, 100, 1);
        memory.backup(at("of memory"), &BackupOptions::new()).unwrap();
        fill(&memory, 100, 2);
        memory.backup(at("of memory"), &BackupOptions::new()).unwrap();
        let read_only = Options { read_only: true, engine, ..Options::default() };
        let copy = Db::open(at("of memory"), &read_only).unwrap();
        assert!(is_filled(&copy, 100, 2));
        copy.backup(at("restored"), &BackupOptions::new()).unwrap();
        drop(copy);
        let restored = Db::open(at("restored"), &real(engine)).unwrap();
        assert!(is_filled(&restored, 100, 2));
        fill(&restored, 100, 3);
        restored.close().unwrap();
        // Closed, and copied by who only reads it; then written to, and copied again.
        let reader = Db::open(at("restored"), &read_only).unwrap();
        reader.backup(at("by reader"), &BackupOptions::new()).unwrap();
        drop(reader);
        let restored = Db::open(at("restored"), &real(engine)).unwrap();
        fill(&restored, 100, 4);
        restored.backup(at("by reader"), &BackupOptions::new()).unwrap();
        assert!(is_filled(&Db::open(at("by reader"), &read_only).unwrap(), 100, 4));

        let empty = Db::open(at("empty"), &real(engine)).unwrap();
        empty.backup(at("of empty"), &BackupOptions::new()).unwrap();
        drop(empty);
        assert_eq!(Db::open(at("of empty"), &read_only).unwrap().count().unwrap(), 0);
        let copy = Db::open(at("of empty"), &real(engine)).unwrap();
        fill(&copy, 10, 1);
        assert!(is_filled(&copy, 10, 1));
    }
}

#[test]
fn a_store_that_is_closed_meanwhile_ends_its_backup() {
    for engine in ENGINES {
        let home = tempfile::tempdir().unwrap();
        let (store, to) = (home.path().join("store"), home.path().join("backup"));
        let db = Db::open(&store, &real(engine)).unwrap();
        fill(&db, 1_000, 1);
        db.backup(&to, &BackupOptions::new()).unwrap();
        fill(&db, 1_000, 2);
        let ended = db.backup_with(&to, &BackupOptions::new().copy(), &mut |progress| {
            if progress.copied_bytes > 0 {
                let _ = db.close();
            }
            ControlFlow::Continue(())
        });
        assert!(matches!(ended, Err(Error::Closed)), "{ended:?}");
        assert!(is_filled(&Db::open(&to, &real(engine)).unwrap(), 1_000, 1));
        assert!(is_filled(&Db::open(&store, &real(engine)).unwrap(), 1_000, 2));
    }
}

#[test]
fn backups_beside_writers_and_merges_hold_whole_batches_of_one_moment() {
    for (engine, io, copy) in [
        (EngineKind::Bitcask, "mmap", false),
        (EngineKind::Bitcask, "pread", true),
        (EngineKind::Lsm, "mmap", false),
        (EngineKind::Lsm, "pread", true),
    ] {
        let home = tempfile::tempdir().unwrap();
        let mut options = Options { max_file_size: 1 << 20, lsm_memory: 1 << 20, ..real(engine) };
        options.set("io", io).unwrap();
        let db = Db::open(home.path().join("store"), &options).unwrap();
        let (written, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..20_000 {
                    let mut batch = Batch::new();
                    for part in 0..8u64 {
                        batch
                            .put(
                                [&part.to_le_bytes()[..], &(n % 50u64).to_le_bytes()].concat(),
                                vec![n as u8; 500],
                            )
                            .unwrap();
                        batch.put(part.to_le_bytes(), n.to_le_bytes()).unwrap();
                    }
                    db.write(&batch).unwrap();
                    written.store(n, Ordering::SeqCst);
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
            let how = if copy { BackupOptions::new().copy() } else { BackupOptions::new() };
            for round in 0..4 {
                let to = home.path().join(format!("backup{}", round % 2));
                let before = written.load(Ordering::SeqCst);
                db.backup(&to, &how).unwrap();
                let after = written.load(Ordering::SeqCst) + 1;
                if engine == EngineKind::Bitcask {
                    let sound = filedb::check(&to, |finding| panic!("{finding:?}")).unwrap();
                    assert!(sound.is_sound());
                }
                let backup = Db::open(&to, &Options { read_only: true, ..options.clone() }).unwrap();
                let number = |part: u64| {
                    let held = backup.get(part.to_le_bytes()).unwrap();
                    held.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
                };
                let held = number(0);
                assert!((before..=after).contains(&held), "{engine:?}: {held} is not in {before}..={after}");
                assert!((1..8).all(|part| number(part) == held), "{engine:?}, {io}");
                for n in held.saturating_sub(49).max(1)..=held {
                    let value =
                        backup.get([&3u64.to_le_bytes()[..], &(n % 50).to_le_bytes()].concat()).unwrap();
                    assert_eq!(value, Some(vec![n as u8; 500]), "{engine:?}, {io}");
                }
            }
            is_over.store(true, Ordering::SeqCst);
        });
    }
}
