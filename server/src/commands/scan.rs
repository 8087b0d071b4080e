//! Walks through the keys of a database.

use super::args::{int, is};
use super::fault::{Fault, Result, SYNTAX};
use super::table::{Command, Flags, Keys, command};
use super::{Context, matches};

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

/// So many keys are looked at between two looks at how many were found.
const AT_ONCE: usize = 1 << 14;

fn keys(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    context.work.flush()?;
    let place = context.work.keyspace.databases.place(context.session.database);
    let (mut bytes, mut ends, mut at) = (Vec::new(), Vec::new(), Some(0));
    while let Some(from) = at {
        at = context.work.db().scan(from, AT_ONCE, |key, _| {
            if let Some((first, key)) = key.split_first()
                && *first == place
                && matches(args[1], key)
            {
                bytes.extend_from_slice(key);
                ends.push(bytes.len());
            }
        })?;
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

fn scan(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let cursor = std::str::from_utf8(args[1]).ok().and_then(|text| text.parse::<u64>().ok());
    let cursor = cursor.ok_or(Fault::from("ERR invalid cursor"))?;
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
    let next = context.work.db().scan(cursor, count, |key, holds| {
        let name = if holds == filedb::Type::List { "list" } else { "string" };
        if let Some((first, key)) = key.split_first()
            && *first == place
            && pattern.is_none_or(|pattern| matches(pattern, key))
            && wanted.is_none_or(|wanted| is(wanted, name))
        {
            found.push(key.to_vec());
        }
    })?;
    let mut reply = context.reply();
    reply.array(2);
    reply.bulk(next.unwrap_or(0).to_string().as_bytes());
    reply.bulks(&found);
    Ok(())
}

fn random_key(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    use std::hash::{BuildHasher, RandomState};
    context.work.flush()?;
    let place = context.work.keyspace.databases.place(context.session.database);
    let mut found: Option<Vec<u8>> = None;
    // From a random place to the end, and then from the beginning.
    for begin in [RandomState::new().hash_one(0), 0] {
        let mut at = Some(begin);
        while let Some(from) = at.filter(|_| found.is_none()) {
            at = context.work.db().scan(from, 1, |key, _| {
                if found.is_none() && key.first() == Some(&place) {
                    found = Some(key[1..].to_vec());
                }
            })?;
        }
    }
    context.reply().bulk_or_null(found.as_deref());
    Ok(())
}

fn dbsize(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    context.work.flush()?;
    let keyspace = &context.work.keyspace;
    let count = keyspace.databases.count(&keyspace.db, context.session.database)?;
    context.reply().int(count as i64);
    Ok(())
}
