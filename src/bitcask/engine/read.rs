//! Reads of one key: from its place in the index to its record, and what is checked on the way.

use std::time::Instant;

use super::{Current, Engine, Inside};
use crate::format::frame::{self, Kind};
use crate::index::Entry;
use crate::log::file::{DataFile, Frame};
use crate::store::Copying;
use crate::store::error::{Error, Result};
use crate::store::pinned::Pinned;
use crate::store::value::{Seen, Type};

/// Values of so many bytes and more are copied while their checksums are computed. Smaller ones are at hand after that, and
/// those that expire may turn out not to be there.
const COPIED_IN_PIECES: usize = 2 * frame::COPIED_AT_ONCE;

impl Engine {
    /// Copies the value of a key, if `to` has room for it, and gives its size; `None` where there is no such key.
    #[inline]
    pub fn copy(
        &self,
        inside: &Inside<'_>,
        key: &[u8],
        to: &mut (impl Copying + ?Sized),
    ) -> Result<Option<usize>> {
        frame::check_key(key)?;
        let Some(entry) = self.index.get(self.hasher.hash(key)) else { return Ok(None) };
        if entry.size.bytes() < COPIED_IN_PIECES as u64
            && let Some(value) = self.bare_value(inside, entry, key)
        {
            if to.begin(value.len()) {
                to.copy(value);
            }
            return Ok(Some(value.len()));
        }
        self.copy_at(inside, entry, key, to)
    }

    /// As [`Engine::copy`], of a record that is large or has more than a key and a value.
    #[inline(never)]
    pub(super) fn copy_at(
        &self,
        inside: &Inside<'_>,
        entry: Entry,
        key: &[u8],
        to: &mut (impl Copying + ?Sized),
    ) -> Result<Option<usize>> {
        let (mut buffer, mut is_copied) = (Vec::new(), false);
        let is_intact = |file: &DataFile, frame: &Frame<'_>| {
            let len = frame.value().len();
            is_copied = frame.header.kind == Kind::Put
                && len >= COPIED_IN_PIECES
                && frame.header.expiry_ms.is_none()
                && to.begin(len);
            if is_copied {
                file.is_intact_and_copied(frame, |piece| to.copy(piece))
            } else {
                file.is_intact(frame)
            }
        };
        let Some(frame) = self.record(inside, entry, key, &mut buffer, is_intact)? else { return Ok(None) };
        if frame.header.kind != Kind::Put {
            return Err(Error::WrongType);
        }
        let value = frame.value();
        if !is_copied && to.begin(value.len()) {
            to.copy(value);
        }
        Ok(Some(value.len()))
    }

    /// Finds what a key has and shows it to `visit`; `None` where there is no such key.
    #[inline]
    pub fn find<R>(
        &self,
        inside: &Inside<'_>,
        key: &[u8],
        visit: impl FnOnce(Current<'_>) -> R,
    ) -> Result<Option<R>> {
        frame::check_key(key)?;
        match self.index.get(self.hasher.hash(key)) {
            Some(entry) => self.at(inside, entry, key, visit),
            None => Ok(None),
        }
    }

    /// Shows what the record at `entry` says to `visit`, if it is one of this key and has not expired.
    #[inline]
    pub fn at<R>(
        &self,
        inside: &Inside<'_>,
        entry: Entry,
        key: &[u8],
        visit: impl FnOnce(Current<'_>) -> R,
    ) -> Result<Option<R>> {
        if let Some(value) = self.bare_value(inside, entry, key) {
            return Ok(Some(visit(Current { value, expiry_ms: None })));
        }
        let mut buffer = Vec::new();
        match self.record(inside, entry, key, &mut buffer, DataFile::is_intact)? {
            Some(frame) if frame.header.kind != Kind::Put => Err(Error::WrongType),
            Some(frame) => {
                Ok(Some(visit(Current { value: frame.value(), expiry_ms: frame.header.expiry_ms })))
            }
            None => Ok(None),
        }
    }

    /// The value of the record at `entry`, where that is a mapped [`frame::BarePut`] of this key and, if that is to be verified,
    /// intact. `None` for any other: [`Engine::record`] tells what it is; and where the time that this takes is to be known.
    #[inline(always)]
    pub(super) fn bare_value<'a>(
        &'a self,
        inside: &'a Inside<'_>,
        entry: Entry,
        key: &[u8],
    ) -> Option<&'a [u8]> {
        if self.disk_watch.is_timed(entry) {
            return None;
        }
        let put = self.catalog.files.get(usize::from(entry.location.slot), inside)?.bare_put(entry)?;
        let is_its = put.key == key && (!self.options.verify_checksums || put.is_intact());
        is_its.then_some(put.value)
    }

    /// The record at `entry`, if it is one of this key and has not expired; `is_intact` looks at its checksum.
    #[inline(never)]
    pub(super) fn record<'a>(
        &'a self,
        inside: &'a Inside<'_>,
        entry: Entry,
        key: &[u8],
        buffer: &'a mut Vec<u8>,
        is_intact: impl FnOnce(&DataFile, &Frame<'_>) -> bool,
    ) -> Result<Option<Frame<'a>>> {
        if !self.disk_watch.is_timed(entry) {
            return self.record_at(inside, entry, key, buffer, is_intact);
        }
        let begun = Instant::now();
        if self.disk_watch.may_wait() {
            self.file(inside, entry)?.use_now(entry);
        }
        let record = self.record_at(inside, entry, key, buffer, is_intact);
        self.disk_watch.saw(begun, entry.size.bytes());
        record
    }

    #[inline(always)]
    pub(super) fn record_at<'a>(
        &'a self,
        inside: &'a Inside<'_>,
        entry: Entry,
        key: &[u8],
        buffer: &'a mut Vec<u8>,
        is_intact: impl FnOnce(&DataFile, &Frame<'_>) -> bool,
    ) -> Result<Option<Frame<'a>>> {
        let file = self.file(inside, entry)?;
        let frame = file.frame(entry, buffer)?;
        if frame.key() != key {
            // Another key with the same hash, which is next to impossible, or damage, which is not.
            return if frame.is_intact() { Ok(None) } else { Err(damaged(file, &frame)) };
        }
        if self.options.verify_checksums && !is_intact(file, &frame) {
            return Err(damaged(file, &frame));
        }
        if !matches!(frame.header.kind, Kind::Put | Kind::Head) {
            return Err(file.corrupt(frame.offset, "the index points at something that is no value"));
        }
        if frame.header.expiry_ms.is_some_and(|expiry_ms| self.has_expired(expiry_ms))
            && !seeded_bug!("expired-key-comes-back")
        {
            return Ok(None);
        }
        Ok(Some(frame))
    }

    /// What a key holds and when it expires; `None` where it is not there.
    pub fn describe(&self, inside: &Inside<'_>, key: &[u8]) -> Result<Option<(Type, Option<u64>)>> {
        frame::check_key(key)?;
        match self.index.get(self.hasher.hash(key)) {
            Some(entry) => self.describe_at(inside, entry, key),
            None => Ok(None),
        }
    }

    pub(super) fn describe_at(
        &self,
        inside: &Inside<'_>,
        entry: Entry,
        key: &[u8],
    ) -> Result<Option<(Type, Option<u64>)>> {
        if self.bare_value(inside, entry, key).is_some() {
            return Ok(Some((Type::Value, None)));
        }
        let mut buffer = Vec::new();
        let frame = self.record(inside, entry, key, &mut buffer, DataFile::is_intact)?;
        Ok(frame.map(|frame| {
            let holds = if frame.header.kind == Kind::Head { Type::List } else { Type::Value };
            (holds, frame.header.expiry_ms)
        }))
    }

    /// Shows what a key has. False where there is no such key.
    pub fn look(&self, inside: &Inside<'_>, key: &[u8], visit: impl FnOnce(Seen<'_>)) -> Result<bool> {
        frame::check_key(key)?;
        let Some(entry) = self.index.get(self.hasher.hash(key)) else { return Ok(false) };
        if let Some(value) = self.bare_value(inside, entry, key) {
            visit(Seen { holds: Type::Value, value, length: 0, expiry_ms: None });
            return Ok(true);
        }
        if entry.size.is_head() {
            let list = self.list_at(inside, Some(entry), key)?;
            let seen = list.map(|list| Seen {
                holds: Type::List,
                value: &[],
                length: list.head.length(),
                expiry_ms: list.expiry_ms,
            });
            return Ok(seen.map(visit).is_some());
        }
        let mut buffer = Vec::new();
        let frame = self.record(inside, entry, key, &mut buffer, DataFile::is_intact)?;
        let seen = frame.map(|frame| Seen {
            holds: Type::Value,
            value: frame.value(),
            length: 0,
            expiry_ms: frame.header.expiry_ms,
        });
        Ok(seen.map(visit).is_some())
    }

    /// The value of a key, pinned.
    pub fn pin(&self, inside: &Inside<'_>, key: &[u8]) -> Result<Option<Pinned>> {
        frame::check_key(key)?;
        match self.index.get(self.hasher.hash(key)) {
            Some(entry) => self.pin_at(inside, entry, key),
            None => Ok(None),
        }
    }

    pub(super) fn pin_at(&self, inside: &Inside<'_>, entry: Entry, key: &[u8]) -> Result<Option<Pinned>> {
        let keeper = self.file(inside, entry)?.keeper();
        let pinned = self.at(inside, entry, key, |current| match keeper {
            Some(keeper) => Ok(Pinned::kept(keeper.clone(), current.value)),
            None => Pinned::copied(current.value),
        })?;
        pinned.transpose()
    }
}

/// The record of `frame` is damaged.
#[cold]
pub(super) fn damaged(file: &DataFile, frame: &Frame<'_>) -> Error {
    file.corrupt(frame.offset, "the checksum of the record does not match")
}
