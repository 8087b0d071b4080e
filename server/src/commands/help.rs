//! HELP of commands that have subcommands, made from the table.

use super::Context;
use super::args::is;
use super::docs::of;
use super::fault::Result;
use super::table::{self, Command, Flags, Keys, command};

/// The line of the table for HELP.
pub const fn line(name: &'static str, group: &'static str, since: &'static str) -> Command {
    command(
        name,
        help,
        2,
        Flags::NONE,
        Keys::NONE,
        group,
        since,
        "Returns helpful text about the subcommands.",
    )
}

/// Replies with the subcommands: how each is called, and what it is for.
pub fn help(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let Some(container) = table::find(args[0]) else { return Ok(()) };
    let mut lines = vec![format!(
        "{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        container.name.to_ascii_uppercase()
    )];
    for subcommand in container.subcommands.iter().filter(|line| !is(line.short_name().as_bytes(), "HELP")) {
        let name = subcommand.short_name().to_ascii_uppercase();
        let arguments = of(subcommand).usage();
        lines.push(if arguments.is_empty() { name } else { format!("{name} {arguments}") });
        lines.push(format!("    {}", subcommand.summary));
    }
    lines.extend(["HELP".to_owned(), "    Prints this help.".to_owned()]);
    let mut reply = context.reply();
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
    Ok(())
}
