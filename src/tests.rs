//! The engine as a whole, on a real directory: quick checks that come before the torture in `tests/`.
use std::sync::Arc;
use std::time::Duration;

use crate::*;

pub fn open(dir: &tempfile::TempDir, set: &[(&str, &str)]) -> Db {
    let mut options = Options::default();
    set.iter().for_each(|(name, value)| options.set(name, value).unwrap());
    Db::open(dir.path().join("store"), &options).unwrap()
}

/// Without threads: what they do happens in this one, so that it is certain when.
pub fn open_without_threads(dir: &tempfile::TempDir, set: &[(&str, &str)]) -> Db {
    use crate::disk::fs::{FsDisk, Io};
    let mut options = Options::default();
    set.iter().for_each(|(name, value)| options.set(name, value).unwrap());
    let io = match options.io {
        IoMode::Mmap => Io::Mapped { synced: false },
        IoMode::Pread => Io::Plain,
    };
    let disk = FsDisk::open(&dir.path().join("store"), true, io).unwrap();
    Db::open_on(Arc::new(disk), &options).unwrap()
}

/// What another process would find if this one were killed now.
fn copy_store(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(|file| file.unwrap()) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_value_is_read_back_at_once_after_a_close_and_after_a_drop() {
    for io in ["mmap", "pread"] {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir, &[("io", io)]);
        db.put(b"a", b"1").unwrap();
        db.put(b"b", b"").unwrap();
        db.put(b"c", vec![7; 1 << 20]).unwrap();
        assert!(db.delete(b"a").unwrap() && !db.delete(b"a").unwrap());
        let check = |db: &Db| {
            assert_eq!(db.get(b"a").unwrap(), None);
            assert_eq!(db.get(b"b").unwrap(), Some(vec![]));
            assert_eq!(db.get(b"c").unwrap(), Some(vec![7; 1 << 20]));
            assert_eq!(db.count().unwrap(), 2);
            assert_eq!(db.list(b"").unwrap().len(), 2);
        };
        check(&db);
        db.close().unwrap();
        assert!(matches!(db.get(b"b"), Err(Error::Closed)) && matches!(db.close(), Err(Error::Closed)));
        let db = open(&dir, &[("io", io)]);
        check(&db);
        drop(db);
        check(&open(&dir, &[("io", io)]));
    }
}

#[test]
fn records_of_every_small_size_are_read_back_at_once_and_after_a_crash() {
    for io in ["mmap", "pread"] {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir, &[("io", io), ("sync", "none")]);
        let lasts = PutOptions { ttl: Some(Duration::from_millis(1 << 40)), ..PutOptions::default() };
        let key = |kind: &str, size: usize| format!("{kind} {size}").into_bytes();
        let value = |size: usize| (0..size).map(|n| (n * 31 + size) as u8).collect::<Vec<_>>();
        for size in 0..400 {
            db.put(key("put", size), value(size)).unwrap();
            db.put_with(key("lasts", size), value(size), &lasts).unwrap();
            let mut batch = Batch::new();
            batch.put(key("batch", size), value(size)).unwrap();
            batch.delete(vec![b'x'; size + 1]).unwrap();
            db.write(&batch).unwrap();
            db.put(vec![b'k'; size + 1], b"").unwrap();
            assert!(db.delete(vec![b'k'; size + 1]).unwrap());
        }
        let check = |db: &Db| {
            for size in 0..400 {
                for kind in ["put", "lasts", "batch"] {
                    assert_eq!(db.get(key(kind, size)).unwrap(), Some(value(size)), "{io}, {kind} {size}");
                }
            }
            assert_eq!(db.count().unwrap(), 1_200);
        };
        check(&db);
        // What the next process finds after a kill.
        let copy = tempfile::tempdir().unwrap();
        copy_store(&dir.path().join("store"), &copy.path().join("store"));
        check(&open(&copy, &[("io", io)]));
    }
}

#[test]
fn a_long_tail_that_was_never_synced_is_found_after_a_crash() {
    for io in ["mmap", "pread"] {
        let dir = tempfile::tempdir().unwrap();
        let set = [("io", io), ("sync", "none")];
        let db = open(&dir, &set);
        let value = |n: u32| vec![n as u8; 700_000];
        for n in 0..8u32 {
            db.put(n.to_le_bytes(), value(n)).unwrap();
        }
        // What the next process finds after a kill, and, when it is killed too, the one after that.
        let mut from = dir.path().join("store");
        let mut stores = vec![db];
        for life in 0..3u32 {
            let to = dir.path().join(format!("life{life}"));
            copy_store(&from, &to);
            let mut options = Options::default();
            set.iter().for_each(|(name, value)| options.set(name, value).unwrap());
            let db = Db::open(&to, &options).unwrap();
            for n in 0..8 + life {
                assert_eq!(db.get(n.to_le_bytes()).unwrap(), Some(value(n)), "{io}, life {life}");
            }
            db.put((8 + life).to_le_bytes(), value(8 + life)).unwrap();
            stores.push(db);
            from = to;
        }
    }
}

#[test]
fn a_store_that_a_killed_process_left_opens_without_waiting_for_the_disk_and_is_durable_after_the_next_sync()
{
    use crate::disk::sim::{FailedSync, Fault, Kind, PowerCut, SimDisk};
    for sync in ["none", "interval", "always"] {
        let mut options = Options { sync_interval_ms: 3_600_000, ..Options::default() };
        options.set("sync", "none").unwrap();
        let disk = SimDisk::new();
        disk.set_failed_sync(FailedSync::LosesPages);
        let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
        db.put(b"key", b"value").unwrap();
        // The kernel takes the page for written now.
        disk.fail(Fault::once(disk.operations() + 1, libc::EIO));
        db.sync().unwrap_err();

        options.set("sync", sync).unwrap();
        let disk = disk.kill();
        let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
        let synced = |disk: &SimDisk| {
            disk.trace().iter().any(|done| done.kind == Kind::Sync && done.name.ends_with(".data"))
        };
        assert_eq!(synced(&disk), sync == "always", "{sync}");
        assert_eq!(db.get(b"key").unwrap().as_deref(), Some(&b"value"[..]));
        db.sync().unwrap();
        let disk = disk.power_cut(1, PowerCut::LosesAll);
        let db = Db::open_on(Arc::new(disk), &options).unwrap();
        assert_eq!(db.get(b"key").unwrap().as_deref(), Some(&b"value"[..]), "{sync}");
    }
}

#[test]
fn a_tail_that_the_kernel_lost_since_it_was_looked_at_is_damage_and_not_written_to_the_disk_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let set = [("io", "pread"), ("sync", "none")];
    let db = open(&dir, &set);
    db.put(b"key", b"value").unwrap();
    // What a kill would leave.
    let killed = dir.path().join("killed");
    std::fs::create_dir(&killed).unwrap();
    for file in std::fs::read_dir(dir.path().join("store")).unwrap().map(|file| file.unwrap()) {
        std::fs::copy(file.path(), killed.join(file.file_name())).unwrap();
    }
    let mut options = Options::default();
    set.iter().for_each(|(name, value)| options.set(name, value).unwrap());
    let db = Db::open(&killed, &options).unwrap();
    assert_eq!(db.get(b"key").unwrap().as_deref(), Some(&b"value"[..]));
    // A page that could not be written is read from the disk again.
    let path = killed.join("0000000001.data");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[64..].fill(0);
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(db.sync(), Err(Error::Corrupt { offset: 64, .. })));
    assert!(matches!(db.put(b"other", b""), Err(Error::Poisoned { .. })));
}

#[test]
fn many_small_files_are_rotated_sealed_merged_and_reopened() {
    for io in ["mmap", "pread"] {
        let dir = tempfile::tempdir().unwrap();
        let set = [("io", io), ("max_file_size", "4096"), ("sync", "none"), ("merge", "manual")];
        let db = open(&dir, &set);
        for n in 0..5_000u32 {
            db.put((n % 100).to_le_bytes(), n.to_le_bytes()).unwrap();
        }
        let check = |db: &Db| {
            for n in 0..100u32 {
                assert_eq!(db.get(n.to_le_bytes()).unwrap(), Some((4_900 + n).to_le_bytes().to_vec()));
            }
            assert_eq!(db.count().unwrap(), 100);
        };
        check(&db);
        let before = std::fs::read_dir(dir.path().join("store")).unwrap().count();
        db.merge().unwrap();
        check(&db);
        let after = std::fs::read_dir(dir.path().join("store")).unwrap().count();
        assert!(after * 5 < before, "{before} files before, {after} after");
        db.close().unwrap();
        let db = open(&dir, &set);
        check(&db);
        db.close().unwrap();
        std::fs::remove_file(dir.path().join("store/CHECKPOINT")).unwrap();
        check(&open(&dir, &set));
    }
}

#[test]
fn rows_that_must_be_copied_are_taken_a_few_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir, &[("io", "pread")]);
    (0..10u8).for_each(|n| db.put([n], [n; 99]).unwrap());
    let (mut iter, mut rows, mut seen) = (db.iter(b"").unwrap(), Rows::default(), 0);
    for expected in [3, 3, 3, 1] {
        rows.clear();
        // The third row is the first that does not fit.
        assert_eq!(iter.next_rows_within(10, 201, &mut rows).unwrap(), expected == 3);
        assert_eq!(rows.len(), expected);
        assert!((0..rows.len()).all(|row| rows.value(row) == vec![rows.key(row)[0]; 99]));
        seen += rows.len();
    }
    assert_eq!(seen, 10);
}

#[test]
fn an_iterator_sees_the_moment_it_was_made_through_writes_and_merges() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir, &[("max_file_size", "65536"), ("sync", "none")]);
    for n in 0..10_000u32 {
        db.put(n.to_le_bytes(), b"old").unwrap();
    }
    let mut iter = db.iter(b"").unwrap();
    for n in 0..20_000u32 {
        db.put(n.to_le_bytes(), b"new").unwrap();
        if n % 3 == 0 {
            db.delete(n.to_le_bytes()).unwrap();
        }
    }
    db.merge().unwrap();
    for n in 0..5_000u32 {
        db.put(n.to_le_bytes(), b"newer").unwrap();
    }
    db.merge().unwrap();
    let mut seen = 0;
    while let Some(row) = iter.next_row().unwrap() {
        assert!(u32::from_le_bytes(row.key().try_into().unwrap()) < 10_000);
        assert_eq!(row.value(), b"old");
        seen += 1;
    }
    assert_eq!(seen, 10_000);
    drop(iter);
    assert_eq!(db.count().unwrap(), 20_000 - 20_000 / 3 - 1 + 1_667);
    db.close().unwrap();
}

#[test]
fn a_key_expires_and_gives_its_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir, &[]);
    let soon = PutOptions { ttl: Some(Duration::from_millis(1)), ..PutOptions::default() };
    let late = PutOptions { ttl: Some(Duration::from_millis(3_600_000)), ..PutOptions::default() };
    assert!(db.put_with(b"soon", b"x", &soon).unwrap() && db.put_with(b"late", b"y", &late).unwrap());
    db.put(b"always", b"z").unwrap();
    while db.exists(b"soon").unwrap() {
        std::thread::yield_now();
    }
    assert_eq!(db.count().unwrap(), 2);
    assert!(matches!(db.ttl(b"late").unwrap(), Some(Ttl::Left(left)) if left > Duration::from_secs(3_000)));
    assert_eq!(db.ttl(b"always").unwrap(), Some(Ttl::Forever));
    assert_eq!(db.ttl(b"soon").unwrap(), None);
    assert!(db.persist(b"late").unwrap() && !db.persist(b"soon").unwrap());
    assert_eq!(db.ttl(b"late").unwrap(), Some(Ttl::Forever));
    assert!(db.expire(b"always", Duration::from_millis(3_600_000)).unwrap());
    db.merge().unwrap();
    db.close().unwrap();
    let db = open(&dir, &[]);
    assert_eq!(db.count().unwrap(), 2);
    assert_eq!(db.get(b"late").unwrap(), Some(b"y".to_vec()));
    assert!(matches!(db.ttl(b"always").unwrap(), Some(Ttl::Left(_))));
}

#[test]
fn conditions_and_batches_hold() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir, &[]);
    let absent = PutOptions { if_absent: true, ..PutOptions::default() };
    let present = PutOptions { if_present: true, ..PutOptions::default() };
    assert!(!db.put_with(b"k", b"0", &present).unwrap());
    assert!(db.put_with(b"k", b"1", &absent).unwrap() && !db.put_with(b"k", b"2", &absent).unwrap());
    assert!(db.put_with(b"k", b"3", &present).unwrap());
    let mut batch = Batch::new();
    for n in 0..1_000u32 {
        batch.put(n.to_le_bytes(), [n as u8; 10]).unwrap();
    }
    batch.delete(b"k").unwrap();
    batch.delete(5u32.to_le_bytes()).unwrap();
    db.write(&batch).unwrap();
    let check = |db: &Db| {
        assert_eq!(db.count().unwrap(), 999);
        assert_eq!(db.get(b"k").unwrap(), None);
        assert_eq!(db.get(6u32.to_le_bytes()).unwrap(), Some(vec![6; 10]));
    };
    check(&db);
    db.merge().unwrap();
    check(&db);
    db.close().unwrap();
    std::fs::remove_file(dir.path().join("store/CHECKPOINT")).unwrap();
    check(&open(&dir, &[]));
}

#[test]
fn a_visitor_cannot_wait_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir, &[]);
    let other = Db::open(dir.path().join("other"), &Options::default()).unwrap();
    db.put(b"a", b"1").unwrap();
    let refused = |result: Result<()>| assert!(matches!(result, Err(Error::InvalidArgument { .. })));
    let calls = || {
        refused(db.merge());
        refused(db.close());
        refused(db.write_hints());
        // What does not wait is allowed, and so is everything with another store.
        db.put(b"b", b"2").unwrap();
        assert_eq!(db.read(b"b", |_| refused(db.merge())).unwrap(), Some(()));
        db.sync().unwrap();
        other.merge().unwrap();
    };
    assert_eq!(db.read(b"a", |_| calls()).unwrap(), Some(()));
    db.iter(b"")
        .unwrap()
        .visit_rows(|_, _| {
            calls();
            true
        })
        .unwrap();
    db.merge().unwrap();
    db.close().unwrap();
}

#[test]
fn a_key_that_has_expired_is_not_counted_whoever_takes_it_out() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir, &[("sync", "none")]);
    for n in 0..3_000u32 {
        db.put(n.to_le_bytes(), b"v").unwrap();
        // The maintenance thread and the count may both be at work on the key.
        assert!(db.expire(n.to_le_bytes(), Duration::from_millis(u64::from(n % 2))).unwrap());
        if n % 2 == 0 {
            assert!(!db.exists(n.to_le_bytes()).unwrap());
            std::thread::yield_now();
        }
        while db.exists(n.to_le_bytes()).unwrap() {}
        assert_eq!(db.count().unwrap(), 0, "round {n}");
    }
}

#[test]
fn a_synced_write_survives_a_power_cut_also_where_files_are_rotated_while_others_are_synced() {
    use crate::disk::sim::{PowerCut, SimDisk};
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    const WRITERS: usize = 4;
    let disk = SimDisk::new();
    let mut options = Options { max_file_size: 400, ..Options::default() };
    options.set("sync", "always").unwrap();
    options.set("merge", "manual").unwrap();
    let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
    let (acknowledged, done) = ([const { AtomicU64::new(0) }; WRITERS], AtomicBool::new(false));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (db, acknowledged, done) = (&db, &acknowledged[writer], &done);
            scope.spawn(move || {
                for n in 1u64.. {
                    db.put([writer as u8], n.to_le_bytes()).unwrap();
                    acknowledged.store(n, Ordering::SeqCst);
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        let lost = (0..300).find_map(|seed| {
            let before = acknowledged.each_ref().map(|n| n.load(Ordering::SeqCst));
            let after = disk.power_cut(seed, PowerCut::LosesAll);
            let db = match Db::open_on(Arc::new(after), &options) {
                Ok(db) => db,
                Err(error) => return Some(format!("cut {seed}: {error}")),
            };
            before.iter().enumerate().find_map(|(writer, before)| {
                let held =
                    db.get([writer as u8]).unwrap().map_or(0, |v| u64::from_le_bytes(v.try_into().unwrap()));
                (held < *before)
                    .then(|| format!("cut {seed}: writer {writer} was told {before}, {held} is there"))
            })
        });
        done.store(true, Ordering::Relaxed);
        assert_eq!(lost, None);
    });
}

#[test]
fn records_written_decades_apart_share_a_file_after_a_merge() {
    const FORTY_YEARS: u64 = 40 * 365 * 24 * 60 * 60 * 1000;
    let disk = crate::disk::sim::SimDisk::new();
    let options = Options { merge: MergeMode::Manual, ..Options::default() };
    let mut model = std::collections::BTreeMap::new();
    let mut db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
    let data_files = |disk: &crate::disk::sim::SimDisk| -> Vec<String> {
        disk.file_names().into_iter().filter(|name| name.ends_with(".data")).collect()
    };
    for visit in 0..4u8 {
        for n in 0..20u8 {
            // A part is replaced at the next visit, a part is deleted, the rest stays.
            let key = if n < 5 { vec![n] } else { vec![n, visit] };
            db.put(&key, [visit, n]).unwrap();
            model.insert(key, vec![visit, n]);
        }
        assert!(db.delete([7, visit]).unwrap());
        model.remove(&vec![7, visit]);
        let before = data_files(&disk).len();
        disk.advance_clock_ms(FORTY_YEARS);
        db.put(b"late", [visit]).unwrap();
        model.insert(b"late".to_vec(), vec![visit]);
        assert!(data_files(&disk).len() > before, "a file of the log holds what was written within 34 years");
    }
    db.merge().unwrap();
    let check = |db: &Db| {
        for (key, value) in &model {
            assert_eq!(db.get(key).unwrap().as_ref(), Some(value), "{key:?}");
        }
        assert_eq!(db.count().unwrap(), model.len() as u64);
    };
    check(&db);
    // What the merge wrote is less than a file; the one after it is the active one.
    assert!(data_files(&disk).len() <= 3, "{:?}", data_files(&disk));
    for _ in 0..2 {
        // A rebuild from the frames, and an opening after a close.
        let killed = disk.fork().kill();
        check(&Db::open_on(Arc::new(killed), &options).unwrap());
        db.close().unwrap();
        db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
        check(&db);
        db.put(b"late", b"again").unwrap();
        db.put(b"late", [3]).unwrap();
        db.merge().unwrap();
    }
}

#[test]
fn a_key_that_the_store_took_out_when_it_expired_stays_expired() {
    use crate::disk::sim::SimDisk;
    for purge in [|db: &Db| db.maintain().unwrap(), |db: &Db| assert_eq!(db.count().unwrap(), 0)] {
        let disk = SimDisk::new();
        let mut options = Options::default();
        options.set("merge", "manual").unwrap();
        let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
        let brief = PutOptions { ttl: Some(Duration::from_millis(1_000)), ..PutOptions::default() };
        assert!(db.put_with(b"key", b"value", &brief).unwrap());
        disk.advance_clock_ms(2_000);
        purge(&db);
        assert_eq!(db.get(b"key").unwrap(), None);
        // The process is killed and the clock set back.
        let disk = disk.kill();
        disk.set_clock_ms(1_700_000_000_000);
        let db = Db::open_on(Arc::new(disk), &options).unwrap();
        assert_eq!(db.get(b"key").unwrap(), None);
    }
}

#[test]
fn a_store_that_is_only_opened_stays_as_it_was_though_keys_expire_meanwhile() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = || std::fs::metadata(dir.path().join("store/CHECKPOINT")).unwrap().ino();
    let db = open(&dir, &[]);
    let brief = PutOptions { ttl: Some(Duration::from_millis(20)), ..PutOptions::default() };
    assert!(db.put_with(b"key", b"value", &brief).unwrap());
    db.close().unwrap();
    let before = checkpoint();
    let db = open(&dir, &[]);
    // The maintenance thread looks at it at once; longer is as right.
    std::thread::sleep(std::time::Duration::from_millis(200));
    db.close().unwrap();
    assert_eq!(checkpoint(), before);
    let db = open(&dir, &[]);
    assert_eq!(db.get(b"key").unwrap(), None);
    assert_eq!(db.count().unwrap(), 0);
}

#[test]
fn an_empty_value_that_is_pinned_lies_in_memory() {
    for io in ["mmap", "pread"] {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir, &[("io", io)]);
        db.put(b"key", b"").unwrap();
        let (data, len, pin) = db.get_pinned(b"key").unwrap().unwrap().into_raw();
        // Some runtimes end the process where they find a smaller number that should be an address.
        assert!(len == 0 && data.addr() >= 4096, "{io}: {data:?}");
        // SAFETY: it is what `into_raw` gave, and is given back once.
        unsafe { Pinned::drop_raw(pin) };
    }
}

/// A copy for which there is no memory.
struct NoRoom;

impl crate::store::Copying for NoRoom {
    fn begin(&mut self, _: usize) -> bool {
        false
    }

    fn copy(&mut self, _: &[u8]) {
        panic!("there is no room");
    }
}

#[test]
fn nothing_is_taken_out_where_there_is_no_memory_for_the_answer() {
    use crate::store::value::End;
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path().join("store"), &Options::default()).unwrap();
    db.push_back(b"list", b"element").unwrap();
    db.put(b"key", b"value").unwrap();
    let refused = |answer| assert!(matches!(answer, Err(Error::NoMemory { .. })));
    refused(db.pop(b"list", End::Back, &mut NoRoom));
    refused(db.pop(b"list", End::Front, &mut NoRoom));
    refused(db.get_delete_to(b"key", &mut NoRoom));
    assert_eq!(db.pop_back(b"list").unwrap().as_deref(), Some(&b"element"[..]));
    assert_eq!(db.get_delete(b"key").unwrap().as_deref(), Some(&b"value"[..]));
}
