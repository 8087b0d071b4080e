//! What an event loop does to the keys between two commits: changes are collected here, seen by the commands that follow, and written as
//! one batch.
//!
//! The locks of all keys that are changed are held until then. A batch that cannot be written changes nothing; all commands since the last
//! commit answer with the error then, because their replies may tell of it ([`Work::failures`]).

mod commit;

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use filedb::{Batch, Db, Error, Type};
use hashbrown::HashTable;

use super::blocked::Address;
use super::list::List;
use super::locks::Held;
use super::{Key, Keyspace};
use crate::tally::Tally;

/// Results of this module.
pub type Result<T> = filedb::Result<T>;

/// How much is collected before it is written.
const MOST_BYTES: usize = 1 << 20;
const MOST_KEYS: usize = 1024;

/// What a key has.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Whether it is a list.
    pub is_list: bool,
    /// The value of a string.
    pub value: &'a [u8],
    /// The number of elements of a list.
    pub length: u64,
    /// When it expires, in the store's time.
    pub expiry_ms: Option<u64>,
}

enum State {
    Absent,
    Value { value: Range<usize>, expiry_ms: Option<u64> },
    List(Box<List>),
}

struct Entry {
    key: Range<usize>,
    state: State,
    is_changed: bool,
    /// Whether the store may have something under the key.
    was_there: bool,
}

/// Something that happened to a key, for who listens.
pub struct Event {
    /// The kind, as a letter of `notify-keyspace-events`.
    pub class: u8,
    /// The name of the event.
    pub name: &'static str,
    /// The key as it is stored.
    pub key: Key,
}

/// A reply that another client gets.
pub struct Outgoing {
    /// The client.
    pub to: Address,
    /// The reply.
    pub bytes: Vec<u8>,
}

/// Where the reply of a command is in the output of its client.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The client's place in the loop.
    pub token: usize,
    /// In all that it was ever sent.
    pub range: Range<u64>,
}

/// See the module.
pub struct Work {
    /// What is shared.
    pub keyspace: Arc<Keyspace>,
    held: Held,
    arena: Vec<u8>,
    entries: Vec<Entry>,
    by_key: HashTable<u32>,
    hasher: foldhash::fast::FixedState,
    batch: Batch,
    now_ms: Option<u64>,
    /// EXEC is at work.
    pub is_transaction: bool,
    /// Why a part of the transaction that is at work could not be written.
    pub broken: Option<Error>,
    /// Whether somebody listens to events.
    pub has_listeners: bool,
    /// Lists that got elements in the last command.
    pub pushed: Vec<Key>,
    events: Vec<Event>,
    outgoing: Vec<Outgoing>,
    marks: Vec<Mark>,
    /// What is to be told after a commit.
    pub told: Vec<Event>,
    /// What is to be sent after a commit.
    pub sent: Vec<Outgoing>,
    /// Replies that have become wrong, and what to say instead.
    pub failures: Vec<(Mark, String)>,
    /// The number of the last batch that was written.
    pub ticket: u64,
    /// The store asks for a pause before more is written.
    pub wants_pause: bool,
    /// What this event loop counts.
    pub tally: Arc<Tally>,
    /// Whether a key that is found, or is not, counts as a hit or a miss: the command only reads.
    is_reading: bool,
    /// Reads of keys that were there, since the loop has asked.
    pub hits: u64,
    /// Reads of keys that were not there, since the loop has asked.
    pub misses: u64,
}

/// Where a value lies that is added. An empty one lies nowhere: the arena may become shorter than where it was put.
fn keep(arena: &mut Vec<u8>, value: &[u8]) -> Range<usize> {
    if value.is_empty() {
        return 0..0;
    }
    let start = arena.len();
    arena.extend_from_slice(value);
    start..arena.len()
}

impl Work {
    /// Nothing was done yet.
    pub fn new(keyspace: Arc<Keyspace>) -> Self {
        Work {
            keyspace,
            held: Held::default(),
            arena: Vec::new(),
            entries: Vec::new(),
            by_key: HashTable::new(),
            hasher: foldhash::fast::FixedState::with_seed(1),
            batch: Batch::new(),
            now_ms: None,
            is_transaction: false,
            broken: None,
            has_listeners: false,
            pushed: Vec::new(),
            events: Vec::new(),
            outgoing: Vec::new(),
            marks: Vec::new(),
            told: Vec::new(),
            sent: Vec::new(),
            failures: Vec::new(),
            ticket: 0,
            wants_pause: false,
            tally: Tally::new(),
            is_reading: false,
            hits: 0,
            misses: 0,
        }
    }

    /// The store.
    pub fn db(&self) -> &Db {
        &self.keyspace.db
    }

    /// A command begins: its time is that at which it first asks.
    #[inline]
    pub fn begin_command(&mut self) {
        self.now_ms = None;
        if self.arena.len() > MOST_BYTES || self.entries.len() > MOST_KEYS {
            self.commit();
        }
    }

    /// As [`Work::begin_command`], for who holds the locks of several commands: nothing is written in between.
    #[inline]
    pub fn begin_command_at_once(&mut self, is_reading: bool) {
        self.is_reading = is_reading;
        // A transaction has one time.
        if !self.is_transaction {
            self.now_ms = None;
        }
    }

    /// The store's time, the same throughout a command.
    pub fn now_ms(&mut self) -> Result<u64> {
        if let Some(now_ms) = self.now_ms {
            return Ok(now_ms);
        }
        let now_ms = self.db().now_ms()?;
        self.now_ms = Some(now_ms);
        Ok(now_ms)
    }

    /// Whether nothing waits to be written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Holds the locks of these keys from now on. What was collected may be written first.
    pub fn lock<'a>(&mut self, keys: impl Iterator<Item = &'a [u8]> + Clone) {
        let locks = &self.keyspace.locks;
        if keys.clone().all(|key| locks.try_add(key, &mut self.held)) {
            return;
        }
        self.commit();
        self.keyspace.locks.wait_for(keys, &mut self.held);
    }

    /// Holds the lock of one more key, if nobody else does.
    pub fn try_lock(&mut self, key: &[u8]) -> bool {
        self.keyspace.locks.try_add(key, &mut self.held)
    }

    /// Holds all locks.
    pub fn lock_all(&mut self) {
        if !self.held.is_all() {
            self.commit();
            self.keyspace.locks.wait_for_all(&mut self.held);
        }
    }

    fn position(&self, key: &[u8]) -> Option<usize> {
        if self.entries.is_empty() {
            return None;
        }
        let hash = self.hasher.hash_one(key);
        let is_it = |at: &u32| {
            self.entries.get(*at as usize).is_some_and(|entry| self.arena[entry.key.clone()] == *key)
        };
        self.by_key.find(hash, is_it).map(|at| *at as usize)
    }

    fn insert(&mut self, key: &[u8], state: State, was_there: bool) -> usize {
        let start = self.arena.len();
        self.arena.extend_from_slice(key);
        let at = self.entries.len();
        self.entries.push(Entry { key: start..start + key.len(), state, is_changed: false, was_there });
        let (arena, entries, hasher) = (&self.arena, &self.entries, &self.hasher);
        let hash_of = |at: &u32| {
            entries.get(*at as usize).map_or(0, |entry| hasher.hash_one(&arena[entry.key.clone()]))
        };
        self.by_key.insert_unique(hasher.hash_one(key), at as u32, hash_of);
        at
    }

    /// A key was looked up that a client wants to read.
    #[inline]
    pub fn count_read(&mut self, is_there: bool) {
        if is_there {
            self.hits += 1;
        } else {
            self.misses += 1;
        }
    }

    /// Shows what a key has to `look`, and counts that where the command only reads.
    pub fn find<R>(&mut self, key: &[u8], look: impl FnOnce(Option<Found<'_>>) -> R) -> Result<R> {
        if self.is_reading { self.read(key, look) } else { self.peek(key, look) }
    }

    /// Shows what a key has to `look`, and counts that.
    pub fn read<R>(&mut self, key: &[u8], look: impl FnOnce(Option<Found<'_>>) -> R) -> Result<R> {
        let (is_there, result) = self.peek(key, |found| (found.is_some(), look(found)))?;
        self.count_read(is_there);
        Ok(result)
    }

    /// Shows what a key has to `look`.
    pub fn peek<R>(&mut self, key: &[u8], look: impl FnOnce(Option<Found<'_>>) -> R) -> Result<R> {
        if let Some(at) = self.position(key) {
            return self.show(at, look);
        }
        self.wait_for_writers(key);
        let (mut look, mut result) = (Some(look), None);
        self.keyspace.db.look(key, |seen| {
            let found = Found {
                is_list: seen.holds == Type::List,
                value: seen.value,
                length: seen.length,
                expiry_ms: seen.expiry_ms,
            };
            result = look.take().map(|look| look(Some(found)));
        })?;
        match (result, look) {
            (Some(result), _) => Ok(result),
            (None, Some(look)) => Ok(look(None)),
            (None, None) => Err(Error::Closed),
        }
    }

    /// Whether reads of the store itself may see a batch half.
    #[inline]
    pub fn must_wait(&self) -> bool {
        self.keyspace.writing_many.load(Ordering::SeqCst) > 0
    }

    /// How many batches were begun that change more than one key.
    #[inline]
    pub fn many_begun(&self) -> u64 {
        self.keyspace.many_begun.load(Ordering::SeqCst)
    }

    /// Returns when no batch of others that has this key is half seen.
    #[inline]
    fn wait_for_writers(&mut self, key: &[u8]) {
        while self.must_wait() && !self.keyspace.locks.try_add(key, &mut self.held) {
            std::thread::yield_now();
        }
    }

    fn show<R>(&mut self, at: usize, look: impl FnOnce(Option<Found<'_>>) -> R) -> Result<R> {
        let now_ms = self.now_ms()?;
        let is_over = |expiry_ms: Option<u64>| expiry_ms.is_some_and(|at| at <= now_ms);
        let found = self.entries.get(at).and_then(|entry| match &entry.state {
            State::Absent => None,
            State::Value { value, expiry_ms } => (!is_over(*expiry_ms)).then(|| Found {
                is_list: false,
                value: &self.arena[value.clone()],
                length: 0,
                expiry_ms: *expiry_ms,
            }),
            State::List(list) => (!is_over(list.expiry_ms)).then(|| Found {
                is_list: true,
                value: &[],
                length: list.len(),
                expiry_ms: list.expiry_ms,
            }),
        });
        Ok(look(found))
    }

    /// The entry of a key, as it is in the store where nothing was done to it yet. For who holds its lock.
    fn load(&mut self, key: &[u8]) -> Result<usize> {
        if let Some(at) = self.position(key) {
            let is_over = self.show(at, |found| found.is_none())?;
            if is_over && let Some(entry) = self.entries.get_mut(at) {
                entry.state = State::Absent;
            }
            return Ok(at);
        }
        let (mut state, mut was_there) = (State::Absent, false);
        let arena = &mut self.arena;
        self.keyspace.db.look(key, |seen| {
            was_there = true;
            state = match seen.holds {
                Type::List => State::List(Box::new(List::stored(seen.length, seen.expiry_ms))),
                Type::Value => State::Value { value: keep(arena, seen.value), expiry_ms: seen.expiry_ms },
            };
        })?;
        Ok(self.insert(key, state, was_there))
    }

    #[inline]
    fn changed(&mut self, at: usize) {
        if let Some(entry) = self.entries.get_mut(at) {
            entry.is_changed = true;
            let key = &self.arena[entry.key.clone()];
            self.keyspace.watches.touch(key);
        }
        self.keyspace.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads what a key has, so that a change of it that follows does not fail. For who holds its lock.
    pub fn make_ready(&mut self, key: &[u8]) -> Result<()> {
        self.load(key).map(drop)
    }

    /// Gives a key a string, whatever it had. For who holds its lock.
    pub fn set(&mut self, key: &[u8], value: &[u8], expiry_ms: Option<u64>) {
        let at = match self.position(key) {
            Some(at) => at,
            None => self.insert(key, State::Absent, true),
        };
        // Where what it had before lies, if the new value has room there: a transaction may set a key again and again.
        let room = match self.entries.get(at).map(|entry| &entry.state) {
            Some(State::Value { value: old, .. }) if old.end == self.arena.len() => {
                self.arena.truncate(old.start);
                None
            }
            Some(State::Value { value: old, .. }) if value.len() <= old.len() => {
                Some(old.start..old.start + value.len())
            }
            _ => None,
        };
        let value = match room {
            Some(room) => {
                self.arena[room.clone()].copy_from_slice(value);
                room
            }
            None => keep(&mut self.arena, value),
        };
        if let Some(entry) = self.entries.get_mut(at) {
            entry.state = State::Value { value, expiry_ms };
        }
        self.changed(at);
    }

    /// Takes a key away. False where there was none. For who holds its lock.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool> {
        let at = self.load(key)?;
        let Some(entry) = self.entries.get_mut(at) else { return Ok(false) };
        if matches!(entry.state, State::Absent) {
            return Ok(false);
        }
        entry.state = State::Absent;
        self.changed(at);
        Ok(true)
    }

    /// Gives a key another life. False where there is no such key. For who holds its lock.
    pub fn set_expiry(&mut self, key: &[u8], new_expiry_ms: Option<u64>) -> Result<bool> {
        let at = self.load(key)?;
        let Some(entry) = self.entries.get_mut(at) else { return Ok(false) };
        match &mut entry.state {
            State::Absent => return Ok(false),
            State::Value { expiry_ms, .. } => *expiry_ms = new_expiry_ms,
            State::List(list) => list.set_expiry(new_expiry_ms),
        }
        self.changed(at);
        Ok(true)
    }

    /// Lets `change` work at a list, and takes it away where that leaves it empty. `None` where there is no such key. For who holds its lock.
    pub fn change_list<R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut List, &Db) -> Result<R>,
    ) -> Result<Option<R>> {
        let at = self.load(key)?;
        let Some(entry) = self.entries.get_mut(at) else { return Ok(None) };
        let list = match &mut entry.state {
            State::Absent => return Ok(None),
            State::Value { .. } => return Err(Error::WrongType),
            State::List(list) => list,
        };
        let result = change(list, &self.keyspace.db)?;
        if list.is_empty() {
            entry.state = State::Absent;
        }
        self.changed(at);
        Ok(Some(result))
    }

    /// As [`Work::change_list`], of a list that is made where there is none. Clients that wait for its elements are served.
    pub fn grow_list<R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut List, &Db) -> Result<R>,
    ) -> Result<Option<R>> {
        let at = self.load(key)?;
        if let Some(entry) = self.entries.get_mut(at)
            && matches!(entry.state, State::Absent)
        {
            entry.state = State::List(Box::new(List::new()));
        }
        if self.keyspace.blocked.count() > 0 {
            self.pushed.push(Key::from_slice(key));
        }
        self.change_list(key, change)
    }

    /// Shows a list to `look`; `None` where there is no such key. What `look` reads of the store is one step with what it is told: the key's
    /// lock is held. What was collected may be written first.
    pub fn look_at_list<R>(
        &mut self,
        key: &[u8],
        look: impl FnOnce(&List, &Db) -> Result<R>,
    ) -> Result<Option<R>> {
        self.lock([key].into_iter());
        if let Some(at) = self.position(key) {
            let now_ms = self.now_ms()?;
            return match self.entries.get(at).map(|entry| &entry.state) {
                Some(State::Value { expiry_ms, .. }) if expiry_ms.is_none_or(|at| at > now_ms) => {
                    Err(Error::WrongType)
                }
                Some(State::List(list)) if list.expiry_ms.is_none_or(|at| at > now_ms) => {
                    look(list, &self.keyspace.db).map(Some)
                }
                _ => Ok(None),
            };
        }
        let list = self.peek(key, |found| match found {
            Some(found) if found.is_list => Ok(Some(List::stored(found.length, found.expiry_ms))),
            Some(_) => Err(Error::WrongType),
            None => Ok(None),
        })??;
        list.map(|list| look(&list, &self.keyspace.db)).transpose()
    }

    /// Puts a whole list under a key, whatever it had. For who holds its lock.
    pub fn put_list(&mut self, key: &[u8], elements: Vec<Vec<u8>>, expiry_ms: Option<u64>) -> Result<()> {
        let at = self.load(key)?;
        if let Some(entry) = self.entries.get_mut(at) {
            let mut list = List::new();
            list.expiry_ms = expiry_ms;
            list.replace(elements);
            entry.state = if list.is_empty() { State::Absent } else { State::List(Box::new(list)) };
        }
        if self.keyspace.blocked.count() > 0 {
            self.pushed.push(Key::from_slice(key));
        }
        self.changed(at);
        Ok(())
    }

    /// Notes something that happened to a key.
    #[inline]
    pub fn notify(&mut self, class: u8, name: &'static str, key: &[u8]) {
        if self.has_listeners {
            self.events.push(Event { class, name, key: Key::from_slice(key) });
        }
    }

    /// A reply for another client, once what it tells of is written.
    pub fn send(&mut self, to: Address, bytes: Vec<u8>) {
        self.outgoing.push(Outgoing { to, bytes });
    }

    /// Where the reply of a command is, if it may tell of what is not written yet.
    #[inline]
    pub fn mark(&mut self, token: usize, range: Range<u64>) {
        if !self.entries.is_empty() {
            self.marks.push(Mark { token, range });
        }
    }
}
