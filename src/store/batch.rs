//! Several writes that happen together.

use crate::format::frame::{self, Kind};
use crate::log::append::Record;
use crate::store::error::{Error, Result, vec_with_room};

/// Writes that count all or not at all, collected in memory until [`crate::Db::write`].
#[derive(Clone, Debug, Default)]
pub struct Batch {
    operations: Vec<Operation>,
    /// Keys and values, one behind the other.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Operation {
    kind: Kind,
    start: usize,
    key_len: usize,
    value_len: usize,
    ttl_ms: Option<u64>,
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
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.push(Kind::Put, key, value, None)
    }

    /// Adds a write of `key`, which expires `ttl_ms` milliseconds after the batch is written.
    ///
    /// # Errors
    /// As [`Batch::put`].
    pub fn put_with_ttl(&mut self, key: &[u8], value: &[u8], ttl_ms: u64) -> Result<()> {
        self.push(Kind::Put, key, value, Some(ttl_ms))
    }

    /// Adds a removal of `key`, which need not exist.
    ///
    /// # Errors
    /// As [`Batch::put`].
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.push(Kind::Tombstone, key, &[], None)
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

    fn push(&mut self, kind: Kind, key: &[u8], value: &[u8], ttl_ms: Option<u64>) -> Result<()> {
        frame::check_key(key)?;
        frame::check_value_len(value.len() as u64)?;
        let more = key.len() + value.len();
        let no_memory = |_| Error::NoMemory { bytes: more as u64 };
        self.bytes.try_reserve(more).map_err(no_memory)?;
        self.operations.try_reserve(1).map_err(no_memory)?;
        let (start, key_len, value_len) = (self.bytes.len(), key.len(), value.len());
        self.operations.push(Operation { kind, start, key_len, value_len, ttl_ms });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    /// What is in it, for a write at this time.
    pub(crate) fn records(&self, now_ms: u64) -> Result<Vec<Record<'_>>> {
        let mut records = vec_with_room(self.operations.len())?;
        records.extend(self.operations.iter().map(|operation| {
            let (key, rest) = self.bytes[operation.start..].split_at(operation.key_len);
            Record {
                kind: operation.kind,
                key,
                value: &rest[..operation.value_len],
                expiry_ms: operation.ttl_ms.map(|ttl| now_ms.saturating_add(ttl)),
            }
        }));
        Ok(records)
    }
}
