//! Snapshots: moments of the store that stay readable while it changes.
//!
//! A snapshot is a sequence number. The index keeps only the newest version of a key; while a snapshot lives, the entry
//! of each version that it can see is kept here when a write supersedes it. So a snapshot costs memory only for what
//! changes under it, and nothing else waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::index::{Entry, KeyHash};
use crate::log::file::DataFile;
use crate::sync::lock::Mutex;

/// One moment. It must be given to [`Snapshots::end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The last sequence number that it sees.
    pub seq: u64,
    id: u64,
}

#[derive(Default)]
struct State {
    next_id: u64,
    /// The live moments, oldest first: by id, and so by sequence number.
    live: BTreeMap<u64, u64>,
    /// Superseded versions by key, and by the sequence number of the write that superseded them.
    versions: BTreeMap<(KeyHash, u64), Entry>,
    /// Files that a merge replaced, with the id of the first moment that cannot need them.
    replaced: Vec<(u64, Arc<DataFile>)>,
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
        state.live.insert(moment.id, moment.seq);
        moment
    }

    /// Ends a snapshot. True if [`Snapshots::take_unpinned`] may have something now.
    pub fn end(&self, moment: Moment) -> bool {
        let mut state = self.state.lock();
        state.live.remove(&moment.id);
        self.count.fetch_sub(1, Ordering::SeqCst);
        match state.live.first_key_value().map(|(_, seq)| *seq) {
            None => state.versions = BTreeMap::new(),
            Some(oldest) if oldest > moment.seq => {
                state.versions.retain(|(_, superseded_at), _| *superseded_at > oldest);
            }
            Some(_) => {}
        }
        !state.replaced.is_empty()
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

    /// Keeps the version that the write `superseded_at` took out of the index. The caller holds the lock of the key's
    /// segment.
    pub fn keep(&self, hash: KeyHash, version: Entry, superseded_at: u64) {
        let mut state = self.state.lock();
        // Only moments before the write can see the version, and only those after the version itself was written,
        // which was when the version before it was superseded.
        let Some(newest) = state.live.values().rev().copied().find(|seq| *seq < superseded_at) else {
            return;
        };
        let before =
            state.versions.range((hash, 0)..(hash, superseded_at)).next_back().map(|((_, at), _)| *at);
        if before.is_none_or(|at| at <= newest) {
            state.versions.insert((hash, superseded_at), version);
        }
    }

    /// Appends the versions of keys in a range of hashes that a moment sees in place of those in the index.
    pub fn versions(
        &self,
        moment: Moment,
        from: KeyHash,
        to: Option<KeyHash>,
        out: &mut Vec<(KeyHash, Entry)>,
    ) {
        let state = self.state.lock();
        let mut last = None;
        for ((hash, superseded_at), entry) in state.versions.range((from, 0)..) {
            if to.is_some_and(|to| *hash >= to) {
                break;
            }
            if *superseded_at > moment.seq && last != Some(*hash) {
                out.push((*hash, *entry));
                last = Some(*hash);
            }
        }
    }

    /// Hands over files that a merge replaced: they are kept until no moment that lives now can need them.
    pub fn pin(&self, files: Vec<Arc<DataFile>>) {
        let mut state = self.state.lock();
        let next_id = state.next_id;
        state.replaced.extend(files.into_iter().map(|file| (next_id, file)));
    }

    /// Whether files are kept that a merge replaced.
    pub fn has_replaced(&self) -> bool {
        !self.state.lock().replaced.is_empty()
    }

    /// The replaced files that no moment needs any more.
    pub fn take_unpinned(&self) -> Vec<Arc<DataFile>> {
        let mut state = self.state.lock();
        let oldest = state.live.first_key_value().map_or(u64::MAX, |(id, _)| *id);
        let (free, kept) =
            std::mem::take(&mut state.replaced).into_iter().partition(|(first, _)| *first <= oldest);
        state.replaced = kept;
        let free: Vec<(u64, Arc<DataFile>)> = free;
        free.into_iter().map(|(_, file)| file).collect()
    }
}
