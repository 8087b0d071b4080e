//! Crashes while the store works in the background: writers, and the passes that its threads would make (seals, merges, flushes, what
//! has expired, checkpoints), in any order of their steps, and the machine stopped before any operation on the disk or in the middle of
//! one. So a pass stands still anywhere, also in the middle of a put, and what both have done by then must fit together.
//!
//! `tests/crash.rs` has more kinds of histories, and passes between calls only. Files are mapped in every other history, as they are by default.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::explore;
use super::store::{Content, Told, history, options, rows};
use crate::disk::sim::{Image, PowerCut, Random, SimDisk};
use crate::store::options::EngineKind;
use crate::sync::scheduled::change_at_atomics;
use crate::{Db, MergeMode, Options, PutOptions, SyncMode};

/// The number of moments of each schedule that are looked at: killed, and cut.
const MOMENTS: usize = 6;
/// The number of passes that the background makes.
const PASSES: usize = 3;

/// A thread that writes.
struct Writer {
    told: Told,
    /// What was written before the threads began, and is durable.
    base: usize,
    /// For each step after that, how many operations on the disk there were when it began, at least, and when it had ended, at most.
    steps: Mutex<Vec<(u64, u64)>>,
}

impl Writer {
    fn new(owner: &'static str, random: &mut Random, db: &Db) -> Arc<Writer> {
        let mut steps = history(random, owner, 6);
        let base = steps.len();
        steps.extend(history(random, owner, 4));
        let writer = Writer { told: Told::new(owner, steps), base, steps: Mutex::default() };
        (0..base).for_each(|at| writer.told.step(db, at));
        Arc::new(writer)
    }

    fn write(&self, db: &Db, disk: &SimDisk) {
        for at in self.base..self.told.len() {
            let begin = disk.operations();
            self.told.step(db, at);
            let end = disk.operations();
            self.steps.lock().expect("no thread panics").push((begin, end));
        }
    }

    /// How much was done at the moment of an image, and how much was begun.
    fn at(&self, image: &Image) -> (usize, usize) {
        let steps = self.steps.lock().expect("no thread panics");
        let done = steps.iter().filter(|(_, end)| *end < image.operation).count();
        let begun = steps.iter().filter(|(begin, _)| *begin < image.operation).count();
        (self.base + done, self.base + begun)
    }

    /// After a kill, or where each write is synced, what was done is there, and perhaps what was begun. After other cuts
    /// each key has something that it had since all was durable.
    fn check(&self, found: &Content, image: &Image, is_exact: bool, what: &str) {
        let (done, begun) = self.at(image);
        let mine: Content = self.told.only_mine(found);
        let is_right = if is_exact {
            (done..=begun).any(|steps| self.told.after(steps) == mine)
        } else {
            let moments: Vec<Content> = (self.base..=begun).map(|steps| self.told.after(steps)).collect();
            let keys = moments.iter().flat_map(Content::keys).chain(mine.keys());
            keys.into_iter().all(|key| moments.iter().any(|moment| moment.get(key) == mine.get(key)))
        };
        assert!(is_right, "{what}: {mine:?} is no moment of {done}..={begun} in {:?}", self.told.history());
    }
}

fn crash_anywhere(seed: u64, engine: EngineKind, looked: &'static AtomicU64) {
    change_at_atomics(false);
    let mut random = Random::new(seed);
    let sync = if random.one_in(2) { SyncMode::Always } else { SyncMode::None };
    let disk = SimDisk::with_random_bytes(seed);
    disk.set_mapped(seed.is_multiple_of(2));
    let options = Options { merge: MergeMode::Auto, merge_space_amplification: 1.1, ..options(engine, sync) };
    let db = Arc::new(Db::open_on(Arc::new(disk.clone()), &options).expect("a new store"));
    let soon = PutOptions { ttl: Some(Duration::from_millis(10)), ..PutOptions::default() };
    (0..3).for_each(|n| assert!(db.put_with(format!("expired{n}"), "", &soon).expect("room")));
    let writers = [Writer::new("a", &mut random, &db), Writer::new("b", &mut random, &db)];
    db.sync().expect("a sync");
    disk.advance_clock_ms(100);
    disk.capture_images(seed);
    change_at_atomics(true);

    let mut threads: Vec<_> = writers
        .iter()
        .map(|writer| {
            let (writer, db, disk) = (writer.clone(), db.clone(), disk.clone());
            shuttle::thread::spawn(move || writer.write(&db, &disk))
        })
        .collect();
    threads.push({
        let db = db.clone();
        shuttle::thread::spawn(move || (0..PASSES).for_each(|_| db.maintain().expect("a pass")))
    });
    if engine != EngineKind::Lsm {
        let db = db.clone();
        threads.push(shuttle::thread::spawn(move || assert!(db.write_checkpoint().is_ok())));
    }
    threads.into_iter().for_each(|thread| thread.join().expect("a thread"));

    change_at_atomics(false);
    let images = disk.take_images();
    // Others in each schedule.
    let mut random = Random::new(seed ^ disk.operations() << 32 ^ images.len() as u64);
    for _ in 0..MOMENTS {
        let image = &images[random.below(images.len() as u64) as usize];
        let policy = PowerCut::ALL[random.below(PowerCut::ALL.len() as u64) as usize];
        let cut = image.disk.power_cut(random.number(), policy);
        let at = if image.midway { "in the middle of" } else { "before" };
        let whole = sync == SyncMode::Always;
        for (left, is_exact, how) in
            [(image.disk.kill(), true, "a kill".to_owned()), (cut, whole, format!("{policy:?}"))]
        {
            let what = format!("{how} {at} operation {} of\n{}", image.operation, disk.trace_text(u64::MAX));
            let found = recover(left, &options, &what);
            assert!(found.keys().all(|key| !key.starts_with("expired")), "{what}: {found:?}");
            writers.iter().for_each(|writer| writer.check(&found, image, is_exact, &what));
            looked.fetch_add(1, Ordering::Relaxed);
        }
    }
    change_at_atomics(true);
}

/// What the store has that is on this disk. It counts right, takes writes, and has the same when it is opened again.
fn recover(disk: SimDisk, options: &Options, what: &str) -> Content {
    let open = || {
        Db::open_on(Arc::new(disk.clone()), options)
            .unwrap_or_else(|error| panic!("opening after {what}: {error}"))
    };
    let db = open();
    let found = rows(&db).unwrap_or_else(|error| panic!("{what}: {error}"));
    db.recount().unwrap_or_else(|why| panic!("{what}: {why}"));
    db.put("after", "it").unwrap_or_else(|error| panic!("a put after {what}: {error}"));
    db.close().unwrap_or_else(|error| panic!("a close after {what}: {error}"));
    let db = open();
    let mut again = rows(&db).unwrap_or_else(|error| panic!("{what}, opened again: {error}"));
    assert!(again.remove("after").is_some() && again == found, "{what}, opened again: {again:?}");
    found
}

#[test]
fn a_crash_at_any_step_of_the_background_leaves_what_it_must() {
    static LOOKED: AtomicU64 = AtomicU64::new(0);
    explore(2, |seed| crash_anywhere(seed, EngineKind::Bitcask, &LOOKED));
    println!("tally: {} crash images", LOOKED.load(Ordering::Relaxed));
}

#[test]
fn a_crash_at_any_step_of_the_background_of_the_ordered_engine_leaves_what_it_must() {
    static LOOKED: AtomicU64 = AtomicU64::new(0);
    explore(2, |seed| crash_anywhere(seed, EngineKind::Lsm, &LOOKED));
    println!("tally: {} crash images", LOOKED.load(Ordering::Relaxed));
}
