//! What a manifest says of the ordered engine: its runs, and the deletes of ranges that count in them.
//!
//! ```text
//! ordered = flushed{u64} next-range{u64} runs{u32} ranges{u32} run{48}* range* [next-list{u64}]
//! run     = id{u32} level{u32} salt{u32} 0{u32} length{u64} min-seq{u64} max-seq{u64} cleaned{u64}
//! range   = id{u64} seq{u64} from-len{u32} to-len{u32} from to
//! ```
//! The next number of a list is there where the manifest has the feature for it.

use super::bytes::Reader;
use super::features::Refusal;
use super::{Damage, FileId};
use crate::store::memory::{self, Refused};

/// The sizes of a run's line, and of what a delete of a range has beside its keys.
const RUN_SIZE: usize = 48;
const RANGE_SIZE: usize = 24;

/// How many levels there are at most: each holds ten times the bytes of the one above.
pub const LEVELS: u32 = 32;

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunEntry {
    /// The number of the run.
    pub id: FileId,
    /// The level of the run: runs of level 0 may overlap, the newest has the largest sequence number; those of each other level do not.
    pub level: u32,
    /// The salt that its header must carry.
    pub salt: u32,
    /// The length of the run in bytes.
    pub length: u64,
    /// The smallest sequence number in it.
    pub min_seq: u64,
    /// The largest sequence number in it.
    pub max_seq: u64,
    /// Deletes of ranges with a smaller number have nothing left to delete in it.
    pub cleaned: u64,
}

/// All keys from `from` on and before `to` were deleted, as far as they are older than `seq`.
#[derive(Debug, PartialEq, Eq)]
pub struct RangeDelete {
    /// The delete's number among the deletes of ranges that manifests had; 0 before one had it.
    pub id: u64,
    /// The delete's place in the order of all writes.
    pub seq: u64,
    /// The first key.
    pub from: Vec<u8>,
    /// The key behind the last.
    pub to: Vec<u8>,
}

impl RangeDelete {
    /// Another.
    pub fn copy(&self) -> Result<Self, Refused> {
        let (from, to) = (memory::copy_of(&self.from)?, memory::copy_of(&self.to)?);
        Ok(RangeDelete { from, to, ..*self })
    }

    /// Others of these.
    pub fn copies<'a>(ranges: impl IntoIterator<Item = &'a Self>) -> Result<Vec<Self>, Refused> {
        let mut copies = Vec::new();
        for range in ranges {
            memory::push(&mut copies, range.copy()?)?;
        }
        Ok(copies)
    }

    /// Whether this key is in the range.
    pub fn holds(&self, key: &[u8]) -> bool {
        self.from.as_slice() <= key && key < self.to.as_slice()
    }

    /// Whether the range has keys between two, both included, in it.
    pub fn overlaps(&self, first: &[u8], last: &[u8]) -> bool {
        self.from.as_slice() <= last && first < self.to.as_slice()
    }
}

/// The two bounds that the record of the delete of a range has as its value.
pub fn decode_bounds(bytes: &[u8]) -> std::result::Result<(&[u8], &[u8]), Damage> {
    let mut reader = Reader::new(bytes);
    let len = reader.u32()? as usize;
    let from = reader.take(len)?;
    Ok((from, reader.rest()))
}

/// What the manifest of a store of the ordered engine says besides.
#[derive(Debug, PartialEq, Eq)]
pub struct Ordered {
    /// All records up to this sequence number are in runs.
    pub flushed_seq: u64,
    /// The number of the next delete of a range.
    pub next_range: u64,
    /// The runs, by number.
    pub runs: Vec<RunEntry>,
    /// The deletes of ranges that may have something left to delete.
    pub ranges: Vec<RangeDelete>,
    /// No list that runs or deletes of ranges know of has this number or a larger one; 0 where that is not known.
    pub next_list: u64,
}

impl Default for Ordered {
    fn default() -> Self {
        Ordered { flushed_seq: 0, next_range: 1, runs: Vec::new(), ranges: Vec::new(), next_list: 0 }
    }
}

impl Ordered {
    /// Another.
    pub fn copy(&self) -> Result<Self, Refused> {
        let (runs, ranges) = (memory::copy_of(&self.runs)?, RangeDelete::copies(&self.ranges)?);
        Ok(Ordered { runs, ranges, ..*self })
    }

    /// The bytes that it takes at most.
    pub fn size(&self) -> u64 {
        let of_ranges = self.ranges.iter().map(|range| RANGE_SIZE + range.from.len() + range.to.len());
        (32 + self.runs.len() * RUN_SIZE + of_ranges.sum::<usize>()) as u64
    }

    /// Appends its bytes; `with_lists` where the manifest has the feature for the numbers of lists.
    pub fn encode(&self, with_lists: bool, bytes: &mut Vec<u8>) -> Result<(), Refused> {
        // And the checksum that the manifest ends with.
        memory::reserve(bytes, self.size() as usize + 4)?;
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
        if with_lists {
            bytes.extend_from_slice(&self.next_list.to_le_bytes());
        }
        Ok(())
    }

    /// Reads it.
    pub fn decode(with_lists: bool, reader: &mut Reader<'_>) -> Result<Self, Refusal> {
        let (flushed_seq, next_range) = (reader.u64()?, reader.u64()?);
        let (run_count, range_count) = (reader.u32()?, reader.u32()?);
        // A count that was made up asks for no more than what has been read.
        let most = |count: u32, size: usize| (count as usize).min(reader.rest().len() / size);
        let (runs, ranges) = (most(run_count, RUN_SIZE), most(range_count, RANGE_SIZE));
        let (runs, ranges) = (memory::vec_with_room(runs)?, memory::vec_with_room(ranges)?);
        let mut ordered = Ordered { flushed_seq, next_range, runs, ranges, next_list: 0 };
        for _ in 0..run_count {
            let (id, level, salt) = (reader.u32()?, reader.u32()?, reader.u32()?);
            reader.u32()?;
            if level >= LEVELS {
                return Err("the level of a run is larger than there are".into());
            }
            let (length, min_seq, max_seq, cleaned) =
                (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
            let run = RunEntry { id, level, salt, length, min_seq, max_seq, cleaned };
            memory::push(&mut ordered.runs, run)?;
        }
        for _ in 0..range_count {
            let (id, seq) = (reader.u64()?, reader.u64()?);
            let (from, to) = (reader.u32()? as usize, reader.u32()? as usize);
            let (from, to) = (memory::copy_of(reader.take(from)?)?, memory::copy_of(reader.take(to)?)?);
            memory::push(&mut ordered.ranges, RangeDelete { id, seq, from, to })?;
        }
        if with_lists {
            ordered.next_list = reader.u64()?;
        }
        Ok(ordered)
    }
}
