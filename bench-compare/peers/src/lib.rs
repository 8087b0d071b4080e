//! redb, fjall, sled and candystore behind the C interface of the race's driver: `../../driver/peer_abi.h`.
//!
//! A store is a type that implements [`Store`]; [`table::of`] makes the table of C functions of it.

mod engines;
mod table;

use std::path::Path;

/// What went wrong, for people.
pub(crate) type Failure = Box<dyn std::error::Error>;
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// How a store is to be opened.
pub(crate) struct Config<'a> {
    pub directory: &'a Path,
    pub cache_bytes: u64,
    pub threads: usize,
    /// A write has reached the disk when its call returns.
    pub durable: bool,
    pub value_size: u64,
}

/// A part of all keys, from one on or, backwards, from one down.
pub(crate) struct Walk<'a> {
    /// From the first, or the last, where it is empty.
    pub from: &'a [u8],
    pub backwards: bool,
    pub most: u64,
}

/// A store of the race. All methods from any thread.
pub(crate) trait Store: Send + Sync + Sized + 'static {
    fn open(config: &Config<'_>) -> Result<Self>;
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()>;
    /// All at once.
    fn put_many<'a>(&self, pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<()>;
    /// Shows the value to `visit`; false where there is no such key.
    fn get(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> Result<()>) -> Result<bool>;
    fn erase(&self, key: &[u8]) -> Result<()>;
    fn scan(&self, visit: impl FnMut(&[u8], &[u8])) -> Result<()>;
    /// Part of all keys in their order, or against it. Only what races there has it.
    fn walk(&self, _walk: &Walk<'_>, _visit: impl FnMut(&[u8], &[u8])) -> Result<()> {
        Err("this store does not race in the order of keys".into())
    }
    /// Everything that was written reaches the disk.
    fn close(self) -> Result<()>;
    /// Name and value, as they are shown to people.
    fn settings(config: &Config<'_>) -> Vec<(&'static str, String)>;
}
