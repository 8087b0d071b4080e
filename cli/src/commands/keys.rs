//! Commands of one key, or of the names of keys.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use filedb::{Db, Error, Options, PutOptions, Ttl, Type};
use serde_json::json;

use crate::args::{Args, Put};
use crate::output::{Answer, say};
use crate::text;

/// Opens the store of a command. One that only reads makes none and keeps no reader out, and reads beside a process that writes.
pub fn open(args: &Args, path: &Path, read_only: bool) -> Result<Db> {
    let read_only = read_only && is_directory(path);
    let opened = open_with(args, path, Options { read_only, ..Options::default() });
    match opened {
        // Where that is not to be had either, as beside a writer of filedb 0.1, the first error says why.
        Err(error) if read_only && matches!(error.downcast_ref(), Some(Error::Locked { .. })) => {
            open_live(args, path).or(Err(error))
        }
        opened => opened,
    }
}

/// Opens the store of a command that reads it beside a process that writes to it.
pub fn open_live(args: &Args, path: &Path) -> Result<Db> {
    let live = is_directory(path);
    open_with(args, path, Options { read_only: live, live, ..Options::default() })
}

/// Opens the store that a copy follows; the options on the command line are the copy's.
pub fn open_from(path: &Path) -> Result<Db> {
    let live = is_directory(path);
    Ok(Db::open(path, &Options { read_only: live, live, create_if_missing: !live, ..Options::default() })?)
}

fn open_with(args: &Args, path: &Path, mut options: Options) -> Result<Db> {
    options.create_if_missing = !options.read_only;
    for option in &args.options {
        set(&mut options, option)?;
    }
    Ok(Db::open(path, &options)?)
}

/// An option as it is on the command line.
fn set(options: &mut Options, option: &str) -> Result<()> {
    let (name, value) = option.split_once('=').context("it has to be NAME=VALUE, as sync=always")?;
    Ok(options.set(name, value)?)
}

/// `option` itself, if it is one.
pub fn option(option: &str) -> Result<String> {
    set(&mut Options::default(), option).map(|()| option.to_owned())
}

/// Whether a path or URL names a directory: other stores are not opened for reading only.
fn is_directory(path: &Path) -> bool {
    let path = path.to_string_lossy();
    path.split_once("://").is_none_or(|(scheme, _)| scheme.eq_ignore_ascii_case("file"))
}

/// The bytes of an argument.
pub fn bytes(args: &Args, argument: &OsString) -> Result<Vec<u8>> {
    text::argument(argument, args.escaped)
}

pub fn get(args: &Args, db: &Db, key: &OsString) -> Result<Answer> {
    let key = bytes(args, key)?;
    let mut out = std::io::stdout().lock();
    match db.type_of(&key)? {
        None => return Ok(Answer::No),
        Some(Type::Value) => {
            let Some(value) = db.get(&key)? else { return Ok(Answer::No) };
            match args.json {
                true => writeln!(out, "{}", text::to_json(&value))?,
                false => {
                    out.write_all(&value)?;
                    if std::io::IsTerminal::is_terminal(&out) {
                        writeln!(out)?;
                    }
                }
            }
        }
        Some(_) => {
            let Some(list) = db.list_range(&key, 0, -1)? else { return Ok(Answer::No) };
            if args.json {
                let elements: Vec<_> = list.iter().map(text::to_json).collect();
                writeln!(out, "{}", json!(elements))?;
            } else {
                list.iter().try_for_each(|element| writeln!(out, "{}", text::escape(element)))?;
            }
        }
    }
    out.flush()?;
    Ok(Answer::Done)
}

pub fn put(args: &Args, db: &Db, put: &Put) -> Result<Answer> {
    let value = match put.value.as_ref().filter(|value| *value != "-") {
        Some(value) => bytes(args, value)?,
        None => {
            let mut value = Vec::new();
            std::io::stdin()
                .read_to_end(&mut value)
                .context("could not read the value from standard input")?;
            value
        }
    };
    let options = PutOptions {
        ttl: put.ttl,
        if_absent: put.if_absent,
        if_present: put.if_present,
        sync: put.sync,
        ..PutOptions::default()
    };
    let done = db.put_with(bytes(args, &put.key)?, value, &options)?;
    db.close()?;
    Ok(Answer::of(done))
}

pub fn delete(args: &Args, db: &Db, keys: &[OsString]) -> Result<Answer> {
    let mut all = true;
    for key in keys {
        all &= db.delete(bytes(args, key)?)?;
    }
    db.close()?;
    Ok(Answer::of(all))
}

pub fn list(args: &Args, db: &Db, prefix: &OsString, raw: bool) -> Result<Answer> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for key in &db.list_sorted(bytes(args, prefix)?)? {
        if args.json {
            writeln!(out, "{}", text::to_json(key))?;
        } else if raw {
            out.write_all(key)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{}", text::escape(key))?;
        }
    }
    out.flush()?;
    Ok(Answer::Done)
}

pub fn count(_: &Args, db: &Db) -> Result<Answer> {
    say(format_args!("{}", db.count()?))?;
    Ok(Answer::Done)
}

pub fn ttl(args: &Args, db: &Db, key: &OsString) -> Result<Answer> {
    let words = match db.ttl(bytes(args, key)?)? {
        None => return Ok(Answer::No),
        Some(Ttl::Forever) if args.json => "null".into(),
        Some(Ttl::Forever) => "never".into(),
        Some(Ttl::Left(life)) if args.json => life.as_millis().to_string(),
        Some(Ttl::Left(life)) => format!("{}ms", life.as_millis()),
    };
    say(format_args!("{words}"))?;
    Ok(Answer::Done)
}

pub fn expire(args: &Args, db: &Db, key: &OsString, life: Ttl) -> Result<Answer> {
    let key = bytes(args, key)?;
    let done = match life {
        Ttl::Forever => db.persist(key)?,
        Ttl::Left(life) => db.expire(key, life)?,
    };
    db.close()?;
    Ok(Answer::of(done))
}
