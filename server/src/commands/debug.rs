//! OBJECT, MEMORY and DEBUG: looks behind the scenes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::args::{int, is, parse_float, text};
use super::fault::{Fault, NO_SUCH_KEY, Result, SYNTAX};
use super::info::resident;
use super::table::{Command, Flags, Keys, command};
use super::{Context, wrong_subcommand};
use crate::keyspace::blocked::{Waiter, Wish};
use crate::resp::request::number;

const READ: Flags = Flags::READ;
const ADMIN: Flags = Flags(Flags::ADMIN.0 | Flags::NO_SCRIPT.0);
const KEY: Keys = Keys::At(2, 2, 1);

#[allow(clippy::too_many_arguments)]
const fn line(
    name: &'static str,
    handler: super::Handler,
    arity: i32,
    flags: Flags,
    keys: Keys,
    group: &'static str,
    since: &'static str,
    summary: &'static str,
) -> Command {
    command(name, handler, arity, flags, keys, group, since, summary)
}

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "object",
        handler: object,
        arity: -2,
        flags: Flags::NONE,
        keys: Keys::NONE,
        group: "generic",
        since: "2.2.3",
        summary: "A container for object introspection commands.",
        subcommands: &[
            line(
                "object|encoding",
                object,
                3,
                READ,
                KEY,
                "generic",
                "2.2.3",
                "Returns the encoding that Redis would use for a value.",
            ),
            line(
                "object|idletime",
                object,
                3,
                READ,
                KEY,
                "generic",
                "2.2.3",
                "Answers 0: accesses are not recorded.",
            ),
            line(
                "object|refcount",
                object,
                3,
                READ,
                KEY,
                "generic",
                "2.2.3",
                "Returns the reference count of a value.",
            ),
            line(
                "object|freq",
                object,
                3,
                READ,
                KEY,
                "generic",
                "4.0.0",
                "Refused: accesses are not counted.",
            ),
            line(
                "object|help",
                object,
                2,
                Flags::NONE,
                Keys::NONE,
                "generic",
                "6.2.0",
                "Returns helpful text about the subcommands.",
            ),
        ],
        number: 0,
    },
    Command {
        name: "memory",
        handler: memory,
        arity: -2,
        flags: Flags::NONE,
        keys: Keys::NONE,
        group: "server",
        since: "4.0.0",
        summary: "A container for memory diagnostics commands.",
        subcommands: &[
            line(
                "memory|usage",
                memory,
                -3,
                READ,
                KEY,
                "server",
                "4.0.0",
                "Estimates the bytes that a key takes in the log.",
            ),
            line(
                "memory|doctor",
                memory,
                2,
                Flags::NONE,
                Keys::NONE,
                "server",
                "4.0.0",
                "Outputs a memory problems report.",
            ),
            line(
                "memory|stats",
                memory,
                2,
                Flags::NONE,
                Keys::NONE,
                "server",
                "4.0.0",
                "Returns details about memory usage.",
            ),
            super::help::line("memory|help", "server", "4.0.0"),
        ],
        number: 0,
    },
    command(
        "debug",
        debug,
        -2,
        ADMIN,
        Keys::NONE,
        "server",
        "1.0.0",
        "SLEEP lets this client wait, OBJECT shows how a key is held, RELOAD syncs, LOG writes to the server's log; SET-ACTIVE-EXPIRE and JMAP change nothing that can be seen.",
    ),
];

/// What Redis would call the encoding of a value.
fn encoding(context: &mut Context<'_>, key: &[u8]) -> Result<Option<&'static str>> {
    let found = context.work.find(key, |found| {
        found.map(|found| match found.is_list {
            true => None,
            false if found.value.len() <= 20 && number(found.value).is_some() => Some("int"),
            false if found.value.len() <= 44 => Some("embstr"),
            false => Some("raw"),
        })
    })?;
    Ok(match found {
        None => None,
        Some(Some(encoding)) => Some(encoding),
        Some(None) => {
            // As many bytes as Redis keeps in one piece, with 4 for each element.
            let small = context.work.look_at_list(key, |list, db| {
                let (is_short, mut bytes) = (list.len() <= 4096, 0);
                Ok(is_short
                    && list.visit(db, key, 0, u64::MAX, |element| {
                        bytes += element.len() + 4;
                        bytes <= 8192
                    })?)
            })?;
            Some(if small == Some(true) { "listpack" } else { "quicklist" })
        }
    })
}

fn object(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    if is(args[1], "HELP") {
        let help = [
            "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            "ENCODING <key>",
            "    Return the kind of internal representation used in order to store the value",
            "    associated with a <key>.",
            "FREQ <key>",
            "    Return the access frequency index of the <key>. The returned integer is",
            "    proportional to the logarithm of the recent access frequency of the key.",
            "IDLETIME <key>",
            "    Return the idle time of the <key>, that is the approximated number of",
            "    seconds elapsed since the last access to the key.",
            "REFCOUNT <key>",
            "    Return the number of references of the value associated with the specified",
            "    <key>.",
            "HELP",
            "    Prints this help.",
        ];
        let mut reply = context.reply();
        reply.array(help.len());
        help.iter().for_each(|line| reply.simple(line));
        return Ok(());
    }
    let key = context.key(args[2]);
    let Some(encoding) = encoding(context, &key)? else {
        context.reply().null();
        return Ok(());
    };
    match args[1].to_ascii_lowercase().as_slice() {
        b"encoding" => context.reply().bulk(encoding.as_bytes()),
        b"idletime" => context.reply().int(0),
        b"freq" => {
            return Err(Fault::from(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
        _ => context.reply().int(1),
    }
    Ok(())
}

/// As in Redis.
const SAMPLES: u64 = 5;

/// About the bytes that a key takes in the log; of a list so many elements are looked at, or all for 0.
fn usage(context: &mut Context<'_>, key: &[u8], samples: u64) -> Result<Option<usize>> {
    let found = context.work.peek(key, |found| found.map(|found| (found.is_list, found.value.len())))?;
    Ok(match found {
        None => None,
        Some((false, length)) => Some(16 + key.len() + length),
        Some((true, _)) => {
            let (mut bytes, mut seen) = (0, 0);
            let length = context.work.look_at_list(key, |list, db| {
                let count = if samples == 0 { u64::MAX } else { samples };
                list.visit(db, key, 0, count, |element| {
                    (bytes, seen) = (bytes + element.len() + 40, seen + 1);
                    true
                })?;
                Ok(list.len())
            })?;
            let elements = bytes as f64 / f64::from(seen.max(1)) * length.unwrap_or(0) as f64;
            Some(48 + key.len() + elements as usize)
        }
    })
}

fn memory(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    match args[1].to_ascii_lowercase().as_slice() {
        b"usage" => {
            let samples = match args[3..] {
                [] => SAMPLES,
                [word, samples] if is(word, "SAMPLES") => {
                    u64::try_from(int(samples)?).map_err(|_| Fault::from(SYNTAX))?
                }
                _ => return Err(Fault::from(SYNTAX)),
            };
            let key = context.key(args[2]);
            match usage(context, &key, samples)? {
                Some(bytes) => context.reply().count(bytes),
                None => context.reply().null(),
            }
        }
        b"doctor" => {
            let (now, peak) = resident();
            context.reply().verbatim(&format!(
                "Values are on the disk; the process takes {now} bytes of memory, for the index of the keys and what is mapped, and took {peak} at most.\n"
            ));
        }
        _ => {
            let (now, peak) = resident();
            let stats = context.work.db().stats()?;
            let mut reply = context.reply();
            let fields = [
                ("peak.allocated", peak),
                ("total.allocated", now),
                ("keys.count", stats.keys),
                ("dataset.bytes", stats.live_bytes),
                ("filedb.index.bytes", stats.index_bytes),
            ];
            reply.map(fields.len());
            for (name, value) in fields {
                reply.bulk(name.as_bytes());
                reply.int(value as i64);
            }
        }
    }
    Ok(())
}

fn debug(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    match (args[1].to_ascii_lowercase().as_slice(), args.len()) {
        (b"sleep", 3) => {
            // As in Redis: what is no number is 0, and so is a time that is over.
            let seconds = parse_float(args[2]).unwrap_or(0.0).max(0.0);
            if seconds > 1e6 {
                return Err(Fault::from("ERR the time is out of range"));
            }
            if context.session.is_executing {
                return Err(Fault::from("ERR DEBUG SLEEP is not allowed in a transaction"));
            }
            let address = context.session.client.address;
            let waiter = Arc::new(Waiter::new(address, Vec::new(), Wish::Sleep, context.session.is_resp3));
            if !context.work.keyspace.blocked.add(&waiter) {
                context.session.ends = true;
                return Ok(());
            }
            context.session.wait = Some((waiter, Some(Instant::now() + Duration::from_secs_f64(seconds))));
        }
        (b"object", 3..) => {
            let key = context.key(args[2]);
            let encoding = encoding(context, &key)?.ok_or(Fault::from(NO_SUCH_KEY))?;
            let bytes = usage(context, &key, SAMPLES)?.unwrap_or_default();
            context.reply().simple(&format!(
                "Value at:0x0 refcount:1 encoding:{encoding} serializedlength:{bytes} lru:0 lru_seconds_idle:0"
            ));
        }
        (b"reload", _) => {
            context.session.must_be_durable = true;
            context.reply().ok();
        }
        (b"log", 3) => {
            log::warn!("DEBUG LOG: {}", text(args[2]));
            context.reply().ok();
        }
        (b"set-active-expire", 3) | (b"jmap", _) => context.reply().ok(),
        (b"help", 2) => {
            let lines = [
                "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
                "JMAP",
                "    Changes nothing.",
                "LOG <message>",
                "    Write <message> to the server log.",
                "OBJECT <key>",
                "    Show low level info about `key` and associated value.",
                "RELOAD [option ...]",
                "    Sync all that was written to the disk.",
                "SET-ACTIVE-EXPIRE (0|1)",
                "    Changes nothing: the store forgets expired keys by itself.",
                "SLEEP <seconds>",
                "    Let this client wait for <seconds>. Decimals allowed.",
                "HELP",
                "    Prints this help.",
            ];
            let mut reply = context.reply();
            reply.array(lines.len());
            lines.iter().for_each(|line| reply.simple(line));
        }
        _ => return Err(wrong_subcommand("DEBUG", args[1])),
    }
    Ok(())
}
