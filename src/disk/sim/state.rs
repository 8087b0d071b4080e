//! What the simulated disk knows, and what happens at every operation: it is numbered, traced, pictured, and refused
//! where a fault or a crash says so.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use super::content::{Content, FailedSync};
use super::names::{FileId, Names};
use super::operation::{Fault, Kind, Operation};
use super::power::Random;
use super::{Image, OFF, Reserve, SimDisk};

/// The longest trace that is kept; what came before is forgotten.
const TRACE_LIMIT: usize = 50_000;

/// Any odd number will do, to spread the numbers of operations over 64 bits.
const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Default)]
pub(super) struct State {
    pub files: BTreeMap<FileId, File>,
    pub names: Names,
    pub next_file: FileId,
    pub clock_ms: u64,
    pub monotonic_ms: u64,
    pub exclusive_lock: bool,
    pub shared_locks: usize,
    pub operations: u64,
    pub faults: Vec<Fault>,
    pub failed_sync: Option<FailedSync>,
    pub crash_at: Option<u64>,
    pub off: bool,
    pub room: Option<u64>,
    pub most_used: u64,
    pub reserve: Reserve,
    pub is_mapped: bool,
    pub capture: Option<Random>,
    pub images: Vec<Image>,
    pub trace: VecDeque<Operation>,
    pub random: Random,
}

#[derive(Clone, Default)]
pub(super) struct File {
    pub content: Content,
    pub handles: usize,
}

impl State {
    pub fn settings(&self) -> State {
        State {
            clock_ms: self.clock_ms,
            monotonic_ms: self.monotonic_ms,
            failed_sync: self.failed_sync,
            room: self.room,
            reserve: self.reserve,
            is_mapped: self.is_mapped,
            // The next life draws other numbers than this one would have: a salt that comes twice protects nothing.
            random: Random::new(self.random.clone().number() ^ self.operations.wrapping_mul(PRIME)),
            ..State::default()
        }
    }

    pub fn fork(&self) -> State {
        let mut files = self.files.clone();
        files.values_mut().for_each(|file| file.handles = 0);
        State { files, names: self.names.clone(), next_file: self.next_file, ..self.settings() }
    }

    pub fn add_file(&mut self, content: Content) -> FileId {
        let file = self.next_file;
        self.next_file += 1;
        self.files.insert(file, File { content, handles: 0 });
        file
    }

    pub fn used(&self) -> u64 {
        self.files.values().map(|file| file.content.size()).sum()
    }

    /// Forgets the files that no name and no handle leads to.
    pub fn forget_unreachable(&mut self) {
        let State { files, names, .. } = self;
        files.retain(|file, held| held.handles > 0 || names.may_reach(*file));
    }

    /// Numbers an operation and decides whether it may go on. `Err` is the answer to give; an operation that gets
    /// `Ok` says how it went with [`State::end`].
    pub fn begin(&mut self, kind: Kind, name: &str, offset: u64, length: u64) -> Result<(), Refusal> {
        self.begin_certain(kind, name, offset, length)?;
        let number = self.operations;
        match self.faults.iter().position(|fault| fault.hits(number, kind)) {
            None => Ok(()),
            Some(index) => {
                let Fault { lasts, errno, short_write, .. } = self.faults[index];
                if !lasts {
                    self.faults.remove(index);
                }
                self.end(Err(errno)).map_err(|_| Refusal { errno, short_write })
            }
        }
    }

    /// As [`State::begin`], of what no fault can hit.
    pub fn begin_certain(&mut self, kind: Kind, name: &str, offset: u64, length: u64) -> Result<(), Refusal> {
        if self.off {
            return Err(Refusal { errno: OFF, short_write: false });
        }
        self.operations += 1;
        self.most_used = self.most_used.max(self.used());
        let number = self.operations;
        if self.crash_at == Some(number) {
            self.off = true;
            return Err(Refusal { errno: OFF, short_write: false });
        }
        if kind.changes_the_disk() && self.capture.is_some() {
            let disk = SimDisk::of(self.fork());
            self.images.push(Image { operation: number, midway: false, disk });
        }
        if self.trace.len() == TRACE_LIMIT {
            self.trace.pop_front();
        }
        self.trace.push_back(Operation { number, kind, name: name.into(), offset, length, errno: 0 });
        Ok(())
    }

    /// Notes how the operation that began last went.
    pub fn end(&mut self, outcome: Result<(), i32>) -> io::Result<()> {
        outcome.map_err(|errno| {
            if let Some(operation) = self.trace.back_mut() {
                operation.errno = errno;
            }
            io::Error::from_raw_os_error(errno)
        })
    }

    /// Makes room for a file to have `size` bytes, as far as there is room.
    pub fn size_with_room(&self, file: FileId, size: u64) -> u64 {
        let now = self.files[&file].content.size();
        match self.room {
            Some(room) if size > now => size.min(now + room.saturating_sub(self.used())),
            _ => size,
        }
    }

    /// A write of which only a part arrives.
    pub fn write_part(&mut self, file: FileId, bytes: &[u8], offset: u64) {
        if let Some(held) = self.files.get_mut(&file) {
            held.content.write(bytes, offset);
        }
    }

    /// Adds an image in which the write that is about to happen has only just begun: a killed process leaves a prefix
    /// of a system call, and any mix of words of a copy into mapped memory.
    pub fn capture_midway(&mut self, file: FileId, bytes: &[u8], offset: u64) {
        let Some(mut random) = self.capture.take() else { return };
        let mut image = self.fork();
        let cut = random.below(bytes.len() as u64) as usize;
        if random.one_in(3) {
            for (word, at) in bytes.chunks(8).zip((0..).step_by(8)) {
                if random.one_in(2) {
                    image.write_part(file, word, offset + at);
                }
            }
        } else {
            image.write_part(file, &bytes[..cut], offset);
        }
        self.images.push(Image { operation: self.operations, midway: true, disk: SimDisk::of(image) });
        self.capture = Some(random);
    }
}

/// How an operation is refused before it has done anything.
pub(super) struct Refusal {
    pub errno: i32,
    pub short_write: bool,
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        io::Error::from_raw_os_error(refusal.errno)
    }
}
