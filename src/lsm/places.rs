//! Places for scans to go on from, which are numbers: the first bytes of a key and, where the keys before it begin so too, a number that
//! a small table has the whole key for.
//!
//! ```text
//! place = first 5 bytes of the key, the first one on top   number{24 bits}, 0 for none
//! ```
//! A number that the table has no more stands for the first key that begins with these bytes: keys are shown again then, and none is
//! left out.

use std::collections::VecDeque;

use crate::store::error::Result;
use crate::store::memory::copy_of;
use crate::sync::lock::Mutex;

/// The bits of a number.
const BITS: u32 = 24;
/// How many keys are kept, and how many bytes of them.
const MOST_KEYS: usize = 1024;
const MOST_BYTES: usize = 4 << 20;

#[derive(Default)]
struct Kept {
    /// The place, and its key; the oldest first.
    keys: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
    last_number: u64,
}

/// See the module.
#[derive(Default)]
pub struct Places {
    kept: Mutex<Kept>,
}

/// The first bytes of a key as a place.
pub fn first_bytes(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (byte, own) in bytes[..5].iter_mut().zip(key) {
        *byte = *own;
    }
    u64::from_be_bytes(bytes)
}

impl Places {
    /// The place of a key; the one shown before it had these first bytes.
    pub fn place_of(&self, key: &[u8], before: Option<u64>) -> Result<u64> {
        let first = first_bytes(key);
        if before != Some(first) {
            return Ok(first);
        }
        let copy = copy_of(key)?;
        let mut kept = self.kept.lock();
        kept.last_number = kept.last_number % ((1 << BITS) - 1) + 1;
        let place = first | kept.last_number;
        kept.bytes += copy.len();
        kept.keys.push_back((place, copy));
        while kept.keys.len() > MOST_KEYS || (kept.bytes > MOST_BYTES && kept.keys.len() > 1) {
            let Some((_, oldest)) = kept.keys.pop_front() else { break };
            kept.bytes -= oldest.len();
        }
        Ok(place)
    }

    /// The key to go on from.
    pub fn key_of(&self, place: u64) -> Result<Vec<u8>> {
        let kept = self.kept.lock();
        if let Some((_, key)) = kept.keys.iter().rev().find(|(own, _)| *own == place) {
            return Ok(copy_of(key)?);
        }
        // Without the zeros at the end: the key may be shorter.
        let mut bytes = place.to_be_bytes()[..5].to_vec();
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_that_of_its_key_or_of_the_first_that_begins_like_it() {
        let places = Places::default();
        let plain = places.place_of(b"user:1", Some(first_bytes(b"table:9"))).unwrap();
        assert_eq!(places.key_of(plain).unwrap(), b"user:");
        let within = places.place_of(b"user:1", Some(first_bytes(b"user:0"))).unwrap();
        assert_eq!(places.key_of(within).unwrap(), b"user:1");
        for n in 0..2 * MOST_KEYS {
            let key = format!("user:{n}").into_bytes();
            let place = places.place_of(&key, Some(first_bytes(&key))).unwrap();
            assert_eq!(places.key_of(place).unwrap(), key);
        }
        assert_eq!(places.key_of(within).unwrap(), b"user:", "it is not kept any more");
        assert_eq!(
            (places.key_of(0).unwrap(), places.key_of(first_bytes(b"a\0b")).unwrap()),
            (vec![], b"a\0b".to_vec())
        );
        let long = vec![1; 60_000];
        for _ in 0..200 {
            places.place_of(&long, Some(first_bytes(&long))).unwrap();
        }
        assert!(places.kept.lock().bytes <= MOST_BYTES);
    }
}
