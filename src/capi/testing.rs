//! A panic on demand, for the test that links this library into one program with another Rust library. Exported with
//! the cargo feature `testing` only, and not in the header.

use super::error::filedb_error_t;
use super::guard;
use super::status::filedb_status_t;
use crate::sync::panics;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn filedb_testing_panic(err: *mut filedb_error_t) -> filedb_status_t {
    panics::keep_quiet();
    guard::enter(err, |_| panic!("somebody asked for it"))
}
