//! A data file that another process may be appending to, mapped for reading.
//!
//! The mapping is as long as a data file can become, so that what is appended later is in it. Behind the end of the file a mapping
//! must not be read (the kernel would send SIGBUS): so nothing is readable that [`DiskFile::follow`] was not told of, which
//! compares that with the size of the file.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::mapping::{Mapping, PAGE};
use super::own_file::OwnFile;
use super::{DiskFile, View};
use crate::sync::lock::Mutex;

/// No data file is longer: places in it are counted in units of 8 bytes, in 32 bits.
const LONGEST: u64 = (u32::MAX as u64) << 3;

/// For less than this the kernel is not asked ahead.
const WORTH_ASKING: u64 = 64 << 10;

/// See the module.
pub(super) struct FollowedFile {
    view: View,
    /// The size of the file when it was looked at last; what is readable of it, where it is complete.
    size: AtomicU64,
    /// Until the file is complete.
    file: Mutex<Option<OwnFile>>,
}

impl FollowedFile {
    /// Gives the file back where it cannot be mapped.
    pub(super) fn new(file: OwnFile) -> Result<Self, (OwnFile, io::Error)> {
        let mapped = file.metadata().and_then(|metadata| {
            Ok((metadata.len(), Mapping::new(&file, LONGEST.max(metadata.len()), false)?))
        });
        match mapped {
            Ok((size, mapping)) => {
                let view = View::new(mapping, 0);
                Ok(FollowedFile { view, size: AtomicU64::new(size), file: Mutex::new(Some(file)) })
            }
            Err(error) => Err((file, error)),
        }
    }
}

/// What is only read is not changed.
fn refused() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}

impl DiskFile for FollowedFile {
    fn size(&self) -> io::Result<u64> {
        if let Some(file) = self.file.lock().as_ref() {
            self.size.store(file.metadata()?.len(), Ordering::Relaxed);
        }
        Ok(self.size.load(Ordering::Relaxed))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if let Some(file) = self.file.lock().as_ref() {
            use std::os::unix::fs::FileExt;
            return file.read_exact_at(buffer, offset);
        }
        let bytes = self.view.get(offset, buffer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn follow(&self, end: u64) -> io::Result<()> {
        if end <= self.view.readable() {
            return Ok(());
        }
        // Asked anew each time: a file is cut to its length when it is complete.
        if end > self.size()?.min(self.view.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.view.set_readable(end);
        Ok(())
    }

    fn reserve(&self, _: u64) -> io::Result<()> {
        Err(refused())
    }

    fn write_at(&self, _: &[&[u8]], _: u64) -> io::Result<()> {
        Err(refused())
    }

    fn sync(&self) -> io::Result<()> {
        Err(refused())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Err(refused())
    }

    fn view(&self) -> Option<View> {
        Some(self.view.clone())
    }

    fn will_need(&self, range: Range<u64>) {
        // What was just written is in memory, and is asked for in small pieces by who follows.
        if range.end.saturating_sub(range.start) >= WORTH_ASKING {
            self.view.will_need(range.start, range.end);
        }
    }

    fn use_now(&self, range: Range<u64>) {
        if range.start / PAGE != range.end.saturating_sub(1) / PAGE {
            self.view.will_need(range.start, range.end);
        }
    }

    /// Gives up the descriptor, and the addresses that nothing will be appended to.
    fn seal(&self) -> io::Result<()> {
        let mut file = self.file.lock();
        let end = self.view.readable();
        self.size.store(end, Ordering::Relaxed);
        file.take();
        self.view.end_at(end);
        Ok(())
    }
}
