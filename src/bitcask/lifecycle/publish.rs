//! Telling those who read the store meanwhile, in other processes, how far it has come: from when it is open for writing. For both engines.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use crate::bitcask::engine::clock::StoreClock;
use crate::disk::Disk;
use crate::disk::page::{self, OwnPage, PageLock};
use crate::format::live::Header;
use crate::log::append::Log;
use crate::log::published::{Beginning, Checkpointed};
use crate::store::error::{Error, Result};
use crate::store::events::{Events, LogLevel};
use crate::store::options::Options;
use crate::sync::thread;

/// A writer that was killed, or goes, may lose the lock of the store first, and that of the page this much later on a busy machine.
const GOES_WITHIN: Duration = Duration::from_secs(1);
/// The pause between two attempts to lock the page.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(1);

/// The page by which they are told. Without it the store can be used all the same, but nobody can read it live: so the page is waited for
/// where the writer before has it still.
pub fn own_page(disk: &dyn Disk, options: &Options) -> Option<(OwnPage, PageLock)> {
    let begun = Instant::now();
    loop {
        match disk.own_page(true) {
            Ok(page) => return page,
            Err(error) if error.kind() == ErrorKind::WouldBlock && begun.elapsed() < GOES_WITHIN => {
                thread::sleep(BETWEEN_ATTEMPTS);
            }
            Err(error) => {
                untold(&Events::new(options.log.clone(), options.log_level), disk, &error);
                return None;
            }
        }
    }
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
    let told = catalog.published.begin(
        &Beginning {
            header: Header { session, store_id, process: std::process::id() },
            ends: &log.ends(),
            generation,
            durable: log.durable(),
            clock: clock.offset(),
            checkpoint,
        },
        &page_lock,
    );
    if let Err(error) = told {
        untold(&catalog.events, catalog.disk.as_ref(), &error);
        return Ok(None);
    }
    Ok(Some(page_lock))
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fs::{FsDisk, Io};

    #[test]
    fn a_writer_waits_for_the_page_that_the_one_before_has_still() {
        let home = tempfile::tempdir().unwrap();
        let open = || FsDisk::open(home.path(), true, Io::Mapped { synced: false }).unwrap();
        let (before, after) = (open(), open());
        if !before.can_tell() {
            println!("NOT RUN: no page on this file system");
            return;
        }
        let held = before.own_page(true).unwrap();
        assert_eq!(after.own_page(true).err().map(|error| error.kind()), Some(ErrorKind::WouldBlock));
        let going = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            drop(held);
        });
        assert!(own_page(&after, &Options::default()).is_some());
        going.join().unwrap();
    }
}
