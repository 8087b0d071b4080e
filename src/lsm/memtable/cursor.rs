//! Going through the keys of a memtable, as a reader at one sequence number sees them. No lock is held between steps.

use std::collections::VecDeque;
use std::ops::{Bound, Range};
use std::sync::Arc;

use super::values::Stored;
use super::{Content, Memtable, Versions};
use crate::format::run::block::Meta;
use crate::store::error::Result;
use crate::store::memory::{self, Refused};

/// How many rows are loaded at once, at first and at most.
const FIRST_LOADED: usize = 4;
const MOST_LOADED: usize = 256;

/// A value of a row: in the bytes of all rows, or shared with the memtable.
enum Value {
    Copied(Range<usize>),
    Shared(Arc<Vec<u8>>),
}

struct Row {
    key: Range<usize>,
    meta: Meta,
    value: Value,
}

/// Rows that were copied from a memtable.
#[derive(Default)]
struct Rows {
    rows: VecDeque<Row>,
    bytes: Vec<u8>,
}

impl Rows {
    fn copy(&mut self, bytes: &[u8]) -> Result<Range<usize>, Refused> {
        memory::reserve(&mut self.bytes, bytes.len())?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Ok(start..self.bytes.len())
    }

    /// Adds what a reader at `seq` sees of a key, for which there is room.
    fn add(
        &mut self,
        content: &Content,
        (key, versions): (&[u8], &Versions),
        seq: u64,
    ) -> Result<(), Refused> {
        let Some(version) = versions.at(seq) else { return Ok(()) };
        let key = self.copy(key)?;
        let value = match &version.value {
            Stored::Large(bytes) => Value::Shared(bytes.clone()),
            small => Value::Copied(self.copy(content.values.bytes(small))?),
        };
        self.rows.push_back(Row { key, meta: version.meta, value });
        Ok(())
    }

    fn key(&self) -> Option<&[u8]> {
        self.rows.front().and_then(|row| self.bytes.get(row.key.clone()))
    }
}

/// See the module.
pub struct Cursor {
    table: Arc<Memtable>,
    seq: u64,
    reverse: bool,
    rows: Rows,
    next_load: usize,
}

impl Cursor {
    /// A cursor that is nowhere yet.
    pub fn new(table: Arc<Memtable>, seq: u64, reverse: bool) -> Self {
        Cursor { table, seq, reverse, rows: Rows::default(), next_load: FIRST_LOADED }
    }

    /// Up to so many keys behind `from`, or before it where it goes backwards.
    fn load(&self, from: Bound<&[u8]>) -> Result<Rows, Refused> {
        let content = self.table.content.read();
        let rows: Vec<Row> = memory::vec_with_room(self.next_load)?;
        let mut rows = Rows { rows: rows.into(), bytes: Vec::new() };
        let bounds = match self.reverse {
            true => (Bound::Unbounded, from),
            false => (from, Bound::Unbounded),
        };
        let mut keys = content.keys.range::<[u8], _>(bounds);
        while rows.rows.len() < self.next_load
            && let Some((key, versions)) = if self.reverse { keys.next_back() } else { keys.next() }
        {
            rows.add(&content, (key.bytes(), versions), self.seq)?;
        }
        Ok(rows)
    }

    /// Goes to the first key in its direction within a bound.
    pub fn seek(&mut self, from: Bound<&[u8]>) -> Result<()> {
        self.next_load = FIRST_LOADED;
        self.rows = self.load(from)?;
        Ok(())
    }

    /// The key where it is.
    pub fn key(&self) -> Option<&[u8]> {
        self.rows.key()
    }

    /// Where it is.
    pub fn current(&self) -> Option<(&[u8], &Meta, &[u8])> {
        let (row, key) = (self.rows.rows.front()?, self.rows.key()?);
        let value = match &row.value {
            Value::Copied(range) => self.rows.bytes.get(range.clone()).unwrap_or_default(),
            Value::Shared(bytes) => bytes,
        };
        Some((key, &row.meta, value))
    }

    /// Goes on.
    pub fn advance(&mut self) -> Result<()> {
        if let (1, Some(key)) = (self.rows.rows.len(), self.rows.key()) {
            let next_load = (self.next_load * 4).min(MOST_LOADED);
            let key = memory::copy_of(key)?;
            self.next_load = next_load;
            self.rows = self.load(Bound::Excluded(&key))?;
        } else {
            self.rows.rows.pop_front();
        }
        Ok(())
    }
}
