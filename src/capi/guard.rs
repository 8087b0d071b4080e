//! The border between C and Rust: every entry runs inside `enter`, which lets no panic out.
//!
//! A panic is a bug in filedb, and the host is not to die of it: it becomes `FILEDB_ERR_PANIC`, and the store that
//! was in use takes no more writes, because what the panic interrupted may be half done.

use super::error::{Failure, Report, filedb_error_t};
use super::handle::Call;
use super::status::filedb_status_t;
use crate::Db;
use crate::Error;
use crate::sync::panics;
use crate::sync::thread::NotCancelled;

/// How the body of an entry ends: with an outcome that is no error, or with a failure.
pub(super) type Answer = Result<filedb_status_t, Failure>;

/// Runs the body of an entry, reports the outcome to the caller's `err` and returns its status.
pub(super) fn enter(err: *mut filedb_error_t, body: impl FnOnce(&Call) -> Answer) -> filedb_status_t {
    let _not_cancelled = NotCancelled::begin();
    enter_fast(err, body)
}

/// As [`enter`], without [`NotCancelled`], whose price would be felt: for calls of which a program makes millions a second and that normally
/// ask nothing of the system. The code below begins one where it does ask.
#[inline]
pub(super) fn enter_fast(err: *mut filedb_error_t, body: impl FnOnce(&Call) -> Answer) -> filedb_status_t {
    let call = Call::begin();
    let answer = catch(&call, || match body(&call) {
        Ok(status) => {
            call.write_outcome(err, status);
            status
        }
        Err(failure) => report(&call, err, &failure),
    });
    answer.unwrap_or_else(|panic| report(&call, err, &panic))
}

/// Runs the body of an entry that returns something else than a status; a failure becomes `otherwise`.
pub(super) fn enter_plain<R>(otherwise: R, body: impl FnOnce(&Call) -> Result<R, Failure>) -> R {
    let _not_cancelled = NotCancelled::begin();
    enter_plain_fast(otherwise, body)
}

/// As [`enter_plain`], and like [`enter_fast`].
#[inline]
pub(super) fn enter_plain_fast<R>(otherwise: R, body: impl FnOnce(&Call) -> Result<R, Failure>) -> R {
    let call = Call::begin();
    catch(&call, || body(&call)).and_then(|answer| answer).unwrap_or(otherwise)
}

#[cold]
fn report(call: &Call, err: *mut filedb_error_t, failure: &Failure) -> filedb_status_t {
    call.write_error(err, &Report::of_failure(failure, call.message_room(err)));
    failure.code()
}

#[inline]
fn catch<R>(call: &Call, body: impl FnOnce() -> R) -> Result<R, Failure> {
    // A caught panic leaves nothing behind that Rust would call broken: the slices of `call` are C's, and the store is told.
    panics::catch(body).map_err(|message| {
        call.poison(&message);
        Failure::Engine(Error::Panic { message })
    })
}

/// Closes a store. Where that panics, the store takes no more writes and is closed once more before the panic goes on: half
/// closed it would keep its lock for as long as the process lives.
pub(super) fn close(db: &Db) -> crate::Result<()> {
    panics::catch(|| db.close()).unwrap_or_else(|message| {
        db.poison("a bug in filedb was caught while the store was closed");
        // What the second close answers is less than what the first one has to say.
        let _ = panics::catch(|| db.close());
        panics::go_on(message)
    })
}
