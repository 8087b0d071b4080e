//! What C cannot provoke: panics in the middle of a call, and whether the tables of this crate agree.

mod panics;

use super::db::{filedb, filedb_close, filedb_exists, filedb_open, filedb_put, filedb_sync, filedb_t};
use super::error::{Failure, filedb_error};
use super::guard;
use super::status::*;
use crate::Error;
use std::ffi::{CStr, CString, c_void};
use std::path::{Path, PathBuf};
use std::ptr;

fn empty_error() -> filedb_error {
    let message = [0; 256];
    let struct_size = size_of::<filedb_error>() as u32;
    filedb_error { struct_size, code: 0, os_errno: 0, reserved: 0, file_id: 0, offset: 0, message }
}

fn text(error: &filedb_error) -> String {
    // SAFETY: the library ends every message with a NUL.
    unsafe { CStr::from_ptr(error.message.as_ptr()) }.to_str().unwrap().to_owned()
}

fn open(path: &Path) -> *mut filedb_t {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    let mut db = ptr::null_mut();
    // SAFETY: as the header asks.
    let status = unsafe { filedb_open(path.as_ptr(), ptr::null(), &mut db, ptr::null_mut()) };
    assert_eq!(status, FILEDB_OK);
    db
}

fn put(db: *mut filedb_t, key: &[u8], err: &mut filedb_error) -> i32 {
    let value: *const c_void = b"value".as_ptr().cast();
    // SAFETY: as the header asks.
    unsafe { filedb_put(db, key.as_ptr().cast(), key.len(), value, 5, err) }
}

fn exists(db: *mut filedb_t, key: &[u8]) -> i32 {
    // SAFETY: as the header asks.
    unsafe { filedb_exists(db, key.as_ptr().cast(), key.len(), ptr::null_mut()) }
}

fn close(db: *mut filedb_t, err: &mut filedb_error) -> i32 {
    // SAFETY: as the header asks.
    unsafe { filedb_close(db, err) }
}

/// What an entry with a bug in it would do.
fn panic_inside(db: *mut filedb_t, err: &mut filedb_error) -> i32 {
    guard::enter(err, |call| {
        call.store(db)?;
        panic!("the {} is on fire", "index")
    })
}

#[test]
fn a_panic_is_a_status_and_stops_writes_until_the_store_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut err) = (dir.path().join("store"), empty_error());
    let db = open(&path);
    assert_eq!(put(db, b"before", &mut err), FILEDB_OK);

    assert_eq!(panic_inside(db, &mut err), FILEDB_ERR_PANIC);
    assert_eq!(err.code, FILEDB_ERR_PANIC);
    let message = text(&err);
    assert!(message.contains("the index is on fire") && message.contains("tests.rs:"), "{message}");

    assert_eq!(put(db, b"after", &mut err), FILEDB_ERR_POISONED);
    assert!(text(&err).contains("the index is on fire"), "{}", text(&err));
    // SAFETY: as the header asks.
    assert_eq!(unsafe { filedb_sync(db, ptr::null_mut()) }, FILEDB_ERR_POISONED);
    assert_eq!(exists(db, b"before"), FILEDB_OK);
    assert_eq!(close(db, &mut err), FILEDB_ERR_POISONED);

    let db = open(&path);
    assert_eq!(exists(db, b"before"), FILEDB_OK);
    assert_eq!(exists(db, b"after"), FILEDB_NOT_FOUND);
    assert_eq!(put(db, b"after", &mut err), FILEDB_OK);
    assert_eq!(close(db, &mut err), FILEDB_OK);
}

#[test]
fn a_panic_stops_the_store_it_went_through_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut err = empty_error();
    let (one, two) = (open(&dir.path().join("one")), open(&dir.path().join("two")));
    assert_eq!(panic_inside(one, &mut err), FILEDB_ERR_PANIC);
    assert_eq!(put(two, b"k", &mut err), FILEDB_OK);
    assert_eq!(close(two, &mut err), FILEDB_OK);
    assert_eq!(close(one, &mut err), FILEDB_ERR_POISONED);
}

#[test]
fn a_panic_without_a_store_or_a_message_is_a_status_too() {
    crate::sync::panics::keep_quiet();
    let mut err = empty_error();
    assert_eq!(guard::enter(&mut err, |_| std::panic::panic_any(7_u8)), FILEDB_ERR_PANIC);
    assert!(text(&err).contains("no message, at "), "{}", text(&err));
    assert_eq!(guard::enter_plain(3, |_| panic!("in passing")), 3);
}

#[test]
fn the_numbers_of_the_header_are_the_numbers_of_the_errors() {
    let path = PathBuf::from("p");
    let errors = [
        (FILEDB_ERR_INVALID_ARGUMENT, Error::InvalidArgument { message: "m".into() }),
        (FILEDB_ERR_IO, Error::Io { action: "a", path: path.clone(), errno: 5 }),
        (FILEDB_ERR_MISSING, Error::Missing { path: path.clone() }),
        (FILEDB_ERR_CORRUPT, Error::Corrupt { path: path.clone(), file_id: 1, offset: 2, what: "w" }),
        (FILEDB_ERR_LOCKED, Error::Locked { path: path.clone() }),
        (FILEDB_ERR_NO_SPACE, Error::NoSpace { action: "a", path: path.clone(), errno: 28 }),
        (FILEDB_ERR_READ_ONLY, Error::ReadOnly),
        (FILEDB_ERR_TOO_LARGE, Error::TooLarge { what: "key", size: 2, limit: 1 }),
        (FILEDB_ERR_UNSUPPORTED, Error::Unsupported { message: "m".into() }),
        (FILEDB_ERR_POISONED, Error::Poisoned { reason: "r".into() }),
        (FILEDB_ERR_FORKED, Error::Forked),
        (FILEDB_ERR_PANIC, Error::Panic { message: "m".into() }),
        (FILEDB_ERR_NO_MEMORY, Error::NoMemory { bytes: 1 }),
        (FILEDB_ERR_EXISTS, Error::Exists { path }),
        (FILEDB_ERR_CLOSED, Error::Closed),
    ];
    for (status, error) in errors {
        assert_eq!(error.code(), status, "{error}");
        let mut err = empty_error();
        assert_eq!(guard::enter(&mut err, |_| Err(error.clone().into())), status);
        assert_eq!((err.code, err.os_errno), (status, error.os_errno()), "{error}");
        let (file_id, offset) = error.place().unwrap_or_default();
        assert_eq!((err.file_id, err.offset), (u64::from(file_id), offset), "{error}");
        assert_eq!(text(&err), error.to_string());
    }
    let too_small = Failure::BufferTooSmall { what: "value", size: 2, capacity: 1 };
    assert_eq!(too_small.code(), FILEDB_ERR_BUFFER_TOO_SMALL);
}

#[test]
fn shells_in_quarantine_are_freed_in_their_turn_and_the_tags_of_types_differ() {
    use super::handle::shell::{SHELLS_KEPT, Shell};
    use super::options::{filedb_options, filedb_options_free, filedb_options_new, filedb_options_set};
    assert_ne!(filedb::IN_USE, filedb_options::IN_USE);
    assert_ne!(filedb::GIVEN_UP, filedb_options::GIVEN_UP);
    let mut given_up = Vec::new();
    for _ in 0..3 * SHELLS_KEPT {
        let options = filedb_options_new();
        // SAFETY: as the header asks.
        unsafe { filedb_options_free(options) };
        given_up.push(options);
    }
    // Other tests may give options up at the same time, so the very oldest are not looked at.
    for options in given_up.into_iter().rev().take(SHELLS_KEPT - 100) {
        // SAFETY: the promise under test: shells in quarantine may still be asked.
        let status =
            unsafe { filedb_options_set(options, c"sync".as_ptr(), c"none".as_ptr(), ptr::null_mut()) };
        assert_eq!(status, FILEDB_ERR_CLOSED);
    }
}
