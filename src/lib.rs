//! filedb: an embedded key-value engine after the Bitcask model (Sheehy and Smith, 2010).
//!
//! Append-only data files, an index in memory from every key to its place, a merge that takes dead bytes back. [`Db`] has
//! the verbs; the same engine is behind the C functions in `include/filedb.h`. What happens at a crash is in
//! `docs/DURABILITY.md`, every byte on disk in `docs/FORMAT.md`, and where things are in `docs/ARCHITECTURE.md`.

mod batch;
mod capi;
mod checkpoint;
mod clock;
mod close;
mod db;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod disk;
#[cfg(not(any(test, feature = "testing")))]
mod disk;
mod engine;
mod error;
mod events;
mod expiry;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod format;
#[cfg(not(any(test, feature = "testing")))]
mod format;
mod gate;
mod hints;
mod index;
mod iter;
mod log;
mod maintenance;
mod merge;
mod monitor;
mod options;
mod panics;
mod parallel;
mod pinned;
#[cfg(any(test, feature = "testing"))]
mod recount;
mod recovery;
mod snapshot;
mod stats;

pub use batch::Batch;
pub use db::{Db, PutOptions, Ttl};
pub use error::{Error, Result};
pub use events::{LogLevel, LogSink};
pub use iter::{Iter, KeyList, Row};
pub use merge::MergeProgress;
pub use options::{IoMode, MergeMode, OPTIONS, OptionInfo, Options, SyncMode};
pub use pinned::{Pinned, Rows};
pub use stats::{FileStats, Stats};

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod tests;
