//! Stores in memory: alone and by name, with a limit, and beginning empty.

#![allow(clippy::unwrap_used)]

use filedb::{Capabilities, Db, Error, Options, PutOptions, SyncMode};

fn open(path: &str, options: &Options) -> Result<Db, Error> {
    Db::open(path, options)
}

#[test]
fn a_store_without_a_name_is_alone_and_gone_when_it_is_closed() {
    let (one, two) =
        (open("memory://", &Options::default()).unwrap(), open("memory://", &Options::default()).unwrap());
    one.put(b"key", b"value").unwrap();
    assert_eq!(one.get(b"key").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(two.get(b"key").unwrap(), None);
    one.close().unwrap();
    assert!(matches!(one.get(b"key"), Err(Error::Closed)));
}

#[test]
fn a_named_store_is_shared_by_its_handles_and_gone_with_the_last() {
    let options = Options::default();
    let one = open("memory://shared", &options).unwrap();
    let two = open("memory://shared", &options).unwrap();
    one.put(b"key", b"value").unwrap();
    assert_eq!(two.get(b"key").unwrap().as_deref(), Some(&b"value"[..]));
    one.close().unwrap();
    assert!(matches!(one.put(b"key", b"other"), Err(Error::Closed)));
    assert_eq!(two.get(b"key").unwrap().as_deref(), Some(&b"value"[..]));
    let exists = Options { error_if_exists: true, ..Options::default() };
    assert!(matches!(open("memory://shared", &exists), Err(Error::Exists { .. })));
    let empty = Options { truncate: true, ..Options::default() };
    assert!(matches!(open("memory://shared", &empty), Err(Error::Locked { .. })));
    two.close().unwrap();
    let missing = Options { create_if_missing: false, ..Options::default() };
    assert!(matches!(open("memory://shared", &missing), Err(Error::Missing { .. })));
    assert_eq!(open("memory://shared", &options).unwrap().count().unwrap(), 0);
}

#[test]
fn what_memory_cannot_do_is_refused_and_changes_nothing() {
    let db = open("memory://", &Options::default()).unwrap();
    let can = db.capabilities().unwrap();
    assert!(
        can.contains(Capabilities::SNAPSHOT | Capabilities::BATCH | Capabilities::MERGE | Capabilities::PIN)
    );
    assert!(!can.contains(Capabilities::SYNC) && !can.contains(Capabilities::ORDER));
    assert!(matches!(db.sync(), Err(Error::Unsupported { .. })));
    let synced = PutOptions { sync: true, ..PutOptions::default() };
    assert!(matches!(db.put_with(b"key", b"value", &synced), Err(Error::Unsupported { .. })));
    assert_eq!(db.count().unwrap(), 0);
    let always = Options { sync: SyncMode::Always, ..Options::default() };
    assert!(matches!(open("memory://", &always), Err(Error::Unsupported { .. })));
}

#[test]
fn a_full_memory_is_no_space_and_deletes_and_merges_make_room_again() {
    for memory_limit in [4 << 20, 16 << 20, 64 << 20] {
        let db = open("memory://", &Options { memory_limit, ..Options::default() }).unwrap();
        let value = [7; 1000];
        for round in 0..3 {
            let mut written = 0u64;
            let full = loop {
                match db.put(format!("{written:08}").as_bytes(), value) {
                    Ok(()) => written += 1,
                    Err(error) => break error,
                }
            };
            assert!(matches!(full, Error::NoSpace { .. }), "{full}");
            assert!(written * 1000 > memory_limit / 4, "round {round}: {written} of {memory_limit}");
            assert!(written * 1000 < memory_limit);
            assert_eq!(db.get(b"00000000").unwrap().as_deref(), Some(&value[..]));
            for n in 0..written {
                assert!(db.delete(format!("{n:08}").as_bytes()).unwrap());
            }
            db.merge().unwrap();
            assert_eq!(db.count().unwrap(), 0);
        }
    }
}

#[test]
fn overwriting_for_long_stays_below_the_limit() {
    let memory_limit = 8 << 20;
    let db = open("memory://", &Options { memory_limit, ..Options::default() }).unwrap();
    for n in 0..60_000u32 {
        let key = (n % 2_000).to_le_bytes();
        // The merge is behind for a moment where this machine is busy: then the store is full, and says so.
        while let Err(error) = db.put(key, [n as u8; 1000]) {
            assert!(matches!(error, Error::NoSpace { .. }), "{error}");
            std::thread::yield_now();
        }
    }
    assert_eq!(db.count().unwrap(), 2_000);
    for n in 58_000..60_000u32 {
        assert_eq!(db.get((n % 2_000).to_le_bytes()).unwrap().as_deref(), Some(&[n as u8; 1000][..]));
    }
}

#[test]
fn a_store_that_is_opened_with_truncate_begins_empty_and_stays_so() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    let url = format!("file://{}", path.display());
    let db = open(&url, &Options::default()).unwrap();
    (0..100u8).for_each(|n| db.put([n], [n; 500]).unwrap());
    db.close().unwrap();
    let empty = Options { truncate: true, ..Options::default() };
    let db = Db::open(&path, &empty).unwrap();
    assert_eq!(db.count().unwrap(), 0);
    db.put(b"new", b"value").unwrap();
    db.close().unwrap();
    let db = Db::open(&path, &Options::default()).unwrap();
    assert_eq!(db.list(b"").unwrap().iter().collect::<Vec<_>>(), [b"new"]);
    db.close().unwrap();
    // Also where it could not be opened otherwise.
    std::fs::write(path.join("MANIFEST"), b"rubbish").unwrap();
    assert!(Db::open(&path, &Options::default()).is_err());
    assert_eq!(Db::open(&path, &empty).unwrap().count().unwrap(), 0);
    let both = Options { truncate: true, read_only: true, ..Options::default() };
    assert!(matches!(Db::open(&path, &both), Err(Error::InvalidArgument { .. })));
}

#[test]
fn a_store_without_key_order_refuses_what_needs_it_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path().join("store"), "memory://".into(), "memory://ranges".into()] {
        let db = Db::open(&path, &Options::default()).unwrap();
        db.put(b"key", b"value").unwrap();
        assert!(!db.capabilities().unwrap().contains(filedb::Capabilities::ORDER));
        let range = filedb::KeyRange { from: std::ops::Bound::Excluded(b"a"), ..filedb::KeyRange::ALL };
        assert!(matches!(db.range(&range), Err(Error::Unsupported { .. })));
        assert!(matches!(db.delete_range(&filedb::KeyRange::ALL), Err(Error::Unsupported { .. })));
        let mut walk = db.iter(b"").unwrap();
        assert!(matches!(walk.seek(b"z"), Err(Error::Unsupported { .. })));
        assert_eq!(walk.next_row().unwrap().unwrap().key(), b"key", "the walk stays where it is");
        db.close().unwrap();
        assert!(matches!(walk.seek(b"z"), Err(Error::Closed)));
        assert!(matches!(db.range(&range), Err(Error::Closed)));
    }
}
