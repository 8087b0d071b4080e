//! Where the index points into files that are to be merged: with that, a merge reads nothing that is dead.
//!
//! A walk through the index costs less than one through files that are mostly dead. It is enough where every record is a put that
//! does not expire: what the index does not point at is needed by nobody then. Tombstones, and what has expired, hide older
//! versions although the index does not know them; files that may hold one are read from front to back.

use std::sync::Arc;

use crate::db::Shell;
use crate::index::{Cursor, Entry};
use crate::log::file::DataFile;

/// So many places are kept at once at most: 16 MiB.
const MOST_PLACES: u64 = 2 << 20;

/// To look at a dead record of a file takes at least so many times as long as to look at a key of the index.
const DEARER: u64 = 8;

/// A file that is not mapped is read record by record where less than one in so many is alive, else in large pieces.
const SPARSE: u64 = 8;

/// See the module.
#[derive(Default)]
pub struct Places {
    /// As [`Entry::place`] gives them, those of each file together and in order.
    sorted: Vec<u64>,
    /// The files, by their slots.
    slots: Vec<u16>,
}

impl Places {
    /// Looks for the places in the first of `inputs`, and in as many of those after it as are known at once. Empty where to
    /// read the files takes less time, and where the store is being closed.
    ///
    /// All in the inputs must be known to the index (see [`super::Merge::begin`]). What is written meanwhile goes elsewhere: so
    /// places can turn out to be dead, and none is missing.
    pub fn look_up(shell: &Shell, inputs: &[Arc<DataFile>]) -> Self {
        let mut places = Places::default();
        let (mut live, mut dead) = (0, 0);
        for file in inputs {
            if !is_enough(file) || live + file.usage.live_records() > MOST_PLACES {
                break;
            }
            live += file.usage.live_records();
            dead += file.usage.records() - file.usage.live_records();
            places.slots.push(file.slot);
        }
        let keys = shell.inside().map_or(u64::MAX, |engine| engine.index.len());
        if keys > dead.saturating_mul(DEARER) || places.sorted.try_reserve(live as usize).is_err() {
            return Places::default();
        }
        let mut is_wanted = vec![false; usize::from(places.slots.iter().copied().max().unwrap_or(0)) + 1];
        places.slots.iter().for_each(|slot| is_wanted[usize::from(*slot)] = true);
        let (mut cursor, mut entries) = (Some(Cursor::START), Vec::new());
        while let Some(at) = cursor {
            let Some(engine) = shell.inside().filter(|_| !shell.signal().is_stopped()) else {
                return Places::default();
            };
            cursor = engine.index.collect(at, &mut entries);
            let wanted = entries.drain(..).map(|(_, entry)| entry).filter(|entry| {
                is_wanted.get(usize::from(entry.location.slot)).is_some_and(|is_wanted| *is_wanted)
            });
            places.sorted.extend(wanted.map(Entry::place));
        }
        places.sorted.sort_unstable();
        places
    }

    /// The places in `file`, in order; `None` where they were not looked for.
    pub fn in_file(&self, file: &DataFile) -> Option<&[u64]> {
        self.slots.contains(&file.slot).then(|| {
            let slot = |place: &u64| Entry::from_place(*place).map_or(0, |entry| entry.location.slot);
            let begin = self.sorted.partition_point(|place| slot(place) < file.slot);
            let rest = &self.sorted[begin..];
            &rest[..rest.partition_point(|place| slot(place) == file.slot)]
        })
    }
}

/// Whether it is enough to know what in a file is alive, and of use.
fn is_enough(file: &DataFile) -> bool {
    file.is_plain() && (file.is_mapped() || file.usage.live_records() * SPARSE < file.usage.records())
}
