//! One file per store.

mod candystore;
mod fjall;
mod redb;
mod sled;

pub(crate) use self::{candystore::Candy, fjall::Fjall, redb::Redb, sled::Sled};
