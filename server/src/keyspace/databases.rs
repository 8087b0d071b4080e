//! Which of the numbers that SELECT takes is which place in the store. SWAPDB changes that, and nothing else.
//!
//! Who follows the changes and goes on behind some number must be told the exchanges since then, and no others. So the store
//! remembers the last of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use filedb::{Db, Result};
use parking_lot::Mutex;

use super::{DATABASES, OWN};

/// The server's own key that says so; absent as long as database 0 alone was used.
const KEY: &[u8] = &[OWN, b'd', b'b'];

/// How many exchanges are remembered.
const REMEMBERED: usize = 1024;
/// What one takes in the store.
const SWAP_SIZE: usize = 10;

/// The place of each database.
type Places = [u8; DATABASES];

/// Two databases that were exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Swap {
    /// All that was changed up to this number came before.
    after: u64,
    first: u8,
    second: u8,
}

/// The exchanges that are remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct History {
    /// All behind this number are.
    since: u64,
    swaps: Vec<Swap>,
}

/// The exchanges behind some number, for who is told them one after the other.
///
/// They are those that are remembered. The log does not have all of them: merges drop what `KEY` was before.
pub struct Exchanges {
    /// Where the databases are, after those that were told.
    places: Places,
    coming: VecDeque<Swap>,
    /// The exchanges after which the store was changed with a number below this are known.
    known: u64,
    /// [`Databases::swaps`], when they were looked up.
    swaps: u64,
}

impl Exchanges {
    /// The next one that came before the change with the number `seq`: its own number, and the databases.
    pub fn next_before(&mut self, seq: u64) -> Option<(u64, u8, u8)> {
        let Swap { after, first, second } = *self.coming.front().filter(|swap| swap.after < seq)?;
        self.coming.pop_front();
        self.places.swap(usize::from(first), usize::from(second));
        Some((after.saturating_add(1), first.min(second), first.max(second)))
    }

    /// The number that the database in a place has now.
    pub fn number(&self, place: u8) -> Option<u8> {
        self.places.iter().position(|at| *at == place).map(|number| number as u8)
    }
}

/// See the module.
pub struct Databases {
    places: [AtomicU8; DATABASES],
    /// Whether other places than the first may have keys.
    others: AtomicU8,
    /// How often two were exchanged. For who has looked a place up before it holds the lock of a key in it.
    swaps: AtomicU64,
    /// Held while two are exchanged.
    history: Mutex<History>,
}

/// The places that a value of [`KEY`] says; those that it does not say are as at first.
fn places_in(value: &[u8]) -> Places {
    std::array::from_fn(|n| {
        let said = value.get(n).copied();
        said.filter(|place| usize::from(*place) < DATABASES).unwrap_or(n as u8)
    })
}

impl History {
    /// What stands behind the places; `None` where servers wrote it that remembered nothing.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (since, swaps) = bytes.split_first_chunk()?;
        let swap = |bytes: &[u8]| {
            let (after, databases) = bytes.split_first_chunk()?;
            let [first, second] = databases else { return None };
            let is_right = [first, second].iter().all(|it| usize::from(**it) < DATABASES);
            is_right.then_some(Swap { after: u64::from_le_bytes(*after), first: *first, second: *second })
        };
        let swaps = swaps.chunks(SWAP_SIZE).map(swap).collect::<Option<_>>()?;
        Some(History { since: u64::from_le_bytes(*since), swaps })
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.since.to_le_bytes());
        for Swap { after, first, second } in &self.swaps {
            bytes.extend(after.to_le_bytes());
            bytes.extend([*first, *second]);
        }
    }

    /// The number below which exchanges are remembered, or forgotten for ever: that of the first change of the store after them.
    fn known(&self) -> u64 {
        self.swaps.last().map_or(self.since, |swap| swap.after.saturating_add(1))
    }

    fn add(&mut self, swap: Swap) {
        if self.swaps.len() >= REMEMBERED {
            // It came before the one behind it.
            self.swaps.remove(0);
            self.since = self.swaps.first().map_or(swap.after, |next| next.after);
        }
        self.swaps.push(swap);
    }
}

impl Databases {
    /// As the store says.
    pub fn load(db: &Db) -> Result<Self> {
        let said = db.get(KEY)?;
        let places = places_in(said.as_deref().unwrap_or_default());
        let history = match &said {
            None => Some(History::default()),
            Some(said) => said.get(DATABASES..).and_then(History::decode),
        };
        let is_new = history.is_none();
        let databases = Databases {
            places: places.map(AtomicU8::new),
            others: AtomicU8::new(u8::from(said.is_some())),
            swaps: AtomicU64::new(0),
            history: Mutex::new(history.unwrap_or_default()),
        };
        if is_new {
            let mut history = databases.history.lock();
            history.since = db.last_seq()?;
            databases.save(db, &history)?;
        }
        Ok(databases)
    }

    /// The first byte of the keys of a database.
    #[inline]
    pub fn place(&self, database: u8) -> u8 {
        match self.places.get(usize::from(database)) {
            Some(place) => place.load(Ordering::Relaxed),
            None => database,
        }
    }

    /// How often two databases were exchanged.
    #[inline]
    pub fn swaps(&self) -> u64 {
        self.swaps.load(Ordering::SeqCst)
    }

    /// The number of the database in a place.
    pub fn number(&self, place: u8) -> u8 {
        let found = self.places.iter().position(|at| at.load(Ordering::Relaxed) == place);
        found.map_or(place, |number| number as u8)
    }

    /// Whether all keys are in the first place.
    pub fn is_one(&self) -> bool {
        self.others.load(Ordering::Acquire) == 0
    }

    /// The exchanges behind the number `seq`; `None` where nobody remembers them. Who has nothing (`seq` is 0) is given places from
    /// which the exchanges that are remembered lead to those of today.
    pub fn exchanges_behind(&self, seq: u64) -> Option<Exchanges> {
        self.exchanges_of(&self.history.lock(), seq)
    }

    /// The number of the last change, which may not be on the disk yet, and the exchanges behind it.
    pub fn now(&self, db: &Db) -> Result<(u64, Exchanges)> {
        let history = self.history.lock();
        let seq = db.written_seq()?;
        let exchanges = self.exchanges_of(&history, seq);
        // What is remembered goes up to now, whatever the store says.
        let (places, swaps) = (self.all(), self.swaps());
        let now = || Exchanges { places, coming: VecDeque::new(), known: seq.saturating_add(1), swaps };
        Ok((seq, exchanges.unwrap_or_else(now)))
    }

    /// Adds exchanges that came since these were looked up. False where some are forgotten already.
    pub fn look_again(&self, exchanges: &mut Exchanges) -> bool {
        if self.swaps() == exchanges.swaps {
            return true;
        }
        let history = self.history.lock();
        exchanges.swaps = self.swaps();
        if history.since > exchanges.known {
            return false;
        }
        let known = exchanges.known;
        exchanges.coming.extend(history.swaps.iter().filter(|swap| swap.after >= known));
        exchanges.known = history.known().max(known);
        true
    }

    fn exchanges_of(&self, history: &History, seq: u64) -> Option<Exchanges> {
        let places = self.places_of(history, seq)?;
        let coming = history.swaps.iter().filter(|swap| swap.after >= seq).copied().collect();
        Some(Exchanges { places, coming, known: history.known(), swaps: self.swaps() })
    }

    fn all(&self) -> Places {
        std::array::from_fn(|n| self.place(n as u8))
    }

    fn places_of(&self, history: &History, seq: u64) -> Option<Places> {
        if seq != 0 && seq < history.since {
            return None;
        }
        let mut places = self.all();
        for swap in history.swaps.iter().rev().take_while(|swap| swap.after >= seq) {
            places.swap(usize::from(swap.first), usize::from(swap.second));
        }
        Some(places)
    }

    /// Notes that keys are to be written to a place, before that is done.
    pub fn use_place(&self, db: &Db, place: u8) -> Result<()> {
        if place != 0 && self.is_one() {
            self.save(db, &self.history.lock())?;
        }
        Ok(())
    }

    fn save(&self, db: &Db, history: &History) -> Result<()> {
        let mut value = self.all().to_vec();
        history.encode(&mut value);
        db.put(KEY, &value)?;
        self.others.store(1, Ordering::Release);
        Ok(())
    }

    /// Exchanges two databases. For who holds all locks.
    pub fn swap(&self, db: &Db, first: u8, second: u8) -> Result<()> {
        let (Some(one), Some(other)) =
            (self.places.get(usize::from(first)), self.places.get(usize::from(second)))
        else {
            return Ok(());
        };
        let exchange = || {
            let place = one.load(Ordering::Relaxed);
            one.store(other.load(Ordering::Relaxed), Ordering::Relaxed);
            other.store(place, Ordering::Relaxed);
        };
        let mut history = self.history.lock();
        let mut with_this = history.clone();
        with_this.add(Swap { after: db.written_seq()?, first, second });
        exchange();
        self.swaps.fetch_add(1, Ordering::SeqCst);
        self.save(db, &with_this).inspect_err(|_| exchange())?;
        *history = with_this;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Db {
        Db::open("memory://", &filedb::Options::default()).unwrap()
    }

    fn places_at(databases: &Databases, seq: u64) -> Option<Places> {
        databases.exchanges_behind(seq).map(|exchanges| exchanges.places)
    }

    const AT_FIRST: Places = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    #[test]
    fn where_databases_were_is_known_for_each_number_also_after_the_store_was_opened_again() {
        let db = store();
        let mut databases = Databases::load(&db).unwrap();
        let mut expected = vec![(0, AT_FIRST)];
        for n in 0..40 {
            db.put([n], "v").unwrap();
            expected.push((db.last_seq().unwrap(), expected.last().unwrap().1));
            if n % 3 == 0 {
                databases.swap(&db, n % 5, n % 7).unwrap();
                let (seq, now) = databases.now(&db).unwrap();
                assert_eq!(now.places, databases.all());
                expected.push((seq, now.places));
            }
            if n % 10 == 9 {
                databases = Databases::load(&db).unwrap();
            }
            for (seq, places) in &expected {
                assert_eq!(places_at(&databases, *seq), Some(*places), "behind {seq}, after {n}");
            }
        }
    }

    #[test]
    fn exchanges_are_told_before_the_change_that_came_after_them_and_come_to_who_has_begun_already() {
        let db = store();
        let databases = Databases::load(&db).unwrap();
        db.put("a", "1").unwrap();
        databases.swap(&db, 1, 0).unwrap();
        let mut from_first = databases.exchanges_behind(1).unwrap();
        db.put("b", "2").unwrap();
        databases.swap(&db, 2, 3).unwrap();
        assert!(databases.look_again(&mut from_first));
        assert_eq!(from_first.next_before(1), None);
        assert_eq!(from_first.next_before(3), Some((2, 0, 1)));
        assert_eq!((from_first.number(0), from_first.number(2)), (Some(1), Some(2)));
        assert_eq!(from_first.next_before(3), None);
        assert_eq!(from_first.next_before(4), Some((4, 2, 3)));
        assert_eq!(from_first.places, databases.all());
        let mut behind = databases.exchanges_behind(2).unwrap();
        assert_eq!((behind.next_before(9), behind.next_before(9)), (Some((4, 2, 3)), None));
        (0..=REMEMBERED).for_each(|_| databases.swap(&db, 4, 5).unwrap());
        assert!(!databases.look_again(&mut from_first), "one is forgotten that was not told");
    }

    #[test]
    fn what_was_before_the_exchanges_that_are_remembered_nobody_knows() {
        let db = store();
        let databases = Databases::load(&db).unwrap();
        db.put("a", "1").unwrap();
        let before = db.last_seq().unwrap();
        for _ in 0..REMEMBERED {
            databases.swap(&db, 1, 2).unwrap();
        }
        assert_eq!(places_at(&databases, before), Some(AT_FIRST));
        databases.swap(&db, 1, 2).unwrap();
        assert_eq!(places_at(&databases, before), None);
        assert!(places_at(&databases, before + 1).is_some());
        assert!(places_at(&databases, 0).is_some(), "who has nothing needs to know nothing of it");
    }

    #[test]
    fn a_table_that_remembers_nothing_or_is_not_one_is_taken_as_it_is() {
        for rest in [&[][..], &[1; 7], &[1; 12], &[200; 18]] {
            let db = store();
            let mut value = AT_FIRST.to_vec();
            value.swap(3, 4);
            value.extend(rest);
            db.put(KEY, &value).unwrap();
            let (databases, seq) = (Databases::load(&db).unwrap(), db.last_seq().unwrap());
            assert_eq!((databases.place(3), databases.place(4)), (4, 3));
            assert!(places_at(&databases, seq).is_some());
            assert_eq!(places_at(&Databases::load(&db).unwrap(), seq), places_at(&databases, seq));
            assert_eq!(db.last_seq().unwrap(), seq, "it is written once");
        }
    }
}
