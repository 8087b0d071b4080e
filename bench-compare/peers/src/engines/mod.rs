//! One file per store.

mod fjall;
mod redb;
mod sled;

pub(crate) use self::{fjall::Fjall, redb::Redb, sled::Sled};
