//! Crashes: the machine stops at every operation on the disk, under every policy of losing what was not synced, and
//! stops again while it recovers. What the store then holds is checked against rules R1 to R7.
//!
//! One run of a history collects the disk as it was before each operation and in the middle of each write. Each of
//! those is killed once and cut many times; images that are equal are looked at once.

mod support;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use filedb::disk::sim::{PowerCut, Random, SimDisk};
use filedb::{Db, EngineKind, Options, SyncMode};

use support::generate::{Case, Profile, pick};
use support::history::{KEYS, Op, Value, key};
use support::oracle::{Found, Held, InFlight, Oracle, name};
use support::runner::{histories, run_histories, tally};
use support::store::{Answer, apply, check_answer, clock_of, contents, pass_time};

const PROFILE: Profile = Profile { ops: 40, keys: 12, kills: false, reads: false, sets_clock: false };

/// How many power cuts each image suffers, of all that there are; which ones is up to the seed.
const CUTS: usize = 4;
/// One in this many images is recovered with a second crash at each operation of the recovery.
const DOUBLE_CRASHES: u64 = 10;
/// One in this many recovered stores goes on working; the others were opened and read.
const LONG_LIVES: u64 = 2;

/// What the tests looked at, so that they cannot pass by looking at nothing.
#[derive(Default)]
struct Tally {
    images: u64,
    double: u64,
}

/// Where in the history an image was taken.
#[derive(Clone, Copy)]
struct Moment<'a> {
    /// How many operations were completed.
    completed: usize,
    /// Knows what they did.
    oracle: &'a Oracle,
    /// The one under way.
    in_flight: Option<&'a InFlight<'a>>,
    /// Whether the image lost its power and has nothing more to lose, or its process was killed and it has.
    cut: bool,
}

impl Moment<'_> {
    fn check(&self, found: &Found) -> Result<(), String> {
        if self.cut {
            self.oracle.check_cut(found, self.in_flight)
        } else {
            self.oracle.check_killed(found, self.in_flight)
        }
    }
}

/// An operation of a history, its answer, and the last operation on the disk that belongs to it.
struct Done<'a> {
    op: &'a Op,
    answer: Answer,
    end: u64,
}

struct Explorer {
    options: Options,
    sets_clock: bool,
    random: Random,
    seen: HashSet<u64>,
    tally: Tally,
}

impl Explorer {
    /// Runs the history and looks at all its crashes.
    fn explore(&mut self, case: &Case) -> Result<(), String> {
        let disk = case.settings.disk();
        disk.capture_images(case.seed);
        let mut oracle = Oracle::new(clock_of(&disk));
        let (history, finished) = self.run(case, &disk)?;
        let images = disk.take_images();

        let durable = self.options.sync == SyncMode::Always;
        let mut completed = 0;
        for image in &images {
            while let Some(done) = history.get(completed).filter(|done| done.end < image.operation) {
                oracle.completed(done.op, &done.answer, durable);
                completed += 1;
            }
            let in_flight = history.get(completed).map(|done| oracle.begin(done.op));
            let moment = Moment { completed, oracle: &oracle, in_flight: in_flight.as_ref(), cut: false };
            self.crash(&image.disk, moment).map_err(|why| {
                let middle = if image.midway { "the middle of " } else { "" };
                let trace = disk.trace_text(image.operation);
                let from = trace.lines().count().saturating_sub(60);
                let trace: String = trace.lines().skip(from).map(|line| format!("  {line}\n")).collect();
                format!("{why}\n\nthe crash came at {middle}the last of these operations:\n{trace}")
            })?;
        }
        for done in &history[completed..] {
            oracle.completed(done.op, &done.answer, durable);
        }
        self.crash(
            &finished,
            Moment { completed: history.len(), oracle: &oracle, in_flight: None, cut: false },
        )
    }

    /// Runs the history; gives what each operation did to the disk, and the disk as it was when the last one was done and
    /// the store was still open.
    fn run<'a>(&self, case: &'a Case, disk: &SimDisk) -> Result<(Vec<Done<'a>>, SimDisk), String> {
        let open = || {
            Db::open_on(Arc::new(disk.clone()), &self.options).map_err(|error| format!("opening: {error}"))
        };
        let mut oracle = Oracle::new(clock_of(disk));
        let mut history = Vec::new();
        let mut db = open()?;
        for op in case.ops.iter() {
            let answer = match op {
                op if oracle.cannot_tell(op) => continue,
                Op::Reopen => {
                    db.close().map_err(|error| format!("closing: {error}"))?;
                    db = open()?;
                    Answer::Done
                }
                Op::Advance { .. } | Op::SetClock { .. } => {
                    pass_time(disk, op);
                    Answer::Done
                }
                op => {
                    let answer = apply(&db, op).map_err(|error| format!("'{op}': {error}"))?;
                    check_answer(&oracle, op, &answer)?;
                    answer
                }
            };
            oracle.completed(op, &answer, false);
            history.push(Done { op, answer, end: disk.operations() });
        }
        let finished = disk.fork();
        db.close().map_err(|error| format!("closing at the end: {error}"))?;
        Ok((history, finished))
    }

    /// Kills and cuts one image in every way.
    fn crash(&mut self, image: &SimDisk, moment: Moment) -> Result<(), String> {
        if self.is_new(image, moment) {
            self.recover_later(image.fork(), moment)?;
        }
        let cuts = if image.has_unsynced() { CUTS } else { 1 };
        for _ in 0..cuts {
            let policy = pick(&mut self.random, &PowerCut::ALL);
            let seed = self.random.number();
            let cut = image.power_cut(seed, policy);
            let moment = Moment { cut: true, ..moment };
            if self.is_new(&cut, moment) {
                self.recover_later(cut, moment)
                    .map_err(|why| format!("{why}\n(the power cut was {policy:?}, its seed {seed})"))?;
            }
        }
        Ok(())
    }

    /// Recovers at once, or when some time has passed, by a clock that may have been set meanwhile.
    fn recover_later(&mut self, disk: SimDisk, moment: Moment) -> Result<(), String> {
        let meanwhile = match self.random.below(8) {
            0..5 => return self.recover(disk, moment),
            5 if self.sets_clock => Op::SetClock { by_ms: -(self.random.below(20_000) as i64) },
            6 if self.sets_clock => Op::SetClock { by_ms: self.random.below(20_000) as i64 },
            _ => Op::Advance { ms: self.random.below(20_000) },
        };
        let mut oracle = moment.oracle.clone();
        pass_time(&disk, &meanwhile);
        oracle.completed(&meanwhile, &Answer::Done, false);
        let moment = Moment { oracle: &oracle, ..moment };
        self.recover(disk, moment).map_err(|why| format!("{why}\n(before the recovery: {meanwhile})"))
    }

    fn is_new(&mut self, image: &SimDisk, moment: Moment) -> bool {
        let mut hasher = DefaultHasher::new();
        (moment.completed, moment.in_flight.is_some(), moment.cut).hash(&mut hasher);
        for name in image.file_names() {
            image.read_file(&name).hash(&mut hasher);
            name.hash(&mut hasher);
        }
        self.seen.insert(hasher.finish())
    }

    /// Rule R4 and what follows: opens what the crash left, checks what it holds, and goes on working with it.
    fn recover(&mut self, disk: SimDisk, moment: Moment) -> Result<(), String> {
        self.tally.images += 1;
        if self.random.one_in(DOUBLE_CRASHES) {
            disk.capture_images(self.random.number());
        }
        let db = open(&disk, &self.options, "after the crash")?;
        let again = disk.take_images();
        let found = contents(&db)?;
        moment.check(&found)?;
        if let Some(name) = disk.file_names().iter().find(|name| name.ends_with(".tmp")) {
            return Err(format!("after the recovery, debris of the crash is still there: '{name}'"));
        }
        for image in &again {
            let policy = pick(&mut self.random, &PowerCut::ALL);
            let seed = self.random.number();
            let killed = (image.disk.fork(), moment, true, "a kill".to_string());
            // What the first crash left is on the disk for good after a power cut, and in its cache after a kill: what
            // the recovery found, it must find again, unless the cache was lost in between.
            let cut = image.disk.power_cut(seed, policy);
            let cut =
                (cut, Moment { cut: true, ..moment }, moment.cut, format!("{policy:?} with seed {seed}"));
            for (disk_again, moment, same, what) in [killed, cut] {
                self.tally.double += 1;
                self.recover_again(&disk_again, moment, same.then_some(&found)).map_err(|why| {
                    let trace = disk.trace_text(image.operation);
                    format!("{why}\n(the recovery itself was ended by {what}, at the last of\n{trace})")
                })?;
            }
        }
        if self.random.one_in(LONG_LIVES) { self.live_on(&disk, db, found) } else { Ok(()) }
    }

    fn recover_again(&self, disk: &SimDisk, moment: Moment, first: Option<&Found>) -> Result<(), String> {
        let db = open(disk, &self.options, "after the crash of the recovery")?;
        let found = contents(&db)?;
        if let Some(first) = first
            && let Some(key) = (0..KEYS).find(|key| bytes(found.get(key)) != bytes(first.get(key)))
        {
            let (now, then) = (name(found.get(&key)), name(first.get(&key)));
            return Err(format!("the first recovery found {then} for key #{key}, the second {now}"));
        }
        moment.check(&found)?;
        db.close().map_err(|error| format!("closing after the second recovery: {error}"))
    }

    /// The recovered store takes writes, keeps them across a power cut once they are synced, and across a reopening.
    fn live_on(&mut self, disk: &SimDisk, db: Db, mut found: Found) -> Result<(), String> {
        for round in 0..3u32 {
            let index = self.random.below(u64::from(PROFILE.keys)) as u8;
            if self.random.one_in(3) {
                let there = db.delete(key(index)).map_err(|error| format!("deleting after it: {error}"))?;
                if there != found.remove(&index).is_some() {
                    return Err(format!("after the recovery, the delete of key #{index} said {there}"));
                }
            } else {
                let len = self.random.below(300) as u32;
                let value = Value { version: 1_000_000 + round, len }.bytes(index);
                db.put(key(index), &value).map_err(|error| format!("a put after the recovery: {error}"))?;
                found.insert(index, Held::forever(value));
            }
        }
        db.sync().map_err(|error| format!("a sync after the recovery: {error}"))?;
        let cut = disk.power_cut(0, PowerCut::LosesAll);
        for (disk, what) in [(&cut, "a power cut"), (disk, "a reopening")] {
            if what == "a reopening" {
                db.close().map_err(|error| format!("closing after the recovery: {error}"))?;
            }
            let db = open(disk, &self.options, what)?;
            let now =
                contents(&db).map_err(|why| format!("after a recovery, writes, a sync and {what}: {why}"))?;
            if let Some(key) = (0..KEYS).find(|key| bytes(now.get(key)) != bytes(found.get(key))) {
                return Err(format!("after a recovery, writes, a sync and {what}, key #{key} has changed"));
            }
            db.close().map_err(|error| format!("closing after {what}: {error}"))?;
        }
        drop(db);
        match disk.open_files() {
            0 => Ok(()),
            files => Err(format!("{files} files are still open after the store was closed")),
        }
    }
}

fn bytes(held: Option<&Held>) -> Option<&[u8]> {
    held.map(|held| &held.bytes[..])
}

fn open(disk: &SimDisk, options: &Options, when: &str) -> Result<Db, String> {
    Db::open_on(Arc::new(disk.clone()), options).map_err(|error| format!("opening {when}: {error}"))
}

fn explorer(case: &Case) -> Explorer {
    Explorer {
        options: case.settings.options(),
        sets_clock: case.profile.sets_clock,
        random: Random::new(case.seed),
        seen: HashSet::new(),
        tally: Tally::default(),
    }
}

fn explore(default: u64, sync: SyncMode, profile: Profile) -> Tally {
    explore_engine(EngineKind::Auto, default, sync, profile)
}

fn explore_engine(engine: EngineKind, default: u64, sync: SyncMode, profile: Profile) -> Tally {
    let total = std::cell::RefCell::new(Tally::default());
    run_histories(
        histories(default),
        |seed| {
            let mut case = Case::random(seed, profile);
            case.settings.sync = sync;
            case.settings.engine = engine;
            case
        },
        |case| {
            let mut explorer = explorer(case);
            explorer.explore(case)?;
            let mut total = total.borrow_mut();
            total.images += explorer.tally.images;
            total.double += explorer.tally.double;
            Ok(())
        },
    );
    let total = total.into_inner();
    tally(total.images, "crash images");
    tally(total.double, "double crashes");
    total
}

fn is_default_run() -> bool {
    std::env::var_os("FILEDB_TEST_SEED").is_none() && std::env::var_os("FILEDB_TEST_HISTORIES").is_none()
}

#[test]
fn a_crash_between_explicit_syncs_leaves_what_it_must() {
    let tally = explore(2, SyncMode::None, PROFILE);
    assert!(
        !is_default_run() || tally.images > 2_000 && tally.double > 1_000,
        "too few crashes to mean anything"
    );
}

#[test]
fn a_crash_where_every_write_is_synced_leaves_what_it_must() {
    let tally = explore(2, SyncMode::Always, PROFILE);
    assert!(
        !is_default_run() || tally.images > 2_000 && tally.double > 1_000,
        "too few crashes to mean anything"
    );
}

#[test]
fn a_crash_with_a_sync_now_and_then_leaves_what_it_must() {
    explore(1, SyncMode::Interval, PROFILE);
}

#[test]
fn a_crash_while_one_key_is_written_over_and_over_leaves_what_it_must() {
    explore(1, SyncMode::None, Profile { keys: 1, ..PROFILE });
}

#[test]
fn a_crash_while_somebody_sets_the_clock_leaves_what_it_must() {
    explore(1, SyncMode::None, Profile { sets_clock: true, ..PROFILE });
}

#[test]
fn a_crash_of_the_ordered_engine_between_explicit_syncs_leaves_what_it_must() {
    let tally = explore_engine(EngineKind::Lsm, 2, SyncMode::None, PROFILE);
    assert!(
        !is_default_run() || tally.images > 1_000 && tally.double > 500,
        "too few crashes to mean anything"
    );
}

#[test]
fn a_crash_of_the_ordered_engine_where_every_write_is_synced_leaves_what_it_must() {
    explore_engine(EngineKind::Lsm, 2, SyncMode::Always, PROFILE);
}
