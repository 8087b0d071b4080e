//! What the targets in src/bin do with the bytes that a fuzzer makes. `tests/corpus.rs` and `server/tests/corpus.rs` do the same with the bytes in
//! corpus/, which are those that found something, and some to begin with.

pub mod formats;
pub mod requests;
pub mod stores;

/// The parser of filedb-server, without the server and all that it needs.
#[path = "../../server/src/resp"]
pub mod resp {
    pub mod inline;
    pub mod request;
}
