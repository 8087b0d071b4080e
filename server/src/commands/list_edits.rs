//! Changes inside of lists.

use super::Context;
use super::args::{int, is, range};
use super::fault::{Fault, NO_SUCH_KEY, OUT_OF_RANGE, Result, SYNTAX};
use super::lists::{is_list, place_of};
use super::table::{Command, Flags, Keys, command};

const WRITE: Flags = Flags::WRITE;
const GROWS: Flags = Flags(Flags::WRITE.0 | Flags::DENY_OOM.0);

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command(
        "lset",
        lset,
        4,
        GROWS,
        Keys::FIRST,
        "list",
        "1.0.0",
        "Sets the value of an element in a list by its index.",
    ),
    command(
        "linsert",
        linsert,
        5,
        GROWS,
        Keys::FIRST,
        "list",
        "2.2.0",
        "Inserts an element before or after another element in a list.",
    ),
    command("lrem", lrem, 4, WRITE, Keys::FIRST, "list", "1.0.0", "Removes elements from a list."),
    command(
        "ltrim",
        ltrim,
        4,
        WRITE,
        Keys::FIRST,
        "list",
        "1.0.0",
        "Removes elements from both ends of a list.",
    ),
];

fn lset(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    if !context.work.find(&key, is_list)?? {
        return Err(Fault::from(NO_SUCH_KEY));
    }
    let index = int(args[2])?;
    let length = context.work.look_at_list(&key, |list, _| Ok(list.len()))?.unwrap_or(0);
    let place = place_of(length, index).ok_or(Fault::from(OUT_OF_RANGE))?;
    context.work.change_list(&key, |list, _| Ok(list.set(place, args[3].to_vec())))?;
    context.work.notify(b'l', "lset", &key);
    context.reply().ok();
    Ok(())
}

fn linsert(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let after = match args[2] {
        word if is(word, "AFTER") => 1,
        word if is(word, "BEFORE") => 0,
        _ => return Err(Fault::from(SYNTAX)),
    };
    let key = context.key(args[1]);
    let elements = context.work.look_at_list(&key, |list, db| list.range(db, &key, 0, u64::MAX))?;
    let Some(mut elements) = elements else {
        context.reply().int(0);
        return Ok(());
    };
    let Some(place) = elements.iter().position(|element| element == args[3]) else {
        context.reply().int(-1);
        return Ok(());
    };
    elements.insert(place + after, args[4].to_vec());
    let length = elements.len();
    context.work.change_list(&key, |list, _| {
        list.replace(elements);
        Ok(())
    })?;
    context.work.notify(b'l', "linsert", &key);
    context.reply().count(length);
    Ok(())
}

fn lrem(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let count = int(args[2])?;
    let key = context.key(args[1]);
    let elements = context.work.look_at_list(&key, |list, db| list.range(db, &key, 0, u64::MAX))?;
    let elements = elements.unwrap_or_default();
    let most =
        if count == 0 { usize::MAX } else { usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX) };
    let mut removed = 0;
    let mut stays = |element: &Vec<u8>| {
        let goes = removed < most && element == args[3];
        removed += usize::from(goes);
        !goes
    };
    let mut left: Vec<Vec<u8>> = match count < 0 {
        false => elements.into_iter().filter(|element| stays(element)).collect(),
        true => elements.into_iter().rev().filter(|element| stays(element)).collect(),
    };
    if count < 0 {
        left.reverse();
    }
    if removed > 0 {
        let is_gone = left.is_empty();
        context.work.change_list(&key, |list, _| {
            list.replace(left);
            Ok(())
        })?;
        context.work.notify(b'l', "lrem", &key);
        if is_gone {
            context.work.notify(b'g', "del", &key);
        }
    }
    context.reply().count(removed);
    Ok(())
}

fn ltrim(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (first, last) = (int(args[2])?, int(args[3])?);
    let key = context.key(args[1]);
    if context.work.find(&key, is_list)?? {
        let is_gone = context.work.change_list(&key, |list, _| {
            let length = list.len();
            let (from, count) = range(length, first, last);
            let (front, back) = if count == 0 { (length, 0) } else { (from, length - from - count) };
            list.trim(front, back);
            Ok(list.is_empty())
        })?;
        context.work.notify(b'l', "ltrim", &key);
        if is_gone == Some(true) {
            context.work.notify(b'g', "del", &key);
        }
    }
    context.reply().ok();
    Ok(())
}
