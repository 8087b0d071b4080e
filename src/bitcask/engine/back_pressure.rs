//! Back-pressure: for how long writers pause so that seals, syncs and merges keep up with them.
//!
//! Once in a while ([`Log::ask_after`]) a writer asks what is behind, after its write and without a lock, and sleeps until it is
//! less or its time is over. For the disk it does not sleep: where too much is in memory only, it writes that, or waits for who does
//! ([`Log::stay_near_disk`]). Where something is behind as far as it may be, each write asks, and sleeps for the longest time.

use std::time::Duration;

use super::Engine;
use crate::bitcask::engine::space;
use crate::store::options::MergeMode;
use crate::sync::monitor::Monitor;
use crate::sync::thread::NotCancelled;

/// A write sleeps for at most this long.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// And for this long at least: falling asleep takes time too.
const SHORTEST_PAUSE: Duration = Duration::from_micros(100);

/// A writer asks after so many bytes.
const ASK_EVERY: u64 = 256 << 10;

/// So many files may wait to be sealed.
const MOST_UNSEALED: usize = 16;

/// Where writers sleep.
#[derive(Default)]
pub struct BackPressure {
    /// Whether threads of their own do the work that writers are to wait for.
    pub is_on: bool,
    relieved: Monitor<()>,
}

impl BackPressure {
    /// Something was done that writers may be waiting for.
    pub fn relieve(&self) {
        self.relieved.notify_all();
    }

    fn sleep(&self, time: Duration) {
        let _not_cancelled = NotCancelled::begin();
        drop(self.relieved.wait_for(self.relieved.lock(), time));
    }
}

impl Engine {
    /// Sleeps as long as a writer that has asked should.
    #[cold]
    pub fn pause(&self) {
        // What fails there stops the writes that come after this one.
        let _ = self.log.stay_near_disk();
        if !self.back_pressure.is_on {
            return self.log.ask_after(ASK_EVERY);
        }
        let lag = self.sealing_lag().max(self.merges_lag()).clamp(0.0, 1.0);
        self.log.ask_after(if lag < 1.0 { ASK_EVERY } else { 0 });
        let pause = LONGEST_PAUSE.mul_f64(lag);
        if pause >= SHORTEST_PAUSE {
            self.back_pressure.sleep(pause);
        }
    }

    /// How far seals are behind: each file takes a descriptor and a mapping more until it is sealed.
    fn sealing_lag(&self) -> f64 {
        if self.log.unsealed_files() < MOST_UNSEALED { 0.0 } else { 1.0 }
    }

    /// How far merges are behind: 0 at a space amplification some way above the target, 1 at a bound that is never passed by
    /// much.
    fn merges_lag(&self) -> f64 {
        if self.options.merge == MergeMode::Manual {
            return 0.0;
        }
        let (total, live) = space::space(self);
        if space::reclaimable(self) <= live.max(space::least_piece(&self.options)) {
            // What is dead is where no merge can take it yet, or is little.
            return 0.0;
        }
        let target = self.options.merge_space_amplification;
        let slack = total.saturating_sub(space::slack(&self.options)) as f64;
        (slack / live.max(1) as f64 - target * 1.2) / (target * 0.2)
    }
}
