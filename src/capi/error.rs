//! `filedb_error_t`: the facts and the sentence behind a status, laid out in the caller's memory.
//!
//! Everything is composed in a fixed buffer, without an allocation, so that a lack of memory can be reported too.

use super::status::{
    FILEDB_CONFLICT, FILEDB_DONE, FILEDB_ERR_BUFFER_TOO_SMALL, FILEDB_GAP, FILEDB_NOT_FOUND, FILEDB_OK,
    FILEDB_TIMEOUT, filedb_status_t, sentence,
};
use crate::Error;
use std::ffi::c_char;
use std::fmt::{self, Write};
use std::mem::offset_of;

const MESSAGE_SIZE: usize = 256;

/// What went wrong, in the caller's memory. A pointer to it is the last argument of most functions;
/// NULL says "I do not care".
///
/// Begin with `filedb_error_t err = FILEDB_ERROR_INIT;`, which sets struct_size, or with `= {0}`. A
/// function writes only the members that lie wholly within struct_size bytes, so programs compiled against a
/// smaller or a larger version of this struct keep working. Every call that is given the struct
/// overwrites it, also when it succeeds. Since 0.1.0.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct filedb_error {
    /// sizeof(filedb_error_t), set by the caller and never changed by the library; 0 is the size that
    /// it has in version 0.1.0, 288 bytes.
    pub struct_size: u32,
    /// The status that the call returned; 0 after a success.
    pub code: i32,
    /// The operating system's error number (errno) where there is one, else 0.
    pub os_errno: i32,
    /// Always 0.
    pub reserved: u32,
    /// The number of the damaged data file with FILEDB_ERR_CORRUPT; 0 where it is another file.
    pub file_id: u64,
    /// The place of the damage in that file, in bytes, with FILEDB_ERR_CORRUPT.
    pub offset: u64,
    /// A sentence for people: UTF-8 in English, always ended by a NUL, cut to fit at a character's
    /// end. Empty after a success.
    pub message: [c_char; 256],
}

/// What went wrong, in the caller's memory. Since 0.1.0.
pub type filedb_error_t = filedb_error;

/// Why a call did not do what it says.
pub(super) enum Failure {
    /// The engine, or the check of an argument, says why.
    Engine(Error),
    /// The answer is larger than the caller's buffer, which only C can be told.
    BufferTooSmall { what: &'static str, size: usize, capacity: usize },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Engine(error)
    }
}

impl Failure {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Failure::Engine(Error::InvalidArgument { message: message.into() })
    }

    pub(super) fn code(&self) -> filedb_status_t {
        match self {
            Failure::Engine(error) => error.code(),
            Failure::BufferTooSmall { .. } => FILEDB_ERR_BUFFER_TOO_SMALL,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Engine(error) => error.fmt(f),
            Failure::BufferTooSmall { what, size, capacity } => {
                write!(f, "the {what} needs {size} bytes, the buffer has {capacity}")
            }
        }
    }
}

/// A filled struct, ready to be copied out.
pub(super) struct Report {
    pub(super) error: filedb_error,
    /// How many bytes of `message` are in use, with the NUL.
    pub(super) message_size: usize,
}

impl Report {
    /// What an outcome that is no error leaves in the struct. Composed at compile time, because every successful
    /// call copies one of these.
    pub(super) fn of_outcome(status: filedb_status_t) -> &'static Report {
        static OK: Report = outcome(FILEDB_OK);
        static NOT_FOUND: Report = outcome(FILEDB_NOT_FOUND);
        static CONFLICT: Report = outcome(FILEDB_CONFLICT);
        static DONE: Report = outcome(FILEDB_DONE);
        static GAP: Report = outcome(FILEDB_GAP);
        static TIMEOUT: Report = outcome(FILEDB_TIMEOUT);
        match status {
            FILEDB_NOT_FOUND => &NOT_FOUND,
            FILEDB_CONFLICT => &CONFLICT,
            FILEDB_DONE => &DONE,
            FILEDB_GAP => &GAP,
            FILEDB_TIMEOUT => &TIMEOUT,
            _ => &OK,
        }
    }

    /// The facts and the sentence of `failure`, its message cut to `message_room` bytes with the NUL.
    pub(super) fn of_failure(failure: &Failure, message_room: usize) -> Report {
        let mut error = EMPTY;
        error.code = failure.code();
        if let Failure::Engine(engine) = failure {
            error.os_errno = engine.os_errno();
            if let Some((file_id, offset)) = engine.place() {
                error.file_id = u64::from(file_id);
                error.offset = offset;
            }
        }
        let mut text = Text { bytes: &mut error.message, len: 0, room: message_room, full: false };
        // `Text` takes whatever it is given, so this fails only if a `Display` does; the text so far stays then.
        let _ = write!(text, "{failure}");
        let message_size = text.len + 1;
        Report { error, message_size }
    }
}

const EMPTY: filedb_error = filedb_error {
    struct_size: 0,
    code: 0,
    os_errno: 0,
    reserved: 0,
    file_id: 0,
    offset: 0,
    message: [0; MESSAGE_SIZE],
};

/// The message of an outcome that is no error has fewer bytes.
pub(super) const LONGEST_OUTCOME: usize = 40;

const fn outcome(status: filedb_status_t) -> Report {
    let mut error = EMPTY;
    error.code = status;
    let text = if status == FILEDB_OK { b"" } else { sentence(status).to_bytes() };
    assert!(text.len() < LONGEST_OUTCOME);
    let mut i = 0;
    while i < text.len() {
        error.message[i] = text[i] as c_char;
        i += 1;
    }
    Report { error, message_size: text.len() + 1 }
}

/// How many of the first `struct_size` bytes hold whole members, and how many of those are message. A size of 0 is that of the
/// first version.
pub(super) fn whole_members(struct_size: usize) -> (usize, usize) {
    const MESSAGE: usize = offset_of!(filedb_error, message);
    const FIRST_VERSION: usize = 288;
    const { assert!(FIRST_VERSION <= size_of::<filedb_error>()) };
    let struct_size = if struct_size == 0 { FIRST_VERSION } else { struct_size };
    const ENDS: [usize; 5] = [
        offset_of!(filedb_error, os_errno),
        offset_of!(filedb_error, reserved),
        offset_of!(filedb_error, file_id),
        offset_of!(filedb_error, offset),
        MESSAGE,
    ];
    if struct_size > MESSAGE {
        let message = (struct_size - MESSAGE).min(MESSAGE_SIZE);
        return (MESSAGE + message, message);
    }
    (ENDS.iter().copied().filter(|end| *end <= struct_size).max().unwrap_or(0), 0)
}

/// A message under construction: what does not fit is left out, and no character is cut in two.
struct Text<'a> {
    bytes: &'a mut [c_char; MESSAGE_SIZE],
    len: usize,
    room: usize,
    full: bool,
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.full {
            return Ok(());
        }
        // One byte stays for the NUL, which the zeroed buffer already holds.
        let free = self.room.min(MESSAGE_SIZE).saturating_sub(1).saturating_sub(self.len);
        let mut fits = text.len().min(free);
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        self.full = fits < text.len();
        for (place, byte) in self.bytes.iter_mut().skip(self.len).zip(text.bytes().take(fits)) {
            *place = byte as c_char;
        }
        self.len += fits;
        Ok(())
    }
}
