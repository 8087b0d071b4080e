//! `filedb_t`: opening and closing a store, and the verbs on single keys.

use super::error::{Failure, filedb_error_t};
use super::guard;
use super::handle::CopiedBlock;
use super::handle::shell::{self, Quarantine, Shell};
use super::options::{self, filedb_options_t};
use super::status::{FILEDB_NOT_FOUND, FILEDB_OK, filedb_status_t};
use crate::Db;
use crate::sync::panics;
use std::ffi::{OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::AtomicU64;

/// An open store. filedb_open() makes the handle, filedb_close() ends it. All threads of the process
/// share it. Since 0.1.0.
pub struct filedb {
    tag: AtomicU64,
    db: Db,
}

/// An open store. Since 0.1.0.
pub type filedb_t = filedb;

impl Shell for filedb {
    const WHAT: &'static str = "store handle";
    const IN_USE: u64 = 0x9f1c_6e0b_53d2_a847;

    fn tag(&self) -> &AtomicU64 {
        &self.tag
    }

    fn quarantine() -> &'static Quarantine<Self> {
        static GIVEN_UP: Quarantine<filedb> = Quarantine::new();
        &GIVEN_UP
    }
}

impl filedb {
    /// A new handle for a store.
    pub(super) fn handle_of(db: Db) -> Result<*mut filedb, Failure> {
        shell::make(filedb { tag: AtomicU64::new(filedb::IN_USE), db })
    }

    /// The store itself.
    pub(super) fn db(&self) -> &Db {
        &self.db
    }
}

/// Opens the store at `path`, a directory or a URL (see "Where a store is"), and creates it unless the
/// option create_if_missing is false. `options` may be NULL for the defaults; the store keeps a copy of them. On success `*out`
/// is the handle, which belongs to the caller, who gives it to filedb_close().
///
/// The directory is made where it is missing, but none above it. One that has other things in it becomes a store as
/// well; they stay, and a store has no use for them.
///
/// After a clean close this takes milliseconds; after a crash it reads what was written since the
/// last data file was finished, and drops what the crash left half written. Where it fails, what is
/// in the store stays as it was.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL, or the path is empty, or a URL is not well formed, or a
///   server does not accept the user and password, or options contradict each other, or the store was made
///   with another engine than the option engine names;
/// - FILEDB_ERR_LOCKED: the store is open already, in this process or another;
/// - FILEDB_ERR_MISSING: there is no store, and create_if_missing is false or read_only is true;
/// - FILEDB_ERR_IO: the directory or a file in it cannot be read or made (no permission, a path that
///   is a file, a directory above it that is missing);
/// - FILEDB_ERR_CORRUPT: what was synced once is damaged, and the error names file and offset;
/// - FILEDB_ERR_EXISTS: there is a store, and error_if_exists is set;
/// - FILEDB_ERR_UNSUPPORTED: another version of filedb wrote the store, in a way that this one cannot
///   read, and the message says which version can; or it has 65,535 data files, and can have no more; or the
///   store cannot do what an option asks for, or this build of filedb has no Valkey in it;
/// - FILEDB_ERR_CONNECTION: the server is not there, or gives no answer in time;
/// - FILEDB_ERR_CLOSED: the options were freed;
/// - FILEDB_ERR_NO_SPACE, FILEDB_ERR_NO_MEMORY.
///
/// Threads: any, at any time. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_open(
    path: *const c_char,
    options: *const filedb_options_t,
    out: *mut *mut filedb_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    panics::keep_quiet();
    guard::enter(err, |call| {
        let out = call.out("out", out)?;
        let path = call.text("path", path)?;
        let options = options::or_default(call, options)?;
        if path.is_empty() {
            return Err(Failure::invalid("the path is empty; it has to name a directory"));
        }
        let db = Db::open(OsStr::from_bytes(path.to_bytes()), &options)?;
        out.set(filedb::handle_of(db)?);
        Ok(FILEDB_OK)
    })
}

/// Closes the store: waits for calls under way in other threads, makes everything durable in every
/// sync mode, and writes what lets the next open start at once. A filedb_fold() under way in another
/// thread ends with FILEDB_ERR_CLOSED after the visit that it is at, for which this does not wait.
///
/// The handle is gone whatever this returns. Pinned values stay as they are until filedb_unpin().
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_INVALID_ARGUMENT: the handle is NULL, or not one;
/// - FILEDB_ERR_CLOSED: it was closed before;
/// - FILEDB_ERR_IO, FILEDB_ERR_NO_SPACE, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_POISONED: the store could
///   not be closed cleanly. What could be made durable was, and it opens again, as after a crash;
/// - FILEDB_ERR_FORKED: in a forked child, which keeps nothing of the store; nothing in it is touched.
///
/// Threads: any, at any time; calls of other threads that come later get FILEDB_ERR_CLOSED. Not from
/// within the log callback. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_close(db: *mut filedb_t, err: *mut filedb_error_t) -> filedb_status_t {
    guard::enter(err, |call| {
        call.retire(db, |shell| guard::close(&shell.db))??;
        Ok(FILEDB_OK)
    })
}

/// Stores `value` under `key`, in place of the value, or the whole list, that was there. Both are copied before the
/// call returns. A key has 1 to 65,536 bytes, a value 0 to 4,294,967,295; (NULL, 0) is an empty
/// value.
///
/// When it returns FILEDB_OK, every later read sees the value, and the death of the process does
/// not lose it; the option sync says when it is safe from a power cut. When it returns an error,
/// the store is as it was before, but for FILEDB_ERR_POISONED and FILEDB_ERR_IO with sync=always,
/// where the write may be found after the next open.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_INVALID_ARGUMENT: the key is empty, or a pointer is NULL;
/// - FILEDB_ERR_TOO_LARGE: the key or the value is too long;
/// - FILEDB_ERR_UNSUPPORTED: the store has 65,535 data files, and can have no more; or its checkpoint
///   was changed or damaged since it was opened: it has to be closed and opened again;
/// - FILEDB_ERR_NO_SPACE, FILEDB_ERR_IO, FILEDB_ERR_READ_ONLY, FILEDB_ERR_POISONED,
///   FILEDB_ERR_NO_MEMORY, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_put(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter_fast(err, |call| {
        let db = call.store(db)?;
        let (key, value) = (call.key("key", key, key_len)?, call.value(value, value_len)?);
        db.put(key, value)?;
        Ok(FILEDB_OK)
    })
}

/// Removes `key` and its value, also where the value is damaged. As durable as a put.
///
/// Returns FILEDB_OK, FILEDB_NOT_FOUND where there was no such key (nothing is written then), or an
/// error as filedb_put().
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_delete(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter_fast(err, |call| {
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        Ok(found(db.delete(key)?))
    })
}

/// Reads the value of `key` into memory of its own. On success `*value` is that memory, which
/// belongs to the caller, who gives it to filedb_free(), and `*value_len` its size. An empty value
/// is a pointer too, and is freed too.
///
/// Returns FILEDB_OK, FILEDB_NOT_FOUND, or
/// - FILEDB_ERR_INVALID_ARGUMENT: the key is empty, or a pointer is NULL;
/// - FILEDB_ERR_TOO_LARGE: no key is so long;
/// - FILEDB_ERR_WRONG_TYPE: the key holds a list;
/// - FILEDB_ERR_CORRUPT: the value is damaged on disk; the error names file and offset;
/// - FILEDB_ERR_IO, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_get(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    value: *mut *mut c_void,
    value_len: *mut usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter_fast(err, |call| {
        let (value, value_len) = (call.out("value", value), call.out("value_len", value_len));
        let (value, value_len) = (value?, value_len?);
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        let mut copy = CopiedBlock::default();
        let Some(size) = db.copy(key, &mut copy)? else { return Ok(FILEDB_NOT_FOUND) };
        value.set(copy.finish(size)?.hand_out());
        value_len.set(size);
        Ok(FILEDB_OK)
    })
}

/// Reads the value of `key` into the caller's `buffer` of `capacity` bytes; with io=mmap no memory is
/// allocated for it. `*value_len` gets the size of the value. Buffer and key must not overlap.
///
/// Returns as filedb_get(), and
/// - FILEDB_ERR_BUFFER_TOO_SMALL: the value is larger than the buffer, which is left as it was. This
///   error sets an output too: `*value_len` is the size needed. (NULL, 0) for the buffer asks for
///   the size of a value; an empty one is FILEDB_OK then;
/// - FILEDB_ERR_CORRUPT: the value is damaged; the buffer may have been written to, and holds nothing
///   that is to be used.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_get_into(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    buffer: *mut c_void,
    capacity: usize,
    value_len: *mut usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter_fast(err, |call| {
        let value_len = call.out("value_len", value_len)?;
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        let mut buffer = call.buffer(buffer, capacity)?;
        let Some(size) = db.copy(key, &mut buffer)? else { return Ok(FILEDB_NOT_FOUND) };
        value_len.set(size);
        buffer.check_room("value", size)?;
        Ok(FILEDB_OK)
    })
}

/// Tells whether `key` is in the store, without reading its value.
///
/// Returns FILEDB_OK where it is, FILEDB_NOT_FOUND where it is not, or an error as filedb_get().
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_exists(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter_fast(err, |call| {
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        Ok(found(db.exists(key)?))
    })
}

/// Stores the number of keys in `*out`, without reading the disk.
///
/// Returns FILEDB_OK, FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_CLOSED or FILEDB_ERR_FORKED.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_count(
    db: *mut filedb_t,
    out: *mut u64,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let out = call.out("out", out)?;
        out.set(call.store(db)?.count()?);
        Ok(FILEDB_OK)
    })
}

/// Makes every write that was complete before this call durable: when it returns FILEDB_OK, a power
/// cut loses none of them. Not needed with sync=always; nothing to do with read_only.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_IO, or FILEDB_ERR_NO_SPACE where it had promised room that it does not have: the disk
///   failed to sync. What it kept is unknown, so the handle takes no more writes; close the store and
///   open it again;
/// - FILEDB_ERR_POISONED: that happened before;
/// - FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_sync(db: *mut filedb_t, err: *mut filedb_error_t) -> filedb_status_t {
    guard::enter(err, |call| {
        call.store(db)?.sync()?;
        Ok(FILEDB_OK)
    })
}

/// Takes the space of dead values back, now; with merge=auto the store does so by itself. Runs beside
/// readers and writers of other threads, and returns when it is done.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_NO_SPACE, FILEDB_ERR_IO, FILEDB_ERR_CORRUPT: no key is lost; what could be merged was;
/// - FILEDB_ERR_UNSUPPORTED: the store has 65,535 data files, and no room for those of the merge; or as
///   filedb_put();
/// - FILEDB_ERR_READ_ONLY, FILEDB_ERR_POISONED, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_INVALID_ARGUMENT,
///   FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_merge(db: *mut filedb_t, err: *mut filedb_error_t) -> filedb_status_t {
    guard::enter(err, |call| {
        call.store(db)?.merge()?;
        Ok(FILEDB_OK)
    })
}

pub(super) fn found(is_there: bool) -> filedb_status_t {
    if is_there { FILEDB_OK } else { FILEDB_NOT_FOUND }
}
