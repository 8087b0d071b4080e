//! The ends of the files that were written to when a process or the machine died.

use super::Listed;
use super::sequence::{self, Sequence, Walked};
use super::walk::Outcome;
use crate::format::Damage;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::manifest::{FileState, Manifest};
use crate::log::Position;
use crate::log::catalog::Poison;
use crate::log::scan::is_zeros;
use crate::store::error::Result;
use crate::store::options::{Options, SyncMode};

/// What is wrong with the end of an open file, and where, if it is damage and no torn tail. `is_empty` says whether there is nothing
/// but zeros from an offset on.
pub fn damage_of(
    file: &Walked,
    frontier: Position,
    is_empty: impl FnOnce(u64) -> Result<bool>,
) -> Result<Option<(u64, Damage)>> {
    let id = file.entry.id;
    if file.end < file.entry.length {
        return Ok(Some(file.damage.unwrap_or((file.end, "the file ends before what a close left"))));
    }
    if Position::new(id, file.end) >= frontier {
        return Ok(None);
    }
    if let Some((offset, what)) = file.damage
        // A file before the frontier's may only end where the log went on in the next one: in reserved space.
        && !(frontier.file() > id && is_empty(offset)?)
    {
        return Ok(Some((offset, what)));
    }
    let is_short = frontier.file() == id;
    Ok(is_short.then_some((file.end, "the log ends before what was durable")))
}

/// Cuts torn tails off, and gives the durable frontier and what the sequence numbers say. What stands behind that may be in the kernel's memory only, where a
/// killed process left it. Writing it to the disk may take long; the next sync does it. But it is done here where
/// every write is to be durable before it is seen, and where intact frames were cut off, or what may become one: they would be a
/// part of the log again after the next crash if something else came to stand in front of them.
pub fn repair_tails(
    manifest: &Manifest,
    files: &[Listed],
    outcomes: &[Outcome],
    options: &Options,
    poison: &Poison,
) -> Result<(Position, Sequence)> {
    let frontier = Position(outcomes.iter().map(|outcome| outcome.frontier).max().unwrap_or(0));
    let open = || files.iter().zip(outcomes).filter(|((entry, _), _)| entry.state == FileState::Open);
    let mut walked = Vec::with_capacity(files.len());
    for ((entry, file), outcome) in open() {
        let found = Walked { entry: *entry, seqs: outcome.seqs, end: outcome.end, damage: outcome.damage };
        if let Some((offset, what)) = damage_of(&found, frontier, |from| is_zeros(file, from, file.tail()))? {
            return Err(file.corrupt(offset, what));
        }
        walked.push((found, file));
    }
    let found: Vec<Walked> = walked.iter().map(|(found, _)| *found).collect();
    let (sequence, breaks) = sequence::compare(manifest, &found, frontier);
    if let Some(place) = breaks.iter().find(|place| place.before.is_none())
        && let Some((_, file)) = walked.get(place.at.0)
    {
        return Err(file.corrupt(place.at.1, place.what));
    }
    if options.read_only {
        return Ok((frontier, sequence));
    }
    for ((entry, file), outcome) in open() {
        let failed = |e: std::io::Error| file.io_error("cut the torn tail of", &e);
        // A clean store has nothing to repair, and is not written to by opening it.
        if outcome.end < file.tail() && !seeded_bug!("tail-not-truncated") {
            file.disk_file.truncate(outcome.end).map_err(failed)?;
        } else if entry.length == outcome.end {
            continue;
        }
        let durable = match frontier.file() {
            id if id == file.id => frontier.offset(),
            id if id > file.id => outcome.end,
            _ => FILE_HEADER_SIZE,
        };
        // What a clean close left is durable too.
        file.set_unsure(durable.max(entry.length), outcome.end);
        if options.sync == SyncMode::Always || outcome.must_be_cut_durably {
            file.sync(poison, "sync the tail of")?;
        }
    }
    Ok((frontier, sequence))
}
