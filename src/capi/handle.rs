//! All work on raw pointers: `Call` is what C lends us for the time of a call, `memory` is where answers go, `sized`
//! are structs of other versions of the header, `callback` are the caller's functions, and `shell` is what handles point
//! to. The rest of the C API has no `unsafe` block.
//!
//! The functions here are not `unsafe` to their callers, the entries next door, because an entry can neither check nor
//! break the promise they rest on. It is the C program that makes it, by calling an `unsafe extern "C"` function:
//! **a pointer is NULL or points to what its type says, a length is true, and memory lent to a call is not changed by
//! others until the call returns.** The SAFETY comments call this the header's contract. What can be checked is
//! checked: NULL, alignment, lengths, and whether a handle is one.

mod callback;
mod memory;
pub(super) mod shell;
mod sized;

pub(super) use memory::{Block, Buffer, CopiedBlock, Out, Plain};

use super::db::filedb;
use super::error::{Failure, LONGEST_OUTCOME, Report, filedb_error, whole_members};
use super::failpoint::failpoint;
use super::pinned::filedb_pinned;
use super::status::filedb_status_t;
use crate::Db;
use crate::Error;
use crate::Pinned;
use crate::format::frame::{MAX_KEY_SIZE, MAX_VALUE_SIZE};
use shell::Shell;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_void};
use std::mem::offset_of;
use std::ptr::{self, NonNull};
use std::slice;

/// One call from C. What it lends lives as long as this, so the compiler refuses to keep it.
pub(super) struct Call {
    /// The store that the call works on, to be poisoned should the call panic.
    store: Cell<Option<NonNull<Db>>>,
}

impl Call {
    pub(super) fn begin() -> Call {
        Call { store: Cell::new(None) }
    }

    /// The bytes at `data`; `(NULL, 0)` is the empty slice.
    pub(super) fn bytes(&self, what: &str, data: *const c_void, len: usize) -> Result<&[u8], Failure> {
        if len == 0 {
            return Ok(&[]);
        }
        if data.is_null() {
            return Err(Failure::invalid(format!("the {what} is NULL, but its length is {len} and not 0")));
        }
        if len > isize::MAX as usize {
            return Err(Failure::invalid(format!("the {what} has {len} bytes, more than memory can hold")));
        }
        // SAFETY: the header's contract; the pointer is not NULL, and the length is within what a slice may have.
        Ok(unsafe { slice::from_raw_parts(data.cast(), len) })
    }

    /// The bytes of a key or of a prefix. A length that no key has is refused before the memory is looked at.
    pub(super) fn key(&self, what: &'static str, data: *const c_void, len: usize) -> Result<&[u8], Failure> {
        if len > MAX_KEY_SIZE {
            return Err(Error::TooLarge { what, size: len as u64, limit: MAX_KEY_SIZE as u64 }.into());
        }
        self.bytes(what, data, len)
    }

    /// The bytes of a value. A length that no value has is refused before the memory is looked at.
    pub(super) fn value(&self, data: *const c_void, len: usize) -> Result<&[u8], Failure> {
        if len as u64 > MAX_VALUE_SIZE {
            return Err(Error::TooLarge { what: "value", size: len as u64, limit: MAX_VALUE_SIZE }.into());
        }
        self.bytes("value", data, len)
    }

    /// The text at `text`, up to its NUL.
    pub(super) fn text(&self, what: &str, text: *const c_char) -> Result<&CStr, Failure> {
        failpoint();
        let text = present(what, text.cast_mut())?;
        // SAFETY: the header's contract: a string that is not NULL ends with a NUL.
        Ok(unsafe { CStr::from_ptr(text.as_ptr()) })
    }

    /// An array of `count` plain structs; `(NULL, 0)` is the empty one.
    pub(super) fn array<T: Plain>(&self, what: &str, items: *const T, count: usize) -> Result<&[T], Failure> {
        if count == 0 {
            return Ok(&[]);
        }
        let items = present_many(what, items.cast_mut(), count)?;
        // SAFETY: the header's contract; not NULL, aligned, no larger than a slice may be, and any bytes are a `Plain`.
        Ok(unsafe { slice::from_raw_parts(items.as_ptr(), count) })
    }

    /// The place for one answer, zeroed now and set at the end.
    pub(super) fn out<T: Plain>(&self, what: &str, place: *mut T) -> Result<Out<'_, T>, Failure> {
        Ok(Out::zeroed(present(what, place)?, 1))
    }

    /// The places for `count` answers, zeroed now; `(NULL, 0)` are none.
    pub(super) fn outs<T: Plain>(
        &self,
        what: &str,
        places: *mut T,
        count: usize,
    ) -> Result<Out<'_, T>, Failure> {
        let places = if count == 0 { NonNull::dangling() } else { present_many(what, places, count)? };
        Ok(Out::zeroed(places, count))
    }

    /// Memory of the caller's for an answer; `(NULL, 0)` has room for nothing.
    pub(super) fn buffer(&self, data: *mut c_void, capacity: usize) -> Result<Buffer<'_>, Failure> {
        if data.is_null() && capacity > 0 {
            return Err(Failure::invalid(format!(
                "the buffer is NULL, but its capacity is {capacity} and not 0"
            )));
        }
        Ok(Buffer::new(data, capacity))
    }

    /// How many bytes the caller's error struct has for the message.
    pub(super) fn message_room(&self, err: *mut filedb_error) -> usize {
        error_size(err).map_or(0, |(_, message)| message)
    }

    /// As [`Call::write_error`], of an outcome that is no error, which most calls have: a copy of known length.
    #[inline(always)]
    pub(super) fn write_outcome(&self, err: *mut filedb_error, status: filedb_status_t) {
        const FIRST: usize = offset_of!(filedb_error, code);
        const END: usize = offset_of!(filedb_error, message) + LONGEST_OUTCOME;
        const { assert!(END <= size_of::<filedb_error>()) };
        let report = Report::of_outcome(status);
        let Some(struct_size) = struct_size(err) else { return };
        if struct_size < END {
            return self.write_error(err, report);
        }
        // SAFETY: the caller's struct has at least `END` bytes, it says so, and `filedb_error` has more. `report` is ours, so
        // they do not overlap.
        unsafe {
            let from = ptr::from_ref(&report.error).cast::<u8>().add(FIRST);
            ptr::copy_nonoverlapping(from, err.cast::<u8>().add(FIRST), END - FIRST);
        }
    }

    /// Copies the members that the caller's error struct has room for. Does nothing where there is none.
    pub(super) fn write_error(&self, err: *mut filedb_error, report: &Report) {
        const FIRST: usize = offset_of!(filedb_error, code);
        let Some((size, _)) = error_size(err) else { return };
        // The message is copied to its end and no further: what is behind it stays as it is.
        let size = size.min(offset_of!(filedb_error, message) + report.message_size);
        let Some(len) = size.checked_sub(FIRST) else { return };
        // SAFETY: both structs have at least `size` bytes: the caller's because its struct_size says so, ours because
        // `whole_members` never says more than `filedb_error` has. `report` is ours, so they do not overlap.
        unsafe {
            let from = ptr::from_ref(&report.error).cast::<u8>().add(FIRST);
            ptr::copy_nonoverlapping(from, err.cast::<u8>().add(FIRST), len);
            if size > offset_of!(filedb_error, message) {
                // Also of a message that is longer than the room for it.
                err.cast::<u8>().add(size - 1).write(0);
            }
        }
    }

    /// The shell behind a handle that is in use.
    pub(super) fn shell<S: Shell>(&self, handle: *mut S) -> Result<&S, Failure> {
        let Some(pointer) = NonNull::new(handle) else {
            return Err(Failure::invalid(format!("the {} is NULL", S::WHAT)));
        };
        if !pointer.is_aligned() {
            return Err(Failure::invalid(format!("the {} is not one that filedb made", S::WHAT)));
        }
        // SAFETY: the header's contract: a shell, in use or in quarantine; either stays readable during this call.
        let shell = unsafe { pointer.as_ref() };
        shell::check(shell)?;
        failpoint();
        Ok(shell)
    }

    /// The store behind a handle; it is the one to poison should this call panic.
    pub(super) fn store(&self, handle: *mut filedb) -> Result<&Db, Failure> {
        let db = self.shell(handle)?.db();
        self.blame(db);
        failpoint();
        Ok(db)
    }

    /// Names the store to poison should this call panic. It has to be in a shell that this call uses.
    pub(super) fn blame(&self, db: &Db) {
        self.store.set(Some(NonNull::from(db)));
    }

    /// Tells the store that a panic went through this call: something in it may be half done.
    pub(super) fn poison(&self, reason: &str) {
        if let Some(db) = self.store.get() {
            // SAFETY: it is in a shell that `shell` returned in this same call, which the shell outlives.
            unsafe { db.as_ref() }.poison(&format!("a bug in filedb was caught: {reason}"));
        }
    }

    /// Ends the use of a handle: the shell's own end comes first, then its quarantine, also where the end panics.
    pub(super) fn retire<S: Shell, R>(
        &self,
        handle: *mut S,
        end: impl FnOnce(&S) -> R,
    ) -> Result<R, Failure> {
        let shell = self.shell(handle)?;
        shell::give_up(shell)?;
        // The caller's own pointer: one made from a reference could not be used to free what it points to.
        let _at_the_end = NonNull::new(handle).map(Admission);
        Ok(end(shell))
    }

    /// Hands a pinned value out.
    pub(super) fn hand_out(&self, pinned: Pinned) -> filedb_pinned {
        let (data, len, pin) = pinned.into_raw();
        filedb_pinned { data: data.cast(), len, pin }
    }

    /// Takes a pinned value back, and zeroes the caller's struct so that a second time does nothing.
    pub(super) fn unpin(&self, pinned: *mut filedb_pinned) -> Result<(), Failure> {
        let place = present("pinned value", pinned)?;
        failpoint();
        // SAFETY: the header's contract; not NULL, aligned, and any bytes are a `Plain`.
        let taken = unsafe { place.read() };
        Out::zeroed(place, 1);
        if !taken.pin.is_null() {
            // SAFETY: the header's contract: `pin` is what `hand_out` put there, and nobody took it back before.
            unsafe { Pinned::drop_raw(taken.pin) };
        }
        Ok(())
    }

    /// Gives a block back that was handed out.
    pub(super) fn free(&self, memory: *mut c_void) {
        failpoint();
        // SAFETY: the header's contract: NULL, or what `Block::hand_out` returned and nobody gave back before.
        unsafe { libc::free(memory) }
    }
}

/// Puts a shell into its quarantine when this goes.
struct Admission<S: Shell>(NonNull<S>);

impl<S: Shell> Drop for Admission<S> {
    fn drop(&mut self) {
        S::quarantine().admit(self.0);
    }
}

fn present<T>(what: &str, pointer: *mut T) -> Result<NonNull<T>, Failure> {
    match NonNull::new(pointer) {
        Some(pointer) if pointer.is_aligned() => Ok(pointer),
        Some(_) => Err(Failure::invalid(format!("'{what}' is not aligned as its type has to be"))),
        None => Err(Failure::invalid(format!("'{what}' is NULL"))),
    }
}

fn present_many<T>(what: &str, pointer: *mut T, count: usize) -> Result<NonNull<T>, Failure> {
    // One bound for arrays of any type, so that a count that one array of a call cannot have is refused for all of
    // them, before any is written to.
    const LARGEST_ITEM: usize = 64;
    const { assert!(size_of::<T>() <= LARGEST_ITEM) };
    if count > isize::MAX as usize / LARGEST_ITEM {
        return Err(Failure::invalid(format!("'{what}' cannot have {count} items, no memory is so large")));
    }
    present(what, pointer)
}

/// How many bytes of the caller's struct may be written, and how many of those are message.
fn error_size(err: *mut filedb_error) -> Option<(usize, usize)> {
    struct_size(err).map(whole_members)
}

/// How large the caller says that its struct is; `None` where there is none.
#[inline]
fn struct_size(err: *mut filedb_error) -> Option<usize> {
    let err = NonNull::new(err).filter(|err| err.is_aligned())?;
    // SAFETY: the header's contract: there is at least the first member, and it says how much more there is.
    Some(unsafe { (&raw const (*err.as_ptr()).struct_size).read() } as usize)
}
