//! The layers of the source: arrows point down only, and what is dangerous stays where it belongs.
//!
//! Reads the source as text. Tests inside the source (files `tests.rs`, and everything after `#[cfg(test)] mod`) are
//! not looked at: they may use what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The layers of `src/`, from the bottom up. A file belongs to the first room here that its path begins with, and uses its own
/// room and those before it.
const ROOMS: &[&str] = &[
    "store/memory",
    "seeded",
    "store/error",
    "store/value",
    "store/events",
    "store/findings",
    "store/backup",
    "store/options",
    "sync",
    "format",
    "disk",
    "store/pinned",
    "index",
    "log",
    "store",
    "remote",
    "bitcask/engine",
    "bitcask/shared",
    "bitcask/lifecycle",
    "bitcask/background",
    "bitcask",
    "lsm",
    "db",
    "damage",
    "capi",
    "lib",
];

/// Where `unsafe` may be written.
const MAY_BE_UNSAFE: &[&str] = &[
    "disk/",
    "index/",
    "sync/gate.rs",
    "sync/table.rs",
    "sync/thread.rs",
    "store/memory.rs",
    "store/memory/pool.rs",
    "store/pinned.rs",
    "capi/handle.rs",
    "capi/handle/",
];

/// Where a panic would meet bytes from a disk.
const MUST_NOT_PANIC: &[&str] = &[
    "format/",
    "bitcask/lifecycle/",
    "bitcask/inspect/",
    "bitcask/live/",
    "log/live/",
    "log/opening/",
    "log/recovery/",
    "log/scan.rs",
    "lsm/live/",
    "lsm/open.rs",
    "lsm/run/",
    "lsm/inspect/",
];

/// One file of the source, without its comments and tests.
struct Source {
    /// Its path below `src/`.
    path: String,
    /// Its code, with the numbers of the lines.
    lines: Vec<(usize, String)>,
}

impl Source {
    /// The room that it is in, as its place in [`ROOMS`].
    fn room(&self) -> usize {
        room_of(&self.path).unwrap_or_else(|| panic!("src/{} is in no room: see ROOMS", self.path))
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
        let is_module = line.starts_with("mod ") || line.starts_with("pub mod ");
        if last_was_cfg_test && is_module && !line.ends_with(';') {
            break;
        }
        last_was_cfg_test = line.trim() == "#[cfg(test)]";
        let code = line.split("//").next().unwrap_or("");
        // A comment in the middle of a string is a string; ours hold no address but in comments.
        lines.push((number, code.to_string()));
    }
    lines
}

/// The first of [`ROOMS`] that a path below `src/` begins with.
fn room_of(path: &str) -> Option<usize> {
    ROOMS.iter().position(|room| {
        path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
    })
}

/// The paths that a line of this file names from the crate's root, as `store/error/Error`: `crate::…` and `super::…`.
fn paths_named(file: &str, line: &str) -> Vec<String> {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let path_at =
        |at: usize| line[at..].split(|c| !word(c)).next().unwrap_or("").trim_end_matches(':').to_string();
    let begins = |at: usize| !line[..at].ends_with(word);
    let from_root = line.match_indices("crate::").filter(|(at, _)| begins(*at));
    let from_root = from_root.map(|(at, found)| path_at(at + found.len()).replace("::", "/"));
    let above = line.match_indices("super::").filter(|(at, _)| begins(*at));
    let above = above.map(|(at, _)| {
        let module = file.strip_suffix(".rs").unwrap_or(file);
        let mut module: Vec<&str> = module.strip_suffix("/mod").unwrap_or(module).split('/').collect();
        let path = path_at(at);
        for part in path.split("::") {
            if part == "super" {
                module.pop();
            } else {
                module.push(part);
            }
        }
        module.join("/")
    });
    from_root.chain(above).collect()
}

fn fail_with(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn arrows_between_rooms_point_down() {
    let mut wrong = Vec::new();
    for source in sources() {
        let own = source.room();
        wrong.extend(source.find(|line| {
            // What is exported at the root is its users' name for a thing, and the C API is one: inside, the place is named.
            let is_user = source.is_in(&["capi/"]);
            paths_named(&source.path, line)
                .iter()
                .any(|path| room_of(path).map_or(!is_user, |room| room > own))
        }));
    }
    fail_with("these lines use what stands above them, or name no room", wrong);
}

#[test]
fn every_room_is_there() {
    let rooms: BTreeSet<usize> = sources().iter().map(Source::room).collect();
    for (n, room) in ROOMS.iter().enumerate() {
        assert!(rooms.contains(&n), "src/{room} is gone: the table at the top of this test is out of date");
    }
}

/// The picture of the source, from the top down: each room, its files and lines of code, and how often it names each room below.
#[test]
#[ignore = "it prints: cargo xtask layers"]
fn rooms_and_arrows() {
    let (mut files, mut lines) = (BTreeMap::new(), BTreeMap::new());
    let mut arrows: BTreeMap<usize, BTreeMap<usize, usize>> = BTreeMap::new();
    for source in sources() {
        let own = source.room();
        *files.entry(own).or_insert(0) += 1;
        *lines.entry(own).or_insert(0) +=
            source.lines.iter().filter(|(_, line)| !line.trim().is_empty()).count();
        let named = source.lines.iter().flat_map(|(_, line)| paths_named(&source.path, line));
        for room in named.filter_map(|path| room_of(&path)).filter(|room| *room != own) {
            *arrows.entry(own).or_default().entry(room).or_insert(0) += 1;
        }
    }
    println!("{:20} {:>5} {:>6}  uses", "room", "files", "lines");
    for (room, name) in ROOMS.iter().enumerate().rev() {
        let below = arrows.get(&room).into_iter().flatten().rev();
        let below: Vec<String> = below.map(|(to, count)| format!("{} {count}", ROOMS[*to])).collect();
        println!("{name:20} {:>5} {:>6}  {}", files[&room], lines[&room], below.join(", "));
    }
    println!("{:20} {:>5} {:>6}", "all", files.values().sum::<usize>(), lines.values().sum::<usize>());
}

#[test]
fn files_are_opened_inside_the_seam_only() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !source.is_in(&["disk/"]) {
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
fn every_thread_is_kept_out_of_its_host() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !source.is_in(&["sync/thread.rs"]) {
            wrong.extend(source.find(|line| {
                [
                    "std::thread::spawn",
                    "thread::Builder",
                    "pthread_create",
                    ".spawn_scoped(",
                    "scope.spawn(",
                    "std::thread::sleep",
                ]
                .iter()
                .any(|call| line.contains(call))
            }));
        }
    }
    fail_with(
        "these lines start a thread that takes signals, or sleep so that the thread can be cancelled",
        wrong,
    );
}

#[test]
fn no_lock_is_one_that_a_forked_child_could_inherit() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !source.is_in(&["sync/"]) {
            wrong.extend(source.find(|line| {
                let locks = ["Mutex", "RwLock", "Condvar", "Barrier", "mpsc", "Once::", "LazyLock"];
                line.contains("parking_lot")
                    || (line.contains("std::sync::") && locks.iter().any(|lock| line.contains(lock)))
            }));
        }
    }
    fail_with("these lines use other locks than those of src/sync", wrong);
}

#[test]
fn unsafe_is_in_its_places_only() {
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
fn the_library_prints_nothing() {
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
fn no_panic_can_be_reached_by_bytes_from_a_disk() {
    let calls = [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!("];
    let mut wrong = Vec::new();
    for source in sources() {
        if source.is_in(MUST_NOT_PANIC) {
            wrong.extend(source.find(|line| calls.iter().any(|call| line.contains(call))));
        }
    }
    fail_with("these lines can panic", wrong);
}
