//! A range of addresses that a file is mapped at, and what the kernel is told of it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) const PAGE: u64 = 4096;
/// How much is faulted in at once, at most.
#[cfg(target_os = "linux")]
const FAULT_STEP: u64 = 256 << 10;

/// A range of addresses that a file is mapped at; unmapped when dropped.
pub(super) struct Mapping {
    base: *mut u8,
    /// The length of the mapping, which may become shorter.
    len: AtomicUsize,
}

// SAFETY: a mapping is an address range; who may read or write it is decided by its owners.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(super) fn new(file: &File, len: u64, writable: bool) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
        let protection = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        // SAFETY: a new mapping at an address of the kernel's choice changes no memory that is in use.
        let base = unsafe {
            libc::mmap(ptr::null_mut(), len.max(1), protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mapping = Mapping { base: base.cast(), len: len.max(1).into() };
        if !writable {
            mapping.read_only_what_is_asked_for();
        }
        Ok(mapping)
    }

    /// Memory that belongs to no file and is zeros; what is not written to takes none.
    pub(super) fn anonymous(len: u64) -> io::Result<Self> {
        Self::without_file(len, libc::MAP_PRIVATE)
    }

    /// As [`Mapping::anonymous`], which like a file keeps what was written to it when its pages are let go of.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn like_a_file(len: u64) -> io::Result<Self> {
        Self::without_file(len, libc::MAP_SHARED)
    }

    fn without_file(len: u64, sharing: libc::c_int) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?.max(1);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = sharing | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice changes no memory that is in use.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping { base: base.cast(), len: len.into() })
    }

    /// A fault reads its own page, and not the readahead of the device around it, which on some machines is 8 MiB. Who reads
    /// from front to back asks for what comes next: [`View::will_need`].
    fn read_only_what_is_asked_for(&self) {
        #[cfg(target_os = "linux")]
        self.advise(0..(self.len() as u64).next_multiple_of(PAGE), libc::MADV_RANDOM);
    }

    /// Faults in the pages of a range of a writable mapping, whose blocks exist.
    pub(super) fn fault_in(&self, range: std::ops::Range<u64>) {
        let range = range.start / PAGE * PAGE..range.end.div_ceil(PAGE) * PAGE;
        #[cfg(target_os = "linux")]
        for at in range.clone().step_by(FAULT_STEP as usize) {
            // In pieces, between which others get at the process's mappings.
            self.advise(at..range.end.min(at + FAULT_STEP), libc::MADV_POPULATE_WRITE);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = range;
    }

    /// Asks for huge pages in a range, where the file system and the machine's settings have them.
    pub(super) fn want_huge_pages(&self, range: std::ops::Range<u64>) {
        #[cfg(target_os = "linux")]
        {
            // The kernel would read ahead of faults, in small pages, and where there is a small page there can be no huge one.
            self.advise(range.start..(self.len() as u64).next_multiple_of(PAGE), libc::MADV_RANDOM);
            self.advise(range, libc::MADV_HUGEPAGE);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = range;
    }

    /// Tells the kernel what a range of whole pages is wanted for; nothing that changes its content.
    #[cfg(target_os = "linux")]
    fn advise(&self, range: std::ops::Range<u64>, advice: libc::c_int) {
        debug_assert!(range.end <= (self.len() as u64).next_multiple_of(PAGE));
        // SAFETY: the range is inside the mapping, and the advice changes no content. If the kernel does not know it, it says
        // so and nothing happens.
        unsafe {
            let start = self.base.add(range.start as usize).cast();
            libc::madvise(start, (range.end - range.start) as usize, advice)
        };
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.base
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Keeps its pages in memory, where the process may ask for that: a page that is read from the disk again may fail to be.
    pub(super) fn keep_in_memory(&self) {
        // SAFETY: the range is the mapping; no content changes.
        unsafe { libc::mlock(self.base.cast(), self.len()) };
    }

    /// Gives up the addresses from `len` on, which nobody reads, now or later. Called by one thread at a time.
    pub(super) fn shorten(&self, len: usize) {
        let (end, len) =
            (self.len().next_multiple_of(PAGE as usize), len.max(1).next_multiple_of(PAGE as usize));
        if len < end {
            self.len.store(len, Ordering::Relaxed);
            // SAFETY: the range lies in the mapping, and is not a part of it any more; nobody reads it, says the caller.
            unsafe { libc::munmap(self.base.add(len).cast(), end - len) };
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new`, all of it is still ours, and nobody uses it any more.
        unsafe { libc::munmap(self.base.cast(), self.len()) };
    }
}
