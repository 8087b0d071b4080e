//! What a walk reads of files that are not mapped: records that stand side by side, in one piece.

use std::ops::Range;

use crate::disk::process;
use crate::format::{ALIGNMENT, FileId};
use crate::index::Entry;
use crate::log::file::{DataFile, Frame};
use crate::store::error::Result;

/// How much is read at once, as the memory allows; of a larger record all.
const BLOCK: std::ops::RangeInclusive<u64> = 16 << 10..=128 << 10;
const BLOCK_SHARE: u64 = 1024;
/// The most between two records that is read with them: a read of its own takes longer.
const GAP: u64 = 4 << 10;

/// The piece that was read last.
#[derive(Default)]
pub(super) struct Block {
    file: Option<FileId>,
    start: u64,
    bytes: Vec<u8>,
}

impl Block {
    /// The frame of an entry, as [`DataFile::frame`]; `next` are the places that the walk comes to after it.
    pub(super) fn frame<'a>(
        &'a mut self,
        file: &'a DataFile,
        entry: Entry,
        next: impl Iterator<Item = u64>,
    ) -> Result<Frame<'a>> {
        let wanted = range_of(entry);
        let end = wanted.end.min(file.tail());
        let held = self.start..self.start + self.bytes.len() as u64;
        if self.file != Some(file.id) || wanted.start < held.start || end > held.end {
            self.file = None;
            let range = run(entry, next);
            self.start = range.start;
            let read = file.bytes(range.start, range.end - range.start, &mut self.bytes).map(drop);
            if read.is_err() && range != wanted {
                // What cannot be read may be a record that comes later.
                self.start = wanted.start;
                file.bytes(wanted.start, wanted.end - wanted.start, &mut self.bytes)?;
            } else {
                read?;
            }
            self.file = Some(file.id);
        }
        let from = (wanted.start - self.start) as usize;
        let to = ((end.max(wanted.start) - self.start) as usize).min(self.bytes.len());
        let bytes = self.bytes.get(from..to).unwrap_or_default();
        Frame::parse(bytes, wanted.start, &file.origin).map_err(|what| file.corrupt(wanted.start, what))
    }

    /// The files that the walk comes to from now on may have the slots and numbers of others.
    pub(super) fn forget(&mut self) {
        self.file = None;
    }
}

fn range_of(entry: Entry) -> Range<u64> {
    let start = u64::from(entry.location.units) * ALIGNMENT;
    start..start + entry.size.bytes()
}

/// The range of an entry and of those that stand close to it and come next.
fn run(entry: Entry, next: impl Iterator<Item = u64>) -> Range<u64> {
    let most = process::memory_share(BLOCK_SHARE, BLOCK);
    let mut run = range_of(entry);
    for next in next.map_while(Entry::from_place) {
        let range = range_of(next);
        let wider = run.start.min(range.start)..run.end.max(range.end);
        let is_near = range.start <= run.end + GAP && range.end + GAP >= run.start;
        if next.location.slot != entry.location.slot || !is_near || wider.end - wider.start > most {
            break;
        }
        run = wider;
    }
    run
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::disk::sim::{Fault, Kind, SimDisk};
    use crate::{Db, Options};

    #[test]
    fn a_walk_reads_records_that_stand_side_by_side_at_once() {
        let disk = SimDisk::new();
        disk.set_mapped(false);
        let db = Db::open_on(Arc::new(disk.clone()), &Options::default()).unwrap();
        for n in 0..1_000u32 {
            db.put(n.to_le_bytes(), n.to_le_bytes().repeat(25)).unwrap();
        }
        let walk = || {
            let mut rows = 0;
            let seen = db.iter(b"").unwrap().visit_rows(|key, value| {
                assert_eq!(value, key.repeat(25));
                rows += 1;
                true
            });
            seen.map(|_| rows)
        };
        let before = disk.operations();
        assert_eq!(walk().unwrap(), 1_000);
        let operations = disk.operations() - before;
        assert!(operations < 100, "{operations}");
    }

    #[test]
    fn a_record_that_cannot_be_read_keeps_those_beside_it_from_nobody() {
        let disk = SimDisk::new();
        disk.set_mapped(false);
        let db = Db::open_on(Arc::new(disk.clone()), &Options::default()).unwrap();
        (0..100u32).for_each(|n| db.put(n.to_le_bytes(), n.to_le_bytes().repeat(25)).unwrap());
        // The first load is one record.
        disk.fail(Fault::once(2, libc::EIO).of(&[Kind::Read]));
        let mut rows = 0;
        db.iter(b"")
            .unwrap()
            .visit_rows(|_, _| {
                rows += 1;
                true
            })
            .unwrap();
        assert_eq!(rows, 100);
        assert!(disk.failures().iter().any(|failed| failed.kind == Kind::Read), "the fault came to nobody");
    }
}
