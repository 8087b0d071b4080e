//! One open store: its log, its index, and the steps that every verb is made of.
//!
//! A put: limits, hash, lock of the key's segment, append, index, dead bytes; then, where asked for, the disk.
//! A get: hash, index, file, frame, key, checksum, value. Values go down, locations come up.

pub mod apply;
pub mod back_pressure;
mod batch;
mod change;
pub mod clock;
pub mod disk_watch;
pub mod elements;
mod expired;
pub mod expiry;
mod list_move;
mod lists;
mod look;
pub mod snapshot;
pub mod space;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use crate::bitcask::engine::back_pressure::BackPressure;
use crate::bitcask::engine::clock::StoreClock;
use crate::bitcask::engine::disk_watch::DiskWatch;
use crate::bitcask::engine::expiry::Expiries;
use crate::bitcask::engine::snapshot::Snapshots;
use crate::format::frame::{self, Kind};
use crate::index::{Entry, Index, KeyHash, KeyHasher, Locked, Unavailable};
use crate::log::append::{Appended, Log, Record};
use crate::log::catalog::Catalog;
use crate::log::file::{DataFile, Frame};
use crate::store::Copying;
use crate::store::error::{Error, Result};
use crate::store::memory;
use crate::store::options::{Options, SyncMode};
use crate::store::pinned::Pinned;
use crate::store::value::Type;
use crate::sync::gate::Entered;

/// Values of so many bytes and more are copied while their checksums are computed. Smaller ones are at hand after that, and
/// those that expire may turn out not to be there.
const COPIED_IN_PIECES: usize = 2 * frame::COPIED_AT_ONCE;

/// Proof of being inside the store's gate; files do not go away under its holder.
pub type Inside<'a> = Entered<'a, Engine>;

/// See the module.
pub struct Engine {
    /// How the store was opened.
    pub options: Options,
    /// The set of files.
    pub catalog: Arc<Catalog>,
    /// The tail of the log.
    pub log: Log,
    /// From keys to places.
    pub index: Index,
    /// Makes the hashes of the index.
    pub hasher: KeyHasher,
    /// The time.
    pub clock: StoreClock,
    /// The keys that expire.
    pub expiries: Expiries,
    /// The elements of collections.
    pub elements: elements::Elements,
    /// The moments that are still read.
    pub snapshots: Snapshots,
    /// Lets writers wait for what is behind.
    pub back_pressure: BackPressure,
    /// Whether gets wait for the disk.
    pub disk_watch: DiskWatch,
    /// What happened so far, in numbers.
    pub counters: Counters,
    /// Held as long as the store is open.
    pub _lock: Box<dyn Send + Sync>,
}

/// What happened so far, in numbers.
#[derive(Default)]
pub struct Counters {
    /// The latest time that is known to be in the log.
    pub logged_time_ms: AtomicU64,
    /// The latest time that somebody was told of, or is about to be. Later than what is in the log only where it could not be written there.
    pub told_time_ms: AtomicU64,
    /// Merges that ended.
    pub merges: AtomicU64,
    /// Bytes of frames that merges wrote.
    pub merged_bytes: AtomicU64,
    /// Keys that were taken out because they expired.
    pub expired: AtomicU64,
}

/// What a key has.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    /// The value.
    pub value: &'a [u8],
    /// When it expires.
    pub expiry_ms: Option<u64>,
}

/// What must hold for a write to happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// There is no such key.
    pub if_absent: bool,
    /// There is such a key.
    pub if_present: bool,
    /// The key keeps the expiry that it has.
    pub keep_expiry: bool,
}

impl From<Unavailable> for Error {
    fn from(why: Unavailable) -> Self {
        if matches!(why, Unavailable::Damaged) {
            let message = "the checkpoint was changed or damaged after the store was opened; close the store and open it again: its \
                           index is made anew from the data files then";
            return Error::Unsupported { message: message.into() };
        }
        Error::NoMemory { bytes: 0 }
    }
}

impl Engine {
    /// `Err` where the store takes no writes.
    #[inline]
    pub fn check_writable(&self) -> Result<()> {
        if self.options.read_only {
            return Err(Error::ReadOnly);
        }
        // A write may have to be remembered in small pieces of memory: for snapshots, and when the key expires.
        Ok(memory::room_for_more()?)
    }

    /// Writes a key. False where the condition does not hold; nothing was written then.
    pub fn put(
        &self,
        inside: &Inside<'_>,
        key: &[u8],
        value: &[u8],
        mut expiry_ms: Option<u64>,
        condition: Condition,
        sync: bool,
    ) -> Result<bool> {
        self.check_writable()?;
        frame::check_key(key)?;
        frame::check_value_len(value.len() as u64)?;
        let hash = self.hasher.hash(key);
        // What the insertion needs is loaded during the append.
        self.index.prefetch_to_insert(hash);
        let mut locked = self.index.lock_for_insert(hash)?;
        if condition != Condition::default() {
            let current = self.current(inside, locked.get(hash), key)?;
            if (condition.if_absent && current.is_some()) || (condition.if_present && current.is_none()) {
                return Ok(false);
            }
            if condition.keep_expiry {
                expiry_ms = current.flatten();
            }
        }
        let record = Record { kind: Kind::Put, key, value, expiry_ms };
        if expiry_ms.is_some() {
            let appended = self.append_expiring(inside, &mut locked, hash, &record)?;
            drop(locked);
            self.finish_write(&appended, sync)?;
            return Ok(true);
        }
        let appended = self.log.append(&record, self.clock.coarse())?;
        self.install(inside, &mut locked, hash, &appended, None);
        drop(locked);
        self.finish_write(&appended, sync)?;
        Ok(true)
    }

    /// Removes a key. False where there is none.
    pub fn delete(&self, inside: &Inside<'_>, key: &[u8]) -> Result<bool> {
        self.check_writable()?;
        frame::check_key(key)?;
        let hash = self.hasher.hash(key);
        if !self.index.is_pending(hash) && self.index.get(hash).is_none() {
            return Ok(false);
        }
        let mut locked = self.index.lock(hash)?;
        match self.current(inside, locked.get(hash), key) {
            Ok(None) => return Ok(false),
            // A damaged record can be deleted, and is gone then.
            Ok(Some(_)) | Err(Error::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        let record = Record { kind: Kind::Tombstone, key, value: &[], expiry_ms: None };
        let appended = self.log.append(&record, self.clock.coarse())?;
        if let Some(old) = locked.remove(hash) {
            self.replace(inside, hash, old, appended.seq, None);
        }
        drop(locked);
        self.finish_write(&appended, false)?;
        Ok(true)
    }

    /// Appends a record that expires, for which there is room in the index, and points the index at it.
    #[inline(never)]
    fn append_expiring(
        &self,
        inside: &Inside<'_>,
        locked: &mut Locked<'_>,
        hash: KeyHash,
        record: &Record<'_>,
    ) -> Result<Appended> {
        let _room = self.expiries.make_room(hash.root, 1)?;
        let appended = self.log.append(record, self.clock.coarse())?;
        self.install(inside, locked, hash, &appended, record.expiry_ms);
        Ok(appended)
    }

    /// Points the index at a record that was appended, and notes when that expires. Room to note it was made before, unless the key
    /// had an expiry already.
    #[inline(always)]
    fn install(
        &self,
        inside: &Inside<'_>,
        locked: &mut Locked<'_>,
        hash: KeyHash,
        appended: &Appended,
        expiry_ms: Option<u64>,
    ) {
        self.install_version(inside, locked, hash, appended, expiry_ms, false);
    }

    /// As [`Engine::install`]; `is_same_list` where the record is the head of the list that the key had, if it had something.
    #[inline(always)]
    fn install_version(
        &self,
        inside: &Inside<'_>,
        locked: &mut Locked<'_>,
        hash: KeyHash,
        appended: &Appended,
        expiry_ms: Option<u64>,
        is_same_list: bool,
    ) {
        match (locked.insert(hash, appended.entry), expiry_ms) {
            (Some(old), _) if is_same_list => self.supersede(inside, hash, old, appended.seq, expiry_ms),
            (Some(old), _) => self.replace(inside, hash, old, appended.seq, expiry_ms),
            (None, Some(expiry_ms)) => self.expiries.set(hash, expiry_ms),
            (None, None) => {}
        }
    }

    /// Accounts for what a key had and has no more, the elements of a collection with it; what it has now expires then.
    #[inline]
    fn replace(&self, inside: &Inside<'_>, hash: KeyHash, old: Entry, by: u64, expiry_ms: Option<u64>) {
        if old.size.is_head() {
            self.let_go_of(inside, old);
        }
        self.supersede(inside, hash, old, by, expiry_ms);
    }

    /// Accounts for a version that the index no longer points at; what takes its place expires then.
    #[inline]
    fn supersede(&self, inside: &Inside<'_>, hash: KeyHash, old: Entry, by: u64, expiry_ms: Option<u64>) {
        let file = self.catalog.files.get(usize::from(old.location.slot), inside);
        if self.snapshots.any() && !seeded_bug!("snapshot-sees-a-later-write") {
            self.snapshots.keep(hash, old, file.map_or(0, |file| file.seqs().0), by);
        }
        if let Some(file) = file
            && !seeded_bug!("usage-not-counted")
        {
            file.usage.died(old.size);
        }
        match expiry_ms {
            Some(expiry_ms) => self.expiries.set(hash, expiry_ms),
            // In a plain file nothing expires.
            None if file.is_none_or(|file| !file.is_plain()) => self.expiries.clear(hash),
            None => {}
        }
    }

    #[inline(always)]
    fn finish_write(&self, appended: &Appended, sync: bool) -> Result<()> {
        if sync || self.options.sync == SyncMode::Always {
            self.log.wait_durable(appended.end)?;
        }
        if appended.may_pause {
            self.back_pressure.ask();
        }
        Ok(())
    }

    /// What a condition asks: `None` where the key is not there, else when it expires.
    fn current(&self, inside: &Inside<'_>, entry: Option<Entry>, key: &[u8]) -> Result<Option<Option<u64>>> {
        match entry {
            Some(entry) => Ok(self.describe_at(inside, entry, key)?.map(|(_, expiry_ms)| expiry_ms)),
            None => Ok(None),
        }
    }

    /// What a key holds and when it expires; `None` where it is not there.
    pub fn describe(&self, inside: &Inside<'_>, key: &[u8]) -> Result<Option<(Type, Option<u64>)>> {
        frame::check_key(key)?;
        match self.index.get(self.hasher.hash(key)) {
            Some(entry) => self.describe_at(inside, entry, key),
            None => Ok(None),
        }
    }

    fn describe_at(
        &self,
        inside: &Inside<'_>,
        entry: Entry,
        key: &[u8],
    ) -> Result<Option<(Type, Option<u64>)>> {
        if self.bare_value(inside, entry, key).is_some() {
            return Ok(Some((Type::Value, None)));
        }
        let mut buffer = Vec::new();
        let frame = self.record(inside, entry, key, &mut buffer, DataFile::is_intact)?;
        Ok(frame.map(|frame| {
            let holds = if frame.header.kind == Kind::Head { Type::List } else { Type::Value };
            (holds, frame.header.expiry_ms)
        }))
    }

    /// Finds what a key has and shows it to `visit`; `None` where there is no such key.
    #[inline]
    pub fn find<R>(
        &self,
        inside: &Inside<'_>,
        key: &[u8],
        visit: impl FnOnce(Current<'_>) -> R,
    ) -> Result<Option<R>> {
        frame::check_key(key)?;
        match self.index.get(self.hasher.hash(key)) {
            Some(entry) => self.at(inside, entry, key, visit),
            None => Ok(None),
        }
    }

    /// Shows what the record at `entry` says to `visit`, if it is one of this key and has not expired.
    #[inline]
    pub fn at<R>(
        &self,
        inside: &Inside<'_>,
        entry: Entry,
        key: &[u8],
        visit: impl FnOnce(Current<'_>) -> R,
    ) -> Result<Option<R>> {
        if let Some(value) = self.bare_value(inside, entry, key) {
            return Ok(Some(visit(Current { value, expiry_ms: None })));
        }
        let mut buffer = Vec::new();
        match self.record(inside, entry, key, &mut buffer, DataFile::is_intact)? {
            Some(frame) if frame.header.kind != Kind::Put => Err(Error::WrongType),
            Some(frame) => {
                Ok(Some(visit(Current { value: frame.value(), expiry_ms: frame.header.expiry_ms })))
            }
            None => Ok(None),
        }
    }

    /// The value of the record at `entry`, where that is a mapped [`frame::BarePut`] of this key and, if that is to be verified,
    /// intact. `None` for any other: [`Engine::record`] tells what it is; and where the time that this takes is to be known.
    #[inline(always)]
    fn bare_value<'a>(&'a self, inside: &'a Inside<'_>, entry: Entry, key: &[u8]) -> Option<&'a [u8]> {
        if self.disk_watch.is_timed(entry) {
            return None;
        }
        let put = self.catalog.files.get(usize::from(entry.location.slot), inside)?.bare_put(entry)?;
        let is_its = put.key == key && (!self.options.verify_checksums || put.is_intact());
        is_its.then_some(put.value)
    }

    /// The record at `entry`, if it is one of this key and has not expired; `is_intact` looks at its checksum.
    #[inline(never)]
    fn record<'a>(
        &'a self,
        inside: &'a Inside<'_>,
        entry: Entry,
        key: &[u8],
        buffer: &'a mut Vec<u8>,
        is_intact: impl FnOnce(&DataFile, &Frame<'_>) -> bool,
    ) -> Result<Option<Frame<'a>>> {
        if !self.disk_watch.is_timed(entry) {
            return self.record_at(inside, entry, key, buffer, is_intact);
        }
        let begun = Instant::now();
        if self.disk_watch.may_wait() {
            self.file(inside, entry)?.use_now(entry);
        }
        let record = self.record_at(inside, entry, key, buffer, is_intact);
        self.disk_watch.saw(begun, entry.size.bytes());
        record
    }

    #[inline(always)]
    fn record_at<'a>(
        &'a self,
        inside: &'a Inside<'_>,
        entry: Entry,
        key: &[u8],
        buffer: &'a mut Vec<u8>,
        is_intact: impl FnOnce(&DataFile, &Frame<'_>) -> bool,
    ) -> Result<Option<Frame<'a>>> {
        let file = self.file(inside, entry)?;
        let frame = file.frame(entry, buffer)?;
        if frame.key() != key {
            // Another key with the same hash, which is next to impossible, or damage, which is not.
            return if frame.is_intact() { Ok(None) } else { Err(damaged(file, &frame)) };
        }
        if self.options.verify_checksums && !is_intact(file, &frame) {
            return Err(damaged(file, &frame));
        }
        if !matches!(frame.header.kind, Kind::Put | Kind::Head) {
            return Err(file.corrupt(frame.offset, "the index points at something that is no value"));
        }
        if frame.header.expiry_ms.is_some_and(|expiry_ms| self.has_expired(expiry_ms))
            && !seeded_bug!("expired-key-comes-back")
        {
            return Ok(None);
        }
        Ok(Some(frame))
    }

    /// Copies the value of a key, if `to` has room for it, and gives its size; `None` where there is no such key.
    #[inline]
    pub fn copy(
        &self,
        inside: &Inside<'_>,
        key: &[u8],
        to: &mut (impl Copying + ?Sized),
    ) -> Result<Option<usize>> {
        frame::check_key(key)?;
        let Some(entry) = self.index.get(self.hasher.hash(key)) else { return Ok(None) };
        if entry.size.bytes() < COPIED_IN_PIECES as u64
            && let Some(value) = self.bare_value(inside, entry, key)
        {
            if to.begin(value.len()) {
                to.copy(value);
            }
            return Ok(Some(value.len()));
        }
        self.copy_at(inside, entry, key, to)
    }

    /// As [`Engine::copy`], of a record that is large or has more than a key and a value.
    #[inline(never)]
    fn copy_at(
        &self,
        inside: &Inside<'_>,
        entry: Entry,
        key: &[u8],
        to: &mut (impl Copying + ?Sized),
    ) -> Result<Option<usize>> {
        let (mut buffer, mut is_copied) = (Vec::new(), false);
        let is_intact = |file: &DataFile, frame: &Frame<'_>| {
            let len = frame.value().len();
            is_copied = frame.header.kind == Kind::Put
                && len >= COPIED_IN_PIECES
                && frame.header.expiry_ms.is_none()
                && to.begin(len);
            if is_copied {
                file.is_intact_and_copied(frame, |piece| to.copy(piece))
            } else {
                file.is_intact(frame)
            }
        };
        let Some(frame) = self.record(inside, entry, key, &mut buffer, is_intact)? else { return Ok(None) };
        if frame.header.kind != Kind::Put {
            return Err(Error::WrongType);
        }
        let value = frame.value();
        if !is_copied && to.begin(value.len()) {
            to.copy(value);
        }
        Ok(Some(value.len()))
    }

    /// Writes a key again with another expiry. False where there is no such key.
    pub fn set_expiry(&self, inside: &Inside<'_>, key: &[u8], expiry_ms: Option<u64>) -> Result<bool> {
        self.check_writable()?;
        frame::check_key(key)?;
        let hash = self.hasher.hash(key);
        let mut locked = self.index.lock_for_insert(hash)?;
        let Some(entry) = locked.get(hash) else { return Ok(false) };
        let mut buffer = Vec::new();
        let frame = self.record(inside, entry, key, &mut buffer, DataFile::is_intact)?;
        let Some(frame) = frame else { return Ok(false) };
        let kind = frame.header.kind;
        let record = Record { kind, key, value: frame.value(), expiry_ms };
        let _room = match expiry_ms {
            Some(_) => Some(self.expiries.make_room(hash.root, 1)?),
            None => None,
        };
        let appended = self.log.append(&record, self.clock.coarse())?;
        // A list stays the same list.
        self.install_version(inside, &mut locked, hash, &appended, expiry_ms, kind == Kind::Head);
        drop(locked);
        self.finish_write(&appended, false)?;
        Ok(true)
    }

    /// The value of a key, pinned.
    pub fn pin(&self, inside: &Inside<'_>, key: &[u8]) -> Result<Option<Pinned>> {
        frame::check_key(key)?;
        match self.index.get(self.hasher.hash(key)) {
            Some(entry) => self.pin_at(inside, entry, key),
            None => Ok(None),
        }
    }

    fn pin_at(&self, inside: &Inside<'_>, entry: Entry, key: &[u8]) -> Result<Option<Pinned>> {
        let keeper = self.file(inside, entry)?.keeper();
        let pinned = self.at(inside, entry, key, |current| match keeper {
            Some(keeper) => Ok(Pinned::kept(keeper.clone(), current.value)),
            None => Pinned::copied(current.value),
        })?;
        pinned.transpose()
    }

    /// The values of many keys, pinned. Three rounds, so that the cache misses of one round overlap: the index slots,
    /// then the records, then the comparison.
    pub fn pin_many(&self, inside: &Inside<'_>, keys: &[&[u8]], out: &mut Vec<Result<Option<Pinned>>>) {
        const AT_ONCE: usize = 32;
        let may_wait = self.disk_watch.may_wait();
        for keys in keys.chunks(AT_ONCE) {
            let mut hashes = [KeyHash::default(); AT_ONCE];
            for (hash, key) in hashes.iter_mut().zip(keys) {
                *hash = self.hasher.hash(key);
                self.index.prefetch(*hash);
            }
            let mut entries = [None; AT_ONCE];
            for (entry, hash) in entries.iter_mut().zip(&hashes[..keys.len()]) {
                *entry = self.index.get(*hash);
                if let Some(entry) = *entry
                    && let Some(file) = self.catalog.files.get(usize::from(entry.location.slot), inside)
                {
                    if may_wait {
                        file.will_need(entry);
                    }
                    file.prefetch(entry);
                }
            }
            out.extend(keys.iter().zip(entries).map(|(key, entry)| {
                frame::check_key(key)?;
                match entry {
                    Some(entry) => self.pin_at(inside, entry, key),
                    None => Ok(None),
                }
            }));
        }
    }

    /// The index that has the records of this kind; `None` where it has none.
    #[inline]
    pub fn index_of(&self, kind: Kind) -> Option<&Index> {
        if kind == Kind::Element { self.elements.index() } else { Some(&self.index) }
    }

    /// The file that an entry of the index points into.
    #[inline]
    pub fn file<'a>(&'a self, inside: &'a Inside<'_>, entry: Entry) -> Result<&'a DataFile> {
        self.catalog.files.get(usize::from(entry.location.slot), inside).ok_or_else(|| Error::Corrupt {
            path: self.catalog.disk.path().to_path_buf(),
            file_id: 0,
            offset: u64::from(entry.location.units) * 8,
            what: "the index points into a file that is not open",
        })
    }
}

#[cold]
fn damaged(file: &DataFile, frame: &Frame<'_>) -> Error {
    file.corrupt(frame.offset, "the checksum of the record does not match")
}
