//! Transactions: commands that are queued, done without others in between, and written as one batch.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::dispatch::{call, fail, stored_keys};
use super::fault::{Fault, Result};
use super::table::{Command, Flags, Keys, command};
use super::{Context, connection};
use crate::keyspace::{Key, Keyspace};
use crate::net::driver::{LATENCY, nanos_of, was_slow};
use crate::session::{Queue, Session, Watched};

const PLAIN: Flags = Flags(Flags::FAST.0 | Flags::NOT_QUEUED.0 | Flags::NO_SCRIPT.0);

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command("multi", multi, 1, PLAIN, Keys::NONE, "transactions", "1.2.0", "Starts a transaction."),
    command(
        "exec",
        exec,
        1,
        Flags(Flags::NOT_QUEUED.0 | Flags::NO_SCRIPT.0),
        Keys::NONE,
        "transactions",
        "1.2.0",
        "Executes all commands in a transaction.",
    ),
    command(
        "discard",
        discard_command,
        1,
        PLAIN,
        Keys::NONE,
        "transactions",
        "2.0.0",
        "Discards a transaction.",
    ),
    command(
        "watch",
        watch,
        -2,
        PLAIN,
        Keys::ALL,
        "transactions",
        "2.2.0",
        "Monitors changes to keys to determine the execution of a transaction.",
    ),
    command(
        "unwatch",
        unwatch_command,
        1,
        Flags(Flags::FAST.0 | Flags::NO_SCRIPT.0),
        Keys::NONE,
        "transactions",
        "2.2.0",
        "Forgets about watched keys of a transaction.",
    ),
];

fn multi(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    if context.session.queue.is_some() {
        return Err(Fault::from("ERR MULTI calls can not be nested"));
    }
    context.session.queue = Some(Queue::default());
    context.session.publish_state();
    context.reply().ok();
    Ok(())
}

/// Ends a transaction and all watches.
pub fn discard(session: &mut Session, keyspace: &Keyspace) {
    session.queue = None;
    unwatch(session, keyspace);
    session.publish_state();
}

/// Ends all watches.
pub fn unwatch(session: &mut Session, keyspace: &Keyspace) {
    for watched in session.watched.drain(..) {
        keyspace.watches.remove(&watched.name, &session.touched);
    }
    session.touched.store(false, Ordering::SeqCst);
}

fn discard_command(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    if context.session.queue.is_none() {
        return Err(Fault::from("ERR DISCARD without MULTI"));
    }
    discard(context.session, &context.work.keyspace);
    context.reply().ok();
    Ok(())
}

fn watch(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    if context.session.queue.is_some() {
        return Err(Fault::from("ERR WATCH inside MULTI is not allowed"));
    }
    let database = context.session.database;
    for name in &args[1..] {
        let key = loop {
            let swaps = context.work.keyspace.databases.swaps();
            let key = context.key(name);
            context.work.lock([key.as_slice()].into_iter());
            if context.work.keyspace.databases.swaps() == swaps {
                break key;
            }
        };
        let is_it = |watched: &Watched| watched.database == database && watched.name == *name;
        if context.session.watched.iter().any(is_it) {
            continue;
        }
        let expiry_ms = context.work.find(&key, |found| found.and_then(|found| found.expiry_ms))?;
        context.work.keyspace.watches.add(&key, &context.session.touched);
        context.session.watched.push(Watched { database, name: name.to_vec(), expiry_ms });
    }
    context.reply().ok();
    Ok(())
}

fn unwatch_command(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    unwatch(context.session, &context.work.keyspace);
    context.reply().ok();
    Ok(())
}

fn exec(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let Some(queue) = context.session.queue.take() else {
        return Err(Fault::from("ERR EXEC without MULTI"));
    };
    let locked = lock_all(context, &queue);
    let is_touched = is_touched(context);
    unwatch(context.session, &context.work.keyspace);
    context.session.publish_state();
    if queue.is_spoilt {
        return Err(Fault::from("EXECABORT Transaction discarded because of previous errors."));
    }
    locked?;
    if is_touched? {
        context.reply().null_array();
        return Ok(());
    }
    let (begin, mut room) = (context.out.len(), context.room());
    context.reply().array(queue.commands.len());
    let mut begun = Instant::now();
    let slow = nanos_of(context.server.settings.slowlog_micros.load(Ordering::Relaxed) as i64);
    context.session.is_executing = true;
    context.work.is_transaction = true;
    for queued in &queue.commands {
        let args: Vec<&[u8]> = queued.args.iter().map(Vec::as_slice).collect();
        let before = context.out.len();
        if let Err(fault) = call(context, queued.command, &args) {
            context.work.tally.failed(queued.command.number);
            fail(context, &fault);
        }
        let now = Instant::now();
        let nanos = now.duration_since(begun).as_nanos() as u64;
        context.work.tally.done(queued.command.number, 1, nanos);
        if nanos >= slow.min(LATENCY) {
            was_slow(context.server, context.session, (queued.command, &args), nanos);
        }
        begun = now;
        if !room.take(context.out.len() - before) {
            context.out.truncate(begin);
        }
        if context.work.broken.is_some() {
            break;
        }
    }
    context.session.is_executing = false;
    context.work.is_transaction = false;
    if let Err(fault) = room.check() {
        // All of it is done, so an error would not be true.
        let id = context.session.id();
        log::warn!("client {id} is disconnected in place of the reply to EXEC: {}", fault.text());
        context.session.ends = true;
    }
    // Commands that read the store as a whole have what is before them written. Where that fails, the replies so far are wrong.
    match context.work.broken.take() {
        Some(error) => Err(Fault::from(error)),
        None => Ok(()),
    }
}

/// Holds the locks of all keys of a transaction, in whatever database.
fn lock_all(context: &mut Context<'_>, queue: &Queue) -> Result {
    loop {
        let swaps = context.work.keyspace.databases.swaps();
        match keys_of(context, queue)? {
            Some(keys) => context.work.lock(keys.iter().map(|key| key.as_slice())),
            None => context.work.lock_all(),
        }
        // As where the lock of one command is taken: SWAPDB may have come before.
        if context.work.keyspace.databases.swaps() == swaps {
            return Ok(());
        }
    }
}

/// All keys of a transaction, and those that are watched; `None` where it reads or changes whatever there is.
fn keys_of(context: &mut Context<'_>, queue: &Queue) -> Result<Option<Vec<Key>>> {
    let database = context.session.database;
    let keyspace = &context.work.keyspace;
    let stored = |watched: &Watched| keyspace.key(watched.database, &watched.name);
    let mut keys: Vec<Key> = context.session.watched.iter().map(stored).collect();
    let mut all = false;
    let mut found = Ok(());
    for queued in &queue.commands {
        let args: Vec<&[u8]> = queued.args.iter().map(Vec::as_slice).collect();
        all |= queued.command.flags.has(Flags::ALL_KEYS);
        match stored_keys(context, queued.command, &args) {
            Ok(more) => keys.extend(more),
            Err(fault) => found = Err(fault),
        }
        if queued.command.name == "select"
            && let Ok(selected) = connection::database(&args)
        {
            context.session.database = selected;
        }
    }
    context.session.database = database;
    found.map(|()| (!all).then_some(keys))
}

/// Whether a watched key was changed, or has expired.
fn is_touched(context: &mut Context<'_>) -> Result<bool> {
    if context.session.touched.load(Ordering::SeqCst) {
        return Ok(true);
    }
    if context.session.watched.iter().all(|watched| watched.expiry_ms.is_none()) {
        return Ok(false);
    }
    let now_ms = context.work.now_ms()?;
    Ok(context.session.watched.iter().any(|watched| watched.expiry_ms.is_some_and(|at| at <= now_ms)))
}
