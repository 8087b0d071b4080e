//! The set of data files, in memory and, as the manifest, on disk.
//!
//! The manifest is replaced as a whole: written under another name, synced, renamed, and the directory synced. So
//! after a crash the set is the old one or the new one. What is in the directory and not in the set is debris.

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::disk::page::OwnPage;
use crate::disk::process::ForkGuard;
use crate::disk::{Access, Disk, DiskFile};
use crate::format::features::Feature;
use crate::format::file_header::{FILE_HEADER_SIZE, FileHeader};
use crate::format::frame::{Epoch, Origin};
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::format::{FileId, names};
use crate::store::error::{Error, Result};
use crate::store::events::Events;
use crate::store::memory;
use crate::sync::lock::{Mutex, MutexGuard};
use crate::sync::table::Table;
use crate::sync::thread::NotCancelled;

use super::file::DataFile;
use super::published::Published;
use super::reserve::Reserves;
use super::scan::scan;

/// The most data files that a store can have at once: what the 16 bits in a location tell apart.
pub const MAX_FILES: usize = 1 << 16;

/// Remembers the first reason for which no more writes are taken.
#[derive(Default)]
pub struct Poison(OnceLock<String>);

impl Poison {
    /// `Err` once there is a reason.
    #[inline]
    pub fn check(&self) -> Result<()> {
        match self.0.get() {
            None => Ok(()),
            Some(reason) => Err(Error::Poisoned { reason: reason.clone() }),
        }
    }

    /// Stops all further writes because of `error`, which it gives back.
    pub fn set(&self, error: Error) -> Error {
        let _ = self.0.set(error.to_string());
        error
    }

    /// Stops all further writes for this reason.
    pub fn set_reason(&self, reason: &str) {
        let _ = self.0.set(reason.to_string());
    }
}

/// See the module.
pub struct Catalog {
    /// The directory.
    pub disk: Arc<dyn Disk>,
    /// The open data files, by the slots that the index names them by.
    pub files: Table<DataFile>,
    /// Whether writes are still taken.
    pub poison: Poison,
    /// Who is told what happens.
    pub events: Events,
    /// Room for what makes room.
    pub reserves: Reserves,
    /// Who reads the store meanwhile is told what changes.
    pub published: Arc<Published>,
    manifest: Mutex<Manifest>,
    /// How many files it lists: for who must not wait for it, which is locked while it is written.
    listed: AtomicUsize,
    /// The bytes that it has for the ordered engine.
    ordered_bytes: AtomicU64,
    /// The features that the manifest on disk names.
    features: AtomicU64,
    held: Mutex<HeldNames>,
}

/// See [`Catalog::hold`].
#[derive(Default)]
struct HeldNames {
    /// How many hold the names.
    holders: usize,
    /// The files whose names are to be removed when nobody does.
    left: Vec<FileId>,
}

/// As long as one lives no name of a data file is removed.
pub struct Held(Arc<Catalog>, ForkGuard);

impl Drop for Held {
    fn drop(&mut self) {
        // The parent's files, and a lock that another thread of it may have held.
        if self.1.is_forked() {
            return;
        }
        let left = {
            let mut held = self.0.held.lock();
            held.holders -= 1;
            if held.holders == 0 { std::mem::take(&mut held.left) } else { Vec::new() }
        };
        let _not_cancelled = NotCancelled::begin();
        left.into_iter().for_each(|id| self.0.remove_names(id));
    }
}

impl Catalog {
    /// The catalog of a store whose manifest on disk is `manifest`.
    pub fn new(disk: Arc<dyn Disk>, manifest: Manifest, events: Events, max_file_size: u64) -> Result<Self> {
        Ok(Catalog {
            files: Table::new(MAX_FILES)?,
            poison: Poison::default(),
            events,
            reserves: Reserves::new(&disk, max_file_size),
            listed: AtomicUsize::new(manifest.files.len()),
            ordered_bytes: AtomicU64::new(manifest.ordered.size()),
            features: AtomicU64::new(manifest.needs.features),
            held: Mutex::default(),
            manifest: Mutex::new(manifest),
            published: Arc::new(Published::to_nobody()?),
            disk,
        })
    }

    /// The catalog of a store that looks up no file by its place: see [`Table::without_look_ups`].
    pub fn without_look_ups(self) -> Result<Self> {
        Ok(Catalog { files: Table::without_look_ups(MAX_FILES)?, ..self })
    }

    /// The same, which tells on this page what changes.
    pub fn publishing(self, page: Option<OwnPage>) -> Self {
        match page {
            Some(page) => Catalog { published: Arc::new(Published::on(page)), ..self },
            None => self,
        }
    }

    /// The manifest as it is on disk, and as it stays for as long as this is held.
    pub fn manifest(&self) -> MutexGuard<'_, Manifest> {
        self.manifest.lock()
    }

    /// Sets room aside for when the disk is full, unless that is done.
    pub fn fill_reserves(&self) -> Result<()> {
        let _not_cancelled = NotCancelled::begin();
        self.reserves.fill(self.bytes(), self.manifest_size())
    }

    /// Sets room aside for merges alone, unless that is done.
    pub fn fill_reserve_of_merges(&self) -> Result<()> {
        let _not_cancelled = NotCancelled::begin();
        self.reserves.fill_for_merges(self.bytes(), self.manifest_size())
    }

    /// Gives back what is set aside beyond what a store of this size needs.
    pub fn shrink_reserves(&self) {
        let _not_cancelled = NotCancelled::begin();
        self.reserves.shrink(self.bytes(), self.manifest_size());
    }

    /// Gives what is set aside for deletes to the caller. False where that was done before.
    pub fn release_for_deletes(&self) -> bool {
        self.reserves.deletes.release(self.manifest_size())
    }

    /// Gives what is set aside for merges to the caller. False where that was done before.
    pub fn release_for_merges(&self) -> bool {
        self.reserves.merges.release(self.manifest_size())
    }

    /// Bytes of all data files.
    pub fn bytes(&self) -> u64 {
        self.files.sum(DataFile::tail)
    }

    fn manifest_size(&self) -> u64 {
        Manifest::size(self.listed.load(Ordering::Relaxed)) + self.ordered_bytes.load(Ordering::Relaxed)
    }

    /// Says that from now on only who knows `feature` may open the store. That is on the disk when this returns: it must be
    /// called before the first byte is written that needs the feature. Where it was said before it costs one load.
    #[inline]
    pub fn require(&self, feature: Feature) -> Result<()> {
        if self.features.load(Ordering::Acquire) & feature.mask() != 0 {
            return Ok(());
        }
        self.add_feature(feature)
    }

    #[cold]
    fn add_feature(&self, feature: Feature) -> Result<()> {
        self.poison.check()?;
        let _not_cancelled = NotCancelled::begin();
        let mut current = self.manifest.lock();
        // Somebody else may have been here first.
        if current.needs.features & feature.mask() == 0 {
            self.replace(&mut current, 0, |manifest| manifest.needs.add(feature))?;
        }
        self.features.fetch_or(feature.mask(), Ordering::Release);
        Ok(())
    }

    /// Changes the manifest in memory; the next [`Catalog::update`] brings that to the disk.
    pub fn amend(&self, change: impl FnOnce(&mut Manifest)) {
        change(&mut self.manifest.lock());
    }

    /// Changes the manifest, in memory and on disk, or neither. At most one file is added.
    pub fn update(&self, change: impl FnOnce(&mut Manifest)) -> Result<()> {
        self.update_many(1, change)
    }

    /// As [`Catalog::update`]. At most so many files are added.
    pub fn update_many(&self, added: usize, change: impl FnOnce(&mut Manifest)) -> Result<()> {
        let _not_cancelled = NotCancelled::begin();
        self.replace(&mut self.manifest.lock(), added, change)
    }

    fn replace(
        &self,
        current: &mut Manifest,
        added: usize,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<()> {
        memory::room_for_small_things()?;
        let mut next = current.copy_with_room(added)?;
        change(&mut next);
        // Files are created by several threads, and may be listed in another order than they were numbered.
        next.files.sort_unstable_by_key(|entry| entry.id);
        next.generation += 1;
        // A manifest must not be on the disk before the names of the files in it are.
        let is_known = |id| current.files.binary_search_by_key(&id, |entry| entry.id).is_ok();
        let is_known_run = |id| current.ordered.runs.iter().any(|run| run.id == id);
        let names_new = next.files.iter().any(|entry| !is_known(entry.id))
            || next.ordered.runs.iter().any(|run| !is_known_run(run.id));
        if names_new && !seeded_bug!("names-not-synced") {
            self.disk.sync_dir().map_err(|e| Error::io("sync the directory", self.disk.path(), &e))?;
        }
        match replace_manifest(self.disk.as_ref(), &next) {
            Ok(()) => {
                *current = next;
                self.published.manifest(current.generation);
                self.listed.store(current.files.len(), Ordering::Relaxed);
                self.ordered_bytes.store(current.ordered.size(), Ordering::Relaxed);
                Ok(())
            }
            Err(Failure::Before(error)) => Err(error),
            // Which of the two a crash would leave is not known: no more writes, or the next change could build on
            // the wrong one.
            Err(Failure::After(error)) => Err(self.poison.set(error)),
        }
    }

    /// Opens a data file that the manifest lists, and checks that it is the one. Its frames are not read. It goes into
    /// `slot`, or, without one, into any that is free.
    pub fn open_file(&self, entry: &FileEntry, access: Access, slot: Option<u16>) -> Result<Arc<DataFile>> {
        let grows = access == (Access::Follow { grows: true });
        self.take_file(entry, grows, slot, |name| self.disk.open(name, access))
    }

    /// As [`Catalog::open_file`], of a file of which it is not known where it ends, and which may be cut there.
    pub fn open_unsure(&self, entry: &FileEntry) -> Result<Arc<DataFile>> {
        self.take_file(entry, false, None, |name| self.disk.open_plain(name))
    }

    fn take_file(
        &self,
        entry: &FileEntry,
        grows: bool,
        slot: Option<u16>,
        open: impl FnOnce(&str) -> std::io::Result<Arc<dyn DiskFile>>,
    ) -> Result<Arc<DataFile>> {
        memory::room_for_small_things()?;
        let name = names::data(entry.id);
        let path = || self.disk.path().join(&name);
        let corrupt = |offset, what| Error::Corrupt { path: path(), file_id: entry.id, offset, what };
        let disk_file = open(&name).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => corrupt(0, "the file is missing"),
            _ => Error::io("open the data file", &path(), &error),
        })?;
        let size = disk_file.size().map_err(|e| Error::io("read the size of", &path(), &e))?;
        let mut bytes = [0; FILE_HEADER_SIZE as usize];
        if size < FILE_HEADER_SIZE {
            return Err(corrupt(size, "the file is shorter than its header"));
        }
        disk_file.read_at(&mut bytes, 0).map_err(|e| Error::io("read the header of", &path(), &e))?;
        let header = FileHeader::decode(&bytes).map_err(|what| corrupt(0, what))?;
        let store_id = self.manifest.lock().store_id;
        if (header.id, header.origin.salt, header.store_id) != (entry.id, entry.salt, store_id) {
            return Err(corrupt(0, "the file is another one than the manifest names"));
        }
        let tail = if grows { FILE_HEADER_SIZE } else { size };
        let file = self.add(disk_file, (entry.id, header.origin), tail, slot)?;
        if entry.state == FileState::Sealed {
            file.set_sealed();
        }
        Ok(file)
    }

    /// Opens a data file that another process writes to and that the log goes on in; `None` where there is no such file any more.
    pub fn follow_file(&self, id: FileId) -> Result<Option<Arc<DataFile>>> {
        let name = names::data(id);
        let path = || self.disk.path().join(&name);
        let corrupt = |offset, what| Error::Corrupt { path: path(), file_id: id, offset, what };
        let disk_file = match self.disk.open(&name, Access::Follow { grows: true }) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|e| Error::io("open the data file", &path(), &e))?,
        };
        let mut bytes = [0; FILE_HEADER_SIZE as usize];
        disk_file.read_at(&mut bytes, 0).map_err(|e| Error::io("read the header of", &path(), &e))?;
        let header = FileHeader::decode(&bytes).map_err(|what| corrupt(0, what))?;
        let mut manifest = self.manifest.lock();
        if (header.id, header.store_id) != (id, manifest.store_id) {
            return Err(corrupt(0, "the file is another one than its name says"));
        }
        // In memory only: no file in the table has a larger number, see `newest_file`.
        manifest.next_file_id = manifest.next_file_id.max(id.saturating_add(1));
        drop(manifest);
        self.add(disk_file, (id, header.origin), FILE_HEADER_SIZE, None).map(Some)
    }

    /// Finds where the frames of a file end that is open here, and that another process appended to who tells no more where that is.
    /// Not through a mapping: who comes to write may cut what is no frame.
    pub fn follow_to_end(&self, file: &DataFile) -> Result<()> {
        let failed = |e: &std::io::Error| file.io_error("read the end of", e);
        let disk_file = self.disk.open_plain(&names::data(file.id)).map_err(|e| failed(&e))?;
        let size = disk_file.size().map_err(|e| failed(&e))?;
        let plain = DataFile::new(self.disk.clone(), disk_file, (file.id, file.slot, file.origin), size);
        let (end, _) = scan(&plain, file.tail(), size, &mut |_| Ok(()))?;
        file.follow(end)
    }

    /// The open file with this number.
    pub fn find(&self, id: FileId) -> Result<Option<Arc<DataFile>>> {
        Ok(self.files.all()?.into_iter().find(|file| file.id == id))
    }

    /// A number for a file, that none had, and the identity of the store.
    pub fn take_number(&self) -> Result<(FileId, [u8; 16])> {
        let mut manifest = self.manifest.lock();
        let id = manifest.next_file_id;
        // In memory only: an update makes it durable before the file counts. A number is never used twice.
        manifest.next_file_id = id.checked_add(1).ok_or_else(|| Error::Unsupported {
            message: "the store has used up all numbers of data files".into(),
        })?;
        Ok((id, manifest.store_id))
    }

    /// Creates an empty data file for frames up to `capacity`, most of them not long after `epoch`. Its header is durable; its
    /// name is after the next [`Catalog::update`], and until that lists it the file does not count.
    pub fn create_file(&self, capacity: u64, epoch: Epoch) -> Result<Arc<DataFile>> {
        memory::room_for_small_things()?;
        let (id, store_id) = self.take_number()?;
        let name = names::data(id);
        let io = |action, error: &std::io::Error| Error::io(action, &self.disk.path().join(&name), error);
        let random = self.disk.random().map_err(|e| io("choose a salt for", &e))?;
        let salt = u32::from_le_bytes([random[0], random[1], random[2], random[3]]);
        let origin = Origin { salt, epoch };
        let header = FileHeader { id, store_id, origin };
        let disk_file = self.disk.create(&name, capacity).map_err(|e| io("create the data file", &e))?;
        let written = disk_file
            .reserve(FILE_HEADER_SIZE)
            .and_then(|()| disk_file.write_at(&[&header.encode()], 0))
            .and_then(|()| disk_file.sync());
        written
            .map_err(|e| io("write the header of", &e))
            .and_then(|()| self.add(disk_file, (id, origin), FILE_HEADER_SIZE, None))
            .inspect(|file| file.set_plain())
            .inspect_err(|_| {
                let _ = self.disk.remove(&name);
            })
    }

    /// No data file has a larger number yet.
    pub fn newest_file(&self) -> FileId {
        self.manifest.lock().next_file_id.saturating_sub(1)
    }

    /// Removes a file that the manifest does not list any more, and its hint. Whoever holds it goes on reading it. What
    /// cannot be removed now is debris that the next open removes.
    pub fn unlink(&self, file: &DataFile) {
        {
            let mut held = self.held.lock();
            if held.holders > 0 {
                held.left.push(file.id);
                return;
            }
        }
        self.remove_names(file.id);
    }

    fn remove_names(&self, id: FileId) {
        let _ = self.disk.remove(&names::hint(id));
        let _ = self.disk.remove(&names::data(id));
    }

    /// Keeps the names of all files that the manifest lists now or later, until the answer is dropped: for who reads files by their
    /// names. Merges go on, and give the room back after that.
    pub fn hold(self: &Arc<Self>) -> Held {
        self.held.lock().holders += 1;
        Held(self.clone(), ForkGuard::new())
    }

    /// The files of one moment that have all that counts, and up to which number deletes may be missing there: see
    /// [`Manifest::complete_after`].
    pub fn moment(&self) -> Result<(Vec<Arc<DataFile>>, u64)> {
        let manifest = self.manifest.lock();
        let mut files = self.files.all()?;
        files.retain(|file| manifest.files.binary_search_by_key(&file.id, |entry| entry.id).is_ok());
        Ok((files, manifest.complete_after))
    }

    /// As [`Catalog::moment`], where another process writes. All that is open here counts: the manifest that was taken over last, and what the log
    /// went on in since, is a moment at which no later merge has been. What a later one wrote is there once more.
    pub fn followed_moment(&self) -> Result<(Vec<Arc<DataFile>>, u64)> {
        let manifest = self.manifest.lock();
        Ok((self.files.all()?, manifest.complete_after))
    }

    /// How many manifests there were.
    pub fn generation(&self) -> u64 {
        self.manifest.lock().generation
    }

    /// The manifest's line for a file that frames may be appended to.
    pub fn open_entry(file: &DataFile) -> FileEntry {
        let (id, salt, length) = (file.id, file.origin.salt, file.tail());
        FileEntry { id, state: FileState::Open, salt, follows: true, length, min_seq: 0, max_seq: 0 }
    }

    fn add(
        &self,
        disk_file: Arc<dyn DiskFile>,
        (id, origin): (FileId, Origin),
        tail: u64,
        slot: Option<u16>,
    ) -> Result<Arc<DataFile>> {
        let make = |slot: usize| {
            Arc::new(DataFile::new(self.disk.clone(), disk_file.clone(), (id, slot as u16, origin), tail))
        };
        if let Some(slot) = slot.map(usize::from) {
            let file = make(slot);
            if self.files.insert_at(slot, file.clone())? {
                return Ok(file);
            }
        }
        self.files.insert(|slot| Ok(make(slot))).unwrap_or_else(|| {
            Err(Error::Unsupported {
                message: format!(
                    "the store has {} data files and cannot have more; merge it, or open it with a larger \
                     max_file_size",
                    MAX_FILES - 1
                ),
            })
        })
    }
}

/// Whether the old manifest certainly still counts.
enum Failure {
    Before(Error),
    After(Error),
}

fn replace_manifest(disk: &dyn Disk, manifest: &Manifest) -> std::result::Result<(), Failure> {
    let bytes = manifest.encode().map_err(|refused| Failure::Before(refused.into()))?;
    let size = bytes.len() as u64;
    replace(disk, names::MANIFEST_TMP, names::MANIFEST, size, &mut |file| file.write_at(&[&bytes], 0))
        .map_err(Failure::Before)?;
    if seeded_bug!("manifest-name-not-synced") {
        return Ok(());
    }
    disk.sync_dir().map_err(|e| Failure::After(Error::io("sync the directory", disk.path(), &e)))
}

/// Writes the first manifest of a new store.
pub fn write_first_manifest(disk: &dyn Disk, manifest: &Manifest) -> Result<()> {
    replace_manifest(disk, manifest).map_err(|(Failure::Before(error) | Failure::After(error))| error)
}

/// Gives `name` the content that `write` writes into an empty file, about `size` bytes, so that after a crash it has the
/// old content or the new one. The new one is certain after the directory is synced.
pub fn replace(
    disk: &dyn Disk,
    temporary: &str,
    name: &str,
    size: u64,
    write: &mut dyn FnMut(&dyn DiskFile) -> std::io::Result<()>,
) -> Result<()> {
    replace_with(disk, temporary, name, size, true, write)
}

/// As [`replace`]; what means nothing after a power cut need not be durable.
pub fn replace_with(
    disk: &dyn Disk,
    temporary: &str,
    name: &str,
    size: u64,
    is_durable: bool,
    write: &mut dyn FnMut(&dyn DiskFile) -> std::io::Result<()>,
) -> Result<()> {
    let temporary = if seeded_bug!("manifest-not-atomic") { name } else { temporary };
    let io = |action, error: &std::io::Error| Error::io(action, &disk.path().join(temporary), error);
    // One may be left of an attempt that failed.
    let _ = disk.remove(temporary);
    let file = disk.create_plain(temporary).map_err(|e| io("create", &e))?;
    let written = file.reserve(size).and_then(|()| write(file.as_ref()));
    let written = if seeded_bug!("manifest-not-synced") || !is_durable {
        written
    } else {
        written.and_then(|()| file.sync())
    };
    drop(file);
    let renamed = written.map_err(|e| io("write", &e)).and_then(|()| {
        disk.rename(temporary, name).map_err(|e| Error::io("replace", &disk.path().join(name), &e))
    });
    renamed.inspect_err(|_| {
        let _ = disk.remove(temporary);
    })
}
