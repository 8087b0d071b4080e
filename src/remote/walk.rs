//! A walk through the keys of servers, one server after the other, by `SCAN`.
//!
//! It sees no one moment: keys that come and go meanwhile are seen or not. Those that are there all the time are seen once: a server may
//! name a key twice, so the hashes of those that were seen are kept, 16 bytes each. Where a server was started anew meanwhile its cursor
//! means nothing any more, and the walk ends with an error instead of leaving keys out. So it does where slots have got another server
//! meanwhile: their keys may have come to one that was asked before.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::Remote;
use super::call::{Kind, Route};
use super::cluster::Owners;
use super::connection::{ARRAY, BYTES, Deadline, NIL, Request, SIMPLE, strange};
use super::node::Node;
use super::refusal::error_of;
use super::reply::Reply;
use crate::disk::process;
use crate::index::{KeyHash, KeyHasher};
use crate::store::error::{Error, Result};
use crate::store::iter::{Row, Walk};
use crate::store::memory::{self, vec_with_room};
use crate::store::pinned::{Pinned, Rows};
use crate::store::value::Type;

/// A server looks at about so many keys for one answer.
const LOOKED_AT: &[u8] = b"1000";
/// Values are fetched so many at a time, fewer where they are large.
const MOST_FETCHED: usize = 256;
/// What is fetched at a time is to be about so many bytes.
const FETCHED_BYTES: usize = 4 << 20;

/// A walk.
pub struct RemoteWalk {
    remote: Arc<Remote>,
    prefix: Vec<u8>,
    pattern: Vec<u8>,
    /// The servers that are left, the one that is asked last.
    nodes: Vec<Arc<Node>>,
    /// Who had which slots at the beginning; `None` before it.
    owners: Option<Owners>,
    is_over: bool,
    /// Where that goes on; empty at its beginning.
    cursor: Vec<u8>,
    /// Which run of the server the cursor belongs to.
    run: Vec<u8>,
    hasher: KeyHasher,
    seen: HashSet<KeyHash>,
    /// Keys that were named and not given yet.
    keys: VecDeque<Vec<u8>>,
    /// Rows that were fetched and not given yet: key and value one behind the other.
    rows: VecDeque<(Vec<u8>, usize, Type)>,
    fetched: usize,
}

impl RemoteWalk {
    /// Through the keys that begin with `prefix`.
    pub fn new(remote: Arc<Remote>, prefix: &[u8]) -> Result<Self> {
        let secret = process::random_bytes::<16>()
            .map_err(|why| Error::io("get random bytes from", "/dev/urandom".as_ref(), &why))?;
        let mut pattern = vec_with_room(2 * prefix.len() + 1)?;
        for byte in prefix {
            if b"*?[]\\^".contains(byte) {
                pattern.push(b'\\');
            }
            pattern.push(*byte);
        }
        pattern.push(b'*');
        let mut own = vec_with_room(prefix.len())?;
        own.extend_from_slice(prefix);
        Ok(RemoteWalk {
            nodes: Vec::new(),
            owners: None,
            is_over: false,
            remote,
            prefix: own,
            pattern,
            cursor: Vec::new(),
            run: Vec::new(),
            hasher: KeyHasher::new(&secret),
            seen: HashSet::new(),
            keys: VecDeque::new(),
            rows: VecDeque::new(),
            fetched: 16,
        })
    }

    /// Asks until there are keys. False behind the last.
    fn find_keys(&mut self) -> Result<bool> {
        self.remote.check_open()?;
        if self.owners.is_none() {
            self.owners = Some(self.remote.owners_now()?);
            self.nodes = self.remote.servers.primaries();
        }
        while self.keys.is_empty() {
            let Some(node) = self.nodes.last().cloned() else {
                if !self.is_over && self.owners != Some(self.remote.owners_now()?) {
                    let message = "slots of the cluster have moved while its keys were being looked through; begin again";
                    return Err(Error::Connection { message: message.into() });
                }
                self.is_over = true;
                return Ok(false);
            };
            let (cursor, page) = self.page(&node)?;
            for key in page {
                let Reply::Bytes(key) = key else { return Err(strange()) };
                let no_memory = |_| Error::NoMemory { bytes: key.len() as u64 };
                self.keys.try_reserve(1).map_err(no_memory)?;
                self.seen
                    .try_reserve(1)
                    .map_err(|_| Error::NoMemory { bytes: size_of::<KeyHash>() as u64 })?;
                if key.starts_with(&self.prefix) && self.seen.insert(self.hasher.hash(&key)) {
                    self.keys.push_back(key);
                }
            }
            self.cursor = cursor;
            if self.cursor == b"0" {
                self.nodes.pop();
                self.cursor.clear();
                self.run.clear();
            }
        }
        Ok(true)
    }

    /// The next page of a server's keys, and the cursor behind it.
    fn page(&mut self, node: &Arc<Node>) -> Result<(Vec<u8>, Vec<Reply>)> {
        let is_first = self.cursor.is_empty();
        let cursor = if is_first { b"0" } else { self.cursor.as_slice() };
        let args = [&b"SCAN"[..], cursor, b"COUNT", LOOKED_AT, b"MATCH", &self.pattern];
        let requests = [
            Request { args: &[b"INFO", b"server"], expects: BYTES },
            Request { args: &args, expects: ARRAY },
        ];
        let mut replies = self.remote.call(Kind::Read, &Route::Node(node.clone()), &requests)?.into_iter();
        let (about, page) = (replies.next().ok_or_else(strange)?, replies.next().ok_or_else(strange)?);
        let run = match &about {
            Reply::Bytes(about) => run_of(about),
            // A server that does not say it is taken for the one that it was.
            _ => &[],
        };
        if is_first {
            self.run = memory::copy_of(run)?;
        } else if run != self.run {
            let message = "the server was started anew while its keys were being looked through; begin again";
            return Err(Error::Connection { message: message.into() });
        }
        let parts = match page {
            Reply::Array(parts) => parts,
            Reply::Error(said) => return Err(error_of(&said, &self.remote.name)),
            _ => return Err(strange()),
        };
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next()) {
            (Some(Reply::Bytes(cursor)), Some(Reply::Array(keys))) => Ok((cursor, keys)),
            _ => Err(strange()),
        }
    }

    /// Fetches rows until there are some. False behind the last.
    fn find_rows(&mut self) -> Result<bool> {
        self.remote.check_open()?;
        while self.rows.is_empty() {
            if !self.find_keys()? {
                return Ok(false);
            }
            let count = self.keys.len().min(self.fetched);
            let keys: Vec<&[u8]> = memory::collect(self.keys.iter().take(count).map(Vec::as_slice))?;
            let deadline = Deadline::after(self.remote.timeout);
            let values = self.remote.ask_each(b"GET", BYTES | NIL, &keys, deadline)?;
            let (mut rows, mut others, mut bytes) = (VecDeque::new(), Vec::new(), 0);
            rows.try_reserve(count).map_err(|_| Error::NoMemory { bytes: count as u64 })?;
            for (key, value) in keys.iter().zip(values) {
                match value? {
                    Reply::Bytes(value) => {
                        bytes += value.len();
                        rows.push_back(row(key, &value, Type::Value)?);
                    }
                    // It was there a moment ago.
                    Reply::Nil => {}
                    Reply::Error(said) if said.starts_with(b"WRONGTYPE") => memory::push(&mut others, *key)?,
                    Reply::Error(said) => return Err(error_of(&said, &self.remote.name)),
                    _ => return Err(strange()),
                }
            }
            for (key, holds) in others.iter().zip(self.remote.ask_each(b"TYPE", SIMPLE, &others, deadline)?) {
                // What is neither value nor list is none of ours.
                if holds? == Reply::Simple(b"list".to_vec()) {
                    rows.push_back(row(key, b"", Type::List)?);
                }
            }
            self.fetched = match bytes {
                0..FETCHED_BYTES => (self.fetched * 2).min(MOST_FETCHED),
                _ => (self.fetched / 2).max(1),
            };
            self.keys.drain(..count);
            self.rows = rows;
        }
        Ok(true)
    }
}

/// What distinguishes a run of a server from every other one.
fn run_of(about: &[u8]) -> &[u8] {
    let mut lines = about.split(|byte| *byte == b'\n');
    lines.find_map(|line| line.strip_prefix(b"run_id:")).map(<[u8]>::trim_ascii_end).unwrap_or_default()
}

fn row(key: &[u8], value: &[u8], holds: Type) -> Result<(Vec<u8>, usize, Type)> {
    let mut bytes = vec_with_room(key.len() + value.len())?;
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    Ok((bytes, key.len(), holds))
}

impl Walk for RemoteWalk {
    fn next_row(&mut self) -> Result<Option<Row>> {
        if !self.find_rows()? {
            return Ok(None);
        }
        let Some((bytes, key_len, holds)) = self.rows.pop_front() else { return Ok(None) };
        Ok(Some(Row { bytes: Pinned::owned(bytes)?, key_len, holds }))
    }

    fn next_rows(&mut self, most: usize, most_copied: usize, rows: &mut Rows) -> Result<bool> {
        for _ in 0..most {
            if rows.copied_bytes() >= most_copied {
                break;
            }
            if !self.find_rows()? {
                return Ok(false);
            }
            let Some((bytes, key_len, holds)) = self.rows.front() else { return Ok(false) };
            let (key, value) = bytes.split_at_checked(*key_len).unwrap_or((bytes, &[]));
            rows.push_copy(key, value, *holds)?;
            self.rows.pop_front();
        }
        Ok(true)
    }

    fn for_each(&mut self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        while self.find_rows()? {
            let Some((bytes, key_len, _)) = self.rows.pop_front() else { break };
            let (key, value) = bytes.split_at(key_len);
            if !visit(key, value) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn for_each_key(&mut self, visit: &mut dyn FnMut(&[u8]) -> bool) -> Result<bool> {
        while self.find_keys()? {
            let Some(key) = self.keys.pop_front() else { break };
            if !visit(&key) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn seek(&mut self, _: &[u8]) -> Result<()> {
        self.remote.check_open()?;
        Err(Error::no_order("go to one of them"))
    }

    fn check_open(&self) -> Result<()> {
        self.remote.check_open()
    }
}
