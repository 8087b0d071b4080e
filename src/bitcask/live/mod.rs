//! A store that is read beside the process that writes to it: docs/ARCHITECTURE.md, "How a reader follows".
//!
//! It is a store that is opened for reading only, with an index of its own, which is brought up to date before it is asked. Nothing here
//! changes a byte of the store, takes its lock, or is known to the writer.
//!
//! `open` makes the first index; `follow` takes over what is appended to the log, `adopt` what merges do; `anew` makes another index
//! where that cannot be followed.

mod adopt;
mod anew;
mod backup;
mod changes;
mod follow;
mod open;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::Bitcask;
use super::iter::Iter;
use super::shared::Shared;
use crate::disk::Disk;
use crate::disk::fs::{FsDisk, Io};
use crate::store::backup::{BackupOptions, BackupProgress};
use crate::store::batch::Batch;
use crate::store::capabilities::Capabilities;
use crate::store::changes::Follow;
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;
use crate::store::iter::{KeyList, Walk};
use crate::store::memory;
use crate::store::options::{IoMode, Options};
use crate::store::pinned::Pinned;
use crate::store::range::KeyRange;
use crate::store::stats::{FileStats, MergeProgress, Stats};
use crate::store::value::{Change, End, Seen, Shown, Type};
use crate::store::write::{PutOptions, Ttl};
use crate::store::{Copying, Store};
use crate::sync::panics;
use crate::sync::signal::Signal;
use changes::LiveChanges;
use follow::Follower;

/// Programs that only look something up are done by then, and need no index.
const SETTLED_IN: Duration = Duration::from_millis(100);
/// As long as somebody reads what changes, the manifest is looked at as often as this.
const LOOKS_EVERY: Duration = Duration::from_millis(50);
/// And so often where nobody does: the files that merges replace are kept until then.
const LOOKS_UNASKED_EVERY: Duration = Duration::from_secs(10);

/// See the module.
pub struct Live {
    store: Bitcask,
    follower: Arc<Follower>,
}

impl Live {
    /// Opens the store in the directory `path`.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        let live = Self::begin(path, options)?;
        let (weak, follower) = (Arc::downgrade(&live.store.shared), live.follower.clone());
        let signal = live.store.shared.signal.clone();
        live.store.spawn("filedb-live", move || keep_up(&weak, &follower, &signal))?;
        Ok(live)
    }

    /// As [`Live::open`], without the thread.
    fn begin(path: &Path, options: &Options) -> Result<Self> {
        options.check()?;
        let io = match options.io {
            IoMode::Mmap => Io::Mapped { synced: false },
            IoMode::Pread => Io::Plain,
        };
        let disk = FsDisk::open(path, false, io).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::Missing { path: path.to_path_buf() },
            _ => Error::io("open the store's directory", path, &e),
        })?;
        if !disk.can_tell() {
            let message = format!(
                "a store can be read live (live) on Linux, on machines of 64 bits and on ext4, XFS and tmpfs only; open '{}' without the \
                 option live",
                path.display()
            );
            return Err(Error::Unsupported { message });
        }
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let (engine, follower) = open::open(&disk, options)?;
        let follower = Arc::new(follower);
        let store = Bitcask::over(engine, Arc::default(), Arc::default(), true)?;
        let live = Live { store, follower };
        live.follow()?;
        Ok(live)
    }

    /// As [`crate::Db::recount`].
    #[cfg(any(test, feature = "testing"))]
    pub fn recount(&self) -> std::result::Result<(), String> {
        self.complete().map_err(|error| error.to_string())?;
        let _held = self.follower.hold();
        self.store.recount()
    }

    /// Returns when the index has all that was written when this was called.
    #[inline(always)]
    fn follow(&self) -> Result<()> {
        if self.follower.is_up_to_date() { Ok(()) } else { self.follower.follow(&self.store.shared) }
    }

    #[inline(always)]
    fn current(&self) -> Result<&Bitcask> {
        self.follow()?;
        Ok(&self.store)
    }

    /// As [`Live::current`], with all keys in the index: for who counts or shows all of them. Who looks up some keys needs not wait for that.
    fn complete(&self) -> Result<&Bitcask> {
        self.take_over_all()?;
        self.current()
    }

    fn take_over_all(&self) -> Result<()> {
        let engine = self.store.shared.enter()?;
        Ok(engine.index.take_over_all()?)
    }

    /// As [`Store::copy`]. Not a part of its callers: other stores are to be looked up as if there were no live ones.
    #[inline(never)]
    pub fn copy_to(&self, key: &[u8], to: &mut (impl Copying + ?Sized)) -> Result<Option<usize>> {
        self.current()?.copy_to(key, to)
    }

    /// As [`Store::show`].
    #[inline(never)]
    pub fn show_to(&self, key: &[u8], visit: impl FnOnce(&[u8])) -> Result<bool> {
        self.current()?.show_to(key, visit)
    }
}

/// The body of the thread that makes the index of what is still in a checkpoint, takes over what merges do, and closes the files that they replaced.
fn keep_up(shared: &Weak<Shared>, follower: &Follower, signal: &Signal) {
    let begun = Instant::now();
    let (mut looked, mut looked_for_others, mut nap) = (begun, begun, LOOKS_EVERY);
    while signal.sleep(nap) {
        let Some(shared) = shared.upgrade() else { return };
        let is_settled = begun.elapsed() >= SETTLED_IN;
        let more = is_settled && shared.inside().is_some_and(|engine| engine.index.take_over_some());
        nap = if more { Duration::ZERO } else { LOOKS_EVERY };
        if looked_for_others.elapsed() < LOOKS_EVERY {
            continue;
        }
        looked_for_others = Instant::now();
        if let Some(engine) = shared.inside() {
            follower.look_for_others(engine.catalog.disk.as_ref());
        }
        if !follower.was_asked() && looked.elapsed() < LOOKS_UNASKED_EVERY {
            continue;
        }
        looked = Instant::now();
        let adopted = panics::catch(|| follower.adopt(&shared));
        let events = shared.inside().map(|engine| engine.catalog.events.clone());
        match (adopted, events) {
            // The next call that reads finds the same, and says so.
            (Ok(Err(error)), Some(events)) => events.log(LogLevel::Warn, || &error),
            (Err(message), Some(events)) => events.log(LogLevel::Error, || message),
            _ => {}
        }
    }
}

impl Store for Live {
    fn capabilities(&self) -> Result<Capabilities> {
        self.store.capabilities()
    }

    fn close(&self) -> Result<()> {
        self.store.close()
    }

    fn check_may_wait(&self) -> Result<()> {
        self.store.check_may_wait()
    }

    fn poison(&self, reason: &str) {
        self.store.poison(reason);
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.store.put(key, value)
    }

    fn put_with(&self, key: &[u8], value: &[u8], options: &PutOptions) -> Result<bool> {
        self.store.put_with(key, value, options)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.store.delete(key)
    }

    fn write(&self, batch: &Batch) -> Result<()> {
        self.store.write(batch)
    }

    fn copy(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        self.copy_to(key, to)
    }

    fn show(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.show_to(key, visit)
    }

    fn get_pinned(&self, key: &[u8]) -> Result<Option<Pinned>> {
        self.current()?.get_pinned(key)
    }

    fn get_many(&self, keys: &[&[u8]], out: &mut Vec<Result<Option<Pinned>>>) -> Result<()> {
        self.current()?.get_many(keys, out)
    }

    fn exists(&self, key: &[u8]) -> Result<bool> {
        self.current()?.exists(key)
    }

    fn walk(&self, prefix: &[u8]) -> Result<Box<dyn Walk>> {
        self.take_over_all()?;
        let shared = &self.store.shared;
        // Its moment is one that the index has come to, and nothing newer is taken over before the walk has it.
        Ok(Box::new(self.follower.follow_and(shared, |_| Iter::new(shared, prefix))??))
    }

    fn walk_range(&self, range: &KeyRange<'_>) -> Result<Box<dyn Walk>> {
        self.store.walk_range(range)
    }

    fn delete_range(&self, range: &KeyRange<'_>) -> Result<()> {
        self.store.delete_range(range)
    }

    fn count(&self) -> Result<u64> {
        self.complete()?.count()
    }

    fn ttl(&self, key: &[u8]) -> Result<Option<Ttl>> {
        self.current()?.ttl(key)
    }

    fn set_ttl(&self, key: &[u8], ttl_ms: Option<u64>) -> Result<bool> {
        self.store.set_ttl(key, ttl_ms)
    }

    fn sync(&self) -> Result<()> {
        self.store.sync()
    }

    fn merge(&self, watch: &mut dyn FnMut(&MergeProgress) -> ControlFlow<()>) -> Result<bool> {
        self.store.merge(watch)
    }

    fn check_can_backup(&self) -> Result<()> {
        self.store.check_can_backup()
    }

    fn backup(
        &self,
        to: Arc<dyn Disk>,
        options: &BackupOptions,
        watch: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<bool> {
        backup::backup(&self.store.shared, &self.follower, to, options, watch)
    }

    fn identity(&self) -> Result<[u8; 16]> {
        self.store.identity()
    }

    fn last_seq(&self) -> Result<u64> {
        self.current()?.last_seq()
    }

    fn written_seq(&self) -> Result<u64> {
        self.current()?.written_seq()
    }

    fn changes(&self, after: u64) -> Result<Box<dyn Follow>> {
        let following = LiveChanges::new(&self.store.shared, &self.follower, after)?;
        Ok(memory::boxed(following)?)
    }

    fn stats(&self) -> Result<Stats> {
        self.complete()?.stats()
    }

    fn file_stats(&self) -> Result<Vec<FileStats>> {
        self.complete()?.file_stats()
    }

    fn write_hints(&self) -> Result<()> {
        self.store.write_hints()
    }

    fn write_now(&self, batch: &Batch) -> Result<bool> {
        self.store.write_now(batch)
    }

    fn pause(&self) -> Result<()> {
        self.store.pause()
    }

    fn now_ms(&self) -> Result<u64> {
        self.store.now_ms()
    }

    fn look(&self, key: &[u8], visit: &mut dyn FnMut(Seen<'_>)) -> Result<bool> {
        self.current()?.look(key, visit)
    }

    fn read_many(&self, keys: &[&[u8]], visit: &mut dyn FnMut(Shown<'_>)) -> Result<()> {
        self.current()?.read_many(keys, visit)
    }

    fn scan(&self, from: u64, most: usize, visit: &mut dyn FnMut(&[u8], Type)) -> Result<Option<u64>> {
        self.complete()?.scan(from, most, visit)
    }

    fn type_of(&self, key: &[u8]) -> Result<Option<Type>> {
        self.current()?.type_of(key)
    }

    fn push(&self, key: &[u8], value: &[u8], end: End) -> Result<u64> {
        self.store.push(key, value, end)
    }

    fn pop(&self, key: &[u8], end: End, to: &mut dyn Copying) -> Result<Option<usize>> {
        self.store.pop(key, end, to)
    }

    fn list_move(
        &self,
        from: (&[u8], End),
        to: (&[u8], End),
        out: &mut dyn Copying,
    ) -> Result<Option<usize>> {
        self.store.list_move(from, to, out)
    }

    fn list_length(&self, key: &[u8]) -> Result<Option<u64>> {
        self.current()?.list_length(key)
    }

    fn list_get(&self, key: &[u8], index: i64) -> Result<Option<Vec<u8>>> {
        self.current()?.list_get(key, index)
    }

    fn list_set(&self, key: &[u8], index: i64, value: &[u8]) -> Result<bool> {
        self.store.list_set(key, index, value)
    }

    fn list_range(&self, key: &[u8], first: i64, last: i64) -> Result<Option<KeyList>> {
        self.current()?.list_range(key, first, last)
    }

    fn get_delete(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        self.store.get_delete(key, to)
    }

    fn compare_and_swap(&self, key: &[u8], expected: Option<&[u8]>, desired: Option<&[u8]>) -> Result<bool> {
        self.store.compare_and_swap(key, expected, desired)
    }

    fn increment(&self, key: &[u8], by: i64) -> Result<i64> {
        self.store.increment(key, by)
    }

    fn update(&self, key: &[u8], change: &mut dyn FnMut(Option<&[u8]>) -> Result<Change>) -> Result<()> {
        self.store.update(key, change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Db;

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
        let engine = live.store.shared.inside().unwrap();
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
            assert!(live.store.shared.inside().unwrap().index.take_over_some());
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
        live.follower.adopt(&live.store.shared).unwrap();
        check(&live, "after");
        assert_eq!(live.recount(), Ok(()));
    }

    fn check_all_are_first(live: &Live) {
        let is_first = |n: u64| live.show_to(&key(n), |value| assert_eq!(value, n.to_string().as_bytes()));
        assert!((0..KEYS).all(|n| is_first(n).unwrap()));
    }
}
