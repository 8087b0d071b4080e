//! `cargo xtask fuzz`: libFuzzer on the targets in fuzz/src/bin, one after the other.
//!
//! Inputs that reach new code are kept below the target directory, for the next time; the corpus in fuzz/corpus is only read. The tests of the
//! repository run that corpus through the same functions (tests/corpus.rs, server/tests/corpus.rs), without any of what is needed here.

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use crate::tools;
use crate::workspace::Workspace;

/// Cargo gives flags to build scripts too where none is named.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Counters and comparisons that libFuzzer looks at, and what AddressSanitizer finds.
const FLAGS: &str = "--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Fuzzes these targets, or all where none is named, each for so many minutes; for one where nothing is said.
pub fn run(workspace: &Workspace, names: &[String], minutes: Option<u64>) -> Result<()> {
    let all = targets(workspace)?;
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        bail!("there is no target '{unknown}'; there are {}", all.join(", "));
    }
    let chosen = if names.is_empty() { &all } else { names };
    ensure_sanitizer(workspace)?;
    tools::ensure(workspace, &[tools::Tool("c++", "g++")])?;
    let sh = &workspace.shell;
    let (manifest, build) = (workspace.path("fuzz/Cargo.toml"), workspace.out.join("fuzz"));
    {
        // The flags are not stable, and the compiler takes them all the same: no other toolchain is needed.
        let _permission = sh.push_env("RUSTC_BOOTSTRAP", "1");
        let _flags = sh.push_env("RUSTFLAGS", FLAGS);
        let place = ["--target", TARGET, "--target-dir"];
        let wanted: Vec<_> = chosen.iter().flat_map(|name| ["--bin", name]).collect();
        cmd!(
            sh,
            "cargo build --quiet --locked --release --manifest-path {manifest} {wanted...} {place...} {build}"
        )
        .quiet()
        .run()
        .context("the targets do not build")?;
    }
    let mut found = Vec::new();
    for name in chosen {
        println!("== {name}");
        // libFuzzer goes on for ever where it is given no seconds.
        if fuzz(workspace, name, minutes.unwrap_or(1).max(1)).is_err() {
            found.push(name.as_str());
        }
    }
    ensure!(
        found.is_empty(),
        "found something: {}. The inputs are in {}; one that is put into fuzz/corpus/TARGET is tried by the tests from then on",
        found.join(", "),
        build.join("found").display()
    );
    Ok(())
}

fn fuzz(workspace: &Workspace, name: &str, minutes: u64) -> Result<()> {
    let sh = &workspace.shell;
    let build = workspace.out.join("fuzz");
    let program = build.join(TARGET).join("release").join(name);
    let begin = workspace.path(&format!("fuzz/corpus/{name}"));
    let more = sh.create_dir(build.join("corpus").join(name))?;
    let found = sh.create_dir(build.join("found").join(name))?;
    let seconds = (minutes * 60).to_string();
    // The slash at the end makes it a directory.
    Ok(cmd!(
        sh,
        "{program} -max_total_time={seconds} -timeout=20 -verbosity=0 -print_final_stats=1 -artifact_prefix={found}/ {more} {begin}"
    )
    .quiet()
    .run()?)
}

/// The names of the targets.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let files = workspace.shell.read_dir(workspace.path("fuzz/src/bin"))?;
    let stem = |file: &std::path::PathBuf| Some(file.file_stem()?.to_str()?.to_owned());
    Ok(files.iter().filter_map(stem).collect())
}

/// Says what is missing where the toolchain has no AddressSanitizer for the target.
fn ensure_sanitizer(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let libraries = cmd!(sh, "rustc --print target-libdir --target {TARGET}").quiet().read()?;
    let files = sh
        .read_dir(&libraries)
        .with_context(|| format!("{TARGET} is missing: rustup target add {TARGET}"))?;
    let is_runtime = |file: &std::path::PathBuf| file.to_string_lossy().ends_with("_rt.asan.a");
    ensure!(
        files.iter().any(is_runtime),
        "no librustc-*_rt.asan.a in {libraries}: the toolchains of rustup for {TARGET} have it, those of distributions may not"
    );
    Ok(())
}
