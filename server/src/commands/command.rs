//! COMMAND: the table of commands, for clients.

use super::args::is;
use super::docs::{Argument, Find, Kind};
use super::fault::{Fault, Result, SYNTAX};
use super::table::{self, Command, Flags, Keys, command};
use super::{Context, dispatch, docs, matches};
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
        line(
            "command|getkeysandflags",
            -3,
            "7.0.0",
            "Extracts the key names and access flags for an arbitrary command.",
        ),
        line("command|list", -2, "7.0.0", "Returns a list of command names."),
        super::help::line("command|help", "server", "5.0.0"),
    ],
    number: 0,
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
                match table::of_name(name) {
                    Some(command) => info(&mut reply, command),
                    None => reply.null(),
                }
            }
        }
        b"docs" => {
            let commands: Vec<_> = if args.len() == 2 {
                table::all().collect()
            } else {
                args[2..].iter().filter_map(|name| table::of_name(name)).collect()
            };
            reply.map(commands.len());
            commands.iter().for_each(|command| document(&mut reply, command));
        }
        b"list" => list(&mut reply, args)?,
        b"getkeysandflags" => get_keys_and_flags(&mut reply, &args[2..])?,
        _ => get_keys(&mut reply, &args[2..])?,
    }
    Ok(())
}

fn info(reply: &mut Reply<'_>, command: &Command) {
    let told = docs::of(command);
    // Of commands that find their keys themselves this is what the first rule says.
    let (first, last, step) = match (command.keys, told.keys.first()) {
        (Keys::At(first, last, step), _) => (first.into(), last.into(), step.into()),
        (_, Some(docs::Keys { place: Some((begin, Find::Range([last, step, _]))), .. })) => {
            (*begin, begin + last, *step)
        }
        _ => (0, 0, 0),
    };
    reply.array(10);
    reply.bulk(command.name.as_bytes());
    reply.int(i64::from(command.arity));
    simples(reply, &told.flags);
    [first, last, step].iter().for_each(|number| reply.int(*number));
    simples(reply, &told.categories);
    reply.set(told.tips.len());
    told.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(told.keys.len());
    told.keys.iter().for_each(|keys| specification(reply, keys));
    reply.set(command.subcommands.len());
    command.subcommands.iter().for_each(|command| info(reply, command));
}

fn simples(reply: &mut Reply<'_>, words: &[&str]) {
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word));
}

fn field(reply: &mut Reply<'_>, name: &str, value: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}

fn specification(reply: &mut Reply<'_>, keys: &docs::Keys) {
    reply.map(3 + usize::from(keys.notes.is_some()));
    keys.notes.iter().for_each(|notes| field(reply, "notes", notes));
    reply.bulk(b"flags");
    simples(reply, &keys.flags);
    let Some((begin, find)) = keys.place else {
        for name in ["begin_search", "find_keys"] {
            reply.bulk(name.as_bytes());
            reply.map(2);
            field(reply, "type", "unknown");
            reply.bulk(b"spec");
            reply.map(0);
        }
        return;
    };
    let (kind, names, numbers) = match find {
        Find::Range(numbers) => ("range", ["lastkey", "keystep", "limit"], numbers),
        Find::Counted(numbers) => ("keynum", ["keynumidx", "firstkey", "keystep"], numbers),
    };
    for (name, kind, fields) in [
        ("begin_search", "index", vec![("index", begin)]),
        ("find_keys", kind, names.into_iter().zip(numbers).collect()),
    ] {
        reply.bulk(name.as_bytes());
        reply.map(2);
        field(reply, "type", kind);
        reply.bulk(b"spec");
        reply.map(fields.len());
        for (name, number) in fields {
            reply.bulk(name.as_bytes());
            reply.int(number);
        }
    }
}

fn document(reply: &mut Reply<'_>, command: &Command) {
    let told = docs::of(command);
    let has = [told.complexity.is_some(), !told.arguments.is_empty(), !command.subcommands.is_empty()];
    reply.bulk(command.name.as_bytes());
    reply.map(3 + has.iter().filter(|has| **has).count());
    field(reply, "summary", command.summary);
    field(reply, "since", command.since);
    field(reply, "group", command.group);
    told.complexity.iter().for_each(|complexity| field(reply, "complexity", complexity));
    if !told.arguments.is_empty() {
        reply.bulk(b"arguments");
        arguments(reply, &told.arguments);
    }
    if !command.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        command.subcommands.iter().for_each(|command| document(reply, command));
    }
}

fn arguments(reply: &mut Reply<'_>, all: &[Argument]) {
    reply.array(all.len());
    for argument in all {
        let (kind, parts) = match &argument.kind {
            Kind::Value(kind) => (*kind, None),
            Kind::Word => ("pure-token", None),
            Kind::OneOf(parts) => ("oneof", Some(parts)),
            Kind::Block(parts) => ("block", Some(parts)),
        };
        let mut flags = vec![
            (argument.is_optional, "optional"),
            (argument.is_multiple, "multiple"),
            (argument.is_token_multiple, "multiple_token"),
        ];
        flags.retain(|(has, _)| *has);
        let flags: Vec<&str> = flags.into_iter().map(|(_, name)| name).collect();
        let words = [
            ("token", argument.token),
            ("since", argument.since),
            ("deprecated_since", argument.deprecated_since),
        ];
        let words = words.into_iter().filter_map(|(name, word)| Some((name, word?)));
        let more = [argument.key.is_some(), !flags.is_empty(), parts.is_some()];
        reply.map(2 + more.iter().filter(|has| **has).count() + words.clone().count());
        field(reply, "name", &argument.name);
        field(reply, "type", kind);
        if let Some(number) = argument.key {
            reply.bulk(b"key_spec_index");
            reply.int(number as i64);
        }
        words.for_each(|(name, word)| field(reply, name, word));
        if !flags.is_empty() {
            reply.bulk(b"flags");
            simples(reply, &flags);
        }
        if let Some(parts) = parts {
            reply.bulk(b"arguments");
            arguments(reply, parts);
        }
    }
}

fn list(reply: &mut Reply<'_>, args: &[&[u8]]) -> Result {
    let names: Vec<&str> = match args[2..] {
        [] => table::all().map(|command| command.name).collect(),
        [word, kind, value] if is(word, "FILTERBY") => {
            let fits = |command: &&Command| match kind {
                kind if is(kind, "PATTERN") => Some(matches(value, command.name.as_bytes())),
                kind if is(kind, "ACLCAT") => {
                    Some(docs::of(command).categories.iter().any(|category| is(value, &category[1..])))
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

/// The command that these arguments are meant for, and the places of its keys.
fn keys_of(args: &[&[u8]]) -> Result<(&'static Command, Vec<usize>)> {
    let command = match dispatch::find(args) {
        Ok(command) => command,
        Err(_) if table::find(args[0]).is_none() => return Err(Fault::from("ERR Invalid command specified")),
        Err(_) => return Err(Fault::from("ERR Invalid number of arguments specified for command")),
    };
    let places = command.keys.places(args);
    match (places.is_empty(), command.keys) {
        (false, _) => Ok((command, places.to_vec())),
        (true, Keys::Counted(_)) => Err(Fault::from("ERR Invalid arguments specified for command")),
        (true, _) => Err(Fault::from("ERR The command has no key arguments")),
    }
}

fn get_keys(reply: &mut Reply<'_>, args: &[&[u8]]) -> Result {
    let (_, places) = keys_of(args)?;
    let keys: Vec<&[u8]> = places.iter().filter_map(|place| args.get(*place).copied()).collect();
    reply.bulks(&keys);
    Ok(())
}

/// What a command does with the key in this place.
fn flags_of(command: &Command, args: &[&[u8]], place: usize) -> Vec<&'static str> {
    // With GET it reads too.
    if command.name == "set" {
        let gets = args.iter().skip(3).any(|word| is(word, "GET"));
        return if gets { vec!["RW", "access", "update"] } else { vec!["OW", "update"] };
    }
    let keys = &docs::of(command).keys;
    let is_of = |keys: &&docs::Keys| {
        keys.place.is_some_and(|(begin, find)| {
            let last = if let Find::Range([last, ..]) = find { last } else { -1 };
            place as i64 >= begin && (last < 0 || place as i64 <= begin + last)
        })
    };
    // What no rule finds is what SORT stores to: it comes last there.
    let found = keys.iter().find(is_of).or(keys.last());
    found.map(|keys| keys.flags.clone()).unwrap_or_default()
}

fn get_keys_and_flags(reply: &mut Reply<'_>, args: &[&[u8]]) -> Result {
    let (command, places) = keys_of(args)?;
    reply.array(places.len());
    for place in places {
        reply.array(2);
        reply.bulk(args.get(place).copied().unwrap_or_default());
        simples(reply, &flags_of(command, args, place));
    }
    Ok(())
}
