//! What there is to say about a write besides key and value.

/// More to say about a write than [`crate::Db::put`] does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// The key expires this many milliseconds from now.
    pub ttl_ms: Option<u64>,
    /// Only if there is no such key.
    pub if_absent: bool,
    /// Only if there is such a key.
    pub if_present: bool,
    /// The write is durable when the call returns, whatever the store's `sync` says.
    pub sync: bool,
    /// The key keeps the expiry that it has.
    pub keep_ttl: bool,
}

/// When a key expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Never.
    Forever,
    /// This many milliseconds from now.
    Ms(u64),
}
