//! Strings that may expire: SET with its options, SETEX, GETEX.

use super::Context;
use super::args::{int, is};
use super::expiry::{Unit, time_of};
use super::fault::{Fault, Result, SYNTAX};
use super::strings::{reply_value, value};

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

/// SET.
pub fn set(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
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

fn set_for(context: &mut Context<'_>, args: &[&[u8]], unit: Unit, name: &'static str) -> Result {
    let key = context.key(args[1]);
    let expiry_ms = time_of(context, unit, int(args[2])?, name)?;
    put(context, &key, args[3], Some(expiry_ms))?;
    context.work.notify(b'$', "set", &key);
    context.work.notify(b'g', "expire", &key);
    context.reply().ok();
    Ok(())
}

/// SETEX.
pub fn setex(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_for(context, args, Unit::Seconds, "setex")
}

/// PSETEX.
pub fn psetex(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_for(context, args, Unit::Milliseconds, "psetex")
}

/// GETEX.
pub fn getex(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
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
