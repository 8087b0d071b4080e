//! The commands, by what they work on.

pub mod backup;
pub mod bench;
pub mod damage;
pub mod dump;
mod html;
pub mod keys;
pub mod lists;
pub mod load;
pub mod repl;
pub mod replicate;
pub mod stats;
pub mod watch;
