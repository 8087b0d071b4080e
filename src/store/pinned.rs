//! A value that stays readable for as long as somebody holds it.

use std::ffi::c_void;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::disk::View;
use crate::store::error::{Error, Result};
use crate::store::value::Type;

/// What keeps the bytes of values where they are for as long as somebody reads them.
pub(crate) enum Keeper {
    /// The mapping of a file, also after the file has lost its name.
    Mapping(View),
    /// Memory of their own.
    Buffer(Vec<u8>),
}

impl Keeper {
    /// Whether these bytes, all of them, are kept by this. Where there are none they may stand at the very end.
    fn holds(&self, bytes: &[u8]) -> bool {
        let kept = match self {
            Keeper::Mapping(view) => view.addresses(),
            Keeper::Buffer(buffer) => buffer.as_ptr().addr()..buffer.as_ptr().addr() + buffer.len(),
        };
        let start = bytes.as_ptr().addr();
        kept.start <= start && start + bytes.len() <= kept.end
    }
}

/// A value, without a copy where data files are mapped. It outlives the [`crate::Db`] that it came from; while it lives,
/// the mapping that it lies in stays.
#[derive(Clone)]
pub struct Pinned {
    data: *const u8,
    len: usize,
    keeper: Arc<Keeper>,
}

// SAFETY: the bytes behind `data` never change, and the keeper, which is Send and Sync, keeps them where they are.
unsafe impl Send for Pinned {}
// SAFETY: as above.
unsafe impl Sync for Pinned {}

impl Pinned {
    /// A value that lies in what `keeper` keeps.
    pub(crate) fn kept(keeper: Arc<Keeper>, value: &[u8]) -> Self {
        debug_assert!(keeper.holds(value), "a pinned value lies in what keeps it");
        Pinned { data: value.as_ptr(), len: value.len(), keeper }
    }

    /// A copy of `value`.
    pub(crate) fn copied(value: &[u8]) -> Result<Self> {
        let mut buffer = Vec::new();
        // A place for an empty value too: what C is given points to memory.
        buffer.try_reserve_exact(value.len().max(1)).map_err(|_| no_memory(value.len()))?;
        buffer.extend_from_slice(value);
        Self::owned(buffer)
    }

    /// A value that was copied already.
    pub(crate) fn owned(mut value: Vec<u8>) -> Result<Self> {
        if value.capacity() == 0 {
            // A place for an empty value too.
            value.try_reserve(1).map_err(|_| no_memory(1))?;
        }
        let (data, len) = (value.as_ptr(), value.len());
        // The bytes of a Vec stay where they are when it moves.
        Ok(Pinned { data, len, keeper: Arc::new(Keeper::Buffer(value)) })
    }

    /// The parts of the value for the C API: where it is, how long it is, and a pin that must be given to
    /// [`Pinned::drop_raw`] once.
    pub fn into_raw(self) -> (*const u8, usize, *mut c_void) {
        (self.data, self.len, Arc::into_raw(self.keeper).cast::<c_void>().cast_mut())
    }

    /// Lets go of a pin.
    ///
    /// # Safety
    /// `pin` came from [`Pinned::into_raw`], is given back for the first time, and the value is not read after this.
    pub unsafe fn drop_raw(pin: *mut c_void) {
        // SAFETY: `into_raw` made it from an Arc of this type.
        drop(unsafe { Arc::from_raw(pin.cast_const().cast::<Keeper>()) });
    }
}

impl Deref for Pinned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the keeper keeps these bytes mapped or allocated, and nobody changes them.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

impl AsRef<[u8]> for Pinned {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Several rows that stay readable together. What they stand in is held once for all of them, so that a row costs no more than
/// its place.
#[derive(Default)]
pub struct Rows {
    places: Vec<Place>,
    /// What the places point into.
    mappings: Vec<Arc<Keeper>>,
    buffers: Vec<Vec<u8>>,
    /// The bytes of those together.
    copied: usize,
}

struct Place {
    data: *const u8,
    key_len: usize,
    len: usize,
    holds: Type,
}

/// A row to be added: a key and, right behind it, its value.
#[derive(Clone, Copy)]
pub(crate) struct NewRow<'a> {
    /// Both.
    pub bytes: &'a [u8],
    /// Where the value begins.
    pub key_len: usize,
    /// What the key holds.
    pub holds: Type,
}

// SAFETY: as for `Pinned`: the bytes never change, and the mappings and buffers beside the places keep them where they are.
unsafe impl Send for Rows {}
// SAFETY: as above.
unsafe impl Sync for Rows {}

/// How many of the last mappings are looked through for the one of the next row; one that is held twice does no harm.
const LOOKED_THROUGH: usize = 8;

/// Copies of rows share buffers of this size at least, and at most; a larger row has one of its own.
const LEAST_BUFFER: usize = 4 << 10;
const MOST_BUFFER: usize = 64 << 10;

impl Rows {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The key of a row.
    pub fn key(&self, row: usize) -> &[u8] {
        self.bytes(row).0
    }

    /// The value of a row.
    pub fn value(&self, row: usize) -> &[u8] {
        self.bytes(row).1
    }

    /// What the key of a row holds.
    pub fn type_of(&self, row: usize) -> Option<Type> {
        self.places.get(row).map(|place| place.holds)
    }

    fn bytes(&self, row: usize) -> (&[u8], &[u8]) {
        let Some(place) = self.places.get(row) else { return (&[], &[]) };
        // SAFETY: `mappings` and `buffers` keep these bytes mapped or allocated, and nobody changes them.
        unsafe { std::slice::from_raw_parts(place.data, place.len) }.split_at(place.key_len)
    }

    /// Lets go of all rows.
    pub fn clear(&mut self) {
        self.places.clear();
        self.mappings.clear();
        // The last is the largest of those that hold several rows: the next rows go there.
        let last = self.buffers.pop().filter(|buffer| buffer.capacity() <= MOST_BUFFER);
        self.buffers.clear();
        if let Some(mut buffer) = last {
            buffer.clear();
            self.buffers.push(buffer);
        }
        self.copied = 0;
    }

    /// The bytes of the rows that are copies.
    pub(crate) fn copied_bytes(&self) -> usize {
        self.copied
    }

    /// Adds a row of which key and value lie one behind the other in what `keeper` keeps.
    pub(crate) fn push_kept(&mut self, keeper: &Arc<Keeper>, row: NewRow<'_>) -> Result<()> {
        debug_assert!(keeper.holds(row.bytes), "a row lies in what keeps it");
        if !self.mappings.iter().rev().take(LOOKED_THROUGH).any(|held| Arc::ptr_eq(held, keeper)) {
            self.mappings.try_reserve(1).map_err(|_| no_memory(size_of::<usize>()))?;
            self.mappings.push(keeper.clone());
        }
        self.add(row)
    }

    /// Adds a copy of a row.
    pub(crate) fn push_copy(&mut self, key: &[u8], value: &[u8], holds: Type) -> Result<()> {
        let len = key.len() + value.len();
        let has_room = |buffer: &Vec<u8>| buffer.capacity() - buffer.len() >= len;
        if !self.buffers.last().is_some_and(has_room) {
            let mut buffer = Vec::new();
            let size = len.max(self.copied.clamp(LEAST_BUFFER, MOST_BUFFER));
            buffer.try_reserve_exact(size).map_err(|_| no_memory(size))?;
            self.buffers.try_reserve(1).map_err(|_| no_memory(size_of::<Vec<u8>>()))?;
            // The bytes of a Vec stay where they are when it moves.
            self.buffers.push(buffer);
        }
        self.places.try_reserve(1).map_err(|_| no_memory(size_of::<Place>()))?;
        let Some(buffer) = self.buffers.last_mut() else { return Ok(()) };
        let start = buffer.len();
        // There is room: so what is in it stays where it is.
        buffer.extend_from_slice(key);
        buffer.extend_from_slice(value);
        let place = Place { data: buffer.as_ptr().wrapping_add(start), key_len: key.len(), len, holds };
        self.places.push(place);
        self.copied += len;
        Ok(())
    }

    fn add(&mut self, row: NewRow<'_>) -> Result<()> {
        self.places.try_reserve(1).map_err(|_| no_memory(size_of::<Place>()))?;
        self.places.push(Place {
            data: row.bytes.as_ptr(),
            key_len: row.key_len,
            len: row.bytes.len(),
            holds: row.holds,
        });
        Ok(())
    }
}

fn no_memory(bytes: usize) -> Error {
    Error::NoMemory { bytes: bytes as u64 }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rows({})", self.len())
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({} bytes)", self.len)
    }
}
