//! Copies what is needed out of the inputs.

use std::sync::Arc;

use super::Merge;
use super::fate::{Candidate, Fate, fate};
use super::places::Places;
use crate::bitcask::background::seal;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::log::file::{DataFile, Frame};
use crate::log::scan::{End, frames_at, scan};
use crate::store::error::{Error, Result};
use crate::store::memory;

/// Between pieces of an input of so many bytes it is asked whether to go on.
const PIECE: u64 = 256 << 10;

/// How many records are decided about at once.
const GROUP: usize = 64;

impl Merge<'_> {
    pub(super) fn copy_all(&mut self, inputs: &[Arc<DataFile>]) -> Result<()> {
        let mut is_worth_a_look = true;
        for (n, input) in inputs.iter().enumerate() {
            if is_worth_a_look && self.places.in_file(input).is_none() && Places::are_enough(input) {
                let places = Places::look_up(self.shared, &inputs[n..]);
                is_worth_a_look = places.is_some();
                self.places = places.unwrap_or_default();
            }
            match self.copy_needed_of(input) {
                Ok(true) => {
                    self.take(input);
                    if !self.may_go_on()? {
                        return Ok(());
                    }
                }
                // What is finished is committed.
                Ok(false) => return Ok(()),
                Err(error) => {
                    if matches!(error, Error::Corrupt { .. }) {
                        input.never_merge();
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Whether to go on; asked between pieces, from outside the gate. `Err` in a child that the watcher forked: locks that other threads
    /// held then are never given up in it.
    fn may_go_on(&mut self) -> Result<bool> {
        self.progress.copied_bytes = self.copies.bytes;
        let has_unused = self.shared.inside().is_some_and(|engine| {
            engine.back_pressure.goes_on();
            let (begun, ended) = engine.catalog.files.retired();
            ended < begun
        });
        if has_unused {
            seal::collect(self.shared);
        }
        self.copies.keep_pace();
        let ended = {
            let _visiting = self.shared.gated().visit();
            (self.watch)(self.progress).is_break()
        };
        if self.shared.fork.is_forked() {
            return Err(Error::Forked);
        }
        self.stopped |= ended || self.shared.signal().is_stopped();
        Ok(!self.stopped)
    }

    /// Copies what is needed of one input. False if told to stop before the end.
    ///
    /// Records are decided about in groups: the index is asked for all of a group before any of them is looked up, so
    /// that the cache misses overlap.
    fn copy_needed_of(&mut self, input: &Arc<DataFile>) -> Result<bool> {
        // Those that are taken go together with the input, or, if that fails, stay together with it.
        let deaths = self.blockers.iter().filter(|(id, _)| *id != input.id).map(|(_, after)| *after).min();
        let older_elsewhere = deaths.unwrap_or(u64::MAX);
        let Some(hasher) = self.shared.inside().map(|engine| engine.hasher) else { return Ok(false) };
        let (mut group, mut reported) = (memory::vec_with_room(GROUP)?, 0);
        let places = std::mem::take(&mut self.places);
        let mut visit = |frame: &Frame<'_>| {
            if !frame.header.kind.is_record() {
                return Ok(());
            }
            let hash = hasher.hash(frame.key());
            group.push(Candidate { offset: frame.offset, header: frame.header, hash });
            let is_piece = frame.offset - reported >= PIECE;
            if is_piece || group.len() == GROUP {
                self.decide(input, &mut group, older_elsewhere)?;
            }
            if is_piece {
                self.worked_through(frame.offset - reported);
                reported = frame.offset;
                if !self.may_go_on()? {
                    // Nobody needs the rest of the file.
                    return Err(Error::Closed);
                }
            }
            Ok(())
        };
        let scanned = match places.in_file(input) {
            Some(places) => frames_at(input, places, &mut visit),
            None => scan(input, FILE_HEADER_SIZE, input.tail(), &mut visit).map(|(_, end)| end),
        };
        self.places = places;
        match scanned {
            Err(Error::Closed) => {
                self.stopped = true;
                return Ok(false);
            }
            Ok(End::Damaged { offset, what }) => return Err(input.corrupt(offset, what)),
            done => done?,
        };
        self.decide(input, &mut group, older_elsewhere)?;
        self.worked_through(input.tail() - reported);
        Ok(true)
    }

    /// Counts bytes of an input; after a failure the same may be counted again.
    fn worked_through(&mut self, bytes: u64) {
        self.progress.bytes.0 = (self.progress.bytes.0 + bytes).min(self.progress.bytes.1);
    }

    /// Copies those of a group that are needed, and empties it.
    fn decide(&mut self, input: &DataFile, group: &mut Vec<Candidate>, older_elsewhere: u64) -> Result<()> {
        let Some(engine) = self.shared.inside() else { return Ok(()) };
        for candidate in group.iter() {
            if let Some(index) = engine.index_of(candidate.header.kind) {
                index.prefetch_to_look(candidate.hash);
            }
        }
        let mut buffer = Vec::new();
        for candidate in group.drain(..) {
            let (from, until) = match fate(&engine, input, &candidate, older_elsewhere)? {
                Fate::Drop => continue,
                Fate::DropTombstone => {
                    self.work.dropped = self.work.dropped.max(candidate.header.seq);
                    continue;
                }
                Fate::Keep(entry) => (Some(entry), 0),
                Fate::KeepTombstone(until) => (None, until),
            };
            let bytes = input.bytes(candidate.offset, candidate.header.frame_size(), &mut buffer)?;
            let frame = Frame::parse(bytes, candidate.offset, &input.origin)
                .map_err(|what| input.corrupt(candidate.offset, what))?;
            if !input.is_mapped() && !frame.is_intact() {
                return Err(input.corrupt(candidate.offset, "a frame is not what it was a moment ago"));
            }
            self.copies.append(&engine, &mut self.work.outputs, &frame, candidate.hash, from)?;
            if let Some(output) = self.work.outputs.last().filter(|_| until > 0) {
                output.keep_tombstones_until(until);
            }
        }
        Ok(())
    }
}
