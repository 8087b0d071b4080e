//! `filedb_log_fn`: what a store reports about the work that it does by itself.

use super::error::filedb_error_t;
use super::guard;
use super::options::filedb_options_t;
use super::status::{FILEDB_OK, filedb_status_t};
use crate::LogLevel;
use crate::LogSink;
use std::ffi::{c_char, c_void};

/// Something failed that no call reports. Since 0.1.0.
pub const FILEDB_LOG_ERROR: i32 = 1;
/// Something is not as it should be, and was dealt with. Since 0.1.0.
pub const FILEDB_LOG_WARN: i32 = 2;
/// What the store does by itself: recovery, merges. Since 0.1.0.
pub const FILEDB_LOG_INFO: i32 = 3;
/// Every step of that. Since 0.1.0.
pub const FILEDB_LOG_DEBUG: i32 = 4;

/// What filedb_options_set_log() takes: one event, as `len` bytes of UTF-8 without a NUL behind them,
/// there until the function returns. It is called from any thread, also from several at once and
/// from within other calls: it must be quick, must not call the store, and must not throw or jump
/// out. Since 0.1.0.
pub type filedb_log_fn =
    Option<unsafe extern "C" fn(ctx: *mut c_void, level: i32, message: *const c_char, len: usize)>;

/// Has the events of the stores that are opened with these options reported to `function`, together
/// with `ctx`; up to the level that the option log_level says. NULL for the function: to nobody,
/// which is the default. filedb itself prints nothing.
///
/// `ctx` has to be there until filedb_close() of each of these stores has returned; no event comes
/// after that.
///
/// Returns FILEDB_OK, or
/// - FILEDB_ERR_INVALID_ARGUMENT: the options are NULL;
/// - FILEDB_ERR_CLOSED: they were freed.
///
/// Threads: any, several at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_options_set_log(
    options: *mut filedb_options_t,
    function: filedb_log_fn,
    ctx: *mut c_void,
    err: *mut filedb_error_t,
) -> filedb_status_t {
    guard::enter(err, |call| {
        let options = call.shell(options)?;
        let sink = function
            .map(|function| call.listener(function, ctx))
            .map(|listener| LogSink::new(move |level, message| listener.tell(number(level), message)));
        options.change(|options| options.log = sink.unwrap_or_default());
        Ok(FILEDB_OK)
    })
}

fn number(level: LogLevel) -> i32 {
    match level {
        LogLevel::Error => FILEDB_LOG_ERROR,
        LogLevel::Warn => FILEDB_LOG_WARN,
        LogLevel::Info => FILEDB_LOG_INFO,
        LogLevel::Debug => FILEDB_LOG_DEBUG,
    }
}
