//! Changes inside of lists.

use filedb::Batch;

use super::Context;
use super::args::{int, is, range};
use super::fault::{Fault, NO_SUCH_KEY, OUT_OF_RANGE, Result, SYNTAX};
use super::lists::{is_list, place_of, whole};
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
    let elements = whole(context, &key)?;
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
    let elements = whole(context, &key)?;
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

/// How many elements are taken out by one batch.
const AT_ONCE: u64 = 1 << 16;

/// How many elements LTRIM takes out in front, leaves, and takes out behind; `None` where there is no list.
fn parts(context: &mut Context<'_>, key: &[u8], ends: (i64, i64)) -> Result<Option<(u64, u64, u64)>> {
    let parts = context.work.look_at_list(key, |list, _| {
        let (from, count) = range(list.len(), ends.0, ends.1);
        Ok(if count == 0 { (list.len(), 0, 0) } else { (from, count, list.len() - from - count) })
    })?;
    Ok(parts)
}

/// Takes so many elements out in front and behind, some by a batch of their own at a time, until the rest is no more than one takes: how many
/// are left to take out.
fn trim_much(context: &mut Context<'_>, key: &[u8], mut front: u64, mut back: u64) -> Result<(u64, u64)> {
    while front + back > AT_ONCE {
        let from_front = front.min(AT_ONCE);
        let from_back = back.min(AT_ONCE - from_front);
        let mut batch = Batch::new();
        (0..from_front).try_for_each(|_| batch.pop_front(key))?;
        (0..from_back).try_for_each(|_| batch.pop_back(key))?;
        context.work.write_now(&batch)?;
        (front, back) = (front - from_front, back - from_back);
    }
    Ok((front, back))
}

fn ltrim(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let ends = (int(args[2])?, int(args[3])?);
    let key = context.key(args[1]);
    let Some((mut front, kept, mut back)) = parts(context, &key, ends)? else {
        context.reply().ok();
        return Ok(());
    };
    // A transaction is one batch. What is written anew instead, because little is left, is one too.
    if front + back > AT_ONCE && kept > AT_ONCE && !context.session.is_executing {
        context.work.flush()?;
        // As the store has it now: what was to be written before may have failed.
        if let Some((in_front, _, behind)) = parts(context, &key, ends)? {
            (front, back) = trim_much(context, &key, in_front, behind)?;
        }
    }
    let is_gone = context.work.change_list(&key, |list, _| {
        list.trim(front, back);
        Ok(list.is_empty())
    })?;
    context.work.notify(b'l', "ltrim", &key);
    if is_gone == Some(true) {
        context.work.notify(b'g', "del", &key);
    }
    context.reply().ok();
    Ok(())
}
