//! Durability, merges and statistics.

use std::ops::ControlFlow;

use super::Db;
use crate::store::error::Result;
use crate::store::stats::{FileStats, MergeProgress, Stats};

/// # Durability, merges, statistics
impl Db {
    /// The store in numbers.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) and [`Error::Forked`](crate::Error::Forked).
    pub fn stats(&self) -> Result<Stats> {
        self.store.any().stats()
    }

    /// Each data file in numbers, by file number.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) and [`Error::Forked`](crate::Error::Forked).
    pub fn file_stats(&self) -> Result<Vec<FileStats>> {
        self.store.any().file_stats()
    }

    /// Writes the hint file of every sealed data file that has none, so that a start after a crash reads less. Hints are
    /// written by themselves where they are small beside their data; this writes the others too.
    ///
    /// # Errors
    /// [`Error::NoSpace`](crate::Error::NoSpace), [`Error::Io`](crate::Error::Io), [`Error::Corrupt`](crate::Error::Corrupt): some hints may be missing.
    pub fn write_hints(&self) -> Result<()> {
        self.store.any().write_hints()
    }

    /// Makes all completed writes durable.
    ///
    /// # Errors
    /// [`Error::Poisoned`](crate::Error::Poisoned) or [`Error::Io`](crate::Error::Io): the disk did not take them. The handle takes no more writes then; what it
    /// had not synced may be lost.
    pub fn sync(&self) -> Result<()> {
        self.store.any().sync()
    }

    /// Takes the space of dead records back, now. Runs beside readers and writers.
    ///
    /// # Errors
    /// [`Error::NoSpace`](crate::Error::NoSpace), [`Error::Io`](crate::Error::Io), [`Error::Corrupt`](crate::Error::Corrupt): the store is as it was.
    pub fn merge(&self) -> Result<()> {
        self.merge_with(&mut |_| ControlFlow::Continue(())).map(drop)
    }

    /// As [`Db::merge`]; `watch` is told from time to time how far it has come, and ends it with `Break`. What was merged
    /// until then stays merged. False if it was ended. From `watch`, [`Db::close`], [`Db::merge`] and [`Db::write_hints`] of the
    /// same store are refused.
    ///
    /// # Errors
    /// As [`Db::merge`].
    pub fn merge_with(&self, watch: &mut dyn FnMut(&MergeProgress) -> ControlFlow<()>) -> Result<bool> {
        self.store.any().merge(watch)
    }
}
