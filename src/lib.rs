//! filedb: an embedded key-value engine after the Bitcask model (Sheehy and Smith, 2010).
//!
//! A store maps byte-string keys to byte-string values, in a directory. Writes are appended to a log, an index in memory says
//! where each value is, and a merge takes back the space of what was replaced.
//!
//! ```
//! use std::time::Duration;
//!
//! use filedb::{Batch, Db, Options, PutOptions, SyncMode};
//!
//! # fn main() -> filedb::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("greetings");
//! let db = Db::open(path, &Options::new().sync(SyncMode::Always))?;
//! db.put("hello", "world")?;
//! assert_eq!(db.get("hello")?.as_deref(), Some(&b"world"[..]));
//!
//! // A key that expires, and that somebody else may have already.
//! let won = db.put_with("leader", "me", &PutOptions::new().if_absent().ttl(Duration::from_secs(15)))?;
//! assert!(won);
//!
//! // All of it or nothing, also across a crash.
//! let mut batch = Batch::new();
//! batch.put("alice", "90")?;
//! batch.put("bob", "110")?;
//! batch.delete("hello")?;
//! db.write(&batch)?;
//!
//! // A walk sees the store as it is when it begins.
//! for row in db.iter("b")? {
//!     let row = row?;
//!     assert_eq!((row.key(), row.value()), (&b"bob"[..], &b"110"[..]));
//! }
//! db.close()
//! # }
//! ```
//!
//! # Where to look
//!
//! - [`Db`] has the verbs: [`put`](Db::put) and [`get`](Db::get), conditions and expiry ([`Db::put_with`], [`Db::expire`]),
//!   changes in one step ([`Db::increment`], [`Db::compare_and_swap`], [`Db::update`]), lists ([`Db::push_back`]), values
//!   without a copy ([`Db::get_pinned`], [`Db::read`]), many keys at once ([`Db::get_many`]), key lists in order
//!   ([`Db::list_sorted`]).
//! - [`Options`] says how a store is opened; [`Options::set`] takes the same names and texts as all other languages.
//! - [`Batch`] collects writes that happen together, [`Iter`] walks through keys and values.
//! - [`Error`] has the facts as fields: which file, which offset, which error number; it turns into a [`std::io::Error`].
//!
//! The same engine is behind the C functions in `include/filedb.h`. In the repository, `docs/DURABILITY.md` says what
//! happens at a crash, `docs/FORMAT.md` draws every byte on disk, and `docs/ARCHITECTURE.md` says where things are.

#[macro_use]
mod seeded;

mod bitcask;
mod capi;
mod damage;
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
mod lsm;
#[cfg(feature = "valkey")]
mod remote;
mod store;
mod sync;

pub use damage::{check, check_watched, salvage, salvage_watched};
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub use damage::{check_on, salvage_on};
pub use db::Db;
pub use store::backup::{BackupOptions, BackupProgress};
pub use store::batch::Batch;
pub use store::capabilities::Capabilities;
pub use store::changes::{ChangeKind, Changed, Changes, Followed};
pub use store::error::{Error, Result};
pub use store::events::{LogLevel, LogSink};
pub use store::findings::{CheckProgress, CheckReport, Finding, Severity};
pub use store::iter::{Iter, KeyList, Keys, Row};
pub use store::options::{EngineKind, IoMode, MergeMode, OPTIONS, OptionInfo, Options, Secret, SyncMode};
pub use store::pinned::{Pinned, Rows};
pub use store::range::KeyRange;
pub use store::stats::{FileStats, MergeProgress, Stats};
pub use store::value::{Change, End, Seen, Shown, Type};
pub use store::write::{Expiry, PutOptions, Ttl};

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod expiry_tests;
#[cfg(all(test, filedb_schedules))]
#[path = "schedules/tests/mod.rs"]
mod schedules;
#[cfg(test)]
mod tests;

/// The program in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
