//! The end of a merge: outputs become durable, and take the place of the inputs.

use crate::sync::atomic::Ordering;
use std::sync::Arc;

use super::Merge;
use crate::bitcask::engine::Engine;
use crate::bitcask::lifecycle::hints;
use crate::format::manifest::{FileEntry, FileState};
use crate::log::file::DataFile;
use crate::store::error::Result;
use crate::store::events::LogLevel;
use crate::store::memory;

impl Merge<'_> {
    /// Makes the outputs durable and lets them take the place of the inputs that are finished.
    pub(super) fn commit(&mut self) -> Result<()> {
        let Some(engine) = self.shared.inside() else { return Ok(()) };
        if self.work.finished.is_empty() && self.work.outputs.is_empty() {
            return Ok(());
        }
        memory::room_for_small_things()?;
        let entries = engine.back_pressure.while_disk_works(|| self.make_durable(&engine))?;
        engine.catalog.events.log(LogLevel::Info, || {
            let (gone, kept) =
                (self.work.finished.len(), entries.iter().map(|entry| entry.length).sum::<u64>());
            format!("merged {gone} files into {} with {kept} bytes", entries.len())
        });
        engine.counters.merges.fetch_add(1, Ordering::Relaxed);
        let work = std::mem::take(self.work);
        let is_unused = |output: &Arc<DataFile>| output.seqs().1 == 0;
        let gone = || work.finished.iter().chain(work.outputs.iter().filter(|file| is_unused(file)));
        engine.back_pressure.will_remove(work.finished.iter().map(|file| file.tail()).sum(), || {
            work.outputs.iter().filter(|file| !is_unused(file)).for_each(|file| file.set_sealed());
            gone().for_each(|file| file.set_replaced());
        });
        // Who took a record of an input out of the index may not have told the snapshots yet.
        engine.index.wait_for_writers();
        engine.snapshots.pin(gone().cloned());
        Ok(())
    }

    /// Writes outputs and manifest to the disk; what the manifest says of the outputs.
    fn make_durable(&self, engine: &Engine) -> Result<Vec<FileEntry>> {
        let mut entries = memory::vec_with_room(self.work.outputs.len())?;
        for output in &self.work.outputs {
            output.complete(&engine.catalog.poison, "finish the merged file")?;
            let _ = hints::write(&engine.catalog, output, &engine.hasher, hints::AUTOMATIC_SHARE);
            let (min_seq, max_seq) = output.seqs();
            entries.push(FileEntry {
                id: output.id,
                state: FileState::Sealed,
                salt: output.origin.salt,
                follows: false,
                length: output.tail(),
                min_seq,
                max_seq,
            });
        }
        engine.catalog.events.log(LogLevel::Debug, || "outputs are durable");
        // What made the dropped records dead must be at least as durable as they were.
        let last_seq = engine.log.last_seq();
        if !seeded_bug!("merge-committed-before-the-log") {
            engine.log.sync()?;
        }
        if seeded_bug!("unlink-before-manifest") {
            self.work.finished.iter().for_each(|file| engine.catalog.unlink(file));
        }
        let empty = |entry: &FileEntry| entry.max_seq == 0;
        let gone = memory::collect(self.work.finished.iter().map(|file| file.id))?;
        // What comes after the manifest must not fail.
        engine.snapshots.make_room_to_pin(self.work.finished.len() + self.work.outputs.len())?;
        engine.catalog.update_many(entries.len(), |manifest| {
            manifest.clean = false;
            // The files that say so may go, and no number may be used twice. Only what is synced counts: see `Manifest::last_seq`.
            if !seeded_bug!("sequence-number-reused") {
                manifest.last_seq = manifest.last_seq.max(last_seq);
            }
            // The note of it may have stood in an input.
            manifest.clock_ms = manifest.clock_ms.max(engine.told_time.known_ms());
            if !seeded_bug!("dropped-tombstone-not-told") {
                manifest.complete_after = manifest.complete_after.max(self.work.dropped);
            }
            manifest.files.retain(|entry| !gone.contains(&entry.id));
            manifest.files.extend(entries.iter().filter(|entry| !empty(entry)));
        })?;
        Ok(entries)
    }
}
