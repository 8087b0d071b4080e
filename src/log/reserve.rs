//! Room set aside on the disk, for what makes room on a full one: deletes, and merges of files with little in them.
//!
//! Files with blocks and without meaning. While one of them is released, puts are refused until it could be filled again:
//! else they would take what is left for the merge that is to help them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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

impl Reserves {
    /// The reserves of a store whose files have about this size.
    pub fn new(disk: &Arc<dyn Disk>, max_file_size: u64) -> Self {
        let reserve = |name, least| Reserve {
            disk: disk.clone(),
            name,
            least,
            room: AtomicU64::new(0),
            state: Mutex::new(State::Unknown),
            released: AtomicBool::new(false),
        };
        let (deletes, merges) = (
            max_file_size.clamp(16 << 10, 256 << 10),
            max_file_size.saturating_mul(2).clamp(32 << 10, 1 << 20),
        );
        Reserves {
            deletes: reserve(names::RESERVE_FOR_DELETES, deletes),
            merges: reserve(names::RESERVE_FOR_MERGES, merges),
            max_file_size,
        }
    }

    /// Sets all room aside, unless that is done, for a store of this size with a manifest of this size. Both change the
    /// manifest. A merge needs as much room as is alive in the file that it takes: with a 64th of the store, and at most a
    /// whole file, there is mostly one that fits.
    pub fn fill(&self, store_size: u64, manifest_size: u64) -> Result<()> {
        self.merges.fill((store_size / 64).min(self.max_file_size), manifest_size)?;
        self.deletes.fill(0, manifest_size)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not looked at since the store was opened.
    Unknown,
    /// So many bytes are set aside.
    Filled(u64),
    Released,
}

/// One file that holds room.
pub struct Reserve {
    disk: Arc<dyn Disk>,
    name: &'static str,
    least: u64,
    /// How much of what is set aside is for frames.
    room: AtomicU64,
    state: Mutex<State>,
    released: AtomicBool,
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
        let frames = frames.max(self.least);
        // The manifest is written anew for each change, beside the one that counts until then.
        let wanted = frames + 4 * manifest_size;
        if matches!(*state, State::Filled(bytes) if bytes >= wanted) {
            return Ok(());
        }
        // Not a little more with each file.
        let wanted = wanted.next_multiple_of(self.least / 8);
        let set_aside = || self.disk.set_aside(self.name, wanted);
        // The room of files that were removed can be had when their removal is on the disk.
        let set_aside = set_aside().or_else(|_| self.disk.sync_dir().and_then(|()| set_aside()));
        set_aside.map_err(|e| Error::io("set room aside in", &self.disk.path().join(self.name), &e))?;
        *state = State::Filled(wanted);
        // A file has a header, and takes whole blocks.
        self.room.store(frames - FILE_HEADER_SIZE - 4096, Ordering::Relaxed);
        self.released.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Gives the room to the caller. False where that was done before.
    pub fn release(&self) -> bool {
        let mut state = self.state.lock();
        if *state == State::Released {
            return false;
        }
        *state = State::Released;
        self.released.store(true, Ordering::Relaxed);
        // As in `fill`.
        self.disk.remove(self.name).and_then(|()| self.disk.sync_dir()).is_ok()
    }
}
