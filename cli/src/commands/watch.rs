//! Printing changes as they are made.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use filedb::{ChangeKind, Changed, Db, Followed};
use serde_json::json;

use crate::args::Args;
use crate::output::Answer;
use crate::text;

pub fn watch(args: &Args, db: &Db, path: &Path, from: Option<u64>, count: Option<u64>) -> Result<Answer> {
    let from = from.map_or_else(|| db.last_seq(), Ok)?;
    let mut changes = db.changes(from)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let (mut left, mut is_flushed) = (count.unwrap_or(u64::MAX), true);
    while left > 0 {
        let at = changes.seq();
        // What was printed is given out before it waits.
        match changes.next(if is_flushed { None } else { Some(Duration::ZERO) })? {
            Followed::Change(change) => {
                match args.json {
                    true => writeln!(out, "{}", as_json(&change))?,
                    false => print(&change, &mut out)?,
                }
                (left, is_flushed) = (left - 1, false);
            }
            Followed::Timeout => {
                out.flush()?;
                is_flushed = true;
            }
            Followed::Gap => {
                out.flush()?;
                bail!("{}", gap(path, at));
            }
        }
    }
    out.flush()?;
    Ok(Answer::Done)
}

/// What is said of a gap behind a number.
pub fn gap(path: &Path, at: u64) -> String {
    format!(
        "what was changed behind number {at} cannot be told any more: merges of '{}' have dropped deletes, or the number is of another \
         store; copy the store (filedb dump, filedb backup) and watch it from then on, and open it with keep_tombstones_ms where it is \
         written to, so that deletes are kept as long as that",
        path.display()
    )
}

fn print(change: &Changed<'_>, out: &mut impl Write) -> std::io::Result<()> {
    write!(out, "{} {} {}", change.seq, change.kind.name(), text::escape(change.key))?;
    if change.kind.has_value() {
        write!(out, " {}", text::escape(change.value))?;
    }
    match change.expiry_ms {
        Some(at) => write!(out, " {at}")?,
        None if change.kind == ChangeKind::Expiry => write!(out, " never")?,
        None => {}
    }
    writeln!(out)
}

fn as_json(change: &Changed<'_>) -> serde_json::Value {
    let mut line = json!({
        "seq": change.seq,
        "time_ms": change.time_ms,
        "change": change.kind.name(),
        "key": text::to_json(change.key),
    });
    if change.kind.has_value() {
        line["value"] = text::to_json(change.value);
    }
    if change.expiry_ms.is_some() || change.kind == ChangeKind::Expiry {
        line["expiry_ms"] = json!(change.expiry_ms);
    }
    line
}
