//! The thread of a store that is read beside its writer: it takes over what merges of that do, and closes the files that they replaced.

use std::sync::Weak;
use std::time::{Duration, Instant};

use crate::log::live::follower::Follower;
use crate::store::changes::{Followable, FollowedEngine};
use crate::store::error::Result;
use crate::store::events::LogLevel;
use crate::sync::panics;
use crate::sync::signal::Signal;

/// The thread makes the index after this time: a program that only looks something up has ended by then, and needs none.
const SETTLED_IN: Duration = Duration::from_millis(100);
/// As long as somebody reads what changes, the manifest is looked at as often as this.
const LOOKS_EVERY: Duration = Duration::from_millis(50);
/// How often the manifest is looked at where nobody reads. Files that merges replace take disk space until then.
const LOOKS_UNASKED_EVERY: Duration = Duration::from_secs(10);

/// What the handles, the thread and the feeds of a live store share.
pub trait Beside: Followable {
    /// What is known of manifests that were taken over.
    type Adopted: Send + 'static;

    /// Returns when the store has all that was written when this was called.
    fn follow(&self, follower: &Follower<Self::Adopted>) -> Result<()>;

    /// Takes over the manifest, if the writer tells of a new one. Called from outside the gate.
    fn adopt(&self, follower: &Follower<Self::Adopted>) -> Result<()>;

    /// Wakes and stops the thread.
    fn signal(&self) -> &Signal;

    /// Whether memory is in use that a new manifest may free. Whoever fills it wakes the thread by the signal.
    fn is_full(&self) -> bool {
        false
    }

    /// Does some of what an opening left to the thread, and says whether there is more.
    fn settle_some(&self) -> bool {
        false
    }
}

/// The body of the thread that does what an opening left, takes over what merges do, and closes the files that they replaced.
pub fn keep_up<S: Beside>(shared: &Weak<S>, follower: &Follower<S::Adopted>, signal: &Signal) {
    let begun = Instant::now();
    let (mut looked, mut looked_for_others, mut nap) = (begun, begun, LOOKS_EVERY);
    while signal.sleep(nap) {
        let Some(shared) = shared.upgrade() else { return };
        let is_settled = begun.elapsed() >= SETTLED_IN;
        let more = is_settled && shared.settle_some();
        nap = if more { Duration::ZERO } else { LOOKS_EVERY };
        let is_time = looked_for_others.elapsed() >= LOOKS_EVERY;
        if !is_time && !shared.is_full() {
            continue;
        }
        if is_time {
            looked_for_others = Instant::now();
            if let Ok(engine) = shared.enter() {
                follower.look_for_others(engine.catalog().disk.as_ref());
            }
        }
        if !follower.was_asked() && looked.elapsed() < LOOKS_UNASKED_EVERY {
            continue;
        }
        looked = Instant::now();
        let adopted = panics::catch(|| shared.adopt(follower));
        let events = shared.enter().map(|engine| engine.catalog().events.clone());
        match (adopted, events) {
            // The next call of a user meets the same error, and gives it to the user.
            (Ok(Err(error)), Ok(events)) => events.log(LogLevel::Warn, || &error),
            (Err(message), Ok(events)) => events.log(LogLevel::Error, || message),
            _ => {}
        }
    }
}
