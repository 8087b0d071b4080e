//! Whether a store grows with time: `cargo bench --bench soak -- --minutes 10 [--rate 20000] [--chart soak.svg]`.
//!
//! The number of keys and the sizes of their values stay the same, and so must all that the store takes: memory, disk, files,
//! descriptors, threads. Four threads write all the while: puts, a fifth of them with a time to live, deletes, batches, lists, values of 60 KB;
//! one gets, pins and scans; one walks so slowly that it is not done before the end. Merges run by themselves. A line tells what was
//! seen each time, a chart shows it at the end, and the program fails where the last third of the time was worse than the one before it.
//!
//! It does not measure speed: it writes at a rate that leaves the machine time for others, `--rate` operations a second. Without
//! `--minutes` it runs for some seconds, as a check that it still works, and judges nothing.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use filedb::{Batch, Db, Options, PutOptions};

const KEYS: u64 = 200_000;
const LARGE_KEYS: u64 = 200;
const LISTS: u64 = 1_000;
const LARGE: usize = 60_000;
const WRITERS: u64 = 4;
const EVERY: Duration = Duration::from_secs(10);
/// A shorter run says too little: until the fourth minute each key comes to be superseded once under the walk that is slow, and the files
/// in which the old versions stand are kept for that.
const JUDGED_FROM: Duration = Duration::from_secs(600);

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn key(kind: u8, n: u64) -> [u8; 16] {
    let mut key = [kind; 16];
    key[8..].copy_from_slice(&n.to_be_bytes());
    key
}

/// What all threads share.
struct Run<'a> {
    db: &'a Db,
    done: &'a AtomicBool,
    /// Operations so far.
    ops: &'a AtomicU64,
    /// Of all threads together, in a second.
    rate: u64,
}

impl Run<'_> {
    /// Calls `step` at `share` of the rate until the end.
    fn repeat(&self, share: f64, mut step: impl FnMut()) {
        let begun = Instant::now();
        for n in 1u64.. {
            step();
            self.ops.fetch_add(1, Ordering::Relaxed);
            let early = n as f64 / (self.rate as f64 * share) - begun.elapsed().as_secs_f64();
            if early > 0.001 {
                std::thread::sleep(Duration::from_secs_f64(early.min(1.0)));
            }
            if self.done.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    fn write(&self, writer: u64) {
        let (mut numbers, bytes) = (Numbers(writer), vec![writer as u8; LARGE]);
        let db = self.db;
        self.repeat(0.8 / WRITERS as f64, || {
            let of_key = key(b'k', numbers.below(KEYS));
            let ttl = Duration::from_millis(1 + numbers.below(20_000));
            let value = &bytes[..100 + numbers.below(900) as usize];
            match numbers.below(1_000) {
                0..600 => db.put(of_key, value).unwrap(),
                600..800 => {
                    let living = PutOptions { ttl: Some(ttl), ..PutOptions::default() };
                    assert!(db.put_with(of_key, value, &living).unwrap());
                }
                800..880 => drop(db.delete(of_key).unwrap()),
                880..900 => drop(db.expire(of_key, ttl).unwrap()),
                900..910 => drop(db.persist(of_key).unwrap()),
                910..930 => {
                    let mut batch = Batch::new();
                    for n in 0..20 {
                        let key = key(b'k', numbers.below(KEYS));
                        match n % 4 {
                            0 => batch.delete(key).unwrap(),
                            1 => batch.put_with_ttl(key, value, ttl).unwrap(),
                            _ => batch.put(key, value).unwrap(),
                        }
                    }
                    db.write(&batch).unwrap();
                }
                930..994 => {
                    let list = key(b'l', numbers.below(LISTS));
                    match numbers.below(32) {
                        0 => drop(db.delete(list).unwrap()),
                        1 => drop(db.expire(list, ttl / 4).unwrap()),
                        2..10 => drop(db.pop_front(list).unwrap()),
                        _ => drop(db.push_back(list, &value[..100]).unwrap()),
                    }
                }
                _ => db.put(key(b'v', numbers.below(LARGE_KEYS)), &bytes).unwrap(),
            }
        });
    }

    fn read(&self) {
        let (mut numbers, mut pins) = (Numbers(99), std::collections::VecDeque::new());
        self.repeat(0.2, || match numbers.below(10_000) {
            // About one a second.
            0..3 => {
                let mut walk = self.db.iter(if numbers.below(2) == 0 { "" } else { "kkkkkkkk" }).unwrap();
                let mut rows = 0u64;
                while walk.next_row().unwrap().is_some() {
                    rows += 1;
                }
                assert!(rows <= KEYS + LARGE_KEYS + LISTS);
            }
            3..103 => {
                pins.extend(self.db.get_pinned(key(b'k', numbers.below(KEYS))).unwrap());
                if pins.len() > 100 {
                    pins.pop_front();
                }
            }
            _ => drop(self.db.read(key(b'k', numbers.below(KEYS)), |value| value.len()).unwrap()),
        });
    }

    /// Walks through keys for as long as the run lasts: what others change meanwhile is kept for it.
    fn walk_slowly(&self) {
        while !self.done.load(Ordering::Relaxed) {
            let mut walk = self.db.iter(b"kkkkkkkk").unwrap();
            while walk.next_row().unwrap().is_some() && !self.done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// What is looked at: its name, its unit, and how much more of it the last third may have than the second, beside a tenth.
const FIGURES: [(&str, &str, f64); 8] = [
    ("anonymous memory", "MB", 2.0),
    ("index and side tables, by the store's count", "MB", 0.5),
    ("disk", "MB", 16.0),
    ("live", "MB", 8.0),
    ("files", "", 4.0),
    ("descriptors", "", 3.0),
    ("threads", "", 1.0),
    ("mappings", "", 16.0),
];

fn figures(db: &Db, dir: &Path) -> [f64; FIGURES.len()] {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let number = |name: &str| -> f64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    let (mut blocks, mut files) = (0, 0);
    for entry in fs::read_dir(dir).unwrap() {
        // A merge may have removed it by now.
        let Ok(metadata) = entry.and_then(|entry| entry.metadata()) else { continue };
        (blocks, files) = (blocks + metadata.blocks(), files + 1);
    }
    let stats = db.stats().unwrap();
    let mb = |bytes: u64| bytes as f64 / 1e6;
    [
        number("RssAnon:") * 1024.0 / 1e6,
        mb(stats.index_bytes),
        mb(blocks * 512),
        mb(stats.live_bytes),
        f64::from(files),
        fs::read_dir("/proc/self/fd").unwrap().count() as f64,
        number("Threads:"),
        fs::read_to_string("/proc/self/maps").unwrap().lines().count() as f64,
    ]
}

/// One moment of the run: seconds since its beginning, operations until then, and the figures.
struct Sample(f64, u64, [f64; FIGURES.len()]);

fn mean(samples: &[Sample], figure: usize) -> f64 {
    samples.iter().map(|sample| sample.2[figure]).sum::<f64>() / samples.len().max(1) as f64
}

/// What has grown from the second third of the time to the last.
fn grown(samples: &[Sample]) -> Vec<String> {
    let third = samples.len() / 3;
    let (middle, last) = (&samples[third..samples.len() - third], &samples[samples.len() - third..]);
    let mut grown = Vec::new();
    for (n, (name, unit, more)) in FIGURES.iter().enumerate() {
        let (before, now) = (mean(middle, n), mean(last, n));
        println!("{name}: {before:.1} {unit} in the second third of the time, {now:.1} {unit} in the last");
        if now > before * 1.1 + more {
            grown.push(format!("{name} grew with time: from {before:.1} {unit} to {now:.1} {unit}"));
        }
    }
    grown
}

/// A chart with a field for each figure.
fn chart(samples: &[Sample], rate: u64) -> String {
    const WIDTH: f64 = 460.0;
    const HEIGHT: f64 = 120.0;
    const ROW: f64 = HEIGHT + 50.0;
    let end = samples.last().map_or(1.0, |sample| sample.0);
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='1040' height='{}' font-family='sans-serif' font-size='12'>\n\
         <rect width='100%' height='100%' fill='white'/>\n<text x='40' y='24' font-size='15'>A store over {:.0} minutes: \
         {rate} operations/s on {KEYS} keys</text>\n",
        FIGURES.len() as f64 / 2.0 * ROW + 60.0,
        end / 60.0
    );
    for (n, (name, unit, _)) in FIGURES.iter().enumerate() {
        let (left, top) = (40.0 + (n % 2) as f64 * (WIDTH + 40.0), 60.0 + (n / 2) as f64 * ROW);
        let most = samples.iter().map(|sample| sample.2[n]).fold(0.0, f64::max);
        // From 0: what is flat looks flat.
        let scale = HEIGHT / if most > 0.0 { most * 1.1 } else { 1.0 };
        let line = samples.iter().map(|sample| {
            format!("{:.1},{:.1}", left + sample.0 / end * WIDTH, top + HEIGHT - sample.2[n] * scale)
        });
        let line = line.collect::<Vec<_>>().join(" ");
        writeln!(
            svg,
            "<text x='{left}' y='{}'>{name}: at most {most:.1} {unit}</text>\n<path d='M{left} {top}v{HEIGHT}h{WIDTH}' fill='none' \
             stroke='#888'/>\n<polyline points='{line}' fill='none' stroke='#06c' stroke-width='1.5'/>",
            top - 6.0
        )
        .unwrap();
    }
    svg + "</svg>\n"
}

fn argument<T: std::str::FromStr>(name: &str) -> Option<T> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).and_then(|text| text.parse().ok())
}

fn main() -> ExitCode {
    let minutes: Option<f64> = argument("--minutes");
    let time = Duration::from_secs_f64(minutes.unwrap_or(0.05) * 60.0);
    let rate = argument("--rate").unwrap_or(20_000);
    let place = std::env::var_os("FILEDB_BENCH_DIR").unwrap_or(".".into());
    let dir = tempfile::tempdir_in(place).unwrap();
    let path = dir.path().join("soak");
    let db = Db::open(&path, &Options::default()).unwrap();
    let (done, ops, begun) = (AtomicBool::new(false), AtomicU64::new(0), Instant::now());
    let mut samples = Vec::new();
    let run = &Run { db: &db, done: &done, ops: &ops, rate };
    std::thread::scope(|scope| {
        (0..WRITERS).for_each(|writer| drop(scope.spawn(move || run.write(writer))));
        scope.spawn(|| run.read());
        scope.spawn(|| run.walk_slowly());
        while begun.elapsed() < time {
            std::thread::sleep(EVERY.min(time / 10));
            let sample =
                Sample(begun.elapsed().as_secs_f64(), ops.load(Ordering::Relaxed), figures(&db, &path));
            print!("{:.0} s, {} operations", sample.0, sample.1);
            for ((name, unit, _), value) in FIGURES.iter().zip(sample.2) {
                print!("; {name} {value:.1} {unit}");
            }
            println!();
            samples.push(sample);
        }
        done.store(true, Ordering::Relaxed);
    });
    db.close().unwrap();
    if let Some(place) = argument::<String>("--chart") {
        fs::write(place, chart(&samples, rate)).unwrap();
    }
    let grown = grown(&samples);
    if time < JUDGED_FROM {
        return ExitCode::SUCCESS;
    }
    grown.iter().for_each(|what| println!("{what}"));
    if grown.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
