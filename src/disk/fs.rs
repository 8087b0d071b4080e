//! A store's directory on a real file system.

use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

pub use super::directory::rename_new;

use super::descriptors::Descriptors;
use super::directory::Directory;
use super::followed::FollowedFile;
use super::limits::file_size_limit;
use super::mapped::{MappedFile, Writes};
use super::own_file::OwnFile;
use super::page::{self, OwnPage, Page, PageLock};
use super::plain::{PlainFile, Purpose};
use super::{Access, Disk, DiskFile, LockKind, clock, lock};

/// How data files are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// With `pread` and `pwrite`.
    Plain,
    /// Through memory mappings.
    Mapped {
        /// Whether every write is synced at once.
        synced: bool,
    },
}

/// A directory whose data files are plain or mapped.
pub struct FsDisk {
    directory: Arc<Directory>,
    /// How mapped data files are written to; `None` where data files are plain.
    mapped: Option<Writes>,
    descriptors: Arc<Descriptors>,
}

impl FsDisk {
    /// The directory at `path`, which is created if `create` is set; its parent must exist.
    /// Data files are mapped where `io` says so and the file system can reserve blocks for that.
    pub fn open(path: &Path, create: bool, io: Io) -> io::Result<Self> {
        Self::over(Directory::open(path, create)?, io)
    }

    fn over(directory: Directory, io: Io) -> io::Result<Self> {
        let directory = Arc::new(directory);
        let mapped = match io {
            Io::Plain => None,
            Io::Mapped { synced: false } => Some(Writes::Mapped),
            Io::Mapped { synced: true } => Some(Writes::Descriptor),
        };
        let mapped = mapped.filter(|_| cfg!(target_pointer_width = "64") && is_safe_to_map(&directory));
        Ok(FsDisk { directory, mapped, descriptors: Arc::new(Descriptors::new()) })
    }

    /// As [`FsDisk::open`], of a directory that is made; `AlreadyExists` where there is anything of this name.
    pub fn create(path: &Path, io: Io) -> io::Result<Self> {
        std::fs::create_dir(path)?;
        Self::over(Directory::of_new(path)?, io)
    }

    fn plain(&self, name: &str, file: OwnFile, purpose: Purpose) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(PlainFile::new((&self.directory, name), file, purpose, &self.descriptors)?))
    }

    /// Whether who writes here can tell others how far it has come. Where a write to a mapping could fail it cannot.
    pub fn can_tell(&self) -> bool {
        page::IS_POSSIBLE && is_safe_to_map(&self.directory)
    }

    /// A complete file, mapped; `None` where files are not.
    fn map(&self, file: &OwnFile) -> io::Result<Option<Arc<dyn DiskFile>>> {
        if self.mapped.is_none() {
            return Ok(None);
        }
        match MappedFile::sealed(file) {
            Ok(mapped) => Ok(Some(Arc::new(mapped))),
            // A process may have so many mappings (vm.max_map_count) and so many addresses, and no more.
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn wrap(&self, name: &str, file: OwnFile, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        match access {
            Access::Append { capacity } => match self.mapped {
                Some(writes) if can_reserve(&file)? => {
                    Ok(Arc::new(MappedFile::appendable(file, capacity, writes)?))
                }
                _ => self.plain(name, file, Purpose::Append),
            },
            Access::Read => match self.map(&file)? {
                Some(mapped) => Ok(mapped),
                None => self.plain(name, file, Purpose::Read),
            },
            Access::Follow { grows: false } => match self.map(&file)? {
                Some(mapped) => Ok(mapped),
                None => self.plain(name, file, Purpose::Whole),
            },
            Access::Follow { grows: true } if self.mapped.is_none() => self.plain(name, file, Purpose::Whole),
            Access::Follow { grows: true } => match FollowedFile::new(file) {
                Ok(followed) => Ok(Arc::new(followed)),
                Err((file, error)) if error.raw_os_error() == Some(libc::ENOMEM) => {
                    self.plain(name, file, Purpose::Whole)
                }
                Err((_, error)) => Err(error),
            },
        }
    }
}

impl Disk for FsDisk {
    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn is_mapped(&self) -> bool {
        self.mapped.is_some()
    }

    fn unused_bytes(&self) -> Option<u64> {
        self.directory.unused_bytes()
    }

    fn lock(&self, kind: LockKind) -> io::Result<Box<dyn Send + Sync>> {
        Ok(Box::new(lock::acquire(&self.directory, kind)?))
    }

    fn is_locked_by_a_writer(&self) -> bool {
        lock::is_held_by_a_writer(&self.directory)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.directory.file().as_fd())
    }

    fn is_within(&self, other: &dyn Disk) -> io::Result<bool> {
        match other.descriptor() {
            Some(other) => self.directory.is_within(other),
            None => Ok(false),
        }
    }

    fn take(&self, from: &dyn Disk, name: &str, may_link: bool) -> io::Result<bool> {
        match from.descriptor() {
            Some(from) => self.directory.take(from, name, may_link),
            None => Ok(false),
        }
    }

    fn own_page(&self, create: bool) -> io::Result<Option<(OwnPage, PageLock)>> {
        if !self.can_tell() {
            return Ok(None);
        }
        OwnPage::in_directory(&self.directory, create)
    }

    fn page(&self) -> io::Result<Option<Page>> {
        if page::IS_POSSIBLE { Page::in_directory(&self.directory) } else { Ok(None) }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.directory.list()
    }

    fn create(&self, name: &str, capacity: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.directory.create_file(name)?;
        self.wrap(name, file, Access::Append { capacity }).inspect_err(|_| {
            let _ = self.directory.remove(name);
        })
    }

    fn create_plain(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.directory.create_file(name)?;
        self.plain(name, file, Purpose::Whole)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.directory.open_file(name, matches!(access, Access::Append { .. }))?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        }
        self.wrap(name, file, access)
    }

    fn open_plain(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.directory.open_file(name, false)?;
        self.plain(name, file, Purpose::Whole)
    }

    fn open_suspect(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.directory.open_own_file(name)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"));
        }
        self.plain(name, file, Purpose::Whole)
    }

    fn set_aside(&self, name: &str, bytes: u64) -> io::Result<()> {
        let file = self.directory.open_or_create_file(name)?;
        let held = held_by(&file)?;
        if held >= bytes {
            return Ok(());
        }
        match allocate(&file, held..bytes, true) {
            // Where no room can be set aside, none is.
            Err(error) if !is_unable(&error) && error.raw_os_error() != Some(libc::EFBIG) => {
                if held == 0 {
                    let _ = self.directory.remove(name);
                }
                Err(error)
            }
            _ => Ok(()),
        }
    }

    fn aside(&self, name: &str) -> io::Result<u64> {
        match self.directory.open_file(name, false) {
            Ok(file) => held_by(&file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.directory.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.directory.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.directory.sync()
    }

    fn sync_name(&self) -> io::Result<()> {
        self.directory.sync_name()
    }

    fn remove_if_new(&self) {
        self.directory.remove_if_new(lock::FILE_NAME);
    }

    fn now_ms(&self, precise: bool) -> u64 {
        clock::now_ms(precise)
    }

    fn monotonic_ms(&self) -> u64 {
        clock::monotonic_ms()
    }
}

/// How many bytes of blocks a file has.
fn held_by(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.blocks() * 512)
}

/// Whether blocks can be reserved for a file, which its file system may not know how to: ext2 and ext3 go by the name of ext4.
/// To know it, the block behind its end is.
pub(super) fn can_reserve(file: &File) -> io::Result<bool> {
    let end = file.metadata()?.len();
    // Where there is no room, that is said to who needs it.
    Ok(!allocate(file, end..end + 1, true).is_err_and(|error| is_unable(&error)))
}

/// Whether the system does not know how to do what was asked.
pub(super) fn is_unable(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS))
}

/// Gives a range at the end of a file blocks on the disk; without `keep_size` it belongs to the file then, as zeros.
pub(super) fn allocate(file: &File, range: std::ops::Range<u64>, keep_size: bool) -> io::Result<()> {
    // Past the process's limit the kernel would send SIGXFSZ, which ends most programs.
    if range.end > file_size_limit() {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    #[cfg(target_os = "linux")]
    let before = file.metadata()?;
    #[cfg(target_os = "linux")]
    loop {
        let mode = if keep_size { libc::FALLOC_FL_KEEP_SIZE } else { 0 };
        let (start, length) = (range.start as i64, (range.end - range.start) as i64);
        // SAFETY: the descriptor is open; fallocate touches no memory of ours.
        if unsafe { libc::fallocate64(file.as_raw_fd(), mode, start, length) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => continue,
            _ if is_unable(&error) => {}
            // It may have allocated some of the range.
            _ if keep_size => give_back(file, range.start.max(before.len())..range.end, &before),
            _ => drop(file.set_len(before.len())),
        }
        return Err(error);
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, range, keep_size);
        Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }
}

/// Gives the blocks of a range behind the end of the file back to the disk, which it did not have before.
#[cfg(target_os = "linux")]
fn give_back(file: &File, range: std::ops::Range<u64>, before: &std::fs::Metadata) {
    if range.is_empty() {
        return;
    }
    let hole = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let change = |mode, range: std::ops::Range<u64>| {
        let (start, length) = (range.start as i64, (range.end - range.start) as i64);
        // SAFETY: the descriptor is open; fallocate touches no memory of ours.
        unsafe { libc::fallocate64(file.as_raw_fd(), mode, start, length) }
    };
    change(hole, range.clone());
    // ext4 punches no hole behind the end of a file, and says nothing.
    if file.metadata().is_ok_and(|now| now.blocks() > before.blocks()) {
        // That gives all of it back; what was there before is had again.
        if file.set_len(before.len()).is_ok() && range.start > before.len() {
            change(libc::FALLOC_FL_KEEP_SIZE, before.len()..range.start);
        }
    }
}

/// Whether the file system is one where a reserved block can be written through a mapping without a SIGBUS: local,
/// and not copy-on-write, on a machine with pages of the usual size. Elsewhere data files are plain.
pub(super) fn is_safe_to_map(directory: &Directory) -> bool {
    const EXT4: i64 = 0xEF53;
    const XFS: i64 = 0x5846_5342;
    const TMPFS: i64 = 0x0102_1994;
    // SAFETY: sysconf only answers.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    page == super::mapping::PAGE as libc::c_long
        && directory.file_system().is_some_and(|kind| [EXT4, XFS, TMPFS].contains(&kind))
}
