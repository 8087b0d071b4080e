//! The layers of the source: arrows point down only, and what is dangerous stays where it belongs.
//!
//! Reads the source as text. Tests inside the source (files `tests.rs`, and everything after `#[cfg(test)] mod`) are
//! not looked at: they may use what they like.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What each part may use of the crate, besides itself. A part is a folder or a file of `src/`, from the bottom up.
const MAY_USE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("events", &[]),
    ("options", &["error", "events"]),
    ("gate", &[]),
    ("monitor", &[]),
    ("panics", &[]),
    ("parallel", &["panics"]),
    ("format", &["error"]),
    ("disk", &["error"]),
    ("index", &["error", "parallel"]),
    // The index's entries are the places in the log that it answers with.
    ("log", &["error", "events", "options", "gate", "monitor", "format", "disk", "index"]),
    // The C API translates: it sees what a Rust program sees, and of the inside the limits of the format.
    ("capi", &["error", "events", "options", "panics", "format", "db", "stats", "batch", "iter", "pinned"]),
];

/// What stands below the engine's own files, each with a rule above.
const BELOW: &[&str] = &[
    "error", "events", "options", "gate", "monitor", "panics", "parallel", "format", "disk", "index", "log",
];

/// Where `unsafe` may be written.
const MAY_BE_UNSAFE: &[&str] = &["disk/", "index/", "gate.rs", "pinned.rs", "capi/handle.rs", "capi/handle/"];

/// Where a panic would meet bytes from a disk.
const MUST_NOT_PANIC: &[&str] =
    &["format/", "recovery.rs", "recovery/", "log/scan.rs", "hints.rs", "checkpoint.rs"];

/// One file of the source, without its comments and tests.
struct Source {
    /// Its path below `src/`.
    path: String,
    /// Its code, with the numbers of the lines.
    lines: Vec<(usize, String)>,
}

impl Source {
    /// The folder or file of `src/` that it belongs to.
    fn part(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or(&self.path);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places
            .iter()
            .any(|place| self.path == *place || (place.ends_with('/') && self.path.starts_with(place)))
    }

    /// The lines that a search finds something in.
    fn find<'a>(&'a self, pattern: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = String> + 'a {
        let found = self.lines.iter().filter(move |(_, line)| pattern(line));
        found.map(|(number, line)| format!("src/{}:{number}: {}", self.path, line.trim()))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("reading the source") {
            let path = entry.expect("reading the source").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("reading the source");
                let below = path.strip_prefix(&root).expect("a file of the source");
                let path = below.to_str().expect("a name in ASCII").to_string();
                if path.ends_with("tests.rs") || path.contains("/tests/") {
                    continue;
                }
                sources.push(Source { path, lines: code_of(&text) });
            }
        }
    }
    assert!(sources.len() > 20, "the source was not found");
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// The lines of code: no comments, no tests.
fn code_of(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut last_was_cfg_test = false;
    for (line, number) in text.lines().zip(1..) {
        // Tests in a file of their own are left out with it; those in this one go on to its end.
        if last_was_cfg_test && line.starts_with("mod ") && !line.ends_with(';') {
            break;
        }
        last_was_cfg_test = line.trim() == "#[cfg(test)]";
        let code = line.split("//").next().unwrap_or("");
        // A comment in the middle of a string is a string; ours hold no address but in comments.
        lines.push((number, code.to_string()));
    }
    lines
}

/// The parts of the crate that a line names: `crate::part::…`, and `use crate::{part::…, …}`.
fn parts_named(line: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0;
                let mut word = String::new();
                for c in group.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => named.extend(first_word(&std::mem::take(&mut word))),
                        c if depth == 0 => word.push(c),
                        _ => {}
                    }
                }
                named.extend(first_word(&word));
            }
            None => named.extend(first_word(rest)),
        }
    }
    named
}

fn first_word(path: &str) -> Option<String> {
    let path = path.trim();
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    (end > 0).then(|| path[..end].to_string())
}

/// The part that a name from the crate's root belongs to: types that are re-exported there are named by themselves.
fn part_of_name(name: &str) -> &str {
    match name {
        "Error" | "Result" => "error",
        "Options" | "IoMode" | "SyncMode" | "MergeMode" | "OPTIONS" | "OptionInfo" => "options",
        "Db" | "PutOptions" | "Ttl" => "db",
        "LogLevel" | "LogSink" => "events",
        "Iter" | "Row" | "KeyList" => "iter",
        "Batch" => "batch",
        "Pinned" | "Rows" => "pinned",
        "Stats" | "FileStats" => "stats",
        "MergeProgress" => "merge",
        other => other,
    }
}

fn fail_with(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn an_arrow_between_layers_that_points_up() {
    let mut wrong = Vec::new();
    for source in sources() {
        let part = source.part();
        let may_use: Vec<&str> = match MAY_USE.iter().find(|(name, _)| *name == part) {
            Some((_, may_use)) => may_use.to_vec(),
            // The engine's own files are one layer, above all those below and under the C API.
            None => continue,
        };
        wrong.extend(source.find(|line| {
            parts_named(line).iter().any(|name| {
                let name = part_of_name(name);
                name != part && !may_use.contains(&name)
            })
        }));
    }
    fail_with("these lines use what stands above them", wrong);
}

#[test]
fn the_engine_using_the_c_api() {
    let mut wrong = Vec::new();
    for source in sources() {
        if source.part() != "capi" && source.part() != "lib" {
            wrong.extend(source.find(|line| parts_named(line).contains("capi")));
        }
    }
    fail_with("these lines use the C API from inside", wrong);
}

#[test]
fn a_lower_layer_that_this_test_has_forgotten() {
    let parts: BTreeSet<String> = sources().iter().map(|source| source.part().to_string()).collect();
    for below in BELOW {
        assert!(
            parts.contains(*below),
            "src/{below} is gone: the table at the top of this test is out of date"
        );
        assert!(MAY_USE.iter().any(|(name, _)| name == below), "src/{below} has no rule");
    }
}

#[test]
fn file_access_outside_the_seam() {
    let mut wrong = Vec::new();
    for source in sources() {
        if source.part() != "disk" {
            wrong.extend(source.find(|line| {
                ["std::fs", "File::", "OpenOptions", "libc::open", "libc::write", "libc::read", "libc::fsync"]
                    .iter()
                    .any(|call| line.contains(call))
                    && !line.contains("DataFile::")
                    && !line.contains("DiskFile::")
                    && !line.contains("SimFile::")
            }));
        }
    }
    fail_with("these lines reach past src/disk", wrong);
}

#[test]
fn unsafe_outside_its_places() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !source.is_in(MAY_BE_UNSAFE) {
            wrong.extend(source.find(is_unsafe));
        }
    }
    fail_with("these lines are unsafe where everything should be safe", wrong);
}

/// Whether the line does something unsafe, or promises it. That exported functions and the types of callbacks are marked
/// so is the C API's grammar: what is done with their pointers is in `capi/handle.rs`.
fn is_unsafe(line: &str) -> bool {
    let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let attribute = line.trim_start().starts_with("#[unsafe(") || line.trim_start().starts_with("#![");
    let exported = line.contains("unsafe extern \"C\" fn");
    words.contains(&"unsafe") && !attribute && !exported
}

#[test]
fn a_library_that_prints() {
    let mut wrong = Vec::new();
    for source in sources() {
        wrong
            .extend(source.find(|line| {
                ["println!", "print!", "dbg!", "eprint"].iter().any(|call| line.contains(call))
            }));
    }
    fail_with("these lines print", wrong);
}

#[test]
fn a_panic_that_bytes_from_a_disk_could_reach() {
    let calls = [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!("];
    let mut wrong = Vec::new();
    for source in sources() {
        if source.is_in(MUST_NOT_PANIC) {
            wrong.extend(source.find(|line| calls.iter().any(|call| line.contains(call))));
        }
    }
    fail_with("these lines can panic", wrong);
}
