//! The bytes of every file of a store, and nothing that touches a disk.
//!
//! `docs/FORMAT.md` draws each of them. All integers are little-endian; every length is checked before it is used.

pub mod backup;
pub mod bytes;
pub mod checkpoint;
pub mod collection;
pub mod features;
pub mod file_header;
pub mod frame;
pub mod hint;
pub mod live;
pub mod manifest;
pub mod names;
pub mod ordered;
pub mod packed;
pub mod run;

/// The version of the on-disk format that this code reads and writes.
pub const FORMAT_VERSION: u32 = 2;

/// The version of the manifest of a store that has features: see [`features`].
pub const FORMAT_VERSION_WITH_FEATURES: u32 = 3;

/// Data files are numbered from 1 and never reuse a number.
pub type FileId = u32;

/// Offsets of frames are multiples of this many bytes.
pub const ALIGNMENT: u64 = 8;

/// The next multiple of [`ALIGNMENT`] at or above `n`.
pub const fn align(n: u64) -> u64 {
    n.div_ceil(ALIGNMENT) * ALIGNMENT
}

/// What is wrong with some bytes, as a phrase that fits after "damaged at offset N:".
pub type Damage = &'static str;

/// `Err` where a file has another version than this code reads.
pub fn check_version(version: u32) -> Result<(), Damage> {
    match version {
        FORMAT_VERSION => Ok(()),
        0..FORMAT_VERSION => Err(
            "it was written by a filedb of before its first release, in a format that is not read any more",
        ),
        _ => Err("it was written by a newer version of filedb"),
    }
}
