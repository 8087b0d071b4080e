//! Where the index points into files that are to be merged: with that, a merge reads nothing that is dead.
//!
//! A walk through the index costs less than one through files that are mostly dead. It is enough where every record is a put that
//! does not expire: what the index does not point at is needed by nobody then. Tombstones, and what has expired, hide older
//! versions although the index does not know them; files that may hold one are read from front to back.

use std::sync::Arc;

use crate::bitcask::shared::Shared;
use crate::disk::process;
use crate::format::FileId;
use crate::index::{Cursor, Entry};
use crate::log::file::DataFile;
use crate::store::memory;

/// The bytes of places that are kept at once, at most; no more than this part of the memory.
const MOST_PLACES: u64 = 16 << 20;
const PLACES_SHARE: u64 = 16;

/// To look at a dead record of a file takes at least so many times as long as to look at a key of the index.
const DEARER: u64 = 8;

/// A file that is not mapped is read record by record where less than one in so many is alive, else in large pieces.
const SPARSE: u64 = 8;

/// See the module.
#[derive(Default)]
pub struct Places {
    /// As [`Entry::place`] gives them, those of each file together and in order.
    sorted: Vec<u64>,
    /// The files.
    files: Vec<FileId>,
}

impl Places {
    /// Whether it is enough to know the places in a file, and of use.
    pub fn are_enough(file: &DataFile) -> bool {
        file.is_plain() && (file.is_mapped() || file.usage.live_records() * SPARSE < file.usage.records())
    }

    /// Looks for the places in the first of `inputs`, and in as many of those after it as are kept at once; in none if those in the
    /// first are too many. `None` where to read the files takes less time, where
    /// there is no memory, and where the store is being closed.
    ///
    /// All in the inputs must be known to the index (see [`super::Merge::note_blockers`]). What is written meanwhile goes
    /// elsewhere: so places can turn out to be dead, and none is missing.
    pub fn look_up(shared: &Shared, inputs: &[Arc<DataFile>]) -> Option<Self> {
        let mut places = Places::default();
        let (mut live, mut dead, mut is_wanted) = (0, 0, Vec::new());
        let most = process::memory_share(PLACES_SHARE, 0..=MOST_PLACES) / size_of::<u64>() as u64;
        for file in inputs {
            if !Self::are_enough(file) || live + file.usage.live_records() > most {
                break;
            }
            live += file.usage.live_records();
            dead += file.usage.records() - file.usage.live_records();
            memory::push(&mut places.files, file.id).ok()?;
            let slot = usize::from(file.slot);
            memory::reserve(&mut is_wanted, slot + 1).ok()?;
            is_wanted.resize(is_wanted.len().max(slot + 1), false);
            is_wanted[slot] = true;
        }
        if places.files.is_empty() {
            return Some(places);
        }
        let keys = shared.inside().map_or(u64::MAX, |engine| {
            engine.index.len() + engine.elements.index().map_or(0, |elements| elements.len())
        });
        if keys > dead.saturating_mul(DEARER) || places.sorted.try_reserve(live as usize).is_err() {
            return None;
        }
        for of_elements in [false, true] {
            let (mut cursor, mut entries) = (Some(Cursor::START), Vec::new());
            while let Some(at) = cursor {
                let engine = shared.inside().filter(|_| !shared.signal().is_stopped())?;
                let index = if of_elements { engine.elements.index() } else { Some(&engine.index) };
                let Some(index) = index else { break };
                cursor = index.collect(at, &mut entries).ok()?;
                let wanted = entries.drain(..).map(|(_, entry)| entry).filter(|entry| {
                    is_wanted.get(usize::from(entry.location.slot)).is_some_and(|is_wanted| *is_wanted)
                });
                // More than were alive when the walk began are some that a writer has put there since.
                for entry in wanted {
                    memory::push(&mut places.sorted, entry.place()).ok()?;
                }
            }
        }
        places.sorted.sort_unstable();
        Some(places)
    }

    /// The places in `file`, in order; `None` where they were not looked for.
    pub fn in_file(&self, file: &DataFile) -> Option<&[u64]> {
        self.files.contains(&file.id).then(|| {
            let slot = |place: &u64| Entry::from_place(*place).map_or(0, |entry| entry.location.slot);
            let begin = self.sorted.partition_point(|place| slot(place) < file.slot);
            let rest = &self.sorted[begin..];
            &rest[..rest.partition_point(|place| slot(place) == file.slot)]
        })
    }
}
