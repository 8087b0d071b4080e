//! `cargo xtask torture seeded`: deliberate mistakes, one after the other, and the test that catches each.
//!
//! The mistakes are in the source as `seeded_bug!("name")` (src/seeded.rs), which is `false` in every ordinary build. Here the library is
//! built once with all of them, and the environment says which one is made. A mistake that no test catches means that a test is missing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::bugs::{BUGS, Bug};
use super::memory;
use super::run::{Programs, read, wait};
use crate::workspace::Workspace;

/// A test that does not end after so long has noticed something too.
const TOO_LONG: Duration = Duration::from_secs(6 * 60);

/// Makes the mistakes of these names, all of them where there is none.
pub fn run(workspace: &Workspace, names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| BUGS.iter().all(|bug| bug.name != **name)) {
        bail!("there is no seeded bug '{unknown}'");
    }
    ensure_all_are_there(workspace)?;
    let is_chosen = |bug: &&Bug| names.is_empty() || names.iter().any(|name| name == bug.name);
    let chosen: Vec<&Bug> = BUGS.iter().filter(is_chosen).collect();

    let sh = &workspace.shell;
    let programs = {
        let _flags = sh.push_env("RUSTFLAGS", "--cfg filedb_seeded_bug");
        let _target = sh.push_env("CARGO_TARGET_DIR", workspace.out.join("seeded"));
        let programs = chosen.iter().flat_map(|bug| bug.caught_by).map(|(program, _)| *program);
        Programs::build(workspace, programs)?
    };
    let home = workspace.fresh_dir("torture-seeded")?;
    let mut missed = Vec::new();
    for bug in &chosen {
        let began = Instant::now();
        let caught_by = catch(&programs, bug, &home.join(format!("{}.log", bug.name)))?;
        let seconds = began.elapsed().as_secs_f64();
        match caught_by {
            Some(test) => println!("{:32} caught by {test} ({seconds:.0} s): {}", bug.name, bug.what),
            None => {
                println!("{:32} NOT CAUGHT ({seconds:.0} s): {}", bug.name, bug.what);
                missed.push(bug.name);
            }
        }
    }
    println!("seeded bugs: {} made, {} caught", chosen.len(), chosen.len() - missed.len());
    ensure!(missed.is_empty(), "no test caught {}", missed.join(", "));
    Ok(())
}

/// The first test that fails with this mistake.
fn catch(programs: &Programs, bug: &Bug, log: &Path) -> Result<Option<String>> {
    for (program, tests) in bug.caught_by {
        let mut command = programs.command(program, tests, log)?;
        command.env("FILEDB_SEEDED_BUG", bug.name);
        if let Some(memory) = memory() {
            command.env("TMPDIR", memory);
        }
        let status = wait(&mut command.spawn()?, TOO_LONG)?;
        let outcome = read(&String::from_utf8_lossy(&fs::read(log)?), status);
        if let Some(failed) = outcome.failed {
            return Ok(Some(format!("{program}: {}", outcome.failed_tests.first().unwrap_or(&failed))));
        }
    }
    Ok(None)
}

/// Whether the list and the source name the same mistakes.
fn ensure_all_are_there(workspace: &Workspace) -> Result<()> {
    let mut made = BTreeSet::new();
    let mut folders = vec![workspace.path("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path)?;
                let names = text.split("seeded_bug!(\"").skip(1);
                made.extend(names.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }
    made.remove("name");
    let listed: BTreeSet<String> = BUGS.iter().map(|bug| bug.name.to_owned()).collect();
    let differ: Vec<_> = made.symmetric_difference(&listed).cloned().collect();
    ensure!(
        differ.is_empty(),
        "src and xtask/src/torture/bugs.rs do not name the same bugs: {}",
        differ.join(", ")
    );
    Ok(())
}
