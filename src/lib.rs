//! filedb: an embedded key-value engine after the Bitcask model (Sheehy and Smith, 2010).
pub mod disk;
mod error;
pub mod format;
mod gate;
mod index;
mod options;

pub use error::{Error, Result};
pub use options::{IoMode, MergeMode, OPTIONS, OptionInfo, Options, SyncMode};
