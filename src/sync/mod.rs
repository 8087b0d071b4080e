//! Threads, and what they need among each other: locks, grace periods, something to wait at, work on all cores, panics that stay inside.

pub mod atomic;
pub mod gate;
pub mod lock;
pub mod monitor;
pub mod panics;
pub mod parallel;
#[cfg(filedb_schedules)]
pub mod scheduled;
pub mod signal;
pub mod table;
#[cfg(test)]
mod tests;
pub mod thread;
