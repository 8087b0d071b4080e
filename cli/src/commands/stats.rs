//! A store in numbers, and its merges.

use std::fs::OpenOptions;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result};
use filedb::Db;
use serde_json::json;

use super::html;
use crate::args::Args;
use crate::output::{Answer, say};
use crate::{progress, text};

pub fn stats(args: &Args, db: &Db, store: &Path, page: Option<&Path>, force: bool) -> Result<Answer> {
    let (stats, files) = (db.stats()?, db.file_stats()?);
    if let Some(page) = page {
        let content = html::page(&store.display().to_string(), &stats, &files);
        write(page, content.as_bytes(), force)?;
    }
    if args.json {
        let line = json!({
            "keys": stats.keys, "files": stats.files, "data_bytes": stats.data_bytes,
            "live_bytes": stats.live_bytes, "index_bytes": stats.index_bytes,
            "space_amplification": stats.space_amplification(), "merging": stats.merging,
            "clock_ahead_ms": stats.clock_ahead_ms,
            "data_files": files.iter().map(|file| json!({
                "id": file.id, "bytes": file.bytes, "live_bytes": file.live_bytes, "records": file.records,
                "live_records": file.live_records,
            })).collect::<Vec<_>>(),
        });
        say(format_args!("{line}"))?;
        return Ok(Answer::Done);
    }
    say(format_args!("keys                 {}", stats.keys))?;
    say(format_args!("data files           {}", stats.files))?;
    say(format_args!("data                 {}", text::size(stats.data_bytes)))?;
    say(format_args!("alive                {}", text::size(stats.live_bytes)))?;
    say(format_args!("space amplification  {:.2}", stats.space_amplification()))?;
    say(format_args!("index in memory      {}", text::size(stats.index_bytes)))?;
    Ok(Answer::Done)
}

/// Writes a file, which is replaced by force only.
fn write(path: &Path, content: &[u8], force: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(content));
    written.with_context(|| match force {
        true => format!("could not write '{}'", path.display()),
        false => {
            format!("could not make '{}'; with --force a file that is there is replaced", path.display())
        }
    })
}

pub fn merge(args: &Args, db: &Db) -> Result<Answer> {
    let before = db.stats()?.data_bytes;
    let bar = progress::bytes("merging");
    db.merge_with(&mut |progress| {
        bar.set_length(progress.bytes.1);
        bar.set_position(progress.bytes.0);
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    let after = db.stats()?.data_bytes;
    match args.json {
        true => say(format_args!("{}", json!({ "bytes_before": before, "bytes_after": after })))?,
        false => say(format_args!("{} before, {} after", text::size(before), text::size(after)))?,
    }
    db.close()?;
    Ok(Answer::Done)
}
