//! Writes of one key: a put, a delete, another expiry. Each appends one record and points the index at it.

use super::{Condition, Engine, Inside};
use crate::format::frame::{self, Kind};
use crate::index::{Entry, KeyHash, Locked};
use crate::log::append::{Appended, Record};
use crate::log::file::DataFile;
use crate::store::error::{Error, Result};
use crate::store::options::SyncMode;

impl Engine {
    /// Writes a key. False where the condition does not hold; nothing was written then.
    pub fn put(
        &self,
        inside: &Inside<'_>,
        key: &[u8],
        value: &[u8],
        mut expiry_ms: Option<u64>,
        condition: Condition,
        sync: bool,
    ) -> Result<bool> {
        self.check_writable()?;
        frame::check_key(key)?;
        frame::check_value_len(value.len() as u64)?;
        let hash = self.hasher.hash(key);
        // What the insertion needs is loaded during the append.
        self.index.prefetch_to_insert(hash);
        let mut locked = self.index.lock_for_insert(hash)?;
        if condition != Condition::default() {
            let current = self.current(inside, locked.get(hash), key)?;
            if (condition.if_absent && current.is_some()) || (condition.if_present && current.is_none()) {
                return Ok(false);
            }
            if condition.keep_expiry {
                expiry_ms = current.flatten();
            }
        }
        let record = Record { kind: Kind::Put, key, value, expiry_ms };
        if expiry_ms.is_some() {
            let appended = self.append_expiring(inside, &mut locked, hash, &record)?;
            drop(locked);
            self.finish_write(&appended, sync)?;
            return Ok(true);
        }
        let appended = self.log.append(&record, self.clock.coarse())?;
        self.install(inside, &mut locked, hash, &appended, None);
        drop(locked);
        self.finish_write(&appended, sync)?;
        Ok(true)
    }

    /// Removes a key. False where there is none.
    pub fn delete(&self, inside: &Inside<'_>, key: &[u8]) -> Result<bool> {
        self.check_writable()?;
        frame::check_key(key)?;
        let hash = self.hasher.hash(key);
        if !self.index.is_pending(hash) && self.index.get(hash).is_none() {
            return Ok(false);
        }
        let mut locked = self.index.lock(hash)?;
        match self.current(inside, locked.get(hash), key) {
            Ok(None) => return Ok(false),
            // A damaged record can be deleted, and is gone then.
            Ok(Some(_)) | Err(Error::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        let record = Record { kind: Kind::Tombstone, key, value: &[], expiry_ms: None };
        let appended = self.log.append(&record, self.clock.coarse())?;
        if let Some(old) = locked.remove(hash) {
            self.replace(inside, hash, old, appended.seq, None);
        }
        drop(locked);
        self.finish_write(&appended, false)?;
        Ok(true)
    }

    /// Writes a key again with another expiry. False where there is no such key.
    pub fn set_expiry(&self, inside: &Inside<'_>, key: &[u8], expiry_ms: Option<u64>) -> Result<bool> {
        self.check_writable()?;
        frame::check_key(key)?;
        let hash = self.hasher.hash(key);
        let mut locked = self.index.lock_for_insert(hash)?;
        let Some(entry) = locked.get(hash) else { return Ok(false) };
        let mut buffer = Vec::new();
        let frame = self.record(inside, entry, key, &mut buffer, DataFile::is_intact)?;
        let Some(frame) = frame else { return Ok(false) };
        let kind = frame.header.kind;
        let record = Record { kind, key, value: frame.value(), expiry_ms };
        let _room = match expiry_ms {
            Some(_) => Some(self.expiries.make_room(hash.root, 1)?),
            None => None,
        };
        let appended = self.log.append(&record, self.clock.coarse())?;
        // A list stays the same list.
        self.install_version(inside, &mut locked, hash, &appended, expiry_ms, kind == Kind::Head);
        drop(locked);
        self.finish_write(&appended, false)?;
        Ok(true)
    }

    /// Appends a record that expires, for which there is room in the index, and points the index at it.
    #[inline(never)]
    pub(super) fn append_expiring(
        &self,
        inside: &Inside<'_>,
        locked: &mut Locked<'_>,
        hash: KeyHash,
        record: &Record<'_>,
    ) -> Result<Appended> {
        let _room = self.expiries.make_room(hash.root, 1)?;
        let appended = self.log.append(record, self.clock.coarse())?;
        self.install(inside, locked, hash, &appended, record.expiry_ms);
        Ok(appended)
    }

    /// Points the index at a record that was appended, and notes when that expires. Room to note it was made before, unless the key
    /// had an expiry already.
    #[inline(always)]
    pub(super) fn install(
        &self,
        inside: &Inside<'_>,
        locked: &mut Locked<'_>,
        hash: KeyHash,
        appended: &Appended,
        expiry_ms: Option<u64>,
    ) {
        self.install_version(inside, locked, hash, appended, expiry_ms, false);
    }

    /// As [`Engine::install`]; `is_same_list` where the record is the head of the list that the key had, if it had something.
    #[inline(always)]
    pub(super) fn install_version(
        &self,
        inside: &Inside<'_>,
        locked: &mut Locked<'_>,
        hash: KeyHash,
        appended: &Appended,
        expiry_ms: Option<u64>,
        is_same_list: bool,
    ) {
        match (locked.insert(hash, appended.entry), expiry_ms) {
            (Some(old), _) if is_same_list => self.supersede(inside, hash, old, appended.seq, expiry_ms),
            (Some(old), _) => self.replace(inside, hash, old, appended.seq, expiry_ms),
            (None, Some(expiry_ms)) => self.expiries.set(hash, expiry_ms),
            (None, None) => {}
        }
    }

    /// Accounts for what a key had and has no more, the elements of a collection with it; what it has now expires then.
    #[inline]
    pub(super) fn replace(
        &self,
        inside: &Inside<'_>,
        hash: KeyHash,
        old: Entry,
        by: u64,
        expiry_ms: Option<u64>,
    ) {
        if old.size.is_head() {
            self.let_go_of(inside, old);
        }
        self.supersede(inside, hash, old, by, expiry_ms);
    }

    /// Accounts for a version that the index no longer points at; what takes its place expires then.
    #[inline]
    pub(super) fn supersede(
        &self,
        inside: &Inside<'_>,
        hash: KeyHash,
        old: Entry,
        by: u64,
        expiry_ms: Option<u64>,
    ) {
        let file = self.catalog.files.get(usize::from(old.location.slot), inside);
        if self.snapshots.any() && !seeded_bug!("snapshot-sees-a-later-write") {
            self.snapshots.keep(hash, old, file.map_or(0, |file| file.seqs().0), by);
        }
        if let Some(file) = file
            && !seeded_bug!("usage-not-counted")
        {
            file.usage.died(old.size);
        }
        match expiry_ms {
            Some(expiry_ms) => self.expiries.set(hash, expiry_ms),
            // In a plain file nothing expires.
            None if file.is_none_or(|file| !file.is_plain()) => self.expiries.clear(hash),
            None => {}
        }
    }

    #[inline(always)]
    pub(super) fn finish_write(&self, appended: &Appended, sync: bool) -> Result<()> {
        if sync || self.options.sync == SyncMode::Always {
            self.log.wait_durable(appended.end)?;
        }
        if appended.may_pause {
            self.back_pressure.ask();
        }
        Ok(())
    }

    /// What a condition asks: `None` where the key is not there, else when it expires.
    pub(super) fn current(
        &self,
        inside: &Inside<'_>,
        entry: Option<Entry>,
        key: &[u8],
    ) -> Result<Option<Option<u64>>> {
        match entry {
            Some(entry) => Ok(self.describe_at(inside, entry, key)?.map(|(_, expiry_ms)| expiry_ms)),
            None => Ok(None),
        }
    }
}
