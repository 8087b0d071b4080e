//! What another process has written to the log, on its way into the memtable of this one, and what it has written to runs.
//!
//! A frame is entered as a whole, as a write of this process would be: after what can be refused. So all that is visible is whole.

use crate::sync::atomic::Ordering;
use std::sync::Arc;

use super::commit::Entering;
use super::{Change, Engine, Tree, version_of};
use crate::format::frame::Kind;
use crate::log::append::Record;
use crate::log::file::{DataFile, Frame};
use crate::log::scan::each_in_batch;
use crate::lsm::key;
use crate::lsm::memtable::{self, Key, Memtable};
use crate::store::error::Result;
use crate::store::memory;

/// What a record of the log does to a memtable: to which of the engine's keys, which is empty for the delete of a range, and what.
pub fn logged<'a>(file: &DataFile, frame: &Frame<'a>) -> Result<(Key, Change<'a>)> {
    let Frame { header, offset, .. } = frame;
    let (kind, expiry_ms) = (header.kind, header.expiry_ms);
    let corrupt = |what| file.corrupt(*offset, what);
    let key = match kind {
        Kind::Element | Kind::Gone => Key::new(&key::of_logged_element(frame.key()).map_err(corrupt)?)?,
        Kind::Range => {
            key::decode_bounds(frame.value()).map_err(corrupt)?;
            Key::new(&[])?
        }
        _ => Key::of_user(frame.key())?,
    };
    let record = Record { kind, key: frame.key(), value: frame.value(), expiry_ms };
    Ok((key, version_of(&record)?))
}

impl Engine {
    /// Takes over the next frame of the log, which is intact. Gives the number of the record behind it; `None` where the first record does
    /// not have the number `next_seq`, or the frame is damaged. Nothing is changed then, nor after an error.
    pub fn apply(&self, file: &DataFile, frame: &Frame<'_>, next_seq: u64) -> Result<Option<u64>> {
        let mut all = Vec::new();
        let mut expected = next_seq;
        let mut add = |record: &Frame<'_>| {
            let is_next = record.header.seq == expected;
            expected += 1;
            is_next
        };
        let is_next = match frame.header.kind {
            Kind::Batch => {
                let mut is_next = true;
                let whole = each_in_batch(frame, &file.origin, &mut |record| {
                    is_next &= add(record);
                    self.push_entering(file, record, &mut all)
                })?;
                is_next && whole.is_ok()
            }
            Kind::Mark => add(frame),
            _ => {
                self.push_entering(file, frame, &mut all)?;
                add(frame)
            }
        };
        if !is_next {
            return Ok(None);
        }
        memtable::make_room(all.len())?;
        let mut active = self.writer.lock();
        active.make_room(all.iter().map(|(entering, _)| entering.room()).sum())?;
        file.include_seqs(next_seq, expected - 1);
        if !all.is_empty() {
            self.enter(&mut active, all);
        }
        self.visible.store(expected - 1, Ordering::Release);
        Ok(Some(expected))
    }

    fn push_entering<'a>(
        &self,
        file: &DataFile,
        frame: &Frame<'a>,
        all: &mut Vec<(Entering<'a>, u64)>,
    ) -> Result<()> {
        memory::room_for_more()?;
        let (key, change) = logged(file, frame)?;
        let entering = Entering::new(self, key, change);
        Ok(memory::push(all, (entering, frame.header.seq))?)
    }

    /// Takes over runs, and the deletes of ranges that belong to them, which have all up to the number `flushed`; that is visible.
    /// Memtables that have nothing newer go.
    pub fn take_runs(&self, runs: Tree, flushed: u64) {
        let mut active = self.writer.lock();
        debug_assert!(flushed <= self.visible());
        let has_newer = |table: &Memtable| table.seqs().is_some_and(|(_, max)| max > flushed);
        if active.seqs().is_some() && !has_newer(&active) {
            *active = Arc::new(Memtable::new(self.memtable_size));
        }
        self.change_tree(|tree| Tree {
            active: active.clone(),
            frozen: tree.frozen.iter().filter(|table| has_newer(table)).cloned().collect(),
            levels: runs.levels,
            ranges: runs.ranges,
        });
    }

    /// Takes the place of what there was: the store as it is behind the number `last_seq`. Who reads an older moment has the tree of that.
    pub fn begin_anew(&self, tree: Tree, last_seq: u64) {
        let mut active = self.writer.lock();
        *active = Arc::new(Memtable::new(self.memtable_size));
        self.change_tree(|_| {
            let Tree { active: last, mut frozen, levels, ranges } = tree;
            frozen.push(last);
            frozen.retain(|table| table.seqs().is_some());
            Tree { active: active.clone(), frozen, levels, ranges }
        });
        self.visible.store(last_seq, Ordering::Release);
    }
}
