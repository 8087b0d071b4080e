//! Telling those who read the store meanwhile, in other processes, how far it has come: from when it is open for writing. For both engines.

use crate::bitcask::engine::clock::StoreClock;
use crate::disk::Disk;
use crate::disk::page::{self, OwnPage, PageLock};
use crate::format::live::Header;
use crate::log::append::Log;
use crate::log::published::{Beginning, Checkpointed};
use crate::store::error::{Error, Result};
use crate::store::events::{Events, LogLevel};
use crate::store::options::Options;

/// The page by which they are told. Without it the store can be used all the same.
pub fn own_page(disk: &dyn Disk, options: &Options) -> Option<(OwnPage, PageLock)> {
    disk.own_page(true).unwrap_or_else(|error| {
        untold(&Events::new(options.log.clone(), options.log_level), disk, &error);
        None
    })
}

fn untold(events: &Events, disk: &dyn Disk, error: &std::io::Error) {
    events.log(LogLevel::Warn, || {
        let path = disk.path().join(page::FILE_NAME);
        format!(
            "other processes cannot read the store live as long as it is open here: {}: {error}",
            path.display()
        )
    });
}

/// Begins to tell. Nothing was written yet since the store was opened.
pub fn publish(
    log: &Log,
    clock: &StoreClock,
    checkpoint: Option<Checkpointed>,
    page_lock: PageLock,
) -> Result<Option<PageLock>> {
    let catalog = &log.catalog;
    let random = catalog.disk.random();
    let random =
        random.map_err(|e| Error::io("choose a number for the opening of", catalog.disk.path(), &e))?;
    let session = u64::from_le_bytes(random[..8].try_into().unwrap_or_default()).clamp(1, u64::MAX - 1);
    let (store_id, generation) = {
        let manifest = catalog.manifest();
        (manifest.store_id, manifest.generation)
    };
    catalog.published.begin(&Beginning {
        header: Header { session, store_id, process: std::process::id() },
        ends: &log.ends(),
        generation,
        durable: log.durable(),
        clock: clock.offset(),
        checkpoint,
    });
    // Another program that locks the page keeps readers out, and nobody else.
    if let Err(error) = page_lock.tell() {
        catalog.published.close_page();
        untold(&catalog.events, catalog.disk.as_ref(), &error);
        return Ok(None);
    }
    Ok(Some(page_lock))
}
