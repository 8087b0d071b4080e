//! `filedb_range_t`: keys between two bounds, walked through in their order, and deleted.

use super::db::filedb_t;
use super::error::{Failure, filedb_error_t};
use super::guard;
use super::handle::Call;
use super::iter::{filedb_iter, filedb_iter_t};
use super::slice::filedb_slice_t;
use super::status::{FILEDB_OK, filedb_status_t};
use crate::Error;
use crate::KeyRange;
use std::ops::Bound;

/// Begin with the last key of the range, and go backwards. Since 0.2.0.
pub const FILEDB_RANGE_REVERSE: u32 = 1u32;
/// The key `from` is not in the range. Since 0.2.0.
pub const FILEDB_RANGE_FROM_EXCLUDED: u32 = 2u32;
/// The key `to` is in the range. Since 0.2.0.
pub const FILEDB_RANGE_TO_INCLUDED: u32 = 4u32;

/// The keys between two bounds. Bytes are compared as unsigned numbers, and a key is before those that
/// it is a prefix of. Begin with `filedb_range_t range = FILEDB_RANGE_INIT;`, or with `= {0}`, which
/// are all keys. A range of which the end is before the beginning has no keys. Since 0.2.0.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct filedb_range {
    /// sizeof(filedb_range_t), set by the caller; 0 is the size that it has in version 0.2.0. A library
    /// that is older than the program accepts members that it does not know as long as they are 0.
    pub struct_size: u32,
    /// FILEDB_RANGE_..., or-ed.
    pub flags: u32,
    /// The first key; no bound where its data is NULL.
    pub from: filedb_slice_t,
    /// The key behind the last one; no bound where its data is NULL.
    pub to: filedb_slice_t,
}

/// The keys between two bounds. Since 0.2.0.
pub type filedb_range_t = filedb_range;

/// Begins a walk through the keys of `range`, in their order or, with FILEDB_RANGE_REVERSE, against it.
/// On success `*out` is an iterator as that of filedb_iter_new(): it sees the store as it is now, and
/// belongs to the caller, who gives it to filedb_iter_free().
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_UNSUPPORTED: the store has no FILEDB_CAN_ORDER (filedb_list_sorted() is for every
///   store), or a flag or a member that this version does not know is set;
/// - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL, or struct_size is not the size of the struct;
/// - FILEDB_ERR_TOO_LARGE: no key is as long as a bound;
/// - FILEDB_ERR_IO, FILEDB_ERR_CORRUPT, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_range_new(
    db: *mut filedb_t,
    range: *const filedb_range_t,
    out: *mut *mut filedb_iter_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let out = call.out("out", out)?;
        let db = call.store(db)?;
        let range = call.sized("range", range)?;
        out.set(filedb_iter::make(db, db.range(&read(call, &range)?)?)?);
        Ok(FILEDB_OK)
    })
}

/// Deletes all keys of `range`, as one write: all are gone or, after an error or a crash, none. It costs
/// what one delete costs, however many they are. FILEDB_RANGE_REVERSE means nothing here.
///
/// Returns FILEDB_OK, also where there are no such keys, or
/// - FILEDB_ERR_UNSUPPORTED: as filedb_range_new(); nothing was deleted;
/// - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL, or struct_size is not the size of the struct;
/// - FILEDB_ERR_TOO_LARGE: no key is as long as a bound;
/// - an error as filedb_delete().
///
/// Threads: any, several at once. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_delete_range(
    db: *mut filedb_t,
    range: *const filedb_range_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let db = call.store(db)?;
        let range = call.sized("range", range)?;
        db.delete_range(&read(call, &range)?)?;
        Ok(FILEDB_OK)
    })
}

/// What the caller's struct names.
fn read<'a>(call: &'a Call, range: &filedb_range) -> Result<KeyRange<'a>, Failure> {
    let known = FILEDB_RANGE_REVERSE | FILEDB_RANGE_FROM_EXCLUDED | FILEDB_RANGE_TO_INCLUDED;
    if range.flags & !known != 0 {
        let message = format!("this version of filedb does not know the flags {:#x}", range.flags & !known);
        return Err(Error::Unsupported { message }.into());
    }
    let is_set = |flag| range.flags & flag != 0;
    Ok(KeyRange {
        from: bound(call, "bound 'from'", range.from, !is_set(FILEDB_RANGE_FROM_EXCLUDED))?,
        to: bound(call, "bound 'to'", range.to, is_set(FILEDB_RANGE_TO_INCLUDED))?,
        reverse: is_set(FILEDB_RANGE_REVERSE),
    })
}

fn bound<'a>(
    call: &'a Call,
    what: &'static str,
    slice: filedb_slice_t,
    included: bool,
) -> Result<Bound<&'a [u8]>, Failure> {
    let key = call.key(what, slice.data, slice.len)?;
    Ok(match included {
        _ if slice.data.is_null() => Bound::Unbounded,
        true => Bound::Included(key),
        false => Bound::Excluded(key),
    })
}
