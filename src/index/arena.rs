//! Memory for the slots of the index, in blocks of one size that are recycled but never unmapped.
//!
//! Readers look at slots without a lock and notice afterwards when they looked at the wrong ones (see `segment`), so a
//! block that a reader may still look at must stay slots for ever: that is what this arena guarantees. Chunks are
//! aligned to, and advised as, huge pages once the index is large: a lookup is one cache miss, and with small pages it
//! would be a TLB miss as well.
//!
//! The first touch of a huge page makes the kernel find and clear 2 MiB: 0.1 ms where memory is at hand, 8 ms and more in a
//! virtual machine that must ask its host for it. [`Arena::prepare`] does that for chunks that are not needed yet.

use crate::sync::atomic::{AtomicU64, Ordering};
use std::ptr;

use crate::store::memory::{self, Refused};
use crate::sync::lock::Mutex;

/// A key of the index. Both words are read and written on their own; `segment` makes pairs of them consistent.
#[repr(C)]
pub(super) struct Slot {
    /// The middle 64 bits of the hash.
    pub(super) word: AtomicU64,
    /// The last 8 bits of the hash and the entry; 0 where empty.
    pub(super) entry: AtomicU64,
}

/// Slots per block. Few where threads are tried in all orders, so that segments grow and are split soon.
pub(super) const BLOCK_SLOTS: usize = if cfg!(filedb_schedules) { 16 } else { 1024 };
/// A block of slots.
pub(super) type Block = [Slot; BLOCK_SLOTS];

const BLOCK_SIZE: usize = size_of::<Block>();
const CHUNK_SIZE: usize = 2 << 20;
const BLOCKS_PER_CHUNK: usize = CHUNK_SIZE / BLOCK_SIZE;
/// As many chunks are made of small pages as the smallest index has blocks in: few of those are ever touched in a store with few
/// keys.
const CHUNKS_OF_SMALL_PAGES: usize = 2;
/// How many chunks are prepared at most. Segments fill evenly, and so they grow at the same time: then the index takes 100 bytes for each
/// new key for a while, a chunk for every 20,000.
const MOST_PREPARED: usize = 4;

#[derive(Default)]
struct Chunks {
    /// Start and length of each mapping.
    mappings: Vec<(usize, usize)>,
    free: Vec<*mut Block>,
    /// Blocks of the last chunk that were never given out.
    fresh: usize,
    /// Chunks that are mapped and faulted in, for when that one is used up.
    prepared: Vec<(usize, usize)>,
}

impl Chunks {
    /// How many chunks should be prepared: one in eight.
    fn wanted(&self) -> usize {
        (self.mappings.len() / 8).clamp(1, MOST_PREPARED)
    }

    /// Adds a chunk to use, and room to take all blocks back that it is divided into.
    fn remember(&mut self, mapping: (usize, usize)) -> Result<(), Refused> {
        let blocks = (self.mappings.len() + 1) * BLOCKS_PER_CHUNK;
        let free = self.free.len();
        memory::reserve(&mut self.free, blocks - free)?;
        memory::push(&mut self.mappings, mapping)
    }
}

// SAFETY: the pointers are to memory that this struct owns.
unsafe impl Send for Chunks {}

/// See the module.
#[derive(Default)]
pub(super) struct Arena {
    chunks: Mutex<Chunks>,
    /// Blocks in use.
    used: AtomicU64,
}

impl Arena {
    /// A block of empty slots, valid until the arena is dropped. `None` where there is no memory.
    pub(super) fn allocate(&self) -> Option<ptr::NonNull<Block>> {
        let mut chunks = self.chunks.lock();
        let block = match chunks.free.pop() {
            Some(block) => block,
            None => {
                if chunks.fresh == 0 {
                    let mapping = match chunks.prepared.pop() {
                        Some(mapping) => mapping,
                        None => map_chunk(chunks.mappings.len() >= CHUNKS_OF_SMALL_PAGES)?,
                    };
                    if chunks.remember(mapping).is_err() {
                        unmap(mapping);
                        return None;
                    }
                    chunks.fresh = BLOCKS_PER_CHUNK;
                }
                chunks.fresh -= 1;
                let (start, len) = *chunks.mappings.last()?;
                let aligned = (start + len) / CHUNK_SIZE * CHUNK_SIZE - CHUNK_SIZE;
                (aligned + (BLOCKS_PER_CHUNK - 1 - chunks.fresh) * BLOCK_SIZE) as *mut Block
            }
        };
        self.used.fetch_add(1, Ordering::Relaxed);
        ptr::NonNull::new(block)
    }

    /// Maps and faults in what will be needed next, for a thread that nobody waits for.
    pub(super) fn prepare(&self, most_bytes: u64) {
        let most = most_bytes as usize / CHUNK_SIZE;
        while {
            let chunks = self.chunks.lock();
            chunks.prepared.len() < chunks.wanted().min(most)
        } {
            // Without memory now, whoever needs a block will try again.
            if memory::reserve(&mut self.chunks.lock().prepared, MOST_PREPARED).is_err() {
                return;
            }
            let Some((start, len)) = map_chunk(true) else { return };
            #[cfg(target_os = "linux")]
            // SAFETY: the mapping is new, and nobody else knows it; populating does not change content. If the kernel does
            // not know the request, it says so and nothing happens.
            unsafe {
                libc::madvise(start as *mut libc::c_void, len, libc::MADV_POPULATE_WRITE)
            };
            self.chunks.lock().prepared.push((start, len));
        }
    }

    /// Takes a block back. All its slots must be empty; readers may still look at it.
    pub(super) fn recycle(&self, block: ptr::NonNull<Block>) {
        self.used.fetch_sub(1, Ordering::Relaxed);
        // There is room: see `Chunks::remember`.
        self.chunks.lock().free.push(block.as_ptr());
    }

    /// Bytes of all blocks in use.
    pub(super) fn bytes(&self) -> u64 {
        self.used.load(Ordering::Relaxed) * BLOCK_SIZE as u64
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let chunks = self.chunks.get_mut();
        // Nobody looks at the blocks any more.
        chunks.mappings.iter().chain(&chunks.prepared).for_each(|mapping| unmap(*mapping));
    }
}

/// Gives a chunk back that nobody looks at any more.
fn unmap((start, len): (usize, usize)) {
    // SAFETY: mapped by `map_chunk`, and not used after this.
    unsafe { libc::munmap(start as *mut libc::c_void, len) };
}

/// Maps zeroed memory that contains one aligned chunk.
fn map_chunk(huge: bool) -> Option<(usize, usize)> {
    let len = CHUNK_SIZE * 2 - 4096;
    // SAFETY: a new private mapping changes no memory in use; what lies around the aligned chunk is given back at
    // once, so that the mapping that remains is exactly the chunk.
    unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let start = libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0);
        if start == libc::MAP_FAILED {
            return None;
        }
        let start = start as usize;
        let chunk = start.div_ceil(CHUNK_SIZE) * CHUNK_SIZE;
        if chunk > start {
            libc::munmap(start as *mut libc::c_void, chunk - start);
        }
        let end = chunk + CHUNK_SIZE;
        if start + len > end {
            libc::munmap(end as *mut libc::c_void, start + len - end);
        }
        #[cfg(target_os = "linux")]
        if huge {
            libc::madvise(chunk as *mut libc::c_void, CHUNK_SIZE, libc::MADV_HUGEPAGE);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = huge;
        Some((chunk, CHUNK_SIZE))
    }
}
