//! Somebody who follows the changes of a store, and applies them to a map.

#![allow(clippy::unwrap_used, reason = "what fails fails the test")]

use std::collections::BTreeMap;
use std::time::Duration;

use filedb::{ChangeKind, Changed, Changes, Db, Followed, Ttl, Type};

/// Does not wait.
pub const NOW: Option<Duration> = Some(Duration::ZERO);

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// This value.
    Value(Vec<u8>),
    /// This list.
    List(Vec<Vec<u8>>),
}

/// What a key holds, and when it expires.
pub type Map = BTreeMap<Vec<u8>, (What, Option<u64>)>;

/// What a store holds.
pub fn contents(db: &Db) -> Map {
    let now = db.now_ms().unwrap();
    let mut map = Map::new();
    for key in db.list("").unwrap().iter() {
        // Where somebody writes meanwhile it may be gone, or something else.
        let what = match db.type_of(key).unwrap() {
            Some(Type::List) => match db.list_range(key, 0, -1) {
                Ok(Some(list)) => What::List(list.iter().map(<[u8]>::to_vec).collect()),
                _ => continue,
            },
            Some(Type::Value) => match db.get(key) {
                Ok(Some(value)) => What::Value(value),
                _ => continue,
            },
            None => continue,
        };
        let expiry = match db.ttl(key).unwrap() {
            Some(Ttl::Left(left)) => Some(now + left.as_millis() as u64),
            _ => None,
        };
        map.insert(key.to_vec(), (what, expiry));
    }
    map
}

/// Somebody who applies what is shown.
#[derive(Clone, Default, Debug)]
pub struct Follower {
    /// What it has.
    pub map: Map,
    /// Applied up to here.
    pub seq: u64,
}

impl Follower {
    /// A copy of a store that nobody writes to.
    pub fn copy_of(db: &Db) -> Self {
        Follower { seq: db.last_seq().unwrap(), map: contents(db) }
    }

    /// Applies a change.
    pub fn apply(&mut self, change: &Changed<'_>) {
        assert!(change.seq >= self.seq, "{} after {}", change.seq, self.seq);
        self.seq = change.seq;
        let key = change.key.to_vec();
        let is_put = matches!(change.kind, ChangeKind::Put | ChangeKind::Expiry);
        assert!(is_put || change.expiry_ms.is_none());
        match change.kind {
            ChangeKind::Put => {
                self.map.insert(key, (What::Value(change.value.to_vec()), change.expiry_ms));
            }
            ChangeKind::Delete => drop(self.map.remove(&key)),
            ChangeKind::Expiry => self.map.get_mut(&key).unwrap().1 = change.expiry_ms,
            kind => {
                let (held, _) = self.map.entry(key.clone()).or_insert((What::List(Vec::new()), None));
                let What::List(list) = held else { panic!("{change:?} is told of a value") };
                match kind {
                    ChangeKind::PushBack => list.push(change.value.to_vec()),
                    ChangeKind::PushFront => list.insert(0, change.value.to_vec()),
                    ChangeKind::PopBack => drop(list.pop().unwrap()),
                    _ => drop(list.remove(0)),
                }
                if list.is_empty() {
                    self.map.remove(&key);
                }
            }
        }
    }

    /// Applies up to so many changes. False where there is a gap.
    pub fn follow(&mut self, changes: &mut Changes, most: u64) -> bool {
        for _ in 0..most {
            match changes.next(NOW).unwrap() {
                Followed::Change(change) => self.apply(&change),
                Followed::Gap => return false,
                Followed::Timeout => {
                    // All is applied, marks too.
                    self.seq = self.seq.max(changes.seq());
                    return true;
                }
            }
        }
        true
    }

    /// What it has that has not expired.
    pub fn held(&self, now: u64) -> Map {
        let lives = |expiry: &Option<u64>| expiry.is_none_or(|at| at > now);
        self.map
            .iter()
            .filter(|(_, (_, at))| lives(at))
            .map(|(key, held)| (key.clone(), held.clone()))
            .collect()
    }
}
