//! Stores in memory: the engine over a disk in memory, for one handle or, under a name, for all who open it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use crate::disk::Disk;
use crate::disk::memory::MemoryDisk;
use crate::disk::process::{self, ForkGuard};
use crate::store::backup::{BackupOptions, BackupProgress};
use crate::store::batch::Batch;
use crate::store::capabilities::Capabilities;
use crate::store::changes::Follow;
use crate::store::error::{Error, Result};
use crate::store::iter::{KeyList, Walk};
use crate::store::options::{MIN_MEMORY_LIMIT, Options, SyncMode};
use crate::store::pinned::Pinned;
use crate::store::range::KeyRange;
use crate::store::stats::{FileStats, MergeProgress, Stats};
use crate::store::value::{Change, End, Seen, Shown, Type};
use crate::store::write::{PutOptions, Ttl};
use crate::store::{Copying, Store};
use crate::sync::gate::{Entered, Gated};
use crate::sync::lock::Mutex;

/// A data file takes no more than such a part of the memory: what is dead in the file that is written to cannot be taken back.
const FILES: u64 = 32;
/// Of the memory the ordered engine takes such a part at most for its newest writes.
const MEMTABLES: u64 = 8;
/// Nor less than this, or there are too many.
const LEAST_FILE: u64 = 128 << 10;

/// The disk of a new store that only one handle knows, and the options that the store has there.
pub fn alone(options: &Options) -> Result<(Arc<dyn Disk>, Options)> {
    if options.read_only || !options.create_if_missing {
        return Err(Error::Missing { path: path_of("") });
    }
    begin(path_of(""), options)
}

fn path_of(name: &str) -> PathBuf {
    PathBuf::from(format!("memory://{name}"))
}

fn begin(path: PathBuf, options: &Options) -> Result<(Arc<dyn Disk>, Options)> {
    if options.sync == SyncMode::Always {
        let message = "a store in memory cannot make writes durable, which sync=always asks for";
        return Err(Error::Unsupported { message: message.into() });
    }
    let limit = match options.memory_limit {
        0 => (process::memory_limit() / 2).max(MIN_MEMORY_LIMIT),
        limit => limit,
    };
    let max_file_size = options.max_file_size.min((limit / FILES).max(LEAST_FILE));
    let lsm_memory = options.lsm_memory.min(limit / MEMTABLES);
    let options = Options { max_file_size, lsm_memory, sync: SyncMode::None, ..options.clone() };
    Ok((Arc::new(MemoryDisk::new(path, limit)), options))
}

/// Makes a store on a disk: who knows all engines says how.
pub type Start = dyn Fn(Arc<dyn Disk>, &Options) -> Result<Arc<dyn Store>>;

/// The stores that have names.
struct Names {
    /// A forked child has no part in those of its parent.
    owner: ForkGuard,
    stores: Mutex<BTreeMap<String, Weak<dyn Store>>>,
    of_child: OnceLock<Box<Names>>,
}

impl Names {
    fn new() -> Self {
        Names { owner: ForkGuard::new(), stores: Mutex::default(), of_child: OnceLock::new() }
    }

    /// The names of this process.
    fn ours() -> &'static Names {
        static FIRST: OnceLock<Names> = OnceLock::new();
        let mut names = FIRST.get_or_init(Names::new);
        while names.owner.is_forked() {
            names = names.of_child.get_or_init(|| Box::new(Names::new()));
        }
        names
    }
}

/// One handle of a store in memory that has a name. The store is closed when the last of them is; its options are those of the
/// first.
pub struct Named {
    store: Gated<Arc<dyn Store>>,
}

impl Named {
    /// Opens the store of this name, or makes it.
    pub fn open(name: &str, options: &Options, start: &Start) -> Result<Self> {
        let mut stores = Names::ours().stores.lock();
        stores.retain(|_, store| store.strong_count() > 0);
        let there = stores.get(name).and_then(Weak::upgrade);
        let store = match there {
            Some(_) if options.error_if_exists => return Err(Error::Exists { path: path_of(name) }),
            // Others use it: it is not emptied under them.
            Some(_) if options.truncate => return Err(Error::Locked { path: path_of(name) }),
            Some(_) if options.read_only => {
                let message = "a store in memory is open for writing as soon as it is open; it cannot be opened read_only";
                return Err(Error::Unsupported { message: message.into() });
            }
            Some(store) => store,
            None if options.read_only || !options.create_if_missing => {
                return Err(Error::Missing { path: path_of(name) });
            }
            None => {
                let (disk, options) = begin(path_of(name), options)?;
                let store = start(disk, &options)?;
                stores.insert(name.to_string(), Arc::downgrade(&store));
                store
            }
        };
        Ok(Named { store: Gated::new(Box::new(store)) })
    }

    fn enter(&self) -> Result<Entered<'_, Arc<dyn Store>>> {
        self.store.enter().ok_or(Error::Closed)
    }
}

impl Store for Named {
    fn capabilities(&self) -> Result<Capabilities> {
        self.enter()?.capabilities()
    }

    fn close(&self) -> Result<()> {
        let store = self.enter()?;
        store.check_may_wait()?;
        // The store itself is not closed where others have it, and would not say so.
        let is_forked = matches!(store.capabilities(), Err(Error::Forked));
        drop(store);
        self.store.take().ok_or(Error::Closed).map(drop)?;
        if is_forked { Err(Error::Forked) } else { Ok(()) }
    }

    fn check_may_wait(&self) -> Result<()> {
        self.enter()?.check_may_wait()
    }

    fn poison(&self, reason: &str) {
        if let Ok(store) = self.enter() {
            store.poison(reason);
        }
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.enter()?.put(key, value)
    }

    fn put_with(&self, key: &[u8], value: &[u8], options: &PutOptions) -> Result<bool> {
        self.enter()?.put_with(key, value, options)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.enter()?.delete(key)
    }

    fn write(&self, batch: &Batch) -> Result<()> {
        self.enter()?.write(batch)
    }

    fn copy(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        self.enter()?.copy(key, to)
    }

    fn show(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.enter()?.show(key, visit)
    }

    fn get_pinned(&self, key: &[u8]) -> Result<Option<Pinned>> {
        self.enter()?.get_pinned(key)
    }

    fn get_many(&self, keys: &[&[u8]], out: &mut Vec<Result<Option<Pinned>>>) -> Result<()> {
        self.enter()?.get_many(keys, out)
    }

    fn exists(&self, key: &[u8]) -> Result<bool> {
        self.enter()?.exists(key)
    }

    fn walk(&self, prefix: &[u8]) -> Result<Box<dyn Walk>> {
        self.enter()?.walk(prefix)
    }

    fn walk_range(&self, range: &KeyRange<'_>) -> Result<Box<dyn Walk>> {
        self.enter()?.walk_range(range)
    }

    fn delete_range(&self, range: &KeyRange<'_>) -> Result<()> {
        self.enter()?.delete_range(range)
    }

    fn count(&self) -> Result<u64> {
        self.enter()?.count()
    }

    fn ttl(&self, key: &[u8]) -> Result<Option<Ttl>> {
        self.enter()?.ttl(key)
    }

    fn set_ttl(&self, key: &[u8], ttl_ms: Option<u64>) -> Result<bool> {
        self.enter()?.set_ttl(key, ttl_ms)
    }

    fn sync(&self) -> Result<()> {
        self.enter()?.sync()
    }

    fn merge(&self, watch: &mut dyn FnMut(&MergeProgress) -> ControlFlow<()>) -> Result<bool> {
        self.enter()?.merge(watch)
    }

    fn check_can_backup(&self) -> Result<()> {
        self.enter()?.check_can_backup()
    }

    fn backup(
        &self,
        to: Arc<dyn Disk>,
        options: &BackupOptions,
        watch: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<bool> {
        self.enter()?.backup(to, options, watch)
    }

    fn identity(&self) -> Result<[u8; 16]> {
        self.enter()?.identity()
    }

    fn last_seq(&self) -> Result<u64> {
        self.enter()?.last_seq()
    }

    fn written_seq(&self) -> Result<u64> {
        self.enter()?.written_seq()
    }

    fn changes(&self, after: u64) -> Result<Box<dyn Follow>> {
        self.enter()?.changes(after)
    }

    fn stats(&self) -> Result<Stats> {
        self.enter()?.stats()
    }

    fn file_stats(&self) -> Result<Vec<FileStats>> {
        self.enter()?.file_stats()
    }

    fn write_hints(&self) -> Result<()> {
        self.enter()?.write_hints()
    }

    fn write_now(&self, batch: &Batch) -> Result<bool> {
        self.enter()?.write_now(batch)
    }

    fn pause(&self) -> Result<()> {
        self.enter()?.pause()
    }

    fn now_ms(&self) -> Result<u64> {
        self.enter()?.now_ms()
    }

    fn look(&self, key: &[u8], visit: &mut dyn FnMut(Seen<'_>)) -> Result<bool> {
        self.enter()?.look(key, visit)
    }

    fn read_many(&self, keys: &[&[u8]], visit: &mut dyn FnMut(Shown<'_>)) -> Result<()> {
        self.enter()?.read_many(keys, visit)
    }

    fn scan(&self, from: u64, most: usize, visit: &mut dyn FnMut(&[u8], Type)) -> Result<Option<u64>> {
        self.enter()?.scan(from, most, visit)
    }

    fn type_of(&self, key: &[u8]) -> Result<Option<Type>> {
        self.enter()?.type_of(key)
    }

    fn push(&self, key: &[u8], value: &[u8], end: End) -> Result<u64> {
        self.enter()?.push(key, value, end)
    }

    fn pop(&self, key: &[u8], end: End, to: &mut dyn Copying) -> Result<Option<usize>> {
        self.enter()?.pop(key, end, to)
    }

    fn list_move(
        &self,
        from: (&[u8], End),
        to: (&[u8], End),
        out: &mut dyn Copying,
    ) -> Result<Option<usize>> {
        self.enter()?.list_move(from, to, out)
    }

    fn list_length(&self, key: &[u8]) -> Result<Option<u64>> {
        self.enter()?.list_length(key)
    }

    fn list_get(&self, key: &[u8], index: i64) -> Result<Option<Vec<u8>>> {
        self.enter()?.list_get(key, index)
    }

    fn list_set(&self, key: &[u8], index: i64, value: &[u8]) -> Result<bool> {
        self.enter()?.list_set(key, index, value)
    }

    fn list_range(&self, key: &[u8], first: i64, last: i64) -> Result<Option<KeyList>> {
        self.enter()?.list_range(key, first, last)
    }

    fn get_delete(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        self.enter()?.get_delete(key, to)
    }

    fn compare_and_swap(&self, key: &[u8], expected: Option<&[u8]>, desired: Option<&[u8]>) -> Result<bool> {
        self.enter()?.compare_and_swap(key, expected, desired)
    }

    fn increment(&self, key: &[u8], by: i64) -> Result<i64> {
        self.enter()?.increment(key, by)
    }

    fn update(&self, key: &[u8], change: &mut dyn FnMut(Option<&[u8]>) -> Result<Change>) -> Result<()> {
        self.enter()?.update(key, change)
    }
}
