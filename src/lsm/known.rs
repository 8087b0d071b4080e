//! Which keys a memtable may have: asked without its lock, so that a look at a key that it does not have costs one cache miss.
//!
//! The bits are those of a run's filter. They are set before the key is there, and never cleared.

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::format::run::filter;

/// The words of a line: all bits of a key are in one.
const WORDS: usize = filter::LINE / 8;

/// See the module.
#[derive(Default)]
pub struct Known {
    words: Vec<AtomicU64>,
    has_ranges: AtomicBool,
}

impl Known {
    /// For a memtable that is full with so many bytes. Where there is no memory for it, it knows nothing.
    pub fn new(memtable_size: usize) -> Self {
        // An entry takes 160 bytes at least: so a key has ten bits.
        let count = (memtable_size / 128 / filter::LINE).max(1) * WORDS;
        let mut words = Vec::new();
        if words.try_reserve_exact(count).is_ok() {
            words.resize_with(count, AtomicU64::default);
        }
        Known { words, has_ranges: AtomicBool::new(false) }
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        self.words.len() * 8
    }

    fn line(&self, hash: u64) -> &[AtomicU64] {
        let lines = self.words.len() / WORDS;
        if lines == 0 {
            return &[];
        }
        let start = filter::line_of(hash, lines) * WORDS;
        self.words.get(start..start + WORDS).unwrap_or_default()
    }

    /// A key with this hash comes.
    pub fn note(&self, hash: u64) {
        let line = self.line(hash);
        for bit in filter::bits_of(hash) {
            if let Some(word) = line.get(bit / 64) {
                // Who asks later than a write must see it, on any processor.
                word.fetch_or(1 << (bit % 64), Ordering::SeqCst);
            }
        }
    }

    /// The delete of a range comes.
    pub fn note_range(&self) {
        self.has_ranges.store(true, Ordering::SeqCst);
    }

    /// Whether there may be a delete of a range.
    pub fn may_have_ranges(&self) -> bool {
        self.has_ranges.load(Ordering::SeqCst)
    }

    /// Whether a key with this hash may be there, or a delete of a range.
    pub fn may_say_something(&self, hash: u64) -> bool {
        let line = self.line(hash);
        let is_set = |bit: usize| {
            line.get(bit / 64).is_none_or(|word| word.load(Ordering::SeqCst) & 1 << (bit % 64) != 0)
        };
        filter::bits_of(hash).all(is_set) || self.may_have_ranges()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::run::filter::tests::hash;

    #[test]
    fn no_key_that_came_is_denied_and_most_others_are() {
        let known = Known::new(1 << 20);
        let count = (1 << 20) / 230;
        (0..count).for_each(|n| known.note(hash(n)));
        assert!((0..count).all(|n| known.may_say_something(hash(n))));
        let wrong = (0..10_000).filter(|n| known.may_say_something(hash(n + (1 << 40)))).count();
        assert!(wrong < 200, "{wrong} of 10,000");
        assert!(Known::default().may_say_something(7), "nothing is known without memory");
        let known = Known::new(1 << 20);
        assert!(!known.may_say_something(7));
        known.note_range();
        assert!(known.may_say_something(7));
    }
}
