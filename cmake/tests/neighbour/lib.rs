//! A Rust static library like any other: its archive holds the whole runtime, with global names.

use std::panic;

/// Panics and catches it; 1 when that worked.
#[unsafe(no_mangle)]
pub extern "C" fn neighbour_catches_its_panic() -> i32 {
    panic::set_hook(Box::new(|_| ())); // on purpose, so not worth a message
    panic::catch_unwind(|| panic!("a panic in the neighbour")).is_err().into()
}
