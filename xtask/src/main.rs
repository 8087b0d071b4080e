//! The tasks of this repository: `cargo xtask help` lists them.

mod abi;
mod abidump;
mod bindings;
mod clib;
mod comments;
mod conformance;
mod crates;
mod ctests;
mod debian;
mod demo;
mod dist;
mod document;
mod doxygen;
mod examples;
mod fuzz;
mod header;
mod manpage;
mod packaging;
mod race;
mod race_server;
mod race_sides;
mod rust;
mod sanitize;
mod server;
mod shortener;
mod targets;
mod test;
mod tools;
mod torture;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask TASK

  test [STEP...]          what must hold before a change is accepted; without a STEP, all that are not long
  test --full             the long steps too: sanitizers, valgrind, builds from source, fresh seeds
  test --list             the steps
  demo [DIR] [--io MODE]  imports a directory (/usr/include) through the C library, killed half way and resumed;
                          MODE is mmap or pread, one after the other when it is not given
  header [--check]        writes include/filedb.h from src/capi, or says how they differ
  man [--check]           writes man/filedb.3 from include/filedb.h, or says how they differ
  abi [--accept]          writes abi/filedb.abi from include/filedb.h; --accept: also where old programs may break
  clib --prefix DIR       builds the C libraries and installs them below DIR
  dist                    an archive with headers, libraries and programs, and a wheel, for an old glibc; both are tried
  torture [SUITE...] [--seed N] [--minutes M]
                          the random tests with fresh seeds, for ten minutes where nothing else is said; --list: the suites
  torture seeded [BUG...] makes deliberate mistakes in the library, and names the test that catches each
  fuzz [TARGET...] [--minutes M]
                          libFuzzer on the targets in fuzz/, for a minute each where nothing else is said
  layers                  the modules of the source, and which uses which
  sanitize [CHECKER...]   the Rust tests under address, thread and miri
  bindings-speed          what calls cost from Go and from Python
  race-server [...]       filedb-server beside Redis and Valkey, under redis-benchmark: a table with verdicts; race-server --help
  race-sides [...]        lists, stores in memory and stores on servers beside what does the same; race-sides --help
  race [--quick] [...]    filedb against its peers: a table, and the figures and a page in target/race; race --help
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = lexopt::Parser::from_env();
    let task = match arguments.next()? {
        Some(Value(task)) => task.string()?,
        Some(Long("help") | Short('h')) => "help".to_owned(),
        Some(other) => return Err(other.unexpected().into()),
        None => bail!("no task given\n\n{USAGE}"),
    };
    if task == "race" {
        return race::run(&Workspace::new()?, &arguments.raw_args()?.collect::<Vec<_>>());
    }
    if task == "race-server" {
        return race_server::run(&Workspace::new()?, &arguments.raw_args()?.collect::<Vec<_>>());
    }
    if task == "race-sides" {
        return race_sides::run(&Workspace::new()?, &arguments.raw_args()?.collect::<Vec<_>>());
    }
    let (mut words, mut list, mut full, mut check, mut accept) = (Vec::new(), false, false, false, false);
    let (mut io, mut prefix, mut minutes) = (None, None, None);
    let mut torture = torture::Request::default();
    while let Some(argument) = arguments.next()? {
        match (task.as_str(), argument) {
            ("test" | "demo" | "sanitize" | "fuzz", Value(word)) => words.push(word.string()?),
            ("test" | "torture", Long("list")) => list = true,
            ("test", Long("full")) => full = true,
            ("torture", Value(name)) => torture.names.push(name.string()?),
            ("torture", Long("seed")) => torture.seed = Some(arguments.value()?.parse()?),
            ("torture", Long("minutes")) => torture.minutes = Some(arguments.value()?.parse()?),
            ("fuzz", Long("minutes")) => minutes = Some(arguments.value()?.parse()?),
            ("demo", Long("io")) => io = Some(arguments.value()?.string()?),
            ("header" | "man", Long("check")) => check = true,
            ("abi", Long("accept")) => accept = true,
            ("clib", Long("prefix")) => prefix = Some(arguments.value()?),
            (_, other) => return Err(other.unexpected().into()),
        }
    }

    let workspace = Workspace::new()?;
    match (task.as_str(), words.as_slice()) {
        ("help", _) => print!("{USAGE}"),
        ("test", _) if list => test::list(),
        ("test", steps) => test::run(&workspace, steps, full)?,
        ("demo", []) => demo::run(&workspace, None, io.as_deref())?,
        ("demo", [directory]) => demo::run(&workspace, Some(directory.as_ref()), io.as_deref())?,
        ("demo", _) => bail!("demo takes one directory"),
        ("header", _) if check => header::check(&workspace)?,
        ("header", _) => header::write(&workspace)?,
        ("man", _) if check => manpage::check(&workspace)?,
        ("man", _) => manpage::write(&workspace)?,
        ("layers", _) => rust::layers(&workspace)?,
        ("abi", _) => abidump::write(&workspace, accept)?,
        ("torture", _) if list => torture::list(),
        ("torture", _) if torture.names.first().is_some_and(|name| name == "seeded") => {
            torture::seeded(&workspace, &torture.names[1..])?
        }
        ("torture", _) => torture::run(&workspace, &torture)?,
        ("dist", []) => dist::make(&workspace)?,
        ("fuzz", targets) => fuzz::run(&workspace, targets, minutes)?,
        ("sanitize", checkers) => sanitize::run(&workspace, checkers)?,
        ("bindings-speed", []) => bindings::speed(&workspace)?,
        ("clib", _) => match prefix {
            Some(prefix) => clib::install(&workspace, prefix.as_ref())?,
            None => bail!("clib needs --prefix DIR"),
        },
        (other, _) => bail!("there is no task '{other}'\n\n{USAGE}"),
    }
    Ok(())
}
