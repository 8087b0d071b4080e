//! redb, after its documentation: one write transaction per put, one read transaction per get.
//!
//! redb has no write that survives the death of the process without reaching the disk. `Durability::None` is the nearest: such
//! commits are kept in memory, and lost with the process, up to the next immediate commit. One is made every second.

use std::time::{Duration, Instant};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use std::sync::Mutex;

use crate::{Config, Result, Store};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("kv");
/// How long an unsynced row leaves commits undurable.
const INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct Redb {
    db: Database,
    durable: bool,
    last_durable: Mutex<Instant>,
}

impl Redb {
    fn write(&self, change: impl FnOnce(&WriteTransaction) -> Result<()>) -> Result<()> {
        let mut transaction = self.db.begin_write()?;
        // Held only while the transaction is, and there is one at a time.
        let mut last_durable = self.last_durable.lock().map_err(|_| "a writer panicked")?;
        if self.durable || last_durable.elapsed() > INTERVAL {
            *last_durable = Instant::now();
        } else {
            transaction.set_durability(Durability::None)?;
        }
        change(&transaction)?;
        Ok(transaction.commit()?)
    }
}

impl Store for Redb {
    fn open(config: &Config<'_>) -> Result<Self> {
        let cache = usize::try_from(config.cache_bytes)?;
        let db = Database::builder().set_cache_size(cache).create(config.directory.join("kv.redb"))?;
        let store = Redb { db, durable: config.durable, last_durable: Mutex::new(Instant::now()) };
        store.write(|transaction| {
            transaction.open_table(TABLE)?;
            Ok(())
        })?;
        Ok(store)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.write(|transaction| {
            transaction.open_table(TABLE)?.insert(key, value)?;
            Ok(())
        })
    }

    fn put_many<'a>(&self, pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<()> {
        self.write(|transaction| {
            let mut table = transaction.open_table(TABLE)?;
            for (key, value) in pairs {
                table.insert(key, value)?;
            }
            Ok(())
        })
    }

    fn get(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> Result<()>) -> Result<bool> {
        let table = self.db.begin_read()?.open_table(TABLE)?;
        match table.get(key)? {
            Some(value) => visit(value.value()).map(|()| true),
            None => Ok(false),
        }
    }

    fn erase(&self, key: &[u8]) -> Result<()> {
        self.write(|transaction| {
            transaction.open_table(TABLE)?.remove(key)?;
            Ok(())
        })
    }

    fn scan(&self, mut visit: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let table = self.db.begin_read()?.open_table(TABLE)?;
        for entry in table.iter()? {
            let (key, value) = entry?;
            visit(key.value(), value.value());
        }
        Ok(())
    }

    fn close(self) -> Result<()> {
        // An immediate commit takes the ones before it to the disk.
        Ok(self.db.begin_write()?.commit()?)
    }

    fn settings(config: &Config<'_>) -> Vec<(&'static str, String)> {
        let write = if config.durable {
            "one transaction per put, Durability::Immediate"
        } else {
            "one transaction per put, Durability::None, an immediate one every second (weaker: lost with the process)"
        };
        vec![
            ("version", "4".into()),
            ("set_cache_size", format!("{} MiB", config.cache_bytes >> 20)),
            ("write", write.into()),
            ("read", "one read transaction per get".into()),
        ]
    }
}
