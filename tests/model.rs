//! Random histories against a map: whatever is put, deleted, expires, is closed, opened and killed, the store answers as
//! the map does. Files of 400 bytes rotate all the time.

mod support;

use filedb::disk::sim::SimDisk;
use filedb::{Db, IoMode, Pinned};

use support::generate::{Case, Profile};
use support::history::{KEYS, Op, key};
use support::oracle::Oracle;
use support::runner::{histories, run_histories};
use support::store::{Answer, Ground, apply, check_answer, contents, pass_time};

const PROFILE: Profile = Profile { ops: 150, keys: KEYS, kills: true, reads: true, sets_clock: false };

/// A value that was pinned at some time, and what it must go on being.
struct Held {
    pinned: Pinned,
    bytes: Vec<u8>,
    since: usize,
}

fn run(case: &Case, mut ground: Ground) -> Result<(), String> {
    let options = case.settings.options();
    let open = |ground: &Ground| ground.open(&options).map_err(|error| format!("opening: {error}"));
    let mut oracle = ground.oracle();
    let mut held: Vec<Held> = Vec::new();
    let mut db = open(&ground)?;
    for (op, number) in case.ops.iter().zip(0..) {
        let step = |what: &str, error: &dyn std::fmt::Display| format!("operation {number}, {what}: {error}");
        oracle.clock.look();
        match op {
            Op::Reopen => {
                db.close().map_err(|error| step("closing", &error))?;
                drop(db);
                check_nothing_is_open(&ground, &held)?;
                db = open(&ground)?;
                check_all(&db, &mut oracle).map_err(|why| step("after the reopening", &why))?;
            }
            Op::Kill => {
                // A pin is a piece of the old process's memory; it dies with it.
                held.clear();
                ground.kill(db);
                db = open(&ground)?;
                oracle.clock.killed();
                check_all(&db, &mut oracle).map_err(|why| step("after the kill", &why))?;
            }
            Op::Advance { .. } | Op::SetClock { .. } => {
                if let Some(disk) = ground.disk() {
                    pass_time(disk, op);
                    oracle.completed(op, &Answer::Done, false);
                }
            }
            op if oracle.cannot_tell(op) => {}
            op => {
                let answer = apply(&db, op).map_err(|error| step(&format!("'{op}'"), &error))?;
                check_answer(&oracle, op, &answer).map_err(|why| format!("operation {number}: {why}"))?;
                oracle.completed(op, &answer, false);
                if let Op::Get { key: index, .. } = op {
                    let pinned = db.get_pinned(key(*index)).map_err(|error| step("pinning", &error))?;
                    held.extend(pinned.map(|pinned| Held { bytes: pinned.to_vec(), pinned, since: number }));
                }
            }
        }
        if held.len() > 8 {
            held.remove(number % 8);
        }
        check_held(&held)?;
    }
    oracle.clock.look();
    check_all(&db, &mut oracle).map_err(|why| format!("at the end, {why}"))?;
    db.close().map_err(|error| format!("closing at the end: {error}"))?;
    drop(db);
    check_held(&held).map_err(|why| format!("after the store was closed, {why}"))?;
    held.clear();
    check_nothing_is_open(&ground, &held)
}

/// Whether the store holds what it must, all of it.
fn check_all(db: &Db, oracle: &mut Oracle) -> Result<(), String> {
    let found = contents(db)?;
    oracle.check_exact(&found)?;
    oracle.saw(&found);
    Ok(())
}

fn check_held(held: &[Held]) -> Result<(), String> {
    match held.iter().find(|held| *held.pinned != held.bytes[..]) {
        Some(held) => Err(format!("a value that was pinned after operation {} has changed", held.since)),
        None => Ok(()),
    }
}

/// Rule R5: a closed store holds no file, unless a pin does.
fn check_nothing_is_open(ground: &Ground, held: &[Held]) -> Result<(), String> {
    match ground.disk().map_or(0, SimDisk::open_files) {
        0 => Ok(()),
        _ if !held.is_empty() => Ok(()),
        files => Err(format!("{files} files are still open after the store was closed")),
    }
}

#[test]
fn answers_are_those_of_a_map_on_the_simulated_disk() {
    run_histories(
        histories(1_000),
        |seed| Case::random(seed, PROFILE),
        |case| run(case, Ground::Simulated(case.settings.disk())),
    );
}

#[test]
fn answers_are_those_of_a_map_while_somebody_sets_the_clock() {
    run_histories(
        histories(1_000) / 4,
        |seed| Case::random(seed, Profile { sets_clock: true, ..PROFILE }),
        |case| run(case, Ground::Simulated(case.settings.disk())),
    );
}

#[test]
fn answers_are_those_of_a_map_in_a_long_life_on_the_simulated_disk() {
    run_histories(
        (histories(200) / 100).max(1),
        |seed| Case::random(seed, Profile { ops: 4_000, ..PROFILE }),
        |case| run(case, Ground::Simulated(case.settings.disk())),
    );
}

fn in_a_directory(io: IoMode) {
    run_histories(
        (histories(1_000) / 100).max(1),
        |seed| {
            let mut case = Case::random(seed, PROFILE).on_a_real_machine();
            case.settings.io = io;
            // The maintenance thread is at work here; it needs no help.
            case.ops.retain(|op| *op != Op::Maintain);
            case
        },
        |case| run(case, Ground::directory()),
    );
}

#[test]
fn answers_are_those_of_a_map_from_mapped_files() {
    in_a_directory(IoMode::Mmap);
}

#[test]
fn answers_are_those_of_a_map_from_plain_files() {
    in_a_directory(IoMode::Pread);
}

#[test]
fn files_written_in_one_io_mode_are_read_in_the_other() {
    run_histories(
        (histories(1_000) / 100).max(1),
        |seed| {
            let mut case = Case::random(seed, Profile { ops: 60, ..PROFILE }).on_a_real_machine();
            case.ops.retain(|op| *op != Op::Maintain && *op != Op::Reopen && *op != Op::Kill);
            case
        },
        |case| {
            let ground = Ground::directory();
            let mut oracle = ground.oracle();
            for (ops, round) in case.ops.chunks(7).zip(0..) {
                let mut options = case.settings.options();
                options.io = if round % 2 == 0 { IoMode::Mmap } else { IoMode::Pread };
                let db: Db = ground.open(&options).map_err(|error| format!("round {round}: {error}"))?;
                for op in ops {
                    let answer = apply(&db, op).map_err(|error| format!("round {round}, '{op}': {error}"))?;
                    check_answer(&oracle, op, &answer).map_err(|why| format!("round {round}: {why}"))?;
                    oracle.completed(op, &answer, false);
                }
                db.close().map_err(|error| format!("round {round}, closing: {error}"))?;
            }
            Ok(())
        },
    );
}

#[test]
fn the_same_history_does_the_same_things_to_the_disk() {
    // Every other test on the simulated disk relies on this: the n-th operation of one run is that of the next. Only what
    // reads may come in another order, because files are read on all cores.
    run_histories(
        (histories(1_000) / 20).max(1),
        |seed| Case::random(seed, Profile { kills: false, ..PROFILE }),
        |case| {
            let changes = || -> Result<Vec<String>, String> {
                let disk = case.settings.disk();
                run(case, Ground::Simulated(disk.clone()))?;
                let trace = disk.trace().into_iter().filter(|operation| operation.kind.changes_the_disk());
                Ok(trace.map(|operation| operation.to_string()).collect())
            };
            let (first, second) = (changes()?, changes()?);
            match first.iter().zip(&second).find(|(a, b)| a != b) {
                None if first.len() == second.len() => Ok(()),
                None => Err("one run does more to the disk than the other".into()),
                Some((a, b)) => Err(format!("one run does '{a}', the other '{b}'")),
            }
        },
    );
}
