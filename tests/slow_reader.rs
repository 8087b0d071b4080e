//! Somebody who looks at a value for long holds up nobody: writers, seals and merges of other files go on.
#![allow(clippy::unwrap_used)]

use std::sync::mpsc::channel;
use std::time::Duration;

use filedb::{Db, Options};

/// A test that hangs fails after this time. None waits for it otherwise.
const HANGS: Duration = Duration::from_secs(120);

/// How a thread gets to look at the value of a key.
#[derive(Clone, Copy, Debug)]
enum Look {
    Read,
    Walk,
}

fn look(db: &Db, how: Look, key: &[u8], visit: impl Fn(&[u8])) {
    match how {
        Look::Read => db.read(key, |value| visit(value)).unwrap().unwrap(),
        Look::Walk => drop(db.iter(key).unwrap().visit_rows(|_, value| {
            visit(value);
            true
        })),
    }
}

fn files(path: &std::path::Path) -> usize {
    let names = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".data")).count()
}

fn write_while_somebody_looks(io: &str, how: Look) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut options = Options::default();
    for (name, value) in [("io", io), ("max_file_size", "4096"), ("sync", "none"), ("merge_interval_ms", "1")]
    {
        options.set(name, value).unwrap();
    }
    let db = Db::open(&path, &options).unwrap();
    db.put(b"looked at", [1; 500]).unwrap();
    let (looking, looks) = channel();
    let (release, released) = channel::<()>();
    let (done, is_done) = channel();
    std::thread::scope(|scope| {
        let db = &db;
        scope.spawn(move || {
            look(db, how, b"looked at", |value| {
                looking.send(()).unwrap();
                let _ = released.recv();
                assert_eq!(value, [1; 500], "the value changed under {how:?}");
            });
        });
        looks.recv().unwrap();
        scope.spawn(move || {
            let mut n = 0u32;
            let is_enough = |db: &Db| {
                let newest = db.file_stats().unwrap().last().map_or(0, |file| file.id);
                newest > 200 && db.stats().unwrap().merges >= 3
            };
            while !n.is_multiple_of(100) || !is_enough(db) {
                // The value that is looked at dies, too.
                let key = if n == 0 { *b"looked at" } else { *b"others..." };
                db.put(key, n.to_le_bytes().repeat(100)).unwrap();
                n += 1;
            }
            // What is held for who looks is counted.
            let data = db.stats().unwrap().data_bytes;
            assert!(data > 100_000, "{data} bytes");
            done.send(n).unwrap();
        });
        let writes = is_done.recv_timeout(HANGS);
        drop(release);
        assert!(writes.is_ok(), "writers or merges stopped beside {how:?} with io={io}");
    });
    db.merge().unwrap();
    db.recount().unwrap();
    assert!(files(&path) <= 4, "{} files are left", files(&path));
    assert_eq!(db.count().unwrap(), 2);
    db.close().unwrap();
}

#[test]
fn writers_and_merges_go_on_while_somebody_looks_at_a_value() {
    for io in ["mmap", "pread"] {
        write_while_somebody_looks(io, Look::Read);
    }
}

#[test]
fn writers_and_merges_go_on_while_somebody_walks_and_looks_at_a_row() {
    for io in ["mmap", "pread"] {
        write_while_somebody_looks(io, Look::Walk);
    }
}
