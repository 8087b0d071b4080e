//! COMMAND: the table of commands, for clients.

use super::args::is;
use super::fault::{Fault, Result, SYNTAX};
use super::table::{self, Command, Flags, Keys, command};
use super::{Context, dispatch, matches};
use crate::resp::reply::Reply;

const fn line(name: &'static str, arity: i32, since: &'static str, summary: &'static str) -> Command {
    command(name, run, arity, Flags::NONE, Keys::NONE, "server", since, summary)
}

/// The table of this group.
pub static COMMANDS: &[Command] = &[Command {
    name: "command",
    handler: run,
    arity: -1,
    flags: Flags::NONE,
    keys: Keys::NONE,
    group: "server",
    since: "2.8.13",
    summary: "Returns detailed information about all commands.",
    subcommands: &[
        line("command|count", 2, "2.8.13", "Returns a count of commands."),
        line("command|docs", -2, "7.0.0", "Returns documentary information about commands."),
        line("command|info", -2, "2.8.13", "Returns information about commands."),
        line("command|getkeys", -3, "2.8.13", "Extracts the key names from an arbitrary command."),
        line("command|list", -2, "7.0.0", "Returns a list of command names."),
    ],
}];

fn run(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let Some(word) = args.get(1) else {
        let mut reply = context.reply();
        reply.array(table::all().count());
        table::all().for_each(|command| info(&mut reply, command));
        return Ok(());
    };
    let mut reply = context.reply();
    match word.to_ascii_lowercase().as_slice() {
        b"count" => reply.count(table::all().count()),
        b"info" if args.len() == 2 => {
            reply.array(table::all().count());
            table::all().for_each(|command| info(&mut reply, command));
        }
        b"info" => {
            reply.array(args.len() - 2);
            for name in &args[2..] {
                match named(name) {
                    Some(command) => info(&mut reply, command),
                    None => reply.null_array(),
                }
            }
        }
        b"docs" => {
            let commands: Vec<_> = if args.len() == 2 {
                table::all().collect()
            } else {
                args[2..].iter().filter_map(|name| named(name)).collect()
            };
            reply.map(commands.len());
            commands.iter().for_each(|command| docs(&mut reply, command));
        }
        b"list" => list(&mut reply, args)?,
        _ => get_keys(&mut reply, args)?,
    }
    Ok(())
}

/// A command, or with `|` a subcommand.
fn named(name: &[u8]) -> Option<&'static Command> {
    match name.iter().position(|byte| *byte == b'|') {
        Some(at) => table::find(&name[..at])?.subcommand(&name[at + 1..]),
        None => table::find(name),
    }
}

fn info(reply: &mut Reply<'_>, command: &Command) {
    let (first, last, step) = match command.keys {
        Keys::At(first, last, step) => (first, last, step),
        _ => (0, 0, 0),
    };
    let mut flags = command.flags.names();
    if matches!(command.keys, Keys::Counted(_) | Keys::Own(_)) {
        flags.push("movablekeys");
    }
    reply.array(10);
    reply.bulk(command.name.as_bytes());
    reply.int(i64::from(command.arity));
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
    [first, last, step].iter().for_each(|number| reply.int(i64::from(*number)));
    let categories = categories(command);
    reply.set(categories.len());
    categories.iter().for_each(|category| reply.simple(category));
    reply.array(0);
    reply.array(0);
    reply.array(command.subcommands.len());
    command.subcommands.iter().for_each(|command| info(reply, command));
}

fn categories(command: &Command) -> Vec<&'static str> {
    let flags = command.flags;
    let mut categories = Vec::new();
    for (flag, category) in [
        (Flags::WRITE, "@write"),
        (Flags::READ, "@read"),
        (Flags::ADMIN, "@admin"),
        (Flags::BLOCKING, "@blocking"),
    ] {
        if flags.has(flag) {
            categories.push(category);
        }
    }
    categories.push(match command.group {
        "string" => "@string",
        "list" => "@list",
        "generic" => "@keyspace",
        "pubsub" => "@pubsub",
        "transactions" => "@transaction",
        "connection" => "@connection",
        "bitmap" => "@bitmap",
        _ => "@server",
    });
    categories.push(if flags.has(Flags::FAST) { "@fast" } else { "@slow" });
    categories
}

fn docs(reply: &mut Reply<'_>, command: &Command) {
    reply.bulk(command.name.as_bytes());
    reply.map(if command.subcommands.is_empty() { 3 } else { 4 });
    for (name, value) in [("summary", command.summary), ("since", command.since), ("group", command.group)] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    if !command.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        command.subcommands.iter().for_each(|command| docs(reply, command));
    }
}

fn list(reply: &mut Reply<'_>, args: &[&[u8]]) -> Result {
    let names: Vec<&str> = match args[2..] {
        [] => table::all().map(|command| command.name).collect(),
        [word, kind, value] if is(word, "FILTERBY") => {
            let fits = |command: &&Command| match kind {
                kind if is(kind, "PATTERN") => Some(matches(value, command.name.as_bytes())),
                kind if is(kind, "ACLCAT") => {
                    Some(categories(command).iter().any(|category| is(value, &category[1..])))
                }
                kind if is(kind, "MODULE") => Some(false),
                _ => None,
            };
            if !["PATTERN", "ACLCAT", "MODULE"].iter().any(|known| is(kind, known)) {
                return Err(Fault::from(SYNTAX));
            }
            table::all().filter(|command| fits(command) == Some(true)).map(|command| command.name).collect()
        }
        _ => return Err(Fault::from(SYNTAX)),
    };
    reply.bulks(&names);
    Ok(())
}

fn get_keys(reply: &mut Reply<'_>, args: &[&[u8]]) -> Result {
    let args = &args[2..];
    let command = match dispatch::find(args) {
        Ok(command) => command,
        Err(_) if table::find(args[0]).is_none() => return Err(Fault::from("ERR Invalid command specified")),
        Err(_) => return Err(Fault::from("ERR Invalid number of arguments specified for command")),
    };
    let places = command.keys.places(args);
    if places.is_empty() {
        return Err(Fault::from("ERR The command has no key arguments"));
    }
    let keys: Vec<&[u8]> = places.iter().filter_map(|place| args.get(*place).copied()).collect();
    reply.bulks(&keys);
    Ok(())
}
