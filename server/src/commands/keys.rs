//! Keys, whatever they hold.

use super::args::{int32, is};
use super::fault::{Fault, NO_SUCH_KEY, Result, SYNTAX};
use super::lists::whole;
use super::table::{Command, Flags, Keys, command};
use super::{Context, connection};
use crate::keyspace::{DATABASES, Key};

const READ: Flags = Flags(Flags::READ.0 | Flags::FAST.0);
const WRITE: Flags = Flags::WRITE;
const FAST_WRITE: Flags = Flags(Flags::WRITE.0 | Flags::FAST.0);

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command("del", del, -2, WRITE, Keys::ALL, "generic", "1.0.0", "Deletes keys."),
    command("unlink", del, -2, FAST_WRITE, Keys::ALL, "generic", "4.0.0", "Deletes keys."),
    command(
        "exists",
        exists,
        -2,
        READ,
        Keys::ALL,
        "generic",
        "1.0.0",
        "Determines how many of the keys exist.",
    ),
    command(
        "touch",
        exists,
        -2,
        READ,
        Keys::ALL,
        "generic",
        "3.2.1",
        "Returns the number of existing keys out of those given.",
    ),
    command(
        "type",
        type_of,
        2,
        READ,
        Keys::FIRST,
        "generic",
        "1.0.0",
        "Determines the type of value stored at a key.",
    ),
    command(
        "rename",
        rename,
        3,
        WRITE,
        Keys::At(1, 2, 1),
        "generic",
        "1.0.0",
        "Renames a key and overwrites the destination.",
    ),
    command(
        "renamenx",
        renamenx,
        3,
        FAST_WRITE,
        Keys::At(1, 2, 1),
        "generic",
        "1.0.0",
        "Renames a key only when the target key name doesn't exist.",
    ),
    command(
        "copy",
        copy,
        -3,
        Flags(Flags::WRITE.0 | Flags::DENY_OOM.0 | Flags::OTHER_DATABASE.0),
        Keys::At(1, 2, 1),
        "generic",
        "6.2.0",
        "Copies the value of a key to a new key.",
    ),
    command(
        "move",
        move_key,
        3,
        Flags(Flags::WRITE.0 | Flags::FAST.0 | Flags::OTHER_DATABASE.0),
        Keys::FIRST,
        "generic",
        "1.0.0",
        "Moves a key to another database.",
    ),
];

fn del(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let mut count = 0;
    for arg in &args[1..] {
        let key = context.key(arg);
        if context.work.remove(&key)? {
            context.work.notify(b'g', "del", &key);
            count += 1;
        }
    }
    context.reply().int(count);
    Ok(())
}

fn exists(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let mut count = 0;
    for arg in &args[1..] {
        let key = context.key(arg);
        count += i64::from(context.work.find(&key, |found| found.is_some())?);
    }
    context.reply().int(count);
    Ok(())
}

fn type_of(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    let name = context.work.find(&key, |found| match found {
        None => "none",
        Some(found) if found.is_list => "list",
        Some(_) => "string",
    })?;
    context.reply().simple(name);
    Ok(())
}

/// A copy of all that a key has.
enum Contents {
    Value(Vec<u8>),
    List(Vec<Vec<u8>>),
}

fn contents(context: &mut Context<'_>, key: &[u8]) -> Result<Option<(Contents, Option<u64>)>> {
    let found = context
        .work
        .find(key, |found| found.map(|found| (found.is_list, found.value.to_vec(), found.expiry_ms)))?;
    Ok(match found {
        None => None,
        Some((false, value, expiry_ms)) => Some((Contents::Value(value), expiry_ms)),
        Some((true, _, expiry_ms)) => {
            let elements = whole(context, key)?;
            elements.map(|elements| (Contents::List(elements), expiry_ms))
        }
    })
}

fn put(context: &mut Context<'_>, key: &[u8], (contents, expiry_ms): (Contents, Option<u64>)) -> Result {
    match contents {
        Contents::Value(value) => context.work.set(key, &value, expiry_ms),
        Contents::List(elements) => context.work.put_list(key, elements, expiry_ms)?,
    }
    Ok(())
}

/// Moves what a key has to another. False where that is there and must not be.
fn rename_to(context: &mut Context<'_>, args: &[&[u8]], only_if_absent: bool) -> Result<bool> {
    let (from, to) = (context.key(args[1]), context.key(args[2]));
    if from == to {
        let is_there = context.work.find(&from, |found| found.is_some())?;
        return if is_there { Ok(!only_if_absent) } else { Err(Fault::from(NO_SUCH_KEY)) };
    }
    let is_there = context.work.find(&from, |found| found.is_some())?;
    if !is_there {
        return Err(Fault::from(NO_SUCH_KEY));
    }
    if only_if_absent && context.work.find(&to, |found| found.is_some())? {
        return Ok(false);
    }
    let contents = contents(context, &from)?.ok_or(Fault::from(NO_SUCH_KEY))?;
    put(context, &to, contents)?;
    context.work.remove(&from)?;
    context.work.notify(b'g', "rename_from", &from);
    context.work.notify(b'g', "rename_to", &to);
    Ok(true)
}

fn rename(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    rename_to(context, args, false)?;
    context.reply().ok();
    Ok(())
}

fn renamenx(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let is_renamed = rename_to(context, args, true)?;
    context.reply().flag(is_renamed);
    Ok(())
}

/// What COPY is told behind its keys: the database of the copy, and whether it may replace what is there.
fn copy_options(mut database: u8, args: &[&[u8]]) -> Result<(u8, bool)> {
    let mut replace = false;
    let mut rest = args[3..].iter();
    while let Some(word) = rest.next() {
        if is(word, "REPLACE") {
            replace = true;
        } else if is(word, "DB")
            && let Some(number) = rest.next()
        {
            let number = int32(number)?;
            if !(0..DATABASES as i64).contains(&number) {
                return Err(Fault::from("ERR DB index is out of range"));
            }
            database = number as u8;
        } else {
            return Err(Fault::from(SYNTAX));
        }
    }
    Ok((database, replace))
}

/// The key that COPY and MOVE change, which may be in another database than that of the client.
pub fn destination<'a>(database: u8, args: &[&'a [u8]]) -> Result<(u8, &'a [u8])> {
    if is(args[0], "COPY") {
        return copy_options(database, args).map(|(database, _)| (database, args[2]));
    }
    connection::database(&args[1..]).map(|database| (database, args[1]))
}

fn copy(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (database, replace) = copy_options(context.session.database, args)?;
    let (from, to) = (context.key(args[1]), context.work.keyspace.key(database, args[2]));
    if from == to {
        return Err(Fault::from("ERR source and destination objects are the same"));
    }
    let is_copied = transfer(context, &from, &to, replace)?;
    if is_copied {
        context.work.notify(b'g', "copy_to", &to);
    }
    context.reply().flag(is_copied);
    Ok(())
}

/// Copies what a key has to another. False where there is nothing, or the other is there and must not be.
fn transfer(context: &mut Context<'_>, from: &Key, to: &Key, replace: bool) -> Result<bool> {
    let Some(contents) = contents(context, from)? else { return Ok(false) };
    if !replace && context.work.find(to, |found| found.is_some())? {
        return Ok(false);
    }
    put(context, to, contents)?;
    Ok(true)
}

fn move_key(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let number = connection::database(&args[1..])?;
    if number == context.session.database {
        return Err(Fault::from("ERR source and destination objects are the same"));
    }
    let (from, to) = (context.key(args[1]), context.work.keyspace.key(number, args[1]));
    let is_moved = transfer(context, &from, &to, false)?;
    if is_moved {
        context.work.remove(&from)?;
        context.work.notify(b'g', "move_from", &from);
        context.work.notify(b'g', "move_to", &to);
    }
    context.reply().flag(is_moved);
    Ok(())
}
