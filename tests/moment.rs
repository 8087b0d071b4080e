//! A walk shows the moment at which it began, whatever is written, deleted and merged while it goes on.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::sync::Arc;

use filedb::disk::sim::{Random, SimDisk};
use filedb::{Db, MergeMode, Options, SyncMode};

const KEYS: u64 = 200_000;
const WRITES: u64 = 1_000_000;

fn key(n: u64) -> [u8; 12] {
    let mut key = *b"user........";
    key[4..].copy_from_slice(&n.to_be_bytes());
    key
}

fn value(n: u64, version: u64) -> Vec<u8> {
    [n.to_le_bytes(), version.to_le_bytes()].concat().repeat(1 + (n % 4) as usize)
}

fn files(path: &std::path::Path) -> usize {
    let names = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".data")).count()
}

#[test]
fn a_walk_sees_one_moment_whatever_a_million_writes_and_two_merges_do_meanwhile() {
    for io in ["mmap", "pread"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let mut options = Options {
            sync: SyncMode::None,
            merge: MergeMode::Manual,
            max_file_size: 4 << 20,
            ..Options::default()
        };
        options.set("io", io).unwrap();
        let db = Db::open(&path, &options).unwrap();
        (0..KEYS).for_each(|n| db.put(key(n), value(n, 0)).unwrap());

        let mut walk = db.iter(b"").unwrap();
        let mut of_some = db.iter(&key(7)[..11]).unwrap();
        let mut seen = HashMap::new();
        let mut take = |row: filedb::Row| seen.insert(row.key().to_vec(), row.value().to_vec());
        // One walk is under way, the other has not been asked for anything yet.
        (0..1_000).for_each(|_| assert_eq!(take(walk.next_row().unwrap().unwrap()), None));

        let mut number = 1u64;
        for version in 1..=WRITES {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // A third of the keys did not exist when the walks began.
            let n = (number >> 33) % (KEYS * 3 / 2);
            if number >> 60 < 4 { db.delete(key(n)).map(drop) } else { db.put(key(n), value(n, version)) }
                .unwrap();
            if version % (WRITES / 2) == 0 {
                db.merge().unwrap();
            }
        }
        let while_walking = files(&path);

        while let Some(row) = walk.next_row().unwrap() {
            assert_eq!(take(row), None, "a key was shown twice");
        }
        assert_eq!(seen.len() as u64, KEYS);
        assert!((0..KEYS).all(|n| seen.get(&key(n)[..]) == Some(&value(n, 0))));
        let mut some = Vec::new();
        while let Some(row) = of_some.next_row().unwrap() {
            some.push((row.key().to_vec(), row.value().to_vec()));
        }
        some.sort();
        assert_eq!(some, (0..256).map(|n| (key(n).to_vec(), value(n, 0))).collect::<Vec<_>>());

        // What only the walks needed goes with them.
        drop((walk, of_some));
        db.merge().unwrap();
        db.close().unwrap();
        assert!(files(&path) < while_walking, "{} files, {while_walking} while walking", files(&path));
    }
}

#[test]
fn walks_that_begin_and_end_in_any_order_each_see_their_own_moment() {
    for seed in 0..80 {
        let mut random = Random::new(seed);
        let options = Options { merge: MergeMode::Manual, max_file_size: 2_000, ..Options::default() };
        let db = Db::open_on(Arc::new(SimDisk::new()), &options).unwrap();
        let (mut now, mut walks) = (HashMap::new(), Vec::new());
        for step in 0..600u64 {
            let n = random.below(60);
            match random.below(40) {
                0..20 => {
                    db.put(key(n), value(n, step)).unwrap();
                    now.insert(n, step);
                }
                20..24 => assert_eq!(db.delete(key(n)).unwrap(), now.remove(&n).is_some()),
                24 | 25 => db.merge().unwrap(),
                26 => db.maintain().unwrap(),
                27..30 if walks.len() < 5 => walks.push((db.iter(b"").unwrap(), now.clone())),
                27..30 => drop(walks.swap_remove(random.below(5) as usize)),
                _ if walks.is_empty() => {}
                _ => {
                    let at = random.below(walks.len() as u64) as usize;
                    let (walk, left) = &mut walks[at];
                    for _ in 0..random.below(30) {
                        let Some(row) = walk.next_row().unwrap() else {
                            assert!(left.is_empty(), "seed {seed}, step {step}: {left:?} were not shown");
                            drop(walks.swap_remove(at));
                            break;
                        };
                        let n = u64::from_be_bytes(row.key()[4..].try_into().unwrap());
                        let version = left.remove(&n);
                        let seen = version.is_some_and(|version| row.value() == value(n, version));
                        assert!(seen, "seed {seed}, step {step}: key {n} should have version {version:?}");
                    }
                }
            }
        }
        drop(walks);
        db.merge().unwrap();
        db.maintain().unwrap();
        db.recount().unwrap();
        let files = db.stats().unwrap().files;
        assert!(files < 12, "seed {seed}: {files} files are left");
    }
}
