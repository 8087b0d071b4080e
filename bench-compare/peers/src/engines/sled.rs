//! sled 0.34, after its documentation: `Mode::HighThroughput`, a cache in memory, a flush every half second.
//!
//! sled has no write that survives the death of the process without a flush either: what came after the last flush is lost.

use sled::{Batch, Config as SledConfig, Db, Mode};

use crate::{Config, Result, Store};

pub(crate) struct Sled {
    db: Db,
    durable: bool,
}

impl Sled {
    fn persist(&self) -> Result<()> {
        if self.durable {
            self.db.flush()?;
        }
        Ok(())
    }
}

impl Store for Sled {
    fn open(config: &Config<'_>) -> Result<Self> {
        let db = SledConfig::new()
            .path(config.directory.join("sled"))
            .cache_capacity(config.cache_bytes)
            .mode(Mode::HighThroughput)
            .open()?;
        Ok(Sled { db, durable: config.durable })
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.db.insert(key, value)?;
        self.persist()
    }

    fn put_many<'a>(&self, pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<()> {
        let mut batch = Batch::default();
        for (key, value) in pairs {
            batch.insert(key, value);
        }
        self.db.apply_batch(batch)?;
        self.persist()
    }

    fn get(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> Result<()>) -> Result<bool> {
        match self.db.get(key)? {
            Some(value) => visit(&value).map(|()| true),
            None => Ok(false),
        }
    }

    fn erase(&self, key: &[u8]) -> Result<()> {
        self.db.remove(key)?;
        self.persist()
    }

    fn scan(&self, mut visit: impl FnMut(&[u8], &[u8])) -> Result<()> {
        for entry in self.db.iter() {
            let (key, value) = entry?;
            visit(&key, &value);
        }
        Ok(())
    }

    fn close(self) -> Result<()> {
        self.db.flush()?;
        Ok(())
    }

    fn settings(config: &Config<'_>) -> Vec<(&'static str, String)> {
        let write = if config.durable {
            "insert, then flush"
        } else {
            "insert, flush_every_ms 500 (weaker: lost with the process)"
        };
        vec![
            ("version", "0.34".into()),
            ("mode", "HighThroughput".into()),
            ("cache_capacity", format!("{} MiB", config.cache_bytes >> 20)),
            ("write", write.into()),
        ]
    }
}
