//! A data file read and written with `pread` and `pwrite`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::DiskFile;

/// Appends up to this size go to the kernel as one call.
const GATHER_LIMIT: usize = 64 << 10;

/// Blocks are reserved in pieces of this size.
const STEP: u64 = 256 << 10;

pub(super) struct PlainFile {
    file: File,
    size_limit: u64,
    /// Blocks exist below this offset, or the file system cannot reserve any.
    reserved: AtomicU64,
}

impl PlainFile {
    pub(super) fn new(file: File) -> Self {
        PlainFile { file, size_limit: super::fs::file_size_limit(), reserved: AtomicU64::new(0) }
    }
}

impl DiskFile for PlainFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn reserve(&self, end: u64) -> io::Result<()> {
        let reserved = self.reserved.load(Ordering::Relaxed);
        if end <= reserved {
            return Ok(());
        }
        // Past the process's limit the kernel would send SIGXFSZ, which ends most programs.
        if end > self.size_limit {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        // The size of the file stays as it is, so that its end is the end of what was written.
        let ahead = (end + STEP).min(self.size_limit);
        let reached = match super::fs::allocate(&self.file, reserved..ahead, true) {
            Ok(()) => ahead,
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                super::fs::allocate(&self.file, reserved..end, true)?;
                end
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => u64::MAX,
            Err(error) => return Err(error),
        };
        self.reserved.store(reached, Ordering::Relaxed);
        Ok(())
    }

    fn write_at(&self, parts: &[&[u8]], mut offset: u64) -> io::Result<()> {
        if offset + parts.iter().map(|part| part.len() as u64).sum::<u64>() > self.size_limit {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        if parts.iter().map(|part| part.len()).sum::<usize>() <= GATHER_LIMIT {
            return self.file.write_all_at(&parts.concat(), offset);
        }
        for part in parts {
            self.file.write_all_at(part, offset)?;
            offset += part.len() as u64;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.reserved.store(size, Ordering::Relaxed);
        self.file.set_len(size)
    }
}
