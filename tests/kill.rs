//! A real process is killed with SIGKILL at random moments, hundreds of times: no completed write may be lost, no value
//! may be wrong, and the store must open at once.
//!
//! This program runs itself as the writer. The writer's threads do what their seed says and report each completed
//! operation through a socket, unbuffered. The oracle lives here, in the parent, and knows the seed: what was reported
//! is done, the one operation after it may be, all of it, and nothing else is. Batches, keys that expire and merges are among
//! them, and merges that the store starts by itself.
//!
//! `FILEDB_TEST_HISTORIES=n` sets the number of kills in each test.

mod support;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use filedb::disk::sim::Random;
use filedb::{Db, Ttl};

use support::clock::Span;
use support::history::key;
use support::oracle::{Held, matches, name, name_of};
use support::runner::{histories, seeds, tally};
use support::store::copy_directory;
use support::writer::{
    self, Contents, KEYS_PER_THREAD, ListSteps, MAX_THREADS, Round, Steps, Writer, list_of, options, set_all,
    written,
};

#[test]
fn the_writer_that_is_killed() {
    writer::write_if_asked();
}

fn held(db: &Db, index: u8) -> Result<Option<Held>, String> {
    let failed = |error: filedb::Error| format!("reading key #{index}: {error}");
    let ttl_ms = match db.ttl(key(index)).map_err(failed)? {
        // The times of two processes agree to within a millisecond, which is what rounding makes of them.
        Some(Ttl::Left(left)) => Some((left.as_millis() as u64).saturating_sub(1).max(1)),
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

/// What the list of each thread must hold, after all kills so far.
type Lists = BTreeMap<u8, VecDeque<Vec<u8>>>;

/// What each thread may have left of its list: what is after the changes that it completed, or after the next one too.
fn check_lists(
    db: &Db,
    known: &mut Lists,
    round: Round,
    completed: &BTreeMap<u8, u32>,
) -> Result<(), String> {
    for thread in 0..MAX_THREADS {
        let list = known.entry(thread).or_default();
        let elements = db.list_range(list_of(thread), 0, -1);
        let elements = elements.map_err(|error| format!("reading the list of thread {thread}: {error}"))?;
        let found: VecDeque<Vec<u8>> =
            elements.iter().flat_map(|elements| elements.iter().map(<[u8]>::to_vec)).collect();
        if thread < round.threads {
            let done = completed.get(&thread).copied().unwrap_or(0);
            let mut steps = ListSteps::new(round, thread);
            steps.by_ref().take(done as usize).for_each(|step| step.follow(list, thread));
            let mut with = list.clone();
            let next = steps.next().expect("there is always a next step");
            next.follow(&mut with, thread);
            if found == with {
                *list = with;
            }
        }
        if found != *list {
            return Err(format!(
                "the list of thread {thread} has {} elements, {} are expected, or their bytes differ; completed were {completed:?}",
                found.len(),
                list.len()
            ));
        }
    }
    let lists = known.values().filter(|list| !list.is_empty()).count() as u64;
    match db.count() {
        Ok(count) if count == lists => db.recount(),
        Ok(count) => Err(format!("count says {count}, there are {lists} lists")),
        Err(error) => Err(error.to_string()),
    }
}

fn kill_many_times(sync: &str, io: &str) {
    kill_writers(sync, io, false);
}

fn kill_writers(sync: &str, io: &str, lists: bool) {
    let kills = histories(40) as u32;
    let seed = seeds(1).start;
    let mut random = Random::new(seed);
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = home.path().join("store");
    let mut contents = Contents::new();
    let mut known = Lists::new();
    for number in 1..=kills {
        let round = Round {
            number,
            seed: random.number(),
            threads: if random.one_in(2) { 1 } else { 2 + random.below(u64::from(MAX_THREADS) - 1) as u8 },
            max_file_size: [2 << 10, 16 << 10, 1 << 20, 8 << 20][random.below(4) as usize],
            lists,
        };
        let mut writer = Writer::start(&path, sync, io, round, Stdio::inherit());
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
            if lists {
                check_lists(&db, &mut known, round, &completed)?;
            } else {
                check(&db, &mut contents, round, &completed)?;
            }
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
    tally(kills.into(), "kills");
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

#[test]
fn no_completed_change_of_a_list_is_lost_by_a_kill() {
    kill_writers("none", "mmap", true);
    kill_writers("always", "pread", true);
}

#[test]
fn no_completed_change_of_a_list_is_lost_by_a_kill_of_the_ordered_engine() {
    kill_writers("none", "lsm-mmap", true);
}
