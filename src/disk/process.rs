//! What the engine asks the operating system about its own process and machine: random bytes, whether it was forked, memory.

use std::io;
use std::ops::RangeInclusive;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::cgroup;

/// Fills an array from the system's random number generator.
pub fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    // SAFETY: the pointer and the length are those of the array; up to 256 bytes are delivered whole.
    #[cfg(target_os = "linux")]
    let is_filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), N, 0) } == N as isize;
    // SAFETY: as above.
    #[cfg(not(target_os = "linux"))]
    let is_filled = unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), N) } == 0;
    if is_filled { Ok(bytes) } else { Err(io::Error::last_os_error()) }
}

/// A limit of memory is looked at again after this time: it can be changed under a running process.
const LIMIT_HOLDS: Duration = Duration::from_secs(2);
/// No process that opens a store has less.
const LEAST_MEMORY: u64 = 4 << 20;

/// How much memory this process may use, the pages of its files in the kernel's memory included: what the machine has, or
/// what its control groups allow. Asked of the system now and then only, so it costs little; not for every get.
pub fn memory_limit() -> u64 {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    static LOOK_AGAIN_MS: AtomicU64 = AtomicU64::new(0);
    static LIMIT: AtomicU64 = AtomicU64::new(0);
    let now = BEGUN.get_or_init(Instant::now).elapsed().as_millis() as u64;
    let (due, known) = (LOOK_AGAIN_MS.load(Ordering::Relaxed), LIMIT.load(Ordering::Relaxed));
    let next = now + LIMIT_HOLDS.as_millis() as u64;
    let is_mine =
        now >= due && LOOK_AGAIN_MS.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    if known != 0 && !is_mine {
        return known;
    }
    let machine = physical_memory();
    let limit = cgroup::memory_limit().map_or(machine, |limit| limit.clamp(LEAST_MEMORY, machine));
    LIMIT.store(limit, Ordering::Relaxed);
    limit
}

/// A part of [`memory_limit`], within a range: how much of something to hold in memory. The upper end is what is of use where
/// memory does not matter.
pub fn memory_share(part: u64, range: RangeInclusive<u64>) -> u64 {
    (memory_limit() / part).clamp(*range.start(), *range.end())
}

/// How much memory the machine has, in bytes; 1 GiB where it does not say.
fn physical_memory() -> u64 {
    // SAFETY: sysconf touches no memory of ours.
    let (pages, size) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    match (u64::try_from(pages), u64::try_from(size)) {
        (Ok(pages), Ok(size)) => pages.saturating_mul(size),
        _ => 1 << 30,
    }
}

/// Knows whether the process is still the one that made it, for the price of a load.
///
/// A page that the kernel wipes in a forked child (`MADV_WIPEONFORK`); where there is none, the process number.
pub struct ForkGuard {
    page: *mut u8,
    pid: u32,
}

// SAFETY: the page is written once, before the guard is shared, and only read after that.
unsafe impl Send for ForkGuard {}
// SAFETY: as above.
unsafe impl Sync for ForkGuard {}

const PAGE: usize = 4096;

impl ForkGuard {
    /// A guard for the process that calls.
    pub fn new() -> Self {
        ForkGuard { page: wiped_page().unwrap_or(std::ptr::null_mut()), pid: std::process::id() }
    }

    /// Whether this process is a forked child of the one that made the guard.
    #[inline]
    pub fn is_forked(&self) -> bool {
        if self.page.is_null() {
            return std::process::id() != self.pid;
        }
        // SAFETY: the page is mapped as long as the guard lives; volatile, because the kernel changes it behind us.
        unsafe { self.page.read_volatile() == 0 }
    }
}

impl Default for ForkGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ForkGuard {
    fn drop(&mut self) {
        if !self.page.is_null() {
            // SAFETY: mapped by `wiped_page`, and not used after this.
            unsafe { libc::munmap(self.page.cast(), PAGE) };
        }
    }
}

#[cfg(target_os = "linux")]
fn wiped_page() -> Option<*mut u8> {
    // SAFETY: a new private mapping changes no memory in use; it is unmapped again where the advice is not known.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = libc::mmap(std::ptr::null_mut(), PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        if libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) != 0 {
            libc::munmap(page, PAGE);
            return None;
        }
        let page = page.cast::<u8>();
        page.write_volatile(1);
        Some(page)
    }
}

#[cfg(not(target_os = "linux"))]
fn wiped_page() -> Option<*mut u8> {
    None
}
