//! Walks through the keys of a database.

use std::ops::Bound;

use filedb::{Db, KeyRange};

use super::args::{int, is};
use super::blocking::wait;
use super::fault::{Fault, Result, SYNTAX, text_of_store};
use super::table::{Command, Flags, Keys, command};
use super::{Context, matches};
use crate::keyspace::Keyspace;
use crate::keyspace::blocked::Wish;
use crate::resp::reply::Reply;

const READ: Flags = Flags::READ;

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command(
        "keys",
        keys,
        2,
        READ,
        Keys::NONE,
        "generic",
        "1.0.0",
        "Returns all key names that match a pattern.",
    ),
    command(
        "scan",
        scan,
        -2,
        READ,
        Keys::NONE,
        "generic",
        "2.8.0",
        "Iterates over the key names in the database.",
    ),
    command(
        "randomkey",
        random_key,
        1,
        READ,
        Keys::NONE,
        "generic",
        "1.0.0",
        "Returns a random key name from the database.",
    ),
    command(
        "dbsize",
        dbsize,
        1,
        Flags(Flags::READ.0 | Flags::FAST.0),
        Keys::NONE,
        "server",
        "1.0.0",
        "Returns the number of keys in the database.",
    ),
];

/// How many keys are looked at between two looks at how many were found.
const AT_ONCE: usize = 1 << 14;

fn keys(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    context.work.flush()?;
    let place = context.work.keyspace.databases.place(context.session.database);
    let (mut bytes, mut ends, mut at) = (Vec::new(), Vec::new(), Some(0));
    let mut room = context.room();
    while let Some(from) = at {
        at = context.work.keyspace.scan(place, from, AT_ONCE, |key, _| {
            if matches(args[1], key) && room.take(key.len()) {
                bytes.extend_from_slice(key);
                ends.push(bytes.len());
            }
        })?;
        room.check()?;
    }
    let mut reply = context.reply();
    reply.array(ends.len());
    let mut begin = 0;
    for end in ends {
        reply.bulk(&bytes[begin..end]);
        begin = end;
    }
    Ok(())
}

/// A cursor as strtoul reads it: a number below 0 counts back from the highest.
fn cursor(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    match text.strip_prefix('-') {
        Some(digits) if !digits.starts_with('+') => digits.parse().ok().map(u64::wrapping_neg),
        _ => text.parse().ok(),
    }
}

fn scan(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let cursor = cursor(args[1]).ok_or(Fault::from("ERR invalid cursor"))?;
    let (mut pattern, mut count, mut wanted) = (None, 10usize, None);
    let mut rest = args[2..].iter();
    while let Some(word) = rest.next() {
        let value = rest.next().ok_or(Fault::from(SYNTAX))?;
        if is(word, "COUNT") {
            let number = int(value)?;
            if number < 1 {
                return Err(Fault::from(SYNTAX));
            }
            count = usize::try_from(number).unwrap_or(usize::MAX).min(1 << 20);
        } else if is(word, "MATCH") {
            pattern = Some(*value).filter(|pattern| *pattern != b"*");
        } else if is(word, "TYPE") {
            wanted = Some(*value);
        } else {
            return Err(Fault::from(SYNTAX));
        }
    }
    context.work.flush()?;
    let place = context.work.keyspace.databases.place(context.session.database);
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut room = context.room();
    let next = context.work.keyspace.scan(place, cursor, count, |key, holds| {
        let name = if holds == filedb::Type::List { "list" } else { "string" };
        if pattern.is_none_or(|pattern| matches(pattern, key))
            && wanted.is_none_or(|wanted| is(wanted, name))
            && room.take(key.len())
        {
            found.push(key.to_vec());
        }
    })?;
    room.check()?;
    let mut reply = context.reply();
    reply.array(2);
    reply.bulk(next.unwrap_or(0).to_string().as_bytes());
    reply.bulks(&found);
    Ok(())
}

/// From a random place to the end, and then from the beginning.
fn random_by_hash(keyspace: &Keyspace, place: u8) -> Result<Option<Vec<u8>>> {
    let mut found: Option<Vec<u8>> = None;
    for begin in [random(), 0] {
        let mut at = Some(begin);
        while let Some(from) = at.filter(|_| found.is_none()) {
            at = keyspace.scan(place, from, 1, |key, _| {
                found.get_or_insert_with(|| key.to_vec());
            })?;
        }
    }
    Ok(found)
}

/// The key that is some steps behind a random place between the first and the last, where what these begin with is left as it is.
fn random_by_order(db: &Db, place: u8) -> Result<Option<Vec<u8>>> {
    const MOST_STEPS: u64 = 64;
    let (begin, end) = ([place], [place + 1]);
    let range = |reverse| KeyRange { from: Bound::Included(&begin), to: Bound::Excluded(&end), reverse };
    let (mut walk, mut back) = (db.range(&range(false))?, db.range(&range(true))?);
    let (Some(first), Some(last)) = (walk.next_row()?, back.next_row()?) else { return Ok(None) };
    let same = first.key().iter().zip(last.key()).take_while(|(a, b)| a == b).count();
    let byte = |key: &[u8]| u64::from(key.get(same).copied().unwrap_or(0));
    let (least, most) = (byte(first.key()), byte(last.key()));
    let mut aim = last.key()[..same].to_vec();
    aim.push((least + random() % (most.saturating_sub(least) + 1)) as u8);
    aim.extend_from_slice(&random().to_be_bytes());
    walk.seek(&aim)?;
    let mut found = None;
    for _ in 0..=random() % MOST_STEPS {
        let Some(row) = walk.next_row()? else { break };
        found = Some(row);
    }
    Ok(Some(found.as_ref().unwrap_or(&first).key()[1..].to_vec()))
}

fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

fn random_key(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    context.work.flush()?;
    let keyspace = &context.work.keyspace;
    let place = keyspace.databases.place(context.session.database);
    let found = match keyspace.is_ordered {
        true => random_by_order(&keyspace.db, place)?,
        false => random_by_hash(keyspace, place)?,
    };
    context.reply().bulk_or_null(found.as_deref());
    Ok(())
}

/// What DBSIZE answers.
pub fn counted_reply(counted: &filedb::Result<u64>, is_resp3: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut reply = Reply { out: &mut out, is_resp3 };
    match counted {
        Ok(count) => reply.int(*count as i64),
        Err(error) => reply.error(&text_of_store(error)),
    }
    out
}

fn dbsize(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    context.work.flush()?;
    let (keyspace, database) = (context.work.keyspace.clone(), context.session.database);
    if let Some(count) = keyspace.count(database, context.session.is_executing)? {
        context.reply().int(count as i64);
    } else if let Some(waiter) = wait(context, Vec::new(), Wish::Count, None) {
        keyspace.counts.ask(waiter, keyspace.databases.place(database));
    }
    Ok(())
}
