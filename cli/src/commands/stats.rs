//! A store in numbers, and its merges.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result};
use filedb::Db;
use serde_json::json;

use super::html;
use crate::args::Args;
use crate::output::Answer;
use crate::{progress, text};

pub fn stats(args: &Args, db: &Db, store: &Path, page: Option<&Path>) -> Result<Answer> {
    let (stats, files) = (db.stats()?, db.file_stats()?);
    if let Some(page) = page {
        let content = html::page(&store.display().to_string(), &stats, &files);
        std::fs::write(page, content).with_context(|| format!("could not write '{}'", page.display()))?;
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
        println!("{line}");
        return Ok(Answer::Done);
    }
    println!("keys                 {}", stats.keys);
    println!("data files           {}", stats.files);
    println!("data                 {}", text::size(stats.data_bytes));
    println!("alive                {}", text::size(stats.live_bytes));
    println!("space amplification  {:.2}", stats.space_amplification());
    println!("index in memory      {}", text::size(stats.index_bytes));
    Ok(Answer::Done)
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
        true => println!("{}", json!({ "bytes_before": before, "bytes_after": after })),
        false => println!("{} before, {} after", text::size(before), text::size(after)),
    }
    db.close()?;
    Ok(Answer::Done)
}
