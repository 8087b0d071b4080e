//! SLOWLOG: commands that took long.

use super::args::{int_within, is};
use super::fault::Result;
use super::table::{Command, Flags, Keys, command};
use super::{Context, wrong_subcommand};

const ADMIN: Flags = Flags(Flags::ADMIN.0 | Flags::NO_SCRIPT.0);

const fn line(name: &'static str, arity: i32, summary: &'static str) -> Command {
    command(name, slowlog, arity, ADMIN, Keys::NONE, "server", "2.2.12", summary)
}

/// The table of this group.
pub static COMMANDS: &[Command] = &[Command {
    name: "slowlog",
    handler: slowlog,
    arity: -2,
    flags: Flags::NONE,
    keys: Keys::NONE,
    group: "server",
    since: "2.2.12",
    summary: "A container for slow log commands.",
    subcommands: &[
        line("slowlog|get", -2, "Returns the slow log's entries."),
        line("slowlog|len", 2, "Returns the number of entries in the slow log."),
        line("slowlog|reset", 2, "Clears all entries from the slow log."),
        super::help::line("slowlog|help", "server", "6.2.0"),
    ],
    number: 0,
}];

fn slowlog(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let slowlog = &context.server.slowlog;
    match args[1] {
        word if is(word, "LEN") => {
            let length = slowlog.len();
            context.reply().count(length);
        }
        word if is(word, "RESET") => {
            slowlog.clear();
            context.reply().ok();
        }
        _ => {
            if args.len() > 3 {
                return Err(wrong_subcommand("SLOWLOG", args[1]));
            }
            let count = match args.get(2) {
                Some(count) => {
                    int_within(count, -1, i64::MAX, "ERR count should be greater than or equal to -1")?
                }
                None => 10,
            };
            let entries = slowlog.last(usize::try_from(count).unwrap_or(usize::MAX));
            let mut reply = context.reply();
            reply.array(entries.len());
            for slow in entries {
                reply.array(6);
                [slow.id, slow.at_s, slow.micros].iter().for_each(|number| reply.int(*number as i64));
                reply.bulks(&slow.args);
                reply.bulk(slow.peer.as_bytes());
                reply.bulk(slow.name.as_bytes());
            }
        }
    }
    Ok(())
}
