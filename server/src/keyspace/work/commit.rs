//! How what was collected is written: as one batch, and what follows from that.

use std::ops::Bound;
use std::sync::atomic::Ordering;

use filedb::{Batch, Expiry, KeyRange};

use super::{MOST_BYTES, Result, State, Work};

impl Work {
    /// Writes what was collected, for who reads the store as a whole. The locks are kept. Fails where a transaction cannot go on because
    /// what it did before could not be written; who is told of it outside of one is told by the replies that it makes wrong.
    pub fn flush(&mut self) -> Result<()> {
        let held = std::mem::take(&mut self.held);
        self.commit();
        self.held = held;
        match &self.broken {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Writes all that was collected, and gives the locks up.
    pub fn commit(&mut self) {
        if self.entries.iter().any(|entry| entry.is_changed) {
            match self.write() {
                Ok(wants_pause) => {
                    self.keyspace.note_write(true);
                    self.wants_pause |= wants_pause;
                    self.ticket = self.keyspace.written.raise();
                    self.told.append(&mut self.events);
                }
                Err(error) => {
                    let text = crate::commands::fault::text_of_store(&error);
                    self.keyspace.note_write(false);
                    log::error!("a write failed: {error}");
                    self.events.clear();
                    for outgoing in &mut self.outgoing {
                        outgoing.bytes = format!("-{text}\r\n").into_bytes();
                    }
                    self.failures.extend(self.marks.drain(..).map(|mark| (mark, text.clone())));
                    if self.is_transaction {
                        self.broken = Some(error);
                    }
                }
            }
            self.batch.clear();
        }
        self.told.append(&mut self.events);
        self.sent.append(&mut self.outgoing);
        self.marks.clear();
        self.entries.clear();
        self.by_key.clear();
        self.arena.clear();
        if self.arena.capacity() > 4 * MOST_BYTES {
            (self.arena, self.batch) = (Vec::new(), Batch::new());
        }
        self.held.release();
    }

    /// Writes a batch of its own, for who holds the locks of its keys.
    pub fn write_now(&mut self, batch: &Batch) -> Result<()> {
        self.keyspace.begin_many();
        let written = self.keyspace.db.write_now(batch);
        self.keyspace.writing_many.fetch_sub(1, Ordering::SeqCst);
        self.keyspace.note_write(written.is_ok());
        self.wants_pause |= written?;
        self.keyspace.changes.fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.ticket = self.keyspace.written.raise();
        Ok(())
    }

    /// Takes all keys of a place away at once, which only a store whose keys have an order can. For who holds all locks.
    pub fn remove_place(&mut self, place: u8) -> Result<()> {
        let (from, to) = ([place], [place + 1]);
        let range = KeyRange { from: Bound::Included(&from), to: Bound::Excluded(&to), reverse: false };
        self.keyspace.begin_many();
        let removed = self.keyspace.db.delete_range(&range);
        self.keyspace.writing_many.fetch_sub(1, Ordering::SeqCst);
        self.keyspace.note_write(removed.is_ok());
        removed?;
        self.keyspace.changes.fetch_add(1, Ordering::Relaxed);
        self.ticket = self.keyspace.written.raise();
        Ok(())
    }

    fn write(&mut self) -> Result<bool> {
        let keyspace = &self.keyspace;
        for entry in self.entries.iter_mut().filter(|entry| entry.is_changed) {
            let key = &self.arena[entry.key.clone()];
            if !keyspace.databases.is_one() || key.first() != Some(&0) {
                keyspace.databases.use_place(&keyspace.db, key.first().copied().unwrap_or_default())?;
            }
            match &mut entry.state {
                State::Absent if entry.was_there => self.batch.delete(key)?,
                State::Absent => {}
                State::Value { value, expiry_ms } => {
                    let expiry = expiry_ms.map_or(Expiry::Never, Expiry::At);
                    self.batch.put_with_expiry(key, &self.arena[value.clone()], expiry)?;
                }
                State::List(list) => list.write(&keyspace.db, key, entry.was_there, &mut self.batch)?,
            }
        }
        let is_many = self.batch.len() > 1;
        if is_many {
            keyspace.begin_many();
        }
        let written = keyspace.db.write_now(&self.batch);
        if is_many {
            keyspace.writing_many.fetch_sub(1, Ordering::SeqCst);
        }
        written
    }
}
