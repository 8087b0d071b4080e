//! A store of this engine that is read beside the process that writes to it: docs/ARCHITECTURE.md, "How a reader follows".
//!
//! It is a store that is opened for reading only, with an index of its own, which is brought up to date before it is asked. Nothing here
//! changes a byte of the store, takes its lock, or is known to the writer.
//!
//! `open` makes the first index; `follow` takes over what is appended to the log, `adopt` what merges do; `anew` makes another index
//! where that cannot be followed. What is the same for all engines is in `log/live` and `store/live`.

mod adopt;
mod anew;
pub mod backup;
mod follow;
mod open;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::Bitcask;
use super::iter::Iter;
use super::shared::Shared;
use crate::disk::Disk;
use crate::log::live::follower;
use crate::store::Copying;
use crate::store::backup::{BackupOptions, BackupProgress};
use crate::store::changes::Follow;
use crate::store::error::Result;
use crate::store::iter::Walk;
use crate::store::live::changes::LiveChanges;
use crate::store::live::keep::{Beside, keep_up};
use crate::store::live::{self, Reading};
use crate::store::memory;
use crate::store::options::Options;
use crate::sync::signal::Signal;
use adopt::Adopted;

/// How an index that is a live reader's follows the log.
pub type Follower = follower::Follower<Adopted>;

/// A store that is read beside its writer.
pub type Live = live::Live<Index>;

/// The store, with an index of this process, and how far that has come.
pub struct Index {
    store: Bitcask,
    follower: Arc<Follower>,
}

impl Reading for Index {
    type Of = Bitcask;

    #[inline(always)]
    fn store(&self) -> &Bitcask {
        &self.store
    }

    #[inline(always)]
    fn follow(&self) -> Result<()> {
        if self.follower.is_up_to_date() { Ok(()) } else { self.store.shared.follow(&self.follower) }
    }

    fn complete(&self) -> Result<()> {
        let engine = self.store.shared.enter()?;
        Ok(engine.index.take_over_all()?)
    }

    fn walk(&self, prefix: &[u8]) -> Result<Box<dyn Walk>> {
        self.complete()?;
        let shared = &self.store.shared;
        // Its moment is one that the index has come to, and nothing newer is taken over before the walk has it.
        Ok(Box::new(follow::follow_and(shared, &self.follower, |_| Iter::new(shared, prefix))??))
    }

    fn changes(&self, after: u64) -> Result<Box<dyn Follow>> {
        let following = LiveChanges::new(&self.store.shared, &self.follower, after)?;
        Ok(memory::boxed(following)?)
    }

    fn backup(
        &self,
        to: Arc<dyn Disk>,
        options: &BackupOptions,
        watch: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<bool> {
        backup::backup(&self.store.shared, &self.follower, to, options, watch)
    }
}

impl Beside for Shared {
    type Adopted = Adopted;

    #[cold]
    fn follow(&self, follower: &Follower) -> Result<()> {
        follow::follow_and(self, follower, |_| ())
    }

    fn adopt(&self, follower: &Follower) -> Result<()> {
        follower.adopt(self)
    }

    fn signal(&self) -> &Signal {
        Shared::signal(self)
    }

    /// Makes the index of what is still in a checkpoint.
    fn settle_some(&self) -> bool {
        self.inside().is_some_and(|engine| engine.index.take_over_some())
    }
}

impl Live {
    /// Opens the store in the directory `path`.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        let live = Self::begin(path, options)?;
        let Index { store, follower } = &live.reading;
        let (weak, follower, signal) =
            (Arc::downgrade(&store.shared), follower.clone(), store.shared.signal.clone());
        store.spawn("filedb-live", move || keep_up(&weak, &follower, &signal))?;
        Ok(live)
    }

    /// As [`Live::open`], without the thread.
    fn begin(path: &Path, options: &Options) -> Result<Self> {
        let disk = live::open_disk(path, options)?;
        let (engine, follower) = open::open(&disk, options)?;
        let follower = Arc::new(follower);
        let store = Bitcask::over(engine, Arc::default(), Arc::default(), true)?;
        let live = Live { reading: Index { store, follower } };
        live.current()?;
        Ok(live)
    }

    /// As [`crate::Db::recount`].
    #[cfg(any(test, feature = "testing"))]
    pub fn recount(&self) -> std::result::Result<(), String> {
        let store = self.complete().map_err(|error| error.to_string())?;
        let _held = self.reading.follower.hold();
        store.recount()
    }

    /// As [`crate::store::Store::copy`]. Not a part of its callers: other stores are to be looked up as if there were no live ones.
    #[inline(never)]
    pub fn copy_to(&self, key: &[u8], to: &mut (impl Copying + ?Sized)) -> Result<Option<usize>> {
        self.current()?.copy_to(key, to)
    }

    /// As [`crate::store::Store::show`].
    #[inline(never)]
    pub fn show_to(&self, key: &[u8], visit: impl FnOnce(&[u8])) -> Result<bool> {
        self.current()?.show_to(key, visit)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bitcask::lifecycle::running::write_with;
    use crate::store::Store;
    use crate::{Db, PutOptions};

    fn key(n: u64) -> Vec<u8> {
        n.to_le_bytes().to_vec()
    }

    fn reading() -> Options {
        Options { read_only: true, live: true, ..Options::default() }
    }

    fn writer(path: &Path) -> Db {
        let mut options = Options { max_file_size: 256 << 10, ..Options::default() };
        options.set("merge", "manual").unwrap();
        options.set("sync", "none").unwrap();
        Db::open(path, &options).unwrap()
    }

    /// How many of the keys are where the checkpoint has them.
    fn pending(live: &Live) -> usize {
        let engine = live.reading.store.shared.inside().unwrap();
        (0..KEYS).filter(|n| engine.index.is_pending(engine.hasher.hash(&key(*n)))).count()
    }

    const KEYS: u64 = 5_000;

    fn fill(db: &Db) {
        (0..KEYS).for_each(|n| db.put(key(n), n.to_string()).unwrap());
    }

    /// Of the first thousand keys every third is deleted, and the others get this value.
    fn write_some(db: &Db, value: &str) {
        for n in 0..1_000 {
            match n % 3 {
                0 => drop(db.delete(key(n)).unwrap()),
                _ => db.put(key(n), format!("{value} {n}")).unwrap(),
            }
        }
    }

    fn check(live: &Live, value: &str) {
        for n in 0..KEYS {
            let there = match n {
                0..1_000 if n % 3 == 0 => None,
                0..1_000 => Some(format!("{value} {n}")),
                _ => Some(n.to_string()),
            };
            let mut found = None;
            live.show_to(&key(n), |value| found = Some(String::from_utf8_lossy(value).into_owned())).unwrap();
            assert_eq!(found, there, "key {n}");
        }
    }

    #[test]
    fn a_reader_finds_and_follows_all_keys_while_they_are_in_the_checkpoint() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store");
        let db = writer(&path);
        fill(&db);
        assert!(db.write_checkpoint().unwrap());
        write_some(&db, "before");
        let live = Live::begin(&path, &reading()).unwrap();
        check(&live, "before");
        write_some(&db, "after");
        check(&live, "after");
        assert_eq!(pending(&live), KEYS as usize, "nobody had to make the index");
        for _ in 0..100 {
            assert!(live.reading.store.shared.inside().unwrap().index.take_over_some());
        }
        write_some(&db, "then");
        check(&live, "then");
        assert!((1..KEYS as usize).contains(&pending(&live)));
        // Who counts waits for the index.
        assert_eq!(live.count().unwrap(), KEYS - 334);
        assert_eq!(pending(&live), 0);
        check(&live, "then");
        assert_eq!(live.recount(), Ok(()));
    }

    #[test]
    fn a_reader_of_a_store_that_was_closed_begins_at_its_checkpoint_and_follows_who_opens_it_then() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store");
        let db = writer(&path);
        fill(&db);
        write_some(&db, "first");
        db.close().unwrap();
        let live = Live::begin(&path, &reading()).unwrap();
        check(&live, "first");
        let db = writer(&path);
        write_some(&db, "after");
        check(&live, "after");
        assert_eq!(pending(&live), KEYS as usize);
        assert_eq!(live.recount(), Ok(()));
        assert_eq!(pending(&live), 0);
    }

    #[test]
    fn what_a_merge_moves_is_moved_for_a_reader_that_had_it_in_the_checkpoint_until_then() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store");
        let db = writer(&path);
        fill(&db);
        assert!(db.write_checkpoint().unwrap());
        let live = Live::begin(&path, &reading()).unwrap();
        check_all_are_first(&live);
        write_some(&db, "after");
        db.merge().unwrap();
        check(&live, "after");
        live.reading.follower.adopt(&live.reading.store.shared).unwrap();
        check(&live, "after");
        assert_eq!(live.recount(), Ok(()));
    }

    #[test]
    fn a_key_that_expired_while_the_checkpoint_was_written_and_was_put_again_stays_where_the_stores_time_is_ahead()
     {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("store");
        let db = writer(&path);
        fill(&db);
        let shared = db.shared().upgrade().unwrap();
        let writing = || shared.inside().unwrap();
        writing().clock.go_ahead(100_000);
        let dies = PutOptions { ttl: Some(Duration::from_secs(10)), ..PutOptions::default() };
        db.put_with("dies", "before", &dies).unwrap();
        let is_written = write_with(
            &shared,
            || (),
            || {
                writing().clock.go_ahead(20_000);
                assert_eq!(db.count().unwrap(), KEYS, "it is taken out when its line was noted");
            },
        );
        assert!(is_written.unwrap());
        let live = Live::begin(&path, &reading()).unwrap();
        let engine = live.reading.store.shared.inside().unwrap();
        assert_eq!(pending(&live), KEYS as usize);
        assert_eq!(engine.expiries.get(engine.hasher.hash(b"dies")), None);
        engine.index.take_over_all().unwrap();
        db.put("dies", "after").unwrap();
        assert_eq!(live.count().unwrap(), KEYS + 1);
        assert!(live.show_to(b"dies", |value| assert_eq!(value, b"after")).unwrap());
        assert_eq!(live.recount(), Ok(()));
    }

    fn check_all_are_first(live: &Live) {
        let is_first = |n: u64| live.show_to(&key(n), |value| assert_eq!(value, n.to_string().as_bytes()));
        assert!((0..KEYS).all(|n| is_first(n).unwrap()));
    }
}
