//! From the changes of the store to the messages of a feed.
//!
//! A message has eight parts: `filedb.feed`, what was done, the number, the time, the database, the key, the value and when it
//! expires. Parts that it does not have are null. Keys of the store that are the server's own are not told. Exchanges
//! of databases are told as the server remembers them, each before the change that came after it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use filedb::{Changed, Changes, Error, Followed};

use crate::commands::fault::text_of_store;
use crate::keyspace::OWN;
use crate::keyspace::databases::{Databases, Exchanges};
use crate::resp::reply::Reply;

/// How many bytes are given out at once.
const AT_ONCE: usize = 64 << 10;

/// What who follows is to do where it cannot be told what comes next.
const GAP: &str = "what was changed behind this number is not known any more: merges have dropped deletes or, with engine lsm, a part of \
    the log, a database was emptied at once, or the number is of another store. Begin anew: drop what you have, follow from \
    FILEDB.FEED $ on, read all keys with SCAN on another connection, and then apply what was told meanwhile. The server keeps deletes \
    as long as --keep-tombstones-ms says";

/// What a feed tells.
struct Message<'a> {
    /// What was done.
    what: &'a str,
    /// Who goes on behind this number has missed nothing, once this is applied.
    seq: Option<u64>,
    /// When it was written, in milliseconds since 1970.
    time_ms: Option<u64>,
    /// The number of the database.
    database: Option<u8>,
    /// The key.
    key: Option<&'a [u8]>,
    /// The value, or what else there is to say.
    value: Option<&'a [u8]>,
    /// When the key expires.
    expiry_ms: Option<u64>,
}

impl<'a> Message<'a> {
    fn of(what: &'a str, seq: impl Into<Option<u64>>) -> Self {
        let seq = seq.into();
        Message { what, seq, time_ms: None, database: None, key: None, value: None, expiry_ms: None }
    }
}

/// The first message of a feed that begins behind a number.
pub fn tell_start(reply: &mut Reply<'_>, seq: u64) {
    write(reply, &Message::of("start", seq));
}

/// The last message of a feed that its client ends, up to which number it was told all; without one where there was none.
pub fn tell_stop(reply: &mut Reply<'_>, seq: Option<u64>) {
    write(reply, &Message::of("stop", seq));
}

/// Writes a message behind what is there.
fn write(reply: &mut Reply<'_>, message: &Message<'_>) {
    fn number(reply: &mut Reply<'_>, number: Option<u64>) {
        match number {
            Some(number) => reply.int(number.min(i64::MAX as u64) as i64),
            None => reply.null(),
        }
    }
    reply.push(8);
    reply.bulk(b"filedb.feed");
    reply.bulk(message.what.as_bytes());
    number(reply, message.seq);
    number(reply, message.time_ms);
    number(reply, message.database.map(u64::from));
    reply.bulk_or_null(message.key);
    reply.bulk_or_null(message.value);
    number(reply, message.expiry_ms);
}

/// How far a [`Stream`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// There may be more.
    Some,
    /// There is nothing more now.
    AllThatIsThere,
    /// There will be nothing more.
    TheLast,
}

/// The messages of one feed.
pub struct Stream {
    changes: Changes,
    /// The exchanges of databases that were not told yet.
    exchanges: Exchanges,
    /// The number of the last message.
    at: u64,
}

impl Stream {
    /// Messages for who has all up to the number `at`: of these changes, and of these exchanges of databases.
    pub fn new(at: u64, changes: Changes, exchanges: Exchanges) -> Self {
        Stream { at, changes, exchanges }
    }

    /// The number of the last message.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Lets go of what the store keeps for who goes on soon.
    pub fn rest(&mut self) {
        self.changes.rest();
    }

    /// Writes messages behind what is in `out`, until there are enough for once. Counts in `told` those that tell a change.
    pub fn take(
        &mut self,
        databases: &Databases,
        out: &mut Vec<u8>,
        is_resp3: bool,
        told: &AtomicU64,
    ) -> Got {
        let mut count = 0;
        let mut reply = Reply { out, is_resp3 };
        let got = loop {
            if reply.out.len() >= AT_ONCE {
                break Got::Some;
            }
            let followed = match self.changes.next(Some(Duration::ZERO)) {
                Ok(Followed::Change(change)) if databases.look_again(&mut self.exchanges) => {
                    while let Some((seq, first, second)) = self.exchanges.next_before(change.seq) {
                        if first != second {
                            // Merges may have dropped its record, and its time with that.
                            let time_ms = (seq == change.seq).then_some(change.time_ms);
                            let swap = format!("{first} {second}");
                            let value = Some(swap.as_bytes());
                            write(&mut reply, &Message { time_ms, value, ..Message::of("swapdb", seq) });
                            (self.at, count) = (seq, count + 1);
                        }
                    }
                    Ok(tell(&change, &self.exchanges, &mut reply))
                }
                Ok(Followed::Timeout) => break Got::AllThatIsThere,
                Ok(Followed::Change(_) | Followed::Gap) => Err(("gap", GAP.to_owned())),
                Err(Error::Closed) => break Got::TheLast,
                Err(error) => Err(("error", text_of_store(&error))),
            };
            match followed {
                Ok(Some(seq)) => (self.at, count) = (seq, count + 1),
                Ok(None) => {}
                Err((what, why)) => {
                    write(&mut reply, &Message { value: Some(why.as_bytes()), ..Message::of(what, self.at) });
                    break Got::TheLast;
                }
            }
        };
        told.fetch_add(count, Ordering::Relaxed);
        got
    }
}

/// Writes what a change is told as: its number, unless it is not told.
fn tell(change: &Changed<'_>, exchanges: &Exchanges, reply: &mut Reply<'_>) -> Option<u64> {
    let (place, key) = change.key.split_first()?;
    if *place == OWN {
        return None;
    }
    let number = exchanges.number(*place)?;
    let message = Message {
        time_ms: Some(change.time_ms),
        database: Some(number),
        key: Some(key),
        value: change.kind.has_value().then_some(change.value),
        expiry_ms: change.expiry_ms,
        ..Message::of(change.kind.name(), change.seq)
    };
    write(reply, &message);
    Some(change.seq)
}
