//! A directory that is reached by its descriptor alone, once it is open.
//!
//! Its path may lead elsewhere later: it may be renamed, another one may be made in its place, the process may change its root.
//! The path is kept for messages.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::own_file::OwnFile;
use crate::store::memory;

/// See the module.
pub(super) struct Directory {
    file: OwnFile,
    path: PathBuf,
    /// Whether this opening made it.
    is_new: bool,
}

impl Directory {
    /// The directory at `path`, which is made if `create` is set; its parent must exist.
    pub(super) fn open(path: &Path, create: bool) -> io::Result<Self> {
        let is_new = create
            && match fs::create_dir(path) {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
                Err(error) => return Err(error),
            };
        match is_new {
            true => Self::of_new(path),
            false => Self::open_made(path, false),
        }
    }

    /// A directory that was just made; it is removed where it cannot be opened.
    pub(super) fn of_new(path: &Path) -> io::Result<Self> {
        Self::open_made(path, true).inspect_err(|_| {
            let _ = fs::remove_dir(path);
        })
    }

    fn open_made(path: &Path, is_new: bool) -> io::Result<Self> {
        let given = CString::new(path.as_os_str().as_bytes())?;
        let file = OwnFile::new(open_at(libc::AT_FDCWD, &given, libc::O_RDONLY | libc::O_DIRECTORY)?)?;
        // Whole, so that messages are true after a chdir of the host.
        let path = path.canonicalize().or_else(|_| std::path::absolute(path))?;
        Ok(Directory { file, path, is_new })
    }

    /// Where it was when it was opened.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that is the directory's descriptor.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Opens a file in it.
    pub(super) fn open_file(&self, name: &str, writable: bool) -> io::Result<OwnFile> {
        // Of a pipe that somebody put in its place nobody may write the other end.
        let access = if writable { libc::O_RDWR } else { libc::O_RDONLY | libc::O_NONBLOCK };
        OwnFile::new(open_at(self.file.as_raw_fd(), &c_name(name)?, access)?)
    }

    /// As [`Directory::open_file`], to be read, and not where a link leads to.
    pub(super) fn open_own_file(&self, name: &str) -> io::Result<OwnFile> {
        let access = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let opened = open_at(self.file.as_raw_fd(), &c_name(name)?, access);
        OwnFile::new(opened.map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link"),
            _ => error,
        })?)
    }

    /// Makes a file in it; `AlreadyExists` where there is one.
    pub(super) fn create_file(&self, name: &str) -> io::Result<OwnFile> {
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        OwnFile::new(open_at(self.file.as_raw_fd(), &c_name(name)?, flags)?)
    }

    /// Opens a file in it for reading and writing, and makes it where there is none.
    pub(super) fn open_or_create_file(&self, name: &str) -> io::Result<OwnFile> {
        OwnFile::new(open_at(self.file.as_raw_fd(), &c_name(name)?, libc::O_RDWR | libc::O_CREAT)?)
    }

    /// Gives a file in it another name, in place of what has that.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to, at) = (c_name(from)?, c_name(to)?, self.file.as_raw_fd());
        // SAFETY: the descriptor is open, and both names end with a zero byte.
        check(|| unsafe { libc::renameat(at, from.as_ptr(), at, to.as_ptr()) }).map(drop)
    }

    /// Takes a file's name away.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        let name = c_name(name)?;
        // SAFETY: the descriptor is open, and the name ends with a zero byte.
        check(|| unsafe { libc::unlinkat(self.file.as_raw_fd(), name.as_ptr(), 0) }).map(drop)
    }

    /// Removes the directory itself where this opening made it, with a file of this name. Not where anything else is in it.
    pub(super) fn remove_if_new(&self, with: &str) {
        if self.is_new {
            let _ = self.remove(with);
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// The names of all that is in it.
    pub(super) fn list(&self) -> io::Result<Vec<String>> {
        // Opened anew: where the reading has come to is a property of the open file, and this one is shared.
        let own = open_at(self.file.as_raw_fd(), c".", libc::O_RDONLY | libc::O_DIRECTORY)?;
        let mut listing = Listing::of(own)?;
        let mut names = Vec::new();
        while let Some(name) = listing.next_name()? {
            memory::room_for_small_things()?;
            // A name that is not UTF-8 cannot be ours.
            if let Some(name) = name.to_str().ok().filter(|name| ![".", ".."].contains(name)) {
                memory::push(&mut names, name.to_owned())?;
            }
        }
        Ok(names)
    }

    /// Makes what was made, renamed and removed in it durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        sync_directory(&self.file)
    }

    /// Makes its own name durable, in the directory above.
    pub(super) fn sync_name(&self) -> io::Result<()> {
        match open_at(self.file.as_raw_fd(), c"..", libc::O_RDONLY | libc::O_DIRECTORY) {
            Ok(parent) => sync_directory(&parent),
            // One may be allowed to make a directory in it and not to read it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => sync_file_system(&self.file),
            Err(error) => Err(error),
        }
    }

    /// Whether it is the other directory, or lies inside of it.
    pub(super) fn is_within(&self, other: BorrowedFd<'_>) -> io::Result<bool> {
        let place = |of: &File| of.metadata().map(|it| (it.dev(), it.ino()));
        // A duplicate would hold the other's lock in a child that is forked now.
        let other = place(&*OwnFile::new(File::from(other.try_clone_to_owned()?))?)?;
        let mut at = open_at(self.file.as_raw_fd(), c".", libc::O_RDONLY | libc::O_DIRECTORY)?;
        loop {
            let here = place(&at)?;
            if here == other {
                return Ok(true);
            }
            let above = match open_at(at.as_raw_fd(), c"..", libc::O_RDONLY | libc::O_DIRECTORY) {
                // What is above may be closed to this process: then so is what would be found there.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
                above => above?,
            };
            // Above the root is the root.
            if place(&above)? == here {
                return Ok(false);
            }
            at = above;
        }
    }

    /// See [`super::Disk::take`].
    pub(super) fn take(&self, from: BorrowedFd<'_>, name: &str, may_link: bool) -> io::Result<bool> {
        let (name, to) = (c_name(name)?, self.file.as_raw_fd());
        let from = from.as_raw_fd();
        if may_link {
            let flags = libc::AT_SYMLINK_FOLLOW;
            // SAFETY: both descriptors are open, and the name ends with a zero byte.
            let linked = check(|| unsafe { libc::linkat(from, name.as_ptr(), to, name.as_ptr(), flags) });
            match linked {
                Ok(_) => return Ok(true),
                // Another file system, one that has no links or no more for this file, or somebody else's file.
                Err(error) if is_no_link(&error) => {}
                Err(error) => return Err(error),
            }
        }
        self.share_blocks(from, &name)
    }

    #[cfg(target_os = "linux")]
    fn share_blocks(&self, from: RawFd, name: &CStr) -> io::Result<bool> {
        /// `FICLONE`: the file becomes one that shares all blocks with another.
        const CLONE: libc::c_ulong = 0x4004_9409;
        let source = OwnFile::new(open_at(from, name, libc::O_RDONLY | libc::O_NONBLOCK)?)?;
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        let copy = OwnFile::new(open_at(self.file.as_raw_fd(), name, flags)?)?;
        // SAFETY: both descriptors are open; no memory of ours is touched.
        let cloned = check(|| unsafe { libc::ioctl(copy.as_raw_fd(), CLONE as _, source.as_raw_fd()) });
        if cloned.is_ok() && copy.sync_all().is_ok() {
            return Ok(true);
        }
        // SAFETY: the descriptor is open, and the name ends with a zero byte.
        check(|| unsafe { libc::unlinkat(self.file.as_raw_fd(), name.as_ptr(), 0) })?;
        Ok(false)
    }

    #[cfg(not(target_os = "linux"))]
    fn share_blocks(&self, _: RawFd, _: &CStr) -> io::Result<bool> {
        Ok(false)
    }

    /// How many bytes its file system has left for this process.
    pub(super) fn unused_bytes(&self) -> Option<u64> {
        // SAFETY: statvfs is plain data for which all zeros is a valid value.
        let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open and the pointer valid for the call.
        check(|| unsafe { libc::fstatvfs(self.file.as_raw_fd(), &mut stat) }).ok()?;
        #[allow(clippy::unnecessary_cast)] // their types differ between machines
        Some((stat.f_bavail as u64).saturating_mul(stat.f_frsize as u64))
    }

    /// What kind of file system it is on: a number that `statfs` knows it by.
    #[cfg(target_os = "linux")]
    pub(super) fn file_system(&self) -> Option<i64> {
        // SAFETY: statfs is plain data for which all zeros is a valid value.
        let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open and the pointer valid for the call.
        check(|| unsafe { libc::fstatfs(self.file.as_raw_fd(), &mut stat) }).ok()?;
        #[allow(clippy::unnecessary_cast)] // its type differs between C libraries
        Some(stat.f_type as i64)
    }

    /// As above.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn file_system(&self) -> Option<i64> {
        None
    }
}

/// A directory that is being read.
struct Listing(*mut libc::DIR);

impl Listing {
    fn of(file: File) -> io::Result<Self> {
        // SAFETY: the descriptor is open, and the listing owns it if this succeeds.
        let stream = unsafe { libc::fdopendir(file.as_raw_fd()) };
        if stream.is_null() {
            return Err(io::Error::last_os_error());
        }
        std::mem::forget(file);
        Ok(Listing(stream))
    }

    fn next_name(&mut self) -> io::Result<Option<&CStr>> {
        // The end and a failure are told apart by errno alone.
        set_errno(0);
        // SAFETY: the stream is open, and this is the only thread that reads it.
        let entry = unsafe { read_entry(self.0) };
        if entry.is_null() {
            let error = io::Error::last_os_error();
            return if error.raw_os_error() == Some(0) { Ok(None) } else { Err(error) };
        }
        // SAFETY: the name ends with a zero byte and stays until the stream is read again, for which this borrow must have ended.
        // The entry may be shorter than its type: so no reference to all of it is made.
        Ok(Some(unsafe { CStr::from_ptr((&raw const (*entry).d_name).cast()) }))
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        // SAFETY: it is open, and not used after this.
        unsafe { libc::closedir(self.0) };
    }
}

#[cfg(not(target_os = "linux"))]
use libc::readdir as read_entry;
#[cfg(target_os = "linux")]
use libc::readdir64 as read_entry;

fn set_errno(value: libc::c_int) {
    #[cfg(target_os = "linux")]
    // SAFETY: it is this thread's.
    unsafe {
        *libc::__errno_location() = value
    };
    #[cfg(target_vendor = "apple")]
    // SAFETY: as above.
    unsafe {
        *libc::__error() = value
    };
    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    let _ = value;
}

/// Gives a directory another name, which nothing may have: `AlreadyExists` then.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let (old, new) =
            (CString::new(from.as_os_str().as_bytes())?, CString::new(to.as_os_str().as_bytes())?);
        let (here, flags) = (libc::AT_FDCWD, libc::RENAME_NOREPLACE);
        // SAFETY: both paths end with a zero byte, and the call only reads them.
        let done = check(|| unsafe {
            libc::syscall(libc::SYS_renameat2, here, old.as_ptr(), here, new.as_ptr(), flags) as libc::c_int
        });
        match done {
            // Not every file system can.
            Err(error) if is_missing(&error) => {}
            done => return done.map(drop),
        }
    }
    // A directory takes the place of nothing but an empty directory.
    match to.symlink_metadata() {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
    }
}

fn c_name(name: &str) -> io::Result<CString> {
    Ok(CString::new(name)?)
}

/// Makes a system call that answers -1 where it fails, again where a signal interrupted it.
fn check(mut call: impl FnMut() -> libc::c_int) -> io::Result<libc::c_int> {
    loop {
        let answer = call();
        if answer != -1 {
            return Ok(answer);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Opens a file by its name in a directory.
fn open_at(directory: RawFd, name: &CStr, flags: libc::c_int) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    let flags = flags | libc::O_LARGEFILE;
    let mode: libc::c_uint = 0o666;
    // SAFETY: the name ends with a zero byte.
    let number = check(|| unsafe { libc::openat(directory, name.as_ptr(), flags | libc::O_CLOEXEC, mode) })?;
    // SAFETY: just opened, and nobody else's.
    Ok(unsafe { File::from_raw_fd(number) })
}

/// `fsync` of a directory; where the file system does not have that, of all of it.
fn sync_directory(directory: &File) -> io::Result<()> {
    match directory.sync_all() {
        Err(error) if is_missing(&error) => sync_file_system(directory),
        done => done,
    }
}

/// Makes durable all that was written to the file system that a file is on.
fn sync_file_system(file: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the descriptor is open.
        check(|| unsafe { libc::syncfs(file.as_raw_fd()) }).map(drop)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        // SAFETY: it touches no memory of ours.
        unsafe { libc::sync() };
        Ok(())
    }
}

/// Whether a file cannot have another name there, and a copy may do.
fn is_no_link(error: &io::Error) -> bool {
    is_missing(error)
        || matches!(error.raw_os_error(), Some(libc::EXDEV | libc::EPERM | libc::EMLINK | libc::EACCES))
}

/// Whether the system says that a file has no such operation.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP))
}
