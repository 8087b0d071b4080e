//! docs/SERVER.md lists the commands that there are. With `FILEDB_WRITE_DOCS=1` it is written.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::Path;

use filedb_server::commands::Command;
use filedb_server::commands::table::all;

const BEGIN: &str = "<!-- commands -->\n";
const END: &str = "<!-- end of commands -->\n";

fn arguments(command: &Command) -> String {
    let count = command.arity.unsigned_abs() as i32 - 1 - command.name.matches('|').count() as i32;
    if command.arity < 0 { format!("{count} or more") } else { count.to_string() }
}

fn table() -> String {
    let mut text = String::from("| command | arguments | what it does |\n|---|---|---|\n");
    let mut commands: Vec<&Command> = Vec::new();
    for command in all() {
        if command.subcommands.is_empty() {
            commands.push(command);
        }
        commands.extend(command.subcommands);
    }
    commands.sort_by_key(|command| command.name);
    for command in commands {
        let name = command.name.to_uppercase().replace('|', " ");
        writeln!(text, "| {name} | {} | {} |", arguments(command), command.summary).unwrap();
    }
    text
}

#[test]
fn the_documentation_lists_the_commands_that_there_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/SERVER.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("FILEDB_WRITE_DOCS").is_some() {
        std::fs::write(&path, expected).unwrap();
    } else {
        assert!(
            text == expected,
            "docs/SERVER.md is not up to date: FILEDB_WRITE_DOCS=1 cargo test -p filedb-server --test docs"
        );
    }
}

#[test]
fn every_command_has_one_name_and_a_sentence() {
    let mut names: Vec<_> = all().map(|command| command.name).collect();
    names.sort_unstable();
    names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1]));
    for command in all() {
        assert!(command.summary.ends_with('.') && command.arity != 0, "{}", command.name);
        assert_eq!(command.name, command.name.to_lowercase());
    }
}
