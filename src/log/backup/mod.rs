//! A copy of a store that is in use: a directory that is a store itself, as the other was at one moment.
//!
//! Invariants, each of which a test tries to break:
//! - A file of a backup has its whole content before its name counts, and never changes after that. So an older backup in the same
//!   directory is whole until the manifest of the new one takes the place of its own, at one moment; and files that never change in the
//!   store either may be the same files.
//! - The end of the log changes in the store. It is copied, under a number of its own: the store goes on writing to the file that has the
//!   old number, and the next backup takes that one when it is complete.
//! - What a backup holds is durable in the store before the backup counts. A store that loses its power never has another history
//!   behind a moment that was copied.
//! - A directory is written to only where nobody else did: [`crate::format::backup`] says which manifests are a backup's.

mod target;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::append::Cut;
use super::catalog::Catalog;
use super::file::DataFile;
use crate::disk::process::ForkGuard;
use crate::disk::{Disk, DiskFile};
use crate::format::FileId;
use crate::format::features::Refusal;
use crate::format::file_header::{FILE_HEADER_SIZE, FileHeader};
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::format::names;
use crate::format::run::{HEADER_SIZE, Header};
use crate::store::backup::{BackupOptions, BackupProgress};
use crate::store::error::{Error, Result};
use crate::store::memory::{self, Refused};
use crate::sync::thread;
pub use target::Target;

/// An end of the log of so many bytes is copied; where it has more, a file is made of it that can be linked.
const COPIED_TAIL: u64 = 4 << 20;
/// How much is copied between two looks at whether to go on.
const PIECE: u64 = 512 << 10;
/// How much of a copy is in memory only, at most: the kernel would let the store's writers wait for more.
const BEHIND: u64 = 8 << 20;
/// Where the store cannot keep a number for the end of the log it gets one that is so far ahead.
const FAR_AHEAD: FileId = 1 << 20;

/// Is told, from time to time, how far a backup has come, and ends it with `Break`.
pub type Watch<'a> = &'a mut dyn FnMut(&BackupProgress) -> ControlFlow<()>;

/// How many bytes of the end of the log are copied at most, of a store with files of this size: of small files an eighth, so that what is
/// tested with small files is what happens with large ones.
pub fn copied_tail(max_file_size: u64) -> u64 {
    COPIED_TAIL.min(max_file_size / 8)
}

/// A number for the end of the log, which no file of the store will have. To be asked for after the cut: it must be behind the numbers
/// of what comes before in the log.
pub fn number_for_tail(catalog: &Catalog, read_only: bool) -> Result<FileId> {
    if read_only {
        let next = catalog.manifest().next_file_id;
        return next.checked_add(FAR_AHEAD).ok_or_else(|| Error::Unsupported {
            message: "the store has used up all numbers of data files".into(),
        });
    }
    let (id, _) = catalog.take_number()?;
    // It would be given again after a crash.
    catalog.update(|_| ())?;
    Ok(id)
}

/// One file of a backup.
struct Part {
    /// The name of the file in the store.
    from: String,
    /// The name of the file in the backup.
    name: String,
    length: u64,
    what: What,
}

/// How a file gets into a backup.
enum What {
    /// A data file that does not change any more.
    Data(FileEntry),
    /// The beginning of a data file that may grow, under another number.
    Tail(FileEntry),
    /// A run.
    Run { id: FileId, salt: u32 },
    /// A file that makes an opening faster, and may be missing.
    Hint,
}

/// What a backup has done, and is to do.
pub struct Copying<'a> {
    /// The store's.
    catalog: &'a Catalog,
    /// Where it goes.
    target: &'a Target,
    /// How.
    options: &'a BackupOptions,
    /// Who is told.
    watch: Watch<'a>,
    /// Whether the store was closed meanwhile.
    is_closed: &'a dyn Fn() -> bool,
    /// Files that have their final content, and may have room behind it until they are sealed.
    growing: Vec<FileId>,
    /// Where another process writes, its merges may take names away.
    open: Open,
}

/// What is open here of what is copied.
#[derive(Default)]
pub struct Open {
    /// Data files.
    pub files: Vec<Arc<DataFile>>,
    /// Runs, by their numbers.
    pub runs: Vec<(FileId, Arc<dyn DiskFile>)>,
}

impl Open {
    fn find(&self, what: &What) -> Option<Source> {
        match what {
            // By its salt: the end of the log has another number in the backup.
            What::Data(entry) | What::Tail(entry) => {
                let file = self.files.iter().find(|file| file.origin.salt == entry.salt);
                file.map(|file| Source::Open(file.clone()))
            }
            What::Run { id, .. } => {
                let run = self.runs.iter().find(|(its, _)| its == id);
                run.map(|(_, file)| Source::Named(file.clone()))
            }
            What::Hint => None,
        }
    }
}

/// Where a copy is made from.
enum Source {
    /// What has the name, or a run that had it.
    Named(Arc<dyn DiskFile>),
    /// A data file that is open here and has no name any more.
    Open(Arc<DataFile>),
}

impl Source {
    fn read(&self, piece: &mut [u8], at: u64, path: &Path) -> Result<()> {
        match self {
            Source::Named(file) => file.read_at(piece, at).map_err(|e| Error::io("read", path, &e)),
            Source::Open(file) => {
                let mut buffer = Vec::new();
                let bytes = file.bytes(at, piece.len() as u64, &mut buffer)?;
                match bytes.len() == piece.len() {
                    true => piece.copy_from_slice(bytes),
                    false => return Err(file.corrupt(at, "the file ends before what is to be copied")),
                }
                Ok(())
            }
        }
    }
}

/// Why a backup ended early: an error, or that it was told to.
pub enum Ended {
    /// By who is told of it.
    Told,
    /// By an error.
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Ended::Failed(error)
    }
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Ended::Failed(refused.into())
    }
}

impl<'a> Copying<'a> {
    /// A copy of a store, of which nothing was copied yet.
    pub fn new(
        catalog: &'a Catalog,
        target: &'a Target,
        options: &'a BackupOptions,
        watch: Watch<'a>,
        is_closed: &'a dyn Fn() -> bool,
    ) -> Self {
        Copying { catalog, target, options, watch, is_closed, growing: Vec::new(), open: Open::default() }
    }

    /// The same, of which this is open since the moment that is copied.
    pub fn holding(self, open: Open) -> Self {
        Copying { open, ..self }
    }

    /// Brings the target to the moment of `cut`. `number` is for the end of the log. The names of files are held. False where `watch`
    /// ended it before; then, and after an error, the target holds what it held before.
    pub fn run(mut self, cut: &Cut, number: FileId, clock_ms: u64) -> Result<bool> {
        let fork = ForkGuard::new();
        let manifest = self.manifest(cut, number, clock_ms)?;
        self.open.files.append(&mut self.catalog.files.all()?);
        let is_growing = |id: FileId| self.open.files.iter().any(|file| file.id == id && !file.is_sealed());
        self.growing =
            memory::collect(cut.complete.iter().map(|entry| entry.id).filter(|id| is_growing(*id)))?;
        let mut made = Vec::new();
        let copied = self.bring(cut, &manifest, &mut made);
        let ended = copied.and_then(|()| Ok(self.target.finish(&manifest)?));
        let error = match ended {
            Ok(()) => return Ok(true),
            Err(Ended::Failed(error)) => Some(error),
            Err(Ended::Told) => None,
        };
        if fork.is_forked() {
            // In a child of who was told of it, which has no part in this.
            return Err(Error::Forked);
        }
        self.target.give_up(&made);
        error.map_or(Ok(false), Err)
    }

    /// The manifest of the backup.
    fn manifest(&self, cut: &Cut, number: FileId, clock_ms: u64) -> Result<Manifest> {
        let mut manifest = cut.manifest.copy_with_room(1)?;
        let files = &mut manifest.files;
        // Those that are complete are among them as open ones: there is room.
        files.retain(|entry| entry.state == FileState::Sealed);
        files.extend(&cut.complete);
        // Without a record nobody needs it, but for a store of no file at all, which is no store for who only reads it.
        if let Some(tail) = cut.tail.filter(|tail| tail.max_seq > 0 || files.is_empty()) {
            // The last backup may have it, under the number that it got then.
            let has_it = |entry: &&FileEntry| {
                let FileEntry { salt, length, max_seq, .. } = **entry;
                (salt, length, max_seq) == (tail.salt, tail.length, tail.max_seq) && entry.id != tail.id
            };
            let before = self.target.old.iter().flat_map(|old| &old.files).find(has_it);
            // A store that is opened for reading only gives the same number again, which the end of the log had in the last backup.
            let is_taken = |id| self.target.old.iter().flat_map(|old| &old.files).any(|entry| entry.id == id);
            let number = if is_taken(number) { number.saturating_add(1) } else { number };
            files.push(FileEntry { id: before.map_or(number, |entry| entry.id), ..tail });
        }
        files.sort_unstable_by_key(|entry| entry.id);
        let above = files.last().map_or(0, |entry| entry.id.saturating_add(1));
        manifest.next_file_id = manifest.next_file_id.max(above);
        manifest.clean = true;
        manifest.checkpoint = 0;
        manifest.last_seq = cut.last_seq;
        manifest.clock_ms = manifest.clock_ms.max(clock_ms).max(cut.time_ms);
        Ok(manifest)
    }

    /// The files that the manifest lists, and their hints.
    fn parts(&self, cut: &Cut, manifest: &Manifest) -> Result<Vec<Part>> {
        let mut parts = memory::vec_with_room(manifest.files.len() * 2 + manifest.ordered.runs.len())?;
        for entry in &manifest.files {
            memory::room_for_small_things()?;
            let length = entry.length;
            match cut.tail.filter(|tail| tail.salt == entry.salt && tail.max_seq == entry.max_seq) {
                Some(tail) => {
                    let (from, name) = (names::data(tail.id), names::data(entry.id));
                    parts.push(Part { from, name, length, what: What::Tail(*entry) });
                }
                None => {
                    let name = names::data(entry.id);
                    parts.push(Part { from: name.clone(), name, length, what: What::Data(*entry) });
                    let name = names::hint(entry.id);
                    parts.push(Part { from: name.clone(), name, length: 0, what: What::Hint });
                }
            }
        }
        for run in &manifest.ordered.runs {
            memory::room_for_small_things()?;
            let (name, what) = (names::run(run.id), What::Run { id: run.id, salt: run.salt });
            parts.push(Part { from: name.clone(), name, length: run.length, what });
        }
        Ok(parts)
    }

    /// Brings all files that the target does not have, and says which names it gave.
    fn bring(
        &mut self,
        cut: &Cut,
        manifest: &Manifest,
        made: &mut Vec<String>,
    ) -> std::result::Result<(), Ended> {
        let parts = self.parts(cut, manifest)?;
        let mut there = self.target.names()?;
        there.sort_unstable();
        memory::reserve(made, parts.len())?;
        let mut progress = BackupProgress::default();
        progress.files.1 = parts.iter().filter(|part| !matches!(part.what, What::Hint)).count() as u64;
        progress.bytes.1 = parts.iter().map(|part| part.length).sum();
        self.tell(&progress)?;
        let begun = Instant::now();
        for part in &parts {
            memory::room_for_small_things()?;
            if !self.target.has(&part.name, &part.what, &there)? {
                if there.binary_search(&part.name).is_ok() {
                    // Left by a backup that was not finished.
                    self.target.remove(&part.name)?;
                }
                self.bring_part(part, begun, &mut progress, made)?;
            }
            progress.bytes.0 += part.length;
            if !matches!(part.what, What::Hint) {
                progress.files.0 += 1;
            }
            self.tell(&progress)?;
        }
        Ok(())
    }

    fn tell(&mut self, progress: &BackupProgress) -> std::result::Result<(), Ended> {
        if (self.is_closed)() {
            return Err(Error::Closed.into());
        }
        match (self.watch)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Ended::Told),
        }
    }

    fn bring_part(
        &mut self,
        part: &Part,
        begun: Instant,
        progress: &mut BackupProgress,
        made: &mut Vec<String>,
    ) -> std::result::Result<(), Ended> {
        let (from, to) = (&self.catalog.disk, &self.target.disk);
        let is_whole = match &part.what {
            What::Tail(_) => false,
            What::Hint => true,
            What::Run { .. } => true,
            // One that waits to be sealed has room behind its end until that is done.
            What::Data(entry) => !self.growing.contains(&entry.id),
        };
        let failed = |action, error: &std::io::Error| Error::io(action, &to.path().join(&part.name), error);
        let is_taken = is_whole && part.from == part.name && {
            match to.take(from.as_ref(), &part.name, !self.options.copy) {
                Err(error) if matches!(part.what, What::Hint) && is_missing(&error) => return Ok(()),
                Err(error) if is_missing(&error) && self.open.find(&part.what).is_some() => false,
                taken => taken.map_err(|e| failed("link", &e))?,
            }
        };
        if is_taken {
            made.push(part.name.clone());
            if let Err(error) = self.check(part) {
                return Err(error.into());
            }
            return Ok(());
        }
        if !self.copy(part, begun, progress)? {
            return Ok(());
        }
        to.rename(names::COPY_TMP, &part.name).map_err(|e| failed("rename the copy to", &e))?;
        made.push(part.name.clone());
        Ok(self.check(part)?)
    }

    /// Whether a file of the backup is the one that its manifest will list. Files are found by their names: this one may have been
    /// removed, and another made, if the store was closed meanwhile.
    fn check(&self, part: &Part) -> Result<()> {
        let to = &self.target.disk;
        let path = to.path().join(&part.name);
        let file = to.open_plain(&part.name).map_err(|e| Error::io("open the copy", &path, &e))?;
        let size = file.size().map_err(|e| Error::io("read the size of the copy", &path, &e))?;
        let wrong = |what| Error::Corrupt { path: path.clone(), file_id: 0, offset: 0, what };
        if !matches!(part.what, What::Hint) && size != part.length {
            return Err(wrong(
                "the file that was copied does not have the length that the store's manifest says",
            ));
        }
        let mut header = [0; HEADER_SIZE];
        let (id, salt) = match &part.what {
            What::Hint => return Ok(()),
            What::Data(entry) | What::Tail(entry) => (entry.id, entry.salt),
            What::Run { id, salt } => (*id, *salt),
        };
        file.read_at(&mut header, 0).map_err(|e| Error::io("read the copy", &path, &e))?;
        let said = match &part.what {
            What::Run { .. } => {
                Header::decode(&header).map(|it| (it.id, it.salt, it.store_id)).map_err(|refusal| {
                    match refusal {
                        Refusal::Damaged(what) => what,
                        _ => "the run that was copied was written by another version of filedb",
                    }
                })
            }
            _ => FileHeader::decode(&header).map(|it| (it.id, it.origin.salt, it.store_id)),
        };
        match said {
            Ok(said) if said == (id, salt, self.target.store_id) => Ok(()),
            Ok(_) => Err(wrong("the file that was copied is another one than the store's manifest names")),
            Err(what) => Err(wrong(what)),
        }
    }

    /// Copies a file, durably, under a name that does not count. False where there is none that must be there.
    fn copy(
        &mut self,
        part: &Part,
        begun: Instant,
        progress: &mut BackupProgress,
    ) -> std::result::Result<bool, Ended> {
        let (from, to) = (self.catalog.disk.clone(), self.target.disk.clone());
        let (source, path) = (from.path().join(&part.from), to.path().join(&part.name));
        let read = |e: &std::io::Error| Error::io("read", &source, e);
        let write = |e: std::io::Error| Error::io("write the copy", &path, &e);
        let file = match from.open_plain(&part.from) {
            Err(error) if matches!(part.what, What::Hint) && is_missing(&error) => return Ok(false),
            Err(error) => match self.open.find(&part.what).filter(|_| is_missing(&error)) {
                Some(source) => source,
                None => return Err(read(&error).into()),
            },
            Ok(file) => Source::Named(file),
        };
        let length = match &file {
            Source::Named(file) if matches!(part.what, What::Hint) => file.size().map_err(|e| read(&e))?,
            _ => part.length,
        };
        let _ = to.remove(names::COPY_TMP);
        let copy = to.create_plain(names::COPY_TMP).map_err(write)?;
        copy.reserve(length).map_err(write)?;
        let mut buffer = memory::vec_of(0, PIECE.min(length) as usize)?;
        let (mut at, mut leaving, mut left) = (0, 0, 0);
        while at < length {
            let piece = &mut buffer[..PIECE.min(length - at) as usize];
            file.read(piece, at, &source)?;
            if let (What::Tail(entry), 0) = (&part.what, at) {
                renumber(piece, entry.id).map_err(|what| Error::Corrupt {
                    path: source.clone(),
                    file_id: entry.id,
                    offset: 0,
                    what,
                })?;
            }
            copy.write_at(&[piece], at).map_err(write)?;
            at += piece.len() as u64;
            progress.copied_bytes += piece.len() as u64;
            if at - leaving >= BEHIND / 2 {
                copy.write_back(leaving..at, false).map_err(write)?;
                if leaving > left {
                    copy.write_back(left..leaving, true).map_err(write)?;
                    left = leaving;
                }
                leaving = at;
            }
            self.tell(progress)?;
            self.keep_pace(begun, progress)?;
        }
        // What was reserved and not needed.
        copy.truncate(length).map_err(write)?;
        copy.sync().map_err(write)?;
        Ok(true)
    }

    fn keep_pace(&mut self, begun: Instant, progress: &BackupProgress) -> std::result::Result<(), Ended> {
        while self.options.rate_limit > 0 {
            let due = Duration::from_secs_f64(progress.copied_bytes as f64 / self.options.rate_limit as f64);
            let Some(early) = due.checked_sub(begun.elapsed()) else { break };
            thread::sleep(early.min(Duration::from_millis(20)));
            self.tell(progress)?;
        }
        Ok(())
    }
}

fn is_missing(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

/// Gives the copy of a data file, of which these are the first bytes, another number. Its frames depend on its salt only.
fn renumber(bytes: &mut [u8], id: FileId) -> std::result::Result<(), crate::format::Damage> {
    let header = FileHeader::decode(bytes)?;
    let bytes = bytes.get_mut(..FILE_HEADER_SIZE as usize).ok_or("the file is shorter than its header")?;
    bytes.copy_from_slice(&FileHeader { id, ..header }.encode());
    Ok(())
}

/// Where a backup goes, and whether the store is not there.
pub fn open_target(disk: Arc<dyn Disk>, catalog: &Catalog) -> Result<Target> {
    let store_id = catalog.manifest().store_id;
    Target::open(disk, catalog.disk.as_ref(), store_id)
}
