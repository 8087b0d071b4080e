//! Whether the log is whole: its sequence numbers grow by one from record to record, also from file to file.
//!
//! Files are sealed in the order of the log, so the open ones hold its end: the first record in them has the number behind
//! those in sealed files, all of which the manifest counts, and the first of each other file the number behind the last of
//! the file before. A file that lost its end, be it to zeros or to a cut between two frames, shows no other sign of it.
//!
//! A gap is damage where a frame says that all of the log before the file behind the gap was durable. Otherwise a power
//! cut may have lost what stood there, which nobody was promised. The manifest remembers such a gap then: as soon as
//! later writes are synced they would say that it was durable.
//!
//! The ordered engine sealed a file before one that stands before it, now and then, up to its mending in version 0.2. So there a sealed
//! file may have exactly the numbers that are missing between two open ones. (Its files are never merged, so it has all of them.)

use crate::format::features::ORDERED;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::manifest::{FileEntry, FileState, Manifest};
use crate::format::{Damage, FileId};
use crate::log::Position;

/// What a walk through an open file found.
#[derive(Clone, Copy, Debug)]
pub struct Walked {
    /// The file's line in the manifest.
    pub entry: FileEntry,
    /// The first and the last number in the file; zeros where there is none.
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

/// The number that the log goes on with behind `last`, the last number in file `after`: in the next open file, which may be file `before`,
/// or behind all open ones. Where the ordered engine sealed the files in between, that is the one behind what they hold.
fn next_of(manifest: &Manifest, last: u64, after: FileId, before: Option<FileId>) -> Option<u64> {
    let mut next = last.checked_add(1)?;
    if manifest.needs.has(ORDERED) {
        // They are in the order of the log.
        let between = manifest.files.iter().filter(|entry| {
            entry.state == FileState::Sealed
                && entry.id > after
                && before.is_none_or(|before| entry.id < before)
        });
        for entry in between {
            if entry.min_seq != next || entry.max_seq < next {
                break;
            }
            next = entry.max_seq.checked_add(1)?;
        }
    }
    Some(next)
}

/// Compares the numbers in the open files of a store, of which the manifest says what it counts; `frontier` is how far frames say that
/// the log was durable.
pub fn compare(manifest: &Manifest, open: &[Walked], frontier: Position) -> (Sequence, Vec<Break>) {
    let last_seq = manifest.last_seq;
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
            Some((last, (its, _))) => {
                next_of(manifest, last, open[its].entry.id, Some(file.entry.id)) == Some(first)
            }
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
    let ends_early = |(last, (its, _)): &(u64, (usize, u64))| {
        next_of(manifest, *last, open[*its].entry.id, None).is_some_and(|next| next <= last_seq)
    };
    if let Some((_, at)) = last.filter(ends_early) {
        let what = "the log ends before what was durable when the manifest was written";
        breaks.push(Break { at, what, before: None });
    }
    (sequence, breaks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::features::Needs;
    use crate::format::ordered::Ordered;

    fn counting(last_seq: u64) -> Manifest {
        Manifest {
            generation: 1,
            store_id: [1; 16],
            hash_key: [2; 16],
            clean: false,
            next_file_id: 9,
            last_seq,
            clock_ms: 0,
            checkpoint: 0,
            needs: Needs::default(),
            files: Vec::new(),
            ordered: Ordered::default(),
            complete_after: 0,
        }
    }

    fn file(id: FileId, seqs: (u64, u64), follows: bool) -> Walked {
        let entry =
            FileEntry { id, state: FileState::Open, salt: 0, follows, length: 64, min_seq: 0, max_seq: 0 };
        Walked { entry, seqs, end: 1000, damage: None }
    }

    #[test]
    fn a_gap_is_damage_only_before_what_was_durable() {
        let open = [file(3, (5, 9), true), file(4, (0, 0), true), file(5, (12, 13), true)];
        let (sequence, breaks) = compare(&counting(4), &open, Position::new(3, 500));
        assert_eq!((sequence.gaps, sequence.first), (vec![5], Some(5)));
        assert_eq!(
            breaks.iter().map(|place| (place.at, place.before)).collect::<Vec<_>>(),
            [((1, 1000), Some(5))]
        );
        let (sequence, breaks) = compare(&counting(4), &open, Position::new(5, 64));
        assert!(sequence.gaps.is_empty() && breaks.len() == 1 && breaks[0].before.is_none());
        let remembered = [file(3, (5, 9), true), file(5, (12, 13), false)];
        assert_eq!(compare(&counting(4), &remembered, Position::new(5, 64)).1, []);
    }

    #[test]
    fn numbers_that_the_manifest_counts_and_no_file_has_are_damage() {
        let open = [file(3, (5, 9), true)];
        assert_eq!(compare(&counting(9), &open, Position(0)).1, []);
        let (_, breaks) = compare(&counting(10), &open, Position(0));
        assert_eq!(
            breaks.iter().map(|place| (place.at, place.before)).collect::<Vec<_>>(),
            [((0, 1000), None)]
        );
        assert_eq!(compare(&counting(3), &open, Position(0)).1.len(), 1);
    }

    #[test]
    fn a_file_that_was_sealed_before_one_that_stands_before_it_fills_exactly_its_place() {
        let open = [file(3, (5, 9), true), file(6, (15, 16), true)];
        let sealed = |id, min_seq, max_seq| FileEntry {
            state: FileState::Sealed,
            min_seq,
            max_seq,
            ..file(id, (0, 0), true).entry
        };
        let with = |files: Vec<FileEntry>, ordered: bool, last_seq| {
            let mut manifest = Manifest { files, ..counting(last_seq) };
            if ordered {
                manifest.needs.add(ORDERED);
            }
            manifest
        };
        let breaks =
            |manifest: &Manifest, open: &[Walked]| compare(manifest, open, Position::new(6, 64)).1.len();
        assert_eq!(breaks(&with(vec![sealed(4, 10, 14)], true, 14), &open), 0);
        assert_eq!(breaks(&with(vec![sealed(4, 10, 12), sealed(5, 13, 14)], true, 14), &open), 0);
        assert_eq!(breaks(&with(vec![sealed(4, 10, 14)], true, 14), &open[..1]), 0);
        // Numbers are missing, or are elsewhere; or a merge may have taken some of them out of the file.
        assert_eq!(breaks(&with(vec![sealed(4, 11, 14)], true, 14), &open), 1);
        assert_eq!(breaks(&with(vec![sealed(4, 10, 13)], true, 14), &open), 1);
        assert_eq!(breaks(&with(vec![sealed(2, 10, 14)], true, 14), &open), 1);
        assert_eq!(breaks(&with(vec![sealed(7, 10, 14)], true, 14), &open), 1);
        assert_eq!(breaks(&with(vec![sealed(4, 10, 14)], false, 14), &open), 1);
        assert_eq!(breaks(&with(vec![sealed(4, 10, 14)], true, 15), &open[..1]), 1);
    }
}
