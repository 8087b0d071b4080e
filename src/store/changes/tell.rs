//! From records of the log to changes of keys.
//!
//! A list is a head and elements in the log. A feed tells a list as a whole when it meets it for the first time, as it is at that moment:
//! a delete, and a push for each element. From then on it knows the list's range, and so what was done to it: what was pushed and
//! popped. Where that is not enough (an element was set in the middle) it tells the list as a whole again. What it told of a list was the
//! store's at some number: records of the list up to that one say nothing new.
//!
//! Merges take batches apart, and drop heads and elements that were replaced. An element that the list has, and that was written after the
//! list was told, is there with its own number, and before a head that is there too: so an element that comes without its head, and
//! after the list was told, makes the feed forget what it knows of that list.

use std::collections::BTreeMap;

use super::{ChangeKind, Facts, Piece};
use crate::format::bytes::Reader;
use crate::format::collection::ListHead;
use crate::format::frame::{Header, Kind};
use crate::log::feed::Shown;
use crate::log::file::Frame;
use crate::log::scan::each_in_batch;
use crate::store::error::{Error, Result};
use crate::store::iter::KeyList;
use crate::store::memory;

/// The ranges of so many lists are remembered. Those that are forgotten are told as a whole again.
const MOST_LISTS: usize = 1 << 16;

/// A list as it is at one moment.
pub struct ListNow {
    /// The number of the record that made it so.
    pub seq: u64,
    /// The head of the list.
    pub head: ListHead,
    /// When it expires.
    pub expiry_ms: Option<u64>,
    /// The elements of the list.
    pub values: KeyList,
}

/// What a key has at one moment.
pub enum Looked {
    /// The list as it is.
    List(ListNow),
    /// No list.
    None,
    /// The list changes too fast to be seen as a whole.
    Changing,
}

/// Looks lists up.
pub trait Lists {
    /// The list of a key, which may be told.
    fn list_now(&self, key: &[u8]) -> Result<Looked>;

    /// Whether a key of the store may have expired ever, so that who follows may have something that the store has not.
    fn may_have_expired(&self) -> bool;
}

/// What was told of a list.
#[derive(Clone, Copy)]
struct Known {
    first: i64,
    end: i64,
    expiry_ms: Option<u64>,
    /// The number at which the list was so.
    seq: u64,
}

/// An element that a batch writes: its position, and where its value stands in the batch.
struct Written {
    list: u64,
    position: i64,
    value: std::ops::Range<usize>,
}

/// Makes changes of records, for one who follows.
#[derive(Default)]
pub struct Teller {
    lists: BTreeMap<u64, Known>,
}

/// Whether a record could be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// The change was told.
    Done,
    /// The change deletes keys without naming them.
    Untold,
}

impl Teller {
    /// Adds to `piece` what `shown` changed. After an error, and where it could not be told, nothing was added.
    pub fn tell(&mut self, shown: &Shown<'_>, lists: &dyn Lists, piece: &mut Piece) -> Result<Telling> {
        let before = piece.mark();
        let told = match shown.frame.header.kind {
            Kind::Batch => self.tell_batch(shown, lists, piece),
            _ => self.tell_record(shown.frame, None, lists, piece),
        };
        if !matches!(told, Ok(Telling::Done)) {
            piece.take_back(before);
            // What was told of lists may have been taken back.
            self.lists.clear();
        }
        told
    }

    fn tell_batch(&mut self, shown: &Shown<'_>, lists: &dyn Lists, piece: &mut Piece) -> Result<Telling> {
        let batch = shown.frame;
        let begin = batch.offset + batch.header.value_range().start;
        let (mut written, mut new) = (Vec::new(), Vec::new());
        let each = |visit: &mut dyn FnMut(&Frame<'_>) -> Result<()>| {
            let intact = each_in_batch(batch, &shown.file.origin, visit)?;
            intact.map_err(|what| shown.file.corrupt(batch.offset, what))
        };
        each(&mut |frame| {
            let header = &frame.header;
            if header.kind == Kind::Head && written.is_empty() {
                // Of a new list it comes before the element.
                memory::push(&mut new, head_of(frame, shown)?.id)?;
            }
            if let Some((list, position)) = element_of(frame) {
                let value = header.value_range();
                let at = frame.offset + value.start - begin;
                let value = at as usize..(at + value.end - value.start) as usize;
                memory::push(&mut written, Written { list, position, value })?;
            }
            Ok(())
        })?;
        written.sort_unstable_by_key(|element: &Written| (element.list, element.position));
        let mut telling = Telling::Done;
        each(&mut |frame| {
            // A batch may have been shown in part, to who went away then.
            if frame.header.seq > shown.after
                && frame.header.kind != Kind::Element
                && telling == Telling::Done
            {
                let of_batch = InBatch { written: &written, bytes: batch.value(), new: &new };
                telling = self.tell_record(frame, Some(&of_batch), lists, piece)?;
            }
            Ok(())
        })?;
        Ok(telling)
    }

    fn tell_record(
        &mut self,
        frame: &Frame<'_>,
        batch: Option<&InBatch<'_>>,
        lists: &dyn Lists,
        piece: &mut Piece,
    ) -> Result<Telling> {
        let Header { seq, time_ms, expiry_ms, .. } = frame.header;
        let facts = |kind| Facts { seq, time_ms, kind, expiry_ms: None };
        match frame.header.kind {
            Kind::Put => {
                piece.add(Facts { expiry_ms, ..facts(ChangeKind::Put) }, frame.key(), frame.value())?;
            }
            Kind::Tombstone => piece.add(facts(ChangeKind::Delete), frame.key(), &[])?,
            Kind::Head => {
                let head = ListHead::decode(frame.value()).map_err(Error::invalid)?;
                self.tell_list(frame, head, batch, lists, piece)?;
            }
            // By itself it does not say of which key it is.
            Kind::Element => {
                if let Some((list, _)) = element_of(frame)
                    && self.lists.get(&list).is_some_and(|known| known.seq < seq)
                {
                    self.lists.remove(&list);
                }
            }
            Kind::Range => return Ok(Telling::Untold),
            Kind::Batch | Kind::Mark | Kind::Gone => {}
        }
        Ok(Telling::Done)
    }

    fn tell_list(
        &mut self,
        frame: &Frame<'_>,
        head: ListHead,
        batch: Option<&InBatch<'_>>,
        lists: &dyn Lists,
        piece: &mut Piece,
    ) -> Result<()> {
        let (header, key, id) = (&frame.header, frame.key(), head.id);
        let known = self.lists.get(&id).copied();
        if known.is_some_and(|known| known.seq >= header.seq) {
            return Ok(());
        }
        let written = batch.map_or(&[][..], |batch| batch.of_list(id));
        let bytes = batch.map_or(&[][..], |batch| batch.bytes);
        let from = piece.mark().1;
        let mut tell = Changing { header, key, piece };
        let new = batch.is_some_and(|batch| batch.new.contains(&id));
        let before = match known {
            Some(known) => Some(known),
            None if new => {
                if lists.may_have_expired() {
                    tell.one(ChangeKind::Delete, &[])?;
                }
                Some(Known { first: 0, end: 0, expiry_ms: None, seq: 0 })
            }
            _ => None,
        };
        let told = match before {
            Some(before) => tell.step(&before, &head, written, bytes)?,
            None => false,
        };
        let now = if told {
            Some(Known { first: head.first, end: head.end, expiry_ms: header.expiry_ms, seq: header.seq })
        } else {
            tell.whole(&head, lists)?
        };
        tell.piece.belong_together(from);
        match now {
            Some(known) => {
                if self.lists.len() >= MOST_LISTS {
                    self.lists.clear();
                }
                self.lists.insert(id, known);
            }
            None => drop(self.lists.remove(&id)),
        }
        Ok(())
    }
}

/// What else the batch has that a head is in.
struct InBatch<'a> {
    /// In the order of lists and positions.
    written: &'a [Written],
    /// What the batch holds.
    bytes: &'a [u8],
    /// Lists that are new.
    new: &'a [u64],
}

impl InBatch<'_> {
    fn of_list(&self, id: u64) -> &[Written] {
        let begin = self.written.partition_point(|element| element.list < id);
        let rest = &self.written[begin..];
        &rest[..rest.partition_point(|element| element.list == id)]
    }
}

/// What a head of the log changes.
struct Changing<'a> {
    header: &'a Header,
    key: &'a [u8],
    piece: &'a mut Piece,
}

impl Changing<'_> {
    fn one(&mut self, kind: ChangeKind, value: &[u8]) -> Result<()> {
        let Header { seq, time_ms, expiry_ms, .. } = *self.header;
        let expiry_ms = expiry_ms.filter(|_| kind == ChangeKind::Expiry);
        self.piece.add(Facts { seq, time_ms, kind, expiry_ms }, self.key, value)
    }

    /// Tells what was done to a list that was so before. False where that cannot be told, and nothing was.
    fn step(&mut self, before: &Known, head: &ListHead, written: &[Written], bytes: &[u8]) -> Result<bool> {
        let Known { first, end, .. } = *before;
        // Behind the end, and in front of the first, all positions that the list has now must have been written, and no others.
        let (back, front) = (head.end.saturating_sub(end).max(0), first.saturating_sub(head.first).max(0));
        let behind = written.partition_point(|element| element.position < end.max(head.first));
        let before_first = written.partition_point(|element| element.position < first.min(head.end));
        let is_all = behind >= before_first
            && (written.len() - behind) as u64 == back.unsigned_abs()
            && before_first as u64 == front.unsigned_abs()
            && behind == before_first
            && head.first <= end
            && head.end >= first;
        if !is_all {
            return Ok(false);
        }
        let value = |element: &Written| bytes.get(element.value.clone()).unwrap_or_default();
        // Pushes come before pops: a list that has no element is no more, and its expiry with it.
        for element in &written[behind..] {
            self.one(ChangeKind::PushBack, value(element))?;
        }
        for element in written[..before_first].iter().rev() {
            self.one(ChangeKind::PushFront, value(element))?;
        }
        for _ in 0..head.first.saturating_sub(first).max(0) {
            self.one(ChangeKind::PopFront, &[])?;
        }
        for _ in 0..end.saturating_sub(head.end).max(0) {
            self.one(ChangeKind::PopBack, &[])?;
        }
        if before.expiry_ms != self.header.expiry_ms {
            self.one(ChangeKind::Expiry, &[])?;
        }
        Ok(true)
    }

    /// Tells a list as it is now; what is known of it then, if it is still there.
    fn whole(&mut self, head: &ListHead, lists: &dyn Lists) -> Result<Option<Known>> {
        let looked = match lists.list_now(self.key) {
            Err(Error::WrongType) => Looked::None,
            looked => looked?,
        };
        // The head that made it so comes later.
        if matches!(looked, Looked::Changing) {
            return Ok(None);
        }
        self.one(ChangeKind::Delete, &[])?;
        let list = match looked {
            Looked::List(list) if list.head.id == head.id => list,
            // What took its place comes later.
            _ => return Ok(None),
        };
        for value in list.values.iter() {
            self.one(ChangeKind::PushBack, value)?;
        }
        if list.expiry_ms.is_some() {
            let Header { seq, time_ms, .. } = *self.header;
            let facts = Facts { seq, time_ms, kind: ChangeKind::Expiry, expiry_ms: list.expiry_ms };
            self.piece.add(facts, self.key, &[])?;
        }
        let (first, end) = (list.head.first, list.head.end);
        Ok(Some(Known { first, end, expiry_ms: list.expiry_ms, seq: list.seq }))
    }
}

fn head_of(frame: &Frame<'_>, shown: &Shown<'_>) -> Result<ListHead> {
    ListHead::decode(frame.value()).map_err(|what| shown.file.corrupt(frame.offset, what))
}

/// The number of the list of an element, and its position.
fn element_of(frame: &Frame<'_>) -> Option<(u64, i64)> {
    if frame.header.kind != Kind::Element {
        return None;
    }
    let mut reader = Reader::new(frame.key());
    Some((reader.u64().ok()?, reader.u64().ok()? as i64))
}
