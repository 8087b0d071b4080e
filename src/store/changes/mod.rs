//! The changes of a store, one after the other, for who follows it.

mod following;
mod tell;

use std::ops::Range;
use std::time::Duration;

use crate::store::error::Result;
use crate::store::memory;
pub use following::{Followable, FollowedEngine, Following};
pub use tell::{ListNow, Lists, Looked, Teller, Telling};

/// What was done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The key has a value now, whatever it had.
    Put,
    /// The key is gone.
    Delete,
    /// A value was added at the end of its list, which is new where there was none.
    PushBack,
    /// A value was added in front of its list, which is new where there was none.
    PushFront,
    /// The last element of its list was taken out.
    PopBack,
    /// The first element of its list was taken out.
    PopFront,
    /// The key's list expires at another time than before, or no more.
    Expiry,
}

impl ChangeKind {
    /// The name of the kind, in lower case and without spaces: as `filedb watch` prints it, and as FILEDB.FEED tells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Put => "put",
            ChangeKind::Delete => "delete",
            ChangeKind::PushBack => "push",
            ChangeKind::PushFront => "push-front",
            ChangeKind::PopBack => "pop",
            ChangeKind::PopFront => "pop-front",
            ChangeKind::Expiry => "expire",
        }
    }

    /// Whether [`Changed::value`] says something: an empty value is one too.
    #[must_use]
    pub fn has_value(self) -> bool {
        matches!(self, ChangeKind::Put | ChangeKind::PushBack | ChangeKind::PushFront)
    }
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed<'a> {
    /// The number of the change: who has applied this change, and all before it, goes on behind it with [`crate::Db::changes`]. Numbers
    /// never get smaller; changes that belong together may have the same.
    pub seq: u64,
    /// When it was written, in milliseconds since 1970 by the store's clock.
    pub time_ms: u64,
    /// What was done.
    pub kind: ChangeKind,
    /// Of a put and of [`ChangeKind::Expiry`]: when the key expires, in milliseconds since 1970; `None` for never. That a key has expired
    /// is no change of its own.
    pub expiry_ms: Option<u64>,
    /// The key.
    pub key: &'a [u8],
    /// The value of a put or a push; empty for others.
    pub value: &'a [u8],
}

/// What comes next for who follows a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed<'a> {
    /// This change.
    Change(Changed<'a>),
    /// What comes next is not in the store any more, or the store is not the one, or not in the state, that the number is from. Nothing
    /// more comes: who follows begins anew, with a copy of the store and its number.
    Gap,
    /// Nothing changed in that time.
    Timeout,
}

/// What a piece of the log said.
#[derive(Default)]
pub struct Piece {
    bytes: Vec<u8>,
    changes: Vec<Told>,
    next: usize,
}

/// A change, whose key and value are in a [`Piece`].
#[derive(Clone)]
struct Told {
    seq: u64,
    time_ms: u64,
    kind: ChangeKind,
    expiry_ms: Option<u64>,
    key: Range<usize>,
    value: Range<usize>,
}

/// What is told of a change but its key and its value.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// See [`Changed`].
    pub seq: u64,
    /// See [`Changed`].
    pub time_ms: u64,
    /// See [`Changed`].
    pub kind: ChangeKind,
    /// See [`Changed`].
    pub expiry_ms: Option<u64>,
}

/// A piece that holds so many bytes or changes is given out.
const PIECE_BYTES: usize = 256 << 10;
const PIECE_CHANGES: usize = 4096;

impl Piece {
    /// Forgets what was given out.
    pub fn clear(&mut self) {
        // Of a large one nothing is kept: the next may be small.
        if self.bytes.capacity() > 4 * PIECE_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.changes.clear();
        self.next = 0;
    }

    /// Whether there is nothing in it that was not given out.
    pub fn is_empty(&self) -> bool {
        self.next >= self.changes.len()
    }

    /// Whether it is time to give it out.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= PIECE_BYTES || self.changes.len() >= PIECE_CHANGES
    }

    /// Adds a change.
    pub fn add(&mut self, facts: Facts, key: &[u8], value: &[u8]) -> Result<()> {
        memory::reserve(&mut self.changes, 1)?;
        memory::reserve(&mut self.bytes, key.len() + value.len())?;
        let at = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        let Facts { seq, time_ms, kind, expiry_ms } = facts;
        let (key, value) = (at..at + key.len(), at + key.len()..self.bytes.len());
        self.changes.push(Told { seq, time_ms, kind, expiry_ms, key, value });
        Ok(())
    }

    /// How much is in it: for [`Piece::take_back`].
    pub fn mark(&self) -> (usize, usize) {
        (self.bytes.len(), self.changes.len())
    }

    /// Takes back what was added since it had that much.
    pub fn take_back(&mut self, mark: (usize, usize)) {
        self.bytes.truncate(mark.0);
        self.changes.truncate(mark.1);
    }

    /// All from the change `from` on but the last get the number before theirs: who stops among them begins with the first again.
    pub fn belong_together(&mut self, from: usize) {
        if let Some((_, before)) = self.changes.get_mut(from..).and_then(|some| some.split_last_mut()) {
            before.iter_mut().for_each(|told| told.seq -= 1);
        }
    }

    fn take(&mut self) -> Option<Changed<'_>> {
        let Told { seq, time_ms, kind, expiry_ms, key, value } = self.changes.get(self.next)?.clone();
        self.next += 1;
        Some(Changed { seq, time_ms, kind, expiry_ms, key: &self.bytes[key], value: &self.bytes[value] })
    }
}

/// What became of an attempt to get on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// There is a change in the piece.
    Some,
    /// See [`Followed::Gap`].
    Gap,
    /// Nothing, in that time.
    Nothing,
}

/// A way through the changes of a store: what an engine has behind [`Changes`].
pub trait Follow: Send {
    /// Puts the next changes into `piece`, which is empty. Waits for one for as long as that; for ever without a time.
    fn next_piece(&mut self, piece: &mut Piece, most: Option<Duration>) -> Result<Got>;

    /// All up to this number was put into pieces.
    fn at(&self) -> u64;

    /// See [`Changes::rest`].
    fn rest(&mut self);

    /// `Err` once the store is closed.
    fn check_open(&self) -> Result<()>;
}

/// Follows the changes of a store, from one number on and without an end. See [`crate::Db::changes`].
pub struct Changes {
    follow: Box<dyn Follow>,
    piece: Piece,
    is_gap: bool,
    at: u64,
}

impl Changes {
    pub(crate) fn of(follow: Box<dyn Follow>) -> Self {
        Changes { at: follow.at(), follow, piece: Piece::default(), is_gap: false }
    }

    /// The next change. Waits for one for as long as `timeout` says; for ever where it says nothing.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] where the log is damaged: the next call comes to the same place. [`crate::Error::NoMemory`] and
    /// [`crate::Error::Io`]: the next call tries again. [`crate::Error::Closed`] and [`crate::Error::Forked`].
    pub fn next(&mut self, timeout: Option<Duration>) -> Result<Followed<'_>> {
        if self.piece.is_empty() {
            if self.is_gap {
                self.follow.check_open()?;
                return Ok(Followed::Gap);
            }
            self.piece.clear();
            let got = self.follow.next_piece(&mut self.piece, timeout).inspect_err(|_| self.piece.clear())?;
            match got {
                Got::Some => {}
                Got::Gap => {
                    self.is_gap = true;
                    return Ok(Followed::Gap);
                }
                Got::Nothing => {
                    self.at = self.follow.at();
                    return Ok(Followed::Timeout);
                }
            }
        } else {
            self.follow.check_open()?;
        }
        if let Some(change) = self.piece.take() {
            self.at = self.at.max(change.seq);
            return Ok(Followed::Change(change));
        }
        Ok(Followed::Timeout)
    }

    /// Lets go of the files of the store that merges have replaced since, and of memory: for who will not go on soon. The next call finds
    /// again what comes next, in some time, or answers [`Followed::Gap`] where merges have dropped a part of it meanwhile.
    pub fn rest(&mut self) {
        self.follow.rest();
    }

    /// All changes up to this number were given: who has applied them goes on behind it.
    pub fn seq(&self) -> u64 {
        self.at
    }
}
