//! Live readers beside a writer: how soon they begin, what memory they take, what they cost the writer, how fast they read, and how soon they see a write.
//!
//! `cargo bench --bench readers`. `FILEDB_BENCH_KEYS=n` (a million), `FILEDB_BENCH_SECONDS=n` (2, for each run), `FILEDB_BENCH_ROUNDS=n` (5),
//! `FILEDB_BENCH_PARTS=starts,memory` (all: starts, memory, cost, gets, sight), `FILEDB_BENCH_DIR`, and `FILEDB_BENCH_ENGINE` (`lsm`). Ten million keys take 1.5 GB there. Keys of 16 bytes, values of 100. The writer is this process, readers are processes of this program. What is
//! compared is run in turns; each run is printed when it is over, and the medians at the end. Two processors at least should be free.

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use filedb::{Db, Options};

/// The environment variable that makes this program a reader of the store that it names.
const STORE: &str = "FILEDB_BENCH_READS";
/// The key whose versions are waited for.
const WATCHED: &[u8] = b"the watched key";

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn key(n: u64) -> [u8; 16] {
    // Spread, so that neighbours in time are no neighbours in the index.
    let mut key = [0; 16];
    key[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    key[8..].copy_from_slice(&n.to_le_bytes());
    key
}

struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// The machine's monotonic clock, in nanoseconds: the same in all processes.
fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid for the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn gets_per_second(db: &Db, keys: u64, lasts: Duration) -> f64 {
    let (mut numbers, begun, mut gets) = (Numbers(7), Instant::now(), 0u64);
    while begun.elapsed() < lasts {
        for _ in 0..1_000 {
            let found = db.read(key(numbers.next(keys)), |value| black_box(value)[0]).unwrap();
            assert!(found.is_some());
        }
        gets += 1_000;
    }
    gets as f64 / begun.elapsed().as_secs_f64()
}

// A reader: it does what each line of its input says, and answers with a line.

fn read(path: &str, keys: u64) {
    let begun = Instant::now();
    let options = Options { read_only: true, live: true, ..Options::default() };
    let db = Db::open(path, &options).unwrap();
    assert!(db.exists(key(1)).unwrap());
    println!("{}", begun.elapsed().as_secs_f64() * 1e3);
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (what, many) = line.split_once(' ').unwrap();
        let many: u64 = many.parse().unwrap();
        match what {
            // The index is complete then.
            "count" => println!("{}", db.count().unwrap()),
            "get" => println!("{}", gets_per_second(&db, keys, Duration::from_secs(many))),
            // How long after the beginning of a put its version was seen, of so many puts, in the order of size.
            "watch" => {
                println!("ready");
                let (mut waits, mut last) = (Vec::new(), 0);
                while (waits.len() as u64) < many {
                    let seen = db.read(WATCHED, |value| u64::from_le_bytes(value[..8].try_into().unwrap()));
                    let seen = seen.unwrap().unwrap_or(0);
                    if seen != last {
                        waits.push(now_ns() - seen);
                        last = seen;
                    }
                }
                waits.sort_unstable();
                let part = |of: f64| waits[((waits.len() - 1) as f64 * of) as usize] as f64 / 1e3;
                println!("{} {} {}", part(0.5), part(0.99), part(0.999));
            }
            _ => unreachable!("{what}"),
        }
    }
}

struct Reader {
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    /// How long the opening took, and the first look, in ms.
    began_in: f64,
}

impl Reader {
    fn start(path: &Path) -> Reader {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .env(STORE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        let mut reader = Reader { process, to, from, began_in: 0.0 };
        reader.began_in = reader.hear().parse().unwrap();
        reader
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.to.as_mut().unwrap(), "{line}").unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        assert!(self.from.read_line(&mut line).unwrap() > 0, "a reader ended");
        line.trim().to_string()
    }

    /// A figure of the kernel's about its memory, in MiB.
    fn memory(&self, what: &str) -> f64 {
        let path = format!("/proc/{}/smaps_rollup", self.process.id());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        drop(self.to.take());
        let _ = self.process.wait();
    }
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Starts some readers, one after the other, and prints how long each took.
fn starts(name: &str, path: &Path, rounds: u64) {
    let mut all: Vec<f64> = (0..rounds).map(|_| Reader::start(path).began_in).collect();
    println!("start of a reader, {name}: {all:.1?} ms; median {:.1} ms", median(&mut all));
}

/// Writes to random keys until it is told to stop, at most so many in a second.
fn write_until(db: &Db, keys: u64, pace: Option<u64>, over: &AtomicBool) {
    let (mut numbers, begun, mut puts) = (Numbers(3), Instant::now(), 0u64);
    while !over.load(Ordering::Relaxed) {
        for _ in 0..100 {
            db.put(key(numbers.next(keys)), [8; 100]).unwrap();
        }
        puts += 100;
        if let Some(pace) = pace {
            let due = Duration::from_secs_f64(puts as f64 / pace as f64);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }
}

fn puts_per_second(db: &Db, keys: u64, lasts: Duration) -> f64 {
    let (mut numbers, begun, mut puts) = (Numbers(5), Instant::now(), 0u64);
    while begun.elapsed() < lasts {
        for _ in 0..1_000 {
            db.put(key(numbers.next(keys)), [9; 100]).unwrap();
        }
        puts += 1_000;
    }
    puts as f64 / begun.elapsed().as_secs_f64()
}

fn main() {
    let keys = number("FILEDB_BENCH_KEYS", 1_000_000);
    if let Ok(path) = std::env::var(STORE) {
        return read(&path, keys);
    }
    let (rounds, lasts) =
        (number("FILEDB_BENCH_ROUNDS", 5), Duration::from_secs(number("FILEDB_BENCH_SECONDS", 2)));
    let dir = tempfile::tempdir_in(std::env::var_os("FILEDB_BENCH_DIR").unwrap_or(".".into())).unwrap();
    let path = dir.path().join("store");
    let mut options = Options { sync: filedb::SyncMode::None, ..Options::default() };
    options.set("engine", &std::env::var("FILEDB_BENCH_ENGINE").unwrap_or("auto".into())).unwrap();
    let db = Db::open(&path, &options).unwrap();
    (0..keys).for_each(|n| db.put(key(n), [7; 100]).unwrap());
    println!("{keys} keys");

    let parts = std::env::var("FILEDB_BENCH_PARTS").ok();
    let is_asked = |part: &str| parts.as_ref().is_none_or(|parts| parts.split(',').any(|some| some == part));
    if is_asked("starts") {
        all_starts(&db, &path, keys, rounds);
    }
    db.close().unwrap();
    let db = Db::open(&path, &options).unwrap();
    db.put(key(0), [7; 100]).unwrap();
    if is_asked("starts") {
        starts("after the store was closed and opened again", &path, rounds);
    }
    if is_asked("memory") {
        memory_of_eight(&path, keys);
    }
    if is_asked("cost") {
        cost_of_idle_readers(&db, &path, keys, rounds, lasts);
    }
    if is_asked("gets") {
        gets(&db, &path, keys, rounds, lasts);
    }
    if is_asked("sight") {
        sight(&db, &path, rounds);
    }
}

fn all_starts(db: &Db, path: &Path, keys: u64, rounds: u64) {
    starts("of a store that was just filled", path, 1);
    std::thread::sleep(Duration::from_secs(5));
    starts("whose writer rests", path, rounds);
    for (name, pace) in
        [("whose writer puts 20,000 a second", Some(20_000)), ("beside a writer at full speed", None)]
    {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| write_until(db, keys, pace, &over));
            let first = Reader::start(path);
            println!("the first of them: {:.1} ms", first.began_in);
            std::thread::sleep(Duration::from_secs(3));
            starts(name, path, rounds);
            over.store(true, Ordering::Relaxed);
        });
    }
}

fn memory_of_eight(path: &Path, keys: u64) {
    let mut eight: Vec<Reader> = (0..8).map(|_| Reader::start(path)).collect();
    for reader in &mut eight {
        reader.tell("count 0");
        assert_eq!(reader.hear(), keys.to_string());
    }
    for (name, what) in [("of its own", "Private_Dirty"), ("with its part of what is shared", "Pss")] {
        let all: Vec<f64> = eight.iter().map(|reader| reader.memory(what)).collect();
        let sum: f64 = all.iter().sum();
        println!(
            "memory of eight readers, {name}: {all:.1?} MiB; {sum:.0} MiB together, {:.1} bytes a key and reader",
            sum * 131_072.0 / keys as f64
        );
    }
}

/// What idle readers cost the writer.
fn cost_of_idle_readers(db: &Db, path: &Path, keys: u64, rounds: u64, lasts: Duration) {
    let counts = [0, 1, 2, 8];
    let mut puts: [Vec<f64>; 4] = Default::default();
    puts_per_second(db, keys, lasts);
    for round in 0..rounds {
        for (count, puts) in counts.iter().zip(&mut puts) {
            let readers: Vec<Reader> = (0..*count).map(|_| Reader::start(path)).collect();
            puts.push(puts_per_second(db, keys, lasts));
            println!("round {round}, {count} idle readers: {:.0} puts a second", puts.last().unwrap());
            drop(readers);
        }
    }
    let alone = median(&mut puts[0]);
    for (count, puts) in counts.iter().zip(&mut puts) {
        let puts = median(puts);
        println!(
            "{count} idle readers: {puts:.0} puts a second, {:.1} % of those without",
            100.0 * puts / alone
        );
    }
}

fn gets(db: &Db, path: &Path, keys: u64, rounds: u64, lasts: Duration) {
    let (mut own, mut others) = (Vec::new(), Vec::new());
    let mut reader = Reader::start(path);
    for round in 0..rounds {
        own.push(gets_per_second(db, keys, lasts));
        reader.tell(&format!("get {}", lasts.as_secs().max(1)));
        others.push(reader.hear().parse().unwrap());
        println!(
            "round {round}: the writer {:.0} gets a second, a reader {:.0}",
            own[round as usize], others[round as usize]
        );
    }
    let (own, others) = (median(&mut own), median(&mut others));
    println!("gets: the writer {own:.0} a second, a reader {others:.0}, {:.1} %", 100.0 * others / own);
}

/// From the beginning of a put to when a reader sees it.
fn sight(db: &Db, path: &Path, rounds: u64) {
    let mut reader = Reader::start(path);
    for round in 0..rounds {
        reader.tell("watch 20000");
        assert_eq!(reader.hear(), "ready");
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let mut value = [0; 100];
                    value[..8].copy_from_slice(&now_ns().to_le_bytes());
                    db.put(WATCHED, value).unwrap();
                    let until = Instant::now() + Duration::from_micros(60);
                    while Instant::now() < until {
                        std::hint::spin_loop();
                    }
                }
            });
            println!("round {round}: from a put to when it is seen, p50, p99, p99.9: {} us", reader.hear());
            over.store(true, Ordering::Relaxed);
        });
    }
}
