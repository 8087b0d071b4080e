//! The checks of the Rust side: format, clippy, tests, documentation.

use anyhow::{Context, Result};
use xshell::cmd;

use crate::workspace::{Workspace, quietly};
use crate::{comments, race_server, shortener, tools};

/// The simulated disk and its like, for the tests.
pub const TESTING: &[&str] = &["--features", "filedb/testing"];

pub fn format(workspace: &Workspace) -> Result<()> {
    tools::ensure_cargo_command(workspace, "fmt", "rustfmt")?;
    let sh = &workspace.shell;
    cmd!(sh, "cargo fmt --all --check").quiet().run()?;
    comments::check(workspace)
}

/// Once as users build it, and once with the tests and the feature that they need.
pub fn clippy(workspace: &Workspace) -> Result<()> {
    tools::ensure_cargo_command(workspace, "clippy", "clippy")?;
    let sh = &workspace.shell;
    cmd!(sh, "cargo clippy --quiet --workspace -- -D warnings").quiet().run()?;
    // Which brings an allocator, as some of the tests do.
    cmd!(sh, "cargo clippy --quiet --package filedb --features c-library -- -D warnings").quiet().run()?;
    Ok(cmd!(sh, "cargo clippy --quiet --workspace --all-targets {TESTING...} -- -D warnings")
        .quiet()
        .run()?)
}

/// With the dev profile: it optimises enough, and keeps debug assertions and overflow checks. All packages at once: what they need of
/// other crates is built once then, and not for the library, the tool and the server anew.
pub fn tests(workspace: &Workspace) -> Result<()> {
    // The tests of the server that need Redis are skipped where it is not installed: here it is.
    tools::ensure(workspace, race_server::TOOLS)?;
    let sh = &workspace.shell;
    cmd!(sh, "cargo test --workspace {TESTING...}").quiet().run()?;
    // The tests built the examples.
    let target = workspace.out.parent().expect("what the tasks make lies in the target directory");
    shortener::check(
        &workspace.path("examples/rust/shortener.rs"),
        target.join("debug/examples/shortener"),
        &[],
    )
}

pub fn documentation(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let _strict = sh.push_env("RUSTDOCFLAGS", "-D warnings");
    Ok(cmd!(sh, "cargo doc --quiet --workspace --no-deps").quiet().run()?)
}

/// The library and the programs compile with the oldest Rust that Cargo.toml promises. Clippy goes by it too, but knows only the names of
/// the standard library and not the language.
pub fn oldest(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let manifest = sh.read_file("Cargo.toml")?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    let version = version.context("Cargo.toml has no rust-version")?;
    let toolchain = format!("+{version}");
    if cmd!(sh, "cargo {toolchain} --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        let install = cmd!(sh, "rustup toolchain install {version} --profile minimal --no-self-update");
        if install.quiet().ignore_stdout().ignore_stderr().run().is_err() {
            println!("not checked: `rustup toolchain install {version}` fails here");
            return Ok(());
        }
    }
    let target = workspace.out.join("oldest-rust");
    quietly(cmd!(sh, "cargo {toolchain} check --quiet --workspace --locked --target-dir {target}"))
}

/// The rooms of the source and the arrows between them, printed. tests/layers.rs holds that they point down.
pub fn layers(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    Ok(cmd!(
        sh,
        "cargo test --quiet --package filedb {TESTING...} --test layers -- --ignored --exact rooms_and_arrows --nocapture"
    )
    .quiet()
    .run()?)
}
