//! Following the changes of a store that another process writes to: as in the writer, once what was appended is taken over.
//!
//! The writer knows nothing of who waits here, so who waits looks at its page again and again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::keep::Beside;
use crate::log::live::follower::Follower;
use crate::store::changes::{Follow, Following, Got, Piece};
use crate::store::error::Result;

/// How long a feed waits before it looks at the writer's page again: first this long, then twice as long each time, up to the second.
const LOOKS_AFTER: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(1));

/// See the module.
pub struct LiveChanges<S: Beside> {
    shared: Arc<S>,
    follower: Arc<Follower<S::Adopted>>,
    following: Following<S>,
    histories: u64,
}

impl<S: Beside> LiveChanges<S> {
    /// Follows what comes after the number `after`.
    pub fn new(shared: &Arc<S>, follower: &Arc<Follower<S::Adopted>>, after: u64) -> Result<Self> {
        // From here on. What the caller read before, from whichever history, is the caller's affair.
        let histories = follower.histories();
        let following = Following::new(shared, after)?;
        Ok(LiveChanges { shared: shared.clone(), follower: follower.clone(), following, histories })
    }
}

impl<S: Beside> Follow for LiveChanges<S> {
    fn next_piece(&mut self, piece: &mut Piece, most: Option<Duration>) -> Result<Got> {
        self.shared.check_may_wait()?;
        let deadline = most.and_then(|most| Instant::now().checked_add(most));
        let mut pause = LOOKS_AFTER.0;
        loop {
            self.check_open()?;
            let makings = self.follower.makings();
            if !self.follower.is_up_to_date() {
                self.shared.follow(&self.follower)?;
            }
            let at = self.following.at();
            let got = self.following.next_piece(piece, Some(Duration::ZERO))?;
            // Numbers are given again where a disk has lost the end of the log.
            if self.follower.histories() != self.histories {
                piece.clear();
                return Ok(Got::Gap);
            }
            // The reader may have closed the files of the log, to open them anew, while this looked for the number: then it is no gap.
            if got == Got::Gap && self.follower.makings() != makings {
                self.following = Following::new(&self.shared, at)?;
                continue;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if got != Got::Nothing || left.is_some_and(|left| left.is_zero()) {
                return Ok(got);
            }
            // Ends when the store is being closed.
            Beside::signal(self.shared.as_ref()).pause(left.map_or(pause, |left| left.min(pause)));
            pause = (pause * 2).min(LOOKS_AFTER.1);
        }
    }

    fn at(&self) -> u64 {
        self.following.at()
    }

    fn rest(&mut self) {
        self.following.rest();
    }

    fn check_open(&self) -> Result<()> {
        self.following.check_open()
    }
}
