//! What a merge copies: frames are gathered, written to the current output, and then the index is pointed at them.

use crate::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bitcask::engine::Inside;
use crate::bitcask::shared::Shared;
use crate::disk::process;
use crate::format::ALIGNMENT;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::{Epoch, Header, Kind};
use crate::index::{Entry, KeyHash, Location, SizeClass};
use crate::log::append::{encode_frame, most_behind, weight};
use crate::log::file::{DataFile, Frame};
use crate::store::error::Result;
use crate::store::memory;
use crate::store::options::Options;
use crate::sync::thread;

/// Copies are written, and the index is moved, when they reach the next multiple of this: the kernel keeps what is written at once
/// and fills a page of the processor's next size in one such page, and who reads it misses the TLB less often.
const WRITTEN_AT_ONCE: u64 = 2 << 20;
/// What [`WRITTEN_AT_ONCE`] is where a merge is kept slow.
const WRITTEN_AT_ONCE_IF_SLOW: u64 = 256 << 10;
/// The least that is written at once, where there is little memory.
const LEAST_WRITTEN_AT_ONCE: u64 = 64 << 10;
const BUFFER_SHARE: u64 = 128;
/// A file is written in this many pieces at least: what is tested with small files is what happens with large ones.
const WRITES_PER_FILE: u64 = 8;

/// How many records before the index is moved its cache lines are asked for.
const ASKED_AHEAD: usize = 16;

/// See the module.
pub struct Copies<'a> {
    shared: &'a Shared,
    pace: Pace,
    /// Copies are written in multiples of this many bytes.
    unit: u64,
    /// From where on is counted in new outputs.
    pub epoch: Epoch,
    /// Every write up to this number was known to the index before anything was copied.
    pub alive_after: u64,
    /// Frames for the current output from its tail on, how many of these bytes are written, and where each frame came from.
    buffer: Vec<u8>,
    written: usize,
    moves: Vec<Move>,
    /// Bytes of frames that were written.
    pub bytes: u64,
    /// Some could not be written, or the index not be pointed at them.
    pub is_lost: bool,
}

/// A record that goes to the output.
struct Move {
    kind: Kind,
    hash: KeyHash,
    /// Where it was; `None` for a tombstone, which the index does not know.
    from: Option<Entry>,
    units: u32,
    size: SizeClass,
    seq: u64,
}

impl<'a> Copies<'a> {
    /// None yet.
    pub fn new(shared: &'a Shared) -> Self {
        Copies {
            shared,
            pace: Pace { limit: 0, begun: Instant::now(), bytes: 0 },
            unit: WRITTEN_AT_ONCE,
            epoch: Epoch::default(),
            alive_after: 0,
            buffer: Vec::new(),
            written: 0,
            moves: Vec::new(),
            bytes: 0,
            is_lost: false,
        }
    }

    /// For a store with these options.
    pub fn suit(&mut self, options: &Options) {
        self.pace.limit = options.merge_rate_limit;
        let most = if self.pace.limit > 0 { WRITTEN_AT_ONCE_IF_SLOW } else { WRITTEN_AT_ONCE };
        let most = process::memory_share(BUFFER_SHARE, LEAST_WRITTEN_AT_ONCE..=most);
        self.unit = most.min(options.max_file_size / WRITES_PER_FILE);
    }

    /// Appends a record to the last of `outputs`, or to a new one. Without an entry only its tombstone.
    pub fn append(
        &mut self,
        engine: &Inside<'_>,
        outputs: &mut Vec<Arc<DataFile>>,
        frame: &Frame<'_>,
        hash: KeyHash,
        from: Option<Entry>,
    ) -> Result<()> {
        let mut header = Header { frontier: None, ..frame.header };
        let mut value = frame.value();
        if from.is_none() {
            // What has expired was gone from then on.
            let time_ms = header.time_ms.max(header.expiry_ms.unwrap_or(0));
            header = Header { kind: Kind::Tombstone, time_ms, expiry_ms: None, value_len: 0, ..header };
            value = &[];
        }
        let full = |output: &Arc<DataFile>| {
            let size = header.told_from(&output.origin).frame_size();
            output.tail() + self.buffer.len() as u64 + size > engine.options.max_file_size
        };
        if outputs.last().is_none_or(full) {
            self.flush(engine, outputs)?;
            let most = Header { is_far: true, ..header }.frame_size();
            let capacity = engine.options.max_file_size.max(FILE_HEADER_SIZE + most);
            memory::reserve(outputs, 1)?;
            let output = engine.catalog.create_file(capacity, self.epoch)?;
            output.set_alive_after(self.alive_after);
            outputs.push(output);
        }
        let Some(output) = outputs.last() else { return Ok(()) };
        output.note_kind(header.kind, header.expiry_ms);
        let header = header.told_from(&output.origin);
        let size = header.frame_size();
        memory::reserve(&mut self.buffer, size as usize)?;
        memory::reserve(&mut self.moves, 1)?;
        let first = output.tail();
        let units = ((first + self.buffer.len() as u64) / ALIGNMENT) as u32;
        encode_frame(&header, &[frame.key(), value], &output.origin, first, &mut self.buffer);
        self.moves.push(Move {
            kind: header.kind,
            hash,
            from,
            units,
            size: weight(header.kind, size / ALIGNMENT),
            seq: header.seq,
        });
        let end = first + self.buffer.len() as u64;
        // Of a large frame nothing is kept: the next may be as large.
        let whole = if size >= self.unit { end } else { end / self.unit * self.unit };
        if whole > first + self.written as u64 { self.write_to(engine, output, whole) } else { Ok(()) }
    }

    /// Writes all that was appended, and moves the index.
    pub fn flush(&mut self, engine: &Inside<'_>, outputs: &[Arc<DataFile>]) -> Result<()> {
        match outputs.last().filter(|_| !self.buffer.is_empty()) {
            Some(output) => self.write_to(engine, output, output.tail() + self.buffer.len() as u64),
            None => Ok(()),
        }
    }

    /// Writes the buffer up to `end` of the output, and moves the index of the frames that end there or before.
    fn write_to(&mut self, engine: &Inside<'_>, output: &DataFile, end: u64) -> Result<()> {
        let start = output.tail();
        let bytes = &self.buffer[self.written..(end - start) as usize];
        let written = output
            .disk_file
            .reserve(end)
            .and_then(|()| output.disk_file.write_at(&[bytes], start + self.written as u64))
            .map_err(|e| output.io_error("copy records to", &e));
        if let Err(error) = written {
            self.buffer.clear();
            self.moves.clear();
            self.written = 0;
            self.is_lost = true;
            return Err(error);
        }
        // Frames follow upon one another: the last ends with the buffer, each other where the next begins.
        let (mut whole, mut tail) = (self.moves.len(), start + self.buffer.len() as u64);
        while tail > end {
            whole -= 1;
            tail = u64::from(self.moves[whole].units) * ALIGNMENT;
        }
        self.buffer.drain(..(tail - start) as usize);
        self.written = (end - tail) as usize;
        let len = tail - start;
        engine.counters.merged_bytes.fetch_add(len, Ordering::Relaxed);
        engine.back_pressure.has_copied(len);
        self.bytes += len;
        let moves = &self.moves[..whole];
        for moved in moves {
            output.include_seqs(moved.seq, moved.seq);
        }
        output.advance(tail, moves.last().map_or(0, |last| last.seq));
        let moved = move_index(engine, output, moves);
        self.moves.drain(..whole);
        self.is_lost |= moved.is_err();
        self.pace.bytes += len;
        moved.and_then(|()| stay_near_disk(engine, output))
    }

    /// Waits where more was written than the limit allows. To be called from outside the gate.
    pub fn keep_pace(&self) {
        self.pace.keep(self.shared);
    }
}

/// Waits for the disk where more of an output is in memory only than may be.
fn stay_near_disk(engine: &Inside<'_>, output: &DataFile) -> Result<()> {
    let (most, poison) = (most_behind(), &engine.catalog.poison);
    if output.dirty() <= most {
        return Ok(());
    }
    engine.back_pressure.while_disk_works(|| {
        output.begin_write_back(u64::MAX, poison)?;
        while output.dirty() > 2 * most && output.finish_write_back(most, poison)? {}
        Ok(())
    })
}

/// Points the index at records that were written to `output`, where it still points at what was copied.
fn move_index(engine: &Inside<'_>, output: &DataFile, moves: &[Move]) -> Result<()> {
    let mut failed = Ok(());
    for (n, moved) in moves.iter().enumerate() {
        // What was looked up when it was decided about has left the caches.
        if let Some(later) = moves.get(n + ASKED_AHEAD) {
            engine.index_of(later.kind).inspect(|index| index.prefetch_to_look(later.hash));
        }
        output.usage.wrote(moved.size);
        let Some(from) = moved.from else {
            output.keep_tombstone(moved.size);
            continue;
        };
        let location = Location { slot: output.slot, units: moved.units };
        let to = Entry { location, size: moved.size };
        // A copy that the index cannot be pointed at is counted as dead; no input is finished then. (A merge begins with an
        // index that can be changed everywhere: no such error is known.)
        let locked = engine.index_of(moved.kind).map(|index| index.lock(moved.hash));
        let replaced = match locked {
            // There are elements: this is one.
            None => false,
            Some(Ok(mut locked)) if seeded_bug!("merge-overwrites-a-newer-write") => {
                locked.insert(moved.hash, to).is_some()
            }
            Some(Ok(mut locked)) => locked.replace(moved.hash, from, to),
            Some(Err(error)) => {
                failed = Err(error.into());
                false
            }
        };
        if !replaced {
            output.usage.died(moved.size);
        } else if let Some(file) = engine.catalog.files.get(usize::from(from.location.slot), engine) {
            file.usage.died(from.size);
        }
    }
    failed
}

/// Keeps a merge below its limit of bytes per second.
struct Pace {
    limit: u64,
    begun: Instant,
    bytes: u64,
}

impl Pace {
    fn keep(&self, shared: &Shared) {
        while self.limit > 0 && !shared.signal().is_stopped() {
            let due = Duration::from_secs_f64(self.bytes as f64 / self.limit as f64);
            let Some(early) = due.checked_sub(self.begun.elapsed()) else { return };
            shared.inside().inspect(|engine| engine.back_pressure.goes_on());
            thread::sleep(early.min(Duration::from_millis(20)));
        }
    }
}
