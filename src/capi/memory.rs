//! Giving back memory that the library handed out.

use super::guard;
use std::ffi::c_void;

/// Gives back memory that this library handed out: values of filedb_get() and its like, and the blocks of
/// filedb_list() and filedb_list_range(). NULL is fine.
///
/// The memory comes from malloc() of the C library that filedb is linked with; where the program
/// uses the same one, free() does as well.
///
/// Threads: any, at any time. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_free(memory: *mut c_void) {
    guard::enter_plain_fast((), |call| {
        call.free(memory);
        Ok(())
    });
}
