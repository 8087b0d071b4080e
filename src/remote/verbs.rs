//! The verbs of [`Store`], each in the words of the server.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::Remote;
use super::asking::{Life, bytes, check_value, index_text, ms, number, set_index_text};
use super::call::{Kind, Route, Servers};
use super::cluster::slot_of;
use super::connection::{ARRAY, BYTES, Deadline, NIL, NUMBER, Request, SIMPLE, only, strange};
use super::refusal::{detour, unsupported};
use super::reply::Reply;
use super::walk::RemoteWalk;
use crate::disk::Disk;
use crate::format::frame;
use crate::store::backup::{BackupOptions, BackupProgress};
use crate::store::batch::Batch;
use crate::store::capabilities::Capabilities;
use crate::store::changes::Follow;
use crate::store::error::{Error, Result};
use crate::store::iter::{KeyList, Walk};
use crate::store::memory::vec_with_room;
use crate::store::pinned::Pinned;
use crate::store::range::KeyRange;
use crate::store::stats::{FileStats, MergeProgress, Stats};
use crate::store::value::{Change, End, Seen, Shown, Type, incremented};
use crate::store::write::{Expiry, PutOptions, Ttl, millis};
use crate::store::{Copying, Store};

/// How many keys are asked for at once.
const ASKED_AT_ONCE: usize = 256;

impl Store for Remote {
    fn capabilities(&self) -> Result<Capabilities> {
        self.check_open()?;
        let mut can = Capabilities::default();
        if matches!(self.servers, Servers::One(_)) {
            can = can | Capabilities::BATCH;
        }
        if self.can_sync {
            can = can | Capabilities::SYNC;
        }
        Ok(can)
    }

    fn close(&self) -> Result<()> {
        self.shut()
    }

    fn poison(&self, reason: &str) {
        if self.check_open().is_ok() {
            self.poison.lock().get_or_insert_with(|| reason.to_owned());
        }
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.put_with(key, value, &PutOptions::default()).map(drop)
    }

    fn put_with(&self, key: &[u8], value: &[u8], options: &PutOptions) -> Result<bool> {
        self.check_writable()?;
        if options.sync {
            self.check_can_sync()?;
        }
        frame::check_key(key)?;
        check_value(value)?;
        let life = options.ttl.and_then(|ttl| Life::new(Expiry::After(millis(ttl))));
        let mut args: Vec<&[u8]> = vec_with_room(7)?;
        args.extend([b"SET", key, value]);
        args.extend(life.as_ref().into_iter().flat_map(Life::arguments));
        if options.if_absent {
            args.push(b"NX");
        }
        if options.if_present {
            args.push(b"XX");
        }
        if options.keep_ttl {
            args.push(b"KEEPTTL");
        }
        let reply = self.change_and(key, &args, SIMPLE | NIL, options.sync || self.syncs_always)?;
        Ok(reply != Reply::Nil)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        Ok(number(self.change(key, &[b"DEL", key], NUMBER)?)? == 1)
    }

    fn write(&self, batch: &Batch) -> Result<()> {
        self.check_writable()?;
        self.write_batch(batch)
    }

    fn copy(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        let Some(value) = self.value(key)? else { return Ok(None) };
        if to.begin(value.len()) {
            to.copy(&value);
        }
        Ok(Some(value.len()))
    }

    fn show(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = self.value(key)?;
        Ok(value.map(|value| visit(&value)).is_some())
    }

    fn get_pinned(&self, key: &[u8]) -> Result<Option<Pinned>> {
        self.value(key)?.map(Pinned::owned).transpose()
    }

    fn get_many(&self, keys: &[&[u8]], out: &mut Vec<Result<Option<Pinned>>>) -> Result<()> {
        self.check_open()?;
        let no_memory = |_| Error::NoMemory { bytes: size_of_val(keys) as u64 };
        out.try_reserve(keys.len()).map_err(no_memory)?;
        let deadline = Deadline::after(self.timeout);
        for keys in keys.chunks(ASKED_AT_ONCE) {
            let mut sound: Vec<&[u8]> = vec_with_room(keys.len())?;
            sound.extend(keys.iter().filter(|key| frame::check_key(key).is_ok()));
            let mut replies = self.ask_each(b"GET", BYTES | NIL, &sound, deadline)?.into_iter();
            out.extend(keys.iter().map(|key| {
                frame::check_key(key)?;
                let reply = replies.next().ok_or_else(strange)?;
                bytes(self.answer(reply?)?)?.map(Pinned::owned).transpose()
            }));
        }
        Ok(())
    }

    fn exists(&self, key: &[u8]) -> Result<bool> {
        Ok(number(self.read(key, &[b"EXISTS", key], NUMBER)?)? == 1)
    }

    fn walk(&self, prefix: &[u8]) -> Result<Box<dyn Walk>> {
        self.check_open()?;
        Ok(Box::new(RemoteWalk::new(self.shared()?, prefix)?))
    }

    fn walk_range(&self, _: &KeyRange<'_>) -> Result<Box<dyn Walk>> {
        self.check_open()?;
        Err(Error::no_order("walk through a range of them"))
    }

    fn delete_range(&self, _: &KeyRange<'_>) -> Result<()> {
        self.check_open()?;
        Err(Error::no_order("delete a range of them"))
    }

    fn count(&self) -> Result<u64> {
        self.check_open()?;
        self.size()
    }

    fn ttl(&self, key: &[u8]) -> Result<Option<Ttl>> {
        Ok(match number(self.read(key, &[b"PTTL", key], NUMBER)?)? {
            -2 => None,
            -1 => Some(Ttl::Forever),
            left => Some(Ttl::Left(Duration::from_millis(u64::try_from(left).map_err(|_| strange())?))),
        })
    }

    fn set_ttl(&self, key: &[u8], ttl_ms: Option<u64>) -> Result<bool> {
        if let Some(ttl_ms) = ttl_ms {
            return Ok(number(self.change(key, &[b"PEXPIRE", key, ms(ttl_ms).as_bytes()], NUMBER)?)? == 1);
        }
        self.check_writable()?;
        frame::check_key(key)?;
        // A key that lives for ever is one as well.
        let requests = [
            Request { args: &[b"PERSIST", key], expects: NUMBER },
            Request { args: &[b"EXISTS", key], expects: NUMBER },
        ];
        let replies = self.write_synced(&self.route(key), &requests)?;
        let mut is_there = false;
        for reply in replies {
            is_there |= number(self.answer(reply)?)? == 1;
        }
        Ok(is_there)
    }

    fn sync(&self) -> Result<()> {
        self.check_writable().or_else(|error| match error {
            Error::ReadOnly => Ok(()),
            error => Err(error),
        })?;
        if self.is_read_only {
            return Ok(());
        }
        self.check_can_sync()?;
        self.sync_all()
    }

    fn merge(&self, _: &mut dyn FnMut(&MergeProgress) -> ControlFlow<()>) -> Result<bool> {
        self.check_writable()?;
        unsupported("a server takes the space of what is dead back by itself; there is nothing to merge")
    }

    fn stats(&self) -> Result<Stats> {
        Ok(Stats { keys: self.count()?, ..Stats::default() })
    }

    fn file_stats(&self) -> Result<Vec<FileStats>> {
        self.check_open()?;
        Ok(Vec::new())
    }

    fn write_hints(&self) -> Result<()> {
        self.check_writable()?;
        unsupported("the files of a server are its own; hints are for stores in directories")
    }

    fn write_now(&self, batch: &Batch) -> Result<bool> {
        self.write(batch).map(|()| false)
    }

    fn pause(&self) -> Result<()> {
        self.check_open()
    }

    fn check_can_backup(&self) -> Result<()> {
        self.only_here()
    }

    fn backup(
        &self,
        _: Arc<dyn Disk>,
        _: &BackupOptions,
        _: &mut dyn FnMut(&BackupProgress) -> ControlFlow<()>,
    ) -> Result<bool> {
        self.only_here()
    }

    fn identity(&self) -> Result<[u8; 16]> {
        self.only_here()
    }

    fn written_seq(&self) -> Result<u64> {
        self.only_here()
    }

    fn last_seq(&self) -> Result<u64> {
        self.only_here()
    }

    fn changes(&self, _: u64) -> Result<Box<dyn Follow>> {
        self.only_here()
    }

    fn now_ms(&self) -> Result<u64> {
        self.only_here()
    }

    fn look(&self, _: &[u8], _: &mut dyn FnMut(Seen<'_>)) -> Result<bool> {
        self.only_here()
    }

    fn read_many(&self, _: &[&[u8]], _: &mut dyn FnMut(Shown<'_>)) -> Result<()> {
        self.only_here()
    }

    fn scan(&self, _: u64, _: usize, _: &mut dyn FnMut(&[u8], Type)) -> Result<Option<u64>> {
        self.only_here()
    }

    fn type_of(&self, key: &[u8]) -> Result<Option<Type>> {
        match self.read(key, &[b"TYPE", key], SIMPLE)? {
            Reply::Simple(name) => match name.as_slice() {
                b"none" => Ok(None),
                b"string" => Ok(Some(Type::Value)),
                b"list" => Ok(Some(Type::List)),
                _ => unsupported(
                    "the key holds something that is neither a value nor a list, such as a hash or a set",
                ),
            },
            _ => Err(strange()),
        }
    }

    fn push(&self, key: &[u8], value: &[u8], end: End) -> Result<u64> {
        self.check_writable()?;
        frame::check_key(key)?;
        check_value(value)?;
        let verb: &[u8] = if end == End::Back { b"RPUSH" } else { b"LPUSH" };
        u64::try_from(number(self.change(key, &[verb, key, value], NUMBER)?)?).map_err(|_| strange())
    }

    fn pop(&self, key: &[u8], end: End, to: &mut dyn Copying) -> Result<Option<usize>> {
        let verb: &[u8] = if end == End::Back { b"RPOP" } else { b"LPOP" };
        let taken = bytes(self.change(key, &[verb, key], BYTES | NIL)?)?;
        self.hand_over(taken, to, |value| self.push(key, value, end).map(drop))
    }

    fn list_move(
        &self,
        from: (&[u8], End),
        to: (&[u8], End),
        out: &mut dyn Copying,
    ) -> Result<Option<usize>> {
        self.check_writable()?;
        frame::check_key(from.0)?;
        frame::check_key(to.0)?;
        let route = self.route(from.0);
        if let (Servers::Cluster(_), Route::Slot(slot)) = (&self.servers, &route)
            && slot_of(to.0) != *slot
        {
            return unsupported(
                "a cluster moves an element only between lists that one server has: those with the same text in braces, such as \
                 {jobs}:waiting and {jobs}:running; nothing was moved",
            );
        }
        let name = |end: End| if end == End::Back { &b"RIGHT"[..] } else { b"LEFT" };
        let args = [&b"LMOVE"[..], from.0, to.0, name(from.1), name(to.1)];
        let moved = bytes(self.change(from.0, &args, BYTES | NIL)?)?;
        // It is in the other list then, where it can be looked up.
        self.hand_over(moved, out, |_| Ok(()))
    }

    fn list_length(&self, key: &[u8]) -> Result<Option<u64>> {
        let length = number(self.read(key, &[b"LLEN", key], NUMBER)?)?;
        Ok(u64::try_from(length).ok().filter(|length| *length > 0))
    }

    fn list_get(&self, key: &[u8], index: i64) -> Result<Option<Vec<u8>>> {
        bytes(self.read(key, &[b"LINDEX", key, index_text(index).as_bytes()], BYTES | NIL)?)
    }

    fn list_set(&self, key: &[u8], index: i64, value: &[u8]) -> Result<bool> {
        self.check_writable()?;
        frame::check_key(key)?;
        check_value(value)?;
        let index = set_index_text(index);
        let requests = [Request { args: &[b"LSET", key, index.as_bytes(), value], expects: SIMPLE }];
        match only(self.write_synced(&self.route(key), &requests)?)? {
            Reply::Error(said) if said == b"ERR no such key" || said == b"ERR index out of range" => {
                Ok(false)
            }
            reply => self.answer(reply).map(|_| true),
        }
    }

    fn list_range(&self, key: &[u8], first: i64, last: i64) -> Result<Option<KeyList>> {
        frame::check_key(key)?;
        self.check_open()?;
        let (first, last) = (index_text(first), index_text(last));
        let requests = [
            Request { args: &[b"LRANGE", key, first.as_bytes(), last.as_bytes()], expects: ARRAY },
            Request { args: &[b"EXISTS", key], expects: NUMBER },
        ];
        let mut replies = self.call(Kind::Read, &self.route(key), &requests)?.into_iter();
        let (values, is_there) = (replies.next().ok_or_else(strange)?, replies.next().ok_or_else(strange)?);
        let Reply::Array(values) = self.answer(values)? else { return Err(strange()) };
        // A list may be there and have none of these.
        if values.is_empty() && number(self.answer(is_there)?)? == 0 {
            return Ok(None);
        }
        let mut list = KeyList::with_room(values.len() as u64)?;
        for value in values {
            list.push(&bytes(value)?.ok_or_else(strange)?)?;
        }
        Ok(Some(list))
    }

    fn get_delete(&self, key: &[u8], to: &mut dyn Copying) -> Result<Option<usize>> {
        let taken = bytes(self.change(key, &[b"GETDEL", key], BYTES | NIL)?)?;
        let options = PutOptions { if_absent: true, ..PutOptions::default() };
        self.hand_over(taken, to, |value| self.put_with(key, value, &options).map(drop))
    }

    fn compare_and_swap(&self, key: &[u8], expected: Option<&[u8]>, desired: Option<&[u8]>) -> Result<bool> {
        self.check_writable()?;
        frame::check_key(key)?;
        check_value(desired.unwrap_or_default())?;
        // What no server has is not sent to one.
        if expected.is_some_and(|expected| check_value(expected).is_err()) {
            return Ok(false);
        }
        self.swap(key, expected, desired)
    }

    fn increment(&self, key: &[u8], by: i64) -> Result<i64> {
        self.check_writable()?;
        frame::check_key(key)?;
        let text = by.to_string();
        let requests = [Request { args: &[b"INCRBY", key, text.as_bytes()], expects: NUMBER }];
        match only(self.write_synced(&self.route(key), &requests)?)? {
            // Servers know fewer ways to write a number, and say overflow in their own words.
            Reply::Error(said) if said.starts_with(b"ERR ") && detour(&said).is_none() => {
                let mut sum = Err(strange());
                self.update(key, &mut |value| {
                    let number = incremented(value, by)?;
                    sum = Ok(number);
                    Ok(Change::Put(number.to_string().into_bytes()))
                })?;
                sum
            }
            reply => number(self.answer(reply)?),
        }
    }

    /// Nobody is kept away meanwhile: what was decided for a value that has changed since is decided again.
    fn update(&self, key: &[u8], change: &mut dyn FnMut(Option<&[u8]>) -> Result<Change>) -> Result<()> {
        self.check_writable()?;
        loop {
            let value = self.value(key)?;
            let is_done = match change(value.as_deref())? {
                Change::Keep => true,
                Change::Delete if value.is_none() => true,
                Change::Delete => self.swap(key, value.as_deref(), None)?,
                Change::Put(desired) => {
                    check_value(&desired)?;
                    self.swap(key, value.as_deref(), Some(&desired))?
                }
            };
            if is_done {
                return Ok(());
            }
        }
    }
}

impl Remote {
    /// The answer of a verb that only stores on this machine have.
    fn only_here<T>(&self) -> Result<T> {
        self.check_open()?;
        unsupported("only a store in a directory or in memory can do this")
    }
}
