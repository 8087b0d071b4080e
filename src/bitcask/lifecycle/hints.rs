//! Writing hint files for sealed data files, and reading them back at a start.

use super::bins::Found;
use super::rebuild::Content;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::Kind;
use crate::format::hint::{HintEntry, HintHeader, HintReader, HintWriter};
use crate::format::{ALIGNMENT, names};
use crate::index::{KeyHash, KeyHasher, SizeClass};
use crate::log::catalog::{Catalog, replace};
use crate::log::file::DataFile;
use crate::log::opening::read_whole;
use crate::log::recovery::walk::Outcome;
use crate::log::scan::{End, scan};
use crate::store::error::Result;

const FIRST_UNITS: u32 = (FILE_HEADER_SIZE / ALIGNMENT) as u32;

/// A hint is written by itself only where it takes at most this part of its data file. With small records it would be
/// a tenth of the data, and a start from it would hardly be faster than from the data: docs/experiments/.
pub const AUTOMATIC_SHARE: u64 = 24;

/// Writes the hint file of a sealed data file, unless it would take more than a `share`-th of its size (1: whatever its size). True if it
/// was written.
pub fn write(catalog: &Catalog, file: &DataFile, hasher: &KeyHasher, share: u64) -> Result<bool> {
    let mut writer = HintWriter::new(FIRST_UNITS);
    let (mut max_time_ms, limit) = (0, file.tail() / share);
    // An entry takes 13 bytes and more: small records need not be read to know that the hint would be too large.
    if share > 1 && file.usage.records() * 13 > limit.max(512) {
        return Ok(false);
    }
    let mut too_large = false;
    let (_, end) = scan(file, FILE_HEADER_SIZE, file.tail(), &mut |frame| {
        max_time_ms = max_time_ms.max(frame.header.time_ms);
        // Hints know of no collections: a file that has some of one is read itself.
        too_large |= matches!(frame.header.kind, Kind::Head | Kind::Element);
        if frame.header.kind.is_record() && !too_large {
            let found = Found::of(frame, hasher);
            writer.push(&HintEntry {
                hash: (found.hash.root, found.hash.word, found.hash.fingerprint),
                offset_units: found.units.0,
                size_units: found.units.1,
                seq: found.seq,
                expiry_ms: found.expiry_ms,
                tombstone: found.kind == Kind::Tombstone,
            })?;
            too_large = share > 1 && writer.size() as u64 > limit.max(512);
        }
        Ok(())
    })?;
    if let End::Damaged { offset, what } = end {
        return Err(file.corrupt(offset, what));
    }
    if too_large {
        return Ok(false);
    }
    let header = HintHeader {
        file_id: file.id,
        salt: file.origin.salt,
        store_id: catalog.manifest().store_id,
        data_length: file.tail(),
        max_time_ms,
        seqs: file.seqs(),
    };
    let bytes = writer.finish(&header);
    let (temporary, name) = (names::hint_tmp(file.id), names::hint(file.id));
    let size = bytes.len() as u64;
    replace(catalog.disk.as_ref(), &temporary, &name, size, &mut |file| file.write_at(&[&bytes], 0))?;
    Ok(true)
}

/// Writes the hint file of a sealed data file, whatever its size, unless there is one.
pub fn write_missing(catalog: &Catalog, file: &DataFile, hasher: &KeyHasher) -> Result<()> {
    if catalog.disk.open_plain(&names::hint(file.id)).is_ok() {
        return Ok(());
    }
    write(catalog, file, hasher, 1).map(|_| ())
}

/// Calls `apply` for every record of a data file, as its hint has them. `None` where there is no hint that belongs to
/// the file beyond doubt.
pub fn load(
    catalog: &Catalog,
    file: &DataFile,
    store_id: &[u8; 16],
    apply: &mut dyn FnMut(&Found) -> Result<()>,
) -> Result<Option<(Outcome, Content)>> {
    let Ok(bytes) = read_whole(catalog.disk.as_ref(), &names::hint(file.id)) else { return Ok(None) };
    let Ok((header, mut reader)) = HintReader::open(&bytes, FIRST_UNITS) else { return Ok(None) };
    let expected = (file.id, file.origin.salt, *store_id, file.tail());
    let is_its = (header.file_id, header.salt, header.store_id, header.data_length) == expected;
    if !is_its && !seeded_bug!("stale-hint-trusted") {
        return Ok(None);
    }
    let outcome = Outcome { seqs: header.seqs, max_time_ms: header.max_time_ms, ..Outcome::default() };
    let mut content = Content::default();
    loop {
        // What was applied before a doubt arose is true all the same, and applying it again changes nothing.
        let Ok(entry) = reader.next_entry() else { return Ok(None) };
        let Some(entry) = entry else { return Ok(Some((outcome, content))) };
        content.records += 1;
        content.weight += SizeClass::of_units(u64::from(entry.size_units)).bytes();
        let (root, word, fingerprint) = entry.hash;
        apply(&Found {
            hash: KeyHash { root, word, fingerprint },
            units: (entry.offset_units, entry.size_units),
            seq: entry.seq,
            expiry_ms: entry.expiry_ms,
            kind: if entry.tombstone { Kind::Tombstone } else { Kind::Put },
        })?;
    }
}
