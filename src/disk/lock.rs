//! The lock of a store: `flock` on its directory, and on a file in it that is never removed.
//!
//! On the directory, because people delete files whose meaning they do not know: whoever comes next would make and lock another
//! one. On the file, because version 0.1 locks nothing else, and because on network file systems only locks of files
//! reach other machines. Where a directory cannot be locked, the file's lock is all.
//!
//! The kernel drops a lock when the last descriptor of its open file goes, so a killed process leaves nothing behind, and
//! closing another descriptor of the same file does not lose it (as POSIX record locks would). A program that another
//! thread is just starting has all descriptors for a moment: so the lock is given up by name, and not by closing alone.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use super::LockKind;
use super::directory::{Directory, is_missing};
use super::own_file::OwnFile;

/// The name of the lock file in the store's directory.
pub(super) const FILE_NAME: &str = "LOCK";

/// The lock, until it is dropped.
pub(super) struct Lock {
    directory: Arc<Directory>,
    /// `None` where there is no such file, for who only reads.
    file: Option<OwnFile>,
    /// The process that took it.
    owner: u32,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // In a forked child this is the parent's lock.
        if std::process::id() == self.owner {
            for file in [self.file.as_deref(), Some(self.directory.file())].into_iter().flatten() {
                let _ = flock(file, libc::LOCK_UN);
            }
        }
    }
}

/// Takes the lock without waiting; `WouldBlock` where somebody else has it.
pub(super) fn acquire(directory: &Arc<Directory>, kind: LockKind) -> io::Result<Lock> {
    let operation = match kind {
        LockKind::Exclusive => libc::LOCK_EX,
        LockKind::Shared => libc::LOCK_SH,
    };
    // What is locked so far is given up where the rest fails.
    let mut lock = Lock { directory: directory.clone(), file: None, owner: std::process::id() };
    match flock(directory.file(), operation | libc::LOCK_NB) {
        Err(error) if !cannot_lock(&error) => return Err(error),
        _ => {}
    }
    let file = match kind {
        LockKind::Exclusive => {
            let made = directory.open_or_create_file(FILE_NAME);
            // The directory is locked: nobody else has begun a store in it.
            Some(made.inspect_err(|_| directory.remove_if_new(FILE_NAME))?)
        }
        LockKind::Shared => match directory.open_file(FILE_NAME, false) {
            // Nobody ever wrote here, or it was left out of a copy.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened?),
        },
    };
    if let Some(file) = file {
        flock(&file, operation | libc::LOCK_NB)?;
        lock.file = Some(file);
    }
    Ok(lock)
}

/// Whether a process that this one can see holds the lock of a directory for writing, as the kernel lists them; without taking the lock,
/// which would keep others out for a moment. A file of another file system may have the same number: this is for messages only.
#[cfg(target_os = "linux")]
pub(super) fn is_held_by_a_writer(directory: &Directory) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = directory.file().metadata() else { return false };
    let inode = format!(":{}", metadata.ino());
    // The device too where it is that of the file system, and not, as with btrfs, one for each of its volumes.
    let (major, minor) = (libc::major(metadata.dev()), libc::minor(metadata.dev()));
    let exact = format!("{major:02x}:{minor:02x}{inode}");
    let is_exact = super::fs::is_safe_to_map(directory);
    // 1: FLOCK  ADVISORY  WRITE 4242 fd:01:1234 0 EOF
    std::fs::read_to_string("/proc/locks").unwrap_or_default().lines().any(|line| {
        let mut words = line.split_whitespace();
        words.any(|word| word == "FLOCK")
            && words.any(|word| word == "WRITE")
            && words.any(|word| if is_exact { word == exact } else { word.ends_with(&inode) })
    })
}

/// Elsewhere nobody lists them.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_held_by_a_writer(_: &Directory) -> bool {
    false
}

fn flock(file: &File, operation: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open; flock touches no memory of ours.
    if unsafe { libc::flock(file.as_raw_fd(), operation) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether the file system cannot lock a directory: some ask for a descriptor that can be written to, which no directory has.
fn cannot_lock(error: &io::Error) -> bool {
    is_missing(error) || matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOLCK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_free_at_once_though_another_program_that_is_being_started_has_its_descriptors() {
        let home = tempfile::tempdir().unwrap();
        let open = || Arc::new(Directory::open(home.path(), false).unwrap());
        let directory = open();
        let lock = acquire(&directory, LockKind::Exclusive).unwrap();
        let inherited =
            [directory.file(), lock.file.as_deref().unwrap()].map(|file| file.try_clone().unwrap());
        assert!(acquire(&open(), LockKind::Exclusive).is_err());
        drop(lock);
        assert!(acquire(&open(), LockKind::Exclusive).is_ok());
        drop(inherited);
    }

    #[test]
    fn a_lock_of_the_file_alone_keeps_out_whoever_locks_both() {
        let home = tempfile::tempdir().unwrap();
        let directory = Arc::new(Directory::open(home.path(), false).unwrap());
        let file = directory.open_or_create_file(FILE_NAME).unwrap();
        flock(&file, libc::LOCK_EX).unwrap();
        let refused = acquire(&directory, LockKind::Exclusive).err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        // The directory's lock was given up again.
        let other = Directory::open(home.path(), false).unwrap();
        flock(other.file(), libc::LOCK_EX | libc::LOCK_NB).unwrap();
    }
}
