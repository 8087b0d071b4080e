//! A store of this engine that is read beside the process that writes to it: docs/ARCHITECTURE.md, "How a reader follows".
//!
//! It is a store that is opened for reading only, with memtables of its own, to which the log is brought before they are asked. Nothing here
//! changes a byte of the store, takes its lock, or is known to the writer.
//!
//! `open` begins, and begins anew where the log cannot be followed; `follow` takes over what is appended to the log, `adopt` what flushes
//! and merges do. What is the same for all engines is in `log/live` and `store/live`.

mod adopt;
mod backup;
mod follow;
mod open;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::Lsm;
use super::shared::Shared;
use crate::disk::Disk;
use crate::log::live::follower;
use crate::store::Store;
use crate::store::backup::{BackupOptions, BackupProgress};
use crate::store::changes::Follow;
use crate::store::error::Result;
use crate::store::iter::Walk;
use crate::store::live::changes::LiveChanges;
use crate::store::live::keep::{Beside, keep_up};
use crate::store::live::{self, Reading};
use crate::store::memory;
use crate::store::options::Options;
use crate::sync::signal::Signal;
use adopt::Adopted;

/// How memtables that are a live reader's follow the log.
pub type Follower = follower::Follower<Adopted>;

/// A store that is read beside its writer.
pub type Live = live::Live<Ordered>;

/// The store, with memtables of this process, and how far these have come.
pub struct Ordered {
    store: Lsm,
    follower: Arc<Follower>,
}

impl Reading for Ordered {
    type Of = Lsm;

    #[inline(always)]
    fn store(&self) -> &Lsm {
        &self.store
    }

    #[inline(always)]
    fn follow(&self) -> Result<()> {
        if self.follower.is_up_to_date() { Ok(()) } else { self.store.shared.follow(&self.follower) }
    }

    fn walk(&self, prefix: &[u8]) -> Result<Box<dyn Walk>> {
        self.follow()?;
        self.store.walk(prefix)
    }

    fn changes(&self, after: u64) -> Result<Box<dyn Follow>> {
        let following = LiveChanges::new(&self.store.shared, &self.follower, after)?;
        Ok(memory::boxed(following)?)
    }

    fn backup(
        &self,
        to: Arc<dyn Disk>,
        options: &BackupOptions,
        watch: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<bool> {
        backup::backup(&self.store.shared, &self.follower, to, options, watch)
    }
}

impl Beside for Shared {
    type Adopted = Adopted;

    #[cold]
    fn follow(&self, follower: &Follower) -> Result<()> {
        follow::follow(self, follower)
    }

    fn adopt(&self, follower: &Follower) -> Result<()> {
        adopt::adopt(self, follower)
    }

    fn signal(&self) -> &Signal {
        &self.flush_signal
    }

    fn is_full(&self) -> bool {
        self.enter().is_ok_and(|engine| engine.frozen() > 0)
    }
}

impl Live {
    /// Opens the store in the directory `path`.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        let disk = live::open_disk(path, options)?;
        // Woken where a memtable is full: then there may be a run of what is in it.
        let signal = Arc::new(Signal::default());
        let (engine, follower) = open::open(&disk, options, &signal)?;
        let follower = Arc::new(follower);
        let store = Lsm::with(engine, signal.clone(), Default::default(), true)?;
        let (weak, of_thread) = (Arc::downgrade(&store.shared), follower.clone());
        store.spawn("filedb-live", move || keep_up(&weak, &of_thread, &signal))?;
        let live = Live { reading: Ordered { store, follower } };
        live.current()?;
        Ok(live)
    }

    /// As [`crate::Db::recount`].
    #[cfg(any(test, feature = "testing"))]
    pub fn recount(&self) -> std::result::Result<(), String> {
        let store = self.current().map_err(|error| error.to_string())?;
        let _held = self.reading.follower.hold();
        let engine = store.shared.enter().map_err(|error| error.to_string())?;
        let (tree, manifest) = (engine.tree(), engine.catalog.manifest());
        let listed: Vec<u32> = manifest.ordered.runs.iter().map(|run| run.id).collect();
        let mut read: Vec<u32> = tree.runs().map(|run| run.entry.id).collect();
        read.sort_unstable();
        let is_in_runs = |(_, max): (u64, u64)| max <= manifest.ordered.flushed_seq;
        match tree.frozen.iter().filter_map(|table| table.seqs()).any(is_in_runs) {
            _ if read != listed => {
                Err(format!("the manifest lists the runs {listed:?}, and {read:?} are read"))
            }
            true => Err(format!("memtables are kept up to {}", manifest.ordered.flushed_seq)),
            false => Ok(()),
        }
    }
}
