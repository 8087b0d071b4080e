//! The open files of this process's stores, which no forked child keeps.
//!
//! A child of `fork` has a descriptor of each file that its parent has open, and both are of the same open file. A lock taken
//! with `flock` is held by that: as long as the child has the descriptor, the store stays locked when the parent is gone. The
//! child cannot use the store, so it closes them all before `fork` returns in it: at that moment they have the numbers that
//! they had in the parent, and later the host may have closed them all and used the numbers for files of its own.
//!
//! The child finds them without a lock, which another thread of the parent may have held when it forked. Children that are made
//! without `fork` (by `clone` alone) keep them.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// Descriptors from this number on are not tracked: children keep them.
const TRACKED: usize = 1 << 16;
const BITS: usize = usize::BITS as usize;

/// A bit for each descriptor that is a store's.
static OPEN: [AtomicUsize; TRACKED / BITS] = [const { AtomicUsize::new(0) }; TRACKED / BITS];
/// How many forks lie between the process that loaded this library and this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);
/// Whether children will call [`close_all`].
static IS_WATCHING: AtomicBool = AtomicBool::new(false);

/// An open file of a store. It is closed when dropped, and in a forked child at once.
pub(super) struct OwnFile {
    file: ManuallyDrop<File>,
    generation: u32,
}

impl OwnFile {
    /// Takes an open file over.
    pub(super) fn new(file: File) -> io::Result<Self> {
        watch_forks()?;
        if let Some((word, bit)) = place(&file) {
            word.fetch_or(bit, Ordering::SeqCst);
        }
        Ok(OwnFile { file: ManuallyDrop::new(file), generation: GENERATION.load(Ordering::Relaxed) })
    }
}

impl Deref for OwnFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        // A child has closed it, and its number may be another file's.
        if self.generation != GENERATION.load(Ordering::Relaxed) {
            return;
        }
        if let Some((word, bit)) = place(&self.file) {
            // Before the number can be used again.
            word.fetch_and(!bit, Ordering::SeqCst);
        }
        // SAFETY: it is dropped here only, and not used after that.
        unsafe { ManuallyDrop::drop(&mut self.file) };
    }
}

/// Where the bit of a descriptor is.
fn place(file: &File) -> Option<(&'static AtomicUsize, usize)> {
    let number = usize::try_from(file.as_raw_fd()).ok()?;
    Some((OPEN.get(number / BITS)?, 1 << (number % BITS)))
}

/// Sees to it that forked children call [`close_all`].
fn watch_forks() -> io::Result<()> {
    if IS_WATCHING.load(Ordering::Acquire) {
        return Ok(());
    }
    // Two threads that come here at once have it called twice, and the second call finds nothing to do.
    // SAFETY: the function is one that a child may call: it takes no lock and no memory.
    match unsafe { libc::pthread_atfork(None, None, Some(close_all)) } {
        0 => {
            IS_WATCHING.store(true, Ordering::Release);
            Ok(())
        }
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Closes what a forked child inherited.
extern "C" fn close_all() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    for (n, word) in OPEN.iter().enumerate() {
        let mut bits = word.swap(0, Ordering::SeqCst);
        while bits != 0 {
            let number = n * BITS + bits.trailing_zeros() as usize;
            // SAFETY: closed by nobody else: this is the only thread of the child, and what the parent would have closed it with
            // sees from the generation that it must not.
            unsafe { libc::close(number as libc::c_int) };
            bits &= bits - 1;
        }
    }
}
