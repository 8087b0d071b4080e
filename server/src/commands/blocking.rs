//! Lists as queues: clients that wait for elements, and who serves them.
//!
//! A client that finds nothing is put into the queue of each list while the locks of those are held, so no element can come unseen. Who adds
//! elements serves those who wait, in their order, before it does anything else: they are gone when the next command looks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Context;
use super::args::parse_float;
use super::fault::{Fault, Result};
use super::lists::{end_of, is_list, many, move_element, take};
use super::table::{Command, Flags, Keys, command};
use crate::keyspace::Key;
use crate::keyspace::blocked::{Waiter, Wish};
use crate::keyspace::work::Work;
use crate::resp::reply::Reply;

const WAITS: Flags = Flags(Flags::WRITE.0 | Flags::BLOCKING.0);
const MOVES: Flags = Flags(Flags::WRITE.0 | Flags::DENY_OOM.0 | Flags::BLOCKING.0);

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command(
        "blpop",
        blpop,
        -3,
        WAITS,
        Keys::At(1, -2, 1),
        "list",
        "2.0.0",
        "Removes and returns the first element in a list. Blocks until an element is available otherwise.",
    ),
    command(
        "brpop",
        brpop,
        -3,
        WAITS,
        Keys::At(1, -2, 1),
        "list",
        "2.0.0",
        "Removes and returns the last element in a list. Blocks until an element is available otherwise.",
    ),
    command(
        "blmove",
        blmove,
        6,
        MOVES,
        Keys::At(1, 2, 1),
        "list",
        "6.2.0",
        "Pops an element from a list, pushes it to another list and returns it. Blocks until an element is available otherwise.",
    ),
    command(
        "brpoplpush",
        brpoplpush,
        4,
        MOVES,
        Keys::At(1, 2, 1),
        "list",
        "2.2.0",
        "Pops an element from a list, pushes it to another list and returns it. Blocks until an element is available otherwise.",
    ),
    command(
        "blmpop",
        blmpop,
        -5,
        WAITS,
        Keys::Counted(2),
        "list",
        "7.0.0",
        "Pops elements from the first list that has some. Blocks until elements are available otherwise.",
    ),
];

/// The time until a wait ends; `None` for never.
fn timeout(text: &[u8]) -> Result<Option<Duration>> {
    let seconds = parse_float(text).ok_or(Fault::from("ERR timeout is not a float or out of range"))?;
    if seconds < 0.0 {
        return Err(Fault::from("ERR timeout is negative"));
    }
    let millis = (seconds * 1000.0).ceil();
    if !millis.is_finite() || millis > (i64::MAX / 2) as f64 {
        return Err(Fault::from("ERR timeout is out of range"));
    }
    Ok((millis > 0.0).then(|| Duration::from_millis(millis as u64)))
}

/// Lets the client wait; in a transaction it is told at once that there is nothing. The wait, where there is one.
pub fn wait(
    context: &mut Context<'_>,
    keys: Vec<Key>,
    wish: Wish,
    timeout: Option<Duration>,
) -> Option<Arc<Waiter>> {
    if context.session.is_executing {
        let is_move = matches!(wish, Wish::Move { .. });
        let mut reply = context.reply();
        if is_move {
            reply.null()
        } else {
            reply.null_array()
        }
        return None;
    }
    let address = context.session.client.address;
    let is_nobody_there = context.session.is_at_end && wish.takes_elements();
    let waiter = Arc::new(Waiter::new(address, keys, wish, context.session.is_resp3));
    if is_nobody_there || !context.work.keyspace.blocked.add(&waiter) {
        // The client has gone or the server ends: nobody would take what it is given.
        context.session.ends = true;
        return None;
    }
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    context.session.wait = Some((waiter.clone(), deadline));
    context.session.publish_state();
    Some(waiter)
}

fn pop(context: &mut Context<'_>, args: &[&[u8]], front: bool) -> Result {
    let timeout = timeout(args[args.len() - 1])?;
    let mut keys = Vec::new();
    for name in &args[1..args.len() - 1] {
        let key = context.key(name);
        if context.work.find(&key, is_list)?? {
            let taken = take(context.work, &key, front, 1)?.unwrap_or_default();
            let mut reply = context.reply();
            reply.array(2);
            reply.bulk(name);
            reply.bulk_or_null(taken.first().map(Vec::as_slice));
            return Ok(());
        }
        keys.push(key);
    }
    wait(context, keys, Wish::Pop { front }, timeout);
    Ok(())
}

fn blpop(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    pop(context, args, true)
}

fn brpop(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    pop(context, args, false)
}

fn moving(context: &mut Context<'_>, from: &[u8], to: &[u8], ends: (bool, bool), seconds: &[u8]) -> Result {
    let timeout = timeout(seconds)?;
    let (from, to) = (context.key(from), context.key(to));
    let (from_front, to_front) = ends;
    match move_element(context.work, &from, &to, from_front, to_front)? {
        Some(element) => context.reply().bulk(&element),
        None => {
            wait(context, vec![from], Wish::Move { to, from_front, to_front }, timeout);
        }
    }
    Ok(())
}

fn blmove(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let ends = (end_of(args[3])?, end_of(args[4])?);
    moving(context, args[1], args[2], ends, args[5])
}

fn brpoplpush(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    moving(context, args[1], args[2], (false, true), args[3])
}

fn blmpop(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let timeout = timeout(args[1])?;
    let (names, front, count) = many(args, 2)?;
    let mut keys = Vec::new();
    for name in names {
        let key = context.key(name);
        if context.work.find(&key, is_list)?? {
            let taken = take(context.work, &key, front, count)?.unwrap_or_default();
            let mut reply = context.reply();
            reply.array(2);
            reply.bulk(name);
            reply.bulks(&taken);
            return Ok(());
        }
        keys.push(key);
    }
    wait(context, keys, Wish::PopMany { front, count }, timeout);
    Ok(())
}

/// Serves the clients that wait for lists which got elements in the command before, or the transaction.
pub fn serve_pushed(work: &mut Work) {
    if work.is_transaction {
        return;
    }
    // Moves add to other lists, for which others may wait.
    while !work.pushed.is_empty() {
        for key in std::mem::take(&mut work.pushed) {
            while let Some(waiter) = next_to_serve(work, &key) {
                if !serve(work, &key, &waiter) {
                    break;
                }
            }
        }
    }
}

/// The client that is next to get something of a list that has something.
fn next_to_serve(work: &mut Work, key: &[u8]) -> Option<Arc<Waiter>> {
    // A wait for another list may have given this one's lock up.
    work.lock([key].into_iter());
    let waiter = work.keyspace.blocked.first(key)?;
    if let Wish::Move { to, .. } = &waiter.wish
        && !work.try_lock(to)
    {
        // Somebody has the other list. What was done so far is written, and then both are waited for.
        let keys = [key, to.as_slice()];
        work.lock(keys.into_iter());
    }
    work.find(key, |found| found.is_some_and(|found| found.is_list)).ok()?.then_some(waiter)
}

/// Gives a client what it waits for. False where nobody can be served now.
fn serve(work: &mut Work, key: &[u8], waiter: &Arc<Waiter>) -> bool {
    if !waiter.decide() {
        return true;
    }
    let mut bytes = Vec::new();
    let mut reply = Reply { out: &mut bytes, is_resp3: waiter.is_resp3 };
    let name = key.get(1..).unwrap_or_default();
    let served = match &waiter.wish {
        Wish::Pop { front } => take(work, key, *front, 1).map(|taken| {
            reply.array(2);
            reply.bulk(name);
            reply.bulk_or_null(taken.as_ref().and_then(|taken| taken.first()).map(Vec::as_slice));
        }),
        Wish::PopMany { front, count } => take(work, key, *front, *count).map(|taken| {
            reply.array(2);
            reply.bulk(name);
            reply.bulks(&taken.unwrap_or_default());
        }),
        Wish::Sleep | Wish::Count | Wish::Durable { .. } => Ok(()),
        Wish::Move { to, from_front, to_front } => move_element(work, key, to, *from_front, *to_front)
            .map(|element| reply.bulk_or_null(element.as_deref())),
    };
    if let Err(fault) = served {
        bytes.clear();
        Reply { out: &mut bytes, is_resp3: waiter.is_resp3 }.error(&fault.text());
    }
    work.send(waiter.address, bytes);
    true
}
