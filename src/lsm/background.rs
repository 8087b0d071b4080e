//! The threads of a store: write memtables out, merge runs, keep room ahead, sync at intervals.

use std::sync::Weak;
use std::time::Duration;

use super::engine::Engine;
use super::shared::Shared;
use super::{flush as flushing, install, merge as merging};
use crate::store::error::Error;
use crate::store::events::LogLevel;
use crate::store::options::MergeMode;
use crate::sync::panics;
use crate::sync::signal::Signal;

const LONGEST_SLEEP: Duration = Duration::from_secs(60);
const AFTER_FAILURE: Duration = Duration::from_millis(200);
/// Log files that are not needed any more are looked after so soon.
const COLLECT_AGAIN: Duration = Duration::from_millis(20);

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

/// The body of the thread that writes memtables out and seals log files.
pub fn flush(shell: &Weak<Shared>, signal: &Signal) {
    guard(shell, "the thread that writes memtables out", || {
        let mut nap = Duration::ZERO;
        while signal.sleep(nap) {
            let Some(shell) = shell.upgrade() else { return };
            nap = LONGEST_SLEEP;
            let failed = {
                let Some(engine) = shell.engine.enter() else { return };
                engine.log_told_time();
                flushing::seal(&shell, &engine)
            };
            install::collect(&shell);
            if let Err(error) = failed.and_then(|()| flushing::flush_in_background(&shell)) {
                if let Some(engine) = shell.engine.enter() {
                    report(&engine, &error);
                }
                nap = AFTER_FAILURE;
            }
            shell.merge_signal.wake();
            let Some(engine) = shell.engine.enter() else { return };
            let (begun, ended) = engine.catalog.files.retired();
            if ended < begun {
                nap = nap.min(COLLECT_AGAIN);
            }
        }
    });
}

/// The body of the thread that merges.
pub fn merge(shell: &Weak<Shared>, signal: &Signal) {
    guard(shell, "the thread that merges", || {
        let mut nap = Duration::ZERO;
        while signal.sleep(nap) {
            let Some(shell) = shell.upgrade() else { return };
            let is_auto = {
                let Some(engine) = shell.engine.enter() else { return };
                nap = Duration::from_millis(engine.options.merge_interval_ms);
                engine.options.merge == MergeMode::Auto
            };
            if is_auto && let Err(error) = merging::run_if_due(&shell) {
                if let Some(engine) = shell.engine.enter() {
                    report(&engine, &error);
                }
                signal.pause(AFTER_FAILURE);
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
            let memory = engine.tree().memtables().map(|table| table.bytes() as u64).sum();
            engine.catalog.disk.note_memory(memory);
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
