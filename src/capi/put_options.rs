//! `filedb_put_options_t`: writes with conditions or an expiry, and the verbs on the expiry of a key.

use super::batch::filedb_batch_t;
use super::db::{filedb_t, found};
use super::error::{Failure, filedb_error_t};
use super::guard;
use super::handle::Call;
use super::status::{FILEDB_CONFLICT, FILEDB_NOT_FOUND, FILEDB_OK, filedb_status_t};
use crate::Error;
use crate::PutOptions;
use crate::Ttl;
use std::ffi::c_void;
use std::time::Duration;

/// Write only if there is no such key; else FILEDB_CONFLICT. Since 0.1.0.
pub const FILEDB_PUT_IF_ABSENT: u32 = 1u32;
/// Write only if there is such a key; else FILEDB_CONFLICT. Since 0.1.0.
pub const FILEDB_PUT_IF_PRESENT: u32 = 2u32;
/// Return when the write is durable, whatever the option sync says. Since 0.1.0.
pub const FILEDB_PUT_SYNC: u32 = 4u32;
/// Let the key keep the expiry that it has; not together with ttl_ms. Since 0.1.0.
pub const FILEDB_PUT_KEEP_TTL: u32 = 8u32;

/// More to say about a write. Begin with `filedb_put_options_t more = FILEDB_PUT_OPTIONS_INIT;`, or
/// with `= {0}`, which ask for nothing. Since 0.1.0.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct filedb_put_options {
    /// sizeof(filedb_put_options_t), set by the caller; 0 is the size that it has in version 0.1.0. A
    /// library that is older than the program accepts members that it does not know as long as they
    /// are 0.
    pub struct_size: u32,
    /// FILEDB_PUT_..., or-ed.
    pub flags: u32,
    /// The key expires so many milliseconds from now; 0: it does not.
    pub ttl_ms: u64,
}

/// More to say about a write. Since 0.1.0.
pub type filedb_put_options_t = filedb_put_options;

/// Stores `value` under `key` as filedb_put() does, under conditions and with an expiry. `options`
/// may be NULL, which is a plain put. A condition and the write are one step, which no other write
/// of the key comes between. An expired key is an absent key.
///
/// Returns as filedb_put(), and
/// - FILEDB_CONFLICT: the condition does not hold; nothing was written;
/// - FILEDB_ERR_INVALID_ARGUMENT: also where struct_size is not the size of the struct, or the flags
///   contradict each other;
/// - FILEDB_ERR_UNSUPPORTED: also where a flag or a member that this version does not know is set;
/// - FILEDB_ERR_CORRUPT: the record that a condition or FILEDB_PUT_KEEP_TTL asks about is damaged.
///   Nothing was written; a plain put replaces it.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_put_with(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    options: *const filedb_put_options_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter_fast(err, |call| {
        let db = call.store(db)?;
        let (key, value) = (call.key("key", key, key_len)?, call.value(value, value_len)?);
        let written = db.put_with(key, value, &read(call, options)?)?;
        Ok(if written { FILEDB_OK } else { FILEDB_CONFLICT })
    })
}

/// Adds a put of `key` and `value` to a batch as filedb_batch_put() does, with an expiry: the key
/// expires ttl_ms after the batch is written. `options` may be NULL, which is a plain put; of its
/// members a batch takes ttl_ms only, for its writes have no conditions.
///
/// Returns as filedb_batch_put(), and
/// - FILEDB_ERR_INVALID_ARGUMENT: also where struct_size is not the size of the struct;
/// - FILEDB_ERR_UNSUPPORTED: a flag, or a member that this version does not know, is set. Nothing was
///   added.
///
/// Threads: any, one at a time for each batch. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_batch_put_with(
    batch: *mut filedb_batch_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    options: *const filedb_put_options_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let batch = call.shell(batch)?;
        let (key, value) = (call.key("key", key, key_len)?, call.value(value, value_len)?);
        let options = read(call, options)?;
        if options != (PutOptions { ttl: options.ttl, ..PutOptions::default() }) {
            let message = "a put in a batch takes a ttl_ms and no flags: a batch is written whole or not at all, and without conditions";
            return Err(Error::Unsupported { message: message.into() }.into());
        }
        batch.put(key, value, options.ttl)?;
        Ok(FILEDB_OK)
    })
}

/// What the caller's struct asks for.
fn read(call: &Call, options: *const filedb_put_options_t) -> Result<PutOptions, Failure> {
    if options.is_null() {
        return Ok(PutOptions::default());
    }
    let options = call.sized("options", options)?;
    let known = FILEDB_PUT_IF_ABSENT | FILEDB_PUT_IF_PRESENT | FILEDB_PUT_SYNC | FILEDB_PUT_KEEP_TTL;
    if options.flags & !known != 0 {
        let message = format!("this version of filedb does not know the flags {:#x}", options.flags & !known);
        return Err(Error::Unsupported { message }.into());
    }
    let is_set = |flag| options.flags & flag != 0;
    Ok(PutOptions {
        ttl: (options.ttl_ms != 0).then_some(Duration::from_millis(options.ttl_ms)),
        if_absent: is_set(FILEDB_PUT_IF_ABSENT),
        if_present: is_set(FILEDB_PUT_IF_PRESENT),
        sync: is_set(FILEDB_PUT_SYNC),
        keep_ttl: is_set(FILEDB_PUT_KEEP_TTL),
    })
}

/// Stores in `*ms` how many milliseconds `key` has to live; -1 where it does not expire.
///
/// Returns FILEDB_OK, FILEDB_NOT_FOUND, or an error as filedb_get().
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_ttl(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    ms: *mut i64,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let ms = call.out("ms", ms)?;
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        match db.ttl(key)? {
            None => return Ok(FILEDB_NOT_FOUND),
            Some(Ttl::Forever) => ms.set(-1),
            Some(Ttl::Left(left)) => ms.set(i64::try_from(left.as_millis()).unwrap_or(i64::MAX)),
        }
        Ok(FILEDB_OK)
    })
}

/// Lets `key` expire `ttl_ms` milliseconds from now; with 0 it is gone at once. The record is written
/// again, which costs as much as a put and is as durable.
///
/// Returns FILEDB_OK, FILEDB_NOT_FOUND, or an error as filedb_put() or filedb_get().
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_expire(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    ttl_ms: u64,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        Ok(found(db.expire(key, Duration::from_millis(ttl_ms))?))
    })
}

/// Lets `key` live until it is deleted. The record is written again, as with filedb_expire().
///
/// Returns FILEDB_OK, FILEDB_NOT_FOUND, or an error as filedb_put() or filedb_get().
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_persist(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        Ok(found(db.persist(key)?))
    })
}
