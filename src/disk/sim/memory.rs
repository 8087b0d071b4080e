//! Simulated files that are mapped: what is read and appended goes through memory, without a call that could fail.
//!
//! A killed process leaves any mix of the words that it was copying, and what was not synced is lost page by page, as with
//! writes. Bytes that can be read never change; who changes them has a bug, and is told so by a panic.

use std::io;

use super::calls::{SimFile, Use};
use super::operation::Kind;
use super::state::State;
use super::{Reserve, SimDisk};
use crate::disk::mapping::Mapping;
use crate::disk::{DiskFile, Room, View};

/// How much is reserved at once where the disk reserves more than it is asked for.
const STEP: u64 = 64 << 10;
/// From this size on a record is appended by a call, which can fail.
const LARGE: u64 = 6 << 10;

/// The memory that a file is mapped at, which is as long as the file may become.
pub(super) struct Memory {
    view: View,
    base: *mut u8,
    capacity: u64,
}

// SAFETY: the memory behind `base` belongs to `view`; it is written under the lock of the disk, where nobody may read.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub fn new(content: &[u8], role: Use) -> io::Result<Self> {
        let capacity = match role {
            Use::Append { capacity } => capacity.min(super::calls::FILE_LIMIT),
            _ => content.len() as u64,
        };
        let mapping = Mapping::like_a_file(capacity)?;
        let base = mapping.base();
        // SAFETY: the mapping is new, and as long as the file may become.
        unsafe { std::ptr::copy_nonoverlapping(content.as_ptr(), base, content.len()) };
        Ok(Memory { view: View::new(mapping, content.len() as u64), base, capacity })
    }

    /// Writes where nobody may read yet.
    fn write(&self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        assert!(self.view.readable() <= offset && end <= self.capacity, "bytes that can be read are written");
        // SAFETY: the range lies in the mapping, and nobody reads it; writers are kept apart by the lock of the disk.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.add(offset as usize), bytes.len()) };
    }

    fn cut(&self, size: u64) {
        let old = self.view.readable();
        self.view.set_readable(size);
        if size < self.capacity {
            self.write(size, &vec![0; (old.max(size) - size) as usize]);
        }
    }
}

/// See the module.
pub(super) struct MappedSimFile {
    file: SimFile,
    memory: Memory,
}

impl MappedSimFile {
    pub fn new(file: SimFile, memory: Memory) -> Self {
        MappedSimFile { file, memory }
    }

    fn size_in(&self, state: &State) -> u64 {
        state.files[&self.file.file].content.size()
    }

    /// Gives the file room up to `end`, and more where there is some.
    fn grow(&self, state: &mut State, end: u64) -> io::Result<()> {
        let size = self.size_in(state);
        if end <= size {
            return Ok(());
        }
        let wished = match state.reserve {
            Reserve::Pages => end.max(size + STEP).min(self.memory.capacity),
            _ => end,
        };
        let mut fits = state.size_with_room(self.file.file, wished);
        if fits < wished {
            fits = state.size_with_room(self.file.file, end);
        }
        if fits < end {
            return state.end(Err(libc::ENOSPC));
        }
        if let Some(held) = state.files.get_mut(&self.file.file) {
            held.content.resize(fits);
        }
        Ok(())
    }

    fn disk(&self) -> &SimDisk {
        &self.file.disk
    }
}

impl DiskFile for MappedSimFile {
    fn size(&self) -> io::Result<u64> {
        if *self.file.sealed.lock() { Ok(self.memory.view.readable()) } else { self.file.size() }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = self.memory.view.get(offset, buffer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn reserve(&self, end: u64) -> io::Result<()> {
        self.file.check_may_write(end);
        let mut state = self.disk().state.lock();
        if end <= self.size_in(&state) {
            return Ok(());
        }
        state.begin(Kind::Reserve, &self.file.name, end, 0)?;
        self.grow(&mut state, end)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        let bytes = parts.concat();
        let (name, end) = (&self.file.name, offset + bytes.len() as u64);
        self.file.check_may_write(end);
        self.disk().hold.pass();
        let mut state = self.disk().state.lock();
        assert!(end <= self.size_in(&state), "'{name}' is written where no room was reserved for it");
        let length = bytes.len() as u64;
        if length < LARGE {
            state.begin_certain(Kind::Write, name, offset, length)?;
        } else if let Err(refusal) = state.begin(Kind::Write, name, offset, length) {
            if refusal.short_write {
                let half = &bytes[..bytes.len() / 2];
                self.memory.write(offset, half);
                state.write_part(self.file.file, half, offset);
            }
            return Err(refusal.into());
        }
        if !bytes.is_empty() {
            state.capture_midway(self.file.file, &bytes, offset);
        }
        self.memory.write(offset, &bytes);
        state.write_part(self.file.file, &bytes, offset);
        self.memory.view.set_readable(end);
        Ok(())
    }

    fn rewrite(&self, start: u64, end: u64) -> io::Result<()> {
        self.file.check_may_write(end);
        let mut state = self.disk().state.lock();
        state.begin(Kind::Write, &self.file.name, start, end.saturating_sub(start))?;
        let bytes =
            self.memory.view.get(start, end.saturating_sub(start)).ok_or(io::ErrorKind::UnexpectedEof)?;
        state.write_part(self.file.file, bytes, start);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        if *self.file.sealed.lock() || !self.file.role.writes() {
            let is_same = size == self.memory.view.readable();
            return if is_same { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EBADF)) };
        }
        self.file.truncate(size)?;
        self.memory.cut(size);
        Ok(())
    }

    fn view(&self) -> Option<View> {
        Some(self.memory.view.clone())
    }

    fn prepare(&self, tail: u64, room: Room) -> io::Result<()> {
        self.file.prepare(tail, room)?;
        let wanted = tail.saturating_add(room.bytes).min(self.memory.capacity);
        let mut state = self.disk().state.lock();
        if room.bytes == 0
            || !self.file.role.writes()
            || *self.file.sealed.lock()
            || wanted <= self.size_in(&state)
        {
            return Ok(());
        }
        let begun = state.begin(Kind::Reserve, &self.file.name, wanted, 0).map_err(io::Error::from);
        match begun.and_then(|()| self.grow(&mut state, wanted)) {
            // A writer that needs the room will be told.
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => Ok(()),
            done => done,
        }
    }

    fn seal(&self) -> io::Result<()> {
        self.file.seal()
    }
}
