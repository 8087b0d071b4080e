//! Batches: one transaction, or, where a list is changed, one script, because a transaction of the server's goes on behind
//! a command that meets the wrong type.

use super::Remote;
use super::asking::{Life, set_index_text};
use super::call::{Kind, Route, Servers};
use super::cluster::slot_of;
use super::connection::{ARRAY, NUMBER, Request, SIMPLE, strange};
use super::refusal::{error_of, shown, unsupported};
use super::reply::{MAX_VALUE, Reply};
use crate::store::batch::{Batch, Operation, Verb};
use crate::store::error::{Error, Result};
use crate::store::memory::vec_with_room;
use crate::store::value::End;

/// Goes through the batch twice: first it finds out what each key will hold when its operation comes, and whether that can be done; then
/// it does all of it. A server whose memory is full still takes what needs none, so it is asked first, by a write of nothing, whether it takes the
/// rest. Answers 1, or why nothing was done: -1 for the wrong type, -2 for no list, -3 for no element.
const SCRIPT: &[u8] = b"\
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local states = {}
for i, key in ipairs(KEYS) do
  local verb, value, more = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  local state = states[key]
  if not state then
    state = {holds = redis.call('TYPE', key).ok, length = 0}
    if state.holds == 'list' then state.length = redis.call('LLEN', key) end
    states[key] = state
  end
  if verb == 'delete' then state.holds = 'none'
  elseif verb == 'put' or verb == 'PX' or verb == 'PXAT' then state.holds = 'string'
  elseif state.holds ~= 'none' and state.holds ~= 'list' then return -1
  elseif verb == 'LPUSH' or verb == 'RPUSH' then
    state.length = (state.holds == 'list' and state.length or 0) + 1
    state.holds = 'list'
  elseif state.holds == 'none' then return -2
  elseif verb == 'LPOP' or verb == 'RPOP' then
    state.length = state.length - 1
    if state.length == 0 then state.holds = 'none' end
  elseif verb == 'set' then
    local index = tonumber(more)
    if index < 0 then index = index + state.length end
    if index < 0 or index >= state.length then return -3 end
  end
end
for i, key in ipairs(KEYS) do
  local verb = ARGV[3 * i - 2]
  if verb ~= 'delete' and verb ~= 'LPOP' and verb ~= 'RPOP' and verb ~= 'expire' then
    local asked = redis.pcall('SETRANGE', key, 0, '')
    if type(asked) == 'table' and asked.err and string.sub(asked.err, 1, 3) == 'OOM' then return asked end
    break
  end
end
local over = {}
for i, key in ipairs(KEYS) do
  local verb, value, more = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  -- A life that is over ends behind the batch, for what the batch does to the list later is done to that one.
  if verb == 'put' or verb == 'PX' or verb == 'PXAT' or verb == 'delete' or verb == 'expire' then over[key] = nil end
  if verb == 'put' then redis.call('SET', key, value)
  elseif verb == 'PX' or verb == 'PXAT' then redis.call('SET', key, value, verb, more)
  elseif verb == 'delete' then redis.call('DEL', key)
  elseif verb == 'LPUSH' or verb == 'RPUSH' then redis.call(verb, key, value)
  elseif verb == 'LPOP' or verb == 'RPOP' then
    redis.call(verb, key)
    if redis.call('EXISTS', key) == 0 then over[key] = nil end
  elseif verb == 'set' then redis.call('LSET', key, more, value)
  elseif value == 'PXAT' and tonumber(more) <= now then over[key] = true
  elseif value == 'PX' then redis.call('PEXPIRE', key, more)
  elseif value == 'PXAT' then redis.call('PEXPIREAT', key, more)
  else redis.call('PERSIST', key) end
end
for key in pairs(over) do redis.call('DEL', key) end
return 1";

impl Remote {
    /// Does what a batch says, all or nothing.
    pub fn write_batch(&self, batch: &Batch) -> Result<()> {
        let operations: Vec<Operation<'_>> = {
            let mut all = vec_with_room(batch.len())?;
            all.extend(batch.operations());
            all
        };
        let Some(first) = operations.first() else { return Ok(()) };
        let route = self.route(first.key);
        if let (Servers::Cluster(_), Route::Slot(slot)) = (&self.servers, &route)
            && operations.iter().any(|operation| slot_of(operation.key) != *slot)
        {
            return unsupported(
                "a cluster takes a batch only if one server has all of its keys: those with the same text in braces, such as \
                 {user1}:name and {user1}:mail; nothing was written",
            );
        }
        if let Some(operation) = operations.iter().find(|operation| operation.value.len() as u64 > MAX_VALUE)
        {
            let size = operation.value.len() as u64;
            return Err(Error::TooLarge { what: "value", size, limit: MAX_VALUE });
        }
        if batch.has_lists() {
            self.run_script(&operations, &route)
        } else {
            self.transact(&operations, &route)
        }
    }

    fn transact(&self, operations: &[Operation<'_>], route: &Route) -> Result<()> {
        let lives = lives(operations)?;
        let mut commands: Vec<Vec<&[u8]>> = vec_with_room(operations.len())?;
        for (operation, life) in operations.iter().zip(&lives) {
            let mut command: Vec<&[u8]> = vec_with_room(5)?;
            match operation.verb {
                Verb::Put { .. } => {
                    command.extend([b"SET", operation.key, operation.value]);
                    command.extend(life.as_ref().into_iter().flat_map(Life::arguments));
                }
                _ => command.extend([&b"DEL"[..], operation.key]),
            }
            commands.push(command);
        }
        let mut requests = vec_with_room(commands.len() + 3)?;
        requests.push(Request { args: &[b"MULTI"], expects: SIMPLE });
        requests.extend(commands.iter().map(|args| Request { args, expects: SIMPLE }));
        requests.push(Request { args: &[b"EXEC"], expects: ARRAY });
        let replies = self.write_synced(route, &requests)?;
        if let Some((Reply::Error(said), others)) = replies.split_first()
            && others.iter().any(|reply| refusal(reply).is_none())
        {
            // It has begun transactions before, and now did what was to be one.
            let message = format!(
                "the server began no transaction, and parts of the batch were written: {}",
                shown(said)
            );
            return Err(Error::Connection { message });
        }
        // The refusal of a command comes before that of the whole, and says why.
        if let Some(said) = replies.iter().find_map(refusal) {
            return Err(error_of(said, &self.name));
        }
        match replies.last() {
            Some(Reply::Array(done)) if done.len() == operations.len() => match done.iter().find_map(refusal)
            {
                Some(said) => Err(error_of(said, &self.name)),
                None => Ok(()),
            },
            _ => Err(strange()),
        }
    }

    fn run_script(&self, operations: &[Operation<'_>], route: &Route) -> Result<()> {
        let lives = lives(operations)?;
        let count = operations.len().to_string();
        let mut indices: Vec<String> = vec_with_room(operations.len())?;
        indices.extend(operations.iter().map(|operation| match operation.verb {
            Verb::Set(index) => set_index_text(index),
            _ => String::new(),
        }));
        let mut args: Vec<&[u8]> = vec_with_room(3 + 4 * operations.len())?;
        args.extend([b"EVAL", SCRIPT, count.as_bytes()]);
        args.extend(operations.iter().map(|operation| operation.key));
        for ((operation, life), index) in operations.iter().zip(&lives).zip(&indices) {
            let life = life.as_ref().map_or([&b""[..], b""], Life::arguments);
            let put = if life[0].is_empty() { b"put" } else { life[0] };
            args.extend(match operation.verb {
                Verb::Put { .. } => [put, operation.value, life[1]],
                Verb::Delete => [&b"delete"[..], b"", b""],
                Verb::Push(End::Back) => [b"RPUSH", operation.value, b""],
                Verb::Push(End::Front) => [b"LPUSH", operation.value, b""],
                Verb::Pop(End::Back) => [&b"RPOP"[..], b"", b""],
                Verb::Pop(End::Front) => [&b"LPOP"[..], b"", b""],
                Verb::Set(_) => [b"set", operation.value, index.as_bytes()],
                Verb::Expire(_) => [b"expire", life[0], life[1]],
            });
        }
        let requests = [Request { args: &args, expects: NUMBER }];
        match self.write_synced(route, &requests)?.first() {
            Some(Reply::Number(1)) => Ok(()),
            Some(Reply::Number(-1)) => Err(Error::WrongType),
            Some(Reply::Number(-2)) => Err(Error::invalid("a batch changes a list that is not there")),
            Some(Reply::Number(-3)) => Err(Error::invalid("a batch sets an element that is not there")),
            Some(Reply::Error(said)) => Err(error_of(said, &self.name)),
            _ => Err(strange()),
        }
    }

    /// Sends a write, and, where every write is to be durable, asks for that too.
    pub fn write_synced(&self, route: &Route, requests: &[Request<'_>]) -> Result<Vec<Reply>> {
        self.write_and(route, requests, self.syncs_always)
    }

    /// As [`Remote::write_synced`], durable if `is_synced`.
    pub fn write_and(&self, route: &Route, requests: &[Request<'_>], is_synced: bool) -> Result<Vec<Reply>> {
        if !is_synced {
            return self.call(Kind::Write, route, requests);
        }
        let time = self.sync_time();
        let args: [&[u8]; 4] = [b"WAITAOF", b"1", b"0", time.as_bytes()];
        let mut all: Vec<Request<'_>> = vec_with_room(requests.len() + 1)?;
        all.extend_from_slice(requests);
        all.push(Request { args: &args, expects: ARRAY });
        let mut replies = self.call(Kind::Write, route, &all)?;
        let synced = replies.pop();
        // What was refused has changed nothing that could be made durable.
        if replies.iter().any(|reply| refusal(reply).is_some()) {
            Ok(replies)
        } else {
            self.is_durable(synced).map(|()| replies)
        }
    }

    /// How long a server may take to make something durable, in its own words: a part of the time of the call.
    pub fn sync_time(&self) -> String {
        (self.timeout.as_millis() * 3 / 4).max(1).to_string()
    }

    /// Whether a server has made durable what it was asked to.
    pub fn is_durable(&self, reply: Option<Reply>) -> Result<()> {
        match reply {
            Some(Reply::Array(counts)) if matches!(counts.first(), Some(Reply::Number(1..))) => Ok(()),
            Some(Reply::Array(_)) => {
                let message = "the server has the write, and did not make it durable in time";
                Err(Error::Connection { message: message.into() })
            }
            _ => {
                let message = "the server has the write, and does not make it durable: it keeps no log of writes (appendonly)";
                Err(Error::Connection { message: message.into() })
            }
        }
    }
}

fn lives(operations: &[Operation<'_>]) -> Result<Vec<Option<Life>>> {
    let mut lives = vec_with_room(operations.len())?;
    lives.extend(operations.iter().map(|operation| match operation.verb {
        Verb::Put { expiry } | Verb::Expire(expiry) => Life::new(expiry),
        _ => None,
    }));
    Ok(lives)
}

/// What a server says where it refuses.
fn refusal(reply: &Reply) -> Option<&[u8]> {
    match reply {
        Reply::Error(said) => Some(said),
        _ => None,
    }
}
