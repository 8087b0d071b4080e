//! A disk in memory for tests: it loses, tears and reorders what was not synced, and fails when told to.
//!
//! [`SimDisk`] keeps apart what processes see and what the disk holds, for the bytes and the size of each file and for
//! the names in the directory. [`SimDisk::kill`] gives the disk that the next process finds: everything that was
//! written. [`SimDisk::power_cut`] gives the one that the next machine finds: what was synced, and of the rest
//! whatever the policy and the seed say. A sync of a file does not make its name durable, nor the other way round.
//!
//! Every operation has a number. A test can make the `n`-th fail ([`SimDisk::fail`]), stop the machine at it
//! ([`SimDisk::crash_at`]), or collect the disk as it was before each ([`SimDisk::capture_images`]): one run of a
//! history gives all its crashes. The same calls and seeds give the same disk, byte for byte.
//!
//! Data files are read and written by calls, or through memory ([`SimDisk::set_mapped`]), where only writes of large records can fail.
//!
//! What it deliberately does not do: damage what was synced (a test does that with [`SimDisk::write_file`]), or take time.

mod calls;
mod content;
mod hold;
mod memory;
mod names;
mod operation;
mod power;
mod state;
#[cfg(test)]
mod tests;

pub use content::FailedSync;
pub use operation::{Fault, Kind, Operation};
pub use power::{PAGE, PowerCut, Random, SECTOR};

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::sync::lock::Mutex;
use content::Content;
use hold::Hold;
use names::{FileId, Names};
use state::State;

/// The error of every operation on a machine that is switched off: no other part of a test has a use for it.
pub const OFF: i32 = libc::ESHUTDOWN;

/// What the monotonic clock of a machine says that was just started.
const SINCE_START: u64 = 5_000;

/// A simulated disk. Clones are the same disk; [`SimDisk::fork`] makes another.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    hold: Arc<Hold>,
    path: PathBuf,
}

/// How much room a file gets when the engine reserves some: what is reserved shows as zeros behind the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reserve {
    /// None: the file grows when it is written.
    Nothing,
    /// What was asked for.
    Exact,
    /// The size, rounded up to whole pages.
    #[default]
    Pages,
}

/// A disk as it was at one moment of a history.
pub struct Image {
    /// The operation that was about to begin, or was under way.
    pub operation: u64,
    /// Whether a part of that operation's bytes is already there.
    pub midway: bool,
    /// The disk, with all that was not synced; to be killed or cut.
    pub disk: SimDisk,
}

impl Default for SimDisk {
    fn default() -> Self {
        SimDisk::new()
    }
}

// Setting up, looking at, and damaging a disk: none of it counts as an operation.
impl SimDisk {
    /// An empty directory on a disk that works.
    pub fn new() -> Self {
        SimDisk::of(State {
            next_file: 1,
            clock_ms: 1_700_000_000_000,
            monotonic_ms: SINCE_START,
            ..State::default()
        })
    }

    /// An empty directory on a disk whose random bytes are others than those of [`SimDisk::new`].
    pub fn with_random_bytes(seed: u64) -> Self {
        let disk = SimDisk::new();
        disk.state.lock().random = Random::new(seed);
        disk
    }

    fn of(state: State) -> Self {
        SimDisk {
            state: Arc::new(Mutex::new(state)),
            hold: Arc::default(),
            path: PathBuf::from("/simulated"),
        }
    }

    /// Another disk, equal to this one down to what is not synced. It has no open files, locks, faults or trace.
    pub fn fork(&self) -> SimDisk {
        SimDisk::of(self.state.lock().fork())
    }

    /// The disk that the next process finds after this one was killed: everything written is there, synced or not.
    /// This disk is off from now on.
    pub fn kill(&self) -> SimDisk {
        let mut state = self.state.lock();
        state.off = true;
        SimDisk::of(state.fork())
    }

    /// The disk that the next machine finds after this one lost its power; this one is not changed.
    pub fn power_cut(&self, seed: u64, policy: PowerCut) -> SimDisk {
        let random = &mut Random::new(seed);
        let state = self.state.lock();
        let mut after = State { next_file: 1, monotonic_ms: SINCE_START, ..state.settings() };
        let mut names = BTreeMap::new();
        // Two names may lead to one file where a renaming was lost in the middle; they go on sharing it.
        let mut moved: BTreeMap<FileId, FileId> = BTreeMap::new();
        for (name, old) in state.names.after_power_cut(random, policy) {
            let new = *moved.entry(old).or_insert_with(|| {
                let bytes = state.files[&old].content.after_power_cut(random, policy);
                after.add_file(Content::durable(bytes))
            });
            names.insert(name, new);
        }
        after.names = Names::durable(names);
        drop(state);
        SimDisk::of(after)
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// Stops the machine at operation `n`: it and all later ones fail with [`OFF`] and change nothing.
    pub fn crash_at(&self, n: u64) {
        self.state.lock().crash_at = Some(n);
    }

    /// Whether the machine is off.
    pub fn is_off(&self) -> bool {
        self.state.lock().off
    }

    /// Makes operations fail from now on.
    pub fn fail(&self, fault: Fault) {
        self.state.lock().faults.push(fault);
    }

    /// Takes all faults back.
    pub fn repair(&self) {
        self.state.lock().faults.clear();
    }

    /// Whether a fault is still waiting for its operation, or lasts.
    pub fn has_faults(&self) -> bool {
        !self.state.lock().faults.is_empty()
    }

    /// Holds all writes up from now on, of every file.
    pub fn hold_writes(&self) {
        self.hold.set_closed(true);
    }

    /// Returns once a write is held up.
    pub fn wait_for_a_held_write(&self) {
        self.hold.wait_for_one();
    }

    /// Lets writes go on.
    pub fn release_writes(&self) {
        self.hold.set_closed(false);
    }

    /// What a failed sync does to the pages it did not write. [`FailedSync::LosesPages`] unless told otherwise.
    pub fn set_failed_sync(&self, what: FailedSync) {
        self.state.lock().failed_sync = Some(what);
    }

    /// Collects, from now on, the disk as it was before each operation that changes it, and once in the middle of each
    /// write, where the seed says how much of the write is there.
    pub fn capture_images(&self, seed: u64) {
        self.state.lock().capture = Some(Random::new(seed));
    }

    /// The collected images, oldest first; the collection ends.
    pub fn take_images(&self) -> Vec<Image> {
        let mut state = self.state.lock();
        state.capture = None;
        std::mem::take(&mut state.images)
    }

    /// How many bytes all files together may have; none for no limit.
    pub fn set_room(&self, room: Option<u64>) {
        self.state.lock().room = room;
    }

    /// How many bytes all files together have, with what is reserved.
    pub fn used(&self) -> u64 {
        self.state.lock().used()
    }

    /// The most that they ever had.
    pub fn most_used(&self) -> u64 {
        self.state.lock().most_used
    }

    /// How much is reserved when the engine asks for it. [`Reserve::Pages`] unless told otherwise.
    pub fn set_reserve(&self, reserve: Reserve) {
        self.state.lock().reserve = reserve;
    }

    /// Whether data files are mapped, as far as room can be reserved for them.
    pub fn set_mapped(&self, is_mapped: bool) {
        self.state.lock().is_mapped = is_mapped;
    }

    /// Sets the wall clock, forward or back.
    pub fn set_clock_ms(&self, now: u64) {
        self.state.lock().clock_ms = now;
    }

    /// Lets time go by: on the wall clock and on the one that nobody sets.
    pub fn advance_clock_ms(&self, by: u64) {
        let mut state = self.state.lock();
        state.clock_ms += by;
        state.monotonic_ms += by;
    }

    /// How many files are open.
    pub fn open_files(&self) -> usize {
        self.state.lock().files.values().map(|file| file.handles).sum()
    }

    /// Whether there is anything that a power cut could lose.
    pub fn has_unsynced(&self) -> bool {
        let state = self.state.lock();
        state.names.has_unsynced() || state.files.values().any(|file| file.content.has_unsynced())
    }

    /// The names in the directory, in order.
    pub fn file_names(&self) -> Vec<String> {
        self.state.lock().names.live().keys().cloned().collect()
    }

    /// What a process reads in the file of this name.
    pub fn read_file(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let file = state.names.get(name)?;
        Some(state.files[&file].content.live().to_vec())
    }

    /// Gives the name a file with these bytes, durable at once: for damage done behind the engine's back.
    pub fn write_file(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state.lock();
        let file = state.add_file(Content::durable(bytes));
        state.names.create(name, file);
        state.names.sync();
    }

    /// Takes the name away, durably at once.
    pub fn remove_file(&self, name: &str) {
        let mut state = self.state.lock();
        state.names.remove(name);
        state.names.sync();
    }

    /// The operations so far, up to the `n`-th, one a line: for the report of a failed test.
    pub fn trace_text(&self, n: u64) -> String {
        let mut text = String::new();
        for operation in self.state.lock().trace.iter().filter(|operation| operation.number <= n) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{operation}");
        }
        text
    }

    /// The operations so far.
    pub fn trace(&self) -> Vec<Operation> {
        self.state.lock().trace.iter().cloned().collect()
    }

    /// The operations that failed so far.
    pub fn failures(&self) -> Vec<Operation> {
        self.state.lock().trace.iter().filter(|operation| operation.errno != 0).cloned().collect()
    }
}
