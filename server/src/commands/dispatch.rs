//! From the arguments of a command to its reply: what is checked for all commands, in the order of Redis.

use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::args::text;
use super::fault::{Fault, Result, not_durable};
use super::table::{self, Command, Flags};
use super::{Context, keys, transactions, wrong_number};
use crate::keyspace::{Key, MAX_KEY};
use crate::session::Queued;

/// The most bytes of commands that wait for EXEC.
const MOST_QUEUED_BYTES: usize = 256 << 20;

/// Finds the command that these arguments name, with as many arguments as it takes.
pub fn find(args: &[&[u8]]) -> Result<&'static Command> {
    let Some(name) = args.first() else { return Err(Fault::from("ERR no command")) };
    let Some(command) = table::find(name) else { return Err(unknown(args)) };
    let command = match args.get(1) {
        Some(word) if !command.subcommands.is_empty() => command.subcommand(word).ok_or_else(|| {
            let word: String = text(word).chars().take(128).collect();
            Fault::from(format!(
                "ERR unknown subcommand '{word}'. Try {} HELP.",
                command.name.to_ascii_uppercase()
            ))
        })?,
        _ => command,
    };
    if command.takes(args.len()) { Ok(command) } else { Err(wrong_number(command.name)) }
}

/// The command, or subcommand, that these arguments name, whatever is wrong with them.
fn named(args: &[&[u8]]) -> Option<&'static Command> {
    let command = table::find(args.first()?)?;
    match args.get(1) {
        Some(word) if !command.subcommands.is_empty() => command.subcommand(word),
        _ => Some(command),
    }
}

/// What a string of C would show of an argument.
fn before_zero(arg: &[u8]) -> &[u8] {
    arg.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn unknown(args: &[&[u8]]) -> Fault {
    let mut beginning = String::new();
    for arg in args.iter().skip(1) {
        if beginning.len() >= 128 {
            break;
        }
        let room = 128 - beginning.len();
        beginning.push_str(&format!("'{}' ", text(&before_zero(arg)[..before_zero(arg).len().min(room)])));
    }
    let name = args.first().copied().unwrap_or_default();
    let name = text(&before_zero(name)[..before_zero(name).len().min(128)]);
    Fault::from(format!("ERR unknown command '{name}', with args beginning with: {beginning}"))
}

/// Whether this is a line of a request of HTTP: in the lines behind it there may be commands, which a web page put there (Redis calls
/// that cross-protocol scripting).
fn is_http(args: &[&[u8]]) -> bool {
    args.first().is_some_and(|name| name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:"))
}

/// Does a command, or queues it after MULTI; its reply, also that it failed, is behind what is in the output. True where it was done.
pub fn run(context: &mut Context<'_>, command: Result<&'static Command>, args: &[&[u8]]) -> bool {
    let checked = command.and_then(|command| check(context, command).map(|()| command));
    let command = match checked {
        Ok(command) => command,
        Err(_) if is_http(args) => {
            let peer = &context.session.client.peer;
            log::warn!(
                "{peer} speaks HTTP, perhaps a web page that tries to give commands, and is disconnected"
            );
            context.session.ends = true;
            return false;
        }
        Err(fault) => {
            if let Some(command) = named(args) {
                context.work.tally.rejected(command.number);
            }
            context.session.spoil_queue();
            if args.first().is_some_and(|name| name.eq_ignore_ascii_case(b"exec")) {
                transactions::discard(context.session, &context.work.keyspace);
                let why = fault.text();
                let why = why.strip_prefix("ERR ").unwrap_or(&why);
                let text = format!("EXECABORT Transaction discarded because of: {why}");
                fail(context, &Fault::from(text));
            } else {
                fail(context, &fault);
            }
            return false;
        }
    };
    if context.session.queue.is_some() && !command.flags.has(Flags::NOT_QUEUED) {
        queue(context, command, args);
        return false;
    }
    if let Err(fault) = lock_keys(context, command, args).and_then(|()| call(context, command, args)) {
        context.work.tally.failed(command.number);
        fail(context, &fault);
    }
    true
}

/// Calls a command for which all locks are held. What it wrote to the output is taken back where it fails.
pub fn call(context: &mut Context<'_>, command: &'static Command, args: &[&[u8]]) -> Result {
    let begin = context.out.len();
    context.work.begin_command_at_once(command.flags.has(Flags::READ));
    let done = (command.handler)(context, args);
    if done.is_err() {
        context.out.truncate(begin);
    }
    done
}

/// Writes an error.
pub fn fail(context: &mut Context<'_>, fault: &Fault) {
    context.server.stats.errors.fetch_add(1, Ordering::Relaxed);
    let text = fault.text();
    context.work.tally.replied(&text);
    context.reply().error(&text);
}

fn check(context: &mut Context<'_>, command: &'static Command) -> Result {
    let session = &context.session;
    if !session.is_trusted && !command.flags.has(Flags::NO_AUTH) {
        return Err(Fault::from("NOAUTH Authentication required."));
    }
    if session.is_subscriber() && !session.is_resp3 && !command.flags.has(Flags::SUBSCRIBER) {
        let name = command.name;
        return Err(Fault::from(format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        )));
    }
    if command.flags.has(Flags::WRITE)
        && let Some(why) = context.server.durability.failure()
    {
        return Err(Fault::from(not_durable(&why)));
    }
    if session.queue.is_some() && command.flags.has(Flags::NO_MULTI) {
        return Err(Fault::from("ERR Command not allowed inside a transaction"));
    }
    Ok(())
}

fn queue(context: &mut Context<'_>, command: &'static Command, args: &[&[u8]]) {
    let Some(queue) = &mut context.session.queue else { return };
    queue.bytes += args.iter().map(|arg| arg.len() + 32).sum::<usize>();
    if queue.bytes > MOST_QUEUED_BYTES {
        queue.is_spoilt = true;
        queue.commands.clear();
        return fail(context, &Fault::from("OOM the transaction is too large"));
    }
    if !queue.is_spoilt {
        queue.commands.push(Queued { command, args: args.iter().map(|arg| arg.to_vec()).collect() });
    }
    let client = &context.session.client;
    client.queued.store(queue.commands.len() as i64, Ordering::Relaxed);
    client.queued_bytes.store(queue.bytes as u64, Ordering::Relaxed);
    context.reply().simple("QUEUED");
}

/// The keys of a command, as they are stored.
pub fn stored_keys(context: &Context<'_>, command: &Command, args: &[&[u8]]) -> Result<SmallVec<[Key; 2]>> {
    let places = command.keys.places(args);
    let mut keys = SmallVec::with_capacity(places.len());
    for place in places {
        let key = args.get(place).copied().unwrap_or_default();
        if key.len() > MAX_KEY {
            return Err(Fault::from(format!("ERR the key has {} bytes, the limit is {MAX_KEY}", key.len())));
        }
        keys.push(context.key(key));
    }
    if command.flags.has(Flags::OTHER_DATABASE)
        && let Ok((database, name)) = keys::destination(context.session.database, args)
        && name.len() <= MAX_KEY
    {
        keys.push(context.work.keyspace.key(database, name));
    }
    Ok(keys)
}

#[inline]
fn lock_keys(context: &mut Context<'_>, command: &'static Command, args: &[&[u8]]) -> Result {
    let flags = command.flags;
    context.work.begin_command();
    if flags.has(Flags::ALL_KEYS) {
        context.work.lock_all();
    }
    loop {
        let swaps = context.work.keyspace.databases.swaps();
        let keys = stored_keys(context, command, args)?;
        if flags.has(Flags::WRITE) || keys.len() > 1 {
            context.work.lock(keys.iter().map(|key| key.as_slice()));
        }
        // SWAPDB holds all locks; where it came before these were had, they are those of other keys.
        if context.work.keyspace.databases.swaps() == swaps {
            return Ok(());
        }
    }
}
