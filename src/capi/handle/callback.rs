//! The caller's functions.

use super::Call;
use crate::capi::check::filedb_finding;
use crate::sync::thread::NotCancelled;
use std::ffi::{c_char, c_int, c_void};

/// A `filedb_fold_fn` that is not NULL.
type FoldFn = unsafe extern "C" fn(*mut c_void, *const c_void, usize, *const c_void, usize) -> c_int;
/// A `filedb_finding_fn` that is not NULL.
type FindingFn = unsafe extern "C" fn(*mut c_void, *const filedb_finding) -> c_int;
/// A `filedb_log_fn` that is not NULL.
type LogFn = unsafe extern "C" fn(*mut c_void, i32, *const c_char, usize);

impl Call {
    /// Calls the caller's function with a key and its value.
    pub(in crate::capi) fn show(
        &self,
        function: FoldFn,
        ctx: *mut c_void,
        key: &[u8],
        value: &[u8],
    ) -> c_int {
        // SAFETY: the header's contract: the function does what its type says, and does not unwind.
        unsafe { function(ctx, key.as_ptr().cast(), key.len(), value.as_ptr().cast(), value.len()) }
    }

    /// Calls the caller's function with a finding.
    pub(in crate::capi) fn show_finding(
        &self,
        function: FindingFn,
        ctx: *mut c_void,
        finding: &filedb_finding,
    ) -> c_int {
        // SAFETY: the header's contract: the function does what its type says, and does not unwind.
        unsafe { function(ctx, finding) }
    }

    /// A function of the caller's to be called later.
    pub(in crate::capi) fn listener(&self, function: LogFn, ctx: *mut c_void) -> Listener {
        Listener { function, ctx }
    }
}

/// A function that is told of events, from any thread.
pub(in crate::capi) struct Listener {
    function: LogFn,
    ctx: *mut c_void,
}

// SAFETY: the header's contract: the function may be called from any thread with this `ctx`.
unsafe impl Send for Listener {}
// SAFETY: as above, also from several at once.
unsafe impl Sync for Listener {}

impl Listener {
    pub(in crate::capi) fn tell(&self, level: i32, message: &str) {
        let _not_cancelled = NotCancelled::begin();
        // SAFETY: the header's contract: the function does what its type says, `ctx` is there, and it does not unwind.
        unsafe { (self.function)(self.ctx, level, message.as_ptr().cast(), message.len()) }
    }
}
