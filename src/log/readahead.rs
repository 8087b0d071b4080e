//! What is read next is asked for before it is read: files are opened so that a read fetches what it asks for and no more.
//!
//! From front to back, [`ReadAhead`] keeps a window ahead of who reads. At places that are known, in the order of the files,
//! [`ask_for`] gathers what is close together into one request.

use std::ops::Range;

use crate::disk::{DiskFile, process};
use crate::format::ALIGNMENT;
use crate::index::Entry;

/// How much is asked for ahead, as the memory allows: enough for the disk to be busy while what came before is worked on. As many may read
/// at once as there are cores.
const WINDOW: std::ops::RangeInclusive<u64> = 128 << 10..=4 << 20;
const WINDOW_SHARE: u64 = 64;

/// The most that nobody wants and that is read with what is around it: a request of its own takes longer.
const GAP: u64 = 32 << 10;

fn window() -> u64 {
    process::memory_share(WINDOW_SHARE, WINDOW)
}

/// Keeps a window ahead of who reads a file from front to back.
pub struct ReadAhead<'a> {
    file: &'a dyn DiskFile,
    /// Everything below was asked for.
    asked: u64,
    /// Nobody reads further.
    end: u64,
    window: u64,
}

impl<'a> ReadAhead<'a> {
    /// For who will read this range.
    pub fn new(file: &'a dyn DiskFile, range: Range<u64>) -> Self {
        ReadAhead { file, asked: range.start, end: range.end, window: window() }
    }

    /// Who reads has come to `at`.
    #[inline]
    pub fn reach(&mut self, at: u64) {
        if at.saturating_add(self.window / 2) >= self.asked && self.asked < self.end {
            self.ask(at);
        }
    }

    #[cold]
    fn ask(&mut self, at: u64) {
        let (from, to) = (self.asked.max(at), at.saturating_add(self.window).min(self.end));
        if from < to {
            self.file.will_need(from..to);
        }
        self.asked = to.max(self.asked);
    }
}

/// Asks for what stands at some of the places that are read next, in their order, and gives how many of them: about a window
/// full. `ask` is told the slot of a file, and a range.
pub fn ask_for(places: impl Iterator<Item = u64>, mut ask: impl FnMut(u16, Range<u64>)) -> usize {
    let (mut count, mut bytes, window) = (0, 0, window());
    // Of a record that is larger than that, who checks it asks for the rest.
    let most = 2 * window;
    let mut run: Option<(u16, Range<u64>)> = None;
    for place in places {
        count += 1;
        let Some(entry) = Entry::from_place(place) else { continue };
        let (slot, start) = (entry.location.slot, u64::from(entry.location.units) * ALIGNMENT);
        let end = start + entry.size.bytes().min(most);
        match &mut run {
            Some((file, range))
                if *file == slot && start <= range.end + GAP && start + GAP >= range.start =>
            {
                *range = range.start.min(start)..range.end.max(end);
            }
            _ => {
                if let Some((file, range)) = run.replace((slot, start..end)) {
                    bytes += (range.end - range.start).max(GAP);
                    ask(file, range);
                }
            }
        }
        let open = run.as_ref().map_or(0, |(_, range)| range.end - range.start);
        if bytes + open >= window {
            break;
        }
    }
    if let Some((file, range)) = run {
        ask(file, range);
    }
    count
}
