//! What a program needs that serves others from a store, as filedb-server does: it cannot wait, shows values without a copy, and goes on
//! with a walk whenever it is asked.

use super::Db;
use crate::store::batch::Batch;
use crate::store::error::Result;
use crate::store::value::{Seen, Shown, Type};

/// # For programs that serve others
///
/// A program for itself needs [`Db::write`], [`Db::get_many`] and [`Db::iter`] instead.
impl Db {
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
    /// [`Error::Closed`](crate::Error::Closed) and [`Error::Forked`](crate::Error::Forked).
    pub fn pause(&self) -> Result<()> {
        self.store.any().pause()
    }

    /// The store's time, in milliseconds since 1970: that by which keys expire. It is the machine's wall clock, or ahead of it where
    /// that was set back.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) and [`Error::Forked`](crate::Error::Forked).
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
    /// [`Error::Closed`](crate::Error::Closed) and [`Error::Forked`](crate::Error::Forked); everything else is shown to `visit`.
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
}
