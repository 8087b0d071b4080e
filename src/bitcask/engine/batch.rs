//! Batches: several writes as one frame of the log, all or none of which count.

use std::collections::BTreeMap;

use super::lists::List;
use super::{Engine, Inside};
use crate::format::collection::{ELEMENT_KEY_SIZE, HEAD_SIZE};
use crate::format::features::COLLECTIONS;
use crate::format::frame::{self, Kind};
use crate::index::{KeyHash, Locked};
use crate::log::append::Record;
use crate::store::batch::{Batch, Operation, Verb};
use crate::store::error::{Error, Result, vec_with_room};

/// What a batch has made of a key so far.
#[derive(Clone, Copy)]
enum Made {
    Value,
    Nothing,
    List(List),
}

impl Engine {
    /// Writes all of a batch or nothing. The last write of a key wins; pushes add to what was there before them.
    pub fn write(&self, inside: &Inside<'_>, batch: &Batch) -> Result<()> {
        let now_ms = self.clock.precise();
        if batch.has_pushes() {
            return self.write_lists(inside, batch, now_ms);
        }
        let mut records = vec_with_room(batch.len())?;
        records.extend(batch.operations().map(|operation| record_of(&operation, now_ms)));
        self.write_records(inside, &records)
    }

    /// Writes several records, all or none of which count after a crash. The last one for a key wins.
    fn write_records(&self, inside: &Inside<'_>, records: &[Record<'_>]) -> Result<()> {
        self.check_writable()?;
        if records.is_empty() {
            return Ok(());
        }
        for record in records {
            frame::check_key(record.key)?;
            frame::check_value_len(record.value.len() as u64)?;
        }
        let mut hashes = vec_with_room(records.len())?;
        hashes.extend(records.iter().map(|record| self.hasher.hash(record.key)));
        let mut locked = self.index.lock_all_for_insert(&sorted(&hashes)?)?;
        let mut appended = vec_with_room(records.len())?;
        self.log.append_batch(records, self.clock.coarse(), &mut appended)?;
        for ((record, hash), place) in records.iter().zip(&hashes).zip(&appended) {
            let Some(segment) = segment_of(&mut locked, *hash) else { continue };
            if record.kind == Kind::Put {
                self.install(inside, segment, *hash, place, record.expiry_ms);
            } else if let Some(old) = segment.remove(*hash) {
                self.replace(inside, *hash, old, place.seq);
            }
        }
        drop(locked);
        match appended.last() {
            Some(last) => self.finish_write(last, false),
            None => Ok(()),
        }
    }

    /// As [`Engine::write`], of a batch with pushes.
    fn write_lists(&self, inside: &Inside<'_>, batch: &Batch, now_ms: u64) -> Result<()> {
        self.check_writable()?;
        self.catalog.require(COLLECTIONS)?;
        let mut hashes = vec_with_room(batch.len())?;
        hashes.extend(batch.operations().map(|operation| self.hasher.hash(operation.key)));
        let mut locked = self.index.lock_all_for_insert(&sorted(&hashes)?)?;
        let plan = self.plan(inside, batch, &hashes, &mut locked)?;

        let heads: Vec<(KeyHash, &[u8], List, [u8; HEAD_SIZE])> =
            plan.lists.iter().map(|(hash, (key, list))| (*hash, *key, *list, list.head.encode())).collect();
        let mut records = vec_with_room(batch.len() + heads.len())?;
        let mut places = vec_with_room(batch.len() + heads.len())?;
        for ((operation, hash), element) in batch.operations().zip(&hashes).zip(&plan.elements) {
            match element {
                None if matches!(operation.verb, Verb::Push(_)) => continue,
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
        if records.is_empty() {
            return Ok(());
        }
        let of_elements = records.iter().zip(&places).filter(|(record, _)| record.kind == Kind::Element);
        let of_elements = sorted(&of_elements.map(|(_, hash)| *hash).collect::<Vec<_>>())?;
        let mut elements = self.elements.index_or_make()?.lock_all_for_insert(&of_elements)?;
        let mut appended = vec_with_room(records.len())?;
        self.log.append_batch(&records, self.clock.coarse(), &mut appended)?;
        // Heads come last: none names an element that is not there.
        for ((record, hash), place) in records.iter().zip(&places).zip(&appended) {
            let segments = if record.kind == Kind::Element { &mut elements } else { &mut locked };
            let Some(segment) = segment_of(segments, *hash) else { continue };
            match record.kind {
                Kind::Element => self.install_element(inside, segment, *hash, place),
                Kind::Head => {
                    if let Some((_, list)) = plan.lists.get(hash) {
                        let (expiry_ms, is_same) = (list.expiry_ms, !list.is_new);
                        self.install_version(inside, segment, *hash, place, expiry_ms, is_same);
                    }
                }
                Kind::Put => self.install(inside, segment, *hash, place, record.expiry_ms),
                _ => {
                    if let Some(old) = segment.remove(*hash) {
                        self.replace(inside, *hash, old, place.seq);
                    }
                }
            }
        }
        drop((elements, locked));
        match appended.last() {
            Some(last) => self.finish_write(last, false),
            None => Ok(()),
        }
    }

    /// Gives each push its element, and finds out what lists there are after the batch.
    fn plan<'a>(
        &self,
        inside: &Inside<'_>,
        batch: &'a Batch,
        hashes: &[KeyHash],
        locked: &mut [Locked<'_>],
    ) -> Result<Plan<'a>> {
        let mut made: BTreeMap<KeyHash, (&[u8], Made)> = BTreeMap::new();
        let mut elements: Vec<Option<[u8; ELEMENT_KEY_SIZE]>> = vec_with_room(batch.len())?;
        let mut pushed: BTreeMap<KeyHash, Vec<usize>> = BTreeMap::new();
        for (n, (operation, hash)) in batch.operations().zip(hashes).enumerate() {
            let key = operation.key;
            let element = match operation.verb {
                Verb::Push(end) => {
                    let list = match made.get(hash) {
                        Some((_, Made::Value)) => return Err(Error::WrongType),
                        Some((_, Made::List(list))) => Some(*list),
                        Some((_, Made::Nothing)) => None,
                        None => {
                            let entry = segment_of(locked, *hash).and_then(|segment| segment.get(*hash));
                            self.list_at(inside, entry, key)?
                        }
                    };
                    let (list, position) = self.grown(list, end)?;
                    made.insert(*hash, (key, Made::List(list)));
                    pushed.entry(*hash).or_default().push(n);
                    Some(list.head.element_key(position))
                }
                verb => {
                    let what = if verb == Verb::Delete { Made::Nothing } else { Made::Value };
                    made.insert(*hash, (key, what));
                    // What was pushed before is gone before it was seen.
                    for before in pushed.remove(hash).into_iter().flatten() {
                        elements[before] = None;
                    }
                    None
                }
            };
            elements.push(element);
        }
        let lists = made.into_iter().filter_map(|(hash, (key, made))| match made {
            Made::List(list) => Some((hash, (key, list))),
            _ => None,
        });
        Ok(Plan { elements, lists: lists.collect() })
    }
}

/// What comes of the pushes of a batch.
struct Plan<'a> {
    /// For each operation the key of its element; `None` for those that are no pushes, and whose element nobody will see.
    elements: Vec<Option<[u8; ELEMENT_KEY_SIZE]>>,
    /// The lists after the batch.
    lists: BTreeMap<KeyHash, (&'a [u8], List)>,
}

fn record_of<'a>(operation: &Operation<'a>, now_ms: u64) -> Record<'a> {
    let (kind, expiry_ms) = match operation.verb {
        Verb::Put { ttl_ms } => (Kind::Put, ttl_ms.map(|ttl| now_ms.saturating_add(ttl))),
        _ => (Kind::Tombstone, None),
    };
    Record { kind, key: operation.key, value: operation.value, expiry_ms }
}

fn sorted(hashes: &[KeyHash]) -> Result<Vec<KeyHash>> {
    let mut sorted = vec_with_room(hashes.len())?;
    sorted.extend_from_slice(hashes);
    sorted.sort_unstable();
    sorted.dedup();
    Ok(sorted)
}

/// The locked segment of a hash. Segments are in the order of hashes.
fn segment_of<'a, 'i>(locked: &'a mut [Locked<'i>], hash: KeyHash) -> Option<&'a mut Locked<'i>> {
    let at = locked.partition_point(|segment| segment.ends_before(hash));
    locked.get_mut(at)
}
