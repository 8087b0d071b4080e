//! Copies what is intact in a damaged store to a new one: the newest version of each key, lists with their elements.
//!
//! What is copied was found with a checksum that matches, and is compared with it again on its way. A key whose newest intact
//! record removes it, or has expired, is not copied. The new store is there when this returns, or it is gone again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::content::Content;
use super::files;
use super::keys::{FoundList, Holds};
use super::survey::Survey;
use super::telling::{Ended, Telling, Told, number_of};
use super::verdict::read_key;
use super::{Visit, Watch, open_directory};
use crate::bitcask::Bitcask;
use crate::bitcask::lifecycle::open::remove_all;
use crate::disk::fs::{FsDisk, Io};
use crate::disk::{Disk, LockKind};
use crate::format::frame::{Header, Kind, MAX_HEADER_SIZE};
use crate::format::names;
use crate::store::Store;
use crate::store::batch::Batch;
use crate::store::error::{Error, Result};
use crate::store::findings::{CheckReport, Severity};
use crate::store::options::{MergeMode, Options, SyncMode};
use crate::store::write::PutOptions;

/// Elements are pushed so many at a time, or so many bytes.
const PUSHED_AT_ONCE: (usize, usize) = (256, 1 << 20);
/// A record that was read: header, key and value.
type Record = (Header, Vec<u8>, Vec<u8>);

/// So many files are held open while lists are copied.
const FILES_HELD: usize = 32;

/// Copies what is intact in the store at `from` to a new store at `to`, which must not be there.
pub fn salvage(from: &Path, to: &Path, visit: Visit<'_>, watch: Watch<'_>) -> Result<CheckReport> {
    let disk = open_directory(from)?;
    let names = disk.list().map_err(|e| Error::io("list the directory", disk.path(), &e))?;
    if !names.iter().any(|name| names::parse(name).is_some()) {
        return Err(Error::Missing { path: from.to_path_buf() });
    }
    let above = to.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if above.canonicalize().is_ok_and(|above| above.starts_with(disk.path())) {
        return Err(Error::invalid(
            "a salvage cannot put the new store into the damaged one, which it must not change",
        ));
    }
    let target = FsDisk::create(to, Io::Mapped { synced: false }).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists { path: to.to_path_buf() },
        _ => Error::io("make the directory of the new store", to, &error),
    })?;
    salvage_to(disk, Arc::new(target), true, visit, watch)
}

/// As [`salvage`], from any disk to another one, on which there is no store.
pub fn salvage_to(
    from: Arc<dyn Disk>,
    to: Arc<dyn Disk>,
    background: bool,
    visit: Visit<'_>,
    watch: Watch<'_>,
) -> Result<CheckReport> {
    // Also where a panic goes through.
    let mut unfinished = Unfinished(Some(to.clone()));
    let saved = save(&from, &to, background, visit, watch);
    if saved.is_ok() || matches!(saved, Err(Error::Exists { .. })) {
        unfinished.0 = None;
    }
    saved
}

/// A new store that is removed unless it is finished.
struct Unfinished(Option<Arc<dyn Disk>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(disk) = &self.0 {
            remove_all(disk.as_ref());
        }
    }
}

fn save(
    from: &Arc<dyn Disk>,
    to: &Arc<dyn Disk>,
    background: bool,
    visit: Visit<'_>,
    watch: Watch<'_>,
) -> Result<CheckReport> {
    // Who opens the store meanwhile would cut torn tails off, and merge.
    let _lock = from.lock(LockKind::Shared).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => Error::Locked { path: from.path().to_path_buf() },
        _ => Error::io("lock the store", from.path(), &error),
    })?;
    let options = Options {
        sync: SyncMode::None,
        merge: MergeMode::Manual,
        error_if_exists: true,
        ..Options::default()
    };
    let store = Bitcask::start(to.clone(), &options, background)?;
    let mut telling = Telling::new(visit, watch);
    let mut survey = Survey::new(from.as_ref(), &mut telling, true);
    let saved = survey.save(&store);
    let report = saved.map(|()| telling.report).map_err(|ended| match ended {
        Ended::Failed(error) => error,
        Ended::Stopped { file, offset } => Error::Corrupt {
            path: from.path().join(&file),
            file_id: number_of(&file),
            offset,
            what: "the salvage was ended at this place by whoever was told of it, and there is no new store",
        },
    })?;
    store.sync()?;
    let keys = store.count()?;
    store.close()?;
    Ok(CheckReport { keys, ..report })
}

impl Survey<'_, '_> {
    /// Puts what is intact into `store`.
    fn save(&mut self, store: &Bitcask) -> Told<()> {
        self.look()?;
        let lists = self.lists()?;
        self.tell_all()?;
        let now_ms = self.now_ms.max(self.max_time_ms);
        let mut places = Vec::new();
        for version in self.keys.all().filter(|version| version.holds() == Holds::Value) {
            places.try_reserve(1).map_err(|_| Error::NoMemory { bytes: places.len() as u64 * 16 })?;
            places.push(version.place());
        }
        places.sort_unstable();
        let mut open: Option<(usize, Content)> = None;
        for (n, offset) in places {
            if open.as_ref().is_none_or(|(held, _)| *held != n) {
                let found = files::open(self.disk, &self.files[n].name)?;
                open = found.map(|content| (n, content));
                if let Some((_, content)) = &open {
                    self.telling.will_read(content.size());
                }
            }
            let Some((_, content)) = &mut open else { continue };
            let before = content.bytes_read;
            match self.read(n, offset, content)? {
                Some((header, key, value)) if header.kind == Kind::Put => {
                    put(store, &key, &value, header.expiry_ms, now_ms)?;
                }
                _ => self.tell_changed(n, offset)?,
            }
            let read = content.bytes_read - before;
            if read > 0 {
                self.telling.passed(read);
            }
        }
        drop(open);
        let mut held = HashMap::new();
        for list in lists {
            self.save_list(store, &list, now_ms, &mut held)?;
        }
        Ok(())
    }

    /// The record at a place, if it is intact still.
    fn read(&mut self, n: usize, offset: u64, content: &mut Content) -> Told<Option<Record>> {
        let origin = self.files[n].origin;
        let Ok(header) = Header::decode(content.get(offset, MAX_HEADER_SIZE as u64)?, &origin) else {
            return Ok(None);
        };
        let end = offset + header.frame_size();
        if end > content.size() || !content.is_intact(origin.seed(offset), offset..end)? {
            return Ok(None);
        }
        let Some(key) = read_key(content, &origin, offset)? else { return Ok(None) };
        let value = header.value_range();
        let value = content.copy(offset + value.start..offset + value.end)?;
        Ok(Some((header, key, value)))
    }

    fn tell_changed(&mut self, n: usize, offset: u64) -> Told<()> {
        self.telling.report.keys_lost += 1;
        let name = self.files[n].name.clone();
        let what = "the record was intact and is not any more: somebody changes the file, or the disk reads it differently each time";
        self.telling.tell(Severity::DataLost, &name, offset..offset, None, what)
    }

    fn save_list(
        &mut self,
        store: &Bitcask,
        list: &FoundList,
        now_ms: u64,
        held: &mut HashMap<usize, Content>,
    ) -> Told<()> {
        let (n, offset) = list.version.place();
        let Some(head) = self.read_held(n, offset, held)?.filter(|(header, ..)| header.kind == Kind::Head)
        else {
            return self.tell_changed(n, offset);
        };
        let (header, key, _) = head;
        if header.expiry_ms.is_some_and(|expiry_ms| expiry_ms <= now_ms) {
            return Ok(());
        }
        let (mut batch, mut bytes) = (Batch::new(), 0);
        let mut is_there = false;
        for (position, version) in &list.elements {
            let (n, offset) = version.place();
            let read = self.read_held(n, offset, held)?;
            let is_it = |(header, key, _): &Record| {
                header.kind == Kind::Element && *key == list.head.element_key(*position)
            };
            let Some((_, _, value)) = read.filter(is_it) else {
                self.tell_changed(n, offset)?;
                continue;
            };
            batch.push_back(&key, &value)?;
            bytes += value.len();
            is_there = true;
            if batch.len() >= PUSHED_AT_ONCE.0 || bytes >= PUSHED_AT_ONCE.1 {
                store.write(&batch)?;
                batch.clear();
                bytes = 0;
            }
        }
        store.write(&batch)?;
        if let Some(expiry_ms) = header.expiry_ms.filter(|_| is_there) {
            store.set_ttl(&key, Some(expiry_ms.saturating_sub(now_ms)))?;
        }
        Ok(())
    }

    /// As [`Survey::read`], of files of which some are held open.
    fn read_held(
        &mut self,
        n: usize,
        offset: u64,
        held: &mut HashMap<usize, Content>,
    ) -> Told<Option<Record>> {
        if !held.contains_key(&n) {
            if held.len() >= FILES_HELD {
                held.clear();
            }
            let Some(mut content) = files::open(self.disk, &self.files[n].name)? else { return Ok(None) };
            content.read_little();
            held.insert(n, content);
        }
        match held.get_mut(&n) {
            Some(content) => self.read(n, offset, content),
            None => Ok(None),
        }
    }
}

/// Puts a value, unless it has expired.
fn put(store: &Bitcask, key: &[u8], value: &[u8], expiry_ms: Option<u64>, now_ms: u64) -> Result<()> {
    match expiry_ms.map(|expiry_ms| expiry_ms.saturating_sub(now_ms)) {
        None => store.put(key, value),
        Some(0) => Ok(()),
        Some(ttl_ms) => {
            let lives = PutOptions::new().ttl(Duration::from_millis(ttl_ms));
            store.put_with(key, value, &lives).map(drop)
        }
    }
}
