//! What this process may use of files (`ulimit`), which may change while a store is open.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

// A 32-bit Linux has these in two widths.
#[cfg(not(target_os = "linux"))]
use libc::{RLIM_INFINITY, getrlimit, rlimit};
#[cfg(target_os = "linux")]
use libc::{RLIM64_INFINITY as RLIM_INFINITY, getrlimit64 as getrlimit, rlimit64 as rlimit};

/// The size at which this process may not write to a file any more (`ulimit -f`).
pub(super) fn file_size_limit() -> u64 {
    // SAFETY: the pointer is to a valid rlimit.
    soft_limit(|limit| unsafe { getrlimit(libc::RLIMIT_FSIZE, limit) }).unwrap_or(i64::MAX as u64)
}

/// How many descriptors this process may have (`ulimit -n`).
pub(super) fn descriptor_limit() -> u64 {
    // SAFETY: as above.
    soft_limit(|limit| unsafe { getrlimit(libc::RLIMIT_NOFILE, limit) }).unwrap_or(u64::MAX)
}

/// What this process may use of a resource; `None` where that is not limited.
fn soft_limit(ask: impl FnOnce(*mut rlimit) -> libc::c_int) -> Option<u64> {
    let mut limit = rlimit { rlim_cur: 0, rlim_max: 0 };
    let known = ask(&mut limit) == 0;
    (known && limit.rlim_cur != RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// The limit on the size of files as a file knows it. Asking is a system call, and each write must not make one: it is asked for when the
/// file is opened, and again where it is in the way, because somebody may have raised it.
pub(super) struct SizeLimit(AtomicU64);

impl SizeLimit {
    pub fn now() -> SizeLimit {
        SizeLimit(AtomicU64::new(file_size_limit()))
    }

    /// Of a file that is not written to.
    pub const fn none() -> SizeLimit {
        SizeLimit(AtomicU64::new(0))
    }

    pub fn known(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// `EFBIG` where the file may not have so many bytes. Past its limit the kernel would send SIGXFSZ, which ends most programs.
    #[inline]
    pub fn allow(&self, end: u64) -> io::Result<()> {
        if end <= self.known() { Ok(()) } else { self.ask_again(end) }
    }

    #[cold]
    fn ask_again(&self, end: u64) -> io::Result<()> {
        let limit = file_size_limit();
        self.0.store(limit, Ordering::Relaxed);
        if end <= limit { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EFBIG)) }
    }
}
