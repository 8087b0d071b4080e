//! fjall, after its documentation: defaults are its advice for point reads and writes; the cache is larger, the values do not
//! compress, and large ones are kept apart from the keys.

use fjall::config::CompressionPolicy;
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode, Readable,
};

use crate::{Config, Result, Store, Walk};

/// The documentation recommends separation for values of more than 1 KiB.
const SEPARATED: u64 = 1024;

pub(crate) struct Fjall {
    db: Database,
    keyspace: Keyspace,
    durable: bool,
}

impl Fjall {
    fn persist(&self) -> Result<()> {
        if self.durable {
            self.db.persist(PersistMode::SyncData)?;
        }
        Ok(())
    }
}

impl Store for Fjall {
    fn open(config: &Config<'_>) -> Result<Self> {
        let db = Database::builder(config.directory)
            .cache_size(config.cache_bytes)
            .worker_threads(config.threads)
            .journal_compression(CompressionType::None)
            .open()?;
        let separation = (config.value_size > SEPARATED)
            .then(|| KvSeparationOptions::default().compression(CompressionType::None));
        let keyspace = db.keyspace("kv", || {
            KeyspaceCreateOptions::default()
                .data_block_compression_policy(CompressionPolicy::disabled())
                .with_kv_separation(separation)
        })?;
        Ok(Fjall { db, keyspace, durable: config.durable })
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.keyspace.insert(key, value)?;
        self.persist()
    }

    fn put_many<'a>(&self, pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<()> {
        let mut batch = self.db.batch();
        for (key, value) in pairs {
            batch.insert(&self.keyspace, key, value);
        }
        batch.commit()?;
        self.persist()
    }

    fn get(&self, key: &[u8], visit: impl FnOnce(&[u8]) -> Result<()>) -> Result<bool> {
        match self.keyspace.get(key)? {
            Some(value) => visit(&value).map(|()| true),
            None => Ok(false),
        }
    }

    fn erase(&self, key: &[u8]) -> Result<()> {
        self.keyspace.remove(key)?;
        self.persist()
    }

    fn scan(&self, mut visit: impl FnMut(&[u8], &[u8])) -> Result<()> {
        for entry in self.db.snapshot().iter(&self.keyspace) {
            let (key, value) = entry.into_inner()?;
            visit(&key, &value);
        }
        Ok(())
    }

    fn walk(&self, walk: &Walk<'_>, mut visit: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let most = usize::try_from(walk.most).unwrap_or(usize::MAX);
        let mut show = |entry: fjall::Guard| -> Result<()> {
            let (key, value) = entry.into_inner()?;
            visit(&key, &value);
            Ok(())
        };
        let snapshot = self.db.snapshot();
        match (walk.backwards, walk.from) {
            (false, from) => snapshot.range(&self.keyspace, from..).take(most).try_for_each(&mut show),
            (true, []) => snapshot.iter(&self.keyspace).rev().take(most).try_for_each(&mut show),
            (true, from) => snapshot.range(&self.keyspace, ..=from).rev().take(most).try_for_each(&mut show),
        }
    }

    fn close(self) -> Result<()> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }

    fn settings(config: &Config<'_>) -> Vec<(&'static str, String)> {
        vec![
            ("version", "3".into()),
            ("cache_size", format!("{} MiB", config.cache_bytes >> 20)),
            ("worker_threads", config.threads.to_string()),
            ("compression", "none: the values do not compress".into()),
            ("bloom filters", "on, the default".into()),
            ("key-value separation", if config.value_size > SEPARATED { "on" } else { "off" }.into()),
            (
                "write",
                if config.durable {
                    "insert, then persist(SyncData)"
                } else {
                    "insert: to the operating system"
                }
                .into(),
            ),
        ]
    }
}
