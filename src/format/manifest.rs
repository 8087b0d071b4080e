//! The manifest: which files a store consists of, replaced as a whole.
//!
//! Its own description is `docs/FORMAT.md`; every field is here in the order of the file.

use super::bytes::{Reader, append_checksum, split_checked};
use super::features::{KEPT_DELETES, NUMBERED_LISTS, Needs, ORDERED, Refusal};
use super::ordered::Ordered;
use super::{FORMAT_VERSION, FORMAT_VERSION_WITH_FEATURES, FileId};
use crate::store::memory::{Refused, vec_with_room};

/// The size of a file's line.
const ENTRY_SIZE: usize = 40;

const MAGIC: &[u8; 8] = b"filedb\0M";

/// How far the writing of a data file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Frames may follow; the tail may be torn after a crash.
    Open,
    /// Complete and durable, `length` bytes long.
    Sealed,
}

/// One data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// The number of the file.
    pub id: FileId,
    /// Whether it is complete.
    pub state: FileState,
    /// The salt that its header must carry.
    pub salt: u32,
    /// Of an open file: its first number is one more than the last before it, which is that of the open file before or, of the
    /// oldest, one that [`Manifest::last_seq`] counts. Versions before 0.2 write false.
    pub follows: bool,
    /// The length of the file in bytes: exact where sealed or where the manifest is clean, else a lower bound.
    pub length: u64,
    /// The smallest sequence number in it; 0 where not known.
    pub min_seq: u64,
    /// The largest sequence number in it; 0 where not known.
    pub max_seq: u64,
}

/// The set of files and what is known of the store as a whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Counts the manifests of this store.
    pub generation: u64,
    /// The store's identity, in the header of each of its files.
    pub store_id: [u8; 16],
    /// The key of the hash of keys.
    pub hash_key: [u8; 16],
    /// The store was closed cleanly: all lengths are exact.
    pub clean: bool,
    /// The number that the next data file gets.
    pub next_file_id: FileId,
    /// No sequence number up to this one is free, and all of the log up to it was durable when the manifest was written. It
    /// counts all numbers before those in open files.
    pub last_seq: u64,
    /// No clock of this store reads earlier than this, in milliseconds since 1970.
    pub clock_ms: u64,
    /// The identity of the checkpoint that belongs to a clean store; 0 where there is none.
    pub checkpoint: u64,
    /// What whoever opens the store must know.
    pub needs: Needs,
    /// The live data files, by number.
    pub files: Vec<FileEntry>,
    /// What there is besides in a store of the ordered engine.
    pub ordered: Ordered,
    /// Records up to this number may be missing in the files though no newer version of their key is there: deletes, and what had
    /// expired, that merges dropped. Of the bytes only where the store says so ([`KEPT_DELETES`]); else 0.
    pub complete_after: u64,
}

impl Manifest {
    /// The size of a manifest of so many files, or a little more.
    pub fn size(files: usize) -> u64 {
        120 + (files * ENTRY_SIZE) as u64
    }

    /// The manifest's bytes.
    pub fn encode(&self) -> Result<Vec<u8>, Refused> {
        let mut bytes = vec_with_room(Self::size(self.files.len()) as usize)?;
        // Without features it is what version 0.1 reads and writes.
        let version = if self.needs.is_nothing() { FORMAT_VERSION } else { FORMAT_VERSION_WITH_FEATURES };
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(&u32::from(self.clean).to_le_bytes());
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&self.store_id);
        bytes.extend_from_slice(&self.hash_key);
        bytes.extend_from_slice(&self.last_seq.to_le_bytes());
        bytes.extend_from_slice(&self.clock_ms.to_le_bytes());
        bytes.extend_from_slice(&self.checkpoint.to_le_bytes());
        bytes.extend_from_slice(&self.next_file_id.to_le_bytes());
        bytes.extend_from_slice(&(self.files.len() as u32).to_le_bytes());
        if version == FORMAT_VERSION_WITH_FEATURES {
            self.needs.encode(&mut bytes);
        }
        for file in &self.files {
            bytes.extend_from_slice(&file.id.to_le_bytes());
            bytes.extend_from_slice(&u32::from(file.state == FileState::Sealed).to_le_bytes());
            bytes.extend_from_slice(&file.salt.to_le_bytes());
            bytes.extend_from_slice(&u32::from(file.follows).to_le_bytes());
            bytes.extend_from_slice(&file.length.to_le_bytes());
            bytes.extend_from_slice(&file.min_seq.to_le_bytes());
            bytes.extend_from_slice(&file.max_seq.to_le_bytes());
        }
        if self.needs.has(ORDERED) {
            self.ordered.encode(self.needs.has(NUMBERED_LISTS), &mut bytes)?;
        }
        if self.needs.has(KEPT_DELETES) {
            crate::store::memory::reserve(&mut bytes, 8)?;
            bytes.extend_from_slice(&self.complete_after.to_le_bytes());
        }
        append_checksum(&mut bytes);
        Ok(bytes)
    }

    /// A copy, with room for `more` files.
    pub fn copy_with_room(&self, more: usize) -> Result<Self, Refused> {
        let mut files = vec_with_room(self.files.len() + more)?;
        files.extend_from_slice(&self.files);
        Ok(Manifest { files, ordered: self.ordered.copy()?, ..*self })
    }

    /// Whether these are the first 12 bytes of a manifest that any version of filedb reads.
    pub fn has_usual_version(bytes: &[u8; 12]) -> bool {
        bytes.starts_with(MAGIC) && bytes.ends_with(&FORMAT_VERSION.to_le_bytes())
    }

    /// Reads a manifest.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut reader = Reader::new(bytes);
        if reader.take(8)? != MAGIC {
            return Err("it is not a filedb manifest".into());
        }
        let body = split_checked(bytes)?;
        let mut reader = Reader::new(body);
        reader.take(8)?;
        let version = reader.u32()?;
        // Before anything else is looked at: what follows may mean something else.
        Needs::check(version, body)?;
        let clean = reader.u32()? != 0;
        let generation = reader.u64()?;
        let (store_id, hash_key) = (reader.bytes16()?, reader.bytes16()?);
        let (last_seq, clock_ms) = (reader.u64()?, reader.u64()?);
        let checkpoint = reader.u64()?;
        let (next_file_id, count) = (reader.u32()?, reader.u32()? as usize);
        let needs = match version {
            FORMAT_VERSION_WITH_FEATURES => Needs::decode(&mut reader)?,
            _ => Needs::default(),
        };
        let (size, is_ordered) = (count.saturating_mul(ENTRY_SIZE), needs.has(ORDERED));
        let behind = if needs.has(KEPT_DELETES) { 8 } else { 0 };
        let rest = reader.rest().len().checked_sub(behind);
        if rest.is_none_or(|rest| rest < size || (!is_ordered && rest != size)) {
            return Err("its length does not match the number of files in it".into());
        }
        let mut files = vec_with_room(count)?;
        for _ in 0..count {
            let (id, sealed, salt, follows) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
            let state = if sealed == 0 { FileState::Open } else { FileState::Sealed };
            let (length, min_seq, max_seq) = (reader.u64()?, reader.u64()?, reader.u64()?);
            files.push(FileEntry { id, state, salt, follows: follows & 1 != 0, length, min_seq, max_seq });
        }
        let ordered = match is_ordered {
            true => Ordered::decode(needs.has(NUMBERED_LISTS), &mut reader)?,
            false => Ordered::default(),
        };
        let complete_after = if needs.has(KEPT_DELETES) { reader.u64()? } else { 0 };
        let is_run = |run: &super::ordered::RunEntry| run.id < next_file_id;
        if !reader.rest().is_empty() || !ordered.runs.iter().all(is_run) {
            return Err("what it says of runs is not what was written".into());
        }
        if !files.is_sorted_by(|a, b| a.id < b.id) || files.last().is_some_and(|f| f.id >= next_file_id) {
            return Err("its file numbers are out of order".into());
        }
        Ok(Manifest {
            generation,
            store_id,
            hash_key,
            clean,
            next_file_id,
            last_seq,
            clock_ms,
            checkpoint,
            needs,
            files,
            ordered,
            complete_after,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(manifest: &Manifest) -> Vec<u8> {
        manifest.encode().unwrap()
    }

    fn manifest(needs: Needs) -> Manifest {
        let file = FileEntry {
            id: 3,
            state: FileState::Sealed,
            salt: 9,
            follows: false,
            length: 100,
            min_seq: 1,
            max_seq: 5,
        };
        Manifest {
            generation: 4,
            store_id: [1; 16],
            hash_key: [2; 16],
            clean: true,
            next_file_id: 9,
            last_seq: 6,
            clock_ms: 7,
            checkpoint: 10,
            needs,
            files: vec![file, FileEntry { id: 8, state: FileState::Open, follows: true, ..file }],
            ordered: Ordered::default(),
            complete_after: 0,
        }
    }

    /// A flipped bit is an error, and so is one that is too short, also where its checksum fits: then lengths are what is looked at.
    fn is_read_back_and_no_other(manifest: Manifest) {
        let mut bytes = encode(&manifest);
        assert_eq!(Manifest::decode(&bytes), Ok(manifest));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for length in 0..bytes.len() - 4 {
            let mut short = bytes[..length].to_vec();
            append_checksum(&mut short);
            assert!(Manifest::decode(&short).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_manifest_is_read_back_and_every_flipped_bit_is_noticed() {
        let manifest = manifest(Needs::default());
        let mut bytes = encode(&manifest);
        assert_eq!(Manifest::decode(&bytes), Ok(manifest));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(Manifest::decode(&bytes), Err(Refusal::Damaged(_))), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for length in 0..bytes.len() {
            assert!(
                matches!(Manifest::decode(&bytes[..length]), Err(Refusal::Damaged(_))),
                "length {length}"
            );
        }
    }

    #[test]
    fn a_manifest_of_the_ordered_engine_is_read_back_and_every_flipped_bit_is_noticed() {
        use crate::format::ordered::{RangeDelete, RunEntry};
        let mut manifest = manifest(Needs::default());
        manifest.needs.add(ORDERED);
        manifest.needs.add(NUMBERED_LISTS);
        let run = RunEntry { id: 5, level: 1, salt: 4, length: 9_000, min_seq: 1, max_seq: 4, cleaned: 2 };
        let range = RangeDelete { id: 3, seq: 5, from: vec![1], to: vec![1, 255] };
        manifest.ordered = Ordered {
            flushed_seq: 4,
            next_range: 7,
            runs: vec![run, run],
            ranges: vec![range],
            next_list: 6,
        };
        is_read_back_and_no_other(manifest);
    }

    #[test]
    fn a_manifest_says_from_where_on_deletes_are_kept_and_every_flipped_bit_is_noticed() {
        for is_ordered in [false, true] {
            let mut manifest = manifest(Needs::default());
            manifest.needs.add(KEPT_DELETES);
            if is_ordered {
                manifest.needs.add(ORDERED);
            }
            manifest.complete_after = 0x0102_0304_0506_0708;
            is_read_back_and_no_other(manifest);
        }
    }

    #[test]
    fn a_manifest_with_features_is_read_by_those_who_know_them_only() {
        use crate::format::features::TESTED;
        let mut needs = Needs::default();
        needs.add(TESTED);
        let known = manifest(needs);
        assert_eq!(Manifest::decode(&encode(&known)), known.copy_with_room(0).map_err(Refusal::from));
        // The features stand behind the other fields, before the files.
        assert_eq!(encode(&known).len(), encode(&manifest(Needs::default())).len() + 16);

        let newer = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = encode(&known);
            bytes.truncate(bytes.len() - 4);
            change(&mut bytes);
            append_checksum(&mut bytes);
            match Manifest::decode(&bytes) {
                Err(Refusal::OtherVersion(words)) => words,
                other => panic!("{other:?}"),
            }
        };
        let words = newer(&|bytes| bytes[88] |= 0x80);
        assert!(words.contains("0x80") && words.contains("filedb 9.8.7"), "{words}");
        // Of a format that is newer still, where it is told.
        let words = newer(&|bytes| bytes[8] = 77);
        assert!(words.contains("77") && words.contains("filedb 9.8.7"), "{words}");
        let words = newer(&|bytes| bytes[8] = 1);
        assert!(words.contains("before its first release"), "{words}");
    }
}
