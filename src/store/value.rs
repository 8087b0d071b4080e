//! What a key can hold, and what a change in one step does with it.

use std::ops::Range;

use crate::store::error::{Error, Result};

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A value: bytes.
    Value,
    /// A list of values.
    List,
}

/// What a key has, for who looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What it holds.
    pub holds: Type,
    /// The value; empty for a list.
    pub value: &'a [u8],
    /// The number of elements; 0 for a value.
    pub length: u64,
    /// The time of the store at which it expires, in milliseconds since 1970: see [`crate::Db::now_ms`].
    pub expiry_ms: Option<u64>,
}

/// The value of a key for who looks at many: `None` where there is no such key.
pub type Shown<'a> = Result<Option<&'a [u8]>>;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where index 0 is.
    Front,
    /// Where index -1 is.
    Back,
}

/// What becomes of a value that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The value stays as it is.
    Keep,
    /// The value is replaced; the key keeps its expiry.
    Put(Vec<u8>),
    /// The key is taken away.
    Delete,
}

/// The elements from index `first` to `last`, both included and counted from the end where negative, of a list of `length`: how
/// many are before them, and how many they are. As Redis counts: what lies outside is left out.
pub fn clamp_range(length: u64, first: i64, last: i64) -> (u64, u64) {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let from_front = |index: i64| if index < 0 { length.saturating_add(index) } else { index };
    let (first, last) = (from_front(first).max(0), from_front(last).min(length - 1));
    if first > last { (0, 0) } else { (first as u64, (last - first + 1) as u64) }
}

/// The position of the element at an end of a list that has these positions.
pub fn position_at(positions: Range<i64>, end: End) -> i64 {
    match end {
        End::Front => positions.start,
        End::Back => positions.end.wrapping_sub(1),
    }
}

/// The place of the element with this index, counted from the end where negative; `None` where there is none.
pub fn place_of(length: u64, index: i64) -> Option<u64> {
    let place = if index < 0 { length.checked_sub(index.unsigned_abs())? } else { index as u64 };
    (place < length).then_some(place)
}

/// A value as a number in decimal text, and the number that it becomes.
pub fn incremented(value: Option<&[u8]>, by: i64) -> Result<i64> {
    let number = match value {
        None => 0,
        Some(text) => std::str::from_utf8(text)
            .ok()
            .filter(|text| !text.starts_with('+'))
            .and_then(|text| text.parse::<i64>().ok())
            .ok_or_else(|| {
                Error::invalid("the value is not a number in decimal text, or it is out of range")
            })?,
    };
    number
        .checked_add(by)
        .ok_or_else(|| Error::invalid("the sum is out of range: a number has 64 bits with its sign"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_count_from_both_ends_and_leave_out_what_is_not_there() {
        for (range, expected) in [
            ((5, 0, -1), (0, 5)),
            ((5, 1, 3), (1, 3)),
            ((5, -2, -1), (3, 2)),
            ((5, -100, 100), (0, 5)),
            ((5, 3, 2), (0, 0)),
            ((5, 5, 9), (0, 0)),
            ((0, 0, -1), (0, 0)),
            ((5, i64::MIN, i64::MAX), (0, 5)),
            ((5, i64::MAX, i64::MIN), (0, 0)),
        ] {
            assert_eq!(clamp_range(range.0, range.1, range.2), expected, "{range:?}");
        }
        assert_eq!(place_of(3, -1), Some(2));
        assert_eq!(place_of(3, -4), None);
        assert_eq!(place_of(3, 3), None);
        assert_eq!(place_of(3, i64::MIN), None);
    }

    #[test]
    fn numbers_are_decimal_text_within_64_bits() {
        assert_eq!(incremented(None, 5).unwrap(), 5);
        assert_eq!(incremented(Some(b"-7"), 5).unwrap(), -2);
        for bad in [&b""[..], b"x", b"+1", b" 1", b"9223372036854775808", b"\xff"] {
            assert!(incremented(Some(bad), 1).is_err(), "{bad:?}");
        }
        assert!(incremented(Some(b"9223372036854775807"), 1).is_err());
    }
}
