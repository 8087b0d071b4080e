//! The keys of all databases, over one store: what commands read and write.
//!
//! A key of database `n` is stored with the byte `n` in front of it, so that 16 databases are one store and a batch can change
//! several of them. Keys that begin with [`OWN`] are the server's own. A string is a value of the store and a list one of its lists;
//! bytes 0x10 to 0xef are free for what hashes, sets and sorted sets will need.

pub mod blocked;
pub mod counts;
pub mod databases;
pub mod list;
pub mod locks;
pub mod watch;
pub mod work;
pub mod written;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use filedb::{Capabilities, Db, Type};
use smallvec::SmallVec;

use blocked::Blocked;
use counts::Counts;
use databases::Databases;
use locks::Locks;
use watch::Watches;
use written::Written;

/// A key as it is stored.
pub type Key = SmallVec<[u8; 64]>;

/// The number of databases.
pub const DATABASES: usize = 16;

/// The first byte of keys that are the server's own.
pub const OWN: u8 = 0xf0;

/// The longest key that a client may use: one byte less than the store takes.
pub const MAX_KEY: usize = (64 << 10) - 1;

/// What all threads share of the keys.
pub struct Keyspace {
    /// The store.
    pub db: Db,
    /// Whether its keys have an order: the engine is the ordered one.
    pub is_ordered: bool,
    /// Who changes which keys.
    pub locks: Locks,
    /// Who wants to know of changes.
    pub watches: Watches,
    /// Who waits for elements of lists.
    pub blocked: Blocked,
    /// Which database is where.
    pub databases: Databases,
    /// How many keys they have.
    pub counts: Counts,
    /// How many batches are being written that change more than one key. Who reads one key meanwhile locks it first, or it could see the
    /// batch half.
    pub writing_many: AtomicU64,
    /// How many batches that change more than one key were begun since the server was started.
    pub many_begun: AtomicU64,
    /// The batches that were written.
    pub written: Written,
    /// Changes since the server was started.
    pub changes: AtomicU64,
    /// Whether the last write failed.
    pub has_write_failed: AtomicBool,
}

impl Keyspace {
    /// The keys in `db`.
    pub fn new(db: Db) -> filedb::Result<Self> {
        Ok(Keyspace {
            databases: Databases::load(&db)?,
            is_ordered: db.capabilities()?.contains(Capabilities::ORDER),
            counts: Counts::default(),
            db,
            locks: Locks::new(),
            watches: Watches::default(),
            blocked: Blocked::default(),
            writing_many: AtomicU64::new(0),
            many_begun: AtomicU64::new(0),
            written: Written::default(),
            changes: AtomicU64::new(0),
            has_write_failed: AtomicBool::new(false),
        })
    }

    /// A batch was written, or could not be.
    #[inline]
    pub fn note_write(&self, is_ok: bool) {
        if self.has_write_failed.load(Ordering::Relaxed) == is_ok {
            self.has_write_failed.store(!is_ok, Ordering::Relaxed);
        }
    }

    /// A batch is about to be written that changes more than one key.
    pub fn begin_many(&self) {
        self.many_begun.fetch_add(1, Ordering::SeqCst);
        self.writing_many.fetch_add(1, Ordering::SeqCst);
    }

    /// As [`Db::scan`], of the keys of one place; the others are passed over, or, where keys have an order, not looked at.
    pub fn scan(
        &self,
        place: u8,
        from: u64,
        most: usize,
        mut visit: impl FnMut(&[u8], Type),
    ) -> filedb::Result<Option<u64>> {
        // In the order of keys a position begins with the first byte of the key.
        let from = if self.is_ordered { from.max(u64::from(place) << 56) } else { from };
        let next = self.db.scan(from, most, |key, holds| {
            if let Some((first, key)) = key.split_first()
                && *first == place
            {
                visit(key, holds);
            }
        })?;
        Ok(next.filter(|next| !self.is_ordered || next >> 56 == u64::from(place)))
    }

    /// A client's key in its database, as it is stored.
    pub fn key(&self, database: u8, key: &[u8]) -> Key {
        let mut stored = Key::with_capacity(key.len() + 1);
        stored.push(self.databases.place(database));
        stored.extend_from_slice(key);
        stored
    }
}
