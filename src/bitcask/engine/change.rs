//! Reading and writing a key in one step, while it is locked.

use super::lists::{copied, copy_whole};
use super::{Current, Engine, Inside};
use crate::format::frame::{self, Kind};
use crate::log::append::Record;
use crate::store::Copying;
use crate::store::error::{Error, Result};
use crate::store::value::{Change, incremented};

impl Engine {
    /// Shows what a key has to `change`, and does what that says. Others that change the key wait.
    pub fn update(
        &self,
        inside: &Inside<'_>,
        key: &[u8],
        change: &mut dyn FnMut(Option<&[u8]>) -> Result<Change>,
    ) -> Result<()> {
        self.check_writable()?;
        frame::check_key(key)?;
        let hash = self.hasher.hash(key);
        let mut locked = self.index.lock_for_insert(hash)?;
        let mut expiry_ms = None;
        let decide = |current: Current<'_>| {
            expiry_ms = current.expiry_ms;
            change(Some(current.value))
        };
        let decided = match locked.get(hash) {
            Some(entry) => self.at(inside, entry, key, decide)?,
            None => None,
        };
        let is_there = decided.is_some();
        let decided = match decided {
            Some(decided) => decided?,
            None => change(None)?,
        };
        let appended = match decided {
            Change::Keep => return Ok(()),
            Change::Delete if !is_there => return Ok(()),
            Change::Delete => {
                let record = Record { kind: Kind::Tombstone, key, value: &[], expiry_ms: None };
                let appended = self.log.append(&record, self.clock.coarse())?;
                if let Some(old) = locked.remove(hash) {
                    self.supersede(inside, hash, old, appended.seq, None);
                }
                appended
            }
            Change::Put(value) => {
                frame::check_value_len(value.len() as u64)?;
                let record = Record { kind: Kind::Put, key, value: &value, expiry_ms };
                let appended = self.log.append(&record, self.clock.coarse())?;
                self.install(inside, &mut locked, hash, &appended, expiry_ms);
                appended
            }
        };
        drop(locked);
        self.finish_write(&appended, false)
    }

    /// Removes a key, once its value was copied to `to`, and gives the size of that.
    pub fn get_delete(&self, inside: &Inside<'_>, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        let mut had = None;
        self.update(inside, key, &mut |value| {
            had = value.map(|value| copy_whole(value, to)).transpose()?;
            Ok(Change::Delete)
        })?;
        Ok(had)
    }

    /// Replaces a value by another, `None` for no value, if it is as expected. False where it is not.
    pub fn compare_and_swap(
        &self,
        inside: &Inside<'_>,
        key: &[u8],
        expected: Option<&[u8]>,
        desired: Option<&[u8]>,
    ) -> Result<bool> {
        if let Some(desired) = desired {
            frame::check_value_len(desired.len() as u64)?;
        }
        let mut is_expected = false;
        self.update(inside, key, &mut |value| {
            is_expected = value == expected;
            match desired {
                _ if !is_expected => Ok(Change::Keep),
                Some(desired) => Ok(Change::Put(copied(desired)?)),
                None => Ok(Change::Delete),
            }
        })?;
        Ok(is_expected)
    }

    /// Adds to a number in decimal text.
    pub fn increment(&self, inside: &Inside<'_>, key: &[u8], by: i64) -> Result<i64> {
        let mut sum = Err(Error::Closed);
        self.update(inside, key, &mut |value| {
            let number = incremented(value, by)?;
            sum = Ok(number);
            Ok(Change::Put(number.to_string().into_bytes()))
        })?;
        sum
    }
}
