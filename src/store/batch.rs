//! Several writes that happen together.

use std::time::Duration;

use crate::format::frame;
use crate::store::error::{Error, Result};
use crate::store::value::End;
use crate::store::write::{self, Expiry};

/// Writes that count all or not at all, collected in memory until [`crate::Db::write`].
#[derive(Clone, Debug, Default)]
pub struct Batch {
    operations: Vec<Place>,
    /// Keys and values, one behind the other.
    bytes: Vec<u8>,
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Gives a key a value.
    Put {
        /// When it expires.
        expiry: Expiry,
    },
    /// Takes a key away.
    Delete,
    /// Adds a value at an end of a list.
    Push(End),
    /// Takes the value at an end of a list out.
    Pop(End),
    /// Replaces the element of a list at this index, which is negative where it is counted from the end.
    Set(i64),
    /// Gives a list another life.
    Expire(Expiry),
}

/// One write.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// What it does.
    pub verb: Verb,
    /// The key.
    pub key: &'a [u8],
    /// The value; empty for a delete.
    pub value: &'a [u8],
}

/// Where the bytes of a write stand.
#[derive(Clone, Copy, Debug)]
struct Place {
    verb: Verb,
    start: usize,
    key_len: usize,
    value_len: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a write of `key`.
    ///
    /// # Errors
    /// As [`crate::Db::put`] for the key and the value; [`Error::NoMemory`].
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.push(Verb::Put { expiry: Expiry::Never }, key, value)
    }

    /// Adds a write of `key`, which expires so long after the batch is written.
    ///
    /// # Errors
    /// As [`Batch::put`].
    pub fn put_with_ttl(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        life: Duration,
    ) -> Result<()> {
        self.push(Verb::Put { expiry: Expiry::After(write::millis(life)) }, key, value)
    }

    /// Adds a write of `key`, which expires as `expiry` says.
    ///
    /// # Errors
    /// As [`Batch::put`].
    pub fn put_with_expiry(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        expiry: Expiry,
    ) -> Result<()> {
        self.push(Verb::Put { expiry }, key, value)
    }

    /// Adds a removal of `key`, which need not exist.
    ///
    /// # Errors
    /// As [`Batch::put`].
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<()> {
        self.push(Verb::Delete, key, [])
    }

    /// Adds a push of `value` behind the last element of the list `key`.
    ///
    /// # Errors
    /// As [`Batch::put`].
    pub fn push_back(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.push(Verb::Push(End::Back), key, value)
    }

    /// Adds a push of `value` in front of the first element of the list `key`.
    ///
    /// # Errors
    /// As [`Batch::put`].
    pub fn push_front(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.push(Verb::Push(End::Front), key, value)
    }

    /// Adds a removal of the last element of the list `key`. With its last element a list is gone.
    ///
    /// # Errors
    /// As [`Batch::put`]. [`crate::Db::write`] fails, and writes nothing, where there is no such list then.
    pub fn pop_back(&mut self, key: impl AsRef<[u8]>) -> Result<()> {
        self.push(Verb::Pop(End::Back), key, [])
    }

    /// As [`Batch::pop_back`], of the first element.
    ///
    /// # Errors
    /// As [`Batch::pop_back`].
    pub fn pop_front(&mut self, key: impl AsRef<[u8]>) -> Result<()> {
        self.push(Verb::Pop(End::Front), key, [])
    }

    /// Adds a replacement of the element at `index` of the list `key`, counted as in [`crate::Db::list_get`].
    ///
    /// # Errors
    /// As [`Batch::pop_back`]; so it is where there is no such element.
    pub fn list_set(&mut self, key: impl AsRef<[u8]>, index: i64, value: impl AsRef<[u8]>) -> Result<()> {
        self.push(Verb::Set(index), key, value)
    }

    /// Lets the list `key` expire as `expiry` says. A value is put again instead.
    ///
    /// # Errors
    /// As [`Batch::pop_back`].
    pub fn list_expire(&mut self, key: impl AsRef<[u8]>, expiry: Expiry) -> Result<()> {
        self.push(Verb::Expire(expiry), key, [])
    }

    /// Forgets everything that was added.
    pub fn clear(&mut self) {
        self.operations.clear();
        self.bytes.clear();
    }

    /// The number of writes in it.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    fn push(&mut self, verb: Verb, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.push_bytes(verb, key.as_ref(), value.as_ref())
    }

    fn push_bytes(&mut self, verb: Verb, key: &[u8], value: &[u8]) -> Result<()> {
        frame::check_key(key)?;
        frame::check_value_len(value.len() as u64)?;
        let more = key.len() + value.len();
        let no_memory = |_| Error::NoMemory { bytes: more as u64 };
        self.bytes.try_reserve(more).map_err(no_memory)?;
        self.operations.try_reserve(1).map_err(no_memory)?;
        let (start, key_len, value_len) = (self.bytes.len(), key.len(), value.len());
        self.operations.push(Place { verb, start, key_len, value_len });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    /// A move of `value`, which is at an end of a list of this length, to an end of another list, or of the same; `None` where that changes
    /// nothing.
    pub(crate) fn of_move(
        (from, from_end): (&[u8], End),
        (to, to_end): (&[u8], End),
        length: u64,
        value: &[u8],
    ) -> Result<Option<Self>> {
        if from == to && (length == 1 || from_end == to_end) {
            return Ok(None);
        }
        let mut batch = Batch::new();
        batch.push_bytes(Verb::Pop(from_end), from, &[])?;
        batch.push_bytes(Verb::Push(to_end), to, value)?;
        Ok(Some(batch))
    }

    /// What is in it.
    pub(crate) fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        self.operations.iter().map(|place| {
            let (key, rest) = self.bytes[place.start..].split_at(place.key_len);
            Operation { verb: place.verb, key, value: &rest[..place.value_len] }
        })
    }

    /// Whether a list is changed, and not only removed.
    pub(crate) fn has_lists(&self) -> bool {
        self.operations.iter().any(|place| !matches!(place.verb, Verb::Put { .. } | Verb::Delete))
    }
}
