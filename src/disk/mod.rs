//! The seam to the file system: all that the engine ever asks of a disk, and the only code that asks it.
//!
//! [`Disk`] is one store's directory, [`DiskFile`] one file in it. Implementations: [`fs::FsDisk`] with plain
//! or with mapped data files, [`memory::MemoryDisk`], and, for tests, `sim::SimDisk`, which loses, tears and reorders what was not synced.
//! Nothing above this module opens a file, and nothing in it knows what the bytes mean.

mod cgroup;
pub mod clock;
mod descriptors;
mod directory;
mod followed;
pub mod fs;
mod limits;
mod lock;
mod mapped;
mod mapping;
pub mod memory;
mod own_file;
pub mod page;
mod plain;
pub mod process;
mod readahead;
#[cfg(any(test, feature = "testing"))]
pub mod sim;
mod tail;
#[cfg(test)]
mod tests;
mod view;

pub use view::{View, prefetch};

use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only; the file is complete.
    Read,
    /// Reading only, beside a process that may write to the store: the file stays open, whatever becomes of its name.
    Follow {
        /// Whether something may be appended to it. Then nothing is readable before [`DiskFile::follow`].
        grows: bool,
    },
    /// Reading, and appending below `capacity` bytes.
    Append {
        /// No byte at or past this offset will be written.
        capacity: u64,
    },
}

/// Room ahead of the tail of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// How many bytes; 0 where nothing more is appended.
    pub bytes: u64,
    /// Whether writers fill pages of megabytes between two syncs, each of which writes the last page whole.
    pub in_bulk: bool,
}

/// Who else may have the store open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Nobody.
    Exclusive,
    /// Other readers.
    Shared,
}

/// One directory that holds one store. Names are plain file names, never paths.
pub trait Disk: Send + Sync {
    /// Where the directory is, for messages.
    fn path(&self) -> &Path;

    /// Takes the store's lock without waiting; it is held until the result is dropped.
    /// `WouldBlock` where somebody else has it.
    fn lock(&self, kind: LockKind) -> io::Result<Box<dyn Send + Sync>>;

    /// Whether a program is known to have the store open for writing. False where that cannot be told.
    fn is_locked_by_a_writer(&self) -> bool {
        false
    }

    /// The page by which the writer of the store tells others how far it has come, for that writer, and its lock. It is made where
    /// there is none, and `create` says so. `None` where there is none, or this disk has no such page.
    fn own_page(&self, _create: bool) -> io::Result<Option<(page::OwnPage, page::PageLock)>> {
        Ok(None)
    }

    /// The page that a store's writer tells readers by, for who reads it.
    fn page(&self) -> io::Result<Option<page::Page>> {
        Ok(None)
    }

    /// Whether everything on it is gone with this process: nothing that is written down for the next opening is read.
    fn is_volatile(&self) -> bool {
        false
    }

    /// Whether data files have a [`DiskFile::view`], as a rule.
    fn is_mapped(&self) -> bool;

    /// How many bytes more the files of the store may have, for disks that have a limit of their own: what they tell others of room
    /// means nothing, and nobody else takes any.
    fn free_bytes(&self) -> Option<u64> {
        None
    }

    /// How many bytes the file system has left for the store, where it says that.
    fn unused_bytes(&self) -> Option<u64> {
        self.free_bytes()
    }

    /// How much memory the store takes beside its files, from time to time; for disks that share theirs with it.
    fn note_memory(&self, _bytes: u64) {}

    /// The directory's descriptor, where it has one.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Whether this is the directory of another disk, or lies inside of it.
    fn is_within(&self, _other: &dyn Disk) -> io::Result<bool> {
        Ok(false)
    }

    /// Gives this disk the file `name` of another, which does not change any more, without a copy of its bytes: with `may_link` as one
    /// more name of the same file, else as a file that shares the blocks. Its content is durable, its name after [`Disk::sync_dir`].
    /// False where that cannot be had, and nothing has changed then.
    fn take(&self, _from: &dyn Disk, _name: &str, _may_link: bool) -> io::Result<bool> {
        Ok(false)
    }

    /// The names of all plain files in the directory.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates the file; `AlreadyExists` where there is one.
    fn create(&self, name: &str, capacity: u64) -> io::Result<Arc<dyn DiskFile>>;

    /// Creates a file that is written once, in whatever way is simplest.
    fn create_plain(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.create(name, u64::MAX)
    }

    /// Opens an existing file.
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file that is read once, in whatever way is simplest.
    fn open_plain(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.open(name, Access::Read)
    }

    /// As [`Disk::open_plain`], of a store that may be damaged: what is no file of the directory's own, as a link, is refused.
    fn open_suspect(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.open_plain(name)
    }

    /// Sees to it that the file `name`, whose content means nothing, holds `bytes` of room on the disk: removing it gives
    /// them to who needs them. Where the file system cannot do that, it does nothing.
    fn set_aside(&self, name: &str, bytes: u64) -> io::Result<()>;

    /// How many bytes of room a file holds that [`Disk::set_aside`] made; 0 where there is none.
    fn aside(&self, name: &str) -> io::Result<u64>;

    /// Gives `from` the name `to`, replacing what had it. Durable after [`Disk::sync_dir`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes the file's name. Whoever has it open goes on reading it.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals so far durable.
    fn sync_dir(&self) -> io::Result<()>;

    /// Makes the name of the directory itself durable.
    fn sync_name(&self) -> io::Result<()> {
        Ok(())
    }

    /// Removes the directory, with its lock file, where opening this disk made it and nothing else is in it.
    fn remove_if_new(&self) {}

    /// The wall clock, in milliseconds since 1970; may be some milliseconds old where `precise` is false.
    fn now_ms(&self, precise: bool) -> u64;

    /// Milliseconds since some moment before: a clock that nobody sets, and that does not stop while the machine sleeps. It begins
    /// anew when the machine is started.
    fn monotonic_ms(&self) -> u64;

    /// Bytes that nobody can guess: identities, salts, the key of the hash.
    fn random(&self) -> io::Result<[u8; 16]> {
        process::random_bytes()
    }
}

/// How much [`DiskFile::rewrite`] writes at once.
const REWRITE_PIECE: u64 = 1 << 20;

/// One open file. All methods may be called from any thread; appends are serialised by the caller.
pub trait DiskFile: Send + Sync {
    /// The size of the file in bytes, with what is reserved.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`; `UnexpectedEof` where the file ends before that.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Makes sure that writes below `end` do not fail for lack of room, and may reserve more.
    /// After a failure nothing has changed.
    fn reserve(&self, end: u64) -> io::Result<()>;

    /// Up to where room is reserved; 0 where that is not known.
    fn reserved(&self) -> u64 {
        0
    }

    /// Writes the parts one after the other at `offset`. Another process that opens the file after this returned,
    /// or after this process was killed, reads them; after a power cut only what was synced is certain. After a
    /// failure the bytes from `offset` on are undefined.
    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()>;

    /// Writes what stands between two offsets again, as it is, also where it can be read meanwhile. A sync that failed in
    /// an earlier process may have left pages that the kernel takes for written and that are not on the disk: only what is
    /// written anew is certain to be synced.
    fn rewrite(&self, start: u64, end: u64) -> io::Result<()> {
        let mut buffer =
            crate::store::memory::vec_of(0, REWRITE_PIECE.min(end.saturating_sub(start)) as usize)?;
        let mut at = start;
        while at < end {
            let piece = &mut buffer[..REWRITE_PIECE.min(end - at) as usize];
            self.read_at(piece, at)?;
            self.write_at(&[piece], at)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Makes the content and the size durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file to `size` bytes and gives reserved blocks back. Bytes below `size` stay as they are.
    fn truncate(&self, size: u64) -> io::Result<()>;

    /// The file's bytes in memory, for disks that map files. Valid as long as this file is open.
    fn view(&self) -> Option<View> {
        None
    }

    /// Says, of a file opened with [`Access::Follow`], that another process has appended up to `end` what does not change any more.
    /// `UnexpectedEof` where the file is shorter.
    fn follow(&self, _end: u64) -> io::Result<()> {
        Ok(())
    }

    /// Asks for bytes that will be read soon, so that they come in few large requests: nothing else reads more than what was asked
    /// for, because most reads are of one record. Does not wait. Who reads much asks for a piece at a time.
    fn will_need(&self, _range: Range<u64>) {}

    /// As [`DiskFile::will_need`] of a record that is read at once, where that would take more than one request.
    fn use_now(&self, _range: Range<u64>) {}

    /// Begins to write what stands in a range to the disk, whose bytes do not change any more, so that it takes no memory that
    /// cannot be taken back; with `wait` it is there when this returns. Says nothing about durability: [`DiskFile::sync`] does. An
    /// error is as final as one of that, and may not be told there again. Gives where it ended: before the end of the range
    /// where the rest of it is in a page that is written to.
    fn write_back(&self, range: Range<u64>, _wait: bool) -> io::Result<u64> {
        Ok(range.end)
    }

    /// Work that makes later writes near `tail` faster, done by the thread that keeps room ahead of them: reserve room and
    /// fault in its pages, give up write access behind. From now on nothing below `tail` is cut, or written other than by
    /// [`DiskFile::rewrite`].
    fn prepare(&self, _tail: u64, _room: Room) -> io::Result<()> {
        Ok(())
    }

    /// The file is complete and durable: gives up write access and everything that was there only for writing.
    fn seal(&self) -> io::Result<()> {
        Ok(())
    }
}
