//! The allocator of the C libraries: a small piece of memory that the system refuses comes from a pool inside the library.
//!
//! The Rust runtime ends the process, and prints, where an allocation is refused that cannot say so: a path, a node of a tree, the
//! name of a thread. So those are given, and whoever begins something asks [`is_low`] and [`super::room_for_small_things`], and
//! can say so. Large pieces are refused: they are asked for in ways that can.
//!
//! The pool costs nothing before it is used. It takes no lock: a forked child may need it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What is given comes in pieces of this size, side by side.
const PIECE: usize = 64;
/// The largest size that is given: as many pieces as a word has bits.
pub const LARGEST: usize = PIECE * u64::BITS as usize;
/// How many blocks a pool has, each of the largest size.
const BLOCKS: usize = 64;
/// The pool is low when so many pieces are taken: what is left is for the calls that are under way.
const LOW: usize = BLOCKS * u64::BITS as usize / 2;

#[repr(align(4096))]
struct Memory(UnsafeCell<[u8; BLOCKS * LARGEST]>);

// SAFETY: whoever has set the bits of pieces in `TAKEN` is the only one who uses them.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; BLOCKS * LARGEST]));
/// A bit for each piece, a word for each block.
static TAKEN: [AtomicU64; BLOCKS] = [const { AtomicU64::new(0) }; BLOCKS];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Whether the system has refused so much that the pool will not last.
#[inline]
pub fn is_low() -> bool {
    COUNT.load(Ordering::Relaxed) >= LOW
}

/// The bits of so many pieces side by side.
fn bits(size: usize) -> u64 {
    u64::MAX >> (u64::BITS as usize - size.div_ceil(PIECE).clamp(1, u64::BITS as usize))
}

/// Takes pieces for this layout. Null where it is too large, and where the pool is used up.
fn take(layout: Layout) -> *mut u8 {
    if layout.size() > LARGEST || layout.align() > LARGEST {
        return ptr::null_mut();
    }
    let wanted = bits(layout.size());
    let fits = |taken: u64, at: u32| {
        taken & (wanted << at) == 0 && (at as usize * PIECE).is_multiple_of(layout.align())
    };
    for (block, word) in TAKEN.iter().enumerate() {
        let mut taken = word.load(Ordering::Relaxed);
        while let Some(at) = (0..=wanted.leading_zeros()).find(|at| fits(taken, *at)) {
            // Whoever had the pieces before has finished with them.
            match word.compare_exchange_weak(
                taken,
                taken | wanted << at,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    COUNT.fetch_add(wanted.count_ones() as usize, Ordering::Relaxed);
                    return MEMORY.0.get().cast::<u8>().wrapping_add(block * LARGEST + at as usize * PIECE);
                }
                Err(now) => taken = now,
            }
        }
    }
    ptr::null_mut()
}

/// Where in the pool something lies; `None` where it is the system's.
#[inline]
fn place(pointer: *mut u8) -> Option<usize> {
    let offset = (pointer as usize).wrapping_sub(MEMORY.0.get() as usize);
    (offset < BLOCKS * LARGEST).then_some(offset)
}

#[cold]
fn give_back(place: usize, size: usize) {
    let (block, at) = (place / LARGEST, place % LARGEST / PIECE);
    let given = bits(size);
    COUNT.fetch_sub(given.count_ones() as usize, Ordering::Relaxed);
    TAKEN[block].fetch_and(!(given << at), Ordering::Release);
}

/// The system's allocator, and the pool for what that refuses.
pub struct Lenient;

// SAFETY: what `alloc` gives is the system's, or pieces of the pool that nobody else has, which are large enough and aligned as
// asked for, because each block of it is aligned to its size; `dealloc` and `realloc` tell by the address whose it is. Nothing unwinds.
unsafe impl GlobalAlloc for Lenient {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised to this function.
        let given = unsafe { System.alloc(layout) };
        if given.is_null() { take(layout) } else { given }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised to this function.
        let given = unsafe { System.alloc_zeroed(layout) };
        if !given.is_null() {
            return given;
        }
        let taken = take(layout);
        if !taken.is_null() {
            // SAFETY: so many bytes were taken just now.
            unsafe { ptr::write_bytes(taken, 0, layout.size()) };
        }
        taken
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match place(pointer) {
            Some(place) => give_back(place, layout.size()),
            // SAFETY: the caller has it from this allocator, and it is not the pool's.
            None => unsafe { System.dealloc(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if place(pointer).is_none() {
            // SAFETY: as in `dealloc`; the caller promises that the new size is in order.
            let given = unsafe { System.realloc(pointer, layout, size) };
            if !given.is_null() || size > LARGEST {
                return given;
            }
        }
        // SAFETY: the caller promises that the new size is in order.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as before.
        let given = unsafe { self.alloc(wanted) };
        if !given.is_null() {
            // SAFETY: both hold so many bytes, and are not the same; the old one is given up by its owner.
            unsafe {
                ptr::copy_nonoverlapping(pointer, given, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_taken_side_by_side_and_given_back() {
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        let sizes = [1, 64, 65, 700, LARGEST];
        let taken: Vec<_> = sizes.iter().cycle().take(40).map(|size| (take(layout(*size)), *size)).collect();
        for (pointer, size) in &taken {
            assert!(place(*pointer).is_some() && (*pointer as usize).is_multiple_of(PIECE));
            // SAFETY: so many bytes were taken above.
            unsafe { ptr::write_bytes(*pointer, *size as u8, *size) };
        }
        for (pointer, size) in &taken {
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(*pointer, *size) };
            assert!(bytes.iter().all(|byte| *byte == *size as u8));
        }
        assert!(take(layout(LARGEST + 1)).is_null());
        assert!(take(Layout::from_size_align(1, 2 * LARGEST).unwrap()).is_null());
        let aligned = take(Layout::from_size_align(300, 256).unwrap());
        assert!((aligned as usize).is_multiple_of(256));
        give_back(place(aligned).unwrap(), 300);
        let mut rest = Vec::new();
        while !is_low() {
            rest.push((take(layout(1000)), 1000));
        }
        rest.extend(std::iter::repeat_with(|| (take(layout(64)), 64)).take_while(|(it, _)| !it.is_null()));
        assert!(take(layout(1)).is_null());
        taken.into_iter().chain(rest).for_each(|(it, size)| give_back(place(it).unwrap(), size));
        assert!(!is_low() && TAKEN.iter().all(|word| word.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn what_comes_from_the_pool_grows_and_shrinks_with_its_content() {
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        // SAFETY: each is used with the layout that it was made for last, and given back once.
        unsafe {
            let taken = Lenient.alloc(layout(100));
            ptr::write_bytes(taken, 7, 100);
            let grown = Lenient.realloc(taken, layout(100), 9000);
            let shrunk = Lenient.realloc(grown, layout(9000), 50);
            assert!(std::slice::from_raw_parts(shrunk, 50).iter().all(|byte| *byte == 7));
            Lenient.dealloc(shrunk, layout(50));
        }
    }
}
