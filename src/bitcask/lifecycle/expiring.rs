//! Which records expire, while an index is being rebuilt and nobody knows yet which of them will stay.

use crate::bitcask::engine::expiry::{Expiries, NEVER_FROM};
use crate::index::{Entry, Index, KeyHash};
use crate::store::error::{Error, Result};

/// Lines of records that the index does not point at are taken out when there are so many, or half as many more as stayed the
/// last time.
const SWEPT_AT_LEAST: usize = 1 << 16;

/// A line for each record that expires, in 24 bytes, and for few others: it is bounded by how many keys expire, not by how often
/// they were written. One for each thread.
#[derive(Default)]
pub struct Expiring {
    /// The word of the hash; root, fingerprint and time; the record's place.
    lines: Vec<[u64; 3]>,
    sweep_at: usize,
}

impl Expiring {
    /// Notes that a record expires, which the index may not know yet.
    pub fn push(&mut self, hash: KeyHash, entry: Entry, expiry_ms: u64) -> Result<()> {
        if self.lines.len() == self.lines.capacity() {
            // Not doubled: there may be many.
            let more = (self.lines.len() / 4).max(1024);
            let bytes = ((self.lines.len() + more) * size_of::<[u64; 3]>()) as u64;
            self.lines.try_reserve_exact(more).map_err(|_| Error::NoMemory { bytes })?;
        }
        let rest = u64::from(hash.root) << 56 | u64::from(hash.fingerprint) << 48 | expiry_ms.min(NEVER_FROM);
        self.lines.push([hash.word, rest, entry.place()]);
        Ok(())
    }

    /// Whether it is time for [`Expiring::sweep`].
    pub fn is_full(&self) -> bool {
        self.lines.len() >= self.sweep_at.max(SWEPT_AT_LEAST)
    }

    /// Takes out the lines of records that the index, which knows all of them, does not point at: it points at newer ones, and
    /// will never point at these again.
    pub fn sweep(&mut self, index: &Index) {
        self.lines.retain(|line| current(index, line).is_some());
        self.sweep_at = self.lines.len() / 2 * 3;
    }

    /// Adds a line for each record that the index, which is complete now, points at.
    pub fn finish(self, index: &Index, expiries: &Expiries) -> Result<()> {
        for line in &self.lines {
            if let Some((hash, expiry_ms)) = current(index, line) {
                expiries.add(hash, expiry_ms)?;
            }
        }
        Ok(())
    }
}

/// The key of a line and when it expires, if the index points at its record.
fn current(index: &Index, &[word, rest, place]: &[u64; 3]) -> Option<(KeyHash, u64)> {
    let hash = KeyHash { root: (rest >> 56) as u8, word, fingerprint: (rest >> 48) as u8 };
    (index.get(hash)?.place() == place).then_some((hash, rest & NEVER_FROM))
}
