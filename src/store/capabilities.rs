//! What a store can do. What it cannot do answers [`crate::Error::Unsupported`], and changes nothing.

use std::ops::BitOr;

/// A set of things that a store can do. The bits are those of the C API (`FILEDB_CAN_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// Walks in the order of keys, and walks through ranges of them.
    pub const ORDER: Capabilities = Capabilities(1);
    /// A walk sees one moment.
    pub const SNAPSHOT: Capabilities = Capabilities(2);
    /// A batch is all or nothing, whatever its keys.
    pub const BATCH: Capabilities = Capabilities(4);
    /// What was written can be made durable.
    pub const SYNC: Capabilities = Capabilities(8);
    /// Space of what is dead can be taken back on request.
    pub const MERGE: Capabilities = Capabilities(16);
    /// Pinned values are not copies.
    pub const PIN: Capabilities = Capabilities(32);

    /// Whether all of these are in the set.
    pub fn contains(self, others: Capabilities) -> bool {
        self.0 & others.0 == others.0
    }

    /// The set as a number: one bit each.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl BitOr for Capabilities {
    type Output = Capabilities;

    fn bitor(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 | other.0)
    }
}
