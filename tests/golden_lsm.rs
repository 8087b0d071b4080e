//! A store of the ordered engine that an earlier build wrote opens, and its run is what docs/FORMAT.md says.
#![allow(clippy::unwrap_used)]

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::Duration;

use filedb::{Db, EngineKind, KeyRange, Options, PutOptions, Ttl};

/// Stores with runs of version 1, and of version 2: their blocks have padding.
const VERSIONS: [&str; 2] = ["lsm1", "lsm2"];

fn golden(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(version)
}

fn copy(version: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden(version)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

fn check(db: &Db, version: &str) {
    let rows: Vec<(Vec<u8>, Vec<u8>)> = db
        .iter(b"")
        .unwrap()
        .map(|row| row.unwrap())
        .map(|row| (row.key().to_vec(), row.value().to_vec()))
        .collect();
    let mut wanted: Vec<(Vec<u8>, Vec<u8>)> = (0..100u32)
        .filter(|n| !(20..30).contains(n))
        .map(|n| (format!("planet/{n:02}").into_bytes(), n.to_le_bytes().to_vec()))
        .collect();
    for (key, value) in [
        (&b"empty"[..], vec![]),
        (b"far", b"away".to_vec()),
        (b"jobs", vec![]),
        (b"large", vec![b'L'; 6000]),
        (b"late", b"in the log".to_vec()),
    ] {
        wanted.push((key.to_vec(), value));
    }
    if version == "lsm2" {
        wanted.extend(stars());
    }
    wanted.sort();
    assert_eq!(rows, wanted);
    assert!(
        matches!(db.ttl(b"far").unwrap(), Some(Ttl::Left(left)) if left > Duration::from_secs(3_000_000_000))
    );
    let jobs = db.list_range(b"jobs", 0, -1).unwrap().unwrap();
    assert_eq!(jobs.iter().collect::<Vec<_>>(), [&b"second"[..], b"third", b"in the log"]);
}

/// What fills some blocks.
fn stars() -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    (0..200u32).map(|n| (format!("star/{n:03}").into_bytes(), vec![n as u8; 40]))
}

/// Writes the newest of the stores anew. What it wrote once stays: a build that cannot read it any more breaks its users' stores.
#[test]
#[ignore = "writes tests/golden/lsm2, which is there"]
fn write() {
    let options = Options { engine: EngineKind::Lsm, lsm_memory: 1 << 20, ..Options::default() };
    let db = Db::open(golden("lsm2"), &options).unwrap();
    for (star, value) in stars() {
        db.put(star, value).unwrap();
    }
    for n in 0..100u32 {
        db.put(format!("planet/{n:02}"), n.to_le_bytes()).unwrap();
    }
    db.put("empty", "").unwrap();
    db.put("large", vec![b'L'; 6000]).unwrap();
    db.put("gone", "soon").unwrap();
    let life = Duration::from_secs(4_000_000_000);
    db.put_with("far", "away", &PutOptions::new().ttl(life)).unwrap();
    for job in ["first", "second", "third"] {
        db.push_back("jobs", job).unwrap();
    }
    db.merge().unwrap();
    db.delete("gone").unwrap();
    db.pop_front("jobs").unwrap();
    let (from, to) = (Bound::Included(&b"planet/20"[..]), Bound::Excluded(&b"planet/30"[..]));
    db.delete_range(&KeyRange { from, to, reverse: false }).unwrap();
    db.flush().unwrap();
    db.put("late", "in the log").unwrap();
    db.push_back("jobs", "in the log").unwrap();
    db.close().unwrap();
}

#[test]
fn a_store_of_the_ordered_engine_opens_and_goes_on() {
    for (version, io) in VERSIONS.into_iter().flat_map(|version| [(version, "mmap"), (version, "pread")]) {
        let dir = copy(version);
        let mut options = Options::default();
        options.set("io", io).unwrap();
        let db = Db::open(dir.path(), &options).unwrap();
        check(&db, version);
        db.merge().unwrap();
        check(&db, version);
        db.close().unwrap();
        check(&Db::open(dir.path(), &options).unwrap(), version);
    }
}

fn crc32(seed: u32, bytes: &[u8]) -> u32 {
    let mut crc = !seed;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> usize {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
}

fn number(bytes: &[u8], at: &mut usize) -> usize {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        number |= usize::from(byte & 127) << shift;
        if byte < 128 {
            return number;
        }
        shift += 7;
    }
}

#[test]
fn a_run_can_be_walked_with_nothing_but_the_document() {
    assert_eq!(VERSIONS.map(longest_padding).map(|padding| padding > 0), [false, true]);
}

/// Walks through the first run of a store, and gives the longest padding of its blocks.
fn longest_padding(version: &str) -> usize {
    let mut runs: Vec<PathBuf> = std::fs::read_dir(golden(version))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "run"))
        .collect();
    runs.sort();
    let bytes = std::fs::read(&runs[0]).unwrap();
    assert_eq!(&bytes[..8], b"filedb\0R");
    assert_eq!(crc32(0, &bytes[..60]), u32_at(&bytes, 60));
    let (salt, base) = (u32_at(&bytes, 16), u64_at(&bytes, 40));
    let seed = |offset: usize| salt ^ (offset as u32).rotate_left(16);
    let footer = bytes.len() - 96;
    assert_eq!(&bytes[footer..footer + 8], b"filedb\0F");
    assert_eq!(crc32(seed(footer), &bytes[footer..bytes.len() - 4]), u32_at(&bytes, bytes.len() - 4));
    let numbers: Vec<usize> = (0..10).map(|n| u64_at(&bytes, footer + 8 + 8 * n)).collect();
    let [filter, index, at_footer, entries, keys, ..] = numbers[..] else { panic!() };
    assert_eq!(at_footer, footer);
    for (from, to) in [(filter, index), (index, footer)] {
        assert_eq!(crc32(seed(from), &bytes[from..to - 4]), u32_at(&bytes, to - 4));
    }
    let first = u32_at(&bytes, index) as usize;
    let lines = index + 4 + first;
    let blocks = u32_at(&bytes, lines) as usize;
    assert!(blocks > 1, "the large value has a block of its own");
    let begin = |n: usize| if n < blocks { u64_at(&bytes, lines + 4 + 12 * n + 4) } else { filter };
    let (mut key, mut seen, mut all, mut longest) = (Vec::new(), 0, Vec::new(), 0);
    for n in 0..blocks {
        let block = &bytes[begin(n)..begin(n + 1)];
        assert_eq!(crc32(seed(begin(n)), &block[..block.len() - 4]), u32_at(block, block.len() - 4));
        let told = u32_at(block, block.len() - 8) as usize;
        let (restarts, padding) = (told & 0xffff, told >> 16);
        let (mut at, end) = (0, block.len() - 8 - 4 * restarts - padding);
        assert!(block[end..end + padding].iter().all(|byte| *byte == 0));
        assert!(padding == 0 || begin(n + 1) % 4096 == 0, "block {n}");
        longest = longest.max(padding);
        while at < end {
            let (shared, unshared, value) =
                (number(block, &mut at), number(block, &mut at), number(block, &mut at));
            let tag = block[at];
            at += 1;
            let seq = base + number(block, &mut at);
            at += if tag & 16 != 0 { 8 } else { 0 };
            key.truncate(shared);
            key.extend_from_slice(&block[at..at + unshared]);
            at += unshared + value;
            all.push((key.clone(), seq));
            seen += 1;
        }
        let key_end = u32_at(&bytes, lines + 4 + 12 * n) as usize;
        assert!(bytes[..index + key_end + lines + 4 + 12 * blocks - index].ends_with(&key), "block {n}");
    }
    assert_eq!(seen, entries);
    assert!(all.is_sorted_by(|a, b| a.0 < b.0 || (a.0 == b.0 && a.1 > b.1)));
    assert!(keys <= entries && all.iter().any(|(key, _)| key == b"\x01planet/42"));
    longest
}
