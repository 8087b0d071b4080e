//! What the tests see of a store, and do to it.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::{Db, Open};
use crate::bitcask::Bitcask;
use crate::disk::Disk;
use crate::lsm::Lsm;
use crate::store::backup::{BackupOptions, BackupProgress};
use crate::store::error::Result;
use crate::store::options::{EngineKind, Options};

impl Db {
    /// Opens a store on a disk of the caller's, without a maintenance thread: its work is done inside the calls.
    pub fn open_on(disk: Arc<dyn Disk>, options: &Options) -> Result<Db> {
        if options.engine == EngineKind::Lsm {
            return Ok(Db { store: Open::Ordered(Arc::new(Lsm::start(disk, options, false)?)) });
        }
        Ok(Self::over(Bitcask::start(disk, options, false)?))
    }

    fn bitcask(&self) -> &Bitcask {
        match &self.store {
            Open::Bitcask(store) => store,
            Open::Live(_) | Open::Ordered(_) | Open::LiveOrdered(_) | Open::Other(_) => {
                panic!("only tests of the engine itself look into it")
            }
        }
    }

    /// For stores without a maintenance thread: does what the thread would do.
    pub fn maintain(&self) -> Result<()> {
        match &self.store {
            Open::Ordered(store) => store.maintain(),
            _ => self.bitcask().maintain(),
        }
    }

    /// For stores of the ordered engine without threads: writes the memtable out.
    pub fn flush(&self) -> Result<()> {
        match &self.store {
            Open::Ordered(store) => store.flush(),
            _ => panic!("only the ordered engine has memtables"),
        }
    }

    /// Says in the store's manifest that only who knows `feature` may open it from now on.
    pub fn require(&self, feature: crate::format::features::Feature) -> Result<()> {
        self.bitcask().shared.enter()?.catalog.require(feature)
    }

    /// Counts what is live in each file anew and compares it with what the store has counted; `Err` says where they differ. For
    /// stores that nobody writes to meanwhile; what the store does by itself waits.
    pub fn recount(&self) -> std::result::Result<(), String> {
        if let Open::Ordered(store) = &self.store {
            return store.recount();
        }
        match &self.store {
            Open::Live(store) => store.recount(),
            Open::LiveOrdered(store) => store.recount(),
            _ => self.bitcask().recount(),
        }
    }

    /// Writes the checkpoint that live readers begin with, as the store does from time to time by itself. False where there can be none.
    pub fn write_checkpoint(&self) -> Result<bool> {
        crate::bitcask::lifecycle::running::write(&self.bitcask().shared)
    }

    /// As [`Db::write_checkpoint`]; `meanwhile` is called when it has begun, and may write.
    pub fn write_checkpoint_while(&self, meanwhile: impl FnOnce()) -> Result<bool> {
        crate::bitcask::lifecycle::running::write_with(&self.bitcask().shared, meanwhile, || ())
    }

    /// What the threads of a store hold of it.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> std::sync::Weak<crate::bitcask::shared::Shared> {
        Arc::downgrade(&self.bitcask().shared)
    }

    /// As [`Db::backup_with`], to a disk of the caller's.
    pub fn backup_on(
        &self,
        to: Arc<dyn Disk>,
        options: &BackupOptions,
        watch: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<bool> {
        self.store.any().backup(to, options, watch)
    }
}
