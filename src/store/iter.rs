//! Walks through the keys of a store, and what they give.

use crate::store::error::{Error, Result};
use crate::store::pinned::{Pinned, Rows};
use crate::store::value::Type;

/// A walk through a store: what an engine has behind an [`Iter`].
pub trait Walk: Send {
    /// The next row; `None` after the last.
    fn next_row(&mut self) -> Result<Option<Row>>;

    /// Adds up to `most` rows to `rows`, and none once that holds copies of `most_copied` bytes. False behind the last.
    fn next_rows(&mut self, most: usize, most_copied: usize, rows: &mut Rows) -> Result<bool>;

    /// Shows rows to `visit` until it returns false; true if it never did.
    fn for_each(&mut self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool>;

    /// See [`Iter::seek`].
    fn seek(&mut self, key: &[u8]) -> Result<()>;

    /// As [`Walk::for_each`], of the keys alone: a store may have no need to fetch the values.
    fn for_each_key(&mut self, visit: &mut dyn FnMut(&[u8]) -> bool) -> Result<bool> {
        self.for_each(&mut |key, _| visit(key))
    }

    /// `Err` once the store is closed.
    fn check_open(&self) -> Result<()>;
}

/// Goes through the keys of a store as they were when it was made. A long-lived one blocks neither writers nor merges;
/// it costs memory for the keys that change meanwhile, and keeps replaced files on disk.
///
/// It is an [`Iterator`] over [`Row`]s, which ends after an error, but for [`Error::Corrupt`]: it goes on behind the damage.
///
/// ```
/// # fn main() -> filedb::Result<()> {
/// # let db = filedb::Db::open("memory://", &filedb::Options::default())?;
/// # db.put("user/1", "alice")?;
/// for row in db.iter("user/")? {
///     let row = row?;
///     println!("{:?} = {:?}", row.key(), row.value());
/// }
/// # Ok(())
/// # }
/// ```
pub struct Iter {
    walk: Box<dyn Walk>,
    /// Whether [`Iterator::next`] met the end, or an error that no next call gets past.
    ended: bool,
}

impl Iterator for Iter {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        if self.ended {
            return None;
        }
        let row = self.next_row().transpose();
        self.ended = !matches!(row, Some(Ok(_) | Err(Error::Corrupt { .. })));
        row
    }
}

impl std::iter::FusedIterator for Iter {}

impl Iter {
    pub(crate) fn of(walk: Box<dyn Walk>) -> Self {
        Iter { walk, ended: false }
    }

    /// The next row; `None` after the last.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] where a record is damaged: the next call goes on behind it. [`crate::Error::Closed`]
    /// and [`crate::Error::Forked`].
    pub fn next_row(&mut self) -> Result<Option<Row>> {
        self.walk.next_row()
    }

    /// Goes to the first key of the walk that is not before `key`: of a walk that runs backwards, to the last key that is not
    /// behind it. The walk keeps its bounds and its moment.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] where keys have no order ([`crate::Capabilities::ORDER`]): the walk stays where it is.
    /// [`crate::Error::Closed`] and [`crate::Error::Forked`].
    pub fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.walk.seek(key)
    }

    /// `Err` once the store is closed.
    pub(crate) fn check_open(&self) -> Result<()> {
        self.walk.check_open()
    }

    /// Adds up to `most` rows to `rows`. False behind the last.
    ///
    /// # Errors
    /// As [`Iter::next_row`]; the rows before the error are added.
    pub fn next_rows(&mut self, most: usize, rows: &mut Rows) -> Result<bool> {
        self.walk.next_rows(most, usize::MAX, rows)
    }

    /// As [`Iter::next_rows`], of which no more are added once `rows` holds copies of so many bytes: those that are not in a
    /// mapped file.
    pub(crate) fn next_rows_within(
        &mut self,
        most: usize,
        most_copied: usize,
        rows: &mut Rows,
    ) -> Result<bool> {
        self.walk.next_rows(most, most_copied, rows)
    }

    /// Shows rows to `visit` until it returns false; true if it never did. Without a pin per row, so faster than
    /// [`Iter::next_row`].
    ///
    /// # Errors
    /// As [`Iter::next_row`].
    pub fn visit_rows(&mut self, mut visit: impl FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        self.walk.for_each(&mut visit)
    }
}

/// A key and its value, readable for as long as the row is held.
#[derive(Clone, Debug)]
pub struct Row {
    pub(crate) bytes: Pinned,
    pub(crate) key_len: usize,
    pub(crate) holds: Type,
}

impl Row {
    /// The key.
    pub fn key(&self) -> &[u8] {
        self.bytes.get(..self.key_len).unwrap_or_default()
    }

    /// What the key holds.
    pub fn type_of(&self) -> Type {
        self.holds
    }

    /// The value; empty for a list.
    pub fn value(&self) -> &[u8] {
        self.bytes.get(self.key_len..).unwrap_or_default()
    }
}

/// The keys of a store, or those with one prefix, in one block of memory.
#[derive(Clone, Debug, Default)]
pub struct KeyList {
    bytes: Vec<u8>,
    /// Where each key begins, and how long it is.
    places: Vec<(usize, usize)>,
}

impl KeyList {
    /// An empty list with room for so many entries, or for some of them.
    pub(crate) fn with_room(count: u64) -> Result<Self> {
        let mut list = KeyList::default();
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(1 << 16);
        list.places
            .try_reserve(count)
            .map_err(|_| Error::NoMemory { bytes: (count * size_of::<(usize, usize)>()) as u64 })?;
        Ok(list)
    }

    /// Adds an entry.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let no_memory = |_| Error::NoMemory { bytes: bytes.len() as u64 };
        self.bytes.try_reserve(bytes.len()).map_err(no_memory)?;
        self.places.try_reserve(1).map_err(no_memory)?;
        self.places.push((self.bytes.len(), bytes.len()));
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn collect(mut walk: Iter) -> Result<Self> {
        let mut list = KeyList::default();
        let mut no_memory = None;
        walk.walk.for_each_key(&mut |key| {
            no_memory = list.push(key).err();
            no_memory.is_none()
        })?;
        no_memory.map_or(Ok(list), Err)
    }

    /// Puts the keys in the order of their bytes. It takes no memory.
    pub(crate) fn sort(&mut self) {
        let bytes = &self.bytes;
        self.places.sort_unstable_by_key(|place| key_at(bytes, *place));
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The bytes of all keys together.
    pub fn total_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The keys, one after the other.
    pub fn iter(&self) -> Keys<'_> {
        Keys { bytes: &self.bytes, places: self.places.iter() }
    }
}

impl<'a> IntoIterator for &'a KeyList {
    type Item = &'a [u8];
    type IntoIter = Keys<'a>;

    fn into_iter(self) -> Keys<'a> {
        self.iter()
    }
}

/// Goes through a [`KeyList`].
#[derive(Clone, Debug)]
pub struct Keys<'a> {
    bytes: &'a [u8],
    places: std::slice::Iter<'a, (usize, usize)>,
}

impl<'a> Iterator for Keys<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.places.next().map(|place| key_at(self.bytes, *place))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl DoubleEndedIterator for Keys<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.places.next_back().map(|place| key_at(self.bytes, *place))
    }
}

impl ExactSizeIterator for Keys<'_> {}
impl std::iter::FusedIterator for Keys<'_> {}

fn key_at(bytes: &[u8], (start, len): (usize, usize)) -> &[u8] {
    bytes.get(start..start + len).unwrap_or_default()
}
