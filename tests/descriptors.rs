//! A store of thousands of files in a process that may open few. Alone in its program: the limit is the process's.

use filedb::{Db, Options};

const FILES: u32 = 2_500;
const MOST_OPEN: u64 = 128;

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
