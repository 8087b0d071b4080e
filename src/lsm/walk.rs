//! Walks through the keys of one moment, in their order or against it.
//!
//! Memtables and levels are gone through side by side. Of one key the newest source has the newest version, which decides.

use std::ops::Bound;
use std::sync::Arc;

use super::close::AfterVisit;
use super::engine::{Engine, Tree};
use super::key;
use super::memtable;
use super::run;
use super::shared::Shared;
use crate::format::frame;
use crate::format::run::block::{Meta, What};
use crate::store::error::{Error, Result};
use crate::store::iter::{Row, Walk};
use crate::store::memory;
use crate::store::pinned::{Pinned, Rows};
use crate::store::value::Type;
use crate::sync::thread::NotCancelled;

/// One of what is gone through side by side.
pub enum Source {
    Memtable(memtable::Cursor),
    Runs(Box<run::Cursor>),
}

impl Source {
    pub fn seek(&mut self, from: Bound<&[u8]>) -> Result<()> {
        match self {
            Source::Memtable(cursor) => cursor.seek(from),
            Source::Runs(cursor) => cursor.seek(from),
        }
    }

    pub fn current(&self) -> Option<(&[u8], &Meta, &[u8])> {
        match self {
            Source::Memtable(cursor) => cursor.current(),
            Source::Runs(cursor) => cursor.current(),
        }
    }

    pub fn key(&self) -> Option<&[u8]> {
        match self {
            Source::Memtable(cursor) => cursor.key(),
            Source::Runs(cursor) => cursor.key(),
        }
    }

    pub fn advance(&mut self) -> Result<()> {
        match self {
            Source::Memtable(cursor) => cursor.advance(),
            Source::Runs(cursor) => cursor.advance(),
        }
    }

    /// The key behind which to go on, in the walk's direction, after damage that was met.
    fn damage(&self) -> Option<&[u8]> {
        match self {
            Source::Memtable(_) => None,
            Source::Runs(cursor) => cursor.damage(),
        }
    }
}

/// See the module.
pub struct Iter {
    shared: Arc<Shared>,
    tree: Arc<Tree>,
    seq: u64,
    from: Vec<u8>,
    to: Vec<u8>,
    reverse: bool,
    /// Newest first.
    sources: Vec<Source>,
    /// Of these the one with the next key, and the one whose key comes after that, if that is known: so most steps compare two keys.
    next: Option<(usize, Option<usize>)>,
    /// Memtables with deletes of ranges, which were there when it began, and none that it sees came later.
    deletes: Vec<Arc<memtable::Memtable>>,
    /// Where the sources go before the next step.
    start: Option<Bound<Vec<u8>>>,
    after: After,
    /// The engine's key of the row that it went past last, and what that holds.
    row_key: Vec<u8>,
    holds: Type,
    /// What was met behind the row.
    failure: Option<Error>,
}

/// What the next step begins with, after an error.
#[derive(PartialEq)]
enum After {
    Nothing,
    /// The sources go behind what is damaged.
    Damage,
    /// The sources go behind the row: not all of them could.
    Row,
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// Where keys from the first on and before the second may be, newest first.
pub fn sources(tree: &Tree, seq: u64, (from, to): (&[u8], &[u8]), reverse: bool) -> Result<Vec<Source>> {
    let tables = tree.memtables();
    let tables = tables.map(|table| Source::Memtable(memtable::Cursor::new(table.clone(), seq, reverse)));
    let mut sources = memory::collect(tables)?;
    let overlaps = |run: &&Arc<run::Run>| from <= run.last_key.as_slice() && run.first_key() < to;
    for (n, level) in tree.levels.iter().enumerate() {
        let runs = memory::collect(level.iter().filter(overlaps).cloned())?;
        let mut add = |runs| -> Result<()> {
            let cursor = memory::boxed(run::Cursor::new(runs, seq, reverse))?;
            Ok(memory::push(&mut sources, Source::Runs(cursor))?)
        };
        match n {
            0 => {
                for run in runs {
                    add(memory::collect([run])?)?;
                }
            }
            _ if runs.is_empty() => {}
            _ => add(runs)?,
        }
    }
    Ok(sources)
}

impl Iter {
    /// A walk through the engine's keys from `from` on and before `to`, as they are now.
    pub fn new(shared: &Arc<Shared>, (from, to): (Vec<u8>, Vec<u8>), reverse: bool) -> Result<Self> {
        memory::room_for_small_things()?;
        let start = if reverse {
            Bound::Excluded(memory::copy_of(&to)?)
        } else {
            Bound::Included(memory::copy_of(&from)?)
        };
        let engine = shared.enter()?;
        let reading = engine.read();
        let (seq, tree) = (reading.seq, reading.tree.clone());
        let sources = sources(&tree, seq, (&from, &to), reverse)?;
        let deletes = memory::collect(tree.memtables().filter(|table| table.has_ranges()).cloned())?;
        reading.goes_on();
        Ok(Iter {
            shared: shared.clone(),
            tree,
            seq,
            from,
            to,
            reverse,
            sources,
            next: None,
            deletes,
            start: Some(start),
            after: After::Nothing,
            row_key: Vec::new(),
            holds: Type::Value,
            failure: None,
        })
    }

    fn check_forked_or_closed(&self) -> Result<()> {
        self.shared.enter().map(drop)
    }

    /// Goes past the next row, and gives what `show` makes of its user's key and its value; `None` behind the last. A row that `show` fails for
    /// comes again. For who keeps this thread from being cancelled. After damage the next call goes on behind it, in all sources: what is older
    /// than what was damaged must not show in its place.
    fn step<R>(
        &mut self,
        engine: &Engine,
        show: impl FnOnce(&[u8], &[u8], Type) -> Result<R>,
    ) -> Result<Option<R>> {
        self.next = self.next.filter(|_| self.start.is_none() && self.after == After::Nothing);
        let stepped = self.try_step(engine, show);
        let is_damaged = matches!(&stepped, Err(error) if !matches!(error, Error::NoMemory { .. }));
        if is_damaged && self.sources.iter().any(|source| source.damage().is_some()) {
            self.after = After::Damage;
        }
        stepped
    }

    fn try_step<R>(
        &mut self,
        engine: &Engine,
        show: impl FnOnce(&[u8], &[u8], Type) -> Result<R>,
    ) -> Result<Option<R>> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let behind = match self.after {
            After::Nothing => None,
            After::Damage => self.sources.iter().find_map(Source::damage),
            After::Row => Some(self.row_key.as_slice()),
        };
        if let Some(key) = behind {
            self.start = Some(Bound::Excluded(memory::copy_of(key)?));
        }
        self.after = After::Nothing;
        if let Some(start) = &self.start {
            for source in &mut self.sources {
                source.seek(as_slice(start))?;
            }
            self.start = None;
        }
        loop {
            let Some((first, second)) = self.next.take().or_else(|| self.first_two()) else {
                return Ok(None);
            };
            let Some((key, meta, value)) = self.sources.get(first).and_then(Source::current) else {
                return Ok(None);
            };
            if !(self.from.as_slice() <= key && key < self.to.as_slice()) {
                return Ok(None);
            }
            let is_deleted = || {
                let tables = self.deletes.iter().map(|table| table.covering(key, self.seq));
                tables.max().unwrap_or(0).max(self.tree.ranges.covering(key, self.seq)) > meta.seq
            };
            let is_there = meta.what != What::Nothing
                && !is_deleted()
                && !meta.expiry_ms.is_some_and(|expiry_ms| engine.has_expired(expiry_ms));
            memory::copy_to(&mut self.row_key, key)?;
            if !is_there {
                let passed = self.pass(first, second);
                if matches!(passed, Err(Error::NoMemory { .. })) {
                    self.after = After::Row;
                }
                passed?;
                continue;
            }
            self.holds = if meta.what == What::Head { Type::List } else { Type::Value };
            let value = if self.holds == Type::Value { value } else { &[] };
            let shown = show(key::user_part(key), value, self.holds)?;
            self.failure = self.pass(first, second).err();
            if matches!(self.failure, Some(Error::NoMemory { .. })) {
                self.after = After::Row;
            }
            return Ok(Some(shown));
        }
    }

    fn is_before(&self, key: &[u8], other: &[u8]) -> bool {
        if self.reverse { key > other } else { key < other }
    }

    /// The source that the next key comes from, the newest of those that have it; and the one with the next key of the others.
    fn first_two(&self) -> Option<(usize, Option<usize>)> {
        let mut best: Option<(usize, &[u8])> = None;
        let mut second = best;
        for (n, source) in self.sources.iter().enumerate() {
            let Some(key) = source.key() else { continue };
            if best.is_none_or(|(_, other)| self.is_before(key, other)) {
                second = best.replace((n, key));
            } else if second.is_none_or(|(_, other)| self.is_before(key, other)) {
                second = Some((n, key));
            }
        }
        best.map(|(n, _)| (n, second.map(|(n, _)| n)))
    }

    /// Goes past the key of the row, which came from `first`, in all sources; `second` has the next key of the others.
    fn pass(&mut self, first: usize, second: Option<usize>) -> Result<()> {
        let key = self.row_key.as_slice();
        let of_second = second.and_then(|n| self.sources.get(n)).and_then(Source::key);
        if of_second == Some(key) {
            let mut passed = Ok(());
            for source in &mut self.sources {
                if source.key() == Some(key) {
                    // The others pass it too.
                    passed = passed.and(source.advance());
                }
            }
            return passed;
        }
        if let Some(source) = self.sources.get_mut(first) {
            source.advance()?;
        }
        let of_second = second.and_then(|n| self.sources.get(n)).and_then(Source::key);
        let of_first = self.sources.get(first).and_then(Source::key);
        self.next = match (of_first, of_second) {
            (Some(key), Some(other)) if self.is_before(key, other) => Some((first, second)),
            (Some(_), None) => Some((first, None)),
            _ => None,
        };
        Ok(())
    }

    /// Goes past a row; false behind the last.
    pub fn pass_row(&mut self) -> Result<bool> {
        let shared = self.shared.clone();
        let engine = shared.enter()?;
        let _not_cancelled = NotCancelled::begin();
        Ok(self.step(&engine, |_, _, _| Ok(()))?.is_some())
    }

    /// The user's key of the row, and what it holds.
    pub fn key(&self) -> (&[u8], Type) {
        (key::user_part(&self.row_key), self.holds)
    }
}

impl Walk for Iter {
    fn next_row(&mut self) -> Result<Option<Row>> {
        let shared = self.shared.clone();
        let engine = shared.enter()?;
        let _not_cancelled = NotCancelled::begin();
        self.step(&engine, |key, value, holds| {
            let mut bytes = memory::vec_with_room(key.len() + value.len())?;
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(value);
            Ok(Row { bytes: Pinned::owned(bytes)?, key_len: key.len(), holds })
        })
    }

    fn next_rows(&mut self, most: usize, most_copied: usize, rows: &mut Rows) -> Result<bool> {
        let shared = self.shared.clone();
        let engine = shared.enter()?;
        let _not_cancelled = NotCancelled::begin();
        let mut left = most;
        while left > 0 && rows.copied_bytes() < most_copied {
            if self.step(&engine, |key, value, holds| rows.push_copy(key, value, holds))?.is_none() {
                return Ok(false);
            }
            left -= 1;
        }
        Ok(true)
    }

    fn for_each(&mut self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        let shared = self.shared.clone();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        loop {
            // The visitor may hold the last handle of the store, and let go of it.
            let _after_visit = AfterVisit(&shared);
            // Entered anew for each row: a slow visitor must not keep others from closing the store.
            let engine = shared.enter()?;
            let not_cancelled = NotCancelled::begin();
            let is_there = self.step(&engine, |of_row, in_row, _| {
                memory::copy_to(&mut key, of_row)?;
                Ok(memory::copy_to(&mut value, in_row)?)
            })?;
            drop(not_cancelled);
            if is_there.is_none() {
                return Ok(true);
            }
            let _visiting = shared.engine.visit();
            if !visit(&key, &value) {
                return Ok(false);
            }
        }
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.check_forked_or_closed()?;
        if key.len() > frame::MAX_KEY_SIZE {
            return Err(Error::TooLarge {
                what: "key",
                size: key.len() as u64,
                limit: frame::MAX_KEY_SIZE as u64,
            });
        }
        let key = key::of_user(key)?;
        self.start = Some(if self.reverse {
            if key < self.to { Bound::Included(key) } else { Bound::Excluded(memory::copy_of(&self.to)?) }
        } else if key < self.from {
            Bound::Included(memory::copy_of(&self.from)?)
        } else {
            Bound::Included(key)
        });
        (self.failure, self.after) = (None, After::Nothing);
        Ok(())
    }

    fn check_open(&self) -> Result<()> {
        self.check_forked_or_closed()
    }
}

impl Drop for Iter {
    fn drop(&mut self) {
        if let Ok(engine) = self.shared.enter() {
            engine.end_snapshot(self.seq);
        }
    }
}
