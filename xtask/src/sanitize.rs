//! The Rust tests under AddressSanitizer and ThreadSanitizer, and under Miri what it can run. ThreadSanitizer and Miri
//! need parts of a nightly toolchain, which nobody needs otherwise: where there is none, the tests say what was not run.

use anyhow::{Result, bail, ensure};
use xshell::cmd;

use crate::workspace::Workspace;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A checker: its name, the part of a nightly toolchain that it needs, and the run; `short` for the run of all tests.
type Checker = (&'static str, Option<&'static str>, fn(&Workspace, bool) -> Result<()>);

const CHECKERS: &[Checker] =
    &[("address", None, address), ("thread", Some("rust-src"), thread), ("miri", Some("miri"), miri)];

/// Tests with one thread and much work: under ThreadSanitizer there is nothing to find in them.
const SINGLE_THREADED: &[&str] =
    &["format::", "disk::sim::", "options::", "a_panic_anywhere", "memory_stays_below"];
/// Tests that say little more about memory than the others, and take long.
const SLOW: &[&str] = &["the_same_seed_gives", "memory_stays_below", "an_exported_index", "several_segments"];
/// What Miri can run: it knows neither files nor huge pages, which the index asks for, and is slow.
const FOR_MIRI: &[&str] = &["format::", "index::entry::", "options::", "log::commit::", "capi::tests::"];
const NOT_FOR_MIRI: &[&str] = &[
    // They open a store.
    "a_panic_is_a_status",
    "a_panic_stops_the_store",
    "a_panic_anywhere",
    // Minutes and more.
    "a_checkpoint_header_is_read_back",
    "many_waiters_share_few_syncs",
];

/// The step: all that the toolchain has the parts for, in short.
pub fn check(workspace: &Workspace) -> Result<()> {
    for (_, component, run) in CHECKERS {
        if component.is_none_or(|component| has(workspace, component)) {
            run(workspace, true)?;
        }
    }
    Ok(())
}

/// What the step leaves out on this machine, and how to change that.
pub fn not_run(workspace: &Workspace) -> Vec<String> {
    let missing = |(name, component, _): &Checker| {
        let component = component.filter(|component| !has(workspace, component))?;
        Some(format!("sanitize: {name} was NOT RUN: {}", how_to_get(component)))
    };
    CHECKERS.iter().filter_map(missing).collect()
}

/// The task: the checkers of these names, all of them when there is none, on all tests.
pub fn run(workspace: &Workspace, names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| CHECKERS.iter().all(|(checker, ..)| checker != name)) {
        bail!("there is no checker '{unknown}'; there are address, thread and miri");
    }
    for (name, component, run) in CHECKERS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            if let Some(component) = component {
                ensure!(has(workspace, component), "{name}: {}", how_to_get(component));
            }
            run(workspace, false)?;
        }
    }
    Ok(())
}

fn how_to_get(component: &str) -> String {
    format!("it needs rustup toolchain install nightly --component {component}")
}

fn has(workspace: &Workspace, component: &str) -> bool {
    let sh = &workspace.shell;
    match component {
        "miri" => {
            cmd!(sh, "cargo +nightly miri --version").quiet().ignore_stdout().ignore_stderr().run().is_ok()
        }
        _ => cmd!(sh, "rustc +nightly --print sysroot")
            .quiet()
            .ignore_stderr()
            .read()
            .is_ok_and(|root| sh.path_exists(format!("{root}/lib/rustlib/src/rust/library"))),
    }
}

/// Reads and writes outside of memory that is alive, and leaks.
fn address(workspace: &Workspace, short: bool) -> Result<()> {
    // Every toolchain comes with it; the variable lets one that is not nightly take the flag.
    let _permission = workspace.shell.push_env("RUSTC_BOOTSTRAP", "1");
    // A test asks for what no machine has. Its answer is to be the one that an allocator gives, and not the end of the test.
    let _refusals = workspace.shell.push_env("ASAN_OPTIONS", "allocator_may_return_null=1");
    under(workspace, "address", &["test"], if short { SLOW } else { &[] }, short)
}

/// Data races. The standard library has to be built with it, or its own synchronisation would not be seen.
fn thread(workspace: &Workspace, short: bool) -> Result<()> {
    let skipped = if short { [SINGLE_THREADED, SLOW].concat() } else { Vec::new() };
    // A test asks for more memory than there is, and wants to be refused.
    let _refused = workspace.shell.push_env("TSAN_OPTIONS", "allocator_may_return_null=1");
    under(workspace, "thread", &["+nightly", "test", "-Zbuild-std"], &skipped, short)
}

fn under(
    workspace: &Workspace,
    sanitizer: &str,
    command: &[&str],
    skipped: &[&str],
    short: bool,
) -> Result<()> {
    println!("== {sanitizer}");
    let sh = &workspace.shell;
    let _target = sh.push_env("CARGO_TARGET_DIR", workspace.out.join(format!("sanitize-{sanitizer}")));
    let _sanitizer = sh.push_env("RUSTFLAGS", format!("-Zsanitizer={sanitizer}"));
    let _debug = sh.push_env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    let skips: Vec<_> = skipped.iter().flat_map(|name| ["--skip", *name]).collect();
    let tests = ["--lib", "--test", "concurrency", "--features", "filedb/testing", "--target", TARGET];
    let _histories = short.then(|| sh.push_env("FILEDB_TEST_HISTORIES", "1"));
    Ok(cmd!(sh, "cargo {command...} --quiet {tests...} -- {skips...}").quiet().run()?)
}

/// Undefined behaviour of any kind, in what needs no file.
fn miri(workspace: &Workspace, short: bool) -> Result<()> {
    println!("== miri");
    let sh = &workspace.shell;
    let _target = sh.push_env("CARGO_TARGET_DIR", workspace.out.join("sanitize-miri"));
    let slow_too: &[&str] = if short { &["every_flipped_bit", "shells_in_quarantine"] } else { &[] };
    let skips: Vec<_> = NOT_FOR_MIRI.iter().chain(slow_too).flat_map(|name| ["--skip", *name]).collect();
    Ok(cmd!(
        sh,
        "cargo +nightly miri test --quiet --lib --features filedb/testing -- {FOR_MIRI...} {skips...}"
    )
    .quiet()
    .run()?)
}
