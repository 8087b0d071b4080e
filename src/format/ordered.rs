//! What a manifest says of the ordered engine: its runs, and the deletes of ranges that count in them.
//!
//! ```text
//! ordered = flushed{u64} next-range{u64} runs{u32} ranges{u32} run{48}* range*
//! run     = id{u32} level{u32} salt{u32} 0{u32} length{u64} min-seq{u64} max-seq{u64} cleaned{u64}
//! range   = id{u64} seq{u64} from-len{u32} to-len{u32} from to
//! ```

use super::bytes::Reader;
use super::{Damage, FileId};

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunEntry {
    /// Its number.
    pub id: FileId,
    /// Its level: those of level 0 may overlap, the newest has the largest sequence number; those of each other level do not.
    pub level: u32,
    /// The salt that its header must carry.
    pub salt: u32,
    /// Its length in bytes.
    pub length: u64,
    /// The smallest sequence number in it.
    pub min_seq: u64,
    /// The largest sequence number in it.
    pub max_seq: u64,
    /// Deletes of ranges with a smaller number have nothing left to delete in it.
    pub cleaned: u64,
}

/// All keys from `from` on and before `to` were deleted, as far as they are older than `seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeDelete {
    /// Its number among the deletes of ranges that manifests had; 0 before one had it.
    pub id: u64,
    /// Its place in the order of all writes.
    pub seq: u64,
    /// The first key.
    pub from: Vec<u8>,
    /// The key behind the last.
    pub to: Vec<u8>,
}

impl RangeDelete {
    /// Whether this key is in the range.
    pub fn holds(&self, key: &[u8]) -> bool {
        self.from.as_slice() <= key && key < self.to.as_slice()
    }

    /// Whether the range has keys between two, both included, in it.
    pub fn overlaps(&self, first: &[u8], last: &[u8]) -> bool {
        self.from.as_slice() <= last && first < self.to.as_slice()
    }
}

/// What the manifest of a store of the ordered engine says besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// All records up to this sequence number are in runs.
    pub flushed_seq: u64,
    /// The number of the next delete of a range.
    pub next_range: u64,
    /// The runs, by number.
    pub runs: Vec<RunEntry>,
    /// The deletes of ranges that may have something left to delete.
    pub ranges: Vec<RangeDelete>,
}

impl Default for Ordered {
    fn default() -> Self {
        Ordered { flushed_seq: 0, next_range: 1, runs: Vec::new(), ranges: Vec::new() }
    }
}

impl Ordered {
    /// Appends its bytes.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.flushed_seq.to_le_bytes());
        bytes.extend_from_slice(&self.next_range.to_le_bytes());
        bytes.extend_from_slice(&(self.runs.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.ranges.len() as u32).to_le_bytes());
        for run in &self.runs {
            for number in [run.id, run.level, run.salt, 0] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            for number in [run.length, run.min_seq, run.max_seq, run.cleaned] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        for range in &self.ranges {
            bytes.extend_from_slice(&range.id.to_le_bytes());
            bytes.extend_from_slice(&range.seq.to_le_bytes());
            bytes.extend_from_slice(&(range.from.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&(range.to.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&range.from);
            bytes.extend_from_slice(&range.to);
        }
    }

    /// Reads it.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Damage> {
        let (flushed_seq, next_range) = (reader.u64()?, reader.u64()?);
        let (run_count, range_count) = (reader.u32()?, reader.u32()?);
        let mut ordered = Ordered { flushed_seq, next_range, runs: Vec::new(), ranges: Vec::new() };
        for _ in 0..run_count {
            let (id, level, salt) = (reader.u32()?, reader.u32()?, reader.u32()?);
            reader.u32()?;
            let (length, min_seq, max_seq, cleaned) =
                (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
            ordered.runs.push(RunEntry { id, level, salt, length, min_seq, max_seq, cleaned });
        }
        for _ in 0..range_count {
            let (id, seq) = (reader.u64()?, reader.u64()?);
            let (from, to) = (reader.u32()? as usize, reader.u32()? as usize);
            let (from, to) = (reader.take(from)?.to_vec(), reader.take(to)?.to_vec());
            ordered.ranges.push(RangeDelete { id, seq, from, to });
        }
        Ok(ordered)
    }
}
