//! Writes that are held up: for tests of what others may do while one is under way.

use std::time::Duration;

use crate::sync::monitor::Monitor;

/// Where writes pass, or wait.
#[derive(Default)]
pub(super) struct Hold(Monitor<State>);

#[derive(Default)]
struct State {
    is_closed: bool,
    waiting: usize,
}

impl Hold {
    /// Waits as long as writes are held up.
    pub(super) fn pass(&self) {
        let mut state = self.0.lock();
        if state.is_closed {
            state.waiting += 1;
            self.0.notify_all();
            while state.is_closed {
                state = self.0.wait(state);
            }
            state.waiting -= 1;
        }
    }

    /// Holds writes up, or lets them go on.
    pub(super) fn set_closed(&self, is_closed: bool) {
        self.0.lock().is_closed = is_closed;
        self.0.notify_all();
    }

    /// Returns once a write is held up.
    pub(super) fn wait_for_one(&self) {
        let mut state = self.0.lock();
        while state.waiting == 0 {
            state = self.0.wait_for(state, Duration::from_secs(60));
        }
    }
}
