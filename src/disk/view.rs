//! A file's bytes in memory, and how many of them may be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::mapping::Mapping;

/// A read-only mapping of a data file. Cheap to clone; the mapping lives as long as the last clone.
#[derive(Clone)]
pub struct View {
    base: *const u8,
    shared: Arc<Shared>,
}

/// What the clones of a view share: the mapping, and how much of it is readable.
struct Shared {
    mapping: Mapping,
    /// As much as was readable some time ago: readers of older bytes need not wait for the cache line of the other one, which
    /// a writer changes with each record.
    settled: AtomicU64,
    readable: Readable,
}

/// In a cache line of its own, and in the pair that processors load together.
#[repr(align(128))]
struct Readable(AtomicU64);

/// [`Shared::settled`] follows in steps of so many bytes.
const SETTLING: u64 = 256 << 10;

/// Who loads a range will load the next one.
const LOADED_AHEAD: u64 = 1 << 20;

/// How many bytes of a record are prefetched, at most.
const MOST_PREFETCHED: u64 = 256;
#[cfg(target_arch = "x86_64")]
const CACHE_LINE: usize = 64;

// SAFETY: `base` points into `shared.mapping`, which is never written through and lives as long as the view.
unsafe impl Send for View {}
// SAFETY: as above; all access through a shared view is reading.
unsafe impl Sync for View {}

impl View {
    pub(super) fn new(mapping: Mapping, readable: u64) -> Self {
        View {
            base: mapping.base(),
            shared: Arc::new(Shared {
                mapping,
                settled: AtomicU64::new(readable),
                readable: Readable(AtomicU64::new(readable)),
            }),
        }
    }

    /// Says that the bytes below `end` may be read from now on. They must never change again while they may be read.
    pub(super) fn set_readable(&self, end: u64) {
        debug_assert!(end <= self.shared.mapping.len() as u64);
        let settled = self.shared.settled.load(Ordering::Relaxed);
        if end < settled || end >= settled + SETTLING {
            self.shared.settled.store(end, Ordering::Release);
        }
        self.shared.readable.0.store(end, Ordering::Release);
    }

    /// Where it is mapped.
    pub fn addresses(&self) -> std::ops::Range<usize> {
        let start = self.base.addr();
        start..start + self.shared.mapping.len()
    }

    /// How many bytes are mapped.
    pub(super) fn len(&self) -> u64 {
        self.shared.mapping.len() as u64
    }

    /// How many bytes may be read.
    pub(super) fn readable(&self) -> u64 {
        self.shared.readable.0.load(Ordering::Acquire)
    }

    /// The bytes from `offset` on, `len` of them; `None` where they are not all readable, or not for long.
    #[inline]
    pub fn get_settled(&self, offset: u64, len: u64) -> Option<&[u8]> {
        self.below(self.shared.settled.load(Ordering::Acquire), offset, len)
    }

    /// The bytes from `offset` on, `len` of them; `None` where they are not all readable.
    #[inline]
    pub fn get(&self, offset: u64, len: u64) -> Option<&[u8]> {
        self.below(self.readable(), offset, len)
    }

    /// Bytes below `readable`, which is not more than was readable once.
    #[inline]
    fn below(&self, readable: u64, offset: u64, len: u64) -> Option<&[u8]> {
        if offset.checked_add(len)? > readable {
            return None;
        }
        // SAFETY: readable bytes lie within the mapping and within the file (the file is not cut while we have it
        // open, which the store's lock and the documentation ask of other programs), and they do not change: appends
        // go behind `readable`, and it grows only after they are complete.
        Some(unsafe { std::slice::from_raw_parts(self.base.add(offset as usize), len as usize) })
    }

    /// Has the kernel map the pages between two offsets, which are in its memory, so that reading them takes no fault.
    pub(super) fn populate(&self, start: u64, end: u64) {
        let _ = self.map_pages(start, end.min(self.readable()));
    }

    /// Asks the kernel to read what stands between two offsets and is not in its memory, in large requests. Does not wait for
    /// that. A fault alone reads one page: see [`super::mapping::Mapping`].
    pub(super) fn will_need(&self, start: u64, end: u64) {
        #[cfg(target_os = "linux")]
        {
            let (mut at, end) =
                (start / super::mapping::PAGE * super::mapping::PAGE, end.min(self.readable()));
            while at < end {
                let len = (end - at).min(super::readahead::REQUEST);
                // SAFETY: the range is inside the mapping; reading ahead changes no content. Where it fails, faults read.
                unsafe {
                    let at = self.base.add(at as usize).cast_mut().cast();
                    libc::madvise(at, len as usize, libc::MADV_WILLNEED);
                }
                at += len;
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (start, end);
    }

    /// Loads what stands between two offsets, and begins to load what stands behind. False where the disk cannot give it: to read it would end the process (SIGBUS).
    pub fn load(&self, start: u64, end: u64) -> bool {
        self.will_need(start, end.saturating_add(LOADED_AHEAD));
        match self.map_pages(start, end.min(self.readable())) {
            // What the kernel says where a fault would fail. Others: it does not know the request.
            Err(error) => !matches!(error.raw_os_error(), Some(libc::EFAULT | libc::EIO)),
            Ok(()) => true,
        }
    }

    fn map_pages(&self, start: u64, end: u64) -> std::io::Result<()> {
        let start = start / super::mapping::PAGE * super::mapping::PAGE;
        #[cfg(target_os = "linux")]
        if start < end {
            // SAFETY: the range is inside the mapping; populating for reading changes no content.
            let failed = unsafe {
                let at = self.base.add(start as usize).cast_mut().cast();
                libc::madvise(at, (end - start) as usize, libc::MADV_POPULATE_READ)
            };
            if failed != 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (start, end);
        Ok(())
    }

    /// Gives up the addresses behind `end`, where nothing will ever be readable. Called by one thread at a time.
    pub(super) fn end_at(&self, end: u64) {
        debug_assert!(end >= self.readable());
        self.shared.mapping.shorten(end as usize);
    }

    /// Says that nobody will read the bytes for some time. Who does reads what is in the file.
    pub fn let_go(&self) {
        let mapping = &self.shared.mapping;
        // SAFETY: the range is the mapping, which is of a file and read only: its pages come back from there.
        unsafe { libc::madvise(self.base.cast_mut().cast(), mapping.len(), libc::MADV_DONTNEED) };
    }

    /// Makes the bytes between two offsets of a private mapping zeros, and gives its whole pages back to the machine. Nobody may read
    /// them: they are not readable any more.
    pub(super) fn give_back(&self, start: u64, end: u64) {
        debug_assert!(start >= self.readable() && end <= self.shared.mapping.len() as u64);
        let page = super::mapping::PAGE;
        let whole = start.next_multiple_of(page).min(end);
        // SAFETY: the range lies in the mapping, is writable where the mapping is private, and nobody reads it.
        unsafe {
            let at = self.base.cast_mut();
            std::ptr::write_bytes(at.add(start as usize), 0, (whole - start) as usize);
            libc::madvise(at.add(whole as usize).cast(), (end - whole) as usize, libc::MADV_DONTNEED);
        }
    }

    /// Asks the processor to load the cache lines of `len` bytes from `offset`, for a read that follows soon: the first few,
    /// after which it loads ahead by itself.
    #[inline]
    pub fn prefetch(&self, offset: u64, len: u64) {
        if offset.saturating_add(MOST_PREFETCHED) < self.shared.mapping.len() as u64 {
            prefetch_lines(self.base.wrapping_add(offset as usize), len.min(MOST_PREFETCHED) as usize);
        }
    }
}

/// Asks the processor to load all cache lines of `bytes`, for a read that follows soon. It loads ahead by itself, but not from
/// one page of 4 KiB to the next.
pub fn prefetch(bytes: &[u8]) {
    prefetch_lines(bytes.as_ptr(), bytes.len());
}

/// As [`prefetch`], of memory that may not be readable, or not be there: a prefetch does nothing then.
#[inline]
pub(super) fn prefetch_lines(start: *const u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let end = start.wrapping_add(len);
        let mut line = start.wrapping_sub(start.addr() % CACHE_LINE);
        while line < end {
            // SAFETY: a prefetch has no effect but on caches.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
            line = line.wrapping_add(CACHE_LINE);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, len);
}
