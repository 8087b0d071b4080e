//! What the tests of the whole engine share: histories of operations, the oracle that knows what they must leave
//! behind, and the runner that repeats, shrinks and reports them.
//!
//! Environment, for all of them:
//! - `FILEDB_TEST_SEED=n` runs the history of that seed only: it is what a failure prints. `random` starts somewhere new.
//! - `FILEDB_TEST_HISTORIES=n` runs that many histories in each random test instead of the quick default; with a seed as well,
//!   that many from this seed on.
//!
//! `cargo xtask torture` runs them with one fresh seed after the other, and adds up the lines that begin with `tally: `.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod clock;
pub mod control_group;
pub mod follower;
pub mod generate;
pub mod history;
pub mod mount;
pub mod oracle;
pub mod runner;
pub mod store;
pub mod writer;
