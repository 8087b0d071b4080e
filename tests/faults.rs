//! A disk that fails: each operation of a history in turn, once and from then on, with every error number that matters.
//!
//! Every call must answer with what is right or with an error that names the fault; nothing that was acknowledged may be
//! gone once the disk works again; and what was synced after a failed sync must really be on the disk.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use filedb::disk::sim::{FailedSync, Fault, Kind, Operation, PowerCut, SimDisk};
use filedb::{Batch, Db, EngineKind, Error, IoMode, MergeMode, Options, SyncMode};

use support::clock::Clock;
use support::generate::{Case, Profile};
use support::history::{KEYS, Op, Value, Write, key};
use support::oracle::{Found, Held, State, is_held, is_value, matches, name, name_bytes, name_of, outcome};
use support::runner::{histories, run_histories, tally};
use support::store::{Answer, apply, clock_of, contents, pass_time};

const PROFILE: Profile = Profile { ops: 30, keys: 10, kills: false, reads: true, sets_clock: false };

/// What the keys may hold, when calls fail half done.
struct Doubts {
    clock: Clock,
    /// For each key, what it may hold: what was acknowledged last, and each failed write since. Absent: nothing.
    possible: BTreeMap<u8, Vec<Option<State>>>,
}

impl Doubts {
    fn of(&self, key: u8) -> Vec<Option<State>> {
        self.possible.get(&key).cloned().unwrap_or_else(|| vec![None])
    }

    /// What the operation makes of the key, of each thing that it may hold. `None` where it writes nothing.
    fn outcomes(&self, op: &Op, key: u8) -> Vec<Option<Option<State>>> {
        let now = self.clock.now();
        let outcome =
            |before: Option<State>| outcome(op, before.filter(|state| state.may_live(now)), &self.clock);
        self.of(key).into_iter().map(outcome).collect()
    }

    fn acknowledged(&mut self, key: u8, state: Option<State>) {
        self.possible.insert(key, vec![state]);
    }

    fn in_doubt(&mut self, key: u8, states: impl IntoIterator<Item = Option<State>>) {
        self.possible.entry(key).or_insert_with(|| vec![None]).extend(states);
    }

    fn check(&self, key: u8, is: impl Fn(Option<State>) -> bool, held: &str) -> Result<(), String> {
        let possible = self.of(key);
        if possible.iter().any(|state| is(*state)) {
            return Ok(());
        }
        let possible: Vec<_> = possible.into_iter().map(name_of).collect();
        Err(format!("key #{key} holds {held}, not {}, at {:?}", possible.join(" or "), self.clock.now()))
    }

    fn check_bytes(&self, key: u8, held: Option<&Vec<u8>>) -> Result<(), String> {
        let now = self.clock.now();
        let is = |state: Option<State>| match (held, state) {
            (None, state) => state.is_none_or(|state| state.may_be_expired(now)),
            (Some(bytes), Some(state)) => state.may_live(now) && is_value(key, bytes, state.value),
            (Some(_), None) => false,
        };
        self.check(key, is, &name_bytes(held))
    }

    fn check_all(&self, found: &Found) -> Result<(), String> {
        let now = self.clock.now();
        (0..KEYS).try_for_each(|key| {
            let held = found.get(&key);
            self.check(key, |state| matches(key, held, state, now), &name(held))
        })
    }

    /// Only what was found may be found from now on.
    fn settle(&mut self, found: &Found) {
        let now = self.clock.now();
        for (key, possible) in &mut self.possible {
            possible.retain(|state| matches(*key, found.get(key), *state, now));
        }
    }
}

/// One way for the disk to fail.
#[derive(Clone)]
struct Scenario {
    errno: i32,
    kinds: &'static [Kind],
    short_write: bool,
    failed_sync: FailedSync,
}

/// What needs room on the disk.
const GROWTH: &[Kind] = &[Kind::Create, Kind::Write, Kind::Reserve];
/// What needs a descriptor.
const DESCRIPTORS: &[Kind] = &[Kind::Create, Kind::Open];

impl Scenario {
    fn all() -> Vec<Scenario> {
        let scenario =
            |errno, kinds| Scenario { errno, kinds, short_write: false, failed_sync: FailedSync::LosesPages };
        vec![
            scenario(libc::EIO, &[]),
            Scenario { short_write: true, ..scenario(libc::EIO, &[Kind::Write]) },
            scenario(libc::ENOSPC, GROWTH),
            Scenario { short_write: true, ..scenario(libc::ENOSPC, GROWTH) },
            scenario(libc::EMFILE, DESCRIPTORS),
            scenario(libc::EINTR, &[]),
            scenario(libc::EACCES, DESCRIPTORS),
            scenario(libc::EDQUOT, GROWTH),
            Scenario {
                failed_sync: FailedSync::KeepsPages,
                ..scenario(libc::EIO, &[Kind::Sync, Kind::SyncDir])
            },
        ]
    }

    /// Whether the store must go on working in the same handle once the disk does.
    fn heals(&self) -> bool {
        matches!(self.errno, libc::ENOSPC | libc::EDQUOT | libc::EMFILE | libc::EACCES)
    }
}

/// A history run on a disk that fails, and what is known of it.
struct Run<'a> {
    case: &'a Case,
    options: Options,
    scenario: &'a Scenario,
    lasts: bool,
    disk: SimDisk,
    doubts: Doubts,
    /// In this session a value was seen in place of another that was possible: it must stay.
    seen: BTreeMap<u8, Option<Vec<u8>>>,
    /// The failures of the disk that were known after the last operation.
    failures: usize,
    /// A data file could not be synced since the store was opened.
    sync_failed: bool,
}

impl<'a> Run<'a> {
    fn new(case: &'a Case, scenario: &'a Scenario, from: u64, lasts: bool) -> Self {
        let disk = case.settings.disk();
        let clock = clock_of(&disk);
        disk.set_failed_sync(scenario.failed_sync);
        let fault = Fault {
            from,
            lasts,
            kinds: scenario.kinds,
            errno: scenario.errno,
            short_write: scenario.short_write,
        };
        disk.fail(fault);
        Run {
            case,
            options: case.settings.options(),
            scenario,
            lasts,
            disk,
            doubts: Doubts { clock, possible: BTreeMap::new() },
            seen: BTreeMap::new(),
            failures: 0,
            sync_failed: false,
        }
    }

    /// On a disk that has so much room and no more, until it is repaired.
    fn with_room(case: &'a Case, scenario: &'a Scenario, room: u64) -> Self {
        let run = Run::new(case, scenario, u64::MAX, true);
        run.disk.set_room(Some(room));
        run
    }

    /// What fails fails no more, and there is room.
    fn repair(&self) {
        self.disk.repair();
        self.disk.set_room(None);
    }

    /// Opens the store; where the disk does not let it, repairs the disk: then it must open.
    fn open(&mut self) -> Result<Db, String> {
        self.seen.clear();
        let first = Db::open_on(Arc::new(self.disk.clone()), &self.options);
        let db = match first {
            Ok(db) => db,
            Err(error) => {
                self.check_error("opening", &error)?;
                if self.lasts {
                    self.repair();
                }
                Db::open_on(Arc::new(self.disk.clone()), &self.options)
                    .map_err(|error| format!("opening, after an opening that failed: {error}"))?
            }
        };
        self.note_failures();
        self.sync_failed = false;
        Ok(db)
    }

    /// Runs the history and what comes after it.
    fn run(mut self) -> Result<u64, String> {
        let mut db = self.open()?;
        for (op, number) in self.case.ops.iter().zip(0..) {
            match op {
                Op::Reopen => {
                    let closed = db.close();
                    if let Err(error) = closed {
                        self.check_error("closing", &error)?;
                    }
                    drop(db);
                    db = self.open()?;
                    self.check_contents(&db)
                        .map_err(|why| format!("operation {number}, reopening: {why}"))?;
                }
                Op::Advance { ms } => {
                    pass_time(&self.disk, op);
                    self.doubts.clock.advance(*ms);
                    self.seen.clear();
                }
                op => self.step(&db, op).map_err(|why| format!("operation {number}, '{op}': {why}"))?,
            }
        }
        let operations = self.disk.operations();
        self.finish(db)?;
        Ok(operations)
    }

    fn step(&mut self, db: &Db, op: &Op) -> Result<(), String> {
        let was_failing = self.sync_failed;
        let answer = apply(db, op);
        let hit = self.note_failures();
        if let Err(error) = &answer {
            if !matches!(error, Error::Poisoned { .. }) && !hit {
                return Err(format!("it failed though the disk did not: {error}"));
            }
            self.check_error("it", error)?;
            if self.scenario.heals() && matches!(error, Error::Poisoned { .. }) {
                return Err(format!("a lack of room or of descriptors stopped all writes: {error}"));
            }
        }
        match op {
            Op::Batch { writes } => {
                // The last write of a key counts.
                let last: BTreeMap<u8, Write> = writes.iter().map(|write| (write.key, *write)).collect();
                last.into_values().try_for_each(|Write { key, value, ttl_ms }| {
                    let expires = ttl_ms.map(|ttl| self.doubts.clock.expiry(ttl));
                    let state = value.map(|value| State { value, expires });
                    self.written(key, vec![Some(state)], answer.clone().map(drop), was_failing)
                })
            }
            Op::Put { key, .. }
            | Op::Delete { key }
            | Op::PutWith { key, .. }
            | Op::Expire { key, .. }
            | Op::Persist { key } => {
                let mut outcomes = self.doubts.outcomes(op, *key);
                if let Ok(Answer::Is(done)) = answer {
                    // What the answer rules out was not there.
                    let before = self.doubts.of(*key);
                    let right = |n: &usize| outcomes[*n].is_some() == done;
                    let right: Vec<usize> = (0..outcomes.len()).filter(right).collect();
                    if right.is_empty() {
                        return Err(format!("it answered {done}, but the key may hold {before:?}"));
                    }
                    self.doubts.possible.insert(*key, right.iter().map(|n| before[*n]).collect());
                    outcomes = right.iter().map(|n| outcomes[*n]).collect();
                }
                self.written(*key, outcomes, answer.map(drop), was_failing)
            }
            Op::Sync => match answer {
                Ok(_) if was_failing => Err("it succeeded after a sync that failed".into()),
                _ => Ok(()),
            },
            Op::Get { key, .. } => match answer {
                Ok(Answer::Value(held)) => self.observed(*key, held),
                Ok(other) => Err(format!("it answered {other:?}")),
                Err(Error::Poisoned { .. }) => Err("reads must go on after a sync that failed".into()),
                Err(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// `outcomes` are what the call made of the key, one for each thing that it may have held.
    fn written(
        &mut self,
        key: u8,
        outcomes: Vec<Option<Option<State>>>,
        answer: Result<(), Error>,
        was_failing: bool,
    ) -> Result<(), String> {
        match answer {
            // A delete of an absent key has nothing to write.
            Ok(()) if was_failing && !outcomes.contains(&None) => {
                Err("it was acknowledged after a sync that failed".into())
            }
            Ok(()) => {
                if !outcomes.contains(&None) {
                    self.doubts.possible.insert(key, outcomes.into_iter().flatten().collect());
                    self.seen.remove(&key);
                }
                Ok(())
            }
            // The error says that nothing was written, and in these cases that can be kept.
            Err(Error::NoSpace { .. }) => Ok(()),
            Err(Error::Poisoned { .. }) if was_failing => Ok(()),
            Err(_) => {
                self.doubts.in_doubt(key, outcomes.into_iter().flatten());
                self.seen.remove(&key);
                Ok(())
            }
        }
    }

    fn observed(&mut self, key: u8, held: Option<Vec<u8>>) -> Result<(), String> {
        self.doubts.check_bytes(key, held.as_ref())?;
        if let Some(before) = self.seen.get(&key).filter(|before| **before != held) {
            return Err(format!(
                "it was {} and is {}",
                name_bytes(before.as_ref()),
                name_bytes(held.as_ref())
            ));
        }
        self.seen.insert(key, held);
        Ok(())
    }

    /// Whether operations on the disk failed since this was asked last.
    fn note_failures(&mut self) -> bool {
        let failures = self.disk.failures();
        let new = &failures[self.failures..];
        // A file whose first sync fails was never in use.
        self.sync_failed |= new.iter().any(|failed| {
            let was_synced =
                |it: &Operation| it.kind == Kind::Sync && it.name == failed.name && it.errno == 0;
            let was_in_use = || self.disk.trace().iter().any(was_synced);
            failed.kind == Kind::Sync && failed.name.ends_with(".data") && was_in_use()
        });
        let hit = !new.is_empty();
        self.failures = failures.len();
        hit
    }

    /// An error is one that follows from the fault, and says so.
    fn check_error(&self, what: &str, error: &Error) -> Result<(), String> {
        let errno = self.scenario.errno;
        let clear = match error {
            Error::Poisoned { reason } => !reason.is_empty(),
            Error::NoSpace { .. } => {
                matches!(errno, libc::ENOSPC | libc::EDQUOT) && error.os_errno() == errno
            }
            Error::Io { .. } => error.os_errno() == errno,
            _ => false,
        };
        let text = error.to_string();
        if clear && !text.is_empty() {
            return Ok(());
        }
        Err(format!("{what} failed with an error that does not tell of the fault: {text} ({error:?})"))
    }

    fn check_contents(&mut self, db: &Db) -> Result<(), String> {
        // A fault that lasts hits the reads as well; then there is nothing to learn.
        if self.disk.has_faults() {
            return Ok(());
        }
        let found = contents(db)?;
        self.doubts.check_all(&found)?;
        self.doubts.settle(&found);
        Ok(())
    }

    /// The disk works again.
    fn finish(mut self, db: Db) -> Result<(), String> {
        self.repair();
        // A value of no history.
        let [first, last] = [u32::MAX - 1, u32::MAX].map(|version| Value { version, len: 5 });
        let put = db.put(key(0), first.bytes(0));
        match &put {
            Ok(()) if self.sync_failed => {
                return Err("a data file could not be synced, and a later put was acknowledged".into());
            }
            Err(Error::Poisoned { .. }) if !self.scenario.heals() => {}
            Err(error) => return Err(format!("a put when the disk works again: {error}")),
            Ok(()) => {
                self.doubts.acknowledged(0, Some(State { value: first, expires: None }));
                self.seen.remove(&0);
            }
        }
        // Reads go on in the same handle.
        for index in 0..KEYS {
            let held =
                db.get(key(index)).map_err(|error| format!("a get when the disk works again: {error}"))?;
            self.observed(index, held)?;
        }
        if self.case.seed.is_multiple_of(2) {
            let _ = db.close();
            drop(db);
        } else {
            self.disk = self.disk.kill();
        }

        let options = self.options.clone();
        let open = |disk: &SimDisk, when: &str| {
            Db::open_on(Arc::new(disk.clone()), &options).map_err(|error| format!("opening {when}: {error}"))
        };
        let db = open(&self.disk, "when the disk works again")?;
        let mut found = contents(&db).map_err(|why| format!("when the disk works again, {why}"))?;
        self.doubts.check_all(&found).map_err(|why| format!("when the disk works again, {why}"))?;

        // What the store holds now, and what is written now, is durable after a sync: also what a failed sync lost.
        db.put(key(0), last.bytes(0)).map_err(|error| format!("a put when the disk works again: {error}"))?;
        db.sync().map_err(|error| format!("a sync when the disk works again: {error}"))?;
        found.insert(0, Held::forever(last.bytes(0)));
        let cut = self.disk.power_cut(0, PowerCut::LosesAll);
        drop(db);
        let db = open(&cut, "after a sync and a power cut")?;
        let durable = contents(&db).map_err(|why| format!("after a sync and a power cut, {why}"))?;
        match (0..KEYS).find(|key| durable.get(key) != found.get(key)) {
            None => Ok(()),
            Some(key) => Err(format!(
                "key #{key} held {} when the store was synced, and {} after the power cut",
                name(found.get(&key)),
                name(durable.get(&key))
            )),
        }
    }
}

/// Every operation of each history fails, in every scenario that `sync` and the filter leave.
fn fail_everywhere(default: u64, sync: SyncMode, wanted: impl Fn(&Scenario) -> bool) {
    fail_everywhere_in(EngineKind::Auto, default, sync, wanted);
}

fn fail_everywhere_in(engine: EngineKind, default: u64, sync: SyncMode, wanted: impl Fn(&Scenario) -> bool) {
    let scenarios: Vec<Scenario> = Scenario::all().into_iter().filter(wanted).collect();
    let injected = std::cell::Cell::new(0);
    run_histories(
        histories(default),
        |seed| {
            let mut case = Case::random(seed, PROFILE);
            case.settings.sync = sync;
            case.settings.engine = engine;
            case
        },
        |case| {
            let none = Scenario { kinds: &[], ..scenarios[0].clone() };
            let operations = Run::new(case, &none, u64::MAX, false).run()?;
            for scenario in &scenarios {
                for lasts in [false, true] {
                    for n in 1..=operations {
                        let run = Run::new(case, scenario, n, lasts);
                        let disk = run.disk.clone();
                        run.run().map_err(|why| describe(&why, scenario, n, lasts, &disk))?;
                        injected.set(injected.get() + u64::from(!disk.failures().is_empty()));
                    }
                }
            }
            Ok(())
        },
    );
    tally(injected.get(), "injected errors");
}

/// In each test so many bytes lie between the sizes of two disks; torture begins at others with each seed.
const BYTES_APART: u64 = 61;

/// Each history on disks of all sizes up to that which it needs: they are full at every byte that it writes.
fn full_at_every_byte(default: u64, engine: EngineKind) {
    let scenario =
        Scenario { errno: libc::ENOSPC, kinds: &[], short_write: false, failed_sync: FailedSync::LosesPages };
    let full = std::cell::Cell::new(0);
    run_histories(
        histories(default),
        |seed| {
            let mut case = Case::random(seed, PROFILE);
            case.settings.engine = engine;
            case
        },
        |case| {
            let unlimited = Run::new(case, &scenario, u64::MAX, false);
            let disk = unlimited.disk.clone();
            unlimited.run()?;
            let most = disk.most_used();
            for room in (case.seed % BYTES_APART..most).step_by(BYTES_APART as usize) {
                let run = Run::with_room(case, &scenario, room);
                let disk = run.disk.clone();
                run.run().map_err(|why| {
                    let trace = disk.trace_text(u64::MAX);
                    format!("{why}\n\nthe disk had room for {room} of {most} bytes\n{trace}")
                })?;
                full.set(full.get() + u64::from(!disk.failures().is_empty()));
            }
            Ok(())
        },
    );
    tally(full.get(), "full disks");
}

#[test]
fn a_disk_that_is_full_at_any_byte_loses_nothing_and_works_again_with_room() {
    full_at_every_byte(1, EngineKind::Auto);
}

#[test]
fn a_disk_that_is_full_at_any_byte_loses_nothing_of_the_ordered_engine_and_works_again_with_room() {
    full_at_every_byte(1, EngineKind::Lsm);
}

fn describe(why: &str, scenario: &Scenario, n: u64, lasts: bool, disk: &SimDisk) -> String {
    let error = std::io::Error::from_raw_os_error(scenario.errno);
    let kinds = if scenario.kinds.is_empty() { "any".into() } else { format!("{:?}", scenario.kinds) };
    let lasts = if lasts { "and all later ones fail" } else { "fails" };
    let trace = disk.trace_text(u64::MAX);
    let from = trace.lines().count().saturating_sub(60);
    let trace: String = trace.lines().skip(from).map(|line| format!("  {line}\n")).collect();
    format!(
        "{why}\n\ndisk operation {n} (of {kinds} kind) {lasts} with '{error}'{}, and a failed sync {:?}\n{trace}",
        if scenario.short_write { " after a part of it" } else { "" },
        scenario.failed_sync,
    )
}

#[test]
fn nothing_is_lost_and_no_answer_wrong_when_a_disk_operation_fails() {
    fail_everywhere(1, SyncMode::None, |scenario| scenario.errno == libc::EIO);
}

#[test]
fn nothing_is_lost_and_no_answer_wrong_when_a_disk_operation_fails_and_every_write_is_synced() {
    fail_everywhere(1, SyncMode::Always, |scenario| scenario.errno == libc::EIO);
}

#[test]
fn a_store_works_again_after_a_lack_of_room_or_descriptors() {
    fail_everywhere(1, SyncMode::None, Scenario::heals);
    fail_everywhere(1, SyncMode::Always, Scenario::heals);
}

#[test]
fn nothing_of_the_ordered_engine_is_lost_and_no_answer_wrong_when_a_disk_operation_fails() {
    for sync in [SyncMode::None, SyncMode::Always] {
        fail_everywhere_in(EngineKind::Lsm, 1, sync, |scenario| scenario.errno == libc::EIO);
    }
}

#[test]
fn a_store_of_the_ordered_engine_works_again_after_a_lack_of_room_or_descriptors() {
    fail_everywhere_in(EngineKind::Lsm, 1, SyncMode::None, Scenario::heals);
}

#[test]
fn an_interrupted_operation_is_no_success() {
    fail_everywhere(1, SyncMode::Interval, |scenario| scenario.errno == libc::EINTR);
}

#[test]
fn a_full_disk_stops_no_reads_and_no_writes_once_there_is_room_again() {
    run_histories(
        histories(100),
        |seed| {
            let mut case = Case::random(seed, Profile { ops: 0, ..PROFILE });
            // Merges would make room for ever.
            case.settings.merge = MergeMode::Manual;
            case
        },
        |case| {
            let disk = case.settings.disk();
            let options = case.settings.options();
            let db =
                Db::open_on(Arc::new(disk.clone()), &options).map_err(|error| format!("opening: {error}"))?;
            let mut random = filedb::disk::sim::Random::new(case.seed);
            let mut found = Found::new();
            let mut version = 0;
            for round in 0..4 {
                disk.set_room(Some(disk.used() + random.below(20_000)));
                let mut refused = 0;
                while refused < 5 {
                    version += 1;
                    let index = random.below(u64::from(KEYS)) as u8;
                    let value = Value { version, len: random.below(600) as u32 }.bytes(index);
                    match db.put(key(index), &value) {
                        Ok(()) => drop(found.insert(index, Held::forever(value))),
                        Err(Error::NoSpace { .. }) => refused += 1,
                        Err(error) => return Err(format!("round {round}, a put on a full disk: {error}")),
                    }
                }
                let now = contents(&db).map_err(|why| format!("round {round}, on a full disk: {why}"))?;
                if now != found {
                    return Err(format!("round {round}: a put that was refused has changed something"));
                }
                if random.one_in(2) {
                    // Killed while the disk is full, and opened while it still is.
                    let next = disk.fork();
                    let db = Db::open_on(Arc::new(next.clone()), &options)
                        .map_err(|error| format!("round {round}, opening on a full disk: {error}"))?;
                    let now = contents(&db)
                        .map_err(|why| format!("round {round}, opened on a full disk: {why}"))?;
                    if now != found {
                        return Err(format!(
                            "round {round}: something is lost when the store is opened on a full disk"
                        ));
                    }
                }
                disk.set_room(None);
                db.put(key(0), b"room")
                    .map_err(|error| format!("round {round}, with room again: {error}"))?;
                found.insert(0, Held::forever(b"room".to_vec()));
            }
            db.close().map_err(|error| format!("closing: {error}"))
        },
    );
}

#[test]
fn pages_dropped_by_a_failed_sync_are_not_answered_with_wrong_bytes() {
    // The cache is dropped at once, as some file systems do it: unsynced writes may be gone, but never wrong.
    run_histories(
        histories(100),
        |seed| {
            let mut case = Case::random(seed, PROFILE);
            case.settings.sync = SyncMode::None;
            let is_wanted = |op: &Op| match op {
                Op::Put { .. } | Op::Delete { .. } | Op::Sync | Op::Get { .. } | Op::Maintain | Op::Merge => {
                    true
                }
                Op::Batch { writes } => writes.iter().all(|write| write.ttl_ms.is_none()),
                _ => false,
            };
            case.ops.retain(is_wanted);
            case
        },
        |case| {
            let disk = case.settings.disk();
            disk.set_failed_sync(FailedSync::DropsPages);
            let options = case.settings.options();
            let open = |disk: &SimDisk| Db::open_on(Arc::new(disk.clone()), &options);
            let db = open(&disk).map_err(|error| format!("opening: {error}"))?;
            disk.fail(Fault::once(disk.operations() + 1 + case.seed % 60, libc::EIO).of(&[Kind::Sync]));
            let mut written: BTreeMap<u8, Vec<Option<Value>>> = BTreeMap::new();
            // For each key, the number of its last write that was acknowledged, counted from 1; and that was synced.
            let mut acknowledged: BTreeMap<u8, usize> = BTreeMap::new();
            let mut synced: BTreeMap<u8, usize> = BTreeMap::new();
            let mut failed = false;
            for op in &case.ops {
                let answer = apply(&db, op);
                failed |= !disk.failures().is_empty();
                let done = answer.is_ok();
                let mut wrote = |key: u8, value: Option<Value>| {
                    let all = written.entry(key).or_default();
                    all.push(value);
                    if done {
                        acknowledged.insert(key, all.len());
                    }
                };
                match (op, answer) {
                    (Op::Put { key, value }, _) => wrote(*key, Some(*value)),
                    (Op::Delete { key }, _) => wrote(*key, None),
                    (Op::Batch { writes }, _) => {
                        writes.iter().for_each(|write| wrote(write.key, write.value));
                    }
                    (Op::Sync, Ok(_)) => synced.clone_from(&acknowledged),
                    (Op::Get { key, .. }, Ok(Answer::Value(Some(held)))) => {
                        let ever = written.get(key).into_iter().flatten();
                        if !ever.flatten().any(|value| is_value(*key, &held, *value)) {
                            return Err(format!("'{op}' gave bytes that were never written for that key"));
                        }
                    }
                    (_, Err(error)) if !failed => return Err(format!("'{op}': {error}")),
                    _ => {}
                }
            }
            drop(db);
            let db = open(&disk.kill()).map_err(|error| format!("opening after it: {error}"))?;
            let found = contents(&db)?;
            for index in 0..KEYS {
                let all = written.get(&index).map_or(&[][..], Vec::as_slice);
                let from = synced.get(&index).copied().unwrap_or(0);
                let possible = if from == 0 { &[None][..] } else { &all[from - 1..from] };
                let mut possible = possible.iter().chain(&all[from..]);
                let held = found.get(&index).map(|held| &held.bytes);
                if !possible.any(|value| is_held(index, held, *value)) {
                    return Err(format!("key #{index} holds {}", name(found.get(&index))));
                }
            }
            Ok(())
        },
    );
}

/// The records of a batch are whole frames inside of it. Where a part of a batch was written and the rest failed, a record that is
/// written over its beginning may end just where one of them begins.
#[test]
fn what_a_batch_left_that_could_not_be_written_is_never_taken_for_records() {
    let options = Options { sync: SyncMode::None, io: IoMode::Pread, ..Options::default() };
    for len in (0..600).step_by(4) {
        let disk = SimDisk::new();
        let db = Db::open_on(Arc::new(disk.clone()), &options).expect("opening");
        db.put(b"first", b"value").expect("a put");
        let mut batch = Batch::new();
        for n in 0..40u8 {
            batch.put([n], [n; 40]).expect("a write of a batch");
        }
        let from = disk.operations() + 1;
        disk.fail(Fault { from, lasts: false, kinds: &[Kind::Write], errno: libc::EIO, short_write: true });
        db.write(&batch).expect_err("a batch that cannot be written");
        db.put(b"later", vec![1; len]).expect("a put when the disk works again");
        let db = Db::open_on(Arc::new(disk.kill()), &options).expect("opening after the kill");
        assert_eq!(db.count().expect("count"), 2, "a value of {len} bytes: a part of the batch is there");
    }
}

#[test]
fn a_first_opening_that_fails_leaves_no_file_behind() {
    for errno in [libc::EIO, libc::ENOSPC, libc::EMFILE] {
        for n in 1.. {
            let disk = SimDisk::new();
            disk.fail(Fault { from: n, lasts: false, kinds: &[], errno, short_write: false });
            let opened = Db::open_on(Arc::new(disk.clone()), &Options::default());
            let (is_open, was_hit) = (opened.is_ok(), !disk.has_faults());
            drop(opened);
            assert!(
                is_open || disk.file_names().is_empty(),
                "errno {errno}, operation {n}: {:?}",
                disk.file_names()
            );
            // Some failures are of no account, and all that come after the opening are none.
            if is_open && !was_hit {
                break;
            }
        }
    }
}
