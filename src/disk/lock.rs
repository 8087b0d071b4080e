//! The lock of a store's directory: `flock` on a file that is never removed.
//!
//! The kernel drops it when the last descriptor of this open file goes, so a killed process leaves nothing behind, and
//! closing another descriptor of the same file does not lose it (as POSIX record locks would). A program that another
//! thread is just starting has all descriptors for a moment: so the lock is given up by name, and not by closing alone.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use super::LockKind;

/// The name of the lock file in the store's directory.
pub(super) const FILE_NAME: &str = "LOCK";

/// The lock, until it is dropped.
pub(super) struct Lock {
    file: File,
    /// The process that took it.
    owner: u32,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // In a forked child this is the parent's lock.
        if std::process::id() == self.owner {
            // SAFETY: the descriptor is open; flock touches no memory of ours.
            unsafe { libc::flock(self.file.as_raw_fd(), libc::LOCK_UN) };
        }
    }
}

/// Takes the lock without waiting; `WouldBlock` where somebody else has it.
pub(super) fn acquire(path: &Path, kind: LockKind) -> io::Result<Lock> {
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
    Ok(Lock { file, owner: std::process::id() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_free_at_once_though_another_program_that_is_being_started_has_its_descriptor() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let lock = acquire(&path, LockKind::Exclusive).unwrap();
        let inherited = lock.file.try_clone().unwrap();
        assert!(acquire(&path, LockKind::Exclusive).is_err());
        drop(lock);
        assert!(acquire(&path, LockKind::Exclusive).is_ok());
        drop(inherited);
    }
}
