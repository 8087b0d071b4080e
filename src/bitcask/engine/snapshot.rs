//! Snapshots: moments of the store that stay readable while it changes.
//!
//! A snapshot is a sequence number. The index keeps only the newest version of a key; while a snapshot lives, the entry
//! of each version that it can see is kept here when a write supersedes it. So a snapshot costs memory only for what
//! changes under it, and nothing else waits for it.
//!
//! Invariant: a version is kept with the newest of the moments that see it. So a moment has at most one version of a key, and if the key
//! was superseded since the moment began, it has one, or an older moment sees the same. A moment that ends leaves its versions to the
//! one before it, which takes those of keys that it has none of.
//!
//! Nothing here grows with time. A file that a merge replaced is kept for two reasons only: a version stands in it, or a walk that took
//! places from the index before has not shown all of them yet.

use crate::sync::atomic::{AtomicUsize, Ordering};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::sync::Arc;

use crate::format::FileId;
use crate::index::{Entry, KeyHash};
use crate::log::file::DataFile;
use crate::store::memory::{self, Refused};
use crate::sync::lock::Mutex;

/// What is kept of a version takes about so much memory.
pub const KEPT_SIZE: usize = 2 * (size_of::<(KeyHash, Version)>() + size_of::<(u16, u64)>());

/// One moment. It must be given to [`Snapshots::end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The last sequence number that it sees.
    pub seq: u64,
    id: u64,
}

/// Places that a walk took from the index, and has not shown yet.
#[derive(Clone, Copy)]
struct Loaded {
    /// How many files were replaced before: the places are in none of them.
    replaced: u64,
    /// The places are in no file with a larger number.
    newest: FileId,
}

/// A version that is not in the index any more.
struct Version {
    /// [`Entry::place`].
    place: u64,
    /// No record in its file has a smaller number.
    since: u64,
}

impl Version {
    fn slot(&self) -> u16 {
        Entry::from_place(self.place).map_or(0, |entry| entry.location.slot)
    }
}

struct Live {
    seq: u64,
    loaded: Option<Loaded>,
    /// The versions of which this is the newest moment that sees them.
    versions: BTreeMap<KeyHash, Version>,
}

#[derive(Default)]
struct State {
    next_id: u64,
    /// The live moments, oldest first: by id, and so by sequence number.
    live: BTreeMap<u64, Live>,
    /// How many versions stand in each file, by its slot. (A tree asks for small pieces of memory only, which a write is sure to get.)
    versions_in: BTreeMap<u16, u64>,
    /// How many files merges have replaced.
    replaced: u64,
    /// The files that are kept for moments, each with how many had been replaced before it.
    kept: Vec<(u64, Arc<DataFile>)>,
}

/// What a version takes: its place in a tree that is two thirds full.
const VERSION_BYTES: u64 = (size_of::<(KeyHash, Version)>() as u64) * 3 / 2;

impl State {
    /// Gives the versions of a moment that ended to the one before it, and forgets those that it does not see.
    fn leave(&mut self, id: u64, versions: BTreeMap<KeyHash, Version>) {
        let State { live, versions_in, .. } = self;
        let mut before = live.range_mut(..id).next_back().map(|(_, live)| live);
        for (hash, version) in versions {
            let before = before.as_mut().filter(|before| version.since <= before.seq);
            match before.map(|before| before.versions.entry(hash)) {
                // It sees the same: the key was not superseded between the two.
                Some(Place::Vacant(place)) => drop(place.insert(version)),
                Some(Place::Occupied(_)) | None => {
                    let slot = version.slot();
                    let left = versions_in.get(&slot).map_or(0, |count| count - 1);
                    if left > 0 {
                        versions_in.insert(slot, left);
                    } else {
                        versions_in.remove(&slot);
                    }
                }
            }
        }
    }

    /// Whether somebody may read a file that was replaced when so many had been before.
    fn needs(&self, file: &DataFile, before: u64) -> bool {
        let is_loaded = |loaded: Loaded| loaded.replaced <= before && file.id <= loaded.newest;
        self.versions_in.contains_key(&file.slot)
            || !seeded_bug!("walk-holds-no-files")
                && self.live.values().any(|live| live.loaded.is_some_and(is_loaded))
    }
}

/// All live snapshots of a store.
#[derive(Default)]
pub struct Snapshots {
    count: AtomicUsize,
    state: Mutex<State>,
}

impl Snapshots {
    /// Begins a snapshot at the last sequence number, which `last_seq` reads from the log.
    pub fn begin(&self, last_seq: impl FnOnce() -> u64) -> Moment {
        // First the count, then the number: whoever appends after the number is read sees the count.
        self.count.fetch_add(1, Ordering::SeqCst);
        let mut state = self.state.lock();
        let moment = Moment { seq: last_seq(), id: state.next_id };
        state.next_id += 1;
        state.live.insert(moment.id, Live { seq: moment.seq, loaded: None, versions: BTreeMap::new() });
        moment
    }

    /// Ends a snapshot. True if [`Snapshots::let_go`] may have something now.
    pub fn end(&self, moment: Moment) -> bool {
        let mut state = self.state.lock();
        let ended = state.live.remove(&moment.id);
        self.count.fetch_sub(1, Ordering::SeqCst);
        if let Some(ended) = ended {
            state.leave(moment.id, ended.versions);
        }
        !state.kept.is_empty()
    }

    /// A walk is about to take places from the index. It has shown all that it took before.
    pub fn loads(&self, moment: Moment) {
        self.set_loaded(moment, |state| Some(Loaded { replaced: state.replaced, newest: FileId::MAX }));
    }

    /// A walk has taken places from the index, `some` or none; no file with a number above `newest` was there.
    pub fn has_loaded(&self, moment: Moment, some: bool, newest: FileId) {
        self.set_loaded(moment, |state| {
            let loaded = state.live.get(&moment.id)?.loaded.filter(|_| some)?;
            Some(Loaded { newest, ..loaded })
        });
    }

    fn set_loaded(&self, moment: Moment, loaded: impl FnOnce(&State) -> Option<Loaded>) {
        let mut state = self.state.lock();
        let loaded = loaded(&state);
        if let Some(live) = state.live.get_mut(&moment.id) {
            live.loaded = loaded;
        }
    }

    /// Whether writers must call [`Snapshots::keep`].
    #[inline]
    pub fn any(&self) -> bool {
        self.count.load(Ordering::SeqCst) != 0
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Keeps the version that the write `superseded_at` took out of the index; in its file nothing is older than `since`. The caller
    /// holds the lock of the key's segment.
    pub fn keep(&self, hash: KeyHash, version: Entry, since: u64, superseded_at: u64) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        // Only moments before the write can see the version. One that has another version of the key sees that, which is older.
        let newest = state.live.values_mut().rev().find(|live| live.seq < superseded_at);
        let newest = newest.filter(|live| since <= live.seq);
        if let Some(Place::Vacant(place)) = newest.map(|live| live.versions.entry(hash)) {
            place.insert(Version { place: version.place(), since });
            *state.versions_in.entry(version.location.slot).or_default() += 1;
        }
    }

    /// Appends the versions of keys in a range of hashes that a moment sees in place of those in the index.
    pub fn versions(
        &self,
        moment: Moment,
        from: KeyHash,
        to: Option<KeyHash>,
        out: &mut Vec<(KeyHash, Entry)>,
    ) -> Result<(), Refused> {
        let mut found = Vec::new();
        let state = self.state.lock();
        for (id, live) in state.live.range(moment.id..).filter(|(_, live)| !live.versions.is_empty()) {
            let versions =
                live.versions.range(from..).take_while(|(hash, _)| to.is_none_or(|to| **hash < to));
            for (hash, version) in versions {
                memory::push(&mut found, (*hash, *id, version.place, version.since))?;
            }
        }
        drop(state);
        // The version of a key that the first moment has, from this one on. If this moment does not see that one it sees none, and one
        // that it sees is not let go of before it ends.
        found.sort_unstable_by_key(|(hash, id, ..)| (*hash, *id));
        found.dedup_by_key(|(hash, ..)| *hash);
        memory::reserve(out, found.len())?;
        let seen = found.into_iter().filter(|(.., since)| *since <= moment.seq);
        out.extend(seen.filter_map(|(hash, _, place, _)| Some((hash, Entry::from_place(place)?))));
        Ok(())
    }

    /// Hands over files that a merge replaced, to which the index does not point any more: they are kept as long as somebody may read
    /// them. All who wrote before that was so have called [`Snapshots::keep`]. There is room: see [`Snapshots::make_room_to_pin`].
    pub fn pin(&self, files: impl Iterator<Item = Arc<DataFile>>) {
        let mut state = self.state.lock();
        let before = state.replaced;
        state.replaced += 1;
        state.kept.extend(files.map(|file| (before, file)));
    }

    /// Makes room for so many files. For who merges, which nobody else does meanwhile.
    pub fn make_room_to_pin(&self, files: usize) -> Result<(), Refused> {
        memory::reserve(&mut self.state.lock().kept, files)
    }

    /// Whether files are kept that a merge replaced.
    pub fn has_replaced(&self) -> bool {
        !self.state.lock().kept.is_empty()
    }

    /// Lets go of the replaced files that nobody needs any more who is outside the gate, and shows each.
    pub fn let_go(&self, mut show: impl FnMut(&DataFile)) {
        let mut state = self.state.lock();
        let mut kept = std::mem::take(&mut state.kept);
        kept.retain(|(before, file)| {
            let is_needed = state.needs(file, *before);
            if !is_needed {
                show(file);
            }
            is_needed
        });
        state.kept = kept;
    }

    /// The memory that versions take, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        let state = self.state.lock();
        state.live.values().map(|live| live.versions.len() as u64 * VERSION_BYTES).sum()
    }
}
