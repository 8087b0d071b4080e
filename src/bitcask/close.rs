//! Closing a store: everything durable, and the next open a matter of milliseconds.

use crate::sync::atomic::Ordering;

use crate::bitcask::background::{self, merge, seal};
use crate::bitcask::engine::Engine;
use crate::bitcask::lifecycle::checkpoint;
use crate::bitcask::shared::Shared;
use crate::format::manifest::FileState;
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;
use crate::sync::thread::Thread;

/// Closes a store, whatever it returns. Whatever else fails, what was written is made durable, if that is possible.
pub fn close(shared: &Shared) -> Result<()> {
    if shared.fork.is_forked() {
        // The child owns neither the lock nor the files, and the thread is not there: nothing to undo. The engine
        // stays in memory, because what it holds may have been locked at the moment of the fork.
        return Err(Error::Forked);
    }
    shared.check_may_wait()?;
    shared.signal.stop();
    shared.ahead_signal.stop();
    shared.sync_signal.stop();
    if let Some(engine) = shared.inside() {
        engine.log.followers.close();
    }
    let threads = std::mem::take(&mut *shared.threads.lock());
    threads.into_iter().for_each(Thread::join);
    if let Some(engine) = shared.inside() {
        // They would count as alive in the checkpoint.
        background::take_out_gone(&engine);
    }
    // A merge that another thread runs sees the signal, commits what it has, and lets go.
    let mut uncommitted = shared.merging.lock();
    // Until nobody is inside any more: another thread that takes files to seal them could not do it then.
    let sealing = shared.sealing.lock();
    let committed = merge::commit_rest(shared, &mut uncommitted);
    let sealed = committed.and_then(|()| seal::seal_waiting(shared, &sealing));
    let engine = shared.engine.take().ok_or(Error::Closed)?;
    drop(sealing);
    sealed.and_then(|()| finish(&engine)).map_err(|error| sync_after(&engine, error))
}

/// Closes a store whose last handle was let go of. What goes wrong, which nobody is there to be told, is an event. From within a
/// visit, which a close would wait for, it is left to the end of that: see [`AfterVisit`].
pub fn abandon(shared: &Shared) {
    if shared.gated().is_visited_by_caller() {
        shared.is_abandoned.store(true, Ordering::Release);
        return;
    }
    let told = shared
        .inside()
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
    #[inline]
    fn drop(&mut self) {
        // The thread that let go comes here when its own visit ends. Another one that visits may come first, and waits for that.
        if self.0.is_abandoned.load(Ordering::Acquire)
            && !self.0.gated().is_visited_by_caller()
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
        // That says the same, or less.
        Ok(()) | Err(Error::Poisoned { .. }) => error,
        Err(worse) => worse,
    }
}

/// Makes everything durable and writes the checkpoint. Nobody else uses the engine any more.
fn finish(engine: &Engine) -> Result<()> {
    if engine.options.read_only || engine.catalog.disk.is_volatile() {
        return Ok(());
    }
    engine.catalog.poison.check()?;
    // What somebody may have been reading until now.
    engine.catalog.files.for_each(|file| {
        if file.is_replaced() {
            engine.catalog.unlink(file);
        }
    });
    if engine.catalog.manifest().clean {
        return Ok(());
    }
    engine.log.seal(&engine.log.take_unsealed())?;
    let (active, last_seq) = engine.log.finish()?;
    // Now, because what it gives back may be needed for the rest.
    engine.catalog.shrink_reserves();
    let clocks = engine.clock.read();
    // Without a checkpoint (the disk may be full) the next open scans; nothing is lost.
    let checkpoint = checkpoint::write(engine, clocks).unwrap_or_else(|error| {
        engine.catalog.events.log(LogLevel::Warn, || error);
        0
    });
    engine.catalog.update(|manifest| {
        manifest.clean = true;
        manifest.checkpoint = checkpoint;
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
