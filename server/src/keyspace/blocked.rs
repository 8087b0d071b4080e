//! Clients that wait for elements of lists, in the order in which they came.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::Key;

/// What a client wants that waits.
#[derive(Clone, Debug)]
pub enum Wish {
    /// An element, with the name of its list.
    Pop {
        /// From the front.
        front: bool,
    },
    /// Up to so many elements, with the name of their list.
    PopMany {
        /// From the front.
        front: bool,
        /// The most of them.
        count: u64,
    },
    /// Nothing: the client sleeps.
    Sleep,
    /// The number of keys of a database.
    Count,
    /// A batch on the disk.
    Durable {
        /// The number of the batch.
        ticket: u64,
    },
    /// An element that goes into another list.
    Move {
        /// The other list.
        to: Key,
        /// Taken from the front.
        from_front: bool,
        /// Added in front.
        to_front: bool,
    },
}

impl Wish {
    /// Whether what is given is gone elsewhere: nobody may be given it who is not there any more.
    pub fn takes_elements(&self) -> bool {
        matches!(self, Wish::Pop { .. } | Wish::PopMany { .. } | Wish::Move { .. })
    }
}

/// A client that waits.
#[derive(Debug)]
pub struct Waiter {
    /// The client's event loop, its place there, and its number.
    pub address: Address,
    /// The lists, as they are stored.
    pub keys: Vec<Key>,
    /// What it wants of them.
    pub wish: Wish,
    /// Whether it speaks version 3.
    pub is_resp3: bool,
    /// Somebody has decided what becomes of it: gave it an element, or ended the wait.
    decided: AtomicBool,
}

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The event loop.
    pub event_loop: usize,
    /// The place in it.
    pub token: usize,
    /// The client's number, which is never used again.
    pub client: u64,
}

impl Waiter {
    /// A client that is about to wait.
    pub fn new(address: Address, keys: Vec<Key>, wish: Wish, is_resp3: bool) -> Self {
        Waiter { address, keys, wish, is_resp3, decided: AtomicBool::new(false) }
    }

    /// True for the one that decides what becomes of it.
    pub fn decide(&self) -> bool {
        !self.decided.swap(true, Ordering::SeqCst)
    }

    fn is_decided(&self) -> bool {
        self.decided.load(Ordering::SeqCst)
    }
}

/// See the module.
#[derive(Default)]
pub struct Blocked {
    /// How many clients wait: nobody looks further where it is 0.
    count: AtomicUsize,
    by_key: Mutex<HashMap<Key, VecDeque<Arc<Waiter>>>>,
    /// The clients that wait for the disk.
    for_disk: Mutex<Vec<Arc<Waiter>>>,
    has_ended: AtomicBool,
}

impl Blocked {
    /// Nobody waits any more, and nobody is served: the server ends.
    pub fn end(&self) {
        let _by_key = self.by_key.lock();
        self.has_ended.store(true, Ordering::SeqCst);
    }

    /// Lets a client wait. False where nobody may any more. For who holds the locks of its lists.
    pub fn add(&self, waiter: &Arc<Waiter>) -> bool {
        let mut by_key = self.by_key.lock();
        if self.has_ended.load(Ordering::SeqCst) {
            return false;
        }
        self.count.fetch_add(1, Ordering::SeqCst);
        if matches!(waiter.wish, Wish::Durable { .. }) {
            self.for_disk.lock().push(waiter.clone());
        }
        for key in &waiter.keys {
            let queue = by_key.entry(key.clone()).or_default();
            if !queue.back().is_some_and(|last| Arc::ptr_eq(last, waiter)) {
                queue.push_back(waiter.clone());
            }
        }
        true
    }

    /// Takes a client out that was decided about.
    pub fn remove(&self, waiter: &Arc<Waiter>) {
        self.count.fetch_sub(1, Ordering::SeqCst);
        if matches!(waiter.wish, Wish::Durable { .. }) {
            self.for_disk.lock().retain(|other| !Arc::ptr_eq(other, waiter));
        }
        let mut by_key = self.by_key.lock();
        for key in &waiter.keys {
            if let Some(queue) = by_key.get_mut(key) {
                queue.retain(|other| !Arc::ptr_eq(other, waiter));
                if queue.is_empty() {
                    by_key.remove(key);
                }
            }
        }
    }

    /// The number of clients that wait.
    #[inline]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// The client that waits longest for a list.
    pub fn first(&self, key: &[u8]) -> Option<Arc<Waiter>> {
        let by_key = self.by_key.lock();
        if self.has_ended.load(Ordering::SeqCst) {
            return None;
        }
        by_key.get(key)?.iter().find(|waiter| !waiter.is_decided()).cloned()
    }

    /// The wait of a client, for elements or for the disk.
    pub fn of_client(&self, client: u64) -> Option<Arc<Waiter>> {
        let is_it = |waiter: &&Arc<Waiter>| waiter.address.client == client && !waiter.is_decided();
        let for_disk = self.for_disk.lock().iter().find(is_it).cloned();
        for_disk.or_else(|| self.by_key.lock().values().flatten().find(is_it).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_the_disk_is_found_and_who_is_only_asleep_is_not() {
        let blocked = Blocked::default();
        let waiter = |client, wish| {
            let address = Address { event_loop: 0, token: 0, client };
            Arc::new(Waiter::new(address, Vec::new(), wish, false))
        };
        let waiters =
            [waiter(1, Wish::Durable { ticket: 7 }), waiter(2, Wish::Sleep), waiter(3, Wish::Count)];
        assert!(waiters.iter().all(|waiter| blocked.add(waiter)));
        let found = |client| blocked.of_client(client).map(|waiter| waiter.address.client);
        assert_eq!([found(1), found(2), found(3)], [Some(1), None, None]);
        waiters.iter().for_each(|waiter| blocked.remove(waiter));
        assert!(found(1).is_none() && blocked.count() == 0);
    }
}
