//! The atomics of `gate.rs`.

pub use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};

/// A fence behind a sequentially consistent addition: what is read after it is read when the addition is done.
#[inline(always)]
pub fn full_fence_after_addition() {
    // There such an addition is one instruction, `lock xadd`, which is a full fence: only the compiler has to be told.
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    fence(Ordering::SeqCst);
}
