//! A list while commands change it: what the store has, less what was taken from its ends, with what was set and pushed.

use std::collections::{BTreeMap, VecDeque};

use filedb::{Batch, Db, Error, Expiry, Result};

/// An element.
pub type Element = Vec<u8>;

/// A command that needs a list as a whole takes one of so many bytes at most, with [`PER_ELEMENT`] for each element.
pub const MOST_WHOLE: u64 = 512 << 20;
/// What an element takes beside its bytes.
pub const PER_ELEMENT: u64 = 64;
/// How many elements of a list are read, or taken out, at a time.
pub const PIECE: u64 = 1024;
/// More than this are not written anew where others are taken out.
const MOST_ANEW: u64 = 1 << 16;

/// See the module. Indices count from the front; there is a lock on the key as long as this lives.
#[derive(Debug, Default)]
pub struct List {
    /// The number of elements in the store.
    stored: u64,
    /// How many of the stored elements were taken out at each end.
    taken_front: u64,
    taken_back: u64,
    /// Elements of the store that were replaced, by their index there.
    set: BTreeMap<u64, Element>,
    front: VecDeque<Element>,
    back: VecDeque<Element>,
    /// Nothing of what the store has is in it.
    is_new: bool,
    expiry_changed: bool,
    /// When it expires as it is in the store.
    stored_expiry_ms: Option<u64>,
    /// When it expires, in the store's time.
    pub expiry_ms: Option<u64>,
}

impl List {
    /// A list that is not in the store.
    pub fn new() -> Self {
        List { is_new: true, ..List::default() }
    }

    /// A list of the store.
    pub fn stored(length: u64, expiry_ms: Option<u64>) -> Self {
        List { stored: length, expiry_ms, stored_expiry_ms: expiry_ms, ..List::default() }
    }

    fn kept(&self) -> u64 {
        self.stored - self.taken_front - self.taken_back
    }

    /// The number of elements.
    pub fn len(&self) -> u64 {
        self.front.len() as u64 + self.kept() + self.back.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn stored_element(&self, db: &Db, key: &[u8], index: u64) -> Result<Element> {
        match self.set.get(&index) {
            Some(element) => Ok(element.clone()),
            None => db.list_get(key, index as i64)?.ok_or_else(lost),
        }
    }

    /// A copy of an element.
    pub fn get(&self, db: &Db, key: &[u8], index: u64) -> Result<Option<Element>> {
        let front = self.front.len() as u64;
        if index < front {
            return Ok(self.front.get(index as usize).cloned());
        }
        let index = index - front;
        if index < self.kept() {
            return self.stored_element(db, key, index + self.taken_front).map(Some);
        }
        Ok(self.back.get((index - self.kept()) as usize).cloned())
    }

    /// Copies of `count` elements from an index on.
    pub fn range(&self, db: &Db, key: &[u8], from: u64, count: u64) -> Result<Vec<Element>> {
        let (front, kept) = (self.front.len() as u64, self.kept());
        let end = from.saturating_add(count).min(self.len());
        let mut elements = Vec::new();
        elements.extend(self.front.iter().take(end.min(front) as usize).skip(from as usize).cloned());
        let (first, last) = (from.max(front), end.min(front + kept));
        if first < last {
            let stored = first - front + self.taken_front..last - front + self.taken_front;
            let found = db.list_range(key, stored.start as i64, stored.end as i64 - 1)?.ok_or_else(lost)?;
            let begin = elements.len();
            elements.extend(found.iter().map(<[u8]>::to_vec));
            for (index, element) in self.set.range(stored.clone()) {
                if let Some(place) = elements.get_mut(begin + (index - stored.start) as usize) {
                    place.clone_from(element);
                }
            }
        }
        let (first, last) = (from.max(front + kept), end);
        if first < last {
            let skipped = (first - front - kept) as usize;
            elements.extend(self.back.iter().skip(skipped).take((last - first) as usize).cloned());
        }
        Ok(elements)
    }

    /// Shows `count` elements from an index on to `visit`, some at a time, until it says false. False where it did.
    pub fn visit(
        &self,
        db: &Db,
        key: &[u8],
        from: u64,
        count: u64,
        mut visit: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool> {
        let end = from.saturating_add(count).min(self.len());
        let mut at = from;
        while at < end {
            let some = self.range(db, key, at, PIECE.min(end - at))?;
            at += some.len() as u64;
            if !some.iter().all(|element| visit(element)) || some.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Copies of `count` elements from an index on; `None` where they take more than `most` bytes.
    pub fn within(&self, db: &Db, key: &[u8], part: (u64, u64), most: u64) -> Result<Option<Vec<Element>>> {
        let (mut elements, mut bytes) = (Vec::new(), 0);
        let is_whole = self.visit(db, key, part.0, part.1, |element| {
            bytes += element.len() as u64 + PER_ELEMENT;
            if bytes <= most {
                elements.push(element.to_vec());
            }
            bytes <= most
        })?;
        Ok(is_whole.then_some(elements))
    }

    /// Copies of all elements; `None` where they take more than [`MOST_WHOLE`].
    pub fn whole(&self, db: &Db, key: &[u8]) -> Result<Option<Vec<Element>>> {
        self.within(db, key, (0, u64::MAX), MOST_WHOLE)
    }

    /// Adds an element in front.
    pub fn push_front(&mut self, element: Element) {
        self.front.push_front(element);
    }

    /// Adds an element behind.
    pub fn push_back(&mut self, element: Element) {
        self.back.push_back(element);
    }

    /// Takes the first element out.
    pub fn pop_front(&mut self, db: &Db, key: &[u8]) -> Result<Option<Element>> {
        if let Some(element) = self.front.pop_front() {
            return Ok(Some(element));
        }
        if self.kept() > 0 {
            let element = self.stored_element(db, key, self.taken_front)?;
            self.set.remove(&self.taken_front);
            self.taken_front += 1;
            return Ok(Some(element));
        }
        Ok(self.back.pop_front())
    }

    /// Takes the last element out.
    pub fn pop_back(&mut self, db: &Db, key: &[u8]) -> Result<Option<Element>> {
        if let Some(element) = self.back.pop_back() {
            return Ok(Some(element));
        }
        if self.kept() > 0 {
            let index = self.stored - self.taken_back - 1;
            let element = self.stored_element(db, key, index)?;
            self.set.remove(&index);
            self.taken_back += 1;
            return Ok(Some(element));
        }
        Ok(self.front.pop_back())
    }

    /// Takes `front` elements out at the front and `back` behind, unread.
    pub fn trim(&mut self, front: u64, back: u64) {
        let drop_front = |list: &mut Self, count: u64| {
            let pushed = count.min(list.front.len() as u64);
            list.front.drain(..pushed as usize);
            let stored = (count - pushed).min(list.kept());
            list.taken_front += stored;
            let behind = (count - pushed - stored).min(list.back.len() as u64);
            list.back.drain(..behind as usize);
        };
        drop_front(self, front);
        let pushed = back.min(self.back.len() as u64);
        self.back.truncate(self.back.len() - pushed as usize);
        let stored = (back - pushed).min(self.kept());
        self.taken_back += stored;
        let ahead = (back - pushed - stored).min(self.front.len() as u64);
        self.front.truncate(self.front.len() - ahead as usize);
        let kept = self.taken_front..self.stored - self.taken_back;
        self.set.retain(|index, _| kept.contains(index));
    }

    /// Replaces an element. False where there is none.
    pub fn set(&mut self, index: u64, element: Element) -> bool {
        let (front, kept) = (self.front.len() as u64, self.kept());
        let place = if index < front {
            self.front.get_mut(index as usize)
        } else if index - front < kept {
            self.set.insert(index - front + self.taken_front, element);
            return true;
        } else {
            self.back.get_mut((index - front - kept) as usize)
        };
        match place {
            Some(place) => {
                *place = element;
                true
            }
            None => false,
        }
    }

    /// Replaces all elements.
    pub fn replace(&mut self, elements: Vec<Element>) {
        let expiry_ms = self.expiry_ms;
        *self = List { is_new: true, back: elements.into(), expiry_ms, ..List::default() };
    }

    /// Gives it another life.
    pub fn set_expiry(&mut self, expiry_ms: Option<u64>) {
        self.expiry_ms = expiry_ms;
        self.expiry_changed = true;
    }

    /// The memory that it takes, about.
    pub fn bytes(&self) -> usize {
        (self.front.len() + self.back.len() + self.set.len()) * 64
    }

    fn expires_soon(&self, db: &Db) -> Result<bool> {
        const SOON_MS: u64 = 1000;
        Ok(match self.stored_expiry_ms {
            Some(expiry_ms) => expiry_ms <= db.now_ms()?.saturating_add(SOON_MS),
            None => false,
        })
    }

    /// Adds to a batch what makes the list of the store this one; `was_there`: the store may have something else under the key.
    pub fn write(&mut self, db: &Db, key: &[u8], was_there: bool, batch: &mut Batch) -> Result<()> {
        if !self.is_new && self.expires_soon(db)? {
            // It may be gone for the store when the batch is written: then it cannot be changed, and it can always be replaced.
            match self.whole(db, key) {
                Ok(Some(all)) => self.replace(all),
                Ok(None) => {}
                Err(_) => return batch.delete(key),
            }
        }
        let (taken, left) = (self.taken_front + self.taken_back, self.kept());
        // Less is written anew than would be taken out one by one.
        if !self.is_new
            && taken > 64
            && taken > left
            && left <= MOST_ANEW
            && let Some(all) = self.whole(db, key)?
        {
            self.replace(all);
        }
        let is_new = self.is_new || self.kept() == 0;
        if is_new {
            if was_there || !self.is_new {
                batch.delete(key)?;
            }
        } else {
            (0..self.taken_front).try_for_each(|_| batch.pop_front(key))?;
            (0..self.taken_back).try_for_each(|_| batch.pop_back(key))?;
            for (index, element) in &self.set {
                batch.list_set(key, (index - self.taken_front) as i64, element)?;
            }
        }
        self.front.iter().rev().try_for_each(|element| batch.push_front(key, element))?;
        self.back.iter().try_for_each(|element| batch.push_back(key, element))?;
        if self.expiry_changed || (is_new && self.expiry_ms.is_some()) {
            batch.list_expire(key, self.expiry_ms.map_or(Expiry::Never, Expiry::At))?;
        }
        Ok(())
    }
}

#[cold]
fn lost() -> Error {
    Error::InvalidArgument { message: "an element of a list went away while its key was locked".into() }
}
