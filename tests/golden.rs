//! A store that an earlier build wrote opens, and its bytes are what docs/FORMAT.md says.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use filedb::{Db, Options, Ttl};

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
    assert!(matches!(db.ttl(b"far").unwrap(), Some(Ttl::Ms(ms)) if ms > 3_000_000_000_000));
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
