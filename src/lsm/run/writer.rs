//! Writing a run: blocks in the order of keys, then the filter, the index and the footer.

use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::format::ordered::RunEntry;
use crate::format::run::block::{Builder, MOST_PADDING, Meta, What};
use crate::format::run::{Footer, HEADER_SIZE, Header, IndexBuilder, checksum, filter, seed};
use crate::format::{FileId, names};
use crate::log::catalog::Catalog;
use crate::store::error::{Error, Result};
use crate::store::memory;

/// What the kernel reads at least. A block has about this size, and ends with a page where entries are small; a larger entry has one of its own.
const PAGE: u64 = 4 << 10;
/// How much is written at once.
pub const PIECE: usize = 256 << 10;
/// An index grows no larger than this: the next run begins.
const MOST_INDEX: usize = 256 << 20;

/// A run that is being written. One that is not finished leaves no file.
pub struct RunWriter {
    disk: Arc<dyn Disk>,
    file: Option<Arc<dyn DiskFile>>,
    header: Header,
    block: Builder,
    index: IndexBuilder,
    hashes: Vec<u64>,
    footer: Footer,
    /// Where the block begins that is being filled.
    at: u64,
    /// What was not written yet; it ends at `at`.
    piece: Vec<u8>,
    last_key: Vec<u8>,
}

impl Drop for RunWriter {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = self.disk.remove(&names::run(self.header.id));
        }
    }
}

impl RunWriter {
    /// Begins a run of at most `capacity` bytes, with no sequence number below `base`.
    pub fn begin(catalog: &Catalog, base: u64, capacity: u64) -> Result<Self> {
        memory::room_for_small_things()?;
        let (id, store_id) = catalog.take_number()?;
        let disk = catalog.disk.clone();
        let io = |action, e: &std::io::Error| Error::io(action, &disk.path().join(names::run(id)), e);
        let random = disk.random().map_err(|e| io("choose a salt for", &e))?;
        let salt = u32::from_le_bytes([random[0], random[1], random[2], random[3]]);
        let name = names::run(id);
        // In memory a file written once has a bound of its own, which is for small ones.
        let file = if disk.is_volatile() { disk.create(&name, capacity) } else { disk.create_plain(&name) };
        let file = file.map_err(|e| io("create the run", &e))?;
        let header = Header { id, salt, store_id, base };
        Ok(RunWriter {
            file: Some(file),
            header,
            block: Builder::default(),
            index: IndexBuilder::default(),
            hashes: Vec::new(),
            footer: Footer { id, min_seq: u64::MAX, ..Footer::default() },
            at: HEADER_SIZE as u64,
            piece: header.encode().to_vec(),
            last_key: Vec::new(),
            disk,
        })
    }

    /// Bytes so far, about.
    pub fn size(&self) -> u64 {
        self.at + self.block.size() as u64 + self.index.size() as u64 + self.hashes.len() as u64 * 10 / 8
    }

    /// Whether no more should be added.
    pub fn is_full(&self) -> bool {
        self.index.size() > MOST_INDEX
    }

    /// Adds a version behind all others; `hash` is that of its key. True where something was written to the disk.
    pub fn add(&mut self, key: &[u8], hash: u64, meta: &Meta, value: &[u8]) -> Result<bool> {
        if self.footer.entries == 0 {
            self.index.begin(key)?;
        }
        let is_new = self.footer.entries == 0 || self.last_key != key;
        if is_new {
            memory::push(&mut self.hashes, hash)?;
            self.footer.keys += 1;
            memory::copy_to(&mut self.last_key, key)?;
        }
        let base = self.header.base;
        if !self.block.is_empty() && self.block.size_with(key, meta, base, value) > self.room() {
            self.end_block()?;
        }
        self.block.add(key, meta, base, value)?;
        self.footer.entries += 1;
        self.footer.tombstones += u64::from(meta.what == What::Nothing);
        self.footer.expiring += u64::from(meta.expiry_ms.is_some());
        self.footer.min_seq = self.footer.min_seq.min(meta.seq);
        self.footer.max_seq = self.footer.max_seq.max(meta.seq);
        self.footer.data_bytes += (key.len() + value.len()) as u64;
        if self.piece.len() >= PIECE {
            self.write_piece()?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The bytes that the block may have: to the end of the page, or of the next one where less than half of this is left.
    fn room(&self) -> usize {
        let left = PAGE - self.at % PAGE;
        (if left < PAGE / 2 { left + PAGE } else { left }) as usize
    }

    fn end_block(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.index.add(self.block.last_key(), self.at)?;
        let to_end = self.room().saturating_sub(self.block.size());
        let padding = if to_end <= MOST_PADDING { to_end as u16 } else { 0 };
        let bytes = self.block.finish(seed(self.header.salt, self.at), padding)?;
        memory::reserve(&mut self.piece, bytes.len())?;
        self.piece.extend_from_slice(bytes);
        self.at += bytes.len() as u64;
        self.block.clear();
        Ok(())
    }

    fn write_piece(&mut self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let from = self.at - self.piece.len() as u64;
        let written = file.reserve(self.at).and_then(|()| file.write_at(&[&self.piece], from));
        written.map_err(|e| self.failed("write the run", &e))?;
        self.piece.clear();
        Ok(())
    }

    fn failed(&self, action: &'static str, error: &std::io::Error) -> Error {
        Error::io(action, &self.disk.path().join(names::run(self.header.id)), error)
    }

    fn end_part(&mut self, part: &[u8]) -> Result<()> {
        memory::reserve(&mut self.piece, part.len() + 4)?;
        self.piece.extend_from_slice(part);
        self.piece.extend_from_slice(&checksum(seed(self.header.salt, self.at), part).to_le_bytes());
        self.at += part.len() as u64 + 4;
        Ok(())
    }

    /// Ends the run, makes it durable, and gives its line of the manifest; `None` where it has no entry.
    pub fn finish(mut self, level: u32) -> Result<Option<RunEntry>> {
        if self.footer.entries == 0 {
            return Ok(None);
        }
        self.end_block()?;
        self.footer.filter_at = self.at;
        let bits = filter::build(&self.hashes)?;
        self.end_part(&bits)?;
        self.footer.index_at = self.at;
        let index = self.index.finish()?;
        self.end_part(&index)?;
        self.footer.footer_at = self.at;
        let footer = self.footer.encode(self.header.salt);
        memory::reserve(&mut self.piece, footer.len())?;
        self.piece.extend_from_slice(&footer);
        self.at += footer.len() as u64;
        self.write_piece()?;
        if let Some(file) = &self.file {
            let synced = |()| if seeded_bug!("run-counts-before-its-sync") { Ok(()) } else { file.sync() };
            let done = file.truncate(self.at).and_then(synced).and_then(|()| file.seal());
            done.map_err(|e| self.failed("make the run durable", &e))?;
        }
        // From here on it is the caller's.
        self.file = None;
        let (id, salt) = (self.header.id, self.header.salt);
        let (min_seq, max_seq) = (self.footer.min_seq, self.footer.max_seq);
        Ok(Some(RunEntry { id, level, salt, length: self.at, min_seq, max_seq, cleaned: 0 }))
    }
}

/// Removes runs that did not come to count.
pub fn remove(disk: &dyn Disk, ids: impl Iterator<Item = FileId>) {
    for id in ids {
        let _ = disk.remove(&names::run(id));
    }
}
