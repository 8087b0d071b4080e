//! filedb: an embedded key-value engine after the Bitcask model (Sheehy and Smith, 2010).
//!
//! Append-only data files, an index in memory from every key to its place, a merge that takes dead bytes back. [`Db`] has
//! the verbs; the same engine is behind the C functions in `include/filedb.h`. What happens at a crash is in
//! `docs/DURABILITY.md`, every byte on disk in `docs/FORMAT.md`, and where things are in `docs/ARCHITECTURE.md`.

mod bitcask;
mod capi;
mod db;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod disk;
#[cfg(not(any(test, feature = "testing")))]
mod disk;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod format;
#[cfg(not(any(test, feature = "testing")))]
mod format;
mod index;
mod log;
mod store;
mod sync;

pub use db::Db;
pub use store::batch::Batch;
pub use store::capabilities::Capabilities;
pub use store::error::{Error, Result};
pub use store::events::{LogLevel, LogSink};
pub use store::iter::{Iter, KeyList, Row};
pub use store::options::{EngineKind, IoMode, MergeMode, OPTIONS, OptionInfo, Options, SyncMode};
pub use store::pinned::{Pinned, Rows};
pub use store::range::KeyRange;
pub use store::stats::{FileStats, MergeProgress, Stats};
pub use store::value::{Change, Seen, Shown, Type};
pub use store::write::{Expiry, PutOptions, Ttl};

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod expiry_tests;
#[cfg(test)]
mod tests;
