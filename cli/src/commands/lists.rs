//! Commands of lists.

use std::ffi::OsString;
use std::io::Write;

use anyhow::{Context, Result};
use filedb::{Batch, Db, Expiry, Ttl};

use super::keys::bytes;
use crate::args::Args;
use crate::output::{Answer, say};
use crate::text;

/// All values or none.
pub fn push(args: &Args, db: &Db, key: &OsString, values: &[OsString], front: bool) -> Result<Answer> {
    let (key, mut batch) = (bytes(args, key)?, Batch::new());
    for value in values {
        let value = bytes(args, value)?;
        if front { batch.push_front(&key, value)? } else { batch.push_back(&key, value)? }
    }
    db.write(&batch)?;
    let length = db.list_length(&key)?.unwrap_or(0);
    db.close()?;
    say(format_args!("{length}"))?;
    Ok(Answer::Done)
}

pub fn pop(args: &Args, db: &Db, key: &OsString, front: bool) -> Result<Answer> {
    let key = bytes(args, key)?;
    // A list whose last element is taken out is no more, and neither is its life.
    let life = db.ttl(&key)?;
    let popped = if front { db.pop_front(&key)? } else { db.pop_back(&key)? };
    let Some(value) = popped else { return Ok(Answer::No) };
    if let Err(error) = print(args, &value) {
        // Nobody has it but this command.
        let mut batch = Batch::new();
        if front {
            batch.push_front(&key, &value)?
        } else {
            batch.push_back(&key, &value)?
        }
        if let Some(Ttl::Left(left)) = life {
            batch.list_expire(&key, Expiry::After(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)))?;
        }
        db.write(&batch)?;
        db.close()?;
        return Err(error).context("the value could not be printed, and was put back");
    }
    db.close()?;
    Ok(Answer::Done)
}

fn print(args: &Args, value: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", text::to_json(value))?,
        false => out.write_all(value)?,
    }
    Ok(out.flush()?)
}
