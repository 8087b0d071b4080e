//! Processes that read a store while others write it, kill it, close it, open it again and merge it.
//!
//! This program runs itself as the writer and as the readers. What each key may hold is in memory that all of them share: before a write
//! its version is noted as begun, after it as done. A read that begins when version 7 is done, and ends when 9 is begun, must give one of
//! 7, 8 and 9, and nothing older than the reader saw before.
//!
//! `FILEDB_TEST_LIVE_SECONDS=n` sets how long each of the runs takes.

#![allow(clippy::unwrap_used)] // what fails fails the test

mod support;

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use filedb::disk::sim::Random;
use filedb::{Batch, Db, Error, Options, PutOptions};

use support::runner::env_number;

/// The environment variable that makes this program a writer or a reader.
const TASK: &str = "FILEDB_TEST_LIVE";

/// Keys of each kind: written one by one; all in one batch; with a time to live; lists.
const SINGLE: usize = 400;
const BATCHED: usize = 24;
const EXPIRING: usize = 40;
const LISTS: usize = 6;
const THREADS: usize = 2;
/// Every so often a version of a single key is a delete.
const DELETED_EVERY: u64 = 11;

// What is shared.

/// Where the words of each kind begin; two for each key.
const AT_SINGLE: usize = 64;
const AT_BATCH: usize = AT_SINGLE + 2 * SINGLE;
const AT_EXPIRING: usize = AT_BATCH + 2;
const AT_LISTS: usize = AT_EXPIRING + 2 * EXPIRING;
const WORDS: usize = AT_LISTS + 4 * LISTS;

/// All are to end.
const STOP: usize = 0;
/// How many writes were made, and how many reads.
const WRITES: usize = 1;
const READS: usize = 2;
/// How many times a reader made its index anew, which says so in an event.
const ANEW: usize = 3;
/// There are no lists, and the writer writes checkpoints all the time.
const WITHOUT_LISTS: usize = 4;
/// How many times a reader began at one.
const AT_CHECKPOINT: usize = 5;

/// Memory that all processes of a run share.
struct Shared {
    words: *const AtomicU64,
}

// SAFETY: the words are atomic, and are never unmapped.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn open(path: &Path) -> Shared {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        let size = WORDS * 8;
        file.set_len(size as u64).unwrap();
        // SAFETY: a new mapping of a file that is as long.
        let words = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        assert!(words != libc::MAP_FAILED);
        Shared { words: words.cast() }
    }

    fn word(&self, n: usize) -> &AtomicU64 {
        assert!(n < WORDS);
        // SAFETY: so many are mapped.
        unsafe { &*self.words.add(n) }
    }

    fn get(&self, n: usize) -> u64 {
        self.word(n).load(Ordering::SeqCst)
    }

    fn set(&self, n: usize, value: u64) {
        self.word(n).store(value, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        self.get(STOP) != 0
    }
}

/// The versions that a read may give: from the last that was done before it to the last that was begun when it ended.
#[derive(Clone, Copy, Debug)]
struct Allowed {
    done: u64,
    begun: u64,
}

/// Where the word is of what was begun; that of what was done is behind it.
fn begin(shared: &Shared, at: usize) -> u64 {
    let version = shared.get(at).max(shared.get(at + 1)) + 1;
    shared.set(at, version);
    version
}

fn end(shared: &Shared, at: usize, version: u64) {
    shared.set(at + 1, version);
    shared.word(WRITES).fetch_add(1, Ordering::Relaxed);
}

/// The value of a version: its number, the key, and as many bytes as the number says.
fn value(key: &str, version: u64) -> Vec<u8> {
    let len = match version % 97 {
        0 => 20_000,
        1 => 5_000,
        n => n * 7,
    };
    let mut value = format!("{version} {key} ").into_bytes();
    value.resize(value.len() + len as usize, b'0' + (version % 10) as u8);
    value
}

/// The version of a value, all of which is looked at.
fn version_of(key: &str, bytes: &[u8]) -> u64 {
    let number = bytes.split(|byte| *byte == b' ').next().unwrap();
    let version: u64 = std::str::from_utf8(number).unwrap().parse().expect("a value begins with its version");
    assert!(bytes == value(key, version), "a value of version {version} of {key} is another one");
    version
}

fn is_delete(version: u64) -> bool {
    version.is_multiple_of(DELETED_EVERY)
}

fn single(n: usize) -> String {
    format!("single {n}")
}

fn batched(n: usize) -> String {
    format!("batch {n}")
}

fn expiring(n: usize) -> String {
    format!("expiring {n}")
}

fn list(n: usize) -> String {
    format!("list {n}")
}

/// So long lives a version of a key that expires: not at all, some milliseconds, or for ever.
fn life(version: u64) -> Option<Duration> {
    match version % 4 {
        0 => Some(Duration::ZERO),
        1 => Some(Duration::from_millis(version % 40)),
        _ => None,
    }
}

// The processes.

#[test]
fn the_process_that_writes_or_reads() {
    let Ok(task) = std::env::var(TASK) else { return };
    let parts: Vec<&str> = task.split('|').collect();
    let [role, path, shared, seed, engine, io, sync] = parts[..] else { panic!("the task has seven parts") };
    let shared = Shared::open(Path::new(shared));
    let seed: u64 = seed.parse().unwrap();
    match role {
        "writer" => write(Path::new(path), &shared, seed, &writing(engine, io, sync)),
        _ => read(Path::new(path), &shared, seed, io),
    }
}

fn writing(engine: &str, io: &str, sync: &str) -> Options {
    let mut options = Options {
        max_file_size: 256 << 10,
        merge_interval_ms: 20,
        lsm_memory: 1 << 20,
        ..Options::default()
    };
    options.set("engine", engine).unwrap();
    options.set("io", io).unwrap();
    options.set("sync", sync).unwrap();
    options
}

fn write(path: &Path, shared: &Shared, seed: u64, writing: &Options) {
    let db = Db::open(path, writing).expect("the writer opens the store");
    // Some close the store by themselves before they are killed.
    let leaves = Instant::now() + Duration::from_millis(20 + seed % 400);
    let goes_on = || !shared.is_over() && (!seed.is_multiple_of(3) || Instant::now() < leaves);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (db, goes_on) = (&db, &goes_on);
            scope.spawn(move || {
                let mut random = Random::new(seed ^ (thread as u64) << 40);
                while goes_on() {
                    write_one(db, shared, thread, &mut random);
                }
            });
        }
        if seed.is_multiple_of(2) {
            while goes_on() {
                db.merge().expect("merging");
                // Not all the time: readers need the processor too.
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    });
    db.close().expect("the writer closes the store");
}

/// A number below `most` that belongs to a thread.
fn own(random: &mut Random, thread: usize, most: usize) -> usize {
    random.below((most / THREADS) as u64) as usize * THREADS + thread
}

fn write_one(db: &Db, shared: &Shared, thread: usize, random: &mut Random) {
    match random.below(100) {
        0..70 => {
            let n = own(random, thread, SINGLE);
            let (key, at) = (single(n), AT_SINGLE + 2 * n);
            let version = begin(shared, at);
            if is_delete(version) {
                db.delete(&key).expect("deleting");
            } else {
                db.put(&key, value(&key, version)).expect("putting");
            }
            end(shared, at, version);
        }
        70..78 if thread == 0 => {
            let version = begin(shared, AT_BATCH);
            let mut batch = Batch::new();
            for n in 0..BATCHED {
                let key = batched(n);
                batch.put(&key, value(&key, version)).expect("a small batch");
            }
            db.write(&batch).expect("writing a batch");
            end(shared, AT_BATCH, version);
        }
        78..90 => {
            let n = own(random, thread, EXPIRING);
            let (key, at) = (expiring(n), AT_EXPIRING + 2 * n);
            let version = begin(shared, at);
            let how = PutOptions { ttl: life(version), ..PutOptions::default() };
            db.put_with(&key, value(&key, version), &how).expect("putting");
            end(shared, at, version);
        }
        _ if shared.get(WITHOUT_LISTS) != 0 => {
            if random.one_in(10) {
                db.write_checkpoint().expect("writing a checkpoint");
            }
        }
        _ => {
            // A list holds the numbers from the last that was taken out to the last that was put in.
            let n = own(random, thread, LISTS);
            let (key, pushed, popped) = (list(n), AT_LISTS + 4 * n, AT_LISTS + 4 * n + 2);
            let (first, last) = held(db, &key);
            if last - first < 20 + random.below(20) {
                shared.set(pushed, last + 1);
                db.push_back(&key, (last + 1).to_string()).expect("pushing");
                end(shared, pushed, last + 1);
            } else {
                shared.set(popped, first + 1);
                db.pop_front(&key).expect("popping");
                end(shared, popped, first + 1);
            }
        }
    }
}

/// The number behind which a list begins, and the last in it. The list is never empty once it has a number.
fn held(db: &Db, key: &str) -> (u64, u64) {
    let number = |index| {
        let value = db.list_get(key, index).expect("looking at a list");
        value.map(|value| String::from_utf8(value).unwrap().parse::<u64>().unwrap())
    };
    match (number(0), number(-1)) {
        (Some(first), Some(last)) => (first - 1, last),
        _ => (0, 0),
    }
}

/// What a reader has seen of each key: it sees nothing older any more.
struct Seen {
    single: Vec<u64>,
    batch: u64,
    expiring: Vec<u64>,
}

fn read(path: &Path, shared: &Shared, seed: u64, io: &str) {
    let mut options = Options { read_only: true, live: true, ..Options::default() };
    options.set("io", io).unwrap();
    options.set("log_level", "info").unwrap();
    // SAFETY is not needed here: the words are mapped as long as the process lives.
    let words = Shared { words: shared.words };
    options.log = filedb::LogSink::new(move |_, message| {
        for (part, at) in [("made anew", ANEW), ("from its checkpoint", AT_CHECKPOINT)] {
            if message.contains(part) {
                words.word(at).fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let open = || loop {
        match Db::open(path, &options) {
            Ok(db) => return Some(db),
            Err(Error::Missing { .. }) if !shared.is_over() => std::thread::sleep(Duration::from_millis(1)),
            Err(Error::Missing { .. }) => return None,
            Err(error) => panic!("a reader cannot open the store: {error}"),
        }
    };
    let Some(mut db) = open() else { return };
    let mut random = Random::new(seed);
    let mut seen = Seen { single: vec![0; SINGLE], batch: 0, expiring: vec![0; EXPIRING] };
    while !shared.is_over() {
        read_one(&db, shared, &mut random, &mut seen);
        shared.word(READS).fetch_add(1, Ordering::Relaxed);
        if random.one_in(if shared.get(WITHOUT_LISTS) == 0 { 20_000 } else { 2_000 }) {
            assert_eq!(db.recount(), Ok(()));
            drop(db);
            db = open().expect("the store is there");
        }
    }
    assert_eq!(db.recount(), Ok(()));
    db.close().expect("a reader closes the store");
}

/// Reads a key between two looks at what is allowed.
fn between<R>(shared: &Shared, at: usize, read: impl FnOnce() -> R) -> (Allowed, R) {
    let done = shared.get(at + 1);
    let read = read();
    (Allowed { done, begun: shared.get(at).max(done) }, read)
}

/// Checks what a key was seen to have, and notes that it is seen.
fn check(
    what: &str,
    allowed: Allowed,
    version: Option<u64>,
    may_be_absent: impl Fn(u64) -> bool,
    seen: &mut u64,
) {
    let least = allowed.done.max(*seen);
    match version {
        Some(version) => {
            assert!(
                (least..=allowed.begun).contains(&version),
                "{what}: version {version}, of {allowed:?}, {seen} was seen before"
            );
            *seen = version;
        }
        None => {
            let absent = (least..=allowed.begun).find(|version| *version == 0 || may_be_absent(*version));
            *seen =
                absent.unwrap_or_else(|| panic!("{what} is not there: {allowed:?}, {seen} was seen before"));
        }
    }
}

fn read_one(db: &Db, shared: &Shared, random: &mut Random, seen: &mut Seen) {
    match random.below(1_000) {
        0..700 => {
            let n = random.below(SINGLE as u64) as usize;
            let key = single(n);
            let (allowed, read) = between(shared, AT_SINGLE + 2 * n, || db.get(&key).expect("reading"));
            let version = read.map(|bytes| version_of(&key, &bytes));
            check(&key, allowed, version, is_delete, &mut seen.single[n]);
        }
        700..800 => {
            let n = random.below(EXPIRING as u64) as usize;
            let key = expiring(n);
            let (allowed, read) = between(shared, AT_EXPIRING + 2 * n, || db.get(&key).expect("reading"));
            let version = read.map(|bytes| version_of(&key, &bytes));
            assert!(version.is_none_or(|version| version % 4 != 0), "{key} had expired when it was written");
            check(&key, allowed, version, |version| life(version).is_some(), &mut seen.expiring[n]);
        }
        800..900 => {
            let n = random.below(BATCHED as u64) as usize;
            let key = batched(n);
            let (allowed, read) = between(shared, AT_BATCH, || db.get(&key).expect("reading"));
            let version = read.map(|bytes| version_of(&key, &bytes));
            // One by one the keys of a batch may come one after the other: what was seen of another says nothing.
            check(&key, allowed, version, |_| false, &mut 0);
        }
        900..960 => {
            let n = random.below(LISTS as u64) as usize;
            let (pushed, popped) = (AT_LISTS + 4 * n, AT_LISTS + 4 * n + 2);
            let (pushed_before, popped_before) = (shared.get(pushed + 1), shared.get(popped + 1));
            let values = db.list_range(list(n), 0, -1).expect("reading a list");
            let numbers: Vec<u64> = values
                .iter()
                .flat_map(|values| {
                    values.iter().map(|value| std::str::from_utf8(value).unwrap().parse().unwrap())
                })
                .collect();
            let pushed = (pushed_before, shared.get(pushed));
            let popped = (popped_before, shared.get(popped).max(popped_before));
            assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "list {n} has {numbers:?}");
            let (first, last) = match (numbers.first(), numbers.last()) {
                (Some(first), Some(last)) => (first - 1, *last),
                _ => (0, 0),
            };
            assert!(
                pushed.0 <= last && last <= pushed.1.max(pushed.0),
                "list {n} ends with {last}: {pushed:?}"
            );
            assert!(popped.0 <= first && first <= popped.1, "list {n} begins behind {first}: {popped:?}");
        }
        960..990 => {
            // A walk sees batches whole.
            let (allowed, walk) = between(shared, AT_BATCH, || db.iter("batch").expect("a walk"));
            let mut versions = Vec::new();
            let mut walk = walk;
            walk.visit_rows(|key, bytes| {
                versions.push(version_of(std::str::from_utf8(key).unwrap(), bytes));
                true
            })
            .expect("walking");
            if versions.is_empty() {
                return check("the batch", allowed, None, |_| false, &mut seen.batch);
            }
            assert!(
                versions.len() == BATCHED && versions.iter().all(|it| *it == versions[0]),
                "{versions:?}"
            );
            check("the batch", allowed, Some(versions[0]), |_| false, &mut seen.batch);
        }
        _ => {
            // And all keys of one moment.
            let done: Vec<u64> = (0..SINGLE).map(|n| shared.get(AT_SINGLE + 2 * n + 1)).collect();
            let mut walk = db.iter("single").expect("a walk");
            let begun: Vec<u64> = (0..SINGLE).map(|n| shared.get(AT_SINGLE + 2 * n)).collect();
            let mut versions = vec![None; SINGLE];
            walk.visit_rows(|key, bytes| {
                let key = std::str::from_utf8(key).unwrap();
                let n: usize = key.trim_start_matches("single ").parse().unwrap();
                assert!(versions[n].replace(version_of(key, bytes)).is_none(), "{key} is shown twice");
                true
            })
            .expect("walking");
            for n in 0..SINGLE {
                let allowed = Allowed { done: done[n], begun: begun[n].max(done[n]) };
                check(&single(n), allowed, versions[n], is_delete, &mut seen.single[n]);
            }
        }
    }
}

// The run.

struct Run {
    home: tempfile::TempDir,
    shared: Shared,
    engine: &'static str,
}

impl Run {
    fn start(&self, role: &str, seed: u64, io: &str, sync: &str) -> Process {
        let task = format!(
            "{role}|{}|{}|{seed}|{}|{io}|{sync}",
            self.store().display(),
            self.home.path().join("shared").display(),
            self.engine
        );
        let process = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "the_process_that_writes_or_reads", "--nocapture", "--test-threads=1"])
            .env(TASK, task)
            .stdout(Stdio::null())
            .spawn()
            .expect("starting a process");
        Process(process)
    }

    fn store(&self) -> PathBuf {
        self.home.path().join("store")
    }
}

/// A process that does not outlive the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn signal(process: &Process, signal: libc::c_int) {
    // SAFETY: it is a child that was not waited for.
    assert_eq!(unsafe { libc::kill(process.0.id() as libc::pid_t, signal) }, 0);
}

/// Lets writers come and go beside so many readers, some of which are stopped for a while.
fn run(readers: usize, writers_io: &str, readers_io: &[&str], sync: &str) {
    for engine in ["bitcask", "lsm"] {
        run_with(engine, readers, writers_io, readers_io, sync, true);
    }
}

fn run_with(
    engine: &'static str,
    readers: usize,
    writers_io: &str,
    readers_io: &[&str],
    sync: &str,
    with_lists: bool,
) {
    let home = tempfile::tempdir().unwrap();
    let shared = Shared::open(&home.path().join("shared"));
    shared.set(WITHOUT_LISTS, u64::from(!with_lists));
    let run = Run { home, shared, engine };
    let seed = support::runner::seeds(1).next().expect("a seed");
    let mut random = Random::new(seed);
    let lasts = Duration::from_secs(env_number("FILEDB_TEST_LIVE_SECONDS").unwrap_or(4));
    // The readers come first, and find no store.
    let mut reading: Vec<Process> = (0..readers)
        .map(|n| run.start("reader", seed + n as u64, readers_io[n % readers_io.len()], sync))
        .collect();
    let (begun, mut lives, mut stopped): (_, u64, Option<usize>) = (Instant::now(), 0, None);
    while begun.elapsed() < lasts {
        lives += 1;
        let mut writer = run.start("writer", random.number() >> 8, writers_io, sync);
        let until = Instant::now() + Duration::from_millis(50 + random.below(900));
        let mut left = false;
        while Instant::now() < until && !left {
            std::thread::sleep(Duration::from_millis(5));
            if let Some(status) = writer.0.try_wait().unwrap() {
                assert!(status.success(), "a writer failed: {status} (seed {seed})");
                left = true;
            }
            for reader in &mut reading {
                assert!(reader.0.try_wait().unwrap().is_none(), "a reader ended (seed {seed})");
            }
        }
        if !left {
            writer.0.kill().unwrap();
            writer.0.wait().unwrap();
        }
        // One reader sleeps over the next life of the writer.
        if let Some(asleep) = stopped.take() {
            signal(&reading[asleep], libc::SIGCONT);
        } else if random.one_in(2) {
            let asleep = random.below(readers as u64) as usize;
            signal(&reading[asleep], libc::SIGSTOP);
            stopped = Some(asleep);
        }
    }
    if let Some(asleep) = stopped {
        signal(&reading[asleep], libc::SIGCONT);
    }
    // All that is there is read once more, without a writer.
    std::thread::sleep(Duration::from_millis(100));
    run.shared.set(STOP, 1);
    for reader in &mut reading {
        let status = reader.0.wait().unwrap();
        assert!(status.success(), "a reader failed: {status} (seed {seed})");
    }
    let figures = [WRITES, READS, ANEW, AT_CHECKPOINT].map(|n| run.shared.get(n));
    println!(
        "{engine}, {readers} readers: {lives} writers, {} writes, {} reads, {} indexes made anew, {} taken from checkpoints",
        figures[0], figures[1], figures[2], figures[3]
    );
    assert!(figures[0] > 100 && figures[1] > 100, "{figures:?}");
    assert!(with_lists || figures[3] > 0, "{figures:?}");
}

#[test]
fn one_reader_sees_the_current_value_of_each_key() {
    run(1, "mmap", &["mmap"], "none");
}

#[test]
fn two_readers_see_what_a_writer_without_mappings_writes() {
    run(2, "pread", &["mmap", "pread"], "interval");
}

#[test]
fn eight_readers_see_the_current_value_of_each_key() {
    run(8, "mmap", &["mmap", "mmap", "pread"], "none");
}

#[test]
fn readers_that_begin_at_checkpoints_see_the_current_value_of_each_key() {
    // Only the default engine has them.
    run_with("bitcask", 3, "mmap", &["mmap", "pread"], "none", false);
}

#[test]
fn readers_see_what_is_synced_with_each_write() {
    run(2, "mmap", &["mmap", "pread"], "always");
}
