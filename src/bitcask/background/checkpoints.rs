//! When a store that is open for writing gets a checkpoint for those who will read it live: the more was written since the last, the longer
//! takes their beginning.
//!
//! Where somebody reads the store, it gets one again and again, in a fiftieth of one thread's time, when some of its keys were written, and as
//! long as its writers are not fast: while a checkpoint is written, fast ones would write as much as a reader was spared, and they would be
//! slower by a tenth for it. Where nobody reads, only when its writers rest, and at least half as much was written as there are keys: so
//! it costs the disk no more than a part of what was written.

use std::time::{Duration, Instant};

use crate::bitcask::lifecycle::running;
use crate::bitcask::shared::Shared;
use crate::store::events::LogLevel;

/// A checkpoint is not worth it before so many records were written since the last: a reader reads fewer in a moment. Nor where so many
/// are written in a second ([`REST`]).
const FEW: u64 = 100_000;
/// Nor before one record was written for so many keys: to read those takes less time than to load the keys.
const KEYS_FOR_ONE: u64 = 32;
/// Writers rest where they have written nothing for so long.
const REST: Duration = Duration::from_secs(1);
/// The pause after a checkpoint is so many times what that took.
const PAUSE: u32 = 49;
/// After a failure (a full disk, say).
const AFTER_FAILURE: Duration = Duration::from_secs(60);
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// Where nobody writes, nobody reads, and not enough was written; or it was not possible just now.
const UNTIL_READERS_COME: Duration = Duration::from_secs(10);

/// See the module.
pub struct Checkpoints {
    not_before: Instant,
    /// The last number of the log, and since when that is the last.
    last: (u64, Instant),
    /// The last number of the log at a time that is a second ago or more.
    before: (u64, Instant),
}

impl Checkpoints {
    pub fn new() -> Self {
        let now = Instant::now();
        Checkpoints { not_before: now, last: (0, now), before: (0, now) }
    }

    /// Writes one, if it is time. Gives for how long there is nothing to do; `None` once the store is closed.
    pub fn go_on(&mut self, shared: &Shared) -> Option<Duration> {
        let now = Instant::now();
        let is_due = {
            let engine = shared.inside()?;
            let published = &engine.catalog.published;
            let last = engine.log.last_seq();
            let since = last.saturating_sub(published.checkpoint_seq());
            let is_fast = self.is_fast(last, now);
            if since < FEW.max(engine.index.len() / KEYS_FOR_ONE) || !running::is_possible(&engine) {
                return Some(LONGEST_SLEEP);
            }
            if last != self.last.0 {
                self.last = (last, now);
            }
            if now - self.last.1 >= REST && since < engine.index.len() / 2 && !published.has_readers() {
                return Some(UNTIL_READERS_COME);
            }
            let is_worth_it = || now - self.last.1 >= REST || (!is_fast && published.has_readers());
            now >= self.not_before && is_worth_it()
        };
        if is_due && !shared.signal().is_stopped() {
            let written = running::write(shared);
            // Nobody is slower for want of one but who begins to read.
            let pause = match written {
                Ok(true) => now.elapsed() * PAUSE,
                Ok(false) => UNTIL_READERS_COME,
                Err(error) => {
                    let engine = shared.inside()?;
                    engine.catalog.events.log(LogLevel::Debug, || {
                        format!("there is no new checkpoint for live readers: {error}")
                    });
                    AFTER_FAILURE
                }
            };
            self.not_before = Instant::now() + pause;
        }
        Some(REST.max(self.not_before.saturating_duration_since(Instant::now())).min(LONGEST_SLEEP))
    }

    /// Whether [`FEW`] records or more were written in each second of late; the last of all has the number `last`.
    fn is_fast(&mut self, last: u64, now: Instant) -> bool {
        let time = (now - self.before.1).max(REST);
        let written = last.saturating_sub(self.before.0);
        if now - self.before.1 >= REST {
            self.before = (last, now);
        }
        written as f64 >= FEW as f64 * time.as_secs_f64()
    }
}
