//! A data file read and written with `pread` and `pwrite`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::DiskFile;

/// Appends up to this size go to the kernel as one call.
const GATHER_LIMIT: usize = 64 << 10;

pub(super) struct PlainFile {
    file: File,
    size_limit: u64,
}

impl PlainFile {
    pub(super) fn new(file: File) -> Self {
        PlainFile { file, size_limit: super::fs::file_size_limit() }
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
        // Past the process's limit the kernel would send SIGXFSZ, which ends most programs.
        if end > self.size_limit { Err(io::Error::from_raw_os_error(libc::EFBIG)) } else { Ok(()) }
    }

    fn write_at(&self, parts: &[&[u8]], mut offset: u64) -> io::Result<()> {
        self.reserve(offset + parts.iter().map(|part| part.len() as u64).sum::<u64>())?;
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
        self.file.set_len(size)
    }
}
