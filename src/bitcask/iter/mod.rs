//! Walking through the keys of one moment.
//!
//! The place of an iterator is a hash: the index is in the order of hashes, so growing, splitting and moving do not disturb
//! it; it holds no lock between steps. It takes the entries of up to a million keys at a time, or more where the data is larger than the
//! memory, and reads their records in the order in which they stand in the files: neighbours share pages, and what comes next
//! is asked of the disk in large pieces.

mod block;
mod sort;

use std::sync::Arc;

use crate::bitcask::close::AfterVisit;
use crate::bitcask::engine::snapshot::Moment;
use crate::bitcask::engine::{Engine, Inside};
use crate::bitcask::shared::Shared;
use crate::disk::process;
use crate::format::frame::Kind;
use crate::index::{Cursor, Entry, KeyHash};
use crate::log::file::{DataFile, Frame};
use crate::log::readahead::ask_for;
use crate::store::error::{Error, Result};
use crate::store::iter::{Row, Walk};
use crate::store::memory;
use crate::store::pinned::{NewRow, Pinned, Rows};
use crate::store::value::Type;
use block::Block;
use sort::sort_last_first;

/// A walk through the keys of one moment.
pub struct Iter {
    shared: Arc<Shared>,
    moment: Moment,
    prefix: Vec<u8>,
    cursor: Option<Cursor>,
    /// The places of keys before the cursor that were not shown yet, last first.
    pending: Vec<u64>,
    /// The one that was taken out last.
    popped: Option<u64>,
    /// The places before this one were not asked of the disk.
    not_asked: usize,
    /// When so many are left, more are asked for.
    ask_at: usize,
    /// How many entries are loaded next: few for who looks at few rows.
    load: usize,
    /// What was read of files that are not mapped.
    block: Block,
}

/// Each time this many times as many entries are loaded as the time before.
const LOADED_MORE: usize = 16;
/// How many entries are loaded at once, at most, where the files fit into memory; each takes 8 bytes.
const MOST_LOADED: u64 = 1 << 20;
/// How many entries are loaded at once, at most, where the files do not fit into memory: each load reads a good part of all pages. The
/// entries take no more than this part of the memory.
const MOST_LOADED_FROM_DISK: u64 = 8 << 20;
const LOADED_SHARE: u64 = 8;
/// A walk that has read this many rows from the disk is taken to read all: to read sixteen times as many at random takes longer than to
/// load all entries.
const MANY: usize = 256;
/// Fewer entries are not asked of the disk before they are read.
const FEW: usize = 4;

/// How many records ahead of the current one are fetched into the cache.
const LOOK_AHEAD: usize = 12;

impl Iter {
    /// Begins a walk through the keys with this prefix, as they are now.
    pub fn new(shared: &Arc<Shared>, prefix: &[u8]) -> Result<Self> {
        memory::room_for_more()?;
        let prefix = memory::copy_of(prefix)?;
        let engine = shared.enter()?;
        let moment = engine.snapshots.begin(|| engine.log.last_seq());
        drop(engine);
        Ok(Iter {
            shared: shared.clone(),
            moment,
            prefix,
            cursor: Some(Cursor::START),
            pending: Vec::new(),
            popped: None,
            not_asked: 0,
            ask_at: 0,
            load: 1,
            block: Block::default(),
        })
    }

    /// Shows the next row to `visit`; `None` behind the last. What there was no memory for is shown by the next call.
    fn advance<R>(
        &mut self,
        engine: &Inside<'_>,
        visit: impl FnMut(&Inside<'_>, Entry, &Frame<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        let advanced = self.try_advance(engine, visit);
        if let Err(Error::NoMemory { .. }) = &advanced {
            // There is room: it came from there.
            self.pending.extend(self.popped.take());
        }
        advanced
    }

    fn try_advance<R>(
        &mut self,
        engine: &Inside<'_>,
        mut visit: impl FnMut(&Inside<'_>, Entry, &Frame<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        loop {
            while let Some(entry) = self.next_entry(engine) {
                if let Some(ahead) =
                    self.pending.len().checked_sub(LOOK_AHEAD).and_then(|n| self.pending.get(n))
                    && let Some(ahead) = Entry::from_place(*ahead)
                    && let Ok(file) = engine.file(engine, ahead)
                {
                    file.prefetch(ahead);
                }
                let mut buffer = Vec::new();
                let file = engine.file(engine, entry)?;
                let frame = if file.is_mapped() {
                    file.frame(entry, &mut buffer)?
                } else {
                    self.block.frame(file, entry, self.pending.iter().rev().copied())?
                };
                if frame.header.seq > self.moment.seq && file.is_intact(&frame) {
                    continue;
                }
                if engine.options.verify_checksums && !file.is_intact(&frame) {
                    return Err(file.corrupt(frame.offset, "the checksum of the record does not match"));
                }
                let expired = frame.header.expiry_ms.is_some_and(|at| engine.has_expired(at));
                // An empty prefix points nowhere, and comparing with that, no bytes at all, takes the processor longer than
                // reading the record: a masked load from no page is done in microcode.
                let matches = self.prefix.is_empty() || frame.key().starts_with(&self.prefix);
                if matches!(frame.header.kind, Kind::Put | Kind::Head) && !expired && matches {
                    return visit(engine, entry, &frame).map(Some);
                }
            }
            let Some(cursor) = self.cursor else {
                // Who has seen all may hold on to the walk for long.
                engine.snapshots.has_loaded(self.moment, false, 0);
                return Ok(None);
            };
            self.block.forget();
            engine.snapshots.loads(self.moment);
            self.cursor = self.load(engine, cursor)?;
            engine.snapshots.has_loaded(self.moment, !self.pending.is_empty(), engine.catalog.newest_file());
        }
    }

    /// The entry to read next. What comes after it was asked of the disk.
    #[inline]
    fn next_entry(&mut self, engine: &Inside<'_>) -> Option<Entry> {
        if self.pending.len() <= self.ask_at && self.not_asked > 0 {
            self.ask_ahead(engine);
        }
        self.popped = self.pending.pop();
        self.popped.and_then(Entry::from_place)
    }

    #[cold]
    fn ask_ahead(&mut self, engine: &Inside<'_>) {
        let rest = self.pending[..self.not_asked].iter().rev().copied();
        let count = ask_for(rest, |slot, range| {
            if let Some(file) = engine.catalog.files.get(usize::from(slot), engine) {
                file.disk_file.will_need(range);
            }
        });
        self.not_asked -= count;
        self.ask_at = self.not_asked + count / 2;
    }

    /// How many entries to load after so many.
    fn next_load(engine: &Engine, last: usize) -> usize {
        let size: u64 = engine.catalog.files.sum(DataFile::tail);
        let fits = size < process::memory_limit() / 2;
        let most = if fits { MOST_LOADED } else { MOST_LOADED_FROM_DISK };
        let most = process::memory_share(LOADED_SHARE, 0..=most * size_of::<u64>() as u64) as usize
            / size_of::<u64>();
        if last >= MANY && !fits { most } else { (last * LOADED_MORE).min(most) }
    }

    /// Loads the entries of the next segments: those of the index, and the versions that this moment sees instead.
    /// Of the two for one key, [`Iter::advance`] takes the one that is not newer than the moment.
    fn load(&mut self, engine: &Engine, mut cursor: Cursor) -> Result<Option<Cursor>> {
        let mut entries: Vec<(KeyHash, Entry)> = Vec::new();
        let room = self.load.min(engine.index.len() as usize);
        if self.pending.try_reserve_exact(room).is_err() {
            return Err(Error::NoMemory { bytes: (room * size_of::<u64>()) as u64 });
        }
        let next = loop {
            let next = engine.index.collect_with(cursor, &mut entries, |next, entries| {
                let to = next.map(Cursor::first_hash);
                engine.snapshots.versions(self.moment, cursor.first_hash(), to, entries)
            });
            let reserved =
                next.and_then(|next| memory::reserve(&mut self.pending, entries.len()).map(|()| next));
            let next = reserved.inspect_err(|_| {
                // The next call begins here again.
                self.pending.clear();
            })?;
            self.pending.extend(entries.drain(..).map(|(_, entry)| entry.place()));
            match next {
                Some(next) if self.pending.len() < self.load => cursor = next,
                _ => break next,
            }
        };
        self.load = Self::next_load(engine, self.pending.len());
        sort_last_first(&mut self.pending);
        self.not_asked = if self.pending.len() < FEW { 0 } else { self.pending.len() };
        self.ask_at = self.not_asked;
        Ok(next)
    }
}

/// What is shown of a record, the key and then the value: of a list no value.
fn shown<'a>(frame: &Frame<'a>) -> (&'a [u8], Type) {
    match frame.header.kind {
        Kind::Head => (frame.key(), Type::List),
        _ => (frame.key_and_value(), Type::Value),
    }
}

impl Walk for Iter {
    fn next_row(&mut self) -> Result<Option<Row>> {
        let shared = self.shared.clone();
        let engine = shared.enter()?;
        self.advance(&engine, |engine, entry, frame| {
            let key_len = frame.key().len();
            let (bytes, holds) = shown(frame);
            Ok(match engine.file(engine, entry)?.keeper() {
                Some(keeper) => Row { bytes: Pinned::kept(keeper.clone(), bytes), key_len, holds },
                None => Row { bytes: Pinned::copied(bytes)?, key_len, holds },
            })
        })
    }

    fn seek(&mut self, _: &[u8]) -> Result<()> {
        self.check_open()?;
        Err(Error::no_order("go to a key of a walk"))
    }

    fn check_open(&self) -> Result<()> {
        self.shared.enter().map(drop)
    }

    fn next_rows(&mut self, most: usize, most_copied: usize, rows: &mut Rows) -> Result<bool> {
        let shared = self.shared.clone();
        let engine = shared.enter()?;
        let mut left = most;
        while left > 0 && rows.copied_bytes() < most_copied {
            let added = self.advance(&engine, |engine, entry, frame| {
                let (bytes, holds) = shown(frame);
                let key_len = frame.key().len();
                match engine.file(engine, entry)?.keeper() {
                    Some(keeper) => rows.push_kept(keeper, NewRow { bytes, key_len, holds }),
                    None => {
                        let (key, value) = bytes.split_at_checked(key_len).unwrap_or((bytes, &[]));
                        rows.push_copy(key, value, holds)
                    }
                }
            });
            if added?.is_none() {
                return Ok(false);
            }
            left -= 1;
        }
        Ok(true)
    }

    fn for_each(&mut self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        let shared = self.shared.clone();
        loop {
            // The visitor may hold the last handle of the store, and let go of it.
            let _after_visit = AfterVisit(&shared);
            // Entered anew for each row: a slow visitor must not keep others from closing the store.
            let engine = shared.enter()?;
            let seen = self.advance(&engine, |_, _, frame| {
                let _visiting = shared.gated().visit();
                let (bytes, _) = shown(frame);
                let (key, value) = bytes.split_at(frame.key().len());
                Ok(visit(key, value))
            });
            match seen? {
                Some(true) => {}
                Some(false) => return Ok(false),
                None => return Ok(true),
            }
        }
    }
}

impl Drop for Iter {
    fn drop(&mut self) {
        if let Ok(engine) = self.shared.enter()
            && engine.snapshots.end(self.moment)
        {
            self.shared.signal().wake();
        }
    }
}
