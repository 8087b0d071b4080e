//! What a store does over time: `cargo bench --bench endurance -- churn|expiring|growth|machine|start|expiry|huge [keys] [size]`.
//!
//! The size is that of keys, of values with `huge`, and of data files, at most, with `churn`.
//!
//! - `churn`: overwrites every key ten times at random with merge on auto while another thread reads; prints the
//!   latency histograms, the space amplification on the way and after settling, and the throughput beside the same
//!   writes without a merge.
//! - `expiring`: three writers overwrite keys at random, a fifth of them with an expiry of up to 20 s, values of about 500
//!   bytes; prints how many times the live data the files and the directory hold on the way, and the writers' rate.
//!   `expiring [keys] [writes per second, 0 for as many as there can be] [seconds]`
//! - `growth`: inserts keys and prints the slowest put and the memory per key on the way.
//! - `machine`: what the machine does without a store: a loop that appends as many bytes as `growth` to files that another
//!   thread syncs, and the longest that one append took.
//! - `start`: opens after a clean close, after SIGKILL, and with all hints deleted.
//! - `expiry`: keys with mixed expiry; none is seen late, and all space comes back.
//! - `huge`: few values of 1 GiB in both io modes, overwritten, deleted, merged and opened again.
//!
//! Without arguments each runs once on few keys, as a check that it still works.
#![allow(clippy::unwrap_used, missing_docs)]

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use filedb::{Db, LogLevel, LogSink, MergeMode, Options, PutOptions, SyncMode};
use hdrhistogram::Histogram;

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// A key of `size` bytes, at least 16; different for every `n`.
fn key(n: u64, size: usize) -> Vec<u8> {
    let mut key = vec![b'k'; size];
    key[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    key[8..16].copy_from_slice(&n.to_le_bytes());
    key
}

fn options() -> Options {
    let mut options = Options { sync: SyncMode::None, ..Options::default() };
    if std::env::var_os("FILEDB_BENCH_LOG").is_some() {
        let begun = Instant::now();
        options.log =
            LogSink::new(move |_, event| eprintln!("{:.3} s: {event}", begun.elapsed().as_secs_f64()));
        options.log_level = LogLevel::Debug;
    }
    options
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap()
}

fn print_latency(what: &str, histogram: &Histogram<u64>) {
    let us = |nanos: u64| nanos as f64 / 1e3;
    println!(
        "{what}: p50 {:.1} us, p99 {:.1} us, p99.9 {:.1} us, p99.99 {:.1} us, slowest {:.1} us ({} calls)",
        us(histogram.value_at_quantile(0.5)),
        us(histogram.value_at_quantile(0.99)),
        us(histogram.value_at_quantile(0.999)),
        us(histogram.value_at_quantile(0.9999)),
        us(histogram.max()),
        histogram.len()
    );
}

fn timed(histogram: &mut Histogram<u64>, run: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    run();
    let took = begun.elapsed();
    histogram.saturating_record(took.as_nanos() as u64);
    took
}

fn load(db: &Db, keys: u64, size: usize) {
    (0..keys).for_each(|n| db.put(key(n, size), [7; 100]).unwrap());
}

/// Overwrites at random; puts per second of the writer, beside a reader if `with_reader`.
fn overwrite(
    db: &Db,
    keys: u64,
    writes: u64,
    puts: &mut Histogram<u64>,
    gets: Option<&mut Histogram<u64>>,
) -> f64 {
    let done = AtomicBool::new(false);
    let mut peak = 0f64;
    let rate = std::thread::scope(|scope| {
        if let Some(gets) = gets {
            let done = &done;
            scope.spawn(move || {
                let mut numbers = Numbers(99);
                while !done.load(Ordering::Relaxed) {
                    let key = key(numbers.below(keys), 16);
                    timed(gets, || assert_eq!(db.read(&key, |value| value.len()).unwrap(), Some(100)));
                    // A reader that leaves some of the second core to the merge.
                    std::thread::sleep(Duration::from_micros(50));
                }
            });
        }
        let mut numbers = Numbers(7);
        let begun = Instant::now();
        for n in 0..writes {
            let key = key(numbers.below(keys), 16);
            timed(puts, || db.put(&key, [8; 100]).unwrap());
            if n % (writes / 200).max(1) == 0 {
                peak = peak.max(db.stats().unwrap().space_amplification());
            }
        }
        let rate = writes as f64 / begun.elapsed().as_secs_f64();
        done.store(true, Ordering::Relaxed);
        rate
    });
    println!("  space amplification on the way: at most {peak:.2}");
    rate
}

/// Files of an eighth of so many keys.
fn eighth(keys: u64) -> u64 {
    (keys * 144 / 8).clamp(1 << 20, 256 << 20)
}

fn churn(dir: &Path, keys: u64, max_file_size: u64) {
    let rate_without = {
        let options = Options { merge: MergeMode::Manual, ..options() };
        let db = Db::open(dir.join("without"), &options).unwrap();
        load(&db, keys, 16);
        println!("without merge, {} overwrites", keys * 10);
        let mut gets = histogram();
        let rate = overwrite(&db, keys, keys * 10, &mut histogram(), Some(&mut gets));
        db.close().unwrap();
        std::fs::remove_dir_all(dir.join("without")).unwrap();
        rate
    };
    let options = Options { max_file_size, ..options() };
    let db = Db::open(dir.join("with"), &options).unwrap();
    load(&db, keys, 16);
    println!("with merge on auto, {} overwrites", keys * 10);
    let (mut puts, mut gets) = (histogram(), histogram());
    let rate = overwrite(&db, keys, keys * 10, &mut puts, Some(&mut gets));
    print_latency("  put", &puts);
    print_latency("  get", &gets);
    println!(
        "  {:.2} M puts/s, {:.0} % of the {:.2} M/s without merge",
        rate / 1e6,
        rate / rate_without * 100.0,
        rate_without / 1e6
    );
    let settling = Instant::now();
    let target = options.merge_space_amplification;
    while db.stats().unwrap().space_amplification() > target && settling.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(100));
    }
    let stats = db.stats().unwrap();
    println!(
        "  settled at {:.2} after {:.1} s; {} merges wrote {:.2} bytes per byte of the user's; directory {:.2} x live",
        stats.space_amplification(),
        settling.elapsed().as_secs_f64(),
        stats.merges,
        stats.merged_bytes as f64 / stats.appended_bytes as f64,
        directory_bytes(&dir.join("with")) as f64 / (keys * 144) as f64,
    );
    assert_eq!(db.count().unwrap(), keys);
    db.close().unwrap();
}

/// The bytes that the records of `expiring` take on average: a value, a key, a header and sometimes an expiry.
const EXPIRING_RECORD: u64 = 508 + 16 + 28;

/// What the sampler of `expiring` saw, in times the live data.
#[derive(Default)]
struct Amplification {
    sum: f64,
    most: f64,
    above: u64,
    count: u64,
}

impl Amplification {
    fn note(&mut self, times: f64) {
        self.sum += times;
        self.most = self.most.max(times);
        self.above += u64::from(times > 3.0);
        self.count += 1;
    }

    fn print(&self, what: &str) {
        let count = self.count.max(1);
        println!(
            "  {what}: {:.2} times what is live on average, {:.2} at most; above 3 in {:.1} % of {count} looks",
            self.sum / count as f64,
            self.most,
            self.above as f64 / count as f64 * 100.0
        );
    }
}

fn expiring(dir: &Path, keys: u64, rate: u64, seconds: u64, max_file_size: Option<u64>) {
    const WRITERS: u64 = 3;
    let path = dir.join("expiring");
    let mut options = Options { sync: SyncMode::Interval, ..options() };
    options.max_file_size = max_file_size.unwrap_or(options.max_file_size);
    let db = Db::open(&path, &options).unwrap();
    let (written, done, begun) = (AtomicU64::new(0), AtomicBool::new(false), Instant::now());
    let time = Duration::from_secs(seconds);
    let (mut files, mut directory) = (Amplification::default(), Amplification::default());
    let mut puts = histogram();
    // When each key expires, in milliseconds since the beginning: what is live is not asked of the store, which might look for
    // expired keys only then.
    let expiries: Vec<AtomicU64> = (0..keys).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|scope| {
        let (db, done, written, expiries) = (&db, &done, &written, &expiries);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn(move || {
                    let (mut numbers, mut puts) = (Numbers(writer), histogram());
                    let value = [7; 1_000];
                    for n in 0u64.. {
                        if done.load(Ordering::Relaxed) {
                            break;
                        }
                        let due = if rate == 0 { 0.0 } else { n as f64 * WRITERS as f64 / rate as f64 };
                        if n.is_multiple_of(64) {
                            written.fetch_add(64, Ordering::Relaxed);
                            let early = due - begun.elapsed().as_secs_f64();
                            if early > 0.0005 {
                                std::thread::sleep(Duration::from_secs_f64(early));
                            }
                        }
                        let number = numbers.below(keys);
                        let key = key(number, 16);
                        let value = &value[..500 + numbers.below(16) as usize];
                        let ttl_ms = (numbers.below(5) == 0).then(|| 1 + numbers.below(20_000));
                        let put =
                            PutOptions { ttl: ttl_ms.map(Duration::from_millis), ..PutOptions::default() };
                        timed(&mut puts, || assert!(db.put_with(&key, value, &put).unwrap()));
                        let expiry = ttl_ms.map_or(u64::MAX, |ttl| begun.elapsed().as_millis() as u64 + ttl);
                        expiries[number as usize].store(expiry, Ordering::Relaxed);
                    }
                    puts
                })
            })
            .collect();
        let mut report = begun;
        while begun.elapsed() < time {
            std::thread::sleep(Duration::from_millis(5));
            let (bytes, now) = (directory_bytes(&path), begun.elapsed().as_millis() as u64);
            let live = expiries.iter().filter(|expiry| expiry.load(Ordering::Relaxed) > now).count() as u64
                * EXPIRING_RECORD;
            let in_files = db.file_stats().unwrap().iter().map(|file| file.bytes).sum::<u64>();
            // Not while the first version of each key is written.
            if written.load(Ordering::Relaxed) < 5 * keys {
                continue;
            }
            files.note(in_files as f64 / live as f64);
            directory.note(bytes as f64 / live as f64);
            if report.elapsed() > Duration::from_secs(1) && std::env::var_os("FILEDB_BENCH_LOG").is_some() {
                report = Instant::now();
                let stats = db.stats().unwrap();
                eprintln!(
                    "{:.1} s: {} M written, live {} MB, by the store's count {} MB, files {} MB, directory {} MB, {} merges",
                    begun.elapsed().as_secs_f64(),
                    written.load(Ordering::Relaxed) / 1_000_000,
                    live >> 20,
                    stats.live_bytes >> 20,
                    stats.data_bytes >> 20,
                    bytes >> 20,
                    stats.merges
                );
            }
        }
        done.store(true, Ordering::Relaxed);
        for writer in writers {
            puts.add(writer.join().unwrap()).unwrap();
        }
    });
    println!(
        "{:.0} k writes/s to {keys} keys, a fifth of which expire",
        written.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64() / 1e3
    );
    files.print("files");
    directory.print("directory");
    print_latency("  put", &puts);
    let settling = Instant::now();
    while db.stats().unwrap().merging || settling.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(100));
    }
    let stats = db.stats().unwrap();
    let live = stats.keys * EXPIRING_RECORD;
    println!(
        "  settled: files {:.2}, directory {:.2} times what is live; {} merges wrote {:.2} bytes per byte of the user's",
        stats.data_bytes as f64 / live as f64,
        directory_bytes(&path) as f64 / live as f64,
        stats.merges,
        stats.merged_bytes as f64 / stats.appended_bytes as f64,
    );
    db.close().unwrap();
}

fn directory_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let files = std::fs::read_dir(dir).unwrap();
    files.map(|file| file.unwrap().metadata().map_or(0, |metadata| metadata.blocks() * 512)).sum()
}

/// How much processor time the host of a virtual machine took from it, in ticks of 10 ms; 0 where nobody says.
fn stolen_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    stat.split_whitespace().nth(8).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}

/// The longest call, but for moments in which the host of a virtual machine took processor time from it.
struct Slowest {
    stolen: u64,
    took: Duration,
}

impl Slowest {
    fn new() -> Self {
        Slowest { stolen: stolen_ticks(), took: Duration::ZERO }
    }

    fn note(&mut self, n: u64, took: Duration) {
        if took > Duration::from_millis(1) || n.is_multiple_of(4096) {
            let now = stolen_ticks();
            if now == self.stolen {
                self.took = self.took.max(took);
            }
            self.stolen = now;
        }
    }

    fn print(&self, what: &str) {
        let milliseconds = self.took.as_secs_f64() * 1e3;
        println!("slowest {what} in a moment in which no host took the processor: {milliseconds:.1} ms");
    }
}

fn growth(dir: &Path, keys: u64, size: usize) {
    let options = Options { merge: MergeMode::Manual, ..options() };
    let db = Db::open(dir.join("growth"), &options).unwrap();
    let (mut puts, mut worst, begun) = (histogram(), 0f64, Instant::now());
    let mut slowest = Slowest::new();
    for n in 0..keys {
        let key = key(n, size);
        slowest.note(n, timed(&mut puts, || db.put(&key, [7; 8]).unwrap()));
        if (n + 1) % 50_000 == 0 {
            let over = db.stats().unwrap().index_bytes as f64 - 24.0 * (n + 1) as f64;
            worst = worst.max(over);
        }
    }
    slowest.print("put");
    print_latency(&format!("growth to {keys} keys of {size} bytes"), &puts);
    println!(
        "  {:.2} M puts/s; index {:.1} bytes per key at the end, never more than 24 per key plus {:.1} MiB",
        keys as f64 / begun.elapsed().as_secs_f64() / 1e6,
        db.stats().unwrap().index_bytes as f64 / keys as f64,
        worst / (1 << 20) as f64
    );
    db.close().unwrap();
}

fn machine(dir: &Path, records: u64, size: usize) {
    const FILE_SIZE: u64 = 256 << 20;
    const MOST_BEHIND: u64 = 4;
    let create = |n: u64| std::fs::File::create_new(dir.join(n.to_string())).unwrap();
    let (mut appends, mut slowest, begun) = (histogram(), Slowest::new(), Instant::now());
    let behind = AtomicU64::new(0);
    let (full, to_sync) = std::sync::mpsc::channel::<std::fs::File>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for file in to_sync {
                file.sync_data().unwrap();
                behind.fetch_sub(1, Ordering::Relaxed);
            }
        });
        let record = vec![7; (20 + size + 8).next_multiple_of(8)];
        let (mut file, mut at, mut next) = (create(0), 0, 1);
        for n in 0..records {
            slowest.note(n, timed(&mut appends, || file.write_all_at(&record, at).unwrap()));
            at += record.len() as u64;
            if at >= FILE_SIZE {
                behind.fetch_add(1, Ordering::Relaxed);
                full.send(std::mem::replace(&mut file, create(next))).unwrap();
                (at, next) = (0, next + 1);
            }
            // Off the clock: the kernel is never made to stop it.
            while behind.load(Ordering::Relaxed) > MOST_BEHIND {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        drop(full);
    });
    slowest.print("append");
    print_latency(&format!("{records} appends of {size} bytes and a header, without a store"), &appends);
    println!("  {:.2} M appends/s", records as f64 / begun.elapsed().as_secs_f64() / 1e6);
}

const START_CHILD: &str = "FILEDB_ENDURANCE_START";

fn start(dir: &Path, keys: u64) {
    let path = dir.join("start");
    let open = |what: &str| {
        let begun = Instant::now();
        let db = Db::open(&path, &options()).unwrap();
        let elapsed = begun.elapsed();
        let bytes = db.stats().unwrap().data_bytes;
        println!(
            "open {keys} keys {what}: {:.1} ms ({:.2} GiB, {:.2} s per GiB)",
            elapsed.as_secs_f64() * 1e3,
            bytes as f64 / (1u64 << 30) as f64,
            elapsed.as_secs_f64() / (bytes as f64 / (1u64 << 30) as f64)
        );
        assert_eq!(db.count().unwrap(), keys);
        assert_eq!(db.get(key(keys / 2, 16)).unwrap().map(|v| v.len()), Some(100));
        db
    };
    let db = Db::open(&path, &options()).unwrap();
    load(&db, keys, 16);
    db.close().unwrap();
    for _ in 0..3 {
        open("after a clean close").close().unwrap();
    }
    // A child loads a store of its own and is killed: nothing was closed.
    std::fs::remove_dir_all(&path).unwrap();
    let run = |write_hints: bool| {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(START_CHILD, &path)
            .env("FILEDB_ENDURANCE_KEYS", keys.to_string())
            .env("FILEDB_ENDURANCE_HINTS", u8::from(write_hints).to_string())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // It says a line when all is written, and waits.
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    };
    run(false);
    drop(open("after SIGKILL, from the data alone"));
    std::fs::remove_dir_all(&path).unwrap();
    run(true);
    drop(open("after SIGKILL, with hints"));
}

fn start_child(path: &Path) {
    let keys = std::env::var("FILEDB_ENDURANCE_KEYS").unwrap().parse().unwrap();
    let db = Db::open(path, &options()).unwrap();
    load(&db, keys, 16);
    if std::env::var("FILEDB_ENDURANCE_HINTS").unwrap() == "1" {
        db.write_hints().unwrap();
    }
    println!("written");
    loop {
        std::thread::park();
    }
}

fn expiry(dir: &Path, keys: u64) {
    let options = Options { merge: MergeMode::Manual, max_file_size: 8 << 20, ..options() };
    let db = Db::open(dir.join("expiry"), &options).unwrap();
    let begun = Instant::now();
    let lifetimes = [0, 500, 1_000, 2_000, 3_600_000];
    for n in 0..keys {
        let ttl_ms = lifetimes[(n % 5) as usize];
        let put = PutOptions {
            ttl: (ttl_ms > 0).then_some(Duration::from_millis(ttl_ms)),
            ..PutOptions::default()
        };
        assert!(db.put_with(key(n, 16), [7; 100], &put).unwrap());
    }
    let written = Instant::now();
    let mut seen = 0;
    while written.elapsed() < Duration::from_millis(2_100) {
        for n in (0..keys).step_by((keys / 5_000).max(1) as usize) {
            let before = Instant::now();
            if db.exists(key(n, 16)).unwrap() {
                seen += 1;
                // It was written at `written` at the latest, so by then its time must not have been over.
                let lifetime = lifetimes[(n % 5) as usize];
                let late = lifetime > 0 && before > written + Duration::from_millis(lifetime);
                assert!(!late, "key {n} was seen after its time");
            }
        }
    }
    let expected = (0..keys).filter(|n| matches!(n % 5, 0 | 4)).count() as u64;
    assert_eq!(db.count().unwrap(), expected);
    let before = db.stats().unwrap();
    db.merge().unwrap();
    let after = db.stats().unwrap();
    println!(
        "expiry of {keys} keys: written in {:.1} s, {seen} sightings, none late; count {} as expected; \
         merge took {:.0} MiB to {:.0} MiB ({:.2} x live)",
        (written - begun).as_secs_f64(),
        after.keys,
        before.data_bytes as f64 / (1 << 20) as f64,
        after.data_bytes as f64 / (1 << 20) as f64,
        after.space_amplification()
    );
    assert!(after.data_bytes <= expected * 160 + (1 << 20), "space did not come back: {after:?}");
    assert_eq!(db.list(b"").unwrap().len() as u64, expected);
    db.close().unwrap();
    let db = Db::open(dir.join("expiry"), &options).unwrap();
    assert_eq!(db.count().unwrap(), expected);
}

fn huge(dir: &Path, keys: u64, size: usize) {
    let mut numbers = Numbers(1);
    let mut value: Vec<u8> = Vec::with_capacity(size);
    value.resize_with(size, || numbers.below(256) as u8);
    let mut value = |tag: u64| {
        value[..8].copy_from_slice(&tag.to_le_bytes());
        value.clone()
    };
    for io in ["mmap", "pread"] {
        let mut options = options();
        options.set("io", io).unwrap();
        let (mut puts, mut gets) = (histogram(), histogram());
        let db = Db::open(dir.join(io), &options).unwrap();
        for n in 0..keys {
            let value = value(n);
            timed(&mut puts, || db.put(key(n, 16), &value).unwrap());
        }
        assert!(db.delete(key(1, 16)).unwrap());
        db.put(key(0, 16), value(keys)).unwrap();
        db.merge().unwrap();
        let space = db.stats().unwrap().space_amplification();
        drop(db);
        let db = Db::open(dir.join(io), &options).unwrap();
        assert_eq!(db.count().unwrap(), keys - 1);
        for n in (0..keys).filter(|n| *n != 1) {
            let expected = value(if n == 0 { keys } else { n });
            timed(&mut gets, || assert!(db.get(key(n, 16)).unwrap() == Some(expected), "key {n}"));
        }
        println!(
            "{keys} values of {size} bytes with io={io}: all as they were written, {space:.2} x live after a merge"
        );
        print_latency("put", &puts);
        print_latency("get and compare", &gets);
        db.close().unwrap();
        std::fs::remove_dir_all(dir.join(io)).unwrap();
    }
}

fn main() {
    if let Some(path) = std::env::var_os(START_CHILD) {
        return start_child(&PathBuf::from(path));
    }
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let number = |n: usize, default: u64| arguments.get(n).map_or(default, |text| text.parse().unwrap());
    let place = std::env::var_os("FILEDB_BENCH_DIR").unwrap_or(".".into());
    let dir = tempfile::tempdir_in(place).unwrap();
    match arguments.first().map(String::as_str) {
        Some("churn") => {
            let keys = number(1, 1_000_000);
            churn(dir.path(), keys, number(2, eighth(keys)))
        }
        Some("expiring") => {
            let size = arguments.get(4).map(|text| text.parse().unwrap());
            expiring(dir.path(), number(1, 200_000), number(2, 540_000), number(3, 30), size)
        }
        Some("growth") => growth(dir.path(), number(1, 20_000_000), number(2, 16) as usize),
        Some("machine") => machine(dir.path(), number(1, 20_000_000), number(2, 1_000) as usize),
        Some("start") => start(dir.path(), number(1, 10_000_000)),
        Some("expiry") => expiry(dir.path(), number(1, 1_000_000)),
        Some("huge") => huge(dir.path(), number(1, 5), number(2, 1 << 30) as usize),
        Some(other) => {
            eprintln!(
                "there is no '{other}'; there are churn, expiring, growth, machine, start, expiry and huge"
            )
        }
        None => {
            churn(dir.path(), 20_000, eighth(20_000));
            expiring(dir.path(), 2_000, 0, 1, Some(1 << 20));
            growth(dir.path(), 100_000, 16);
            machine(dir.path(), 100_000, 16);
            start(dir.path(), 20_000);
            expiry(dir.path(), 20_000);
            huge(dir.path(), 3, 1 << 20);
        }
    }
}
