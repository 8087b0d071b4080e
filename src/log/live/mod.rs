//! What a reader of a store knows of the process that writes to it, whatever engine the store has: where the log ends, and how it goes on.
//! docs/ARCHITECTURE.md, "How a reader follows".
//!
//! `ground` is what is true of the writer at one moment, and reading what holds as long as it is; `files` opens the files of a manifest as far
//! as they may be read; `follower` goes on with the log.

pub mod files;
pub mod follower;
pub mod ground;
