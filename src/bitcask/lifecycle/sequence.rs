//! Whether the log is whole: its sequence numbers grow by one from record to record, also from file to file.
//!
//! Files are sealed in the order of the log, so the open ones hold its end: the first record in them has the number behind
//! those in sealed files, all of which the manifest counts, and the first of each other file the number behind the last of
//! the file before. A file that lost its end, be it to zeros or to a cut between two frames, shows no other sign of it.
//!
//! A gap is damage where a frame says that all of the log before the file behind the gap was durable. Otherwise a power
//! cut may have lost what stood there, which nobody was promised. The manifest remembers such a gap then: as soon as
//! later writes are synced they would say that it was durable.

use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::manifest::FileEntry;
use crate::format::{Damage, FileId};
use crate::log::Position;

/// What a walk through an open file found.
#[derive(Clone, Copy, Debug)]
pub struct Walked {
    /// Its line in the manifest.
    pub entry: FileEntry,
    /// The first and the last number in it; zeros where there is none.
    pub seqs: (u64, u64),
    /// Intact frames end here.
    pub end: u64,
    /// Where and why the walk ended before the file did.
    pub damage: Option<(u64, Damage)>,
}

/// A place where the log breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Break {
    /// The file, in the order of those that were compared, and the offset in it.
    pub at: (usize, u64),
    /// What is wrong there.
    pub what: Damage,
    /// The file that the log goes on in, where a power cut may have lost what stood before it, which was promised to nobody. Else it is
    /// damage.
    pub before: Option<FileId>,
}

/// What the numbers in the open files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// The open files before which numbers are missing that were never promised.
    pub gaps: Vec<FileId>,
    /// The number of the first record in an open file, where there is one.
    pub first: Option<u64>,
}

/// Compares the numbers in the open files of a store. `last_seq` is what the manifest counts; `frontier` is how far frames say that the log
/// was durable.
pub fn compare(last_seq: u64, open: &[Walked], frontier: Position) -> (Sequence, Vec<Break>) {
    let (mut sequence, mut breaks) = (Sequence::default(), Vec::new());
    // The last record so far: its number and where it ends. And where the log breaks off if it does not go on behind that: in
    // an empty file, where there is one.
    let mut last: Option<(u64, (usize, u64))> = None;
    let mut broken: Option<(usize, u64)> = None;
    for (n, file) in open.iter().enumerate() {
        let (first, its_last) = file.seqs;
        if first == 0 {
            // Made for an earlier place in the log and never written to; or what it held is gone.
            broken = broken.filter(|(_, end)| *end == FILE_HEADER_SIZE).or(Some((n, file.end)));
            continue;
        }
        let is_next = match last {
            Some((last, _)) => last.checked_add(1) == Some(first),
            None => first <= last_seq.saturating_add(1),
        };
        if !is_next && file.entry.follows {
            let before = Some(file.entry.id).filter(|id| frontier.file() < *id);
            sequence.gaps.extend(before);
            let what = "the log ends here, and goes on with a later record in the next file";
            breaks.push(Break { at: broken.unwrap_or((n, FILE_HEADER_SIZE)), what, before });
        }
        sequence.first = sequence.first.or(Some(first));
        last = Some((its_last, (n, file.end)));
        broken = Some((n, file.end));
    }
    if let Some((_, at)) = last.filter(|(last, _)| *last < last_seq) {
        let what = "the log ends before what was durable when the manifest was written";
        breaks.push(Break { at, what, before: None });
    }
    (sequence, breaks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::manifest::FileState;

    fn file(id: FileId, seqs: (u64, u64), follows: bool) -> Walked {
        let entry =
            FileEntry { id, state: FileState::Open, salt: 0, follows, length: 64, min_seq: 0, max_seq: 0 };
        Walked { entry, seqs, end: 1000, damage: None }
    }

    #[test]
    fn a_gap_is_damage_only_before_what_was_durable() {
        let open = [file(3, (5, 9), true), file(4, (0, 0), true), file(5, (12, 13), true)];
        let (sequence, breaks) = compare(4, &open, Position::new(3, 500));
        assert_eq!((sequence.gaps, sequence.first), (vec![5], Some(5)));
        assert_eq!(
            breaks.iter().map(|place| (place.at, place.before)).collect::<Vec<_>>(),
            [((1, 1000), Some(5))]
        );
        let (sequence, breaks) = compare(4, &open, Position::new(5, 64));
        assert!(sequence.gaps.is_empty() && breaks.len() == 1 && breaks[0].before.is_none());
        let remembered = [file(3, (5, 9), true), file(5, (12, 13), false)];
        assert_eq!(compare(4, &remembered, Position::new(5, 64)).1, []);
    }

    #[test]
    fn numbers_that_the_manifest_counts_and_no_file_has_are_damage() {
        let open = [file(3, (5, 9), true)];
        assert_eq!(compare(9, &open, Position(0)).1, []);
        let (_, breaks) = compare(10, &open, Position(0));
        assert_eq!(
            breaks.iter().map(|place| (place.at, place.before)).collect::<Vec<_>>(),
            [((0, 1000), None)]
        );
        assert_eq!(compare(3, &open, Position(0)).1.len(), 1);
    }
}
