//! A data file read and written with `pread` and `pwrite`.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::DiskFile;
use super::descriptors::{Descriptors, Reopened};
use super::directory::Directory;
use super::limits::SizeLimit;
use super::own_file::OwnFile;
use super::readahead;
use crate::store::memory;

/// Appends up to this size go to the kernel as one call.
const GATHER_LIMIT: usize = 64 << 10;

/// What a file is open for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Frames are appended: blocks are reserved in pieces.
    Append,
    /// A file that is written or read once, as a whole.
    Whole,
    /// A file that is complete, and gives its descriptor up when others need it.
    Read,
}

/// Blocks for frames are reserved in pieces of this size.
const STEP: u64 = 256 << 10;

pub(super) struct PlainFile {
    file: Arc<Reopened>,
    step: u64,
    size_limit: SizeLimit,
    /// Blocks exist below this offset, or the file system cannot reserve any.
    reserved: AtomicU64,
    sealed: AtomicBool,
}

impl PlainFile {
    /// A file that is open and has this name in the directory.
    pub(super) fn new(
        (directory, name): (&Arc<Directory>, &str),
        file: OwnFile,
        purpose: Purpose,
        descriptors: &Arc<Descriptors>,
    ) -> io::Result<Self> {
        // What a reservation that fails gives back begins behind what is there.
        let reserved = AtomicU64::new(file.metadata()?.len());
        if purpose != Purpose::Whole {
            readahead::only_what_is_asked_for(&file);
        }
        let file = Reopened::new(directory.clone(), name, file, descriptors.clone());
        if purpose == Purpose::Read {
            file.let_go();
        }
        let step = if purpose == Purpose::Append { STEP } else { 0 };
        let (size_limit, sealed) = (SizeLimit::now(), AtomicBool::new(false));
        Ok(PlainFile { file, step, size_limit, reserved, sealed })
    }
}

/// Writes the parts one after the other.
pub(super) fn write_parts(file: &File, parts: &[&[u8]], mut offset: u64) -> io::Result<()> {
    let size = parts.iter().map(|part| part.len()).sum();
    // Where there is no memory for it, one after the other is right, too.
    if parts.len() > 1
        && size <= GATHER_LIMIT
        && let Ok(mut whole) = memory::vec_with_room(size)
    {
        parts.iter().for_each(|part| whole.extend_from_slice(part));
        return file.write_all_at(&whole, offset);
    }
    for part in parts {
        file.write_all_at(part, offset)?;
        offset += part.len() as u64;
    }
    Ok(())
}

impl DiskFile for PlainFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.get()?.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.get()?.read_exact_at(buffer, offset)
    }

    fn reserve(&self, end: u64) -> io::Result<()> {
        let reserved = self.reserved.load(Ordering::Relaxed);
        if end <= reserved {
            return Ok(());
        }
        let file = self.file.get()?;
        // The size of the file stays as it is, so that its end is the end of what was written.
        let ahead = (end + self.step).min(self.size_limit.known()).max(end);
        let reached = match super::fs::allocate(&file, reserved..ahead, true) {
            Ok(()) => ahead,
            // A limit on the size of files may have become lower.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG)) => {
                super::fs::allocate(&file, reserved..end, true)?;
                end
            }
            Err(error) if super::fs::is_unable(&error) => u64::MAX,
            Err(error) => return Err(error),
        };
        self.reserved.store(reached, Ordering::Relaxed);
        Ok(())
    }

    fn reserved(&self) -> u64 {
        match self.reserved.load(Ordering::Relaxed) {
            // Nothing can be reserved there.
            u64::MAX => 0,
            reserved => reserved,
        }
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        self.size_limit.allow(offset + parts.iter().map(|part| part.len() as u64).sum::<u64>())?;
        let file = self.file.get()?;
        write_parts(&file, parts, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.get()?.sync_data()
    }

    fn will_need(&self, range: Range<u64>) {
        if let Ok(file) = self.file.get() {
            readahead::will_need(&file, range);
        }
    }

    fn write_back(&self, range: Range<u64>, wait: bool) -> io::Result<u64> {
        let end = range.end;
        readahead::write_back(&*self.file.get()?, range, wait).map(|()| end)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        let file = self.file.get()?;
        if self.sealed.load(Ordering::Relaxed) {
            // It keeps its size, and may be open for reading only.
            let is_same = file.metadata()?.len() == size;
            return if is_same { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EBADF)) };
        }
        self.reserved.store(size, Ordering::Relaxed);
        file.set_len(size)
    }

    fn seal(&self) -> io::Result<()> {
        self.sealed.store(true, Ordering::Relaxed);
        self.file.let_go();
        Ok(())
    }
}
