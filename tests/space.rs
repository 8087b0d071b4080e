//! The disk space that a store takes while it is overwritten as fast as it can be: docs/DURABILITY.md says how much that is.
//!
//! However fast or slow the machine is: the files are looked at after each mebibyte that was written, and not at times.

#![allow(clippy::unwrap_used, missing_docs)]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use filedb::{Db, Options, PutOptions, SyncMode};

/// A store may take this much beside a multiple of what is live.
const BESIDE: u64 = 64 << 20;
/// A key, a header, and what is lost by rounding.
const BESIDE_A_VALUE: u64 = 8 + 28 + 8;

struct Workload {
    writers: u64,
    /// They fill room so fast that more of it is kept ahead of them: an eighth of the store, 128 MiB at most.
    are_fast: bool,
    keys: u64,
    value_size: u64,
    /// Each key is overwritten so often.
    rounds: u64,
    /// A fifth of the keys gets a time to live of up to so many milliseconds.
    ttl_ms: Option<u64>,
    sync: SyncMode,
}

/// Bytes of the data files on the disk.
fn data_bytes(store: &Path) -> u64 {
    let files = std::fs::read_dir(store).unwrap().map(|file| file.unwrap());
    let files = files.filter(|file| file.file_name().to_str().unwrap().ends_with(".data"));
    // Some go meanwhile.
    files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.blocks() * 512).sum()
}

/// Numbers without pattern.
fn mixed(n: u64) -> u64 {
    let n = (n ^ n >> 31).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (n ^ n >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 8
}

/// Runs the workload in a store with default options but for the syncs, and compares its files with what is live.
fn check(workload: &Workload) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let options = Options { sync: workload.sync, ..Options::default() };
    let times = options.merge_space_amplification;
    let db = Db::open(&path, &options).unwrap();
    let begun = Instant::now();
    let now_ms = || begun.elapsed().as_millis() as u64;
    let expiries: Vec<AtomicU64> = (0..workload.keys).map(|_| AtomicU64::new(0)).collect();
    // What a key that was written twice at the same time has in the end is not known: a little is lost by that.
    let live = |now_ms| {
        let live = expiries.iter().filter(|expiry| expiry.load(Ordering::Relaxed) > now_ms).count() as u64;
        live * (workload.value_size + BESIDE_A_VALUE)
    };
    let (written, loaded) = (AtomicU64::new(0), workload.keys * workload.value_size);
    let writer = |writer: u64| {
        let value = vec![writer as u8; workload.value_size as usize];
        let mut worst = (0f64, String::new());
        for n in 0..workload.keys * workload.rounds / workload.writers {
            let number = mixed(n * workload.writers + writer);
            // First each key once.
            let key = n * workload.writers + writer;
            let key = if key < workload.keys { key } else { number % workload.keys };
            let ttl_ms =
                workload.ttl_ms.filter(|_| number.is_multiple_of(5)).map(|ttl| 1 + (number >> 20) % ttl);
            let expiry = ttl_ms.map_or(u64::MAX, |ttl| now_ms() + ttl);
            let put = PutOptions { ttl: ttl_ms.map(Duration::from_millis), ..PutOptions::default() };
            db.put_with(key.to_le_bytes(), &value, &put).unwrap();
            expiries[key as usize].store(expiry, Ordering::Relaxed);
            let before = written.fetch_add(workload.value_size, Ordering::Relaxed);
            let after = before + workload.value_size;
            if before >> 20 == after >> 20 || after < loaded {
                continue;
            }
            let live = live(now_ms());
            let taken = data_bytes(&path);
            // A writer pauses when its write is done.
            let beside = BESIDE + workload.writers * workload.value_size;
            let most = (live as f64 * times * 1.5) as u64 + beside;
            let most = if workload.are_fast { most + (most / 8).min(128 << 20) } else { most };
            let share = taken as f64 / most as f64;
            if share > worst.0 {
                let words = format!(
                    "{taken} bytes are taken, {live} are live, {most} may be taken, {after} were written: {:?}",
                    db.stats().unwrap()
                );
                worst = (share, words);
            }
        }
        worst
    };
    let worst = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..workload.writers).map(|n| scope.spawn(move || writer(n))).collect();
        let worst = writers.into_iter().map(|writer| writer.join().unwrap());
        worst.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
    });
    println!("{:.2} s, at worst {:.2}: {}", begun.elapsed().as_secs_f64(), worst.0, worst.1);
    assert!(worst.0 <= 1.0, "{}", worst.1);
    // Nobody writes any more: merges bring it down to the target.
    let given_up = Instant::now() + Duration::from_secs(120);
    while data_bytes(&path) > (live(now_ms()) as f64 * times) as u64 + BESIDE {
        assert!(Instant::now() < given_up, "{} bytes are taken: {:?}", data_bytes(&path), db.stats());
        std::thread::sleep(Duration::from_millis(10));
    }
    db.recount().unwrap();
    db.close().unwrap();
}

const OVERWRITES: Workload = Workload {
    writers: 3,
    are_fast: false,
    keys: 30_000,
    value_size: 3_000,
    rounds: 10,
    ttl_ms: None,
    sync: SyncMode::Interval,
};

#[test]
fn a_store_that_is_overwritten_takes_no_more_than_three_times_what_is_live() {
    check(&OVERWRITES);
}

#[test]
fn nor_does_one_that_is_never_synced() {
    check(&Workload { sync: SyncMode::None, ..OVERWRITES });
}

#[test]
fn nor_does_one_whose_keys_expire() {
    check(&Workload { ttl_ms: Some(2_000), ..OVERWRITES });
}

#[test]
fn nor_does_one_of_large_values() {
    check(&Workload { keys: 1_500, value_size: 60_000, ..OVERWRITES });
}

#[test]
fn nor_does_one_of_larger_values_that_many_threads_write() {
    check(&Workload {
        writers: 16,
        are_fast: true,
        keys: 128,
        value_size: 1 << 20,
        rounds: 15,
        ..OVERWRITES
    });
}

#[test]
fn a_small_store_takes_no_more_than_a_constant_beside_that() {
    check(&Workload { keys: 2_000, value_size: 500, rounds: 300, ..OVERWRITES });
}
