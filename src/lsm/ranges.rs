//! Deletes of ranges, arranged so that those of a key are found by halving.

use std::collections::BTreeMap;

use super::key::RangeDelete;
use crate::store::memory::{self, Refused};

/// See the module.
#[derive(Debug, Default)]
pub struct Ranges {
    /// All of them.
    pub all: Vec<RangeDelete>,
    /// Where each piece begins, and the sequence numbers of the deletes that it is in, newest first. The last piece is in none.
    pieces: Vec<(Vec<u8>, Vec<u64>)>,
}

impl Ranges {
    /// The deletes in `all`, for readers of any moment.
    #[cfg(test)]
    fn new(all: Vec<RangeDelete>) -> Result<Self, Refused> {
        Ranges::arranged(all, &|_, _| true)
    }

    /// The deletes in `all`, for readers that come after all of them.
    pub fn for_later(all: Vec<RangeDelete>) -> Result<Self, Refused> {
        Ranges::arranged(all, &|_, newer| newer.is_none())
    }

    /// The deletes in `all`, for those who ask whether one of `moments`, in their order, lies between a version and what came after it.
    pub fn between(all: Vec<RangeDelete>, moments: &[u64]) -> Result<Self, Refused> {
        Ranges::arranged(all, &|seq, newer| {
            newer.is_none_or(|newer| {
                let n = moments.partition_point(|moment| *moment < seq);
                moments.get(n).is_some_and(|moment| *moment < newer)
            })
        })
    }

    /// Of the deletes of a piece those stay of which `stays` says so, by their number and that of the next newer one.
    fn arranged(all: Vec<RangeDelete>, stays: &dyn Fn(u64, Option<u64>) -> bool) -> Result<Self, Refused> {
        // Where a delete begins, and where it ends, in the order of keys.
        let mut edges: Vec<(&[u8], u64, bool)> = memory::vec_with_room(2 * all.len())?;
        for range in all.iter().filter(|range| range.from < range.to) {
            edges.push((&range.from, range.seq, true));
            edges.push((&range.to, range.seq, false));
        }
        edges.sort_unstable();
        let mut open: BTreeMap<u64, usize> = BTreeMap::new();
        let mut pieces: Vec<(Vec<u8>, Vec<u64>)> = memory::vec_with_room(edges.len())?;
        for at in edges.chunk_by(|a, b| a.0 == b.0) {
            for (_, seq, begins) in at {
                let count = open.entry(*seq).or_default();
                *count = if *begins { *count + 1 } else { count.wrapping_sub(1) };
            }
            open.retain(|_, count| *count != 0);
            let (mut newer, mut seqs) = (None, Vec::new());
            for seq in open.keys().rev() {
                if stays(*seq, newer) {
                    memory::push(&mut seqs, *seq)?;
                }
                newer = Some(*seq);
            }
            if let Some((key, ..)) = at.first() {
                pieces.push((memory::copy_of(key)?, seqs));
            }
        }
        Ok(Ranges { all, pieces })
    }

    fn of(&self, key: &[u8]) -> &[u64] {
        let behind = self.pieces.partition_point(|(piece, _)| piece.as_slice() <= key);
        let piece = behind.checked_sub(1).and_then(|n| self.pieces.get(n));
        piece.map_or(&[], |(_, seqs)| seqs.as_slice())
    }

    /// The newest with `key` in it that a reader at `seq` sees; 0 for none.
    pub fn covering(&self, key: &[u8], seq: u64) -> u64 {
        self.of(key).iter().copied().find(|own| *own <= seq).unwrap_or(0)
    }

    /// The oldest with `key` in it that is newer than `seq`.
    pub fn first_after(&self, key: &[u8], seq: u64) -> Option<u64> {
        self.of(key).iter().copied().take_while(|own| *own > seq).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_covers_a_key_is_what_a_look_at_all_of_them_says() {
        let range =
            |from: &[u8], to: &[u8], seq| RangeDelete { id: 0, seq, from: from.to_vec(), to: to.to_vec() };
        let all = vec![
            range(b"b", b"f", 10),
            range(b"d", b"e", 20),
            range(b"d", b"h", 5),
            range(b"x", b"x", 30),
            range(b"z", b"y", 40),
        ];
        let ranges = Ranges::new(RangeDelete::copies(&all).unwrap()).unwrap();
        for key in [&b""[..], b"a", b"b", b"c", b"d", b"dd", b"e", b"f", b"g", b"h", b"x", b"y", b"z", b"zz"]
        {
            for seq in [0, 4, 5, 9, 10, 15, 20, 40, u64::MAX] {
                let holds = |range: &&RangeDelete| range.holds(key);
                let covering = all.iter().filter(holds).map(|r| r.seq).filter(|s| *s <= seq).max();
                assert_eq!(ranges.covering(key, seq), covering.unwrap_or(0), "{key:?} {seq}");
                let after = all.iter().filter(holds).map(|r| r.seq).filter(|s| *s > seq).min();
                assert_eq!(ranges.first_after(key, seq), after, "{key:?} {seq}");
            }
        }
        assert_eq!(Ranges::default().covering(b"a", 5), 0);
    }

    #[test]
    fn what_nobody_asks_for_is_left_out() {
        let range = |from: u8, to: u8, seq| RangeDelete { id: 0, seq, from: vec![from], to: vec![to] };
        // One in the other: the inner ones are the newer ones.
        let all: Vec<_> = (0..100u8).map(|n| range(n, 255 - n, u64::from(n) + 1)).collect();
        let later = Ranges::for_later(RangeDelete::copies(&all).unwrap()).unwrap();
        assert!(later.pieces.iter().all(|(_, seqs)| seqs.len() <= 1));
        let moments = [10, 50];
        let between = Ranges::between(RangeDelete::copies(&all).unwrap(), &moments).unwrap();
        assert!(between.pieces.iter().all(|(_, seqs)| seqs.len() <= 3));
        let whole = Ranges::new(all).unwrap();
        let is_seen = |seq, next: Option<u64>| {
            next.is_some_and(|next| moments.iter().any(|moment| seq <= *moment && *moment < next))
        };
        for key in 0..=255u8 {
            assert_eq!(later.covering(&[key], u64::MAX), whole.covering(&[key], u64::MAX), "{key}");
            for seq in 0..110 {
                let (one, other) = (between.first_after(&[key], seq), whole.first_after(&[key], seq));
                assert_eq!(
                    (one.is_some(), is_seen(seq, one)),
                    (other.is_some(), is_seen(seq, other)),
                    "{key} {seq}"
                );
            }
        }
    }
}
