//! A store that an earlier build wrote opens, and its bytes are what docs/FORMAT.md says.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use std::collections::BTreeMap;
use std::sync::Arc;

use filedb::disk::sim::{PowerCut, SimDisk};
use filedb::format::features::TESTED;
use filedb::{Db, Error, Options, Ttl};

fn copy_without(missing: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v2");
    for entry in std::fs::read_dir(golden).unwrap() {
        let entry = entry.unwrap();
        if !missing.contains(&entry.file_name().to_str().unwrap()) {
            std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
    }
    dir
}

fn check(db: &Db) {
    let get = |key: &[u8]| db.get(key).unwrap();
    assert_eq!(get(b"planet"), Some(b"mars".to_vec()));
    assert_eq!(get(b"empty"), Some(vec![]));
    assert_eq!(get(b"gone"), None);
    assert_eq!(get(&[0, 255, 10]), Some(vec![1, 2, 3]));
    assert_eq!(get(b"batch-1"), Some(b"one".to_vec()));
    assert_eq!(get(b"batch-2"), Some(b"two".to_vec()));
    assert_eq!(get(b"far"), Some(b"away".to_vec()));
    assert!(matches!(db.ttl(b"far").unwrap(), Some(Ttl::Left(left)) if left.as_millis() > 3_000_000_000_000));
    assert_eq!(get(b"large"), Some(vec![b'L'; 6000]));
    assert_eq!(get(b"large-2"), Some(vec![b'M'; 6000]));
    assert_eq!(db.count().unwrap(), 8);
}

#[test]
fn a_store_of_version_2_opens_from_its_checkpoint_its_hint_or_its_data_alone() {
    for missing in [&[][..], &["CHECKPOINT"], &["CHECKPOINT", "0000000001.hint"]] {
        for io in ["mmap", "pread"] {
            let dir = copy_without(missing);
            let mut options = Options::default();
            options.set("io", io).unwrap();
            let db = Db::open(dir.path(), &options).unwrap();
            check(&db);
            db.put(b"more", b"written by today's code").unwrap();
            db.merge().unwrap();
            assert!(db.delete(b"more").unwrap());
            check(&db);
            db.close().unwrap();
            check(&Db::open(dir.path(), &options).unwrap());
        }
    }
}

/// CRC-32 a bit at a time, begun with a seed, as zlib's `crc32(seed, ...)`: independent of the crate that the code uses.
fn crc32(seed: u32, bytes: &[u8]) -> u32 {
    let mut crc = !seed;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn the_worked_example_of_the_document_is_what_is_in_the_file() {
    let bytes =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v2/0000000001.data")).unwrap();
    assert_eq!(&bytes[..8], b"filedb\0D");
    assert_eq!((u32_at(&bytes, 8), u32_at(&bytes, 12)), (2, 1));
    assert_eq!(crc32(0, &bytes[..60]), u32_at(&bytes, 60));
    let salt = u32_at(&bytes, 16);
    assert_eq!(salt, 0xcf80_4859);
    assert_eq!(u32_at(&bytes, 48), 1);
    let frame = &bytes[0x40..0x60];
    assert_eq!(crc32(salt ^ 8, &frame[4..]), u32_at(frame, 0));
    assert_eq!((u32_at(frame, 4), u32_at(frame, 8), &frame[17..20]), (5, 0, &[5, 0, 1][..]));
    assert_eq!(&frame[20..31], b"planetearth");

    let document =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FORMAT.md")).unwrap();
    let example = document.split("### Worked example").nth(1).unwrap().split("```").nth(1).unwrap();
    let mut lines = 0;
    for line in example.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let at = usize::from_str_radix(words.next().unwrap(), 16).unwrap();
        let row: Vec<u8> =
            words.map_while(|word| (word.len() == 2).then(|| u8::from_str_radix(word, 16).ok())?).collect();
        assert!(row.len() >= 8, "{line}");
        assert_eq!(row, bytes[at..at + row.len()], "{line}");
        lines += 1;
    }
    assert_eq!(lines, 9);
}

#[test]
fn every_frame_of_the_file_can_be_walked_with_nothing_but_the_document() {
    let bytes =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v2/0000000001.data")).unwrap();
    let (salt, mut at, mut kinds, mut seqs) = (u32_at(&bytes, 16), 64, Vec::new(), Vec::new());
    while at < bytes.len() {
        let frame = &bytes[at..];
        let (kind, flags) = (frame[19] & 15, frame[19] >> 4);
        let header =
            20 + 8 * (flags & 1) as usize + 8 * (flags >> 1 & 1) as usize + 16 * (flags >> 2) as usize;
        let key_len = usize::from(frame[17]) + 256 * usize::from(frame[18]) + 1;
        let body =
            if kind == 3 { header.next_multiple_of(8) } else { header + key_len } + u32_at(frame, 4) as usize;
        let size = body.next_multiple_of(8);
        assert_eq!(crc32(salt ^ (at / 8) as u32, &frame[4..size]), u32_at(frame, 0), "at {at}");
        seqs.push(u32_at(&bytes, 48) + u32_at(frame, 8));
        kinds.push(kind);
        at += size;
    }
    assert_eq!(kinds, [1, 1, 1, 2, 1, 3, 1, 1]);
    // Four records are in the batch.
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6, 10, 11]);
}

/// The manifest of the golden store with features: as docs/FORMAT.md says, by hand.
fn manifest_with(version: u32, features: u64, since: [u8; 3]) -> Vec<u8> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v2/MANIFEST");
    let mut bytes = std::fs::read(golden).unwrap();
    assert_eq!(u32_at(&bytes, 8), 2);
    bytes.truncate(bytes.len() - 4);
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    let mut needs = features.to_le_bytes().to_vec();
    needs.extend(since);
    needs.extend([0; 5]);
    bytes.splice(88..88, needs);
    let crc = crc32(0, &bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

fn files_in(path: &Path) -> BTreeMap<std::ffi::OsString, Vec<u8>> {
    let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    files.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn a_store_with_features_that_are_not_known_is_refused_and_neither_locked_nor_changed() {
    for (version, features) in [(3, 1 << 62), (3, 1 << 40 | 1 << 62), (4, 0), (9, 1)] {
        let dir = copy_without(&[]);
        std::fs::write(dir.path().join("MANIFEST"), manifest_with(version, features, [0, 7, 2])).unwrap();
        // Debris, which an opening would remove.
        std::fs::write(dir.path().join("0000000099.data"), b"debris").unwrap();
        let before = files_in(dir.path());
        for read_only in [false, true] {
            let options = Options { read_only, ..Options::default() };
            let refused = Db::open(dir.path(), &options).map(drop).unwrap_err();
            let words = refused.to_string();
            assert!(matches!(refused, Error::Unsupported { .. }), "{words}");
            assert!(
                words.contains("needs filedb 0.7.2 or later") && words.contains("nothing was changed"),
                "{words}"
            );
            assert!(version != 3 || words.contains(&format!("{features:#x}")), "{words}");
            assert!(words.contains(dir.path().file_name().unwrap().to_str().unwrap()), "{words}");
        }
        assert!(files_in(dir.path()) == before);
    }
}

#[test]
fn a_store_of_before_the_first_release_is_not_called_damaged() {
    let dir = copy_without(&[]);
    std::fs::write(dir.path().join("MANIFEST"), manifest_with(1, 0, [0; 3])).unwrap();
    let refused = Db::open(dir.path(), &Options::default()).map(drop).unwrap_err();
    assert!(matches!(refused, Error::Unsupported { .. }), "{refused}");
    assert!(refused.to_string().contains("before its first release"), "{refused}");
}

#[test]
fn a_store_of_version_3_without_features_opens() {
    let dir = copy_without(&[]);
    std::fs::write(dir.path().join("MANIFEST"), manifest_with(3, 0, [0; 3])).unwrap();
    let db = Db::open(dir.path(), &Options::default()).unwrap();
    check(&db);
    db.put(b"more", b"written by today's code").unwrap();
    db.close().unwrap();
    db_at(dir.path());
}

fn db_at(path: &Path) -> Db {
    let db = Db::open(path, &Options::default()).unwrap();
    check_without_count(&db);
    db
}

fn check_without_count(db: &Db) {
    assert_eq!(db.get(b"planet").unwrap(), Some(b"mars".to_vec()));
    assert_eq!(db.get(b"large-2").unwrap(), Some(vec![b'M'; 6000]));
}

#[test]
fn a_feature_is_on_the_disk_before_what_needs_it_and_never_without_need() {
    let disk = SimDisk::new();
    let options = Options { max_file_size: 4096, ..Options::default() };
    let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
    let version = |disk: &SimDisk| u32_at(&disk.read_file("MANIFEST").unwrap(), 8);
    for n in 0..200u32 {
        db.put((n % 20).to_le_bytes(), [n as u8; 100]).unwrap();
    }
    db.merge().unwrap();
    db.close().unwrap();
    assert_eq!(version(&disk), 2, "version 0.1 could not read it");

    let db = Db::open_on(Arc::new(disk.clone()), &options).unwrap();
    db.require(TESTED).unwrap();
    // What a power cut leaves has it already.
    let cut = disk.power_cut(0, PowerCut::LosesAll);
    assert_eq!(version(&cut), 3);
    let before = disk.operations();
    db.require(TESTED).unwrap();
    assert_eq!(disk.operations(), before, "it is written anew each time");
    // It stays, whatever is written to the manifest later.
    for n in 0..200u32 {
        db.put((n % 20).to_le_bytes(), [n as u8; 100]).unwrap();
    }
    db.merge().unwrap();
    db.close().unwrap();
    for disk in [disk, cut] {
        assert_eq!(version(&disk), 3);
        let refused = Db::open_on(Arc::new(disk), &options).map(drop).unwrap_err();
        assert!(refused.to_string().contains("needs filedb 9.8.7 or later"), "{refused}");
    }
}
