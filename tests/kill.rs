//! A real process is killed with SIGKILL at random moments, hundreds of times: no completed write may be lost, no value
//! may be wrong, and the store must open at once.
//!
//! This program runs itself as the writer. The writer's threads do what their seed says and report each completed
//! operation through a socket, unbuffered. The oracle lives here, in the parent, and knows the seed: what was reported
//! is done, the one operation after it may be, all of it, and nothing else is. Batches, keys that expire and merges are among
//! them, and merges that the store starts by itself.
//!
//! `FILEDB_TEST_KILLS=n` sets the number of kills in each test.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use filedb::disk::sim::Random;
use filedb::{Db, Options, PutOptions, Ttl};

use support::clock::Span;
use support::history::{Op, Reader, Value, Write, key};
use support::oracle::{Held, State, is_held, matches, name, name_bytes, name_of};
use support::runner::{env_number, seeds};
use support::store::{Answer, apply, copy_directory};

/// The environment variable that makes this program a writer.
const WRITER: &str = "FILEDB_TEST_WRITER";
/// Each thread has keys of its own.
const KEYS_PER_THREAD: u8 = 12;
const MAX_THREADS: u8 = 4;
/// A thread and the number of the operation that it has completed.
const MESSAGE: usize = 8;

/// One run of the writer.
#[derive(Clone, Copy)]
struct Round {
    /// Counts the runs on one store, so that all versions are different.
    number: u32,
    seed: u64,
    threads: u8,
    max_file_size: u64,
}

/// Keys expire at once or after this time, which no test takes: so nothing depends on how fast anything is.
const LONG: u64 = 6 * 3_600_000;

/// What one thread of the writer does, from its seed alone.
struct Steps {
    random: Random,
    thread: u8,
    next: u32,
    first_version: u32,
}

impl Steps {
    fn new(round: Round, thread: u8) -> Self {
        let random = Random::new(round.seed ^ u64::from(thread) << 32);
        Steps { random, thread, next: 0, first_version: round.number << 20 }
    }
}

impl Steps {
    fn key(&mut self) -> u8 {
        self.thread * KEYS_PER_THREAD + self.random.below(u64::from(KEYS_PER_THREAD)) as u8
    }

    fn value(&mut self) -> Value {
        let random = &mut self.random;
        let len = match random.below(60) {
            // More at once than a recovery reads in one piece.
            0 if random.below(8) == 0 => 1_100_000 + random.below(1_500_000),
            0 => 60_000 + random.below(100_000),
            1..4 => 4_000 + random.below(3_000),
            4..10 => random.below(6),
            _ => random.below(300),
        };
        Value { version: self.first_version + self.next, len: len as u32 }
    }

    fn ttl(&mut self) -> u64 {
        if self.random.one_in(3) { 0 } else { LONG }
    }

    fn batch(&mut self) -> Op {
        let mut writes = BTreeMap::new();
        for _ in 0..2 + self.random.below(6) {
            let value = if self.random.one_in(4) { None } else { Some(self.value()) };
            let ttl_ms = if value.is_some() && self.random.one_in(4) { Some(self.ttl()) } else { None };
            let key = self.key();
            writes.insert(key, Write { key, value, ttl_ms });
        }
        Op::Batch { writes: writes.into_values().collect() }
    }
}

impl Iterator for Steps {
    type Item = Op;

    fn next(&mut self) -> Option<Op> {
        self.next += 1;
        Some(match self.random.below(240) {
            0..140 => Op::Put { key: self.key(), value: self.value() },
            140..162 => Op::Delete { key: self.key() },
            162..182 => self.batch(),
            182..197 => Op::Get { key: self.key(), reader: Reader::Get },
            197..199 => Op::Sync,
            199..200 => Op::Merge,
            200..224 => {
                let how =
                    PutOptions { ttl: Some(Duration::from_millis(self.ttl())), ..PutOptions::default() };
                Op::PutWith { key: self.key(), value: self.value(), how }
            }
            224..232 => Op::Expire { key: self.key(), ttl_ms: self.ttl() },
            _ => Op::Persist { key: self.key() },
        })
    }
}

fn options(sync: &str, io: &str, max_file_size: u64) -> Options {
    let mut options = Options { max_file_size, sync_interval_ms: 3, ..Options::default() };
    options.set("sync", sync).expect("a sync mode");
    // A mode of the ordered engine has its name in front.
    let (engine, io) = io.split_once('-').unwrap_or(("auto", io));
    options.set("engine", engine).expect("an engine");
    options.set("lsm_memory", "64KiB").expect("a size");
    options.set("io", io).expect("an io mode");
    options
}

// The writer.

#[test]
fn the_writer_that_is_killed() {
    let Ok(task) = std::env::var(WRITER) else { return };
    let task: Vec<&str> = task.split('|').collect();
    let [path, sync, io, number, seed, threads, max_file_size] = task[..] else {
        panic!("the task has seven parts")
    };
    let number_of = |text: &str| text.parse::<u64>().expect("a number");
    let round = Round {
        number: number_of(number) as u32,
        seed: number_of(seed),
        threads: number_of(threads) as u8,
        max_file_size: number_of(max_file_size),
    };
    let db = Db::open(path, &options(sync, io, round.max_file_size)).expect("the writer opens the store");
    // Standard input is one end of a socket, and the parent listens at the other.
    let parent = std::io::stdin().as_fd().try_clone_to_owned().expect("the socket");
    let parent = Mutex::new(UnixStream::from(parent));
    std::thread::scope(|scope| {
        for thread in 0..round.threads {
            let (db, parent) = (&db, &parent);
            scope.spawn(move || write(db, round, thread, parent));
        }
    });
}

fn write(db: &Db, round: Round, thread: u8, parent: &Mutex<UnixStream>) {
    let mut mine = Contents::new();
    let mut known = BTreeSet::new();
    for (op, done) in Steps::new(round, thread).zip(1u32..) {
        let answer = apply(db, &op).expect("the operation succeeds");
        if let (Op::Get { key, .. }, Answer::Value(held)) = (&op, answer)
            && known.contains(key)
        {
            let value = mine.get(key).map(|state| state.value);
            assert!(is_held(*key, held.as_ref(), value), "key #{key} holds {}", name_bytes(held.as_ref()));
        }
        // What the lives before wrote only the parent knows.
        known.extend(written(&op, &mine).into_iter().map(|(key, _)| key));
        set_all(&mut mine, &op);
        let mut message = [0; MESSAGE];
        message[..4].copy_from_slice(&u32::from(thread).to_le_bytes());
        message[4..].copy_from_slice(&done.to_le_bytes());
        parent.lock().expect("no thread panics").write_all(&message).expect("telling the parent");
    }
}

// The parent.

struct Writer {
    process: Child,
    reports: UnixStream,
    /// For each thread, how many operations it has completed.
    completed: BTreeMap<u8, u32>,
}

impl Writer {
    fn start(path: &Path, sync: &str, io: &str, round: Round) -> Writer {
        let (mine, its) = UnixStream::pair().expect("a pair of sockets");
        let Round { number, seed, threads, max_file_size } = round;
        let task = format!("{}|{sync}|{io}|{number}|{seed}|{threads}|{max_file_size}", path.display());
        let process = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "the_writer_that_is_killed", "--nocapture", "--test-threads=1"])
            .env(WRITER, task)
            .stdin(Stdio::from(OwnedFd::from(its)))
            .stdout(Stdio::null())
            .spawn()
            .expect("starting the writer");
        Writer { process, reports: mine, completed: BTreeMap::new() }
    }

    /// Waits for this many reports. False where the writer is gone.
    fn listen(&mut self, reports: u64) -> bool {
        (0..reports).all(|_| self.listen_once())
    }

    fn listen_once(&mut self) -> bool {
        let mut message = [0; MESSAGE];
        if self.reports.read_exact(&mut message).is_err() {
            return false;
        }
        let (thread, done) = message.split_at(4);
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        let before = self.completed.insert(number(thread) as u8, number(done)).unwrap_or(0);
        assert_eq!(before + 1, number(done), "reports come in order");
        true
    }

    /// Kills it and hears what it had still reported.
    fn kill(mut self) -> BTreeMap<u8, u32> {
        self.process.kill().expect("killing the writer");
        let status = self.process.wait().expect("waiting for the writer");
        assert_eq!(status.code(), None, "the writer ended by itself: {status}");
        while self.listen_once() {}
        self.completed
    }
}

/// For each key what it must hold, after all kills so far.
type Contents = BTreeMap<u8, State>;

/// What an operation makes of the keys that it changes, where they have expired or live long.
fn written(op: &Op, before: &Contents) -> Vec<(u8, Option<State>)> {
    let state = |value: Option<Value>, ttl_ms: Option<u64>| {
        let expires = ttl_ms.map(|_| Span { earliest: 1, latest: LONG });
        value.filter(|_| ttl_ms != Some(0)).map(|value| State { value, expires })
    };
    match op {
        Op::Put { key, value } => vec![(*key, state(Some(*value), None))],
        Op::PutWith { key, value, how } => {
            vec![(*key, state(Some(*value), how.ttl.map(|life| life.as_millis() as u64)))]
        }
        Op::Delete { key } => vec![(*key, None)],
        Op::Batch { writes } => writes.iter().map(|it| (it.key, state(it.value, it.ttl_ms))).collect(),
        Op::Expire { key, ttl_ms } => {
            before.get(key).map(|old| (*key, state(Some(old.value), Some(*ttl_ms)))).into_iter().collect()
        }
        Op::Persist { key } => {
            before.get(key).map(|old| (*key, state(Some(old.value), None))).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn set_all(contents: &mut Contents, op: &Op) {
    for (key, state) in written(op, contents) {
        match state {
            Some(state) => contents.insert(key, state),
            None => contents.remove(&key),
        };
    }
}

fn held(db: &Db, index: u8) -> Result<Option<Held>, String> {
    let failed = |error: filedb::Error| format!("reading key #{index}: {error}");
    let ttl_ms = match db.ttl(key(index)).map_err(failed)? {
        Some(Ttl::Left(left)) => Some(left.as_millis() as u64),
        _ => None,
    };
    Ok(db.get(key(index)).map_err(failed)?.map(|bytes| Held { bytes, ttl_ms }))
}

/// What each thread may have left: its completed operations, or those and the next.
fn check(
    db: &Db,
    contents: &mut Contents,
    round: Round,
    completed: &BTreeMap<u8, u32>,
) -> Result<(), String> {
    // A moment at which nothing that lives long has expired.
    let now = Span::at(0);
    for thread in 0..round.threads {
        let done = completed.get(&thread).copied().unwrap_or(0);
        let mut steps = Steps::new(round, thread);
        steps.by_ref().take(done as usize).for_each(|op| set_all(contents, &op));
        // The operation that was under way is done, all of it, or not; what the store says holds from now on.
        if let Some(op) = steps.next() {
            let mut all_done = true;
            for (index, state) in written(&op, contents) {
                all_done &= matches(index, held(db, index)?.as_ref(), state, now);
            }
            if all_done {
                set_all(contents, &op);
            }
        }
    }
    for index in 0..MAX_THREADS * KEYS_PER_THREAD {
        let held = held(db, index)?;
        let state = contents.get(&index).copied();
        if !matches(index, held.as_ref(), state, now) {
            let (held, state) = (name(held.as_ref()), name_of(state));
            return Err(format!("key #{index} holds {held}, not {state}; completed were {completed:?}"));
        }
    }
    match db.count() {
        Ok(count) if count == contents.len() as u64 => db.recount(),
        Ok(count) => Err(format!("count says {count}, {} keys are there", contents.len())),
        Err(error) => Err(error.to_string()),
    }
}

fn kill_many_times(sync: &str, io: &str) {
    let kills = env_number("FILEDB_TEST_KILLS").unwrap_or(40) as u32;
    let seed = seeds(1).start;
    let mut random = Random::new(seed);
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = home.path().join("store");
    let mut contents = Contents::new();
    for number in 1..=kills {
        let round = Round {
            number,
            seed: random.number(),
            threads: if random.one_in(2) { 1 } else { 2 + random.below(u64::from(MAX_THREADS) - 1) as u8 },
            max_file_size: [2 << 10, 16 << 10, 1 << 20, 8 << 20][random.below(4) as usize],
        };
        let mut writer = Writer::start(&path, sync, io, round);
        if random.one_in(4) {
            // While it is starting, recovering, or has just begun.
            std::thread::sleep(Duration::from_micros(random.below(15_000)));
        } else {
            let most = if sync == "always" { 60 } else { 1_500 };
            let listened = writer.listen(random.below(most));
            assert!(listened, "the writer went away by itself; FILEDB_TEST_SEED={seed}, kill {number}");
            std::thread::sleep(Duration::from_micros(random.below(700)));
        }
        let completed = writer.kill();
        // Half of the time the store is looked at where it is, and closed; otherwise a copy is, and the next writer
        // finds what the kill left.
        let look_at: PathBuf = if random.one_in(2) { path.clone() } else { home.path().join("copy") };
        if look_at != path && path.exists() {
            copy_directory(&path, &look_at);
        }
        let other_io = match io {
            "mmap" => "pread",
            "pread" => "mmap",
            "lsm-mmap" => "lsm-pread",
            _ => "lsm-mmap",
        };
        let opened = Db::open(&look_at, &options(sync, other_io, round.max_file_size));
        let outcome = opened.map_err(|error| format!("opening: {error}")).and_then(|db| {
            check(&db, &mut contents, round, &completed)?;
            db.close().map_err(|error| format!("closing: {error}"))
        });
        if let Err(why) = outcome {
            let kept = home.keep();
            panic!(
                "after kill {number} with sync={sync} and io={io}: {why}\nthe store is kept in {}; FILEDB_TEST_SEED={seed}",
                kept.display()
            );
        }
        if look_at != path {
            std::fs::remove_dir_all(&look_at).expect("removing the copy");
        }
    }
}

#[test]
fn no_completed_write_is_lost_by_a_kill_with_sync_none_in_mapped_files() {
    kill_many_times("none", "mmap");
}

#[test]
fn no_completed_write_is_lost_by_a_kill_with_sync_none_in_plain_files() {
    kill_many_times("none", "pread");
}

#[test]
fn no_completed_write_is_lost_by_a_kill_with_sync_interval_in_mapped_files() {
    kill_many_times("interval", "mmap");
}

#[test]
fn no_completed_write_is_lost_by_a_kill_with_sync_interval_in_plain_files() {
    kill_many_times("interval", "pread");
}

#[test]
fn no_completed_write_is_lost_by_a_kill_with_sync_always_in_mapped_files() {
    kill_many_times("always", "mmap");
}

#[test]
fn no_completed_write_is_lost_by_a_kill_with_sync_always_in_plain_files() {
    kill_many_times("always", "pread");
}

#[test]
fn no_completed_write_is_lost_by_a_kill_of_the_ordered_engine_with_sync_none() {
    kill_many_times("none", "lsm-mmap");
}

#[test]
fn no_completed_write_is_lost_by_a_kill_of_the_ordered_engine_with_sync_always_in_plain_files() {
    kill_many_times("always", "lsm-pread");
}
