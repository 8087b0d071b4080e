//! Keys as the ordered engine has them: those of the user's, and behind all of them those of the elements of collections.
//!
//! ```text
//! key     = 1 user's-key
//! element = 2 collection{u64, big-endian} position{i64 + 2^63, big-endian}
//! ```
//! So the order of the engine's keys is that of the user's keys, a walk through those never meets an element, and the elements of a list
//! lie side by side.

use std::ops::Bound;

use crate::format::Damage;
use crate::format::bytes::Reader;
use crate::index::KeyHash;
use crate::store::error::Result;
use crate::store::memory::{self, vec_with_room};
use crate::store::range::KeyRange;

/// What the engine's keys of the user's keys begin with.
pub const USER: u8 = 1;
const ELEMENT: u8 = 2;

pub use crate::format::ordered::{RangeDelete, decode_bounds};

/// The engine's key for a key of the user's.
pub fn of_user(key: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = vec_with_room(key.len() + 1)?;
    bytes.push(USER);
    bytes.extend_from_slice(key);
    Ok(bytes)
}

/// The user's key.
pub fn user_part(key: &[u8]) -> &[u8] {
    key.get(1..).unwrap_or_default()
}

/// The hash that filters have of a key, whose own hash this is.
pub fn filter_hash(hash: &KeyHash) -> u64 {
    hash.word.rotate_left(8) ^ u64::from(hash.root)
}

/// The list and the position of an element's key.
pub fn place_of_element(key: &[u8]) -> Option<(u64, i64)> {
    let position = key.get(9..)?.first_chunk::<8>()?;
    Some((list_of_element(key)?, (u64::from_be_bytes(*position) ^ 1 << 63) as i64))
}

/// Whether it is a key of the user's.
pub fn is_users(key: &[u8]) -> bool {
    key.first() == Some(&USER)
}

/// The engine's key for an element of a list.
pub fn of_element(id: u64, position: i64) -> [u8; 17] {
    let mut bytes = [ELEMENT; 17];
    bytes[1..9].copy_from_slice(&id.to_be_bytes());
    bytes[9..].copy_from_slice(&((position as u64) ^ 1 << 63).to_be_bytes());
    bytes
}

/// The number of the list of an element's key, or of the bound of a range of elements.
pub fn list_of_element(key: &[u8]) -> Option<u64> {
    let (tag, rest) = key.split_first()?;
    (*tag == ELEMENT).then(|| rest.first_chunk().map(|id| u64::from_be_bytes(*id))).flatten()
}

/// The engine's key for an element as the log names it.
pub fn of_logged_element(key: &[u8]) -> std::result::Result<[u8; 17], Damage> {
    let mut reader = Reader::new(key);
    let (id, position) = (reader.u64()?, reader.u64()? as i64);
    if reader.rest().is_empty() {
        Ok(of_element(id, position))
    } else {
        Err("the key of an element is too long")
    }
}

/// The delete of all elements of a list that is no more.
pub fn dead_list(id: u64, seq: u64) -> RangeDelete {
    let end = |id: u64| of_element(id, i64::MIN)[..9].to_vec();
    let to = id.checked_add(1).map_or_else(|| vec![ELEMENT + 1], end);
    RangeDelete { id: 0, seq, from: end(id), to }
}

/// The delete of all elements of lists from the first number on and before the second.
pub fn dead_lists(first: u64, behind: u64, seq: u64) -> RangeDelete {
    RangeDelete { from: dead_list(first, seq).from, ..dead_list(behind.saturating_sub(1), seq) }
}

/// Puts deletes of lists with neighbouring numbers together: nothing of such a list is newer than its delete.
pub fn join_dead_lists(ranges: &mut Vec<RangeDelete>) {
    ranges.sort_unstable_by(|a, b| a.from.cmp(&b.from));
    ranges.dedup_by(|next, last| {
        let joins = last.to >= next.from;
        if joins {
            last.seq = last.seq.max(next.seq);
            if next.to > last.to {
                last.to = std::mem::take(&mut next.to);
            }
        }
        joins
    });
}

/// The bounds of a range of the user's keys: from the first key on, and before the second.
pub fn bounds(range: &KeyRange<'_>) -> Result<(Vec<u8>, Vec<u8>)> {
    let behind = |key: &[u8]| -> Result<Vec<u8>> {
        let mut bytes = of_user(key)?;
        memory::push(&mut bytes, 0)?;
        Ok(bytes)
    };
    let from = match range.from {
        Bound::Unbounded => vec![USER],
        Bound::Included(key) => of_user(key)?,
        Bound::Excluded(key) => behind(key)?,
    };
    let to = match range.to {
        Bound::Unbounded => vec![USER + 1],
        Bound::Included(key) => behind(key)?,
        Bound::Excluded(key) => of_user(key)?,
    };
    Ok((from, to))
}

/// The bounds of the user's keys that begin with `prefix`.
pub fn prefix_bounds(prefix: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
    let from = of_user(prefix)?;
    let mut to = memory::copy_of(&from)?;
    // The last byte that can be larger becomes so; the first one is the tag, which can.
    while let Some(last) = to.pop() {
        if let Some(larger) = last.checked_add(1) {
            to.push(larger);
            break;
        }
    }
    Ok((from, to))
}

/// The bounds of a delete as the log has them: `from-len{u32} from to`.
pub fn encode_bounds(from: &[u8], to: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = vec_with_room(4 + from.len() + to.len())?;
    bytes.extend_from_slice(&(from.len() as u32).to_le_bytes());
    bytes.extend_from_slice(from);
    bytes.extend_from_slice(to);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_user_come_before_elements_and_both_keep_their_order() {
        let users =
            [&b""[..], b"\0", b"a", b"a\0", b"b", b"\xff", b"\xff\xff"].map(|key| of_user(key).unwrap());
        assert!(users.is_sorted());
        let elements = [(0, i64::MIN), (0, -1), (0, 0), (0, 1), (1, -5), (256, 0), (u64::MAX, i64::MAX)];
        let elements = elements.map(|(id, position)| of_element(id, position).to_vec());
        assert!(elements.is_sorted() && users.last() < elements.first());
        for (id, inside) in [(1, true), (2, false), (0, false)] {
            assert_eq!(dead_list(1, 9).holds(&of_element(id, 3)), inside);
        }
        assert!(dead_list(u64::MAX, 9).holds(&of_element(u64::MAX, i64::MAX)));
    }

    #[test]
    fn a_prefix_holds_what_begins_with_it() {
        for (prefix, inside, outside) in [
            (&b""[..], &b"anything"[..], None),
            (b"a", b"a\xff\xff", Some(&b"b"[..])),
            (b"a\xff", b"a\xff\xff", Some(b"b")),
            (b"\xff\xff", b"\xff\xff\xff", Some(b"\xff\xfe")),
        ] {
            let (from, to) = prefix_bounds(prefix).unwrap();
            let holds = |key: &[u8]| (&from[..]..&to[..]).contains(&&of_user(key).unwrap()[..]);
            assert!(holds(inside) && !outside.is_some_and(holds), "{prefix:?}");
        }
    }

    #[test]
    fn deletes_of_neighbouring_lists_become_one() {
        let mut ranges =
            vec![dead_list(3, 10), dead_list(1, 30), dead_list(2, 20), dead_list(9, 5), dead_list(2, 25)];
        join_dead_lists(&mut ranges);
        assert_eq!(ranges.len(), 2);
        assert_eq!((ranges[0].seq, ranges[1].seq), (30, 5));
        assert!(ranges[0].holds(&of_element(1, 0)) && ranges[0].holds(&of_element(3, 0)));
        assert!(!ranges[0].holds(&of_element(4, 0)));
    }
}
