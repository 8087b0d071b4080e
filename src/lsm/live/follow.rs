//! Taking over what the log has, frame by frame.

use std::sync::Arc;

use super::Follower;
use super::adopt;
use super::open::make_anew;
use crate::format::frame::Kind;
use crate::log::append::Log;
use crate::log::catalog::Catalog;
use crate::log::file::DataFile;
use crate::log::live::follower::{Place, Reader};
use crate::log::published::Told;
use crate::log::scan::{End, scan};
use crate::lsm::engine::Engine;
use crate::lsm::shared::Shared;
use crate::store::error::{Error, Result};
use crate::sync::thread::NotCancelled;

/// Returns when the memtables have all that was written when this was called.
pub fn follow(shared: &Shared, follower: &Follower) -> Result<()> {
    let _not_cancelled = NotCancelled::begin();
    let engine = shared.enter()?;
    let anew = |place: &mut Place, adopted: &mut _| make_anew(shared, follower, &engine, place, adopted);
    follower.follow(&*engine, anew, || ())?;
    adopt::relieve(shared, follower, &engine);
    Ok(())
}

impl Reader for Engine {
    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn log(&self) -> &Log {
        &self.log
    }

    fn follow_time(&self, told: &Arc<Told>) {
        self.clock.follow(told);
    }

    /// What was entered stays so after an error, and the place is behind it.
    fn take_over(&self, file: &Arc<DataFile>, place: &mut Place, end: u64) -> Result<bool> {
        file.follow(end)?;
        // Records before this stand in a batch that was entered.
        let (mut entered, mut is_next, mut time_ms) = (0, true, 0);
        let Place { offset, next_seq, .. } = place;
        let taken = scan(file, *offset, end, &mut |frame| {
            if frame.offset < entered {
                return Ok(());
            }
            let Some(next) = self.apply(file, frame, *next_seq)? else {
                is_next = false;
                return Err(Error::Closed);
            };
            if frame.header.kind == Kind::Batch {
                entered = frame.offset + frame.header.frame_size();
            }
            (*offset, *next_seq) = (frame.offset + frame.header.frame_size(), next);
            time_ms = frame.header.time_ms.max(time_ms);
            Ok(())
        });
        self.log.follow(file, place.next_seq, time_ms);
        match taken {
            Err(Error::Closed) if !is_next => Ok(false),
            Err(error) => Err(error),
            Ok((_, End::Complete)) => Ok(true),
            // What a reader finds when it begins anew says what is wrong.
            Ok((_, End::Damaged { .. })) => Ok(false),
        }
    }
}
