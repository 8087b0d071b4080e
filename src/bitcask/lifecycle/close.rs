//! A clean close: everything durable, and the next open a matter of milliseconds.

use crate::bitcask::engine::Engine;
use crate::bitcask::lifecycle::checkpoint;
use crate::format::manifest::FileState;
use crate::store::error::Result;
use crate::store::events::LogLevel;

/// Makes everything durable and writes the checkpoint. Nobody else uses the engine any more.
pub fn finish(engine: &Engine) -> Result<()> {
    if engine.options.read_only || engine.catalog.disk.is_volatile() {
        return Ok(());
    }
    engine.catalog.poison.check()?;
    if engine.catalog.manifest().clean {
        return Ok(());
    }
    for file in engine.log.take_unsealed() {
        engine.log.seal(&file)?;
    }
    let (active, last_seq) = engine.log.finish()?;
    // Without a checkpoint (the disk may be full) the next open scans; nothing is lost.
    let checkpoint = checkpoint::write(engine).unwrap_or_else(|error| {
        engine.catalog.events.log(LogLevel::Warn, || error);
        0
    });
    let clock_ms = engine.clock.precise();
    engine.catalog.update(|manifest| {
        manifest.clean = true;
        manifest.checkpoint = checkpoint;
        manifest.last_seq = last_seq;
        manifest.clock_ms = clock_ms;
        for entry in manifest.files.iter_mut().filter(|entry| entry.state == FileState::Open) {
            if entry.id == active.id {
                entry.length = active.tail();
                (entry.min_seq, entry.max_seq) = active.seqs();
            }
        }
    })
}
