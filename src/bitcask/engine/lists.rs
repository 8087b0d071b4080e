//! Lists: what a push, a pop and a look at one consist of.
//!
//! A push appends the element and the new head as one batch, a pop the new head alone (or a tombstone, with the last element): both
//! are atomic in the log, and of constant cost. The key is locked meanwhile, and the index of elements is changed so that a head
//! never names an element that is not there: pushes put the element first, pops take it out last. Readers take no lock. Where an
//! element is gone they look at the head again: if that is still the same, the element is damaged.

use super::read::damaged;
use super::{Engine, Inside};
use crate::format::collection::{ELEMENT_KEY_SIZE, ListHead};
use crate::format::features::COLLECTIONS;
use crate::format::frame::{self, Kind};
use crate::index::{Entry, Index, KeyHash, Locked};
use crate::log::append::{Appended, Record};
use crate::log::file::{DataFile, Frame};
use crate::store::Copying;
use crate::store::changes::{ListNow, Looked};
use crate::store::error::{Error, Result};
use crate::store::iter::KeyList;
use crate::store::memory::vec_with_room;
use crate::store::value::{End, clamp_range, place_of, position_at};

/// What a key has that is, or may become, a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    /// The head of the list.
    pub head: ListHead,
    /// When it expires.
    pub expiry_ms: Option<u64>,
    /// The number of the record that made it so.
    pub seq: u64,
    /// Whether it is made now: what the key had is another list that has expired, if it is one.
    pub is_new: bool,
}

/// Elements of lists that are gone are taken out so many at a time.
const TAKEN_OUT_AT_ONCE: u64 = 1024;

/// How often a reader looks at a list again that changes under it; then it keeps writers away.
const LOOKS: usize = 16;

/// How many elements are looked up at once.
const AT_ONCE: usize = 32;

impl Engine {
    /// The list that the record at `entry` names; `None` where there is none, or it has expired.
    pub fn list_at(&self, inside: &Inside<'_>, entry: Option<Entry>, key: &[u8]) -> Result<Option<List>> {
        let Some(entry) = entry else { return Ok(None) };
        let mut buffer = Vec::new();
        let Some(frame) = self.record(inside, entry, key, &mut buffer, DataFile::is_intact)? else {
            return Ok(None);
        };
        if frame.header.kind != Kind::Head {
            return Err(Error::WrongType);
        }
        let head = ListHead::decode(frame.value());
        let head = head.or_else(|what| Err(self.file(inside, entry)?.corrupt(frame.offset, what)))?;
        let header = &frame.header;
        Ok(Some(List { head, expiry_ms: header.expiry_ms, seq: header.seq, is_new: false }))
    }

    fn element_hash(&self, head: &ListHead, position: i64) -> KeyHash {
        self.hasher.hash(&head.element_key(position))
    }

    /// Adds a value at an end of a list, which is made where there is none: the new length.
    pub fn push(&self, inside: &Inside<'_>, key: &[u8], value: &[u8], end: End) -> Result<u64> {
        self.check_writable()?;
        frame::check_key(key)?;
        frame::check_value_len(value.len() as u64)?;
        let hash = self.hasher.hash(key);
        let mut locked = self.index.lock_for_insert(hash)?;
        let list = self.list_at(inside, locked.get(hash), key)?;
        self.catalog.require(COLLECTIONS)?;
        let (list, position) = self.grown(list, end)?;
        let element_key = list.head.element_key(position);
        let element_hash = self.hasher.hash(&element_key);
        let mut elements = self.elements.index_or_make()?.lock_for_insert(element_hash)?;
        let head = list.head.encode();
        let element = Record { kind: Kind::Element, key: &element_key, value, expiry_ms: None };
        let of_key = Record { kind: Kind::Head, key, value: &head, expiry_ms: list.expiry_ms };
        // The order says to those who follow the log whether the list is new. Both count, or none.
        let records = if list.is_new { [of_key, element] } else { [element, of_key] };
        let mut appended = vec_with_room(records.len())?;
        if seeded_bug!("list-head-without-element") {
            let head = self.log.append(&of_key, self.clock.coarse())?;
            appended.extend([self.log.append(&element, self.clock.coarse())?, head]);
        } else {
            self.log.append_batch(&records, self.clock.coarse(), &mut appended)?;
            if list.is_new {
                appended.reverse();
            }
        }
        let [of_element, of_head] = appended[..] else { return Ok(list.head.length()) };
        self.install_element(inside, &mut elements, element_hash, &of_element);
        drop(elements);
        self.install_version(inside, &mut locked, hash, &of_head, list.expiry_ms, !list.is_new);
        drop(locked);
        self.finish_write(&of_head, false)?;
        Ok(list.head.length())
    }

    /// A list with one more place at an end, and that place; a new list where there is none.
    pub(super) fn grown(&self, list: Option<List>, end: End) -> Result<(List, i64)> {
        let mut list = list.unwrap_or_else(|| List {
            head: ListHead { id: self.elements.next_id(), first: 0, end: 0 },
            expiry_ms: None,
            seq: 0,
            is_new: true,
        });
        let full = || Error::Unsupported { message: "the list has used up its positions".into() };
        let position = match end {
            End::Back => {
                let position = list.head.end;
                list.head.end = position.checked_add(1).ok_or_else(full)?;
                position
            }
            End::Front => {
                list.head.first = list.head.first.checked_sub(1).ok_or_else(full)?;
                list.head.first
            }
        };
        Ok((list, position))
    }

    /// Takes the value at an end of a list out, once it was copied to `to`, and gives its size; `None` where there is no list.
    pub fn pop(
        &self,
        inside: &Inside<'_>,
        key: &[u8],
        end: End,
        to: &mut dyn Copying,
    ) -> Result<Option<usize>> {
        self.check_writable()?;
        frame::check_key(key)?;
        let hash = self.hasher.hash(key);
        if !self.index.is_pending(hash) && self.index.get(hash).is_none() {
            return Ok(None);
        }
        let mut locked = self.index.lock_for_insert(hash)?;
        let Some(mut list) = self.list_at(inside, locked.get(hash), key)? else { return Ok(None) };
        let position = position_at(list.head.positions(), end);
        let value = self.element(inside, &list.head, position, |value| copy_whole(value, to))?;
        let size = value.ok_or_else(|| self.lost_element(inside, locked.get(hash)))??;
        match end {
            End::Back => list.head.end = position,
            End::Front => list.head.first = position + 1,
        }
        let appended = if list.head.length() == 0 {
            let record = Record { kind: Kind::Tombstone, key, value: &[], expiry_ms: None };
            let appended = self.log.append(&record, self.clock.coarse())?;
            if let Some(old) = locked.remove(hash) {
                self.supersede(inside, hash, old, appended.seq, None);
            }
            appended
        } else {
            let head = list.head.encode();
            let record = Record { kind: Kind::Head, key, value: &head, expiry_ms: list.expiry_ms };
            let appended = self.log.append(&record, self.clock.coarse())?;
            self.install_version(inside, &mut locked, hash, &appended, list.expiry_ms, !list.is_new);
            appended
        };
        // While the key is locked: a push at this end uses the position again.
        self.take_out_or_leave(inside, &list.head, position);
        drop(locked);
        self.finish_write(&appended, false)?;
        Ok(Some(size))
    }

    /// Points the index of elements at one that was appended.
    pub(super) fn install_element(
        &self,
        inside: &Inside<'_>,
        elements: &mut Locked<'_>,
        hash: KeyHash,
        appended: &Appended,
    ) {
        // Walks do not show elements: no moment needs the old one.
        if let Some(old) = elements.insert(hash, appended.entry)
            && let Some(file) = self.catalog.files.get(usize::from(old.location.slot), inside)
        {
            file.usage.died(old.size);
        }
    }

    /// Notes that what the record at `entry` names is replaced by something that is not the same list. To be called while the key is
    /// locked and the record is still there.
    #[cold]
    pub(super) fn let_go_of(&self, inside: &Inside<'_>, entry: Entry) {
        let mut buffer = Vec::new();
        let head = self.file(inside, entry).and_then(|file| {
            let frame = file.frame(entry, &mut buffer)?;
            if !frame.is_intact() || frame.header.kind != Kind::Head {
                return Err(damaged(file, &frame));
            }
            ListHead::decode(frame.value()).map_err(|what| file.corrupt(frame.offset, what))
        });
        match head {
            Ok(head) => self.elements.let_go(head),
            // Its elements take space until the index is made anew.
            Err(error) => {
                self.elements.leave_strays();
                self.catalog.events.log(crate::store::events::LogLevel::Warn, || &error);
            }
        }
    }

    /// Takes elements of lists that are gone out of the index, some at a time. False once there are none.
    pub fn take_out_gone(&self, inside: &Inside<'_>) -> Result<bool> {
        let Some((head, positions)) = self.elements.take_gone(TAKEN_OUT_AT_ONCE) else { return Ok(false) };
        let (first, end) = (positions.start, positions.end);
        self.take_out(inside, &head, positions).inspect_err(|_| {
            // Again later; those that are out already are not there then.
            self.elements.let_go(ListHead { first, end, ..head });
        })?;
        Ok(true)
    }

    /// Takes an element out that was popped. Where that cannot be done now, the next one with its position takes its place.
    pub(super) fn take_out_or_leave(&self, inside: &Inside<'_>, head: &ListHead, position: i64) {
        if self.take_out(inside, head, position..position + 1).is_err() {
            self.elements.leave_strays();
        }
    }

    pub(super) fn take_out(
        &self,
        inside: &Inside<'_>,
        head: &ListHead,
        positions: std::ops::Range<i64>,
    ) -> Result<()> {
        let Some(index) = self.elements.index() else { return Ok(()) };
        for position in positions {
            let hash = self.element_hash(head, position);
            let removed = index.lock(hash)?.remove(hash);
            if let Some(entry) = removed
                && let Some(file) = self.catalog.files.get(usize::from(entry.location.slot), inside)
            {
                file.usage.died(entry.size);
            }
        }
        Ok(())
    }

    /// Shows an element to `visit`; `None` where it is not there.
    pub(super) fn element<R>(
        &self,
        inside: &Inside<'_>,
        head: &ListHead,
        position: i64,
        visit: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        let Some(index) = self.elements.index() else { return Ok(None) };
        let key = head.element_key(position);
        let Some(entry) = index.get(self.hasher.hash(&key)) else { return Ok(None) };
        self.element_at(inside, entry, &key, visit).map(Some)
    }

    /// Shows the element with this key, whose record is at `entry`, to `visit`.
    #[inline]
    fn element_at<R>(
        &self,
        inside: &Inside<'_>,
        entry: Entry,
        key: &[u8; ELEMENT_KEY_SIZE],
        visit: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        let file = self.file(inside, entry)?;
        let mut buffer = Vec::new();
        let frame: Frame<'_> = file.frame(entry, &mut buffer)?;
        let is_its = frame.header.kind == Kind::Element && frame.key() == key;
        if !is_its || (self.options.verify_checksums && !frame.is_intact()) {
            return Err(damaged(file, &frame));
        }
        Ok(visit(frame.value()))
    }

    /// What is wrong where a head names an element that is not there.
    #[cold]
    pub(super) fn lost_element(&self, inside: &Inside<'_>, entry: Option<Entry>) -> Error {
        let lost = "the head of a list names an element that is not there";
        match entry.map(|entry| (entry, self.file(inside, entry))) {
            Some((entry, Ok(file))) => file.corrupt(u64::from(entry.location.units) * 8, lost),
            Some((_, Err(error))) => error,
            None => Error::WrongType,
        }
    }

    /// As [`Engine::look_at_list`], without a lock; `None` where the list changes under each look.
    fn look_at_list_while_it_rests<R>(
        &self,
        inside: &Inside<'_>,
        key: &[u8],
        look: &mut impl FnMut(&List) -> Result<Option<R>>,
    ) -> Result<Option<Option<R>>> {
        frame::check_key(key)?;
        let hash = self.hasher.hash(key);
        for _ in 0..LOOKS {
            let entry = self.index.get(hash);
            let Some(list) = self.list_at(inside, entry, key)? else { return Ok(Some(None)) };
            let seen = look(&list)?;
            // What was seen between two looks at the same head is of one moment, but for elements that were set.
            if self.index.get(hash) == entry {
                let seen = seen.ok_or_else(|| self.lost_element(inside, entry))?;
                return Ok(Some(Some(seen)));
            }
        }
        Ok(None)
    }

    /// Calls `look` with the list until that finds all that the list names; `None` where there is no list. `look` says `None` where an
    /// element was not there.
    fn look_at_list<R>(
        &self,
        inside: &Inside<'_>,
        key: &[u8],
        mut look: impl FnMut(&List) -> Result<Option<R>>,
    ) -> Result<Option<R>> {
        if let Some(seen) = self.look_at_list_while_it_rests(inside, key, &mut look)? {
            return Ok(seen);
        }
        let hash = self.hasher.hash(key);
        let locked = self.index.lock(hash)?;
        let entry = locked.get(hash);
        let Some(list) = self.list_at(inside, entry, key)? else { return Ok(None) };
        look(&list)?.map(Some).ok_or_else(|| self.lost_element(inside, entry))
    }

    /// The number of elements; `None` where there is no list.
    pub fn list_length(&self, inside: &Inside<'_>, key: &[u8]) -> Result<Option<u64>> {
        frame::check_key(key)?;
        let list = self.list_at(inside, self.index.get(self.hasher.hash(key)), key)?;
        Ok(list.map(|list| list.head.length()))
    }

    /// A copy of an element, by its index.
    pub fn list_get(&self, inside: &Inside<'_>, key: &[u8], index: i64) -> Result<Option<Vec<u8>>> {
        let found = self.look_at_list(inside, key, |List { head, .. }| {
            let Some(place) = place_of(head.length(), index) else { return Ok(Some(None)) };
            let value = self.element(inside, head, head.first.wrapping_add_unsigned(place), copied)?;
            value.transpose().map(|value| value.map(Some))
        });
        Ok(found?.flatten())
    }

    /// Replaces an element. False where there is none.
    pub fn list_set(&self, inside: &Inside<'_>, key: &[u8], index: i64, value: &[u8]) -> Result<bool> {
        self.check_writable()?;
        frame::check_key(key)?;
        frame::check_value_len(value.len() as u64)?;
        let hash = self.hasher.hash(key);
        let mut locked = self.index.lock_for_insert(hash)?;
        let Some(list) = self.list_at(inside, locked.get(hash), key)? else { return Ok(false) };
        let Some(place) = place_of(list.head.length(), index) else { return Ok(false) };
        let element_key = list.head.element_key(list.head.first.wrapping_add_unsigned(place));
        let element_hash = self.hasher.hash(&element_key);
        let mut elements = self.elements.index_or_make()?.lock_for_insert(element_hash)?;
        let head = list.head.encode();
        // The head once more: who follows the log learns from it which key this is about.
        let records = [
            Record { kind: Kind::Element, key: &element_key, value, expiry_ms: None },
            Record { kind: Kind::Head, key, value: &head, expiry_ms: list.expiry_ms },
        ];
        let mut appended = vec_with_room(records.len())?;
        self.log.append_batch(&records, self.clock.coarse(), &mut appended)?;
        let [of_element, of_head] = appended[..] else { return Ok(true) };
        self.install_element(inside, &mut elements, element_hash, &of_element);
        drop(elements);
        self.install_version(inside, &mut locked, hash, &of_head, list.expiry_ms, true);
        drop(locked);
        self.finish_write(&of_head, false)?;
        Ok(true)
    }

    /// Copies of the elements between two indices; `None` where there is no list.
    pub fn list_range(
        &self,
        inside: &Inside<'_>,
        key: &[u8],
        first: i64,
        last: i64,
    ) -> Result<Option<KeyList>> {
        self.look_at_list(inside, key, |list| self.values(inside, &list.head, first, last))
    }

    /// A list as it is now. Writers do not wait.
    pub fn list_now(&self, inside: &Inside<'_>, key: &[u8]) -> Result<Looked> {
        let seen = self.look_at_list_while_it_rests(inside, key, &mut |list| {
            let List { head, expiry_ms, seq, .. } = *list;
            let values = self.values(inside, &head, 0, -1)?;
            Ok(values.map(|values| ListNow { seq, head, expiry_ms, values }))
        })?;
        Ok(match seen {
            Some(Some(list)) => Looked::List(list),
            Some(None) => Looked::None,
            None => Looked::Changing,
        })
    }

    /// Copies of the elements between two indices; `None` where one is not there. Rounds as in [`Engine::pin_many`]; and while records of
    /// one round are read, the slots of the next are on their way.
    fn values(&self, inside: &Inside<'_>, head: &ListHead, first: i64, last: i64) -> Result<Option<KeyList>> {
        let (before, count) = clamp_range(head.length(), first, last);
        let from = head.first.wrapping_add_unsigned(before);
        let mut positions = from..from.wrapping_add_unsigned(count);
        let mut values = KeyList::with_room(count)?;
        let Some(index) = self.elements.index() else {
            return Ok((count == 0).then_some(values));
        };
        let may_wait = self.disk_watch.may_wait();
        let mut round = self.ask_for_slots(index, head, &mut positions);
        while !round.is_empty() {
            let mut entries = [None; AT_ONCE];
            for (found, (_, hash)) in entries.iter_mut().zip(round.elements()) {
                let Some(entry) = index.get(*hash) else { return Ok(None) };
                let file = self.file(inside, entry)?;
                if may_wait {
                    file.will_need(entry);
                }
                file.prefetch(entry);
                *found = Some(entry);
            }
            let next = self.ask_for_slots(index, head, &mut positions);
            for ((key, _), entry) in round.elements().iter().zip(entries.into_iter().flatten()) {
                self.element_at(inside, entry, key, |value| values.push(value))??;
            }
            round = next;
        }
        Ok(Some(values))
    }

    /// The next elements, whose slots of the index the processor is asked for.
    fn ask_for_slots(&self, index: &Index, head: &ListHead, positions: &mut std::ops::Range<i64>) -> Round {
        let mut round = Round { all: [Default::default(); AT_ONCE], count: 0 };
        for (element, position) in round.all.iter_mut().zip(positions) {
            let key = head.element_key(position);
            let hash = self.hasher.hash(&key);
            index.prefetch_to_look(hash);
            *element = (key, hash);
            round.count += 1;
        }
        round
    }
}

/// Some elements that are looked up together.
struct Round {
    all: [([u8; ELEMENT_KEY_SIZE], KeyHash); AT_ONCE],
    count: usize,
}

impl Round {
    fn elements(&self) -> &[([u8; ELEMENT_KEY_SIZE], KeyHash)] {
        self.all.get(..self.count).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Copies a value, and gives its size.
pub(super) fn copy_whole(value: &[u8], to: &mut dyn Copying) -> Result<usize> {
    if !to.begin(value.len()) {
        return Err(Error::NoMemory { bytes: value.len() as u64 });
    }
    to.copy(value);
    Ok(value.len())
}

/// A copy of a value.
pub(super) fn copied(value: &[u8]) -> Result<Vec<u8>> {
    let mut copy = vec_with_room(value.len())?;
    copy.extend_from_slice(value);
    Ok(copy)
}
