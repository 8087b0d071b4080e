//! Following the log: what was written after a number, in the order of the numbers.
//!
//! Invariants, each of which a test tries to break:
//! - Nothing is shown behind the bound that the caller gives, which is the end of a frame: so a batch is shown when all of it is written.
//! - Each number is passed once. One that is passed and not shown had no record in the files that the manifest listed at one moment
//!   after it was written. A merge had dropped that: because a newer version of its key is still there, with a number that is passed
//!   later; or it was a delete, and then the manifest says that deletes up to it may be missing, and the answer is a gap.
//! - So who applies all that is shown has, at the bound, what the store has.
//!
//! At the end of the log frames follow one another, and one is read after the other, from file to file. Merges take files of the log
//! away and write others, in no order of numbers. There the numbers and places of what is left are gathered first, and sorted.

mod followers;
mod gathered;

use std::ops::Range;
use std::sync::Arc;

use crate::format::Damage;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::{Header, Kind, MAX_HEADER_SIZE};
use crate::store::error::{Error, Result};
use crate::store::memory;

use super::catalog::Catalog;
use super::file::{DataFile, Frame};
use super::scan::frame_at;
pub use followers::Followers;
use gathered::Gathered;

/// How much of a file that is not mapped is read at once.
const WINDOW: u64 = 256 << 10;

/// What is shown at once.
pub struct Shown<'a> {
    /// A record, a mark or a whole batch.
    pub frame: &'a Frame<'a>,
    /// Of a batch all up to this number were shown before.
    pub after: u64,
    /// The file that it stands in.
    pub file: &'a DataFile,
}

/// How far a [`Feed`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// To the bound.
    ToTheEnd,
    /// As far as who was shown wanted to go on.
    Far,
    /// To a number that is not in the log any more, though it may matter.
    ToAGap,
}

/// How far a [`Feed`] goes.
pub struct Limits<'a> {
    /// Up to this number.
    pub bound: u64,
    /// How many places are gathered at once.
    pub most: usize,
    /// Whether the store is being closed, which ends a long search.
    pub is_closed: &'a dyn Fn() -> bool,
    /// See [`Catalog::moment`].
    pub moment: &'a dyn Fn() -> Result<(Vec<Arc<DataFile>>, u64)>,
}

impl Limits<'_> {
    /// `Err` once the store is being closed; asked now and then.
    fn check(&self, offset: u64) -> Result<()> {
        if offset.is_multiple_of(CHECKED_EVERY) && (self.is_closed)() { Err(Error::Closed) } else { Ok(()) }
    }
}

/// At frames that begin at a multiple of this it is asked whether to go on.
const CHECKED_EVERY: u64 = 4096;

/// Somebody's way through the log.
pub struct Feed {
    /// All up to this number was passed.
    at: u64,
    /// Where the frame of the next number is, as far as that is known.
    place: Option<(Arc<DataFile>, u64)>,
    gathered: Gathered,
    reading: Reading,
    /// The manifest when it was looked at last.
    generation: u64,
}

/// What was read of a file that is not mapped.
#[derive(Default)]
struct Reading {
    window: Range<u64>,
    bytes: Vec<u8>,
}

impl Reading {
    fn frame<'a>(
        &'a mut self,
        file: &'a DataFile,
        offset: u64,
        end: u64,
    ) -> Result<std::result::Result<Frame<'a>, Damage>> {
        frame_at(file, offset, end, WINDOW, &mut self.window, &mut self.bytes)
    }

    fn forget(&mut self) {
        self.window = 0..0;
    }
}

impl Feed {
    /// A way that begins behind the number `after`.
    pub fn new(after: u64) -> Self {
        let (gathered, reading) = (Gathered::default(), Reading::default());
        Feed { at: after, place: None, gathered, reading, generation: 0 }
    }

    /// All up to this number was passed.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Shows what comes next until `show` says false. After an error the next call goes on where this one failed.
    pub fn go_on(
        &mut self,
        catalog: &Catalog,
        limits: &Limits<'_>,
        show: &mut dyn FnMut(&Shown<'_>) -> Result<bool>,
    ) -> Result<Came> {
        while self.at < limits.bound {
            let went = match self.go(catalog, limits, show) {
                // A file that is listed no more may have lost its name while it was read.
                Err(error) if !matches!(error, Error::Closed) && self.generation != catalog.generation() => {
                    self.generation = catalog.generation();
                    self.forget();
                    continue;
                }
                went => went.inspect_err(|_| self.reading.forget())?,
            };
            if let Some(came) = went {
                return Ok(came);
            }
        }
        Ok(Came::ToTheEnd)
    }

    /// One step; `None` where more may be there.
    fn go(
        &mut self,
        catalog: &Catalog,
        limits: &Limits<'_>,
        show: &mut dyn FnMut(&Shown<'_>) -> Result<bool>,
    ) -> Result<Option<Came>> {
        if self.gathered.is_some() {
            return Ok(self.show_gathered(show)?.then_some(Came::Far));
        }
        if self.place.is_some() && self.read_on(limits.bound, show)? {
            return Ok(Some(Came::Far));
        }
        if self.at >= limits.bound {
            return Ok(None);
        }
        self.generation = catalog.generation();
        let (files, complete_after) = (limits.moment)()?;
        if self.find(&files, limits)? {
            return Ok(None);
        }
        if self.at < complete_after {
            return Ok(Some(Came::ToAGap));
        }
        // All that is missing from here on was replaced by something that comes later.
        self.gathered = Gathered::gather(files, self.at, limits, &mut self.reading)?;
        Ok(None)
    }

    /// Lets go of the files, and of what was gathered. The next call finds again what comes next, or that merges have dropped it meanwhile.
    pub fn rest(&mut self) {
        self.forget();
        self.reading = Reading::default();
    }

    fn forget(&mut self) {
        self.place = None;
        self.gathered = Gathered::default();
        self.reading.forget();
    }

    /// Shows frames one after the other, as long as each has the next number. True where `show` said that it is enough.
    fn read_on(&mut self, bound: u64, show: &mut dyn FnMut(&Shown<'_>) -> Result<bool>) -> Result<bool> {
        let Some((file, mut offset)) = self.place.take() else { return Ok(false) };
        let end = file.tail();
        let mut is_enough = false;
        while offset < end && self.at < bound && !is_enough {
            let frame = self.reading.frame(&file, offset, end)?.map_err(|what| file.corrupt(offset, what))?;
            let last = last_number(&frame, &file)?;
            if frame.header.seq > self.at + 1 || last <= self.at {
                // What comes next is elsewhere.
                return Ok(false);
            }
            if !file.is_intact(&frame) {
                // The next call comes here again, and to the same error.
                return Err(file.corrupt(offset, "the checksum of a frame does not match"));
            }
            is_enough = !show(&Shown { frame: &frame, after: self.at, file: &file })?;
            offset += frame.header.frame_size();
            self.at = last;
        }
        // Behind the end of the file, and not of the log, the next number is in another one.
        if is_enough || self.at >= bound {
            self.place = Some((file, offset));
        }
        Ok(is_enough)
    }

    /// Finds the frame of the next number. False where it is in none of the files.
    fn find(&mut self, files: &[Arc<DataFile>], limits: &Limits<'_>) -> Result<bool> {
        self.forget();
        let wanted = self.at + 1;
        let mut among = memory::vec_with_room(files.len())?;
        among.extend(files.iter().filter_map(|file| {
            let (min, max) = file.seqs();
            let may_have = file.tail() > FILE_HEADER_SIZE && min <= wanted && (wanted <= max || max == 0);
            // Files of the log have all numbers of their range; what a merge wrote has few of many.
            may_have.then_some(((min != wanted, max.saturating_sub(min)), file))
        }));
        among.sort_unstable_by_key(|(order, _)| *order);
        for (_, file) in among {
            let (mut offset, end) = (FILE_HEADER_SIZE, file.tail());
            self.reading.forget();
            while offset < end {
                limits.check(offset)?;
                let frame =
                    self.reading.frame(file, offset, end)?.map_err(|what| file.corrupt(offset, what))?;
                if frame.header.seq <= wanted && wanted <= last_number(&frame, file)? {
                    self.place = Some((Arc::clone(file), offset));
                    return Ok(true);
                }
                offset += frame.header.frame_size();
            }
        }
        self.reading.forget();
        Ok(false)
    }

    /// Shows what was gathered. True where `show` said that it is enough.
    fn show_gathered(&mut self, show: &mut dyn FnMut(&Shown<'_>) -> Result<bool>) -> Result<bool> {
        let mut buffer = Vec::new();
        while let Some((seq, file, offset)) = self.gathered.next() {
            let head = file.bytes(offset, MAX_HEADER_SIZE as u64, &mut buffer)?;
            let header = Header::decode(head, &file.origin).map_err(|what| file.corrupt(offset, what))?;
            let bytes = file.bytes(offset, header.frame_size(), &mut buffer)?;
            let frame =
                Frame::parse(bytes, offset, &file.origin).map_err(|what| file.corrupt(offset, what))?;
            if frame.header.seq != seq || !file.is_intact(&frame) {
                return Err(file.corrupt(offset, "the checksum of a frame does not match"));
            }
            let goes_on = show(&Shown { frame: &frame, after: self.at, file: &file })?;
            self.at = seq;
            self.gathered.pass();
            if !goes_on {
                return Ok(true);
            }
        }
        self.at = self.at.max(self.gathered.up_to());
        self.gathered = Gathered::default();
        Ok(false)
    }
}

/// The number of the last record of a frame.
fn last_number(frame: &Frame<'_>, file: &DataFile) -> Result<u64> {
    if frame.header.kind != Kind::Batch {
        return Ok(frame.header.seq);
    }
    let mut last = frame.header.seq;
    each_header(frame, file, &mut |header, _| {
        last = header.seq;
        Ok(())
    })?;
    Ok(last)
}

/// Shows the header of each record inside a batch, and where it stands. Checksums are not compared.
fn each_header(
    batch: &Frame<'_>,
    file: &DataFile,
    visit: &mut dyn FnMut(&Header, u64) -> Result<()>,
) -> Result<()> {
    let (mut rest, mut offset) = (batch.value(), batch.offset + batch.header.value_range().start);
    while !rest.is_empty() {
        let header = Header::decode(rest, &file.origin).map_err(|what| file.corrupt(batch.offset, what))?;
        visit(&header, offset)?;
        let size = header.frame_size();
        let more = usize::try_from(size).ok().and_then(|size| rest.get(size..));
        rest = more.ok_or_else(|| {
            file.corrupt(batch.offset, "a record is longer than the batch that it stands in")
        })?;
        offset += size;
    }
    Ok(())
}
