//! A range of keys, in the order of their bytes.

use std::ops::Bound;

/// Keys between two bounds. Bytes are compared as unsigned numbers, and a key is before those that it is a prefix of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange<'a> {
    /// Where it begins.
    pub from: Bound<&'a [u8]>,
    /// Where it ends.
    pub to: Bound<&'a [u8]>,
    /// A walk begins with the last key.
    pub reverse: bool,
}

impl KeyRange<'_> {
    /// All keys, the first one first.
    pub const ALL: KeyRange<'static> =
        KeyRange { from: Bound::Unbounded, to: Bound::Unbounded, reverse: false };
}
