//! The C API: what `include/filedb.h` declares, one file per C type.
//!
//! A function here turns pointers into slices, calls one verb of [`crate::Db`], and turns the outcome into a status.
//! It decides nothing about storage. Two files carry the weight:
//!
//! * `guard.rs` is the border: every function is a plain signature around one closure given to `guard::enter`, which
//!   catches panics, writes the caller's `filedb_error_t` and returns the status.
//! * `handle.rs` does all the work on raw pointers. Its `Call` hands out what the caller lent us for exactly the
//!   length of the call, so that nothing borrowed from C can be kept by mistake.
//!
//! The text of the header is the documentation of the items here, plus the opening chapter, `manual.md`. It is
//! written for C programmers, which is why it names functions and statuses the way C spells them.

#![allow(non_camel_case_types, reason = "these are the names that C sees")]
#![allow(
    clippy::missing_safety_doc,
    reason = "one contract holds for all of them, and the header's opening chapter states it: pointers are NULL or \
              what the parameter's type says, lengths are true, and memory lent to a call is not changed during it"
)]

mod backup;
mod batch;
mod change;
mod changes;
mod check;
mod db;
mod error;
mod failpoint;
mod guard;
mod handle;
mod iter;
mod list;
mod log;
mod memory;
mod options;
mod pinned;
mod put_options;
mod range;
mod slice;
mod stats;
mod status;
#[cfg(feature = "testing")]
mod testing;
#[cfg(test)]
mod tests;
mod version;
