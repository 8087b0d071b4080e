//! Batches: several writes as one frame of the log, all or none of which count.

use std::collections::{BTreeMap, BTreeSet};

use super::engine::{Engine, Operation};
use super::lists::List;
use crate::format::collection::{ELEMENT_KEY_SIZE, HEAD_SIZE, ListHead};
use crate::format::features::COLLECTIONS;
use crate::format::frame::Kind;
use crate::store::batch::{Batch, Verb};
use crate::store::error::{Error, Result};
use crate::store::memory::{self, vec_with_room};
use crate::store::value::{End, place_of};

/// What a batch has made of a key so far.
#[derive(Clone, Copy)]
enum Made {
    Value,
    Nothing,
    List(List),
    /// The key had a list, whose last element was taken out; that is in the store.
    Emptied,
}

/// An element: the number of its list, and its position.
type Place = (u64, i64);

/// What comes of the changes of lists of a batch.
#[derive(Default)]
struct Plan<'a> {
    made: BTreeMap<&'a [u8], Made>,
    /// For each operation the element that it gives; `None` for those that give none, and whose element nobody will see.
    elements: Vec<Option<(Place, [u8; ELEMENT_KEY_SIZE])>>,
    /// The operation that gave each place its newest element.
    written: BTreeMap<&'a [u8], BTreeMap<Place, usize>>,
    /// Elements that lists have no more.
    taken: BTreeMap<&'a [u8], BTreeSet<Place>>,
    /// The keys of which the store has a list until this batch.
    stored: BTreeSet<&'a [u8]>,
}

impl<'a> Plan<'a> {
    /// A key gets a value, or nothing: what was pushed before is gone before it was seen.
    fn replace(&mut self, key: &'a [u8], made: Made) {
        self.made.insert(key, made);
        for before in self.written.remove(key).unwrap_or_default().into_values() {
            self.forget(before);
        }
        self.taken.remove(key);
        self.stored.remove(key);
        self.elements.push(None);
    }

    fn forget(&mut self, operation: usize) {
        if let Some(element) = self.elements.get_mut(operation) {
            *element = None;
        }
    }

    /// The next operation makes this of a list, and gives the element at a position.
    fn change(&mut self, key: &'a [u8], made: Made, position: Option<i64>) {
        self.made.insert(key, made);
        let n = self.elements.len();
        self.elements.push(None);
        let (Made::List(list), Some(position)) = (made, position) else { return };
        let place = (list.head.id, position);
        if let Some(element) = self.elements.get_mut(n) {
            *element = Some((place, list.head.element_key(position)));
        }
        if let Some(before) = self.written.entry(key).or_default().insert(place, n) {
            self.forget(before);
        }
        if let Some(taken) = self.taken.get_mut(key) {
            taken.remove(&place);
        }
    }

    /// Takes an element out of a list, which is this then.
    fn take(&mut self, key: &'a [u8], list: List, position: i64) {
        let place = (list.head.id, position);
        if let Some(before) = self.written.entry(key).or_default().remove(&place) {
            self.forget(before);
        }
        self.taken.entry(key).or_default().insert(place);
        let left = if self.stored.contains(key) { Made::Emptied } else { Made::Nothing };
        let made = if list.head.length() == 0 { left } else { Made::List(list) };
        self.change(key, made, None);
    }
}

impl Engine {
    /// Writes all of a batch or nothing. The last write of a key wins; what is done to a list comes after what was done before.
    pub fn write(&self, batch: &Batch, waits: bool) -> Result<()> {
        self.check_writable()?;
        if batch.has_lists() {
            self.catalog.require(COLLECTIONS)?;
        }
        let locked = self.lock_keys(batch.operations().map(|operation| operation.key))?;
        self.write_locked(batch, waits, locked)
    }

    /// As [`Engine::write`], of a batch whose keys are locked.
    pub fn write_locked<L>(&self, batch: &Batch, waits: bool, locked: L) -> Result<()> {
        let now_ms = self.clock.precise();
        let plan = self.plan(batch, now_ms)?;
        let heads: Vec<(&[u8], Option<u64>, [u8; HEAD_SIZE])> =
            memory::collect(plan.made.iter().filter_map(|(key, made)| match made {
                Made::List(list) => Some((*key, list.expiry_ms, list.head.encode())),
                _ => None,
            }))?;
        let taken: Vec<(Place, [u8; ELEMENT_KEY_SIZE])> =
            memory::collect(plan.taken.values().flatten().map(|(id, position)| {
                let head = ListHead { id: *id, first: *position, end: *position };
                ((*id, *position), head.element_key(*position))
            }))?;
        let mut operations = vec_with_room(2 * batch.len() + heads.len() + taken.len())?;
        for (operation, element) in batch.operations().zip(&plan.elements) {
            operations.push(match (operation.verb, element) {
                (Verb::Put { expiry }, _) => {
                    let expiry_ms = expiry.time_ms(now_ms);
                    Operation::of_user(Kind::Put, operation.key, operation.value, expiry_ms)?
                }
                (Verb::Delete, _) => Operation::of_user(Kind::Tombstone, operation.key, &[], None)?,
                (_, Some((place, logged))) => {
                    Operation::of_element(Kind::Element, logged, *place, operation.value)?
                }
                (_, None) => continue,
            });
        }
        for (place, logged) in &taken {
            operations.push(Operation::of_element(Kind::Gone, logged, *place, &[])?);
        }
        for (key, expiry_ms, head) in &heads {
            operations.push(Operation::of_user(Kind::Head, key, head, *expiry_ms)?);
        }
        for (key, made) in &plan.made {
            if matches!(made, Made::Emptied) {
                operations.push(Operation::of_user(Kind::Tombstone, key, &[], None)?);
            }
        }
        self.commit_all(operations, waits && self.syncs_always(), locked)
    }

    /// Gives each operation its element, and finds out what lists there are after the batch.
    fn plan<'a>(&self, batch: &'a Batch, now_ms: u64) -> Result<Plan<'a>> {
        let mut plan = Plan { elements: vec_with_room(batch.len())?, ..Plan::default() };
        for operation in batch.operations() {
            let key = operation.key;
            memory::room_for_more()?;
            match operation.verb {
                Verb::Put { .. } => {
                    plan.replace(key, Made::Value);
                    continue;
                }
                Verb::Delete => {
                    plan.replace(key, Made::Nothing);
                    continue;
                }
                _ => {}
            }
            let list = match plan.made.get(key) {
                Some(Made::Value) => return Err(Error::WrongType),
                Some(Made::List(list)) => Some(*list),
                Some(Made::Nothing | Made::Emptied) => None,
                None => {
                    let list = self.list(key)?;
                    if list.is_some() {
                        plan.stored.insert(key);
                    }
                    list
                }
            };
            let there = || list.ok_or_else(|| Error::invalid("a batch changes a list that is not there"));
            match operation.verb {
                Verb::Push(end) => {
                    let (list, position) = self.grown(list, end)?;
                    plan.change(key, Made::List(list), Some(position));
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
                    plan.take(key, list, position);
                }
                Verb::Set(index) => {
                    let list = there()?;
                    let place = place_of(list.head.length(), index);
                    let place =
                        place.ok_or_else(|| Error::invalid("a batch sets an element that is not there"))?;
                    plan.change(key, Made::List(list), Some(list.head.first.wrapping_add_unsigned(place)));
                }
                Verb::Expire(expiry) => {
                    let list = List { expiry_ms: expiry.time_ms(now_ms), ..there()? };
                    plan.change(key, Made::List(list), None);
                }
                Verb::Put { .. } | Verb::Delete => {}
            }
        }
        Ok(plan)
    }
}
