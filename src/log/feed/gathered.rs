//! What is left of a part of the log of which merges have taken files: numbers and places, sorted.

use std::sync::Arc;

use super::{Limits, Reading, each_header};
use crate::format::ALIGNMENT;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::{Header, Kind};
use crate::log::file::DataFile;
use crate::store::error::Result;
use crate::store::memory;

/// See the module.
#[derive(Default)]
pub struct Gathered {
    files: Vec<Option<Arc<DataFile>>>,
    /// The number, the file by its place in `files`, and the offset in units of 8 bytes; in the order of numbers.
    places: Vec<(u64, u32, u32)>,
    next: usize,
    up_to: u64,
}

impl Gathered {
    /// What the files have behind the number `after`, up to the bound, or the first so many of it.
    pub fn gather(
        mut files: Vec<Arc<DataFile>>,
        after: u64,
        limits: &Limits<'_>,
        reading: &mut Reading,
    ) -> Result<Self> {
        let (most, mut places, mut up_to) = (limits.most, Vec::new(), limits.bound);
        // What is read last begins late, and may not have to be read. (Numbers grow meanwhile, but the least of a file does not.)
        files.sort_unstable_by_key(|file| file.id);
        let mut order: Vec<(u64, usize)> = memory::vec_with_room(files.len())?;
        order.extend(files.iter().enumerate().map(|(n, file)| (file.seqs().0, n)));
        order.sort_unstable();
        for (min, n) in order {
            let file = &files[n];
            let max = file.seqs().1;
            if max != 0 && (max <= after || min > up_to) {
                continue;
            }
            reading.forget();
            let (mut offset, end) = (FILE_HEADER_SIZE, file.tail());
            while offset < end {
                limits.check(offset)?;
                let frame = reading.frame(file, offset, end)?.map_err(|what| file.corrupt(offset, what))?;
                let mut take = |header: &Header, offset: u64| {
                    if header.kind.is_record() && header.seq > after && header.seq <= up_to {
                        memory::push(&mut places, (header.seq, n as u32, (offset / ALIGNMENT) as u32))?;
                    }
                    Ok(())
                };
                match frame.header.kind {
                    Kind::Batch => each_header(&frame, file, &mut take)?,
                    _ => take(&frame.header, offset)?,
                }
                offset += frame.header.frame_size();
                if places.len() >= most.saturating_mul(2) {
                    let (_, last, _) = places.select_nth_unstable(most - 1);
                    up_to = last.0;
                    places.truncate(most);
                }
            }
        }
        reading.forget();
        places.sort_unstable();
        // A merge that failed half way leaves copies beside what it copied.
        places.dedup_by_key(|(seq, ..)| *seq);
        if places.len() > most {
            places.truncate(most);
            up_to = places.last().map_or(up_to, |(seq, ..)| *seq);
        }
        // More room was taken than is needed, and who follows may be slow.
        places.shrink_to_fit();
        // Of the others no space is kept.
        let mut is_used = memory::vec_of(false, files.len())?;
        places.iter().for_each(|(_, n, _)| is_used[*n as usize] = true);
        let files =
            memory::collect(files.into_iter().zip(is_used).map(|(file, is_used)| is_used.then_some(file)))?;
        Ok(Gathered { files, places, next: 0, up_to })
    }

    /// Whether there is something that was not passed.
    pub fn is_some(&self) -> bool {
        self.up_to > 0
    }

    /// All up to this number is passed when all of this is.
    pub fn up_to(&self) -> u64 {
        self.up_to
    }

    /// What comes next: its number, its file, and where it stands in that.
    pub fn next(&self) -> Option<(u64, Arc<DataFile>, u64)> {
        let (seq, file, units) = self.places.get(self.next)?;
        Some((*seq, self.files.get(*file as usize)?.clone()?, u64::from(*units) * ALIGNMENT))
    }

    /// Goes on behind that.
    pub fn pass(&mut self) {
        self.next += 1;
    }
}
