//! `filedb_pinned_t`: values read in place, one at a time or many in one call.

use super::db::filedb_t;
use super::error::{Failure, filedb_error_t};
use super::guard;
use super::handle::{Call, Out};
use super::slice::filedb_slice_t;
use super::status::{FILEDB_ERR_PANIC, FILEDB_NOT_FOUND, FILEDB_OK, filedb_status_t};
use crate::Db;
use crate::Error;
use crate::Pinned;
use std::ffi::c_void;

/// A value that is read where it lies, and that stays there, unchanged, until filedb_unpin(): also
/// when its key gets another value or is deleted, and when the store is closed.
///
/// The struct is the caller's. Copies of it are one pin: unpin one of them. Since 0.1.0.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct filedb_pinned {
    /// The first byte of the value; never written to.
    pub data: *const c_void,
    /// The size of the value in bytes.
    pub len: usize,
    /// For filedb_unpin(); means nothing to the caller.
    pub pin: *mut c_void,
}

/// A value that is read where it lies. Since 0.1.0.
pub type filedb_pinned_t = filedb_pinned;

/// Reads the value of `key` in place: no copy, and with io=mmap no memory either. On success `*out`
/// is the value, which belongs to the caller, who gives it to filedb_unpin(). Until then the data
/// file that holds it stays open, and keeps its room on the disk even when a merge has replaced it:
/// a form for short use.
///
/// Returns as filedb_get().
///
/// Threads: any, several at once; any thread may read and unpin the value. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_get_pinned(
    db: *mut filedb_t,
    key: *const c_void,
    key_len: usize,
    out: *mut filedb_pinned_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter_fast(err, |call| {
        let out = call.out("out", out)?;
        let db = call.store(db)?;
        let key = call.key("key", key, key_len)?;
        let Some(pinned) = db.get_pinned(key)? else { return Ok(FILEDB_NOT_FOUND) };
        out.set(call.hand_out(pinned));
        Ok(FILEDB_OK)
    })
}

/// Gives a pinned value back and zeroes the struct, so that doing it again does nothing. NULL is
/// fine, and so is a struct of zeroes. Works after the store was closed too.
///
/// Threads: any, one at a time for each value. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_unpin(pinned: *mut filedb_pinned_t) {
    guard::enter_plain_fast((), |call| call.unpin(pinned));
}

/// Reads the values of `count` keys, as that many calls of filedb_get_pinned() would, but with their
/// waits for memory overlapped: several times faster for keys that are not in the processor's cache.
///
/// `values` and `statuses` have room for `count` each. For every key `statuses[i]` becomes what
/// filedb_get_pinned() would return, whatever this function returns, and `values[i]` the pinned
/// value, or zeroes where the status is not FILEDB_OK. The caller gives every value to
/// filedb_unpin(); a loop over all of them is right in any case. (NULL, 0) are no keys.
///
/// Returns FILEDB_OK where every key was found or not found; else the first error, which `err`
/// tells about:
/// - one of a key, as filedb_get(); the other keys were read nevertheless;
/// - one of the call (FILEDB_ERR_INVALID_ARGUMENT, FILEDB_ERR_CLOSED, FILEDB_ERR_FORKED,
///   FILEDB_ERR_NO_MEMORY), which is then the status of every key that it kept from being read.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_get_many(
    db: *mut filedb_t,
    keys: *const filedb_slice_t,
    count: usize,
    values: *mut filedb_pinned_t,
    statuses: *mut filedb_status_t,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let (values, statuses) = (call.outs("values", values, count), call.outs("statuses", statuses, count));
        let statuses = statuses?;
        // Zero would read as success, so a panic must not find zeroes here.
        statuses.fill(FILEDB_ERR_PANIC);
        let ready = || -> Result<_, Failure> {
            let (values, db) = (values?, call.store(db)?);
            Ok((values, db, call.array("keys", keys, count)?))
        };
        match ready() {
            Ok((values, db, keys)) => Many { call, values, statuses, failure: None }.read(db, keys),
            Err(failure) => {
                statuses.fill(failure.code());
                Err(failure)
            }
        }
    })
}

/// Where the answers of one `filedb_get_many` go.
struct Many<'call> {
    call: &'call Call,
    values: Out<'call, filedb_pinned>,
    statuses: Out<'call, filedb_status_t>,
    /// The first of a key.
    failure: Option<Failure>,
}

/// How many keys are looked up at a time. Enough to overlap all the waiting there is, and few enough that the arrays for them need not grow
/// with a number that comes from the caller.
const AT_A_TIME: usize = 64;

impl Many<'_> {
    fn read(mut self, db: &Db, keys: &[filedb_slice_t]) -> guard::Answer {
        let mut answers = Vec::with_capacity(AT_A_TIME);
        for (turn, keys) in keys.chunks(AT_A_TIME).enumerate() {
            self.read_some(db, turn * AT_A_TIME, keys, &mut answers);
        }
        match self.failure {
            None => Ok(FILEDB_OK),
            Some(failure) => Err(failure),
        }
    }

    /// Looks up `keys`, which begin at number `first` of the call.
    fn read_some(
        &mut self,
        db: &Db,
        first: usize,
        keys: &[filedb_slice_t],
        answers: &mut Vec<crate::Result<Option<Pinned>>>,
    ) {
        let mut valid: [&[u8]; AT_A_TIME] = [&[]; AT_A_TIME];
        let mut numbers = [0; AT_A_TIME];
        let mut count = 0;
        for (offset, key) in keys.iter().enumerate() {
            match self.call.key("key", key.data, key.len) {
                Ok(key) => {
                    valid[count] = key;
                    numbers[count] = first + offset;
                    count += 1;
                }
                Err(failure) => self.fail(first + offset, failure),
            }
        }
        answers.clear();
        if let Err(error) = db.get_many(&valid[..count], answers) {
            return numbers[..count].iter().for_each(|&number| self.fail(number, error.clone().into()));
        }
        let mut answers = answers.drain(..);
        for &number in &numbers[..count] {
            match answers.next() {
                Some(Ok(Some(pinned))) => {
                    self.values.set_at(number, self.call.hand_out(pinned));
                    self.statuses.set_at(number, FILEDB_OK);
                }
                Some(Ok(None)) => self.statuses.set_at(number, FILEDB_NOT_FOUND),
                Some(Err(error)) => self.fail(number, error.into()),
                None => self.fail(number, Error::Panic { message: "a key got no answer".into() }.into()),
            }
        }
    }

    fn fail(&mut self, number: usize, failure: Failure) {
        self.statuses.set_at(number, failure.code());
        self.failure.get_or_insert(failure);
    }
}
