//! How a store comes up and goes down: opening, recovery, checkpoints, hints, closing.

pub mod checkpoint;
mod expiring;
pub mod hints;
pub mod open;
pub mod rebuild;
pub mod running;
pub mod sequence;
pub mod tails;
