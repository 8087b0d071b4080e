//! Wakes a thread that sleeps until there is work, and stops it.

use std::time::{Duration, Instant};

use crate::sync::monitor::Monitor;

/// Wakes a thread that works for a store, and stops it.
#[derive(Default)]
pub struct Signal {
    state: Monitor<State>,
}

#[derive(Default)]
struct State {
    work: bool,
    stop: bool,
}

impl Signal {
    /// There is work.
    pub fn wake(&self) {
        let mut state = self.state.lock();
        if !state.work {
            state.work = true;
            // All of them: beside the thread that sleeps others may pause, and to wake one of those would wake nobody for the work.
            self.state.notify_all();
        }
    }

    /// No more work, ever.
    pub fn stop(&self) {
        self.state.lock().stop = true;
        self.state.notify_all();
    }

    /// Whether work was asked for since the last time; for stores without a thread.
    pub fn take_work(&self) -> bool {
        std::mem::take(&mut self.state.lock().work)
    }

    /// Whether it is time to stop: long work looks now and then.
    pub fn is_stopped(&self) -> bool {
        self.state.lock().stop
    }

    /// Sleeps for that long, whatever work there is, or until it is time to stop.
    pub fn pause(&self, time: Duration) {
        let (mut state, end) = (self.state.lock(), Instant::now() + time);
        while !state.stop && Instant::now() < end {
            state = self.state.wait_for(state, end.saturating_duration_since(Instant::now()));
        }
    }

    /// Sleeps until there is work or the time is over; false when it is time to stop.
    pub fn sleep(&self, most: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.work && !state.stop {
            state = self.state.wait_for(state, most);
        }
        state.work = false;
        !state.stop
    }
}
