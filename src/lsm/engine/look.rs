//! A look at a key: memtables, newest first, then runs, newest first, each behind its filter.

use super::{Engine, Tree};
use crate::format::frame;
use crate::format::run::block::{Meta, What};
use crate::lsm::key;
use crate::store::error::Result;
use crate::store::value::Type;
use crate::sync::thread::NotCancelled;

impl Engine {
    /// Shows the newest version of one of the engine's keys that a reader at `seq` sees, if it says that the key is there, to `visit`.
    pub fn look<R>(
        &self,
        tree: &Tree,
        key: &[u8],
        seq: u64,
        visit: impl FnOnce(&Meta, &[u8]) -> R,
    ) -> Result<Option<R>> {
        let mut visit = Some(visit);
        let mut show = |meta: &Meta, value: &[u8], deleted: u64| {
            let is_there = meta.what != What::Nothing && meta.seq >= deleted;
            visit.take().filter(|_| is_there).map(|visit| visit(meta, value))
        };
        let mut deleted = 0;
        let (hash, questions) = (self.hash(key), &self.counters.questions);
        for table in tree.memtables().filter(|table| table.may_say_something(hash)) {
            let (version, covering) = table.get(key, seq)?;
            deleted = deleted.max(covering);
            if let Some((meta, value)) = version {
                return Ok(show(&meta, &value, deleted));
            }
        }
        if tree.levels.is_empty() {
            return Ok(None);
        }
        deleted = deleted.max(tree.ranges.covering(key, seq));
        let _not_cancelled = NotCancelled::begin();
        for (n, level) in tree.levels.iter().enumerate() {
            let runs = match n {
                0 => level.as_slice(),
                _ => {
                    let n = level.partition_point(|run| run.last_key.as_slice() < key);
                    level.get(n..=n).unwrap_or_default()
                }
            };
            for run in runs {
                if let Some(shown) =
                    run.get(key, hash, seq, questions, |meta, value| show(meta, value, deleted))?
                {
                    return Ok(shown);
                }
            }
        }
        Ok(None)
    }

    /// As [`Engine::look`], at a key of the user's, as it is now; `None` also where it has expired.
    pub fn find<R>(&self, key: &[u8], visit: impl FnOnce(&Meta, &[u8]) -> R) -> Result<Option<R>> {
        frame::check_key(key)?;
        let found = self.look(&self.near_tree().0, &key::of_user(key)?, u64::MAX, |meta, value| {
            let expired = meta.expiry_ms.is_some_and(|expiry_ms| self.has_expired(expiry_ms));
            (!expired).then(|| visit(meta, value))
        });
        Ok(found?.flatten())
    }

    /// What a key of the user's holds and when it expires.
    pub fn describe(&self, key: &[u8]) -> Result<Option<(Type, Option<u64>)>> {
        self.find(key, |meta, _| {
            let holds = if meta.what == What::Head { Type::List } else { Type::Value };
            (holds, meta.expiry_ms)
        })
    }

    /// The sequence number of the newest version of one of the engine's keys; 0 where there is none, or none that is not deleted.
    pub fn newest_seq(&self, key: &[u8]) -> Result<u64> {
        Ok(self.look(&self.tree(), key, u64::MAX, |meta, _| meta.seq)?.unwrap_or(0))
    }
}
