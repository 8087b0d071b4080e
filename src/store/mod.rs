//! What every store is to its users: the verbs ([`Store`]), options, errors, batches, values, walks, events, figures. No store is in
//! here: the engines are below `bitcask/` and its neighbours, and `db/` chooses one.

pub mod address;
pub mod backup;
pub mod batch;
pub mod capabilities;
pub mod changes;
pub mod error;
pub mod events;
pub mod findings;
pub mod iter;
pub mod live;
pub mod memory;
pub mod options;
pub mod pinned;
pub mod range;
pub mod stats;
pub mod value;
pub mod write;

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::disk::Disk;
use backup::{BackupOptions, BackupProgress};
use batch::Batch;
use capabilities::Capabilities;
use changes::Follow;
use error::Result;
use iter::{KeyList, Walk};
use pinned::Pinned;
use range::KeyRange;
use stats::{FileStats, MergeProgress, Stats};
use value::{Change, End, Seen, Shown, Type};
use write::{PutOptions, Ttl};

/// Where a copy of a value goes.
pub trait Copying {
    /// Whether there is room for a value of so many bytes. Nothing is copied where there is not.
    fn begin(&mut self, len: usize) -> bool;

    /// The next bytes of the value. They count only if the call that copies succeeds.
    fn copy(&mut self, bytes: &[u8]);
}

/// One open store. What each verb promises is said where users find it, at [`crate::Db`]; all of them may be called from any
/// thread at once.
pub trait Store: Send + Sync {
    /// See [`crate::Db::capabilities`].
    fn capabilities(&self) -> Result<Capabilities>;

    /// See [`crate::Db::close`].
    fn close(&self) -> Result<()>;

    /// `Err` where a close would wait for the caller itself.
    fn check_may_wait(&self) -> Result<()> {
        Ok(())
    }

    /// Stops all writes, because what happened leaves the state of the store in doubt.
    fn poison(&self, reason: &str);

    /// See [`crate::Db::put`].
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()>;

    /// See [`crate::Db::put_with`]. The options do not contradict each other.
    fn put_with(&self, key: &[u8], value: &[u8], options: &PutOptions) -> Result<bool>;

    /// See [`crate::Db::delete`].
    fn delete(&self, key: &[u8]) -> Result<bool>;

    /// See [`crate::Db::write`].
    fn write(&self, batch: &Batch) -> Result<()>;

    /// Copies the value of `key`, if `to` has room for it, and gives its size.
    fn copy(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>>;

    /// Shows the value of `key` to `visit`, as [`crate::Db::read`] does. False where there is no such key.
    fn show(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool>;

    /// See [`crate::Db::get_pinned`].
    fn get_pinned(&self, key: &[u8]) -> Result<Option<Pinned>>;

    /// See [`crate::Db::get_many`].
    fn get_many(&self, keys: &[&[u8]], out: &mut Vec<Result<Option<Pinned>>>) -> Result<()>;

    /// See [`crate::Db::exists`].
    fn exists(&self, key: &[u8]) -> Result<bool>;

    /// Begins a walk through the keys that begin with `prefix`.
    fn walk(&self, prefix: &[u8]) -> Result<Box<dyn Walk>>;

    /// Begins a walk through the keys of a range, in their order.
    fn walk_range(&self, range: &KeyRange<'_>) -> Result<Box<dyn Walk>>;

    /// See [`crate::Db::delete_range`].
    fn delete_range(&self, range: &KeyRange<'_>) -> Result<()>;

    /// See [`crate::Db::count`].
    fn count(&self) -> Result<u64>;

    /// See [`crate::Db::ttl`].
    fn ttl(&self, key: &[u8]) -> Result<Option<Ttl>>;

    /// Gives `key` another life: so many milliseconds, or, with `None`, for ever. False where there is no such key.
    fn set_ttl(&self, key: &[u8], ttl_ms: Option<u64>) -> Result<bool>;

    /// See [`crate::Db::sync`].
    fn sync(&self) -> Result<()>;

    /// See [`crate::Db::merge_with`].
    fn merge(&self, watch: &mut dyn FnMut(&MergeProgress) -> ControlFlow<()>) -> Result<bool>;

    /// `Err` where the store cannot be copied.
    fn check_can_backup(&self) -> Result<()>;

    /// See [`crate::Db::backup_with`]. `to` is the directory, which is open and not locked.
    fn backup(
        &self,
        to: Arc<dyn Disk>,
        options: &BackupOptions,
        watch: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<bool>;

    /// See [`crate::Db::identity`].
    fn identity(&self) -> Result<[u8; 16]>;

    /// See [`crate::Db::last_seq`].
    fn last_seq(&self) -> Result<u64>;

    /// See [`crate::Db::written_seq`].
    fn written_seq(&self) -> Result<u64>;

    /// Begins to follow the changes behind the number `after`.
    fn changes(&self, after: u64) -> Result<Box<dyn Follow>>;

    /// See [`crate::Db::stats`].
    fn stats(&self) -> Result<Stats>;

    /// See [`crate::Db::file_stats`].
    fn file_stats(&self) -> Result<Vec<FileStats>>;

    /// See [`crate::Db::write_hints`].
    fn write_hints(&self) -> Result<()>;

    /// See [`crate::Db::write_now`].
    fn write_now(&self, batch: &Batch) -> Result<bool>;

    /// See [`crate::Db::pause`].
    fn pause(&self) -> Result<()>;

    /// See [`crate::Db::now_ms`].
    fn now_ms(&self) -> Result<u64>;

    /// See [`crate::Db::look`].
    fn look(&self, key: &[u8], visit: &mut dyn FnMut(Seen<'_>)) -> Result<bool>;

    /// See [`crate::Db::read_many`].
    fn read_many(&self, keys: &[&[u8]], visit: &mut dyn FnMut(Shown<'_>)) -> Result<()>;

    /// See [`crate::Db::scan`].
    fn scan(&self, from: u64, most: usize, visit: &mut dyn FnMut(&[u8], Type)) -> Result<Option<u64>>;

    /// See [`crate::Db::type_of`].
    fn type_of(&self, key: &[u8]) -> Result<Option<Type>>;

    /// See [`crate::Db::push_back`]: the new length.
    fn push(&self, key: &[u8], value: &[u8], end: End) -> Result<u64>;

    /// See [`crate::Db::pop_back`]: copies the element to `to` before it is taken out, and gives its size. Where there is no room for the
    /// copy nothing is taken out, and the answer is [`error::Error::NoMemory`].
    fn pop(&self, key: &[u8], end: End, to: &mut dyn Copying) -> Result<Option<usize>>;

    /// See [`crate::Db::list_move`]: copies the element to `out` before it is moved, and gives its size, as [`Store::pop`] does.
    fn list_move(&self, from: (&[u8], End), to: (&[u8], End), out: &mut dyn Copying)
    -> Result<Option<usize>>;

    /// See [`crate::Db::list_length`].
    fn list_length(&self, key: &[u8]) -> Result<Option<u64>>;

    /// See [`crate::Db::list_get`].
    fn list_get(&self, key: &[u8], index: i64) -> Result<Option<Vec<u8>>>;

    /// See [`crate::Db::list_set`].
    fn list_set(&self, key: &[u8], index: i64, value: &[u8]) -> Result<bool>;

    /// See [`crate::Db::list_range`].
    fn list_range(&self, key: &[u8], first: i64, last: i64) -> Result<Option<KeyList>>;

    /// See [`crate::Db::get_delete`].
    ///
    /// The value is copied to `to` as by [`Store::pop`].
    fn get_delete(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>>;

    /// See [`crate::Db::compare_and_swap`].
    fn compare_and_swap(&self, key: &[u8], expected: Option<&[u8]>, desired: Option<&[u8]>) -> Result<bool>;

    /// See [`crate::Db::increment`].
    fn increment(&self, key: &[u8], by: i64) -> Result<i64>;

    /// See [`crate::Db::update`].
    fn update(&self, key: &[u8], change: &mut dyn FnMut(Option<&[u8]>) -> Result<Change>) -> Result<()>;
}
