//! Limits that come and go while a store is in use: on the sizes of files, on descriptors, a small file system that fills, and one
//! that takes no more writes from one moment on.
//!
//! Whatever the limit: what was acknowledged is there, during it and afterwards; a call that is refused says so with the error
//! that belongs to the limit, and has changed nothing; when the limit is lifted the store works again, in the same handle where it need not have lost
//! anything; and every call returns.
//!
//! The limits of a process hold for all of it. So this program runs itself, with the task in an environment variable. Small file
//! systems take the rights of root; the tests that need them say where they were not run.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use filedb::disk::sim::Random;
use filedb::{Batch, Db, Error, Finding, Options};

use support::generate::pick;
use support::mount::Mount;
use support::runner::{histories, seeds, tally};

/// The environment variable that makes this program live under a limit.
const TASK: &str = "FILEDB_TEST_LIMITS";
/// After so many seconds a process has met a call that does not return.
const HANGS: u32 = 600;

/// How a store is opened.
#[derive(Clone, Copy)]
struct Settings {
    engine: &'static str,
    io: &'static str,
    sync: &'static str,
    merge: &'static str,
    max_file_size: u64,
}

impl Settings {
    fn random(random: &mut Random) -> Settings {
        Settings {
            engine: pick(random, &["bitcask", "lsm"]),
            io: pick(random, &["mmap", "pread"]),
            sync: pick(random, &["none", "interval", "always"]),
            merge: pick(random, &["auto", "manual"]),
            max_file_size: pick(random, &[2 << 10, 16 << 10, 128 << 10]),
        }
    }

    fn options(&self) -> Options {
        let mut options =
            Options { max_file_size: self.max_file_size, sync_interval_ms: 3, ..Options::default() };
        for (name, value) in [
            ("engine", self.engine),
            ("io", self.io),
            ("sync", self.sync),
            ("merge", self.merge),
            ("lsm_memory", "64KiB"),
        ] {
            options.set(name, value).expect("an option");
        }
        options
    }
}

impl std::fmt::Display for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Settings { engine, io, sync, merge, max_file_size } = self;
        write!(f, "engine={engine}, io={io}, sync={sync}, merge={merge}, max_file_size={max_file_size}")
    }
}

/// A store, and what it holds.
struct Life {
    path: PathBuf,
    settings: Settings,
    db: Option<Db>,
    held: BTreeMap<Vec<u8>, Vec<u8>>,
    random: Random,
    /// How many calls were refused.
    refused: u64,
}

impl Life {
    fn begin(path: &Path, settings: Settings, random: Random) -> Life {
        let mut life =
            Life { path: path.into(), settings, db: None, held: BTreeMap::new(), random, refused: 0 };
        life.reopen(&|_| false);
        life
    }

    fn db(&self) -> &Db {
        self.db.as_ref().expect("the store is open")
    }

    /// A call that may only fail as the limit has it.
    fn allow<T>(
        &mut self,
        what: &str,
        answer: Result<T, Error>,
        is_allowed: &dyn Fn(&Error) -> bool,
    ) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                assert!(is_allowed(&error), "{}: {what}: {error} ({error:?})", self.settings);
                self.refused += 1;
                None
            }
        }
    }

    /// Closes the store if it is open, and opens it. False where that is refused.
    fn reopen(&mut self, is_allowed: &dyn Fn(&Error) -> bool) -> bool {
        if let Some(db) = self.db.take() {
            let closed = db.close();
            self.allow("a close", closed, is_allowed);
        }
        let opened = Db::open(&self.path, &self.settings.options());
        self.db = self.allow("an opening", opened, is_allowed);
        self.db.is_some()
    }

    fn key(&mut self) -> Vec<u8> {
        format!("key/{}", self.random.below(60)).into_bytes()
    }

    fn value(&mut self) -> Vec<u8> {
        let len = match self.random.below(30) {
            0 => 20_000 + self.random.below(60_000),
            1..6 => 1_000 + self.random.below(4_000),
            _ => self.random.below(400),
        };
        vec![self.random.number() as u8; len as usize]
    }

    /// One call, of any kind.
    fn step(&mut self, is_allowed: &dyn Fn(&Error) -> bool) {
        match self.random.below(100) {
            0..50 => {
                let (key, value) = (self.key(), self.value());
                let answer = self.db().put(&key, &value);
                if self.allow("a put", answer, is_allowed).is_some() {
                    self.held.insert(key, value);
                }
            }
            50..64 => {
                let key = self.key();
                let answer = self.db().delete(&key);
                if let Some(was_there) = self.allow("a delete", answer, is_allowed) {
                    assert_eq!(was_there, self.held.remove(&key).is_some(), "{}", self.settings);
                }
            }
            64..76 => {
                let mut batch = Batch::new();
                let mut after = self.held.clone();
                for _ in 0..1 + self.random.below(6) {
                    let (key, value) = (self.key(), self.value());
                    if self.random.one_in(4) {
                        batch.delete(&key).expect("a delete in a batch");
                        after.remove(&key);
                    } else {
                        batch.put(&key, &value).expect("a put in a batch");
                        after.insert(key, value);
                    }
                }
                let answer = self.db().write(&batch);
                if self.allow("a batch", answer, is_allowed).is_some() {
                    self.held = after;
                }
            }
            76..92 => {
                let key = self.key();
                let answer = self.db().get(&key);
                if let Some(value) = self.allow("a get", answer, is_allowed) {
                    assert!(value.as_ref() == self.held.get(&key), "{}: a get", self.settings);
                }
            }
            92..96 => {
                let answer = self.db().sync();
                self.allow("a sync", answer, is_allowed);
            }
            _ => {
                let answer = self.db().merge();
                self.allow("a merge", answer, is_allowed);
            }
        }
    }

    /// What the ordered engine could not do in the background it tries again within seconds, or when it is asked to, and refuses
    /// writes until then where much waits.
    fn wait_until_it_works(&mut self, is_allowed: &dyn Fn(&Error) -> bool) {
        let begun = std::time::Instant::now();
        while self.settings.engine == "lsm" {
            let answer = self.db().merge();
            if self.allow("a merge when the limit was lifted", answer, is_allowed).is_some() {
                break;
            }
            assert!(begun.elapsed().as_secs() < 60, "{}: merges fail still", self.settings);
            std::thread::yield_now();
        }
    }

    /// The store holds what it must, and takes writes.
    fn check(&mut self, when: &str) {
        let settings = self.settings;
        let mut found = BTreeMap::new();
        self.db()
            .iter(b"")
            .expect("an iterator")
            .visit_rows(|key, value| {
                found.insert(key.to_vec(), value.to_vec());
                true
            })
            .unwrap_or_else(|error| panic!("{settings}: {when}, a walk: {error}"));
        for (key, value) in &self.held {
            assert!(
                found.get(key) == Some(value),
                "{settings}: {when}, {} has {:?} bytes and not {}",
                key.escape_ascii(),
                found.get(key).map(Vec::len),
                value.len()
            );
        }
        assert_eq!(found.len(), self.held.len(), "{settings}: {when}, keys");
        let count = self.db().count().expect("a count");
        assert_eq!(count, found.len() as u64, "{settings}: {when}, the count");
        let put = self.db().put(b"key/again", when.as_bytes());
        put.unwrap_or_else(|error| panic!("{settings}: {when}, a put: {error}"));
        self.held.insert(b"key/again".to_vec(), when.as_bytes().to_vec());
    }

    /// Closed and opened again without a limit, it holds the same, and a check finds nothing.
    fn end(mut self) -> u64 {
        assert!(self.reopen(&|_| false));
        self.check("after all limits");
        self.db.take().expect("it is open").close().expect("a close without a limit");
        let summary = filedb::check(&self.path, |finding: &Finding<'_>| -> ControlFlow<()> {
            panic!("{}: a check found in {}: {}", self.settings, finding.file, finding.message)
        });
        summary.expect("a check");
        self.refused
    }
}

// Limits of a process.

/// On the sizes of files, or on descriptors; `u64::MAX` for as many as there may be.
fn set_limit(is_fsize: bool, soft: u64) {
    let which = if is_fsize { libc::RLIMIT_FSIZE } else { libc::RLIMIT_NOFILE };
    let soft = if soft == u64::MAX { libc::RLIM_INFINITY } else { soft as libc::rlim_t };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointers are to a valid rlimit.
    unsafe {
        assert_eq!(libc::getrlimit(which, &mut limit), 0);
        limit.rlim_cur = soft.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(which, &limit), 0);
    }
}

/// The limits as they come, for one store.
fn live_under_limits(which: &str, seed: u64, path: &Path) -> u64 {
    let mut random = Random::new(seed);
    let settings = Settings::random(&mut random);
    let is_fsize = which == "file sizes";
    let is_allowed: &dyn Fn(&Error) -> bool = if is_fsize {
        &|error| matches!(error, Error::NoSpace { errno: libc::EFBIG, .. })
    } else {
        &|error| error.os_errno() == libc::EMFILE
    };
    // A limit that is set below what files have already is told by a signal, which a program that does this to itself ignores.
    let is_set_in_use = !is_fsize || random.one_in(2);
    if is_set_in_use {
        // SAFETY: no function of ours is called for it.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    }
    let mut life = Life::begin(path, settings, random);
    for _ in 0..6 {
        for _ in 0..life.random.below(40) {
            life.step(&|_| false);
        }
        if !is_set_in_use {
            life.db.take().expect("it is open").close().expect("a close without a limit");
        }
        if is_fsize {
            let most = pick(&mut life.random, &[100, 3_000, 20_000, 200_000]);
            set_limit(true, life.random.below(most));
        } else {
            // What is in use stays so; of what is not, so many are left.
            let next = std::fs::File::open("/dev/null").expect("a descriptor").as_raw_fd() as u64;
            set_limit(false, next + life.random.below(5));
        }
        if life.db.is_some() || life.reopen(is_allowed) {
            for _ in 0..10 + life.random.below(40) {
                life.step(is_allowed);
                if life.random.one_in(25) && !life.reopen(is_allowed) {
                    break;
                }
            }
        }
        set_limit(true, u64::MAX);
        set_limit(false, 4_096);
        if life.db.is_none() {
            assert!(life.reopen(&|_| false));
        }
        life.wait_until_it_works(is_allowed);
        life.check("when the limit was lifted");
    }
    life.end()
}

#[test]
fn a_process_that_lives_under_limits() {
    let Ok(task) = std::env::var(TASK) else { return };
    let [which, seed, path] = task.splitn(3, '|').collect::<Vec<_>>()[..] else { panic!("three parts") };
    // SAFETY: it sets a timer, which ends this process.
    unsafe { libc::alarm(HANGS) };
    let refused = live_under_limits(which, seed.parse().expect("a seed"), Path::new(path));
    tally(refused, "refused calls");
}

fn limit_many(which: &str) {
    let mut refused = 0;
    for seed in seeds(histories(8)) {
        let home = tempfile::tempdir().expect("a temporary directory");
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "a_process_that_lives_under_limits", "--nocapture", "--test-threads=1"])
            .env(TASK, format!("{which}|{seed}|{}", home.path().join("store").display()))
            .stdin(Stdio::null())
            .output()
            .expect("running this program");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "limits on {which}, FILEDB_TEST_SEED={seed}: {}\n{printed}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        refused += printed
            .lines()
            .filter_map(|line| line.split_once("tally: ")?.1.split_once(' ')?.0.parse::<u64>().ok())
            .sum::<u64>();
    }
    assert!(refused > 0, "no call met a limit on {which}");
    tally(refused, &format!("calls refused by limits on {which}"));
}

#[test]
fn a_store_keeps_what_it_has_under_limits_on_the_sizes_of_files_and_works_again_after_them() {
    limit_many("file sizes");
}

#[test]
fn a_store_keeps_what_it_has_under_limits_on_descriptors_and_works_again_after_them() {
    limit_many("descriptors");
}

// Small file systems.

#[test]
fn a_store_on_a_small_file_system_that_fills_again_and_again_keeps_what_it_has() {
    let is_full = |error: &Error| matches!(error, Error::NoSpace { errno: libc::ENOSPC, .. });
    let Some(mount) = Mount::ext4(64 << 20) else { return };
    for seed in seeds(histories(2)) {
        let mut random = Random::new(seed);
        let settings = Settings { max_file_size: 4 << 20, ..Settings::random(&mut random) };
        let path = mount.path().join(format!("store-{seed}"));
        let mut life = Life::begin(&path, settings, random);
        let mut refused = 0;
        for round in 0..3u32 {
            // By the store itself in the first round, by others later.
            let filler = (round > 0).then(|| mount.fill());
            let mut version = 0u32;
            while life.refused == refused {
                version += 1;
                let key = format!("large/{}", life.random.below(400)).into_bytes();
                let value = vec![version as u8; 100_000 + life.random.below(200_000) as usize];
                let answer = life.db().put(&key, &value);
                if life.allow("a put", answer, &is_full).is_some() {
                    life.held.insert(key, value);
                }
            }
            for _ in 0..20 {
                life.step(&is_full);
            }
            if life.random.one_in(2) && !life.reopen(&is_full) {
                // Only an opening that writes may find no room.
                println!("an opening found no room: {settings}");
            }
            if let Some(filler) = filler {
                std::fs::remove_file(filler).expect("removing what filled the disk");
            }
            if life.db.is_none() {
                assert!(life.reopen(&|_| false), "{settings}");
            }
            // Deletes make room, and merges; what is deleted cannot be more than is there.
            let large: Vec<Vec<u8>> =
                life.held.keys().filter(|key| key.starts_with(b"large/")).cloned().collect();
            for key in large {
                let answer = life.db().delete(&key);
                if life.allow("a delete", answer, &is_full).is_some() {
                    life.held.remove(&key);
                }
            }
            // Each merge makes room for the next.
            let made = (0..20).any(|_| {
                let answer = life.db().merge();
                life.allow("a merge", answer, &is_full).is_some()
            });
            assert!(made, "{settings}: merges make no room");
            life.wait_until_it_works(&is_full);
            life.check("with room again");
            refused = life.refused;
        }
        tally(life.end(), "calls refused by a full file system");
        std::fs::remove_dir_all(&path).expect("removing the store");
    }
}

/// So many keys has each thread.
const SLOTS: u32 = 50;

/// Mapped files are left out: a mapping of a file system that takes no more writes ends the process that writes to it.
#[test]
fn a_file_system_that_takes_no_more_writes_from_some_moment_on_loses_nothing_that_was_synced() {
    let mut stopped = 0;
    for seed in seeds(histories(2)) {
        let mut random = Random::new(seed);
        let settings =
            Settings { io: "pread", sync: "always", merge: "auto", ..Settings::random(&mut random) };
        let Some(mount) = Mount::ext4(48 << 20) else { return };
        let path = mount.path().join("store");
        let db = Db::open(&path, &settings.options()).expect("opening");
        let threads = 1 + random.below(3) as u8;
        let most = random.below(400) as u32;
        let (told, hears) = std::sync::mpsc::channel();
        let mut before = vec![0u32; usize::from(threads)];
        // For each thread: how many of its writes were acknowledged, and the error that ended them.
        let ends: Vec<(u32, Error)> = std::thread::scope(|scope| {
            let write = |thread: u8| {
                let (db, told) = (&db, told.clone());
                scope.spawn(move || {
                    for n in 0u32.. {
                        let value = [&n.to_le_bytes()[..], &[thread; 500]].concat();
                        if let Err(error) = db.put([thread, (n % SLOTS) as u8], value) {
                            return (n, error);
                        }
                        let _ = told.send(thread);
                    }
                    unreachable!("it writes until it cannot")
                })
            };
            let writers: Vec<_> = (0..threads).map(write).collect();
            for _ in 0..most {
                before[usize::from(hears.recv().expect("a writer writes"))] += 1;
            }
            hears.try_iter().for_each(|thread| before[usize::from(thread)] += 1);
            assert!(mount.abort(), "this machine cannot abort a file system");
            writers.into_iter().map(|writer| writer.join().expect("a writer")).collect()
        });
        for (_, error) in &ends {
            let is_right = matches!(error, Error::Poisoned { .. })
                || matches!(error.os_errno(), libc::EROFS | libc::EIO);
            assert!(is_right && !error.to_string().is_empty(), "{settings}: {error:?}");
        }
        // Of each key the last write that is certain is there, or one after it.
        let check = |db: &Db, certain: &[u32], when: &str| {
            for (thread, (written, _)) in ends.iter().enumerate() {
                for slot in 0..SLOTS {
                    let of_slot = |n: &u32| n % SLOTS == slot;
                    let last = (0..certain[thread]).rev().find(of_slot);
                    let mut later = (certain[thread]..=*written).filter(of_slot);
                    let value = db.get([thread as u8, slot as u8]);
                    let value = value.unwrap_or_else(|error| panic!("{settings}: {when}: {error}"));
                    let found = value.map(|value| {
                        assert!(value[4..].iter().all(|byte| usize::from(*byte) == thread));
                        u32::from_le_bytes(value[..4].try_into().expect("four bytes"))
                    });
                    assert!(
                        found == last || later.any(|n| found == Some(n)),
                        "{settings}: {when}, thread {thread}, key {slot}: {found:?}, not {last:?} or a later one"
                    );
                }
            }
        };
        let acknowledged: Vec<u32> = ends.iter().map(|(written, _)| *written).collect();
        check(&db, &acknowledged, "while nothing can be written");
        // Whether there is something left to write is up to the moment.
        let _ = db.close();
        drop(db);
        let refused = Db::open(&path, &settings.options()).map(drop).expect_err("it cannot be written");
        assert!(matches!(refused.os_errno(), libc::EROFS | libc::EIO), "{settings}: {refused:?}");
        mount.remount();
        let db = Db::open(&path, &settings.options()).expect("opening when it takes writes again");
        // A sync that meets the end of the file system half way can succeed for bytes that are lost.
        check(&db, &before, "when it takes writes again");
        db.put(b"again", b"value").expect("a put when it takes writes again");
        db.close().expect("a close when it takes writes again");
        stopped += 1;
    }
    tally(stopped, "file systems that became read-only");
}

#[test]
fn a_store_on_a_file_system_that_is_mounted_read_only_can_be_read_and_says_why_it_cannot_be_written() {
    for (engine, io) in [("bitcask", "mmap"), ("bitcask", "pread"), ("lsm", "mmap"), ("lsm", "pread")] {
        let Some(mount) = Mount::ext4(48 << 20) else { return };
        let path = mount.path().join("store");
        let settings = Settings { engine, io, sync: "none", merge: "auto", max_file_size: 16 << 10 };
        let mut life = Life::begin(&path, settings, Random::new(1));
        (0..200).for_each(|_| life.step(&|_| false));
        life.db.take().expect("it is open").close().expect("closing");
        assert!(mount.set_read_only(true), "nobody has a file open");
        let error = Db::open(&path, &settings.options()).map(drop).expect_err("it cannot be written");
        assert_eq!(error.os_errno(), libc::EROFS, "{settings}: {error}");
        assert!(error.to_string().contains("read_only"), "{settings}: it does not say what to do: {error}");
        let reader = Db::open(&path, &Options { read_only: true, ..settings.options() })
            .unwrap_or_else(|error| panic!("{settings}: a reader: {error}"));
        for (key, value) in &life.held {
            assert!(reader.get(key).expect("a get").as_ref() == Some(value), "{settings}");
        }
        reader.close().expect("closing the reader");
        assert!(mount.set_read_only(false));
        assert!(life.reopen(&|_| false));
        life.check("when it can be written again");
        life.end();
    }
}
