//! Those who wait for the log to go on.
//!
//! A writer looks at nothing more for them than it does without: who waits lets the next write come to where room ahead is asked for
//! (`Log::note_progress`), and is woken from there.

use std::time::Instant;

use crate::sync::monitor::Monitor;

/// See the module.
#[derive(Default)]
pub struct Followers {
    state: Monitor<State>,
}

#[derive(Default)]
struct State {
    /// How often they were woken.
    turns: u64,
    is_closed: bool,
}

impl Followers {
    /// What [`Followers::wait`] is told: to be asked for before it is looked whether there is something.
    pub fn turns(&self) -> u64 {
        self.state.lock().turns
    }

    /// Wakes all.
    pub fn wake(&self) {
        self.state.lock().turns += 1;
        self.state.notify_all();
    }

    /// The store is being closed: nobody waits any more.
    pub fn close(&self) {
        self.state.lock().is_closed = true;
        self.state.notify_all();
    }

    /// Waits until they are woken, or were since `turns`, or until `deadline`. False once the store is being closed. To be called from
    /// outside the gate.
    pub fn wait(&self, turns: u64, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        while state.turns == turns && !state.is_closed {
            state = match deadline {
                None => self.state.wait(state),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    self.state.wait_for(state, left)
                }
            };
        }
        !state.is_closed
    }
}
