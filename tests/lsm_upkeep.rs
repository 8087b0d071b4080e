//! The upkeep of the ordered engine: what memtables, runs and the log come to when something fails, is damaged, or does not end.

#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::Arc;

use filedb::disk::sim::{Fault, Kind, SimDisk};
use filedb::format::manifest::{FileEntry, FileState, Manifest};
use filedb::format::names;
use filedb::{Batch, Db, EngineKind, Error, KeyRange, MergeMode, Options, Severity, SyncMode};

fn options() -> Options {
    Options {
        engine: EngineKind::Lsm,
        lsm_memory: 16 << 10,
        max_file_size: 4 << 10,
        sync: SyncMode::None,
        ..Options::default()
    }
}

fn open(disk: &SimDisk, options: &Options) -> Db {
    Db::open_on(Arc::new(disk.clone()), options).unwrap()
}

fn runs(disk: &SimDisk) -> Vec<String> {
    disk.file_names().into_iter().filter(|name| name.ends_with(".run")).collect()
}

/// Damages the first byte of the value that begins like this, in each run that holds it. How many there were.
fn damage(disk: &SimDisk, value: &[u8]) -> usize {
    let mut count = 0;
    for name in runs(disk) {
        let mut bytes = disk.read_file(&name).unwrap();
        if let Some(at) = bytes.windows(value.len()).position(|window| window == value) {
            bytes[at] ^= 1;
            disk.write_file(&name, bytes);
            count += 1;
        }
    }
    count
}

#[test]
fn the_number_of_a_list_is_not_used_twice_after_attempts_that_failed() {
    for (flushes, kills) in [(false, false), (true, false), (false, true), (true, true)] {
        let disk = SimDisk::new();
        let db = open(&disk, &options());
        for _ in 0..100 {
            let mut batch = Batch::new();
            batch.push_back("never", "made").unwrap();
            batch.pop_back("not there").unwrap();
            assert!(matches!(db.write(&batch), Err(Error::InvalidArgument { .. })));
        }
        db.push_back("first", "of the first").unwrap();
        if flushes {
            db.merge().unwrap();
        }
        if !kills {
            db.close().unwrap();
        }
        drop(db);
        let db = open(&disk.fork().kill(), &options());
        for n in 0..150 {
            db.push_back(format!("list {n}"), "of another").unwrap();
            let read = db.list_get("first", 0).unwrap();
            assert_eq!(read.as_deref(), Some(&b"of the first"[..]), "list {n}, {flushes} {kills}");
        }
        db.close().unwrap();
    }
}

#[test]
fn a_number_that_no_key_of_a_run_tells_any_more_is_not_used_again() {
    let disk = SimDisk::new();
    let db = open(&disk, &options());
    for _ in 0..50 {
        let mut batch = Batch::new();
        batch.push_back("never", "made").unwrap();
        batch.pop_back("not there").unwrap();
        assert!(db.write(&batch).is_err());
    }
    db.push_back("list", "value").unwrap();
    db.merge().unwrap();
    db.pop_back("list").unwrap();
    db.merge().unwrap();
    db.close().unwrap();
    // Nothing of the list is anywhere, and its number is still one that was.
    let db = open(&disk, &options());
    db.push_back("other", "value").unwrap();
    db.merge().unwrap();
    let name = runs(&disk).pop().unwrap();
    let bytes = disk.read_file(&name).unwrap();
    // The key of the element, as the index of the run has it: 2, the number, and the position plus 2^63.
    let number = (0..1000u64).find(|id| {
        let key = [&[2][..], &id.to_be_bytes(), &(1u64 << 63).to_be_bytes()].concat();
        bytes.windows(17).any(|window| window == key)
    });
    assert!(number.unwrap() > 50, "{number:?}");
}

#[test]
fn a_failed_sync_leaves_no_run_behind() {
    let disk = SimDisk::new();
    let db = open(&disk, &Options { merge: MergeMode::Manual, ..options() });
    for n in 0..20u32 {
        db.put(n.to_be_bytes(), [7; 100]).unwrap();
    }
    db.flush().unwrap();
    db.put("more", "of it").unwrap();
    let before = runs(&disk);
    disk.fail(Fault::once(disk.operations(), libc::EIO).of(&[Kind::Sync]));
    assert!(db.sync().is_err());
    for _ in 0..10 {
        assert!(matches!(db.flush(), Err(Error::Poisoned { .. })));
        assert!(matches!(db.merge(), Err(Error::Poisoned { .. })));
        assert_eq!(runs(&disk), before);
    }
}

#[test]
fn a_sync_that_fails_while_a_run_is_made_leaves_none_that_does_not_count() {
    for n in 0..40 {
        let disk = SimDisk::new();
        let db = open(&disk, &Options { merge: MergeMode::Manual, lsm_memory: 1 << 20, ..options() });
        for n in 0..20u32 {
            db.put(n.to_be_bytes(), [7; 100]).unwrap();
        }
        disk.fail(Fault::once(disk.operations() + n, libc::EIO).of(&[Kind::Sync, Kind::SyncDir]));
        let flushed = db.flush();
        for _ in 0..5 {
            let _ = db.flush();
        }
        disk.repair();
        // One may count or not: which manifest a crash would leave is not known.
        assert!(runs(&disk).len() <= 1, "operation {n}: {flushed:?}, {:?}", runs(&disk));
    }
}

#[test]
fn a_damaged_run_does_not_keep_newer_ones_from_being_merged() {
    let disk = SimDisk::new();
    let auto = options();
    let manual = Options { merge: MergeMode::Manual, ..options() };
    let db = open(&disk, &manual);
    for round in 0..3u32 {
        for n in 0..10u32 {
            db.put(format!("key {n}"), format!("round {round} value {n}")).unwrap();
        }
        db.flush().unwrap();
    }
    db.close().unwrap();
    drop(db);
    assert_eq!(damage(&disk, b"round 1 value 3"), 1);
    let db = open(&disk, &auto);
    for round in 3..60u32 {
        for n in 0..10u32 {
            db.put(format!("key {n}"), format!("round {round} value {n}")).unwrap();
        }
        let _ = db.flush();
        assert!(runs(&disk).len() < 14, "{:?}", runs(&disk));
    }
    for n in 0..10u32 {
        let value = db.get(format!("key {n}")).unwrap();
        assert_eq!(value, Some(format!("round 59 value {n}").into_bytes()));
    }
    // What was deleted after the damage stays deleted.
    db.delete("key 5").unwrap();
    for _ in 0..8 {
        db.put("other", "value").unwrap();
        let _ = db.flush();
    }
    assert_eq!(db.get("key 5").unwrap(), None);
}

#[test]
fn a_merge_does_not_make_damage_valid_where_checksums_are_not_compared() {
    let disk = SimDisk::new();
    let options = Options { merge: MergeMode::Manual, verify_checksums: false, ..options() };
    let db = open(&disk, &options);
    for round in 0..2u32 {
        for n in 0..10u32 {
            db.put(format!("key {n} of {round}"), format!("round {round} value {n}")).unwrap();
        }
        db.flush().unwrap();
    }
    db.close().unwrap();
    drop(db);
    assert_eq!(damage(&disk, b"round 1 value 3"), 1);
    let db = open(&disk, &options);
    assert!(matches!(db.merge(), Err(Error::Corrupt { .. })));
    db.close().unwrap();
    let db = open(&disk, &Options { verify_checksums: true, ..options });
    assert!(matches!(db.get("key 3 of 1"), Err(Error::Corrupt { .. })));
}

#[test]
fn a_walk_over_several_damaged_blocks_does_not_turn_back() {
    let disk = SimDisk::new();
    let options = Options { merge: MergeMode::Manual, lsm_memory: 8 << 20, ..options() };
    let db = open(&disk, &options);
    // The same keys in the same blocks of three runs, of about four keys each.
    for round in 0..3u32 {
        for n in 0..40u32 {
            db.put(format!("key {n:02}"), format!("round {round} value {n:02}{:1000}", "")).unwrap();
        }
        db.flush().unwrap();
    }
    db.close().unwrap();
    drop(db);
    // Newest first, 2 is before 1 and 0.
    for value in ["round 2 value 09", "round 1 value 09", "round 0 value 25"] {
        assert_eq!(damage(&disk, value.as_bytes()), 1);
    }
    let db = open(&disk, &options);
    let mut walk = db.iter("").unwrap();
    let (mut keys, mut failures) = (Vec::new(), 0);
    loop {
        match walk.next_row() {
            Ok(Some(row)) => keys.push(row.key().to_vec()),
            Ok(None) => break,
            Err(_) => failures += 1,
        }
        assert!(failures < 10);
    }
    assert!(failures >= 2 && keys.is_sorted_by(|a, b| a < b), "{failures} {keys:?}");
}

#[test]
fn a_walk_that_outlives_its_store_removes_no_run_of_the_next() {
    let disk = SimDisk::new();
    let db = open(&disk, &options());
    for n in 0..20u32 {
        db.put(n.to_be_bytes(), [7; 100]).unwrap();
    }
    db.flush().unwrap();
    let before = runs(&disk);
    let walk = db.iter("").unwrap();
    db.put("more", "of it").unwrap();
    db.merge().unwrap();
    db.close().unwrap();
    drop(db);
    let old = before.iter().filter(|name| disk.read_file(name).is_some()).count();
    assert!(old > 0, "the walk keeps what was merged");
    drop(walk);
    assert_eq!(before.iter().filter(|name| disk.read_file(name).is_some()).count(), old);
    open(&disk, &options()).close().unwrap();
    assert_eq!(runs(&disk).len(), 1, "the next opening removes what is left");
}

#[test]
fn a_full_disk_has_room_again_once_everything_was_deleted() {
    let disk = SimDisk::new();
    let options = Options { max_file_size: 16 << 10, ..options() };
    let db = open(&disk, &options);
    db.put("first", "").unwrap();
    db.flush().unwrap();
    disk.set_room(Some(disk.used() + 300_000));
    for round in 0..3 {
        let mut count = 0u32;
        let full = loop {
            match db.put(count.to_be_bytes(), [round; 100]) {
                Ok(()) => count += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, Error::NoSpace { .. }), "{full}");
        assert!(count > 500, "{count} in round {round}");
        db.delete_range(&KeyRange::ALL).unwrap();
        db.merge().unwrap();
        db.flush().unwrap();
    }
    db.close().unwrap();
}

#[test]
fn writers_wait_for_memory_that_is_being_written_out() {
    let directory = tempfile::tempdir().unwrap();
    let (memory, size, threads) = (512 << 10, 64 << 10, 8u32);
    let options = Options { lsm_memory: memory, max_file_size: 1 << 20, ..options() };
    let db = Db::open(directory.path().join("store"), &options).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let db = &db;
            scope.spawn(move || {
                for n in 0..40u32 {
                    db.put(format!("{thread}/{n}"), vec![7; size]).unwrap();
                    let held = db.stats().unwrap().index_bytes;
                    // Each thread may have found that there is room, just before the others took it.
                    let most = memory + u64::from(threads) * (size as u64 + 1_000);
                    assert!(held <= most, "{held} bytes");
                }
            });
        }
    });
    assert_eq!(db.count().unwrap(), u64::from(40 * threads));
    db.close().unwrap();
}

#[test]
fn a_scan_shows_no_more_keys_than_it_is_asked_for_and_all_of_them_in_the_end() {
    let db = open(&SimDisk::new(), &Options { lsm_memory: 1 << 20, ..options() });
    let mut wanted = Vec::new();
    for n in 0..500u32 {
        wanted.push(format!("the same beginning {n:04}").into_bytes());
        wanted.push(vec![0; n as usize % 9]);
        wanted.push(n.to_be_bytes().to_vec());
    }
    wanted.retain(|key| !key.is_empty());
    wanted.sort();
    wanted.dedup();
    wanted.iter().for_each(|key| db.put(key, "").unwrap());
    for most in [1, 7, 100, 10_000] {
        let (mut found, mut at) = (Vec::new(), Some(0));
        while let Some(from) = at {
            let before = found.len();
            at = db.scan(from, most, |key, _| found.push(key.to_vec())).unwrap();
            assert!(found.len() - before <= most && at != Some(0));
        }
        assert_eq!(found, wanted);
    }
}

/// The oldest memtable is written out first. The records of the younger ones are in the log alone until they are written out too.
#[test]
fn log_files_stay_until_all_that_is_in_them_is_in_runs() {
    let disk = SimDisk::new();
    let options = Options { max_file_size: 1 << 10, ..options() };
    let db = open(&disk, &options);
    let put = |n: u32| db.put(n.to_be_bytes(), vec![n as u8; 200]).unwrap();
    put(0);
    // Nothing is written out from inside a visit, so memtables wait; the first put after it writes them out.
    db.read(0u32.to_be_bytes(), |_| (1..70).for_each(put)).unwrap();
    assert_eq!(runs(&disk), Vec::<String>::new());
    disk.capture_images(1);
    put(70);
    let images = disk.take_images();
    assert!(runs(&disk).len() > 1, "{:?}", disk.file_names());
    for image in images {
        let db = open(&image.disk.kill(), &options);
        for n in 0..70u32 {
            let value = db.get(n.to_be_bytes()).unwrap();
            assert_eq!(value, Some(vec![n as u8; 200]), "key {n}, killed at {}", image.operation);
        }
    }
}

#[test]
fn log_files_are_sealed_in_their_order_whoever_does_it() {
    let directory = tempfile::tempdir().unwrap();
    let options =
        Options { lsm_memory: 64 << 10, max_file_size: 2 << 10, sync: SyncMode::Always, ..options() };
    for round in 1..=4_u8 {
        let db = Db::open(directory.path(), &options).unwrap();
        std::thread::scope(|scope| {
            // A merge writes memtables out, and seals log files for that; so does a thread of the store.
            for writer in 0..3_u8 {
                let db = &db;
                scope.spawn(move || {
                    for n in 0..150_u8 {
                        db.put([writer, n], [round; 300]).unwrap();
                        if n % 5 == writer {
                            db.merge().unwrap();
                        }
                    }
                });
            }
        });
        assert_eq!(db.count().unwrap(), 450);
        db.close().unwrap();
    }
}

/// A store as it was left where a file of the log was sealed before one that stands before it, which is open: which one that is, and
/// the manifest.
fn sealed_out_of_order(disk: &SimDisk, which: usize) -> Option<(u32, Manifest)> {
    let mut manifest = Manifest::decode(&disk.read_file("MANIFEST").unwrap()).unwrap();
    let is_sealed = |entry: &FileEntry| entry.state == FileState::Sealed;
    let sealed: Vec<u32> =
        manifest.files.iter().filter(|entry| is_sealed(entry)).map(|entry| entry.id).collect();
    // Behind it another must be sealed.
    let (id, _) = (*sealed.get(which)?, sealed.get(which + 1)?);
    let entry = manifest.files.iter_mut().find(|entry| entry.id == id).unwrap();
    *entry = FileEntry { state: FileState::Open, length: 64, min_seq: 0, max_seq: 0, ..*entry };
    disk.write_file("MANIFEST", manifest.encode().unwrap());
    Some((id, manifest))
}

fn all(db: &Db) -> Vec<(Vec<u8>, Vec<u8>)> {
    db.iter(b"")
        .unwrap()
        .map(|row| row.unwrap())
        .map(|row| (row.key().to_vec(), row.value().to_vec()))
        .collect()
}

fn damage_found(disk: &SimDisk) -> Vec<String> {
    let mut found = Vec::new();
    filedb::check_on(Arc::new(disk.clone()), |finding| {
        if finding.severity >= Severity::SpaceLost {
            found.push(finding.message.to_string());
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

#[test]
fn a_store_whose_log_files_were_sealed_out_of_order_opens_and_one_that_lacks_a_file_does_not() {
    // Nothing is written out to runs, so all is in the log.
    let options =
        Options { lsm_memory: 1 << 20, max_file_size: 1 << 10, sync: SyncMode::Always, ..options() };
    let disk = SimDisk::new();
    let db = open(&disk, &options);
    for n in 0..60u8 {
        db.put([b'k', n % 40], [n; 100]).unwrap();
        if n % 7 == 0 {
            db.delete([b'k', n / 2]).unwrap();
        }
        db.maintain().unwrap();
    }
    let (killed, expected) = (disk.kill(), all(&db));
    drop(db);
    let mut tried = 0;
    while let Some((id, manifest)) = sealed_out_of_order(&killed.fork(), tried) {
        let disk = killed.fork();
        disk.write_file("MANIFEST", manifest.encode().unwrap());
        assert_eq!(damage_found(&disk), Vec::<String>::new(), "file {id}");
        let read_only = open(&disk, &Options { read_only: true, ..options.clone() });
        assert_eq!(all(&read_only), expected, "file {id}");
        drop(read_only);
        let db = open(&disk, &options);
        db.put("later", "it goes on").unwrap();
        // Once more after a kill, and when all is sealed in the end.
        let again = open(&disk.kill(), &options);
        assert!(all(&again).iter().filter(|row| row.0[0] == b'k').eq(&expected), "file {id}");
        again.close().unwrap();
        drop(db);

        // The file behind it is not there.
        let mut without = manifest.copy_with_room(0).unwrap();
        let behind = without.files.iter().position(|entry| entry.id > id).unwrap();
        let missing = without.files.remove(behind).id;
        let disk = killed.fork();
        disk.write_file("MANIFEST", without.encode().unwrap());
        let refused = Db::open_on(Arc::new(disk.clone()), &options).map(drop);
        assert!(matches!(refused, Err(Error::Corrupt { .. })), "without file {missing}: {refused:?}");
        assert_ne!(damage_found(&disk), Vec::<String>::new(), "without file {missing}");

        // It has lost its last record.
        let disk = killed.fork();
        disk.write_file("MANIFEST", manifest.encode().unwrap());
        let name = names::data(id);
        let mut bytes = disk.read_file(&name).unwrap();
        bytes.truncate(bytes.len() - 40);
        disk.write_file(&name, bytes);
        let refused = Db::open_on(Arc::new(disk.clone()), &options).map(drop);
        assert!(matches!(refused, Err(Error::Corrupt { .. })), "file {id} is short: {refused:?}");
        assert_ne!(damage_found(&disk), Vec::<String>::new(), "file {id} is short");
        tried += 1;
    }
    assert!(tried > 3, "{tried} files were sealed");
}

/// Of a key that is written again and again the memtable has one version, and never takes the bytes that it may.
#[test]
fn the_log_does_not_grow_without_end_where_a_few_keys_are_written_again_and_again() {
    let disk = SimDisk::new();
    let db = open(&disk, &options());
    let bytes = |disk: &SimDisk| -> usize {
        disk.file_names().iter().map(|name| disk.read_file(name).unwrap_or_default().len()).sum()
    };
    let mut most = 0;
    for n in 0..20_000u32 {
        db.put([n as u8 % 3], n.to_be_bytes()).unwrap();
        if n % 1_000 == 0 {
            most = most.max(bytes(&disk));
        }
    }
    // Four times a memtable, and files of the log that are not full yet.
    assert!(most < 64 << 10, "{most} bytes for three keys");
    let again = open(&disk.kill(), &options());
    assert!((19_997..20_000u32).all(|n| again.get([n as u8 % 3]).unwrap() == Some(n.to_be_bytes().to_vec())));
    drop(again);
    // Nor where it is killed before it comes to that.
    let mut disk = disk.kill();
    for round in 0..40u32 {
        let db = open(&disk, &options());
        (0..50u32).for_each(|n| db.put([n as u8 % 3], (round * 50 + n).to_be_bytes()).unwrap());
        assert!(bytes(&disk) < 64 << 10, "{} bytes after {round} kills", bytes(&disk));
        let killed = disk.kill();
        drop(db);
        disk = killed;
    }
}
