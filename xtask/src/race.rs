//! `cargo xtask race`: filedb against its peers. Builds what the race needs and starts it; bench-compare/ is the race.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::workspace::{Workspace, quietly};
use crate::{clib, tools};

/// The Debian packages of the peers that are no crates.
const PEERS: &[&str] = &["liblmdb-dev", "libleveldb-dev", "librocksdb-dev", "libtkrzw-dev", "libsqlite3-dev"];

/// `arguments` are the orchestrator's: `cargo xtask race --help`.
pub fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let sh = &workspace.shell;
    let target = workspace.out.with_file_name("race-build");
    let manifest = workspace.path("bench-compare/Cargo.toml");
    let build = |package: &str| {
        cmd!(
            sh,
            "cargo build --locked --release --manifest-path {manifest} --target-dir {target} --package {package}"
        )
    };
    build("race").quiet().run()?;
    let race = target.join("release/race");
    let needs_no_driver = ["--help", "-h", "--list", "--show"];
    if arguments.iter().any(|argument| needs_no_driver.iter().any(|word| argument == word)) {
        return Ok(cmd!(sh, "{race} {arguments...}").quiet().run()?);
    }

    ensure_peers(workspace)?;
    build("peers").quiet().run()?;
    let (prefix, peers) = (clib::installed(workspace)?, target.join("release/libpeers.a"));
    let (source, driver) = (workspace.path("bench-compare/driver"), target.join("driver"));
    quietly(cmd!(sh, "cmake -S {source} -B {driver} -DPEERS={peers} -DCMAKE_PREFIX_PATH={prefix}"))?;
    quietly(cmd!(sh, "cmake --build {driver} --parallel 2"))?;
    Ok(cmd!(sh, "{race} --driver {driver}/race-driver {arguments...}").quiet().run()?)
}

/// Installs the packages that are missing when we may, else names them.
pub fn ensure_peers(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, tools::BUILD.iter().chain(&[tools::Tool("c++", "g++")]))?;
    let sh = &workspace.shell;
    let format = "${db:Status-Status}";
    let is_missing = |package: &&&str| {
        let status = cmd!(sh, "dpkg-query --show --showformat={format} {package}");
        !status.quiet().ignore_stderr().read().is_ok_and(|status| status == "installed")
    };
    let missing: Vec<_> = PEERS.iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.iter().map(|package| **package).collect::<Vec<_>>().join(" ");
    if !rustix::process::geteuid().is_root() {
        bail!("missing: {list}. On Debian: sudo apt-get install {list}");
    }
    eprintln!("installing {list} with apt-get");
    let _noninteractive = sh.push_env("DEBIAN_FRONTEND", "noninteractive");
    quietly(cmd!(sh, "apt-get update")).with_context(|| format!("missing: {list}"))?;
    quietly(cmd!(sh, "apt-get install -y --no-install-recommends {missing...}"))
        .with_context(|| format!("missing: {list}"))
}
