//! What a store holds that not every version of filedb can read.
//!
//! A version that meets a kind of record that it does not know would take it for damage, and, at the end of the log, cut
//! it off. So a store says in its manifest what is in it, before the first byte of that is written, and whoever does not
//! know all of it leaves the store alone. A store without features has a manifest as version 0.1 writes it; with one
//! the manifest has another format version, which 0.1 refuses too.

use super::bytes::Reader;
use super::{Damage, FORMAT_VERSION, FORMAT_VERSION_WITH_FEATURES};
use crate::store::memory::Refused;

/// Something that a store may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// The number of the feature, below 64, never given to another one.
    pub bit: u32,
    /// The first version of filedb that knows it: major, minor, patch.
    pub since: [u8; 3],
}

/// All features that this version knows.
const KNOWN: &[Feature] = &[
    COLLECTIONS,
    ORDERED,
    NUMBERED_LISTS,
    KEPT_DELETES,
    #[cfg(test)]
    TESTED,
];

/// Collections: records of heads and elements.
pub const COLLECTIONS: Feature = Feature { bit: 0, since: [0, 2, 0] };

/// The store is one of the ordered engine: runs, and records of its own in the log.
pub const ORDERED: Feature = Feature { bit: 1, since: [0, 2, 0] };

/// The manifest of a store of the ordered engine tells a number that no list of its runs has.
pub const NUMBERED_LISTS: Feature = Feature { bit: 2, since: [0, 2, 0] };

/// The manifest tells from which number on merges have kept all deletes.
pub const KEPT_DELETES: Feature = Feature { bit: 3, since: [0, 2, 0] };

/// A feature for tests of the mechanism: it stands for nothing.
#[cfg(any(test, feature = "testing"))]
pub const TESTED: Feature = Feature { bit: 63, since: [9, 8, 7] };

impl Feature {
    /// The bit of the feature.
    pub fn mask(self) -> u64 {
        1 << self.bit
    }
}

/// What whoever opens a store must know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The features of the store, one bit each.
    pub features: u64,
    /// The first version of filedb that knows all of them: major, minor, patch.
    pub since: [u8; 3],
}

/// Why a manifest, or a checkpoint, is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The bytes are not what was written.
    Damaged(Damage),
    /// There is no memory for what they say.
    NoMemory(Refused),
    /// The bytes are intact and of a version that this one does not read, for the reason in these words.
    OtherVersion(String),
}

impl From<Damage> for Refusal {
    fn from(damage: Damage) -> Self {
        Refusal::Damaged(damage)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Refusal::NoMemory(refused)
    }
}

/// Where the needs stand in a manifest of every version that has them, also in those to come.
const OFFSET: usize = 88;

impl Needs {
    /// Whether this feature is among them.
    pub fn has(&self, feature: Feature) -> bool {
        self.features & feature.mask() != 0
    }

    /// Whether version 0.1 can read the store.
    pub fn is_nothing(&self) -> bool {
        self.features == 0
    }

    /// Adds a feature.
    pub fn add(&mut self, feature: Feature) {
        self.features |= feature.mask();
        self.since = self.since.max(feature.since);
    }

    /// Appends the bytes of it.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.features.to_le_bytes());
        bytes.extend_from_slice(&self.since);
        bytes.extend_from_slice(&[0; 5]);
    }

    /// Reads it.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Damage> {
        let features = reader.u64()?;
        let (major, minor, patch) = (reader.u8()?, reader.u8()?, reader.u8()?);
        reader.take(5)?;
        Ok(Needs { features, since: [major, minor, patch] })
    }

    /// `Err` where this version cannot read a store with such a manifest, of this format version.
    pub fn check(version: u32, manifest: &[u8]) -> Result<(), Refusal> {
        let own = env!("CARGO_PKG_VERSION");
        match version {
            FORMAT_VERSION => return Ok(()),
            FORMAT_VERSION_WITH_FEATURES.. => {}
            _ => {
                let words = "was written by a filedb of before its first release, in a format that is not read any more";
                return Err(Refusal::OtherVersion(words.into()));
            }
        }
        let needs = Needs::decode(&mut Reader::new(manifest.get(OFFSET..).unwrap_or_default()))?;
        let known = KNOWN.iter().fold(0, |known, feature| known | feature.mask());
        let unknown = needs.features & !known;
        let [major, minor, patch] = needs.since;
        if version > FORMAT_VERSION_WITH_FEATURES {
            return Err(Refusal::OtherVersion(format!(
                "needs filedb {major}.{minor}.{patch} or later: it has format version {version}, and this filedb, {own}, \
                 reads versions {FORMAT_VERSION} and {FORMAT_VERSION_WITH_FEATURES}"
            )));
        }
        if unknown != 0 {
            return Err(Refusal::OtherVersion(format!(
                "needs filedb {major}.{minor}.{patch} or later: it has features that this filedb, {own}, does not know \
                 (bits {unknown:#x})"
            )));
        }
        Ok(())
    }
}
