//! The log: data files that are appended to, synced, rotated and read. Knows nothing of keys beyond their bytes.
//!
//! `file` is one data file; `scan` walks its frames; `append` is the tail of the log, with the room ahead of it and its syncs
//! in files of their own; `commit` shares syncs among all who wait for them; `catalog` is the set of files and the manifest
//! that makes it durable; `opening` takes the lock and the manifest when a store is opened, and `recovery` finds where the log ends then;
//! `backup` copies the set of files as it is at one moment; `feed` follows the log; `published` tells readers in other processes how far the
//! log has come, and `live` is how such a reader follows; `told_time` notes in the log what somebody was told has expired; `readahead` asks the disk for what is read next; `reserve` is room on the disk for when there is none.

pub mod append;
pub mod backup;
pub mod catalog;
pub mod commit;
pub mod feed;
pub mod file;
pub mod live;
pub mod opening;
pub mod published;
pub mod readahead;
pub mod recovery;
pub mod reserve;
pub mod scan;
pub mod told_time;

use crate::format::FileId;

/// A place in the log, by file number and offset in units of 8 bytes. Positions grow as the log does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position(pub u64);

impl Position {
    /// The position `offset` bytes into a file.
    pub fn new(file: FileId, offset: u64) -> Self {
        Position((u64::from(file) << 32) | (offset / crate::format::ALIGNMENT))
    }

    /// The offset in the file, in bytes.
    pub fn offset(self) -> u64 {
        (self.0 & u64::from(u32::MAX)) * crate::format::ALIGNMENT
    }

    /// The number of the file.
    pub fn file(self) -> FileId {
        (self.0 >> 32) as FileId
    }
}
