//! Back-pressure: for how long writers pause so that seals and merges keep up with them.
//!
//! Once in a while ([`Log::ask_after`](crate::log::append::Log::ask_after)) a writer asks what is behind, when its write is done and
//! it holds no lock, and sleeps outside the gate: nobody waits for one who sleeps. The more is behind the longer it sleeps. Where as
//! much is behind as may be, each write asks, and sleeps until something was done or its time is over. For the disk it does not
//! sleep: where too much is in memory only, it writes that, or waits for who does
//! ([`Log::stay_near_disk`](crate::log::append::Log::stay_near_disk)).
//!
//! What may be behind: files that wait to be sealed, and dead bytes that wait for a merge. Of these there may be so many that the
//! store takes half as much again as its target ([`BOUND`]); docs/DURABILITY.md says what that promises.
//!
//! Writers pause only while the work that they wait for goes on. They ask for it, and it tells as it proceeds
//! ([`BackPressure::goes_on`]); where it has looked and there is nothing to do, where the last attempt failed, and where it has told
//! nothing for a while, nobody pauses. Only for files that wait to be sealed, which take descriptors, do they pause for a little in
//! any case.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Engine;
use super::space::{MERGED_FROM, Space, least_piece};
use crate::store::options::MergeMode;
use crate::sync::lock::Mutex;
use crate::sync::monitor::Monitor;
use crate::sync::thread::NotCancelled;

/// A write sleeps for so long where nearly as much is behind as may be.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// And for so long at most where as much is.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// And for this long at least: falling asleep takes time too.
const SHORTEST_PAUSE: Duration = Duration::from_micros(100);

/// A writer asks after so many bytes.
const ASK_EVERY: u64 = 256 << 10;

/// So many files may wait to be sealed.
const MOST_UNSEALED: usize = 16;

/// A store takes at most so many times its target of space.
const BOUND: f64 = 1.5;
/// Or the target and so many of its smallest files, whichever is more.
const FILES_BEYOND_TARGET: u64 = 3;
/// Writers begin to pause at this part of the way from where merges begin to that bound; not before as much is dead as there may be in
/// the file that is written to, which no merge can take.
const SLOWED_FROM: f64 = 0.5;

/// What is live is counted anew after so many bytes, and so many for each file that has to be looked at.
const COUNTED_EVERY: u64 = 256 << 10;
const COUNTED_EVERY_PER_FILE: u64 = 4 << 10;
/// But before such a part of the store was written anew.
const COUNTED_PARTS: u64 = 16;

/// Work that has not told for so long that it goes on is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
pub struct BackPressure {
    /// Whether threads of their own do the work that writers are to wait for.
    pub is_on: bool,
    /// A write was done after which somebody is to ask for how long to pause.
    is_asked: AtomicBool,
    bed: Arc<Bed>,
    counted: Mutex<Counted>,
    begun: Instant,
    /// Writers may wait until then, in milliseconds from `begun`.
    waited_for_until: AtomicU64,
    /// Whoever does the work has looked at all of it since a writer asked for that.
    has_looked: AtomicBool,
    /// The last attempt failed.
    has_failed: AtomicBool,
    /// Bytes that the merge under way is still to write before it removes anything.
    to_copy: AtomicU64,
    /// Bytes of the files that it has replaced and that are about to be removed.
    leaving: AtomicU64,
}

/// What space the store took when that was counted last.
#[derive(Default)]
struct Counted {
    space: Space,
    /// Bytes that had been appended and merged by then.
    appended: u64,
    merged: u64,
    /// It is counted again when so many have been appended.
    again_at: u64,
}

/// Where writers sleep, and how often something was done that they may have waited for.
#[derive(Default)]
struct Bed(Monitor<u64>);

/// How long to sleep, and where. Nobody who is inside the gate should.
pub struct Pause {
    time: Duration,
    bed: Arc<Bed>,
    /// So often something had been done when it was looked at what is behind.
    done: u64,
    /// Whether to wake up when something more was.
    is_wait: bool,
}

impl Pause {
    /// Sleeps.
    pub fn sleep(self) {
        let _not_cancelled = NotCancelled::begin();
        let (mut done, end) = (self.bed.0.lock(), Instant::now() + self.time);
        while !(self.is_wait && *done != self.done) {
            let Some(rest) = end.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) else {
                return;
            };
            done = self.bed.0.wait_for(done, rest);
        }
    }
}

impl Default for BackPressure {
    fn default() -> Self {
        BackPressure {
            is_on: false,
            is_asked: AtomicBool::new(false),
            bed: Arc::default(),
            counted: Mutex::default(),
            begun: Instant::now(),
            waited_for_until: AtomicU64::new(0),
            has_looked: AtomicBool::new(true),
            has_failed: AtomicBool::new(false),
            to_copy: AtomicU64::new(0),
            leaving: AtomicU64::new(0),
        }
    }
}

impl BackPressure {
    /// A writer, or another that comes before it, is to call [`Engine::pause`] when its write is done.
    #[cold]
    pub fn ask(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
    }

    /// Whether to call [`Engine::pause`].
    #[inline]
    pub fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }

    /// Seals or merges go on.
    pub fn goes_on(&self) {
        if !self.has_failed.load(Ordering::Relaxed) {
            let until = (self.begun.elapsed() + PATIENCE).as_millis() as u64;
            self.waited_for_until.store(until, Ordering::Relaxed);
        }
    }

    /// A merge is about to write so many bytes.
    pub fn will_copy(&self, bytes: u64) {
        self.to_copy.store(bytes, Ordering::Relaxed);
    }

    /// It has written so many of them. Nobody else merges meanwhile.
    pub fn has_copied(&self, bytes: u64) {
        let left = self.to_copy.load(Ordering::Relaxed);
        self.to_copy.store(left.saturating_sub(bytes), Ordering::Relaxed);
    }

    /// A merge has replaced files of so many bytes, which are about to be removed.
    pub fn will_remove(&self, bytes: u64) {
        self.leaving.store(bytes, Ordering::Relaxed);
    }

    /// They are gone, or somebody reads them for long: nobody waits for that.
    pub fn has_removed(&self) {
        self.leaving.store(0, Ordering::Relaxed);
        self.relieve();
    }

    /// Something was done that writers may be waiting for.
    pub fn relieve(&self) {
        self.goes_on();
        self.counted.lock().again_at = 0;
        self.wake();
    }

    /// All that is to be sealed or merged was looked at: it came to an end, or some of it failed and is tried again later.
    pub fn note_pass(&self, has_more: bool, has_failed: bool) {
        self.has_failed.store(has_failed, Ordering::Relaxed);
        self.has_looked.store(true, Ordering::Relaxed);
        self.leaving.store(0, Ordering::Relaxed);
        if !has_more || has_failed {
            self.waited_for_until.store(0, Ordering::Relaxed);
            self.wake();
        }
    }

    fn wake(&self) {
        *self.bed.0.lock() += 1;
        self.bed.0.notify_all();
    }

    fn is_waited_for(&self) -> bool {
        u128::from(self.waited_for_until.load(Ordering::Relaxed)) > self.begun.elapsed().as_millis()
    }
}

impl Engine {
    /// For how long the writer who asks should pause.
    #[cold]
    pub fn pause(&self) -> Option<Pause> {
        let pressure = &self.back_pressure;
        if !pressure.is_asked.swap(false, Ordering::Relaxed) {
            // Somebody else asks.
            return None;
        }
        // What fails there stops the writes that come after this one.
        let _ = self.log.stay_near_disk();
        let done = *pressure.bed.0.lock();
        let lag = if pressure.is_on { self.sealing_lag().max(self.merges_lag()) } else { 0.0 };
        if lag > 0.0 {
            if pressure.has_looked.swap(false, Ordering::Relaxed) {
                // There was nothing to do when it looked last, but now there is. It has some time to say so.
                pressure.goes_on();
            }
            self.log.ask_for_look();
        }
        let lag = if lag > 0.0 && pressure.is_waited_for() { lag } else { 0.0 };
        let is_wait = lag >= 1.0;
        self.log.ask_after(if is_wait { 0 } else { ASK_EVERY });
        // Files that wait to be sealed take descriptors, also where a merge keeps seals from them or fails.
        let least = if pressure.is_on { self.sealing_lag() } else { 0.0 };
        let time = if is_wait { LONGEST_WAIT } else { LONGEST_PAUSE.mul_f64(lag.max(least)) };
        let bed = pressure.bed.clone();
        (time >= SHORTEST_PAUSE).then_some(Pause { time, bed, done, is_wait })
    }

    /// How far seals are behind: each file takes a descriptor and a mapping more until it is sealed.
    fn sealing_lag(&self) -> f64 {
        if self.log.unsealed_files() < MOST_UNSEALED { 0.0 } else { 1.0 }
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
        // What is reserved is taken already, and a merge writes before it removes anything.
        let to_copy = match self.back_pressure.to_copy.load(Ordering::Relaxed) {
            0 => space.live_in_deadest.max(piece * 3 / 2),
            left => left.max(piece),
        };
        // So much may be dead in the file that is written to.
        let unmergeable = begins + piece as f64;
        let most = (bound - space.reserved as f64 - to_copy as f64).max(unmergeable + piece as f64 / 4.0);
        let slowed_from = (begins + (most - begins) * SLOWED_FROM).max(unmergeable);
        (space.mergeable() as f64 - slowed_from) / (most - slowed_from)
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
            *counted = Counted { space, appended, merged, again_at };
        }
        let since = appended.saturating_sub(counted.appended) + merged.saturating_sub(counted.merged);
        let leaving = self.back_pressure.leaving.load(Ordering::Relaxed);
        Space { total: counted.space.total + since + leaving, ..counted.space }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Db;
    use crate::tests::open;

    /// Overwrites a mebibyte a hundred times.
    fn overwrite(db: &Db) {
        for n in 0..2_000u32 {
            db.put((n % 20).to_le_bytes(), [n as u8; 50_000]).unwrap();
        }
    }

    fn ask(engine: &Engine) -> Option<Pause> {
        engine.back_pressure.ask();
        engine.pause()
    }

    #[test]
    fn writers_pause_only_while_the_merge_that_they_wait_for_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir, &[("sync", "none")]);
        let shared = db.shared().upgrade().unwrap();
        // The maintenance thread can do nothing.
        let (merging, sealing) = (shared.merging().lock(), shared.sealing().lock());
        let engine = shared.inside().unwrap();
        let pressure = &engine.back_pressure;
        assert!(engine.merges_lag() <= 0.0);
        pressure.has_looked.store(false, Ordering::Relaxed);
        overwrite(&db);
        assert!(engine.merges_lag() >= 1.0, "{:?}", engine.space());
        // It may have been in the middle of its first look.
        pressure.has_looked.store(false, Ordering::Relaxed);
        pressure.waited_for_until.store(0, Ordering::Relaxed);
        assert!(ask(&engine).is_none(), "nobody has answered since somebody asked");

        pressure.goes_on();
        assert!(ask(&engine).is_some_and(|pause| pause.is_wait && pause.time <= LONGEST_WAIT));
        assert!(engine.pause().is_none(), "only who asks pauses");
        pressure.note_pass(true, false);
        assert!(ask(&engine).is_some());
        pressure.note_pass(false, false);
        assert!(ask(&engine).is_some(), "it gets the time to look again");
        pressure.waited_for_until.store(0, Ordering::Relaxed);
        assert!(ask(&engine).is_none(), "and it gets it once");
        pressure.note_pass(true, true);
        assert!(ask(&engine).is_none(), "what failed is not waited for");
        pressure.goes_on();
        assert!(ask(&engine).is_none(), "what failed is not waited for when it is tried again");
        pressure.note_pass(true, false);
        pressure.goes_on();
        assert!(ask(&engine).is_some());
        pressure.waited_for_until.store(pressure.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
        assert!(ask(&engine).is_none(), "it has told nothing for a while");
        drop((engine, merging, sealing));
    }

    #[test]
    fn who_waits_wakes_up_when_something_was_done_also_between_the_look_and_the_sleep() {
        let pressure = BackPressure::default();
        let pause = |pressure: &BackPressure| Pause {
            time: Duration::from_secs(3600),
            bed: pressure.bed.clone(),
            done: *pressure.bed.0.lock(),
            is_wait: true,
        };
        let early = pause(&pressure);
        pressure.relieve();
        early.sleep();
        let late = pause(&pressure);
        std::thread::scope(|scope| {
            scope.spawn(|| late.sleep());
            pressure.note_pass(false, true);
        });
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
        assert!(engine.sealing_lag() >= 1.0);
        engine.back_pressure.note_pass(true, true);
        assert!(ask(&engine).is_some_and(|pause| !pause.is_wait && pause.time <= LONGEST_PAUSE));
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
        assert!(ask(&engine).is_none());
    }

    #[test]
    fn what_is_dead_in_the_file_that_is_written_to_slows_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let db = crate::tests::open_without_threads(&dir, &[("sync", "none")]);
        let shared = db.shared().upgrade().unwrap();
        for n in 0..300u32 {
            db.put(b"key", [n as u8; 50_000]).unwrap();
            let engine = shared.inside().unwrap();
            let space = engine.space();
            assert!(space.files > 1 || engine.merges_lag() <= 0.0, "{space:?}");
        }
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
