//! Taking over what the log has, record by record, by the steps of a write behind its append.

use std::sync::Arc;

use super::Follower;
use super::anew::make_anew;
use crate::bitcask::engine::Inside;
use crate::bitcask::shared::Shared;
use crate::format::frame::Kind;
use crate::log::append::Log;
use crate::log::catalog::Catalog;
use crate::log::file::DataFile;
use crate::log::live::follower::{Place, Reader};
use crate::log::published::Told;
use crate::log::scan::{End, scan};
use crate::store::error::{Error, Result};
use crate::sync::thread::NotCancelled;

/// Calls `then` when the index has all that was written when this was called, and before anything newer is taken over.
pub fn follow_and<R>(shared: &Shared, follower: &Follower, then: impl FnOnce(&Inside<'_>) -> R) -> Result<R> {
    let _not_cancelled = NotCancelled::begin();
    let engine = shared.enter()?;
    let anew = |place: &mut Place, adopted: &mut _| make_anew(shared, follower, &engine, place, adopted);
    follower.follow(&engine, anew, || then(&engine))
}

impl Reader for Inside<'_> {
    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn log(&self) -> &Log {
        &self.log
    }

    fn follow_time(&self, told: &Arc<Told>) {
        self.clock.follow(told);
    }

    fn take_over(&self, file: &Arc<DataFile>, place: &mut Place, end: u64) -> Result<bool> {
        let engine = self;
        file.follow(end)?;
        let (mut is_next, mut time_ms) = (true, 0);
        let (next_seq, mut held) = (&mut place.next_seq, None);
        let taken = scan(file, place.offset, end, &mut |frame| {
            if frame.header.kind == Kind::Batch {
                return Ok(());
            }
            is_next = frame.header.seq == *next_seq && engine.apply(engine, file, frame, &mut held)?;
            if !is_next {
                return Err(Error::Closed);
            }
            *next_seq += 1;
            time_ms = frame.header.time_ms.max(time_ms);
            Ok(())
        });
        let taken = taken.and_then(|taken| engine.apply_held(engine, &mut held).map(|()| taken));
        // Walks begin at this number: all up to it is in the index.
        engine.log.follow(file, place.next_seq, time_ms);
        match taken {
            Err(Error::Closed) if !is_next => Ok(false),
            Err(error) => Err(error),
            Ok((offset, End::Complete)) => {
                place.offset = offset;
                Ok(true)
            }
            // What a reader finds when it makes its index anew says what is wrong.
            Ok((_, End::Damaged { .. })) => Ok(false),
        }
    }
}
