//! What verbs ask a server in: arguments as it takes them, requests about one key or many, and what replies mean.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Remote;
use super::call::Kind;
use super::connection::{BYTES, Deadline, NIL, NUMBER, Request, only, strange};
use super::node::Node;
use super::refusal::{detour, error_of};
use super::reply::{MAX_VALUE, Reply};
use crate::format::frame;
use crate::store::Copying;
use crate::store::error::{Error, Result};
use crate::store::memory::{self, vec_with_room};
use crate::store::write::Expiry;

/// Compares and swaps. A value that is replaced keeps its expiry.
const SWAP: &[u8] = b"\
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'table' then return value end
if ARGV[1] == '1' then if value ~= ARGV[2] then return 0 end
elseif value then return 0 end
if ARGV[3] == '1' then redis.call('SET', KEYS[1], ARGV[4], 'KEEPTTL')
elseif value then redis.call('DEL', KEYS[1]) end
return 1";

/// How long a key lives, in the words of `SET`.
pub struct Life {
    verb: &'static [u8],
    time: String,
}

impl Life {
    /// As `expiry` says; `None` for one without an end.
    pub fn new(expiry: Expiry) -> Option<Self> {
        match expiry {
            Expiry::Never => None,
            // Servers take no life of nothing, but one that ended long ago.
            Expiry::After(0) => Some(Life { verb: b"PXAT", time: "1".into() }),
            Expiry::After(ttl_ms) => Some(Life { verb: b"PX", time: ms(ttl_ms) }),
            Expiry::At(time_ms) => Some(Life { verb: b"PXAT", time: ms(time_ms.max(1)) }),
        }
    }

    /// The arguments.
    pub fn arguments(&self) -> [&[u8]; 2] {
        [self.verb, self.time.as_bytes()]
    }
}

/// Milliseconds as a server takes them: longer than 100 million years is not said.
pub fn ms(ttl_ms: u64) -> String {
    ttl_ms.min(1 << 62).to_string()
}

/// An index of a list as a server takes it. Large ones, which no list has, wrap around there.
pub fn index_text(index: i64) -> String {
    index.clamp(-(1 << 40), 1 << 40).to_string()
}

/// As [`index_text`], for `LSET`, where a server counts with 32 bits.
pub fn set_index_text(index: i64) -> String {
    index.clamp(-i64::from(i32::MAX), i64::from(i32::MAX)).to_string()
}

/// `Err` for a value that a server does not take.
pub fn check_value(value: &[u8]) -> Result<()> {
    match value.len() as u64 {
        0..=MAX_VALUE => Ok(()),
        size => Err(Error::TooLarge { what: "value", size, limit: MAX_VALUE }),
    }
}

impl Remote {
    /// One request about one key that changes nothing.
    pub(super) fn read(&self, key: &[u8], args: &[&[u8]], expects: u8) -> Result<Reply> {
        frame::check_key(key)?;
        self.check_open()?;
        self.answer(self.ask(Kind::Read, key, args, expects)?)
    }

    /// One request about one key that may change it.
    pub(super) fn change(&self, key: &[u8], args: &[&[u8]], expects: u8) -> Result<Reply> {
        self.change_and(key, args, expects, self.syncs_always)
    }

    /// As [`Remote::change`]; `is_synced` where the change is to be durable before the answer.
    pub(super) fn change_and(
        &self,
        key: &[u8],
        args: &[&[u8]],
        expects: u8,
        is_synced: bool,
    ) -> Result<Reply> {
        self.check_writable()?;
        frame::check_key(key)?;
        let route = self.route(key);
        let replies = self.write_and(&route, &[Request { args, expects }], is_synced)?;
        self.answer(only(replies)?)
    }

    /// A reply that is no refusal.
    pub(super) fn answer(&self, reply: Reply) -> Result<Reply> {
        match reply {
            Reply::Error(said) => Err(error_of(&said, &self.name)),
            reply => Ok(reply),
        }
    }

    /// The value of a key.
    pub(super) fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        bytes(self.read(key, &[b"GET", key], BYTES | NIL)?)
    }

    /// Writes `desired`, or deletes the key, if it has the value that is expected. False where it has another.
    pub(super) fn swap(&self, key: &[u8], expected: Option<&[u8]>, desired: Option<&[u8]>) -> Result<bool> {
        let flag = |value: Option<&[u8]>| if value.is_some() { &b"1"[..] } else { b"0" };
        let args: [&[u8]; 8] = [
            b"EVAL",
            SWAP,
            b"1",
            key,
            flag(expected),
            expected.unwrap_or_default(),
            flag(desired),
            desired.unwrap_or_default(),
        ];
        Ok(number(self.change(key, &args, NUMBER)?)? == 1)
    }

    /// Gives a copy of what was taken out, which goes back with `put_back` where there is no room for it.
    pub(super) fn hand_over(
        &self,
        taken: Option<Vec<u8>>,
        to: &mut dyn Copying,
        put_back: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<Option<usize>> {
        let Some(value) = taken else { return Ok(None) };
        if !to.begin(value.len()) {
            put_back(&value)?;
            return Err(Error::NoMemory { bytes: value.len() as u64 });
        }
        to.copy(&value);
        Ok(Some(value.len()))
    }

    /// The same question about each of many keys: one round trip to each server that has some. What goes wrong there is tried again
    /// for each.
    pub(super) fn ask_each(
        &self,
        verb: &[u8],
        expects: u8,
        keys: &[&[u8]],
        deadline: Deadline,
    ) -> Result<Vec<Result<Reply>>> {
        let mut by_node: BTreeMap<usize, (Arc<Node>, Vec<usize>)> = BTreeMap::new();
        for (place, key) in keys.iter().enumerate() {
            if let Some(node) = self.find(&self.route(key)) {
                let of_node = by_node.entry(Arc::as_ptr(&node).addr()).or_insert_with(|| (node, Vec::new()));
                memory::push(&mut of_node.1, place)?;
            }
        }
        let mut answers: Vec<Option<Reply>> = vec_with_room(keys.len())?;
        answers.resize(keys.len(), None);
        for (node, places) in by_node.values() {
            let commands: Vec<[&[u8]; 2]> = memory::collect(
                places.iter().map(|place| [verb, keys.get(*place).copied().unwrap_or_default()]),
            )?;
            let requests: Vec<Request<'_>> =
                memory::collect(commands.iter().map(|args| Request { args, expects }))?;
            let Some(replies) = self.call_once(node, &requests, deadline)? else { continue };
            for (place, reply) in places.iter().zip(replies) {
                let is_detour = matches!(&reply, Reply::Error(said) if detour(said).is_some());
                if let Some(answer) = answers.get_mut(*place).filter(|_| !is_detour) {
                    *answer = Some(reply);
                }
            }
        }
        let mut all = vec_with_room(keys.len())?;
        all.extend(keys.iter().zip(answers).map(|(key, answer)| match answer {
            Some(reply) => Ok(reply),
            None => {
                let request = Request { args: &[verb, key], expects };
                only(self.call_until(Kind::Read, &self.route(key), &[request], deadline)?)
            }
        }));
        Ok(all)
    }
}

/// A value, or none.
pub fn bytes(reply: Reply) -> Result<Option<Vec<u8>>> {
    match reply {
        Reply::Bytes(bytes) => Ok(Some(bytes)),
        Reply::Nil => Ok(None),
        _ => Err(strange()),
    }
}

/// A number.
pub fn number(reply: Reply) -> Result<i64> {
    match reply {
        Reply::Number(number) => Ok(number),
        _ => Err(strange()),
    }
}
