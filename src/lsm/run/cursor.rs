//! Going through runs that lie one behind the other: all versions for who merges, and the keys of one moment for who walks.

use std::ops::{Bound, Range};
use std::sync::Arc;

use super::Run;
use crate::format::features::Refusal;
use crate::format::run::block::{Block, Entry, Meta};
use crate::store::error::{Error, Result};
use crate::store::memory;

/// Goes through all versions in runs that lie one behind the other, from front to back or from back to front. Forwards a block is decoded
/// entry by entry, as far as somebody comes; backwards as a whole.
pub struct Versions {
    runs: Vec<Arc<Run>>,
    run: usize,
    block: usize,
    /// Where the block stands in its run, and how many of its bytes are entries.
    place: (u64, u64),
    entries: usize,
    buffer: Vec<u8>,
    /// The key where it is, and what stands there.
    key: Vec<u8>,
    entry: Option<Entry>,
    /// Backwards: all of the block before that, and the keys.
    before: Vec<(Range<usize>, Entry)>,
    keys: Vec<u8>,
    /// A block that could not be read.
    damaged: Option<(usize, usize)>,
    /// Checksums are compared also where the store's options say otherwise.
    verify: bool,
    ahead: Ahead,
}

/// What is read next is asked for before it is read: a read, or a fault, fetches its own page and no more.
#[derive(Default)]
struct Ahead {
    /// Blocks that were read one behind the other.
    blocks: u32,
    /// Everything in the run below this was asked for, and so much was then.
    asked: u64,
    step: u64,
}

/// A reader of this many blocks one behind the other reads more at once: first this many bytes, and later up to that many.
const READS_ON: u32 = 2;
const FIRST_REQUEST: u64 = 32 << 10;
const LARGEST_REQUEST: u64 = 512 << 10;

impl Ahead {
    /// A block of a run was read that ends at `at`, from front to back.
    fn passed(&mut self, run: &Run, at: u64) {
        self.blocks += 1;
        if self.blocks < READS_ON || at + self.step / 2 < self.asked {
            return;
        }
        self.step = (self.step * 2).clamp(FIRST_REQUEST, LARGEST_REQUEST);
        let (from, to) = (self.asked.max(at), (at + self.step).min(run.footer.filter_at));
        if from < to {
            run.file.will_need(from..to);
            self.asked = to;
        }
    }
}

impl Versions {
    /// Nowhere yet; the runs are in the order of their keys.
    pub fn new(runs: Vec<Arc<Run>>) -> Self {
        Versions {
            runs,
            run: 0,
            block: 0,
            place: (0, 0),
            entries: 0,
            buffer: Vec::new(),
            key: Vec::new(),
            entry: None,
            before: Vec::new(),
            keys: Vec::new(),
            damaged: None,
            verify: false,
            ahead: Ahead::default(),
        }
    }

    /// As [`Versions::new`], for who writes the versions anew: what is damaged must not become valid.
    pub fn verified(runs: Vec<Arc<Run>>) -> Self {
        Versions { verify: true, ..Versions::new(runs) }
    }

    /// After an error it is nowhere, and knows which block that was.
    fn noting<R>(&mut self, done: Result<R>) -> Result<R> {
        if let Err(error) = &done {
            // What there was no memory for is not damaged: whoever seeks again finds it.
            self.damaged = (!matches!(error, Error::NoMemory { .. })).then_some((self.run, self.block));
            self.entry = None;
            self.before.clear();
        }
        done
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

    /// Reads the block that it is at, and compares its checksum.
    fn load(&mut self) -> Result<()> {
        self.entry = None;
        self.before.clear();
        let loaded = match self.runs.get(self.run) {
            Some(run) => {
                let loaded = run.block(self.block, run.verify || self.verify, &mut self.buffer);
                let loaded = loaded.map(|block| self.entries = block.entries_len());
                loaded.and_then(|()| run.block_range(self.block)).map(|place| self.place = place)
            }
            None => Ok(()),
        };
        self.noting(loaded)
    }

    /// The bytes of the block that was read last.
    fn bytes(&self) -> &[u8] {
        let (from, to) = self.place;
        let view = self.runs.get(self.run).and_then(|run| run.view.as_ref());
        view.and_then(|view| view.get(from, to - from)).unwrap_or(&self.buffer)
    }

    /// Goes to the entry at `at` of the block, behind the one whose key it has.
    fn go_to(&mut self, at: usize) -> Result<()> {
        let mut key = std::mem::take(&mut self.key);
        let base = self.runs.get(self.run).map_or(0, |run| run.base);
        let gone = match self.bytes().get(..self.entries) {
            Some(entries) => Block::of_entries(entries, base).entry(at, &mut key),
            None => Err("a block is too short".into()),
        };
        self.key = key;
        match gone {
            Ok(entry) => self.entry = entry,
            Err(refusal) => {
                let error = self.runs.get(self.run).map(|run| run.refuses(self.block, refusal));
                return self.noting(Err(error.unwrap_or(Error::Closed)));
            }
        }
        Ok(())
    }

    fn with_block<R>(&self, look: impl FnOnce(Block<'_>) -> Result<R, Refusal>) -> Result<R> {
        let run = self.runs.get(self.run).ok_or(Error::Closed)?;
        let block = Block::parse(self.bytes(), None, run.base).map_err(Refusal::Damaged);
        block.and_then(look).map_err(|refusal| run.refuses(self.block, refusal))
    }

    /// Goes to the first entry of the block that was read, or to its last.
    fn enter(&mut self, reverse: bool) -> Result<()> {
        if reverse { self.decode(|_| false) } else { self.go_to(0) }
    }

    /// Decodes the block up to where `ends` says of a key that it is too far, and stands at the last entry before that.
    fn decode(&mut self, ends: impl Fn(&[u8]) -> bool) -> Result<()> {
        self.before.clear();
        self.keys.clear();
        self.key.clear();
        self.go_to(0)?;
        while let Some(entry) = self.entry.take().filter(|_| !ends(&self.key)) {
            let (start, next) = (self.keys.len(), entry.next);
            memory::reserve(&mut self.keys, self.key.len())?;
            self.keys.extend_from_slice(&self.key);
            memory::push(&mut self.before, (start..self.keys.len(), entry))?;
            self.go_to(next)?;
        }
        self.step_back()
    }

    /// One entry back in the block.
    fn step_back(&mut self) -> Result<()> {
        self.entry = None;
        if let Some((key, entry)) = self.before.pop() {
            memory::copy_to(&mut self.key, self.keys.get(key).unwrap_or_default())?;
            self.entry = Some(entry);
        }
        Ok(())
    }

    /// To the first version in its direction within a bound.
    pub fn seek(&mut self, from: Bound<&[u8]>, reverse: bool) -> Result<()> {
        self.entry = None;
        self.before.clear();
        self.damaged = None;
        self.ahead = Ahead::default();
        let key = match from {
            Bound::Unbounded => None,
            Bound::Included(key) | Bound::Excluded(key) => Some(key),
        };
        let Some(key) = key else {
            if self.runs.is_empty() {
                return Ok(());
            }
            self.run = if reverse { self.runs.len() - 1 } else { 0 };
            self.block = if reverse { self.last_block() } else { 0 };
            self.load()?;
            return self.enter(reverse);
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
            self.block = 0;
            return self.enter_before();
        }
        self.block = run.shape.find_block(run.index.bytes(), key);
        while run.shape.last_key(run.index.bytes(), self.block).is_some_and(|last| !is_behind(last)) {
            self.block += 1;
        }
        self.load()?;
        if reverse {
            self.decode(is_behind)?;
            return if self.entry.is_some() { Ok(()) } else { self.enter_before() };
        }
        let mut found = std::mem::take(&mut self.key);
        let sought = self.with_block(|block| block.seek(key, &mut found));
        self.key = found;
        self.entry = self.noting(sought)?;
        while let Some(entry) = &self.entry
            && !is_behind(&self.key)
        {
            self.go_to(entry.next)?;
        }
        if self.entry.is_none() {
            return Err(self.runs.get(self.run).map_or(Error::Closed, |run| {
                run.corrupt(run.footer.index_at, "the index of the run does not fit its blocks")
            }));
        }
        Ok(())
    }

    fn last_block(&self) -> usize {
        self.runs.get(self.run).map_or(0, |run| run.shape.blocks.saturating_sub(1))
    }

    /// Goes to the last entry before the block; nowhere where there is none.
    fn enter_before(&mut self) -> Result<()> {
        if self.block > 0 {
            self.block -= 1;
        } else if self.run > 0 {
            self.run -= 1;
            self.block = self.last_block();
        } else {
            self.entry = None;
            return Ok(());
        }
        self.load()?;
        self.enter(true)
    }

    /// Where it is.
    pub fn current(&self) -> Option<(&[u8], &Meta)> {
        self.entry.as_ref().map(|entry| (self.key.as_slice(), &entry.meta))
    }

    /// The value where it is.
    fn value(&self) -> &[u8] {
        let entry = self.entry.as_ref();
        entry.and_then(|entry| self.bytes().get(entry.value.clone())).unwrap_or_default()
    }

    /// Copies the value where it is to `out`.
    pub fn copy_value(&self, out: &mut Vec<u8>) -> Result<()> {
        Ok(memory::copy_to(out, self.value())?)
    }

    /// One version on.
    pub fn advance(&mut self, reverse: bool) -> Result<()> {
        let Some(entry) = &self.entry else { return Ok(()) };
        if reverse {
            self.step_back()?;
            return if self.entry.is_some() { Ok(()) } else { self.enter_before() };
        }
        self.go_to(entry.next)?;
        if self.entry.is_some() {
            return Ok(());
        }
        self.block += 1;
        if self.runs.get(self.run).is_some_and(|run| self.block >= run.shape.blocks) {
            if self.run + 1 >= self.runs.len() {
                return Ok(());
            }
            self.block = 0;
            self.run += 1;
            // Who came to its end goes through the next as fast.
            self.ahead.asked = 0;
        }
        self.load()?;
        if let Some(run) = self.runs.get(self.run) {
            self.ahead.passed(run, self.place.1);
        }
        self.enter(false)
    }

    /// Whether the key where it is, having gone one version on forwards, is the one that it came from.
    fn is_same_key(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.is_same_key)
    }
}

/// Goes through the keys of runs that lie one behind the other, as a reader at one sequence number sees them.
pub struct Cursor {
    versions: Versions,
    seq: u64,
    reverse: bool,
    /// Backwards, where the newest version comes last: the key where it is, and what that has.
    key: Vec<u8>,
    meta: Option<Meta>,
    value: Vec<u8>,
}

impl Cursor {
    /// A cursor that is nowhere yet.
    pub fn new(runs: Vec<Arc<Run>>, seq: u64, reverse: bool) -> Self {
        Cursor { versions: Versions::new(runs), seq, reverse, key: Vec::new(), meta: None, value: Vec::new() }
    }

    /// Goes to the first key in its direction within a bound.
    pub fn seek(&mut self, from: Bound<&[u8]>) -> Result<()> {
        self.meta = None;
        self.versions.seek(from, self.reverse)?;
        self.settle()
    }

    /// The key where it is.
    pub fn key(&self) -> Option<&[u8]> {
        match self.reverse {
            true => self.meta.as_ref().map(|_| self.key.as_slice()),
            false => self.versions.current().map(|(key, _)| key),
        }
    }

    /// Where it is.
    pub fn current(&self) -> Option<(&[u8], &Meta, &[u8])> {
        match self.reverse {
            true => self.meta.as_ref().map(|meta| (self.key.as_slice(), meta, self.value.as_slice())),
            false => self.versions.current().map(|(key, meta)| (key, meta, self.versions.value())),
        }
    }

    /// The key behind which a walk goes on after a block that could not be read.
    pub fn damage(&self) -> Option<&[u8]> {
        let (first, last) = self.versions.damage()?;
        Some(if self.reverse { first } else { last })
    }

    /// Goes on.
    pub fn advance(&mut self) -> Result<()> {
        self.meta = None;
        if !self.reverse {
            self.versions.advance(false)?;
            while self.versions.is_same_key() {
                self.versions.advance(false)?;
            }
        }
        self.settle()
    }

    /// Goes to the next key of which a version is seen: forwards to that version, backwards behind all versions of the key.
    fn settle(&mut self) -> Result<()> {
        if !self.reverse {
            while self.versions.current().is_some_and(|(_, meta)| meta.seq > self.seq) {
                self.versions.advance(false)?;
            }
            return Ok(());
        }
        while self.meta.is_none() {
            let Some((key, _)) = self.versions.current() else { return Ok(()) };
            memory::copy_to(&mut self.key, key)?;
            // The oldest comes first.
            while let Some((key, meta)) = self.versions.current()
                && key == self.key
            {
                if meta.seq <= self.seq {
                    let meta = *meta;
                    self.versions.copy_value(&mut self.value)?;
                    self.meta = Some(meta);
                }
                self.versions.advance(true).inspect_err(|_| self.meta = None)?;
            }
        }
        Ok(())
    }
}
