//! A data file read and written through memory mappings.
//!
//! Two mappings of the same pages: one for reading, of the whole file, which stays; one for writing, which begins at
//! the tail and is given up behind it, so that a stray write of the host program can reach the tail only. Blocks are
//! reserved with `fallocate` before a byte is written, so that a full disk is an error of `reserve` and never a SIGBUS.
//! Reserving and faulting in pages ahead of the tail is most of the cost of an append (see docs/experiments/);
//! [`DiskFile::prepare`] does it on a thread of its own.
//!
//! Where every write is synced there is no mapping for writing: after each sync the kernel would let the next write fault,
//! which costs more than `pwrite` does (docs/experiments/). Both go to the same pages.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use super::fs::allocate;
use super::limits::SizeLimit;
use super::mapping::{Mapping, PAGE};
use super::own_file::OwnFile;
use super::process;
use super::readahead;
use super::tail::{FIRST_STEP, HUGE_PAGE, Tail};
use super::view::prefetch_lines;
use super::{DiskFile, Room, View};
use crate::sync::lock::Mutex;
use crate::sync::thread::NotCancelled;

/// What a file reserves at once grows to so much.
const LARGEST_STEP: u64 = 4 << 20;
/// How much is mapped for readers at once, at least, and for writers at most.
const POPULATE_STEP: u64 = 256 << 10;
/// How much is given up for writing at once, at least: each time all cores forget their translations.
const RELEASE_STEP: u64 = 4 << 20;

/// How much is faulted in ahead of the tail, at most, and no more than this part of the memory: these pages are dirty.
const MOST_FAULTED: u64 = 16 << 20;
const FAULTED_SHARE: u64 = 64;
/// What was written longer ago than this part of the memory may be on the disk only, and is not mapped for readers.
const POPULATED_SHARE: u64 = 64;
/// Frames from this size on are written by `pwrite`, for which the kernel takes pages by the dozen and clears none of them.
const LARGE: u64 = 6 << 10;
/// What the next writers will write to, in bytes from the end of a write: far enough that it is there when they come.
const WRITTEN_NEXT: std::ops::Range<usize> = 128..384;

/// How a file is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    /// By copying into a mapping.
    Mapped,
    /// By `pwrite`.
    Descriptor,
}

/// A complete file holds no descriptor: a mapping needs none, and a process may have few.
pub(super) struct MappedFile {
    view: View,
    capacity: u64,
    size_limit: SizeLimit,
    /// Blocks exist below this offset.
    reserved: AtomicU64,
    /// What lies below was mapped for readers after it was written.
    populated: AtomicU64,
    /// The start of the mapping for writing; null once sealed, and where there is none.
    write_base: AtomicPtr<u8>,
    /// Whether the last frame was large.
    writes_are_large: AtomicBool,
    /// Whether little was written between the last two syncs, and goes to huge pages: through the mapping it would make all of a
    /// page one to be written by the next sync, by `pwrite` it is a block.
    dribbles: AtomicBool,
    /// Readable bytes at the last sync.
    synced: AtomicU64,
    tail: Mutex<Option<Tail>>,
}

impl MappedFile {
    /// A file that is complete.
    pub(super) fn sealed(file: &File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(MappedFile {
            view: View::new(Mapping::new(file, size, false)?, size),
            capacity: size,
            size_limit: SizeLimit::none(),
            reserved: AtomicU64::new(size),
            populated: AtomicU64::new(size),
            write_base: ptr::null_mut::<u8>().into(),
            writes_are_large: AtomicBool::new(false),
            dribbles: AtomicBool::new(false),
            synced: AtomicU64::new(size),
            tail: Mutex::new(None),
        })
    }

    /// A file that is appended to, up to `capacity` bytes. What it holds already is readable.
    pub(super) fn appendable(file: OwnFile, capacity: u64, writes: Writes) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let capacity = capacity.max(size);
        let mapping = match writes {
            Writes::Mapped => Some(Arc::new(Mapping::new(&file, capacity, true)?)),
            Writes::Descriptor => None,
        };
        let write_base = mapping.as_ref().map_or(ptr::null_mut(), |mapping| mapping.base()).into();
        Ok(MappedFile {
            view: View::new(Mapping::new(&file, capacity, false)?, size),
            capacity,
            size_limit: SizeLimit::now(),
            reserved: AtomicU64::new(size),
            populated: AtomicU64::new(size),
            write_base,
            writes_are_large: AtomicBool::new(false),
            dribbles: AtomicBool::new(false),
            synced: AtomicU64::new(size),
            tail: Mutex::new(Some(Tail::new(file, mapping))),
        })
    }

    /// Maps what was written for those who read it. A fault is not dear, but while the kernel writes a page to the disk it
    /// waits: without this one get in a thousand took ten milliseconds while files were synced.
    fn populate(&self) {
        let (from, to) = (self.populated.load(Ordering::Relaxed), self.view.readable());
        if to >= from.saturating_add(POPULATE_STEP) {
            self.populated.store(to, Ordering::Relaxed);
            let recent = process::memory_share(POPULATED_SHARE, POPULATE_STEP..=u64::MAX);
            self.view.populate(from.max(to.saturating_sub(recent)), to);
        }
    }

    /// Reserves blocks up to `end`, and a step further where the disk has room for that.
    fn grow(&self, tail: &mut Tail, end: u64) -> io::Result<()> {
        let from = self.reserved.load(Ordering::Relaxed);
        if end > self.capacity {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        if end <= from {
            return Ok(());
        }
        let ahead = (from + tail.step).min(self.capacity).min(self.size_limit.known());
        // First with room to spare; where the disk is too full for that, only what this write needs.
        let reached = match allocate(&tail.file, from..end.max(ahead), false) {
            Ok(()) => end.max(ahead),
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG))
                    && ahead > end =>
            {
                allocate(&tail.file, from..end, false)?;
                end
            }
            Err(error) => return Err(error),
        };
        self.reserved.store(reached, Ordering::Release);
        tail.step = (tail.step * 2).min(LARGEST_STEP);
        Ok(())
    }

    /// Reserves some of the blocks up to `wanted`. False where there is nothing left to do, or no room.
    fn reserve_piece(&self, wanted: u64) -> io::Result<bool> {
        let mut guard = self.tail.lock();
        let Some(tail) = guard.as_mut() else { return Ok(false) };
        let from = self.reserved.load(Ordering::Relaxed);
        if from >= wanted {
            return Ok(false);
        }
        let to = wanted.min(from + tail.piece);
        match allocate(&tail.file, from..to, false) {
            Ok(()) => {
                self.reserved.store(to, Ordering::Release);
                Ok(to < wanted)
            }
            // An attempt takes the rest of the disk for a moment: a smaller one next time.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT)) => {
                tail.piece = (tail.piece / 2).max(FIRST_STEP);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Faults in pages ahead of `at`: fewer than there are blocks, because a sync writes them, empty as they are, and takes the
    /// right to write to them away again.
    fn fault_in(&self, at: u64, room: Room) {
        let near = if self.writes_are_large.load(Ordering::Relaxed) {
            0
        } else {
            (room.bytes / 2).min(process::memory_share(FAULTED_SHARE, POPULATE_STEP..=MOST_FAULTED))
        };
        let (mapping, near, huge) = {
            let mut guard = self.tail.lock();
            let Some(tail) = guard.as_mut() else { return };
            let from = tail.faulted.max(at);
            let (reserved, mut huge) = (self.reserved.load(Ordering::Relaxed), 0..0);
            let mut to = at.saturating_add(near).min(reserved);
            // A huge page is mapped as such where the file goes on behind it.
            let end = to.min(reserved.saturating_sub(PAGE)) / HUGE_PAGE * HUGE_PAGE;
            if room.in_bulk && near >= 2 * HUGE_PAGE && end >= at + HUGE_PAGE {
                to = end.max(from);
                // One range from the first on: each further one is a mapping more.
                huge = if tail.huge == 0 { from.next_multiple_of(HUGE_PAGE) } else { tail.huge }..end;
                tail.huge = tail.huge.max(huge.end);
            }
            tail.faulted = tail.faulted.max(to);
            (tail.mapping.clone(), from..to, huge)
        };
        let Some(mapping) = mapping else { return };
        if !huge.is_empty() {
            mapping.want_huge_pages(huge);
        }
        if !near.is_empty() {
            mapping.fault_in(near);
        }
    }
}

/// What writing to a complete file fails with.
fn closed() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}

impl DiskFile for MappedFile {
    fn size(&self) -> io::Result<u64> {
        match self.tail.lock().as_ref() {
            Some(tail) => Ok(tail.file.metadata()?.len()),
            None => Ok(self.view.readable()),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if buffer.len() as u64 > PAGE {
            self.view.will_need(offset, offset + buffer.len() as u64);
        }
        let bytes = self.view.get(offset, buffer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn reserve(&self, end: u64) -> io::Result<()> {
        if end <= self.reserved.load(Ordering::Acquire) {
            return Ok(());
        }
        let _not_cancelled = NotCancelled::begin();
        match self.tail.lock().as_mut() {
            Some(tail) => self.grow(tail, end),
            None => Err(closed()),
        }
    }

    fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Relaxed)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        let len = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let base = self.write_base.load(Ordering::Acquire);
        let end = offset + len;
        if end > self.reserved.load(Ordering::Acquire) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        // Stored where it changes only: others read what stands beside it.
        if self.writes_are_large.load(Ordering::Relaxed) != (len >= LARGE) {
            self.writes_are_large.store(len >= LARGE, Ordering::Relaxed);
        }
        if base.is_null() || len >= LARGE || self.dribbles.load(Ordering::Relaxed) {
            let _not_cancelled = NotCancelled::begin();
            let file = self.tail.lock().as_ref().map(|tail| tail.file.clone()).ok_or_else(closed)?;
            super::plain::write_parts(&file, parts, offset)?;
            self.view.set_readable(end);
            return Ok(());
        }
        let mut at = offset as usize;
        for part in parts {
            // SAFETY: the range is mapped for writing: it is below `reserved`, which is below the length of the
            // mapping, and at or above every `released`, because appends never go back; its blocks exist. Nobody
            // reads it before `set_readable` below, and appends are serialised by the caller.
            unsafe { ptr::copy_nonoverlapping(part.as_ptr(), base.add(at), part.len()) };
            at += part.len();
        }
        // Each lock that the next writer takes waits for its stores, and those for these lines: another core has made the pages.
        prefetch_lines(base.wrapping_add(at + WRITTEN_NEXT.start), WRITTEN_NEXT.len());
        self.view.set_readable(end);
        Ok(())
    }

    fn rewrite(&self, start: u64, end: u64) -> io::Result<()> {
        let Some(file) = self.tail.lock().as_ref().map(|tail| tail.file.clone()) else {
            return Err(closed());
        };
        self.size_limit.allow(end)?;
        let mut at = start;
        while at < end {
            // In pieces: an appender that needs room waits for each.
            let len = (end - at).min(super::REWRITE_PIECE);
            let bytes = self.view.get(at, len).ok_or(io::ErrorKind::UnexpectedEof)?;
            // Not through the mapping: bytes that can be read are never written there. The kernel puts the same bytes
            // in their own place, which who reads them cannot see.
            file.write_all_at(bytes, at)?;
            at += len;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        // Not under the lock: whoever makes room for a record must not wait for the disk.
        let work = self.tail.lock().as_mut().map(|tail| {
            let end = self.view.readable();
            let written = end.saturating_sub(self.synced.swap(end, Ordering::Relaxed));
            self.dribbles.store(written < 2 * HUGE_PAGE && end < tail.huge, Ordering::Relaxed);
            (tail.file.clone(), tail.take_finished(PAGE, tail.page()))
        });
        let (file, finished) = work.unzip();
        if let Some(finished) = finished.flatten() {
            finished.release();
        }
        self.populate();
        // A complete file has been synced.
        file.map_or(Ok(()), |file| file.sync_data())
    }

    fn write_back(&self, range: std::ops::Range<u64>, wait: bool) -> io::Result<u64> {
        let work = self.tail.lock().as_mut().map(|tail| {
            tail.finished = tail.finished.max(range.end);
            (tail.file.clone(), tail.take_finished(PAGE, tail.page()), tail.released)
        });
        // A complete file was synced.
        let Some((file, finished, released)) = work else { return Ok(range.end) };
        if let Some(finished) = finished {
            finished.release();
        }
        // The kernel would take away the right to write to a page that is written through the mapping, and the next write fault.
        let is_mapped = !self.write_base.load(Ordering::Acquire).is_null();
        let end = if is_mapped { range.end.min(released).max(range.start) } else { range.end };
        readahead::write_back(&file, range.start..end, wait).map(|()| end)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        let mut tail = self.tail.lock();
        let Some(tail) = tail.as_mut() else {
            // A complete file keeps its size.
            return if size == self.view.readable() { Ok(()) } else { Err(closed()) };
        };
        self.view.set_readable(size);
        tail.file.set_len(size)?;
        self.reserved.store(size, Ordering::Release);
        self.populated.fetch_min(size, Ordering::Relaxed);
        tail.faulted = tail.faulted.min(size);
        Ok(())
    }

    fn view(&self) -> Option<View> {
        Some(self.view.clone())
    }

    fn will_need(&self, range: std::ops::Range<u64>) {
        self.view.will_need(range.start, range.end);
    }

    fn use_now(&self, range: std::ops::Range<u64>) {
        if range.start / PAGE != range.end.saturating_sub(1) / PAGE {
            self.view.will_need(range.start, range.end);
        }
    }

    fn prepare(&self, at: u64, room: Room) -> io::Result<()> {
        self.populate();
        let finished = {
            let mut guard = self.tail.lock();
            let Some(tail) = guard.as_mut() else { return Ok(()) };
            tail.finished = tail.finished.max(at);
            if room.in_bulk {
                self.dribbles.store(false, Ordering::Relaxed);
            }
            match room.bytes {
                0 => tail.take_finished(PAGE, PAGE),
                _ => tail.take_finished(RELEASE_STEP, tail.page()),
            }
        };
        // What is slow is done without the lock, which an appender may need, or in pieces.
        if let Some(finished) = finished {
            finished.release();
        }
        if room.bytes == 0 {
            return Ok(());
        }
        // Whole pages: the kernel would touch the one that a reservation ends in when it makes the next.
        let unit = if room.in_bulk { HUGE_PAGE } else { PAGE };
        let wanted = at.saturating_add(room.bytes).min(self.capacity).next_multiple_of(unit);
        let wanted = wanted.min(self.capacity).min(self.size_limit.known());
        // Not a little with each call.
        if self.reserved.load(Ordering::Relaxed) < wanted.saturating_sub(room.bytes / 4) {
            while self.reserve_piece(wanted)? {}
        }
        self.fault_in(at, room);
        Ok(())
    }

    fn seal(&self) -> io::Result<()> {
        self.write_base.store(ptr::null_mut(), Ordering::Release);
        self.tail.lock().take();
        Ok(())
    }
}
