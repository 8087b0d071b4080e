//! The keys of a memtable: short ones stand in the nodes of its tree.

use crate::lsm::key;
use crate::store::error::Result;
use crate::store::memory::{self, Refused};

/// Keys up to this length stand in the tree itself: so a look at a node reads its keys one behind the other.
const SHORT: usize = 30;
/// How many bytes of keys are compared at once.
const HALF: usize = 16;

/// A key.
#[derive(Debug)]
pub enum Key {
    /// A short one, and its length.
    Short(u8, [u8; SHORT]),
    /// Another.
    Long(Box<[u8]>),
}

impl Key {
    /// A key with these bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, Refused> {
        match Key::short([], bytes) {
            Some(short) => Ok(short),
            None => Ok(Key::Long(memory::copy_of(bytes)?.into_boxed_slice())),
        }
    }

    /// The engine's key for a key of the user's.
    pub fn of_user(user: &[u8]) -> Result<Self> {
        match Key::short([key::USER], user) {
            Some(short) => Ok(short),
            None => Ok(Key::Long(key::of_user(user)?.into_boxed_slice())),
        }
    }

    /// One that stands in the tree itself, with these bytes first; `None` where it is too long for that.
    #[inline]
    pub fn short<const N: usize>(first: [u8; N], rest: &[u8]) -> Option<Self> {
        let mut bytes = [0; SHORT];
        bytes.get_mut(..N)?.copy_from_slice(&first);
        bytes.get_mut(N..N + rest.len())?.copy_from_slice(rest);
        Some(Key::Short((N + rest.len()) as u8, bytes))
    }

    /// The bytes of the key.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Key::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Key::Long(bytes) => bytes,
        }
    }
}

/// The first bytes of a short key as a number, which has their order.
#[inline]
fn first_half(bytes: &[u8; SHORT]) -> u128 {
    u128::from_be_bytes(*bytes.first_chunk::<HALF>().unwrap_or(&[0; HALF]))
}

impl std::borrow::Borrow<[u8]> for Key {
    #[inline]
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    /// Short ones as numbers, with the zeros behind them: where these are equal the longer one ends with zeros, and comes later.
    #[inline]
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (Key::Short(len, bytes), Key::Short(other_len, others)) = (self, other) else {
            return self.bytes().cmp(other.bytes());
        };
        let order = first_half(bytes).cmp(&first_half(others));
        order.then_with(|| (&bytes[HALF..], len).cmp(&(&others[HALF..], other_len)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_order_of_their_bytes_whatever_their_length_is() {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for len in [0, 1, 2, 15, 16, 17, 18, 29, 30, 31, 40] {
            for fill in [0, 1, 0xff] {
                for last in [0, 1, 0x80, 0xff] {
                    let mut bytes = vec![fill; len];
                    if let Some(byte) = bytes.last_mut() {
                        *byte = last;
                    }
                    all.push(bytes);
                }
            }
        }
        for one in &all {
            for other in &all {
                let (a, b) = (Key::new(one).unwrap(), Key::new(other).unwrap());
                assert_eq!(a.cmp(&b), one.cmp(other), "{one:?} and {other:?}");
                assert_eq!(a == b, one == other);
            }
            let of_user = Key::of_user(one).unwrap();
            assert_eq!(of_user.bytes(), key::of_user(one).unwrap());
        }
    }
}
