//! The bytes of every file of a store, and nothing that touches a disk.
//!
//! `docs/FORMAT.md` draws each of them. All integers are little-endian; every length is checked before it is used.

pub mod bytes;
pub mod checkpoint;
pub mod file_header;
pub mod frame;
pub mod hint;
pub mod manifest;
pub mod names;

/// The version of the on-disk format that this code writes. A reader refuses a larger one.
pub const FORMAT_VERSION: u32 = 1;

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
