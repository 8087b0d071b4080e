//! What a test knows of a store's time: it lies between two bounds, which are equal as long as nobody sets the wall clock.
//!
//! A store's time follows the monotonic clock, and the wall clock where that is ahead; it never goes back within a life
//! of the store, and after a crash no further than to what the log tells.

use std::time::{SystemTime, UNIX_EPOCH};

/// From the earliest to the latest moment that something may be at, in milliseconds; both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub earliest: u64,
    pub latest: u64,
}

impl Span {
    pub fn at(moment: u64) -> Span {
        Span { earliest: moment, latest: moment }
    }

    /// The span, so many milliseconds later.
    pub fn later(self, by: u64) -> Span {
        Span { earliest: self.earliest.saturating_add(by), latest: self.latest.saturating_add(by) }
    }

    /// How long it is from this to `end`, at least and at most.
    pub fn until(self, end: Span) -> Span {
        Span {
            earliest: end.earliest.saturating_sub(self.latest),
            latest: end.latest.saturating_sub(self.earliest),
        }
    }

    pub fn contains(self, moment: u64) -> bool {
        self.earliest <= moment && moment <= self.latest
    }
}

/// A store may look at no precise clock for so long after the wall clock was set back.
const LATE: u64 = 1_000;
/// The wall clock may be so much behind the last time stamp without being taken for one that was set back.
const BEHIND: u64 = 50;
/// The cheap reading of the simulated clock is so much older than the precise one.
const COARSE: u64 = 3;
/// A machine's wall clock is kept right by steps that are smaller than this while a test runs, and a test that waits for a processor
/// looks at it so much too late.
const CORRECTED: u64 = 60_000;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: u64,
    /// The store's time, without what the wall clock said that it may not have looked at.
    store: Span,
    /// Not later than the latest time that the log tells.
    logged: u64,
    /// So much too early a store may take its time to be, and for how long yet.
    late_by: u64,
    late_for: u64,
    /// The machine's clocks, that no test sets.
    is_real: bool,
}

impl Clock {
    /// That of a simulated machine, and of a store that knows no time but its.
    pub fn simulated(wall: u64) -> Clock {
        Clock { wall, store: Span::at(wall), logged: 0, late_by: 0, late_for: 0, is_real: false }
    }

    /// That of this machine. What happens does not depend on how long it takes if what expires does so at once or much later.
    pub fn real() -> Clock {
        let mut clock = Clock { is_real: true, ..Clock::simulated(0) };
        clock.look();
        clock
    }

    /// Time has gone by on a real machine; on others nothing happens.
    pub fn look(&mut self) {
        if self.is_real {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
            self.wall = since.as_millis() as u64;
            self.store = Span { earliest: self.wall - CORRECTED, latest: self.wall + CORRECTED };
        }
    }

    /// When something expires that has so long to live.
    pub fn expiry(&self, ttl_ms: u64) -> Span {
        if self.is_real && ttl_ms == 0 { Span::at(0) } else { self.now().later(ttl_ms) }
    }

    /// The store's time as it answers a call now.
    pub fn now(&self) -> Span {
        // A store adds what two clocks say, each rounded down to a millisecond: on a real machine it may be one behind the wall.
        let wall = self.wall - u64::from(self.is_real);
        Span {
            earliest: self.store.earliest.max(wall).saturating_sub(self.late_by),
            latest: self.store.latest.max(self.wall),
        }
    }

    /// Whether there is only one answer to what the store's time is.
    pub fn is_exact(&self) -> bool {
        let now = self.now();
        now.earliest == now.latest
    }

    /// Time goes by.
    pub fn advance(&mut self, ms: u64) {
        self.wall += ms;
        self.store = self.store.later(ms);
        self.late_for = self.late_for.saturating_sub(ms);
        if self.late_for == 0 {
            self.late_by = 0;
        }
    }

    /// The wall clock is set, forward or back.
    pub fn set(&mut self, by_ms: i64) {
        let to = set_by(self.wall, by_ms);
        if to < self.wall {
            self.late_by = self.late_by.max(self.wall - to + LATE);
            self.late_for = self.late_for.max(self.late_by);
        }
        // The store may have looked at it before, or not.
        self.store.latest = self.store.latest.max(self.wall).max(to);
        self.wall = to;
    }

    /// A record was written, and says when.
    pub fn stamped(&mut self) {
        let now = self.now();
        self.store.earliest = self.store.earliest.max(self.wall.saturating_sub(COARSE));
        // The wall clock will do as a time stamp where it is ahead of the last one.
        let is_behind = self.wall + BEHIND < self.logged;
        let stamp = if is_behind { now.earliest } else { self.wall.saturating_sub(COARSE) };
        self.logged = self.logged.max(stamp);
    }

    /// The store said that what expires then has expired; the log knows.
    pub fn told(&mut self, expired: Span) {
        self.store.earliest = self.store.earliest.max(expired.earliest);
        self.logged = self.logged.max(expired.earliest);
    }

    /// The process was killed and the store opened.
    pub fn killed(&mut self) {
        self.store = Span { earliest: self.logged.max(self.wall), latest: self.now().latest };
        self.late_by = 0;
    }

    /// Power was cut and the store opened: what the log told may be lost.
    pub fn cut(&mut self) {
        self.logged = 0;
        self.killed();
    }
}

/// What the wall clock says after it was set.
pub fn set_by(wall: u64, by_ms: i64) -> u64 {
    wall.saturating_add_signed(by_ms).max(1_000)
}
