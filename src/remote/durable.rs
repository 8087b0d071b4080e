//! Making durable what was written: asking servers to sync their log.

use super::Remote;
use super::call::{Kind, Route, Servers};
use super::cluster::slot_of;
use super::connection::{ARRAY, Request, SIMPLE};
use super::refusal::unsupported;
use crate::disk::process;
use crate::store::error::{Error, Result};

impl Remote {
    /// `Err` where the server cannot be asked to make writes durable.
    pub(super) fn check_can_sync(&self) -> Result<()> {
        if self.can_sync {
            return Ok(());
        }
        unsupported(
            "the server keeps no log of writes (appendonly), or is older than Valkey 7.2: it cannot be asked to make writes durable",
        )
    }

    /// Makes durable what was written over any connection. A server waits for what the connection that asks has written itself, so
    /// something is written first that nobody sees.
    pub(super) fn sync_all(&self) -> Result<()> {
        let unique = process::random_bytes::<16>()
            .map_err(|why| Error::io("get random bytes from", "/dev/urandom".as_ref(), &why))?;
        let unique = unique.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let time = self.sync_time();
        let mut attempt = 0;
        // Each has its own time: it may wait for its disk.
        self.ask_all(|node, _| {
            attempt += 1;
            let tag = match &self.servers {
                Servers::One(_) => Some(String::new()),
                Servers::Cluster(cluster) => {
                    // Another one each time: it may be one that is given away just now.
                    let slot = cluster.slot_at(node, attempt - 1);
                    slot.and_then(|slot| {
                        (0..1 << 22).map(|n| n.to_string()).find(|tag| slot_of(tag.as_bytes()) == slot)
                    })
                }
            };
            let key = format!("filedb:sync:{unique}{{{}}}", tag.unwrap_or_default());
            let requests = [
                Request { args: &[b"MULTI"], expects: SIMPLE },
                Request { args: &[b"SET", key.as_bytes(), b""], expects: SIMPLE },
                Request { args: &[b"DEL", key.as_bytes()], expects: SIMPLE },
                Request { args: &[b"EXEC"], expects: ARRAY },
                Request { args: &[b"WAITAOF", b"1", b"0", time.as_bytes()], expects: ARRAY },
            ];
            // It may be done twice.
            let mut replies = self.call(Kind::Read, &Route::Node(node.clone()), &requests)?;
            let synced = replies.pop();
            for reply in replies {
                self.answer(reply)?;
            }
            self.is_durable(synced).map(|()| 0)
        })
        .map(drop)
    }
}
