//! Walks the frames of a data file from the front, and says where and why it stopped.

use crate::format::frame::{FRAME_HEADER_SIZE, Header, Kind, MAX_HEADER_SIZE, Origin};
use crate::format::{ALIGNMENT, Damage, align};
use crate::index::Entry;
use crate::store::error::Result;

use super::file::{DataFile, Frame};
use super::readahead::{ReadAhead, ask_for};

/// How much of a plain file is read at once.
const WINDOW: u64 = 1 << 20;

/// Where a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the end of the file.
    Complete,
    /// At bytes that are no intact frame.
    Damaged {
        /// Where the frame would begin.
        offset: u64,
        /// What is wrong with it.
        what: Damage,
    },
}

/// Calls `visit` for every intact frame from `offset` up to `end`, records of a batch one by one and the batch itself
/// before them. Gives the offset behind the last intact frame, and why it ended there.
pub fn scan(
    file: &DataFile,
    mut offset: u64,
    end: u64,
    visit: &mut dyn FnMut(&Frame<'_>) -> Result<()>,
) -> Result<(u64, End)> {
    let (mut buffer, mut window) = (Vec::new(), 0..0);
    let mut ahead = ReadAhead::new(file.disk_file.as_ref(), offset..end);
    while offset < end {
        ahead.reach(offset);
        let read_ahead = if file.is_mapped() { end - offset } else { WINDOW };
        let frame = match frame_at(file, offset, end, read_ahead, &mut window, &mut buffer)? {
            Ok(frame) => frame,
            Err(what) => return Ok((offset, End::Damaged { offset, what })),
        };
        if !file.is_intact(&frame) {
            if seeded_bug!("torn-batch-taken") && frame.header.kind == Kind::Batch {
                let _ = each_in_batch(&frame, &file.origin, &mut |record| visit(record))?;
            }
            return Ok((offset, End::Damaged { offset, what: "the checksum of a frame does not match" }));
        }
        visit(&frame)?;
        if frame.header.kind == Kind::Batch
            && let Err(what) = each_in_batch(&frame, &file.origin, &mut |record| visit(record))?
        {
            return Ok((offset, End::Damaged { offset, what }));
        }
        offset += frame.header.frame_size();
    }
    Ok((offset, End::Complete))
}

/// How many records before one is read its cache lines are asked for.
const ASKED_AHEAD: usize = 16;

/// Calls `visit` for the frames at these places of a file, as [`Entry::place`] gives them. Like [`scan`] it ends at damage.
pub fn frames_at(
    file: &DataFile,
    places: &[u64],
    visit: &mut dyn FnMut(&Frame<'_>) -> Result<()>,
) -> Result<End> {
    let (mut buffer, mut asked, mut ask_at) = (Vec::new(), 0, 0);
    for (n, place) in places.iter().enumerate() {
        if n >= ask_at && asked < places.len() {
            let rest = places[asked..].iter().copied();
            let count = ask_for(rest, |_, range| file.disk_file.will_need(range));
            // Again when half of them are read.
            ask_at = asked + count / 2;
            asked += count;
        }
        if let Some(later) = places.get(n + ASKED_AHEAD).and_then(|place| Entry::from_place(*place)) {
            file.prefetch(later);
        }
        let Some(entry) = Entry::from_place(*place) else { continue };
        let frame = file.frame(entry, &mut buffer)?;
        if !file.is_intact(&frame) {
            return Ok(End::Damaged { offset: frame.offset, what: "the checksum of a frame does not match" });
        }
        visit(&frame)?;
    }
    Ok(End::Complete)
}

/// The frame at `offset`, read through `window`: the range of the file that `buffer` holds.
pub(super) fn frame_at<'a>(
    file: &'a DataFile,
    offset: u64,
    end: u64,
    read_ahead: u64,
    window: &mut std::ops::Range<u64>,
    buffer: &'a mut Vec<u8>,
) -> Result<std::result::Result<Frame<'a>, Damage>> {
    if file.is_mapped() {
        return Ok(Frame::parse(file.bytes(offset, end - offset, buffer)?, offset, &file.origin));
    }
    let mut want = (MAX_HEADER_SIZE as u64).min(end - offset);
    loop {
        if offset < window.start || offset + want > window.end {
            *window = offset..offset + want.max(read_ahead).min(end - offset);
            file.bytes(offset, window.end - offset, buffer)?;
        }
        let bytes = &buffer[(offset - window.start) as usize..];
        let size = match Header::decode(bytes, &file.origin) {
            Ok(header) => header.frame_size(),
            Err(what) => return Ok(Err(what)),
        };
        if size > end - offset {
            return Ok(Err("a frame is longer than what it stands in"));
        }
        if size <= bytes.len() as u64 {
            break;
        }
        want = size;
    }
    let from = (offset - window.start) as usize;
    Ok(Frame::parse(&buffer[from..], offset, &file.origin))
}

/// Calls `visit` for the frames inside an intact batch.
pub fn each_in_batch<'a>(
    batch: &Frame<'a>,
    origin: &Origin,
    visit: &mut dyn FnMut(&Frame<'a>) -> Result<()>,
) -> Result<std::result::Result<(), Damage>> {
    let mut rest = batch.value();
    let mut offset = batch.offset + batch.header.value_range().start;
    let mut seq = batch.header.seq;
    while !rest.is_empty() {
        let frame = match Frame::parse(rest, offset, origin) {
            Ok(frame) if frame.header.kind.is_record() => frame,
            _ => return Ok(Err("a batch holds something that is no record")),
        };
        if frame.header.seq != seq || !frame.is_intact() {
            return Ok(Err("a record inside a batch is damaged"));
        }
        visit(&frame)?;
        offset += frame.header.frame_size();
        rest = &rest[frame.header.frame_size() as usize..];
        seq = seq.wrapping_add(1);
    }
    Ok(Ok(()))
}

/// Whether a part of a file holds nothing but zeros, as room does that was reserved and not written to.
pub fn is_zeros(file: &DataFile, mut offset: u64, end: u64) -> Result<bool> {
    let mut buffer = Vec::new();
    while offset < end {
        let bytes = file.bytes(offset, WINDOW.min(end - offset), &mut buffer)?;
        if bytes.is_empty() || bytes.iter().any(|byte| *byte != 0) {
            return Ok(bytes.is_empty());
        }
        offset += bytes.len() as u64;
    }
    Ok(true)
}

/// The intact frames that stand, in no known order, behind damage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// Whether there are any.
    pub frames: bool,
    /// The largest durable frontier in them; 0 without one.
    pub frontier: u64,
}

/// Looks for intact frames behind the damage at `offset`.
///
/// Frames begin at multiples of 8 and are valid in their own place only, so they can be found again. The work is bounded:
/// bytes that were made to look like many large frames cannot cost more than a few passes over the rest of the file.
pub fn frames_behind(file: &DataFile, mut offset: u64, end: u64) -> Result<Behind> {
    let mut found = Behind::default();
    let budget = (end - offset).saturating_mul(4).max(1 << 20);
    let mut budgets = (budget, budget);
    let (mut buffer, mut start) = (Vec::new(), offset);
    let mut window: &[u8] = &[];
    let mut ahead = ReadAhead::new(file.disk_file.as_ref(), offset..end);
    offset += ALIGNMENT;
    while offset + FRAME_HEADER_SIZE as u64 <= end {
        let at = (offset - start) as usize;
        if at + MAX_HEADER_SIZE > window.len() && start + (window.len() as u64) < end {
            start = offset;
            ahead.reach(start);
            window = file.bytes(offset, WINDOW.min(end - offset), &mut buffer)?;
            continue;
        }
        let Some(bytes) = window.get(at..) else { break };
        if bytes.len() >= 8 && bytes[..8] == [0; 8] {
            offset += ALIGNMENT;
            continue;
        }
        if let Ok(header) = Header::decode(bytes, &file.origin)
            && header.frontier.is_none_or(|frontier| frontier <= super::Position::new(file.id, offset).0)
            // The log has no far frames.
            && !header.is_far
            && header.frame_size() <= end - offset
            // Once there is one, only those matter that carry a frontier.
            && (header.frontier.is_some() || !found.frames)
        {
            let size = header.frame_size();
            // Frames without a frontier, of which there are many, must not use up what finds the others.
            let budget = if header.frontier.is_some() { &mut budgets.0 } else { &mut budgets.1 };
            if size <= *budget {
                *budget -= size;
                let mut whole = Vec::new();
                let bytes = file.bytes(offset, size, &mut whole)?;
                if Frame::parse(bytes, offset, &file.origin).is_ok_and(|frame| file.is_intact(&frame)) {
                    found.frames = true;
                    found.frontier = found.frontier.max(header.frontier.unwrap_or(0));
                    offset += align(size);
                    continue;
                }
            } else {
                // Not known, so that it must be reckoned with.
                found.frames = true;
            }
        }
        offset += ALIGNMENT;
    }
    Ok(found)
}
