//! The simulated disk as the engine sees it: the methods of [`Disk`] and [`DiskFile`].

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::content::{Content, FailedSync};
use super::memory::{MappedSimFile, Memory};
use super::names::FileId;
use super::operation::Kind;
use super::power::{PAGE, Random};
use super::state::State;
use super::{Reserve, SimDisk};
use crate::disk::{Access, Disk, DiskFile, LockKind, Room};
use crate::sync::lock::Mutex;

/// The largest file that the simulation takes, so that a wild offset is an error and not a full memory.
pub(super) const FILE_LIMIT: u64 = 1 << 30;

impl Disk for SimDisk {
    fn is_mapped(&self) -> bool {
        let state = self.state.lock();
        state.is_mapped && state.reserve != Reserve::Nothing
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn lock(&self, kind: LockKind) -> io::Result<Box<dyn Send + Sync>> {
        let mut state = self.state.lock();
        state.begin(Kind::Lock, "", 0, 0)?;
        let free = !state.exclusive_lock && (kind == LockKind::Shared || state.shared_locks == 0);
        if !free {
            state.end(Err(libc::EWOULDBLOCK))?;
        }
        match kind {
            LockKind::Exclusive => state.exclusive_lock = true,
            LockKind::Shared => state.shared_locks += 1,
        }
        Ok(Box::new(SimLock { disk: self.clone(), kind }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.begin(Kind::List, "", 0, 0)?;
        let mut names: Vec<String> = state.names.live().keys().cloned().collect();
        // A real directory promises no order, and does not keep the one it had.
        let mut random = Random::new(state.operations);
        for i in (1..names.len()).rev() {
            names.swap(i, random.below(i as u64 + 1) as usize);
        }
        Ok(names)
    }

    fn create(&self, name: &str, capacity: u64) -> io::Result<Arc<dyn DiskFile>> {
        self.create_for(name, Use::Append { capacity })
    }

    fn create_plain(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.create_for(name, Use::Plain)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let role = match access {
            Access::Read | Access::Follow { .. } => Use::Read,
            Access::Append { capacity } => Use::Append { capacity },
        };
        self.open_for(name, role)
    }

    fn open_plain(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.open_for(name, Use::PlainRead)
    }

    fn set_aside(&self, name: &str, bytes: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(Kind::Reserve, name, bytes, 0)?;
        let (file, is_new) = match state.names.get(name) {
            Some(file) => (file, false),
            None => {
                let file = state.add_file(Content::default());
                state.names.create(name, file);
                (file, true)
            }
        };
        if bytes > state.files[&file].content.size() {
            let size = state.size_with_room(file, bytes);
            if size < bytes {
                if is_new {
                    state.names.remove(name);
                }
                return state.end(Err(libc::ENOSPC));
            }
            if let Some(held) = state.files.get_mut(&file) {
                held.content.resize(bytes);
            }
        }
        Ok(())
    }

    fn aside(&self, name: &str) -> io::Result<u64> {
        let mut state = self.state.lock();
        state.begin(Kind::Size, name, 0, 0)?;
        Ok(state.names.get(name).map_or(0, |file| state.files[&file].content.size()))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(Kind::Rename, &format!("{from} -> {to}"), 0, 0)?;
        let Some(file) = state.names.get(from) else { return state.end(Err(libc::ENOENT)) };
        state.names.rename(from, to, file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(Kind::Remove, name, 0, 0)?;
        if state.names.get(name).is_none() {
            return state.end(Err(libc::ENOENT));
        }
        state.names.remove(name);
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(Kind::SyncDir, "", 0, 0)?;
        state.names.sync();
        state.forget_unreachable();
        Ok(())
    }

    fn now_ms(&self, precise: bool) -> u64 {
        let now = self.state.lock().clock_ms;
        if precise { now } else { now & !3 }
    }

    fn monotonic_ms(&self) -> u64 {
        self.state.lock().monotonic_ms
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        let random = &mut self.state.lock().random;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&random.number().to_le_bytes());
        bytes[8..].copy_from_slice(&random.number().to_le_bytes());
        Ok(bytes)
    }
}

impl SimDisk {
    fn create_for(&self, name: &str, role: Use) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.begin(Kind::Create, name, 0, 0)?;
        if state.names.get(name).is_some() {
            state.end(Err(libc::EEXIST))?;
        }
        let file = state.add_file(Content::default());
        state.names.create(name, file);
        self.handle(&mut state, file, name, role)
    }

    fn open_for(&self, name: &str, role: Use) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.begin(Kind::Open, name, 0, 0)?;
        let Some(file) = state.names.get(name) else {
            state.end(Err(libc::ENOENT))?;
            unreachable!("the line above returned");
        };
        self.handle(&mut state, file, name, role)
    }

    fn handle(
        &self,
        state: &mut State,
        file: FileId,
        name: &str,
        role: Use,
    ) -> io::Result<Arc<dyn DiskFile>> {
        let is_mapped = state.is_mapped && state.reserve != Reserve::Nothing && role.may_be_mapped();
        let held = state.files.get_mut(&file).expect("a name leads to a file");
        // What the file holds already may be written again.
        let role = match role {
            Use::Append { capacity } => Use::Append { capacity: capacity.max(held.content.size()) },
            other => other,
        };
        let memory = if is_mapped { Some(Memory::new(held.content.live(), role)?) } else { None };
        held.handles += 1;
        let file = SimFile { disk: self.clone(), file, name: name.into(), role, sealed: Mutex::new(false) };
        Ok(match memory {
            Some(memory) => Arc::new(MappedSimFile::new(file, memory)),
            None => Arc::new(file),
        })
    }
}

struct SimLock {
    disk: SimDisk,
    kind: LockKind,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        match self.kind {
            LockKind::Exclusive => state.exclusive_lock = false,
            LockKind::Shared => state.shared_locks -= 1,
        }
    }
}

/// What a file was opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    /// Read once, by calls.
    PlainRead,
    Append {
        capacity: u64,
    },
    /// Written once, and no longer than it is written.
    Plain,
}

impl Use {
    fn may_be_mapped(self) -> bool {
        matches!(self, Use::Read | Use::Append { .. })
    }

    pub fn writes(self) -> bool {
        matches!(self, Use::Append { .. } | Use::Plain)
    }
}

pub(super) struct SimFile {
    pub disk: SimDisk,
    pub file: FileId,
    pub name: String,
    pub role: Use,
    pub sealed: Mutex<bool>,
}

impl SimFile {
    /// The caller's side of the contract. Breaking it is a bug of the caller and not a fault of the disk: it panics.
    pub fn check_may_write(&self, end: u64) {
        assert!(self.role.writes(), "'{}' was opened for reading and is written", self.name);
        assert!(!*self.sealed.lock(), "'{}' was sealed and is written", self.name);
        if let Use::Append { capacity } = self.role {
            assert!(
                end <= capacity,
                "'{}' is written up to {end}, past its capacity of {capacity}",
                self.name
            );
        }
    }

    /// A file may be cut to its length when it is sealed, and by a recovery to less than was once written.
    pub fn check_may_cut(&self) {
        assert!(self.role.writes(), "'{}' was opened for reading and is cut", self.name);
    }
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        let mut state = self.disk.state.lock();
        state.begin(Kind::Size, &self.name, 0, 0)?;
        Ok(state.files[&self.file].content.size())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.begin(Kind::Read, &self.name, offset, buffer.len() as u64)?;
        let bytes = state.files[&self.file].content.live();
        let wanted = usize::try_from(offset).ok().and_then(|start| {
            let end = start.checked_add(buffer.len())?;
            bytes.get(start..end)
        });
        match wanted {
            Some(wanted) => {
                buffer.copy_from_slice(wanted);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn reserve(&self, end: u64) -> io::Result<()> {
        self.check_may_write(end);
        let mut state = self.disk.state.lock();
        state.begin(Kind::Reserve, &self.name, end, 0)?;
        if end > FILE_LIMIT {
            return state.end(Err(libc::EFBIG));
        }
        let wished = match state.reserve {
            _ if self.role == Use::Plain => return Ok(()),
            Reserve::Nothing => return Ok(()),
            Reserve::Exact => end,
            Reserve::Pages => end.div_ceil(PAGE) * PAGE,
        };
        if end <= state.files[&self.file].content.size() {
            return Ok(());
        }
        let size = state.size_with_room(self.file, wished);
        if size < end {
            return state.end(Err(libc::ENOSPC));
        }
        if let Some(held) = state.files.get_mut(&self.file) {
            held.content.resize(size);
        }
        Ok(())
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        let bytes = parts.concat();
        let end = offset + bytes.len() as u64;
        self.check_may_write(end);
        self.disk.hold.pass();
        let mut state = self.disk.state.lock();
        if let Err(refusal) = state.begin(Kind::Write, &self.name, offset, bytes.len() as u64) {
            if refusal.short_write {
                state.write_part(self.file, &bytes[..bytes.len() / 2], offset);
            }
            return Err(refusal.into());
        }
        if end > FILE_LIMIT {
            return state.end(Err(libc::EFBIG));
        }
        let fits = state.size_with_room(self.file, end);
        if fits < end {
            let part = fits.saturating_sub(offset) as usize;
            state.write_part(self.file, &bytes[..part], offset);
            return state.end(Err(libc::ENOSPC));
        }
        if !bytes.is_empty() {
            state.capture_midway(self.file, &bytes, offset);
        }
        state.write_part(self.file, &bytes, offset);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        let begun = state.begin(Kind::Sync, &self.name, 0, 0);
        let failed_sync = state.failed_sync.unwrap_or(FailedSync::LosesPages);
        let off = state.off;
        if let Some(held) = state.files.get_mut(&self.file) {
            match begun {
                Ok(()) => held.content.sync(),
                Err(_) if !off => held.content.fail_sync(failed_sync),
                Err(_) => {}
            }
        }
        Ok(begun?)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.check_may_cut();
        let mut state = self.disk.state.lock();
        state.begin(Kind::Truncate, &self.name, size, 0)?;
        if let Some(held) = state.files.get_mut(&self.file) {
            assert!(size <= held.content.size(), "'{}' is cut to more than it has", self.name);
            held.content.resize(size);
        }
        Ok(())
    }

    fn prepare(&self, _tail: u64, _room: Room) -> io::Result<()> {
        Ok(self.disk.state.lock().begin(Kind::Prepare, &self.name, 0, 0)?)
    }

    fn seal(&self) -> io::Result<()> {
        self.disk.state.lock().begin(Kind::Seal, &self.name, 0, 0)?;
        *self.sealed.lock() = true;
        Ok(())
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if let Some(held) = state.files.get_mut(&self.file) {
            held.handles -= 1;
            if held.handles == 0 && !state.names.may_reach(self.file) {
                state.files.remove(&self.file);
            }
        }
    }
}
