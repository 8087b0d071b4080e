//! Whether the log is whole: its sequence numbers grow by one from record to record, also from file to file.
//!
//! Files are sealed in the order of the log, so the open ones hold its end: the first record in them has the number behind
//! those in sealed files, all of which the manifest counts, and the first of each other file the number behind the last of
//! the file before. A file that lost its end, be it to zeros or to a cut between two frames, shows no other sign of it.
//!
//! A gap is damage where a frame says that all of the log before the file behind the gap was durable. Otherwise a power
//! cut may have lost what stood there, which nobody was promised. The manifest remembers such a gap then: as soon as
//! later writes are synced they would say that it was durable.

use std::sync::Arc;

use super::rebuild::Outcome;
use crate::format::FileId;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::log::Position;
use crate::log::file::DataFile;
use crate::store::error::Result;

/// What the numbers in the open files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// The open files before which numbers are missing that were never promised.
    pub gaps: Vec<FileId>,
    /// The number of the first record in an open file, where there is one.
    pub first: Option<u64>,
}

/// Compares the numbers in the files of a store; `frontier` is how far frames say that the log was durable.
pub fn check(
    manifest: &Manifest,
    files: &[(FileEntry, Arc<DataFile>)],
    outcomes: &[Outcome],
    frontier: Position,
) -> Result<Sequence> {
    let mut sequence = Sequence::default();
    // The last record so far: its number and where it ends. And where the log breaks off if it does not go on behind that: in
    // an empty file, where there is one.
    let mut last: Option<(u64, &DataFile, u64)> = None;
    let mut broken: Option<(&DataFile, u64)> = None;
    let open = files.iter().zip(outcomes).filter(|((entry, _), _)| entry.state == FileState::Open);
    for ((entry, file), outcome) in open {
        let (first, its_last) = outcome.seqs;
        if first == 0 {
            // Made for an earlier place in the log and never written to; or what it held is gone.
            broken = broken.filter(|(_, end)| *end == FILE_HEADER_SIZE).or(Some((file, outcome.end)));
            continue;
        }
        let is_next = match last {
            Some((last, ..)) => last.checked_add(1) == Some(first),
            None => first <= manifest.last_seq.saturating_add(1),
        };
        if !is_next && entry.follows {
            if frontier.file() >= file.id {
                let (file, end) = broken.unwrap_or((file, FILE_HEADER_SIZE));
                return Err(
                    file.corrupt(end, "the log ends here, and goes on with a later record in the next file")
                );
            }
            sequence.gaps.push(file.id);
        }
        sequence.first = sequence.first.or(Some(first));
        last = Some((its_last, file, outcome.end));
        broken = Some((file, outcome.end));
    }
    if let Some((_, file, end)) = last.filter(|(last, ..)| *last < manifest.last_seq) {
        return Err(file.corrupt(end, "the log ends before what was durable when the manifest was written"));
    }
    Ok(sequence)
}
