//! A process that writes to a store until it is killed: the test program, started once more.
//!
//! The writer's threads do what their seed says and report each completed operation through a socket, unbuffered. Who started it
//! knows the seed: what was reported is done, the one operation after it may be, all of it, and nothing else is.
//!
//! A test program that uses this has a test of the name [`TEST`], which calls [`write_if_asked`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Read, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use filedb::disk::sim::Random;
use filedb::{Batch, Db, Options, PutOptions};

use super::clock::Span;
use super::history::{Op, Reader, Value, Write};
use super::oracle::{State, is_held, name_bytes};
use super::store::{Answer, apply};

/// The test that is the writer.
pub const TEST: &str = "the_writer_that_is_killed";

/// The environment variable that makes this program a writer.
const WRITER: &str = "FILEDB_TEST_WRITER";
/// Each thread has keys of its own.
pub const KEYS_PER_THREAD: u8 = 12;
pub const MAX_THREADS: u8 = 4;
/// A thread and the number of the operation that it has completed.
const MESSAGE: usize = 8;

/// One run of the writer.
#[derive(Clone, Copy)]
pub struct Round {
    /// Counts the runs on one store, so that all versions are different.
    pub number: u32,
    pub seed: u64,
    pub threads: u8,
    pub max_file_size: u64,
    /// Whether the threads change lists: see [`ListSteps`].
    pub lists: bool,
}

/// Keys expire at once or after this time, which no test takes: so nothing depends on how fast anything is.
pub const LONG: u64 = 6 * 3_600_000;

/// What one thread of the writer does, from its seed alone.
pub struct Steps {
    random: Random,
    thread: u8,
    next: u32,
    first_version: u32,
}

impl Steps {
    pub fn new(round: Round, thread: u8) -> Self {
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

/// A mode of the ordered engine has its name in front: `lsm-mmap`.
pub fn options(sync: &str, io: &str, max_file_size: u64) -> Options {
    let mut options = Options { max_file_size, sync_interval_ms: 3, ..Options::default() };
    options.set("sync", sync).expect("a sync mode");
    let (engine, io) = io.split_once('-').unwrap_or(("auto", io));
    options.set("engine", engine).expect("an engine");
    options.set("lsm_memory", "64KiB").expect("a size");
    options.set("io", io).expect("an io mode");
    options
}

// What is started.

/// In a program that was started as the writer, writes until it is killed; in others it does nothing.
pub fn write_if_asked() {
    let Ok(task) = std::env::var(WRITER) else { return };
    let task: Vec<&str> = task.split('|').collect();
    let [path, sync, io, number, seed, threads, max_file_size, lists] = task[..] else {
        panic!("the task has eight parts")
    };
    let number_of = |text: &str| text.parse::<u64>().expect("a number");
    let round = Round {
        number: number_of(number) as u32,
        seed: number_of(seed),
        threads: number_of(threads) as u8,
        max_file_size: number_of(max_file_size),
        lists: lists == "true",
    };
    let db = Db::open(path, &options(sync, io, round.max_file_size)).expect("the writer opens the store");
    // Standard input is one end of a socket, and the parent listens at the other.
    let parent = std::io::stdin().as_fd().try_clone_to_owned().expect("the socket");
    let parent = Mutex::new(UnixStream::from(parent));
    std::thread::scope(|scope| {
        for thread in 0..round.threads {
            let (db, parent) = (&db, &parent);
            scope.spawn(move || {
                if round.lists {
                    change_list(db, round, thread, parent)
                } else {
                    write(db, round, thread, parent)
                }
            });
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
        report(parent, thread, done);
    }
}

fn report(parent: &Mutex<UnixStream>, thread: u8, done: u32) {
    let mut message = [0; MESSAGE];
    message[..4].copy_from_slice(&u32::from(thread).to_le_bytes());
    message[4..].copy_from_slice(&done.to_le_bytes());
    parent.lock().expect("no thread panics").write_all(&message).expect("telling the parent");
}

/// The list of a thread.
pub fn list_of(thread: u8) -> Vec<u8> {
    format!("list/{thread}").into_bytes()
}

/// A change of a list; all of it happens or nothing.
#[derive(Clone, Copy, Debug)]
pub enum ListStep {
    PushBack(Value),
    PushFront(Value),
    PopBack,
    PopFront,
    /// Two elements, in one batch.
    Two(Value, Value),
    Delete,
    Merge,
    Sync,
}

/// What one thread of the writer does to its list, from its seed alone.
pub struct ListSteps(Steps);

impl ListSteps {
    pub fn new(round: Round, thread: u8) -> Self {
        ListSteps(Steps::new(round, thread))
    }
}

impl Iterator for ListSteps {
    type Item = ListStep;

    fn next(&mut self) -> Option<ListStep> {
        let steps = &mut self.0;
        steps.next += 1;
        Some(match steps.random.below(200) {
            0..60 => ListStep::PushBack(steps.value()),
            60..90 => ListStep::PushFront(steps.value()),
            90..130 => ListStep::PopFront,
            130..165 => ListStep::PopBack,
            165..190 => ListStep::Two(steps.value(), Value { len: 9, ..steps.value() }),
            190..196 => ListStep::Delete,
            196..197 => ListStep::Merge,
            _ => ListStep::Sync,
        })
    }
}

impl ListStep {
    /// Does it to what is known of the list.
    pub fn follow(self, list: &mut VecDeque<Vec<u8>>, thread: u8) {
        match self {
            ListStep::PushBack(value) => list.push_back(value.bytes(thread)),
            ListStep::PushFront(value) => list.push_front(value.bytes(thread)),
            ListStep::PopBack => drop(list.pop_back()),
            ListStep::PopFront => drop(list.pop_front()),
            ListStep::Two(first, second) => list.extend([first.bytes(thread), second.bytes(thread)]),
            ListStep::Delete => list.clear(),
            ListStep::Merge | ListStep::Sync => {}
        }
    }

    fn apply(self, db: &Db, thread: u8) -> Result<(), filedb::Error> {
        let key = list_of(thread);
        match self {
            ListStep::PushBack(value) => db.push_back(key, value.bytes(thread)).map(drop),
            ListStep::PushFront(value) => db.push_front(key, value.bytes(thread)).map(drop),
            ListStep::PopBack => db.pop_back(key).map(drop),
            ListStep::PopFront => db.pop_front(key).map(drop),
            ListStep::Two(first, second) => {
                let mut batch = Batch::new();
                batch.push_back(&key, first.bytes(thread))?;
                batch.push_back(&key, second.bytes(thread))?;
                db.write(&batch)
            }
            ListStep::Delete => db.delete(key).map(drop),
            ListStep::Merge => db.merge(),
            ListStep::Sync => db.sync(),
        }
    }
}

fn change_list(db: &Db, round: Round, thread: u8, parent: &Mutex<UnixStream>) {
    for (step, done) in ListSteps::new(round, thread).zip(1u32..) {
        step.apply(db, thread).expect("the operation succeeds");
        report(parent, thread, done);
    }
}

// Who starts it.

/// See the module.
pub struct Writer {
    process: Child,
    reports: UnixStream,
    /// For each thread, how many operations it has completed, as far as was heard.
    pub completed: BTreeMap<u8, u32>,
}

impl Writer {
    pub fn start(path: &Path, sync: &str, io: &str, round: Round, errors: Stdio) -> Writer {
        let (mine, its) = UnixStream::pair().expect("a pair of sockets");
        let Round { number, seed, threads, max_file_size, lists } = round;
        let task =
            format!("{}|{sync}|{io}|{number}|{seed}|{threads}|{max_file_size}|{lists}", path.display());
        let process = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", TEST, "--nocapture", "--test-threads=1"])
            .env(WRITER, task)
            .stdin(Stdio::from(OwnedFd::from(its)))
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("starting the writer");
        Writer { process, reports: mine, completed: BTreeMap::new() }
    }

    /// Waits for this many reports. False where the writer is gone.
    pub fn listen(&mut self, reports: u64) -> bool {
        (0..reports).all(|_| self.listen_once())
    }

    /// Hears all that was reported up to now.
    pub fn listen_to_all_so_far(&mut self) {
        self.reports.set_nonblocking(true).expect("a socket that does not block");
        let mut first = [0; 1];
        // SAFETY: the buffer is valid for its length, and the descriptor is open.
        let peek = |socket: &UnixStream, first: &mut [u8; 1]| unsafe {
            libc::recv(std::os::fd::AsRawFd::as_raw_fd(socket), first.as_mut_ptr().cast(), 1, libc::MSG_PEEK)
        };
        while peek(&self.reports, &mut first) == 1 {
            // A message is sent in one piece.
            self.listen_once();
        }
        self.reports.set_nonblocking(false).expect("a socket that blocks");
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

    /// As [`Writer::kill`], where it may have ended already: a disk failed under it.
    pub fn end(mut self) -> BTreeMap<u8, u32> {
        let _ = self.process.kill();
        self.process.wait().expect("waiting for the writer");
        while self.listen_once() {}
        self.completed
    }

    /// Kills it and hears what it had still reported.
    pub fn kill(mut self) -> BTreeMap<u8, u32> {
        self.process.kill().expect("killing the writer");
        let status = self.process.wait().expect("waiting for the writer");
        assert_eq!(status.code(), None, "the writer ended by itself: {status}");
        while self.listen_once() {}
        self.completed
    }
}

/// For each key what it must hold, after all kills so far.
pub type Contents = BTreeMap<u8, State>;

/// What an operation makes of the keys that it changes, where they have expired or live long.
pub fn written(op: &Op, before: &Contents) -> Vec<(u8, Option<State>)> {
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

pub fn set_all(contents: &mut Contents, op: &Op) {
    for (key, state) in written(op, contents) {
        match state {
            Some(state) => contents.insert(key, state),
            None => contents.remove(&key),
        };
    }
}
