//! What a store does by itself: seal files, forget expired keys, merge; keep room ahead of the tail; sync at intervals.
//!
//! Threads that are asleep unless there is work. One for what may take its time, and one that keeps room ahead of the
//! writers, who wait for nothing as long as it is not late: it must not wait behind a sync or a merge. With `sync=interval` a
//! third that does nothing but sync. Stores that tests open on a disk of their own have none: for them the same pass runs
//! inside the calling thread, so that a run can be repeated.

mod checkpoints;
pub mod merge;
pub mod seal;

use std::sync::Weak;
use std::time::{Duration, Instant};

use crate::bitcask::engine::{Engine, Inside};
use crate::bitcask::shared::Shared;
use crate::disk::process;
use crate::store::error::Error;
use crate::store::events::LogLevel;
use crate::store::options::{MergeMode, SyncMode};
use crate::sync::panics;
use crate::sync::signal::Signal;
use checkpoints::Checkpoints;

/// While seals wait for writers to slow down, it is looked as often as this.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Of the memory this part is made ready for the index, at most.
const PREPARED_SHARE: u64 = 32;

const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// Programs that only look something up are done by then, and need not wait for an index that can be changed.
const SETTLED_IN: Duration = Duration::from_millis(100);
/// Keys that expire are taken out no more often than this: each time the log notes how late it is.
const PURGED_EVERY: Duration = Duration::from_millis(100);
/// How long keys that expired are taken out at a time: writers may need room.
const PURGED_FOR: Duration = Duration::from_millis(2);
const AFTER_FAILURE: Duration = Duration::from_millis(200);
/// While somebody may be reading files that are not needed any more, it is looked as often as this.
const COLLECT_AGAIN: Duration = Duration::from_millis(20);

/// The body of the maintenance thread.
pub fn run_guarded(shared: &Weak<Shared>, signal: &Signal) {
    guard(shared, "the maintenance thread", || run(shared, signal));
}

/// The body of the thread that keeps files and memory ready for what is written next.
pub fn keep_room_ahead(shared: &Weak<Shared>, signal: &Signal) {
    guard(shared, "the thread that keeps room ahead", || {
        let (mut nap, mut purges) = (SETTLED_IN, Purges { next: Instant::now(), took: Duration::ZERO });
        while signal.sleep(nap) {
            let Some(shared) = shared.upgrade() else { return };
            let Some(engine) = shared.inside() else { return };
            let most = process::memory_share(PREPARED_SHARE, 0..=u64::MAX);
            let more = engine.index.prepare(most)
                | engine.elements.index().is_some_and(|elements| elements.prepare(most));
            engine.catalog.disk.note_memory(
                engine.index.grown_bytes()
                    + engine.elements.index().map_or(0, |elements| elements.memory_bytes())
                    + engine.expiries.memory_bytes(),
            );
            nap = if more { Duration::ZERO } else { purges.go_on(&engine) };
            if let Err(error) = engine.log.prepare() {
                engine.catalog.events.log(LogLevel::Warn, || &error);
                drop(engine);
                drop(shared);
                signal.pause(AFTER_FAILURE);
            }
        }
    });
}

/// Takes out keys that have expired and elements of lists that are gone, for a short time at once. The thread that keeps room ahead
/// does it, because that waits behind no merge and no sync: what is due would pile up in memory meanwhile.
struct Purges {
    /// No sooner than this.
    next: Instant,
    /// What the last, which may not be over, took until now.
    took: Duration,
}

impl Purges {
    /// Takes out some, if it is time. Gives for how long there is nothing to do.
    fn go_on(&mut self, engine: &Inside<'_>) -> Duration {
        // A store that nobody wrote to stays as it was closed. Who looks for a key that has expired, or counts keys, sees that.
        if !engine.log.was_written_to() {
            return LONGEST_SLEEP;
        }
        let begun = Instant::now();
        if begun >= self.next {
            let more = engine.purge_some(engine, Some(PURGED_FOR));
            self.took += begun.elapsed();
            if more {
                return Duration::ZERO;
            }
            if engine.take_out_gone(engine).unwrap_or(false) {
                return Duration::ZERO;
            }
            // However many keys there are, no more than a tenth of the time.
            self.next = begun + PURGED_EVERY.max(std::mem::take(&mut self.took) * 9);
        }
        let due = engine.expiries.next_due_ms().saturating_sub(engine.clock.precise());
        Duration::from_millis(due).max(self.next.saturating_duration_since(begun)).min(LONGEST_SLEEP)
    }
}

/// The body of the thread that syncs at intervals.
pub fn sync_at_intervals(shared: &Weak<Shared>, signal: &Signal, interval: Duration) {
    guard(shared, "the thread that syncs", || {
        // A write that comes right after a look is synced one look later: so it looks twice as often as it must sync.
        while signal.sleep(interval / 2) {
            let Some(shared) = shared.upgrade() else { return };
            let Some(engine) = shared.inside() else { return };
            // The next write reports a failure too: the log is poisoned then.
            if let Err(error) = engine.log.sync_if_due(interval / 2) {
                engine.catalog.events.log(LogLevel::Error, || &error);
            }
        }
    });
}

/// Runs the body of a thread. A panic in it, which would be a bug, stops all writes and is reported.
fn guard(shared: &Weak<Shared>, thread: &str, work: impl FnOnce()) {
    if let Err(words) = panics::catch(work)
        && let Some(shared) = shared.upgrade()
        && let Some(engine) = shared.inside()
    {
        let reason = format!("{thread} panicked, which is a bug in filedb: {words}");
        engine.catalog.poison.set_reason(&reason);
        engine.catalog.events.log(LogLevel::Error, || &reason);
    }
}

fn run(shared: &Weak<Shared>, signal: &Signal) {
    // After a failure (a full disk, say) the same work is not tried again at once.
    let mut not_before = Instant::now();
    let mut checkpoints = Checkpoints::new();
    let mut nap = Duration::ZERO;
    while signal.sleep(nap) {
        let Some(shared) = shared.upgrade() else { return };
        let Some(until_work) = pass(&shared, &mut not_before) else { return };
        let Some(until_checkpoint) = checkpoints.go_on(&shared) else { return };
        nap = until_work.min(until_checkpoint);
    }
}

/// One pass over all kinds of work; how long to sleep after it, or `None` once the store is closed.
fn pass(shared: &Shared, not_before: &mut Instant) -> Option<Duration> {
    let now = Instant::now();
    let mut nap = LONGEST_SLEEP;
    {
        let engine = shared.inside()?;
        if engine.options.read_only {
            return Some(nap);
        }
        let options = &engine.options;
        if options.merge == MergeMode::Auto {
            nap = nap.min(Duration::from_millis(options.merge_interval_ms));
        }
    }
    let may_try = now >= *not_before;
    let (mut may_merge, mut has_failed, mut has_merged) = (may_try, false, false);
    if may_seal_later(&*shared.inside()?) {
        nap = nap.min(LOOK_AGAIN);
    } else if may_try && let Err(error) = seal::seal_and_collect(shared) {
        report(shared, &error);
        *not_before = now + AFTER_FAILURE;
        has_failed = true;
        nap = nap.min(AFTER_FAILURE);
        // Where there is no room to seal a file, merges make some.
        may_merge = matches!(error, Error::NoSpace { .. });
    }
    {
        let engine = shared.inside()?;
        if engine.log.was_written_to() {
            take_out_gone(&engine);
            // The other thread may sleep until a time that was the next when it looked.
            if engine.expiries.next_due_ms() <= engine.clock.precise() {
                shared.ahead_signal.wake();
            }
        }
        may_merge &= engine.options.merge == MergeMode::Auto;
    }
    if may_merge {
        match merge::run_if_due(shared) {
            Ok(merged) => has_merged = merged,
            Err(error) => {
                report(shared, &error);
                *not_before = Instant::now() + AFTER_FAILURE;
                has_failed = true;
            }
        }
    }
    if may_try {
        shared.inside()?.back_pressure.note_pass(has_merged, has_failed);
    }
    if has_merged {
        nap = Duration::ZERO;
    }
    let (begun, ended) = shared.inside()?.catalog.files.retired();
    if ended < begun {
        nap = nap.min(COLLECT_AGAIN);
    }
    Some(if now < *not_before { nap.min(AFTER_FAILURE) } else { nap })
}

/// Takes the elements of lists that are gone out of the index, while there are some and the store is open.
pub fn take_out_gone(engine: &Inside<'_>) {
    while engine.take_out_gone(engine).unwrap_or(false) {}
}

fn report(shared: &Shared, error: &Error) {
    if let Some(engine) = shared.inside() {
        engine.catalog.events.log(LogLevel::Warn, || error);
    }
}

/// Whether the files that were rotated out may wait to be sealed. A seal syncs, and where nobody asked for syncs those who write
/// much should not share the processors and the disk with them; as long as nothing else needs it, and not without bounds.
fn may_seal_later(engine: &Engine) -> bool {
    let reserves = &engine.catalog.reserves;
    engine.options.sync == SyncMode::None
        && engine.log.is_filled_fast()
        && !engine.log.has_many_unsealed()
        && engine.log.is_near_disk()
        && !(reserves.merges.is_released() || reserves.deletes.is_released())
        && (engine.options.merge == MergeMode::Manual || !crate::bitcask::background::merge::is_near(engine))
        && !engine.snapshots.has_replaced()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_panic_in_a_thread_of_the_store_stops_writes_and_is_told_in_its_own_words() {
        panics::keep_quiet();
        let (told, directory) =
            (Arc::new(crate::sync::lock::Mutex::new(Vec::new())), tempfile::tempdir().unwrap());
        let sink = told.clone();
        let log = crate::LogSink::new(move |level, words| {
            if level == LogLevel::Error {
                sink.lock().push(words.to_string());
            }
        });
        let options = crate::Options { log, ..crate::Options::default() };
        let db = crate::Db::open(directory.path().join("store"), &options).unwrap();
        db.put(b"key", b"before").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| guard(&db.shared(), "a thread", || panic!("it went wrong"))).join().unwrap()
        });
        let refused = db.put(b"key", b"after").unwrap_err();
        assert!(
            matches!(&refused, Error::Poisoned { reason } if reason.contains("a thread panicked")),
            "{refused}"
        );
        assert!(
            refused.to_string().contains("it went wrong, at src/bitcask/background/mod.rs:"),
            "{refused}"
        );
        assert!(told.lock().iter().any(|words| words.contains("it went wrong")));
        assert_eq!(db.get(b"key").unwrap().as_deref(), Some(&b"before"[..]));
    }
}
