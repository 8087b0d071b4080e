//! Moving an element from one list to another, in one step: a batch of a pop and a push, planned while both keys are locked.

use super::batch::{segment_of, sorted};
use super::lists::{copied, copy_whole};
use super::{Engine, Inside};
use crate::format::frame;
use crate::store::Copying;
use crate::store::batch::Batch;
use crate::store::error::Result;
use crate::store::value::{End, position_at};

impl Engine {
    /// Takes the value at an end of a list out, once it was copied to `out`, and adds it at an end of another, or of the same. Its size;
    /// `None` where there is no list `from`.
    pub fn list_move(
        &self,
        inside: &Inside<'_>,
        (from, from_end): (&[u8], End),
        (to, to_end): (&[u8], End),
        out: &mut dyn Copying,
    ) -> Result<Option<usize>> {
        self.check_writable()?;
        frame::check_key(from)?;
        frame::check_key(to)?;
        let hashes = [self.hasher.hash(from), self.hasher.hash(to)];
        let mut locked = self.index.lock_all_for_insert(&sorted(&hashes)?)?;
        let entry = segment_of(&mut locked, hashes[0]).and_then(|segment| segment.get(hashes[0]));
        let Some(list) = self.list_at(inside, entry, from)? else { return Ok(None) };
        let value = self.element(inside, &list.head, position_at(list.head.positions(), from_end), copied)?;
        let value = value.ok_or_else(|| self.lost_element(inside, entry))??;
        let size = copy_whole(&value, out)?;
        let Some(batch) = Batch::of_move((from, from_end), (to, to_end), list.head.length(), &value)? else {
            return Ok(Some(size));
        };
        let appended = self.append_lists(inside, &batch, &hashes, locked, self.clock.precise())?;
        if let Some(last) = appended {
            self.finish_write(&last, false)?;
        }
        Ok(Some(size))
    }
}
