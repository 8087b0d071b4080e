//! The commands, by what they work on.

pub mod bench;
pub mod damage;
pub mod dump;
mod html;
pub mod keys;
pub mod lists;
pub mod load;
pub mod repl;
pub mod stats;
