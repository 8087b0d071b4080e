//! The page by which a store's writer tells those who read the store meanwhile how far it has come: a small file in the
//! store's directory that the writer maps for writing, and readers for reading only.
//!
//! What it holds are words of 64 bits, each written and read at once; what they mean is in `format/live.rs`. The writer holds
//! locks of the file, which the kernel drops when the writer dies: one as long as it has the store open, and another as long as
//! what stands on the page is its own. Readers ask whether somebody has these, and never take them: so nothing that readers do, or leave
//! undone, is in the writer's way. They have a lock of their own, by which the writer sees that there are some; it never waits for
//! that, and all that it causes are checkpoints (bitcask/background/checkpoints.rs).

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::directory::Directory;
use super::mapping::{Mapping, PAGE};
use super::own_file::OwnFile;
use crate::store::memory::{self, Refused};

/// The name of the file in the store's directory.
pub const FILE_NAME: &str = "LIVE";

/// The kinds of locks, whose type differs between systems.
const READ_LOCK: libc::c_int = libc::F_RDLCK as _;
const WRITE_LOCK: libc::c_int = libc::F_WRLCK as _;
const UNLOCK: libc::c_int = libc::F_UNLCK as _;

/// How many words a page has.
pub const WORDS: usize = PAGE as usize / size_of::<AtomicU64>();

/// The words of a page, mapped or in the memory of this process alone.
enum Words {
    Mapped(Mapping),
    Own(Vec<AtomicU64>),
}

impl Words {
    fn base(&self) -> *const AtomicU64 {
        match self {
            Words::Mapped(mapping) => mapping.base().cast(),
            Words::Own(words) => words.as_ptr(),
        }
    }
}

/// The page of a store that this process writes to.
pub struct OwnPage {
    base: *const AtomicU64,
    _words: Words,
    /// Where others can read it.
    file: Option<Arc<OwnFile>>,
}

// SAFETY: the words are atomic, and `base` points at those that `_words` owns.
unsafe impl Send for OwnPage {}
// SAFETY: as above.
unsafe impl Sync for OwnPage {}

/// What a new page is made of.
static ZEROS: [u8; PAGE as usize] = [0; PAGE as usize];

impl OwnPage {
    /// A page that nobody reads.
    pub fn alone() -> Result<Self, Refused> {
        let mut words = memory::vec_with_room(WORDS)?;
        words.resize_with(WORDS, || AtomicU64::new(0));
        Ok(OwnPage::over(Words::Own(words), None))
    }

    fn over(words: Words, file: Option<Arc<OwnFile>>) -> Self {
        OwnPage { base: words.base(), _words: words, file }
    }

    /// The page in a directory, locked until the second is dropped. Where there is none it is made, or, without `create`, `None`
    /// is given. `WouldBlock` where somebody else has it locked.
    pub(super) fn in_directory(
        directory: &Directory,
        create: bool,
    ) -> io::Result<Option<(OwnPage, PageLock)>> {
        let file = match directory.open_file(FILE_NAME, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && create => {
                let file = directory.open_or_create_file(FILE_NAME)?;
                return Self::locked(file).map(Some).inspect_err(|_| {
                    let _ = directory.remove(FILE_NAME);
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        Self::locked(file).map(Some)
    }

    fn locked(file: OwnFile) -> io::Result<(OwnPage, PageLock)> {
        if !file.metadata()?.is_file() {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        }
        let lock = PageLock::take(file)?;
        let size = lock.file.metadata()?.len();
        if size < PAGE {
            // Past the process's limit the kernel would send SIGXFSZ.
            if super::limits::file_size_limit() < PAGE {
                return Err(io::Error::from_raw_os_error(libc::EFBIG));
            }
            // Written, not only made longer: its block must be there before it is written to through a mapping.
            super::plain::write_parts(&lock.file, &[&ZEROS[size as usize..]], size)?;
        }
        let mapping = Mapping::new(&lock.file, PAGE, true)?;
        mapping.keep_in_memory();
        Ok((OwnPage::over(Words::Mapped(mapping), Some(lock.file.clone())), lock))
    }

    /// Whether it is in a file that others can read.
    pub fn is_mapped(&self) -> bool {
        self.file.is_some()
    }

    /// Whether somebody has the page open for reading.
    pub fn has_readers(&self) -> bool {
        self.file.as_ref().is_some_and(|file| is_locked(file, WRITE_LOCK, READS).unwrap_or(false))
    }

    #[inline]
    fn word(&self, n: usize) -> &AtomicU64 {
        assert!(n < WORDS);
        // SAFETY: the page has so many words, is aligned to its size, or to that of a word, and is mapped for writing as long as this
        // is there. Other processes change none of them but by atomic stores, of which those of a stranger may be any: who reads
        // a word checks it.
        unsafe { &*self.base.add(n) }
    }

    /// Writes a word. Whoever reads it sees all that was written before.
    #[inline]
    pub fn store(&self, n: usize, value: u64) {
        self.word(n).store(value, Ordering::Release);
    }

    /// Makes a word larger by one.
    pub fn count(&self, n: usize) {
        self.word(n).fetch_add(1, Ordering::AcqRel);
    }

    /// Makes a word as large as this, if it is smaller.
    pub fn raise(&self, n: usize, value: u64) {
        self.word(n).fetch_max(value, Ordering::AcqRel);
    }

    /// What a word says.
    pub fn load(&self, n: usize) -> u64 {
        self.word(n).load(Ordering::Acquire)
    }
}

/// The page of a store that another process may be writing to.
pub struct Page {
    base: *const AtomicU64,
    _mapping: Mapping,
    file: OwnFile,
}

// SAFETY: the words are atomic, and `base` points into the mapping that the page owns.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// The page in a directory; `None` where there is none, or none of its size.
    pub(super) fn in_directory(directory: &Directory) -> io::Result<Option<Page>> {
        let file = match directory.open_file(FILE_NAME, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() < PAGE {
            return Ok(None);
        }
        let mapping = Mapping::new(&file, PAGE, false)?;
        // Who may not lock it reads it all the same.
        let _ = set_lock(&file, READ_LOCK, Some(READS));
        Ok(Some(Page { base: mapping.base().cast(), _mapping: mapping, file }))
    }

    /// What a word says; and all that its writer wrote before is seen after this.
    #[inline]
    pub fn load(&self, n: usize) -> u64 {
        assert!(n < WORDS);
        // SAFETY: the page has so many words, and stays mapped as long as this is there; whoever changes them does it atomically.
        // The file was as long as the page, and whoever may write to it makes it no shorter: the documentation asks that of other
        // programs, as of all files of a store.
        let value = unsafe { &*self.base.add(n) }.load(Ordering::Relaxed);
        // Not a load that acquires: of memory that is not writable only relaxed ones are allowed.
        fence(Ordering::Acquire);
        value
    }

    /// Whether a living process has the page for writing.
    pub fn has_writer(&self) -> io::Result<bool> {
        is_locked(&self.file, READ_LOCK, OPEN)
    }

    /// Whether what the page says is of a living process: see [`PageLock::tell`].
    pub fn is_told(&self) -> io::Result<bool> {
        is_locked(&self.file, READ_LOCK, TELLS)
    }
}

/// The bytes of the file that are locked: while the store is open for writing, and while the page is that writer's.
const OPEN: libc::off_t = 0;
const TELLS: libc::off_t = 1;
/// The byte that all who read the page have locked together.
const READS: libc::off_t = 2;

/// The lock of a page, until it is dropped.
pub struct PageLock {
    file: Arc<OwnFile>,
    /// The process that took it.
    owner: u32,
}

impl PageLock {
    fn take(file: OwnFile) -> io::Result<Self> {
        set_lock(&file, WRITE_LOCK, Some(OPEN))?;
        Ok(PageLock { file: Arc::new(file), owner: std::process::id() })
    }

    /// Says that the page is written anew. Without this a reader could take what a writer left that is long dead for what this one
    /// says.
    pub fn tell(&self) -> io::Result<()> {
        set_lock(&self.file, WRITE_LOCK, Some(TELLS))
    }
}

impl Drop for PageLock {
    fn drop(&mut self) {
        // In a forked child this is the parent's lock.
        if std::process::id() == self.owner {
            let _ = set_lock(&self.file, UNLOCK, None);
        }
    }
}

/// Whether this system has locks of open files that can be asked for, and words of 64 bits are written at once.
pub(super) const IS_POSSIBLE: bool = cfg!(all(target_os = "linux", target_pointer_width = "64"));

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn lock_of(kind: libc::c_int, byte: Option<libc::off_t>) -> libc::flock {
    // SAFETY: plain data, for which all zeros is a valid value: the whole file, from its beginning.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    if let Some(byte) = byte {
        (lock.l_start, lock.l_len) = (byte, 1);
    }
    lock
}

/// Takes a lock of a byte of an open file, or gives up all. It belongs to the open file, and not, as those of POSIX, to the process.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn set_lock(file: &File, kind: libc::c_int, byte: Option<libc::off_t>) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let lock = lock_of(kind, byte);
    // SAFETY: the descriptor is open, and the pointer valid for the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether somebody else has a lock of a byte that one of this kind would have to wait for.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn is_locked(file: &File, kind: libc::c_int, byte: libc::off_t) -> io::Result<bool> {
    use std::os::fd::AsRawFd;
    let mut lock = lock_of(kind, Some(byte));
    // SAFETY: as above.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &mut lock) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(lock.l_type != UNLOCK as libc::c_short)
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn set_lock(_: &File, _: libc::c_int, _: Option<libc::off_t>) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn is_locked(_: &File, _: libc::c_int, _: libc::off_t) -> io::Result<bool> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    #[test]
    fn a_page_is_seen_by_who_reads_it_and_its_lock_is_seen_and_never_taken() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(home.path(), false).unwrap();
        assert!(Page::in_directory(&directory).unwrap().is_none());
        assert!(OwnPage::in_directory(&directory, false).unwrap().is_none());
        let (own, lock) = OwnPage::in_directory(&directory, true).unwrap().unwrap();
        assert!(!own.has_readers());
        let page = Page::in_directory(&directory).unwrap().unwrap();
        let other = Page::in_directory(&directory).unwrap().unwrap();
        assert!(own.has_readers());
        drop(other);
        assert!(own.has_readers(), "one is left");
        assert!(page.has_writer().unwrap() && !page.is_told().unwrap());
        lock.tell().unwrap();
        assert!(page.is_told().unwrap());
        own.store(7, 42);
        own.count(7);
        own.raise(8, 5);
        own.raise(8, 3);
        assert_eq!((page.load(7), page.load(8), page.load(WORDS - 1)), (43, 5, 0));
        assert!(OwnPage::in_directory(&directory, true).is_err());
        drop((own, lock));
        assert!(!page.has_writer().unwrap() && !page.is_told().unwrap());
        let (own, _lock) = OwnPage::in_directory(&directory, false).unwrap().unwrap();
        assert_eq!(own.load(7), 43);
        assert!(page.has_writer().unwrap() && own.has_readers());
        drop(page);
        assert!(!own.has_readers());
    }

    #[test]
    fn what_is_too_short_or_no_file_is_no_page() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(home.path(), false).unwrap();
        std::fs::write(home.path().join(FILE_NAME), b"short").unwrap();
        assert!(Page::in_directory(&directory).unwrap().is_none());
        std::fs::remove_file(home.path().join(FILE_NAME)).unwrap();
        std::fs::create_dir(home.path().join(FILE_NAME)).unwrap();
        assert!(Page::in_directory(&directory).unwrap().is_none());
        assert!(OwnPage::in_directory(&directory, true).is_err());
    }
}
