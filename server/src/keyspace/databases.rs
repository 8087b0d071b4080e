//! Which of the numbers that SELECT takes is which place in the store. SWAPDB changes that, and nothing else.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use filedb::{Db, Result};

use super::{DATABASES, OWN};

/// The server's own key that says so; absent as long as database 0 alone was used.
const KEY: &[u8] = &[OWN, b'd', b'b'];

/// See the module.
pub struct Databases {
    places: [AtomicU8; DATABASES],
    /// Whether other places than the first may have keys.
    others: AtomicU8,
    /// How often two were exchanged. For who has looked a place up before it holds the lock of a key in it.
    swaps: AtomicU64,
}

impl Databases {
    /// As the store says.
    pub fn load(db: &Db) -> Result<Self> {
        let said = db.get(KEY)?;
        let place = |n: usize| {
            let said = said.as_ref().and_then(|said| said.get(n)).copied();
            said.filter(|place| usize::from(*place) < DATABASES).unwrap_or(n as u8)
        };
        Ok(Databases {
            places: std::array::from_fn(|n| AtomicU8::new(place(n))),
            others: AtomicU8::new(u8::from(said.is_some())),
            swaps: AtomicU64::new(0),
        })
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

    /// Notes that keys are to be written to a place, before that is done.
    pub fn use_place(&self, db: &Db, place: u8) -> Result<()> {
        if place != 0 && self.is_one() {
            self.save(db)?;
        }
        Ok(())
    }

    fn save(&self, db: &Db) -> Result<()> {
        let places: Vec<u8> = self.places.iter().map(|place| place.load(Ordering::Relaxed)).collect();
        db.put(KEY, &places)?;
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
        exchange();
        self.swaps.fetch_add(1, Ordering::SeqCst);
        self.save(db).inspect_err(|_| exchange())
    }
}
