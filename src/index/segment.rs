//! A segment: the slots of all keys whose hashes begin with the same bits, in the order of their hashes.
//!
//! Linear probing in which every cluster is sorted: a key's home is proportional to its hash, so the whole table is in
//! hash order, a lookup ends at the first larger hash, and growing or splitting a segment is a merge of sorted runs.
//! A segment has 1 to 8 blocks of slots and grows a block at a time; with 8 full ones it splits in two. So the load is
//! never below two thirds once a segment is past its fourth block: 24 bytes per key (the idea of growing in parts is
//! Larson's "partial expansions" for linear hashing, VLDB 1980).
//!
//! Writers hold the segment's lock. Readers hold nothing: they read the version, the slots, and the version again (a
//! sequence lock). Replacing an entry in place is a single store and does not change the version.

use crate::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
use std::ptr;

use super::arena::{Arena, BLOCK_SLOTS, Block, Slot};
use super::entry::Entry;
use super::hash::KeyHash;
use crate::store::memory::{self, Refused};
use crate::sync::lock::Mutex;

/// The most blocks that a segment has.
pub(super) const MAX_BLOCKS: usize = 8;
/// Slots at the end that are no key's home, for clusters that run over.
const SPARE: usize = if BLOCK_SLOTS < 1024 { BLOCK_SLOTS / 4 } else { 32 };
/// A segment grows when more than this part of its slots (of 256) is used.
const MAX_LOAD_256: usize = 220;

/// How many slots are looked at until the keys in them are put where they are wanted.
const TAKEN_AT_ONCE: usize = 64;

/// The most bits that the hashes of a segment share: two to the power of this many segments take 2^32 keys
/// and far more. Hashes of keys never come near; those in a file that somebody made up may.
pub(super) const MAX_DEPTH: u32 = 27;

/// The version of a segment whose keys are not in it yet. Odd, as where slots are moving.
const PENDING: u64 = u64::MAX;

/// What only the holder of the lock looks at.
pub(super) struct Writing {
    /// Keys in the segment.
    pub(super) len: usize,
    /// Whether the last slot is used, so that no key can be pushed any further. Known here, it need not be loaded.
    is_end_used: bool,
}

#[repr(align(64))]
pub(super) struct Segment {
    /// Even, and changed by every write that moves slots; [`PENDING`] at first where keys are still elsewhere.
    version: AtomicU64,
    /// How many leading bits of the hash all keys here share, and those bits at the top of a word.
    depth: AtomicU32,
    blocks: AtomicU32,
    prefix: AtomicU64,
    block: [AtomicPtr<Block>; MAX_BLOCKS],
    pub(super) writing: Mutex<Writing>,
}

/// One key of a segment outside of it, as two words: see [`super::Index::export`].
pub type Pair = (u64, u64);

impl Segment {
    /// A segment with one empty block.
    pub(super) fn new(depth: u32, prefix: u64, arena: &Arena) -> Option<Box<Self>> {
        let segment = memory::boxed(Segment {
            version: AtomicU64::new(0),
            depth: AtomicU32::new(depth),
            blocks: AtomicU32::new(1),
            prefix: AtomicU64::new(prefix),
            block: Default::default(),
            writing: Mutex::new(Writing { len: 0, is_end_used: false }),
        });
        let segment = segment.ok()?;
        segment.block[0].store(arena.allocate()?.as_ptr(), Ordering::Relaxed);
        Some(segment)
    }

    /// The segment, now standing for a root of so many keys that are elsewhere.
    pub(super) fn pending(mut self: Box<Self>, len: usize) -> Box<Self> {
        self.version.store(PENDING, Ordering::Relaxed);
        self.writing.get_mut().len = len;
        self
    }

    /// Whether its keys are not in it yet. They come under the lock.
    pub(super) fn is_pending(&self) -> bool {
        self.version.load(Ordering::Acquire) == PENDING
    }

    /// Ends being pending: takes the keys, the blocks and the depth of `part`, which nobody else sees.
    pub(super) fn become_ready(&self, writing: &mut Writing, part: Segment, arena: &Arena) {
        let blocks = part.blocks.load(Ordering::Relaxed);
        let empty = self.block[0].load(Ordering::Relaxed);
        for (mine, its) in self.block.iter().zip(&part.block) {
            mine.store(its.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.depth.store(part.depth(), Ordering::Relaxed);
        self.blocks.store(blocks, Ordering::Release);
        *writing = part.writing.into_inner();
        self.version.store(0, Ordering::Release);
        if let Some(empty) = ptr::NonNull::new(empty) {
            arena.recycle(empty);
        }
    }

    /// Gives the blocks of a segment that nobody else sees back.
    pub(super) fn give_back(&self, arena: &Arena) {
        let slots = self.slots();
        (0..slots).for_each(|at| self.store(at, (0, 0)));
        let blocks = self.block[..slots / BLOCK_SLOTS].iter();
        blocks
            .filter_map(|block| ptr::NonNull::new(block.load(Ordering::Relaxed)))
            .for_each(|it| arena.recycle(it));
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth.load(Ordering::Relaxed)
    }

    pub(super) fn prefix(&self) -> u64 {
        self.prefix.load(Ordering::Relaxed)
    }

    /// Whether keys with these leading bits belong here.
    #[inline]
    pub(super) fn covers(&self, top: u64) -> bool {
        (top ^ self.prefix.load(Ordering::Relaxed)) >> (64 - self.depth.load(Ordering::Relaxed)) == 0
    }

    #[inline]
    fn slot(&self, at: usize) -> &Slot {
        let block = self.block[at / BLOCK_SLOTS].load(Ordering::Relaxed);
        debug_assert!(!block.is_null());
        // SAFETY: block pointers come from the arena, which keeps them slots as long as the index lives, and the first
        // `blocks` of them are never null; `at` is below `blocks * BLOCK_SLOTS` at every caller.
        unsafe { &(*block)[at % BLOCK_SLOTS] }
    }

    /// The number of slots, of which all but the spare ones are homes.
    #[inline]
    fn slots(&self) -> usize {
        // The bound is for readers that look while the number changes.
        (self.blocks.load(Ordering::Acquire) as usize).clamp(1, MAX_BLOCKS) * BLOCK_SLOTS
    }

    /// The slot where the search for a hash begins.
    #[inline]
    fn home(word: u64, depth: u32, slots: usize) -> usize {
        // The first 8 bits of the hash are the root and not in the word, whose last are not looked at whatever the depth: the hash
        // of a key that is looked up is half done when its home is known.
        const { assert!(MAX_DEPTH <= 32) };
        let rest = ((word & !0xFF) << ((depth - 8) & 63)) >> 32;
        ((rest * (slots - SPARE) as u64) >> 32) as usize
    }

    /// Prefetches so many cache lines from where the search for a hash begins.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: KeyHash, lines: usize) {
        let slot = ptr::from_ref(self.slot(Self::home(hash.word, self.depth(), self.slots())));
        #[cfg(target_arch = "x86_64")]
        for line in 0..lines {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a prefetch has no effect but on caches, wherever it points.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(slot.cast::<i8>().wrapping_add(line * 64)) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (slot, lines);
    }

    /// Looks a hash up without the lock. `Err` where the segment changed meanwhile or does not cover the hash.
    #[inline]
    pub(super) fn read(&self, hash: KeyHash) -> Result<Option<Entry>, ()> {
        let version = self.version.load(Ordering::Acquire);
        if version & 1 != 0 {
            return Err(());
        }
        let covered = self.covers(hash.top());
        let found = match self.find(hash, self.slots()) {
            Found::At(_, entry) => Entry::unpack(entry),
            Found::Absent(_) => None,
        };
        if !seeded_bug!("version-read-before-the-slots") {
            fence(Ordering::Acquire);
        }
        let is_same =
            self.version.load(Ordering::Relaxed) == version || seeded_bug!("version-not-read-again");
        if covered && is_same { Ok(found) } else { Err(()) }
    }

    /// Looks a hash up. The caller holds the lock, or checks the version.
    #[inline]
    fn find(&self, hash: KeyHash, slots: usize) -> Found {
        let mut at = Self::home(hash.word, self.depth.load(Ordering::Relaxed), slots);
        while at < slots {
            let slot = self.slot(at);
            // The entry first: an insertion into an empty slot stores the word before it.
            let entry = slot.entry.load(Ordering::Acquire);
            let word = slot.word.load(Ordering::Relaxed);
            if entry == 0 || word > hash.word {
                return Found::Absent(at);
            }
            if word == hash.word && (entry >> 56) as u8 == hash.fingerprint {
                return Found::At(at, entry);
            }
            at += 1;
        }
        Found::Absent(slots)
    }

    /// The entry of a hash; the caller holds the lock.
    pub(super) fn get(&self, hash: KeyHash) -> Option<Entry> {
        match self.find(hash, self.slots()) {
            Found::At(_, entry) => Entry::unpack(entry),
            Found::Absent(_) => None,
        }
    }

    /// Whether one more key can be inserted without growing; the caller holds the lock.
    pub(super) fn has_room_for_one(&self, writing: &Writing) -> bool {
        let slots = self.slots();
        debug_assert_eq!(writing.is_end_used, self.slot(slots - 1).entry.load(Ordering::Relaxed) != 0);
        (writing.len + 1) * 256 <= slots * MAX_LOAD_256 && !writing.is_end_used
    }

    /// Whether all of these sorted keys can be inserted without growing; the caller holds the lock. Inserting one by one
    /// leaves the same layout as laying all out anew, so it is enough to see whether they would fit then.
    pub(super) fn has_room(&self, writing: &Writing, more: &[KeyHash]) -> Result<bool, Refused> {
        let slots = self.slots();
        if (writing.len + more.len()) * 256 <= slots * MAX_LOAD_256 && self.has_slots_behind(more) {
            return Ok(true);
        }
        let mut words = memory::vec_with_room(writing.len + more.len())?;
        self.collect(0, writing, &mut words)?;
        words.extend(more.iter().filter(|hash| self.get(**hash).is_none()).map(|hash| (hash.word, 0)));
        words.sort_unstable();
        Ok(fits(&words, self.depth(), self.slots() / BLOCK_SLOTS))
    }

    /// Whether behind the home of each of these sorted keys more slots are empty than it and those after it take. Then none
    /// is pushed over the end, wherever the others go.
    fn has_slots_behind(&self, more: &[KeyHash]) -> bool {
        let (depth, slots) = (self.depth(), self.slots());
        let (mut at, mut empty) = (slots, 0);
        more.iter().rev().zip(1..).all(|(hash, taken)| {
            let home = Self::home(hash.word, depth, slots);
            // Enough for all is enough for those before it.
            while at > home && empty <= more.len() {
                at -= 1;
                empty += usize::from(self.slot(at).entry.load(Ordering::Relaxed) == 0);
            }
            empty > taken
        })
    }

    /// Inserts or replaces; gives what was there before. The caller holds the lock, and has made room.
    pub(super) fn insert(&self, writing: &mut Writing, hash: KeyHash, entry: Entry) -> Option<Entry> {
        let packed = entry.pack(hash.fingerprint);
        let slots = self.slots();
        let at = match self.find(hash, slots) {
            Found::At(at, old) => {
                self.slot(at).entry.store(packed, Ordering::Release);
                return Entry::unpack(old);
            }
            Found::Absent(at) => at,
        };
        let mut end = at;
        while end < slots && self.slot(end).entry.load(Ordering::Relaxed) != 0 {
            end += 1;
        }
        assert!(end < slots, "an insertion into a segment without room");
        if end == at && at + 1 < slots {
            // Nothing moves: readers see the slot empty or, the word being there first, whole.
            let slot = self.slot(at);
            slot.word.store(hash.word, Ordering::Release);
            slot.entry.store(packed, Ordering::Release);
        } else {
            self.moving(|| {
                for to in (at + 1..=end).rev() {
                    self.copy(to - 1, to);
                }
                self.store(at, (hash.word, packed));
            });
        }
        writing.len += 1;
        writing.is_end_used |= end + 1 == slots;
        None
    }

    /// Replaces an entry only where it still is `old`; the caller holds the lock.
    pub(super) fn replace(&self, hash: KeyHash, old: Entry, new: Entry) -> bool {
        match self.find(hash, self.slots()) {
            Found::At(at, entry) if Entry::unpack(entry) == Some(old) => {
                self.slot(at).entry.store(new.pack(hash.fingerprint), Ordering::Release);
                true
            }
            _ => false,
        }
    }

    /// Removes a hash and gives its entry; the caller holds the lock.
    pub(super) fn remove(&self, writing: &mut Writing, hash: KeyHash) -> Option<Entry> {
        let slots = self.slots();
        let Found::At(at, entry) = self.find(hash, slots) else { return None };
        self.moving(|| {
            // Close the gap with all that stands behind its home.
            let depth = self.depth();
            let mut hole = at;
            while hole + 1 < slots {
                let next = self.slot(hole + 1);
                let word = next.word.load(Ordering::Relaxed);
                if next.entry.load(Ordering::Relaxed) == 0 || Self::home(word, depth, slots) > hole {
                    break;
                }
                self.copy(hole + 1, hole);
                hole += 1;
            }
            self.store(hole, (0, 0));
            writing.is_end_used &= hole + 1 < slots;
        });
        writing.len -= 1;
        Entry::unpack(entry)
    }

    /// All keys whose word is at least `from`, in order, appended to `out`; the caller holds the lock.
    pub(super) fn collect(&self, from: u64, writing: &Writing, out: &mut Vec<Pair>) -> Result<(), Refused> {
        memory::reserve(out, writing.len)?;
        let slots = self.slots();
        let mut first = if from == 0 { 0 } else { Self::home(from, self.depth(), slots) };
        for (n, block) in self.held_blocks()[..slots / BLOCK_SLOTS].iter().enumerate() {
            let Some(rest) = block.get(first.saturating_sub(n * BLOCK_SLOTS)..) else { continue };
            first = 0;
            for slots in rest.chunks(TAKEN_AT_ONCE) {
                // The processor cannot guess which slots are used: all are taken, and one that is not is written over by the next.
                let (mut taken, mut len) = ([(0, 0); TAKEN_AT_ONCE], 0);
                for slot in slots {
                    let (word, entry) =
                        (slot.word.load(Ordering::Relaxed), slot.entry.load(Ordering::Relaxed));
                    taken[len] = (word, entry);
                    len += usize::from((entry != 0) & (word >= from));
                }
                out.extend_from_slice(&taken[..len]);
            }
        }
        Ok(())
    }

    /// Adds blocks, one where that is enough. The caller holds the lock.
    pub(super) fn grow(&self, writing: &mut Writing, arena: &Arena, scratch: &mut Vec<Pair>) -> Grown {
        scratch.clear();
        match self.collect(0, writing, scratch) {
            Ok(()) => self.lay_out(writing, arena, scratch, 1),
            Err(_) => Grown::NoMemory,
        }
    }

    /// Puts sorted keys in the place of what the segment holds, with `more` blocks, or more than that if they need them.
    /// Unless it is done nothing is changed. The caller holds the lock.
    pub(super) fn lay_out(&self, writing: &mut Writing, arena: &Arena, keys: &[Pair], more: usize) -> Grown {
        let blocks = self.blocks.load(Ordering::Relaxed) as usize;
        let Some(wanted) = (blocks + more..=MAX_BLOCKS).find(|n| fits(keys, self.depth(), *n)) else {
            return Grown::MustSplit;
        };
        let mut fresh = [None; MAX_BLOCKS];
        for place in &mut fresh[blocks..wanted] {
            *place = arena.allocate();
            match place {
                Some(_) => {}
                None => {
                    fresh.into_iter().flatten().for_each(|block| arena.recycle(block));
                    return Grown::NoMemory;
                }
            }
        }
        self.moving(|| {
            for (mine, block) in self.block.iter().zip(fresh) {
                if let Some(block) = block {
                    mine.store(block.as_ptr(), Ordering::Relaxed);
                }
            }
            self.blocks.store(wanted as u32, Ordering::Release);
            self.fill(writing, keys);
        });
        Grown::Done
    }

    /// Moves the upper half of the keys, by the next bit of their hashes, to a new segment. `None`, and nothing is
    /// changed, where there is no memory. The caller holds the lock.
    pub(super) fn split(
        &self,
        writing: &mut Writing,
        arena: &Arena,
        scratch: &mut Vec<Pair>,
    ) -> Option<Box<Self>> {
        let depth = self.depth() + 1;
        if depth > MAX_DEPTH {
            return None;
        }
        let bit = 1u64 << (64 - depth);
        scratch.clear();
        self.collect(0, writing, scratch).ok()?;
        // The bit of the hash is 8 places further up in the word, which lacks the root.
        let half = scratch.partition_point(|(word, _)| word & (bit << 8) == 0);
        let (lower, upper) = scratch.split_at(half);

        let blocks = self.blocks.load(Ordering::Relaxed) as usize;
        // Hashes that somebody made up may not fit into what this segment has.
        let keep = blocks_for(lower, depth).filter(|keep| *keep <= blocks)?;
        let wanted = blocks_for(upper, depth)?;
        let sibling = Segment::new(depth, self.prefix() | bit, arena)?;
        if sibling.load(arena, upper, wanted).is_none() {
            sibling.give_back(arena);
            return None;
        }
        self.moving(|| {
            self.depth.store(depth, Ordering::Relaxed);
            (0..blocks * BLOCK_SLOTS).for_each(|at| self.store(at, (0, 0)));
            self.blocks.store(keep as u32, Ordering::Release);
            self.fill(writing, lower);
        });
        for at in keep..blocks {
            // The pointer stays: a reader that saw the larger number may follow it before it looks at the version.
            if let Some(block) = ptr::NonNull::new(self.block[at].load(Ordering::Relaxed)) {
                arena.recycle(block);
            }
        }
        Some(sibling)
    }

    /// Makes room for sorted keys in an empty segment that nobody else sees yet, and puts them there.
    pub(super) fn load(&self, arena: &Arena, keys: &[Pair], wanted: usize) -> Option<()> {
        if keys.is_empty() {
            return Some(());
        }
        for at in self.blocks.load(Ordering::Relaxed) as usize..wanted {
            self.block[at].store(arena.allocate()?.as_ptr(), Ordering::Relaxed);
            self.blocks.store(at as u32 + 1, Ordering::Release);
        }
        self.fill(&mut self.writing.lock(), keys);
        Some(())
    }

    /// Lays sorted keys that fit out over all slots; what the slots held before is forgotten.
    fn fill(&self, writing: &mut Writing, keys: &[Pair]) {
        let (slots, depth, blocks) = (self.slots(), self.depth(), self.held_blocks());
        let store = |at: usize, (word, entry): Pair| {
            let slot = &blocks[at / BLOCK_SLOTS][at % BLOCK_SLOTS];
            slot.word.store(word, Ordering::Relaxed);
            slot.entry.store(entry, Ordering::Relaxed);
        };
        // All of them: where the gaps will be the processor cannot guess.
        (0..slots).for_each(|at| store(at, (0, 0)));
        let mut next = 0;
        for pair in keys {
            let at = Self::home(pair.0, depth, slots).max(next);
            store(at, *pair);
            next = at + 1;
        }
        *writing = Writing { len: keys.len(), is_end_used: next == slots };
    }

    /// The blocks, for going through all slots; the first stands in for those that the segment does not have. The
    /// caller holds the lock.
    fn held_blocks(&self) -> [&Block; MAX_BLOCKS] {
        let count = self.slots() / BLOCK_SLOTS;
        std::array::from_fn(|n| {
            let block = self.block[if n < count { n } else { 0 }].load(Ordering::Relaxed);
            debug_assert!(!block.is_null());
            // SAFETY: as in `slot`.
            unsafe { &*block }
        })
    }

    /// Runs `change` while readers know that slots are moving.
    fn moving(&self, change: impl FnOnce()) {
        let version = self.version.load(Ordering::Relaxed);
        if !seeded_bug!("slots-move-unnoticed") {
            self.version.store(version + 1, Ordering::Relaxed);
        }
        if !seeded_bug!("slots-move-before-the-version") {
            fence(Ordering::Release);
        }
        change();
        self.version.store(version + 2, Ordering::Release);
    }

    fn copy(&self, from: usize, to: usize) {
        let slot = self.slot(from);
        self.store(to, (slot.word.load(Ordering::Relaxed), slot.entry.load(Ordering::Relaxed)));
    }

    #[inline]
    fn store(&self, at: usize, (word, entry): Pair) {
        let slot = self.slot(at);
        slot.word.store(word, Ordering::Relaxed);
        slot.entry.store(entry, Ordering::Relaxed);
    }
}

/// Where a hash is, or would be.
enum Found {
    At(usize, u64),
    Absent(usize),
}

/// What came of an attempt to grow.
pub(super) enum Grown {
    Done,
    /// All blocks are full.
    MustSplit,
    NoMemory,
}

/// Whether sorted keys, and one more, can be laid out in this many blocks within the load that lookups are fast at.
fn fits(keys: &[Pair], depth: u32, blocks: usize) -> bool {
    let slots = blocks * BLOCK_SLOTS;
    if (keys.len() + 1) * 256 > slots * MAX_LOAD_256 {
        return false;
    }
    let end = keys.iter().fold(0, |next, pair| Segment::home(pair.0, depth, slots).max(next) + 1);
    end < slots
}

/// The smallest number of blocks that sorted keys, and one more, fit in; `None` where they need two segments.
pub(super) fn blocks_for(keys: &[Pair], depth: u32) -> Option<usize> {
    let least = ((keys.len() + 1) * 256).div_ceil(BLOCK_SLOTS * MAX_LOAD_256);
    (least.max(1)..=MAX_BLOCKS).find(|n| fits(keys, depth, *n))
}
