//! Which versions of a key a run that is written gets: those that somebody may still read.
//!
//! A version is needed where it is the newest, or where a snapshot lies between it and what came next, be that a newer version or the
//! delete of a range. At the bottom, where nothing older of the key is anywhere else, what says that a key is not there goes too, as
//! long as no older version of it stays.

use super::key::{self, RangeDelete};
use super::memtable::dead_list;
use super::ranges::Ranges;
use crate::format::run::block::{Meta, What};
use crate::store::error::Result;
use crate::store::memory::{self, Refused, copy_of};

/// What is asked of the rest of the store.
pub trait Around {
    /// Whether nothing older than what is looked at is anywhere else for this key.
    fn is_bottom(&self, key: &[u8]) -> bool;

    /// Whether what expires then has expired.
    fn has_expired(&self, expiry_ms: u64) -> bool;

    /// The sequence number that the next write will have at least, if this version is the newest of its key in the whole store.
    fn is_newest(&self, key: &[u8], seq: u64) -> Result<Option<u64>>;
}

/// Takes what is to be written: key, what is said of it, value.
pub type Emit<'a> = dyn FnMut(&[u8], &Meta, &[u8]) -> Result<()> + 'a;

/// See the module.
pub struct Survivors<'a> {
    snapshots: Vec<u64>,
    ranges: Ranges,
    around: &'a dyn Around,
    key: Vec<u8>,
    /// Whether nothing older of the key is anywhere else, once that was asked.
    is_bottom: Option<bool>,
    /// What came after the version that is looked at: its number and, where it is a version, that.
    newer: Option<(Meta, Vec<u8>)>,
    /// What may go if nothing older stays.
    pending: Vec<(Meta, Vec<u8>)>,
    /// Lists that turned out to be no more.
    pub dead: Vec<RangeDelete>,
    dead_are_known: bool,
    /// A snapshot kept something that the delete of a range should have taken.
    pub is_blocked: bool,
}

impl<'a> Survivors<'a> {
    /// For readers at these moments, in their order, and with these deletes of ranges.
    pub fn new(
        snapshots: Vec<u64>,
        ranges: Vec<RangeDelete>,
        around: &'a dyn Around,
    ) -> Result<Self, Refused> {
        Ok(Survivors {
            ranges: Ranges::between(ranges, &snapshots)?,
            snapshots,
            around,
            key: Vec::new(),
            is_bottom: None,
            newer: None,
            pending: Vec::new(),
            dead: Vec::new(),
            dead_are_known: false,
            is_blocked: false,
        })
    }

    fn is_seen(&self, seq: u64, before: u64) -> bool {
        let n = self.snapshots.partition_point(|snapshot| *snapshot < seq);
        self.snapshots.get(n).is_some_and(|snapshot| *snapshot < before)
    }

    /// Takes the next version: in the order of keys, and of one key the newest first. What is to be written is given to `emit`.
    pub fn take(&mut self, key: &[u8], meta: &Meta, value: &[u8], emit: &mut Emit<'_>) -> Result<()> {
        if self.key != key {
            self.begin(key)?;
        }
        let newer = self.newer.as_ref().map_or(u64::MAX, |(meta, _)| meta.seq);
        let range = self.ranges.first_after(key, meta.seq).unwrap_or(u64::MAX);
        let next = newer.min(range);
        let is_seen = next == u64::MAX || self.is_seen(meta.seq, next);
        self.is_blocked |= range != u64::MAX && is_seen;
        if !is_seen {
            let after = self.newer.as_ref().filter(|_| newer < range);
            if let Some(id) = dead_list(meta, value, after.map(|(meta, value)| (meta, value.as_slice()))) {
                memory::push(&mut self.dead, key::dead_list(id, next))?;
            }
        } else if self.may_go(key, meta, value, next)? {
            memory::push(&mut self.pending, (*meta, copy_of(value)?))?;
        } else {
            for (meta, value) in self.pending.drain(..) {
                emit(key, &meta, &value)?;
            }
            emit(key, meta, value)?;
        }
        // Of what follows only a head is compared with it.
        let head = if meta.what == What::Head { copy_of(value)? } else { Vec::new() };
        self.newer = Some((*meta, head));
        Ok(())
    }

    fn begin(&mut self, key: &[u8]) -> Result<()> {
        self.pending.clear();
        self.newer = None;
        memory::copy_to(&mut self.key, key)?;
        self.is_bottom = None;
        if !self.dead_are_known && !key::is_users(key) {
            // All heads were seen: they come before all elements.
            self.dead_are_known = true;
            key::join_dead_lists(&mut self.dead);
            let mut all = RangeDelete::copies(&self.ranges.all)?;
            let mut dead = RangeDelete::copies(&self.dead)?;
            memory::reserve(&mut all, dead.len())?;
            all.append(&mut dead);
            self.ranges = Ranges::between(all, &self.snapshots)?;
        }
        Ok(())
    }

    /// Whether this version, of which nothing older stays, can go.
    fn may_go(&mut self, key: &[u8], meta: &Meta, value: &[u8], next: u64) -> Result<bool> {
        let is_over = meta.what == What::Nothing
            || meta.expiry_ms.is_some_and(|expiry_ms| self.around.has_expired(expiry_ms));
        // Asked last: most versions stay whatever the answer is.
        if !is_over || !*self.is_bottom.get_or_insert_with(|| self.around.is_bottom(key)) {
            return Ok(false);
        }
        if meta.what == What::Nothing {
            return Ok(true);
        }
        if meta.what == What::Head {
            // Only where it is the newest of all is it certain that the list is no more.
            match self.around.is_newest(key, meta.seq)? {
                Some(next_seq) if next == u64::MAX => {
                    if let Some(id) = dead_list(meta, value, None) {
                        memory::push(&mut self.dead, key::dead_list(id, next_seq))?;
                    }
                }
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}
