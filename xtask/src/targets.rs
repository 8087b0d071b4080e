//! The processors and systems that the library is for beside those of this machine: it compiles for each, and runs where it can.

use std::path::Path;

use anyhow::{Result, ensure};
use xshell::cmd;

use crate::tools::{self, Tool};
use crate::workspace::{Workspace, quietly};

/// 32 bits, another processor, another C library, another system.
const COMPILE: &[&str] = &[
    "i686-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
];

/// What the processor of this machine and its kernel run too.
const RUN: &[&str] = &["i686-unknown-linux-gnu", "x86_64-unknown-linux-musl"];

const COMPILERS: &[Tool] = &[Tool("musl-gcc", "musl-tools")];

/// The library compiles for each of [`COMPILE`], but for remote stores: what they use has C in it, for which a compiler would be
/// needed each time.
pub fn compile(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    for target in COMPILE {
        if !is_there(workspace, target)? {
            println!("not checked for {target}: `rustup target add {target}` fails here");
            continue;
        }
        let _strict = sh.push_env("RUSTFLAGS", "-D warnings");
        let flags = ["--package", "filedb", "--lib", "--no-default-features", "--locked"];
        cmd!(sh, "cargo check --quiet {flags...} --target {target}").quiet().run()?;
        println!("{target}: compiles");
    }
    Ok(())
}

/// The tests of the library's own modules pass on 32 bits and with musl. The step `machines` runs the C library on 32 bits.
pub fn run(workspace: &Workspace) -> Result<()> {
    if cfg!(not(target_arch = "x86_64")) {
        println!("not run: these targets are for x86-64 machines");
        return Ok(());
    }
    tools::ensure(workspace, COMPILERS)?;
    ensure_32_bit_compiler(workspace)?;
    let sh = &workspace.shell;
    for target in RUN {
        ensure!(is_there(workspace, target)?, "missing: `rustup target add {target}` fails here");
        let flags = ["--package", "filedb", "--lib", "--no-default-features", "--features", "testing"];
        cmd!(sh, "cargo test --quiet {flags...} --target {target}").quiet().run()?;
    }
    Ok(())
}

/// `cc -m32` links programs. Debian has what that takes in a package without a program of its own.
pub fn ensure_32_bit_compiler(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let directory = tempfile::tempdir()?;
    let (source, program) = (directory.path().join("main.c"), directory.path().join("main"));
    sh.write_file(&source, "#include <stdio.h>\nint main(void) { return 0; }\n")?;
    if cmd!(sh, "cc -m32 {source} -o {program}").quiet().ignore_stderr().run().is_err() {
        tools::install(workspace, &["gcc-multilib"])?;
        quietly(cmd!(sh, "cc -m32 {source} -o {program}"))?;
    }
    Ok(())
}

/// Whether Rust's standard library for `target` is installed; rustup is asked to install it where it is not.
fn is_there(workspace: &Workspace, target: &str) -> Result<bool> {
    let sh = &workspace.shell;
    let directory = cmd!(sh, "rustc --print target-libdir --target {target}").quiet().read()?;
    if Path::new(&directory).is_dir() {
        return Ok(true);
    }
    let added = cmd!(sh, "rustup target add {target}").quiet().ignore_stdout().ignore_stderr().run();
    Ok(added.is_ok())
}
