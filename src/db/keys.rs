//! What a store does with keys and values: reads, writes, times, walks, and what is done in one step.

use std::time::Duration;

use super::copied::whole;
use super::{Db, Open};
use crate::store::batch::Batch;
use crate::store::error::{Error, Result};
use crate::store::iter::{Iter, KeyList};
use crate::store::pinned::Pinned;
use crate::store::range::KeyRange;
use crate::store::value::{Change, Type};
use crate::store::write::{self, PutOptions, Ttl};
use crate::store::{Copying, Store};

/// # Keys and values
impl Db {
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
            Open::LiveOrdered(store) => store.put(key.as_ref(), value.as_ref()),
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
            Open::LiveOrdered(store) => store.copy(key, to),
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
            Open::Ordered(_) | Open::LiveOrdered(_) | Open::Other(_) => {
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
    /// [`Error::Unsupported`] where keys have no order ([`Capabilities::ORDER`](crate::Capabilities::ORDER)); [`Error::Closed`] and [`Error::Forked`].
    pub fn range(&self, range: &KeyRange<'_>) -> Result<Iter> {
        self.store.any().walk_range(range).map(Iter::of)
    }

    /// Removes all keys of a range, which may be none. It is one write, atomic also across a crash, whatever their number.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where keys have no order ([`Capabilities::ORDER`](crate::Capabilities::ORDER)): nothing was removed. As [`Db::put`].
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

    /// What `key` holds; `None` where there is no such key.
    ///
    /// # Errors
    /// As [`Db::get`].
    pub fn type_of(&self, key: impl AsRef<[u8]>) -> Result<Option<Type>> {
        self.store.any().type_of(key.as_ref())
    }

    /// As [`Db::get_delete`], with the value copied to `to` before it is removed. For code of this library.
    pub(crate) fn get_delete_to(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        self.store.any().get_delete(key, to)
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
}
