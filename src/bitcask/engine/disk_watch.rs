//! Notices whether gets wait for the disk.
//!
//! A record that is not in memory is read by the faults of who looks at it, a page each, one after the other; and the kernel
//! does not notice that a page of a file is used that was mapped for random reads, and takes it away like any other. A request
//! before the record is looked at helps with both, and takes longer than a get of a record that is in memory. So some gets, by
//! their place, are timed. If one of them waited, the next gets make that request and are timed, until many in a row did not wait.

use crate::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::index::Entry;

/// One get in so many is timed.
const TIMED: u32 = 1 << 7;
/// A get that takes so long, and as much more for each byte, waited for the disk; or was interrupted, which does no harm.
const WAITED: Duration = Duration::from_micros(20);
const WAITED_PER_BYTE: Duration = Duration::from_nanos(2);
/// After one that waited, so many are taken for gets that may.
const SUSPECTED: u32 = 128;

/// See the module.
pub struct DiskWatch {
    /// Gets are timed whose place, as a number without pattern, is not above this.
    timed_to: AtomicU32,
    /// How many of the next gets are taken for gets that may wait.
    left: AtomicU32,
}

impl DiskWatch {
    /// For a store that was just opened: nothing of it need be in memory.
    pub fn new() -> Self {
        DiskWatch { timed_to: AtomicU32::new(u32::MAX), left: AtomicU32::new(SUSPECTED) }
    }

    /// Whether to time this get.
    #[inline(always)]
    pub fn is_timed(&self, entry: Entry) -> bool {
        // Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4).
        entry.location.units.wrapping_mul(0x9E37_79B9) <= self.timed_to.load(Ordering::Relaxed)
    }

    /// Whether gets are likely to wait.
    pub fn may_wait(&self) -> bool {
        self.timed_to.load(Ordering::Relaxed) == u32::MAX
    }

    /// A get of a record of so many bytes is done, which was timed.
    pub fn saw(&self, begun: Instant, bytes: u64) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if begun.elapsed() > WAITED + WAITED_PER_BYTE * bytes {
            self.left.store(SUSPECTED, Ordering::Relaxed);
            self.timed_to.store(u32::MAX, Ordering::Relaxed);
        } else if self.may_wait() && self.left.fetch_sub(1, Ordering::Relaxed) <= 1 {
            self.timed_to.store(u32::MAX / TIMED, Ordering::Relaxed);
        }
    }
}
