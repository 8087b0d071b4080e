//! Numbers in strings.

use super::Context;
use super::args::{int, parse_float};
use super::fault::{Fault, NOT_FLOAT, NOT_INTEGER, Result};
use super::strings::copy;
use super::table::{Command, Flags, Keys, command};
use crate::resp::request::number;

const WRITE: Flags = Flags(Flags::WRITE.0 | Flags::DENY_OOM.0 | Flags::FAST.0);

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command(
        "incr",
        incr,
        2,
        WRITE,
        Keys::FIRST,
        "string",
        "1.0.0",
        "Increments the integer value of a key by one.",
    ),
    command(
        "decr",
        decr,
        2,
        WRITE,
        Keys::FIRST,
        "string",
        "1.0.0",
        "Decrements the integer value of a key by one.",
    ),
    command(
        "incrby",
        incrby,
        3,
        WRITE,
        Keys::FIRST,
        "string",
        "1.0.0",
        "Increments the integer value of a key by a number.",
    ),
    command(
        "decrby",
        decrby,
        3,
        WRITE,
        Keys::FIRST,
        "string",
        "1.0.0",
        "Decrements the integer value of a key by a number.",
    ),
    command(
        "incrbyfloat",
        incrbyfloat,
        3,
        WRITE,
        Keys::FIRST,
        "string",
        "2.6.0",
        "Increments the floating point value of a key by a number.",
    ),
];

fn add(context: &mut Context<'_>, key: &[u8], by: i64) -> Result {
    let key = context.key(key);
    let (old, expiry_ms) = match copy(context, &key)? {
        Some((string, expiry_ms)) => (number(&string).ok_or(Fault::from(NOT_INTEGER))?, expiry_ms),
        None => (0, None),
    };
    let sum = old.checked_add(by).ok_or(Fault::from("ERR increment or decrement would overflow"))?;
    context.work.set(&key, itoa::Buffer::new().format(sum).as_bytes(), expiry_ms);
    context.work.notify(b'$', "incrby", &key);
    context.reply().int(sum);
    Ok(())
}

fn incr(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    add(context, args[1], 1)
}

fn decr(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    add(context, args[1], -1)
}

fn incrby(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    add(context, args[1], int(args[2])?)
}

fn decrby(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let by = int(args[2])?.checked_neg().ok_or(Fault::from("ERR decrement would overflow"))?;
    add(context, args[1], by)
}

fn incrbyfloat(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    let (old, expiry_ms) = match copy(context, &key)? {
        Some((string, expiry_ms)) => (parse_float(&string).ok_or(Fault::from(NOT_FLOAT))?, expiry_ms),
        None => (0.0, None),
    };
    let by = parse_float(args[2]).ok_or(Fault::from(NOT_FLOAT))?;
    let sum = old + by;
    if !sum.is_finite() {
        return Err(Fault::from("ERR increment would produce NaN or Infinity"));
    }
    let text = human(sum);
    context.work.set(&key, text.as_bytes(), expiry_ms);
    context.work.notify(b'$', "incrbyfloat", &key);
    context.reply().bulk(text.as_bytes());
    Ok(())
}

/// A number with 17 digits behind the point, less the zeros at the end.
pub fn human(number: f64) -> String {
    let text = format!("{number:.17}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    if text == "-0" { "0".into() } else { text.into() }
}
