//! What the writer of a store tells those who read the store meanwhile: see `format/live.rs`.
//!
//! Invariants:
//! - Below the tail all frames are complete, batches whole, and nothing of it is changed or cut any more by who writes now or
//!   opens the store after a kill.
//! - A write that returned is below the tail.
//! - A manifest is on the disk before its generation is told, and a file is listed before the tail goes into it.
//! - A session is counted when it is told, and before anything is written in it. A reader that finds nobody telling goes by that count: if it
//!   could see the new count before the session, it would believe for the life of this writer that nobody writes.

use std::io;

use super::Position;
use crate::disk::page::{OwnPage, Page, PageLock};
use crate::format::live::{
    BEGAN_AT, BEGUN, CHANGES, CHANGING, CHECKPOINT, CHECKPOINT_AT, CHECKPOINT_FIRST, CHECKPOINT_GENERATION,
    CHECKPOINT_SEQ, CHECKPOINT_SESSION, CLOCK, DURABLE, ENDED, ENDS, Extent, GENERATION, HEADER_WORDS,
    Header, MOST_ENDS, SESSION, TAIL, extent,
};
use crate::format::{ALIGNMENT, Damage, FileId};
use crate::store::memory::Refused;

/// More sessions than there can be: what is beyond was never counted.
const MOST_BEGUN: u64 = u64::MAX / 2;

/// What the writer tells. Where nobody can read it, it goes to memory of this process.
pub struct Published {
    page: OwnPage,
}

/// A checkpoint of a store that somebody has open for writing: with what was written since it is the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpointed {
    /// The identity of the checkpoint; never 0.
    pub id: u64,
    /// The checkpoint has all that stands in the log in front of this.
    pub at: Position,
    /// The number of the last record there.
    pub last_seq: u64,
    /// The smallest number in the file of `at`, in front of that; 0 where there is none.
    pub first_seq: u64,
    /// The manifest had this generation, or a later one that lists the same but for files of the log.
    pub generation: u64,
}

/// What a writer begins with.
pub struct Beginning<'a> {
    /// Who it is.
    pub header: Header,
    /// The end of each open file of the log, in their order; the log goes on in the last.
    pub ends: &'a [Position],
    /// The generation of the manifest.
    pub generation: u64,
    /// Up to where the log is durable.
    pub durable: Position,
    /// See [`Published::clock`].
    pub clock: u64,
    /// The checkpoint that the index was taken from.
    pub checkpoint: Option<Checkpointed>,
}

impl Published {
    /// Told by this page.
    pub fn on(page: OwnPage) -> Self {
        Published { page }
    }

    /// Told to nobody.
    pub fn to_nobody() -> Result<Self, Refused> {
        OwnPage::alone().map(Self::on)
    }

    /// Says that a writer is opening the store. What was told before holds no more for who comes now.
    pub fn close_page(&self) {
        self.page.store(SESSION, 0);
        self.page.count(CHANGES);
    }

    /// Begins to tell, with the lock of the page. Nothing was written yet since the store was opened.
    pub fn begin(&self, beginning: &Beginning<'_>, lock: &PageLock) -> io::Result<()> {
        self.begin_with(beginning, lock, || ())
    }

    /// As [`Published::begin`]; `meanwhile` is called when the page is written and not locked. For tests.
    pub fn begin_with(
        &self,
        beginning: &Beginning<'_>,
        lock: &PageLock,
        meanwhile: impl FnOnce(),
    ) -> io::Result<()> {
        if seeded_bug!("session-counted-before-it-is-told") {
            self.count_session();
        }
        self.write(beginning);
        meanwhile();
        // Another program that locks the page keeps readers out, and nobody else.
        let told = lock.tell();
        if told.is_err() {
            self.close_page();
        }
        if !seeded_bug!("session-counted-before-it-is-told") {
            self.count_session();
        }
        told
    }

    /// Another number than before, whatever that was; see [`Told::begun`].
    fn count_session(&self) {
        let begun = self.page.load(BEGUN);
        self.page.store(BEGUN, if begun < MOST_BEGUN { begun + 1 } else { 1 });
    }

    fn write(&self, beginning: &Beginning<'_>) {
        let page = &self.page;
        self.close_page();
        let Some((tail, before)) = beginning.ends.split_last() else { return };
        // Those who follow the log find the file that they are in among these, or read the manifest again.
        let before = &before[before.len().saturating_sub(MOST_ENDS)..];
        page.store(ENDED, CHANGING);
        for (n, end) in before.iter().enumerate() {
            page.store(ENDS + n, end.0);
        }
        page.store(GENERATION, beginning.generation);
        page.store(DURABLE, beginning.durable.0);
        page.store(CLOCK, beginning.clock);
        page.store(BEGAN_AT, tail.0);
        self.tell_checkpoint(beginning.header.session, beginning.checkpoint);
        page.store(TAIL, tail.0);
        let words = beginning.header.encode();
        for (n, word) in words.iter().enumerate().filter(|(n, _)| *n != SESSION) {
            page.store(n, *word);
        }
        page.store(ENDED, before.len() as u64);
        page.store(SESSION, words[SESSION]);
        page.count(CHANGES);
    }

    /// The log is complete up to here. For who holds the append lock.
    #[inline(always)]
    pub fn tail(&self, tail: Position) {
        self.page.store(TAIL, tail.0);
    }

    /// A file of the log ends here, and the next begins there. For who holds the append lock.
    pub fn goes_on(&self, end: Position, begin: Position) {
        let ended = self.page.load(ENDED);
        self.page.store(ENDS + (ended % MOST_ENDS as u64) as usize, end.0);
        self.page.store(ENDED, ended + 1);
        self.page.store(TAIL, begin.0);
    }

    /// The manifest on the disk has this generation.
    pub fn manifest(&self, generation: u64) {
        self.page.store(GENERATION, generation);
        self.page.count(CHANGES);
    }

    /// Who begins to read the store may begin at this checkpoint, which is there.
    pub fn checkpoint(&self, checkpoint: Checkpointed) {
        self.tell_checkpoint(self.page.load(SESSION), Some(checkpoint));
    }

    fn tell_checkpoint(&self, session: u64, checkpoint: Option<Checkpointed>) {
        self.page.store(CHECKPOINT, 0);
        let Some(Checkpointed { id, at, last_seq, first_seq, generation }) = checkpoint else { return };
        self.page.store(CHECKPOINT_AT, at.0);
        self.page.store(CHECKPOINT_SEQ, last_seq);
        self.page.store(CHECKPOINT_FIRST, first_seq);
        self.page.store(CHECKPOINT_GENERATION, generation);
        self.page.store(CHECKPOINT_SESSION, session);
        self.page.store(CHECKPOINT, id);
    }

    /// The number of the last record that the checkpoint has which was told last; 0 where none was.
    pub fn checkpoint_seq(&self) -> u64 {
        if self.page.load(CHECKPOINT) == 0 { 0 } else { self.page.load(CHECKPOINT_SEQ) }
    }

    /// Whether somebody in another process may be told this.
    pub fn is_on_disk(&self) -> bool {
        self.page.is_mapped()
    }

    /// Whether somebody has the page open for reading.
    pub fn has_readers(&self) -> bool {
        self.page.has_readers()
    }

    /// The log is durable up to here.
    pub fn durable(&self, durable: Position) {
        self.page.raise(DURABLE, durable.0);
    }

    /// The store's time is so much ahead of the machine's monotonic clock, at least.
    pub fn clock(&self, ahead_ms: u64) {
        self.page.raise(CLOCK, ahead_ms);
    }
}

/// What a reader is told.
pub struct Told {
    page: Page,
}

impl Told {
    /// By this page.
    pub fn by(page: Page) -> Self {
        Told { page }
    }

    /// Who writes, or wrote last; `None` while somebody opens the store for that.
    pub fn header(&self) -> Result<Option<Header>, Damage> {
        let words: [u64; HEADER_WORDS] = std::array::from_fn(|n| self.page.load(n));
        match Header::decode(&words) {
            // It may have changed while it was read.
            Err(_) if self.page.load(SESSION) != words[SESSION] || self.page.load(SESSION) == 0 => Ok(None),
            header => header,
        }
    }

    /// Whether somebody lives who has the store open for writing.
    pub fn has_writer(&self) -> bool {
        self.page.has_writer().unwrap_or(false)
    }

    /// Whether the session that was read before this was asked is that of a living writer, if it is the same still.
    pub fn is_told(&self) -> bool {
        self.page.is_told().unwrap_or(false)
    }

    /// Whether a writer ever began a session here. A page without one may go again: who makes it may fail to open the store.
    pub fn is_begun(&self) -> bool {
        self.page.load(0) != 0
    }

    /// The session; 0 while the store is opened for writing.
    pub fn session(&self) -> u64 {
        self.page.load(SESSION)
    }

    /// How many sessions were begun. As long as this is what it was nobody has written anything. Counted when the session is told.
    #[inline]
    pub fn begun(&self) -> u64 {
        self.page.load(BEGUN)
    }

    /// Where the log ended when the session began.
    pub fn began_at(&self) -> Position {
        Position(self.page.load(BEGAN_AT))
    }

    /// Up to where the log may be read.
    #[inline(always)]
    pub fn tail(&self) -> Position {
        Position(self.page.load(TAIL))
    }

    /// Changes with all but the tail.
    pub fn changes(&self) -> u64 {
        self.page.load(CHANGES)
    }

    /// The generation of the manifest.
    pub fn generation(&self) -> u64 {
        self.page.load(GENERATION)
    }

    /// See [`Published::clock`].
    pub fn clock(&self) -> u64 {
        self.page.load(CLOCK)
    }

    /// The checkpoint that this session goes on from.
    pub fn checkpoint(&self, session: u64) -> Option<Checkpointed> {
        let id = self.page.load(CHECKPOINT);
        let checkpointed = Checkpointed {
            id,
            at: Position(self.page.load(CHECKPOINT_AT)),
            last_seq: self.page.load(CHECKPOINT_SEQ),
            first_seq: self.page.load(CHECKPOINT_FIRST),
            generation: self.page.load(CHECKPOINT_GENERATION),
        };
        let is_its = self.page.load(CHECKPOINT_SESSION) == session;
        // It may have changed while it was read.
        (is_its && id != 0 && self.page.load(CHECKPOINT) == id).then_some(checkpointed)
    }

    /// Whether a writer is just beginning to tell: what the page says of files may be the last writer's or this one's.
    pub fn is_changing(&self) -> bool {
        self.page.load(ENDED) == CHANGING
    }

    /// How far a file of the log may be read, in bytes, and the file that it goes on in, if it ends there. `None` where the page does not say.
    pub fn extent(&self, id: FileId) -> Option<(u64, Option<FileId>)> {
        match extent(id, |n| self.page.load(n)) {
            Extent::Open(end) => Some((u64::from(end) * ALIGNMENT, None)),
            Extent::Ended(end, next) => Some((u64::from(end) * ALIGNMENT, Some(next))),
            Extent::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_begins_with_the_files_that_it_found_and_goes_on() {
        let told = |published: &Published, id| extent(id, |n| published.page.load(n));
        let published = Published::to_nobody().unwrap();
        let header = Header { session: 9, store_id: [1; 16], process: 1 };
        let ends = [Position::new(3, 800), Position::new(5, 64)];
        let (durable, generation) = (Position::new(3, 64), 7);
        let checkpoint = None;
        published.write(&Beginning { header, ends: &ends, generation, durable, clock: 0, checkpoint });
        assert_eq!(told(&published, 3), Extent::Ended(100, 5));
        assert_eq!(told(&published, 5), Extent::Open(8));
        published.tail(Position::new(5, 160));
        published.goes_on(Position::new(5, 160), Position::new(8, 64));
        assert_eq!(told(&published, 5), Extent::Ended(20, 8));
        assert_eq!(told(&published, 8), Extent::Open(8));
        assert_eq!(told(&published, 4), Extent::Unknown);
    }
}
