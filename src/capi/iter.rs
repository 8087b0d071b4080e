//! `filedb_iter_t`: walking through keys and values, by hand or with a callback.

use super::db::filedb_t;
use super::error::{Failure, filedb_error_t};
use super::guard::{self, Answer};
use super::handle::shell::{self, Quarantine, Shell};
use super::handle::{Call, Out};
use super::list::{filedb_type_t, type_number};
use super::slice::filedb_slice_t;
use super::status::{FILEDB_DONE, FILEDB_ERR_PANIC, FILEDB_NOT_FOUND, FILEDB_OK, filedb_status_t};
use crate::Db;
use crate::Error;
use crate::Iter;
use crate::Rows;
use crate::sync::lock::{Mutex, MutexGuard};
use std::ffi::{c_int, c_void};
use std::sync::atomic::AtomicU64;

/// A walk through the keys of a store as they were when it began: writes that come later do not
/// change what it sees. It is in key order where the store has FILEDB_CAN_ORDER; else there is no order
/// that means anything.
///
/// It blocks neither writers nor merges. While it lives, files that a merge replaced stay on the
/// disk, and old values of keys that change are remembered: free it soon. For one thread at a time.
/// Since 0.1.0.
pub struct filedb_iter {
    tag: AtomicU64,
    db: Db,
    /// `None` once the handle was given up. Behind a lock, so that a program that shares an iterator between threads by
    /// mistake gets each row once.
    walk: Mutex<Option<Walk>>,
}

struct Walk {
    iter: Iter,
    /// What the caller's slices point into.
    shown: Rows,
}

/// How many rows filedb_fold() holds at once.
const FOLD_AT_ONCE: usize = 64;
/// Where values are copied, it holds no more than these bytes and one row.
const FOLD_COPIED: usize = 1 << 20;

/// A walk through the keys of a store. Since 0.1.0.
pub type filedb_iter_t = filedb_iter;

/// What filedb_fold() calls for each key; anything but 0 ends the walk. The bytes are there until it
/// returns. It may use the store, but must not throw or jump out. Since 0.1.0.
pub type filedb_fold_fn = Option<
    unsafe extern "C" fn(
        ctx: *mut c_void,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
    ) -> c_int,
>;

impl Shell for filedb_iter {
    const WHAT: &'static str = "iterator handle";
    const IN_USE: u64 = 0x41e8_c72f_0b9d_d365;

    fn tag(&self) -> &AtomicU64 {
        &self.tag
    }

    fn quarantine() -> &'static Quarantine<Self> {
        static GIVEN_UP: Quarantine<filedb_iter> = Quarantine::new();
        &GIVEN_UP
    }
}

impl filedb_iter {
    /// A new handle of a walk, for the caller.
    pub(super) fn make(db: &Db, iter: Iter) -> Result<*mut filedb_iter, Failure> {
        let walk = Walk { iter, shown: Rows::default() };
        let tag = AtomicU64::new(filedb_iter::IN_USE);
        shell::make(filedb_iter { tag, db: db.clone(), walk: Mutex::new(Some(walk)) })
    }

    /// The walk, alone, and with an end to what was shown before.
    fn step(&self, call: &Call) -> MutexGuard<'_, Option<Walk>> {
        call.blame(&self.db);
        let mut walk = self.walk.lock();
        if let Some(walk) = walk.as_mut() {
            walk.shown.clear();
        }
        walk
    }
}

impl Walk {
    /// Up to `most` further rows, kept until the next step.
    fn go_on(&mut self, most: usize) -> Result<filedb_status_t, Failure> {
        Ok(if self.iter.next_rows(most, &mut self.shown)? { FILEDB_OK } else { FILEDB_DONE })
    }

    fn slices(&self, row: usize) -> (filedb_slice_t, filedb_slice_t) {
        (filedb_slice_t::of(self.shown.key(row)), filedb_slice_t::of(self.shown.value(row)))
    }
}

/// Begins a walk through the keys that begin with `prefix`, through all keys with (NULL, 0). On
/// success `*out` is the iterator, which belongs to the caller, who gives it to filedb_iter_free(),
/// before or after the store is closed.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL;
/// - FILEDB_ERR_TOO_LARGE: no key is as long as the prefix;
/// - FILEDB_ERR_NO_MEMORY, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_iter_new(
    db: *mut filedb_t,
    prefix: *const c_void,
    prefix_len: usize,
    out: *mut *mut filedb_iter_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let out = call.out("out", out)?;
        let db = call.store(db)?;
        let prefix = call.key("prefix", prefix, prefix_len)?;
        out.set(filedb_iter::make(db, db.iter(prefix)?)?);
        Ok(FILEDB_OK)
    })
}

/// Goes to the next key. `*key` and `*value` then point to bytes of the library's, which stay as they
/// are until the next call for this iterator, also when the key changes or the store is closed.
///
/// Returns FILEDB_OK, FILEDB_DONE behind the last key (and from then on), or
/// - FILEDB_ERR_CORRUPT: a record is damaged; the error names file and offset, and the next call goes
///   on behind it;
/// - FILEDB_ERR_IO, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_INVALID_ARGUMENT;
/// - FILEDB_ERR_CLOSED: the store was closed, or the iterator was freed;
/// - FILEDB_ERR_FORKED.
///
/// Threads: any, one at a time for each iterator. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_iter_next(
    iter: *mut filedb_iter_t,
    key: *mut filedb_slice_t,
    value: *mut filedb_slice_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter_fast(err, |call| {
        let (key, value) = (call.out("key", key), call.out("value", value));
        let (key, value) = (key?, value?);
        let mut walk = call.shell(iter)?.step(call);
        let walk = walk.as_mut().ok_or(Error::Closed)?;
        if walk.go_on(1)? == FILEDB_DONE {
            return Ok(FILEDB_DONE);
        }
        let row = walk.slices(0);
        key.set(row.0);
        value.set(row.1);
        Ok(FILEDB_OK)
    })
}

/// Goes on by up to `capacity` keys at once, which saves the price of the calls. Returns how many;
/// so many of `keys` and `values` are set, and stay valid together until the next call for this
/// iterator. `*status` becomes what filedb_iter_next() would have returned after the last of them:
/// FILEDB_OK where there was no more room, else FILEDB_DONE or an error; the keys before it count all
/// the same.
///
/// Threads: any, one at a time for each iterator. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_iter_next_batch(
    iter: *mut filedb_iter_t,
    keys: *mut filedb_slice_t,
    values: *mut filedb_slice_t,
    capacity: usize,
    status: *mut filedb_status_t,
    err: *mut filedb_error_t,
) -> usize {
    let mut count = 0;
    guard::enter(err, |call| {
        let (keys, values) = (call.outs("keys", keys, capacity), call.outs("values", values, capacity));
        let status = call.out("status", status)?;
        // Zero would read as success, so a panic must not find a zero here.
        status.set(FILEDB_ERR_PANIC);
        let steps = || -> Answer {
            let (keys, values) = (keys?, values?);
            let mut walk = call.shell(iter)?.step(call);
            let walk = walk.as_mut().ok_or(Error::Closed)?;
            fill(walk, capacity, &keys, &values, &mut count)
        };
        let answer = steps();
        status.set(answer.as_ref().map_or_else(Failure::code, |status| *status));
        answer
    });
    count
}

fn fill(
    walk: &mut Walk,
    capacity: usize,
    keys: &Out<'_, filedb_slice_t>,
    values: &Out<'_, filedb_slice_t>,
    count: &mut usize,
) -> Answer {
    // Also where a record was damaged: the rows before it count.
    let answer = walk.go_on(capacity);
    while *count < walk.shown.len() {
        let (key, value) = walk.slices(*count);
        keys.set_at(*count, key);
        values.set_at(*count, value);
        *count += 1;
    }
    answer
}

/// Goes to the first key of the walk that is not before `key`, which need not be one of the store; the
/// next step gives it. In a walk that runs backwards it is the last key that is not behind `key`. It may
/// go back as well as on; the walk keeps its bounds and its moment. What was shown before is gone.
///
/// Returns FILEDB_OK, also where no such key is left, or
/// - FILEDB_ERR_UNSUPPORTED: the store has no FILEDB_CAN_ORDER. The walk stays where it is;
/// - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL;
/// - FILEDB_ERR_TOO_LARGE: no key is as long;
/// - FILEDB_ERR_IO, FILEDB_ERR_CORRUPT, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED.
///
/// Threads: any, one at a time for each iterator. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_iter_seek(
    iter: *mut filedb_iter_t,
    key: *const c_void,
    key_len: usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let iter = call.shell(iter)?;
        let key = call.key("key", key, key_len)?;
        let mut walk = iter.step(call);
        walk.as_mut().ok_or(Error::Closed)?.iter.seek(key)?;
        Ok(FILEDB_OK)
    })
}

/// Tells what the key of the row that was given last holds: `*out` becomes FILEDB_TYPE_VALUE or
/// FILEDB_TYPE_LIST. For a list the value of the row is empty. After filedb_iter_next_batch() it is the
/// last of its rows.
///
/// Returns FILEDB_OK, FILEDB_NOT_FOUND where no row was given yet or the last step gave none, or
/// FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_CLOSED.
///
/// Threads: any, one at a time for each iterator. Since 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_iter_type(
    iter: *mut filedb_iter_t,
    out: *mut filedb_type_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let out = call.out("out", out)?;
        let walk = call.shell(iter)?.walk.lock();
        let shown = &walk.as_ref().ok_or(Error::Closed)?.shown;
        let Some(holds) = shown.len().checked_sub(1).and_then(|row| shown.type_of(row)) else {
            return Ok(FILEDB_NOT_FOUND);
        };
        out.set(type_number(holds));
        Ok(FILEDB_OK)
    })
}

/// Frees an iterator, at its end or before. NULL is fine, and so is one whose store was closed.
///
/// Threads: any, one at a time for each iterator. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_iter_free(iter: *mut filedb_iter_t) {
    // The shell stays for a while; what it holds does not.
    guard::enter_plain((), |call| call.retire(iter, |shell| drop(shell.walk.lock().take())));
}

/// Calls `function` with `ctx` for every key and its value, as they are at one moment, until it
/// returns something else than 0, which is FILEDB_OK too. A key that holds a list comes with an empty value. The keys come in their
/// order with engine=lsm, and in none else. The function may read, write and even close
/// the store: it is called without a lock.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_CORRUPT: a record is damaged; the walk ended there;
/// - FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_IO, FILEDB_ERR_NO_MEMORY, FILEDB_ERR_CLOSED,
///   FILEDB_ERR_FORKED.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_fold(
    db: *mut filedb_t,
    function: filedb_fold_fn,
    ctx: *mut c_void,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let db = call.store(db)?;
        let function = function.ok_or_else(|| Failure::invalid("'function' is NULL"))?;
        let (mut iter, mut rows) = (db.iter([])?, Rows::default());
        // Rows that are held, and not inside of one call of the engine's: a store cannot be closed while one is under way.
        loop {
            rows.clear();
            let more = iter.next_rows_within(FOLD_AT_ONCE, FOLD_COPIED, &mut rows);
            for row in 0..rows.len() {
                if call.show(function, ctx, rows.key(row), rows.value(row)) != 0 {
                    return Ok(FILEDB_OK);
                }
                // The function may have closed the store.
                iter.check_open()?;
            }
            if !more? {
                break;
            }
        }
        Ok(FILEDB_OK)
    })
}
