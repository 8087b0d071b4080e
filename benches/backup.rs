//! Backups of a store that is in use: how long one takes with links, what it costs the writes meanwhile, and what an incremental one writes.
//!
//! `cargo bench --bench backup`. `FILEDB_BENCH_GIB=n` (10: the disk needs that much and 5 GiB more), `FILEDB_BENCH_PACE=n` (20,000 puts a second), and
//! `FILEDB_BENCH_DIR`. Keys of 16 bytes, values of 1,000. The longest put beside each backup stands next to that of the same time without.

#![allow(clippy::unwrap_used, missing_docs)]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use filedb::{BackupOptions, BackupProgress, Db, Options, SyncMode};

const VALUE: usize = 1_000;
const ROUNDS: u64 = 5;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn key(n: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    key[8..].copy_from_slice(&n.to_le_bytes());
    key
}

/// Copies the store, and gives how long that took and what it did.
fn backup(db: &Db, to: &Path) -> (Duration, BackupProgress) {
    let (begun, mut last) = (Instant::now(), BackupProgress::default());
    let mut watch = |progress: &BackupProgress| {
        last = *progress;
        ControlFlow::Continue(())
    };
    db.backup_with(to, &BackupOptions::new(), &mut watch).unwrap();
    (begun.elapsed(), last)
}

fn main() {
    let (gib, pace) = (number("FILEDB_BENCH_GIB", 10), number("FILEDB_BENCH_PACE", 20_000));
    let dir = tempfile::tempdir_in(std::env::var_os("FILEDB_BENCH_DIR").unwrap_or(".".into())).unwrap();
    let options = Options { sync: SyncMode::Interval, ..Options::default() };
    let db = Db::open(dir.path().join("store"), &options).unwrap();
    let keys = (gib << 30) / (VALUE as u64 + 48);
    (0..keys).for_each(|n| db.put(key(n), [7; VALUE]).unwrap());
    // A disk that is still busy with what was filled makes everybody wait.
    db.sync().unwrap();
    println!("{keys} keys, {:.1} GiB", db.stats().unwrap().data_bytes as f64 / (1u64 << 30) as f64);

    let (over, longest) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (begun, mut puts) = (Instant::now(), 0u64);
            while !over.load(Ordering::Relaxed) {
                for _ in 0..20 {
                    let at = Instant::now();
                    db.put(key(puts * 7919 % keys), [8; VALUE]).unwrap();
                    longest.fetch_max(at.elapsed().as_micros() as u64, Ordering::Relaxed);
                    puts += 1;
                }
                let due = Duration::from_secs_f64(puts as f64 / pace as f64);
                std::thread::sleep(due.saturating_sub(begun.elapsed()));
            }
        });
        let longest_put = || Duration::from_micros(longest.swap(0, Ordering::Relaxed));
        std::thread::sleep(Duration::from_secs(2));
        let mut first = db.written_seq().unwrap();
        for round in 0..ROUNDS {
            // Every other one goes where the first is.
            let is_whole = round % 2 == 0;
            let to = dir.path().join(if is_whole { format!("backup {round}") } else { "backup 0".into() });
            longest_put();
            std::thread::sleep(Duration::from_secs(1));
            let without = longest_put();
            let (took, did) = backup(&db, &to);
            let with = longest_put();
            println!(
                "{}: {:.0} ms; {:.1} MiB copied of {:.0} MiB in {} files; the longest put {:.1} ms, in the second before {:.1} ms",
                if is_whole { "whole" } else { "incremental" },
                took.as_secs_f64() * 1e3,
                did.copied_bytes as f64 / 1048576.0,
                did.bytes.1 as f64 / 1048576.0,
                did.files.1,
                with.as_secs_f64() * 1e3,
                without.as_secs_f64() * 1e3,
            );
            if !is_whole || round == 0 {
                let now = db.written_seq().unwrap();
                let since = (now - first) * (VALUE as u64 + 48);
                println!(
                    "    {:.1} MiB were put since the last one in the same place",
                    since as f64 / 1048576.0
                );
                first = now;
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    let copy =
        Db::open(dir.path().join("backup 0"), &Options { read_only: true, ..Options::default() }).unwrap();
    assert_eq!(copy.count().unwrap(), keys);
}
