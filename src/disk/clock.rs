//! The machine's clocks: the wall clock, at two prices, and the one that nobody sets.

/// Milliseconds since 1970. The imprecise reading costs a tenth of the other and may be some milliseconds old.
pub fn now_ms(precise: bool) -> u64 {
    #[cfg(target_os = "linux")]
    let clock = if precise { libc::CLOCK_REALTIME } else { libc::CLOCK_REALTIME_COARSE };
    #[cfg(not(target_os = "linux"))]
    let clock = {
        let _ = precise;
        libc::CLOCK_REALTIME
    };
    read(clock)
}

/// Milliseconds since the machine was started, those included in which it slept.
pub fn monotonic_ms() -> u64 {
    #[cfg(target_os = "linux")]
    let clock = libc::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    let clock = libc::CLOCK_MONOTONIC;
    read(clock)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a valid timespec; the clocks above exist on every kernel that Rust supports.
    if unsafe { libc::clock_gettime(clock, &mut time) } != 0 || time.tv_sec < 0 {
        return 0;
    }
    time.tv_sec as u64 * 1_000 + time.tv_nsec as u64 / 1_000_000
}
