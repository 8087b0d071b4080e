//! Collections: what a head says, and the names of elements.
//!
//! A collection has a head under its key and an element for each thing in it. The head's value is 32 bytes:
//! ```text
//!  0  type   u8   1 list            1  zeros  7 bytes
//!  8  id     u64  the collection's own number; no two that are in the log have the same
//! 16  first  i64  list: the position of its first element
//! 24  end    i64  list: the position behind its last element, greater than `first`
//! ```
//! The key of an element is the id, 8 bytes, and what names the element in its collection, of a list its position in 8 bytes.
//! An element counts as long as the head under the collection's key has its id and, of a list, a range that it is in: so a head that
//! is replaced or removed takes its elements with it.

use std::ops::Range;

use super::Damage;
use super::bytes::Reader;

/// The bytes of a head.
pub const HEAD_SIZE: usize = 32;
/// The bytes of the key of a list's element.
pub const ELEMENT_KEY_SIZE: usize = 16;

const LIST: u8 = 1;

/// What the head of a list says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListHead {
    /// The list's own number.
    pub id: u64,
    /// The position of its first element.
    pub first: i64,
    /// The position behind its last element.
    pub end: i64,
}

impl ListHead {
    /// The number of elements.
    pub fn length(&self) -> u64 {
        self.end.wrapping_sub(self.first) as u64
    }

    /// The positions of its elements.
    pub fn positions(&self) -> Range<i64> {
        self.first..self.end
    }

    /// The head's bytes.
    pub fn encode(&self) -> [u8; HEAD_SIZE] {
        let mut bytes = [0; HEAD_SIZE];
        bytes[0] = LIST;
        bytes[8..16].copy_from_slice(&self.id.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.end.to_le_bytes());
        bytes
    }

    /// Reads a head.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        if bytes.len() != HEAD_SIZE || bytes[..8] != [LIST, 0, 0, 0, 0, 0, 0, 0] {
            return Err("the head of a collection is of no known type");
        }
        let mut reader = Reader::new(&bytes[8..]);
        let (id, first, end) = (reader.u64()?, reader.u64()? as i64, reader.u64()? as i64);
        if first >= end {
            return Err("the head of a list has an empty range");
        }
        Ok(ListHead { id, first, end })
    }

    /// The key of the element at a position.
    pub fn element_key(&self, position: i64) -> [u8; ELEMENT_KEY_SIZE] {
        let mut key = [0; ELEMENT_KEY_SIZE];
        key[..8].copy_from_slice(&self.id.to_le_bytes());
        key[8..].copy_from_slice(&position.to_le_bytes());
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_back_and_others_are_refused() {
        let head = ListHead { id: 7, first: -3, end: 5 };
        assert_eq!(ListHead::decode(&head.encode()), Ok(head));
        assert_eq!(head.length(), 8);
        for (at, byte) in [(0, 2), (3, 1), (23, 0x7f)] {
            let mut bytes = head.encode();
            bytes[at] = byte;
            assert!(ListHead::decode(&bytes).is_err(), "{at}");
        }
        assert!(ListHead::decode(&head.encode()[..31]).is_err());
        assert!(ListHead::decode(&ListHead { end: -3, ..head }.encode()).is_err());
    }
}
