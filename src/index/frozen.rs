//! Keys that a clean close left, sorted by hash, in memory that the index need not make: it takes them over root by root.
//!
//! An opening that copies every key takes as long as the memory for that does. So the index begins with roots that are still
//! where the checkpoint has them. A lookup searches there; whoever changes a key takes its root over first, and readers do
//! so once their searches have cost about as much as that: they pay at most twice what the better of the two would have
//! cost (the ski rental problem; Karlin and others, 1986). Where a store has threads, one of them takes over the rest soon.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::segment::Pair;
use super::{Entry, KeyHash, OutOfMemory};

/// Keys by the first byte of their hashes, sorted, each as the two words of [`super::Index::export`]. They do not change.
pub trait Sorted: Send + Sync {
    /// How many keys a root has.
    fn len(&self, root: u8) -> usize;

    /// Shows the keys of a root to `visit`, in order, from the first on whose word is at least `from`, until that says false.
    fn visit(&self, root: u8, from: u64, visit: &mut dyn FnMut(Pair) -> bool);

    /// All keys were taken over. Somebody may still be looking at them.
    fn let_go(&self);
}

/// A search among keys where they are, of a few cache misses, costs about as much as taking over so many keys.
const KEYS_PER_SEARCH: usize = 64;

/// Keys that are still where they were found.
pub(super) struct Frozen {
    source: Box<dyn Sorted>,
    /// How often keys of each root were looked for.
    searches: [AtomicU32; 256],
    /// Roots from here on may not be taken over yet.
    next: AtomicUsize,
    /// How many are not.
    left: AtomicUsize,
}

impl Frozen {
    /// Keys of which so many roots are not empty.
    pub(super) fn new(source: Box<dyn Sorted>, roots: usize) -> Self {
        Frozen {
            source,
            searches: std::array::from_fn(|_| AtomicU32::new(0)),
            next: AtomicUsize::new(0),
            left: AtomicUsize::new(roots),
        }
    }

    /// The entry of a key.
    pub(super) fn find(&self, hash: KeyHash) -> Option<Entry> {
        let mut found = None;
        self.source.visit(hash.root, hash.word, &mut |(word, entry)| {
            let is_it = word == hash.word && (entry >> 56) as u8 == hash.fingerprint;
            found = if is_it { Entry::unpack(entry) } else { None };
            !is_it && word == hash.word
        });
        found
    }

    /// Whether so much was looked for in a root, this time included, that it is time to take it over.
    pub(super) fn is_searched_enough(&self, root: u8) -> bool {
        let before = self.searches[usize::from(root)].fetch_add(1, Ordering::Relaxed) as usize;
        before >= self.source.len(root) / KEYS_PER_SEARCH
    }

    /// Appends the keys of a root whose words are at least `from`.
    pub(super) fn collect(&self, root: u8, from: u64, out: &mut Vec<Pair>) {
        self.source.visit(root, from, &mut |pair| {
            out.push(pair);
            true
        });
    }

    /// The keys of a root, for which there is memory.
    pub(super) fn take(&self, root: u8) -> Result<Vec<Pair>, OutOfMemory> {
        let mut keys = Vec::new();
        keys.try_reserve_exact(self.source.len(root)).map_err(|_| OutOfMemory)?;
        self.collect(root, 0, &mut keys);
        // Somebody may have made them up.
        if !keys.is_sorted_by_key(|key| key.0) {
            keys.sort_unstable();
        }
        Ok(keys)
    }

    /// A root was taken over.
    pub(super) fn took_over(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.source.let_go();
        }
    }

    /// The first root that `is_pending` says is not taken over yet.
    pub(super) fn next(&self, is_pending: impl Fn(u8) -> bool) -> Option<u8> {
        let from = self.next.load(Ordering::Relaxed);
        let root = (from..=usize::from(u8::MAX)).find(|root| is_pending(*root as u8));
        self.next.store(root.unwrap_or(1 << 8), Ordering::Relaxed);
        root.map(|root| root as u8)
    }
}
