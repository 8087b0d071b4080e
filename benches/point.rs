//! One thread, a million keys of 16 bytes with values of 100: put, get, many gets at once, and what a start costs.
//!
//! `cargo bench --bench point`. Beside the figures of criterion it prints the memory per key and the time of an open
//! after a clean close, which are measured once.

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use filedb::{Db, Options};

const KEYS: u64 = 1_000_000;

fn key(n: u64) -> [u8; 16] {
    // Spread, so that neighbours in time are no neighbours in the index.
    let mut key = [0; 16];
    key[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    key[8..].copy_from_slice(&n.to_le_bytes());
    key
}

struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % KEYS
    }
}

fn point(criterion: &mut Criterion) {
    let dir = tempfile::tempdir_in(std::env::var_os("FILEDB_BENCH_DIR").unwrap_or(".".into())).unwrap();
    let path = dir.path().join("store");
    let options = Options { sync: filedb::SyncMode::None, ..Options::default() };
    let value = [7; 100];

    let db = Db::open(&path, &options).unwrap();
    let begun = Instant::now();
    (0..KEYS).for_each(|n| db.put(key(n), value).unwrap());
    let load = begun.elapsed();
    println!("load: {:.2} M puts/s", KEYS as f64 / load.as_secs_f64() / 1e6);
    let stats = db.stats().unwrap();
    println!("index: {:.1} bytes per key", stats.index_bytes as f64 / KEYS as f64);
    db.close().unwrap();
    let begun = Instant::now();
    let db = Db::open(&path, &options).unwrap();
    println!("open after a clean close: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    assert_eq!(db.count().unwrap(), KEYS);

    let mut group = criterion.benchmark_group("1M keys of 16 bytes, values of 100");
    group.throughput(Throughput::Elements(1));
    let mut numbers = Numbers(1);
    group.bench_function("get", |b| {
        b.iter(|| {
            let found = db.read(key(numbers.next()), |value| black_box(value)[0]).unwrap();
            assert_eq!(found, Some(7));
        })
    });
    group.bench_function("get, copied into a vector", |b| {
        b.iter(|| assert_eq!(db.get(key(numbers.next())).unwrap().map(|v| v.len()), Some(100)))
    });
    group.bench_function("get of an absent key", |b| {
        b.iter(|| assert_eq!(db.get(key(KEYS + numbers.next())).unwrap(), None))
    });
    group.bench_function("overwrite", |b| b.iter(|| db.put(key(numbers.next()), value).unwrap()));
    group.throughput(Throughput::Elements(64));
    group.bench_function("get_many, 64 keys", |b| {
        b.iter_batched(
            || (0..64).map(|_| key(numbers.next())).collect::<Vec<_>>(),
            |keys| {
                let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
                let mut out = Vec::with_capacity(64);
                db.get_many(&keys, &mut out).unwrap();
                assert!(out.iter().all(|value| matches!(value, Ok(Some(_)))));
            },
            BatchSize::SmallInput,
        )
    });
    group.finish();
    db.close().unwrap();

    let mut group = criterion.benchmark_group("load");
    group.throughput(Throughput::Elements(KEYS));
    group.sample_size(10);
    group.bench_function("put of a million new keys", |b| {
        b.iter_batched(
            || {
                let dir = tempfile::tempdir_in(dir.path()).unwrap();
                let db = Db::open(dir.path().join("store"), &options).unwrap();
                (dir, db)
            },
            |(dir, db)| {
                (0..KEYS).for_each(|n| db.put(key(n), value).unwrap());
                (dir, db)
            },
            BatchSize::PerIteration,
        )
    });
    group.finish();
}

criterion_group!(benches, point);
criterion_main!(benches);
