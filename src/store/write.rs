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

/// When a key that is written expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// Never.
    #[default]
    Never,
    /// This many milliseconds after the write.
    After(u64),
    /// At this time of the store, in milliseconds since 1970: see [`crate::Db::now_ms`].
    At(u64),
}

impl Expiry {
    /// The time of the store at which a key expires that is written at `now_ms`.
    pub(crate) fn time_ms(self, now_ms: u64) -> Option<u64> {
        match self {
            Expiry::Never => None,
            Expiry::After(ttl_ms) => Some(now_ms.saturating_add(ttl_ms)),
            Expiry::At(time_ms) => Some(time_ms),
        }
    }
}

/// When a key expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Never.
    Forever,
    /// This many milliseconds from now.
    Ms(u64),
}
