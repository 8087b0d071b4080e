//! Back-pressure: how fast writers may go on so that seals and merges keep up with them.
//!
//! Once in a while ([`Log::ask_after`](crate::log::append::Log::ask_after)) a writer asks what is behind, when its write is done and
//! it holds no lock, and sleeps outside the gate: nobody waits for one who sleeps. It sleeps until what was appended by then is paid
//! for: while something is behind, all writers together may append so many bytes in a second, and no more ([`Engine::pace`]). So it
//! does not matter how many they are, and how large what they write is. For the disk it does not sleep: where too much is in memory
//! only, it writes that, or waits for who does ([`Log::stay_near_disk`](crate::log::append::Log::stay_near_disk)).
//!
//! What may be behind: files that wait to be sealed, and dead bytes that wait for a merge. Of these there may be so many that the
//! store takes half as much again as its target ([`BOUND`]); docs/DURABILITY.md says what that promises. The pace follows from what
//! merges gain: at the bound and beyond it is a part of that, so that the store becomes smaller, and writers go on.
//!
//! Writers pause only while the work that they wait for goes on. They ask for it, and it tells as it proceeds
//! ([`BackPressure::goes_on`]); where it has looked and there is nothing to do, where the last attempt failed, and where it has told
//! nothing for a while, nobody pauses. Only for files that wait to be sealed, which take descriptors, do they pause for a little in
//! any case.

mod work;

use crate::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use self::work::{Merge, PATIENCE, PATIENCE_WITH_DISK, Work};
use super::Engine;
use super::space::{MERGED_FROM, Space, least_piece};
use crate::store::options::MergeMode;
use crate::sync::lock::Mutex;

/// A writer that sleeps looks again after this time: the pace changes.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Falling asleep takes time too: what is less is left to who asks next.
const SHORTEST_PAUSE: Duration = Duration::from_micros(100);

/// A writer asks after so many bytes, or after what may be appended in this time where that is less.
const ASK_EVERY: u64 = 256 << 10;
const ASK_EVERY_TIME: f64 = 0.01;

/// How many files may wait to be sealed. Where more do, writers are held to a pace in bytes and in files a second, because each file takes
/// a descriptor; where seals go on, to a quarter of it when twice as many wait.
const MOST_UNSEALED: usize = 16;
const PACE_OF_SEALS: f64 = (25 << 20) as f64;
const FILES_OF_SEALS: f64 = 100.0;

/// A store takes at most this many times its target of space.
const BOUND: f64 = 1.5;
/// The bound is never less than the target and this many of the smallest files of the store.
const FILES_BEYOND_TARGET: u64 = 3;
/// Writers begin to pause at this part of the way from where merges begin to that bound; not before as much is dead as there may be in
/// the file that is written to, which no merge can take.
const SLOWED_FROM: f64 = 0.5;
/// Halfway between there and the bound they may write as much as merges gain, at the bound a quarter of that, and such a part of it
/// however far beyond.
const LEAST_PART: f64 = 8.0;

/// What is live is counted anew after so many bytes, and so many for each file that has to be looked at.
const COUNTED_EVERY: u64 = 256 << 10;
const COUNTED_EVERY_PER_FILE: u64 = 4 << 10;
/// What is live is counted anew before this part of the store was written anew, whatever [`COUNTED_EVERY`] says.
const COUNTED_PARTS: u64 = 16;

/// See the module.
#[derive(Default)]
pub struct BackPressure {
    /// Whether threads of their own do the work that writers are to wait for.
    pub is_on: bool,
    /// A write was done after which somebody is to ask for how long to pause.
    is_asked: AtomicBool,
    paid: Mutex<Paid>,
    counted: Mutex<Counted>,
    work: Mutex<Work>,
}

/// How much of what was appended nobody has to pause for any more, in bytes since the store was opened, and when that was so.
#[derive(Default)]
struct Paid {
    appended: f64,
    at: Option<Instant>,
}

/// What space the store took when that was counted last.
#[derive(Default)]
struct Counted {
    space: Space,
    /// Bytes that had been appended and merged by then.
    appended: u64,
    merged: u64,
    /// What is live is counted again when this many bytes have been appended.
    again_at: u64,
    /// Bytes of files that a merge has replaced and that are about to be removed.
    leaving: u64,
}

impl BackPressure {
    /// A writer, or another that comes before it, is to take this with [`BackPressure::take_asked`] when its write is done.
    #[cold]
    pub fn ask(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
    }

    /// Whether a writer is asked to pause.
    #[inline]
    pub fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }

    /// Whether the caller is the one who pauses.
    pub fn take_asked(&self) -> bool {
        self.is_asked.swap(false, Ordering::Relaxed)
    }

    /// Seals or merges go on.
    pub fn goes_on(&self) {
        self.work.lock().goes_on_for(PATIENCE);
    }

    /// Seals or merges go on when the disk has done what `wait` waits for.
    pub fn while_disk_works<R>(&self, wait: impl FnOnce() -> R) -> R {
        self.work.lock().goes_on_for(PATIENCE_WITH_DISK);
        let done = wait();
        self.goes_on();
        done
    }

    /// A merge of files begins in which so many bytes are dead and so many live.
    pub fn will_merge(&self, dead: u64, live: u64) {
        let merge = Merge { dead, to_copy: live, copied: 0, replaced: 0 };
        self.work.lock().merge = Some(merge);
    }

    /// The merge has written this many bytes.
    pub fn has_copied(&self, bytes: u64) {
        if let Some(merge) = &mut self.work.lock().merge {
            merge.copied += bytes;
            merge.to_copy = merge.to_copy.saturating_sub(bytes);
        }
    }

    /// The merge writes no more.
    pub fn has_copied_all(&self) {
        if let Some(merge) = &mut self.work.lock().merge {
            merge.to_copy = 0;
        }
    }

    /// `replace` marks files of so many bytes as replaced, which are about to be removed. Until they are, they take space.
    pub fn will_remove(&self, bytes: u64, replace: impl FnOnce()) {
        if let Some(merge) = &mut self.work.lock().merge {
            merge.replaced += bytes;
        }
        let mut counted = self.counted.lock();
        replace();
        counted.leaving = bytes;
        counted.again_at = 0;
    }

    /// The files that a merge replaced are gone, or somebody reads them for long: nobody waits for that.
    pub fn has_removed(&self) {
        self.work.lock().end_merge();
        self.counted.lock().leaving = 0;
        self.relieve();
    }

    /// Something was done that writers may be waiting for.
    pub fn relieve(&self) {
        self.goes_on();
        self.counted.lock().again_at = 0;
    }

    /// All that is to be sealed or merged was looked at: it came to an end, or some of it failed and is tried again later.
    pub fn note_pass(&self, has_more: bool, has_failed: bool) {
        let mut work = self.work.lock();
        (work.has_failed, work.is_asked_for, work.merge) = (has_failed, false, None);
        if !has_more || has_failed {
            (work.waited_for_until, work.busy_since) = (None, None);
        }
        drop(work);
        self.counted.lock().leaving = 0;
    }
}

impl Engine {
    /// For how long to pause now; who does so asks again, with the same, until there is no answer. `appended` is what had been
    /// appended when the caller was asked to.
    #[cold]
    pub fn pause(&self, appended: u64) -> Option<Duration> {
        let (now, pace) = (Instant::now(), self.pace());
        let each_time = pace.map_or(ASK_EVERY, |pace| (pace * ASK_EVERY_TIME) as u64);
        self.log.ask_after(each_time.min(ASK_EVERY));
        let mut paid = self.back_pressure.paid.lock();
        let before = paid.at.replace(now).unwrap_or(now);
        let Some(pace) = pace else {
            paid.appended = paid.appended.max(appended as f64);
            return None;
        };
        let more = pace * now.saturating_duration_since(before).as_secs_f64();
        // Who has not written for a while has not paid in advance.
        paid.appended = (paid.appended + more).min(self.log.appended_when_asked() as f64);
        let rest = (appended as f64 - paid.appended) / pace;
        (rest >= SHORTEST_PAUSE.as_secs_f64()).then(|| LOOK_AGAIN.min(Duration::from_secs_f64(rest)))
    }

    /// How many bytes writers may append in a second; `None` where nothing is behind, or nobody does anything about it.
    fn pace(&self) -> Option<f64> {
        let pressure = &self.back_pressure;
        let unsealed = self.log.unsealed_files();
        let (seals_are_behind, lag) = (unsealed >= MOST_UNSEALED, self.merges_lag());
        if !pressure.is_on || !seals_are_behind && lag <= 0.0 {
            return None;
        }
        self.log.ask_for_look();
        let (now, mut work) = (Instant::now(), pressure.work.lock());
        if !std::mem::replace(&mut work.is_asked_for, true) {
            // There was nothing to do when it looked last, but now there is. It has some time to say so.
            work.goes_on_for(PATIENCE);
        }
        let is_waited_for = work.is_waited_for(now);
        let merges =
            (lag > 0.0 && is_waited_for).then(|| work.gain(now) / (2.0 * lag).powi(2).min(LEAST_PART));
        // Files that wait to be sealed take descriptors, also where a merge keeps seals from them or fails.
        let too_many = if is_waited_for { unsealed as f64 / MOST_UNSEALED as f64 } else { 1.0 };
        let pace_of_seals = PACE_OF_SEALS.min(self.options.max_file_size as f64 * FILES_OF_SEALS);
        let seals = seals_are_behind.then(|| pace_of_seals / (too_many * too_many));
        [merges, seals].into_iter().flatten().reduce(f64::min)
    }

    /// How far merges are behind: 0 where writers need not pause, 1 where the store takes as much space as it may.
    fn merges_lag(&self) -> f64 {
        if self.options.merge == MergeMode::Manual {
            return 0.0;
        }
        let (options, space) = (&self.options, self.space_now());
        let (piece, begins) = (space.piece(options), space.at(MERGED_FROM, options) as f64);
        let target = space.live as f64 * options.merge_space_amplification;
        let bound = (target * BOUND).max(target + (FILES_BEYOND_TARGET * least_piece(options)) as f64);
        // So much may be dead in the file that is written to.
        let unmergeable = begins + piece as f64;
        // What is reserved is taken already, and a merge writes before it removes anything.
        let taken = space.reserved + self.to_copy(&space);
        let most = (bound - taken as f64).max(unmergeable + piece as f64 / 4.0);
        let slowed_from = (begins + (most - begins) * SLOWED_FROM).max(unmergeable);
        (space.mergeable() as f64 - slowed_from) / (most - slowed_from)
    }

    /// What a merge is still to write before it removes anything: the one under way, or the next.
    fn to_copy(&self, space: &Space) -> u64 {
        let piece = space.piece(&self.options);
        let left = self.back_pressure.work.lock().merge.as_ref().map_or(0, |merge| merge.to_copy);
        let to_copy = if left > 0 { left.max(piece) } else { space.live_in_deadest.max(piece * 3 / 2) };
        to_copy.min(space.live)
    }

    /// The space that the store takes. What is live is as it was counted last, which was not long ago.
    fn space_now(&self) -> Space {
        let (appended, merged) =
            (self.log.appended_when_asked(), self.counters.merged_bytes.load(Ordering::Relaxed));
        let mut counted = self.back_pressure.counted.lock();
        if appended >= counted.again_at {
            let space = self.space();
            let per_file = (COUNTED_EVERY_PER_FILE * space.files).min(space.total / COUNTED_PARTS);
            let again_at = appended + per_file.max(COUNTED_EVERY);
            *counted = Counted { space, appended, merged, again_at, leaving: counted.leaving };
        }
        let since = appended.saturating_sub(counted.appended) + merged.saturating_sub(counted.merged);
        Space { total: counted.space.total + since + counted.leaving, ..counted.space }
    }
}

#[cfg(test)]
mod tests {
    use super::work::LEAST_GAIN;
    use super::*;
    use crate::Db;
    use crate::bitcask::engine::Inside;
    use crate::tests::{open, open_without_threads};

    const MIB: f64 = (1 << 20) as f64;

    /// Overwrites a mebibyte a hundred times.
    fn overwrite(db: &Db) {
        for n in 0..2_000u32 {
            db.put((n % 20).to_le_bytes(), [n as u8; 50_000]).unwrap();
        }
    }

    /// Shows a store of which too much is dead, and in which nothing is done about that.
    fn with_store_at_bound(check: impl FnOnce(&Db, &Inside<'_>)) {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir, &[("sync", "none")]);
        let shared = db.shared().upgrade().unwrap();
        // The maintenance thread can do nothing.
        let (merging, sealing) = (shared.merging().lock(), shared.sealing().lock());
        let engine = shared.inside().unwrap();
        assert!(engine.merges_lag() <= 0.0);
        // It may have been in the middle of its first look.
        engine.back_pressure.work.lock().is_asked_for = true;
        overwrite(&db);
        assert!(engine.merges_lag() >= 1.0, "{:?}", engine.space());
        check(&db, &engine);
        drop((engine, merging, sealing));
    }

    #[test]
    fn writers_pause_only_while_the_merge_that_they_wait_for_goes_on() {
        with_store_at_bound(|_, engine| {
            let pressure = &engine.back_pressure;
            let is_over = || pressure.work.lock().waited_for_until = None;
            is_over();
            assert!(engine.pace().is_none(), "nobody has answered since somebody asked");
            pressure.goes_on();
            assert!(engine.pace().is_some());
            pressure.note_pass(true, false);
            assert!(engine.pace().is_some());
            pressure.note_pass(false, false);
            assert!(engine.pace().is_some(), "it gets the time to look again");
            is_over();
            assert!(engine.pace().is_none(), "and it gets it once");
            pressure.note_pass(true, true);
            assert!(engine.pace().is_none(), "what failed is not waited for");
            pressure.goes_on();
            assert!(engine.pace().is_none(), "what failed is not waited for when it is tried again");
            pressure.note_pass(true, false);
            pressure.goes_on();
            assert!(engine.pace().is_some());
            let later = Instant::now() + PATIENCE;
            assert!(!pressure.work.lock().is_waited_for(later), "it has told nothing for a while");
            pressure.while_disk_works(|| {
                let later = Instant::now() + 10 * PATIENCE;
                assert!(pressure.work.lock().is_waited_for(later), "a sync can take long");
            });
            assert!(!pressure.work.lock().is_waited_for(later + PATIENCE));
        });
    }

    #[test]
    fn the_pace_follows_from_what_merges_gain_and_does_not_fall_for_ever_beyond_the_bound() {
        with_store_at_bound(|_, engine| {
            let pressure = &engine.back_pressure;
            let gain = |mebibytes: f64| {
                pressure.goes_on();
                let mut work = pressure.work.lock();
                (work.gained, work.busy_since) = (Some((mebibytes * MIB, Duration::from_secs(1))), None);
            };
            assert!(engine.merges_lag() > 2.0);
            gain(80.0);
            assert_eq!(engine.pace(), Some(10.0 * MIB));
            gain(8.0);
            assert_eq!(engine.pace(), Some(MIB));
            gain(0.0);
            assert_eq!(engine.pace(), Some(LEAST_GAIN / LEAST_PART), "but it never ends");
        });
    }

    #[test]
    fn a_pause_is_as_long_as_what_was_written_is_large_however_many_write() {
        with_store_at_bound(|_, engine| {
            let pressure = &engine.back_pressure;
            pressure.goes_on();
            {
                let mut work = pressure.work.lock();
                (work.gained, work.busy_since) = (Some((8.0 * MIB, Duration::from_secs(1))), None);
            }
            let appended = engine.log.appended_when_asked();
            let pause = |unpaid: f64, mine: f64| {
                let (appended, at) = (appended as f64 - unpaid, Some(Instant::now()));
                *pressure.paid.lock() = Paid { appended, at };
                engine.pause((appended + mine) as u64)
            };
            // At one MiB a second; the look itself takes time.
            assert_eq!(pause(16.0 * MIB, 16.0 * MIB), Some(LOOK_AGAIN));
            assert_eq!(
                pause(16.0 * MIB, MIB),
                Some(LOOK_AGAIN),
                "who was first goes on first, but not at once"
            );
            assert!(pause(16.0 * MIB, MIB / 100.0).is_none_or(|time| time <= Duration::from_millis(10)));
            assert_eq!(pause(16.0 * MIB, 0.0), None);
            *pressure.paid.lock() =
                Paid { appended: 0.0, at: Some(Instant::now() - Duration::from_secs(3600)) };
            assert_eq!(engine.pause(appended), None);
            assert!(pressure.paid.lock().appended <= appended as f64, "nobody pays in advance");
        });
    }

    #[test]
    fn a_merge_that_takes_longer_than_those_before_it_lets_writers_go_on_more_slowly() {
        let pressure = BackPressure::default();
        pressure.goes_on();
        pressure.will_merge(16 << 20, 16 << 20);
        let mebibytes = |gain: f64| gain / MIB;
        let work = pressure.work.lock();
        let begun = work.busy_since.unwrap();
        assert_eq!(mebibytes(work.gain(begun)), 64.0);
        assert!((3.0..3.3).contains(&mebibytes(work.gain(begun + Duration::from_secs(10)))));
        drop(work);
        pressure.has_copied(16 << 20);
        pressure.will_remove(32 << 20, || ());
        pressure.work.lock().busy_since = Some(begun - Duration::from_secs(2));
        pressure.has_removed();
        let gain = mebibytes(pressure.work.lock().gain(Instant::now()));
        assert!((11.0..11.4).contains(&gain), "24 MiB in 2.125 s: {gain}");
    }

    #[test]
    fn a_delete_and_who_visits_a_value_leave_the_pause_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let db = open_without_threads(&dir, &[]);
        let shared = db.shared().upgrade().unwrap();
        let is_asked = || shared.inside().unwrap().back_pressure.is_asked();
        db.put(b"shown", b"value").unwrap();
        shared.inside().unwrap().back_pressure.ask();
        db.put(b"deleted", b"value").unwrap();
        assert!(!is_asked());
        shared.inside().unwrap().back_pressure.ask();
        assert!(db.delete(b"deleted").unwrap() && is_asked());
        db.read(b"shown", |_| db.put(b"key", b"value").unwrap()).unwrap();
        assert!(is_asked());
    }

    #[test]
    fn many_files_that_wait_to_be_sealed_slow_writers_a_little_also_where_a_merge_failed() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir, &[("sync", "none"), ("max_file_size", "64KiB")]);
        let shared = db.shared().upgrade().unwrap();
        let (merging, sealing) = (shared.merging().lock(), shared.sealing().lock());
        let engine = shared.inside().unwrap();
        for n in 0..40u32 {
            db.put(n.to_le_bytes(), [0; 50_000]).unwrap();
        }
        assert!(engine.log.unsealed_files() > MOST_UNSEALED);
        engine.back_pressure.note_pass(true, true);
        let slowed = (64 << 10) as f64 * FILES_OF_SEALS;
        assert_eq!(engine.pace(), Some(slowed));
        engine.back_pressure.note_pass(true, false);
        engine.back_pressure.goes_on();
        assert!(engine.pace() < Some(slowed));
        drop((engine, merging, sealing));
    }

    #[test]
    fn where_nothing_is_merged_by_itself_nobody_is_slowed() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir, &[("sync", "none"), ("merge", "manual")]);
        overwrite(&db);
        let shared = db.shared().upgrade().unwrap();
        let engine = shared.inside().unwrap();
        engine.back_pressure.goes_on();
        assert_eq!(engine.pace(), None);
    }

    #[test]
    fn what_is_dead_in_the_file_that_is_written_to_slows_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let db = open_without_threads(&dir, &[("sync", "none")]);
        let shared = db.shared().upgrade().unwrap();
        for n in 0..300u32 {
            db.put(b"key", [n as u8; 50_000]).unwrap();
            let engine = shared.inside().unwrap();
            let space = engine.space();
            assert!(space.files > 1 || engine.merges_lag() <= 0.0, "{space:?}");
        }
    }

    #[test]
    fn a_merge_is_not_taken_to_write_more_than_is_live() {
        let dir = tempfile::tempdir().unwrap();
        let db = open_without_threads(&dir, &[("sync", "none")]);
        db.put(b"key", [1; 50_000]).unwrap();
        let shared = db.shared().upgrade().unwrap();
        let engine = shared.inside().unwrap();
        assert_eq!(engine.to_copy(&engine.space()), engine.space().live);
        engine.back_pressure.will_merge(0, 1 << 40);
        assert_eq!(engine.to_copy(&engine.space()), engine.space().live);
    }

    #[test]
    fn what_a_merge_is_about_to_remove_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let db = open_without_threads(&dir, &[("sync", "none"), ("merge", "manual")]);
        (0..100u32).for_each(|n| db.put(n.to_le_bytes(), [0; 50_000]).unwrap());
        let shared = db.shared().upgrade().unwrap();
        let engine = shared.inside().unwrap();
        let (files, pressure) = (engine.catalog.files.all().unwrap(), &engine.back_pressure);
        let total = || {
            pressure.counted.lock().again_at = 0;
            engine.space_now().total
        };
        let all = total();
        let file = &files[0];
        pressure.will_remove(file.tail(), || file.set_replaced());
        assert_eq!(total(), all);
        pressure.has_removed();
        assert_eq!(total(), all - file.tail());
    }

    #[test]
    fn what_a_snapshot_holds_slows_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir, &[("sync", "none"), ("merge", "manual")]);
        let all = |byte: u8| (0..300u32).for_each(|n| db.put(n.to_le_bytes(), [byte; 50_000]).unwrap());
        all(1);
        let moment = db.iter(b"").unwrap();
        all(2);
        db.merge().unwrap();
        let shared = db.shared().upgrade().unwrap();
        let held = shared.inside().unwrap().catalog.bytes();
        let space = shared.inside().unwrap().space();
        assert!(held > 29_000_000 && space.total < 16_000_000, "{held} bytes, of which {space:?}");
        drop(moment);
    }
}
