//! Closing a store: everything durable, and the next open short.

use crate::sync::atomic::Ordering;

use super::engine::Engine;
use super::flush;
use super::shared::Shared;
use crate::format::manifest::FileState;
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;
use crate::sync::thread::{NotCancelled, Thread};

/// A memtable that takes such a part of what it may take, or whose records take that in the log, is written out by a close; of a smaller one
/// the next opening reads the log.
const WORTH_A_RUN: usize = 8;

/// Closes a store, whatever it returns. Whatever else fails, what was written is made durable, if that is possible.
pub fn close(shared: &Shared) -> Result<()> {
    if shared.fork.is_forked() {
        return Err(Error::Forked);
    }
    shared.check_may_wait()?;
    let _not_cancelled = NotCancelled::begin();
    for signal in [&shared.flush_signal, &shared.merge_signal, &shared.sync_signal, &shared.ahead_signal] {
        signal.stop();
    }
    if let Some(engine) = shared.engine.enter() {
        engine.log.followers.close();
    }
    let threads = std::mem::take(&mut *shared.threads.lock());
    threads.into_iter().for_each(Thread::join);
    let flushed = flush_rest(shared);
    let engine = shared.engine.take().ok_or(Error::Closed)?;
    engine.removing.end();
    flushed.and_then(|()| finish(&engine)).map_err(|error| sync_after(&engine, error))
}

fn flush_rest(shared: &Shared) -> Result<()> {
    {
        let Some(engine) = shared.engine.enter() else { return Ok(()) };
        if engine.options.read_only || engine.catalog.disk.is_volatile() {
            return Ok(());
        }
        engine.catalog.poison.check()?;
        let (active, least) = (engine.tree().active.clone(), engine.memtable_size / WORTH_A_RUN);
        if active.bytes() >= least || active.logged_bytes() >= least {
            engine.freeze_all();
        }
    }
    match flush::flush_all(shared) {
        // The log has it all.
        Err(Error::NoSpace { .. } | Error::NoMemory { .. }) => {}
        flushed => flushed?,
    }
    Ok(())
}

/// Closes a store whose last handle was let go of. What goes wrong, which nobody is there to be told, is an event. From within a
/// visit, which a close would wait for, it is left to the end of that: see [`AfterVisit`].
pub fn abandon(shared: &Shared) {
    if shared.engine.is_visited_by_caller() {
        shared.is_abandoned.store(true, Ordering::Release);
        return;
    }
    let told = shared
        .engine
        .enter()
        .map(|engine| (engine.catalog.events.clone(), engine.catalog.disk.path().display().to_string()));
    if let Err(error) = close(shared)
        && !matches!(error, Error::Closed | Error::Forked)
        && let Some((events, path)) = told
    {
        events.log(LogLevel::Error, || {
            format!(
                "the last handle of '{path}' was dropped, and the store could not be closed cleanly: {error}"
            )
        });
    }
}

/// Closes the store when it is dropped, if its last handle went inside the visit that ends then. To be made before the gate is
/// entered, so that it goes after that was left.
pub struct AfterVisit<'a>(pub &'a Shared);

impl Drop for AfterVisit<'_> {
    fn drop(&mut self) {
        if self.0.is_abandoned.load(Ordering::Acquire)
            && !self.0.engine.is_visited_by_caller()
            && self.0.is_abandoned.swap(false, Ordering::AcqRel)
        {
            abandon(self.0);
        }
    }
}

/// What is left of a close that failed with `error`: the sync. Gives what the caller is to know.
fn sync_after(engine: &Engine, error: Error) -> Error {
    if engine.options.read_only {
        return error;
    }
    match engine.log.sync() {
        Ok(()) | Err(Error::Poisoned { .. }) => error,
        Err(worse) => worse,
    }
}

/// Makes everything durable. Nobody else uses the engine any more.
fn finish(engine: &Engine) -> Result<()> {
    if engine.options.read_only || engine.catalog.disk.is_volatile() {
        return Ok(());
    }
    engine.catalog.poison.check()?;
    if engine.catalog.manifest().clean {
        return Ok(());
    }
    engine.log.seal(&engine.log.take_unsealed())?;
    let (active, last_seq) = engine.log.finish()?;
    let clocks = engine.clock.read();
    engine.catalog.update(|manifest| {
        manifest.clean = true;
        manifest.checkpoint = 0;
        manifest.last_seq = last_seq;
        manifest.clock_ms = clocks.store_ms.max(manifest.clock_ms);
        for entry in manifest.files.iter_mut().filter(|entry| entry.state == FileState::Open) {
            if entry.id == active.id {
                entry.length = active.tail();
                (entry.min_seq, entry.max_seq) = active.seqs();
            }
        }
    })
}
