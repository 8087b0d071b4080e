//! Going through runs that lie one behind the other: all versions for who merges, and the keys of one moment for who walks.

use std::ops::{Bound, Range};
use std::sync::Arc;

use super::Run;
use crate::format::run::block::{Entry, Meta};
use crate::store::error::{Error, Result};
use crate::store::memory;

/// Goes through all versions in runs that lie one behind the other, from front to back or from back to front.
pub struct Versions {
    runs: Vec<Arc<Run>>,
    run: usize,
    block: usize,
    buffer: Vec<u8>,
    keys: Vec<u8>,
    entries: Vec<(Range<usize>, Entry)>,
    at: usize,
    is_over: bool,
    /// A block that could not be read.
    damaged: Option<(usize, usize)>,
    /// Checksums are compared also where the store's options say otherwise.
    verify: bool,
}

impl Versions {
    /// Nowhere yet; the runs are in the order of their keys.
    pub fn new(runs: Vec<Arc<Run>>) -> Self {
        Versions {
            runs,
            run: 0,
            block: 0,
            buffer: Vec::new(),
            keys: Vec::new(),
            entries: Vec::new(),
            at: 0,
            is_over: true,
            damaged: None,
            verify: false,
        }
    }

    /// As [`Versions::new`], for who writes the versions anew: what is damaged must not become valid.
    pub fn verified(runs: Vec<Arc<Run>>) -> Self {
        Versions { verify: true, ..Versions::new(runs) }
    }

    /// Decodes the block that it is at. After an error it is at its end, and knows which block that was.
    fn load(&mut self) -> Result<()> {
        let loaded = self.decode();
        if let Err(error) = &loaded {
            // What there was no memory for is not damaged: whoever seeks again finds it.
            self.damaged = (!matches!(error, Error::NoMemory { .. })).then_some((self.run, self.block));
            self.is_over = true;
        }
        loaded
    }

    /// The keys that are in a block which could not be read: all behind the first, up to the last.
    pub fn damage(&self) -> Option<(&[u8], &[u8])> {
        let (run, block) = self.damaged?;
        let run = self.runs.get(run)?;
        let last = run.shape.last_key(run.index.bytes(), block)?;
        // Versions of the last key of the block before may be in both.
        let before = block.checked_sub(1).and_then(|n| run.shape.last_key(run.index.bytes(), n));
        Some((before.unwrap_or(run.first_key()), last))
    }

    fn decode(&mut self) -> Result<()> {
        let Some(run) = self.runs.get(self.run) else { return Ok(()) };
        self.entries.clear();
        self.keys.clear();
        let block = run.block(self.block, run.verify || self.verify, &mut self.buffer)?;
        let (mut at, mut key) = (0, Vec::new());
        while let Some(entry) =
            block.entry(at, &mut key).map_err(|refusal| run.refuses(self.block, refusal))?
        {
            at = entry.next;
            let start = self.keys.len();
            memory::reserve(&mut self.keys, key.len())?;
            self.keys.extend_from_slice(&key);
            memory::push(&mut self.entries, (start..self.keys.len(), entry))?;
        }
        Ok(())
    }

    /// To the first version in its direction within a bound.
    pub fn seek(&mut self, from: Bound<&[u8]>, reverse: bool) -> Result<()> {
        (self.is_over, self.damaged) = (true, None);
        let key = match from {
            Bound::Unbounded => None,
            Bound::Included(key) | Bound::Excluded(key) => Some(key),
        };
        let Some(key) = key else {
            if self.runs.is_empty() {
                return Ok(());
            }
            self.run = if reverse { self.runs.len() - 1 } else { 0 };
            let blocks = self.runs.get(self.run).map_or(0, |run| run.shape.blocks);
            self.block = if reverse { blocks.saturating_sub(1) } else { 0 };
            self.load()?;
            self.at = if reverse { self.entries.len().saturating_sub(1) } else { 0 };
            self.is_over = self.entries.is_empty();
            return Ok(());
        };
        // The first version whose key is not before the bound, or is behind it where that is excluded; backwards the one before that.
        let includes = matches!(from, Bound::Included(_)) != reverse;
        let is_behind = |other: &[u8]| if includes { other >= key } else { other > key };
        self.run = self.runs.partition_point(|run| !is_behind(&run.last_key));
        let Some(run) = self.runs.get(self.run) else {
            // All are before it.
            return if reverse { self.seek(Bound::Unbounded, true) } else { Ok(()) };
        };
        if reverse && is_behind(run.first_key()) {
            // Nothing of this run is before it: its first block, which may be damaged, is not looked at.
            let Some(before) = self.run.checked_sub(1) else { return Ok(()) };
            self.run = before;
            self.block = self.runs.get(before).map_or(0, |run| run.shape.blocks.saturating_sub(1));
            self.load()?;
            self.at = self.entries.len().saturating_sub(1);
            self.is_over = self.entries.is_empty();
            return Ok(());
        }
        self.block = run.shape.find_block(run.index.bytes(), key);
        while run.shape.last_key(run.index.bytes(), self.block).is_some_and(|last| !is_behind(last)) {
            self.block += 1;
        }
        self.load()?;
        self.at = self
            .entries
            .partition_point(|(place, _)| !is_behind(self.keys.get(place.clone()).unwrap_or_default()));
        self.is_over = self.at >= self.entries.len();
        if self.is_over {
            return Err(self.runs.get(self.run).map_or(Error::Closed, |run| {
                run.corrupt(run.footer.index_at, "the index of the run does not fit its blocks")
            }));
        }
        if reverse { self.advance(true) } else { Ok(()) }
    }

    /// Where it is.
    pub fn current(&self) -> Option<(&[u8], &Meta)> {
        if self.is_over {
            return None;
        }
        let (key, entry) = self.entries.get(self.at)?;
        Some((self.keys.get(key.clone())?, &entry.meta))
    }

    /// Copies the value where it is to `out`.
    pub fn copy_value(&self, out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        let (Some(run), Some((_, entry))) = (self.runs.get(self.run), self.entries.get(self.at)) else {
            return Ok(());
        };
        let (from, to) = run.block_range(self.block)?;
        let bytes = match run.view.as_ref().and_then(|view| view.get(from, to - from)) {
            Some(bytes) => bytes,
            None => &self.buffer,
        };
        let value = bytes.get(entry.value.clone()).unwrap_or_default();
        Ok(memory::copy_to(out, value)?)
    }

    /// One version on.
    pub fn advance(&mut self, reverse: bool) -> Result<()> {
        if self.is_over {
            return Ok(());
        }
        if reverse {
            if self.at > 0 {
                self.at -= 1;
                return Ok(());
            }
            if self.block > 0 {
                self.block -= 1;
            } else if self.run > 0 {
                self.run -= 1;
                self.block = self.runs.get(self.run).map_or(0, |run| run.shape.blocks.saturating_sub(1));
            } else {
                self.is_over = true;
                return Ok(());
            }
            self.load()?;
            self.at = self.entries.len().saturating_sub(1);
            return Ok(());
        }
        self.at += 1;
        if self.at < self.entries.len() {
            return Ok(());
        }
        self.at = 0;
        self.block += 1;
        if self.runs.get(self.run).is_some_and(|run| self.block >= run.shape.blocks) {
            self.block = 0;
            self.run += 1;
            if self.run >= self.runs.len() {
                self.is_over = true;
                return Ok(());
            }
        }
        self.load()
    }
}

/// Goes through the keys of runs that lie one behind the other, as a reader at one sequence number sees them.
pub struct Cursor {
    versions: Versions,
    seq: u64,
    reverse: bool,
    key: Vec<u8>,
    meta: Option<Meta>,
    value: Vec<u8>,
    /// What was met behind the key where it is.
    failed: Option<Error>,
}

impl Cursor {
    /// A cursor that is nowhere yet.
    pub fn new(runs: Vec<Arc<Run>>, seq: u64, reverse: bool) -> Self {
        Cursor {
            versions: Versions::new(runs),
            seq,
            reverse,
            key: Vec::new(),
            meta: None,
            value: Vec::new(),
            failed: None,
        }
    }

    /// Goes to the first key in its direction within a bound.
    pub fn seek(&mut self, from: Bound<&[u8]>) -> Result<()> {
        (self.meta, self.failed) = (None, None);
        self.versions.seek(from, self.reverse)?;
        self.settle()
    }

    /// Where it is.
    pub fn current(&self) -> Option<(&[u8], &Meta, &[u8])> {
        self.meta.as_ref().map(|meta| (self.key.as_slice(), meta, self.value.as_slice()))
    }

    /// The key behind which a walk goes on after a block that could not be read.
    pub fn damage(&self) -> Option<&[u8]> {
        let (first, last) = self.versions.damage()?;
        Some(if self.reverse { first } else { last })
    }

    /// Goes on.
    pub fn advance(&mut self) -> Result<()> {
        self.meta = None;
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.settle(),
        }
    }

    /// Takes the next key of which a version is seen, and stands behind all its versions then.
    fn settle(&mut self) -> Result<()> {
        while self.meta.is_none() {
            let Some((key, _)) = self.versions.current() else { return Ok(()) };
            memory::copy_to(&mut self.key, key)?;
            // Forwards the newest comes first, backwards the oldest.
            while let Some((key, meta)) = self.versions.current()
                && key == self.key
            {
                if meta.seq <= self.seq && (self.reverse || self.meta.is_none()) {
                    let meta = *meta;
                    self.versions.copy_value(&mut self.value)?;
                    self.meta = Some(meta);
                }
                if let Err(error) = self.versions.advance(self.reverse) {
                    if self.reverse || self.meta.is_none() {
                        self.meta = None;
                        return Err(error);
                    }
                    // The key is known: forwards its newest version comes first.
                    self.failed = Some(error);
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
