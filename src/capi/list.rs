//! Lists: pushing to them, popping from them, looking at them.

use super::db::{filedb_t, found};
use super::error::filedb_error_t;
use super::guard;
use super::handle::{Block, CopiedBlock};
use super::slice::{filedb_slice_t, one_block};
use super::status::{FILEDB_NOT_FOUND, FILEDB_OK, filedb_status_t};
use crate::Db;
use crate::store::Copying;
use crate::store::error::{Error, Result};
use crate::store::value::{End, Type};
use std::ffi::c_void;

/// What a key holds: FILEDB_TYPE_..., or 0 for nothing. Since 0.2.0.
pub type filedb_type_t = i32;
/// The key holds a value. Since 0.2.0.
pub const FILEDB_TYPE_VALUE: filedb_type_t = 1;
/// The key holds a list. Since 0.2.0.
pub const FILEDB_TYPE_LIST: filedb_type_t = 2;

/// The number of a type.
pub(super) fn type_number(holds: Type) -> filedb_type_t {
    match holds {
        Type::Value => FILEDB_TYPE_VALUE,
        Type::List => FILEDB_TYPE_LIST,
    }
}

/// Tells what `key` holds: `*out` becomes FILEDB_TYPE_VALUE or FILEDB_TYPE_LIST.
///
/// Returns FILEDB_OK, FILEDB_NOT_FOUND, or an error as filedb_get().
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_type(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    out: *mut filedb_type_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let out = call.out("out", out)?;
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        let Some(holds) = db.type_of(key)? else { return Ok(FILEDB_NOT_FOUND) };
        out.set(type_number(holds));
        Ok(FILEDB_OK)
    })
}

/// Adds `value` behind the last element of the list `key`, which is made where there is no such key.
/// `*length` becomes the number of elements; `length` may be NULL. The value is copied. A push is one
/// atomic write, whose cost does not depend on the length of the list. A list keeps its expiry.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_WRONG_TYPE: the key holds a value;
/// - an error as filedb_put(), or FILEDB_ERR_CORRUPT where the list is damaged. Nothing was changed.
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_push_back(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    length: *mut u64,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    push(|db, key, value| db.push_back(key, value), db, (key, key_len), (value, value_len), length, err)
}

/// Adds `value` in front of the first element of the list `key`, as filedb_push_back() does behind the
/// last.
///
/// Returns as filedb_push_back().
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_push_front(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    length: *mut u64,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    push(|db, key, value| db.push_front(key, value), db, (key, key_len), (value, value_len), length, err)
}

fn push(
    verb: fn(&Db, &[u8], &[u8]) -> Result<u64>,
    db: *mut filedb_t,
    (key, key_len): (*const c_void, usize),
    (value, value_len): (*const c_void, usize),
    length: *mut u64,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let length = if length.is_null() { None } else { Some(call.out("length", length)?) };
        let db = call.store(db)?;
        let (key, value) = (call.key("key", key, key_len)?, call.value(value, value_len)?);
        let new_length = verb(db, key, value)?;
        length.inspect(|length| length.set(new_length));
        Ok(FILEDB_OK)
    })
}

/// Takes the last element of the list `key` out. On success `*value` is a copy of it, which belongs to
/// the caller, who gives it to filedb_free(), and `*value_len` its size. A pop is one atomic write. With
/// its last element a list is gone.
///
/// Returns FILEDB_OK, FILEDB_NOT_FOUND where there is no such key, or
/// - FILEDB_ERR_WRONG_TYPE: the key holds a value;
/// - an error as filedb_put() or filedb_get(). Nothing was taken out then, but for
///   FILEDB_ERR_POISONED and FILEDB_ERR_IO with sync=always, where the element may be gone.
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_pop_back(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    value: *mut *mut c_void,
    value_len: *mut usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    take(|db, key, to| db.pop(key, End::Back, to), db, (key, key_len), (value, value_len), err)
}

/// Takes the first element of the list `key` out, as filedb_pop_back() does the last.
///
/// Returns as filedb_pop_back().
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_pop_front(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    value: *mut *mut c_void,
    value_len: *mut usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    take(|db, key, to| db.pop(key, End::Front, to), db, (key, key_len), (value, value_len), err)
}

/// A verb that removes what it answers with: there is memory for the answer before anything is removed.
pub(super) fn take(
    verb: impl FnOnce(&Db, &[u8], &mut dyn Copying) -> Result<Option<usize>>,
    db: *mut filedb_t,
    (key, key_len): (*const c_void, usize),
    (value, value_len): (*mut *mut c_void, *mut usize),
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let (value, value_len) = (call.out("value", value), call.out("value_len", value_len));
        let (value, value_len) = (value?, value_len?);
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        let mut copy = CopiedBlock::default();
        let Some(size) = verb(db, key, &mut copy)? else { return Ok(FILEDB_NOT_FOUND) };
        value.set(copy.finish(size)?.hand_out());
        value_len.set(size);
        Ok(FILEDB_OK)
    })
}

/// filedb_list_move(): the element is the last of the list that it is taken from. Since 0.2.0.
pub const FILEDB_MOVE_FROM_BACK: u32 = 1u32;
/// filedb_list_move(): the element becomes the first of the list that it is added to. Since 0.2.0.
pub const FILEDB_MOVE_TO_FRONT: u32 = 2u32;

/// Takes the first element of the list `from` out and adds it behind the last of the list `to`, which is
/// made where there is no such key; `flags`, FILEDB_MOVE_FROM_BACK and FILEDB_MOVE_TO_FRONT or 0, say
/// other ends. It is one atomic write: at every moment, and after a crash, the element is in one of the
/// two lists, and in one only. On success `*value` is a copy of it, which belongs to the caller, who gives
/// it to filedb_free(), and `*value_len` its size. Both may be the same list. With its last element a list
/// is gone.
///
/// So a worker takes a job from a queue without losing it when the process dies: it moves the job to a
/// list of its own, and takes it out of there when it is done. What is in that list at a start was
/// not done, and is moved back.
///
/// Returns FILEDB_OK, FILEDB_NOT_FOUND where there is no list `from`, or
/// - FILEDB_ERR_WRONG_TYPE: one of the keys holds a value;
/// - FILEDB_ERR_UNSUPPORTED: a flag that this version does not know, or two keys of a cluster of which not
///   one server has both;
/// - an error as filedb_put() or filedb_get(). Nothing was moved then, but for FILEDB_ERR_POISONED,
///   FILEDB_ERR_IO with sync=always and FILEDB_ERR_CONNECTION, and FILEDB_ERR_NO_MEMORY of a store on a
///   server, where the element may have been moved.
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_list_move(
    db: *mut filedb_t,
    from: *const c_void,
    from_len: usize,
    to: *const c_void,
    to_len: usize,
    flags: u32,
    value: *mut *mut c_void,
    value_len: *mut usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let (value, value_len) = (call.out("value", value), call.out("value_len", value_len));
        let (value, value_len) = (value?, value_len?);
        let db = call.store(db)?;
        let (from, to) = (call.key("from", from, from_len)?, call.key("to", to, to_len)?);
        let unknown = flags & !(FILEDB_MOVE_FROM_BACK | FILEDB_MOVE_TO_FRONT);
        if unknown != 0 {
            let message = format!("this version of filedb does not know the flags {unknown:#x}");
            return Err(Error::Unsupported { message }.into());
        }
        let from_end = if flags & FILEDB_MOVE_FROM_BACK != 0 { End::Back } else { End::Front };
        let to_end = if flags & FILEDB_MOVE_TO_FRONT != 0 { End::Front } else { End::Back };
        let mut copy = CopiedBlock::default();
        let Some(size) = db.list_move_to((from, from_end), (to, to_end), &mut copy)? else {
            return Ok(FILEDB_NOT_FOUND);
        };
        value.set(copy.finish(size)?.hand_out());
        value_len.set(size);
        Ok(FILEDB_OK)
    })
}

/// Stores the number of elements of the list `key` in `*out`.
///
/// Returns FILEDB_OK, FILEDB_NOT_FOUND where there is no such key, FILEDB_ERR_WRONG_TYPE where it holds a
/// value, or an error as filedb_get().
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_list_length(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    out: *mut u64,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let out = call.out("out", out)?;
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        let Some(length) = db.list_length(key)? else { return Ok(FILEDB_NOT_FOUND) };
        out.set(length);
        Ok(FILEDB_OK)
    })
}

/// Reads the element at `index` of the list `key`, counted from 0, or from the end where negative: -1 is
/// the last. On success `*value` is a copy of it, which belongs to the caller, who gives it to
/// filedb_free(). It costs as much as filedb_get(), wherever the element is.
///
/// Returns FILEDB_OK, FILEDB_NOT_FOUND where there is no such key or element, FILEDB_ERR_WRONG_TYPE where
/// the key holds a value, or an error as filedb_get().
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_list_get(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    index: i64,
    value: *mut *mut c_void,
    value_len: *mut usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let (value, value_len) = (call.out("value", value), call.out("value_len", value_len));
        let (value, value_len) = (value?, value_len?);
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        let Some(found) = db.list_get(key, index)? else { return Ok(FILEDB_NOT_FOUND) };
        let block = Block::new(found.len())?;
        block.copy(0, &found);
        value.set(block.hand_out());
        value_len.set(found.len());
        Ok(FILEDB_OK)
    })
}

/// Replaces the element at `index` of the list `key`, counted as by filedb_list_get().
///
/// Returns FILEDB_OK, FILEDB_NOT_FOUND where there is no such key or element, FILEDB_ERR_WRONG_TYPE where
/// the key holds a value, or an error as filedb_push_back().
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_list_set(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    index: i64,
    value: *const c_void,
    value_len: usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let db = call.store(db)?;
        let (key, value) = (call.key("key", key, key_len)?, call.value(value, value_len)?);
        Ok(found(db.list_set(key, index, value)?))
    })
}

/// Reads the elements of the list `key` from index `first` to index `last`, both included and counted as
/// by filedb_list_get(); indices outside of the list are cut to it. On success `*values` points to `*count`
/// slices. They and the bytes they point to are one block that belongs to the caller, who gives `*values`
/// to filedb_free(), once. Where no element is in the range, `*count` is 0 and `*values` NULL.
///
/// Pushes and pops of other threads come before or after all of it; a filedb_list_set() meanwhile may be
/// seen or not.
///
/// Returns FILEDB_OK, FILEDB_NOT_FOUND where there is no such key, FILEDB_ERR_WRONG_TYPE where it holds a
/// value, or an error as filedb_list().
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_list_range(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    first: i64,
    last: i64,
    values: *mut *mut filedb_slice_t,
    count: *mut usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let (values, count) = (call.out("values", values), call.out("count", count));
        let (values, count) = (values?, count?);
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        let Some(list) = db.list_range(key, first, last)? else { return Ok(FILEDB_NOT_FOUND) };
        if !list.is_empty() {
            values.set(one_block(list.len(), || list.iter())?.hand_out());
            count.set(list.len());
        }
        Ok(FILEDB_OK)
    })
}
