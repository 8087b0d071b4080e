//! Values in the format of Redis: what is given away (DUMP) and taken (RESTORE).

use super::Context;
use super::args::{int, is};
use super::fault::{Fault, Result, SYNTAX};
use super::lists::too_large;
use super::table::{Command, Flags, Keys, command};
use crate::keyspace::list::MOST_WHOLE;
use crate::rdb::{self, Value, Writer, Wrong};

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command(
        "dump",
        dump,
        2,
        Flags::READ,
        Keys::FIRST,
        "generic",
        "2.6.0",
        "Returns what a key holds in the format of Redis, for RESTORE.",
    ),
    command(
        "restore",
        restore,
        -4,
        Flags(Flags::WRITE.0 | Flags::DENY_OOM.0),
        Keys::FIRST,
        "generic",
        "2.6.0",
        "Creates a key from what DUMP gave.",
    ),
];

fn dump(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    let found = context.work.find(&key, |found| {
        found.map(|found| {
            (!found.is_list).then(|| {
                let mut writer = Writer::of_string();
                writer.string(found.value);
                writer.finish()
            })
        })
    })?;
    let payload = match found {
        Some(None) => dump_list(context, &key)?,
        found => found.flatten(),
    };
    context.reply().bulk_or_null(payload.as_deref());
    Ok(())
}

fn dump_list(context: &mut Context<'_>, key: &[u8]) -> Result<Option<Vec<u8>>> {
    let written = context.work.look_at_list(key, |list, db| {
        let mut writer = Writer::list(list.len());
        let is_whole = list.visit(db, key, 0, u64::MAX, |element| {
            writer.string(element);
            writer.size() <= MOST_WHOLE
        })?;
        Ok(is_whole.then(|| writer.finish()))
    })?;
    match written {
        Some(None) => Err(too_large()),
        written => Ok(written.flatten()),
    }
}

fn fault_of(wrong: &Wrong) -> Fault {
    match wrong {
        Wrong::VersionOrChecksum => Fault::from("ERR DUMP payload version or checksum are wrong"),
        Wrong::Format => Fault::from("ERR Bad data format"),
        Wrong::Kind(kind) => Fault::from(format!(
            "ERR Bad data format: this server has strings and lists, and the payload is of type {kind}"
        )),
        Wrong::TooLarge => too_large(),
    }
}

fn restore(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (mut replaces, mut is_time) = (false, false);
    let (mut has_idle_time, mut has_frequency) = (false, false);
    let mut rest = args[4..].iter();
    while let Some(word) = rest.next() {
        // How often and when it was used is not kept here.
        let number = rest.clone().next();
        match (word, number) {
            (word, _) if is(word, "REPLACE") => replaces = true,
            (word, _) if is(word, "ABSTTL") => is_time = true,
            (word, Some(number)) if is(word, "IDLETIME") && !has_frequency => {
                if int(number)? < 0 {
                    return Err(Fault::from("ERR Invalid IDLETIME value, must be >= 0"));
                }
                has_idle_time = true;
                rest.next();
            }
            (word, Some(number)) if is(word, "FREQ") && !has_idle_time => {
                if !(0..=255).contains(&int(number)?) {
                    return Err(Fault::from("ERR Invalid FREQ value, must be >= 0 and <= 255"));
                }
                has_frequency = true;
                rest.next();
            }
            _ => return Err(Fault::from(SYNTAX)),
        }
    }
    let key = context.key(args[1]);
    let is_there = context.work.find(&key, |found| found.is_some())?;
    if is_there && !replaces {
        return Err(Fault::from("BUSYKEY Target key name already exists."));
    }
    let life_ms =
        u64::try_from(int(args[2])?).map_err(|_| Fault::from("ERR Invalid TTL value, must be >= 0"))?;
    let value = rdb::read(args[3], MOST_WHOLE).map_err(|wrong| fault_of(&wrong))?;
    let expiry_ms = match (life_ms, is_time) {
        (0, _) => None,
        (at_ms, true) => Some(at_ms),
        (life_ms, false) => Some(context.work.now_ms()?.saturating_add(life_ms)),
    };
    if expiry_ms.is_some_and(|at_ms| context.work.now_ms().is_ok_and(|now_ms| at_ms <= now_ms)) {
        if context.work.remove(&key)? {
            context.work.notify(b'g', "del", &key);
        }
    } else {
        match value {
            Value::String(string) => context.work.set(&key, &string, expiry_ms),
            Value::List(elements) => context.work.put_list(&key, elements, expiry_ms)?,
        }
        context.work.notify(b'g', "restore", &key);
    }
    context.reply().ok();
    Ok(())
}
