//! What another process has written to the log, on its way into the index of this one.
//!
//! The steps are those of a write behind its append, in the order of the log, but for new lists, whose heads wait: an element comes before
//! the head that names it, and is taken out after the head that names it no more.

use super::{Engine, Inside};
use crate::format::ALIGNMENT;
use crate::format::collection::ListHead;
use crate::format::frame::Kind;
use crate::index::{Entry, KeyHash, Location, Locked, SizeClass};
use crate::log::Position;
use crate::log::append::{Appended, weight};
use crate::log::file::{DataFile, Frame};
use crate::store::error::Result;
use crate::store::memory;

/// A version of a key that takes the place of another.
#[derive(Clone, Copy)]
pub struct Newer {
    /// The hash of the key.
    pub hash: KeyHash,
    /// Where it is.
    pub entry: Entry,
    /// The number of the write that made it, or a later one.
    pub seq: u64,
    /// When it expires.
    pub expiry_ms: Option<u64>,
}

/// A head of a list that names an element which may stand behind it.
pub struct Held {
    head: ListHead,
    newer: Newer,
}

impl Held {
    /// Whether the record is the only element of the list.
    fn names(&self, frame: &Frame<'_>) -> bool {
        let Held { head, .. } = self;
        frame.header.kind == Kind::Element
            && head.length() == 1
            && frame.key() == head.element_key(head.first)
    }
}

impl Newer {
    fn appended(&self) -> Appended {
        Appended { entry: self.entry, seq: self.seq, end: Position::default(), may_pause: false }
    }
}

impl Engine {
    /// Takes over a record that stands at the end of the log, and is intact. False where it is of a kind that this engine's log has not.
    ///
    /// The head of a new list stands before its element. It is left in `held` until the next record, or [`Engine::apply_held`].
    pub fn apply(
        &self,
        inside: &Inside<'_>,
        file: &DataFile,
        frame: &Frame<'_>,
        held: &mut Option<Held>,
    ) -> Result<bool> {
        memory::room_for_more()?;
        if !held.as_ref().is_some_and(|held| held.names(frame)) {
            self.apply_held(inside, held)?;
        }
        let header = &frame.header;
        let units = header.frame_size() / ALIGNMENT;
        let size = weight(header.kind, units);
        let is_tombstone = header.kind == Kind::Tombstone;
        let location = Location { slot: file.slot, units: (frame.offset / ALIGNMENT) as u32 };
        let newer = Newer {
            hash: self.hasher.hash(frame.key()),
            entry: Entry { location, size: if is_tombstone { SizeClass::TOMBSTONE } else { size } },
            seq: header.seq,
            expiry_ms: header.expiry_ms,
        };
        if header.kind.is_record() {
            file.note_kind(header.kind, header.expiry_ms);
            file.usage.wrote(size);
        }
        file.include_seqs(header.seq, header.seq);
        match header.kind {
            Kind::Head => {
                let head =
                    ListHead::decode(frame.value()).map_err(|what| file.corrupt(frame.offset, what))?;
                *held = Some(Held { head, newer });
            }
            Kind::Put if self.note_newer(&newer, || file.usage.died(size))? => {}
            Kind::Put => self.take_newer(inside, &newer)?,
            Kind::Tombstone => {
                file.usage.died(size);
                if !self.note_newer(&newer, || ())? {
                    self.take_away(inside, newer.hash, header.seq)?;
                }
            }
            Kind::Element => {
                self.take_element(inside, newer.hash, newer.entry)?;
                self.apply_held(inside, held)?;
            }
            Kind::Mark => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Notes a newer version of a key, or that the key is gone, where the index still has the key in its checkpoint; false where it has not.
    /// The note counts as dead in its file until the key's root is taken over, which counts it as alive. So `count`, which counts it as dead,
    /// is called while the root is locked. No walk needs the older version: a walk begins only after all roots were taken over.
    fn note_newer(&self, newer: &Newer, count: impl FnOnce()) -> Result<bool> {
        if !self.index.is_pending(newer.hash) {
            return Ok(false);
        }
        let _room = match newer.expiry_ms {
            Some(_) => Some(self.expiries.make_room(newer.hash.root, 1)?),
            None => None,
        };
        Ok(self.index.note(newer.hash, newer.entry, || {
            count();
            match newer.expiry_ms {
                Some(expiry_ms) => self.expiries.set(newer.hash, expiry_ms),
                None => self.expiries.clear(newer.hash),
            }
        })?)
    }

    /// Takes over a head that waits for its element.
    pub fn apply_held(&self, inside: &Inside<'_>, held: &mut Option<Held>) -> Result<()> {
        held.take().map_or(Ok(()), |held| self.take_newer(inside, &held.newer))
    }

    /// Points the index at a newer version of a key.
    pub fn take_newer(&self, inside: &Inside<'_>, newer: &Newer) -> Result<()> {
        memory::room_for_more()?;
        let mut locked = self.index.lock_for_insert(newer.hash)?;
        let _room = match newer.expiry_ms {
            Some(_) => Some(self.expiries.make_room(newer.hash.root, 1)?),
            None => None,
        };
        let old = locked.get(newer.hash).filter(|old| old.size.is_head());
        let Some(old) = old else {
            let is_new = locked.get(newer.hash).is_none();
            self.install(inside, &mut locked, newer.hash, &newer.appended(), newer.expiry_ms);
            // A forged checkpoint may say that a key expires which does not.
            if is_new && newer.expiry_ms.is_none() {
                self.expiries.clear(newer.hash);
            }
            return Ok(());
        };
        self.take_newer_than_list(inside, &mut locked, old, newer)
    }

    /// As above, where the key had a list: if it has the same still, only the elements go that this has no more.
    #[cold]
    fn take_newer_than_list(
        &self,
        inside: &Inside<'_>,
        locked: &mut Locked<'_>,
        old: Entry,
        newer: &Newer,
    ) -> Result<()> {
        let before = self.head_at(inside, old)?;
        let now = if newer.entry.size.is_head() { Some(self.head_at(inside, newer.entry)?) } else { None };
        let same = now.filter(|now| now.id == before.id);
        self.install_version(inside, locked, newer.hash, &newer.appended(), newer.expiry_ms, same.is_some());
        // While the key is locked: a push at this end uses the position again.
        if let Some(now) = same {
            self.take_out(inside, &before, before.first..now.first.clamp(before.first, before.end))?;
            self.take_out(inside, &before, now.end.clamp(before.first, before.end)..before.end)?;
        }
        Ok(())
    }

    /// Takes a key out of the index that the write `by` removed.
    pub fn take_away(&self, inside: &Inside<'_>, hash: KeyHash, by: u64) -> Result<()> {
        memory::room_for_more()?;
        let mut locked = self.index.lock(hash)?;
        if let Some(old) = locked.remove(hash) {
            self.replace(inside, hash, old, by, None);
        }
        Ok(())
    }

    /// Points the index of elements at a newer one.
    pub fn take_element(&self, inside: &Inside<'_>, hash: KeyHash, entry: Entry) -> Result<()> {
        let mut elements = self.elements.index_or_make()?.lock_for_insert(hash)?;
        self.install_element(
            inside,
            &mut elements,
            hash,
            &Newer { hash, entry, seq: 0, expiry_ms: None }.appended(),
        );
        Ok(())
    }

    fn head_at(&self, inside: &Inside<'_>, entry: Entry) -> Result<ListHead> {
        let mut buffer = Vec::new();
        let file = self.file(inside, entry)?;
        let frame = file.frame(entry, &mut buffer)?;
        if frame.header.kind != Kind::Head || !frame.is_intact() {
            return Err(file.corrupt(frame.offset, "the index points at something that is no head of a list"));
        }
        ListHead::decode(frame.value()).map_err(|what| file.corrupt(frame.offset, what))
    }
}
