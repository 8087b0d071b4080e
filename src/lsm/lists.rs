//! Lists: what a push, a pop and a look at one consist of.
//!
//! A push writes the element and the new head as one batch, a pop the new head and that the element is gone. The key's stripe is locked
//! meanwhile. Readers read one moment.

use super::engine::{Engine, Operation, Reading};
use super::key;
use crate::format::collection::ListHead;
use crate::format::features::COLLECTIONS;
use crate::format::frame::{self, Kind};
use crate::format::run::block::{Meta, What};
use crate::store::Copying;
use crate::store::batch::Batch;
use crate::store::changes::ListNow;
use crate::store::error::{Error, Result};
use crate::store::iter::KeyList;
use crate::store::memory;
use crate::store::value::{End, clamp_range, place_of, position_at};

/// A list that is there, or may become one.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// The head of the list.
    pub head: ListHead,
    /// When it expires.
    pub expiry_ms: Option<u64>,
}

impl Engine {
    fn lost_element(&self) -> Error {
        let (path, what) =
            (self.catalog.disk.path().to_path_buf(), "the head of a list names an element that is not there");
        Error::Corrupt { path, file_id: 0, offset: 0, what }
    }

    fn bad_head(&self, what: &'static str) -> Error {
        Error::Corrupt { path: self.catalog.disk.path().to_path_buf(), file_id: 0, offset: 0, what }
    }

    /// The list that a version names.
    pub fn list_of(&self, meta: &Meta, value: &[u8]) -> Result<List> {
        if meta.what != What::Head {
            return Err(Error::WrongType);
        }
        let head = ListHead::decode(value).map_err(|what| self.bad_head(what))?;
        Ok(List { head, expiry_ms: meta.expiry_ms })
    }

    /// The list of a key as it is now; for who has locked the key.
    pub fn list(&self, key: &[u8]) -> Result<Option<List>> {
        self.find(key, |meta, value| self.list_of(meta, value))?.transpose()
    }

    /// A list with one more place at an end, and that place; a new list where there is none.
    pub fn grown(&self, list: Option<List>, end: End) -> Result<(List, i64)> {
        let new =
            || List { head: ListHead { id: self.take_list_number(), first: 0, end: 0 }, expiry_ms: None };
        let mut list = list.unwrap_or_else(new);
        let full = || Error::Unsupported { message: "the list has used up its positions".into() };
        let position = match end {
            End::Back => {
                let position = list.head.end;
                list.head.end = position.checked_add(1).ok_or_else(full)?;
                position
            }
            End::Front => {
                list.head.first = list.head.first.checked_sub(1).ok_or_else(full)?;
                list.head.first
            }
        };
        Ok((list, position))
    }

    /// Adds a value at an end of a list, which is made where there is none: the new length.
    pub fn push(&self, key: &[u8], value: &[u8], end: End) -> Result<u64> {
        self.check_writable()?;
        frame::check_key(key)?;
        frame::check_value_len(value.len() as u64)?;
        self.catalog.require(COLLECTIONS)?;
        let locked = self.lock_key(key);
        let before = self.list(key)?;
        let (list, position) = self.grown(before, end)?;
        let (logged, head) = (list.head.element_key(position), list.head.encode());
        let element = Operation::of_element(Kind::Element, &logged, (list.head.id, position), value)?;
        let of_key = Operation::of_user(Kind::Head, key, &head, list.expiry_ms)?;
        // The order says to those who follow the log whether the list is new. Both count, or none.
        let operations = if before.is_none() { [of_key, element] } else { [element, of_key] };
        self.commit_all(memory::collect(operations)?, self.syncs_always(), locked)?;
        Ok(list.head.length())
    }

    /// Takes the value at an end of a list out, once it was copied to `to`, and gives its size; `None` where there is no list.
    pub fn pop(&self, key: &[u8], end: End, to: &mut dyn Copying) -> Result<Option<usize>> {
        self.check_writable()?;
        frame::check_key(key)?;
        let locked = self.lock_key(key);
        let Some(mut list) = self.list(key)? else { return Ok(None) };
        let position = position_at(list.head.positions(), end);
        let element = key::of_element(list.head.id, position);
        let copied = self.look(&self.tree(), &element, u64::MAX, |_, value| copy_whole(value, to))?;
        let size = copied.ok_or_else(|| self.lost_element())??;
        match end {
            End::Back => list.head.end = position,
            End::Front => list.head.first = position + 1,
        }
        let (logged, head) = (list.head.element_key(position), list.head.encode());
        let of_key = match list.head.length() {
            0 => Operation::of_user(Kind::Tombstone, key, &[], None)?,
            _ => Operation::of_user(Kind::Head, key, &head, list.expiry_ms)?,
        };
        let of_element = Operation::of_element(Kind::Gone, &logged, (list.head.id, position), &[])?;
        self.commit_all(memory::collect([of_key, of_element])?, self.syncs_always(), locked)?;
        Ok(Some(size))
    }

    /// Takes the value at an end of a list out, once it was copied to `out`, and adds it at an end of another, or of the same. Its size;
    /// `None` where there is no list `from`.
    pub fn list_move(
        &self,
        (from, from_end): (&[u8], End),
        (to, to_end): (&[u8], End),
        out: &mut dyn Copying,
    ) -> Result<Option<usize>> {
        self.check_writable()?;
        frame::check_key(from)?;
        frame::check_key(to)?;
        let locked = self.lock_keys([from, to].into_iter())?;
        let Some(list) = self.list(from)? else { return Ok(None) };
        let element = key::of_element(list.head.id, position_at(list.head.positions(), from_end));
        let value = self.look(&self.tree(), &element, u64::MAX, |_, value| copied(value))?;
        let value = value.ok_or_else(|| self.lost_element())??;
        let size = copy_whole(&value, out)?;
        if let Some(batch) = Batch::of_move((from, from_end), (to, to_end), list.head.length(), &value)? {
            self.write_locked(&batch, true, locked)?;
        }
        Ok(Some(size))
    }

    /// Shows a list, and what it is read from, to `look`; `None` where there is no list.
    fn read_list<R>(
        &self,
        key: &[u8],
        look: impl FnOnce(&List, &Reading<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        frame::check_key(key)?;
        memory::room_for_more()?;
        let reading = self.read();
        let list = self.look(&reading.tree, &key::of_user(key)?, reading.seq, |meta, value| {
            let expired = meta.expiry_ms.is_some_and(|expiry_ms| self.has_expired(expiry_ms));
            (!expired).then(|| self.list_of(meta, value))
        })?;
        match list.flatten() {
            Some(list) => look(&list?, &reading).map(Some),
            None => Ok(None),
        }
    }

    /// Shows an element to `visit`.
    pub fn element<R>(
        &self,
        list: &List,
        position: i64,
        reading: &Reading<'_>,
        visit: impl FnOnce(&[u8]) -> Result<R>,
    ) -> Result<R> {
        let element = key::of_element(list.head.id, position);
        let seen = self.look(&reading.tree, &element, reading.seq, |_, value| visit(value))?;
        seen.ok_or_else(|| self.lost_element())?
    }

    /// The number of elements; `None` where there is no list.
    pub fn list_length(&self, key: &[u8]) -> Result<Option<u64>> {
        frame::check_key(key)?;
        Ok(self.list(key)?.map(|list| list.head.length()))
    }

    /// A copy of an element, by its index.
    pub fn list_get(&self, key: &[u8], index: i64) -> Result<Option<Vec<u8>>> {
        let found = self.read_list(key, |list, reading| {
            let Some(place) = place_of(list.head.length(), index) else { return Ok(None) };
            let position = list.head.first.wrapping_add_unsigned(place);
            self.element(list, position, reading, |value| copied(value).map(Some))
        });
        Ok(found?.flatten())
    }

    /// Replaces an element. False where there is none.
    pub fn list_set(&self, key: &[u8], index: i64, value: &[u8]) -> Result<bool> {
        self.check_writable()?;
        frame::check_key(key)?;
        frame::check_value_len(value.len() as u64)?;
        let locked = self.lock_key(key);
        let Some(list) = self.list(key)? else { return Ok(false) };
        let Some(place) = place_of(list.head.length(), index) else { return Ok(false) };
        let position = list.head.first.wrapping_add_unsigned(place);
        let (logged, head) = (list.head.element_key(position), list.head.encode());
        // The head once more: who follows the log learns from it which key this is about.
        let operations = [
            Operation::of_element(Kind::Element, &logged, (list.head.id, position), value)?,
            Operation::of_user(Kind::Head, key, &head, list.expiry_ms)?,
        ];
        self.commit_all(memory::collect(operations)?, self.syncs_always(), locked)?;
        Ok(true)
    }

    /// A list as it is now.
    pub fn list_now(&self, key: &[u8]) -> Result<Option<ListNow>> {
        self.read_list(key, |list, reading| {
            let count = list.head.length();
            let mut values = KeyList::with_room(count)?;
            self.elements(list, (list.head.first, count), reading, &mut |value| values.push(value))?;
            Ok(ListNow { seq: reading.seq, head: list.head, expiry_ms: list.expiry_ms, values })
        })
    }

    /// Copies of the elements between two indices; `None` where there is no list.
    pub fn list_range(&self, key: &[u8], first: i64, last: i64) -> Result<Option<KeyList>> {
        self.read_list(key, |list, reading| {
            let (before, count) = clamp_range(list.head.length(), first, last);
            let from = list.head.first.wrapping_add_unsigned(before);
            let mut values = KeyList::with_room(count)?;
            self.elements(list, (from, count), reading, &mut |value| values.push(value))?;
            Ok(values)
        })
    }
}

/// Copies a value to `to`, or says that there was no memory for it.
pub fn copy_whole(value: &[u8], to: &mut dyn Copying) -> Result<usize> {
    if !to.begin(value.len()) {
        return Err(Error::NoMemory { bytes: value.len() as u64 });
    }
    to.copy(value);
    Ok(value.len())
}

/// A copy of a value.
pub fn copied(value: &[u8]) -> Result<Vec<u8>> {
    Ok(memory::copy_of(value)?)
}
