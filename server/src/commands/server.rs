//! The server as a whole.

use std::time::Duration;

use super::args::{int, int_within, is, timeout_ms};
use super::fault::{Fault, Result, SYNTAX, not_durable};
use super::table::{Command, Flags, Keys, command};
use super::{Context, blocking, connection, wrong_subcommand};
use crate::keyspace::blocked::Wish;
use crate::keyspace::{DATABASES, OWN};
use crate::resp::reply::Reply;
use crate::server::wall_clock;

const ADMIN: Flags = Flags(Flags::ADMIN.0 | Flags::NO_SCRIPT.0);
const EMPTIES: Flags = Flags(Flags::WRITE.0 | Flags::ALL_KEYS.0);

const fn line(
    name: &'static str,
    handler: super::Handler,
    arity: i32,
    flags: Flags,
    since: &'static str,
    summary: &'static str,
) -> Command {
    command(name, handler, arity, flags, Keys::NONE, "server", since, summary)
}

const fn group(
    name: &'static str,
    handler: super::Handler,
    subcommands: &'static [Command],
    since: &'static str,
    summary: &'static str,
) -> Command {
    Command {
        name,
        handler,
        arity: -2,
        flags: Flags::NONE,
        keys: Keys::NONE,
        group: "server",
        since,
        summary,
        subcommands,
        number: 0,
    }
}

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    line("time", time, 1, Flags::FAST, "2.6.0", "Returns the server time."),
    line(
        "lastsave",
        lastsave,
        1,
        Flags::FAST,
        "1.0.0",
        "Returns the time of the last backup, or of the last sync to the disk.",
    ),
    line(
        "save",
        save,
        1,
        Flags(ADMIN.0 | Flags::NO_MULTI.0),
        "1.0.0",
        "Syncs all that was written to the disk.",
    ),
    line(
        "bgsave",
        bgsave,
        -1,
        ADMIN,
        "1.0.0",
        "Begins a backup, or a sync of all that was written to the disk.",
    ),
    line("bgrewriteaof", bgrewriteaof, 1, ADMIN, "1.0.0", "Begins to take the space of dead records back."),
    line(
        "shutdown",
        shutdown,
        -1,
        Flags(ADMIN.0 | Flags::NO_MULTI.0),
        "1.0.0",
        "Syncs all to the disk and shuts the server down.",
    ),
    line("flushdb", flushdb, -1, EMPTIES, "1.0.0", "Removes all keys from the current database."),
    line("flushall", flushall, -1, EMPTIES, "1.0.0", "Removes all keys from all databases."),
    line(
        "swapdb",
        swapdb,
        3,
        Flags(Flags::WRITE.0 | Flags::ALL_KEYS.0 | Flags::FAST.0),
        "4.0.0",
        "Swaps two databases.",
    ),
    line("wait", wait, 3, Flags(Flags::BLOCKING.0), "3.0.0", "Answers 0: there are no replicas."),
    line(
        "waitaof",
        waitaof,
        4,
        Flags(Flags::BLOCKING.0),
        "7.2.0",
        "Waits until all that was written before is on the disk.",
    ),
    group(
        "function",
        flush_scripts,
        &[
            line(
                "function|flush",
                flush_scripts,
                -2,
                Flags::WRITE,
                "7.0.0",
                "Deletes all functions: there are none.",
            ),
            super::help::line("function|help", "scripting", "7.0.0"),
        ],
        "7.0.0",
        "A container for function commands.",
    ),
    group(
        "script",
        flush_scripts,
        &[
            line(
                "script|flush",
                flush_scripts,
                -2,
                Flags::NO_SCRIPT,
                "2.6.0",
                "Removes all scripts: there are none.",
            ),
            super::help::line("script|help", "scripting", "5.0.0"),
        ],
        "2.6.0",
        "A container for script commands.",
    ),
];

fn time(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let now = wall_clock();
    let mut reply = context.reply();
    reply.array(2);
    reply.bulk(now.as_secs().to_string().as_bytes());
    reply.bulk(now.subsec_micros().to_string().as_bytes());
    Ok(())
}

fn lastsave(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let at_s = context.server.last_save_s();
    context.reply().int(at_s as i64);
    Ok(())
}

/// The reply leaves when all that was written before it is on the disk.
fn save(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    check_durability(context)?;
    context.session.must_be_durable = true;
    context.reply().ok();
    Ok(())
}

fn bgsave(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    match args[1..] {
        [] => {}
        [word] if is(word, "SCHEDULE") => {}
        _ => return Err(Fault::from(SYNTAX)),
    }
    context.work.flush()?;
    if context.server.backups.are_made() {
        let begun = context.server.backups.begin(&context.server.keyspace);
        if !begun.map_err(|error| Fault::from(format!("ERR a thread could not be started: {error}")))? {
            return Err(Fault::from("ERR Background save already in progress"));
        }
        context.reply().simple("Background saving started");
        return Ok(());
    }
    let written = context.work.keyspace.written.count();
    context.server.durability.want(written);
    context.reply().simple("Background saving started");
    Ok(())
}

fn bgrewriteaof(context: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let begun = context.server.merges.begin(context.work.db());
    if !begun.map_err(|error| Fault::from(format!("ERR a thread could not be started: {error}")))? {
        return Err(Fault::from("ERR Background append only file rewriting already in progress"));
    }
    context.reply().simple("Background append only file rewriting started");
    Ok(())
}

fn shutdown(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let words = &args[1..];
    let has = |known: &str| words.iter().any(|word| is(word, known));
    let others = ["NOSAVE", "SAVE", "NOW", "FORCE"];
    let is_known = |word: &&[u8]| is(word, "ABORT") || others.iter().any(|known| is(word, known));
    let is_aborted = has("ABORT");
    if !words.iter().all(is_known)
        || (has("NOSAVE") && has("SAVE"))
        || (is_aborted && others.iter().any(|known| has(known)))
    {
        return Err(Fault::from(SYNTAX));
    }
    if is_aborted {
        return Err(Fault::from("ERR No shutdown in progress."));
    }
    context.session.ends = true;
    context.server.end();
    Ok(())
}

/// SYNC and ASYNC change nothing here.
fn check_mode(args: &[&[u8]]) -> Result {
    match args[1..] {
        [] => Ok(()),
        [word] if is(word, "SYNC") || is(word, "ASYNC") => Ok(()),
        _ => Err(Fault::from(SYNTAX)),
    }
}

/// Takes all keys away for which this holds, some thousands at a time. For who holds all locks.
fn empty(context: &mut Context<'_>, is_meant: impl Fn(u8) -> bool) -> Result {
    context.work.flush()?;
    let keyspace = context.work.keyspace.clone();
    keyspace.watches.touch_if(|key| {
        key.first().is_some_and(|place| is_meant(*place)) && keyspace.db.exists(key).unwrap_or(true)
    });
    if keyspace.is_ordered {
        for place in (0..DATABASES as u8).filter(|place| is_meant(*place)) {
            context.work.remove_place(place)?;
        }
        return Ok(());
    }
    let mut at = Some(0);
    while let Some(from) = at {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        at = keyspace.db.scan(from, 4096, |key, _| {
            if key.first().is_some_and(|place| *place != OWN && is_meant(*place)) {
                keys.push(key.to_vec());
            }
        })?;
        let mut batch = filedb::Batch::new();
        keys.iter().try_for_each(|key| batch.delete(key))?;
        if !batch.is_empty() {
            context.work.write_now(&batch)?;
        }
    }
    Ok(())
}

fn flushdb(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    check_mode(args)?;
    let database = context.work.keyspace.databases.place(context.session.database);
    empty(context, |place| place == database)?;
    context.reply().ok();
    Ok(())
}

fn flushall(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    check_mode(args)?;
    empty(context, |_| true)?;
    context.reply().ok();
    Ok(())
}

fn swapdb(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let number = |text: &[u8], message: &'static str| {
        int(text).ok().and_then(|number| i32::try_from(number).ok()).ok_or(Fault::from(message))?;
        connection::database(&[b"", text])
    };
    let first = number(args[1], "ERR invalid first DB index")?;
    let second = number(args[2], "ERR invalid second DB index")?;
    if first != second {
        context.work.flush()?;
        let keyspace = context.work.keyspace.clone();
        let places = [keyspace.databases.place(first), keyspace.databases.place(second)];
        // As in Redis: of watched keys those count that are in one of the two, before or after.
        keyspace.watches.touch_if(|key| {
            let Some((place, rest)) = key.split_first() else { return false };
            places.contains(place)
                && places.iter().any(|place| {
                    let key = [&[*place], rest].concat();
                    keyspace.db.exists(&key).unwrap_or(true)
                })
        });
        keyspace.databases.swap(&keyspace.db, first, second)?;
        // The reply waits for the disk, as that to any write.
        context.work.ticket = keyspace.written.raise();
        keyspace.watches.swap(places);
    }
    context.reply().ok();
    Ok(())
}

fn wait(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    int(args[1])?;
    timeout_ms(args[2])?;
    context.reply().int(0);
    Ok(())
}

/// Waits until what was written before it is on the disk, up to a time. In a transaction it says how things are.
fn waitaof(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let local = int(args[1])?;
    if !(0..=1).contains(&local) {
        return Err(Fault::from("ERR value is out of range, value must between 0 and 1"));
    }
    int_within(args[2], 0, i64::MAX, "ERR value is out of range, must be positive")?;
    let timeout_ms = timeout_ms(args[3])?;
    let durability = &context.server.durability;
    let ticket = if context.session.is_executing {
        // What the transaction has done so far is written with the rest of it.
        u64::MAX
    } else {
        context.work.flush()?;
        context.work.keyspace.written.count()
    };
    let is_durable = durability.durable() >= ticket;
    if local > 0 && !is_durable && !context.session.is_executing {
        check_durability(context)?;
        durability.want(ticket);
        let timeout = (timeout_ms > 0).then(|| Duration::from_millis(timeout_ms as u64));
        blocking::wait(context, Vec::new(), Wish::Durable { ticket }, timeout);
        return Ok(());
    }
    waitaof_reply(&mut context.reply(), is_durable);
    Ok(())
}

/// What WAITAOF says.
pub fn waitaof_reply(reply: &mut Reply<'_>, is_durable: bool) {
    reply.array(2);
    reply.flag(is_durable);
    reply.int(0);
}

/// An error where a sync has failed, since when nothing becomes durable any more.
fn check_durability(context: &Context<'_>) -> Result {
    match context.server.durability.failure() {
        Some(why) => Err(Fault::from(not_durable(&why))),
        None => Ok(()),
    }
}

fn flush_scripts(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let is_function = is(args[0], "FUNCTION");
    match args[2..] {
        [] => {}
        [word] if is(word, "SYNC") || is(word, "ASYNC") => {}
        [_] if is_function => {
            return Err(Fault::from("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
        }
        _ if is_function => return Err(wrong_subcommand("FUNCTION", args[1])),
        _ => return Err(Fault::from("ERR SCRIPT FLUSH only support SYNC|ASYNC option")),
    }
    Reply { out: context.out, is_resp3: context.session.is_resp3 }.ok();
    Ok(())
}
