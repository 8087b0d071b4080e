//! A small, dense table from hashes of keys to times: 16 bytes a line, never more than 24 with the empty slots.
//!
//! Linear probing in the order of the hashes, as in a segment of the index: the home of a line is proportional to its hash. The
//! table grows and shrinks by an eighth, into new memory, which a line is moved to about eight times in all.

use std::collections::TryReserveError;

use crate::index::KeyHash;

/// The size of a line.
pub const LINE_SIZE: u64 = size_of::<Line>() as u64;

/// Of 128 homes so many are used at most, at least, and after growing or shrinking.
const MOST: usize = 110;
const LEAST: usize = 87;
const WANTED: usize = 98;

/// How many slots there are behind the last home: clusters may grow into them.
const SPARE: usize = 8;
/// Smaller tables do not shrink.
const SMALL: usize = 32;

const EXPIRY_BITS: u32 = 56;
/// The time that stands for never; outside it is `u64::MAX`.
const LATEST: u64 = (1 << EXPIRY_BITS) - 1;

/// The middle of a hash, and the fingerprint above the time; a time is never 0, so that a line never is.
#[derive(Clone, Copy, Default)]
struct Line {
    word: u64,
    rest: u64,
}

impl Line {
    fn new(hash: KeyHash, expiry_ms: u64) -> Self {
        Line { word: hash.word, rest: u64::from(hash.fingerprint) << EXPIRY_BITS | expiry_ms.min(LATEST) }
    }

    fn is_empty(self) -> bool {
        self.rest == 0
    }

    fn fingerprint(self) -> u8 {
        (self.rest >> EXPIRY_BITS) as u8
    }

    fn expiry_ms(self) -> u64 {
        let expiry_ms = self.rest & LATEST;
        if expiry_ms == LATEST { u64::MAX } else { expiry_ms }
    }
}

/// See the module.
#[derive(Default)]
pub struct Table {
    slots: Vec<Line>,
    /// How many of the slots are homes; lines of a cluster at the end stand behind them.
    homes: usize,
    len: usize,
    /// Room was made for so many lines, some of which may be there by now.
    promised: usize,
}

impl Table {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn bytes(&self) -> u64 {
        self.slots.capacity() as u64 * LINE_SIZE
    }

    /// Makes room for so many more lines, beside what room was made for and not given up.
    pub fn make_room(&mut self, more: usize) -> Result<(), TryReserveError> {
        let promised = self.promised + more;
        let is_dense = (self.len + promised) * 128 > self.homes * MOST;
        // In the worst case all of them push the last cluster on.
        let has_end =
            || self.slots.iter().rev().take(promised).filter(|line| line.is_empty()).count() == promised;
        if is_dense || !has_end() {
            self.lay_out(promised)?;
        }
        self.promised = promised;
        Ok(())
    }

    /// Lines that room was made for have come, or will not.
    pub fn give_up_room(&mut self, lines: usize) {
        self.promised -= lines;
        self.fit();
    }

    /// Moves all lines to a table in which there is room for so many more.
    fn lay_out(&mut self, more: usize) -> Result<(), TryReserveError> {
        let homes = (self.len + more) * 128 / WANTED + 1;
        let lines = || self.slots.iter().filter(|line| !line.is_empty());
        let end = lines().fold(0, |next, line| home(line.word, homes).max(next) + 1);
        let mut slots = Vec::new();
        slots.try_reserve_exact(end.max(homes) + more.max(SPARE))?;
        let mut next = 0;
        for line in lines() {
            let at = home(line.word, homes).max(next);
            slots.resize(at, Line::default());
            slots.push(*line);
            next = at + 1;
        }
        slots.resize(slots.capacity(), Line::default());
        (self.slots, self.homes) = (slots, homes);
        Ok(())
    }

    /// Where the line of a hash is, or else where it would be.
    fn find(&self, hash: KeyHash) -> Result<usize, usize> {
        let mut at = home(hash.word, self.homes);
        while let Some(line) = self.slots.get(at).filter(|line| !line.is_empty() && line.word <= hash.word) {
            if line.word == hash.word && line.fingerprint() == hash.fingerprint {
                return Ok(at);
            }
            at += 1;
        }
        Err(at)
    }

    pub fn get(&self, hash: KeyHash) -> Option<u64> {
        self.find(hash).ok().map(|at| self.slots[at].expiry_ms())
    }

    /// Replaces a line, or inserts it where there is room: without room, and without memory for it, there will be none.
    pub fn set(&mut self, hash: KeyHash, expiry_ms: u64) {
        match self.find(hash) {
            Ok(at) => self.slots[at] = Line::new(hash, expiry_ms),
            Err(mut at) => {
                let mut cluster = self.cluster_at(at);
                if at + cluster >= self.slots.len() {
                    if self.lay_out(self.promised + 1).is_err() {
                        return;
                    }
                    at = self.find(hash).unwrap_or_else(|at| at);
                    cluster = self.cluster_at(at);
                }
                self.slots.copy_within(at..at + cluster, at + 1);
                self.slots[at] = Line::new(hash, expiry_ms);
                self.len += 1;
            }
        }
    }

    /// How many lines stand next to each other from a slot on.
    fn cluster_at(&self, at: usize) -> usize {
        self.slots[at..].iter().take_while(|line| !line.is_empty()).count()
    }

    pub fn remove(&mut self, hash: KeyHash) {
        let Ok(at) = self.find(hash) else { return };
        // Close the gap with all that stands behind its home.
        let behind = self.slots[at + 1..].iter().zip(at..);
        let moved = behind
            .take_while(|(line, before)| !line.is_empty() && home(line.word, self.homes) <= *before)
            .count();
        self.slots.copy_within(at + 1..at + 1 + moved, at);
        self.slots[at + moved] = Line::default();
        self.len -= 1;
        self.fit();
    }

    /// Gives memory back that is not needed.
    fn fit(&mut self) {
        let lines = self.len + self.promised;
        if lines == 0 {
            *self = Table::default();
        } else if self.homes > SMALL && lines * 128 < self.homes * LEAST {
            // Without memory for it now, the next time will do.
            let _ = self.lay_out(self.promised);
        }
    }

    /// Shows the lines whose words are at least `from` to `visit`, in the order of their words, until that is done or so many slots
    /// were looked at: then it gives the word to go on at.
    pub fn visit(&self, from: u64, most: usize, mut visit: impl FnMut(u64, u8, u64)) -> Option<u64> {
        let begin = home(from, self.homes).min(self.slots.len());
        let (mut looked_at, mut last) = (0, None);
        for line in &self.slots[begin..] {
            looked_at += 1;
            if line.is_empty() || line.word < from {
                continue;
            }
            // Never between two lines with the same word.
            if looked_at > most && last.is_some_and(|last| last < line.word) {
                return Some(line.word);
            }
            visit(line.word, line.fingerprint(), line.expiry_ms());
            last = Some(line.word);
        }
        None
    }
}

/// The slot where the search for a word begins.
fn home(word: u64, homes: usize) -> usize {
    ((u128::from(word) * homes as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Numbers that are the same in every run.
    fn numbers(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state ^ state >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
        }
    }

    fn hash(word: u64, fingerprint: u8) -> KeyHash {
        KeyHash { root: 0, word, fingerprint }
    }

    fn contents(table: &Table) -> Vec<(u64, u8, u64)> {
        let mut all = Vec::new();
        assert_eq!(table.visit(0, usize::MAX, |word, print, expiry| all.push((word, print, expiry))), None);
        all
    }

    #[test]
    fn lines_are_set_replaced_and_removed_as_in_a_map() {
        for seed in 0..60 {
            let mut next = numbers(seed);
            // Words that are spread, and words that all have one home, at the front, in the middle or at the very end.
            let narrow = [u64::MAX, 63, 255][seed as usize % 3];
            let base = [0, 1 << 63, u64::MAX - 255][seed as usize / 3 % 3];
            let (mut table, mut map) = (Table::default(), BTreeMap::new());
            for step in 0..3_000 {
                let word =
                    if narrow == u64::MAX { next() % 500 * (u64::MAX / 500) } else { base + next() % narrow };
                let (print, expiry) = ((next() % 3) as u8, 1 + next() % 1_000_000);
                let grows = step / 700 % 2 == 0;
                if next() % 8 < if grows { 6 } else { 2 } {
                    table.make_room(1).unwrap();
                    table.set(hash(word, print), expiry);
                    table.give_up_room(1);
                    map.insert((word, print), expiry);
                } else {
                    table.remove(hash(word, print));
                    map.remove(&(word, print));
                }
                assert_eq!(table.len(), map.len());
                assert_eq!(table.get(hash(word, print)), map.get(&(word, print)).copied());
                if step % 97 == 0 {
                    let mut all = contents(&table);
                    // Those with one word are in any order.
                    assert!(all.is_sorted_by_key(|(word, ..)| *word));
                    all.sort();
                    assert!(all.into_iter().eq(map.iter().map(|((word, print), at)| (*word, *print, *at))));
                }
            }
        }
    }

    #[test]
    fn a_walk_in_pieces_shows_each_line_once() {
        let (mut next, mut table) = (numbers(1), Table::default());
        for n in 0..2_000u64 {
            let word = if n % 7 == 0 { 9 << 60 } else { next() };
            table.set(hash(word, (n % 256) as u8), n + 1);
        }
        let all = contents(&table);
        for most in [1, 2, 50, 1_999, 5_000] {
            let (mut seen, mut from) = (Vec::new(), Some(0));
            while let Some(word) = from {
                from = table.visit(word, most, |word, print, expiry| seen.push((word, print, expiry)));
            }
            assert!(seen == all, "{most} at once");
        }
    }

    #[test]
    fn a_line_never_takes_more_than_24_bytes_whether_there_come_more_or_go_some() {
        let (mut next, mut table) = (numbers(2), Table::default());
        let mut words: Vec<u64> = (0..20_000).map(|_| next()).collect();
        let check = |table: &Table| {
            // And a little for a table that has few.
            let (bytes, lines) = (table.bytes(), table.len());
            assert!(bytes <= lines as u64 * 24 + 640, "{bytes} bytes for {lines} lines");
        };
        for word in &words {
            table.make_room(1).unwrap();
            table.set(hash(*word, 7), 1);
            table.give_up_room(1);
            check(&table);
        }
        while let Some(word) = words.pop() {
            table.remove(hash(word, 7));
            check(&table);
        }
        assert_eq!(table.bytes(), 0);
    }

    #[test]
    fn many_lines_that_room_was_made_for_at_once_have_it_wherever_they_go() {
        for word in [0, 1 << 60, u64::MAX - 600] {
            let mut table = Table::default();
            for round in 0..5u64 {
                table.make_room(100).unwrap();
                let room = table.bytes();
                for n in 0..100 {
                    table.set(hash(word + round * 100 + n, 0), 1);
                    if n % 3 == 0 {
                        table.remove(hash(word + round * 100 + n, 0));
                        table.set(hash(word + round * 100 + n, 0), 1);
                    }
                }
                assert_eq!(table.bytes(), room);
                table.give_up_room(100);
            }
            assert_eq!(contents(&table).len(), 500);
        }
    }
}
