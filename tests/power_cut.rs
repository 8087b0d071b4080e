//! Real power cuts, as near as a machine comes to one that stays on: a file system in an image is shut down while a process writes to a
//! store on it. What the file system had not written to its device is gone; then it is mounted again, and the store opened.
//!
//! What counts as synced is what had returned before the shutdown began: a sync that meets it half way can succeed for bytes that
//! are lost. `FILEDB_TEST_HISTORIES=n` sets the number of cuts in each test.
//!
//! It takes the rights of root, and loop devices. Where they are missing, or the programs that make such a file system, the tests
//! say that they were not run.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use filedb::disk::sim::Random;
use filedb::{Db, Ttl};

use support::clock::Clock;
use support::generate::pick;
use support::history::{KEYS, Op, key};
use support::mount::Mount;
use support::oracle::{Found, Held, Oracle};
use support::runner::{histories, seeds, tally};
use support::store::Answer;
use support::writer::{self, KEYS_PER_THREAD, MAX_THREADS, Round, Steps, Writer, options};

#[test]
fn the_writer_that_is_killed() {
    writer::write_if_asked();
}

fn found_in(db: &Db) -> Result<Found, String> {
    let mut found = Found::new();
    for index in 0..KEYS {
        let failed = |error: filedb::Error| format!("reading key #{index}: {error}");
        let ttl_ms = match db.ttl(key(index)).map_err(failed)? {
            Some(Ttl::Left(left)) => Some(left.as_millis() as u64),
            _ => None,
        };
        found.extend(db.get(key(index)).map_err(failed)?.map(|bytes| (index, Held { bytes, ttl_ms })));
    }
    match db.count() {
        Ok(count) if count == found.len() as u64 => db.recount().map(|()| found),
        Ok(count) => Err(format!("count says {count}, {} keys are there", found.len())),
        Err(error) => Err(error.to_string()),
    }
}

/// What a thread of the writer may have left.
struct Expected {
    thread: u8,
    /// Knows the keys of this thread.
    oracle: Oracle,
}

impl Expected {
    /// `before` of its operations had returned when the power was cut, `after` in all.
    fn follow(&mut self, round: Round, before: u32, after: u32, sync: &str) {
        self.oracle.clock.look();
        let mut steps = Steps::new(round, self.thread);
        steps.by_ref().take(before as usize).for_each(|op| {
            self.oracle.completed(&op, &Answer::Done, sync == "always");
        });
        // One more was under way at the end.
        let in_doubt = steps.take((after - before) as usize + 1);
        in_doubt.filter(|op| !matches!(op, Op::Sync)).for_each(|op| {
            self.oracle.completed(&op, &Answer::Done, false);
        });
    }

    fn check(&mut self, found: &Found) -> Result<(), String> {
        self.oracle.clock.look();
        let mine = |key: &u8| key / KEYS_PER_THREAD == self.thread;
        let found: Found =
            found.iter().filter(|(key, _)| mine(key)).map(|(key, held)| (*key, held.clone())).collect();
        self.oracle.check_cut(&found, None)?;
        self.oracle.settle(&found);
        Ok(())
    }
}

/// Each store is written to, and loses its power, so many times; then there is another, with other settings.
const LIVES: u64 = 10;

fn cut_many_times(kind: &str, make: fn() -> Option<Mount>) {
    let seed = seeds(1).start;
    let mut random = Random::new(seed);
    let Some(mount) = make() else { return };
    let cuts = histories(4);
    for number in 0..cuts.div_ceil(LIVES) {
        let (sync, io) = (
            pick(&mut random, &["none", "interval", "always", "always"]),
            pick(&mut random, &["mmap", "pread", "lsm-mmap", "lsm-pread"]),
        );
        let path = mount.path().join(format!("store-{number}"));
        let mut expected: Vec<Expected> =
            (0..MAX_THREADS).map(|thread| Expected { thread, oracle: Oracle::new(Clock::real()) }).collect();
        for life in 1..=LIVES.min(cuts - number * LIVES) {
            let round = Round {
                number: life as u32,
                seed: random.number(),
                threads: 1 + random.below(u64::from(MAX_THREADS)) as u8,
                max_file_size: [2 << 10, 16 << 10, 1 << 20][random.below(3) as usize],
                lists: false,
            };
            let mut writer = Writer::start(&path, sync, io, round, Stdio::null());
            if random.one_in(6) {
                // While it opens the store.
                std::thread::sleep(Duration::from_micros(random.below(20_000)));
            } else {
                let most = if sync == "always" { 40 } else { 1_000 };
                assert!(writer.listen(random.below(most)), "the writer went away by itself");
                std::thread::sleep(Duration::from_micros(random.below(3_000)));
            }
            writer.listen_to_all_so_far();
            let before = writer.completed.clone();
            mount.cut_power();
            let after = writer.end();
            mount.remount();
            let done = |of: &BTreeMap<u8, u32>, thread| of.get(&thread).copied().unwrap_or(0);
            for one in expected.iter_mut().filter(|one| one.thread < round.threads) {
                one.follow(round, done(&before, one.thread), done(&after, one.thread), sync);
            }
            let outcome = Db::open(&path, &options(sync, io, round.max_file_size))
                .map_err(|error| format!("opening: {error}"))
                .and_then(|db| {
                    let found = found_in(&db)?;
                    expected.iter_mut().try_for_each(|one| one.check(&found))?;
                    // From here on what was found must stay.
                    if random.one_in(2) { db.sync() } else { db.close() }.map_err(|error| error.to_string())
                });
            if let Err(why) = outcome {
                let kept = std::env::temp_dir().join(format!("filedb-power-cut-{seed}"));
                let _ = std::process::Command::new("cp").arg("-r").arg(&path).arg(&kept).status();
                panic!(
                    "store {number} on {kind}, sync={sync}, io={io}, after power cut {life}: {why}\nbefore it were completed \
                     {before:?}, in all {after:?}\nthe store is kept in {}; FILEDB_TEST_SEED={seed}",
                    kept.display()
                );
            }
        }
        let _ = std::fs::remove_dir_all(&path);
    }
    tally(cuts, "power cuts");
}

#[test]
fn what_was_synced_before_a_power_cut_is_there_after_it_on_ext4() {
    cut_many_times("ext4", || Mount::ext4(96 << 20));
}

#[test]
fn what_was_synced_before_a_power_cut_is_there_after_it_on_xfs() {
    cut_many_times("XFS", Mount::xfs);
}
