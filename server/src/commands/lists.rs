//! Lists: their ends, and looks at them.

use super::args::{int, int_within, is, range};
use super::fault::{Fault, Result, SYNTAX, WRONG_TYPE};
use super::table::{Command, Flags, Keys, command};
use super::{Context, wrong_number};
use crate::keyspace::list::{Element, MOST_WHOLE, PIECE as AT_ONCE};
use crate::keyspace::work::{Found, Work};
use crate::resp::reply::Reply;

const READ: Flags = Flags::READ;
const FAST_READ: Flags = Flags(Flags::READ.0 | Flags::FAST.0);
const GROWS: Flags = Flags(Flags::WRITE.0 | Flags::DENY_OOM.0 | Flags::FAST.0);
const SHRINKS: Flags = Flags(Flags::WRITE.0 | Flags::FAST.0);
const MOVES: Flags = Flags(Flags::WRITE.0 | Flags::DENY_OOM.0);

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command(
        "lpush",
        lpush,
        -3,
        GROWS,
        Keys::FIRST,
        "list",
        "1.0.0",
        "Prepends elements to a list. Creates the key if it doesn't exist.",
    ),
    command(
        "rpush",
        rpush,
        -3,
        GROWS,
        Keys::FIRST,
        "list",
        "1.0.0",
        "Appends elements to a list. Creates the key if it doesn't exist.",
    ),
    command(
        "lpushx",
        lpushx,
        -3,
        GROWS,
        Keys::FIRST,
        "list",
        "2.2.0",
        "Prepends elements to a list only when the list exists.",
    ),
    command(
        "rpushx",
        rpushx,
        -3,
        GROWS,
        Keys::FIRST,
        "list",
        "2.2.0",
        "Appends elements to a list only when the list exists.",
    ),
    command(
        "lpop",
        lpop,
        -2,
        SHRINKS,
        Keys::FIRST,
        "list",
        "1.0.0",
        "Returns the first elements of a list after removing them.",
    ),
    command(
        "rpop",
        rpop,
        -2,
        SHRINKS,
        Keys::FIRST,
        "list",
        "1.0.0",
        "Returns the last elements of a list after removing them.",
    ),
    command("llen", llen, 2, FAST_READ, Keys::FIRST, "list", "1.0.0", "Returns the length of a list."),
    command(
        "lrange",
        lrange,
        4,
        READ,
        Keys::FIRST,
        "list",
        "1.0.0",
        "Returns a range of elements from a list.",
    ),
    command(
        "lindex",
        lindex,
        3,
        READ,
        Keys::FIRST,
        "list",
        "1.0.0",
        "Returns an element from a list by its index.",
    ),
    command(
        "lpos",
        lpos,
        -3,
        READ,
        Keys::FIRST,
        "list",
        "6.0.6",
        "Returns the index of matching elements in a list.",
    ),
    command(
        "lmove",
        lmove,
        5,
        MOVES,
        Keys::At(1, 2, 1),
        "list",
        "6.2.0",
        "Returns an element after popping it from one list and pushing it to another.",
    ),
    command(
        "rpoplpush",
        rpoplpush,
        3,
        MOVES,
        Keys::At(1, 2, 1),
        "list",
        "1.2.0",
        "Returns the last element of a list after pushing it to another list.",
    ),
    command(
        "lmpop",
        lmpop,
        -4,
        Flags::WRITE,
        Keys::Counted(1),
        "list",
        "7.0.0",
        "Returns elements from the first list that has some after removing them.",
    ),
];

/// Whether a key holds a list; a string is an error.
pub fn is_list(found: Option<Found<'_>>) -> Result<bool> {
    match found {
        Some(found) if !found.is_list => Err(Fault::from(WRONG_TYPE)),
        found => Ok(found.is_some()),
    }
}

fn push(context: &mut Context<'_>, args: &[&[u8]], front: bool, only_if_there: bool) -> Result {
    let key = context.key(args[1]);
    if only_if_there && !context.work.find(&key, is_list)?? {
        context.reply().int(0);
        return Ok(());
    }
    let length = context.work.grow_list(&key, |list, _| {
        for element in &args[2..] {
            if front { list.push_front(element.to_vec()) } else { list.push_back(element.to_vec()) }
        }
        Ok(list.len())
    })?;
    context.work.notify(b'l', if front { "lpush" } else { "rpush" }, &key);
    context.reply().int(length.unwrap_or(0) as i64);
    Ok(())
}

fn lpush(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    push(context, args, true, false)
}

fn rpush(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    push(context, args, false, false)
}

fn lpushx(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    push(context, args, true, true)
}

fn rpushx(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    push(context, args, false, true)
}

/// What a list is told that takes too much memory.
pub fn too_large() -> Fault {
    Fault::from(format!(
        "OOM the elements take more than {MOST_WHOLE} bytes, too many for a command that holds them all"
    ))
}

/// Copies of all elements; `None` where there is no list.
pub fn whole(context: &mut Context<'_>, key: &[u8]) -> Result<Option<Vec<Element>>> {
    match context.work.look_at_list(key, |list, db| list.whole(db, key))? {
        Some(None) => Err(too_large()),
        whole => Ok(whole.flatten()),
    }
}

/// Takes up to `count` elements out at an end; `None` where there is no list. Where that fails nothing is taken out.
pub fn take(work: &mut Work, key: &[u8], front: bool, count: u64) -> Result<Option<Vec<Element>>> {
    let taken = work.change_list(key, |list, db| {
        let count = count.min(list.len());
        let from = if front { 0 } else { list.len() - count };
        let Some(mut taken) = list.within(db, key, (from, count), MOST_WHOLE)? else {
            return Ok((None, false));
        };
        if front {
            list.trim(count, 0);
        } else {
            taken.reverse();
            list.trim(0, count);
        }
        Ok((Some(taken), list.is_empty()))
    })?;
    let Some((taken, is_gone)) = taken else { return Ok(None) };
    let taken = taken.ok_or_else(too_large)?;
    work.notify(b'l', if front { "lpop" } else { "rpop" }, key);
    if is_gone {
        work.notify(b'g', "del", key);
    }
    Ok(Some(taken))
}

fn pop(context: &mut Context<'_>, args: &[&[u8]], front: bool) -> Result {
    let key = context.key(args[1]);
    if args.len() > 3 {
        return Err(wrong_number(if front { "lpop" } else { "rpop" }));
    }
    let Some(count) = args.get(2) else {
        if !context.work.find(&key, is_list)?? {
            context.reply().null();
            return Ok(());
        }
        let taken = take(context.work, &key, front, 1)?;
        context.reply().bulk_or_null(taken.as_ref().and_then(|taken| taken.first()).map(Vec::as_slice));
        return Ok(());
    };
    let count = int_within(count, 0, i64::MAX, "ERR value is out of range, must be positive")?;
    if !context.work.find(&key, is_list)?? {
        context.reply().null_array();
        return Ok(());
    }
    if count == 0 {
        context.reply().array(0);
        return Ok(());
    }
    let taken = take(context.work, &key, front, count as u64)?.unwrap_or_default();
    context.reply().bulks(&taken);
    Ok(())
}

fn lpop(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    pop(context, args, true)
}

fn rpop(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    pop(context, args, false)
}

fn llen(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    let length =
        context.work.find(&key, |found| is_list(found).map(|_| found.map_or(0, |found| found.length)))??;
    context.reply().int(length as i64);
    Ok(())
}

fn lrange(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (first, last) = (int(args[2])?, int(args[3])?);
    let key = context.key(args[1]);
    let (begin, is_resp3, out) = (context.out.len(), context.session.is_resp3, &mut *context.out);
    let shown = context.work.look_at_list(&key, |list, db| {
        let (from, count) = range(list.len(), first, last);
        Reply { out, is_resp3 }.array(count as usize);
        list.visit(db, &key, from, count, |element| {
            Reply { out, is_resp3 }.bulk(element);
            out.len() - begin <= MOST_WHOLE as usize
        })
    });
    context.work.count_read(!matches!(shown, Ok(None)));
    match shown? {
        None => context.reply().array(0),
        Some(true) => {}
        Some(false) => return Err(too_large()),
    }
    Ok(())
}

/// The place of the element with this index, which is negative where it counts from the end.
pub fn place_of(length: u64, index: i64) -> Option<u64> {
    let place = if index < 0 { length.checked_sub(index.unsigned_abs())? } else { index as u64 };
    (place < length).then_some(place)
}

fn lindex(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    if !context.work.find(&key, is_list)?? {
        context.reply().null();
        return Ok(());
    }
    let index = int(args[2])?;
    let element = context.work.look_at_list(&key, |list, db| match place_of(list.len(), index) {
        Some(place) => list.get(db, &key, place),
        None => Ok(None),
    })?;
    context.reply().bulk_or_null(element.flatten().as_deref());
    Ok(())
}

fn lpos(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (mut rank, mut count, mut most) = (1i64, None, 0i64);
    let mut rest = args[3..].iter();
    while let Some(word) = rest.next() {
        let value = rest.next();
        if is(word, "RANK")
            && let Some(value) = value
        {
            rank = int(value)?;
            if rank == 0 {
                return Err(Fault::from(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
                ));
            }
            if rank == i64::MIN {
                return Err(Fault::from(
                    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
                ));
            }
        } else if is(word, "COUNT")
            && let Some(value) = value
        {
            count = Some(int_within(value, 0, i64::MAX, "ERR COUNT can't be negative")?);
        } else if is(word, "MAXLEN")
            && let Some(value) = value
        {
            most = int_within(value, 0, i64::MAX, "ERR MAXLEN can't be negative")?;
        } else {
            return Err(Fault::from(SYNTAX));
        }
    }
    let key = context.key(args[1]);
    let wanted = count.map_or(1, |count| if count == 0 { usize::MAX } else { count as usize });
    let mut skip = rank.unsigned_abs() - 1;
    let mut found = Vec::new();
    let looked = context.work.look_at_list(&key, |list, db| {
        let length = list.len();
        let most = if most == 0 { length } else { (most as u64).min(length) };
        let mut seen = 0;
        // A part after the other, from the end at which it begins: a list may be larger than the memory.
        while seen < most && found.len() < wanted {
            let count = (most - seen).min(AT_ONCE);
            let first = if rank > 0 { seen } else { length - seen - count };
            let elements = list.range(db, &key, first, count)?;
            for n in 0..elements.len() {
                let n = if rank > 0 { n } else { elements.len() - 1 - n };
                if elements[n] != args[2] {
                    continue;
                }
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                found.push(first as usize + n);
                if found.len() >= wanted {
                    break;
                }
            }
            seen += count;
        }
        Ok(())
    });
    context.work.count_read(!matches!(looked, Ok(None)));
    looked?;
    let mut reply = context.reply();
    match (count, found.first()) {
        (Some(_), _) => {
            reply.array(found.len());
            found.iter().for_each(|place| reply.count(*place));
        }
        (None, Some(place)) => reply.count(*place),
        (None, None) => reply.null(),
    }
    Ok(())
}

/// LEFT or RIGHT: whether it is the front.
pub fn end_of(word: &[u8]) -> Result<bool> {
    match word {
        word if is(word, "LEFT") => Ok(true),
        word if is(word, "RIGHT") => Ok(false),
        _ => Err(Fault::from(SYNTAX)),
    }
}

/// Moves an element from one list to another; `None` where there is nothing to move.
pub fn move_element(
    work: &mut Work,
    from: &[u8],
    to: &[u8],
    from_front: bool,
    to_front: bool,
) -> Result<Option<Vec<u8>>> {
    if !work.find(from, is_list)?? {
        return Ok(None);
    }
    work.find(to, is_list)??;
    if from != to {
        // What can fail comes before an element is taken out.
        work.make_ready(to)?;
    }
    let add = |list: &mut crate::keyspace::list::List, element: Vec<u8>| {
        if to_front { list.push_front(element) } else { list.push_back(element) }
    };
    let take = |list: &mut crate::keyspace::list::List, db: &filedb::Db| {
        if from_front { list.pop_front(db, from) } else { list.pop_back(db, from) }
    };
    let (push_event, pop_event) =
        (if to_front { "lpush" } else { "rpush" }, if from_front { "lpop" } else { "rpop" });
    if from == to {
        // The list stays the same list, with its expiry, also where it has one element.
        let moved = work.grow_list(from, |list, db| {
            let element = take(list, db)?;
            if let Some(element) = &element {
                add(list, element.clone());
            }
            Ok(element)
        })?;
        work.notify(b'l', push_event, to);
        work.notify(b'l', pop_event, from);
        return Ok(moved.flatten());
    }
    let taken = work.change_list(from, |list, db| Ok((take(list, db)?, list.is_empty())))?;
    let Some((Some(element), is_gone)) = taken else { return Ok(None) };
    work.grow_list(to, |list, _| {
        add(list, element.clone());
        Ok(())
    })?;
    work.notify(b'l', push_event, to);
    work.notify(b'l', pop_event, from);
    if is_gone {
        work.notify(b'g', "del", from);
    }
    Ok(Some(element))
}

fn lmove(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (from_front, to_front) = (end_of(args[3])?, end_of(args[4])?);
    let (from, to) = (context.key(args[1]), context.key(args[2]));
    let element = move_element(context.work, &from, &to, from_front, to_front)?;
    context.reply().bulk_or_null(element.as_deref());
    Ok(())
}

fn rpoplpush(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (from, to) = (context.key(args[1]), context.key(args[2]));
    let element = move_element(context.work, &from, &to, false, true)?;
    context.reply().bulk_or_null(element.as_deref());
    Ok(())
}

/// What LMPOP and BLMPOP say behind the number of keys, which is at `at`: the keys, the end, and how many.
pub fn many<'a>(args: &'a [&'a [u8]], at: usize) -> Result<(&'a [&'a [u8]], bool, u64)> {
    let count = int_within(args[at], 1, i64::MAX, "ERR numkeys should be greater than 0")? as usize;
    let rest = &args[at + 1..];
    let (Some(keys), Some(end)) = (rest.get(..count), rest.get(count)) else {
        return Err(Fault::from(SYNTAX));
    };
    let front = end_of(end)?;
    let count = match rest[count + 1..] {
        [] => 1,
        [word, number] if is(word, "COUNT") => {
            int_within(number, 1, i64::MAX, "ERR count should be greater than 0")?
        }
        _ => return Err(Fault::from(SYNTAX)),
    };
    Ok((keys, front, count as u64))
}

fn lmpop(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (keys, front, count) = many(args, 1)?;
    for name in keys {
        let key = context.key(name);
        if context.work.find(&key, is_list)?? {
            let taken = take(context.work, &key, front, count)?.unwrap_or_default();
            let mut reply = context.reply();
            reply.array(2);
            reply.bulk(name);
            reply.bulks(&taken);
            return Ok(());
        }
    }
    context.reply().null_array();
    Ok(())
}
