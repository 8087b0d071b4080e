//! Reads of many keys at once, and of the keys from a place on.

use super::read::damaged;
use super::{Engine, Inside};
use crate::format::frame::{self, Kind};
use crate::index::{Cursor, Entry, KeyHash};
use crate::store::error::Result;
use crate::store::pinned::Pinned;
use crate::store::value::{Shown, Type};

/// How many keys are read together.
const AT_ONCE: usize = 32;

impl Engine {
    /// Where the records of some keys are, [`AT_ONCE`] at most; they are on their way to the cache. The cache misses of a round overlap: the
    /// index slots here, then the records, and whoever compares them is the third.
    #[inline]
    fn entries_of(&self, inside: &Inside<'_>, keys: &[&[u8]]) -> [Option<Entry>; AT_ONCE] {
        let may_wait = self.disk_watch.may_wait();
        let mut hashes = [KeyHash::default(); AT_ONCE];
        for (hash, key) in hashes.iter_mut().zip(keys) {
            *hash = self.hasher.hash(key);
            self.index.prefetch(*hash);
        }
        let mut entries = [None; AT_ONCE];
        for (entry, hash) in entries.iter_mut().zip(&hashes[..keys.len()]) {
            *entry = self.index.get(*hash);
            if let Some(entry) = *entry
                && let Some(file) = self.catalog.files.get(usize::from(entry.location.slot), inside)
            {
                if may_wait {
                    file.will_need(entry);
                }
                file.prefetch(entry);
            }
        }
        entries
    }

    /// The values of many keys, pinned.
    pub fn pin_many(&self, inside: &Inside<'_>, keys: &[&[u8]], out: &mut Vec<Result<Option<Pinned>>>) {
        for keys in keys.chunks(AT_ONCE) {
            let entries = self.entries_of(inside, keys);
            out.extend(keys.iter().zip(entries).map(|(key, entry)| {
                frame::check_key(key)?;
                match entry {
                    Some(entry) => self.pin_at(inside, entry, key),
                    None => Ok(None),
                }
            }));
        }
    }

    /// Shows the values of many keys, in their order.
    pub fn read_many(&self, inside: &Inside<'_>, keys: &[&[u8]], visit: &mut dyn FnMut(Shown<'_>)) {
        for keys in keys.chunks(AT_ONCE) {
            let entries = self.entries_of(inside, keys);
            for (key, entry) in keys.iter().zip(entries) {
                let mut visit_one = |value: &[u8]| visit(Ok(Some(value)));
                let shown = frame::check_key(key).and_then(|()| match entry {
                    Some(entry) => self.at(inside, entry, key, |current| visit_one(current.value)),
                    None => Ok(None),
                });
                match shown {
                    Ok(Some(())) => {}
                    Ok(None) => visit(Ok(None)),
                    Err(error) => visit(Err(error)),
                }
            }
        }
    }

    /// Shows keys in the order of their hashes, from those on that begin with the 64 bits `from`; `most` of them, or a few more. Where to go
    /// on; `None` behind the last. A key that is there all the time is shown in a walk through all, once or more often.
    pub fn scan(
        &self,
        inside: &Inside<'_>,
        from: u64,
        most: usize,
        mut visit: impl FnMut(&[u8], Type),
    ) -> Result<Option<u64>> {
        let mut cursor = Cursor::at(from);
        let (mut entries, mut looked_at) = (Vec::new(), 0usize);
        loop {
            entries.clear();
            let next = self.index.collect(cursor, &mut entries)?;
            let mut last = None;
            for (hash, entry) in entries.drain(..) {
                // All keys of one place go together: the next walk begins behind it.
                if looked_at >= most && last != Some(hash.top()) {
                    return Ok(Some(hash.top()));
                }
                last = Some(hash.top());
                looked_at += 1;
                self.show_key(inside, entry, &mut visit)?;
            }
            match next {
                Some(next) if looked_at < most => cursor = next,
                next => return Ok(next.map(Cursor::top)),
            }
        }
    }

    fn show_key(&self, inside: &Inside<'_>, entry: Entry, visit: &mut impl FnMut(&[u8], Type)) -> Result<()> {
        let mut buffer = Vec::new();
        let file = self.file(inside, entry)?;
        let frame = file.frame(entry, &mut buffer)?;
        if self.options.verify_checksums && !file.is_intact(&frame) {
            return Err(damaged(file, &frame));
        }
        if frame.header.expiry_ms.is_some_and(|at| self.has_expired(at)) {
            return Ok(());
        }
        match frame.header.kind {
            Kind::Put => visit(frame.key(), Type::Value),
            Kind::Head => visit(frame.key(), Type::List),
            _ => {}
        }
        Ok(())
    }
}
