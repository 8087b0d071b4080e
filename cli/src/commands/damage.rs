//! Checks and salvages.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result};
use filedb::{CheckReport, Finding, Severity};
use serde_json::json;

use crate::args::Args;
use crate::output::{Answer, say};
use crate::text::many;
use crate::{progress, text};

/// Prints findings, and knows the worst. That nobody reads them any more ends no salvage.
struct Told<'a> {
    args: &'a Args,
    worst: Option<Severity>,
    printed: std::io::Result<()>,
}

impl<'a> Told<'a> {
    fn new(args: &'a Args) -> Self {
        Told { args, worst: None, printed: Ok(()) }
    }

    fn tell(&mut self, finding: &Finding<'_>) {
        self.worst = self.worst.max(Some(finding.severity));
        if self.printed.is_ok() {
            self.printed = tell(self.args, finding);
        }
    }

    /// Prints the sum of it.
    fn end(self, report: &CheckReport, what: &str, answer: Answer) -> Result<Answer> {
        let printed = self.printed.and_then(|()| summarise(self.args, report, what));
        printed.with_context(|| format!("not all could be printed; {what}"))?;
        Ok(answer)
    }
}

pub fn check(args: &Args, store: &Path) -> Result<Answer> {
    let bar = progress::bytes("checking");
    let mut told = Told::new(args);
    let report = filedb::check_watched(
        store,
        |finding| {
            bar.suspend(|| told.tell(finding));
            ControlFlow::Continue(())
        },
        |seen| {
            bar.set_length(seen.of);
            bar.set_position(seen.bytes);
        },
    )?;
    bar.finish_and_clear();
    match report.is_sound() {
        true => told.end(&report, "the store is sound", Answer::Done),
        false => told.end(&report, "the store is damaged", Answer::Damaged),
    }
}

pub fn salvage(args: &Args, store: &Path, to: &Path) -> Result<Answer> {
    let bar = progress::bytes("salvaging");
    let mut told = Told::new(args);
    let report = filedb::salvage_watched(
        store,
        to,
        |finding| {
            bar.suspend(|| told.tell(finding));
            ControlFlow::Continue(())
        },
        |seen| {
            bar.set_length(seen.of);
            bar.set_position(seen.bytes);
        },
    )
    .with_context(|| format!("could not salvage to '{}', which has to be a new directory", to.display()))?;
    bar.finish_and_clear();
    match told.worst < Some(Severity::DataLost) {
        true => told.end(&report, "everything was saved", Answer::Done),
        false => told.end(&report, "what is intact was saved", Answer::Damaged),
    }
}

fn tell(args: &Args, finding: &Finding<'_>) -> std::io::Result<()> {
    let severity = match finding.severity {
        Severity::Note => "note",
        Severity::SpaceLost => "space lost",
        Severity::DataLost => "data lost",
    };
    if args.json {
        let line = json!({
            "severity": severity, "file": finding.file, "offset": finding.offset, "length": finding.length,
            "key": finding.key.map(text::to_json), "message": finding.message,
        });
        return say(format_args!("{line}"));
    }
    let key = finding.key.map(|key| format!(" (key {})", text::escape(key))).unwrap_or_default();
    say(format_args!("{severity}: {} at {}{key}: {}", finding.file, finding.offset, finding.message))
}

fn summarise(args: &Args, report: &CheckReport, what: &str) -> std::io::Result<()> {
    if args.json {
        let line = json!({ "report": {
            "sound": report.is_sound(), "files": report.files, "bytes": report.bytes, "records": report.records,
            "keys": report.keys, "damaged_files": report.damaged_files,
            "damaged_places": report.damaged_places, "keys_lost": report.keys_lost,
        }});
        return say(format_args!("{line}"));
    }
    say(format_args!(
        "{what}: {}, {}, {}, {}; {} in {}, {} lost",
        many(report.files, "file"),
        text::size(report.bytes),
        many(report.records, "record"),
        many(report.keys, "key"),
        many(report.damaged_places, "damaged place"),
        many(report.damaged_files.into(), "file"),
        many(report.keys_lost, "key")
    ))
}
