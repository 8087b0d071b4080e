//! `filedb_slice_t`, and the list of keys that is made of them.

use super::db::filedb_t;
use super::error::{Failure, filedb_error_t};
use super::guard::{self, Answer};
use super::handle::{Block, Call};
use super::status::{FILEDB_OK, filedb_status_t};
use crate::{Db, Error, KeyList};
use std::ffi::c_void;

/// Some bytes somewhere: a borrowed view that owns nothing. No NUL follows them. Since 0.1.0.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct filedb_slice {
    /// The first byte; may be NULL where len is 0.
    pub data: *const c_void,
    /// How many there are.
    pub len: usize,
}

/// Some bytes somewhere. Since 0.1.0.
pub type filedb_slice_t = filedb_slice;

impl filedb_slice {
    pub(super) fn of(bytes: &[u8]) -> Self {
        filedb_slice { data: bytes.as_ptr().cast(), len: bytes.len() }
    }
}

/// Lists the keys that begin with `prefix`, all keys with (NULL, 0), as they are at one moment, in
/// no particular order. On success `*keys` points to `*count` slices. They and the bytes they point
/// to are one block that belongs to the caller, who gives `*keys` to filedb_free(), once. Where no
/// key matches, `*count` is 0 and `*keys` NULL.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL;
/// - FILEDB_ERR_TOO_LARGE: no key is as long as the prefix;
/// - FILEDB_ERR_NO_MEMORY: the list does not fit;
/// - FILEDB_ERR_CORRUPT, FILEDB_ERR_IO: keys are read from the files, and one could not be;
/// - FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_list(
    db: *mut filedb_t,
    prefix: *const c_void,
    prefix_len: usize,
    keys: *mut *mut filedb_slice_t,
    count: *mut usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        list(call, db, (prefix, prefix_len), (keys, count), |db, prefix| db.list(prefix))
    })
}

/// Lists keys as filedb_list() does, in the order of their bytes, which are compared as unsigned
/// numbers, a key before those that it is a prefix of. The whole list is sorted, in place.
///
/// Returns as filedb_list().
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_list_sorted(
    db: *mut filedb_t,
    prefix: *const c_void,
    prefix_len: usize,
    keys: *mut *mut filedb_slice_t,
    count: *mut usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        list(call, db, (prefix, prefix_len), (keys, count), |db, prefix| db.list_sorted(prefix))
    })
}

/// Hands out the keys that `listed` finds.
fn list(
    call: &Call,
    db: *mut filedb_t,
    (prefix, prefix_len): (*const c_void, usize),
    (keys, count): (*mut *mut filedb_slice_t, *mut usize),
    listed: impl FnOnce(&Db, &[u8]) -> crate::Result<KeyList>,
) -> Answer {
    let (keys, count) = (call.out("keys", keys), call.out("count", count));
    let (keys, count) = (keys?, count?);
    let db = call.store(db)?;
    let prefix = call.key("prefix", prefix, prefix_len)?;
    let list = listed(db, prefix)?;
    if !list.is_empty() {
        keys.set(one_block(list.len(), || list.iter())?.hand_out());
        count.set(list.len());
    }
    Ok(FILEDB_OK)
}

/// A block with `count` slices in front, and behind them the bytes that they point to.
pub(super) fn one_block<'a, I>(count: usize, all: impl Fn() -> I) -> Result<Block, Failure>
where
    I: Iterator<Item = &'a [u8]>,
{
    let bytes = all().try_fold(0, |sum: usize, bytes| sum.checked_add(bytes.len()));
    let slices = count.checked_mul(size_of::<filedb_slice>());
    let size = slices.zip(bytes).and_then(|(slices, bytes)| slices.checked_add(bytes));
    let block = Block::new(size.ok_or(Error::NoMemory { bytes: u64::MAX })?)?;
    let places = block.array::<filedb_slice>(count);
    let mut end = count * size_of::<filedb_slice>();
    for (index, bytes) in all().take(count).enumerate() {
        places.set_at(index, filedb_slice { data: block.copy(end, bytes), len: bytes.len() });
        end += bytes.len();
    }
    Ok(block)
}
