//! candystore, with its defaults, in files of the largest size that it has.
//!
//! It has no batches: many pairs are as many writes; and no values of 64 KiB. A write is in the page cache when it returns; `flush` takes it to the disk.

use candystore::{CandyStore, Config as CandyConfig};

use crate::{Config, Result, Store};

/// Its default of 64 MiB makes sixteen files of a gibibyte.
const FILE_SIZE: u32 = 1 << 30;

pub(crate) struct Candy {
    db: CandyStore,
    durable: bool,
}

impl Candy {
    fn persist(&self) -> Result<()> {
        if self.durable {
            self.db.flush()?;
        }
        Ok(())
    }
}

impl Store for Candy {
    fn open(config: &Config<'_>) -> Result<Self> {
        let settings = CandyConfig { max_data_file_size: FILE_SIZE, ..CandyConfig::default() };
        Ok(Candy { db: CandyStore::open(config.directory.join("candy"), settings)?, durable: config.durable })
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.db.set(key, value)?;
        self.persist()
    }

    fn put_many<'a>(&self, pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<()> {
        for (key, value) in pairs {
            self.db.set(key, value)?;
        }
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
        for entry in self.db.iter_items() {
            let (key, value) = entry?;
            visit(&key, &value);
        }
        Ok(())
    }

    fn close(self) -> Result<()> {
        Ok(self.db.flush()?)
    }

    fn settings(config: &Config<'_>) -> Vec<(&'static str, String)> {
        let write =
            if config.durable { "flush after each set" } else { "set; a checkpoint every 5 s or 128 KiB" };
        vec![
            ("version", "1.2".into()),
            ("max_data_file_size", "1 GiB".into()),
            ("write", write.into()),
            ("batches", "none: sets one after the other".into()),
        ]
    }
}
