//! Copies what is intact in a damaged store to a new one: the newest version of each key, lists with their elements.
//!
//! What is copied was found with a checksum that matches, and is compared with it again on its way. A key whose newest intact
//! record removes it, or has expired, is not copied. The new store is made under another name and gets its own when it is whole: so what a
//! salvage leaves that was killed is not taken for one that came to its end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::content::Content;
use super::files::{self, Opened};
use super::keys::{FoundList, Holds};
use super::survey::Survey;
use super::telling::{Ended, Telling, Told, number_of};
use super::verdict::read_key;
use super::{Engine, Visit, Watch};
use crate::disk::fs::{FsDisk, Io, rename_new};
use crate::disk::{Disk, LockKind};
use crate::format::frame::{Header, Kind, MAX_HEADER_SIZE};
use crate::format::names;
use crate::format::ordered::RangeDelete;
use crate::log::opening::remove_all;
use crate::store::Store;
use crate::store::batch::Batch;
use crate::store::error::{Error, Result};
use crate::store::findings::{CheckReport, Severity};
use crate::store::options::{MergeMode, Options, SyncMode};
use crate::store::write::Expiry;

/// Elements are pushed so many at a time, or so many bytes.
const PUSHED_AT_ONCE: (usize, usize) = (256, 1 << 20);
/// A record that was read: header, key and value.
pub type Record = (Header, Vec<u8>, Vec<u8>);
/// Files that are held open.
pub type Held = HashMap<usize, Content>;

/// The new store has this behind its name until it is whole.
const UNFINISHED: &str = ".unfinished";
/// How many files are held open while lists are copied.
const FILES_HELD: usize = 32;

/// Copies what is intact in the store at `from` to a new store at `to`, which must not be there.
pub fn salvage<E: Engine>(
    engine: E,
    disk: Arc<dyn Disk>,
    to: &Path,
    visit: Visit<'_>,
    watch: Watch<'_>,
) -> Result<CheckReport> {
    let names = disk.list().map_err(|e| Error::io("list the directory", disk.path(), &e))?;
    if !names.iter().any(|name| names::parse(name).is_some()) {
        return Err(Error::Missing { path: disk.path().to_path_buf() });
    }
    let above = to.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if above.canonicalize().is_ok_and(|above| above.starts_with(disk.path())) {
        return Err(Error::invalid(
            "a salvage cannot put the new store into the damaged one, which it must not change",
        ));
    }
    if to.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: to.to_path_buf() });
    }
    let unfinished = unfinished_name(to)?;
    let target = FsDisk::create(&unfinished, Io::Mapped { synced: false }).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::invalid(format!(
            "'{}' exists, which a salvage leaves that was ended before it was done: remove it, and begin again",
            unfinished.display()
        )),
        _ => Error::io("make the directory of the new store", &unfinished, &error),
    })?;
    let target: Arc<dyn Disk> = Arc::new(target);
    // Also where a panic goes through.
    let mut made = Unfinished(Some(target.clone()));
    let report = save(engine, &disk, &target, true, visit, watch)?;
    rename_new(&unfinished, to).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists { path: to.to_path_buf() },
        _ => Error::io("give the new store its name", to, &error),
    })?;
    made.0 = None;
    target.sync_name().map_err(|e| Error::io("make durable the name of", to, &e))?;
    Ok(report)
}

/// What the new store is called until it is whole.
fn unfinished_name(to: &Path) -> Result<PathBuf> {
    let name =
        to.file_name().ok_or_else(|| Error::invalid("the path of the new store has to end with its name"))?;
    let mut name = name.to_os_string();
    name.push(UNFINISHED);
    Ok(to.with_file_name(name))
}

/// As [`salvage`], from any disk to another one, on which there is no store.
#[cfg(any(test, feature = "testing"))]
pub fn salvage_to<E: Engine>(
    engine: E,
    from: Arc<dyn Disk>,
    to: Arc<dyn Disk>,
    background: bool,
    visit: Visit<'_>,
    watch: Watch<'_>,
) -> Result<CheckReport> {
    // Also where a panic goes through.
    let mut unfinished = Unfinished(Some(to.clone()));
    let saved = save(engine, &from, &to, background, visit, watch);
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

fn save<E: Engine>(
    mut engine: E,
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
    let store = engine.start(to.clone(), &options, background)?;
    let mut telling = Telling::new(visit, watch);
    let mut survey = Survey::new(from.as_ref(), &mut telling, true, E::IS_ORDERED);
    let saved = survey.save(&mut engine, &store);
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
    fn save<E: Engine>(&mut self, engine: &mut E, store: &E::Store) -> Told<()> {
        self.look(&mut |survey| engine.look(survey))?;
        self.tell_all()?;
        let now_ms = self.ledger.about.now_ms.max(self.ledger.max_time_ms);
        // The time of the new store begins with that of the machine.
        let times = Times { now_ms, ahead_ms: now_ms.saturating_sub(self.began_ms) };
        engine.save(self, times, store)
    }

    /// Whether a delete of a range in the log has a key of the user's in it and is newer than `seq`.
    pub fn is_in_range(&self, key: &[u8], seq: u64) -> bool {
        // The ordered engine puts a byte before its users' keys.
        let holds = |range: &RangeDelete| {
            let is_behind = |bound: &[u8]| match bound.split_first() {
                Some((1, bound)) => bound <= key,
                Some((tag, _)) => *tag < 1,
                None => true,
            };
            is_behind(&range.from) && !is_behind(&range.to)
        };
        self.ledger.ranges.iter().any(|range| range.seq > seq && holds(range))
    }

    /// Puts the values that the data files have into `store`.
    pub fn save_values(&mut self, store: &dyn Store, times: Times) -> Told<()> {
        let mut places = Vec::new();
        for version in self.ledger.keys.all().filter(|version| version.holds() == Holds::Value) {
            places.try_reserve(1).map_err(|_| Error::NoMemory { bytes: places.len() as u64 * 16 })?;
            places.push(version.place());
        }
        places.sort_unstable();
        let mut open: Option<(usize, Content)> = None;
        for (n, offset) in places {
            if open.as_ref().is_none_or(|(held, _)| *held != n) {
                let found = files::open(self.disk, &self.ledger.files[n].name)?.file();
                open = found.map(|content| (n, content));
                if let Some((_, content)) = &open {
                    self.telling.will_read(content.size());
                }
            }
            let Some((_, content)) = &mut open else {
                self.tell_changed(n, offset)?;
                continue;
            };
            let before = content.bytes_read;
            match self.read(n, offset, content)? {
                Some((header, key, _)) if self.is_in_range(&key, header.seq) => {}
                Some((header, key, value)) if header.kind == Kind::Put => {
                    put(store, &key, &value, header.expiry_ms, times)?;
                }
                _ => self.tell_changed(n, offset)?,
            }
            let read = content.bytes_read - before;
            if read > 0 {
                self.telling.passed(read);
            }
        }
        Ok(())
    }

    /// Puts the lists that the data files have into `store`.
    pub fn save_lists(&mut self, store: &dyn Store, times: Times) -> Told<()> {
        let mut held = HashMap::new();
        for list in self.lists()? {
            self.save_list(store, &list, times, &mut held)?;
        }
        Ok(())
    }

    /// The record at a place, if it is intact still.
    fn read(&mut self, n: usize, offset: u64, content: &mut Content) -> Told<Option<Record>> {
        let origin = self.ledger.files[n].origin;
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

    /// Tells of a record that was intact before.
    pub fn tell_changed(&mut self, n: usize, offset: u64) -> Told<()> {
        self.telling.report.keys_lost += 1;
        let name = self.ledger.files[n].name.clone();
        let what = "the record was intact and is not any more: somebody changes the file, or the disk reads it differently each time";
        self.telling.tell(Severity::DataLost, &name, offset..offset, None, what)
    }

    fn save_list(&mut self, store: &dyn Store, list: &FoundList, times: Times, held: &mut Held) -> Told<()> {
        let (n, offset) = list.version.place();
        let Some(head) = self.read_held(n, offset, held)?.filter(|(header, ..)| header.kind == Kind::Head)
        else {
            return self.tell_changed(n, offset);
        };
        let (header, key, _) = head;
        let expiry = match times.of(header.expiry_ms) {
            Some(expiry) => expiry,
            None => return Ok(()),
        };
        let mut pushed = Pushed::new(key);
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
            pushed.push(store, &value)?;
        }
        Ok(pushed.end(store, expiry)?)
    }

    /// The record at a place, if it is intact still. Some of the files are held open.
    pub fn read_held(&mut self, n: usize, offset: u64, held: &mut Held) -> Told<Option<Record>> {
        if !held.contains_key(&n) {
            if held.len() >= FILES_HELD {
                held.clear();
            }
            let Opened::File(mut content) = files::open(self.disk, &self.ledger.files[n].name)? else {
                return Ok(None);
            };
            content.read_little();
            held.insert(n, content);
        }
        match held.get_mut(&n) {
            Some(content) => self.read(n, offset, content),
            None => Ok(None),
        }
    }
}

/// A list of the new store, as its elements are pushed.
pub struct Pushed {
    key: Vec<u8>,
    batch: Batch,
    bytes: usize,
    is_there: bool,
}

impl Pushed {
    /// A list without elements.
    pub fn new(key: Vec<u8>) -> Self {
        Pushed { key, batch: Batch::new(), bytes: 0, is_there: false }
    }

    /// Pushes an element.
    pub fn push(&mut self, store: &dyn Store, value: &[u8]) -> Result<()> {
        self.batch.push_back(&self.key, value)?;
        self.bytes += value.len();
        self.is_there = true;
        if self.batch.len() >= PUSHED_AT_ONCE.0 || self.bytes >= PUSHED_AT_ONCE.1 {
            store.write(&self.batch)?;
            self.batch.clear();
            self.bytes = 0;
        }
        Ok(())
    }

    /// There are no more.
    pub fn end(mut self, store: &dyn Store, expiry: Expiry) -> Result<()> {
        if self.is_there && expiry != Expiry::Never {
            self.batch.list_expire(&self.key, expiry)?;
        }
        store.write(&self.batch)
    }
}

/// How the times in the damaged store become those of the new one.
#[derive(Clone, Copy)]
pub struct Times {
    /// The damaged store's time when it was read.
    now_ms: u64,
    /// How far that was ahead of the machine's clock.
    ahead_ms: u64,
}

impl Times {
    /// When a key expires in the new store; `None` where it has expired. Not counted from when it is copied, which may be hours later.
    pub fn of(self, expiry_ms: Option<u64>) -> Option<Expiry> {
        match expiry_ms {
            None => Some(Expiry::Never),
            Some(expiry_ms) if expiry_ms <= self.now_ms => None,
            Some(expiry_ms) => Some(Expiry::At(expiry_ms - self.ahead_ms.min(expiry_ms))),
        }
    }
}

/// Puts a value, unless it has expired.
pub fn put(store: &dyn Store, key: &[u8], value: &[u8], expiry_ms: Option<u64>, times: Times) -> Result<()> {
    match times.of(expiry_ms) {
        None => Ok(()),
        Some(Expiry::Never) => store.put(key, value),
        Some(expiry) => {
            let mut batch = Batch::new();
            batch.put_with_expiry(key, value, expiry)?;
            store.write(&batch)
        }
    }
}
