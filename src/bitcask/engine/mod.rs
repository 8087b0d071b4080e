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
mod many;
mod read;
pub mod snapshot;
pub mod space;
mod write;

use crate::sync::atomic::AtomicU64;
use std::sync::Arc;

use crate::bitcask::engine::back_pressure::BackPressure;
use crate::bitcask::engine::clock::StoreClock;
use crate::bitcask::engine::disk_watch::DiskWatch;
use crate::bitcask::engine::expiry::Expiries;
use crate::bitcask::engine::snapshot::Snapshots;
use crate::format::frame::Kind;
use crate::index::{Entry, Index, KeyHasher, Unavailable};
use crate::log::append::Log;
use crate::log::catalog::Catalog;
use crate::log::file::DataFile;
use crate::log::told_time::ToldTime;
use crate::store::error::{Error, Result};
use crate::store::memory;
use crate::store::options::Options;
use crate::sync::gate::Entered;

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
    /// What somebody was told has expired.
    pub told_time: ToldTime,
    /// What happened so far, in numbers.
    pub counters: Counters,
    /// Held as long as the store is open.
    pub _lock: Box<dyn Send + Sync>,
}

/// What happened so far, in numbers.
#[derive(Default)]
pub struct Counters {
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
    /// The change is made if there is no such key.
    pub if_absent: bool,
    /// The change is made if there is such a key.
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
