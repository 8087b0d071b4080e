//! The border between C and Rust: every entry runs inside `enter`, which lets no panic out.
//!
//! A panic is a bug in filedb, and the host is not to die of it: it becomes `FILEDB_ERR_PANIC`, and the store that
//! was in use takes no more writes, because what the panic interrupted may be half done.

use super::error::{Failure, Report, filedb_error_t};
use super::handle::Call;
use super::status::filedb_status_t;
use crate::{Db, Error};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// How the body of an entry ends: with an outcome that is no error, or with a failure.
pub(super) type Answer = Result<filedb_status_t, Failure>;

/// Runs the body of an entry, reports the outcome to the caller's `err` and returns its status.
pub(super) fn enter(err: *mut filedb_error_t, body: impl FnOnce(&Call) -> Answer) -> filedb_status_t {
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
    let call = Call::begin();
    catch(&call, || body(&call)).and_then(|answer| answer).unwrap_or(otherwise)
}

#[cold]
fn report(call: &Call, err: *mut filedb_error_t, failure: &Failure) -> filedb_status_t {
    call.write_error(err, &Report::of_failure(failure, call.message_room(err)));
    failure.code()
}

fn catch<R>(call: &Call, body: impl FnOnce() -> R) -> Result<R, Failure> {
    // In one access, around the body: finding a thread's own memory costs a call in a shared library.
    let outcome = DEPTH.with(|depth| {
        depth.set(depth.get() + 1);
        // A caught panic leaves nothing behind that Rust would call broken: the slices of `call` are C's, and the store
        // is told below.
        let outcome = panic::catch_unwind(AssertUnwindSafe(body));
        depth.set(depth.get() - 1);
        outcome
    });
    outcome.map_err(|payload| {
        let message = describe(payload);
        call.poison(&message);
        Failure::Engine(Error::Panic { message })
    })
}

/// Closes a store. Where that panics, the store takes no more writes and is closed once more before the panic goes on: half
/// closed it would keep its lock for as long as the process lives.
pub(super) fn close(db: &Db) -> crate::Result<()> {
    panic::catch_unwind(AssertUnwindSafe(|| db.close())).unwrap_or_else(|panic| {
        let place = PLACE.take();
        db.poison("a bug in filedb was caught while the store was closed");
        // What the second close answers is less than what the first one has to say.
        if let Err(second) = panic::catch_unwind(AssertUnwindSafe(|| drop(db.close()))) {
            discard(second);
        }
        PLACE.set(place);
        panic::resume_unwind(panic)
    })
}

/// The panic's own words and where it happened.
fn describe(payload: Box<dyn Any + Send>) -> String {
    let words = match payload.downcast::<String>() {
        Ok(words) => *words,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(words) => (*words).to_owned(),
            Err(payload) => {
                discard(payload);
                "no message".to_owned()
            }
        },
    };
    match PLACE.take() {
        Some(place) => format!("{words}, at {place}"),
        None => words,
    }
}

/// Drops what a panic carried, which may be anything, and may panic again; then it is left where it is.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(another) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(another);
    }
}

thread_local! {
    /// How many entries this thread is inside of: a callback may call the library again.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where the panic that is being caught happened.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps panics that will be caught from being printed: a library does not write to its host's stderr. Called by the
/// functions that make handles, before which there is nothing that could go wrong.
///
/// The hook belongs to the Rust runtime inside this library. Where that is the host's own (a Rust program), the hook
/// that was there before still gets every panic that is not inside an entry.
pub(super) fn keep_panics_quiet() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if DEPTH.get() == 0 {
                return before(panic);
            }
            let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
            PLACE.set(place);
        }));
    });
}
