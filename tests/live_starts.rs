//! What a live reader begins with: the checkpoint of its writer's store, and what was written since. `FILEDB_TEST_HISTORIES=n` sets
//! how many random histories there are.

#![allow(clippy::unwrap_used)] // what fails fails the test

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use filedb::disk::sim::Random;
use filedb::{Batch, Db, EngineKind, IoMode, LogLevel, LogSink, Options, PutOptions};
use support::runner;

fn writing() -> Options {
    let mut options = Options { max_file_size: 64 << 10, ..Options::default() };
    options.set("merge", "manual").unwrap();
    options.set("sync", "none").unwrap();
    options
}

/// A reader, and what it says of what it began with.
fn read(path: &Path, io: IoMode) -> (Db, Vec<String>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = told.clone();
    let log = LogSink::new(move |_, words| sink.lock().unwrap().push(words.to_string()));
    let options =
        Options { read_only: true, live: true, io, log, log_level: LogLevel::Info, ..Options::default() };
    let reader = Db::open(path, &options).unwrap();
    let told = told.lock().unwrap().clone();
    (reader, told)
}

fn began_at_a_checkpoint(told: &[String]) -> bool {
    told.iter().any(|words| words.contains("from its checkpoint"))
}

/// Values that expire soon have this length, and no others.
const BRIEF: usize = 777;

/// Each key, and how long its value is and what of; but for those that may expire between two looks.
fn contents(db: &Db) -> BTreeMap<String, (usize, u64)> {
    let mut all = BTreeMap::new();
    db.iter("")
        .unwrap()
        .visit_rows(|key, value| {
            let sum = value.iter().map(|byte| u64::from(*byte)).sum();
            if value.len() != BRIEF {
                all.insert(String::from_utf8_lossy(key).into_owned(), (value.len(), sum));
            }
            true
        })
        .unwrap();
    all
}

/// The reader finds each of these keys as the writer does, but for those that may expire meanwhile.
fn look_up(reader: &Db, db: &Db, context: &str) {
    for n in 0..400 {
        let key = format!("key {n}");
        let (seen, there) = (reader.get(&key).unwrap(), db.get(&key).unwrap());
        if [&seen, &there].iter().all(|value| value.as_ref().is_none_or(|value| value.len() != BRIEF)) {
            assert_eq!(seen, there, "{context}: {key}");
        }
    }
}

/// Where two stores differ.
fn differences(one: &BTreeMap<String, (usize, u64)>, other: &BTreeMap<String, (usize, u64)>) -> Vec<String> {
    let keys: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let differs = keys.into_iter().filter(|key| one.get(*key) != other.get(*key));
    differs.map(|key| format!("{key}: {:?} and {:?}", one.get(key), other.get(key))).collect()
}

/// A reader that begins now has what the writer has, and counts it as it should.
fn begin(path: &Path, db: &Db, io: IoMode) -> bool {
    let (reader, told) = read(path, io);
    look_up(&reader, db, &format!("{told:?}"));
    assert_eq!(differences(&contents(&reader), &contents(db)), Vec::<String>::new(), "{told:?}");
    assert_eq!(reader.last_seq().unwrap(), db.last_seq().unwrap());
    assert_eq!(reader.recount(), Ok(()), "{told:?}");
    began_at_a_checkpoint(&told)
}

#[test]
fn a_reader_begins_at_a_checkpoint_of_the_running_writer() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let db = Db::open(&path, &writing()).unwrap();
    for n in 0..3_000 {
        db.put(format!("key {n}"), vec![n as u8; 90]).unwrap();
    }
    assert!(!begin(&path, &db, IoMode::Mmap), "there is none yet");
    assert!(db.write_checkpoint().unwrap());
    assert!(begin(&path, &db, IoMode::Mmap), "nothing was written since");
    for n in 0..500 {
        db.put(format!("key {}", 7 * n), "since").unwrap();
        db.delete(format!("key {}", 7 * n + 1)).unwrap();
        db.put(format!("new {n}"), "since").unwrap();
    }
    assert!(begin(&path, &db, IoMode::Mmap));
    assert!(begin(&path, &db, IoMode::Pread));
    // What is merged now stands in files that the checkpoint does not know.
    db.merge().unwrap();
    assert!(begin(&path, &db, IoMode::Mmap));
    assert!(db.write_checkpoint().unwrap());
    assert!(begin(&path, &db, IoMode::Mmap));
}

#[test]
fn the_checkpoint_of_a_clean_close_serves_those_who_read_the_store_after_it_was_opened_again() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let db = Db::open(&path, &writing()).unwrap();
    for n in 0..3_000 {
        db.put(format!("key {n}"), vec![n as u8; 90]).unwrap();
    }
    db.close().unwrap();
    let db = Db::open(&path, &writing()).unwrap();
    assert!(!begin(&path, &db, IoMode::Mmap), "nothing was written: the index is the checkpoint");
    db.put("key 5", "since").unwrap();
    db.delete("key 6").unwrap();
    assert!(begin(&path, &db, IoMode::Mmap));
    for n in 0..2_000 {
        db.put(format!("key {n}"), vec![1; 300]).unwrap();
    }
    assert!(begin(&path, &db, IoMode::Pread));
}

#[test]
fn a_store_gets_a_checkpoint_when_its_writers_rest_and_while_somebody_reads_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let db = Db::open(&path, &Options { max_file_size: 8 << 20, ..writing() }).unwrap();
    let fill = |from: u64| (from..from + 110_000).for_each(|n| db.put(n.to_le_bytes(), "value").unwrap());
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    fill(0);
    let name = path.join("CHECKPOINT");
    until("nobody writes, and there is no checkpoint", &|| name.exists());
    until("it is not told", &|| began_at_a_checkpoint(&read(&path, IoMode::Mmap).1));
    let reader = read(&path, IoMode::Mmap).0;
    let written = || std::fs::metadata(&name).unwrap().modified().unwrap();
    let first = written();
    fill(110_000);
    fill(110_000);
    until("somebody reads, and there is no other checkpoint", &|| written() != first);
    assert!(begin(&path, &db, IoMode::Mmap));
    assert_eq!(reader.count().unwrap(), 220_000);
}

/// Copies the directory of a store that nobody writes to. Its thread may seal a file meanwhile, and make one ahead: the copy is whole when
/// the manifest is the same before and after.
fn copy_at_rest(path: &Path, copy: &Path) {
    let manifest = || std::fs::read(path.join("MANIFEST")).unwrap();
    loop {
        let before = manifest();
        let _ = std::fs::remove_dir_all(copy);
        std::fs::create_dir(copy).unwrap();
        let is_whole = std::fs::read_dir(path).unwrap().all(|entry| {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.join(entry.file_name())).is_ok()
        });
        if is_whole && manifest() == before {
            return;
        }
    }
}

#[test]
fn a_checkpoint_of_a_session_that_is_over_is_not_believed() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let db = Db::open(&path, &writing()).unwrap();
    for n in 0..1_000 {
        db.put(format!("key {n}"), vec![n as u8; 90]).unwrap();
    }
    assert!(db.write_checkpoint().unwrap());
    // As after a power cut, and in a copy of the directory: the page says what it said, and nobody lives who did.
    let copy = home.path().join("copy");
    copy_at_rest(&path, &copy);
    let (reader, told) = read(&copy, IoMode::Mmap);
    assert!(!began_at_a_checkpoint(&told), "{told:?}");
    assert_eq!(contents(&reader), contents(&db));
    // A writer of a version that says nothing of checkpoints leaves what the page says of the last session's.
    let page = std::fs::OpenOptions::new().write(true).open(path.join("LIVE")).unwrap();
    assert!(begin(&path, &db, IoMode::Mmap));
    page.write_all_at(&4711u64.to_le_bytes(), 44 * 8).unwrap();
    assert!(!begin(&path, &db, IoMode::Mmap));
    let other = Db::open(&copy, &writing()).unwrap();
    other.delete("key 0").unwrap();
    assert!(!begin(&copy, &other, IoMode::Mmap));
}

#[test]
fn a_checkpoint_that_is_damaged_or_gone_costs_time_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let db = Db::open(&path, &writing()).unwrap();
    for n in 0..2_000 {
        db.put(format!("key {n}"), vec![n as u8; 90]).unwrap();
    }
    assert!(db.write_checkpoint().unwrap());
    let name = path.join("CHECKPOINT");
    let whole = std::fs::read(&name).unwrap();
    let mut random = Random::new(1);
    for n in 0..40 {
        let mut bytes = whole.clone();
        let at = if n % 2 == 0 {
            random.below(12_000) as usize
        } else {
            random.below(whole.len() as u64) as usize
        };
        let at = at.min(bytes.len() - 1);
        bytes[at] ^= 1 << random.below(8);
        std::fs::write(&name, &bytes).unwrap();
        assert!(!begin(&path, &db, IoMode::Mmap), "byte {at} was changed");
    }
    std::fs::write(&name, &whole[..whole.len() / 2]).unwrap();
    assert!(!begin(&path, &db, IoMode::Mmap));
    std::fs::remove_file(&name).unwrap();
    assert!(!begin(&path, &db, IoMode::Mmap));
    assert!(db.write_checkpoint().unwrap());
    assert!(begin(&path, &db, IoMode::Mmap));
}

#[test]
fn a_store_with_lists_is_read_from_the_beginning() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let db = Db::open(&path, &writing()).unwrap();
    for n in 0..500 {
        db.put(format!("key {n}"), vec![n as u8; 90]).unwrap();
    }
    assert!(db.write_checkpoint().unwrap());
    db.push_back("list", "element").unwrap();
    assert!(!begin(&path, &db, IoMode::Mmap));
    assert!(!db.write_checkpoint().unwrap());
}

/// One random change of a store.
fn change(db: &Db, random: &mut Random) {
    let key = format!("key {}", random.below(400));
    let value = vec![random.below(256) as u8; random.below(300) as usize];
    match random.below(20) {
        0..=3 => drop(db.delete(&key).unwrap()),
        4 => {
            let lasts = Duration::from_millis(1 + random.below(40));
            let options = PutOptions { ttl: Some(lasts), ..PutOptions::default() };
            assert!(db.put_with(&key, [5; BRIEF], &options).unwrap());
        }
        5 => {
            let lasts = Duration::from_secs(1_000);
            let options = PutOptions { ttl: Some(lasts), ..PutOptions::default() };
            assert!(db.put_with(&key, &value, &options).unwrap());
        }
        6 => {
            let mut batch = Batch::new();
            for n in 0..random.below(30) {
                batch.put(format!("key {}", (n * 13 + random.below(7)) % 400), &value).unwrap();
            }
            batch.delete(&key).unwrap();
            db.write(&batch).unwrap();
        }
        _ => db.put(&key, &value).unwrap(),
    }
}

#[test]
fn readers_that_begin_at_random_moments_of_random_histories_have_what_the_writer_has() {
    let histories = runner::histories(12);
    let (mut at_checkpoints, mut others) = (0, 0);
    let engines = [EngineKind::Bitcask, EngineKind::Lsm];
    for (seed, engine) in runner::seeds(histories).flat_map(|seed| engines.map(|engine| (seed, engine))) {
        let (home, mut random) = (tempfile::tempdir().unwrap(), Random::new(seed));
        let path = home.path().join("store");
        let writing = Options { engine, lsm_memory: 256 << 10, ..writing() };
        let mut db = Db::open(&path, &writing).unwrap();
        for _ in 0..60 {
            match random.below(12) {
                0 => db.merge().unwrap(),
                1 | 2 if engine == EngineKind::Bitcask => drop(db.write_checkpoint().unwrap()),
                3 if random.one_in(2) => {
                    db.close().unwrap();
                    db = Db::open(&path, &writing).unwrap();
                }
                4 | 5 => {
                    let (reader, told) =
                        read(&path, if seed % 3 == 0 { IoMode::Pread } else { IoMode::Mmap });
                    // Its index is not made yet, and is followed all the same.
                    for _ in 0..random.below(3) {
                        look_up(&reader, &db, &format!("seed {seed}: {told:?}"));
                        (0..random.below(60)).for_each(|_| change(&db, &mut random));
                    }
                    look_up(&reader, &db, &format!("seed {seed}: {told:?}"));
                    let differences = differences(&contents(&reader), &contents(&db));
                    assert_eq!(differences, Vec::<String>::new(), "{engine:?}, seed {seed}: {told:?}");
                    assert_eq!(reader.last_seq().unwrap(), db.last_seq().unwrap(), "seed {seed}");
                    assert_eq!(reader.recount(), Ok(()), "seed {seed}: {told:?}");
                    if began_at_a_checkpoint(&told) { at_checkpoints += 1 } else { others += 1 }
                }
                _ => (0..random.below(300)).for_each(|_| change(&db, &mut random)),
            }
        }
    }
    assert!(at_checkpoints + others > 0);
    runner::tally(histories, "histories");
    runner::tally(at_checkpoints, "readers that began at a checkpoint");
}

/// The file that was made ahead is in the manifest already. What the log has in it when the checkpoint is written stands behind its place.
#[test]
fn a_reader_reads_the_file_that_the_log_went_on_in_while_the_checkpoint_was_written() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let db = Db::open(&path, &writing()).unwrap();
    for n in 0..400 {
        db.put(format!("key {n}"), "before").unwrap();
    }
    for round in 0..20 {
        let is_written = db.write_checkpoint_while(|| {
            // More than a file, so that the log goes on in the one that is ready.
            (0..100).for_each(|n| db.put(format!("key {n}"), vec![round; 1000]).unwrap());
        });
        assert!(is_written.unwrap());
        for n in 0..200 {
            db.put(format!("key {}", n % 50), vec![round; 1000]).unwrap();
            if n % 50 == 7 {
                db.delete(format!("key {}", 50 + n % 100)).unwrap();
            }
        }
        // Some of these find the file open, and others sealed.
        for _ in 0..10 {
            begin(&path, &db, IoMode::Mmap);
        }
    }
}

/// Ends the writers also where a check fails: they would write until nothing is left to write to.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_checkpoint_that_is_written_beside_busy_writers_is_one_to_begin_with() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let db = Arc::new(Db::open(&path, &writing()).unwrap());
    let over = AtomicBool::new(false);
    for n in 0..400 {
        db.put(format!("key {n}"), "first").unwrap();
    }
    for round in 0..20 {
        over.store(false, Ordering::SeqCst);
        std::thread::scope(|scope| {
            for thread in 0..2u64 {
                let (db, over) = (&db, &over);
                scope.spawn(move || {
                    let mut random = Random::new(100 * round + thread);
                    while !over.load(Ordering::SeqCst) {
                        change(db, &mut random);
                    }
                });
            }
            let _ends = Ends(&over);
            for n in 0..3 {
                assert!(db.write_checkpoint().unwrap());
                let (reader, told) = read(&path, IoMode::Mmap);
                assert!(began_at_a_checkpoint(&told), "round {round}, reader {n}: {told:?}");
                drop(reader);
                if round % 4 == n {
                    db.merge().unwrap();
                }
            }
        });
        assert!(begin(&path, &db, IoMode::Mmap), "round {round}");
    }
}
