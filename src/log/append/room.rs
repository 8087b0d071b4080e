//! The place of the next frame: in the active file, or in the one after it.

use super::super::Position;
use super::{Log, Writer};
use crate::format::frame::Header;
use crate::log::file::DataFile;
use crate::store::error::{Error, Result};

/// How many bytes of room are kept for deletes: a put that would take them fails for lack of space.
const DELETE_HEADROOM: u64 = 64 << 10;

impl Log {
    /// Makes sure that a frame, which takes so many numbers, fits the active file and the disk, and gives where it goes. One that adds
    /// nothing may use the room that is left over for deletes.
    #[inline(always)]
    pub(super) fn make_room(
        &self,
        writer: &mut Writer,
        header: &mut Header,
        seqs: u64,
        adds: bool,
    ) -> Result<u64> {
        self.catalog.poison.check()?;
        self.mark_unclean(writer)?;
        let mut durable = self.commit.durable();
        if seeded_bug!("frontier-too-new") {
            durable = Position::new(writer.active.id, writer.tail);
        }
        if durable > writer.recorded_frontier {
            header.frontier = Some(durable.0);
        }
        let mut size = header.frame_size();
        // The log has no far frames: what is not near the active file's begins another.
        let is_near = writer.active.origin.is_near(writer.next_seq, seqs, header.time_ms);
        if writer.tail + size > writer.capacity || !is_near {
            // Each file says it anew: the frame that said it before may be in what the last file loses.
            header.frontier = Some(durable.0);
            size = header.frame_size();
            self.rotate(writer, size, seqs, header.time_ms)?;
        }
        if self.is_limited {
            self.keep_room(&writer.active, size, adds)?;
        }
        // Room for deletes is left over when the disk is full, so that it can be made less full.
        let headroom = if adds { DELETE_HEADROOM } else { 0 };
        let end = writer.tail + size;
        let active = &writer.active;
        // While a merge works with what was set aside for it, nobody else takes any of that.
        let reserves = &self.catalog.reserves;
        if adds && (reserves.merges.is_released() || reserves.deletes.is_released()) {
            self.catalog.fill_reserves()?;
        } else if reserves.merges.is_released() && !reserves.deletes.is_released() {
            // What is set aside for deletes is for this one: where it is in use, nothing of it goes to merges.
            self.catalog.fill_reserve_of_merges()?;
        }
        active
            .disk_file
            .reserve(end.max((end + headroom).min(writer.capacity)))
            .map_err(|e| active.io_error("make room for a record in", &e))?;
        Ok(writer.tail)
    }

    /// On a disk with a limit of its own: the room of two files stays free for merges, and that of two more for deletes.
    #[cold]
    pub(super) fn keep_room(&self, active: &DataFile, size: u64, adds: bool) -> Result<()> {
        let files = if adds { 4 } else { 2 };
        let free = self.catalog.disk.free_bytes().unwrap_or(u64::MAX);
        if free < (files * self.max_file_size).saturating_add(size) {
            let full = std::io::Error::from_raw_os_error(libc::ENOSPC);
            return Err(active.io_error("make room for a record in", &full));
        }
        Ok(())
    }

    /// As [`Log::make_room`], which failed like this: what makes room on a full disk may use what is set aside for that.
    #[cold]
    pub(super) fn make_room_at_any_cost(
        &self,
        writer: &mut Writer,
        header: &mut Header,
        seqs: u64,
        adds: bool,
        failed: Error,
    ) -> Result<u64> {
        // What has expired makes room as what was deleted does, and what was taken out of a list.
        if matches!(failed, Error::NoSpace { .. }) && !adds && self.catalog.release_for_deletes() {
            return self.make_room(writer, header, seqs, adds);
        }
        Err(failed)
    }
}
