//! The Bloom filter of a run: says of most keys that are not in it that they are not, and of none that is (Bloom, 1970).
//!
//! All bits of a key are in one line of 512, so that a question costs one cache miss (Putze, Sanders and Singler, 2007).

use crate::store::memory::{self, Refused};

/// The bytes of a line.
pub const LINE: usize = 64;
const BITS_PER_KEY: usize = 10;
const PROBES: u32 = 6;

/// The bytes of the filter of so many keys.
pub fn size(keys: usize) -> usize {
    keys.saturating_mul(BITS_PER_KEY).div_ceil(LINE * 8).max(1) * LINE
}

/// The filter of keys with these hashes.
pub fn build(hashes: &[u64]) -> Result<Vec<u8>, Refused> {
    let mut bits = memory::vec_of(0, size(hashes.len()))?;
    let lines = bits.len() / LINE;
    for hash in hashes {
        if let Some(line) = bits.chunks_exact_mut(LINE).nth(line_of(*hash, lines)) {
            for bit in bits_of(*hash) {
                if let Some(byte) = line.get_mut(bit / 8) {
                    *byte |= 1 << (bit % 8);
                }
            }
        }
    }
    Ok(bits)
}

/// Whether a key with this hash may be among those that the filter was made of. A filter without bits knows nothing.
#[inline]
pub fn may_hold(filter: &[u8], hash: u64) -> bool {
    if seeded_bug!("filter-denies-a-key") && hash.is_multiple_of(16) {
        return false;
    }
    let lines = filter.len() / LINE;
    if lines == 0 {
        return true;
    }
    let start = line_of(hash, lines) * LINE;
    let Some(line) = filter.get(start..start + LINE) else { return true };
    bits_of(hash).all(|bit| line.get(bit / 8).is_none_or(|byte| byte & 1 << (bit % 8) != 0))
}

/// The line that a hash belongs to.
pub fn line_of(hash: u64, lines: usize) -> usize {
    (((hash >> 32) * lines as u64) >> 32) as usize
}

/// The bits of a hash in its line.
pub fn bits_of(hash: u64) -> impl Iterator<Item = usize> {
    let (first, step) = (hash as u32, ((hash as u32).rotate_left(15)).wrapping_mul(0x9e37_79b1) | 1);
    (0..PROBES).map(move |n| (first.wrapping_add(step.wrapping_mul(n)) >> 23) as usize)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// As even as the hash of keys is: the finish of splitmix64 (Steele et al., 2014).
    pub fn hash(n: u64) -> u64 {
        let mut x = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    #[test]
    fn no_key_is_denied_and_few_others_are_let_through() {
        for count in [0, 1, 100, 100_000] {
            let filter = build(&(0..count).map(hash).collect::<Vec<_>>()).unwrap();
            assert!((0..count).all(|n| may_hold(&filter, hash(n))));
            let wrong = (0..100_000).filter(|n| may_hold(&filter, hash(n + 1_000_000))).count();
            assert!(wrong < 2_500, "{wrong} of 100,000 with {count} keys");
        }
        assert!(may_hold(&[], 5), "nothing is known without a filter");
    }
}
