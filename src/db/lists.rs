//! What a store does with the lists that keys hold.

use super::Db;
use super::copied::whole;
use crate::store::Copying;
use crate::store::error::Result;
use crate::store::iter::KeyList;
use crate::store::value::End;

/// # Lists
impl Db {
    /// Adds `value` behind the last element of the list `key`, which is made where there is none; gives the new length. Atomic, also
    /// across a crash, and of constant cost. A list keeps its expiry.
    ///
    /// # Errors
    /// As [`Db::put`]; [`Error::WrongType`](crate::Error::WrongType) where the key holds a value.
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
    /// As [`Db::put`] and [`Db::get`]; [`Error::WrongType`](crate::Error::WrongType) where the key holds a value.
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

    /// Takes the element at an end of the list `from` out and adds it at an end of the list `to`, which is made where there is no such
    /// key, in one step: it is always in one of the two, and in one only. Gives the element, `None` where there is no list `from`. Both may be
    /// the same list. So somebody who takes work out of a list, and may die before it is done, has it in a list of his own until then.
    ///
    /// # Errors
    /// As [`Db::push_back`] and [`Db::pop_back`]; [`Error::WrongType`](crate::Error::WrongType) where one of the keys holds a value. In a cluster
    /// [`Error::Unsupported`](crate::Error::Unsupported) where not one server has both keys.
    pub fn list_move(
        &self,
        (from, from_end): (impl AsRef<[u8]>, End),
        (to, to_end): (impl AsRef<[u8]>, End),
    ) -> Result<Option<Vec<u8>>> {
        whole(|copy| self.list_move_to((from.as_ref(), from_end), (to.as_ref(), to_end), copy))
    }

    /// The number of elements of the list `key`; `None` where there is none.
    ///
    /// # Errors
    /// As [`Db::get`]; [`Error::WrongType`](crate::Error::WrongType) where the key holds a value.
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

    /// Takes an element of the list `key` out, once it was copied to `to`. For code of this library.
    pub(crate) fn pop(&self, key: &[u8], end: End, to: &mut dyn Copying) -> Result<Option<usize>> {
        self.store.any().pop(key, end, to)
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
}
