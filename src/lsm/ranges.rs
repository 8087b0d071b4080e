//! Deletes of ranges, arranged so that those of a key are found by halving.

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
    /// These deletes.
    pub fn new(all: Vec<RangeDelete>) -> Result<Self, Refused> {
        let mut edges = memory::vec_with_room(2 * all.len())?;
        edges.extend(all.iter().flat_map(|range| [range.from.as_slice(), &range.to]));
        edges.sort_unstable();
        edges.dedup();
        let mut pieces: Vec<(Vec<u8>, Vec<u64>)> = memory::vec_with_room(edges.len())?;
        for edge in edges {
            pieces.push((memory::copy_of(edge)?, Vec::new()));
        }
        for range in &all {
            let place = |edge: &[u8]| pieces.partition_point(|(piece, _)| piece.as_slice() < edge);
            let (from, to) = (place(&range.from), place(&range.to));
            for (_, seqs) in pieces.iter_mut().take(to).skip(from) {
                memory::push(seqs, range.seq)?;
            }
        }
        for (_, seqs) in &mut pieces {
            seqs.sort_unstable_by(|a, b| b.cmp(a));
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
}
