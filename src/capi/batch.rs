//! `filedb_batch_t`: several writes that happen together.

use super::db::filedb_t;
use super::error::filedb_error_t;
use super::guard;
use super::handle::shell::{self, Quarantine, Shell};
use super::status::{FILEDB_OK, filedb_status_t};
use crate::Batch;
use crate::sync::lock::Mutex;
use crate::sync::panics;
use std::ffi::c_void;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Writes that are collected in memory, to happen all or not at all. It belongs to no store, and may
/// be written any number of times. For one thread at a time. Since 0.1.0.
pub struct filedb_batch {
    tag: AtomicU64,
    /// Behind a lock, so that a program that shares a batch between threads by mistake gets a batch all the same.
    batch: Mutex<Batch>,
}

/// Writes that happen together. Since 0.1.0.
pub type filedb_batch_t = filedb_batch;

impl filedb_batch {
    /// Adds a put to what is behind this handle.
    pub(super) fn put(&self, key: &[u8], value: &[u8], life: Option<Duration>) -> crate::Result<()> {
        let mut batch = self.batch.lock();
        match life {
            Some(life) => batch.put_with_ttl(key, value, life),
            None => batch.put(key, value),
        }
    }
}

impl Shell for filedb_batch {
    const WHAT: &'static str = "batch handle";
    const IN_USE: u64 = 0xb34a_02d7_e986_5c1f;

    fn tag(&self) -> &AtomicU64 {
        &self.tag
    }

    fn quarantine() -> &'static Quarantine<Self> {
        static GIVEN_UP: Quarantine<filedb_batch> = Quarantine::new();
        &GIVEN_UP
    }
}

/// Makes an empty batch. It belongs to the caller, who gives it to filedb_batch_free().
///
/// Returns NULL where there is no memory, and only then.
///
/// Threads: any, at any time. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn filedb_batch_new() -> *mut filedb_batch_t {
    panics::keep_quiet();
    guard::enter_plain(std::ptr::null_mut(), |_| {
        let tag = AtomicU64::new(filedb_batch::IN_USE);
        shell::make(filedb_batch { tag, batch: Mutex::new(Batch::new()) })
    })
}

/// Adds a put of `key` and `value`, which are copied.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_INVALID_ARGUMENT: the key is empty, or a pointer is NULL;
/// - FILEDB_ERR_TOO_LARGE: the key or the value is too long;
/// - FILEDB_ERR_NO_MEMORY: the batch is as it was;
/// - FILEDB_ERR_CLOSED: the batch was freed.
///
/// Threads: any, one at a time for each batch. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_batch_put(
    batch: *mut filedb_batch_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let batch = call.shell(batch)?;
        let (key, value) = (call.key("key", key, key_len)?, call.value(value, value_len)?);
        batch.put(key, value, None)?;
        Ok(FILEDB_OK)
    })
}

/// Adds a delete of `key`, which need not exist when the batch is written.
///
/// Returns as filedb_batch_put().
///
/// Threads: any, one at a time for each batch. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_batch_delete(
    batch: *mut filedb_batch_t,
    key: *const c_void,
    key_len: usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let batch = call.shell(batch)?;
        let key = call.key("key", key, key_len)?;
        batch.batch.lock().delete(key)?;
        Ok(FILEDB_OK)
    })
}

/// Adds a push of `value` behind the last element of the list `key`, as filedb_push_back() does it when
/// the batch is written. Where the key holds a value then, by itself or by an earlier write of the batch,
/// filedb_write() answers FILEDB_ERR_WRONG_TYPE, and nothing of the batch is written.
///
/// Returns as filedb_batch_put().
///
/// Threads: any, one at a time for each batch. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_batch_push_back(
    batch: *mut filedb_batch_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let batch = call.shell(batch)?;
        let (key, value) = (call.key("key", key, key_len)?, call.value(value, value_len)?);
        batch.batch.lock().push_back(key, value)?;
        Ok(FILEDB_OK)
    })
}

/// Adds a push of `value` in front of the first element of the list `key`, otherwise as
/// filedb_batch_push_back().
///
/// Returns as filedb_batch_put().
///
/// Threads: any, one at a time for each batch. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_batch_push_front(
    batch: *mut filedb_batch_t,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let batch = call.shell(batch)?;
        let (key, value) = (call.key("key", key, key_len)?, call.value(value, value_len)?);
        batch.batch.lock().push_front(key, value)?;
        Ok(FILEDB_OK)
    })
}

/// Empties the batch, and keeps its memory for what is added next. NULL is fine.
///
/// Threads: any, one at a time for each batch. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_batch_clear(batch: *mut filedb_batch_t) {
    guard::enter_plain((), |call| {
        call.shell(batch)?.batch.lock().clear();
        Ok(())
    });
}

/// Frees a batch, written or not. NULL is fine.
///
/// Threads: any, one at a time for each batch. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_batch_free(batch: *mut filedb_batch_t) {
    // The shell stays for a while, what it holds does not.
    guard::enter_plain((), |call| call.retire(batch, |shell| *shell.batch.lock() = Batch::new()));
}

/// Writes all of a batch or nothing, in the order in which it was put together: the last write of a
/// key wins. After a crash it is there whole or not at all. While it is written, readers in other
/// threads may see some of its keys changed before others. The batch stays as it is.
///
/// Returns as filedb_put(), and
/// - FILEDB_ERR_TOO_LARGE: also where the batch as a whole has 4 GiB or more;
/// - FILEDB_ERR_CLOSED: also where the batch was freed.
///
/// An empty batch is FILEDB_OK.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_write(
    db: *mut filedb_t,
    batch: *const filedb_batch_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let db = call.store(db)?;
        let batch = call.shell(batch.cast_mut())?;
        db.write(&batch.batch.lock())?;
        Ok(FILEDB_OK)
    })
}
