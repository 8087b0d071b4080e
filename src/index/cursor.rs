//! A place in the order of hashes.

use super::hash::KeyHash;

/// A place in the order of hashes, where a walk through the index goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(super) root: u8,
    pub(super) word: u64,
}

impl Cursor {
    /// Before the first key.
    pub const START: Cursor = Cursor { root: 0, word: 0 };

    /// Before the first key whose hash begins with this byte.
    pub fn of_root(root: u8) -> Self {
        Cursor { root, word: 0 }
    }

    /// The first byte of the hashes from here on.
    pub fn root(self) -> u8 {
        self.root
    }

    /// Before the first key whose hash begins with these 64 bits.
    pub fn at(top: u64) -> Self {
        Cursor { root: (top >> 56) as u8, word: top << 8 }
    }

    /// The first 64 bits of the hashes from here on.
    pub fn top(self) -> u64 {
        u64::from(self.root) << 56 | self.word >> 8
    }

    /// The first hash at this place.
    pub fn first_hash(self) -> KeyHash {
        KeyHash { root: self.root, word: self.word, fingerprint: 0 }
    }
}
