//! Checks and salvages.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Result;
use filedb::{CheckReport, Finding, Severity};
use serde_json::json;

use crate::args::Args;
use crate::output::Answer;
use crate::{progress, text};

pub fn check(args: &Args, store: &Path) -> Result<Answer> {
    let bar = progress::bytes("checking");
    let report = filedb::check_watched(
        store,
        |finding| {
            bar.suspend(|| tell(args, finding));
            ControlFlow::Continue(())
        },
        |seen| {
            bar.set_length(seen.of);
            bar.set_position(seen.bytes);
        },
    )?;
    bar.finish_and_clear();
    summarise(args, &report, if report.is_sound() { "the store is sound" } else { "the store is damaged" });
    Ok(if report.is_sound() { Answer::Done } else { Answer::Damaged })
}

pub fn salvage(args: &Args, store: &Path, to: &Path) -> Result<Answer> {
    let bar = progress::bytes("salvaging");
    let report = filedb::salvage_watched(
        store,
        to,
        |finding| {
            bar.suspend(|| tell(args, finding));
            ControlFlow::Continue(())
        },
        |seen| {
            bar.set_length(seen.of);
            bar.set_position(seen.bytes);
        },
    )?;
    bar.finish_and_clear();
    let what = match report.keys_lost {
        0 => "everything was saved",
        _ => "what is intact was saved",
    };
    summarise(args, &report, what);
    Ok(if report.keys_lost == 0 { Answer::Done } else { Answer::Damaged })
}

fn tell(args: &Args, finding: &Finding<'_>) {
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
        println!("{line}");
        return;
    }
    let key = finding.key.map(|key| format!(" (key {})", text::escape(key))).unwrap_or_default();
    println!("{severity}: {} at {}{key}: {}", finding.file, finding.offset, finding.message);
}

fn summarise(args: &Args, report: &CheckReport, what: &str) {
    if args.json {
        let line = json!({ "report": {
            "sound": report.is_sound(), "files": report.files, "bytes": report.bytes, "records": report.records,
            "keys": report.keys, "damaged_files": report.damaged_files,
            "damaged_places": report.damaged_places, "keys_lost": report.keys_lost,
        }});
        println!("{line}");
        return;
    }
    println!(
        "{what}: {} files, {}, {} records, {} keys; {} damaged places in {} files, {} keys lost",
        report.files,
        text::size(report.bytes),
        report.records,
        report.keys,
        report.damaged_places,
        report.damaged_files,
        report.keys_lost
    );
}
