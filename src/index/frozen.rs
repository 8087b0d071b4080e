//! Keys that a clean close left, sorted by hash, in memory that the index need not make: it takes them over root by root.
//!
//! An opening that copies every key takes as long as the memory for that does. So the index begins with roots that are still
//! where the checkpoint has them. A lookup searches there, in one to three microseconds; whoever changes a key takes its root over
//! first, and a thread takes over the rest soon ([`super::Index::prepare`]).

use crate::sync::atomic::{AtomicUsize, Ordering};

use super::segment::Pair;
use super::{Entry, KeyHash, Unavailable};
use crate::store::memory::{self, Refused};

/// Keys by the first byte of their hashes, sorted, each as the two words of [`super::Index::export`]. They do not change, but for what
/// [`Sorted::note`] adds.
pub trait Sorted: Send + Sync {
    /// How many keys a root has: about as many as [`Sorted::take`] gives, and always the same.
    fn len(&self, root: u8) -> usize;

    /// The entry of a key. It counts if the root was not taken over meanwhile.
    fn find(&self, hash: KeyHash) -> Option<Entry> {
        let mut found = None;
        self.visit(hash.root, hash.word, &mut |(word, entry)| {
            let is_it = word == hash.word && (entry >> 56) as u8 == hash.fingerprint;
            found = if is_it { Entry::unpack(entry) } else { None };
            !is_it && word == hash.word
        });
        found
    }

    /// Notes a newer version of a key, or a tombstone, beside what does not change. The caller has the root locked, and it is pending. False
    /// where nothing can be noted.
    fn note(&self, _hash: KeyHash, _entry: Entry) -> Result<bool, Refused> {
        Ok(false)
    }

    /// Shows the keys of a root to `visit`, in order, from the first on whose word is at least `from`, until that says false.
    /// Whether they are what they were is not looked at.
    fn visit(&self, root: u8, from: u64, visit: &mut dyn FnMut(Pair) -> bool);

    /// Appends all keys of a root, which are certainly what they were. The caller has the root locked.
    fn take(&self, root: u8, keys: &mut Vec<Pair>) -> Result<(), Unavailable>;

    /// What was taken of a root last is in the index now. The caller has the root locked still.
    fn took_over(&self, _root: u8) {}

    /// All keys were taken over. Somebody may still be looking at them.
    fn let_go(&self);
}

/// Keys that are still where they were found.
pub(super) struct Frozen {
    source: Box<dyn Sorted>,
    /// Roots from here on may not be taken over yet.
    next: AtomicUsize,
    /// How many are not.
    left: AtomicUsize,
}

impl Frozen {
    /// Keys of which so many roots are not empty.
    pub(super) fn new(source: Box<dyn Sorted>, roots: usize) -> Self {
        Frozen { source, next: AtomicUsize::new(0), left: AtomicUsize::new(roots) }
    }

    /// The entry of a key. It counts if the root was not taken over meanwhile.
    pub(super) fn find(&self, hash: KeyHash) -> Option<Entry> {
        self.source.find(hash)
    }

    /// How many keys a root was taken to have.
    pub(super) fn len(&self, root: u8) -> usize {
        self.source.len(root)
    }

    /// As [`Sorted::note`].
    pub(super) fn note(&self, hash: KeyHash, entry: Entry) -> Result<bool, Refused> {
        self.source.note(hash, entry)
    }

    /// Appends the keys of a root whose words are at least `from`, about `most` of them, and gives the word to go on at.
    pub(super) fn collect(
        &self,
        root: u8,
        from: u64,
        most: usize,
        out: &mut Vec<Pair>,
    ) -> Result<Option<u64>, Refused> {
        let (mut count, mut last, mut next, mut pushed) = (0, 0, None, Ok(()));
        self.source.visit(root, from, &mut |pair| {
            // Not in the middle of keys with the same word, and never back, whatever somebody made up.
            if count >= most && pair.0 > last {
                next = Some(pair.0);
                return false;
            }
            (count, last) = (count + 1, last.max(pair.0));
            pushed = memory::push(out, pair);
            pushed.is_ok()
        });
        pushed.map(|()| next)
    }

    /// The keys of a root, which are what was there when the index was made.
    pub(super) fn take(&self, root: u8) -> Result<Vec<Pair>, Unavailable> {
        let mut keys = memory::vec_with_room(self.source.len(root))?;
        self.source.take(root, &mut keys)?;
        // Somebody may have made them up.
        if !keys.is_sorted_by_key(|key| key.0) {
            keys.sort_unstable();
        }
        Ok(keys)
    }

    /// A root was taken over. The caller has it locked still.
    pub(super) fn took_over(&self, root: u8) {
        self.source.took_over(root);
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.source.let_go();
        }
    }

    /// The next root that `is_pending` says is not taken over yet: each once.
    pub(super) fn next(&self, is_pending: impl Fn(u8) -> bool) -> Option<u8> {
        let from = self.next.load(Ordering::Relaxed);
        let root = (from..=usize::from(u8::MAX)).find(|root| is_pending(*root as u8));
        self.next.store(root.map_or(1 << 8, |root| root + 1), Ordering::Relaxed);
        root.map(|root| root as u8)
    }
}
