//! Backups, and stores that are made of them.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use filedb::{BackupOptions, BackupProgress, Db};
use serde_json::json;

use crate::args::{Args, Copying};
use crate::output::Answer;
use crate::{progress, text};

pub fn backup(args: &Args, db: &Db, to: &Path, how: &Copying) -> Result<Answer> {
    let done = copy(db, to, how, "backing up")?;
    tell(args, &done);
    Ok(Answer::Done)
}

pub fn restore(args: &Args, backup: &Db, store: &Path, how: &Copying) -> Result<Answer> {
    if let Ok(mut there) = std::fs::read_dir(store) {
        let what = "is not empty; a backup is restored to a directory that is empty or not there";
        ensure!(there.next().is_none(), "'{}' {what}", store.display());
    }
    let done = copy(backup, store, how, "restoring")?;
    tell(args, &done);
    Ok(Answer::Done)
}

pub fn copy(db: &Db, to: &Path, how: &Copying, what: &'static str) -> Result<BackupProgress> {
    let bar = progress::bytes(what);
    let options = BackupOptions { copy: how.copy, rate_limit: how.rate };
    let mut last = BackupProgress::default();
    db.backup_with(to, &options, &mut |seen| {
        bar.set_length(seen.bytes.1);
        bar.set_position(seen.bytes.0);
        last = *seen;
        ControlFlow::Continue(())
    })
    .with_context(|| format!("could not copy to '{}'", to.display()))?;
    bar.finish_and_clear();
    Ok(last)
}

fn tell(args: &Args, done: &BackupProgress) {
    match args.json {
        true => {
            let line =
                json!({ "files": done.files.1, "bytes": done.bytes.1, "copied_bytes": done.copied_bytes });
            println!("{line}");
        }
        false => println!(
            "{}, {}, of which {} were written",
            text::many(done.files.1, "file"),
            text::size(done.bytes.1),
            text::size(done.copied_bytes)
        ),
    }
}
