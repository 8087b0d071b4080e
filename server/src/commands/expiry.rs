//! When keys expire.

use super::Context;
use super::args::{int, is};
use super::fault::{Fault, Result};
use super::table::{Command, Flags, Keys, command};

const READ: Flags = Flags(Flags::READ.0 | Flags::FAST.0);
const WRITE: Flags = Flags(Flags::WRITE.0 | Flags::FAST.0);

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command(
        "expire",
        expire,
        -3,
        WRITE,
        Keys::FIRST,
        "generic",
        "1.0.0",
        "Sets the expiration time of a key in seconds.",
    ),
    command(
        "pexpire",
        pexpire,
        -3,
        WRITE,
        Keys::FIRST,
        "generic",
        "2.6.0",
        "Sets the expiration time of a key in milliseconds.",
    ),
    command(
        "expireat",
        expireat,
        -3,
        WRITE,
        Keys::FIRST,
        "generic",
        "1.2.0",
        "Sets the expiration time of a key to a Unix timestamp.",
    ),
    command(
        "pexpireat",
        pexpireat,
        -3,
        WRITE,
        Keys::FIRST,
        "generic",
        "2.6.0",
        "Sets the expiration time of a key to a Unix milliseconds timestamp.",
    ),
    command(
        "ttl",
        ttl,
        2,
        READ,
        Keys::FIRST,
        "generic",
        "1.0.0",
        "Returns the expiration time in seconds of a key.",
    ),
    command(
        "pttl",
        pttl,
        2,
        READ,
        Keys::FIRST,
        "generic",
        "2.6.0",
        "Returns the expiration time in milliseconds of a key.",
    ),
    command(
        "expiretime",
        expiretime,
        2,
        READ,
        Keys::FIRST,
        "generic",
        "7.0.0",
        "Returns the expiration time of a key as a Unix timestamp.",
    ),
    command(
        "pexpiretime",
        pexpiretime,
        2,
        READ,
        Keys::FIRST,
        "generic",
        "7.0.0",
        "Returns the expiration time of a key as a Unix milliseconds timestamp.",
    ),
    command(
        "persist",
        persist,
        2,
        WRITE,
        Keys::FIRST,
        "generic",
        "2.2.0",
        "Removes the expiration time of a key.",
    ),
];

/// How a time is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// From now on.
    Seconds,
    /// From now on.
    Milliseconds,
    /// Since 1970.
    AtSeconds,
    /// Since 1970.
    AtMilliseconds,
}

fn invalid(name: &str) -> Fault {
    Fault::from(format!("ERR invalid expire time in '{name}' command"))
}

/// The time that a command means, in milliseconds since 1970, which must be later than 1970, or than now if it counts from there.
pub fn time_of(context: &mut Context<'_>, unit: Unit, number: i64, name: &'static str) -> Result<u64> {
    if number <= 0 {
        return Err(invalid(name));
    }
    u64::try_from(any_time_of(context, unit, number, name)?).map_err(|_| invalid(name))
}

/// As [`time_of`], of any time.
fn any_time_of(context: &mut Context<'_>, unit: Unit, number: i64, name: &str) -> Result<i64> {
    let factor = if matches!(unit, Unit::Seconds | Unit::AtSeconds) { 1000 } else { 1 };
    let base = match unit {
        Unit::Seconds | Unit::Milliseconds => context.work.now_ms()? as i64,
        Unit::AtSeconds | Unit::AtMilliseconds => 0,
    };
    number.checked_mul(factor).and_then(|time| time.checked_add(base)).ok_or_else(|| invalid(name))
}

fn set_expiry(context: &mut Context<'_>, args: &[&[u8]], unit: Unit, name: &'static str) -> Result {
    let (mut nx, mut xx, mut gt, mut lt) = (false, false, false, false);
    for word in &args[3..] {
        let flag = match word {
            word if is(word, "NX") => &mut nx,
            word if is(word, "XX") => &mut xx,
            word if is(word, "GT") => &mut gt,
            word if is(word, "LT") => &mut lt,
            word => return Err(Fault::from(format!("ERR Unsupported option {}", super::args::text(word)))),
        };
        *flag = true;
    }
    if nx && (xx || gt || lt) {
        return Err(Fault::from("ERR NX and XX, GT or LT options at the same time are not compatible"));
    }
    if gt && lt {
        return Err(Fault::from("ERR GT and LT options at the same time are not compatible"));
    }
    let number = int(args[2])?;
    let time_ms = any_time_of(context, unit, number, name)?;
    let key = context.key(args[1]);
    let found = context.work.find(&key, |found| found.map(|found| found.expiry_ms))?;
    let Some(old) = found else {
        context.reply().int(0);
        return Ok(());
    };
    let is_later = old.is_some_and(|old| time_ms > old as i64);
    let is_earlier = old.is_none_or(|old| time_ms < old as i64);
    let fails = (nx && old.is_some()) || (xx && old.is_none()) || (gt && !is_later) || (lt && !is_earlier);
    let holds = !fails;
    if holds {
        let now_ms = context.work.now_ms()?;
        match u64::try_from(time_ms).ok().filter(|time_ms| *time_ms > now_ms) {
            Some(time_ms) => {
                context.work.set_expiry(&key, Some(time_ms))?;
                context.work.notify(b'g', "expire", &key);
            }
            None => {
                context.work.remove(&key)?;
                context.work.notify(b'g', "del", &key);
            }
        }
    }
    context.reply().flag(holds);
    Ok(())
}

fn expire(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_expiry(context, args, Unit::Seconds, "expire")
}

fn pexpire(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_expiry(context, args, Unit::Milliseconds, "pexpire")
}

fn expireat(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_expiry(context, args, Unit::AtSeconds, "expireat")
}

fn pexpireat(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    set_expiry(context, args, Unit::AtMilliseconds, "pexpireat")
}

/// Replies with -2 where there is no such key, -1 where it does not expire, and else with what `tell` makes of the time and now.
fn tell(context: &mut Context<'_>, key: &[u8], tell: fn(i64, i64) -> i64) -> Result {
    let key = context.key(key);
    let found = context.work.find(&key, |found| found.map(|found| found.expiry_ms))?;
    let now_ms = context.work.now_ms()? as i64;
    let number = match found {
        None => -2,
        Some(None) => -1,
        Some(Some(expiry_ms)) => tell(i64::try_from(expiry_ms).unwrap_or(i64::MAX), now_ms),
    };
    context.reply().int(number);
    Ok(())
}

fn ttl(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    tell(context, args[1], |at, now| ((at - now).max(0) + 500) / 1000)
}

fn pttl(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    tell(context, args[1], |at, now| (at - now).max(0))
}

fn expiretime(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    tell(context, args[1], |at, _| ((at as u64 + 500) / 1000) as i64)
}

fn pexpiretime(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    tell(context, args[1], |at, _| at)
}

fn persist(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    let expires = context.work.find(&key, |found| found.is_some_and(|found| found.expiry_ms.is_some()))?;
    if expires {
        context.work.set_expiry(&key, None)?;
        context.work.notify(b'g', "persist", &key);
    }
    context.reply().flag(expires);
    Ok(())
}
