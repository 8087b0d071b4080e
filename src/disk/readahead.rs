//! What the kernel is told about the pages of a file that is open: which will be read, and which are to be written.

use std::fs::File;
use std::io;
use std::ops::Range;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;

use crate::sync::thread::NotCancelled;

/// The kernel takes no more than this at once where a device has the usual readahead.
#[cfg(target_os = "linux")]
pub(super) const REQUEST: u64 = 128 << 10;

/// Reads of this file fetch what they ask for. Without this the kernel guesses from the pages that it has that somebody reads
/// from front to back, and fetches twice as much for random reads of a file that it has half of.
pub(super) fn only_what_is_asked_for(file: &File) {
    #[cfg(target_os = "linux")]
    // SAFETY: the descriptor is open; the advice changes no content.
    unsafe {
        libc::posix_fadvise64(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Asks for a range, without waiting for it.
pub(super) fn will_need(file: &File, range: Range<u64>) {
    #[cfg(target_os = "linux")]
    for at in range.clone().step_by(REQUEST as usize) {
        let len = REQUEST.min(range.end - at);
        // SAFETY: as above.
        unsafe { libc::posix_fadvise64(file.as_raw_fd(), at as i64, len as i64, libc::POSIX_FADV_WILLNEED) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, range);
}

/// Begins to write a range to the disk, or waits until it is there.
pub(super) fn write_back(file: &File, range: Range<u64>, wait: bool) -> io::Result<()> {
    let _not_cancelled = NotCancelled::begin();
    #[cfg(target_os = "linux")]
    loop {
        let (begin, end) = (libc::SYNC_FILE_RANGE_WAIT_BEFORE, libc::SYNC_FILE_RANGE_WAIT_AFTER);
        let flags = libc::SYNC_FILE_RANGE_WRITE | if wait { begin | end } else { 0 };
        let (start, len) = (range.start as i64, (range.end - range.start) as i64);
        // SAFETY: the descriptor is open; no memory of ours is touched.
        if range.is_empty() || unsafe { libc::sync_file_range(file.as_raw_fd(), start, len, flags) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            // Not every file system knows it; it writes when it likes then.
            Some(libc::ENOSYS | libc::EOPNOTSUPP | libc::EINVAL | libc::ESPIPE) => return Ok(()),
            _ => return Err(error),
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, range, wait);
        Ok(())
    }
}
