//! The directory that a backup goes to: what it may hold before, and how its manifest changes.

use std::sync::Arc;

use super::What;
use crate::disk::{Disk, LockKind};
use crate::format::backup::{Backup, sum};
use crate::format::features::Refusal;
use crate::format::manifest::Manifest;
use crate::format::names::{self, Name};
use crate::log::catalog::replace;
use crate::store::error::{Error, Result};
use crate::store::memory;

/// See the module. Locked until it goes.
pub struct Target {
    /// The directory.
    pub disk: Arc<dyn Disk>,
    /// The store that is copied.
    pub store_id: [u8; 16],
    /// The manifest of the backup that is there.
    pub old: Option<Manifest>,
    /// What that is told by.
    old_sum: (u32, u32),
    _lock: Box<dyn Send + Sync>,
}

/// What a directory holds.
struct Content {
    old: Option<Manifest>,
    old_sum: (u32, u32),
    is_backup: bool,
}

impl Target {
    /// Looks whether a backup of this store may go there, and locks it.
    pub fn open(disk: Arc<dyn Disk>, store: &dyn Disk, store_id: [u8; 16]) -> Result<Self> {
        let opened = Self::open_made(&disk, store, store_id);
        if opened.is_err() {
            disk.remove_if_new();
        }
        opened
    }

    fn open_made(disk: &Arc<dyn Disk>, store: &dyn Disk, store_id: [u8; 16]) -> Result<Self> {
        let path = disk.path();
        if disk.is_within(store).map_err(|e| Error::io("find what lies above", path, &e))? {
            return Err(Error::invalid(format!(
                "a backup of the store '{}' cannot go to '{}', which is the store itself or lies inside of it",
                store.path().display(),
                path.display()
            )));
        }
        // Before the lock, which makes a file.
        look(disk.as_ref(), &store_id)?;
        let lock = disk.lock(LockKind::Exclusive).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => Error::Locked { path: path.to_path_buf() },
            _ => Error::io("lock the backup", path, &error),
        })?;
        let Content { old, old_sum, is_backup } = look(disk.as_ref(), &store_id)?;
        let target = Target { disk: disk.clone(), store_id, old, old_sum, _lock: lock };
        if !is_backup {
            disk.sync_name().map_err(|e| Error::io("make durable the name of", path, &e))?;
            target.say([(0, 0), (0, 0)])?;
        }
        Ok(target)
    }

    /// Says, durably, which manifests are a backup's.
    fn say(&self, manifests: [(u32, u32); 2]) -> Result<()> {
        let bytes = Backup { store_id: self.store_id, manifests }.encode();
        let disk = self.disk.as_ref();
        replace(disk, names::BACKUP_TMP, names::BACKUP, bytes.len() as u64, &mut |file| {
            file.write_at(&[&bytes], 0)
        })?;
        self.sync_dir()
    }

    fn sync_dir(&self) -> Result<()> {
        self.disk.sync_dir().map_err(|e| Error::io("sync the directory", self.disk.path(), &e))
    }

    /// The names in it.
    pub fn names(&self) -> Result<Vec<String>> {
        self.disk.list().map_err(|e| Error::io("list the directory", self.disk.path(), &e))
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.disk.remove(name).map_err(|e| {
            Error::io("remove what is left of an older backup", &self.disk.path().join(name), &e)
        })
    }

    /// Whether the backup that is there has this file.
    pub(super) fn has(&self, name: &str, what: &What, there: &[String]) -> Result<bool> {
        let Some(old) = &self.old else { return Ok(false) };
        let is_there = there.binary_search_by(|it| it.as_str().cmp(name)).is_ok();
        let (id, its) = match what {
            What::Data(entry) | What::Tail(entry) => (entry.id, (entry.salt, entry.length)),
            What::Run { id, salt } => {
                let run = old.ordered.runs.iter().find(|run| run.id == *id);
                let Some(run) = run else { return Ok(false) };
                return if run.salt == *salt { Ok(is_there) } else { Err(self.other(name)) };
            }
            // They are checked by who opens the store.
            What::Hint => return Ok(is_there),
        };
        let listed = old.files.iter().find(|entry| entry.id == id);
        match listed {
            None => Ok(false),
            Some(entry) if (entry.salt, entry.length) == its => Ok(is_there),
            Some(_) => Err(self.other(name)),
        }
    }

    fn other(&self, name: &str) -> Error {
        Error::invalid(format!(
            "the backup in '{}' has another file of the name {name} than the store: it was made of a store that has gone another way \
             since; back up into another directory",
            self.disk.path().display()
        ))
    }

    /// Lets a manifest count, of which all files are there, and removes what it does not list.
    pub fn finish(&self, manifest: &Manifest) -> Result<()> {
        self.sync_dir()?;
        let bytes = manifest.encode()?;
        let new_sum = sum(&bytes);
        if new_sum != self.old_sum {
            self.say([self.old_sum, new_sum])?;
            let disk = self.disk.as_ref();
            replace(disk, names::MANIFEST_TMP, names::MANIFEST, bytes.len() as u64, &mut |file| {
                file.write_at(&[&bytes], 0)
            })?;
            // Where this fails either counts after a crash, and both have their files.
            self.sync_dir()?;
        }
        let listed = |id| manifest.files.binary_search_by_key(&id, |entry| entry.id).is_ok();
        let mut removed = false;
        for name in self.names()? {
            let is_needed = match names::parse(&name) {
                Some(Name::Data(id) | Name::Hint(id)) => listed(id),
                Some(Name::Run(id)) => manifest.ordered.runs.iter().any(|run| run.id == id),
                Some(Name::Temporary | Name::Checkpoint | Name::Reserve) => false,
                Some(Name::Manifest | Name::Backup) | None => true,
            };
            // What cannot be removed does no harm.
            removed |= !is_needed && self.disk.remove(&name).is_ok();
        }
        if removed {
            let _ = self.disk.sync_dir();
        }
        Ok(())
    }

    /// After a failure: gives the room of what was made back, and, of a first backup, the directory. Nothing where a manifest may count
    /// that lists it.
    pub fn give_up(&self, made: &[String]) {
        let counts = match read(self.disk.as_ref(), names::MANIFEST) {
            Ok(bytes) => sum(&bytes),
            Err(error) if is_missing(&error) => (0, 0),
            Err(_) => return,
        };
        if counts != self.old_sum {
            return;
        }
        let _ = self.disk.remove(names::COPY_TMP);
        for name in made {
            let _ = self.disk.remove(name);
        }
        if self.old.is_none() {
            let _ = self.disk.remove(names::BACKUP);
            self.disk.remove_if_new();
        }
    }
}

fn is_missing(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

fn read(disk: &dyn Disk, name: &str) -> std::io::Result<Vec<u8>> {
    let file = disk.open_plain(name)?;
    let size = file.size()?;
    let mut bytes = memory::vec_of(0, size as usize)?;
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// What is in a directory that a backup is to go to. An error where it may not.
fn look(disk: &dyn Disk, store_id: &[u8; 16]) -> Result<Content> {
    let path = disk.path();
    let refuse =
        |words: &str| Err(Error::invalid(format!("a backup cannot go to '{}': {words}", path.display())));
    let there = disk.list().map_err(|e| Error::io("list the directory", path, &e))?;
    let has = |name: &str| there.iter().any(|it| it == name);
    let none = Content { old: None, old_sum: (0, 0), is_backup: false };
    if !has(names::BACKUP) {
        // What a first backup leaves that was interrupted before it said what it is.
        let is_nothing = |name: &String| ["LOCK", names::BACKUP_TMP].contains(&name.as_str());
        return match there.iter().find(|name| !is_nothing(name)) {
            None => Ok(none),
            Some(_) if has(names::MANIFEST) => refuse("there is a store in it that is no backup"),
            Some(name) => refuse(&format!("it holds other things, such as '{name}', and no backup")),
        };
    }
    let failed = |name: &str, e: &std::io::Error| Error::io("read", &path.join(name), e);
    let corrupt = |name: &str, what| Error::Corrupt { path: path.join(name), file_id: 0, offset: 0, what };
    let bytes = read(disk, names::BACKUP).map_err(|e| failed(names::BACKUP, &e))?;
    let said = Backup::decode(&bytes).map_err(|what| corrupt(names::BACKUP, what))?;
    if said.store_id != *store_id {
        return refuse("there is a backup of another store in it");
    }
    let is_backup = true;
    let bytes = match read(disk, names::MANIFEST) {
        Ok(bytes) => bytes,
        // One that was interrupted.
        Err(error) if is_missing(&error) => return Ok(Content { is_backup, ..none }),
        Err(error) => return Err(failed(names::MANIFEST, &error)),
    };
    if !said.knows(&bytes) {
        return refuse(
            "the backup in it was opened for writing since it was made, and may hold what the store does not have; back up into \
             another directory, and open backups with read_only=true",
        );
    }
    match Manifest::decode(&bytes) {
        Ok(manifest) => Ok(Content { old: Some(manifest), old_sum: sum(&bytes), is_backup }),
        Err(Refusal::Damaged(what)) => Err(corrupt(names::MANIFEST, what)),
        Err(Refusal::NoMemory(refused)) => Err(refused.into()),
        Err(Refusal::OtherVersion(words)) => Err(Error::Unsupported {
            message: format!("the backup '{}' {words}; nothing was changed", path.display()),
        }),
    }
}
