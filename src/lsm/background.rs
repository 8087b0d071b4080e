//! The threads of a store: write memtables out, merge runs, keep room ahead, sync at intervals.

use crate::sync::atomic::Ordering;
use std::sync::Weak;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::shared::Shared;
use super::{flush as flushing, merge as merging};
use crate::store::error::Error;
use crate::store::events::LogLevel;
use crate::store::options::MergeMode;
use crate::sync::panics;
use crate::sync::signal::Signal;

const LONGEST_SLEEP: Duration = Duration::from_secs(60);
const AFTER_FAILURE: Duration = Duration::from_millis(200);
/// Memtables that are full wait so long for others to be written out with them, where writers are fast: as one run they are merged once.
const LONGEST_WAIT_FOR_OTHERS: Duration = Duration::from_millis(1_000);
/// This many memtables do not wait for others.
const ENOUGH_TOGETHER: usize = 3;
/// How many times [`AFTER_FAILURE`] is doubled while failures follow one another.
const MOST_DOUBLED: u32 = 4;

/// Runs the body of a thread. A panic in it, which would be a bug, stops all writes and is reported.
fn guard(shell: &Weak<Shared>, thread: &str, work: impl FnOnce()) {
    if let Err(words) = panics::catch(work)
        && let Some(shell) = shell.upgrade()
        && let Some(engine) = shell.engine.enter()
    {
        let reason = format!("{thread} panicked, which is a bug in filedb: {words}");
        engine.catalog.poison.set_reason(&reason);
        engine.catalog.events.log(LogLevel::Error, || &reason);
    }
}

fn report(engine: &Engine, error: &Error) {
    engine.catalog.events.log(LogLevel::Warn, || error);
}

/// How long to wait after so many failures in a row: a full disk stays full for a while.
fn after_failures(count: u32) -> Duration {
    AFTER_FAILURE * (1 << count.saturating_sub(1).min(MOST_DOUBLED))
}

/// Whether there is a memtable to be written out, and nothing is lost where that is done a little later.
fn may_wait_for_others(engine: &Engine) -> bool {
    !engine.catalog.disk.is_volatile() && (1..ENOUGH_TOGETHER).contains(&engine.tree().frozen.len())
}

/// The body of the thread that writes memtables out and seals log files.
pub fn flush(shell: &Weak<Shared>, signal: &Signal) {
    guard(shell, "the thread that writes memtables out", || {
        let (mut nap, mut failures) = (Duration::ZERO, 0);
        // Since when a memtable waits for others.
        let mut waiting: Option<Instant> = None;
        while signal.sleep(nap) {
            let Some(shell) = shell.upgrade() else { return };
            let (sealed, goes_now) = {
                let Some(engine) = shell.engine.enter() else { return };
                engine.told_time.log_again(&engine.log, || engine.clock.precise());
                (flushing::seal(&engine), failures > 0 || !may_wait_for_others(&engine))
            };
            let since = *waiting.get_or_insert_with(Instant::now);
            let left = LONGEST_WAIT_FOR_OTHERS.saturating_sub(since.elapsed());
            if !goes_now && sealed.is_ok() && !left.is_zero() {
                nap = left;
                continue;
            }
            waiting = None;
            // Memtables that wait are in the writers' way, log files are not.
            let flushed = flushing::flush_in_background(&shell, || !signal.is_stopped());
            shell.merge_signal.wake();
            let Some(engine) = shell.engine.enter() else { return };
            nap = LONGEST_SLEEP;
            failures = match flushed.and(sealed) {
                Ok(()) => 0,
                Err(error) => {
                    report(&engine, &error);
                    failures + 1
                }
            };
            if failures > 0 {
                if engine.catalog.poison.check().is_err() {
                    // Nothing is written any more.
                    continue;
                }
                if engine.catalog.disk.is_volatile() {
                    // What waits takes memory too: it is tried again with each memtable that gets full.
                    nap = AFTER_FAILURE;
                    continue;
                }
                drop(engine);
                drop(shell);
                signal.pause(after_failures(failures));
                nap = Duration::ZERO;
            } else if may_wait_for_others(&engine) {
                (waiting, nap) = (Some(Instant::now()), LONGEST_WAIT_FOR_OTHERS);
            } else if !engine.tree().frozen.is_empty() {
                nap = Duration::ZERO;
            }
        }
    });
}

/// The body of the thread that merges.
pub fn merge(shell: &Weak<Shared>, signal: &Signal) {
    guard(shell, "the thread that merges", || {
        let (mut nap, mut failures) = (Duration::ZERO, 0);
        // How many bytes of runs had been written, and since when they are no more.
        let mut quiet = (0, Instant::now());
        while signal.sleep(nap) {
            let Some(shell) = shell.upgrade() else { return };
            let is_auto = {
                let Some(engine) = shell.engine.enter() else { return };
                nap = Duration::from_millis(engine.options.merge_interval_ms);
                let written = engine.counters.written_bytes.load(Ordering::Relaxed);
                if written != quiet.0 || !engine.tree().frozen.is_empty() {
                    quiet = (written, Instant::now());
                }
                engine.options.merge == MergeMode::Auto && engine.catalog.poison.check().is_ok()
            };
            if !is_auto {
                continue;
            }
            let merged = match quiet.1.elapsed() >= nap {
                true => merging::run_if_due(&shell).and_then(|()| merging::settle(&shell)),
                false => merging::run_if_due(&shell),
            };
            failures = match merged {
                Ok(()) => 0,
                Err(error) => {
                    if let Some(engine) = shell.engine.enter() {
                        report(&engine, &error);
                    }
                    failures + 1
                }
            };
            if failures > 0 {
                drop(shell);
                signal.pause(after_failures(failures));
                nap = Duration::ZERO;
            }
        }
    });
}

/// The body of the thread that keeps room ahead of the log's tail.
pub fn keep_room_ahead(shell: &Weak<Shared>, signal: &Signal) {
    guard(shell, "the thread that keeps room ahead", || {
        while signal.sleep(LONGEST_SLEEP) {
            let Some(shell) = shell.upgrade() else { return };
            let Some(engine) = shell.engine.enter() else { return };
            if let Err(error) = engine.log.prepare() {
                report(&engine, &error);
                drop(engine);
                drop(shell);
                signal.pause(AFTER_FAILURE);
            }
        }
    });
}

/// The body of the thread that syncs at intervals.
pub fn sync_at_intervals(shell: &Weak<Shared>, signal: &Signal, interval: Duration) {
    guard(shell, "the thread that syncs", || {
        // A write that comes right after a look is synced one look later: so it looks twice as often as it must sync.
        while signal.sleep(interval / 2) {
            let Some(shell) = shell.upgrade() else { return };
            let Some(engine) = shell.engine.enter() else { return };
            if let Err(error) = engine.log.sync_if_due(interval / 2) {
                engine.catalog.events.log(LogLevel::Error, || &error);
            }
        }
    });
}
