//! Reading and writing a key in one step; and what a store can do.

use super::db::filedb_t;
use super::error::filedb_error_t;
use super::guard;
use super::handle::Call;
use super::list::take;
use super::slice::filedb_slice_t;
use super::status::{FILEDB_CONFLICT, FILEDB_OK, filedb_status_t};
use crate::Capabilities;
use crate::Db;
use crate::capi::error::Failure;
use std::ffi::c_void;

/// filedb_range_new(), and iterators run in the order of keys. Since 0.2.0.
pub const FILEDB_CAN_ORDER: u32 = 1u32;
/// An iterator sees one moment. Since 0.2.0.
pub const FILEDB_CAN_SNAPSHOT: u32 = 2u32;
/// A batch is all or nothing, whatever its keys. Since 0.2.0.
pub const FILEDB_CAN_BATCH: u32 = 4u32;
/// filedb_sync(), FILEDB_PUT_SYNC and sync=always: writes can be made durable. Since 0.2.0.
pub const FILEDB_CAN_SYNC: u32 = 8u32;
/// filedb_merge(). Since 0.2.0.
pub const FILEDB_CAN_MERGE: u32 = 16u32;
/// Pinned values are not copies. Since 0.2.0.
pub const FILEDB_CAN_PIN: u32 = 32u32;

const _: () = {
    const fn same(number: u32, capability: Capabilities) {
        assert!(number as u64 == capability.bits());
    }
    same(FILEDB_CAN_ORDER, Capabilities::ORDER);
    same(FILEDB_CAN_SNAPSHOT, Capabilities::SNAPSHOT);
    same(FILEDB_CAN_BATCH, Capabilities::BATCH);
    same(FILEDB_CAN_SYNC, Capabilities::SYNC);
    same(FILEDB_CAN_MERGE, Capabilities::MERGE);
    same(FILEDB_CAN_PIN, Capabilities::PIN);
};

/// Stores in `*out` what this store can do: FILEDB_CAN_..., or-ed. What it cannot do answers
/// FILEDB_ERR_UNSUPPORTED, and changes nothing.
///
/// Returns FILEDB_OK, FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_CLOSED or FILEDB_ERR_FORKED.
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_capabilities(
    db: *mut filedb_t,
    out: *mut u64,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let out = call.out("out", out)?;
        out.set(call.store(db)?.capabilities()?.bits());
        Ok(FILEDB_OK)
    })
}

/// Removes `key` and reads its value, in one step. On success `*value` is a copy of it, which belongs to
/// the caller, who gives it to filedb_free(), and `*value_len` its size.
///
/// Returns FILEDB_OK, FILEDB_NOT_FOUND, FILEDB_ERR_WRONG_TYPE where the key holds a list, or an error as
/// filedb_get() or filedb_delete().
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_get_delete(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    value: *mut *mut c_void,
    value_len: *mut usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    take(Db::get_delete_to, db, (key, key_len), (value, value_len), err)
}

/// Gives `key` the value `desired`, or removes it where that is NULL, if it holds `expected`, or nothing
/// where that is NULL; in one step. A value that is replaced keeps its expiry.
///
/// Returns FILEDB_OK, or
/// - FILEDB_CONFLICT: it holds something else; nothing was changed;
/// - FILEDB_ERR_WRONG_TYPE: the key holds a list;
/// - an error as filedb_get() or filedb_put().
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_compare_and_swap(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    expected: *const filedb_slice_t,
    desired: *const filedb_slice_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        let (expected, desired) =
            (value_of(call, "expected", expected)?, value_of(call, "desired", desired)?);
        let swapped = db.compare_and_swap(key, expected, desired)?;
        Ok(if swapped { FILEDB_OK } else { FILEDB_CONFLICT })
    })
}

/// The value that a slice of the caller's describes; `None` where there is no slice.
fn value_of<'call>(
    call: &'call Call,
    what: &'static str,
    slice: *const filedb_slice_t,
) -> Result<Option<&'call [u8]>, Failure> {
    if slice.is_null() {
        return Ok(None);
    }
    match call.array(what, slice, 1)? {
        [slice] => call.value(slice.data, slice.len).map(Some),
        _ => Ok(None),
    }
}

/// Adds `by` to the number that `key` holds as decimal text; a key that is not there counts as 0. `*out`
/// becomes the sum; `out` may be NULL. One step: no hit is lost between threads or processes. The key
/// keeps its expiry.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_INVALID_ARGUMENT: the value is no decimal number of 64 bits with a sign, or the sum is
///   none; nothing was changed;
/// - FILEDB_ERR_WRONG_TYPE: the key holds a list;
/// - an error as filedb_get() or filedb_put().
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_increment(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    by: i64,
    out: *mut i64,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let out = if out.is_null() { None } else { Some(call.out("out", out)?) };
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        let sum = db.increment(key, by)?;
        out.inspect(|out| out.set(sum));
        Ok(FILEDB_OK)
    })
}
