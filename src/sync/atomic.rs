//! The atomics of what threads share beside locks: std's, and in a build for `src/schedules` ones at which the threads of a test change.

#[cfg(filedb_schedules)]
pub use super::scheduled::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
#[cfg(not(filedb_schedules))]
pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
pub use std::sync::atomic::{Ordering, fence};

/// A fence behind a sequentially consistent addition: what is read after it is read when the addition is done.
#[inline(always)]
pub fn full_fence_after_addition() {
    // There such an addition is one instruction, `lock xadd`, which is a full fence: only the compiler has to be told.
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    fence(Ordering::SeqCst);
}
