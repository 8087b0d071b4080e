//! WATCH: who wants to know whether a key was changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::{DATABASES, Key};

/// A client's: true once a key that it watches was changed.
pub type Flag = Arc<AtomicBool>;

/// Who watches which keys.
#[derive(Default)]
pub struct Watches {
    /// How many keys are watched: nobody looks further where it is 0.
    count: AtomicUsize,
    by_key: Mutex<HashMap<Key, Vec<Flag>>>,
}

impl Watches {
    /// Watches a key. For who holds its lock.
    pub fn add(&self, key: &Key, flag: &Flag) {
        let mut by_key = self.by_key.lock();
        let flags = by_key.entry(key.clone()).or_default();
        if !flags.iter().any(|other| Arc::ptr_eq(other, flag)) {
            flags.push(flag.clone());
        }
        self.count.store(by_key.len(), Ordering::SeqCst);
    }

    /// Ends the watch of a key of this name, in whatever place it is by now.
    pub fn remove(&self, name: &[u8], flag: &Flag) {
        let mut by_key = self.by_key.lock();
        for place in 0..DATABASES as u8 {
            let mut key = Key::from_slice(&[place]);
            key.extend_from_slice(name);
            if let Some(flags) = by_key.get_mut(&key) {
                flags.retain(|other| !Arc::ptr_eq(other, flag));
                if flags.is_empty() {
                    by_key.remove(&key);
                }
            }
        }
        self.count.store(by_key.len(), Ordering::SeqCst);
    }

    /// The databases in two places were exchanged: who watches a key of one of them watches what it has become. For who holds all locks.
    pub fn swap(&self, places: [u8; 2]) {
        let mut by_key = self.by_key.lock();
        let moved: Vec<_> =
            by_key.extract_if(|key, _| key.first().is_some_and(|at| places.contains(at))).collect();
        for (mut key, flags) in moved {
            if let Some(place) = key.first_mut() {
                *place = if *place == places[0] { places[1] } else { places[0] };
            }
            by_key.insert(key, flags);
        }
    }

    /// A key was changed. For who holds its lock.
    #[inline]
    pub fn touch(&self, key: &[u8]) {
        if self.count.load(Ordering::SeqCst) > 0 {
            self.touch_now(key);
        }
    }

    #[cold]
    fn touch_now(&self, key: &[u8]) {
        for flag in self.by_key.lock().get(key).into_iter().flatten() {
            flag.store(true, Ordering::SeqCst);
        }
    }

    /// All watched keys for which this holds were changed.
    pub fn touch_if(&self, mut is_changed: impl FnMut(&Key) -> bool) {
        for (key, flags) in self.by_key.lock().iter() {
            if is_changed(key) {
                flags.iter().for_each(|flag| flag.store(true, Ordering::SeqCst));
            }
        }
    }
}
