//! The walk through one file of the log, up to the first frame that is not intact.

use super::Listed;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::{Header, Kind, MAX_HEADER_SIZE};
use crate::format::manifest::FileState;
use crate::format::{Damage, FileId};
use crate::log::file::{DataFile, Frame};
use crate::log::scan::{End, frames_behind, is_zeros, scan};
use crate::store::error::Result;

/// How files are walked through.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Whether the store was closed cleanly: then no tail is torn, and what is not intact is damage.
    pub is_clean: bool,
    /// In open files from this number on nothing is a part of the log.
    pub lost_from: Option<FileId>,
}

/// What was found in one file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Intact frames end here.
    pub end: u64,
    /// The first and the last sequence number; zeros where there is none.
    pub seqs: (u64, u64),
    /// The latest time of a record.
    pub max_time_ms: u64,
    /// The largest durable frontier that a frame carries.
    pub frontier: u64,
    /// Where and why the walk through an open file ended before the file did.
    pub damage: Option<(u64, Damage)>,
    /// Whether what is cut off is to be cut off durably before the store is open: it could be a part of the log again after the next
    /// crash.
    pub must_be_cut_durably: bool,
}

impl Walk {
    /// Whether something that is not intact in a file is damage, and no torn tail.
    pub fn is_final(&self, state: FileState) -> bool {
        state == FileState::Sealed || self.is_clean
    }

    /// Walks through a file from the offset `from` on, and shows its records to `visit`. `known` is what was found before that offset.
    pub fn file(
        &self,
        (entry, file): &Listed,
        from: u64,
        known: Outcome,
        mut visit: impl FnMut(&Frame<'_>) -> Result<()>,
    ) -> Result<Outcome> {
        let mut outcome = known;
        let is_lost = self.lost_from.is_some_and(|lost| file.id >= lost) && entry.state == FileState::Open;
        let end = if is_lost { FILE_HEADER_SIZE } else { file.tail() };
        // What is cut off here would fit the log again after the next crash.
        outcome.must_be_cut_durably = is_lost && file.tail() > FILE_HEADER_SIZE;
        let (end, why) = scan(file, from, end, &mut |frame| {
            let header = &frame.header;
            outcome.max_time_ms = outcome.max_time_ms.max(header.time_ms);
            outcome.frontier = outcome.frontier.max(header.frontier.unwrap_or(0));
            if header.kind != Kind::Batch {
                outcome.seqs.0 =
                    if outcome.seqs.0 == 0 { header.seq } else { outcome.seqs.0.min(header.seq) };
                outcome.seqs.1 = outcome.seqs.1.max(header.seq);
            }
            if header.kind.is_record() { visit(frame) } else { Ok(()) }
        })?;
        outcome.end = end;
        match why {
            End::Damaged { offset, what } if self.is_final(entry.state) => {
                return Err(file.corrupt(offset, what));
            }
            End::Damaged { offset, what } => {
                outcome.damage = Some((offset, what));
                let behind = frames_behind(file, end, file.tail())?;
                outcome.frontier = outcome.frontier.max(behind.frontier);
                outcome.must_be_cut_durably |= behind.frames || !ends_in_one_frame(file, end)?;
            }
            End::Complete => {}
        }
        Ok(outcome)
    }
}

/// Whether behind `offset` stands the beginning of one frame that has room, as a killed process leaves it, and nothing else. A
/// frame that the end of the file cuts off may become whole again: where zeros are missing, the file only has to grow.
fn ends_in_one_frame(file: &DataFile, offset: u64) -> Result<bool> {
    let mut buffer = Vec::new();
    let bytes = file.bytes(offset, MAX_HEADER_SIZE as u64, &mut buffer)?;
    let size = Header::decode(bytes, &file.origin).map_or(0, |header| header.frame_size());
    let end = offset.saturating_add(size);
    Ok(end <= file.tail() && is_zeros(file, end, file.tail())?)
}
