//! The page by which the writer of a store tells those who read it meanwhile how far it has come: which word means what.
//!
//! It is no part of what is durable. The words before [`TAIL`] are those of one opening for writing, and under a checksum; each of
//! the others is written and read by itself, at once.

use super::{Damage, FileId};

const MAGIC: u64 = u64::from_le_bytes(*b"filedb\0L");
const VERSION: u64 = 1;

/// The words that [`Header`] takes. The first three have these meanings in all versions.
pub const HEADER_WORDS: usize = 7;
/// The session: a random number for each opening for writing, 0 while such an opening is under way.
pub const SESSION: usize = 2;
/// Up to where the log may be read: a position in it. In a cache line of its own, because the writer changes it with each write.
pub const TAIL: usize = 16;
/// Changes when anything but the tail does.
pub const CHANGES: usize = 32;
/// The generation of the manifest on the disk, or of one before it that is about to be replaced.
pub const GENERATION: usize = 33;
/// Up to where the log is durable: a position in it.
pub const DURABLE: usize = 34;
/// What the store's time is ahead of the machine's monotonic clock, in milliseconds.
pub const CLOCK: usize = 35;
/// How many files of the log were followed by another so far in this session; [`CHANGING`] while the page is begun anew.
pub const ENDED: usize = 36;
/// See [`ENDED`].
pub const CHANGING: u64 = u64::MAX;
/// Where the log ended when the session began: a position in it.
pub const BEGAN_AT: usize = 38;
/// How many sessions were begun on this page: who found nobody writing knows by it whether somebody came since, and may have gone.
pub const BEGUN: usize = 37;
/// The checkpoint that the session goes on from, by its identity, and what belongs to it; 0 where there is none, and while that changes.
pub const CHECKPOINT: usize = 39;
/// The position in the log up to which it has everything.
pub const CHECKPOINT_AT: usize = 40;
/// The number of the last record in front of that.
pub const CHECKPOINT_SEQ: usize = 41;
/// The smallest number in the file of that position, in front of it; 0 where nothing stands there.
pub const CHECKPOINT_FIRST: usize = 42;
/// The generation of the manifest when it was begun.
pub const CHECKPOINT_GENERATION: usize = 43;
/// The session that says all this.
pub const CHECKPOINT_SESSION: usize = 44;
/// Where the files of the log ended: a position each, that of the n-th in the n-th place, again from the first on after the last.
pub const ENDS: usize = 64;
/// How many of these there are.
pub const MOST_ENDS: usize = 256;

/// Who has the store open for writing, or had it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The number of this opening; never 0.
    pub session: u64,
    /// The identity of the store.
    pub store_id: [u8; 16],
    /// The number of the process; for people.
    pub process: u32,
}

impl Header {
    /// The first words of the page.
    pub fn encode(&self) -> [u64; HEADER_WORDS] {
        let half = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| self.store_id[at + n]));
        let mut words = [MAGIC, VERSION, self.session, half(0), half(8), u64::from(self.process), 0];
        words[HEADER_WORDS - 1] = checksum(&words);
        words
    }

    /// Reads them. `None` while an opening is under way, and before the first.
    pub fn decode(words: &[u64; HEADER_WORDS]) -> Result<Option<Header>, Damage> {
        let [magic, version, session, first, second, process, crc] = *words;
        if session == 0 {
            return Ok(None);
        }
        if magic != MAGIC {
            return Err("it does not begin as a page of a writer does");
        }
        if version != VERSION {
            return Err("its version is another one than this version of filedb knows");
        }
        if crc != checksum(words) {
            return Err("its checksum does not match its content");
        }
        let mut store_id = [0; 16];
        store_id[..8].copy_from_slice(&first.to_le_bytes());
        store_id[8..].copy_from_slice(&second.to_le_bytes());
        Ok(Some(Header { session, store_id, process: process as u32 }))
    }
}

fn checksum(words: &[u64; HEADER_WORDS]) -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    words[..HEADER_WORDS - 1].iter().for_each(|word| hasher.update(&word.to_le_bytes()));
    u64::from(hasher.finalize())
}

/// What the positions on a page say of a file of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The log goes on in it: readable up to here, in units of 8 bytes.
    Open(u32),
    /// The log ends here in this file, in units of 8 bytes, and goes on in the other file.
    Ended(u32, FileId),
    /// The page does not say.
    Unknown,
}

/// What a page says of the file `id`; `load` reads a word of it.
pub fn extent(id: FileId, load: impl Fn(usize) -> u64) -> Extent {
    let split = |position: u64| ((position >> 32) as FileId, position as u32);
    let (active, tail) = split(load(TAIL));
    if active == id {
        return Extent::Open(tail);
    }
    let ended = load(ENDED);
    if ended == CHANGING {
        return Extent::Unknown;
    }
    let place = |n: u64| ENDS + (n % MOST_ENDS as u64) as usize;
    let mut next = active;
    for n in (ended.saturating_sub(MOST_ENDS as u64)..ended).rev() {
        let (file, end) = split(load(place(n)));
        if file == id {
            // More files may have ended meanwhile than there are words for.
            let overwritten = load(ENDED).wrapping_sub(n) > MOST_ENDS as u64;
            return if overwritten || next <= id { Extent::Unknown } else { Extent::Ended(end, next) };
        }
        // The last to end may be the one that the tail was in when it was loaded.
        next = file;
    }
    Extent::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_and_each_wrong_bit_is_noticed() {
        let header = Header { session: 0x1234_5678_9abc_def0, store_id: [7; 16], process: 4242 };
        let words = header.encode();
        assert_eq!(Header::decode(&words), Ok(Some(header)));
        for word in 0..HEADER_WORDS {
            for bit in 0..64 {
                let mut words = words;
                words[word] ^= 1 << bit;
                assert!(Header::decode(&words).is_err(), "bit {bit} of word {word}");
            }
        }
        assert_eq!(Header::decode(&[0; HEADER_WORDS]), Ok(None));
    }

    #[test]
    fn the_files_of_the_log_are_found_one_after_the_other_as_far_as_the_page_has_them() {
        let mut words = vec![0u64; ENDS + MOST_ENDS];
        let files = MOST_ENDS as u64 + 10;
        for n in 0..files {
            words[ENDS + (n as usize % MOST_ENDS)] = (2 * n + 1) << 32 | (100 + n);
        }
        words[ENDED] = files;
        words[TAIL] = (2 * files + 1) << 32 | 8;
        let extent = |id: u64| extent(id as FileId, |n| words[n]);
        assert_eq!(extent(2 * files + 1), Extent::Open(8));
        assert_eq!(extent(21), Extent::Ended(110, 23));
        assert_eq!(extent(2 * files - 1), Extent::Ended((99 + files) as u32, (2 * files + 1) as FileId));
        assert_eq!(extent(19), Extent::Unknown);
        assert_eq!(extent(22), Extent::Unknown);
    }
}
