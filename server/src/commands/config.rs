//! CONFIG: what is set, and what can be changed while the server runs.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use super::args::text;
use super::fault::{Fault, Result, SYNTAX};
use super::table::{Command, Flags, Keys, command};
use super::{Context, matches};
use crate::settings::{SETTINGS, Setting, Settings};

const ADMIN: Flags = Flags(Flags::ADMIN.0 | Flags::NO_SCRIPT.0);

const fn line(name: &'static str, arity: i32, since: &'static str, summary: &'static str) -> Command {
    command(name, config, arity, ADMIN, Keys::NONE, "server", since, summary)
}

/// The table of this group.
pub static COMMANDS: &[Command] = &[Command {
    name: "config",
    handler: config,
    arity: -2,
    flags: Flags::NONE,
    keys: Keys::NONE,
    group: "server",
    since: "2.0.0",
    summary: "A container for server configuration commands.",
    subcommands: &[
        line("config|get", -3, "2.0.0", "Returns the effective values of configuration parameters."),
        line("config|set", -4, "2.0.0", "Sets configuration parameters in-flight."),
        line("config|resetstat", 2, "2.0.0", "Resets the server's statistics."),
        line("config|rewrite", 2, "2.8.0", "Persists the effective configuration to file."),
        super::help::line("config|help", "server", "5.0.0"),
    ],
    number: 0,
}];

/// All settings as they are.
pub fn all(settings: &Settings) -> Vec<(&'static str, String)> {
    let changeable = SETTINGS.iter().map(|setting| (setting.name, (setting.get)(settings)));
    changeable.chain(settings.fixed.iter().cloned()).collect()
}

fn config(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let settings = &context.server.settings;
    match args[1].to_ascii_lowercase().as_slice() {
        b"get" => {
            let mut found = all(settings);
            found.retain(|(name, _)| {
                args[2..].iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
            });
            let mut reply = context.reply();
            reply.map(found.len());
            for (name, value) in found {
                reply.bulk(name.as_bytes());
                reply.bulk(value.as_bytes());
            }
        }
        b"set" => {
            if !args.len().is_multiple_of(2) {
                return Err(Fault::from(SYNTAX));
            }
            set(settings, &args[2..])?;
            context.reply().ok();
        }
        b"resetstat" => {
            context.server.stats.reset();
            context.server.tallies.reset();
            context.reply().ok();
        }
        _ => {
            rewrite(settings)?;
            context.reply().ok();
        }
    }
    Ok(())
}

/// Finds what each name means before anything is set, as Redis does: a setting, or `None` for one that has its value for ever.
fn named(settings: &Settings, pairs: &[&[u8]]) -> Result<Vec<(String, Option<&'static Setting>)>> {
    let mut all: Vec<(String, Option<&'static Setting>)> = Vec::new();
    for (pair, value) in pairs.chunks_exact(2).map(|pair| (text(pair[0]), text(pair[1]))) {
        let name = pair.to_ascii_lowercase();
        let failed = |why: &str| {
            Fault::from(format!("ERR CONFIG SET failed (possibly related to argument '{pair}') - {why}"))
        };
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        if setting.is_none() {
            if settings.fixed(&name).is_none() {
                let text = format!("ERR Unknown option or number of arguments for CONFIG SET - '{pair}'");
                return Err(Fault::from(text));
            }
            settings.has_fixed(&name, &value).map_err(|why| failed(&why))?;
        }
        if all.iter().any(|(other, _)| *other == name) {
            return Err(failed("duplicate parameter"));
        }
        all.push((name, setting));
    }
    Ok(all)
}

/// All or nothing is set: what can be refused is, before the first setting is changed.
fn set(settings: &Settings, pairs: &[&[u8]]) -> Result {
    let mut changes = Vec::new();
    for ((name, setting), pair) in named(settings, pairs)?.into_iter().zip(pairs.chunks_exact(2)) {
        let Some(setting) = setting else { continue };
        changes.push((setting.parse)(&text(pair[1])).map_err(|why| {
            Fault::from(format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}"))
        })?);
    }
    let _changing = settings.changing.lock();
    changes.into_iter().for_each(|change| change(settings));
    Ok(())
}

fn rewrite(settings: &Settings) -> Result {
    let Some(file) = &settings.file else {
        return Err(Fault::from("ERR The server is running without a config file"));
    };
    let write = || -> std::io::Result<()> {
        let old = std::fs::read_to_string(file)?;
        let mut table: toml::Table = old.parse().map_err(std::io::Error::other)?;
        // `appendfsync` says the same.
        table.remove("sync");
        for setting in SETTINGS {
            table.insert(setting.name.to_owned(), toml::Value::String((setting.get)(settings)));
        }
        let beside = file.with_extension("new");
        // Nobody may read it who may not read the old one: passwords are in it.
        let mode = std::fs::metadata(file)?.permissions();
        let _ = std::fs::remove_file(&beside);
        let mut new = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        new.set_permissions(mode)?;
        write!(new, "# Written by CONFIG REWRITE.\n{table}")?;
        new.sync_all()?;
        std::fs::rename(&beside, file)
    };
    write().map_err(|error| Fault::from(format!("ERR Rewriting config file: {error}")))
}
