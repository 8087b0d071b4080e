//! Backups, and the feed of changes.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::Db;
use crate::disk::fs::{FsDisk, Io};
use crate::store::address::Address;
use crate::store::backup::{BackupOptions, BackupProgress};
use crate::store::changes::Changes;
use crate::store::error::{Error, Result};

/// # Backups and the feed of changes
impl Db {
    /// Copies the store, which may be in use, to a directory that becomes a store itself: what this one held at a moment between
    /// the beginning of the call and its end. Into the directory of an older backup of the same store: only what is new is
    /// written, and what is no longer part of the store goes; until that is done the older backup is whole.
    ///
    /// A store that is read live can be copied as well, while another process writes to it.
    ///
    /// Files that never change again are linked where the file system can do that, and copied where not; see [`BackupOptions`].
    /// Writers do not wait for it, and merges go on.
    ///
    /// ```
    /// # fn main() -> filedb::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let (path, backup) = (dir.path().join("store"), dir.path().join("backup"));
    /// # let db = filedb::Db::open(&path, &filedb::Options::default())?;
    /// db.put("planet", "earth")?;
    /// db.backup(&backup, &filedb::BackupOptions::new())?;
    /// let copy = filedb::Db::open(&backup, &filedb::Options::new().read_only(true))?;
    /// assert_eq!(copy.get("planet")?.as_deref(), Some(&b"earth"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where the directory holds something else than a backup of this store, or a backup that was opened for
    /// writing, or lies inside the store; [`Error::Unsupported`] for a store on a server; [`Error::Locked`] where somebody has
    /// the backup open, [`Error::NoSpace`], [`Error::Io`]. The directory holds what it held before then.
    pub fn backup(&self, directory: impl AsRef<Path>, options: &BackupOptions) -> Result<()> {
        self.backup_with(directory, options, &mut |_| ControlFlow::Continue(())).map(drop)
    }

    /// As [`Db::backup`]; `watch` is told from time to time how far it has come, and ends it with `Break`. False where it did; the
    /// directory holds what it held before then.
    ///
    /// # Errors
    /// As [`Db::backup`].
    pub fn backup_with(
        &self,
        directory: impl AsRef<Path>,
        options: &BackupOptions,
        watch: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<bool> {
        // Where the store cannot be copied no directory is made.
        self.store.any().check_can_backup()?;
        let path = match Address::parse(directory.as_ref())? {
            Address::Directory(path) => path,
            Address::Memory(_) | Address::Server(..) => {
                return Err(Error::invalid("a backup goes to a directory, and not to a URL of another kind"));
            }
        };
        let to = FsDisk::open(&path, true, Io::Plain)
            .map_err(|e| Error::io("open the directory of the backup", &path, &e))?;
        self.store.any().backup(Arc::new(to), options, watch)
    }

    /// What tells this store from others: a copy of it, a backup too, has the same.
    ///
    /// # Errors
    /// As [`Db::last_seq`].
    pub fn identity(&self) -> Result<[u8; 16]> {
        self.store.any().identity()
    }

    /// The number of the last change: all that was changed up to it can be read, and [`Db::changes`] goes on behind it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a store on a server; [`Error::Closed`] and [`Error::Forked`].
    pub fn last_seq(&self) -> Result<u64> {
        self.store.any().last_seq()
    }

    /// As [`Db::last_seq`], and does not wait for the disk: with `sync=always` a power cut may take the change back, and give its number
    /// to another.
    ///
    /// # Errors
    /// As [`Db::last_seq`].
    pub fn written_seq(&self) -> Result<u64> {
        self.store.any().written_seq()
    }

    /// Follows the changes of the store behind the number `after`, in the order in which they happened and without an end: 0 for all
    /// since the store is there; [`Changed::seq`] of the last one that was applied, to go on where another was left, also in another
    /// process; or the number of a copy, which is what [`Db::last_seq`] of a backup says.
    ///
    /// **Who applies all that is shown has what the store has.** The way there may be shorter: versions that were replaced before they
    /// were shown may be left out. Where that does not hold any more the answer is [`Followed::Gap`]: merges drop deletes, unless
    /// [`keep_tombstones_ms`](field@crate::Options::keep_tombstones_ms) tells them to keep them, and the ordered engine shows only
    /// what is in its log. A batch is shown when all of it is written; a change that is shown can be read.
    ///
    /// A list is told as a whole when it changes for the first time under the eyes of who follows: a delete and a push for each element. After
    /// that pushes and pops are told as such; a list in which an element was set is told as a whole. What expires is told when it is
    /// put; that its time has come is no change.
    ///
    /// What is shown is as durable as a write is when it returns: with [`SyncMode::Always`] only what is on the disk is shown. In the
    /// other modes a power cut may take back what was shown and not synced, and its numbers are given to other changes then: call
    /// [`Db::sync`] before you rely on a number that is to outlive the machine.
    ///
    /// It costs writers nothing while it is behind; who has read all and waits is woken by the next write, which costs that a call of the
    /// system. Between two calls it keeps the data files that come next.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> filedb::Result<()> {
    /// let db = filedb::Db::open("memory://", &filedb::Options::default())?;
    /// let mut changes = db.changes(db.last_seq()?)?;
    /// db.put("planet", "earth")?;
    /// match changes.next(Some(Duration::from_secs(1)))? {
    ///     filedb::Followed::Change(change) => assert_eq!((change.key, change.value), (&b"planet"[..], &b"earth"[..])),
    ///     filedb::Followed::Gap => panic!("begin anew with a copy"),
    ///     filedb::Followed::Timeout => panic!("nothing changed"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Db::last_seq`]; [`Error::NoMemory`].
    ///
    /// [`Changed::seq`]: crate::Changed::seq
    /// [`Followed::Gap`]: crate::Followed::Gap
    /// [`SyncMode::Always`]: crate::SyncMode::Always
    pub fn changes(&self, after: u64) -> Result<Changes> {
        Ok(Changes::of(self.store.any().changes(after)?))
    }
}
