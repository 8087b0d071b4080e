//! The values of a memtable: small ones side by side in pieces of memory, which go with the memtable; a large one in one of its own.

use std::sync::Arc;

use crate::store::memory::{self, Refused};

/// Values from here on are large: readers share them, where they copy small ones.
const LARGE: usize = 4 << 10;
const _: () = assert!(LARGE <= u16::MAX as usize);
/// The bytes of a piece, and what part of a memtable it is at most.
const PIECE: usize = 64 << 10;
const LARGEST_PART: usize = 16;

/// A value on its way into a memtable.
pub enum NewValue<'a> {
    /// A small value, which is copied there.
    Small(&'a [u8]),
    /// A large value, which was copied before.
    Large(Arc<Vec<u8>>),
}

impl<'a> NewValue<'a> {
    /// The value of these bytes.
    pub fn new(value: &'a [u8]) -> Result<Self, Refused> {
        Ok(match value.len() {
            ..LARGE => NewValue::Small(value),
            _ => NewValue::Large(Arc::new(memory::copy_of(value)?)),
        })
    }

    /// The bytes of the value.
    pub fn bytes(&self) -> &[u8] {
        match self {
            NewValue::Small(bytes) => bytes,
            NewValue::Large(bytes) => bytes,
        }
    }

    /// The room that it needs in pieces of memory.
    pub fn room(&self) -> usize {
        if let NewValue::Small(bytes) = self { bytes.len() } else { 0 }
    }
}

/// Where a value is.
pub enum Stored {
    /// In a piece, from a place on, so many bytes; there is room for so many.
    Small { piece: u32, at: u32, len: u16, room: u16 },
    /// By itself.
    Large(Arc<Vec<u8>>),
}

/// A value for who reads it, whatever becomes of the memtable.
pub enum Value {
    /// A copy.
    Small(Vec<u8>),
    /// Shared.
    Large(Arc<Vec<u8>>),
}

impl std::ops::Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Value::Small(bytes) => bytes,
            Value::Large(bytes) => bytes,
        }
    }
}

/// See the module.
#[derive(Default)]
pub struct Values {
    pieces: Vec<Vec<u8>>,
    /// The bytes of a piece.
    size: usize,
}

impl Values {
    /// Of a memtable of this size.
    pub fn new(memtable_size: usize) -> Self {
        Values { pieces: Vec::new(), size: PIECE.min(memtable_size / LARGEST_PART) }
    }

    /// Makes sure that small values with so many bytes in all can be added without asking for memory. How many bytes stay unused for that.
    #[inline]
    pub fn make_room(&mut self, bytes: usize) -> Result<usize, Refused> {
        let free = self.pieces.last().map_or(0, |piece| piece.capacity() - piece.len());
        if free >= bytes {
            return Ok(0);
        }
        self.add_piece(bytes.max(self.size)).map(|()| free)
    }

    #[cold]
    fn add_piece(&mut self, size: usize) -> Result<(), Refused> {
        let piece = memory::vec_with_room(size)?;
        memory::push(&mut self.pieces, piece)
    }

    /// Adds a value, for which there is room.
    pub fn add(&mut self, value: NewValue<'_>) -> Stored {
        let bytes = match value {
            NewValue::Small(bytes) => bytes,
            NewValue::Large(bytes) => return Stored::Large(bytes),
        };
        if self.pieces.is_empty() {
            self.pieces.push(Vec::new());
        }
        let n = self.pieces.len() - 1;
        let at = self.pieces.last().map_or(0, Vec::len);
        if let Some(piece) = self.pieces.last_mut() {
            piece.extend_from_slice(bytes);
        }
        let len = bytes.len() as u16;
        Stored::Small { piece: n as u32, at: at as u32, len, room: len }
    }

    /// Puts a value in the place of one that nobody needs any more. How many bytes it took, and how many were given back.
    pub fn replace(&mut self, old: &mut Stored, value: NewValue<'_>) -> (usize, usize) {
        if let (Stored::Small { piece, at, len, room }, NewValue::Small(bytes)) = (&mut *old, &value)
            && bytes.len() <= usize::from(*room)
            && let Some(place) = self.pieces.get_mut(*piece as usize)
            && let Some(place) = place.get_mut(*at as usize..*at as usize + bytes.len())
        {
            place.copy_from_slice(bytes);
            *len = bytes.len() as u16;
            return (0, 0);
        }
        let given_back = if let Stored::Large(bytes) = old { bytes.len() } else { 0 };
        let taken = value.bytes().len();
        *old = self.add(value);
        (taken, given_back)
    }

    /// The bytes of a value.
    #[inline]
    pub fn bytes<'a>(&'a self, stored: &'a Stored) -> &'a [u8] {
        match stored {
            Stored::Small { piece, at, len, .. } => {
                let piece = self.pieces.get(*piece as usize);
                let bytes = piece.and_then(|piece| piece.get(*at as usize..*at as usize + usize::from(*len)));
                bytes.unwrap_or_default()
            }
            Stored::Large(bytes) => bytes,
        }
    }

    /// A value, for who reads it.
    pub fn value(&self, stored: &Stored) -> Result<Value, Refused> {
        Ok(match stored {
            Stored::Small { .. } => Value::Small(memory::copy_of(self.bytes(stored))?),
            Stored::Large(bytes) => Value::Large(bytes.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_takes_the_place_of_one_that_is_no_shorter_and_no_other_changes() {
        let mut values = Values::new(1 << 10);
        let add = |values: &mut Values, bytes: &[u8]| {
            let value = NewValue::new(bytes).unwrap();
            assert!(values.make_room(value.room()).unwrap() < LARGE);
            values.add(value)
        };
        let large = vec![9; LARGE];
        // A batch that needs more than what is left begins a piece, and what is left counts as taken.
        let unused: usize = (0..10)
            .map(|_| {
                let unused = values.make_room(40).unwrap();
                add(&mut values, &[0; 40]);
                unused
            })
            .sum();
        assert_eq!(unused, 9 * 24, "a piece has 64 bytes");
        let all: Vec<Vec<u8>> = (0..50).map(|n| vec![n; usize::from(n)]).chain([large.clone()]).collect();
        let mut stored: Vec<Stored> = all.iter().map(|bytes| add(&mut values, bytes)).collect();
        let shared = values.value(&stored[50]).unwrap();
        let mut replace = |n: usize, bytes: &[u8]| {
            let value = NewValue::new(bytes).unwrap();
            values.make_room(value.room()).unwrap();
            let counted = values.replace(&mut stored[n], value);
            assert_eq!(values.bytes(&stored[n]), bytes);
            counted
        };
        assert_eq!(replace(20, &[7; 20]), (0, 0));
        assert_eq!(replace(21, &[7; 3]), (0, 0));
        assert_eq!(replace(21, &[7; 21]), (0, 0), "it keeps its room");
        assert_eq!(replace(21, &[7; 22]), (22, 0));
        assert_eq!(replace(22, &large), (LARGE, 0));
        assert_eq!(replace(50, b"small"), (5, LARGE));
        assert_eq!(&*shared, large, "who reads it still has it");
        for n in (0..50).filter(|n| !(20..=22).contains(n)) {
            assert_eq!(values.bytes(&stored[n]), all[n]);
        }
    }
}
