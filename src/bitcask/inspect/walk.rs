//! Walks the frames of a file that may be damaged, from the front to the end, and finds those behind damage again.
//!
//! Frames begin at multiples of 8 and are valid in their own place only, so one that is intact is what was written there. Two
//! things cannot be seen from the bytes alone, and are decided with care:
//!
//! - **Where a damaged frame ends.** Its header says it, if that is intact; no intact frame stands inside a record. One flipped bit
//!   in the length or the kind is found by trying: the checksum says which.
//! - **Whether what stands behind it belongs to a batch whose beginning is lost.** The frames in a batch look like any others. They
//!   have one time and numbers without a gap: the records behind damage for which that holds are *in doubt*, because a batch
//!   counts as a whole or not at all.
//!
//! The work is bounded: bytes that were made to look like many large frames cost a few passes over the file, and no more. What is
//! looked at on the chance that it is a frame (a *guess*) has a budget of its own, so that no guess costs an intact frame that stands
//! where the walk comes to: there only what turns out to be no frame is counted.

use std::ops::Range;

use super::content::Content;
use crate::format::frame::{FRAME_HEADER_SIZE, Header, Kind, MAX_HEADER_SIZE, Origin};
use crate::format::{ALIGNMENT, Damage, FileId};
use crate::log::Position;
use crate::store::error::Result;

/// The bits of a header that say where the frame ends: those of the length of the value, of the key, of kind and flags.
const BITS_OF_SIZE: [Range<usize>; 2] = [32..64, 136..160];

/// Guesses that nothing like a frame follows may be this part of their budget each, so that a few of them do not use it up.
const LONE_SHARE: u64 = 16;

/// Which sequence numbers the records of a file can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Any.
    Any,
    /// The numbers from the first to the last.
    Between(u64, u64),
    /// Numbers that grow by one from record to record.
    Log,
}

/// What stands next in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An intact frame; those in a batch follow it.
    Frame {
        /// Where it begins.
        offset: u64,
        /// What it says.
        header: Header,
        /// The record may be a part of a batch whose beginning is lost.
        in_doubt: bool,
    },
    /// Bytes that are no intact frame.
    Damage {
        /// Where they stand.
        range: Range<u64>,
        /// What is wrong with them.
        what: Damage,
        /// What the header says that stands there, where it fits to what is around it.
        header: Option<Header>,
        /// Whether a batch may have been there, by what can be seen.
        is_like_a_batch: bool,
    },
    /// Nothing more: zeros, or nothing at all, from here on.
    End(u64),
}

/// A walk.
pub struct Walk<'a> {
    pub content: &'a mut Content,
    id: FileId,
    origin: Origin,
    at: u64,
    end: u64,
    /// The end of the batch that the walk is in.
    batch_end: u64,
    /// The number of the last intact record or mark, and where that ends.
    last: Option<(u64, u64)>,
    numbers: Numbers,
    /// From here on there are zeros.
    zeros_from: Option<u64>,
    /// The first intact frame behind damage, while that is where the walk has not come yet: `Some(None)`: there is none.
    next_intact: Option<Option<u64>>,
    /// The time and the next number of the batch that the records here may belong to.
    doubt: Option<(u64, u64)>,
    /// How many bytes that turn out to be no frame may still be looked at where the walk comes to.
    own: u64,
    /// How many bytes of guesses may still be looked at that something like a frame follows.
    guesses: u64,
    /// As above, of those that nothing follows.
    lone: u64,
    is_done: bool,
}

impl<'a> Walk<'a> {
    /// A walk through a range of a file whose records have these numbers.
    pub fn new(
        content: &'a mut Content,
        (id, origin, numbers): (FileId, Origin, Numbers),
        range: Range<u64>,
    ) -> Self {
        let budget = (range.end - range.start.min(range.end)).saturating_mul(8).saturating_add(16 << 20);
        let (at, end) = (range.start, range.end.min(content.size()));
        Walk {
            content,
            id,
            origin,
            at,
            end,
            batch_end: 0,
            last: None,
            numbers,
            zeros_from: None,
            next_intact: None,
            doubt: None,
            own: budget,
            guesses: budget,
            lone: budget,
            is_done: false,
        }
    }

    /// A walk that begins behind the record or mark of this number; 0 where there is none.
    pub fn behind(self, seq: u64) -> Self {
        let last = Some((seq, self.at)).filter(|_| seq != 0);
        Walk { last, ..self }
    }

    /// The next thing in the file; after [`Step::End`], or damage that is the last, `None`.
    pub fn next_step(&mut self) -> Result<Option<Step>> {
        if self.is_done {
            return Ok(None);
        }
        // The file may have been cut meanwhile.
        self.end = self.end.min(self.content.size());
        if self.at >= self.end {
            self.is_done = true;
            return Ok(Some(Step::End(self.at)));
        }
        let offset = self.at;
        match self.own_frame_at(offset)? {
            Ok(header) => Ok(Some(self.take(offset, header))),
            Err(what) => self.damaged(offset, what).map(Some),
        }
    }

    /// Goes behind an intact frame, or into it where it is a batch.
    fn take(&mut self, offset: u64, header: Header) -> Step {
        self.next_intact = None;
        let is_inside = offset < self.batch_end;
        self.at = offset + header.frame_size();
        self.own = self.own.saturating_add(header.frame_size());
        if header.kind != Kind::Batch {
            self.last = Some((header.seq, self.at));
        }
        if header.kind == Kind::Batch {
            self.batch_end = self.at;
            self.at = offset + header.value_range().start;
        }
        let goes_on = self.doubt.is_some_and(|(time_ms, seq)| {
            let is_plain = header.kind.is_record() && header.frontier.is_none();
            is_plain && !is_inside && (time_ms, seq) == (header.time_ms, header.seq)
        });
        self.doubt = self.doubt.filter(|_| goes_on).map(|(time_ms, seq)| (time_ms, seq.wrapping_add(1)));
        Step::Frame { offset, header, in_doubt: goes_on }
    }

    /// Finds out how far damage goes.
    fn damaged(&mut self, offset: u64, what: Damage) -> Result<Step> {
        if self.is_zeros_from(offset)? {
            self.is_done = true;
            return Ok(Step::End(offset));
        }
        let header = self.header_at(offset)?.ok();
        if let Some(header) = header
            && let Some(end) = self.end_by_numbers(offset, &header)?
        {
            return Ok(self.pass(offset..end, what, header, false));
        }
        let next = self.next_intact(offset + ALIGNMENT)?;
        // The number of a batch is that of the first record in it.
        let follows = match (self.last, next) {
            (Some((last, _)), Some(next)) => {
                self.header_at(next)?.is_ok_and(|header| header.seq == last.wrapping_add(1))
            }
            _ => false,
        };
        // Also where the file was cut inside of it, and the records before the cut are whole.
        let is_like_a_batch =
            follows || self.decoded_at(offset)?.is_ok_and(|header| header.kind == Kind::Batch);
        let ends = match header {
            Some(header) => self.end_of(offset, &header, next)?,
            None => self.end_by_one_bit(offset)?,
        };
        if let Some((end, header)) = ends {
            self.next_intact = self.next_intact.filter(|next| next.is_none_or(|next| next >= end));
            return Ok(self.pass(offset..end, what, header, is_like_a_batch));
        }
        let end = next.unwrap_or(self.end);
        let what = self.why(offset..end, what);
        match next {
            None => self.is_done = true,
            Some(next) => {
                self.at = next;
                if let Ok(header) = self.header_at(next)? {
                    self.doubt = Some((header.time_ms, header.seq));
                }
            }
        }
        Ok(Step::Damage { range: offset..end, what, header: None, is_like_a_batch })
    }

    /// Goes behind a damaged frame of which is known where it ends and what its header was.
    fn pass(&mut self, range: Range<u64>, what: Damage, header: Header, is_like_a_batch: bool) -> Step {
        self.at = range.end;
        // No batch stands in another one.
        let is_batch = header.kind == Kind::Batch;
        let doubt = self.doubt.filter(|_| !is_batch);
        self.doubt = doubt.map(|(time_ms, seq)| (time_ms, seq.wrapping_add(1)));
        let is_like_a_batch = is_like_a_batch || is_batch;
        let what = self.why(range.clone(), what);
        Step::Damage { range, what, header: Some(header), is_like_a_batch }
    }

    /// What is wrong with a range.
    fn why(&self, range: Range<u64>, what: Damage) -> Damage {
        if self.content.is_unreadable(&range) { "the disk cannot read it" } else { what }
    }

    /// Where the damaged frame ends that has this header, if the numbers before and behind it say that nothing else is lost with it: then
    /// nothing has to be searched for in it.
    fn end_by_numbers(&mut self, offset: u64, header: &Header) -> Result<Option<u64>> {
        let end = offset + header.frame_size();
        // A merge brings numbers together that are not in their order.
        let continues = match self.last {
            Some((last, _)) => header.seq == last.wrapping_add(1),
            None => self.numbers == Numbers::Log,
        };
        if header.kind == Kind::Batch || !continues || end >= self.end {
            return Ok(None);
        }
        let is_next = self.header_at(end)?.is_ok_and(|next| next.seq == header.seq.wrapping_add(1));
        Ok((is_next && self.is_intact_at(end)?).then_some(end))
    }

    /// Where the damaged frame ends that has this header, and the header as it was; `None` where it does not fit to what is around it.
    /// `next` is the first intact frame behind its beginning.
    fn end_of(&mut self, offset: u64, header: &Header, next: Option<u64>) -> Result<Option<(u64, Header)>> {
        let end = offset + header.frame_size();
        let is_batch = header.kind == Kind::Batch;
        let ends_before = next.is_none_or(|next| next >= end);
        let is_followed = next == Some(end) || end == self.end;
        if !is_batch && ends_before && is_followed {
            return Ok(Some((end, *header)));
        }
        // One flipped bit in its length could end it in its middle.
        let by_one_bit = self.end_by_one_bit(offset)?;
        if by_one_bit.is_some() {
            return Ok(by_one_bit);
        }
        let is_followed = is_followed || self.is_zeros_from(end)?;
        let fits = match next.filter(|next| *next < end) {
            // The frames in a batch have its time, and the numbers from its own on. One of these may be what is damaged.
            Some(next) => {
                let most = header.frame_size() / FRAME_HEADER_SIZE as u64;
                let inside = self.header_at(next)?.ok();
                let has_its_time = inside.is_some_and(|inside| inside.time_ms == header.time_ms);
                let has_its_number = inside.is_some_and(|inside| inside.seq.wrapping_sub(header.seq) < most);
                let is_followed = is_followed || self.is_intact_at(end)?;
                is_batch
                    && ((is_followed && (has_its_time || has_its_number)) || (has_its_time && has_its_number))
            }
            None => is_followed || self.header_at(end)?.is_ok(),
        };
        Ok(fits.then_some((end, *header)))
    }

    /// Where the frame ends that is intact but for one bit that says where it ends, and its header without that.
    fn end_by_one_bit(&mut self, offset: u64) -> Result<Option<(u64, Header)>> {
        let mut bytes = [0; MAX_HEADER_SIZE];
        let there = self.content.get(offset, (MAX_HEADER_SIZE as u64).min(self.end - offset))?;
        let Some(place) = bytes.get_mut(..there.len()) else { return Ok(None) };
        place.copy_from_slice(there);
        let len = there.len();
        for bit in BITS_OF_SIZE.into_iter().flatten().filter(|bit| bit / 8 < len) {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let header = Header::decode(&bytes[..len], &self.origin);
            let flipped = bytes[bit / 8];
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(header) = header else { continue };
            let size = header.frame_size();
            if size > self.end - offset || size > self.guesses || !self.may_end_at(offset + size)? {
                continue;
            }
            self.guesses -= size;
            if self.is_intact_with(offset..offset + size, bit / 8, flipped)? {
                return Ok(Some((offset + size, header)));
            }
        }
        Ok(None)
    }

    /// Whether what stands at `offset` is what stands behind a frame: the header of another one, or nothing.
    fn may_end_at(&mut self, offset: u64) -> Result<bool> {
        Ok(offset == self.end || self.header_at(offset)?.is_ok() || self.is_zeros_from(offset)?)
    }

    /// Whether the frame in a range would be intact if it had another byte at `at`.
    fn is_intact_with(&mut self, frame: Range<u64>, at: usize, byte: u8) -> Result<bool> {
        let Some(stored) = self.content.get(frame.start, 4)?.first_chunk::<4>().copied() else {
            return Ok(false);
        };
        let begin = self.content.get(frame.start, FRAME_HEADER_SIZE as u64)?;
        let Some(mut begin) = begin.first_chunk::<FRAME_HEADER_SIZE>().copied() else { return Ok(false) };
        if let Some(place) = begin.get_mut(at) {
            *place = byte;
        }
        let mut hasher = crc32fast::Hasher::new_with_initial(self.origin.seed(frame.start));
        hasher.update(&begin[4..]);
        self.content.hash(&mut hasher, frame.start + FRAME_HEADER_SIZE as u64..frame.end)?;
        Ok(hasher.finalize() == u32::from_le_bytes(stored))
    }

    /// Whether nothing but zeros stands from `offset` on.
    fn is_zeros_from(&mut self, offset: u64) -> Result<bool> {
        let start = match self.zeros_from {
            Some(start) => start,
            None => self.content.zeros_at_the_end(self.end)?,
        };
        self.zeros_from = Some(start);
        Ok(offset >= start)
    }

    /// The header at `offset`, if a frame with it has room there.
    fn header_at(&mut self, offset: u64) -> Result<std::result::Result<Header, Damage>> {
        let end = self.end_around(offset);
        Ok(match self.decoded_at(offset)? {
            Ok(header) if header.frame_size() > end - offset => {
                Err("a frame is longer than what it stands in")
            }
            decoded => decoded,
        })
    }

    /// What stands at `offset`, taken for a header.
    fn decoded_at(&mut self, offset: u64) -> Result<std::result::Result<Header, Damage>> {
        let end = self.end_around(offset);
        if offset >= end {
            return Ok(Err("the file ends inside a frame"));
        }
        let bytes = self.content.peek(offset, (MAX_HEADER_SIZE as u64).min(end - offset))?;
        Ok(Header::decode(bytes, &self.origin))
    }

    /// The end of the batch that `offset` is in, or of what is walked through.
    fn end_around(&self, offset: u64) -> u64 {
        if offset < self.batch_end { self.batch_end } else { self.end }
    }

    /// The intact frame where the walk has come to.
    fn own_frame_at(&mut self, offset: u64) -> Result<std::result::Result<Header, Damage>> {
        let header = match self.header_at(offset)? {
            Ok(header) => header,
            Err(what) => return Ok(Err(what)),
        };
        let size = header.frame_size();
        if size > self.own {
            return Ok(Err("too many bytes before it look like the beginnings of frames"));
        }
        let checked = self.check(offset, &header)?;
        if checked.is_err() {
            self.own -= size;
        }
        Ok(checked.map(|()| header))
    }

    /// Whether the frame at `offset` is intact; a batch is with all that is in it.
    fn check(&mut self, offset: u64, header: &Header) -> Result<std::result::Result<(), Damage>> {
        if !self.content.is_intact(self.origin.seed(offset), offset..offset + header.frame_size())? {
            return Ok(Err("the checksum of a frame does not match"));
        }
        match header.kind {
            Kind::Batch if offset < self.batch_end => Ok(Err("a batch holds something that is no record")),
            Kind::Batch => self.check_batch(offset, header),
            _ => Ok(Ok(())),
        }
    }

    /// Whether there is an intact frame at `offset`, on the chance.
    fn is_intact_at(&mut self, offset: u64) -> Result<bool> {
        let Ok(header) = self.header_at(offset)? else { return Ok(false) };
        let size = header.frame_size();
        let is_followed = self.may_end_at(offset + size)?;
        let most = if is_followed { self.guesses } else { self.lone / LONE_SHARE };
        if size > most {
            return Ok(false);
        }
        let is_intact = self.check(offset, &header)?.is_ok();
        // What is intact is passed over, and no second time.
        if !is_intact {
            let left = if is_followed { &mut self.guesses } else { &mut self.lone };
            *left -= size;
        }
        Ok(is_intact)
    }

    /// Whether what is in a batch is records and nothing else.
    fn check_batch(&mut self, offset: u64, batch: &Header) -> Result<std::result::Result<(), Damage>> {
        let inside = batch.value_range();
        let (mut at, end) = (offset + inside.start, offset + inside.end);
        let mut seq = batch.seq;
        while at < end {
            let bytes = self.content.get(at, (MAX_HEADER_SIZE as u64).min(end - at))?;
            let header = match Header::decode(bytes, &self.origin) {
                Ok(header) if header.kind.is_record() && header.frame_size() <= end - at => header,
                _ => return Ok(Err("a batch holds something that is no record")),
            };
            let frame = at..at + header.frame_size();
            if header.seq != seq || !self.content.is_intact(self.origin.seed(at), frame)? {
                return Ok(Err("a record inside a batch is damaged"));
            }
            at += header.frame_size();
            seq = seq.wrapping_add(1);
        }
        Ok(Ok(()))
    }

    /// The first intact frame at or behind `from`, behind damage.
    fn next_intact(&mut self, from: u64) -> Result<Option<u64>> {
        if let Some(known) = self.next_intact
            && known.is_none_or(|known| known >= from)
        {
            return Ok(known);
        }
        let mut offset = from;
        let mut found = None;
        while offset + FRAME_HEADER_SIZE as u64 <= self.end.min(self.content.size()) {
            let bytes = self.content.get(offset, (MAX_HEADER_SIZE as u64).min(self.end - offset))?;
            if bytes.starts_with(&[0; 8]) {
                // Room that was reserved is large, and no frame begins with its padding.
                let Some(next) = self.content.first_non_zero(offset..self.end)? else { break };
                offset = (next / ALIGNMENT * ALIGNMENT).max(offset + ALIGNMENT);
                continue;
            }
            if self.is_candidate(offset)? && self.is_intact_at(offset)? {
                found = Some(offset);
                break;
            }
            offset += ALIGNMENT;
        }
        self.next_intact = Some(found);
        Ok(found)
    }

    /// Whether a frame may stand at `offset`.
    fn is_candidate(&mut self, offset: u64) -> Result<bool> {
        let Ok(header) = self.header_at(offset)? else { return Ok(false) };
        let is_earlier = header.frontier.is_none_or(|at| at <= Position::new(self.id, offset).0);
        Ok(is_earlier && (header.kind == Kind::Mark || self.can_be(&header, offset)))
    }

    /// Whether a record at `offset` can have the number that a header says.
    fn can_be(&self, header: &Header, offset: u64) -> bool {
        /// No record takes less.
        const SMALLEST: u64 = (FRAME_HEADER_SIZE as u64 + 1).next_multiple_of(ALIGNMENT);
        match (self.numbers, self.last) {
            (Numbers::Any, _) => true,
            (Numbers::Between(first, last), _) => (first..=last).contains(&header.seq),
            // The log has no far frames.
            (Numbers::Log, _) if header.is_far => false,
            (Numbers::Log, None) => true,
            (Numbers::Log, Some((last, end))) => {
                let between = offset.saturating_sub(end) / SMALLEST + 1;
                header.seq > last && header.seq - last <= between
            }
        }
    }
}
