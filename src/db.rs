//! The public verbs of a store, and which engine answers them: what each does is in `bitcask/`, `lsm/` and `remote/`.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::bitcask::Bitcask;
use crate::bitcask::live::Live;
use crate::bitcask::memory::{self, Named};
use crate::disk::Disk;
use crate::disk::fs::{FsDisk, Io};
use crate::lsm::{self, Lsm};
#[cfg(feature = "valkey")]
use crate::remote::Remote;
pub(crate) use crate::store::Copying;
use crate::store::Store;
use crate::store::address::Address;
use crate::store::backup::{BackupOptions, BackupProgress};
use crate::store::batch::Batch;
use crate::store::capabilities::Capabilities;
use crate::store::changes::Changes;
use crate::store::error::{Error, Result};
use crate::store::iter::{Iter, KeyList};
use crate::store::options::{EngineKind, Options};
use crate::store::pinned::Pinned;
use crate::store::range::KeyRange;
use crate::store::stats::{FileStats, MergeProgress, Stats};
use crate::store::value::{Change, End, Seen, Shown, Type};
use crate::store::write::{self, PutOptions, Ttl};

/// An open store. Clones share it; all methods may be called from any thread at once. It is closed by [`Db::close`], or
/// when the last clone is dropped. What goes wrong with the close then, nobody is there to be told: it is an event of the
/// level `error`. A last clone that is dropped inside the visitor of an [`Iter`] closes the store when the visitor returns.
///
/// ```
/// # fn main() -> filedb::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("store");
/// let db = filedb::Db::open(&path, &filedb::Options::default())?;
/// db.put("planet", "earth")?; // whatever is bytes: text, slices, arrays, vectors
/// assert_eq!(db.get("planet")?.as_deref(), Some(&b"earth"[..]));
/// assert!(db.delete("planet")?);
/// db.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Db {
    store: Open,
}

/// The engines that a store can have.
#[derive(Clone)]
enum Open {
    Bitcask(Arc<Bitcask>),
    Live(Arc<Live>),
    Ordered(Arc<Lsm>),
    Other(Arc<dyn Store>),
}

impl Open {
    fn any(&self) -> &dyn Store {
        match self {
            Open::Bitcask(store) => store.as_ref(),
            Open::Live(store) => store.as_ref(),
            Open::Ordered(store) => store.as_ref(),
            Open::Other(store) => store.as_ref(),
        }
    }
}

/// A copy of a value.
#[derive(Default)]
struct Copied {
    value: Vec<u8>,
    has_no_memory: bool,
}

impl Copying for Copied {
    fn begin(&mut self, len: usize) -> bool {
        // What was copied by an attempt that failed does not count.
        self.value.clear();
        self.has_no_memory = self.value.try_reserve_exact(len).is_err();
        !self.has_no_memory
    }

    fn copy(&mut self, bytes: &[u8]) {
        self.value.extend_from_slice(bytes);
    }
}

/// What `copy` copies, as a value of its own.
fn whole(copy: impl FnOnce(&mut Copied) -> Result<Option<usize>>) -> Result<Option<Vec<u8>>> {
    let mut copied = Copied::default();
    match copy(&mut copied)? {
        Some(len) if copied.has_no_memory => Err(Error::NoMemory { bytes: len as u64 }),
        Some(_) => Ok(Some(copied.value)),
        None => Ok(None),
    }
}

fn not_live(why: &str) -> Error {
    Error::Unsupported { message: format!("a store {why}; open it without the option live") }
}

/// Starts a store in memory that has a name.
fn start_named(disk: Arc<dyn Disk>, options: &Options) -> Result<Arc<dyn Store>> {
    Ok(match options.engine {
        EngineKind::Lsm => Arc::new(Lsm::start(disk, options, true)?),
        _ => Arc::new(Bitcask::start(disk, options, true)?),
    })
}

impl Db {
    /// Opens the store at `path`, or creates it there: in a directory (also `file://DIR`), or in the memory of this process
    /// (`memory://`, gone with the handle and its clones; `memory://NAME`, shared by all who open it and gone with the last); or connects to the
    /// one on a server (`valkey://[user[:password]@]host[:port][/database]`, `valkeys://` over TLS) or a cluster
    /// (`valkey-cluster://[user[:password]@]host[:port][,host[:port]...]`).
    ///
    /// # Errors
    /// [`Error::Locked`] where it is open already, [`Error::Corrupt`] where it is damaged, [`Error::Missing`] and
    /// [`Error::Exists`] as the options say, [`Error::Unsupported`] where it needs another version of this library, [`Error::Io`]
    /// where the directory cannot be used, [`Error::Connection`] where a server is not there.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Db> {
        let store = match Address::parse(path.as_ref())? {
            Address::Directory(path) => {
                let is_ordered = match options.engine {
                    EngineKind::Auto => !options.truncate && lsm::is_ordered(&path),
                    engine => engine == EngineKind::Lsm,
                };
                if options.live {
                    if is_ordered {
                        return Err(not_live("with engine=lsm cannot be read live"));
                    }
                    return Ok(Db { store: Open::Live(Arc::new(Live::open(&path, options)?)) });
                }
                if is_ordered {
                    return Ok(Db { store: Open::Ordered(Arc::new(Lsm::open(&path, options)?)) });
                }
                Bitcask::open(&path, options)?
            }
            Address::Memory(_) if options.live => {
                return Err(not_live("in memory is of one process, and no other can read it live"));
            }
            Address::Memory(None) => {
                let (disk, options) = memory::alone(options)?;
                if options.engine == EngineKind::Lsm {
                    return Ok(Db { store: Open::Ordered(Arc::new(Lsm::start(disk, &options, true)?)) });
                }
                Bitcask::start(disk, &options, true)?
            }
            Address::Memory(Some(name)) => {
                return Ok(Db { store: Open::Other(Arc::new(Named::open(&name, options, &start_named)?)) });
            }
            #[cfg(feature = "valkey")]
            Address::Server(scheme, rest) => {
                return Ok(Db { store: Open::Other(Remote::open(scheme, &rest, options)?) });
            }
            #[cfg(not(feature = "valkey"))]
            Address::Server(..) => {
                let message =
                    "this build of filedb has no Valkey in it; stores are directories, file:// and memory://";
                return Err(Error::Unsupported { message: message.into() });
            }
        };
        Ok(Self::over(store))
    }

    fn over(store: Bitcask) -> Self {
        Db { store: Open::Bitcask(Arc::new(store)) }
    }

    /// Opens a store on a disk of the caller's, without a maintenance thread: its work is done inside the calls.
    #[cfg(any(test, feature = "testing"))]
    pub fn open_on(disk: Arc<dyn Disk>, options: &Options) -> Result<Db> {
        if options.engine == EngineKind::Lsm {
            return Ok(Db { store: Open::Ordered(Arc::new(Lsm::start(disk, options, false)?)) });
        }
        Ok(Self::over(Bitcask::start(disk, options, false)?))
    }

    #[cfg(any(test, feature = "testing"))]
    fn bitcask(&self) -> &Bitcask {
        match &self.store {
            Open::Bitcask(store) => store,
            Open::Live(_) | Open::Ordered(_) | Open::Other(_) => {
                panic!("only tests of the engine itself look into it")
            }
        }
    }

    /// For stores without a maintenance thread: does what the thread would do.
    #[cfg(any(test, feature = "testing"))]
    pub fn maintain(&self) -> Result<()> {
        match &self.store {
            Open::Ordered(store) => store.maintain(),
            _ => self.bitcask().maintain(),
        }
    }

    /// For stores of the ordered engine without threads: writes the memtable out.
    #[cfg(any(test, feature = "testing"))]
    pub fn flush(&self) -> Result<()> {
        match &self.store {
            Open::Ordered(store) => store.flush(),
            _ => panic!("only the ordered engine has memtables"),
        }
    }

    /// Says in the store's manifest that only who knows `feature` may open it from now on.
    #[cfg(any(test, feature = "testing"))]
    pub fn require(&self, feature: crate::format::features::Feature) -> Result<()> {
        self.bitcask().shared.enter()?.catalog.require(feature)
    }

    /// Counts what is live in each file anew and compares it with what the store has counted; `Err` says where they differ. For
    /// stores that nobody writes to meanwhile; what the store does by itself waits.
    #[cfg(any(test, feature = "testing"))]
    pub fn recount(&self) -> std::result::Result<(), String> {
        if let Open::Ordered(store) = &self.store {
            return store.recount();
        }
        match &self.store {
            Open::Live(store) => store.recount(),
            _ => self.bitcask().recount(),
        }
    }

    /// What the threads of a store hold of it.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> std::sync::Weak<crate::bitcask::shared::Shared> {
        Arc::downgrade(&self.bitcask().shared)
    }

    /// What this store can do.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn capabilities(&self) -> Result<Capabilities> {
        self.store.any().capabilities()
    }

    /// Closes the store: waits for calls under way, makes everything durable and writes what lets the next open skip all
    /// scanning. Values that are pinned stay readable. The store is closed whatever this returns.
    ///
    /// # Errors
    /// [`Error::Closed`] where it is closed already; what went wrong with the last writes otherwise.
    pub fn close(&self) -> Result<()> {
        self.store.any().close()
    }

    /// Gives `key` the value `value`. When it returns, the write survives the death of the process; when it survives a
    /// power cut is what the option `sync` says.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty key, [`Error::TooLarge`], [`Error::NoSpace`], [`Error::ReadOnly`]: nothing was
    /// written. [`Error::Unsupported`]: nothing was written; the store has all the files that it can have, or its checkpoint was
    /// changed or damaged since it was opened. [`Error::Io`] and [`Error::Poisoned`]: nothing was written, or, with
    /// `sync=always`, it was and could not be made durable; then the handle takes no more writes.
    #[inline]
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        match &self.store {
            Open::Bitcask(store) => store.put_plain(key.as_ref(), value.as_ref()),
            Open::Ordered(store) => store.put(key.as_ref(), value.as_ref()),
            Open::Live(store) => store.put(key.as_ref(), value.as_ref()),
            Open::Other(store) => store.put(key.as_ref(), value.as_ref()),
        }
    }

    /// Writes a key under conditions, or with an expiry. False where a condition does not hold.
    ///
    /// # Errors
    /// As [`Db::put`]; [`Error::InvalidArgument`] where the conditions contradict each other.
    pub fn put_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: &PutOptions,
    ) -> Result<bool> {
        if options.if_absent && options.if_present {
            return Err(Error::invalid("a write cannot ask for both an absent and a present key"));
        }
        if options.keep_ttl && options.ttl.is_some() {
            return Err(Error::invalid("a write cannot both keep the key's expiry and set a new one"));
        }
        self.store.any().put_with(key.as_ref(), value.as_ref(), options)
    }

    /// Removes `key`. False where there is no such key.
    ///
    /// # Errors
    /// As [`Db::put`].
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.store.any().delete(key.as_ref())
    }

    /// Writes all of a batch or nothing: to readers of the log, to iterators and across a crash. Single gets may see its
    /// keys change one after the other.
    ///
    /// # Errors
    /// As [`Db::put`]; [`Error::TooLarge`] where the batch as a whole is.
    pub fn write(&self, batch: &Batch) -> Result<()> {
        self.store.any().write(batch)
    }

    /// A copy of the value of `key`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the record is damaged, [`Error::Io`], [`Error::NoMemory`].
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        self.copy_of(key.as_ref())
    }

    /// Apart from [`Db::get`], so that its code is in this library and not once in each program for each type of key.
    fn copy_of(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        whole(|copy| self.copy(key, copy))
    }

    /// Copies the value of `key`, if `to` has room for it, and gives its size. For code of this library.
    pub(crate) fn copy(&self, key: &[u8], to: &mut impl Copying) -> Result<Option<usize>> {
        match &self.store {
            Open::Bitcask(store) => store.copy_to(key, to),
            Open::Live(store) => store.copy_to(key, to),
            Open::Ordered(store) => store.copy(key, to),
            Open::Other(store) => store.copy(key, to),
        }
    }

    /// Shows the value of `key` to `visit`, without a copy where files are mapped. The store cannot be closed, and
    /// replaced files cannot be removed, before `visit` returns: from `visit`, [`Db::close`], [`Db::merge`] and
    /// [`Db::write_hints`] of the same store are refused.
    ///
    /// # Errors
    /// As [`Db::get`].
    #[inline]
    pub fn read<R>(&self, key: impl AsRef<[u8]>, visit: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let (key, mut seen) = (key.as_ref(), None);
        match &self.store {
            Open::Bitcask(store) => store.show_to(key, |value| seen = Some(visit(value))),
            Open::Live(store) => store.show_to(key, |value| seen = Some(visit(value))),
            Open::Ordered(_) | Open::Other(_) => {
                let mut visit = Some(visit);
                self.store.any().show(key, &mut |value| seen = visit.take().map(|visit| visit(value)))
            }
        }?;
        Ok(seen)
    }

    /// The value of `key`, readable for as long as it is held, without a copy where files are mapped.
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn get_pinned(&self, key: impl AsRef<[u8]>) -> Result<Option<Pinned>> {
        self.store.any().get_pinned(key.as_ref())
    }

    /// [`Db::get_pinned`] for many keys at once. The cache misses of the lookups overlap, so that a key costs a fraction
    /// of what it costs alone. `out` gets one result per key, in their order.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`]; everything else is in the results.
    pub fn get_many(&self, keys: &[&[u8]], out: &mut Vec<Result<Option<Pinned>>>) -> Result<()> {
        self.store.any().get_many(keys, out)
    }

    /// Whether there is such a key.
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn exists(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.store.any().exists(key.as_ref())
    }

    /// All keys that begin with `prefix`, as they are at one moment, in no particular order.
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn list(&self, prefix: impl AsRef<[u8]>) -> Result<KeyList> {
        KeyList::collect(self.iter(prefix)?)
    }

    /// As [`Db::list`], in the order of the keys' bytes.
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn list_sorted(&self, prefix: impl AsRef<[u8]>) -> Result<KeyList> {
        let mut list = self.list(prefix)?;
        list.sort();
        Ok(list)
    }

    /// Goes through all keys that begin with `prefix`, as they are at this moment. The iterator blocks nobody.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn iter(&self, prefix: impl AsRef<[u8]>) -> Result<Iter> {
        self.store.any().walk(prefix.as_ref()).map(Iter::of)
    }

    /// Goes through the keys of a range in their order, or against it, as they are at this moment. The iterator blocks nobody.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where keys have no order ([`Capabilities::ORDER`]); [`Error::Closed`] and [`Error::Forked`].
    pub fn range(&self, range: &KeyRange<'_>) -> Result<Iter> {
        self.store.any().walk_range(range).map(Iter::of)
    }

    /// Removes all keys of a range, which may be none. It is one write, atomic also across a crash, whatever their number.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where keys have no order ([`Capabilities::ORDER`]): nothing was removed. As [`Db::put`].
    pub fn delete_range(&self, range: &KeyRange<'_>) -> Result<()> {
        self.store.any().delete_range(range)
    }

    /// The number of keys.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn count(&self) -> Result<u64> {
        self.store.any().count()
    }

    /// The store in numbers.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn stats(&self) -> Result<Stats> {
        self.store.any().stats()
    }

    /// Each data file in numbers, by file number.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn file_stats(&self) -> Result<Vec<FileStats>> {
        self.store.any().file_stats()
    }

    /// Writes the hint file of every sealed data file that has none, so that a start after a crash reads less. Hints are
    /// written by themselves where they are small beside their data; this writes the others too.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Io`], [`Error::Corrupt`]: some hints may be missing.
    pub fn write_hints(&self) -> Result<()> {
        self.store.any().write_hints()
    }

    /// How long `key` has to live; `None` where there is no such key.
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn ttl(&self, key: impl AsRef<[u8]>) -> Result<Option<Ttl>> {
        self.store.any().ttl(key.as_ref())
    }

    /// Lets `key` expire so long from now, at once for none. False where there is no such key. For a time by the wall clock give what
    /// is left until then: the store's own time may be ahead of that clock.
    ///
    /// # Errors
    /// As [`Db::put`]. The record is written again: the cost is that of a put.
    pub fn expire(&self, key: impl AsRef<[u8]>, life: Duration) -> Result<bool> {
        self.store.any().set_ttl(key.as_ref(), Some(write::millis(life)))
    }

    /// Lets `key` live for ever. False where there is no such key.
    ///
    /// # Errors
    /// As [`Db::expire`].
    pub fn persist(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.store.any().set_ttl(key.as_ref(), None)
    }

    /// As [`Db::write`], but for who may not sleep: it waits neither for the disk, whatever the option `sync` says, nor for merges and
    /// seals that are behind. True where the caller should let somebody call [`Db::pause`] before more is written.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub fn write_now(&self, batch: &Batch) -> Result<bool> {
        self.store.any().write_now(batch)
    }

    /// Does what [`Db::put`] and its like do after a write where the disk, merges or seals are behind: waits for them, as
    /// long as docs/DURABILITY.md says.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn pause(&self) -> Result<()> {
        self.store.any().pause()
    }

    /// The store's time, in milliseconds since 1970: that by which keys expire. It is the machine's wall clock, or ahead of it where
    /// that was set back.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn now_ms(&self) -> Result<u64> {
        self.store.any().now_ms()
    }

    /// Shows all there is to know of `key` to `visit`: what it holds, the value, when it expires. False where there is no such key. What
    /// `visit` may not do is as with [`Db::read`].
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn look(&self, key: impl AsRef<[u8]>, mut visit: impl FnMut(Seen<'_>)) -> Result<bool> {
        self.store.any().look(key.as_ref(), &mut visit)
    }

    /// Shows the values of many keys to `visit`, in their order, as [`Db::read`] shows one. The cache misses of the lookups overlap.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`]; everything else is shown to `visit`.
    pub fn read_many(&self, keys: &[&[u8]], mut visit: impl FnMut(Shown<'_>)) -> Result<()> {
        self.store.any().read_many(keys, &mut visit)
    }

    /// Shows about `most` keys to `visit`, and what they hold, from the place `from` on, which is 0 at first. The place to go on from;
    /// `None` behind the last. Nothing is kept in between: a key that is there from the first call to the last is shown once at least,
    /// others may be shown or not.
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn scan(&self, from: u64, most: usize, mut visit: impl FnMut(&[u8], Type)) -> Result<Option<u64>> {
        self.store.any().scan(from, most, &mut visit)
    }

    /// What `key` holds; `None` where there is no such key.
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn type_of(&self, key: impl AsRef<[u8]>) -> Result<Option<Type>> {
        self.store.any().type_of(key.as_ref())
    }

    /// Adds `value` behind the last element of the list `key`, which is made where there is none; gives the new length. Atomic, also
    /// across a crash, and of constant cost. A list keeps its expiry.
    ///
    /// # Errors
    /// As [`Db::put`]; [`Error::WrongType`] where the key holds a value.
    pub fn push_back(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<u64> {
        self.store.any().push(key.as_ref(), value.as_ref(), End::Back)
    }

    /// As [`Db::push_back`], in front of the first element.
    ///
    /// # Errors
    /// As [`Db::push_back`].
    pub fn push_front(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<u64> {
        self.store.any().push(key.as_ref(), value.as_ref(), End::Front)
    }

    /// Takes the last element of the list `key` out and gives it; `None` where there is no such list. With its last element a list is
    /// gone.
    ///
    /// # Errors
    /// As [`Db::put`] and [`Db::get`]; [`Error::WrongType`] where the key holds a value.
    pub fn pop_back(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        whole(|copy| self.pop(key, End::Back, copy))
    }

    /// As [`Db::pop_back`], the first element.
    ///
    /// # Errors
    /// As [`Db::pop_back`].
    pub fn pop_front(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        whole(|copy| self.pop(key, End::Front, copy))
    }

    /// Takes an element of the list `key` out, once it was copied to `to`. For code of this library.
    pub(crate) fn pop(&self, key: &[u8], end: End, to: &mut dyn Copying) -> Result<Option<usize>> {
        self.store.any().pop(key, end, to)
    }

    /// As [`Db::get_delete`], with the value copied to `to` before it is removed. For code of this library.
    pub(crate) fn get_delete_to(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        self.store.any().get_delete(key, to)
    }

    /// Takes the element at an end of the list `from` out and adds it at an end of the list `to`, which is made where there is no such
    /// key, in one step: it is always in one of the two, and in one only. Gives the element, `None` where there is no list `from`. Both may be
    /// the same list. So somebody who takes work out of a list, and may die before it is done, has it in a list of his own until then.
    ///
    /// # Errors
    /// As [`Db::push_back`] and [`Db::pop_back`]; [`Error::WrongType`] where one of the keys holds a value. In a cluster
    /// [`Error::Unsupported`] where not one server has both keys.
    pub fn list_move(
        &self,
        (from, from_end): (impl AsRef<[u8]>, End),
        (to, to_end): (impl AsRef<[u8]>, End),
    ) -> Result<Option<Vec<u8>>> {
        whole(|copy| self.list_move_to((from.as_ref(), from_end), (to.as_ref(), to_end), copy))
    }

    /// As [`Db::list_move`], with the element copied to `out` before it is moved. For code of this library.
    pub(crate) fn list_move_to(
        &self,
        from: (&[u8], End),
        to: (&[u8], End),
        out: &mut dyn Copying,
    ) -> Result<Option<usize>> {
        self.store.any().list_move(from, to, out)
    }

    /// The number of elements of the list `key`; `None` where there is none.
    ///
    /// # Errors
    /// As [`Db::get`]; [`Error::WrongType`] where the key holds a value.
    pub fn list_length(&self, key: impl AsRef<[u8]>) -> Result<Option<u64>> {
        self.store.any().list_length(key.as_ref())
    }

    /// The element at `index` of the list `key`, counted from 0, or from the end where negative: -1 is the last. `None` where there is
    /// no such list or element.
    ///
    /// # Errors
    /// As [`Db::list_length`].
    pub fn list_get(&self, key: impl AsRef<[u8]>, index: i64) -> Result<Option<Vec<u8>>> {
        self.store.any().list_get(key.as_ref(), index)
    }

    /// Replaces the element at `index`, which is counted as in [`Db::list_get`]. False where there is no such list or element.
    ///
    /// # Errors
    /// As [`Db::push_back`].
    pub fn list_set(&self, key: impl AsRef<[u8]>, index: i64, value: impl AsRef<[u8]>) -> Result<bool> {
        self.store.any().list_set(key.as_ref(), index, value.as_ref())
    }

    /// The elements from `first` to `last`, both included and counted as in [`Db::list_get`]; those that there are. `None` where there
    /// is no such list. Pushes and pops come before or after all of it; a [`Db::list_set`] meanwhile may be seen or not.
    ///
    /// # Errors
    /// As [`Db::list_length`].
    pub fn list_range(&self, key: impl AsRef<[u8]>, first: i64, last: i64) -> Result<Option<KeyList>> {
        self.store.any().list_range(key.as_ref(), first, last)
    }

    /// Removes `key` and gives the value that it had, in one step.
    ///
    /// # Errors
    /// As [`Db::delete`] and [`Db::get`]; [`Error::WrongType`] where the key holds a list.
    pub fn get_delete(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        whole(|copy| self.get_delete_to(key, copy))
    }

    /// Gives `key` the value `desired`, or with `None` removes it, if it holds `expected`, or with `None` nothing; in one step. False
    /// where it holds something else. A value that is replaced keeps its expiry.
    ///
    /// # Errors
    /// As [`Db::put`]; [`Error::WrongType`] where the key holds a list.
    pub fn compare_and_swap(
        &self,
        key: impl AsRef<[u8]>,
        expected: Option<&[u8]>,
        desired: Option<&[u8]>,
    ) -> Result<bool> {
        self.store.any().compare_and_swap(key.as_ref(), expected, desired)
    }

    /// Adds `by` to the number that `key` holds as decimal text, 0 where there is none, and gives the sum; in one step. The key keeps
    /// its expiry.
    ///
    /// # Errors
    /// As [`Db::put`]; [`Error::InvalidArgument`] where the value is no number of 64 bits, or the sum is none;
    /// [`Error::WrongType`] where the key holds a list.
    pub fn increment(&self, key: impl AsRef<[u8]>, by: i64) -> Result<i64> {
        self.store.any().increment(key.as_ref(), by)
    }

    /// Shows what `key` has to `change`, and does what it says, in one step: nobody changes the key meanwhile. A store over the network
    /// may call `change` again where somebody did. It must not call the store.
    ///
    /// # Errors
    /// As [`Db::put`], and whatever `change` returns: nothing was changed then; [`Error::WrongType`] where the key holds a list.
    pub fn update(
        &self,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(Option<&[u8]>) -> Result<Change>,
    ) -> Result<()> {
        self.store.any().update(key.as_ref(), &mut change)
    }

    /// Makes all completed writes durable.
    ///
    /// # Errors
    /// [`Error::Poisoned`] or [`Error::Io`]: the disk did not take them. The handle takes no more writes then; what it
    /// had not synced may be lost.
    pub fn sync(&self) -> Result<()> {
        self.store.any().sync()
    }

    /// Takes the space of dead records back, now. Runs beside readers and writers.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::Io`], [`Error::Corrupt`]: the store is as it was.
    pub fn merge(&self) -> Result<()> {
        self.merge_with(&mut |_| ControlFlow::Continue(())).map(drop)
    }

    /// As [`Db::merge`]; `watch` is told from time to time how far it has come, and ends it with `Break`. What was merged
    /// until then stays merged. False if it was ended. From `watch`, [`Db::close`], [`Db::merge`] and [`Db::write_hints`] of the
    /// same store are refused.
    ///
    /// # Errors
    /// As [`Db::merge`].
    pub fn merge_with(&self, watch: &mut dyn FnMut(&MergeProgress) -> ControlFlow<()>) -> Result<bool> {
        self.store.any().merge(watch)
    }

    /// Copies the store, which may be in use, to a directory that becomes a store itself: what this one held at a moment between
    /// the beginning of the call and its end. Into the directory of an older backup of the same store: only what is new is
    /// written, and what is no longer part of the store goes; until that is done the older backup is whole.
    ///
    /// A store that is read live can be copied as well, while another process writes to it.
    ///
    /// Files that never change again are linked where the file system can do that, and copied where not; see [`BackupOptions`].
    /// Writers do not wait for it, and merges go on.
    ///
    /// ```
    /// # fn main() -> filedb::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let (path, backup) = (dir.path().join("store"), dir.path().join("backup"));
    /// # let db = filedb::Db::open(&path, &filedb::Options::default())?;
    /// db.put("planet", "earth")?;
    /// db.backup(&backup, &filedb::BackupOptions::new())?;
    /// let copy = filedb::Db::open(&backup, &filedb::Options::new().read_only(true))?;
    /// assert_eq!(copy.get("planet")?.as_deref(), Some(&b"earth"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where the directory holds something else than a backup of this store, or a backup that was opened for
    /// writing, or lies inside the store; [`Error::Unsupported`] for a store on a server; [`Error::Locked`] where somebody has
    /// the backup open, [`Error::NoSpace`], [`Error::Io`]. The directory holds what it held before then.
    pub fn backup(&self, directory: impl AsRef<Path>, options: &BackupOptions) -> Result<()> {
        self.backup_with(directory, options, &mut |_| ControlFlow::Continue(())).map(drop)
    }

    /// As [`Db::backup`]; `watch` is told from time to time how far it has come, and ends it with `Break`. False where it did; the
    /// directory holds what it held before then.
    ///
    /// # Errors
    /// As [`Db::backup`].
    pub fn backup_with(
        &self,
        directory: impl AsRef<Path>,
        options: &BackupOptions,
        watch: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<bool> {
        // Where the store cannot be copied no directory is made.
        self.store.any().check_can_backup()?;
        let path = match Address::parse(directory.as_ref())? {
            Address::Directory(path) => path,
            Address::Memory(_) | Address::Server(..) => {
                return Err(Error::invalid("a backup goes to a directory, and not to a URL of another kind"));
            }
        };
        let to = FsDisk::open(&path, true, Io::Plain)
            .map_err(|e| Error::io("open the directory of the backup", &path, &e))?;
        self.store.any().backup(Arc::new(to), options, watch)
    }

    /// What tells this store from others: a copy of it, a backup too, has the same.
    ///
    /// # Errors
    /// As [`Db::last_seq`].
    pub fn identity(&self) -> Result<[u8; 16]> {
        self.store.any().identity()
    }

    /// The number of the last change: all that was changed up to it can be read, and [`Db::changes`] goes on behind it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a store on a server; [`Error::Closed`] and [`Error::Forked`].
    pub fn last_seq(&self) -> Result<u64> {
        self.store.any().last_seq()
    }

    /// Follows the changes of the store behind the number `after`, in the order in which they happened and without an end: 0 for all
    /// since the store is there; [`Changed::seq`] of the last one that was applied, to go on where another was left, also in another
    /// process; or the number of a copy, which is what [`Db::last_seq`] of a backup says.
    ///
    /// **Who applies all that is shown has what the store has.** The way there may be shorter: versions that were replaced before they
    /// were shown may be left out. Where that does not hold any more the answer is [`Followed::Gap`]: merges drop deletes, unless
    /// [`field@Options::keep_tombstones_ms`] tells them to keep them, and the ordered engine shows only what is in its log. A batch is shown
    /// when all of it is written; a change that is shown can be read.
    ///
    /// A list is told as a whole when it changes for the first time under the eyes of who follows: a delete and a push for each element. After
    /// that pushes and pops are told as such; a list in which an element was set is told as a whole. What expires is told when it is
    /// put; that its time has come is no change.
    ///
    /// What is shown is as durable as a write is when it returns: with [`SyncMode::Always`] only what is on the disk is shown. In the
    /// other modes a power cut may take back what was shown and not synced, and its numbers are given to other changes then: call
    /// [`Db::sync`] before you rely on a number that is to outlive the machine.
    ///
    /// It costs writers nothing while it is behind; who has read all and waits is woken by the next write, which costs that a call of the
    /// system. Between two calls it keeps the data files that come next.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> filedb::Result<()> {
    /// let db = filedb::Db::open("memory://", &filedb::Options::default())?;
    /// let mut changes = db.changes(db.last_seq()?)?;
    /// db.put("planet", "earth")?;
    /// match changes.next(Some(Duration::from_secs(1)))? {
    ///     filedb::Followed::Change(change) => assert_eq!((change.key, change.value), (&b"planet"[..], &b"earth"[..])),
    ///     filedb::Followed::Gap => panic!("begin anew with a copy"),
    ///     filedb::Followed::Timeout => panic!("nothing changed"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Db::last_seq`]; [`Error::NoMemory`].
    ///
    /// [`Changed::seq`]: crate::Changed::seq
    /// [`Followed::Gap`]: crate::Followed::Gap
    /// [`SyncMode::Always`]: crate::SyncMode::Always
    pub fn changes(&self, after: u64) -> Result<Changes> {
        Ok(Changes::of(self.store.any().changes(after)?))
    }

    /// As [`Db::backup_with`], to a disk of the caller's.
    #[cfg(any(test, feature = "testing"))]
    pub fn backup_on(
        &self,
        to: Arc<dyn Disk>,
        options: &BackupOptions,
        watch: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<bool> {
        self.store.any().backup(to, options, watch)
    }

    /// Stops all writes, because what happened leaves the state of the store in doubt.
    pub(crate) fn poison(&self, reason: &str) {
        self.store.any().poison(reason);
    }
}
