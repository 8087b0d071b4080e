//! Parts of strings.

use std::ops::Range;

use super::Context;
use super::args::{int, range};
use super::fault::{Fault, NOT_INTEGER, Result};
use super::strings::{check_length, copy, value};
use super::table::{Command, Flags, Keys, command};

const READ: Flags = Flags::READ;
const WRITE: Flags = Flags(Flags::WRITE.0 | Flags::DENY_OOM.0);
const FAST_READ: Flags = Flags(Flags::READ.0 | Flags::FAST.0);
const FAST_WRITE: Flags = Flags(Flags::WRITE.0 | Flags::DENY_OOM.0 | Flags::FAST.0);

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command(
        "append",
        append,
        3,
        FAST_WRITE,
        Keys::FIRST,
        "string",
        "2.0.0",
        "Appends a string to the value of a key.",
    ),
    command(
        "strlen",
        strlen,
        2,
        FAST_READ,
        Keys::FIRST,
        "string",
        "2.2.0",
        "Returns the length of a string value.",
    ),
    command(
        "getrange",
        getrange,
        4,
        READ,
        Keys::FIRST,
        "string",
        "2.4.0",
        "Returns a part of the string stored at a key.",
    ),
    command(
        "substr",
        getrange,
        4,
        READ,
        Keys::FIRST,
        "string",
        "1.0.0",
        "Returns a part of the string stored at a key.",
    ),
    command(
        "setrange",
        setrange,
        4,
        WRITE,
        Keys::FIRST,
        "string",
        "2.2.0",
        "Overwrites a part of a string value.",
    ),
];

fn append(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    let (mut string, expiry_ms) = copy(context, &key)?.unwrap_or_default();
    check_length(context, string.len() as u64 + args[2].len() as u64)?;
    string.extend_from_slice(args[2]);
    context.work.set(&key, &string, expiry_ms);
    context.work.notify(b'$', "append", &key);
    context.reply().count(string.len());
    Ok(())
}

fn strlen(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    let length =
        context.work.find(&key, |found| value(found).map(|value| value.map_or(0, <[u8]>::len)))??;
    context.reply().count(length);
    Ok(())
}

/// The bytes of a string between two indices.
fn part(length: usize, first: i64, last: i64) -> Range<usize> {
    if first < 0 && last < 0 && first > last {
        return 0..0;
    }
    // As Redis counts: an end before the string is its first byte.
    let last = if last < 0 { (length as i64).saturating_add(last).max(0) } else { last };
    let (first, count) = range(length as u64, first, last);
    first as usize..(first + count) as usize
}

fn getrange(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (first, last) = (int(args[2])?, int(args[3])?);
    let key = context.key(args[1]);
    let (out, is_resp3) = (&mut *context.out, context.session.is_resp3);
    context.work.find(&key, |found| {
        let string = value(found)?.unwrap_or_default();
        let part = string.get(part(string.len(), first, last)).unwrap_or_default();
        crate::resp::reply::Reply { out, is_resp3 }.bulk(part);
        Ok(())
    })?
}

fn setrange(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let offset = int(args[2])?;
    let Ok(offset) = u64::try_from(offset) else {
        return Err(Fault::from("ERR offset is out of range"));
    };
    let key = context.key(args[1]);
    let old = copy(context, &key)?;
    if args[3].is_empty() {
        context.reply().count(old.map_or(0, |(string, _)| string.len()));
        return Ok(());
    }
    let end = offset.checked_add(args[3].len() as u64).ok_or(Fault::from(NOT_INTEGER))?;
    check_length(context, end)?;
    let (mut string, expiry_ms) = old.unwrap_or_default();
    if (string.len() as u64) < end {
        string.resize(end as usize, 0);
    }
    string[offset as usize..end as usize].copy_from_slice(args[3]);
    context.work.set(&key, &string, expiry_ms);
    context.work.notify(b'$', "setrange", &key);
    context.reply().count(string.len());
    Ok(())
}
