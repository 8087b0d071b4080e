//! Whole stores of both engines on the simulated disk: writers, a merge, walks, gets, a close and cuts of the power in any order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool as Flag, AtomicUsize as Number, Ordering};

use super::explore;
use crate::disk::sim::{PowerCut, Random, SimDisk};
use crate::store::options::EngineKind;
use crate::sync::scheduled::change_at_atomics;
use crate::{Db, Error, MergeMode, Options, SyncMode};

const KEYS: u64 = 3;

/// What one thread does to its keys, in this order: a key, and its new value or none.
pub(super) type History = Vec<(String, Option<String>)>;

/// What a history leaves of its keys.
pub(super) type Content = BTreeMap<String, String>;

pub(super) fn history(random: &mut Random, owner: &str, length: u64) -> History {
    (0..length)
        .map(|n| {
            let key = format!("{owner}{}", random.below(KEYS));
            let value = format!("{key}={n:02}.{}", "x".repeat(random.below(60) as usize));
            (key, (!random.one_in(4)).then_some(value))
        })
        .collect()
}

/// A history, and how much of it was begun and is done.
pub(super) struct Told {
    owner: &'static str,
    history: History,
    begun: Number,
    done: Number,
}

impl Told {
    pub(super) fn new(owner: &'static str, history: History) -> Self {
        Told { owner, history, begun: Number::new(0), done: Number::new(0) }
    }

    fn write(&self, db: &Db) {
        for (at, (key, value)) in self.history.iter().enumerate() {
            self.begun.store(at + 1, Ordering::SeqCst);
            let written = match value {
                Some(value) => db.put(key, value),
                None => db.delete(key).map(drop),
            };
            match written {
                Ok(()) => self.done.store(at + 1, Ordering::SeqCst),
                // Who closes the store stops everybody.
                Err(Error::Closed) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// One of its steps.
    pub(super) fn step(&self, db: &Db, at: usize) {
        Told::new(self.owner, vec![self.history[at].clone()]).write(db);
    }

    pub(super) fn len(&self) -> usize {
        self.history.len()
    }

    pub(super) fn history(&self) -> &History {
        &self.history
    }

    /// What is there of its keys.
    pub(super) fn only_mine(&self, found: &Content) -> Content {
        found.clone().into_iter().filter(|(key, _)| key.starts_with(self.owner)).collect()
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    pub(super) fn after(&self, steps: usize) -> Content {
        let mut content = Content::new();
        for (key, value) in &self.history[..steps] {
            match value {
                Some(value) => content.insert(key.clone(), value.clone()),
                None => content.remove(key),
            };
        }
        content
    }

    /// What was found is what the history had left at a moment between `done` and now.
    fn check(&self, found: &Content, done: usize, what: &str) {
        let found = self.only_mine(found);
        let moments = done..=self.begun();
        assert!(
            moments.clone().any(|steps| self.after(steps) == found),
            "{what}: {found:?} is no moment of {moments:?} in {:?}",
            self.history
        );
    }
}

pub(super) fn rows(db: &Db) -> Result<Content, Error> {
    rows_with_a_rest(db, || ())
}

/// What a walk shows that rests after its second row: by then it has taken the places of more.
fn rows_with_a_rest(db: &Db, rest: impl Fn()) -> Result<Content, Error> {
    let (mut rows, mut content) = (db.iter("")?, Content::new());
    while let Some(row) = rows.next_row()? {
        if content.len() == 1 {
            rest();
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a text");
        let again = content.insert(text(row.key()), text(row.value()));
        assert_eq!(again, None, "a walk shows a key twice");
    }
    Ok(content)
}

pub(super) fn options(engine: EngineKind, sync: SyncMode) -> Options {
    Options {
        engine,
        sync,
        merge: MergeMode::Manual,
        max_file_size: 400,
        lsm_memory: 16 << 10,
        ..Options::default()
    }
}

/// A store, what is written to it, and its disk.
#[derive(Clone)]
struct Ground {
    db: Arc<Db>,
    disk: SimDisk,
    told: [Arc<Told>; 2],
    options: Options,
}

type Thread = shuttle::thread::JoinHandle<()>;

impl Ground {
    fn new(seed: u64, engine: EngineKind, sync: SyncMode, length: u64) -> Self {
        change_at_atomics(false);
        let mut random = Random::new(seed);
        let disk = SimDisk::with_random_bytes(seed);
        disk.set_mapped(random.one_in(2));
        let options = options(engine, sync);
        let db = Db::open_on(Arc::new(disk.clone()), &options).expect("a new store");
        // Something to merge.
        let before = history(&mut random, "a", 8);
        let mut of_first = before.clone();
        of_first.extend(history(&mut random, "a", length));
        let told = [Told::new("a", of_first), Told::new("b", history(&mut random, "b", length))];
        for (at, (key, value)) in before.iter().enumerate() {
            match value {
                Some(value) => db.put(key, value),
                None => db.delete(key).map(drop),
            }
            .expect("room");
            told[0].begun.store(at + 1, Ordering::SeqCst);
            told[0].done.store(at + 1, Ordering::SeqCst);
        }
        change_at_atomics(true);
        Ground { db: Arc::new(db), disk, told: told.map(Arc::new), options }
    }

    fn spawn(&self, work: impl FnOnce(&Ground) + Send + 'static) -> Thread {
        let ground = self.clone();
        shuttle::thread::spawn(move || work(&ground))
    }

    fn writer(&self, which: usize) -> Thread {
        self.spawn(move |ground| {
            let told = &ground.told[which];
            let from = told.done();
            let rest = Told::new(told.owner, told.history[from..].to_vec());
            for (at, step) in rest.history.iter().enumerate() {
                told.begun.store(from + at + 1, Ordering::SeqCst);
                Told::new(told.owner, vec![step.clone()]).write(&ground.db);
                told.done.store(from + at + 1, Ordering::SeqCst);
            }
        })
    }

    /// What is on this disk is what was done when it was cut off, and perhaps what was under way.
    fn check_image(&self, image: SimDisk, done: [usize; 2], what: &str) {
        change_at_atomics(false);
        let db =
            Db::open_on(Arc::new(image), &self.options).unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = rows(&db).unwrap_or_else(|error| panic!("{what}: {error}"));
        self.told.iter().zip(done).for_each(|(told, done)| told.check(&found, done, what));
        drop(db);
        change_at_atomics(true);
    }

    /// All threads have ended: what is there is what the histories say, and all that is counted is right.
    fn check_end(self, what: &str) {
        change_at_atomics(false);
        let done = [self.told[0].history.len(), self.told[1].history.len()];
        let found = rows(&self.db).expect("a walk");
        self.told.iter().zip(done).for_each(|(told, done)| told.check(&found, done, what));
        self.db.recount().unwrap_or_else(|error| panic!("{what}: {error}"));
        if self.options.sync == SyncMode::Always {
            self.check_image(self.disk.power_cut(1, PowerCut::LosesAll), done, "after all have returned");
        }
        self.check_image(self.disk.kill(), done, "after a kill");
        change_at_atomics(true);
    }
}

fn join(threads: impl IntoIterator<Item = Thread>) {
    threads.into_iter().for_each(|thread| thread.join().expect("a thread"));
}

fn beside_a_merge(seed: u64, engine: EngineKind) {
    let ground = Ground::new(seed, engine, SyncMode::None, 5);
    let is_merged = Arc::new(Flag::new(false));
    let merge = {
        let is_merged = is_merged.clone();
        ground.spawn(move |ground| {
            ground.db.merge().expect("a merge");
            is_merged.store(true, Ordering::SeqCst);
        })
    };
    let slow_walk = ground.spawn(move |ground| {
        let done = ground.told.each_ref().map(|told| told.done());
        let merged = || {
            while !is_merged.load(Ordering::SeqCst) {
                shuttle::thread::yield_now();
            }
        };
        let found = rows_with_a_rest(&ground.db, merged).expect("a walk");
        ground.told.iter().zip(done).for_each(|(told, done)| told.check(&found, done, "a slow walk"));
    });
    let walk = ground.spawn(|ground| {
        for _ in 0..2 {
            let done = ground.told.each_ref().map(|told| told.done());
            let found = rows(&ground.db).expect("a walk");
            ground.told.iter().zip(done).for_each(|(told, done)| told.check(&found, done, "a walk"));
        }
    });
    let gets = ground.spawn(move |ground| {
        let mut random = Random::new(!seed);
        for _ in 0..4 {
            let (told, key) = (&ground.told[0], format!("a{}", random.below(KEYS)));
            let done = told.done();
            let got = ground.db.get(&key).expect("a get");
            let is_it =
                |steps: usize| told.after(steps).get(&key).map(|value| value.as_bytes()) == got.as_deref();
            assert!((done..=told.begun()).any(is_it), "{key} is {got:?} after {done} steps");
        }
    });
    join([merge, walk, slow_walk, gets, ground.writer(0), ground.writer(1)]);
    ground.check_end("at the end");
}

#[test]
fn gets_and_walks_see_one_moment_while_files_are_merged() {
    explore(2, |seed| beside_a_merge(seed, EngineKind::Bitcask));
}

#[test]
fn gets_and_walks_see_one_moment_while_files_are_merged_in_the_ordered_engine() {
    explore(2, |seed| beside_a_merge(seed, EngineKind::Lsm));
}

fn power_cuts(seed: u64, engine: EngineKind) {
    let ground = Ground::new(seed, engine, SyncMode::Always, 3);
    let cut = ground.spawn(move |ground| {
        for n in 0..3 {
            let done = ground.told.each_ref().map(|told| told.done());
            let others = PowerCut::ALL[((seed + n) % PowerCut::ALL.len() as u64) as usize];
            let policy = if n == 0 { PowerCut::LosesAll } else { others };
            let image = ground.disk.power_cut(seed + n, policy);
            ground.check_image(image, done, "after a power cut");
            shuttle::thread::yield_now();
        }
    });
    let merge = ground.spawn(|ground| ground.db.merge().expect("a merge"));
    join([cut, merge, ground.writer(0), ground.writer(1)]);
    ground.check_end("at the end");
}

#[test]
fn what_returned_is_durable_whoever_synced_it() {
    explore(1, |seed| power_cuts(seed, EngineKind::Bitcask));
}

#[test]
fn what_returned_is_durable_whoever_synced_it_in_the_ordered_engine() {
    explore(1, |seed| power_cuts(seed, EngineKind::Lsm));
}

fn closed_under_its_users(seed: u64, engine: EngineKind) {
    let ground = Ground::new(seed, engine, SyncMode::None, 3);
    let close = ground.spawn(|ground| ground.db.close().expect("a close"));
    let walk = ground.spawn(|ground| match rows(&ground.db) {
        Ok(_) | Err(Error::Closed) => {}
        Err(error) => panic!("{error}"),
    });
    let writer = ground.spawn(|ground| ground.told[1].write(&ground.db));
    let merge = ground.spawn(|ground| match ground.db.merge() {
        Ok(()) | Err(Error::Closed) => {}
        Err(error) => panic!("{error}"),
    });
    join([close, walk, writer, merge]);
    // A clean close syncs: what returned is there.
    let done = ground.told.each_ref().map(|told| told.done());
    ground.check_image(ground.disk.power_cut(seed, PowerCut::LosesAll), done, "after the close");
}

#[test]
fn a_store_is_closed_under_its_users() {
    explore(2, |seed| closed_under_its_users(seed, EngineKind::Bitcask));
}

#[test]
fn a_store_of_the_ordered_engine_is_closed_under_its_users() {
    explore(2, |seed| closed_under_its_users(seed, EngineKind::Lsm));
}
