//! What merges leave behind, how much they copy for it, and who is told of it.

use crate::tests::{open, open_without_threads};
use crate::*;

#[test]
fn tombstones_that_a_merge_kept_go_when_nothing_needs_them_also_after_a_reopening() {
    for reopened in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let set = [("max_file_size", "20000"), ("sync", "none"), ("merge", "manual")];
        let mut db = open(&dir, &set);
        // Many files with something dead in each, all of which keep tombstones that are newer.
        for n in 0..4_000u32 {
            db.put(n.to_le_bytes(), [1; 50]).unwrap();
        }
        for n in (0..4_000u32).filter(|n| n % 10 != 0) {
            db.delete(n.to_le_bytes()).unwrap();
        }
        if reopened {
            db.close().unwrap();
            db = open(&dir, &set);
        }
        db.merge().unwrap();
        db.merge().unwrap();
        let total = |db: &Db| db.file_stats().unwrap().iter().map(|file| file.bytes).sum::<u64>();
        assert_eq!(db.count().unwrap(), 400);
        assert!(total(&db) < 400 * 120 + 20_000, "{} bytes for 400 keys", total(&db));
        for n in 0..4_000u32 {
            assert_eq!(db.exists(n.to_le_bytes()).unwrap(), n % 10 == 0);
        }
    }
}

#[test]
fn tombstones_are_not_copied_again_and_again_while_somebody_writes() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir, &[("max_file_size", "64KiB"), ("sync", "none")]);
    let keys = 40_000u64;
    let mut alive: Vec<u64> = (0..keys).collect();
    alive.iter().for_each(|key| db.put(key.to_le_bytes(), [1; 60]).unwrap());
    let mut replace = |fresh: std::ops::Range<u64>| {
        let before = db.stats().unwrap();
        for fresh in fresh {
            let mixed = fresh.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let n = (mixed ^ mixed >> 31).wrapping_mul(0xBF58_476D_1CE4_E5B9) % keys;
            let old = std::mem::replace(&mut alive[n as usize], fresh);
            db.delete(old.to_le_bytes()).unwrap();
            db.put(fresh.to_le_bytes(), [1; 60]).unwrap();
            if fresh % 50 == 0 {
                // So that merges keep up. Where they do not, they copy less.
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        let stats = db.stats().unwrap();
        (stats.merged_bytes - before.merged_bytes) as f64
            / (stats.appended_bytes - before.appended_bytes) as f64
    };
    replace(keys..keys * 4);
    // All files of the store hold tombstones and something dead by now. It is 0.9; if what died in a merge's outputs kept tombstones
    // that the merge knew of, 2.0.
    let copied = replace(keys * 4..keys * 6);
    assert!(copied < 1.3, "{copied} bytes were copied for each that was written");
    assert_eq!(db.count().unwrap(), keys);
    assert!(alive.iter().all(|key| db.exists(key.to_le_bytes()).unwrap()));
}

#[test]
fn a_store_that_is_small_for_its_files_does_not_grow_until_one_is_full() {
    for io in ["mmap", "pread"] {
        let dir = tempfile::tempdir().unwrap();
        let db = open_without_threads(&dir, &[("io", io), ("sync", "none")]);
        let (keys, mut most) = (100_000u64, 0f64);
        for n in 0..keys * 8 {
            let key = if n < keys { n } else { n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys };
            db.put(key.to_le_bytes(), n.to_le_bytes().repeat(12)).unwrap();
            if n % 1_000 == 0 {
                most = most.max(db.stats().unwrap().space_amplification());
            }
        }
        let stats = db.stats().unwrap();
        // All of it fits one file, and takes eight times as much there.
        assert!(most < 2.5, "{most} times what is alive");
        assert!(stats.merges > 0 && stats.merged_bytes < stats.appended_bytes, "{stats:?}");
        for key in 0..keys {
            let value = db.get(key.to_le_bytes()).unwrap().unwrap();
            let n = u64::from_le_bytes(value[..8].try_into().unwrap());
            assert!(n == key || n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys == key);
        }
    }
}

#[test]
fn what_little_is_alive_in_many_files_ends_up_in_few() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_without_threads(&dir, &[("max_file_size", "64KiB")]);
    // A file of which next to nothing is dead must not stand in the way.
    (0..400u32).for_each(|n| db.put(format!("cold {n}").as_bytes(), [1; 130]).unwrap());
    (0..4u32).for_each(|n| db.put(format!("cold {n}").as_bytes(), [2; 130]).unwrap());
    for round in 0..50u32 {
        db.put(round.to_le_bytes(), b"stays").unwrap();
        (0..1_000u32).for_each(|n| db.put(b"changes", [n as u8; 100]).unwrap());
    }
    let stats = db.stats().unwrap();
    assert!(stats.merges > 25, "{stats:?}");
    assert!(stats.files <= 24, "{stats:?}");
    assert!((0..50u32).all(|round| db.get(round.to_le_bytes()).unwrap().is_some()));
    assert_eq!(db.count().unwrap(), 451);
}

#[test]
fn a_merge_tells_how_far_it_is_and_ends_when_told_to() {
    use std::ops::ControlFlow::{Break, Continue};
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir, &[("max_file_size", "1MiB"), ("sync", "none"), ("merge", "manual")]);
    for n in 0..80_000u32 {
        db.put((n % 20_000).to_le_bytes(), [n as u8; 100]).unwrap();
    }
    let mut last = MergeProgress::default();
    let mut looks = 0;
    let ended = db.merge_with(&mut |progress| {
        looks += 1;
        last = *progress;
        if looks == 4 { Break(()) } else { Continue(()) }
    });
    assert!(!ended.unwrap() && looks == 4);
    assert!(last.files.0 < last.files.1 && 0 < last.bytes.0 && last.bytes.0 < last.bytes.1, "{last:?}");
    assert!(
        db.merge_with(&mut |progress| {
            last = *progress;
            Continue(())
        })
        .unwrap()
    );
    assert_eq!((last.files.0, last.bytes.0), (last.files.1, last.bytes.1));
    for n in 0..20_000u32 {
        assert_eq!(db.get(n.to_le_bytes()).unwrap(), Some(vec![(60_000 + n) as u8; 100]));
    }
}

#[test]
fn who_watches_a_merge_is_refused_what_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir, &[("merge", "manual")]);
    (0..10u8).for_each(|n| db.put(b"key", [n]).unwrap());
    let mut asked = 0;
    let mut watch = |_: &MergeProgress| {
        let refused = |result: Result<()>| assert!(matches!(result, Err(Error::InvalidArgument { .. })));
        refused(db.merge());
        refused(db.close());
        refused(db.write_hints());
        db.put(b"other", b"value").unwrap();
        asked += 1;
        std::ops::ControlFlow::Continue(())
    };
    assert!(db.merge_with(&mut watch).unwrap());
    assert!(asked > 0);
    db.merge().unwrap();
    assert_eq!(db.count().unwrap(), 2);
}

#[test]
fn one_merge_takes_all_that_is_dead_where_many_tombstones_are() {
    for (size, left) in [("4096", 0), ("16384", 0), ("65536", 0), ("16384", 1_000)] {
        let dir = tempfile::tempdir().unwrap();
        // Merges on the way take the files in which most is dead first, those of tombstones, and keep these for the sake of others.
        let db = open_without_threads(&dir, &[("max_file_size", size), ("sync", "none")]);
        let keys = 10_000u64;
        let key = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
        (0..keys).for_each(|n| db.put(key(n), [1; 20]).unwrap());
        (0..keys - left).for_each(|n| assert!(db.delete(key(n * 7_777 % keys)).unwrap()));
        db.merge().unwrap();
        db.recount().unwrap();
        let shared = db.shared().upgrade().unwrap();
        let kept = shared.inside().unwrap().catalog.files.sum(|it| it.kept_tombstones().0);
        assert_eq!(kept, 0, "tombstones are kept, with files of {size} bytes");
        let files = db.file_stats().unwrap();
        let dead = files.iter().map(|file| file.records - file.live_records).sum::<u64>();
        assert_eq!((dead, db.count().unwrap()), (0, left), "with files of {size} bytes");
        assert!(files.iter().filter(|file| file.records == 0).count() <= 1, "{files:?}");
    }
}
