//! What every store is to its users: options, errors, batches, values, events, figures. No store is in here.

pub mod batch;
pub mod error;
pub mod events;
pub mod options;
pub mod pinned;
pub mod stats;
