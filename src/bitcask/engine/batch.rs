//! Batches: several writes as one frame of the log, all or none of which count.

use std::collections::{BTreeMap, BTreeSet};

use super::expiry::{Room, SHARDS};
use super::lists::List;
use super::{Engine, Inside, snapshot};
use crate::format::collection::{ELEMENT_KEY_SIZE, HEAD_SIZE};
use crate::format::features::COLLECTIONS;
use crate::format::frame::Kind;
use crate::index::{KeyHash, Locked};
use crate::log::append::{Appended, Record};
use crate::store::batch::{Batch, Operation, Verb};
use crate::store::error::{Error, Result};
use crate::store::memory::{self, vec_with_room};
use crate::store::value::{End, place_of};

/// How many records ahead of the one that the index is pointed at the slot of another is asked for.
const ASKED_AHEAD: usize = 8;

/// What a batch has made of a key so far.
#[derive(Clone, Copy)]
enum Made {
    Value,
    Nothing,
    List(List),
    /// The key had a list, whose last element was taken out; that is in the log.
    Emptied,
}

impl Engine {
    /// Writes all of a batch or nothing. The last write of a key wins; what is done to a list comes after what was done before.
    pub fn write(&self, inside: &Inside<'_>, batch: &Batch) -> Result<()> {
        match self.append_all(inside, batch)? {
            Some(last) => self.finish_write(&last, false),
            None => Ok(()),
        }
    }

    /// As [`Engine::write`], without a wait for the disk.
    pub fn write_now(&self, inside: &Inside<'_>, batch: &Batch) -> Result<()> {
        if self.append_all(inside, batch)?.is_some_and(|last| last.may_pause) {
            self.back_pressure.ask();
        }
        Ok(())
    }

    /// What was appended last.
    fn append_all(&self, inside: &Inside<'_>, batch: &Batch) -> Result<Option<Appended>> {
        self.check_writable()?;
        let now_ms = self.clock.precise();
        if batch.has_lists() {
            let mut hashes = vec_with_room(batch.len())?;
            hashes.extend(batch.operations().map(|operation| self.hasher.hash(operation.key)));
            let locked = self.index.lock_all_for_insert(&sorted(&hashes)?)?;
            return self.append_lists(inside, batch, &hashes, locked, now_ms);
        }
        if batch.len() == 1
            && let Some(operation) = batch.operations().next()
        {
            return self.append_one(inside, &record_of(&operation, now_ms)).map(Some);
        }
        let mut records = vec_with_room(batch.len())?;
        records.extend(batch.operations().map(|operation| record_of(&operation, now_ms)));
        self.append_records(inside, &records)
    }

    /// Writes one record; no batch is needed around it.
    fn append_one(&self, inside: &Inside<'_>, record: &Record<'_>) -> Result<Appended> {
        let hash = self.hasher.hash(record.key);
        self.index.prefetch_to_insert(hash);
        let mut locked = self.index.lock_for_insert(hash)?;
        if record.expiry_ms.is_some() {
            return self.append_expiring(inside, &mut locked, hash, record);
        }
        let appended = self.log.append(record, self.clock.coarse())?;
        if record.kind == Kind::Put {
            self.install(inside, &mut locked, hash, &appended, None);
        } else if let Some(old) = locked.remove(hash) {
            self.replace(inside, hash, old, appended.seq, None);
        }
        Ok(appended)
    }

    /// Writes several records, all or none of which count after a crash. The last one for a key wins.
    fn append_records(&self, inside: &Inside<'_>, records: &[Record<'_>]) -> Result<Option<Appended>> {
        if records.is_empty() {
            return Ok(None);
        }
        let mut hashes = vec_with_room(records.len())?;
        hashes.extend(records.iter().map(|record| self.hasher.hash(record.key)));
        let mut locked = self.index.lock_all_for_insert(&sorted(&hashes)?)?;
        let _room = self.room_for_lines(records, &hashes)?;
        let mut appended = vec_with_room(records.len())?;
        self.room_to_keep(records.len())?;
        self.log.append_batch(records, self.clock.coarse(), &mut appended)?;
        for (n, ((record, hash), place)) in records.iter().zip(&hashes).zip(&appended).enumerate() {
            self.ask_for_slot(records, &hashes, n + ASKED_AHEAD);
            let Some(segment) = segment_of(&mut locked, *hash) else { continue };
            if record.kind == Kind::Put {
                self.install(inside, segment, *hash, place, record.expiry_ms);
            } else if let Some(old) = segment.remove(*hash) {
                self.replace(inside, *hash, old, place.seq, None);
            }
        }
        Ok(appended.last().copied())
    }

    /// Asks the processor for the slot of a record that the index is pointed at soon.
    fn ask_for_slot(&self, records: &[Record<'_>], hashes: &[KeyHash], n: usize) {
        if let (Some(record), Some(hash)) = (records.get(n), hashes.get(n))
            && let Some(index) = self.index_of(record.kind)
        {
            index.prefetch_to_insert(*hash);
        }
    }

    /// Makes room to note when those of the records expire that do.
    fn room_for_lines(&self, records: &[Record<'_>], hashes: &[KeyHash]) -> Result<Vec<Room<'_>>> {
        if records.iter().all(|record| record.expiry_ms.is_none()) {
            return Ok(Vec::new());
        }
        let mut lines = [0; SHARDS];
        for (_, hash) in records.iter().zip(hashes).filter(|(record, _)| record.expiry_ms.is_some()) {
            lines[usize::from(hash.root)] += 1;
        }
        let wanted = (0..=u8::MAX).zip(lines).filter(|(_, lines)| *lines > 0);
        let mut rooms = vec_with_room(wanted.clone().count())?;
        for (root, lines) in wanted {
            rooms.push(self.expiries.make_room(root, lines)?);
        }
        Ok(rooms)
    }

    /// As [`Engine::append_all`], of a batch that changes lists. Its operations are of keys with these hashes, which are locked.
    pub(super) fn append_lists<'a>(
        &'a self,
        inside: &Inside<'_>,
        batch: &Batch,
        hashes: &[KeyHash],
        mut locked: Vec<Locked<'a>>,
        now_ms: u64,
    ) -> Result<Option<Appended>> {
        let plan = self.plan(inside, batch, hashes, &mut locked, now_ms)?;
        self.catalog.require(COLLECTIONS)?;

        let heads: Vec<(KeyHash, &[u8], List, [u8; HEAD_SIZE])> = memory::collect(
            plan.lists.iter().map(|(hash, key, list)| (*hash, *key, *list, list.head.encode())),
        )?;
        let mut records = vec_with_room(batch.len() + heads.len() + plan.emptied.len())?;
        let mut places = vec_with_room(batch.len() + heads.len() + plan.emptied.len())?;
        for ((operation, hash), element) in batch.operations().zip(hashes).zip(&plan.elements) {
            match element {
                None if !matches!(operation.verb, Verb::Put { .. } | Verb::Delete) => continue,
                None => {
                    records.push(record_of(&operation, now_ms));
                    places.push(*hash);
                }
                Some(key) => {
                    let value = operation.value;
                    records.push(Record { kind: Kind::Element, key, value, expiry_ms: None });
                    places.push(self.hasher.hash(key));
                }
            }
        }
        for (hash, key, list, head) in &heads {
            records.push(Record { kind: Kind::Head, key, value: head, expiry_ms: list.expiry_ms });
            places.push(*hash);
        }
        for (hash, key) in &plan.emptied {
            records.push(Record { kind: Kind::Tombstone, key, value: &[], expiry_ms: None });
            places.push(*hash);
        }
        if records.is_empty() {
            return Ok(None);
        }
        let of_elements = records.iter().zip(&places).filter(|(record, _)| record.kind == Kind::Element);
        let of_elements = sorted(&memory::collect(of_elements.map(|(_, hash)| *hash))?)?;
        let mut elements = self.elements.index_or_make()?.lock_all_for_insert(&of_elements)?;
        let room = self.room_for_lines(&records, &places)?;
        let mut appended = vec_with_room(records.len())?;
        self.room_to_keep(records.len())?;
        self.log.append_batch(&records, self.clock.coarse(), &mut appended)?;
        // Heads come last: none names an element that is not there.
        for (n, ((record, hash), place)) in records.iter().zip(&places).zip(&appended).enumerate() {
            self.ask_for_slot(&records, &places, n + ASKED_AHEAD);
            let segments = if record.kind == Kind::Element { &mut elements } else { &mut locked };
            let Some(segment) = segment_of(segments, *hash) else { continue };
            match record.kind {
                Kind::Element => self.install_element(inside, segment, *hash, place),
                Kind::Head => {
                    if let Some(list) = plan.list(*hash) {
                        let (expiry_ms, is_same) = (list.expiry_ms, !list.is_new);
                        self.install_version(inside, segment, *hash, place, expiry_ms, is_same);
                    }
                }
                Kind::Put => self.install(inside, segment, *hash, place, record.expiry_ms),
                _ => {
                    if let Some(old) = segment.remove(*hash) {
                        self.replace(inside, *hash, old, place.seq, None);
                    }
                }
            }
        }
        drop((room, elements));
        // While the keys are locked: a push at this end uses the position again. Of lists that are gone all is taken out later.
        for (hash, taken) in &plan.taken {
            if let Some(list) = plan.list(*hash).filter(|list| !list.is_new) {
                taken.iter().for_each(|position| self.take_out_or_leave(inside, &list.head, *position));
            }
        }
        drop(locked);
        Ok(appended.last().copied())
    }

    /// Room for what is kept for snapshots of so many keys that are written to.
    fn room_to_keep(&self, keys: usize) -> Result<()> {
        if self.snapshots.any() {
            memory::room_for(keys.saturating_mul(snapshot::KEPT_SIZE))?;
        }
        Ok(())
    }

    /// Gives each push its element, and finds out what lists there are after the batch.
    fn plan<'a>(
        &self,
        inside: &Inside<'_>,
        batch: &'a Batch,
        hashes: &[KeyHash],
        locked: &mut [Locked<'_>],
        now_ms: u64,
    ) -> Result<Plan<'a>> {
        let mut made: BTreeMap<KeyHash, (&[u8], Made)> = BTreeMap::new();
        let mut elements: Vec<Option<[u8; ELEMENT_KEY_SIZE]>> = vec_with_room(batch.len())?;
        // The operation that gave each position its newest element.
        let mut written: BTreeMap<KeyHash, BTreeMap<i64, usize>> = BTreeMap::new();
        let mut taken: BTreeMap<KeyHash, BTreeSet<i64>> = BTreeMap::new();
        // The keys of which the log has a list until this batch.
        let mut logged: BTreeSet<KeyHash> = BTreeSet::new();
        for (n, (operation, hash)) in batch.operations().zip(hashes).enumerate() {
            let key = operation.key;
            memory::room_for_more()?;
            if matches!(operation.verb, Verb::Put { .. } | Verb::Delete) {
                let what = if operation.verb == Verb::Delete { Made::Nothing } else { Made::Value };
                made.insert(*hash, (key, what));
                // What was pushed before is gone before it was seen.
                for before in written.remove(hash).unwrap_or_default().into_values() {
                    elements[before] = None;
                }
                taken.remove(hash);
                logged.remove(hash);
                elements.push(None);
                continue;
            }
            let list = match made.get(hash) {
                Some((_, Made::Value)) => return Err(Error::WrongType),
                Some((_, Made::List(list))) => Some(*list),
                Some((_, Made::Nothing | Made::Emptied)) => None,
                None => {
                    let entry = segment_of(locked, *hash).and_then(|segment| segment.get(*hash));
                    let list = self.list_at(inside, entry, key)?;
                    if list.is_some() {
                        logged.insert(*hash);
                    }
                    list
                }
            };
            let there = || list.ok_or_else(|| Error::invalid("a batch changes a list that is not there"));
            let (now, element) = match operation.verb {
                Verb::Push(end) => {
                    let (list, position) = self.grown(list, end)?;
                    (Made::List(list), Some(position))
                }
                Verb::Pop(end) => {
                    let mut list = there()?;
                    let position = match end {
                        End::Back => {
                            list.head.end -= 1;
                            list.head.end
                        }
                        End::Front => {
                            list.head.first += 1;
                            list.head.first - 1
                        }
                    };
                    if let Some(before) = written.entry(*hash).or_default().remove(&position) {
                        elements[before] = None;
                    }
                    taken.entry(*hash).or_default().insert(position);
                    let is_empty = list.head.length() == 0;
                    let left = if logged.contains(hash) { Made::Emptied } else { Made::Nothing };
                    (if is_empty { left } else { Made::List(list) }, None)
                }
                Verb::Set(index) => {
                    let list = there()?;
                    let place = place_of(list.head.length(), index);
                    let place =
                        place.ok_or_else(|| Error::invalid("a batch sets an element that is not there"))?;
                    (Made::List(list), Some(list.head.first.wrapping_add_unsigned(place)))
                }
                Verb::Expire(expiry) => {
                    let list = there()?;
                    (Made::List(List { expiry_ms: expiry.time_ms(now_ms), ..list }), None)
                }
                Verb::Put { .. } | Verb::Delete => continue,
            };
            made.insert(*hash, (key, now));
            elements.push(None);
            if let (Made::List(list), Some(position)) = (now, element) {
                elements[n] = Some(list.head.element_key(position));
                if let Some(before) = written.entry(*hash).or_default().insert(position, n) {
                    elements[before] = None;
                }
                if let Some(taken) = taken.get_mut(hash) {
                    taken.remove(&position);
                }
            }
        }
        let emptied = made.iter().filter(|(_, (_, made))| matches!(made, Made::Emptied));
        let emptied = memory::collect(emptied.map(|(hash, (key, _))| (*hash, *key)))?;
        let lists = made.into_iter().filter_map(|(hash, (key, made))| match made {
            Made::List(list) => Some((hash, key, list)),
            _ => None,
        });
        Ok(Plan { elements, lists: memory::collect(lists)?, emptied, taken })
    }
}

/// What comes of the changes of lists of a batch.
struct Plan<'a> {
    /// For each operation the key of its element; `None` for those that give none, and whose element nobody will see.
    elements: Vec<Option<[u8; ELEMENT_KEY_SIZE]>>,
    /// The lists after the batch, in the order of the hashes of their keys.
    lists: Vec<(KeyHash, &'a [u8], List)>,
    /// Keys of which the log has a list that has no elements left.
    emptied: Vec<(KeyHash, &'a [u8])>,
    /// The positions of elements that the log has and the lists have no more.
    taken: BTreeMap<KeyHash, BTreeSet<i64>>,
}

impl Plan<'_> {
    fn list(&self, hash: KeyHash) -> Option<&List> {
        let at = self.lists.binary_search_by_key(&hash, |(hash, ..)| *hash).ok()?;
        self.lists.get(at).map(|(_, _, list)| list)
    }
}

fn record_of<'a>(operation: &Operation<'a>, now_ms: u64) -> Record<'a> {
    let (kind, expiry_ms) = match operation.verb {
        Verb::Put { expiry } => (Kind::Put, expiry.time_ms(now_ms)),
        _ => (Kind::Tombstone, None),
    };
    Record { kind, key: operation.key, value: operation.value, expiry_ms }
}

/// Hashes in the order in which they are locked, each once.
pub(super) fn sorted(hashes: &[KeyHash]) -> Result<Vec<KeyHash>> {
    let mut sorted = vec_with_room(hashes.len())?;
    sorted.extend_from_slice(hashes);
    sorted.sort_unstable();
    sorted.dedup();
    Ok(sorted)
}

/// The locked segment of a hash. Segments are in the order of hashes.
pub(super) fn segment_of<'a, 'i>(locked: &'a mut [Locked<'i>], hash: KeyHash) -> Option<&'a mut Locked<'i>> {
    let at = locked.partition_point(|segment| segment.ends_before(hash));
    locked.get_mut(at)
}
