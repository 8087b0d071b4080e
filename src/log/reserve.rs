//! Room set aside on the disk, for what makes room on a full one: deletes, and merges of files with little in them.
//!
//! Files with blocks and without meaning. While one of them is released, puts are refused until it could be filled again:
//! else they would take what is left for the merge that is to help them.

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use crate::disk::Disk;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::names;
use crate::store::error::{Error, Result};
use crate::sync::lock::Mutex;

/// What is set aside for deletes, and what for merges: so many deletes leave enough to merge away what they deleted.
pub struct Reserves {
    /// For deletes.
    pub deletes: Reserve,
    /// For merges.
    pub merges: Reserve,
    max_file_size: u64,
}

/// The least that is set aside: with it a store of few keys, all in one file, can be emptied.
const LEAST: (u64, u64) = (8 << 10, 16 << 10);
/// The most that is set aside, but for merges of a store whose 64th is more.
const MOST: (u64, u64) = (256 << 10, 1 << 20);
/// What a merge needs beside what is alive: the blocks that a file ends in, and the next file of the log.
const BESIDE: u64 = 12 << 10;
/// Blocks of this size are common.
const BLOCK: u64 = 4 << 10;

impl Reserves {
    /// The reserves of a store whose files have about this size.
    pub fn new(disk: &Arc<dyn Disk>, max_file_size: u64) -> Self {
        let reserve = |name| Reserve {
            disk: disk.clone(),
            name,
            room: AtomicU64::new(0),
            state: Mutex::new(State::Unknown),
            released: AtomicBool::new(false),
        };
        Reserves {
            deletes: reserve(names::RESERVE_FOR_DELETES),
            merges: reserve(names::RESERVE_FOR_MERGES),
            max_file_size,
        }
    }

    /// For how many bytes of frames room is set aside in a store of this size: for deletes, and for merges.
    ///
    /// A merge needs as much room as is alive in the file that it takes. That is never more than the store has; and with a
    /// 64th of a large one, and at most a whole file, there is mostly a file that fits.
    fn wanted(&self, store_size: u64) -> (u64, u64) {
        let most =
            |most: u64, files: u64, least| (self.max_file_size.saturating_mul(files)).clamp(least, most);
        let deletes = (store_size / 4).clamp(LEAST.0, most(MOST.0, 1, LEAST.0));
        let merges = (store_size + BESIDE).clamp(LEAST.1, most(MOST.1, 2, LEAST.1));
        (deletes, merges.max((store_size / 64).min(self.max_file_size)))
    }

    /// Sets all room aside, unless that is done, for a store of this size with a manifest of this size. Both change the
    /// manifest.
    pub fn fill(&self, store_size: u64, manifest_size: u64) -> Result<()> {
        let (deletes, merges) = self.wanted(store_size);
        self.merges.fill(merges, manifest_size)?;
        self.deletes.fill(deletes, manifest_size)
    }

    /// As [`Reserves::fill`], for merges alone.
    pub fn fill_for_merges(&self, store_size: u64, manifest_size: u64) -> Result<()> {
        self.merges.fill(self.wanted(store_size).1, manifest_size)
    }

    /// Gives back what the store has become too small for.
    pub fn shrink(&self, store_size: u64, manifest_size: u64) {
        let (deletes, merges) = self.wanted(store_size);
        self.merges.shrink(merges, manifest_size);
        self.deletes.shrink(deletes, manifest_size);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not looked at since the store was opened.
    Unknown,
    /// This many bytes are set aside.
    Filled(u64),
    Released,
}

/// One file that holds room.
pub struct Reserve {
    disk: Arc<dyn Disk>,
    name: &'static str,
    /// How much of what is set aside is for frames.
    room: AtomicU64,
    state: Mutex<State>,
    released: AtomicBool,
}

/// How many bytes to set aside for so many of frames, and for the manifest, which is written anew for each change, beside the
/// one that counts until then.
fn with_manifest(frames: u64, manifest_size: u64) -> u64 {
    let bytes = frames + 4 * manifest_size;
    // Not a little more with each file.
    bytes.next_multiple_of((bytes.next_power_of_two() / 8).max(BLOCK))
}

impl Reserve {
    /// How many bytes of frames fit into what is, or was last, set aside.
    pub fn room(&self) -> u64 {
        self.room.load(Ordering::Relaxed)
    }

    /// Whether its room was given to who needed it, and could not be set aside again.
    #[inline]
    pub fn is_released(&self) -> bool {
        self.released.load(Ordering::Relaxed)
    }

    fn fill(&self, frames: u64, manifest_size: u64) -> Result<()> {
        let mut state = self.state.lock();
        if matches!(*state, State::Filled(bytes) if bytes >= frames + 4 * manifest_size) {
            return Ok(());
        }
        self.set_aside(&mut state, with_manifest(frames, manifest_size), manifest_size)
    }

    fn set_aside(&self, state: &mut State, bytes: u64, manifest_size: u64) -> Result<()> {
        let set_aside = || self.disk.set_aside(self.name, bytes);
        // The room of files that were removed can be had when their removal is on the disk.
        let set_aside = set_aside().or_else(|_| self.disk.sync_dir().and_then(|()| set_aside()));
        set_aside.map_err(|e| Error::io("set room aside in", &self.disk.path().join(self.name), &e))?;
        *state = State::Filled(bytes);
        self.note_room(bytes, manifest_size);
        self.released.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn note_room(&self, bytes: u64, manifest_size: u64) {
        // A file has a header, and takes whole blocks.
        let taken = 4 * manifest_size + FILE_HEADER_SIZE + BLOCK;
        self.room.store(bytes.saturating_sub(taken), Ordering::Relaxed);
    }

    /// Where more than twice of what is wanted is set aside, gives the rest back.
    fn shrink(&self, frames: u64, manifest_size: u64) {
        let mut state = self.state.lock();
        let wanted = with_manifest(frames, manifest_size);
        let is_too_much = |held| held > 2 * wanted;
        if *state == State::Released || !self.disk.aside(self.name).is_ok_and(is_too_much) {
            return;
        }
        // Without it the next writer sets it aside.
        let _ = self.disk.remove(self.name);
        *state = State::Unknown;
        let _ = self.set_aside(&mut state, wanted, manifest_size);
    }

    /// Gives the room to the caller, whose manifest has this size. False where that was done before.
    pub fn release(&self, manifest_size: u64) -> bool {
        let mut state = self.state.lock();
        match *state {
            State::Released => return false,
            // What an earlier opening left.
            State::Unknown => self.note_room(self.disk.aside(self.name).unwrap_or(0), manifest_size),
            State::Filled(_) => {}
        }
        *state = State::Released;
        self.released.store(true, Ordering::Relaxed);
        // As in `fill`.
        self.disk.remove(self.name).and_then(|()| self.disk.sync_dir()).is_ok()
    }
}
