//! One data file: reading its frames, and counting what in it is still alive.

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::ops::Range;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, Room, View, prefetch};
use crate::format::frame::{self, BarePut, COPIED_AT_ONCE, Header, Kind, Origin};
use crate::format::{ALIGNMENT, Damage, FileId, names};
use crate::index::{Entry, SizeClass};
use crate::store::error::{Error, Result};
use crate::sync::lock::Mutex;

use crate::store::pinned::Keeper;

use super::catalog::Poison;
use super::readahead::ReadAhead;
use super::scan::{End, scan};

/// A frame of so many bytes is not asked for as a whole.
const LARGE: usize = 1 << 20;

/// A data file that is open. Its bytes can be read as long as somebody holds it, also after its name is gone.
pub struct DataFile {
    /// The number of the file.
    pub id: FileId,
    /// The file's place in the table of open files, by which the index names it.
    pub slot: u16,
    /// What its frames are told relative to.
    pub origin: Origin,
    /// The file's bytes on disk.
    pub disk_file: Arc<dyn DiskFile>,
    view: Option<View>,
    /// Keeps the mapping for who pins values in it.
    keeper: Option<Arc<Keeper>>,
    disk: Arc<dyn Disk>,
    unmergeable: AtomicBool,
    replaced: AtomicBool,
    /// The manifest says that it is complete.
    sealed: AtomicBool,
    /// Nothing but puts that do not expire was written to it.
    plain: AtomicBool,
    /// What a recovery found that may not be on the disk, and has to be written again before a sync counts.
    unsure: Mutex<Option<(u64, u64)>>,
    /// Whether it has its final length, and grows no more.
    complete: Mutex<bool>,
    /// Tombstones that a merge could not drop, and their weight.
    tombstones: (AtomicU64, AtomicU64),
    /// Until then some of them are kept whatever they hide, in milliseconds since 1970.
    young_until: AtomicU64,
    /// See [`DataFile::set_alive_after`].
    alive_after: AtomicU64,
    ends: Ends,
    /// Records and their weight (bytes by size class), written and dead.
    pub usage: Usage,
}

/// What each record that is appended changes: in cache lines of its own, so that readers of other records do not wait.
#[derive(Default)]
#[repr(align(128))]
struct Ends {
    /// Complete frames end here.
    tail: AtomicU64,
    /// What stands before this is on its way to the disk, and before this is there, durable or not: see [`DataFile::dirty`].
    leaving: AtomicU64,
    left: AtomicU64,
    /// Sequence numbers of its first and its last record; 0 while it has none.
    min_seq: AtomicU64,
    max_seq: AtomicU64,
}

/// What a file holds, by count and by weight. Written grows under the append lock, dead under locks of the index. In cache
/// lines of its own, as [`Ends`].
#[derive(Default)]
#[repr(align(128))]
pub struct Usage {
    records: AtomicU64,
    weight: AtomicU64,
    dead_records: AtomicU64,
    dead_weight: AtomicU64,
}

impl Usage {
    /// Counts a record that was written.
    #[inline]
    pub fn wrote(&self, size: SizeClass) {
        // One thread at a time calls this, who holds the append lock or merges: no read-modify-write is needed.
        self.records.store(self.records.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.weight.store(self.weight.load(Ordering::Relaxed) + size.bytes(), Ordering::Relaxed);
    }

    /// Counts a record that nobody can read any more.
    #[inline]
    pub fn died(&self, size: SizeClass) {
        self.dead_records.fetch_add(1, Ordering::Relaxed);
        self.dead_weight.fetch_add(size.bytes(), Ordering::Relaxed);
    }

    /// Counts records as alive that were counted as dead.
    pub fn came_alive(&self, records: u64, weight: u64) {
        // A checkpoint that somebody made up may have more keys in a file than it says there are records.
        let less = |dead: &AtomicU64, by: u64| {
            let _ = dead.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_sub(by)));
        };
        less(&self.dead_records, records);
        less(&self.dead_weight, weight);
    }

    /// Sets all counts, after recovery has established them.
    pub fn set(&self, records: u64, weight: u64, live_records: u64, live_weight: u64) {
        self.records.store(records, Ordering::Relaxed);
        self.weight.store(weight, Ordering::Relaxed);
        self.dead_records.store(records.saturating_sub(live_records), Ordering::Relaxed);
        self.dead_weight.store(weight.saturating_sub(live_weight), Ordering::Relaxed);
    }

    /// Records that were written.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// The weight of what was written.
    pub fn weight(&self) -> u64 {
        self.weight.load(Ordering::Relaxed)
    }

    /// Records that can still be read.
    pub fn live_records(&self) -> u64 {
        self.records().saturating_sub(self.dead_records.load(Ordering::Relaxed))
    }

    /// The weight of what can still be read.
    pub fn live_weight(&self) -> u64 {
        if self.live_records() == 0 {
            return 0;
        }
        self.weight().saturating_sub(self.dead_weight.load(Ordering::Relaxed))
    }
}

/// A frame of a data file, of which the header was checked and nothing else.
pub struct Frame<'a> {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// The header of the frame.
    pub header: Header,
    bytes: &'a [u8],
    seed: u32,
}

impl<'a> Frame<'a> {
    /// A frame at the front of `bytes`, which may be longer; of a file with this origin.
    #[inline(always)]
    pub fn parse(bytes: &'a [u8], offset: u64, origin: &Origin) -> std::result::Result<Self, Damage> {
        let header = Header::decode(bytes, origin)?;
        let size = header.frame_size();
        if size > bytes.len() as u64 {
            return Err("a frame is longer than what it stands in");
        }
        Ok(Frame { offset, header, bytes: &bytes[..size as usize], seed: origin.seed(offset) })
    }

    /// The key; empty for a batch or a mark.
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        &self.bytes[self.header.key_range()]
    }

    /// The value; of a batch, the frames inside.
    #[inline]
    pub fn value(&self) -> &'a [u8] {
        let range = self.header.value_range();
        &self.bytes[range.start as usize..range.end as usize]
    }

    /// The key and, right behind it, the value of a record.
    pub fn key_and_value(&self) -> &'a [u8] {
        &self.bytes[self.header.size()..self.header.value_range().end as usize]
    }

    /// Whether its checksum matches.
    #[inline]
    pub fn is_intact(&self) -> bool {
        seeded_bug!("checksum-not-checked") || frame::is_intact(self.seed, self.bytes)
    }

    /// Whether its checksum matches; on the way `copy` is shown the value, piece by piece. What it was shown counts only where
    /// this says yes.
    pub fn is_intact_and_copied(&self, mut copy: impl FnMut(&[u8])) -> bool {
        let range = self.header.value_range();
        let (value, mut ahead) =
            (range.start as usize..range.end as usize, self.value().chunks(COPIED_AT_ONCE));
        ahead.next().into_iter().for_each(prefetch);
        frame::is_intact_and_copied(self.seed, self.bytes, value, |piece| {
            ahead.next().into_iter().for_each(prefetch);
            copy(piece);
        })
    }
}

impl DataFile {
    /// A file whose complete frames end at `tail`.
    pub fn new(
        disk: Arc<dyn Disk>,
        disk_file: Arc<dyn DiskFile>,
        (id, slot, origin): (FileId, u16, Origin),
        tail: u64,
    ) -> Self {
        DataFile {
            id,
            slot,
            origin,
            view: disk_file.view(),
            keeper: disk_file.view().map(|view| Arc::new(Keeper::Mapping(view))),
            disk_file,
            disk,
            unmergeable: AtomicBool::new(false),
            replaced: AtomicBool::new(false),
            sealed: AtomicBool::new(false),
            plain: AtomicBool::new(false),
            unsure: Mutex::default(),
            complete: Mutex::new(false),
            tombstones: Default::default(),
            young_until: AtomicU64::new(0),
            alive_after: AtomicU64::new(0),
            ends: Ends {
                tail: AtomicU64::new(tail),
                leaving: AtomicU64::new(tail),
                left: AtomicU64::new(tail),
                ..Ends::default()
            },
            usage: Usage::default(),
        }
    }

    /// Where complete frames end, in bytes.
    pub fn tail(&self) -> u64 {
        self.ends.tail.load(Ordering::Acquire)
    }

    /// Sets where complete frames end, once recovery knows.
    pub fn set_tail(&self, tail: u64) {
        self.ends.tail.store(tail, Ordering::Release);
        self.ends.leaving.store(tail, Ordering::Relaxed);
        self.ends.left.store(tail, Ordering::Relaxed);
    }

    /// Another process has appended frames up to `end`, which are complete. `Err` where the file is not so long.
    pub fn follow(&self, end: u64) -> Result<()> {
        self.disk_file.follow(end).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                self.corrupt(end, "the file ends before what its writer tells")
            }
            _ => self.io_error("read the size of", &error),
        })?;
        if end > self.tail() {
            self.set_tail(end);
        }
        Ok(())
    }

    /// Frames up to `tail` are complete; the last record among them has the number `seq`.
    #[inline]
    pub fn advance(&self, tail: u64, seq: u64) {
        self.include_seqs(seq, seq);
        self.ends.tail.store(tail, Ordering::Release);
    }

    /// Widens the range of sequence numbers; called under the append lock, or before the file is shared.
    #[inline]
    pub fn include_seqs(&self, min: u64, max: u64) {
        if min == 0 {
            return;
        }
        let (low, high) = self.seqs();
        if low == 0 || min < low {
            self.ends.min_seq.store(min, Ordering::Relaxed);
        }
        if max > high {
            self.ends.max_seq.store(max, Ordering::Relaxed);
        }
    }

    /// The smallest and the largest sequence number in it; zeros while it is empty.
    pub fn seqs(&self) -> (u64, u64) {
        (self.ends.min_seq.load(Ordering::Relaxed), self.ends.max_seq.load(Ordering::Relaxed))
    }

    /// Says that what stands between two offsets may be in the kernel's memory only.
    pub fn set_unsure(&self, start: u64, end: u64) {
        *self.unsure.lock() = Some((start, end));
    }

    /// Whether it holds what only the next [`DataFile::sync`] makes certain.
    pub fn is_unsure(&self) -> bool {
        self.unsure.lock().is_some()
    }

    /// Makes its content durable. A sync that fails is final, and poisons: the kernel may have dropped the pages that it
    /// could not write, and a second sync would report success (fsyncgate).
    pub fn sync(&self, poison: &Poison, action: &'static str) -> Result<()> {
        let mut unsure = self.unsure.lock();
        if let Some((start, end)) = *unsure {
            // The kernel may have dropped its pages since they were looked at, and read others from the disk.
            if let (_, End::Damaged { offset, what }) = scan(self, start, end, &mut |_| Ok(()))? {
                return Err(poison.set(self.corrupt(offset, what)));
            }
            // Where a file system writes anew to another place, it may have no room now and some later.
            if !seeded_bug!("killed-tail-not-written-again") {
                self.disk_file.rewrite(start, end).map_err(|e| self.io_error(action, &e))?;
            }
            *unsure = None;
        }
        drop(unsure);
        let tail = self.tail();
        let mut synced = self.disk_file.sync();
        if seeded_bug!("failed-sync-retried") && synced.is_err() {
            synced = self.disk_file.sync();
        }
        synced.map_err(|e| poison.set(self.io_error(action, &e)))?;
        self.ends.leaving.fetch_max(tail, Ordering::Relaxed);
        self.ends.left.fetch_max(tail, Ordering::Relaxed);
        Ok(())
    }

    /// Bytes of frames that are in memory only, for all that is known: memory that cannot be taken back before they are written
    /// to the disk.
    pub fn dirty(&self) -> u64 {
        self.tail().saturating_sub(self.ends.left.load(Ordering::Relaxed))
    }

    /// Lets the disk begin to write up to `most` bytes that it was not told of; false where there are none. Not for who holds a lock
    /// that writers need. An error is as final as one of a sync.
    pub fn begin_write_back(&self, most: u64, poison: &Poison) -> Result<bool> {
        let from = self.ends.leaving.load(Ordering::Relaxed);
        let to = self.tail().min(from.saturating_add(most));
        if from >= to {
            return Ok(false);
        }
        let end = self.write_back(from..to, false, poison)?;
        self.ends.leaving.fetch_max(end, Ordering::Relaxed);
        Ok(end > from)
    }

    /// Waits until the disk has the first `most` bytes of those that it was told of, or all. False where there are none.
    pub fn finish_write_back(&self, most: u64, poison: &Poison) -> Result<bool> {
        let (from, to) = (self.ends.left.load(Ordering::Relaxed), self.ends.leaving.load(Ordering::Relaxed));
        if from >= to {
            return Ok(false);
        }
        let end = to.min(from.saturating_add(most));
        self.write_back(from..end, true, poison)?;
        self.ends.left.fetch_max(end, Ordering::Relaxed);
        Ok(true)
    }

    fn write_back(&self, range: Range<u64>, wait: bool, poison: &Poison) -> Result<u64> {
        let written = self.disk_file.write_back(range, wait);
        written.map_err(|e| poison.set(self.io_error("write back", &e)))
    }

    /// Keeps room ahead of its tail, as [`DiskFile::prepare`] says. Nothing where the file is complete.
    pub fn prepare(&self, room: Room) -> Result<()> {
        // Held all the while: a file that is cut to its length and sealed must not grow again. Who would have to wait for it
        // comes too late, or not alone.
        let Some(complete) = self.complete.try_lock().filter(|complete| !**complete) else { return Ok(()) };
        let prepared = self.disk_file.prepare(self.tail(), room);
        drop(complete);
        prepared.map_err(|e| self.io_error("make room ahead in", &e))
    }

    /// Cuts the file, which nothing is appended to any more, to its length, and makes it durable. May be called again.
    pub fn complete(&self, poison: &Poison, action: &'static str) -> Result<()> {
        let mut complete = self.complete.lock();
        *complete = true;
        let failed = |e: std::io::Error| self.io_error(action, &e);
        // Gives up write access, before it is synced.
        self.disk_file.prepare(self.tail(), Room::default()).map_err(failed)?;
        self.disk_file.truncate(self.tail()).map_err(failed)?;
        self.sync(poison, action)?;
        self.disk_file.seal().map_err(failed)
    }

    /// Keeps merges away from it: it is damaged, and what is whole in it stays where it is.
    pub fn never_merge(&self) {
        self.unmergeable.store(true, Ordering::Relaxed);
    }

    /// Whether merges keep away from it.
    pub fn is_never_merged(&self) -> bool {
        self.unmergeable.load(Ordering::Relaxed)
    }

    /// The manifest says now that it is complete.
    pub fn set_sealed(&self) {
        self.sealed.store(true, Ordering::Release);
    }

    /// Whether the manifest says that it is complete.
    pub fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// How many of its bytes are live: the part of its weight that is, of its size.
    pub fn live_bytes(&self) -> u64 {
        match self.usage.weight() {
            0 => 0,
            weight => (self.tail() as f64 * (self.usage.live_weight() as f64 / weight as f64)) as u64,
        }
    }

    /// How many of its bytes are dead.
    pub fn dead_bytes(&self) -> u64 {
        self.tail().saturating_sub(self.live_bytes())
    }

    /// Whether something in it is dead.
    pub fn has_dead(&self) -> bool {
        self.usage.live_records() < self.usage.records()
    }

    /// A merge has taken what was needed of it; only snapshots may still read it.
    pub fn set_replaced(&self) {
        self.replaced.store(true, Ordering::Relaxed);
    }

    /// Whether a merge has replaced it.
    pub fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Relaxed)
    }

    /// The file is new: all that is written to it will be noted.
    pub fn set_plain(&self) {
        self.plain.store(true, Ordering::Relaxed);
    }

    /// Notes what is written to it, before others can know of it.
    #[inline]
    pub fn note_kind(&self, kind: Kind, expiry_ms: Option<u64>) {
        // Stored once only: readers look at what stands beside it.
        if (kind == Kind::Tombstone || expiry_ms.is_some()) && self.is_plain() {
            self.plain.store(false, Ordering::Relaxed);
        }
    }

    /// Whether it certainly holds nothing but puts that do not expire, so that nobody needs what the index does not point at.
    /// What was there when the store was opened is not known to.
    pub fn is_plain(&self) -> bool {
        self.plain.load(Ordering::Relaxed)
    }

    /// All that is written to it was alive when every write up to the number `seq` was known to the index.
    pub fn set_alive_after(&self, seq: u64) {
        self.alive_after.store(seq, Ordering::Relaxed);
    }

    /// What is dead in it was made so by numbers greater than this: tombstones up to it hide nothing here.
    pub fn deaths_after(&self) -> u64 {
        self.seqs().0.max(self.alive_after.load(Ordering::Relaxed))
    }

    /// Counts a tombstone that a merge could not drop.
    pub fn keep_tombstone(&self, size: SizeClass) {
        self.tombstones.0.fetch_add(1, Ordering::Relaxed);
        self.tombstones.1.fetch_add(size.bytes(), Ordering::Relaxed);
    }

    /// Some of its tombstones are kept until then, whatever they hide.
    pub fn keep_tombstones_until(&self, time_ms: u64) {
        self.young_until.fetch_max(time_ms, Ordering::Relaxed);
    }

    /// See [`DataFile::keep_tombstones_until`]; 0 where there is no such time.
    pub fn tombstones_kept_until(&self) -> u64 {
        self.young_until.load(Ordering::Relaxed)
    }

    /// The tombstones that a merge could not drop, and their weight. They count as live, so that no merge takes the file
    /// for them alone.
    pub fn kept_tombstones(&self) -> (u64, u64) {
        if self.is_replaced() {
            return (0, 0);
        }
        (self.tombstones.0.load(Ordering::Relaxed), self.tombstones.1.load(Ordering::Relaxed))
    }

    /// The frame that the index entry points to. The bytes are those of the mapping, or are read into `buffer`.
    #[inline]
    pub fn frame<'a>(&'a self, entry: Entry, buffer: &'a mut Vec<u8>) -> Result<Frame<'a>> {
        let offset = u64::from(entry.location.units) * ALIGNMENT;
        // All of it at once: what follows upon the header would wait for that, unless the compiler makes the way to it short.
        self.prefetch(entry);
        let bytes = self.bytes(offset, entry.size.bytes(), buffer)?;
        Frame::parse(bytes, offset, &self.origin).map_err(|what| self.corrupt(offset, what))
    }

    /// As [`DataFile::frame`], of a put that does not expire. `None` where it is none, or is not mapped.
    #[inline(always)]
    pub fn bare_put(&self, entry: Entry) -> Option<BarePut<'_>> {
        self.prefetch(entry);
        let (offset, len) = (u64::from(entry.location.units) * ALIGNMENT, entry.size.bytes());
        let view = self.view.as_ref()?;
        let bytes = view.get_settled(offset, len).or_else(|| view.get(offset, len))?;
        BarePut::parse(bytes, self.origin.seed(offset))
    }

    /// Whether the checksum of a frame of this file matches. Of a large one, what is behind is asked for on the way.
    #[inline]
    pub fn is_intact(&self, frame: &Frame<'_>) -> bool {
        if frame.bytes.len() < LARGE { frame.is_intact() } else { self.is_intact_and_copied(frame, |_| {}) }
    }

    /// As [`Frame::is_intact_and_copied`], of a frame of this file; what is behind is asked for on the way.
    pub fn is_intact_and_copied(&self, frame: &Frame<'_>, mut copy: impl FnMut(&[u8])) -> bool {
        if frame.bytes.len() < LARGE || !self.is_mapped() {
            return frame.is_intact_and_copied(copy);
        }
        let mut at = frame.offset;
        let mut ahead = ReadAhead::new(self.disk_file.as_ref(), at..at + frame.bytes.len() as u64);
        frame.is_intact_and_copied(|piece| {
            ahead.reach(at);
            at += piece.len() as u64;
            copy(piece);
        })
    }

    /// The bytes from `offset`, `len` of them or as many as there are up to the tail.
    #[inline]
    pub fn bytes<'a>(&'a self, offset: u64, len: u64, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        if let Some(bytes) = self.view.as_ref().and_then(|view| view.get_settled(offset, len)) {
            return Ok(bytes);
        }
        let len = len.min(self.tail().saturating_sub(offset));
        if let Some(view) = &self.view {
            return view
                .get(offset, len)
                .ok_or_else(|| self.corrupt(offset, "the file ends before its record"));
        }
        self.read(offset, len, buffer)?;
        Ok(buffer)
    }

    fn read(&self, offset: u64, len: u64, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.clear();
        buffer.try_reserve_exact(len as usize).map_err(|_| Error::NoMemory { bytes: len })?;
        buffer.resize(len as usize, 0);
        self.disk_file.read_at(buffer, offset).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.corrupt(offset, "the file ends before its record"),
            _ => self.io_error("read the data file", &error),
        })
    }

    /// What keeps its mapping; `None` where it is not mapped.
    #[inline]
    pub fn keeper(&self) -> Option<&Arc<Keeper>> {
        self.keeper.as_ref()
    }

    /// Whether reading needs no buffer.
    pub fn is_mapped(&self) -> bool {
        self.view.is_some()
    }

    /// The sequence number in the header of the frame at `offset`.
    pub fn seq_at(&self, offset: u64) -> Result<u64> {
        let mut buffer = Vec::new();
        let bytes = self.bytes(offset, frame::MAX_HEADER_SIZE as u64, &mut buffer)?;
        Header::decode(bytes, &self.origin)
            .map(|header| header.seq)
            .map_err(|what| self.corrupt(offset, what))
    }

    /// Asks the processor to load the record of an entry.
    #[inline]
    pub fn prefetch(&self, entry: Entry) {
        if let Some(view) = &self.view {
            view.prefetch(u64::from(entry.location.units) * ALIGNMENT, entry.size.bytes());
        }
    }

    /// Asks the disk for the record of an entry, which is read soon.
    pub fn will_need(&self, entry: Entry) {
        let start = u64::from(entry.location.units) * ALIGNMENT;
        self.disk_file.will_need(start..start + entry.size.bytes().min(LARGE as u64));
    }

    /// Brings the record of an entry into memory, where it may not be: see [`DiskFile::use_now`].
    pub fn use_now(&self, entry: Entry) {
        let start = u64::from(entry.location.units) * ALIGNMENT;
        // Of a large one, who checks it asks for the rest.
        self.disk_file.use_now(start..start + entry.size.bytes().min(LARGE as u64));
    }

    /// The error that says what is wrong at `offset` of this file.
    #[cold]
    pub fn corrupt(&self, offset: u64, what: Damage) -> Error {
        let path = self.disk.path().join(names::data(self.id));
        Error::Corrupt { path, file_id: self.id, offset, what }
    }

    /// The error of the operating system, with this file's name.
    #[cold]
    pub fn io_error(&self, action: &'static str, error: &std::io::Error) -> Error {
        Error::io(action, &self.disk.path().join(names::data(self.id)), error)
    }
}

#[cfg(test)]
mod tests {
    use super::Usage;

    #[test]
    fn more_records_that_come_alive_than_were_dead_leave_none_dead() {
        let usage = Usage::default();
        usage.set(3, 300, 2, 200);
        usage.came_alive(2, 200);
        assert_eq!((usage.live_records(), usage.live_weight()), (3, 300));
    }
}
