//! `filedb_options_t`: options by name, read from and written to the one table in `crate::store::options`.

use super::error::{Failure, filedb_error_t};
use super::failpoint::failpoint;
use super::guard;
use super::handle::shell::{self, Quarantine, Shell};
use super::status::{FILEDB_DONE, FILEDB_OK, filedb_status_t};
use crate::store::options::{OPTIONS, Options};
use crate::sync::lock::Mutex;
use crate::sync::panics;
use std::ffi::{CStr, CString, c_char};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

/// The options to open a store with: make them with filedb_options_new(), set what should differ
/// from the defaults, give them to filedb_open(), free them. Threads may share them. Since 0.1.0.
pub struct filedb_options {
    tag: AtomicU64,
    /// Behind a lock, so that a program that shares options between threads gets one or the other value.
    options: Mutex<Options>,
}

/// The options to open a store with. Since 0.1.0.
pub type filedb_options_t = filedb_options;

impl Shell for filedb_options {
    const WHAT: &'static str = "options handle";
    const IN_USE: u64 = 0x6d1b_90e4_c35f_7a28;

    fn tag(&self) -> &AtomicU64 {
        &self.tag
    }

    fn quarantine() -> &'static Quarantine<Self> {
        static GIVEN_UP: Quarantine<filedb_options> = Quarantine::new();
        &GIVEN_UP
    }
}

impl filedb_options {
    /// Changes what no text can say.
    pub(super) fn change(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.options.lock());
    }

    /// A copy of the options as they are now.
    pub(super) fn read(&self) -> Options {
        self.options.lock().clone()
    }
}

/// Makes options that hold the defaults. They belong to the caller, who gives them to
/// filedb_options_free().
///
/// Returns NULL where there is no memory, and only then.
///
/// Threads: any, at any time. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn filedb_options_new() -> *mut filedb_options_t {
    panics::keep_quiet();
    guard::enter_plain(std::ptr::null_mut(), |_| {
        let tag = AtomicU64::new(filedb_options::IN_USE);
        shell::make(filedb_options { tag, options: Mutex::new(Options::default()) })
    })
}

/// Sets the option `name` to what `value` says. Both are text; the opening chapter lists the
/// options, and filedb_options_describe() lists them to programs. Sizes take units ("64MiB"), times
/// too ("15s"). A store that was opened with these options before does not change.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_INVALID_ARGUMENT: there is no such option, or it does not take this value (the
///   message says which, and what it takes; nothing changes then), or a pointer is NULL;
/// - FILEDB_ERR_CLOSED: the options were freed.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_options_set(
    options: *mut filedb_options_t,
    name: *const c_char,
    value: *const c_char,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let options = call.shell(options)?;
        let (name, value) = (call.text("name", name)?, call.text("value", value)?);
        // Text that is not UTF-8 is no name of ours and no value of any; the error shows it as well as it can.
        options.options.lock().set(&name.to_string_lossy(), &value.to_string_lossy())?;
        Ok(FILEDB_OK)
    })
}

/// Copies the value of the option `name` to `buffer` as text with a NUL, in the form that
/// filedb_options_set() takes. `*len` gets the length without the NUL.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_INVALID_ARGUMENT: there is no such option, or a pointer is NULL;
/// - FILEDB_ERR_BUFFER_TOO_SMALL: `*len` is set then too, and a buffer of `*len + 1` bytes is large
///   enough. (NULL, 0) for the buffer asks for the length;
/// - FILEDB_ERR_CLOSED: the options were freed.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_options_get(
    options: *const filedb_options_t,
    name: *const c_char,
    buffer: *mut c_char,
    capacity: usize,
    len: *mut usize,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let len = call.out("len", len)?;
        let options = call.shell(options.cast_mut())?;
        let name = call.text("name", name)?;
        let mut buffer = call.buffer(buffer.cast(), capacity)?;
        let mut text = options.read().get(&name.to_string_lossy())?;
        len.set(text.len());
        text.push('\0');
        buffer.fill("value of the option", text.as_bytes())?;
        Ok(FILEDB_OK)
    })
}

/// Tells about option number `i`, counted from 0: its name, what values it takes, and what it is
/// for. The texts are constant: never free them.
///
/// Returns FILEDB_OK, FILEDB_DONE past the last option (all three texts are NULL then), or
/// - FILEDB_ERR_INVALID_ARGUMENT: a pointer is NULL.
///
/// Threads: any, at any time. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_options_describe(
    i: usize,
    name: *mut *const c_char,
    values: *mut *const c_char,
    help: *mut *const c_char,
) -> filedb_status_t {
    guard::enter(std::ptr::null_mut(), |call| {
        let (name, values, help) =
            (call.out("name", name), call.out("values", values), call.out("help", help));
        let (name, values, help) = (name?, values?, help?);
        failpoint();
        let Some(option) = descriptions().get(i) else { return Ok(FILEDB_DONE) };
        name.set(option.name.as_ptr());
        values.set(option.values.as_ptr());
        help.set(option.help.as_ptr());
        Ok(FILEDB_OK)
    })
}

/// Frees options that filedb_options_new() made. Stores that were opened with them go on; NULL is
/// fine.
///
/// Threads: any, while no other uses these options. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_options_free(options: *mut filedb_options_t) {
    // The shell stays for a while; what it refers to does not.
    guard::enter_plain((), |call| {
        call.retire(options, |shell| shell.change(|options| *options = Options::default()))
    });
}

/// A row of the table of options as C reads it.
struct Description {
    name: CString,
    values: CString,
    help: CString,
}

/// The table with a NUL behind each text, made once.
fn descriptions() -> &'static [Description] {
    static TABLE: OnceLock<Vec<Description>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let text = |text: &str| CString::new(text).unwrap_or_else(|_| CStr::to_owned(c"?"));
        let row = |option: &crate::store::options::OptionInfo| Description {
            name: text(option.name),
            values: text(option.values),
            help: text(option.help),
        };
        OPTIONS.iter().map(row).collect()
    })
}

/// What `filedb_open` was given: the options, or NULL for the defaults.
pub(super) fn or_default(
    call: &super::handle::Call,
    options: *const filedb_options_t,
) -> Result<Options, Failure> {
    if options.is_null() {
        return Ok(Options::default());
    }
    Ok(call.shell(options.cast_mut())?.read())
}
