//! Strings: GET, SET and their relatives.

use std::sync::atomic::Ordering;

use super::Context;
use super::args::{int, is};
use super::expiry::{Unit, time_of};
use super::fault::{Fault, Result, SYNTAX, WRONG_TYPE};
use super::table::{Command, Flags, Keys, command};
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
        set,
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
        setex,
        4,
        WRITE,
        Keys::FIRST,
        "string",
        "2.0.0",
        "Sets the string value and expiration time of a key.",
    ),
    command(
        "psetex",
        psetex,
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
        getex,
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

#[derive(Default)]
struct SetOptions {
    if_absent: bool,
    if_present: bool,
    get: bool,
    keep: bool,
    expiry: Option<(Unit, i64)>,
}

fn unit_of(word: &[u8]) -> Option<Unit> {
    [
        ("EX", Unit::Seconds),
        ("PX", Unit::Milliseconds),
        ("EXAT", Unit::AtSeconds),
        ("PXAT", Unit::AtMilliseconds),
    ]
    .into_iter()
    .find(|(name, _)| is(word, name))
    .map(|(_, unit)| unit)
}

/// A time to live and its unit. It may stand there again, where it has the same unit, and the last one counts.
fn time_option<'a>(
    before: Option<(Unit, &'a [u8])>,
    word: &[u8],
    rest: &mut std::slice::Iter<'_, &'a [u8]>,
) -> Option<(Unit, &'a [u8])> {
    let unit = unit_of(word).filter(|unit| before.is_none_or(|(before, _)| before == *unit))?;
    Some((unit, *rest.next()?))
}

fn set_options(args: &[&[u8]]) -> Result<SetOptions> {
    let mut options = SetOptions::default();
    let mut rest = args.iter();
    let mut time = None;
    while let Some(word) = rest.next() {
        if is(word, "NX") && !options.if_present {
            options.if_absent = true;
        } else if is(word, "XX") && !options.if_absent {
            options.if_present = true;
        } else if is(word, "GET") {
            options.get = true;
        } else if is(word, "KEEPTTL") && time.is_none() {
            options.keep = true;
        } else if !options.keep
            && let Some(more) = time_option(time, word, &mut rest)
        {
            time = Some(more);
        } else {
            return Err(Fault::from(SYNTAX));
        }
    }
    options.expiry = time.map(|(unit, text)| int(text).map(|number| (unit, number))).transpose()?;
    Ok(options)
}

fn set(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    if args.len() == 3 {
        context.work.set(&key, args[2], None);
        context.work.notify(b'$', "set", &key);
        context.reply().ok();
        return Ok(());
    }
    let options = set_options(&args[3..])?;
    let mut expiry_ms = match options.expiry {
        Some((unit, number)) => Some(time_of(context, unit, number, "set")?),
        None => None,
    };
    if options.get {
        reply_value(context, &key)?;
    }
    if options.if_absent || options.if_present || options.keep {
        let found = context.work.find(&key, |found| found.map(|found| found.expiry_ms))?;
        if (options.if_absent && found.is_some()) || (options.if_present && found.is_none()) {
            if !options.get {
                context.reply().null();
            }
            return Ok(());
        }
        if options.keep {
            expiry_ms = found.flatten();
        }
    }
    put(context, &key, args[2], expiry_ms)?;
    context.work.notify(b'$', "set", &key);
    if options.expiry.is_some() {
        context.work.notify(b'g', "expire", &key);
    }
    if !options.get {
        context.reply().ok();
    }
    Ok(())
}

/// Sets a string that may have expired already, which deletes the key.
fn put(context: &mut Context<'_>, key: &[u8], value: &[u8], expiry_ms: Option<u64>) -> Result {
    context.work.set(key, value, expiry_ms);
    if let Some(expiry_ms) = expiry_ms
        && expiry_ms <= context.work.now_ms()?
    {
        context.work.remove(key)?;
    }
    Ok(())
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

fn set_for(context: &mut Context<'_>, args: &[&[u8]], unit: Unit, name: &'static str) -> Result {
    let key = context.key(args[1]);
    let expiry_ms = time_of(context, unit, int(args[2])?, name)?;
    put(context, &key, args[3], Some(expiry_ms))?;
    context.work.notify(b'$', "set", &key);
    context.work.notify(b'g', "expire", &key);
    context.reply().ok();
    Ok(())
}

fn setex(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_for(context, args, Unit::Seconds, "setex")
}

fn psetex(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_for(context, args, Unit::Milliseconds, "psetex")
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

fn getex(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    let (mut expiry, mut persist) = (None, false);
    let mut rest = args[2..].iter();
    while let Some(word) = rest.next() {
        if is(word, "PERSIST") && expiry.is_none() {
            persist = true;
        } else if !persist && let Some(more) = time_option(expiry, word, &mut rest) {
            expiry = Some(more);
        } else {
            return Err(Fault::from(SYNTAX));
        }
    }
    let found = context.work.find(&key, |found| {
        let expiry_ms = found.and_then(|found| found.expiry_ms);
        value(found).map(|value| value.map(|_| expiry_ms))
    })??;
    let Some(old) = found else {
        context.work.count_read(false);
        context.reply().null();
        return Ok(());
    };
    let expiry_ms = match expiry {
        Some((unit, number)) => Some(time_of(context, unit, int(number)?, "getex")?),
        None => None,
    };
    reply_value(context, &key)?;
    if let Some(expiry_ms) = expiry_ms {
        if expiry_ms <= context.work.now_ms()? {
            context.work.remove(&key)?;
            context.work.notify(b'g', "del", &key);
        } else {
            context.work.set_expiry(&key, Some(expiry_ms))?;
            context.work.notify(b'g', "expire", &key);
        }
    } else if persist && old.is_some() {
        context.work.set_expiry(&key, None)?;
        context.work.notify(b'g', "persist", &key);
    }
    Ok(())
}

fn mget(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    context.reply().array(args.len() - 1);
    for arg in &args[1..] {
        let key = context.key(arg);
        let (out, is_resp3) = (&mut *context.out, context.session.is_resp3);
        context.work.find(&key, |found| {
            let value = found.filter(|found| !found.is_list).map(|found| found.value);
            crate::resp::reply::Reply { out, is_resp3 }.bulk_or_null(value);
        })?;
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
