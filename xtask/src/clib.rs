//! The C libraries, built and installed by CMake as a packager would do it. How that works is in CMakeLists.txt.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::cmd;

use crate::tools;
use crate::workspace::{Workspace, quietly};

/// Builds the libraries and installs them below `prefix`.
pub fn install(workspace: &Workspace, prefix: &Path) -> Result<()> {
    install_with(workspace, prefix, "build", &[])
}

/// The libraries of this repository, built and installed once per run of a task; where to.
pub fn installed(workspace: &Workspace) -> Result<&Path> {
    if workspace.installed.get().is_none() {
        let prefix = workspace.fresh_dir("prefix")?;
        install(workspace, &prefix)?;
        let _ = workspace.installed.set(prefix);
    }
    Ok(workspace.installed.get().expect("it was set just now"))
}

/// The static library as rustc wrote it, before CMake made one object of it. It lies below the name of the machine.
pub fn archive_of_rustc(workspace: &Workspace) -> Result<PathBuf> {
    let cargo = workspace.out.join("build/cargo");
    let archives = workspace.shell.read_dir(&cargo)?.into_iter().map(|dir| dir.join("dist/libfiledb.a"));
    let archive = archives.into_iter().find(|archive| archive.is_file());
    archive.with_context(|| format!("there is no libfiledb.a below {}", cargo.display()))
}

/// As [`install`], with the cargo features `features`, in a build directory of its own.
pub fn install_with(workspace: &Workspace, prefix: &Path, build: &str, features: &[&str]) -> Result<()> {
    tools::ensure(workspace, tools::BUILD)?;
    let sh = &workspace.shell;
    let build = workspace.out.join(build);
    let flags: String = features.iter().map(|feature| format!(";--features;{feature}")).collect();
    quietly(cmd!(
        sh,
        "cmake -S . -B {build} -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_LIBDIR=lib -DFILEDB_CARGO_FLAGS=--locked{flags}"
    ))?;
    cmd!(sh, "cmake --build {build}").quiet().run()?;
    quietly(cmd!(sh, "cmake --install {build} --prefix {prefix}"))
}
