//! A run that is open: its blocks, its index, its filter; found in, gone through, and removed when nobody needs it.

mod cursor;
mod writer;

pub use cursor::{Cursor, Versions};
pub use writer::{PIECE, RunWriter, remove};

use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

use crate::disk::{Access, Disk, DiskFile, View};
use crate::format::features::Refusal;
use crate::format::ordered::RunEntry;
use crate::format::run::block::{Block, Meta};
use crate::format::run::{FOOTER_SIZE, Footer, HEADER_SIZE, Header, IndexShape, filter, seed};
use crate::format::{Damage, names};
use crate::store::error::{Error, Result};
use crate::store::memory;
use crate::sync::lock::Mutex;

/// A part of a run that is at hand.
enum Part {
    /// In the mapping of the file, from here on, so many bytes.
    Mapped(View, u64, u64),
    Read(Vec<u8>),
}

impl Part {
    fn bytes(&self) -> &[u8] {
        match self {
            Part::Mapped(view, offset, len) => view.get(*offset, *len).unwrap_or_default(),
            Part::Read(bytes) => bytes,
        }
    }
}

/// What was asked of filters, and what came of it.
#[derive(Default)]
pub struct Questions {
    /// Questions that a filter answered with no.
    pub denied: AtomicU64,
    /// Questions that it could not, of keys that were not there.
    pub in_vain: AtomicU64,
}

/// Files of runs are removed as long as the store is open: later another may have runs of the same names there.
pub struct Removing {
    is_open: Mutex<bool>,
}

impl Default for Removing {
    fn default() -> Self {
        Removing { is_open: Mutex::new(true) }
    }
}

impl Removing {
    /// From now on no file is removed.
    pub fn end(&self) {
        *self.is_open.lock() = false;
    }
}

/// See the module.
pub struct Run {
    /// What the manifest said of it when it was opened.
    pub entry: RunEntry,
    /// The level that it is in, which changes when it is moved as it is.
    level: AtomicU32,
    /// What it says of itself.
    pub footer: Footer,
    /// The last key of the run.
    pub last_key: Vec<u8>,
    file: Arc<dyn DiskFile>,
    view: Option<View>,
    disk: Arc<dyn Disk>,
    base: u64,
    verify: bool,
    index: Part,
    shape: IndexShape,
    filter: Part,
    /// Nobody needs it any more: its file goes with it.
    obsolete: AtomicBool,
    removing: Arc<Removing>,
}

impl Drop for Run {
    fn drop(&mut self) {
        let is_open = self.removing.is_open.lock();
        if self.obsolete.load(Ordering::Acquire) && *is_open {
            // What stays is debris that the next opening removes.
            let _ = self.disk.remove(&names::run(self.entry.id));
        }
    }
}

fn corrupt(disk: &dyn Disk, id: u32, offset: u64, what: Damage) -> Error {
    Error::Corrupt { path: disk.path().join(names::run(id)), file_id: id, offset, what }
}

impl Run {
    /// Opens a run that the manifest lists, and checks that it is the one. Its blocks are not read. With [`Access::Follow`] where another
    /// process may remove the name while this is used.
    pub fn open(
        disk: &Arc<dyn Disk>,
        entry: &RunEntry,
        access: Access,
        store_id: &[u8; 16],
        verify: bool,
        removing: &Arc<Removing>,
    ) -> Result<Arc<Run>> {
        memory::room_for_small_things()?;
        let name = names::run(entry.id);
        let damaged = |offset, what| corrupt(disk.as_ref(), entry.id, offset, what);
        let failed = |error: std::io::Error, offset| match error.kind() {
            std::io::ErrorKind::NotFound => damaged(0, "the run is missing"),
            std::io::ErrorKind::UnexpectedEof => damaged(offset, "the run ends too early"),
            _ => Error::io("read the run", &disk.path().join(&name), &error),
        };
        let file = disk.open(&name, access).map_err(|e| failed(e, 0))?;
        let size = file.size().map_err(|e| failed(e, 0))?;
        // In memory a file may have more room than bytes.
        if size < entry.length
            || entry.length < (HEADER_SIZE + FOOTER_SIZE) as u64
            || (!disk.is_volatile() && size > entry.length)
        {
            return Err(damaged(
                size.min(entry.length),
                "the run does not have the length that the manifest gives",
            ));
        }
        let mut header = [0; HEADER_SIZE];
        file.read_at(&mut header, 0).map_err(|e| failed(e, 0))?;
        let header = Header::decode(&header).map_err(|refusal| match refusal {
            Refusal::NoMemory(refused) => refused.into(),
            Refusal::Damaged(what) => damaged(0, what),
            Refusal::OtherVersion(words) => {
                Error::Unsupported { message: format!("{}: {words}", disk.path().join(&name).display()) }
            }
        })?;
        if (header.id, header.salt, header.store_id) != (entry.id, entry.salt, *store_id) {
            return Err(damaged(0, "the run is another one than the manifest names"));
        }
        let footer_at = entry.length - FOOTER_SIZE as u64;
        let mut footer = [0; FOOTER_SIZE];
        file.read_at(&mut footer, footer_at).map_err(|e| failed(e, footer_at))?;
        let footer =
            Footer::decode(&footer, entry.salt, footer_at).map_err(|what| damaged(footer_at, what))?;
        if (footer.id, footer.min_seq, footer.max_seq) != (entry.id, entry.min_seq, entry.max_seq) {
            return Err(damaged(footer_at, "the run's footer is that of another run"));
        }
        let view = file.view();
        let part = |from: u64, to: u64, what: Damage| -> Result<Part> {
            let len = (to - from).checked_sub(4).ok_or_else(|| damaged(from, what))?;
            let (part, crc);
            let mut end = [0; 4];
            file.read_at(&mut end, to - 4).map_err(|e| failed(e, to))?;
            crc = u32::from_le_bytes(end);
            part = match &view {
                Some(view) if view.get(from, len).is_some() => Part::Mapped(view.clone(), from, len),
                _ => {
                    let mut bytes = memory::vec_of(0, len as usize)?;
                    file.read_at(&mut bytes, from).map_err(|e| failed(e, from))?;
                    Part::Read(bytes)
                }
            };
            if crate::format::run::checksum(seed(entry.salt, from), part.bytes()) != crc {
                return Err(damaged(from, what));
            }
            Ok(part)
        };
        let filter =
            part(footer.filter_at, footer.index_at, "the checksum of the run's filter does not match")?;
        let index =
            part(footer.index_at, footer.footer_at, "the checksum of the run's index does not match")?;
        let shape = IndexShape::find(index.bytes(), footer.filter_at);
        let shape = shape.map_err(|what| damaged(footer.index_at, what))?;
        let last_key = shape.last_key(index.bytes(), shape.blocks - 1).unwrap_or_default();
        let last_key = memory::copy_of(last_key)?;
        Ok(Arc::new(Run {
            entry: *entry,
            level: AtomicU32::new(entry.level),
            footer,
            last_key,
            view,
            disk: disk.clone(),
            base: header.base,
            verify,
            index,
            shape,
            filter,
            obsolete: AtomicBool::new(false),
            removing: removing.clone(),
            file,
        }))
    }

    /// The level that it is in. Where a tree has it stands in the tree.
    pub fn level(&self) -> u32 {
        self.level.load(Ordering::Relaxed)
    }

    /// Puts the run into a level. For who changes the set of runs.
    pub fn set_level(&self, level: u32) {
        self.level.store(level, Ordering::Relaxed);
    }

    /// The first key of the run.
    pub fn first_key(&self) -> &[u8] {
        self.index.bytes().get(self.shape.first_key.clone()).unwrap_or_default()
    }

    /// Whether it has keys between two, both included.
    pub fn overlaps(&self, first: &[u8], last: &[u8]) -> bool {
        self.first_key() <= last && first <= self.last_key.as_slice()
    }

    /// The bytes of the run on disk, which can be read also after its name is gone.
    pub fn disk_file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    /// Lets the run's file go when nobody reads it any more.
    pub fn set_obsolete(&self) {
        self.obsolete.store(true, Ordering::Release);
    }

    /// The memory that it takes, without what it shares with the kernel.
    pub fn memory_bytes(&self) -> u64 {
        let read = |part: &Part| if let Part::Read(bytes) = part { bytes.len() as u64 } else { 0 };
        read(&self.index) + read(&self.filter)
    }

    /// The error that says what is wrong at `offset`.
    pub fn corrupt(&self, offset: u64, what: Damage) -> Error {
        corrupt(self.disk.as_ref(), self.entry.id, offset, what)
    }

    /// The error that says why a block was not read.
    fn refuses(&self, block: usize, refusal: Refusal) -> Error {
        match refusal {
            Refusal::NoMemory(refused) => refused.into(),
            Refusal::Damaged(what) => self.corrupt(self.block_range(block).map_or(0, |range| range.0), what),
            Refusal::OtherVersion(message) => Error::Unsupported { message },
        }
    }

    fn block_range(&self, n: usize) -> Result<(u64, u64)> {
        let index = self.index.bytes();
        let from = self.shape.offset(index, n);
        let to = self.shape.offset(index, n + 1).unwrap_or(self.footer.filter_at);
        let from = from.filter(|from| *from < to);
        from.map(|from| (from, to))
            .ok_or_else(|| self.corrupt(self.footer.index_at, "the index of the run is out of order"))
    }

    /// A block: the bytes of the mapping, or read into `buffer`.
    fn block<'a>(&'a self, n: usize, verify: bool, buffer: &'a mut Vec<u8>) -> Result<Block<'a>> {
        let (from, to) = self.block_range(n)?;
        let bytes = match self.view.as_ref().and_then(|view| view.get(from, to - from)) {
            Some(bytes) => bytes,
            None => {
                buffer.clear();
                let len = to - from;
                memory::reserve(buffer, len as usize)?;
                buffer.resize(len as usize, 0);
                self.file.read_at(buffer, from).map_err(|error| match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => self.corrupt(from, "the run ends too early"),
                    _ => Error::io("read the run", &self.disk.path().join(names::run(self.entry.id)), &error),
                })?;
                buffer
            }
        };
        let seed = verify.then(|| seed(self.entry.salt, from));
        Block::parse(bytes, seed, self.base).map_err(|what| self.corrupt(from, what))
    }

    /// Shows the newest version of a key that a reader at `seq` sees to `visit`; `None` where there is none.
    pub fn get<R>(
        &self,
        key: &[u8],
        hash: u64,
        seq: u64,
        questions: &Questions,
        visit: impl FnOnce(&Meta, &[u8]) -> R,
    ) -> Result<Option<R>> {
        if key < self.first_key() || key > self.last_key.as_slice() {
            return Ok(None);
        }
        if !filter::may_hold(self.filter.bytes(), hash) {
            questions.denied.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        }
        let (mut buffer, mut found) = (Vec::new(), Vec::new());
        let mut n = self.shape.find_block(self.index.bytes(), key);
        let mut is_there = false;
        while n < self.shape.blocks {
            let block = self.block(n, self.verify, &mut buffer)?;
            let mut entry = block.seek(key, &mut found).map_err(|refusal| self.refuses(n, refusal))?;
            while let Some(one) = entry {
                if found != key {
                    if !is_there {
                        questions.in_vain.fetch_add(1, Ordering::Relaxed);
                    }
                    return Ok(None);
                }
                is_there = true;
                if one.meta.seq <= seq {
                    return Ok(Some(visit(&one.meta, block.value(&one))));
                }
                entry = block.entry(one.next, &mut found).map_err(|refusal| self.refuses(n, refusal))?;
            }
            // Versions of one key may go on in the next block.
            n += 1;
        }
        Ok(None)
    }
}
