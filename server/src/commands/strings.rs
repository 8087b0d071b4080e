//! Strings: GET, SET and their relatives.

use std::sync::atomic::Ordering;

use super::fault::{Fault, Result, WRONG_TYPE};
use super::table::{Command, Flags, Keys, command};
use super::{Context, set};
use crate::keyspace::work::Found;

const WRITE: Flags = Flags(Flags::WRITE.0 | Flags::DENY_OOM.0);
const FAST_READ: Flags = Flags(Flags::READ.0 | Flags::FAST.0);
const FAST_WRITE: Flags = Flags(Flags::WRITE.0 | Flags::DENY_OOM.0 | Flags::FAST.0);
const FREES: Flags = Flags(Flags::WRITE.0 | Flags::FAST.0);

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command("get", get, 2, FAST_READ, Keys::FIRST, "string", "1.0.0", "Returns the string value of a key."),
    command(
        "set",
        set::set,
        -3,
        WRITE,
        Keys::FIRST,
        "string",
        "1.0.0",
        "Sets the string value of a key, with conditions and an expiry.",
    ),
    command(
        "setnx",
        setnx,
        3,
        FAST_WRITE,
        Keys::FIRST,
        "string",
        "1.0.0",
        "Sets the string value of a key only when the key doesn't exist.",
    ),
    command(
        "setex",
        set::setex,
        4,
        WRITE,
        Keys::FIRST,
        "string",
        "2.0.0",
        "Sets the string value and expiration time of a key.",
    ),
    command(
        "psetex",
        set::psetex,
        4,
        WRITE,
        Keys::FIRST,
        "string",
        "2.6.0",
        "Sets the string value and expiration time in milliseconds of a key.",
    ),
    command(
        "getset",
        getset,
        3,
        FAST_WRITE,
        Keys::FIRST,
        "string",
        "1.0.0",
        "Returns the previous string value of a key after setting it.",
    ),
    command(
        "getdel",
        getdel,
        2,
        FREES,
        Keys::FIRST,
        "string",
        "6.2.0",
        "Returns the string value of a key after deleting the key.",
    ),
    command(
        "getex",
        set::getex,
        -2,
        FREES,
        Keys::FIRST,
        "string",
        "6.2.0",
        "Returns the string value of a key after setting its expiration time.",
    ),
    command(
        "mget",
        mget,
        -2,
        FAST_READ,
        Keys::ALL,
        "string",
        "1.0.0",
        "Returns the string values of several keys.",
    ),
    command(
        "mset",
        mset,
        -3,
        WRITE,
        Keys::At(1, -1, 2),
        "string",
        "1.0.1",
        "Sets the string values of several keys.",
    ),
    command(
        "msetnx",
        msetnx,
        -3,
        WRITE,
        Keys::At(1, -1, 2),
        "string",
        "1.0.1",
        "Sets the string values of several keys only when none of them exists.",
    ),
];

/// The value of a string; a list is an error.
pub fn value<'a>(found: Option<Found<'a>>) -> Result<Option<&'a [u8]>> {
    match found {
        Some(found) if found.is_list => Err(Fault::from(WRONG_TYPE)),
        Some(found) => Ok(Some(found.value)),
        None => Ok(None),
    }
}

/// A copy of a string, and when it expires.
pub fn copy(context: &mut Context<'_>, key: &[u8]) -> Result<Option<(Vec<u8>, Option<u64>)>> {
    context.work.find(key, |found| {
        let expiry_ms = found.and_then(|found| found.expiry_ms);
        Ok(value(found)?.map(|value| (value.to_vec(), expiry_ms)))
    })?
}

/// Replies with the value of a string.
pub fn reply_value(context: &mut Context<'_>, key: &[u8]) -> Result {
    let (out, is_resp3) = (&mut *context.out, context.session.is_resp3);
    context.work.read(key, |found| {
        let value = value(found)?;
        crate::resp::reply::Reply { out, is_resp3 }.bulk_or_null(value);
        Ok(())
    })?
}

/// Fails where a string would be too long.
pub fn check_length(context: &Context<'_>, length: u64) -> Result {
    if length > context.server.settings.max_bulk.load(Ordering::Relaxed) {
        return Err(Fault::from("ERR string exceeds maximum allowed size (proto-max-bulk-len)"));
    }
    Ok(())
}

fn get(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    reply_value(context, &key)
}

fn setnx(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    let is_new = context.work.find(&key, |found| found.is_none())?;
    if is_new {
        context.work.set(&key, args[2], None);
        context.work.notify(b'$', "set", &key);
    }
    context.reply().flag(is_new);
    Ok(())
}

fn getset(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    reply_value(context, &key)?;
    context.work.set(&key, args[2], None);
    context.work.notify(b'$', "set", &key);
    Ok(())
}

fn getdel(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    reply_value(context, &key)?;
    if context.work.remove(&key)? {
        context.work.notify(b'g', "del", &key);
    }
    Ok(())
}

fn mget(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    context.reply().array(args.len() - 1);
    let mut room = context.room();
    for arg in &args[1..] {
        let key = context.key(arg);
        let (out, is_resp3) = (&mut *context.out, context.session.is_resp3);
        context.work.find(&key, |found| {
            let value = found.filter(|found| !found.is_list).map(|found| found.value);
            if room.take(value.map_or(0, <[u8]>::len)) {
                crate::resp::reply::Reply { out, is_resp3 }.bulk_or_null(value);
            }
        })?;
        room.check()?;
    }
    Ok(())
}

fn pairs<'a>(args: &'a [&'a [u8]], name: &str) -> Result<impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone> {
    if args.len().is_multiple_of(2) {
        return Err(super::wrong_number(name));
    }
    Ok(args[1..].chunks_exact(2).map(|pair| (pair[0], pair[1])))
}

fn mset(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    for (key, value) in pairs(args, "mset")? {
        let key = context.key(key);
        context.work.set(&key, value, None);
        context.work.notify(b'$', "set", &key);
    }
    context.reply().ok();
    Ok(())
}

fn msetnx(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let pairs = pairs(args, "msetnx")?;
    for (key, _) in pairs.clone() {
        let key = context.key(key);
        if context.work.find(&key, |found| found.is_some())? {
            context.reply().int(0);
            return Ok(());
        }
    }
    for (key, value) in pairs {
        let key = context.key(key);
        context.work.set(&key, value, None);
        context.work.notify(b'$', "set", &key);
    }
    context.reply().int(1);
    Ok(())
}
