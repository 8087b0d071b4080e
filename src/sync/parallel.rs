//! Work in numbered pieces, on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::lock::Mutex;
use super::{panics, thread};
use crate::store::memory::room_for_small_things;

/// The numbers of the pieces that nobody has taken yet; each is given once, to one thread.
pub struct Pieces<'a> {
    next: &'a AtomicUsize,
    end: usize,
}

impl Iterator for Pieces<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        // Relaxed: a piece is a number; what threads give each other goes through the end of the scope.
        Some(self.next.fetch_add(1, Ordering::Relaxed)).filter(|piece| *piece < self.end)
    }
}

/// How many threads work at once, at most. Found out once: the standard library reads half a dozen files to answer it.
pub fn cores() -> usize {
    // The threads of schedules are none of the system's.
    if cfg!(filedb_schedules) {
        return 1;
    }
    // Not a lock, which a forked child could inherit from a thread that is not there: two threads find out the same.
    static CORES: AtomicUsize = AtomicUsize::new(0);
    let mut cores = CORES.load(Ordering::Relaxed);
    if cores == 0 {
        cores = std::thread::available_parallelism().map_or(1, |n| n.get()).min(16);
        CORES.store(cores, Ordering::Relaxed);
    }
    cores
}

/// A thread that has less to look at than this costs more than it does.
const WORTH_A_THREAD: u64 = 128 << 10;

/// Runs `work`, which looks at so many `bytes`, in as many threads as there are cores, or pieces, or as are worth it, if those are
/// fewer, and gives what they answer. All take from the same `pieces`, numbered from 0. A panic in one of them is one here, with
/// the same words.
pub fn on_all_cores<R: Send>(pieces: usize, bytes: u64, work: impl Fn(Pieces<'_>) -> R + Sync) -> Vec<R> {
    let worth = usize::try_from(bytes / WORTH_A_THREAD).map_or(usize::MAX, |more| more.saturating_add(1));
    let threads = cores().min(pieces).min(worth);
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(threads)));
    let work = || {
        let answer = panics::catch(|| work(Pieces { next: &next, end: pieces }));
        answers.lock().push(answer);
    };
    // Where no thread can be made, those that there are do its work.
    if threads > 1 && room_for_small_things().is_ok() {
        thread::at_once(threads - 1, &work);
    } else {
        work();
    }
    answers
        .into_inner()
        .into_iter()
        .map(|answer| answer.unwrap_or_else(|words| panics::go_on(words)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_given_once_and_every_answer_comes_back() {
        for pieces in [0, 1, 2, 1_000] {
            let mut all: Vec<usize> =
                on_all_cores(pieces, u64::MAX, |pieces| pieces.collect::<Vec<_>>()).concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..pieces));
        }
    }

    #[test]
    #[should_panic(expected = "a thread found a bug")]
    fn a_panic_in_a_piece_is_not_lost() {
        on_all_cores(64, u64::MAX, |pieces| {
            pieces.for_each(|piece| assert!(piece != 63, "a thread found a bug"));
        });
    }
}
