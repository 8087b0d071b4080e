//! The keyed hash of a key: what the index keeps instead of the key.
//!
//! SipHash-1-3 with 128 bits and a random key per store, so that nobody who chooses keys can choose collisions. 80 bits
//! of it are kept: 8 choose the root, 72 are stored. Two keys with the same 80 bits would be taken for one, by writes
//! only (a read compares the key itself): among 10 million keys that happens in one store of 2^34, see FORMAT.md.

use super::sip::SipHasher13;

/// Makes hashes of keys; one per store.
#[derive(Clone, Copy)]
pub struct KeyHasher {
    sip: SipHasher13,
}

/// The 80 bits of a key's hash that are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash {
    /// The first 8 bits: which of the 256 roots.
    pub root: u8,
    /// The next 64 bits: the order within the root.
    pub word: u64,
    /// The last 8 bits.
    pub fingerprint: u8,
}

impl KeyHasher {
    /// A hasher with the key of a store.
    pub fn new(key: &[u8; 16]) -> Self {
        KeyHasher { sip: SipHasher13::new(key) }
    }

    /// The hash of `key`.
    #[inline(always)]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        let (first, second) = self.sip.hash(key);
        KeyHash {
            root: (first >> 56) as u8,
            word: first << 8 | second >> 56,
            fingerprint: (second >> 48) as u8,
        }
    }
}

impl KeyHash {
    /// The first 64 bits, by which the directory is indexed.
    #[inline]
    pub fn top(&self) -> u64 {
        u64::from(self.root) << 56 | self.word >> 8
    }
}
