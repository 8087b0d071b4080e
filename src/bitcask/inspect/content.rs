//! The bytes of a file that may be damaged, cut under its reader or on a disk that cannot read all of it.

use std::ops::Range;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::store::error::{Error, Result};

/// How much is read at once, at most.
const WINDOW: u64 = 1 << 20;
/// As above, of records that are not read one after the other.
const LITTLE: u64 = 16 << 10;
/// What cannot be read is passed over in pieces of this size.
const BLOCK: u64 = 4096;

/// The most that is looked at without moving the window.
const PEEKED: usize = 64;
/// How many holes are known: no disk has as many. Holes past that are found again each time.
const HOLES: usize = 1 << 16;

/// A file that is read through a window. What the disk cannot read is zeros, which are no frame.
pub struct Content {
    file: Arc<dyn DiskFile>,
    size: u64,
    buffer: Vec<u8>,
    window: Range<u64>,
    /// Little that stands elsewhere.
    peeked: [u8; PEEKED],
    /// How much is read at once.
    at_once: u64,
    /// What the disk cannot read, in order; none touches the next.
    unreadable: Vec<Range<u64>>,
    /// Bytes that were read.
    pub bytes_read: u64,
}

impl Content {
    /// The first `size` bytes of a file.
    pub fn new(file: Arc<dyn DiskFile>, size: u64) -> Self {
        Content {
            file,
            size,
            buffer: Vec::new(),
            window: 0..0,
            peeked: [0; PEEKED],
            at_once: WINDOW,
            unreadable: Vec::new(),
            bytes_read: 0,
        }
    }

    /// How many bytes there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many bytes the file has now.
    pub fn size_now(&self) -> u64 {
        self.file.size().unwrap_or(self.size)
    }

    /// Gives the memory of the window back.
    pub fn let_go(&mut self) {
        self.window = 0..0;
        self.buffer = Vec::new();
    }

    /// Reads less at once: what follows is read here and there.
    pub fn read_little(&mut self) {
        self.at_once = LITTLE;
    }

    /// Looks at the file again: from now on its first `size` bytes as they are then.
    pub fn renew(&mut self, size: u64) {
        self.size = size;
        self.window = 0..0;
    }

    /// Whether the disk could not read some of a range that was asked for.
    pub fn is_unreadable(&self, range: &Range<u64>) -> bool {
        let first = self.unreadable.partition_point(|hole| hole.end <= range.start);
        self.unreadable.get(first).is_some_and(|hole| hole.start < range.end)
    }

    /// As [`Content::get`], of few bytes that may stand anywhere: what is read next is most likely not behind them.
    pub fn peek(&mut self, offset: u64, len: u64) -> Result<&[u8]> {
        let end = offset.saturating_add(len.min(PEEKED as u64)).min(self.size).max(offset);
        if (offset >= self.window.start && end <= self.window.end) || self.is_unreadable(&(offset..end)) {
            return self.get(offset, end - offset);
        }
        let len = (end - offset) as usize;
        let place = self.peeked.get_mut(..len).unwrap_or_default();
        if self.file.read_at(place, offset).is_err() {
            return self.get(offset, end - offset);
        }
        self.bytes_read += len as u64;
        Ok(self.peeked.get(..len).unwrap_or_default())
    }

    /// The bytes from `offset` on, `len` of them, or fewer where the file ends; `len` is at most that of a header and a key.
    pub fn get(&mut self, offset: u64, len: u64) -> Result<&[u8]> {
        let end = offset.saturating_add(len).min(self.size);
        if offset < self.window.start || end > self.window.end {
            self.load(offset, len)?;
        }
        let end = end.min(self.window.end);
        let range = offset.saturating_sub(self.window.start)..end.saturating_sub(self.window.start);
        Ok(self.buffer.get(range.start as usize..range.end as usize).unwrap_or_default())
    }

    /// Whether the frame in a range has the checksum that it carries.
    pub fn is_intact(&mut self, seed: u32, frame: Range<u64>) -> Result<bool> {
        let mut hasher = crc32fast::Hasher::new_with_initial(seed);
        let Some(stored) = self.get(frame.start, 4)?.first_chunk::<4>().copied() else { return Ok(false) };
        Ok(self.hash(&mut hasher, frame.start + 4..frame.end)?
            && hasher.finalize() == u32::from_le_bytes(stored))
    }

    /// Adds a range to a checksum; false where the file ends before it.
    pub fn hash(&mut self, hasher: &mut crc32fast::Hasher, range: Range<u64>) -> Result<bool> {
        let mut at = range.start;
        while at < range.end {
            let piece = self.piece(at, range.end)?;
            if piece.is_empty() {
                return Ok(false);
            }
            hasher.update(piece);
            at += piece.len() as u64;
        }
        Ok(true)
    }

    /// From where on there is nothing but zeros, up to `end`; what the disk cannot read is something else.
    pub fn zeros_at_the_end(&mut self, end: u64) -> Result<u64> {
        let mut at = end.min(self.size);
        while at > 0 {
            let start = at.saturating_sub(self.at_once);
            let bytes = self.get(start, at - start)?;
            let len = bytes.len() as u64;
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                return Ok(start + last as u64 + 1);
            }
            if self.is_unreadable(&(start..at)) || len == 0 {
                return Ok(at);
            }
            at = start;
        }
        Ok(at)
    }

    /// Where the first byte of a range stands that is not zero.
    pub fn first_non_zero(&mut self, range: Range<u64>) -> Result<Option<u64>> {
        let mut at = range.start;
        while at < range.end {
            let piece = self.piece(at, range.end)?;
            if piece.is_empty() {
                break;
            }
            if let Some(n) = piece.iter().position(|byte| *byte != 0) {
                return Ok(Some(at + n as u64));
            }
            at += piece.len() as u64;
        }
        Ok(None)
    }

    /// The value of a frame that was found intact, in memory of its own.
    pub fn copy(&mut self, range: Range<u64>) -> Result<Vec<u8>> {
        let len = range.end.min(self.size).saturating_sub(range.start);
        let mut bytes = Vec::new();
        let no_memory = |_| Error::NoMemory { bytes: len };
        bytes.try_reserve_exact(usize::try_from(len).unwrap_or(usize::MAX)).map_err(no_memory)?;
        let mut at = range.start;
        while at < range.end {
            let piece = self.piece(at, range.end)?;
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(piece);
            at += piece.len() as u64;
        }
        Ok(bytes)
    }

    /// Some bytes from `at` on, none behind `end`.
    fn piece(&mut self, at: u64, end: u64) -> Result<&[u8]> {
        let left = end.saturating_sub(at);
        let held = if self.window.contains(&at) { self.window.end - at } else { WINDOW };
        self.get(at, left.min(held).min(WINDOW))
    }

    fn load(&mut self, offset: u64, len: u64) -> Result<()> {
        let end = offset.saturating_add(len.max(self.at_once)).min(self.size.max(offset));
        self.window = offset..end.max(offset);
        let len = (self.window.end - self.window.start) as usize;
        self.buffer.clear();
        self.buffer.try_reserve_exact(len).map_err(|_| Error::NoMemory { bytes: len as u64 })?;
        self.buffer.resize(len, 0);
        let window = self.window.clone();
        let is_whole = !self.is_unreadable(&window);
        if len == 0 || (is_whole && self.file.read_at(&mut self.buffer, offset).is_ok()) {
            self.bytes_read += len as u64;
            return Ok(());
        }
        // Who writes to it may have cut it meanwhile.
        let size = self.file.size().unwrap_or(self.size).min(self.size);
        if size < self.window.end {
            self.size = size;
            self.window.end = size.max(offset);
            self.buffer.truncate((self.window.end - offset) as usize);
        }
        self.load_pieces(offset);
        self.bytes_read += self.buffer.len() as u64;
        Ok(())
    }

    /// Fills the window, which the disk cannot read at once. What it was not able to read before is not asked for again.
    fn load_pieces(&mut self, offset: u64) {
        let end = offset + self.buffer.len() as u64;
        let mut at = offset;
        while at < end {
            let hole = self.unreadable.partition_point(|hole| hole.end <= at);
            let hole = self.unreadable.get(hole).filter(|hole| hole.start < end).cloned();
            let next = match hole {
                Some(hole) if hole.start <= at => {
                    at = hole.end.min(end);
                    continue;
                }
                Some(hole) => hole.start,
                None => end,
            };
            if !self.read(offset, at..next) {
                let mut block = at;
                while block < next {
                    let behind = (block + BLOCK - block % BLOCK).min(next);
                    if !self.read(offset, block..behind) {
                        self.note_unreadable(block..behind);
                    }
                    block = behind;
                }
            }
            at = next;
        }
    }

    /// Reads a range into the window, which begins at `start`; zeros where that fails.
    fn read(&mut self, start: u64, range: Range<u64>) -> bool {
        let place = (range.start - start) as usize..(range.end - start) as usize;
        let Some(place) = self.buffer.get_mut(place) else { return true };
        let is_read = self.file.read_at(place, range.start).is_ok();
        if !is_read {
            place.fill(0);
        }
        is_read
    }

    fn note_unreadable(&mut self, hole: Range<u64>) {
        let first = self.unreadable.partition_point(|other| other.end < hole.start);
        let behind = self.unreadable.partition_point(|other| other.start <= hole.end);
        match (self.unreadable.get(first), self.unreadable.get(behind.wrapping_sub(1))) {
            (Some(one), Some(other)) if first < behind => {
                let joined = one.start.min(hole.start)..other.end.max(hole.end);
                self.unreadable.splice(first..behind, [joined]);
            }
            _ if self.unreadable.len() < HOLES => self.unreadable.insert(first, hole),
            _ => {}
        }
    }
}
