//! How a store comes up and goes down: opening, recovery, checkpoints, hints, closing.

pub mod bins;
pub mod checkpoint;
mod count;
mod expiring;
pub mod hints;
pub mod open;
mod overlaid;
pub mod publish;
pub mod rebuild;
pub mod running;
