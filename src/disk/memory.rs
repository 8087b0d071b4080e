//! A directory in memory, for stores that touch no file system: the third real implementation of the seam.
//!
//! A file is an anonymous mapping of as many addresses as it may grow to; the kernel gives it pages when they are first written.
//! All files of a store share one [`Budget`], so that a full memory is an error of [`DiskFile::reserve`], like a full disk. The
//! idea, a log with a cleaner as the allocator of a memory store, is that of Rumble et al., FAST'14.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::sync::lock::Mutex;

use super::mapping::{Mapping, PAGE};
use super::{Access, Disk, DiskFile, LockKind, View, clock};

/// Pages are charged for in steps of this size, where the budget has room for that.
const STEP: u64 = 256 << 10;

/// How many bytes the files of a store may have, and how many they have.
struct Budget {
    limit: u64,
    /// Bytes of files.
    files: AtomicU64,
    /// Bytes that the store needs beside its files.
    beside: AtomicU64,
}

impl Budget {
    fn charge(&self, bytes: u64) -> io::Result<()> {
        let left = self.limit.saturating_sub(self.beside.load(Ordering::Relaxed));
        let fits = |files: u64| files.checked_add(bytes).filter(|total| *total <= left);
        match self.files.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
        }
    }

    fn give_back(&self, bytes: u64) {
        self.files.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A directory in memory. Gone with the last of those who hold it or a file of it.
pub struct MemoryDisk {
    /// For messages.
    name: PathBuf,
    files: Mutex<BTreeMap<String, Arc<MemoryFile>>>,
    budget: Arc<Budget>,
    locked: Arc<AtomicBool>,
}

impl MemoryDisk {
    /// An empty directory whose files, together with what [`Disk::note_memory`] is told of, take no more than `limit` bytes.
    pub fn new(name: PathBuf, limit: u64) -> Self {
        let budget = Budget { limit, files: AtomicU64::new(0), beside: AtomicU64::new(0) };
        MemoryDisk { name, files: Mutex::default(), budget: Arc::new(budget), locked: Arc::default() }
    }

    fn add(&self, name: &str, capacity: u64, step: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut files = self.files.lock();
        if files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = Arc::new(MemoryFile::new(capacity, step, self.budget.clone())?);
        files.insert(name.to_string(), file.clone());
        Ok(file)
    }

    fn find(&self, name: &str) -> io::Result<Arc<MemoryFile>> {
        self.files.lock().get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Lets the next one lock the directory.
struct Unlock(Arc<AtomicBool>);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Disk for MemoryDisk {
    fn path(&self) -> &Path {
        &self.name
    }

    fn is_volatile(&self) -> bool {
        true
    }

    fn is_mapped(&self) -> bool {
        true
    }

    fn free_bytes(&self) -> Option<u64> {
        let taken = self.budget.files.load(Ordering::Relaxed) + self.budget.beside.load(Ordering::Relaxed);
        Some(self.budget.limit.saturating_sub(taken))
    }

    fn note_memory(&self, bytes: u64) {
        self.budget.beside.store(bytes, Ordering::Relaxed);
    }

    fn lock(&self, _: LockKind) -> io::Result<Box<dyn Send + Sync>> {
        if self.locked.swap(true, Ordering::Acquire) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Unlock(self.locked.clone())))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let files = self.files.lock();
        let mut names = crate::store::memory::vec_with_room(files.len())?;
        names.extend(files.keys().cloned());
        Ok(names)
    }

    fn create(&self, name: &str, capacity: u64) -> io::Result<Arc<dyn DiskFile>> {
        self.add(name, capacity, STEP)
    }

    fn create_plain(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.add(name, LARGEST_PLAIN, 0)
    }

    fn open(&self, name: &str, _: Access) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.find(name)?)
    }

    fn set_aside(&self, _: &str, _: u64) -> io::Result<()> {
        // The log keeps some of `free_bytes` for what makes room.
        Ok(())
    }

    fn aside(&self, _: &str) -> io::Result<u64> {
        Ok(0)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files.lock();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_string(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files.lock().remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }

    fn now_ms(&self, precise: bool) -> u64 {
        clock::now_ms(precise)
    }

    fn monotonic_ms(&self) -> u64 {
        clock::monotonic_ms()
    }
}

/// A file that is written once, as a whole: a manifest, mostly.
const LARGEST_PLAIN: u64 = 64 << 20;

struct MemoryFile {
    view: View,
    base: *mut u8,
    capacity: u64,
    /// What is written ends here.
    size: AtomicU64,
    /// How many bytes from the front on are charged for.
    charged: AtomicU64,
    sealed: AtomicBool,
    /// How much is charged for ahead of what is written.
    step: u64,
    budget: Arc<Budget>,
}

// SAFETY: the memory behind `base` belongs to `view`, which the file holds; appends are serialised by the caller, and what can be
// read does not change.
unsafe impl Send for MemoryFile {}
// SAFETY: as above.
unsafe impl Sync for MemoryFile {}

impl MemoryFile {
    fn new(capacity: u64, step: u64, budget: Arc<Budget>) -> io::Result<Self> {
        let capacity = capacity.next_multiple_of(PAGE);
        let mapping = Mapping::anonymous(capacity)?;
        let base = mapping.base();
        let (size, charged, sealed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Ok(MemoryFile { view: View::new(mapping, 0), base, capacity, size, charged, sealed, step, budget })
    }

    /// Charges for the bytes up to `end`, in whole pages.
    fn charge_up_to(&self, end: u64) -> io::Result<()> {
        let end = end.next_multiple_of(PAGE);
        let charged = self.charged.load(Ordering::Relaxed);
        if end > charged {
            self.budget.charge(end - charged)?;
            self.charged.store(end, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        self.budget.give_back(*self.charged.get_mut());
    }
}

impl DiskFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.size.load(Ordering::Acquire))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = self.view.get(offset, buffer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn reserve(&self, end: u64) -> io::Result<()> {
        if end <= self.charged.load(Ordering::Relaxed) {
            return Ok(());
        }
        if end > self.capacity {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        let ahead = (self.charged.load(Ordering::Relaxed) + self.step).clamp(end, self.capacity.max(end));
        self.charge_up_to(ahead).or_else(|_| self.charge_up_to(end))
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        let end = parts.iter().map(|part| part.len() as u64).fold(offset, u64::saturating_add);
        if end > self.capacity {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        self.charge_up_to(end)?;
        let mut at = offset as usize;
        for part in parts {
            // SAFETY: the range lies in the mapping, whose length is `capacity`. Nobody reads it before `set_readable` below, or
            // only what is the same (a header that is written again before the file is shared); the caller serialises appends.
            unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), self.base.add(at), part.len()) };
            at += part.len();
        }
        let size = self.size.fetch_max(end, Ordering::AcqRel).max(end);
        self.view.set_readable(size);
        Ok(())
    }

    fn rewrite(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        let old = self.size.load(Ordering::Acquire);
        if self.sealed.load(Ordering::Relaxed) {
            // A complete file keeps its size.
            return if size == old { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EBADF)) };
        }
        if size > old {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        self.view.set_readable(size);
        self.size.store(size, Ordering::Release);
        let kept = size.next_multiple_of(PAGE);
        let charged = self.charged.swap(kept, Ordering::Relaxed);
        // Zeros, as behind the end of any file; and the pages go back to the machine.
        self.view.give_back(size, self.capacity);
        self.budget.give_back(charged.saturating_sub(kept));
        Ok(())
    }

    fn view(&self) -> Option<View> {
        Some(self.view.clone())
    }

    fn seal(&self) -> io::Result<()> {
        self.sealed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(limit: u64) -> MemoryDisk {
        MemoryDisk::new(PathBuf::from("memory://"), limit)
    }

    #[test]
    fn files_share_a_budget_and_give_back_what_is_cut_off_or_removed() {
        let disk = disk(1 << 20);
        let (one, two) = (disk.create("one", 1 << 30).unwrap(), disk.create("two", 1 << 30).unwrap());
        one.reserve(700 << 10).unwrap();
        assert_eq!(two.reserve(400 << 10).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
        one.write_at(&[&[1; 5000]], 0).unwrap();
        one.truncate(5000).unwrap();
        two.reserve(1000 << 10).unwrap();
        drop(two);
        disk.remove("two").unwrap();
        one.reserve(1000 << 10).unwrap();
        assert_eq!(one.size().unwrap(), 5000);
    }

    #[test]
    fn what_is_noted_beside_the_files_counts_against_the_limit() {
        let disk = disk(1 << 20);
        let file = disk.create("file", 1 << 30).unwrap();
        disk.note_memory(900 << 10);
        assert!(file.reserve(200 << 10).is_err());
        disk.note_memory(0);
        file.reserve(200 << 10).unwrap();
    }

    #[test]
    fn bytes_behind_a_cut_are_zeros_and_what_is_pinned_stays() {
        let disk = disk(1 << 20);
        let file = disk.create("file", 1 << 16).unwrap();
        file.write_at(&[&[7; 9000]], 0).unwrap();
        let view = file.view().unwrap();
        file.truncate(10).unwrap();
        file.write_at(&[&[8]], 8999).unwrap();
        let mut bytes = vec![1; 9000];
        file.read_at(&mut bytes, 0).unwrap();
        assert!(bytes[..10] == [7; 10] && bytes[10..8999].iter().all(|byte| *byte == 0) && bytes[8999] == 8);
        drop(file);
        disk.remove("file").unwrap();
        assert_eq!(view.get(0, 10), Some(&[7; 10][..]));
    }

    #[test]
    fn one_at_a_time_has_the_lock() {
        let disk = disk(0);
        let lock = disk.lock(LockKind::Exclusive).unwrap();
        assert!(disk.lock(LockKind::Shared).is_err());
        drop(lock);
        disk.lock(LockKind::Exclusive).unwrap();
    }
}
