//! The end of a mapped file, which is written to, and what is given up for writing behind it.

use std::sync::Arc;

use super::mapping::{Mapping, PAGE};
use super::own_file::OwnFile;

/// A page of the processor's next size. Where the file system keeps a file in such pages, all of one is mapped by a single
/// fault, and a reader misses the TLB as seldom as there are few of them.
pub(super) const HUGE_PAGE: u64 = 2 << 20;

/// The first reservation of a file; each further one doubles it, up to what [`super::mapped`] says.
pub(super) const FIRST_STEP: u64 = 64 << 10;
/// How much is reserved at once ahead of the tail, at most: writers wait for each.
const PIECE: u64 = 16 << 20;

/// What only writing needs: the descriptor, the mapping for writing, if there is one, and how far that reaches.
pub(super) struct Tail {
    pub(super) file: Arc<OwnFile>,
    pub(super) mapping: Option<Arc<Mapping>>,
    /// Pages below are faulted in for writing, or were.
    pub(super) faulted: u64,
    /// Nothing below is written through the mapping any more.
    pub(super) finished: u64,
    /// Everything below is no longer writable.
    pub(super) released: u64,
    /// Huge pages were asked for below; 0 while they never were.
    pub(super) huge: u64,
    /// The size of the next reservation of a writer.
    pub(super) step: u64,
    /// The largest piece of a reservation ahead of writers.
    pub(super) piece: u64,
}

impl Tail {
    pub(super) fn new(file: OwnFile, mapping: Option<Arc<Mapping>>) -> Self {
        Tail {
            file: Arc::new(file),
            mapping,
            faulted: 0,
            finished: 0,
            released: 0,
            huge: 0,
            step: FIRST_STEP,
            piece: PIECE,
        }
    }

    /// The size of the page that writers are in. Nobody gives up a part of one for writing: the rest would be written in small
    /// pages.
    pub(super) fn page(&self) -> u64 {
        if self.finished < self.huge { HUGE_PAGE } else { PAGE }
    }

    /// What is finished and still writable, in whole pages of this size, if that is at least `step` bytes. Counts as released from
    /// now on.
    pub(super) fn take_finished(&mut self, step: u64, page: u64) -> Option<Finished> {
        let mapping = self.mapping.as_ref()?.clone();
        let range = self.released..self.finished / page * page;
        if range.end < range.start + step {
            return None;
        }
        self.released = range.end;
        Some(Finished { mapping, range })
    }
}

/// A range of a mapping that nothing is written to any more.
pub(super) struct Finished {
    mapping: Arc<Mapping>,
    range: std::ops::Range<u64>,
}

impl Finished {
    /// Makes it read-only. The range stays mapped, and so remains ours, but without its pages: the kernel would take away the
    /// right to write from each page by itself when it writes it to the disk, and interrupt all cores for each.
    ///
    /// Not under the lock: an appender would wait until the process's mappings can be changed.
    pub(super) fn release(self) {
        let (start, len) = (self.range.start as usize, (self.range.end - self.range.start) as usize);
        // SAFETY: the range lies inside the mapping, which is held here, and all appends go behind it: see
        // `Tail::take_finished`. The pages belong to the file, which keeps what was written to them; only how they are
        // reached from here is forgotten.
        unsafe {
            let start = self.mapping.base().add(start).cast();
            libc::mprotect(start, len, libc::PROT_READ);
            libc::madvise(start, len, libc::MADV_DONTNEED);
        }
    }
}
