//! Following the changes of a store that has a log, for both engines. The way through the log is `log/feed`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Follow, Got, Lists, Looked, Piece, Teller, Telling};
use crate::log::Position;
use crate::log::append::Log;
use crate::log::catalog::Catalog;
use crate::log::feed::{Came, Feed, Followers, Limits};
use crate::log::file::DataFile;
use crate::store::error::{Error, Result};
use crate::store::memory;
use crate::store::options::{Options, SyncMode};
use crate::sync::gate::Entered;
use crate::sync::thread::{self, NotCancelled};

/// What all who use one open store share.
pub trait Followable: Send + Sync + 'static {
    /// What stands behind the gate.
    type Engine: FollowedEngine;

    /// Goes inside the gate.
    fn enter(&self) -> Result<Entered<'_, Self::Engine>>;

    /// `Err` where the call would wait for the caller itself.
    fn check_may_wait(&self) -> Result<()>;

    /// Whether the store is being closed.
    fn is_closing(&self) -> bool;
}

/// What of following is an engine's own.
pub trait FollowedEngine: Sized {
    fn options(&self) -> &Options;
    fn log(&self) -> &Log;
    fn catalog(&self) -> &Catalog;

    /// See [`Catalog::moment`].
    fn moment(&self) -> Result<(Vec<Arc<DataFile>>, u64)> {
        if self.options().live { self.catalog().followed_moment() } else { self.catalog().moment() }
    }

    /// The number of the last record of the log that will be read, and where the log ends.
    fn settled(&self) -> (u64, Position);

    /// Returns when all that was appended before this can be read.
    fn wait_for_writers(&self);

    /// See [`Lists::list_now`].
    fn list_now(inside: &Entered<'_, Self>, key: &[u8]) -> Result<Looked>;

    /// See [`Lists::may_have_expired`].
    fn may_have_expired(&self) -> bool;
}

/// Where merges took files away, the places of so many records are gathered at once; of small files fewer, so that what is tested with small
/// files is what happens with large ones.
const GATHERED: std::ops::RangeInclusive<u64> = 16..=1 << 20;
const GATHERED_PER_FILE: u64 = 256;

/// See the module.
pub struct Following<S> {
    shared: Arc<S>,
    followers: Arc<Followers>,
    feed: Feed,
    teller: Teller,
    /// All up to this number can be read.
    bound: u64,
    /// The log ended with this number when it was looked at last.
    seen: u64,
    is_gap: bool,
    /// When it was woken last.
    woken: Option<Instant>,
}

/// Who is woken again after less than this looks a little later.
const FAST: Duration = Duration::from_micros(200);

/// For who follows: the store as it is while somebody is inside the gate.
struct Now<'a, 'b, E> {
    engine: &'a Entered<'b, E>,
    /// What has a greater number may not be durable.
    bound: u64,
}

impl<E: FollowedEngine> Lists for Now<'_, '_, E> {
    fn list_now(&self, key: &[u8]) -> Result<Looked> {
        let looked = E::list_now(self.engine, key)?;
        if let Looked::List(list) = &looked
            && list.seq > self.bound
        {
            wait_durable(&**self.engine, self.engine.log().end().1)?;
        }
        Ok(looked)
    }

    fn may_have_expired(&self) -> bool {
        self.engine.may_have_expired()
    }
}

/// With `sync=always` only what is durable is shown.
fn wait_durable(engine: &impl FollowedEngine, end: Position) -> Result<()> {
    let options = engine.options();
    if options.read_only || options.sync != SyncMode::Always {
        Ok(())
    } else {
        engine.log().wait_durable(end)
    }
}

impl<S: Followable> Following<S> {
    /// Follows what comes after the number `after`.
    pub fn new(shared: &Arc<S>, after: u64) -> Result<Self> {
        memory::room_for_more()?;
        let followers = shared.enter()?.log().followers.clone();
        let (feed, teller) = (Feed::new(after), Teller::default());
        Ok(Following {
            shared: shared.clone(),
            followers,
            feed,
            teller,
            bound: 0,
            seen: 0,
            is_gap: false,
            woken: None,
        })
    }

    /// Goes on as far as there is something; false where it came to the end of the log.
    fn go_on(&mut self, piece: &mut Piece) -> Result<bool> {
        let _not_cancelled = NotCancelled::begin();
        memory::room_for_more()?;
        let engine = self.shared.enter()?;
        while piece.is_empty() && !self.is_gap {
            if self.bound <= self.feed.at() {
                let (last, end) = engine.settled();
                if last < self.feed.at() {
                    // Another history than the one that the number is from.
                    self.is_gap = true;
                    break;
                }
                self.seen = last;
                if last == self.feed.at() {
                    return Ok(false);
                }
                wait_durable(&*engine, end)?;
                engine.wait_for_writers();
                self.bound = last;
            }
            let most = (engine.options().max_file_size / GATHERED_PER_FILE)
                .clamp(*GATHERED.start(), *GATHERED.end());
            let now = Now { engine: &engine, bound: self.bound };
            let is_closed = || self.shared.is_closing();
            let moment = || engine.moment();
            let limits =
                Limits { bound: self.bound, most: most as usize, is_closed: &is_closed, moment: &moment };
            let came = self.feed.go_on(engine.catalog(), &limits, &mut |shown| {
                let told = self.teller.tell(shown, &now, piece)?;
                self.is_gap |= told == Telling::Untold;
                Ok(!piece.is_full() && !self.is_gap)
            });
            // An error comes again, when what was told before it is given out.
            self.is_gap |= match came {
                Err(_) if !piece.is_empty() => break,
                came => came? == Came::ToAGap,
            };
        }
        Ok(true)
    }
}

impl<S: Followable> Follow for Following<S> {
    fn next_piece(&mut self, piece: &mut Piece, most: Option<Duration>) -> Result<Got> {
        self.shared.check_may_wait()?;
        let deadline = most.and_then(|most| Instant::now().checked_add(most));
        let mut is_over = most.is_some_and(|most| most.is_zero());
        loop {
            // In a child of who opened the store nothing may be locked.
            self.check_open()?;
            let turns = self.followers.turns();
            if self.go_on(piece)? {
                return Ok(if piece.is_empty() { Got::Gap } else { Got::Some });
            }
            if is_over {
                return Ok(Got::Nothing);
            }
            if !self.shared.enter()?.log().await_more_than(self.seen) {
                continue;
            }
            if !self.followers.wait(turns, deadline) {
                return Err(Error::Closed);
            }
            // Each write that is waited for costs its writer a call of the system: where they come fast, some are waited for together.
            if self.woken.replace(Instant::now()).is_some_and(|last| last.elapsed() < FAST) {
                thread::sleep(FAST / 4);
            }
            is_over = deadline.is_some_and(|deadline| deadline <= Instant::now());
        }
    }

    fn at(&self) -> u64 {
        self.feed.at()
    }

    fn rest(&mut self) {
        self.feed.rest();
    }

    fn check_open(&self) -> Result<()> {
        self.shared.enter().map(drop)
    }
}
