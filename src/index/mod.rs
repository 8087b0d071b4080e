//! The keydir: from the hash of every key to the place of its record. Knows nothing of files, and does no I/O.
//!
//! An extendible hash table (Fagin et al., 1979): a directory of segments by the leading bits of the hash. No key
//! bytes are kept, so the memory for a key does not depend on its length. Lookups take no lock; a writer locks the one
//! segment that its key belongs to, and holds it from before its record is appended until after the index points at
//! it, so that the index and the log agree on the order of two writes to one key.

mod absorb;
mod arena;
mod cursor;
mod entry;
mod frozen;
mod hash;
mod locked;
mod segment;
mod sip;

pub use absorb::{Absorber, Version};
pub use cursor::Cursor;
pub use entry::{Entry, Location, SizeClass};
pub use frozen::Sorted;
pub use hash::{KeyHash, KeyHasher};
pub use locked::Locked;

use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::store::memory::{self, Refused};
use crate::sync::lock::Mutex;
use crate::sync::parallel::on_all_cores;
use crate::sync::thread;

use arena::Arena;
use frozen::Frozen;
use segment::{MAX_BLOCKS, MAX_DEPTH, Pair, Segment, blocks_for};

/// There are at least this many segments, one for each value of the first 8 bits.
const ROOT_BITS: u32 = 8;

/// Up to so many keys no segment needs more memory than it has from the beginning, and none is made ready.
const GROWS_FROM: u64 = (arena::BLOCK_SLOTS as u64) << (ROOT_BITS - 1);

/// About what an empty index has: a block for each root.
const EMPTY_BYTES: u64 = ((arena::BLOCK_SLOTS * size_of::<u64>() * 2) as u64) << ROOT_BITS;

/// An insertion looks at so many cache lines, seldom at more: where a segment is as full as it gets at 26 slots on average (Knuth,
/// The Art of Computer Programming, 6.4), four of which are a line.
const MOVED_LINES: usize = 9;

/// A lookup looks at so many cache lines, seldom at more.
const LOOKED_AT_LINES: usize = 2;

/// A walk takes about so many keys under one lock: what a segment holds.
const AT_ONCE: usize = if cfg!(test) { 500 } else { MAX_BLOCKS * arena::BLOCK_SLOTS };

struct Directory {
    depth: u32,
    segments: Box<[AtomicPtr<Segment>]>,
}

/// What growing changes. All of it is freed with the index and not before: readers may hold on to any of it.
#[derive(Default)]
struct Structure {
    segments: Vec<*mut Segment>,
    directories: Vec<*mut Directory>,
    scratch: Vec<Pair>,
}

// SAFETY: the pointers are to memory that the index owns.
unsafe impl Send for Structure {}

/// Segments of some roots, and how many keys they hold.
#[allow(clippy::vec_box, reason = "as in `install`")]
struct Made {
    segments: Vec<Box<Segment>>,
    keys: u64,
}

/// Why a key cannot be changed or added now.
#[derive(Debug)]
pub enum Unavailable {
    /// There is no memory for it.
    NoMemory,
    /// What was to be taken over is not what it was when the index was made.
    Damaged,
}

impl From<Refused> for Unavailable {
    fn from(_: Refused) -> Self {
        Unavailable::NoMemory
    }
}

/// See the module.
pub struct Index {
    arena: Arena,
    directory: AtomicPtr<Directory>,
    structure: Mutex<Structure>,
    len: AtomicU64,
    /// What the roots hold that are pending.
    frozen: Option<Frozen>,
}

impl Index {
    /// An empty index.
    pub fn new() -> Result<Self, Unavailable> {
        let index = Self::without_segments(0, None);
        let mut segments = memory::vec_with_room(1 << ROOT_BITS)?;
        for root in 0..1u64 << ROOT_BITS {
            segments.push(Segment::new(ROOT_BITS, root << 56, &index.arena).ok_or(Unavailable::NoMemory)?);
        }
        index.install(segments)?;
        Ok(index)
    }

    /// An index of keys that stay where they are until somebody needs them in a place where they can be changed.
    pub fn over(source: Box<dyn Sorted>) -> Result<Self, Unavailable> {
        let lens = (0..=u8::MAX).map(|root| source.len(root)).collect::<Vec<_>>();
        let (keys, roots) = (lens.iter().sum::<usize>(), lens.iter().filter(|len| **len > 0).count());
        let index = Self::without_segments(keys as u64, Some(Frozen::new(source, roots)));
        let mut segments = memory::vec_with_room(1 << ROOT_BITS)?;
        for (root, len) in (0..).zip(lens) {
            let segment = Segment::new(ROOT_BITS, root << 56, &index.arena).ok_or(Unavailable::NoMemory)?;
            segments.push(if len > 0 { segment.pending(len) } else { segment });
        }
        index.install(segments)?;
        Ok(index)
    }

    /// An index of the keys that `take` gives for each root, sorted; it is asked on all cores, about keys of so many `bytes`.
    pub fn of_sorted(
        bytes: u64,
        take: impl Fn(u8) -> Result<Vec<Pair>, Unavailable> + Sync,
    ) -> Result<Self, Unavailable> {
        let index = Self::without_segments(0, None);
        let parts = on_all_cores(1 << ROOT_BITS, bytes, |roots| {
            let mut made = Made { segments: Vec::new(), keys: 0 };
            for root in roots {
                let keys = take(root as u8)?;
                import_segments(&index.arena, ROOT_BITS, (root as u64) << 56, &keys, &mut made.segments)
                    .ok_or(Unavailable::NoMemory)?;
                made.keys += keys.len() as u64;
            }
            Ok::<_, Unavailable>(made)
        });
        let mut all = Made { segments: Vec::new(), keys: 0 };
        for part in parts {
            let mut part = part?;
            memory::reserve(&mut all.segments, part.segments.len())?;
            all.segments.append(&mut part.segments);
            all.keys += part.keys;
        }
        index.len.store(all.keys, Ordering::Relaxed);
        index.install(all.segments)?;
        Ok(index)
    }

    fn without_segments(len: u64, frozen: Option<Frozen>) -> Self {
        Index {
            arena: Arena::default(),
            directory: AtomicPtr::default(),
            structure: Mutex::default(),
            len: AtomicU64::new(len),
            frozen,
        }
    }

    /// All keys whose hash begins with the byte `root`, in order; those that are still where they were found after a look at
    /// whether they are what they were.
    pub fn export(&self, root: u8) -> Result<Vec<Pair>, Unavailable> {
        let mut keys = Vec::new();
        let mut top = u64::from(root) << 56;
        loop {
            let locked = self.lock_as_it_is(top);
            match self.frozen.as_ref().filter(|_| locked.segment.is_pending()) {
                Some(frozen) => keys = frozen.take(root)?,
                None => drop(locked.collect(0, usize::MAX, &mut keys)?),
            }
            match top.checked_add(1 << (64 - locked.segment.depth())) {
                Some(next) if (next >> 56) as u8 == root => top = next,
                _ => return Ok(keys),
            }
        }
    }

    /// The hash and the entry in the two words of [`Index::export`].
    pub fn unpack(root: u8, (word, packed): Pair) -> Option<(KeyHash, Entry)> {
        Entry::unpack(packed).map(|entry| (KeyHash { root, word, fingerprint: (packed >> 56) as u8 }, entry))
    }

    /// The two words of a key, as in [`Index::export`].
    pub fn pack(hash: &KeyHash, entry: Entry) -> Pair {
        (hash.word, entry.pack(hash.fingerprint))
    }

    /// The entry of a key. Takes no lock.
    #[inline(always)]
    pub fn get(&self, hash: KeyHash) -> Option<Entry> {
        match self.segment(hash.top()).read(hash) {
            Ok(found) => found,
            Err(()) => self.get_again(hash),
        }
    }

    /// As [`Index::get`], until nobody is in the way.
    #[cold]
    fn get_again(&self, hash: KeyHash) -> Option<Entry> {
        let mut tries = 0u32;
        loop {
            let segment = self.segment(hash.top());
            if let Ok(found) = segment.read(hash) {
                return found;
            }
            if segment.is_pending() {
                let found = self.frozen.as_ref()?.find(hash);
                // Else it may have been taken over, and changed, before what was found was looked at.
                if segment.is_pending() {
                    return found;
                }
                continue;
            }
            // A writer is moving slots; it may have been interrupted by the scheduler in the middle of it.
            tries += 1;
            thread::spin(tries);
        }
    }

    /// Asks the processor to load what a lookup of this hash will need.
    #[inline]
    pub fn prefetch(&self, hash: KeyHash) {
        self.segment(hash.top()).prefetch(hash, 1);
    }

    /// As [`Index::prefetch`], for one of many lookups that follow: a search that goes on in the next cache line waits for that
    /// one as well.
    #[inline]
    pub fn prefetch_to_look(&self, hash: KeyHash) {
        self.segment(hash.top()).prefetch(hash, LOOKED_AT_LINES);
    }

    /// As [`Index::prefetch`], for somebody who will insert: that moves what stands behind, up to the first empty slot.
    #[inline]
    pub fn prefetch_to_insert(&self, hash: KeyHash) {
        self.segment(hash.top()).prefetch(hash, MOVED_LINES);
    }

    /// Makes ready what writers will need soon, so that they do not wait for it: memory to grow, and keys that can be
    /// changed. One root of those at a time: true where there are more. No more than so many bytes of memory wait to be used.
    pub fn prepare(&self, most_bytes: u64) -> bool {
        if self.len() >= GROWS_FROM {
            self.arena.prepare(most_bytes);
        }
        self.take_over_some()
    }

    /// Notes a newer version of a key, or a tombstone, where the keys of its root are still where they were found, if they can be left there
    /// for that. `also` is called before anybody can change them. False, and nothing was done, where [`Index::lock`] is the way.
    pub fn note(&self, hash: KeyHash, entry: Entry, also: impl FnOnce()) -> Result<bool, Refused> {
        let locked = self.lock_as_it_is(hash.top());
        let Some(frozen) = self.frozen.as_ref().filter(|_| locked.segment.is_pending()) else {
            return Ok(false);
        };
        let is_noted = frozen.note(hash, entry)?;
        if is_noted {
            also();
        }
        Ok(is_noted)
    }

    /// Takes over some of the keys that are still where they were found: one root's. False where no more are, or nothing can be done about
    /// those now.
    pub fn take_over_some(&self) -> bool {
        let is_pending = |root| self.segment(Cursor::of_root(root).top()).is_pending();
        let next = self.frozen.as_ref().and_then(|frozen| frozen.next(is_pending));
        // Where that cannot be done now, it is left to who changes a key of it.
        next.is_some_and(|root| {
            let _ = self.lock_top(Cursor::of_root(root).top());
            true
        })
    }

    /// Whether the keys of a hash's root are still where they were found.
    pub fn is_pending(&self, hash: KeyHash) -> bool {
        self.segment(hash.top()).is_pending()
    }

    /// Takes over all keys that are still where they were found, on all cores. Who decides by what the index does not know
    /// calls it first: only what is taken over is certainly what it was.
    pub fn take_over_all(&self) -> Result<(), Unavailable> {
        let is_pending = |root: usize| self.segment(Cursor::of_root(root as u8).top()).is_pending();
        if !(0..1 << ROOT_BITS).any(is_pending) {
            return Ok(());
        }
        let parts = on_all_cores(1 << ROOT_BITS, self.len() * size_of::<Pair>() as u64, |mut roots| {
            roots.try_for_each(|root| self.lock_top(Cursor::of_root(root as u8).top()).map(drop))
        });
        parts.into_iter().collect()
    }

    /// As [`Index::take_over_all`], before anybody uses the index, which does not keep them then.
    pub fn take_over_and_let_go(&mut self) -> Result<(), Unavailable> {
        self.take_over_all()?;
        self.frozen = None;
        Ok(())
    }

    /// Locks the segment of a key.
    pub fn lock(&self, hash: KeyHash) -> Result<Locked<'_>, Unavailable> {
        self.lock_top(hash.top())
    }

    /// Locks the segment of a key, which then has room to insert it.
    #[inline(always)]
    pub fn lock_for_insert(&self, hash: KeyHash) -> Result<Locked<'_>, Unavailable> {
        loop {
            let mut locked = self.lock_top(hash.top())?;
            if locked.segment.has_room_for_one(&locked.writing) {
                return Ok(locked);
            }
            locked.make_room()?;
            if locked.segment.covers(hash.top()) && locked.segment.has_room_for_one(&locked.writing) {
                return Ok(locked);
            }
        }
    }

    /// Locks the segments of all these keys, which must be sorted and different; all can be inserted then.
    pub fn lock_all_for_insert(&self, hashes: &[KeyHash]) -> Result<Vec<Locked<'_>>, Unavailable> {
        let mut all: Vec<Locked<'_>> = Vec::new();
        let mut rest = hashes;
        while let Some(first) = rest.first() {
            // Segments are locked in the order of their hashes, so that two batches cannot wait for each other.
            let mut locked = self.lock_top(first.top())?;
            loop {
                // A split may have given some of them to the next segment.
                let here = rest.iter().take_while(|hash| locked.segment.covers(hash.top())).count();
                if here == 0 {
                    break;
                }
                if locked.segment.has_room(&locked.writing, &rest[..here])? {
                    rest = &rest[here..];
                    memory::push(&mut all, locked)?;
                    break;
                }
                locked.make_room()?;
            }
        }
        Ok(all)
    }

    /// Returns when everybody who has a segment locked now has unlocked it: what was appended before this call is in the index
    /// then, and what it replaced is counted as dead.
    pub fn wait_for_writers(&self) {
        let mut top = Some(0u64);
        while let Some(at) = top {
            // A segment that is split meanwhile was locked by who split it, after this call.
            let locked = self.lock_as_it_is(at);
            top = locked.segment.prefix().checked_add(1 << (64 - locked.segment.depth()));
        }
    }

    /// Appends all keys of one segment, or some thousands of a larger one, from `cursor` on to `out`, and gives where to go on; `None` after the last.
    pub fn collect(
        &self,
        cursor: Cursor,
        out: &mut Vec<(KeyHash, Entry)>,
    ) -> Result<Option<Cursor>, Refused> {
        self.collect_with(cursor, out, |_, _| Ok(()))
    }

    /// As [`Index::collect`]; `also` is called, with where it goes on, before the segment can change again.
    pub fn collect_with(
        &self,
        cursor: Cursor,
        out: &mut Vec<(KeyHash, Entry)>,
        also: impl FnOnce(Option<Cursor>, &mut Vec<(KeyHash, Entry)>) -> Result<(), Refused>,
    ) -> Result<Option<Cursor>, Refused> {
        let mut pairs = Vec::new();
        let locked = self.lock_as_it_is(cursor.top());
        let within = locked.collect(cursor.word, AT_ONCE, &mut pairs)?;
        let behind = locked.segment.prefix().checked_add(1 << (64 - locked.segment.depth())).map(Cursor::at);
        let next = within.map(|word| Cursor { word, ..cursor }).or(behind);
        memory::reserve(out, pairs.len())?;
        out.extend(pairs.into_iter().filter_map(|pair| Self::unpack(cursor.root, pair)));
        also(next, out)?;
        Ok(next)
    }

    /// The number of keys.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    /// The memory that the index takes, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        let structure = self.structure.lock();
        let directories = structure.directories.len() * size_of::<Directory>() + (8 << self.depth()) * 2;
        self.arena.bytes() + (structure.segments.len() * size_of::<Segment>() + directories) as u64
    }

    /// The memory that it takes beyond that of an empty index, of which nothing but addresses is taken until keys come.
    pub fn grown_bytes(&self) -> u64 {
        self.memory_bytes().saturating_sub(EMPTY_BYTES)
    }

    fn depth(&self) -> u32 {
        self.directory().depth
    }

    #[inline]
    fn directory(&self) -> &Directory {
        // SAFETY: set by `install` before the index is shared; directories are freed with the index only.
        unsafe { &*self.directory.load(Ordering::Acquire) }
    }

    /// The segment of a hash, or one that was it before the last split.
    #[inline]
    fn segment(&self, top: u64) -> &Segment {
        let directory = self.directory();
        let segment = directory.segments[(top >> (64 - directory.depth)) as usize].load(Ordering::Acquire);
        // SAFETY: entries of a directory are never null; segments are freed with the index only.
        unsafe { &*segment }
    }

    /// Locks the segment of a hash, with its keys where they can be changed.
    #[inline(always)]
    fn lock_top(&self, top: u64) -> Result<Locked<'_>, Unavailable> {
        loop {
            let mut locked = self.lock_as_it_is(top);
            if locked.segment.is_pending() {
                locked.take_over()?;
            }
            if locked.segment.covers(top) {
                return Ok(locked);
            }
        }
    }

    /// Locks the segment of a hash, which may be pending.
    #[inline(always)]
    fn lock_as_it_is(&self, top: u64) -> Locked<'_> {
        loop {
            let segment = self.segment(top);
            let writing = segment.writing.lock();
            if segment.covers(top) {
                return Locked { index: self, segment, writing };
            }
        }
    }

    /// The first directory, of segments that together cover all hashes.
    #[allow(clippy::vec_box, reason = "readers hold on to where a segment is")]
    fn install(&self, segments: Vec<Box<Segment>>) -> Result<(), Refused> {
        let depth = segments.iter().map(|segment| segment.depth()).max().unwrap_or(ROOT_BITS);
        let directory =
            Directory { depth, segments: entries((0..1usize << depth).map(|_| AtomicPtr::default()))? };
        let mut structure = self.structure.lock();
        memory::reserve(&mut structure.segments, segments.len())?;
        for segment in segments {
            let segment = Box::into_raw(segment);
            structure.segments.push(segment);
            // SAFETY: just made from a Box.
            directory.assign(unsafe { &*segment }, segment);
        }
        self.publish(&mut structure, directory)
    }

    fn publish(&self, structure: &mut Structure, directory: Directory) -> Result<(), Refused> {
        memory::reserve(&mut structure.directories, 1)?;
        let directory = Box::into_raw(memory::boxed(directory)?);
        structure.directories.push(directory);
        self.directory.store(directory, Ordering::Release);
        Ok(())
    }
}

impl Directory {
    /// Points all entries that the segment covers at it.
    fn assign(&self, segment: &Segment, pointer: *mut Segment) {
        let first = (segment.prefix() >> (64 - self.depth)) as usize;
        for entry in &self.segments[first..first + (1 << (self.depth - segment.depth()))] {
            entry.store(pointer, Ordering::Release);
        }
    }

    fn doubled(&self) -> Result<Self, Refused> {
        let entry = |n: usize| AtomicPtr::new(self.segments[n / 2].load(Ordering::Relaxed));
        let segments = entries((0..self.segments.len() * 2).map(entry))?;
        Ok(Directory { depth: self.depth + 1, segments })
    }
}

/// Entries of a directory.
fn entries(entries: impl Iterator<Item = AtomicPtr<Segment>>) -> Result<Box<[AtomicPtr<Segment>]>, Refused> {
    // There is nothing to cut off: the iterators above know how many they give.
    memory::collect(entries).map(Vec::into_boxed_slice)
}

impl Index {
    /// Makes room for so many more segments, of hashes that share at most so many bits.
    fn make_room_for(&self, structure: &mut Structure, more: usize, depth: u32) -> Result<(), Refused> {
        memory::reserve(&mut structure.segments, more)?;
        while depth.min(MAX_DEPTH) > self.depth() {
            let doubled = self.directory().doubled()?;
            self.publish(structure, doubled)?;
        }
        Ok(())
    }

    /// Puts a segment where its hashes are looked for. [`Index::make_room_for`] made room for it.
    fn register(&self, structure: &mut Structure, sibling: Box<Segment>) {
        let pointer = Box::into_raw(sibling);
        structure.segments.push(pointer);
        // SAFETY: just made from a Box.
        self.directory().assign(unsafe { &*pointer }, pointer);
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let structure = self.structure.get_mut();
        for segment in structure.segments.drain(..) {
            // SAFETY: made from a Box by `install` or `register`, and freed here only.
            drop(unsafe { Box::from_raw(segment) });
        }
        for directory in structure.directories.drain(..) {
            // SAFETY: made from a Box by `publish`, and freed here only.
            drop(unsafe { Box::from_raw(directory) });
        }
    }
}

/// Builds the segments of sorted keys that share `depth` leading bits, and appends them to `out`. `None` where there is no
/// memory; what was appended is not complete then.
#[allow(clippy::vec_box, reason = "as in `install`")]
fn import_segments(
    arena: &Arena,
    depth: u32,
    prefix: u64,
    keys: &[Pair],
    out: &mut Vec<Box<Segment>>,
) -> Option<()> {
    let Some(blocks) = blocks_for(keys, depth).filter(|blocks| *blocks < MAX_BLOCKS) else {
        if depth >= MAX_DEPTH {
            return None;
        }
        let bit = 1u64 << (63 - depth);
        let half = keys.partition_point(|(word, _)| word & (bit << 8) == 0);
        import_segments(arena, depth + 1, prefix, &keys[..half], out)?;
        return import_segments(arena, depth + 1, prefix | bit, &keys[half..], out);
    };
    memory::reserve(out, 1).ok()?;
    out.push(Segment::new(depth, prefix, arena)?);
    out.last()?.load(arena, keys, blocks)
}

#[cfg(test)]
mod tests;
