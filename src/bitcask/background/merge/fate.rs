//! Whether a record of an input is needed.

use crate::bitcask::engine::Inside;
use crate::format::ALIGNMENT;
use crate::format::frame::{Header, Kind};
use crate::index::{Entry, KeyHash, Location};
use crate::log::file::DataFile;
use crate::store::error::Result;

/// A record of an input that is to be decided about.
pub(super) struct Candidate {
    pub(super) offset: u64,
    pub(super) header: Header,
    pub(super) hash: KeyHash,
}

/// What becomes of a record of an input.
pub(super) enum Fate {
    Drop,
    Keep(Entry),
    /// Only that the key is gone needs to be known; until this time also where it hides nothing.
    KeepTombstone(u64),
    /// The record is a tombstone, and nothing is left that it hides.
    DropTombstone,
}

/// Decides about one record.
pub(super) fn fate(
    engine: &Inside<'_>,
    input: &DataFile,
    candidate: &Candidate,
    older_elsewhere: u64,
) -> Result<Fate> {
    let Candidate { offset, header, hash } = candidate;
    let location = Location { slot: input.slot, units: (offset / ALIGNMENT) as u32 };
    let current = engine.index_of(header.kind).and_then(|index| index.get(*hash));
    let is_tombstone = header.kind == Kind::Tombstone;
    let expired = header.expiry_ms.is_some_and(|expiry_ms| engine.has_expired(expiry_ms));
    if let Some(entry) = current {
        if entry.location != location {
            // The index points at something newer.
            return Ok(Fate::Drop);
        }
        if !expired {
            return Ok(Fate::Keep(entry));
        }
        engine.forget_expired(engine, *hash, entry)?;
    }
    // A tombstone, or what is left of an expired record, hides older versions of the key.
    let may_hide = match is_tombstone {
        true => !seeded_bug!("tombstone-dropped-early"),
        false => expired && !seeded_bug!("expired-record-hides-nothing"),
    };
    let hides = may_hide && older_elsewhere < header.seq;
    if !is_tombstone && !expired {
        return Ok(Fate::Drop);
    }
    let died_ms = header.expiry_ms.unwrap_or(header.time_ms);
    let until = match engine.options.keep_tombstones_ms {
        0 => 0,
        kept => died_ms.saturating_add(kept),
    };
    let is_young = until > 0 && until > engine.clock.precise();
    Ok(match hides || is_young {
        true => Fate::KeepTombstone(if is_young { until } else { 0 }),
        false => Fate::DropTombstone,
    })
}
