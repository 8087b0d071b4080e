//! The statuses of the C API: their numbers, which are fixed for ever, and a sentence for each.
//!
//! Which error is which number is decided in `crate::error`; a test holds the two together.

use std::ffi::{CStr, c_char};

/// What a function answers: 0 is success, a positive number an outcome that is not an error, a
/// negative number an error. Numbers are never reused; later versions may add some. Since 0.1.0.
pub type filedb_status_t = i32;

/// The call did what it says. Since 0.1.0.
pub const FILEDB_OK: filedb_status_t = 0;
/// There is no such key. Since 0.1.0.
pub const FILEDB_NOT_FOUND: filedb_status_t = 1;
/// A condition of the write was not met; nothing was written. Since 0.1.0.
pub const FILEDB_CONFLICT: filedb_status_t = 2;
/// There is nothing more to come. Since 0.1.0.
pub const FILEDB_DONE: filedb_status_t = 3;
/// What was asked for is no longer in the log: begin with a copy of the store. Since 0.2.0.
pub const FILEDB_GAP: filedb_status_t = 4;
/// Nothing changed in that time. Since 0.2.0.
pub const FILEDB_TIMEOUT: filedb_status_t = 5;
/// An argument breaks the contract of the function; nothing was done. Since 0.1.0.
pub const FILEDB_ERR_INVALID_ARGUMENT: filedb_status_t = -1;
/// The operating system refused a file operation. filedb_error_t::os_errno says why. Since 0.1.0.
pub const FILEDB_ERR_IO: filedb_status_t = -2;
/// Bytes on disk are not what was written. Members file_id and offset of filedb_error_t
/// say where.
/// Since 0.1.0.
pub const FILEDB_ERR_CORRUPT: filedb_status_t = -3;
/// Another process, or another handle of this one, has the store open. Since 0.1.0.
pub const FILEDB_ERR_LOCKED: filedb_status_t = -4;
/// The disk, a quota or a file size limit leaves no room; nothing was written. Reads go on, and
/// writes go on as soon as there is room. Since 0.1.0.
pub const FILEDB_ERR_NO_SPACE: filedb_status_t = -5;
/// The store was opened with the option read_only. Since 0.1.0.
pub const FILEDB_ERR_READ_ONLY: filedb_status_t = -6;
/// A key or a value is longer than the store takes; nothing was written. Since 0.1.0.
pub const FILEDB_ERR_TOO_LARGE: filedb_status_t = -7;
/// The caller's buffer is too small; the needed size was stored. Since 0.1.0.
pub const FILEDB_ERR_BUFFER_TOO_SMALL: filedb_status_t = -8;
/// The store, or this version of the library, cannot do this. Since 0.1.0.
pub const FILEDB_ERR_UNSUPPORTED: filedb_status_t = -9;
/// An earlier sync failed or a panic was caught. Reads go on; to write, close the store and open it
/// again. Since 0.1.0.
pub const FILEDB_ERR_POISONED: filedb_status_t = -10;
/// The handle was opened by the parent of this process. Since 0.1.0.
pub const FILEDB_ERR_FORKED: filedb_status_t = -11;
/// A bug in filedb was caught at its border. The handle takes no more writes. Since 0.1.0.
pub const FILEDB_ERR_PANIC: filedb_status_t = -12;
/// Memory could not be allocated; nothing was done. Since 0.1.0.
pub const FILEDB_ERR_NO_MEMORY: filedb_status_t = -13;
/// The store exists, and the option error_if_exists is set. Since 0.1.0.
pub const FILEDB_ERR_EXISTS: filedb_status_t = -14;
/// The handle was closed. Since 0.1.0.
pub const FILEDB_ERR_CLOSED: filedb_status_t = -15;
/// The key holds another type: a list where a value was asked for, or the other way round. Nothing was
/// changed. Since 0.2.0.
pub const FILEDB_ERR_WRONG_TYPE: filedb_status_t = -16;
/// The server of a remote store is not there, or went away; a write may or may not have happened.
/// Since 0.2.0.
pub const FILEDB_ERR_CONNECTION: filedb_status_t = -17;
/// There is no store, and the option create_if_missing is off, or the store is to be opened for
/// reading only. filedb_error_t::os_errno is ENOENT. Since 0.2.0.
pub const FILEDB_ERR_MISSING: filedb_status_t = -18;

/// The general sentence for a status.
pub(super) const fn sentence(status: filedb_status_t) -> &'static CStr {
    match status {
        FILEDB_OK => c"ok",
        FILEDB_NOT_FOUND => c"there is no such key",
        FILEDB_CONFLICT => c"a condition of the write was not met",
        FILEDB_DONE => c"there is nothing more to come",
        FILEDB_GAP => c"that is no longer in the log",
        FILEDB_TIMEOUT => c"nothing changed in that time",
        FILEDB_ERR_INVALID_ARGUMENT => c"an argument is not valid",
        FILEDB_ERR_IO => c"a file operation failed",
        FILEDB_ERR_CORRUPT => c"a file of the store is damaged",
        FILEDB_ERR_LOCKED => c"the store is already open",
        FILEDB_ERR_NO_SPACE => c"there is no room left on the disk",
        FILEDB_ERR_READ_ONLY => c"the store was opened for reading only",
        FILEDB_ERR_TOO_LARGE => c"a key or a value is too large",
        FILEDB_ERR_BUFFER_TOO_SMALL => c"the buffer is too small",
        FILEDB_ERR_UNSUPPORTED => c"this is not supported",
        FILEDB_ERR_POISONED => c"writes are stopped until the store is closed and opened again",
        FILEDB_ERR_FORKED => c"the handle belongs to the parent of this process",
        FILEDB_ERR_PANIC => c"a bug in filedb was caught",
        FILEDB_ERR_NO_MEMORY => c"memory could not be allocated",
        FILEDB_ERR_EXISTS => c"the store exists already",
        FILEDB_ERR_CLOSED => c"the handle is closed",
        FILEDB_ERR_WRONG_TYPE => c"the key holds another type",
        FILEDB_ERR_CONNECTION => c"the server of the store is not there",
        FILEDB_ERR_MISSING => c"there is no store",
        _ => c"not a status of this version of filedb",
    }
}

/// The general sentence for a status, in English, without a full stop. What exactly went wrong, and
/// with which file, is in filedb_error_t::message.
///
/// Never NULL, also for numbers that are no status. The text is constant: never free it.
///
/// Threads: any, at any time. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn filedb_strerror(status: filedb_status_t) -> *const c_char {
    sentence(status).as_ptr()
}
