//! What there is to say about a write besides key and value.

use std::time::Duration;

/// More to say about a write than [`crate::Db::put`] does: `PutOptions::new().if_absent().ttl(Duration::from_secs(60))`.
///
/// Later versions may have more fields: a program that names them ends with `..PutOptions::default()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// The key expires so long from now, to the millisecond.
    pub ttl: Option<Duration>,
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

impl PutOptions {
    /// Nothing more than a plain put.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key expires so long from now.
    #[must_use]
    pub fn ttl(self, life: Duration) -> Self {
        PutOptions { ttl: Some(life), ..self }
    }

    /// Only if there is no such key.
    #[must_use]
    pub fn if_absent(self) -> Self {
        PutOptions { if_absent: true, ..self }
    }

    /// Only if there is such a key.
    #[must_use]
    pub fn if_present(self) -> Self {
        PutOptions { if_present: true, ..self }
    }

    /// The write is durable when the call returns.
    #[must_use]
    pub fn sync(self) -> Self {
        PutOptions { sync: true, ..self }
    }

    /// The key keeps the expiry that it has.
    #[must_use]
    pub fn keep_ttl(self) -> Self {
        PutOptions { keep_ttl: true, ..self }
    }
}

/// When a key expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Never.
    Forever,
    /// The key expires this long from now, in whole milliseconds.
    Left(Duration),
}

/// A life in milliseconds, as the log holds it: begun ones count whole, and what is longer than 64 bits hold is the longest that
/// they do.
pub fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_no_shorter_in_milliseconds_and_never_too_long() {
        let cases =
            [(0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2), (3_600_000_000_000, 3_600_000)];
        for (nanos, ms) in cases {
            assert_eq!(millis(Duration::from_nanos(nanos)), ms, "{nanos}");
        }
        assert_eq!(millis(Duration::from_millis(u64::MAX)), u64::MAX);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }
}
