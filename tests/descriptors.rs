//! A store of thousands of files in a process that may open few. Alone in its program: the limit is the process's.

use std::sync::Mutex;

use filedb::{Db, EngineKind, IoMode, Options};

const FILES: u32 = 2_500;
const MOST_OPEN: u64 = 128;

/// The tests are not run at once: each needs most of the descriptors that there are.
static ALONE: Mutex<()> = Mutex::new(());

fn limit_descriptors() {
    let limit = libc::rlimit { rlim_cur: MOST_OPEN, rlim_max: MOST_OPEN };
    // SAFETY: the pointer is to a valid rlimit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

fn key(n: u32) -> [u8; 4] {
    n.to_le_bytes()
}

fn check(db: &Db, when: &str) {
    // Another order than that of the files, so that plain ones are closed and opened all the time.
    for n in (0..FILES).map(|n| n * 7 % FILES) {
        let value = db.get(key(n)).unwrap_or_else(|error| panic!("{when}, key {n}: {error}"));
        assert_eq!(value.map(|value| value.len()), Some(600), "{when}, key {n}");
    }
    let rows = db
        .list(b"")
        .map(|keys| keys.len() as u32)
        .unwrap_or_else(|error| panic!("{when}, all keys: {error}"));
    assert_eq!(rows, FILES, "{when}");
}

#[test]
fn a_store_of_thousands_of_files_needs_few_descriptors() {
    let _alone = ALONE.lock();
    limit_descriptors();
    for io in ["mmap", "pread"] {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::default();
        // A file for each record.
        for (name, value) in [("io", io), ("max_file_size", "900"), ("sync", "none"), ("merge", "manual")] {
            options.set(name, value).unwrap();
        }
        let open = || Db::open(dir.path().join("store"), &options).unwrap();
        let db = open();
        for n in 0..FILES {
            db.put(key(n), [7; 600]).unwrap_or_else(|error| panic!("io={io}, put {n}: {error}"));
        }
        check(&db, &format!("io={io}, when written"));
        assert!(db.file_stats().unwrap().len() >= FILES as usize);
        db.close().unwrap();

        let db = open();
        check(&db, &format!("io={io}, after a clean close"));
        db.close().unwrap();
        std::fs::remove_file(dir.path().join("store/CHECKPOINT")).unwrap();
        let db = open();
        check(&db, &format!("io={io}, with an index that was rebuilt"));

        let mut half = 0;
        for n in (0..FILES).step_by(2) {
            assert!(db.delete(key(n)).unwrap());
            half += 1;
        }
        db.merge().unwrap();
        let left = db.file_stats().unwrap().len();
        assert!(left < (FILES - half + FILES / 10) as usize, "io={io}: {left} files after the merge");
        for n in 0..FILES {
            assert_eq!(db.exists(key(n)).unwrap(), n % 2 == 1, "io={io}, key {n} after the merge");
        }
        db.close().unwrap();
    }
}

/// A reader beside a writer may not close what it reads: the writer takes names away whenever it has merged.
#[test]
fn a_reader_of_more_runs_than_descriptors_are_shared_still_reads_those_that_a_merge_replaced() {
    const KEYS: u32 = 3_000;
    let _alone = ALONE.lock();
    limit_descriptors();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut options = Options {
        engine: EngineKind::Lsm,
        max_file_size: 64 << 10,
        lsm_memory: 256 << 10,
        ..Options::default()
    };
    options.set("merge", "manual").unwrap();
    options.set("sync", "none").unwrap();
    let db = Db::open(&path, &options).unwrap();
    let fill = |byte| (0..KEYS).for_each(|n| db.put(n.to_be_bytes(), [byte; 1_000]).unwrap());
    fill(1);
    db.merge().unwrap();
    let names = || std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name());
    let runs = names().filter(|name| name.to_string_lossy().ends_with(".run")).count() as u64;
    assert!(runs > MOST_OPEN / 4 && runs < MOST_OPEN * 3 / 4, "{runs} runs");

    let reading = Options { read_only: true, live: true, io: IoMode::Pread, ..Options::default() };
    let reader = Db::open(&path, &reading).unwrap();
    let mut walk = reader.iter(b"").unwrap();
    fill(2);
    db.merge().unwrap();
    let mut seen = 0;
    walk.visit_rows(|_, value| {
        assert_eq!(value, [1; 1_000]);
        seen += 1;
        true
    })
    .unwrap();
    assert_eq!(seen, KEYS);
    for n in 0..KEYS {
        assert_eq!(reader.get(n.to_be_bytes()).unwrap().as_deref(), Some(&[2; 1_000][..]), "key {n}");
    }
}
