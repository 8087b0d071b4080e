//! The tail of the log: where frames are appended, and when a new file is begun.
//!
//! One lock, held for the time of a copy: it gives each frame its sequence number and its place, so the order of the
//! numbers is the order of the bytes, and a process that is killed leaves at most one torn frame, the last. Everything
//! slow happens elsewhere: reserving and faulting in pages, creating the next file, and sealing the last on threads of their
//! own; waiting for the disk after the lock is released.

mod ahead;
mod cut;
mod durable;
mod position;
mod room;
mod rotate;
mod telling;

use crate::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::Arc;
use std::time::Instant;

use crate::format::ALIGNMENT;
use crate::format::frame::{self, Epoch, Header, Kind, Origin};
use crate::index::{Entry, Location, SizeClass};
use crate::store::error::{Error, Result};
use crate::store::memory::vec_with_room;
use crate::sync::lock::Mutex;
use crate::sync::thread::NotCancelled;

use super::Position;
use super::catalog::Catalog;
use super::commit::Commit;
use super::feed::Followers;
use super::file::DataFile;
use super::published::Published;
use ahead::Pace;
pub use cut::Cut;
pub use durable::most_behind;
pub use position::Moment;
pub use telling::Work;
use telling::{LOOK_EVERY, PREPARE_EVERY};

/// One operation, as it goes into a frame.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// What it does; one of the kinds that are records.
    pub kind: Kind,
    /// The key, within its limits.
    pub key: &'a [u8],
    /// The value, within its limits; empty where the kind has none.
    pub value: &'a [u8],
    /// When it expires, in milliseconds since 1970.
    pub expiry_ms: Option<u64>,
}

impl Record<'_> {
    /// The header of its frame, but for what the log adds.
    #[inline]
    fn header(&self, time_ms: u64) -> Header {
        Header {
            kind: self.kind,
            seq: 0,
            time_ms,
            expiry_ms: self.expiry_ms,
            frontier: None,
            key_len: self.key.len() as u32,
            value_len: self.value.len() as u32,
            is_far: false,
        }
    }

    /// Whether it adds to what the store holds. The others make room in the end.
    #[inline]
    fn adds(&self) -> bool {
        matches!(self.kind, Kind::Put | Kind::Element)
    }
}

/// Where a record went.
#[derive(Clone, Copy, Debug)]
pub struct Appended {
    /// What the index keeps of it.
    pub entry: Entry,
    /// The sequence number that the record got.
    pub seq: u64,
    /// The log position behind it: durable once that is.
    pub end: Position,
    /// Enough was appended since the last time that it is worth asking whether this writer should pause.
    pub may_pause: bool,
}

struct Writer {
    active: Arc<DataFile>,
    /// Frames do not go past this offset of the active file. See [`Log::divide_at`].
    capacity: u64,
    tail: u64,
    next_seq: u64,
    /// The latest time in the log, in milliseconds since 1970.
    time_ms: u64,
    /// The frontier that the log carries already.
    recorded_frontier: Position,
    /// The next file, created ahead.
    spare: Option<Arc<DataFile>>,
    /// At this offset somebody is told to prepare further; at 0 because others wait for the next write.
    wake_at: u64,
    /// Where `wake_at` was before somebody began to wait for the next write.
    awaited: Option<u64>,
    /// The manifest says that the store may have unclean files.
    unclean: bool,
    /// Bytes of frames that were appended since the store was opened.
    appended: u64,
    /// When this many bytes were appended a writer asks whether it should pause.
    pause_at: u64,
    /// When this many bytes were appended a writer asks for a look at the store.
    look_at: u64,
}

/// Writers looked at the clock before they came to append, and may be this late; in milliseconds.
const LATE: u64 = 24 * 60 * 60 * 1000;

/// From where on is counted in a file of the log that is begun when the next number is `seq` and the time `time_ms`.
pub fn epoch(seq: u64, time_ms: u64) -> Epoch {
    Epoch { seq, time_ms: time_ms.saturating_sub(LATE) }
}

/// Frames up to this size are put together before they are written: a checksum and a copy of one piece take less time than of
/// four.
const WRITTEN_WHOLE: usize = 256;
const _: () = assert!(WRITTEN_WHOLE >= frame::MAX_HEADER_SIZE);

/// See the module.
pub struct Log {
    /// The set of files.
    pub catalog: Arc<Catalog>,
    /// What live readers are told; the same as the catalog's, without a step in between.
    published: Arc<Published>,
    max_file_size: u64,
    /// Whether the disk has a limit of its own, of which some is kept for what makes room.
    is_limited: bool,
    /// Held by the writer who waits for the disk because too much is in memory only.
    writing_back: Mutex<()>,
    writer: Mutex<Writer>,
    /// Files that were rotated out: not synced yet, then not sealed yet.
    unsynced: Mutex<Vec<Arc<DataFile>>>,
    unsealed: Mutex<Vec<Arc<DataFile>>>,
    /// How many there are of these, those included that are being sealed.
    waiting_to_be_sealed: AtomicUsize,
    /// A file that was made and could not be listed in the manifest, and its capacity.
    unlisted: Mutex<Option<(Arc<DataFile>, u64)>>,
    commit: Commit,
    /// How many times a data file was synced.
    pub syncs: AtomicU64,
    /// How long that took, in nanoseconds.
    pub sync_nanos: AtomicU64,
    last_sync: Mutex<Instant>,
    pace: Mutex<Pace>,
    /// A writer asks whether it should pause after so many bytes.
    ask_every: AtomicU64,
    /// Bytes of frames that had been appended when one asked last.
    appended_when_asked: AtomicU64,
    /// The active file is followed by another when it has so many bytes, if that is ready by then.
    divided_at: AtomicU64,
    /// How far the tail may move now until room ahead is prepared again.
    prepare_every: AtomicU64,
    /// The feeds that wait for the next write.
    pub followers: Arc<Followers>,
    ask: Box<dyn Fn(Work) + Send + Sync>,
}

/// What recovery hands to the log.
pub struct Start {
    /// The file to go on with.
    pub active: Arc<DataFile>,
    /// All of the log before this is durable.
    pub durable: Position,
    /// All of the log before this is durable by what the store itself says after a crash.
    pub recorded: Position,
    /// The first free sequence number.
    pub next_seq: u64,
    /// No record of the store was written later, in milliseconds since 1970.
    pub time_ms: u64,
    /// Older files that are not sealed yet.
    pub unsealed: Vec<Arc<DataFile>>,
    /// Whether the manifest says that the store was not closed cleanly.
    pub unclean: bool,
}

impl Log {
    /// The log of an opened store. `ask` wakes whoever does the work; it must not block.
    pub fn new(
        catalog: Arc<Catalog>,
        max_file_size: u64,
        start: Start,
        ask: Box<dyn Fn(Work) + Send + Sync>,
    ) -> Self {
        let tail = start.active.tail();
        let unsynced = start.unsealed.iter().filter(|file| file.is_unsure()).cloned().collect();
        let writer = Writer {
            capacity: max_file_size.max(tail),
            tail,
            next_seq: start.next_seq,
            time_ms: start.time_ms,
            recorded_frontier: start.recorded,
            spare: None,
            wake_at: 0,
            awaited: None,
            unclean: start.unclean,
            appended: 0,
            pause_at: 0,
            look_at: LOOK_EVERY,
            active: start.active,
        };
        Log {
            is_limited: catalog.disk.free_bytes().is_some(),
            pace: Mutex::new(Pace::new(catalog.disk.monotonic_ms())),
            published: catalog.published.clone(),
            catalog,
            max_file_size,
            writing_back: Mutex::default(),
            writer: Mutex::new(writer),
            unsynced: Mutex::new(unsynced),
            waiting_to_be_sealed: AtomicUsize::new(start.unsealed.len()),
            unsealed: Mutex::new(start.unsealed),
            unlisted: Mutex::default(),
            commit: Commit::new(start.durable),
            syncs: AtomicU64::new(0),
            sync_nanos: AtomicU64::new(0),
            last_sync: Mutex::new(Instant::now()),
            ask_every: AtomicU64::new(0),
            appended_when_asked: AtomicU64::new(0),
            divided_at: AtomicU64::new(max_file_size),
            prepare_every: AtomicU64::new(*PREPARE_EVERY.end()),
            followers: Arc::default(),
            ask,
        }
    }

    /// Appends one record. After an error nothing was written.
    #[inline]
    pub fn append(&self, record: &Record<'_>, time_ms: u64) -> Result<Appended> {
        let mut header = record.header(time_ms);
        let mut writer = self.writer.lock();
        let adds = record.adds();
        let offset = match self.make_room(&mut writer, &mut header, 1, adds) {
            Ok(offset) => offset,
            Err(error) => self.make_room_at_any_cost(&mut writer, &mut header, 1, adds, error)?,
        };
        let size = self.write_frame(&mut writer, offset, &mut header, &[record.key, record.value], 1)?;
        let size = weight(record.kind, size / ALIGNMENT);
        let class = if record.kind == Kind::Tombstone { SizeClass::TOMBSTONE } else { size };
        writer.active.note_kind(record.kind, record.expiry_ms);
        writer.active.usage.wrote(size);
        if record.kind == Kind::Tombstone {
            writer.active.usage.died(size);
        }
        let location = Location { slot: writer.active.slot, units: (offset / ALIGNMENT) as u32 };
        let end = Position::new(writer.active.id, writer.tail);
        let may_pause = self.note_progress(&mut writer, record.kind == Kind::Put);
        Ok(Appended { entry: Entry { location, size: class }, seq: header.seq, end, may_pause })
    }

    /// Appends all records as one frame, all or none of which count, and gives where each went to `out`.
    pub fn append_batch(&self, records: &[Record<'_>], time_ms: u64, out: &mut Vec<Appended>) -> Result<()> {
        let mut headers = vec_with_room(records.len())?;
        headers.extend(records.iter().map(|record| record.header(time_ms)));
        let inside: u64 = headers.iter().map(Header::frame_size).sum();
        let limit = frame::MAX_VALUE_SIZE;
        if inside > limit {
            return Err(Error::TooLarge { what: "batch", size: inside, limit });
        }
        let mut header = Header {
            kind: Kind::Batch,
            seq: 0,
            time_ms,
            expiry_ms: None,
            frontier: None,
            key_len: 0,
            value_len: inside as u32,
            is_far: false,
        };
        let mut body = vec_with_room(inside as usize)?;

        let mut writer = self.writer.lock();
        let (seqs, adds) = (records.len() as u64, records.iter().any(Record::adds));
        let offset = match self.make_room(&mut writer, &mut header, seqs, adds) {
            Ok(offset) => offset,
            Err(error) => self.make_room_at_any_cost(&mut writer, &mut header, seqs, adds, error)?,
        };
        let lead = header.value_range().start;
        let first = offset + lead;
        for (n, (inner, record)) in headers.iter_mut().zip(records).enumerate() {
            inner.seq = writer.next_seq + n as u64;
            encode_frame(inner, &[record.key, record.value], &writer.active.origin, first, &mut body);
        }
        let padding = [0; ALIGNMENT as usize];
        let padding = &padding[..(lead as usize) - header.size()];
        let base = writer.next_seq;
        self.write_frame(&mut writer, offset, &mut header, &[padding, &body], records.len() as u64)?;
        let mut at = first;
        for (n, inner) in headers.iter().enumerate() {
            let weight = weight(inner.kind, inner.frame_size() / ALIGNMENT);
            writer.active.note_kind(inner.kind, inner.expiry_ms);
            writer.active.usage.wrote(weight);
            let put = inner.kind != Kind::Tombstone;
            if !put {
                writer.active.usage.died(weight);
            }
            let location = Location { slot: writer.active.slot, units: (at / ALIGNMENT) as u32 };
            let entry = Entry { location, size: if put { weight } else { SizeClass::TOMBSTONE } };
            let end = Position::new(writer.active.id, writer.tail);
            out.push(Appended { entry, seq: base + n as u64, end, may_pause: false });
            at += inner.frame_size();
        }
        let may_pause = self.note_progress(&mut writer, true);
        if let Some(last) = out.last_mut() {
            last.may_pause = may_pause;
        }
        Ok(())
    }

    /// Sees to it that the log holds a time that is no earlier than `least`: where it holds none, by a frame that changes nothing and
    /// says `now`. Gives the latest time in the log.
    pub fn record_time(&self, least: u64, now: u64) -> Result<u64> {
        let mut header = Header {
            kind: Kind::Mark,
            seq: 0,
            time_ms: now,
            expiry_ms: None,
            frontier: None,
            key_len: 0,
            value_len: 0,
            is_far: false,
        };
        let mut writer = self.writer.lock();
        if writer.time_ms < least {
            let offset = match self.make_room(&mut writer, &mut header, 1, false) {
                Ok(offset) => offset,
                Err(error) => self.make_room_at_any_cost(&mut writer, &mut header, 1, false, error)?,
            };
            self.write_frame(&mut writer, offset, &mut header, &[&[], &[]], 1)?;
            self.note_progress(&mut writer, false);
        }
        Ok(writer.time_ms)
    }

    /// Writes the frame at `offset` and moves the tail. After an error the tail is where it was.
    #[inline(always)]
    fn write_frame(
        &self,
        writer: &mut Writer,
        offset: u64,
        header: &mut Header,
        body: &[&[u8]; 2],
        seqs: u64,
    ) -> Result<u64> {
        header.seq = writer.next_seq;
        let active = &writer.active;
        let mut bytes = [0; WRITTEN_WHOLE];
        let header_size = header.encode(&active.origin, &mut bytes);
        let (size, end) = (header.frame_size(), header.value_range().end);
        let seed = active.origin.seed(offset);
        let written = if let Some(frame) = bytes.get_mut(..size as usize) {
            let (key, rest) = frame[header_size..].split_at_mut(body[0].len());
            key.copy_from_slice(body[0]);
            rest[..body[1].len()].copy_from_slice(body[1]);
            frame::seal(seed, frame);
            active.disk_file.write_at(&[frame], offset)
        } else {
            let padding = &[0; ALIGNMENT as usize][..(size - end) as usize];
            let crc = frame::checksum(seed, [&bytes[4..header_size], body[0], body[1], padding]);
            bytes[..4].copy_from_slice(&crc.to_le_bytes());
            active.disk_file.write_at(&[&bytes[..header_size], body[0], body[1], padding], offset)
        };
        if let Err(error) = written {
            return Err(self.roll_back(active, offset, error));
        }
        writer.tail += size;
        writer.appended += size;
        writer.next_seq += seqs;
        writer.time_ms = writer.time_ms.max(header.time_ms);
        if seqs > 1 {
            active.include_seqs(header.seq, header.seq);
        }
        active.advance(writer.tail, writer.next_seq - 1);
        self.published.tail(Position::new(active.id, writer.tail));
        if let Some(frontier) = header.frontier {
            writer.recorded_frontier = Position(frontier);
        }
        Ok(size)
    }

    /// Takes back what a failed write may have left behind the tail.
    #[cold]
    fn roll_back(&self, active: &DataFile, tail: u64, error: std::io::Error) -> Error {
        let _not_cancelled = NotCancelled::begin();
        let failed = active.io_error("append to", &error);
        if !seeded_bug!("short-write-left")
            && let Err(error) = active.disk_file.truncate(tail)
        {
            self.catalog.poison.set(active.io_error("take back a failed write to", &error));
        }
        failed
    }

    #[inline]
    fn mark_unclean(&self, writer: &mut Writer) -> Result<()> {
        if !writer.unclean {
            self.catalog.update(|manifest| manifest.clean = false)?;
            writer.unclean = true;
        }
        Ok(())
    }

    /// For a clean close: the active file, cut to its length and synced, and the last sequence number. A spare that
    /// was never used is given back.
    pub fn finish(&self) -> Result<(Arc<DataFile>, u64)> {
        self.sync()?;
        let (active, spare, seq) = {
            let mut writer = self.writer.lock();
            (writer.active.clone(), writer.spare.take(), writer.next_seq - 1)
        };
        if let Some(spare) = spare {
            self.catalog.update(|manifest| manifest.files.retain(|entry| entry.id != spare.id))?;
            self.catalog.unlink(&spare);
        }
        active.complete(&self.catalog.poison, "close")?;
        Ok((active, seq))
    }
}

/// What a record counts for, and the index keeps of its size.
#[inline]
pub fn weight(kind: Kind, units: u64) -> SizeClass {
    if kind == Kind::Head { SizeClass::of_head(units) } else { SizeClass::of_units(units) }
}

/// Appends a whole frame to `out`, which begins at `first` of the file with this origin.
pub fn encode_frame(header: &Header, body: &[&[u8]; 2], origin: &Origin, first: u64, out: &mut Vec<u8>) {
    let start = out.len();
    let mut bytes = [0; frame::MAX_HEADER_SIZE];
    let size = header.encode(origin, &mut bytes);
    out.extend_from_slice(&bytes[..size]);
    out.extend_from_slice(body[0]);
    out.extend_from_slice(body[1]);
    out.resize(start + header.frame_size() as usize, 0);
    frame::seal(origin.seed(first + start as u64), &mut out[start..]);
}
