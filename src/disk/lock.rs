//! The lock of a store's directory: `flock` on a file that is never removed.
//!
//! The kernel drops it when the last descriptor of this open file goes, so a killed process leaves nothing behind, and
//! closing another descriptor of the same file does not lose it (as POSIX record locks would).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use super::LockKind;

/// The name of the lock file in the store's directory.
pub(super) const FILE_NAME: &str = "LOCK";

/// Takes the lock without waiting; `WouldBlock` where somebody else has it. Dropping the file releases it.
pub(super) fn acquire(path: &Path, kind: LockKind) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    if kind == LockKind::Exclusive {
        options.write(true).create(true).truncate(false);
    }
    let file = options.open(path)?;
    let operation = match kind {
        LockKind::Exclusive => libc::LOCK_EX,
        LockKind::Shared => libc::LOCK_SH,
    };
    // SAFETY: the descriptor is open; flock touches no memory of ours.
    if unsafe { libc::flock(file.as_raw_fd(), operation | libc::LOCK_NB) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}
